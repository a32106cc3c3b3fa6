"""What the detectors are to find.

For each detector a function that makes one: its text, the columns that it may stand in, and the
sentences that it may stand in.
"""

import json
import unicodedata
from datetime import date, timedelta

from . import numbers as n
from . import words as w
from .keys import HEX, api_key, connection_string, high_entropy, jwt, password, private_key

def plain(text):
    """In ASCII, without marks."""
    text = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(c for c in text if c.isascii() and (c.isalnum() or c == "-"))


def domain(r):
    head = r.choice(w.COMPANY_HEADS + ["mail", "post", "inbox", "webmail"]).lower()
    head = plain(head) + r.choice(["", "", "-group", str(r.randint(1, 99))])
    sub = r.choice(["", "", "", "mail.", "eu.", "it.support."])
    return sub + head + "." + r.choice("com de fr es it co.uk org net io example eu.com info".split())


def email(r):
    first, last = plain(r.choice(w.FIRST)).lower(), plain(r.choice(w.LAST)).lower()
    local = r.choice([
        f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}", f"{first}{r.randint(1, 99)}",
        f"{first}.{last}+{r.choice(['news', 'shop', 'x1'])}", f"{first}-{last}", last,
        f"{first}.{last}".title(), f"{first[0]}.{last}", "info", "billing", f"o'{last}",
    ])
    text = f"{local}@{domain(r)}"
    return (
        text.upper() if r.random() < 0.05 else text,
        ["email", "Email", "e_mail", "contact_email", "customer.email", "mail", "emailAddress",
         "contact", "username", "value", "notes", "user_email", "E-Mail-Adresse"],
        ["Please write to {} by Friday.", "Contact: {}", "Bitte an {} senden, danke!",
         "Envoyez la facture à {}.", "Escriba a {} para más información", "Scrivere a {} oggi",
         "From: Support <{}>", "user {} logged in from the web", "({})", "mailto:{}?subject=Hi",
         "cc'd {}, no answer yet", "reply-to={};priority=1", "\"{}\" bounced", "{} asked for a refund"],
    )


PHONES = [
    "+1 212 555 01##", "(415) ~##-####", "212-~##-####", "312.555.####", "+1 (617) 555-####",
    "1-303-~##-####", "+1-206-555-####", "713 ~## ####", "+1404~######", "(702)555-####",
    "+49 30 ~#######", "030 / ~#######", "0171 ~######", "+49 (0)89 ~######", "0221-~######",
    "0151 ~#######", "+49 171 ~######", "040 ~### ####", "0049 69 ~#######", "069/~######",
    "06 12 ## ## ##", "01 42 ## ## ##", "+33 6 12 ## ## ##", "0612######", "+33 (0)1 45 ## ## ##",
    "04.91.##.##.##", "+3361#######", "06-77-##-##-##",
    "612 ### ###", "+34 612 ## ## ##", "91 4## ## ##", "+34 93 2## ## ##", "655######",
    "333 ~######", "+39 347 ### ####", "06 ~#######", "02 ~#######", "+39 06 ~#######",
    "020 7946 0###", "+44 20 7946 0###", "07912 0#####", "0161 496 0###", "+44 7712 ######",
    "(020) 7946 0###", "+44 (0)121 496 0###", "01632 960###",
    "044 ~## ## ##", "+41 79 ~## ## ##", "+43 1 ~######", "0664 ~######", "+43 664 ~######",
    "06 1~######", "+31 6 2~######", "020 ~######", "+32 470 ## ## ##", "0475 ## ## ##",
    "+55 11 9~###-####", "(11) 98###-####", "+91 98### #####", "+61 2 9~## ####", "0412 ### ###",
    "03-3~##-####", "+81 90-~###-####", "+48 601 ### ###", "+46 70 ~## ## ##", "+45 2~ ## ## ##",
    "+47 912 ## ###", "+351 912 ### ###", "+52 55 ~### ####", "+86 138 #### ####",
    "+353 87 ~## ####", "+420 604 ### ###", "+1 780 555 #### ext. 12", "00 33 6 12 ## ## ##",
]


def phone(r):
    text = n.filled(r, r.choice(PHONES))
    sentences = [
        "Call me at {} after 5 pm.", "Tel.: {}", "phone {}", "Mobile: {}, evenings only",
        "Rufen Sie uns an: {}", "Telefon {} (Büro)", "Handy: {}", "Tél. {}",
        "Mon numéro de téléphone est le {}.", "Teléfono: {}", "Llámame al móvil {}",
        "telefono {} (ufficio)", "cell {}", "Fax: {}", "WhatsApp {}", "reach me by phone on {} please",
    ]
    if text.startswith("+"):
        sentences += ["{}", "Customer {} wants to be rung back", "left a message for {}", "({})"]
    return (
        text,
        ["phone", "Phone", "phone_number", "mobile", "telefon", "Telefonnummer", "tel", "fax",
         "contact.phone", "téléphone", "telefono", "movil", "cell_phone", "customerPhone", "msisdn"],
        sentences,
    )


def payment_card(r):
    return (
        n.written_card(r, n.card(r)),
        ["card_number", "credit_card", "cc_number", "pan", "cardNumber", "payment_card", "notes",
         "kreditkarte", "numero_carte", "tarjeta", "comment", "value"],
        ["Paid with card {}", "Please charge {} for the rest.", "cc: {} exp 04/29", "Visa {}",
         "Kreditkarte {} wurde belastet", "Ma carte est la {}", "tarjeta {} rechazada",
         "carta di credito {}", "my card number is {}, thanks", "({})", "order 10023 was paid, {}",
         "customer read out {} on the line", "PAN={};CVV=***"],
    )


def iban(r):
    text = n.iban(r)
    text = r.choice([text, n.grouped(text, [4], " "), n.grouped(text, [4], " "), text.lower()])
    return (
        text,
        ["iban", "IBAN", "bank_account", "account_number", "kontonummer", "account.iban", "notes",
         "compte", "cuenta", "bank_details", "value"],
        ["IBAN: {}", "Please pay to {} within 14 days.", "Bitte überweisen Sie auf {}.",
         "Virement sur le compte {} effectué", "Transferir a {} antes del lunes",
         "Bonifico su {}", "refund to {} (customer's bank)", "({})", "account {}, BIC on request"],
    )


def us_ssn(r):
    area, group, serial = n.ssn(r)
    columns = ["ssn", "SSN", "social_security_number", "ssn_number", "socialSecurityNumber",
               "employee.ssn", "applicant_ssn"]
    sentences = ["SSN: {}", "Her social security number is {}.", "ssn={}", "SSN {} on file",
                 "(SSN {})", "verify the social security no. {} first", "Soc. Sec. # {}"]
    mark = r.choice(["-", "-", "-", " ", ""])
    if mark == "-":
        columns += ["notes", "value", "tax_id"]
        sentences += ["applicant gave {} over the phone line", "W-2 for {}, 2023"]
    return mark.join([area, group, serial]), columns, sentences


def uk_nino(r):
    text = n.nino(r)
    text = r.choice([text, n.grouped(text, [2], " "), text, f"{text[:2]} {text[2:8]} {text[8]}", text.lower()])
    return (
        text,
        ["nino", "national_insurance_number", "ni_number", "NINO", "nationalInsuranceNo", "employee.nino"],
        ["NI number {}", "National Insurance: {}", "Her national insurance number is {}.",
         "nino={}", "NINO {} was checked", "(NI no. {})", "payroll needs the NI number, {}, today"],
    )


def de_id(r):
    if r.random() < 0.35:
        text = n.ausweis(r)
        return (
            text,
            ["personalausweis", "ausweisnummer", "personalausweisnummer", "id_card_number", "Ausweis-Nr"],
            ["Personalausweis {}", "Ausweisnummer: {}", "Personalausweisnr. {} gültig bis 2029",
             "Personalausweis Nr. {} vorgelegt", "identity card {} (Germany)"],
        )
    text = n.steuer_id(r)
    return (
        r.choice([text, n.grouped(text, [2, 3], " ")]),
        ["steuer_id", "steuerid", "SteuerID", "steuer_identifikationsnummer", "idnr", "tax_id", "IdNr"],
        ["Steuer-ID: {}", "Meine Steueridentifikationsnummer lautet {}.", "Steuer-IdNr. {}",
         "IdNr. {} (Finanzamt Köln)", "tax ID {} (Germany)", "Die Steuer-ID {} fehlt noch im Portal"],
    )


def fr_nir(r):
    groups = n.nir(r)
    text = r.choice(["".join(groups), " ".join(groups), "".join(groups[:-1]) + " " + groups[-1]])
    return (
        text,
        ["nir", "NIR", "numero_securite_sociale", "num_secu", "nss", "insee", "securite_sociale"],
        ["Numéro de sécurité sociale : {}", "NIR {}", "n° sécu {}", "Sécurité sociale: {} (assurée)",
         "mon numéro de sécu est le {}", "INSEE {}", "l'assuré {} a été remboursé"],
    )


def es_dni(r):
    if r.random() < 0.3:
        start, number, letter = n.nie(r)
        text = r.choice([f"{start}{number}{letter}", f"{start}-{number}-{letter}", f"{start}{number}-{letter}"])
    else:
        number, letter = n.dni(r)
        dotted = f"{number[:2]}.{number[2:5]}.{number[5:]}"
        text = r.choice([number + letter, f"{number}-{letter}", f"{dotted}-{letter}", f"{number} {letter}", number + letter.lower()])
    return (
        text,
        ["dni", "DNI", "nie", "nif", "NIF", "documento_identidad", "dni_cliente", "cliente.dni"],
        ["DNI {}", "con DNI número {} y domicilio en Madrid", "NIF: {}", "NIE {} caducado",
         "Mi DNI es {}.", "documento de identidad {}", "(DNI: {})", "dni={}"],
    )


def it_codice_fiscale(r):
    text = n.codice_fiscale(r)
    return (
        text.lower() if r.random() < 0.15 else text,
        ["codice_fiscale", "CodiceFiscale", "cf", "CF", "cod_fiscale", "tax_code", "notes", "value"],
        ["Codice fiscale: {}", "C.F. {}", "il mio codice fiscale è {}", "cliente {} registrato ieri",
         "CF={}", "fattura intestata a {}", "({})"],
    )


def passport(r):
    forms = ["#########", "@########", "C01X00T~7", "##@@#####", "@@@######", "@@#######", "@#######", "@@######"]
    text = n.filled(r, r.choice(forms))
    return (
        text,
        ["passport", "passport_number", "passportNo", "passport_no", "reisepass", "reisepassnummer",
         "passeport", "pasaporte", "numero_pasaporte", "numero_passaporto", "traveller.passport"],
        ["Passport number {}", "passport no. {}, issued in 2019", "Reisepass Nr. {}", "Passport: {}",
         "Reisepassnummer: {}", "Passeport n° {}", "Pasaporte: {}", "passaporto n. {}",
         "her passport is {}.", "holds passport {} (expires 2030)", "pasaporte número {}"],
    )


def ip_address(r):
    v4 = ".".join(str(r.randint(low, high)) for low, high in ((1, 126), (0, 255), (0, 255), (1, 254)))
    groups = [f"{r.randint(0, 65535):x}" for _ in range(8)]
    v6 = r.choice([
        "2001:db8:" + ":".join(groups[:6]), "2001:db8::" + groups[0], f"fe80::{groups[0]}:{groups[1]}",
        ":".join(["2a02"] + groups[1:]), "2001:0db8:0000:0000:0000:ff00:0042:" + groups[0].zfill(4),
        f"fd00:{groups[1]}::{groups[2]}", "::ffff:" + v4,
    ])
    local = ".".join([r.choice(["192.168", "10.0", "172.16"]), str(r.randint(0, 255)), str(r.randint(1, 254))])
    text = r.choice([v4, v4, local, v6, v6.upper() if r.random() < 0.2 else v6])
    return (
        text,
        ["ip", "ip_address", "client_ip", "remote_addr", "IPAddress", "last_login_ip", "source_ip",
         "host", "peer", "value", "x_forwarded_for"],
        ["login from {}", "blocked {} after five tries", "Zugriff von {} um Mitternacht",
         "connexion depuis {} refusée", "conexión desde {}", "{} - - \"GET / HTTP/1.1\" 200",
         "client={} status=ok", "IP: {}", "[{}] timed out", "allow from {}; deny all", "via {}, then lost"],
    )


def mac_address(r):
    pairs = [n.some(r, HEX, 2) for _ in range(6)]
    text = r.choice([":", ":", ":", "-"]).join(pairs)
    if r.random() < 0.04:
        flat = "".join(pairs)
        text = n.grouped(flat, [4], ".")
    return (
        text.upper() if r.random() < 0.5 else text,
        ["mac", "mac_address", "device_mac", "hwaddr", "bssid", "MACAddress", "device.mac", "value"],
        ["device {} joined the network", "MAC: {}", "hwaddr {} brd ff", "Gerät {} wurde gesperrt",
         "link/ether {}", "(MAC {})", "mac={} vlan=12", "l'appareil {} est hors ligne"],
    )


MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre".split(),
}
BIRTHS = {
    "en": (["dob", "DOB", "date_of_birth", "birth_date", "birthday", "BirthDate", "customer.dob", "born"],
           ["born on {}", "DOB: {}", "Date of birth: {}", "patient (born {}) was seen today",
            "Her birthday is {}.", "dob={}", "birthdate {}", "D.O.B. {}"]),
    "de": (["geburtsdatum", "Geburtsdatum", "geburtstag", "geb_datum"],
           ["geboren am {}", "geb. {}", "Geburtsdatum: {}", "Geburtstag: {}", "geb. am {} in Köln"]),
    "fr": (["date_naissance", "date_de_naissance", "naissance"],
           ["né le {}", "née le {} à Lyon", "Date de naissance : {}"]),
    "es": (["fecha_nacimiento", "fecha_de_nacimiento", "nacimiento"],
           ["nacido el {}", "nacida el {} en Sevilla", "Fecha de nacimiento: {}"]),
    "it": (["data_nascita", "data_di_nascita", "nascita"],
           ["nato il {}", "nata a Torino il {}", "Data di nascita: {}"]),
}


def date_of_birth(r):
    day = date(1930, 1, 1) + timedelta(days=r.randrange(29_000))
    language = r.choice(["en", "en", "en", "de", "fr", "es", "it"])
    month = MONTHS[language][day.month - 1]
    words = {
        "en": r.choice([f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", f"{month[:3]} {day.day}, {day.year}"]),
        "de": f"{day.day}. {month} {day.year}", "fr": f"{day.day} {month} {day.year}",
        "es": f"{day.day} de {month} de {day.year}", "it": f"{day.day} {month} {day.year}",
    }[language]
    local = {"en": "%m/%d/%Y", "de": "%d.%m.%Y"}.get(language, "%d/%m/%Y")
    text = r.choice([day.isoformat(), day.isoformat(), day.strftime(local), day.strftime(local), words,
                     f"{day.isoformat()} 00:00:00", day.strftime("%d-%m-%Y"), day.strftime("%Y/%m/%d")])
    columns, sentences = BIRTHS[language]
    return text, columns, sentences


def postal_address(r):
    language = r.choice(["us", "us", "uk", "de", "de", "fr", "es", "it"])
    number = r.randint(1, 199)
    if language == "us":
        state, zip_code = r.choice(w.STATES)
        street = f"{r.randint(10, 12999)} {r.choice(['', '', 'N ', 'West '])}{r.choice(w.STREETS_US)} {r.choice(w.KINDS_US)}"
        street += r.choice(["", "", f", Apt {r.randint(1, 40)}", f" Suite {r.randint(100, 900)}", " #4B"])
        if r.random() < 0.1:
            street = f"{r.choice(['PO Box', 'P.O. Box'])} {r.randint(10, 9999)}"
        town = f", {r.choice(['Springfield', 'Austin', 'Salem', 'Georgetown'])}, {state} {zip_code}{n.some(r, n.DIGITS, 2)}"
    elif language == "uk":
        street = f"{r.choice(['', 'Flat 3, '])}{number}{r.choice(['', 'a', ''])} {r.choice(w.STREETS_UK)} {r.choice(w.KINDS_UK)}"
        town = f", {r.choice(['London', 'Leeds', 'Bristol'])} {r.choice(['SW1A', 'LS2', 'BS1', 'EC1V'])} {n.filled(r, '#')}{r.choice(['AA', 'QT', 'LH'])}"
    elif language == "de":
        street = f"{r.choice(w.STREETS_DE)} {number}{r.choice(['', '', 'a', ' b'])}"
        town = f", {r.randint(10115, 99998)} {r.choice(['Berlin', 'Köln', 'Bad Homburg', 'München'])}"
    elif language == "fr":
        street = f"{number}{r.choice([' ', ' ', ' bis ', ', '])}{r.choice(w.STREETS_FR)}"
        town = f", {r.choice(['75002 Paris', '69003 Lyon', '13001 Marseille', '33000 Bordeaux'])}"
    elif language == "es":
        street = f"{r.choice(w.STREETS_ES)}{r.choice([' ', ', ', ', nº '])}{number}{r.choice(['', ', 3º B', ', 2ª'])}"
        town = f", {r.choice(['28013 Madrid', '41001 Sevilla', '08002 Barcelona'])}"
    else:
        street = f"{r.choice(w.STREETS_IT)}{r.choice([' ', ', '])}{number}{r.choice(['', '/A'])}"
        town = f", {r.choice(['00184 Roma', '20121 Milano', '50122 Firenze'])}"
    sentences = {
        "us": ["Ship to {} please.", "She lives at {}.", "Address: {}", "deliver it to {} before noon", "moved to {} in May"],
        "uk": ["Please send it to {}.", "My address is {}", "Parcel left at {}.", "delivery to {} failed"],
        "de": ["Bitte an {} liefern.", "wohnhaft {}", "Anschrift: {}", "Sie wohnt in der {}."],
        "fr": ["Livrer au {} svp.", "J'habite {}.", "Adresse : {}", "domiciliée {}"],
        "es": ["Enviar a {}.", "Vive en {}", "Dirección: {}", "con domicilio en {}"],
        "it": ["Spedire in {}.", "abita in {}", "Indirizzo: {}", "residente in {}"],
    }[language]
    columns = {
        "us": ["address", "street", "address_line1", "BillingAddress", "shipping_address", "street_address"],
        "uk": ["address", "address1", "home_address", "deliveryAddress", "addr"],
        "de": ["adresse", "strasse", "anschrift", "lieferadresse", "address"],
        "fr": ["adresse", "rue", "adresse_livraison", "address"],
        "es": ["direccion", "dirección", "domicilio", "calle", "address"],
        "it": ["indirizzo", "via", "indirizzo_spedizione", "address"],
    }[language]
    return street + (town if r.random() < 0.6 else ""), columns, sentences


def person_name(r):
    first, last = r.choice(w.FIRST), r.choice(w.LAST)
    kind = r.choice(["first", "last", "full", "full", "text", "text", "text", "text", "text"])
    if kind == "first":
        return first, ["first_name", "FirstName", "given_name", "vorname", "prenom", "prénom", "firstname"], None
    if kind == "last":
        return last, ["last_name", "LastName", "surname", "family_name", "nachname", "apellido", "cognome", "lastname"], None
    full = r.choice([f"{first} {last}", f"{first} {last}", f"{last}, {first}", f"{first} {first[0]}. {last}"])
    columns = ["full_name", "fullName", "customer_name", "contact_name", "patient_name", "cardholder_name",
               "employee_name", "person.name", "CustomerName", "nombre_completo", "nom_complet"]
    if kind == "full":
        return full, columns, None
    titled = [
        (f"{first} {last}", "Mr. {} called today.|Mrs {} wants a refund|Ms. {} is on holiday.|Dr. {} signed it"
         "|my name is {}|Dear Mr {},|Herr {} hat angerufen|Frau {} ist umgezogen|Sehr geehrter Herr {},"
         "|Monsieur {} est absent|Mme {} a payé|Sr. {} llamó ayer|Sra. {} no contesta|el señor {} pagó"
         "|Signora {} ha scritto|Sig. {} è in ferie|Name: {}|Full name: {}|Patient: {}, seen today"
         "|Prof. {} wrote back|Ich heiße {}.|Je m'appelle {}.|Me llamo {}.|Mi chiamo {}.|Regards, {}"),
        (last, "Mr. {} called today.|Mrs {} wants a refund|Dear Ms {},|Dr. {} signed it|Herr {} hat bezahlt"
         "|Frau Dr. {} ist da|Sehr geehrte Frau {},|M. {} est absent|Madame {} a écrit|la señora {} pagó"
         "|Signor {} ha chiamato|Miss {} left a note"),
    ]
    text, sentences = titled[0] if r.random() < 0.6 else titled[1]
    return text, None, sentences.split("|")


def medical_record_number(r):
    text = n.filled(r, r.choice(["#######", "########", "MRN######", "@######", "##-##-##", "00######", "@@-#####", "######", "##########"]))
    return (
        text,
        ["mrn", "MRN", "medical_record_number", "patient_id", "patient_number", "medicalRecordNo", "patient.mrn",
         "patientennummer", "PatientID", "chart_number"],
        ["MRN: {}", "MRN {} was admitted", "medical record number {}", "Patient ID {}", "patient number: {}",
         "Medical Record # {}", "(MRN {})", "chart for MRN# {} is missing", "Patientennummer {}",
         "patient id={} ward=4", "historia clínica n.º {}", "numéro de dossier médical : {}"],
    )


ICD10 = (
    "E11.9 I10 J45.909 F32.1 F41.1 M54.5 E78.5 K21.9 N39.0 J06.9 Z00.00 R51 G43.909 I25.10 C50.911 C34.90 "
    "B20 A41.9 S72.001A T81.4XXA O80 P07.30 Q21.0 L40.0 H40.11X1 D64.9 F10.20 F20.0 G20 G35 I48.91 I63.9 "
    "J18.9 J44.1 K50.90 K80.20 M17.11 M79.7 N18.3 N18.6 R07.9 R10.9 U07.1 V43.52XA W19.XXXA Z23 Z51.11 E66.9 "
    "E03.9 C18.9 C61 B18.2 F84.0 F90.0 G40.909 H52.4 I21.4 I50.9 S06.0X0A M05.79"
).split()


def icd10(r):
    return (
        r.choice(ICD10),
        ["diagnosis", "icd10", "icd_code", "icd10_code", "diagnosis_code", "dx", "ICD-10", "diagnose",
         "primary_diagnosis", "patient.diagnosis"],
        ["Diagnosis: {}", "ICD-10 {}", "dx {} confirmed", "ICD10 code {} at discharge", "Diagnose: {}",
         "Diagnose {} gesichert", "diagnosed with {} in March", "diagnostic : {}", "diagnóstico: {}",
         "diagnosi: {}", "(ICD-10: {})", "primary diagnosis {}, follow up in 2 weeks"],
    )


MAKERS = [
    email, phone, payment_card, iban, us_ssn, uk_nino, de_id, fr_nir, es_dni, it_codice_fiscale,
    passport, ip_address, mac_address, date_of_birth, postal_address, person_name, api_key, jwt,
    private_key, connection_string, password, high_entropy, medical_record_number, icd10,
]

# What may be found besides, and rightly: a key is random too.
MAYBE = {
    "api_key": ["high_entropy", "password"],
    "jwt": ["high_entropy", "api_key", "password"],
    "private_key": ["high_entropy"],
    "connection_string": ["password", "high_entropy", "api_key"],
    "password": ["high_entropy"],
    "high_entropy": ["api_key", "password"],
}


def entry(text, column, detectors, maybe=()):
    made = {"text": text}
    if column:
        made["column"] = column
    made["detectors"] = list(detectors)
    if maybe:
        made["maybe"] = list(maybe)
    return made


def as_record(r, column, value):
    """A record as JSON, or a line of a log, with the value in it."""
    key = column.split(".")[-1]
    record = {"order": r.randint(1000, 99999), key: value, "status": r.choice(["open", "paid", "new"])}
    if r.random() < 0.3:
        record = {"customer": {key: value}, "items": r.randint(1, 9)}
    indent = 2 if r.random() < 0.3 else None
    return json.dumps(record, ensure_ascii=False, indent=indent)


def of(maker, r, count):
    """So many of one detector, half of them alone in a column."""
    name, alone, within = maker.__name__, 0, 0
    while alone + within < count:
        value, columns, sentences = maker(r)
        if columns and alone < (count + 1) // 2 and (alone <= within or not sentences):
            alone += 1
            padded = value if r.random() < 0.95 else f" {value} "
            yield entry(padded, r.choice(columns), [name], MAYBE.get(name, ()))
            continue
        if within >= count // 2:
            continue
        within += 1
        if columns and (not sentences or r.random() < 0.35):
            text = as_record(r, r.choice(columns), value)
        elif sentences:
            text = r.choice(sentences).replace("{}", value)
        column = r.choice([None, "notes", "message", "payload", "comment"])
        yield entry(text, column, [name], MAYBE.get(name, ()))


def mixed(r, count):
    """Whole customers as one text, with several kinds in each."""
    parts = [
        ("email", email), ("phone", phone), ("iban", iban), ("card_number", payment_card),
        ("ip", ip_address), ("address", postal_address), ("date_of_birth", date_of_birth), ("ssn", us_ssn),
    ]
    for _ in range(count):
        chosen = r.sample(parts, r.randint(2, 4))
        record = {key: maker(r)[0] for key, maker in chosen}
        record["id"] = r.randint(1, 99999)
        detectors = [maker.__name__ for _, maker in chosen]
        if r.random() < 0.5:
            text = json.dumps(record, ensure_ascii=False)
        else:
            text = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in record.items())
        yield entry(text, "payload", sorted(detectors))
