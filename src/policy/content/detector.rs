//! The kinds of personal data and secrets that content policies can name.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that a content policy can look for in the texts of a record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// An e-mail address.
    Email,
    /// A telephone number, in E.164 or a national form.
    Phone,
    /// A payment card number: issuer's range and Luhn's check digit.
    PaymentCard,
    /// An international bank account number: country, length and check digits.
    Iban,
    /// A social security number of the United States.
    UsSsn,
    /// A national insurance number of the United Kingdom.
    UkNino,
    /// A German tax identifier or identity card number, with its check digit.
    DeId,
    /// A French social security number (NIR), with its key.
    FrNir,
    /// A Spanish DNI or NIE, with its letter.
    EsDni,
    /// An Italian tax code, with its check letter.
    ItCodiceFiscale,
    /// A passport number, where something says that it is one.
    Passport,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// A MAC address.
    MacAddress,
    /// A date of birth, where something says that it is one.
    DateOfBirth,
    /// A postal address.
    PostalAddress,
    /// A person's name, where something says that it is one.
    PersonName,
    /// A key or token of a well-known provider.
    ApiKey,
    /// A JSON web token.
    Jwt,
    /// A private key.
    PrivateKey,
    /// A connection string with a password in it.
    ConnectionString,
    /// A password, where something says that it is one.
    Password,
    /// Text too random to be anything but a secret.
    HighEntropy,
    /// A medical record number, where something says that it is one.
    MedicalRecordNumber,
    /// An ICD-10 code of a diagnosis, where something says that it is one.
    Icd10,
}

impl Detector {
    /// Every detector, in the order of the type.
    pub const ALL: [Detector; 24] = [
        Detector::Email,
        Detector::Phone,
        Detector::PaymentCard,
        Detector::Iban,
        Detector::UsSsn,
        Detector::UkNino,
        Detector::DeId,
        Detector::FrNir,
        Detector::EsDni,
        Detector::ItCodiceFiscale,
        Detector::Passport,
        Detector::IpAddress,
        Detector::MacAddress,
        Detector::DateOfBirth,
        Detector::PostalAddress,
        Detector::PersonName,
        Detector::ApiKey,
        Detector::Jwt,
        Detector::PrivateKey,
        Detector::ConnectionString,
        Detector::Password,
        Detector::HighEntropy,
        Detector::MedicalRecordNumber,
        Detector::Icd10,
    ];

    /// The name that the API and the violations use.
    pub fn name(self) -> &'static str {
        match self {
            Detector::Email => "email",
            Detector::Phone => "phone",
            Detector::PaymentCard => "payment_card",
            Detector::Iban => "iban",
            Detector::UsSsn => "us_ssn",
            Detector::UkNino => "uk_nino",
            Detector::DeId => "de_id",
            Detector::FrNir => "fr_nir",
            Detector::EsDni => "es_dni",
            Detector::ItCodiceFiscale => "it_codice_fiscale",
            Detector::Passport => "passport",
            Detector::IpAddress => "ip_address",
            Detector::MacAddress => "mac_address",
            Detector::DateOfBirth => "date_of_birth",
            Detector::PostalAddress => "postal_address",
            Detector::PersonName => "person_name",
            Detector::ApiKey => "api_key",
            Detector::Jwt => "jwt",
            Detector::PrivateKey => "private_key",
            Detector::ConnectionString => "connection_string",
            Detector::Password => "password",
            Detector::HighEntropy => "high_entropy",
            Detector::MedicalRecordNumber => "medical_record_number",
            Detector::Icd10 => "icd10",
        }
    }

    /// What it looks for, for people.
    pub fn about(self) -> &'static str {
        match self {
            Detector::Email => "an e-mail address",
            Detector::Phone => "a telephone number",
            Detector::PaymentCard => "a payment card number",
            Detector::Iban => "a bank account number (IBAN)",
            Detector::UsSsn => "a US social security number",
            Detector::UkNino => "a UK national insurance number",
            Detector::DeId => "a German tax or identity card number",
            Detector::FrNir => "a French social security number",
            Detector::EsDni => "a Spanish DNI or NIE",
            Detector::ItCodiceFiscale => "an Italian tax code",
            Detector::Passport => "a passport number",
            Detector::IpAddress => "an IP address",
            Detector::MacAddress => "a MAC address",
            Detector::DateOfBirth => "a date of birth",
            Detector::PostalAddress => "a postal address",
            Detector::PersonName => "a person's name",
            Detector::ApiKey => "an API key or token",
            Detector::Jwt => "a JSON web token",
            Detector::PrivateKey => "a private key",
            Detector::ConnectionString => "a connection string with a password",
            Detector::Password => "a password",
            Detector::HighEntropy => "a random text such as a secret",
            Detector::MedicalRecordNumber => "a medical record number",
            Detector::Icd10 => "a diagnosis (ICD-10)",
        }
    }

    /// The detector of a name.
    pub fn of(name: &str) -> Option<Detector> {
        Detector::ALL
            .into_iter()
            .find(|detector| detector.name() == name)
    }

    /// Whether it looks for what tells of a person, and not for a secret of a machine.
    pub fn is_personal(self) -> bool {
        !matches!(
            self,
            Detector::ApiKey
                | Detector::Jwt
                | Detector::PrivateKey
                | Detector::ConnectionString
                | Detector::Password
                | Detector::HighEntropy
        )
    }
}

/// A set of detectors.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Detectors(u32);

impl Detectors {
    /// None.
    pub const NONE: Detectors = Detectors(0);

    /// Every detector.
    pub fn all() -> Detectors {
        Detector::ALL.into_iter().collect()
    }

    /// Whether it is among them.
    #[inline]
    pub fn contains(self, detector: Detector) -> bool {
        self.0 & (1 << detector as u32) != 0
    }

    /// With one more.
    #[inline]
    pub fn with(self, detector: Detector) -> Detectors {
        Detectors(self.0 | 1 << detector as u32)
    }

    /// Without one.
    pub fn without(self, detector: Detector) -> Detectors {
        Detectors(self.0 & !(1 << detector as u32))
    }

    /// Those of both.
    pub fn and(self, other: Detectors) -> Detectors {
        Detectors(self.0 | other.0)
    }

    /// Those that are in both.
    #[inline]
    pub fn in_common(self, other: Detectors) -> Detectors {
        Detectors(self.0 & other.0)
    }

    /// Those that are not in the other.
    pub fn minus(self, other: Detectors) -> Detectors {
        Detectors(self.0 & !other.0)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of the type.
    pub fn iter(self) -> impl Iterator<Item = Detector> {
        Detector::ALL
            .into_iter()
            .filter(move |detector| self.contains(*detector))
    }
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        detectors.into_iter().fold(Detectors::NONE, Detectors::with)
    }
}

impl std::fmt::Debug for Detectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Detectors {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detector_has_a_bit_and_a_name_of_its_own() {
        let all = Detectors::all();
        assert_eq!(all.iter().count(), Detector::ALL.len());
        for detector in Detector::ALL {
            assert_eq!(Detector::of(detector.name()), Some(detector));
            assert!(!all.without(detector).contains(detector));
            assert_eq!(
                serde_json::to_value(detector).unwrap(),
                serde_json::json!(detector.name())
            );
        }
    }
}
