"""Numbers with check digits, made from the published rules."""

DIGITS = "0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def some(r, alphabet, count):
    return "".join(r.choice(alphabet) for _ in range(count))


def filled(r, pattern):
    """`#` becomes a digit, `~` one from 2 to 9, `@` a capital letter."""
    kinds = {"#": DIGITS, "~": "23456789", "@": UPPER}
    return "".join(r.choice(kinds[c]) if c in kinds else c for c in pattern)


def wrong(r, text, at):
    """The text with another digit, or letter, at a place."""
    old = text[at]
    alphabet = DIGITS if old.isdigit() else UPPER
    return text[:at] + r.choice([c for c in alphabet if c != old]) + text[at:][1:]


def luhn(body):
    """The check digit that goes behind the digits."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card(r):
    issuers = [
        ("4", 16), ("4", 16), ("51", 16), ("53", 16), ("55", 16), ("2221", 16), ("2720", 16),
        ("2500", 16), ("34", 15), ("37", 15), ("6011", 16), ("65", 16), ("36", 14), ("38", 14),
        ("3528", 16), ("3589", 16), ("62", 16),
    ]
    prefix, length = r.choice(issuers)
    body = prefix + some(r, DIGITS, length - len(prefix) - 1)
    return body + luhn(body)


def grouped(text, sizes, mark):
    groups, at = [], 0
    while at < len(text):
        size = sizes[min(len(groups), len(sizes) - 1)]
        groups.append(text[at : at + size])
        at += size
    return mark.join(groups)


def written_card(r, number):
    """As people write it: in one, or in the groups that are embossed on the card."""
    sizes = [4, 6, 5] if len(number) == 15 else [4, 6, 4] if len(number) == 14 else [4]
    mark = r.choice(["", "", " ", " ", "-"])
    return grouped(number, sizes, mark) if mark else number


IBAN_FORMS = {
    "DE": "#" * 18, "FR": "#" * 10 + "X" * 11 + "##", "ES": "#" * 20, "IT": "@" + "#" * 10 + "X" * 12,
    "GB": "@@@@" + "#" * 14, "NL": "@@@@" + "#" * 10, "AT": "#" * 16, "BE": "#" * 12,
    "CH": "#####" + "X" * 12, "PL": "#" * 24, "PT": "#" * 21, "SE": "#" * 20, "DK": "#" * 14,
    "NO": "#" * 11, "FI": "#" * 14, "IE": "@@@@" + "#" * 14, "LU": "###" + "X" * 13,
    "CZ": "#" * 20, "HU": "#" * 24, "RO": "@@@@" + "X" * 16, "SA": "##" + "X" * 18,
    "AE": "#" * 19, "TR": "#####0" + "X" * 16,
}


def iban(r):
    country = r.choice(sorted(IBAN_FORMS))
    bban = "".join(
        r.choice(DIGITS) if c in "#X" else r.choice(UPPER) if c == "@" else c
        for c in IBAN_FORMS[country]
    )
    as_number = "".join(str(int(c, 36)) for c in bban + country + "00")
    return f"{country}{98 - int(as_number) % 97:02}{bban}"


def ssn(r):
    area = r.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}", f"{r.randint(1, 99):02}", f"{r.randint(1, 9999):04}"


def nino(r):
    while True:
        prefix = r.choice("ABCEGHJKLMNOPRSTWXYZ") + r.choice("ABCEGHJKLMNPRSTWXYZ")
        if prefix not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
            return prefix + some(r, DIGITS, 6) + r.choice("ABCD")


def steuer_id(r):
    """Ten digits, of which one stands there twice and one not at all, and the check digit."""
    digits = r.sample(DIGITS, 9)
    digits.append(r.choice(digits))
    while True:
        r.shuffle(digits)
        if digits[0] != "0":
            break
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(digits) + str((11 - product) % 10)


def ausweis(r):
    """The serial number of a German identity card, and its check digit."""
    alphabet = "0123456789CFGHJKLMNPRTVWXYZ"
    serial = r.choice("LMNPRTVWXY") + some(r, alphabet, 8)
    return serial + str(sum(int(c, 36) * w for c, w in zip(serial, [7, 3, 1] * 3)) % 10)


def nir(r):
    """A French NIR, in its groups and with its key."""
    place = r.choice([f"{n:02}" for n in range(1, 96) if n != 20] + ["2A", "2B"])
    groups = [
        r.choice("12"), f"{r.randint(30, 99):02}", f"{r.randint(1, 12):02}", place,
        f"{r.randint(1, 480):03}", f"{r.randint(1, 600):03}",
    ]
    number = int("".join(groups).replace("2A", "19").replace("2B", "18"))
    return groups + [f"{97 - number % 97:02}"]


DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def dni(r):
    number = r.randint(1_000_000, 99_999_999)
    return f"{number:08}", DNI_LETTERS[number % 23]


def nie(r):
    start, number = r.randint(0, 2), r.randint(0, 9_999_999)
    return "XYZ"[start], f"{number:07}", DNI_LETTERS[(start * 10_000_000 + number) % 23]


ODD = dict(zip(DIGITS + UPPER, [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
]))
EVEN = dict(zip(DIGITS + UPPER, [*range(10), *range(26)]))


def codice_fiscale(r):
    consonants = "BCDFGLMNPRSTVZ"
    day = r.randint(1, 28) + r.choice([0, 40])
    body = (
        some(r, consonants, 6) + f"{r.randint(30, 99):02}" + r.choice("ABCDEHLMPRST")
        + f"{day:02}" + r.choice("ABCDEFGHILM") + f"{r.randint(1, 950):03}"
    )
    total = sum((ODD if place % 2 == 0 else EVEN)[c] for place, c in enumerate(body))
    return body + UPPER[total % 26]


def ean13(r):
    body = r.choice(["978", "979", "400", "401", "500", "509", "303", "841", "800", "690"])
    body += some(r, DIGITS, 12 - len(body))
    total = sum(int(c) * (3 if place % 2 else 1) for place, c in enumerate(body))
    return body + str(-total % 10)
