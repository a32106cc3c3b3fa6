//! The terms that a content policy can name, and what looks for them.

use crate::policy::content::Detector::{self, *};

/// Phrases that mean the same, without hyphens. Each stands for its plural too.
pub(super) struct Meaning {
    pub(super) detectors: &'static [Detector],
    /// Whether it stands for a group: what names one of the group is more specific.
    pub(super) group: bool,
    /// Separated by `|`.
    phrases: &'static str,
}

impl Meaning {
    pub(super) fn phrases(&self) -> impl Iterator<Item = &'static str> {
        self.phrases.split('|')
    }
}

const fn one(detectors: &'static [Detector], phrases: &'static str) -> Meaning {
    Meaning {
        detectors,
        group: false,
        phrases,
    }
}

const fn group(detectors: &'static [Detector], phrases: &'static str) -> Meaning {
    Meaning {
        detectors,
        group: true,
        phrases,
    }
}

/// What tells of a person, short of health.
const PERSONAL: &[Detector] = &[
    Email,
    Phone,
    PaymentCard,
    Iban,
    UsSsn,
    UkNino,
    DeId,
    FrNir,
    EsDni,
    ItCodiceFiscale,
    Passport,
    IpAddress,
    MacAddress,
    DateOfBirth,
    PostalAddress,
    PersonName,
];

/// What tells of a person, with health.
const SENSITIVE_PERSONAL: &[Detector] = &[
    Email,
    Phone,
    PaymentCard,
    Iban,
    UsSsn,
    UkNino,
    DeId,
    FrNir,
    EsDni,
    ItCodiceFiscale,
    Passport,
    IpAddress,
    MacAddress,
    DateOfBirth,
    PostalAddress,
    PersonName,
    MedicalRecordNumber,
    Icd10,
];

const SECRETS: &[Detector] = &[
    ApiKey,
    Jwt,
    PrivateKey,
    ConnectionString,
    Password,
    HighEntropy,
];

const NATIONAL: &[Detector] = &[UsSsn, UkNino, DeId, FrNir, EsDni, ItCodiceFiscale];

const GOVERNMENT: &[Detector] = &[UsSsn, UkNino, DeId, FrNir, EsDni, ItCodiceFiscale, Passport];

/// Every known term.
pub(super) const MEANINGS: &[Meaning] = &[
    group(
        PERSONAL,
        "pii|personally identifiable information|personally identifiable info|\
         personally identifiable data|personally identifying information|\
         personally identifying data|personal identifiable information|\
         personal identifying information|personal identifier|personal data|\
         personal information|personal info|personal detail|personal particular|\
         private data|private information|private detail|identifying information|\
         identifying data",
    ),
    group(
        SENSITIVE_PERSONAL,
        "sensitive personal data|sensitive personal information|\
         special category of personal data|special category personal data",
    ),
    group(
        &Detector::ALL,
        "sensitive data|sensitive information|sensitive info",
    ),
    group(
        &[Email, Phone, PostalAddress],
        "contact detail|contact data|contact information|contact info",
    ),
    group(
        &[PaymentCard, Iban],
        "financial data|financial information|financial info|financial detail|\
         financial identifier|payment data|payment information|payment info|\
         payment detail|payment credential|billing data|billing information|\
         billing detail",
    ),
    group(
        &[Iban],
        "bank data|bank detail|bank information|banking data|banking detail|\
         banking information|bank account detail|bank account data|\
         bank account information",
    ),
    group(
        NATIONAL,
        "national id|national identifier|national id number|national identity number|\
         national identification number|identity number|identification number|id number|\
         social insurance number",
    ),
    group(
        GOVERNMENT,
        "government id|government identifier|government id number|government issued id|\
         government issued identifier|government identification|\
         government identification number|identity document|identity document number|\
         id document|id document number",
    ),
    group(
        &[UsSsn, DeId, EsDni, ItCodiceFiscale],
        "tax id|tax number|tax identifier|tax code|tax id number|\
         tax identification number|taxpayer id|taxpayer number|\
         taxpayer identification number",
    ),
    group(
        &[DeId, EsDni],
        "id card|id card number|identity card|identity card number|national identity card",
    ),
    group(
        &[MedicalRecordNumber, Icd10],
        "health data|health information|health info|health record|phi|\
         protected health information|medical data|medical information|medical detail|\
         medical record|medical history|patient data|patient information|patient record|\
         clinical data|clinical information",
    ),
    group(
        SECRETS,
        "secret|secret data|secret value|application secret",
    ),
    group(
        &[ApiKey, Jwt, PrivateKey, ConnectionString, Password],
        "credential|login|login data|login detail|login information|log in detail|\
         access data|authentication data|authentication information",
    ),
    group(
        &[ApiKey, Jwt],
        "token|access token|auth token|authentication token|authorization token|\
         authorisation token|bearer token|session token|security token|refresh token|\
         oauth token",
    ),
    one(&[Email], "email|email address|email id|mail address"),
    one(
        &[Phone],
        "phone|phone number|phone no|telephone|telephone number|mobile number|\
         mobile phone|mobile phone number|cell number|cell phone|cell phone number|\
         cellphone|cellphone number|landline|landline number|fax number|contact number",
    ),
    one(
        &[PaymentCard],
        "credit card|credit card number|credit card detail|credit card data|\
         credit card information|debit card|debit card number|payment card|\
         payment card number|payment card data|bank card|bank card number|card number|\
         card data|card detail|card information|cardholder data|primary account number|\
         pan",
    ),
    one(
        &[Iban],
        "iban|iban number|bank account|bank account number|account number|\
         international bank account number",
    ),
    one(
        &[UsSsn],
        "ssn|us ssn|social security number|social security no|us social security number|\
         american social security number|social security",
    ),
    one(
        &[UkNino],
        "nino|national insurance number|national insurance no|ni number|\
         uk national insurance number",
    ),
    one(
        &[DeId],
        "german id|german national id|german tax id|german tax number|\
         german tax identifier|german id card|german identity card|\
         german identity card number|steuer id|personalausweis",
    ),
    one(
        &[FrNir],
        "nir|french nir|french social security number|french national id|insee number",
    ),
    one(
        &[EsDni],
        "dni|nie|nif|spanish dni|spanish nie|spanish nif|spanish id|spanish national id",
    ),
    one(
        &[ItCodiceFiscale],
        "codice fiscale|codici fiscali|italian tax code|italian tax id|\
         italian fiscal code|italian national id|fiscal code",
    ),
    one(
        &[Passport],
        "passport|passport number|passport no|passport id",
    ),
    one(
        &[IpAddress],
        "ip|ip address|ip number|ipv4|ipv4 address|ipv6|ipv6 address|\
         internet protocol address",
    ),
    one(
        &[MacAddress],
        "mac address|mac|hardware address|ethernet address|media access control address",
    ),
    one(
        &[DateOfBirth],
        "date of birth|birth date|birthdate|birthday|dob|birth day",
    ),
    one(
        &[PostalAddress],
        "address|postal address|street address|home address|mailing address|\
         mail and street address|residential address|shipping address|delivery address|\
         billing address|physical address|work address|street name and house number",
    ),
    one(
        &[PersonName],
        "name|person name|person's name|personal name|people's name|name of person|\
         name of people|full name|first name|given name|last name|family name|\
         middle name|surname|forename",
    ),
    one(
        &[ApiKey],
        "api key|apikey|api token|api secret|access key|secret key|secret access key|\
         service key|service account key|personal access token|provider key",
    ),
    one(&[Jwt], "jwt|jwt token|json web token|id token"),
    one(
        &[PrivateKey],
        "private key|ssh key|private ssh key|ssh private key|pgp key|pgp private key|\
         gpg key|rsa key|rsa private key|pem key|tls key|encryption key|\
         cryptographic key|signing key",
    ),
    one(
        &[ConnectionString],
        "connection string|connection url|connection uri|database connection string|\
         database url|database uri|database credential|dsn",
    ),
    one(
        &[Password],
        "password|passwd|passphrase|pass phrase|pass word",
    ),
    one(
        &[HighEntropy],
        "high entropy|high entropy string|high entropy secret|high entropy text|\
         high entropy value|random string",
    ),
    one(
        &[MedicalRecordNumber],
        "mrn|medical record number|medical record no|patient number|patient id|\
         patient identifier|health record number",
    ),
    one(
        &[Icd10],
        "icd|icd code|icd 10|icd 10 code|icd 10 diagnosis|icd10|icd10 code|diagnosis|\
         diagnoses|diagnosis code|medical diagnosis|medical diagnoses",
    ),
];

/// Phrases that hold the words of a term and name something else, separated by `|`.
pub(super) const OTHERS: &str = "trade secret|business secret|company secret|industrial secret|commercial secret|\
         state secret|military secret|open secret|email message|email body|email content|\
         email text|email thread|email attachment|email subject|phone call|phone model|\
         business name|company name|brand name|product name|project name|team name|\
         department name|organisation name|organization name|file name|host name|\
         domain name|server name|service name|device name|column name|table name|\
         field name|database name|variable name|user name|account name|login name|\
         code name|city name|country name|place name|name of product|name of company|\
         name of the company|in the name of|by name|web address|site address|\
         website address|internet address|memory address|wallet address|bitcoin address|\
         crypto address|contract address|business card|gift card|sim card|driver licence|\
         driver license|driving licence|driving license|mac computer|public key";
