//! What words are about, and those near a spot.

use std::ops::Range;

use super::lexicon::{Reader, spell};

/// What a name or a word can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// E-mail.
    Email,
    /// Telephones.
    Phone,
    /// Payment cards.
    Card,
    /// Bank accounts.
    BankAccount,
    /// Social security of the United States.
    UsSsn,
    /// National insurance of the United Kingdom.
    UkNino,
    /// German tax identifiers and identity cards.
    DeId,
    /// French social security.
    FrNir,
    /// Spanish identity documents.
    EsDni,
    /// Italian tax codes.
    ItCodiceFiscale,
    /// Any other identity of a person with an authority.
    NationalId,
    /// Passports.
    Passport,
    /// Network addresses.
    Network,
    /// Birth.
    Birth,
    /// Postal addresses.
    Address,
    /// Names of persons.
    Person,
    /// Passwords.
    Password,
    /// Keys and tokens.
    Secret,
    /// Medical records.
    MedicalRecord,
    /// Diagnoses.
    Diagnosis,
}

impl Topic {
    pub(super) const ALL: [Topic; 20] = [
        Topic::Email,
        Topic::Phone,
        Topic::Card,
        Topic::BankAccount,
        Topic::UsSsn,
        Topic::UkNino,
        Topic::DeId,
        Topic::FrNir,
        Topic::EsDni,
        Topic::ItCodiceFiscale,
        Topic::NationalId,
        Topic::Passport,
        Topic::Network,
        Topic::Birth,
        Topic::Address,
        Topic::Person,
        Topic::Password,
        Topic::Secret,
        Topic::MedicalRecord,
        Topic::Diagnosis,
    ];

    /// The words and phrases that speak of it: lower case, one blank between words. They count
    /// only as whole words, in text and in the names of columns alike.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Topic::Email => &[
                "email",
                "emails",
                "e mail",
                "mail",
                "mailto",
                "email1",
                "email2",
                "emailaddress",
                "courriel",
                "correo",
                "correo electrónico",
                "posta elettronica",
                "pec",
            ],
            Topic::Phone => &[
                "phone",
                "phones",
                "phone1",
                "phone2",
                "phoneno",
                "phonenumber",
                "telephone",
                "telephonenumber",
                "tel",
                "tel1",
                "tel2",
                "tél",
                "telno",
                "ph",
                "mobile",
                "mobile1",
                "mobilenumber",
                "mobilephone",
                "mob",
                "cell",
                "cellphone",
                "homephone",
                "workphone",
                "landline",
                "fax",
                "fax1",
                "faxnumber",
                "call me",
                "call us",
                "call back",
                "contact number",
                "reach me at",
                "hotline",
                "helpline",
                "msisdn",
                "telefon",
                "telefonnummer",
                "telefonnr",
                "rufnummer",
                "handy",
                "handynummer",
                "mobil",
                "mobilnummer",
                "mobiltelefon",
                "festnetz",
                "durchwahl",
                "telefax",
                "faxnummer",
                "téléphone",
                "numéro de tel",
                "teléfono",
                "telefonos",
                "móvil",
                "movil",
                "celular",
                "telefono",
                "telefonino",
                "cellulare",
                "fisso",
                "whatsapp",
                "sms",
            ],
            Topic::Card => &[
                "card",
                "cards",
                "card number",
                "card no",
                "cardnumber",
                "cardno",
                "card num",
                "credit card",
                "creditcard",
                "debit card",
                "cc",
                "ccn",
                "cc number",
                "cc num",
                "ccnum",
                "visa",
                "mastercard",
                "amex",
                "american express",
                "diners",
                "jcb",
                "unionpay",
                "pan",
                "kreditkarte",
                "kreditkartennummer",
                "kartennummer",
                "carte bancaire",
                "carte de crédit",
                "numéro de carte",
                "tarjeta",
                "carta di credito",
                "numero carta",
            ],
            Topic::BankAccount => &[
                "iban",
                "bic",
                "swift",
                "bank account",
                "bankaccount",
                "account number",
                "account no",
                "bank details",
                "konto",
                "kontonummer",
                "bankverbindung",
                "compte bancaire",
                "rib",
                "cuenta bancaria",
                "numero de cuenta",
                "número de cuenta",
                "conto corrente",
                "coordinate bancarie",
            ],
            Topic::UsSsn => &[
                "ssn",
                "ssns",
                "social security",
                "social security number",
                "social sec",
                "soc sec",
                "socialsecurity",
                "socialsecuritynumber",
                "social insurance",
                "ss number",
            ],
            Topic::UkNino => &[
                "nino",
                "ni number",
                "ni no",
                "national insurance",
                "nat ins",
                "nationalinsurance",
                "nationalinsurancenumber",
            ],
            Topic::DeId => &[
                "steuer id",
                "steuerid",
                "steueridentifikationsnummer",
                "steuerliche identifikationsnummer",
                "identifikationsnummer",
                "idnr",
                "id nr",
                "id nummer",
                "steuernummer",
                "steuer nr",
                "tin",
                "tax id",
                "tax number",
                "tax identification number",
                "personalausweis",
                "personalausweisnummer",
                "ausweisnummer",
                "ausweis nr",
                "ausweis",
            ],
            Topic::FrNir => &[
                "nir",
                "insee",
                "numéro insee",
                "sécurité sociale",
                "securite sociale",
                "numéro de sécu",
                "sécu",
                "num secu",
                "numero secu",
                "carte vitale",
                "social security",
            ],
            Topic::EsDni => &[
                "dni",
                "nie",
                "nif",
                "documento nacional",
                "documento de identidad",
                "número de identidad",
                "carnet de identidad",
            ],
            Topic::ItCodiceFiscale => &[
                "codice fiscale",
                "codicefiscale",
                "cod fiscale",
                "cod fisc",
                "cf",
            ],
            Topic::NationalId => &[
                "national id",
                "nationalid",
                "national identification",
                "national identity",
                "id number",
                "identity number",
                "identity card",
                "id card",
                "personal id",
                "identity document",
                "identity no",
                "tax id",
                "ausweis",
                "personalausweis",
                "carte d identité",
                "carta d identità",
                "documento de identidad",
                "documento d identità",
            ],
            Topic::Passport => &[
                "passport",
                "passports",
                "passportnumber",
                "passportno",
                "passport number",
                "passport no",
                "reisepass",
                "reisepassnummer",
                "passnummer",
                "passnr",
                "passeport",
                "pasaporte",
                "passaporto",
                "travel document",
            ],
            Topic::Network => &[
                "ip",
                "ips",
                "ipv4",
                "ipv6",
                "ip address",
                "ipaddress",
                "ipaddr",
                "ip adresse",
                "adresse ip",
                "remote addr",
                "mac",
                "mac address",
                "macaddress",
                "macaddr",
                "hwaddr",
                "bssid",
                "host",
                "gateway",
                "subnet",
            ],
            Topic::Birth => &[
                "dob",
                "born",
                "birth",
                "birthday",
                "birthdate",
                "bday",
                "dateofbirth",
                "geboren",
                "geburt",
                "geburtsdatum",
                "geburtstag",
                "gebdatum",
                "geb datum",
                "naissance",
                "datenaissance",
                "nacimiento",
                "fechanacimiento",
                "nascita",
                "datanascita",
                "nascimento",
            ],
            Topic::Address => &[
                "address",
                "addresses",
                "addr",
                "street",
                "streetaddress",
                "homeaddress",
                "postaladdress",
                "billingaddress",
                "shippingaddress",
                "mailingaddress",
                "adresse",
                "anschrift",
                "strasse",
                "straße",
                "rue",
                "direccion",
                "dirección",
                "domicilio",
                "calle",
                "indirizzo",
                "endereco",
                "endereço",
                "logradouro",
            ],
            Topic::Person => &[
                "first name",
                "last name",
                "full name",
                "middle name",
                "given name",
                "family name",
                "maiden name",
                "real name",
                "firstname",
                "lastname",
                "fullname",
                "middlename",
                "givenname",
                "familyname",
                "surname",
                "forename",
                "fname",
                "lname",
                "customer name",
                "client name",
                "contact name",
                "contact person",
                "patient name",
                "person name",
                "employee name",
                "holder name",
                "cardholder",
                "card holder",
                "account holder",
                "accountholder",
                "passenger name",
                "guest name",
                "student name",
                "member name",
                "recipient name",
                "beneficiary name",
                "owner name",
                "doctor name",
                "physician name",
                "spouse name",
                "applicant name",
                "candidate name",
                "driver name",
                "subscriber name",
                "buyer name",
                "billing name",
                "shipping name",
                "vorname",
                "nachname",
                "familienname",
                "geburtsname",
                "kundenname",
                "ansprechpartner",
                "nom",
                "prenom",
                "prénom",
                "nombre",
                "apellido",
                "apellidos",
                "nome",
                "cognome",
                "sobrenome",
                "voornaam",
                "achternaam",
            ],
            Topic::Password => &[
                "password",
                "passwords",
                "passwd",
                "pass word",
                "user pass",
                "pwd",
                "passphrase",
                "passcode",
                "passwort",
                "passwörter",
                "kennwort",
                "mot de passe",
                "motdepasse",
                "mdp",
                "contraseña",
                "contrasena",
                "parola d ordine",
                "senha",
                "wachtwoord",
            ],
            Topic::Secret => &[
                "secret",
                "secrets",
                "token",
                "tokens",
                "bearer",
                "credential",
                "credentials",
                "api key",
                "api keys",
                "apikey",
                "apitoken",
                "access key",
                "accesskey",
                "account key",
                "auth key",
                "authkey",
                "private key",
                "secret key",
                "secretkey",
                "signing key",
                "encryption key",
                "master key",
                "client secret",
                "twilio",
                "schlüssel",
                "geheimnis",
                "zugangsdaten",
                "clé secrète",
                "clé api",
                "clé d api",
                "jeton",
                "secreto",
                "clave secreta",
                "clave api",
                "segreto",
                "chiave segreta",
                "chiave api",
            ],
            Topic::MedicalRecord => &[
                "mrn",
                "mrns",
                "medical record",
                "medicalrecord",
                "medical record number",
                "health record",
                "hospital number",
                "chart number",
                "patient id",
                "patientid",
                "patient no",
                "patient number",
                "patientnumber",
                "patient mrn",
                "patientennummer",
                "patienten id",
                "patientenakte",
                "numéro de patient",
                "numéro patient",
                "historia clínica",
                "historia clinica",
                "cartella clinica",
            ],
            Topic::Diagnosis => &[
                "diagnosis",
                "diagnoses",
                "diagnosed",
                "diagnosis code",
                "diagnosiscode",
                "diag",
                "icd",
                "icds",
                "icd10",
                "icd 10",
                "icd10cm",
                "icd code",
                "icdcode",
                "dx",
                "dx code",
                "dxcode",
                "dx1",
                "diagnose",
                "diagnosen",
                "diagnoseschlüssel",
                "diagnóstico",
                "diagnostico",
                "diagnosi",
                "cim 10",
                "cim10",
                "cie 10",
                "cie10",
            ],
        }
    }
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topics(u32);

impl Topics {
    /// None.
    pub const NONE: Topics = Topics(0);

    /// Whether a topic is among them.
    #[inline]
    pub fn contains(self, topic: Topic) -> bool {
        self.0 & (1 << topic as u32) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn with(self, topic: Topic) -> Topics {
        Topics(self.0 | 1 << topic as u32)
    }

    pub(super) fn without(self, other: Topics) -> Topics {
        Topics(self.0 & !other.0)
    }

    pub(super) fn and(self, other: Topics) -> Topics {
        Topics(self.0 | other.0)
    }
}

/// How far words are looked for before a spot, and behind it.
const BEFORE: usize = 40;
const BEHIND: usize = 20;

/// What the words near a place are about. A word that the distance cuts through does not count.
pub(super) fn near(text: &str, at: &Range<usize>) -> Topics {
    let bytes = text.as_bytes();
    let mut start = at.start.saturating_sub(BEFORE);
    if start > 0 {
        // Bytes beyond ASCII are taken as those of letters.
        let inside = |at: usize| bytes.get(at).is_some_and(|b| is_of_word(*b));
        while start < at.start && inside(start - 1) && inside(start) {
            start += 1;
        }
    }
    let mut end = (at.end + BEHIND).min(text.len());
    if end < text.len() {
        let inside = |at: usize| bytes.get(at).is_some_and(|b| is_of_word(*b));
        while end > at.end && inside(end - 1) && inside(end) {
            end -= 1;
        }
    }
    let mut reader = Reader::new();
    for part in [text.get(start..at.start), text.get(at.end..end)] {
        let part = part.unwrap_or_default();
        if part.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            spell(part, |byte| reader.take(byte));
            // No phrase goes across the spot.
            reader.end_phrases();
        }
    }
    reader.topics()
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_cut_do_not_count() {
        for (before, behind) in [
            (format!("hotel{}", " ".repeat(37)), String::new()),
            (format!("ähotel{}", " ".repeat(37)), String::new()),
            (String::new(), format!("{}telemetry", " ".repeat(17))),
        ] {
            let at = before.len()..before.len() + 1;
            let text = format!("{before}7{behind}");
            assert!(near(&text, &at).is_empty(), "{text}");
        }
        assert!(near(&format!("tel{}7", " ".repeat(37)), &(40..41)).contains(Topic::Phone));
        assert!(near("7 tel", &(0..1)).contains(Topic::Phone));
        assert!(near("date of 7 birth", &(8..9)).contains(Topic::Birth));
        let worst = format!("{}7{}", "aİ".repeat(20), "aB".repeat(20));
        assert!(near(&worst, &(60..61)).is_empty());
    }

    #[test]
    fn words_near_a_spot_count() {
        let text = "the patient, date of birth 1980-02-03, was seen";
        let at = 27..37;
        assert!(near(text, &at).contains(Topic::Birth));
        let far = format!("date of birth {} 1980-02-03", "x".repeat(60));
        let at = far.len() - 10..far.len();
        assert!(!near(&far, &at).contains(Topic::Birth));
    }
}
