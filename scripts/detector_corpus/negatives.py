"""What the detectors are to leave alone."""

import base64
import hashlib
import json
import uuid
from datetime import datetime, timedelta, timezone

from . import keys
from . import numbers as n
from . import positives as p
from . import words as w

NOTES = [None, "notes", "message", "comment", "description", "value"]


def moment(r):
    return datetime(2008, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=r.randrange(600_000_000))


def company(r):
    return " ".join([r.choice(w.COMPANY_HEADS), r.choice(w.COMPANY_KINDS), r.choice(w.COMPANY_FORMS)])


def product(r):
    return f"{r.choice(w.ADJECTIVES)} {r.choice(w.NOUNS)}"


def order_number(r):
    text = n.filled(r, r.choice(["######", "########", "ORD-######", "SO######", "PO-2024-####", "#####-##", "ORDER ##########", "#-#######-###"]))
    return text, ["order_id", "order_number", "orderNo", "po_number", "customer_id", "ticket_id", "id"]


def invoice_number(r):
    text = n.filled(r, r.choice(["INV-####-####", "RE-2024-#####", "C######", "2024/######", "INV#######", "F-####", "R########"]))
    return text, ["invoice_no", "invoice_number", "InvoiceNo", "rechnungsnummer", "document", "reference"]


def identifier(r):
    text = str(uuid.UUID(int=r.getrandbits(128), version=4))
    return r.choice([text, text, text.upper(), text.replace("-", ""), "{" + text + "}"]), [
        "id", "uuid", "request_id", "session_id", "trace_id", "external_id", "account_id"]


def digest(r):
    data = r.randbytes(16)
    text = r.choice([
        lambda: hashlib.md5(data).hexdigest(), lambda: hashlib.sha1(data).hexdigest(),
        lambda: hashlib.sha256(data).hexdigest(), lambda: hashlib.sha512(data).hexdigest(),
        lambda: hashlib.sha256(data).hexdigest().upper(), lambda: hashlib.sha1(data).hexdigest()[:7],
        lambda: base64.b64encode(hashlib.md5(data).digest()).decode(),
        lambda: base64.b64encode(hashlib.sha256(data).digest()).decode(),
        lambda: "sha256:" + hashlib.sha256(data).hexdigest(),
        lambda: "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode(),
    ])()
    return text, ["md5", "sha1", "sha256", "checksum", "etag", "digest", "commit", "hash", "integrity", "content_hash"]


def timestamp(r):
    at = moment(r)
    text = r.choice([
        at.isoformat(), at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%Y-%m-%d %H:%M:%S"), at.strftime("%m/%d/%Y %H:%M"),
        at.strftime("%m/%d/%y %I:%M %p"), str(int(at.timestamp())), str(int(at.timestamp() * 1000)), at.strftime("%Y-%m-%d"),
        at.strftime("%d.%m.%Y"), at.strftime("%a, %d %b %Y %H:%M:%S GMT"), at.strftime("%H:%M:%S"), at.strftime("%Y%m%d%H%M%S"),
        at.strftime("%Y-%m-%dT%H:%M:%S.123456+02:00"), at.strftime("%d/%m/%Y"), str(int(at.timestamp() * 1_000_000)),
    ])
    return text, ["created_at", "updated_at", "timestamp", "order_date", "InvoiceDate", "last_seen", "shipped_on", "HireDate", "expires"]


def product_code(r):
    text = n.filled(r, r.choice(["#####@", "@@@-####", "SKU-#####", "@@-###-@@", "######-@", "@##-###-####", "#####", "@@@@####-##", "####.###.##", "@#####", "@##.#", "X@@@#####"]))
    return text, ["sku", "SKU", "product_code", "StockCode", "part_number", "article", "model", "item"]


def version(r):
    a, b, c = r.randint(0, 30), r.randint(0, 30), r.randint(0, 400)
    text = r.choice([f"{a}.{b}.{c}", f"v{a}.{b}.{c}", f"{a}.{b}", f"{a}.{b}.{c}-beta.{b}", f"{a}.{b}.{c}.{r.randint(256, 9999)}",
                     f"version {a}.{b}.{c}", f"{a}.{b}.{c}+build.{c}", f"v{a}.{b}.{c % 200}.{b}", f"react@{a}.{b}.{c}", f"@scope/pkg@{a}.{b}.{c}"])
    return text, ["version", "app_version", "release", "firmware", "package", "sdk_version"]


def price(r):
    amount = r.randrange(1, 9_999_999) / 100
    grouped = f"{amount:,.2f}"
    local = grouped.translate(str.maketrans(",.", ".,"))
    text = r.choice([f"{amount:.2f}", f"${grouped}", f"{local} €", f"EUR {grouped}", f"£{grouped}", f"{amount:.2f} USD", f"-{amount:.2f}",
                     f"CHF {grouped.replace(',', chr(39))}", f"{amount:.4f}", f"{local} EUR", f"{int(amount)}-{int(amount) + 50}"])
    return text, ["price", "UnitPrice", "total", "amount", "revenue", "discount", "balance", "price_range"]


def quantity(r):
    k = r.randint(1, 9999)
    text = r.choice([str(k), f"-{k}", f"{k} pcs", f"{k} kg", f"{k}x{k % 90 + 1}", f"{k % 101} %", f"{k} Stück", f"{k} mm x {k % 300} mm",
                     f"{k / 100}", f"{k} of {k + 12}", f"{k:,}", f"1:{k}", f"{k % 24:02}:{k % 60:02}", f"{k % 300} km/h", f"{k}e-3"])
    return text, ["quantity", "count", "weight", "width", "stock", "rating", "duration", "share", "size"]


def book_or_article(r):
    text = n.ean13(r)
    text = r.choice([text, text, f"{text[:3]}-{text[3]}-{text[4:6]}-{text[6:12]}-{text[12]}", f"EAN {text}", f"GTIN: {text}",
                     n.filled(r, "#-###-#####-#"), n.filled(r, "########"), n.filled(r, "0############")])
    return text, ["ean", "isbn", "gtin", "barcode", "upc", "article_number"]


def tracking(r):
    text = n.filled(r, r.choice(["1Z######@##########", "00340434############", "RR#########DE", "9400 1### #### #### #### ##", "############", "JJD0###############", "LX#########CN", "########## DHL"]))
    return text, ["tracking_number", "tracking", "shipment", "parcel", "sendungsnummer", "awb"]


def coordinate(r):
    lat, lon = r.uniform(-80, 80), r.uniform(-179, 179)
    text = r.choice([f"{lat:.6f}", f"{lon:.4f}", f"{lat:.5f}, {lon:.5f}", f"{lat:.4f},{lon:.4f}", f"POINT({lon:.6f} {lat:.6f})",
                     f"{abs(lat):.0f}°{r.randint(0, 59):02}'{r.randint(0, 59):02}\"N", f"[{lat:.3f}, {lon:.3f}]"])
    return text, ["latitude", "longitude", "location", "coordinates", "geo", "lat", "lng"]


def file_or_path(r):
    at = moment(r)
    name = r.choice([f"IMG_{at:%Y%m%d}_{at:%H%M%S}.jpg", f"report-{at:%Y-%m-%d}.pdf", f"invoice_{r.randint(1000, 99999)}.pdf", "README.md",
                     f"backup.{at:%Y%m%d}.tar.gz", "main.rs", f"data-{r.randint(1, 99):05}-of-00100.parquet", f"Screenshot {at:%Y-%m-%d} at {at:%H.%M.%S}.png",
                     f"{r.choice(w.NOUNS)}-{r.choice(w.ADJECTIVES)}@2x.png", f"chunk.{n.some(r, keys.HEX, 8)}.js"])
    text = r.choice([name, f"/var/log/{name}", f"C:\\Users\\Public\\{name}", f"s3://bucket-{r.randint(1, 99)}/exports/{at:%Y/%m/%d}/{name}", f"../assets/{name}",
                     f"src/{r.choice(w.NOUNS)}/{name}", f"/srv/shop/{r.choice(w.NOUNS)}s/{r.randint(1, 9999)}/{name}", f"~/Downloads/{name}"])
    return text, ["file", "path", "file_name", "attachment", "image", "object_key", "filename"]


def url(r):
    host = r.choice(["www.northwind.example", "shop.example.com", "cdn.example.net", "localhost:8080", "docs.example.org"])
    noun, k = r.choice(w.NOUNS), r.randint(1, 999_999)
    text = r.choice([f"https://{host}/{noun}/{k}", f"https://{host}/search?q={noun}&page={k % 90}", f"http://{host}/{r.choice(w.ADJECTIVES)}-{noun}-p-{k}.html",
                     f"https://{host}/blog/2023/0{k % 9 + 1}/{noun}s", f"https://{host}/@{noun}shop/{k}", f"https://{host}/p/{uuid.UUID(int=r.getrandbits(128), version=4)}",
                     f"https://{host}/a.js?v={n.some(r, keys.HEX, 20)}", f"postgres://{host.split(':')[0]}:5432/orders", f"https://{host}/#section-{k % 20}",
                     f"redis://{host.split(':')[0]}:6379/0", f"mysql://reader@{host.split(':')[0]}/shop", f"https://{host}/reset-password?lang=de", f"www.{noun}s.example"])
    return text, ["url", "link", "referrer", "landing_page", "homepage", "image_url", "href"]


def place_or_company(r):
    return r.choice([
        lambda: (r.choice(w.COUNTRIES), ["country", "Country", "BillingCountry", "nationality", "market", "region"]),
        lambda: (r.choice(w.CITIES), ["city", "BillingCity", "town", "ort", "ville", "ciudad", "city_name"]),
        lambda: (company(r), ["company", "Company", "company_name", "supplier", "brand", "vendor", "organisation"]),
        lambda: (company(r), ["account_name", "merchant", "kunde", "customer", "employer"]),
    ])()


def postcode(r):
    text = n.filled(r, r.choice(["#####", "#####-####", "#### @@", "@@# #@@", "@@## #@@", "@#@ #@#", "####", "###-####", "## ###", "#####-###"]))
    return text, ["postal_code", "zip", "PostalCode", "plz", "postcode", "code_postal", "cap", "zip_code"]


def product_name(r):
    noun = product(r)
    text = r.choice([noun, noun.upper(), noun.title(), f"set of {r.randint(2, 12)} {noun}s", f"{noun.title()} ({r.randint(10, 90)} cm)", f"{noun}, {r.randint(1, 40)}-pack",
                     f"{noun.upper()} NO. {r.randint(1, 99)}", f"{r.choice(w.COMPANY_HEADS)} {noun.title()} {r.randint(100, 9000)}"])
    return text, ["product", "product_name", "Description", "title", "item_name", "category_name"]


def beside_the_point(r):
    """Columns that speak of something personal, and do not hold it."""
    at = moment(r)
    column, text = r.choice([
        ("phone_type", r.choice(["mobile", "home", "work", "landline"])), ("phone_model", r.choice(["Pixel 8 Pro", "Galaxy S23", "One Plus 12"])),
        ("phone_verified", r.choice(["true", "false"])), ("email_status", r.choice(["bounced", "delivered", "opened"])),
        ("email_opt_in", r.choice(["yes", "no", "1", "0"])), ("email_sent_at", at.isoformat()), ("email_subject", f"Your {product(r)} is on its way"),
        ("card_type", r.choice(["Visa", "Mastercard", "Amex", "Girocard"])), ("card_expiry", at.strftime("%m/%y")), ("card_last4", n.filled(r, "####")),
        ("gift_card_amount", f"{r.randint(5, 200)}.00"), ("address_type", r.choice(["billing", "shipping"])), ("address_verified", "true"),
        ("address_id", str(r.randint(1, 99999))), ("password_changed_at", at.strftime("%Y-%m-%d %H:%M:%S")), ("password_expired", r.choice(["true", "false"])),
        ("password_reset_required", r.choice(["true", "false", "0"])), ("token_count", str(r.randint(1, 99999))), ("token_type", "Bearer"), ("secret_name", r.choice(["db-main", "smtp", "stripe"])),
        ("ip_version", r.choice(["v4", "v6", "4", "6"])), ("passport_country", r.choice(["DE", "FR", "USA", "ESP"])), ("passport_expiry", at.strftime("%Y-%m-%d")),
        ("birth_country", r.choice(w.COUNTRIES)), ("birth_city", r.choice(w.CITIES)), ("host_name", f"web-{r.randint(1, 99):02}"), ("file_name", f"{r.choice(w.NOUNS)}.txt"),
        ("display_name_length", str(r.randint(3, 40))), ("diagnosis_count", str(r.randint(0, 9))), ("diagnosis_date", at.strftime("%Y-%m-%d")),
        ("patient_count", str(r.randint(1, 900))), ("account_type", r.choice(["checking", "savings", "business"])), ("iban_country", r.choice(["DE", "FR", "NL"])),
        ("street_count", str(r.randint(1, 90))), ("tax_id_type", r.choice(["VAT", "EIN"])), ("mac_os_version", f"{r.randint(11, 15)}.{r.randint(0, 9)}"),
        ("last_name_first", r.choice(["true", "false"])), ("mail_provider", r.choice(["postfix", "ses", "sendmail"])), ("fax", r.choice(["n/a", "none", "-"])),
        ("phone", r.choice(["unknown", "n/a", "-", "none", "0"])), ("email", r.choice(["n/a", "unknown", "-", "none@", "(redacted)"])), ("ssn", r.choice(["***-**-####", "n/a", "XXX-XX-XXXX"])),
        ("password", r.choice(["********", "[redacted]", "${DB_PASSWORD}", "", "null", "<hidden>"])), ("card_number", r.choice(["**** **** **** 1234", "xxxx-xxxx-xxxx-0000", "n/a"])),
        ("iban", r.choice(["DE** **** ****", "unknown", "n/a"])), ("dob", r.choice(["unknown", "n/a", "0000-00-00"])), ("diagnosis", r.choice(["pending", "none", "n/a"])),
        ("api_key", r.choice(["<your key>", "changeme", "${API_KEY}", "xxxxxxxxxxxxxxxx", "none"])), ("token", r.choice(["null", "expired", "<token>"])),
    ])
    return text, [column]


def near_miss(r):
    """One digit wrong, or one too many."""
    number = n.card(r)
    area, group, serial = n.ssn(r)
    nir = n.nir(r)
    dni, letter = n.dni(r)
    text, columns = r.choice([
        lambda: (n.grouped(n.wrong(r, number, -1 % len(number)), [4], r.choice([" ", "-"])), ["notes", "reference", "card_number"]),
        lambda: (n.wrong(r, number, -1 % len(number)), ["order_id", "reference", "card_number"]),
        lambda: (number + "00" + n.some(r, n.DIGITS, 6), ["reference", "barcode"]),
        lambda: ((lambda text: n.wrong(r, text, r.randint(4, len(text) - 1)))(n.iban(r)), ["iban", "reference", "notes"]),
        lambda: (f"{r.choice(['000', '666'])}-{group}-{serial}", ["ssn", "reference", "notes"]),
        lambda: (f"{area}-00-{serial}", ["ssn", "notes"]),
        lambda: (f"{area}-{group}-{serial}{r.randint(0, 9)}", ["reference", "notes"]),
        lambda: (r.choice(["QQ", "DA", "GB", "FX"]) + n.filled(r, "######") + r.choice("ABCD"), ["reference", "sku", "nino"]),
        lambda: (n.nino(r)[:-1] + r.choice("EFGHZ"), ["reference", "sku"]),
        lambda: (n.wrong(r, n.steuer_id(r), 10), ["steuer_id", "reference", "order_id"]),
        lambda: ("".join(nir[:-1]) + f"{int(nir[-1]) % 97 + 1:02}", ["nir", "reference", "barcode"]),
        lambda: (dni + r.choice([c for c in n.DNI_LETTERS if c != letter]), ["dni", "sku", "reference"]),
        lambda: ((lambda text: n.wrong(r, text, 15))(n.codice_fiscale(r)), ["codice_fiscale", "reference", "sku"]),
        lambda: (n.codice_fiscale(r) + "7", ["sku", "reference"]),
        lambda: (":".join(n.some(r, keys.HEX, 2) for _ in range(r.choice([4, 5, 7, 9]))), ["fingerprint", "code"]),
        lambda: (f"{r.randint(256, 999)}.{r.randint(0, 300)}.{r.randint(0, 300)}.{r.randint(0, 300)}", ["value", "code", "ip"]),
        lambda: (".".join(str(r.randint(1, 99)) for _ in range(r.choice([5, 6]))), ["oid", "code"]),
        lambda: (f"std::{r.choice(w.NOUNS)}::{r.choice(w.ADJECTIVES)}", ["symbol", "code", "message"]),
        lambda: (f"{r.choice(w.NOUNS)}@{r.choice(['', 'localhost ', '.com', ' example.com', '-', '#tag'])}", ["handle", "notes"]),
        lambda: (f"@{r.choice(w.NOUNS)}_{r.choice(w.ADJECTIVES)}", ["handle", "twitter", "mention"]),
        lambda: ("eyJ" + n.some(r, keys.URL64, 8) + ".", ["value", "notes"]),
        lambda: ("-----BEGIN PUBLIC KEY-----", ["pem", "notes"]),
        lambda: (n.grouped(n.some(r, n.DIGITS, 20), [5], " "), ["reference", "notes"]),
        lambda: (r.choice(["sk_live_", "ghp_", "glpat-", "xoxb-", "AKIA", "SG."]) + n.some(r, keys.ALNUM, 4), ["prefix", "notes"]),
        lambda: (n.filled(r, "@##") + r.choice(["", ".#"]).replace("#", str(r.randint(0, 9))), ["seat", "grid", "room", "sku"]),
    ])()
    return text, columns


SENTENCES = {
    "en": (["The {a} {n}", "Our {n} in {a}", "Order {k}: the {n}", "One {n} of set {k}", "Your {a} {n}", "The parcel with {q} {n}s", "This {a} model"],
           ["arrived on {d}", "was returned because the lid does not close", "is sold out until {d}", "costs {m} in {c}", "fits well next to the window",
            "has shipped from {c}", "can be combined with version {v}", "was better than the photo", "weighs {q} grams", "will be replaced by {s}"],
           ["and nobody complained.", "so we reordered {q} of them.", "; see page {q}.", "at {t}.", "(ref. {s}).", "for the second time this year.", "- thanks a lot!", "."]),
    "de": (["Das Paket mit {q} Teilen", "Der Artikel {s}", "Die Bestellung {k}", "Unser Modell {s}", "Die Lieferung nach {c}", "Der neue Katalog"],
           ["kam am {d} an", "ist leider ausverkauft", "kostet {m}", "wurde am {d} versendet", "passt gut in das Regal", "ist schwerer als gedacht", "war beim Auspacken zerbrochen"],
           ["und gefällt uns sehr gut.", ", bitte um Rückruf nicht nötig.", "und wird um {t} abgeholt.", "(Seite {q}).", "- gerne wieder!", "."]),
    "fr": (["Le colis de {q} pièces", "L'article {s}", "La commande {k}", "Le nouveau modèle", "La livraison vers {c}"],
           ["est arrivé le {d}", "coûte {m}", "ne correspond pas à la photo", "sera remplacé par {s}", "part le {d} à {t}", "manque dans le carton"],
           ["et tout va bien.", ", merci beaucoup.", "(voir page {q}).", "pour la deuxième fois.", "."]),
    "es": (["El paquete de {q} piezas", "El artículo {s}", "El pedido {k}", "El nuevo modelo", "La entrega en {c}"],
           ["llegó el {d}", "cuesta {m}", "no funciona como esperaba", "está agotado hasta el {d}", "pesa {q} gramos", "sale a las {t}"],
           ["y estamos contentos.", ", muchas gracias.", "(página {q}).", "por segunda vez.", "."]),
}


def sentence(r):
    parts = SENTENCES[r.choice(["en", "en", "de", "fr", "es"])]
    at = moment(r)
    text = " ".join(r.choice(part) for part in parts)
    for mark, value in {
        "{a}": r.choice(w.ADJECTIVES), "{n}": r.choice(w.NOUNS), "{k}": str(r.randint(1000, 999_999)), "{q}": str(r.randint(2, 900)),
        "{c}": r.choice(w.CITIES), "{v}": f"{r.randint(1, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}", "{m}": f"{r.randint(1, 900)},{r.randint(0, 99):02} €",
        "{d}": r.choice([at.strftime("%d.%m.%Y"), at.strftime("%Y-%m-%d"), at.strftime("%d/%m/%Y")]), "{t}": at.strftime("%H:%M"),
        "{s}": product_code(r)[0],
    }.items():
        text = text.replace(mark, value)
    return text.replace(" .", ".").replace(" ,", ",").replace(" ;", ";")


def free_text(r):
    return " ".join(sentence(r) for _ in range(r.choice([1, 1, 2, 3]))), NOTES


def words_of_topics(r):
    """Prose about personal things without any of them."""
    brands = ["Mr. Coffee machine, model {n}", "Dr. Martens boots, size {k}", "Mrs. Beeton cookery, page {k}"]
    text = r.choice(brands if r.random() < 0.01 else [
        "Please call before delivery.", "The phone was switched off for {k} days.", "Reset your password within {k} hours.",
        "No email was sent for order {n}.", "Your card was declined, error {n}.", "The address could not be verified (code {n}).",
        "Passport control took {k} minutes.", "Der Pass ist seit {k} Tagen abgelaufen.", "Bitte Passwort alle {k} Tage ändern.",
        "Telefonische Anfragen: {k} im Monat, {n} im Jahr.", "Le mot de passe doit avoir {k} caractères.", "La tarjeta fue rechazada {k} veces.",
        "The token bucket holds {n} tokens.", "Doctor visits rose by {k} percent to {n}.", "Patients waited {k} minutes.", "The diagnosis took {k} weeks.",
        "Dear customer, your order {n} is ready.", "Dear Sir or Madam, invoice {n} is due.", "Sehr geehrte Damen und Herren, Rechnung {n} ist fällig.",
        "Madame, Monsieur, la commande {n} est prête.", "The street was closed for {k} days.", "Born to be wild, track {k}", "The company was founded in 19{k}.",
        "IP traffic grew by {k} percent.", "The secret ingredient is cinnamon, {k} grams.", "Our IBAN has changed, see the letter of week {k}.",
        "SSN must be provided by all {n} employees.", "The key to door {k} is missing.", "Host {k} guests at once.",
        "Social security reform, page {k}", "Adresse und Name fehlen bei {k} Kunden.", "Via email we sold {n} units.",
        "The mobile app crashed {k} times.", "Fax machines sold: {n}", "Birth rate {k} per {n}", "Contact lenses, box of {k}",
        "The call took {k} minutes, ticket {n}.", "Loyalty card {n} was renewed.", "Phone orders: {n} this year.",
        "password policy: at least {k} characters", "Password must be changed", "email: not given", "no passport needed",
        "address unknown, parcel {n} came back", "Telefon: keine Angabe", "patient satisfaction: {k} %", "diagnosis: see letter", "My name is on the list of {k} people.",
    ]).replace("{k}", str(r.randint(10, 99))).replace("{n}", str(r.randint(10_000, 999_999)))
    return text, NOTES


def json_record(r):
    """An order as one text, with nothing personal in it."""
    makers = r.sample([order_number, product_code, price, quantity, timestamp, identifier, digest, version, tracking, coordinate, place_or_company, product_name], 4)
    record = {}
    for maker in makers:
        text, columns = maker(r)
        record[columns[0]] = text
    return json.dumps(record, ensure_ascii=False), ["payload", "event", "body", "data"]


def in_sentence(r):
    maker, sentences = r.choice([
        (order_number, ["Where is my order {}?", "Bestellung {} ist unterwegs", "commande {} annulée", "pedido {} pagado", "ticket {} was closed"]),
        (invoice_number, ["Invoice {} is due.", "Rechnung {} wurde bezahlt", "facture {} en retard"]),
        (identifier, ["request {} failed", "session {} expired", "Anfrage {} abgelehnt"]),
        (digest, ["checksum {} does not match", "commit {} was reverted", "etag {} changed"]),
        (timestamp, ["finished at {}", "since {} nothing happened", "bis {} geöffnet", "expédié le {}"]),
        (product_code, ["item {} is out of stock", "Artikel {} fehlt", "article {} épuisé", "artículo {} agotado"]),
        (version, ["upgraded to {} last night", "läuft mit {}", "{} breaks the build"]),
        (price, ["the total is {}", "Summe: {}", "le prix est de {}", "cuesta {} en total"]),
        (quantity, ["we need {} more", "noch {} im Lager", "il reste {}"]),
        (book_or_article, ["scan code {} twice", "the book {} is out of print", "Buch {} bestellt"]),
        (tracking, ["parcel {} is in transit", "Sendung {} zugestellt", "colis {} perdu"]),
        (coordinate, ["the ship is at {}", "Position {}"]),
        (file_or_path, ["see {} for details", "could not open {}", "Datei {} fehlt"]),
        (url, ["see {} for details", "open {} in a browser", "mehr unter {}"]),
        (place_or_company, ["a warehouse of {}", "we deliver to {}", "Lieferung an {}"]),
        (postcode, ["deliveries to {} are late", "PLZ {} ist nicht bekannt"]),
        (near_miss, ["the code {} was refused", "Nummer {} ist ungültig", "ref {}"]),
    ])
    text, _ = maker(r)
    return r.choice(sentences).replace("{}", text), NOTES


# How many of each.
SHARES = [
    (order_number, 900), (invoice_number, 700), (identifier, 1000), (digest, 1000), (timestamp, 1400),
    (product_code, 1200), (version, 800), (price, 900), (quantity, 700), (book_or_article, 900),
    (tracking, 700), (coordinate, 600), (file_or_path, 1000), (url, 1000), (place_or_company, 1200),
    (postcode, 700), (product_name, 1000), (beside_the_point, 1100), (near_miss, 1500),
    (free_text, 2600), (words_of_topics, 500), (json_record, 700), (in_sentence, 1900),
]


def of(maker, r, count):
    for _ in range(count):
        text, columns = maker(r)
        column = r.choice(columns) if r.random() < 0.8 else None
        yield p.entry(text, column, [])
