"""Words that the made-up texts are put together from."""

FIRST = (
    "Anna Lukas Marie Felix Sophie Jonas Lena Paul Mia Leon Hannah Finn Clara Emil Johanna Karl "
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard "
    "Susan Joseph Jessica Thomas Sarah Charles Karen Oliver Amelia Harry Isla George Ava Noah "
    "Camille Louis Chloé Hugo Inès Gabriel Manon Jules Léa Arthur Zoé Raphaël Élodie Mathieu "
    "Lucía Mateo Sofía Javier Carmen Álvaro Marta Pablo Elena Sergio Nuria Iván Beatriz Diego "
    "Giulia Lorenzo Chiara Matteo Francesca Alessandro Martina Davide Elisa Riccardo Valentina "
    "Priya Arjun Mei Hiroshi Fatima Omar Ingrid Lars Agnieszka Piotr Katarzyna João Beata Jean-Luc"
).split()

LAST = (
    "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter "
    "Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hartmann Lange Krause "
    "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Wilson Anderson Taylor Moore "
    "Jackson Thompson White Harris Clark Lewis Robinson Walker Young Allen Wright O'Connor McCarthy "
    "Martin Bernard Dubois Thomas Robert Petit Durand Leroy Moreau Lefèvre Fournier Girard Bonnet "
    "García Fernández González Rodríguez López Martínez Sánchez Pérez Gómez Ruiz Hernández Díaz "
    "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti "
    "Patel Singh Nguyen Tanaka Kowalska Nowak Jensen Nielsen Andersson Silva Santos Okafor Haddad"
).split()

CITIES = (
    "Berlin Hamburg München Köln Leipzig Lyon Marseille Toulouse Bordeaux Madrid Sevilla Valencia "
    "Zaragoza Milano Torino Napoli Bologna London Leeds Bristol Glasgow Chicago Boston Denver "
    "Seattle Austin Portland Toronto Vienna Zürich Amsterdam Brussels Oslo Lisbon Prague Warsaw "
    "Springfield Kansas Birmingham Rotterdam Stuttgart Nantes Bilbao Palermo"
).split()

COUNTRIES = (
    "Germany,France,Spain,Italy,United Kingdom,United States,Austria,Switzerland,Belgium,"
    "Netherlands,Portugal,Poland,Sweden,Norway,Denmark,Finland,Ireland,Canada,Brazil,Japan,India,"
    "Australia,New Zealand,South Africa,Czech Republic,Hungary,Greece,Turkey,EIRE,Channel Islands,"
    "Deutschland,Frankreich,España,Italia,Österreich,Schweiz,DE,FR,ES,IT,GB,US,AT,CH,NL"
).split(",")

COMPANY_HEADS = (
    "Northwind Bluebird Kestrel Granite Harbour Alpine Meridian Copperfield Silverline Redwood "
    "Lakeside Summit Falcon Orion Pioneer Nordstern Rheintal Sonnenhof Bergmann Atlas Solaris "
    "Vertex Cobalt Evergreen Ironbridge Montblanc Provence Aragon Toscana Adriatica Lumière"
).split()
COMPANY_KINDS = (
    "Logistics,Foods,Traders,Textiles,Software,Robotics,Paper,Instruments,Bicycles,Bakery,"
    "Consulting,Optics,Furniture,Energy,Motors,Pharma,Media,Ceramics"
).split(",")
COMPANY_FORMS = "Ltd,GmbH,Inc.,AG,S.A.,SARL,S.p.A.,SL,LLC,plc,KG,& Co. KG,BV,Oy".split(",")

ADJECTIVES = (
    "red blue green white black wooden ceramic glass vintage small large folding retro floral "
    "striped metal silver pink ivory heavy light round square knitted woollen paper frosted"
).split()
NOUNS = (
    "lantern mug teapot cushion candle clock basket frame lamp tray bowl ribbon bag towel apron "
    "notebook umbrella garland doormat bucket drawer knob hook shelf jar stool blanket card purse "
    "bottle kettle sign heart hanger bunting napkin"
).split()

STREETS_US = "Oak Maple Washington Lake Hill Pine Cedar Elm Walnut Sunset Park Franklin 4th Church River".split()
KINDS_US = "Street St St. Avenue Ave Road Rd Drive Dr Lane Boulevard Blvd Court Way".split()
STATES = [
    ("IL", "627"), ("CA", "941"), ("NY", "100"), ("TX", "787"), ("WA", "981"), ("MA", "021"),
    ("CO", "802"), ("OR", "972"), ("FL", "331"), ("GA", "303"),
]
STREETS_UK = "High Station Victoria Church Mill London Queen's King's Albert Green Manor Chapel".split()
KINDS_UK = "Street Road Lane Close Avenue Gardens Crescent Terrace Drive".split()
STREETS_DE = (
    "Hauptstraße,Bahnhofstraße,Gartenweg,Lindenallee,Schillerstr.,Goethestraße,Am Markt,Kirchplatz,"
    "Rosenweg,Bergstrasse,Mühlenweg,Friedrich-Ebert-Straße,Ludwigstr.,Schulstraße,"
    "Unter den Linden,Dorfstraße,Berliner Platz,Waldweg,Marktplatz,Kölner Straße,Ringstraße,"
    "Brunnengasse"
).split(",")
STREETS_FR = [
    "rue de la Paix", "rue Victor Hugo", "avenue des Champs", "boulevard Saint-Michel",
    "place de la République", "rue du Moulin", "chemin des Vignes", "allée des Tilleuls",
    "impasse du Lavoir", "quai de la Gare", "rue Pasteur", "av. Jean Jaurès", "bd Voltaire",
]
STREETS_ES = [
    "Calle Mayor", "Calle de Alcalá", "Avenida de la Constitución", "Plaza de España",
    "Paseo de Gracia", "C/ Real", "Avda. de Andalucía", "Calle del Carmen", "Carrer de Mallorca",
    "Ronda de Toledo", "Camino Viejo",
]
STREETS_IT = [
    "Via Roma", "Via Garibaldi", "Corso Vittorio Emanuele", "Piazza del Duomo", "Viale Europa",
    "Via Giuseppe Verdi", "Largo Augusto", "Vicolo Stretto", "Via dei Mille", "Corso Italia",
]

