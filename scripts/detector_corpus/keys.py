"""Keys, tokens, passwords and other secrets: see positives."""

import base64
import json
import zlib

from . import numbers as n

HEX = "0123456789abcdef"
ALNUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
URL64 = ALNUM + "-_"
BASE64 = ALNUM + "+/"


def base62(number, length):
    out = ""
    while number:
        number, digit = divmod(number, 62)
        out = ALNUM[digit] + out
    return out.rjust(length, "0")


def github(r):
    """The last six are a checksum of the thirty before them, in an alphabet of its own order."""
    alphabet = n.DIGITS + n.UPPER + n.UPPER.lower()
    body = n.some(r, alphabet, 30)
    return r.choice(["ghp_", "gho_", "ghs_", "ghu_"]) + body + base62(zlib.crc32(body.encode()), 6)


def api_key(r):
    s = lambda alphabet, count: n.some(r, alphabet, count)
    lower = n.DIGITS + n.UPPER.lower()
    text = r.choice([
        lambda: r.choice(["AKIA", "ASIA"]) + s(n.UPPER + "234567", 16),
        lambda: github(r),
        lambda: "github_pat_" + s(ALNUM, 22) + "_" + s(ALNUM, 59),
        lambda: "glpat-" + s(URL64, 20),
        lambda: r.choice(["sk_live_", "rk_live_", "sk_test_"]) + s(ALNUM, r.choice([24, 99])),
        lambda: f"xoxb-{s(n.DIGITS, 12)}-{s(n.DIGITS, 13)}-{s(ALNUM, 24)}",
        lambda: f"xoxp-{s(n.DIGITS, 12)}-{s(n.DIGITS, 12)}-{s(n.DIGITS, 12)}-{s(HEX, 32)}",
        lambda: "AI" + "za" + s(URL64, 35),
        lambda: "sk-ant-api03-" + s(URL64, 93) + "AA",
        lambda: "sk-proj-" + s(ALNUM, 74) + "T3Blbk" + "FJ" + s(ALNUM, 74),
        lambda: "sk-" + s(ALNUM, 20) + "T3Blbk" + "FJ" + s(ALNUM, 20),
        lambda: f"SG.{s(URL64, 22)}.{s(URL64, 43)}",
        lambda: "npm_" + s(ALNUM, 36),
        lambda: "pypi-" + "AgEIcHlwaS5vcmc" + s(URL64, 70),
        lambda: "hf_" + s(n.UPPER + n.UPPER.lower(), 34),
        lambda: "dop_v1_" + s(HEX, 64),
        lambda: "shpat_" + s(HEX, 32),
        lambda: "hvs." + s(URL64, 95),
        lambda: "dckr_pat_" + s(URL64, 27),
        lambda: f"glsa_{s(ALNUM, 32)}_{s(HEX, 8)}",
        lambda: f"{s(n.DIGITS, 10)}:AA{s(URL64, 33)}",
        lambda: "lin_api_" + s(ALNUM, 40),
        lambda: f"PMAK-{s(HEX, 24)}-{s(HEX, 34)}",
        lambda: "whsec_" + s(ALNUM, 32),
        lambda: f"xkeysib-{s(HEX, 64)}-{s(ALNUM, 16)}",
        lambda: "rubygems_" + s(HEX, 48),
        lambda: "NRAK-" + s(n.DIGITS + n.UPPER, 27),
        lambda: "https://hooks.slack.com/services/" + f"T{s(n.UPPER, 8)}/B{s(n.UPPER, 8)}/{s(ALNUM, 24)}",
        lambda: "sq0csp-" + s(URL64, 43),
        lambda: "dapi" + s(HEX, 32),
        lambda: f"key-{s(lower, 32)}",
    ])()
    columns = ["api_key", "token", "access_key", "secret_key", "apiKey", "credentials", "key", "auth_token"]
    sentences = ["export API_KEY={}", "api_key: \"{}\"", "use the token {} for now", "access key {} leaked",
                 "Der API-Schlüssel lautet {}", "la clé API est {}", "token={}", "secret = '{}'",
                 "curl -H 'Authorization: Bearer {}' https://api.northwind.example", "my api key is {}."]
    if not text.startswith("key-"):
        columns += ["notes", "value", "config"]
        sentences += ["{}", "I pasted {} by accident", "see {} in the log", "({})"]
    return text, columns, sentences


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(r):
    algorithm, size = r.choice([("HS256", 32), ("RS256", 256), ("ES256", 64), ("HS512", 64)])
    header = {"alg": algorithm, "typ": "JWT"}
    if r.random() < 0.4:
        header["kid"] = n.some(r, HEX, 8)
    payload = {"sub": str(r.randint(1, 10**9)), "iat": r.randint(1_500_000_000, 1_800_000_000)}
    payload.update(r.choice([{}, {"role": "admin"}, {"scope": "read write", "iss": "https://id.example"}]))
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, payload)]
    text = ".".join(b64url(part) for part in [*parts, r.randbytes(size)])
    return (
        text,
        ["token", "jwt", "id_token", "access_token", "authorization", "session", "value", "notes", "cookie"],
        ["Authorization: Bearer {}", "token={}; Path=/", "{}", "the session was {}", "jwt: \"{}\"",
         "https://app.example/login?token={}", "Bearer {}", "expired token {} was refused", "({})"],
    )


def private_key(r):
    kind = r.choice(["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED ", "DSA ", "PGP "])
    block = " BLOCK" if kind == "PGP " else ""
    body = n.some(r, BASE64, r.choice([160, 400, 800, 1600]))
    lines = [f"-----BEGIN {kind}PRIVATE " + f"KEY{block}-----", *(body[i : i + 64] for i in range(0, len(body), 64)),
             f"-----END {kind}PRIVATE " + f"KEY{block}-----"]
    text = r.choice(["\n", "\n", "\r\n", "\\n"]).join(lines)
    return (
        text,
        ["private_key", "key", "ssh_key", "tls_key", "value", "notes", "pem", "deploy.key"],
        ["here is the key:\n{}\nthanks", "key: |\n{}", "{}", "PRIVATE_KEY=\"{}\"", "server log {} end",
         "Der Schlüssel:\n{}", "cat id_rsa\n{}\n$"],
    )


def made_password(r):
    word = r.choice(["Sommer", "dragon", "Kaffee", "Winter", "tiger", "Blume", "shadow", "Fussball", "melon", "verano", "soleil"])
    return r.choice([
        word + str(r.randint(10, 2026)) + r.choice(["!", "?", "#", "", "$"]),
        word.replace("e", "3").replace("o", "0").replace("a", "@") + r.choice(["!", "42", "_x"]),
        n.some(r, ALNUM + "!#%*+?_-", r.randint(10, 20)) + "7",
        f"{word}-{r.choice(['horse', 'table', 'nuage', 'stein'])}-{r.randint(10, 99)}",
    ])


def connection_string(r):
    user = r.choice(["admin", "app", "svc_orders", "root", "reader", "etl"])
    secret = n.some(r, ALNUM + "_!~", r.randint(8, 20))
    host = r.choice(["db.internal", "localhost", "pg-1.prod.example.com", "cache", "mongo0.example.net", "mq.example.org"])
    base = r.choice(["orders", "crm", "main", "shop_prod"])
    text = r.choice([
        f"postgres://{user}:{secret}@{host}:5432/{base}",
        f"postgresql://{user}:{secret}@{host}/{base}?sslmode=require",
        f"mysql://{user}:{secret}@{host}:3306/{base}",
        f"mongodb+srv://{user}:{secret}@{host}/{base}?retryWrites=true",
        f"mongodb://{user}:{secret}@{host}:27017",
        f"redis://:{secret}@{host}:6379/0",
        f"amqp://{user}:{secret}@{host}:5672/%2f",
        f"jdbc:postgresql://{host}:5432/{base}?user={user}&password={secret}",
        f"jdbc:sqlserver://{host}:1433;databaseName={base};user={user};password={secret};",
        f"Server={host};Database={base};User Id={user};Password={secret};",
        f"Data Source={host};Initial Catalog={base};User ID={user};Pwd={secret}",
        f"Host={host};Username={user};Password={secret};Database={base}",
        f"postgresql+psycopg2://{user}:{secret}@{host}/{base}",
        f"https://{user}:{secret}@{host}/repo.git",
        f"ftp://{user}:{secret}@{host}/in",
        "DefaultEndpointsProtocol=https;AccountName=" + base.replace("_", "") + ";AccountKey="
        + base64.b64encode(r.randbytes(64)).decode() + ";EndpointSuffix=core.windows.net",
    ])
    return (
        text,
        ["connection_string", "database_url", "dsn", "DATABASE_URL", "config", "url", "notes", "value"],
        ["DATABASE_URL={}", "connect with {} please", "the url is {}", "dsn: \"{}\"", "{}",
         "could not connect to {}: timeout", "Verbindung zu {} fehlgeschlagen", "export DSN='{}'"],
    )


def password(r):
    return (
        made_password(r),
        ["password", "Password", "passwd", "pwd", "passwort", "user_password", "login.password", "mot_de_passe",
         "contraseña", "kennwort"],
        ["password: {}", "my password is {}", "pwd={}", "Passwort: {}", "Das Passwort lautet {}",
         "mot de passe : {}", "contraseña: {}", "user=anna password={}", "Password = \"{}\"",
         "Kennwort: {}", "login with password {}", "passwd: {}, please change it"],
    )


def high_entropy(r):
    context = r.random() < 0.8
    text = r.choice([
        lambda: n.some(r, ALNUM, r.randint(32, 64)),
        lambda: base64.b64encode(r.randbytes(r.choice([32, 40, 48]))).decode(),
        lambda: n.some(r, URL64, r.randint(36, 60)),
        lambda: n.some(r, HEX, r.choice([40, 64])) if context else n.some(r, ALNUM, 50),
        lambda: n.some(r, BASE64, 40),
    ])()
    if not context:
        text = n.some(r, r.choice([ALNUM, URL64]), r.randint(48, 84))
    sentences = ["client_secret={}", "secret: {}", "SECRET_KEY = \"{}\"", "aws_secret_access_key = {}",
                 "the signing secret is {}", "encryption key: {}", "Geheimnis/Token: {}", "auth_token={}"]
    columns = ["secret", "client_secret", "secret_key", "token", "refresh_token", "signing_secret",
               "access_token", "webhook_secret", "encryption_key", "api_secret"]
    if not context:
        sentences, columns = ["{}", "I found {} in the repo", "see {} below", "({})"], ["notes", "value", "payload", "data"]
    return text, columns, sentences
