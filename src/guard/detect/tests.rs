//! Every detector against its examples in `fixtures/content/detectors`.

use serde::Deserialize;

use super::{Scanner, Texts, Topics};
use crate::policy::content::{Detector, Detectors};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    /// What it finds.
    finds: Vec<Example>,
    /// What it leaves alone.
    leaves: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    text: String,
    /// The column that it stands in.
    #[serde(default)]
    column: String,
    /// What is found; all of the text, unless it is said.
    finding: Option<String>,
}

fn found(detector: Detector, example: &Example) -> Option<String> {
    let scanner = Scanner::new(Detectors::NONE.with(detector));
    // Neighbours show whether a text is read beyond its ends.
    let values = format!("7{}7", example.text);
    let bounds = [0, 1, values.len() - 1, values.len()];
    let mut found = Vec::new();
    let texts = Texts::new(&values, &bounds).unwrap();
    scanner.scan(texts, Topics::of_name(&example.column), &mut found);
    let found = found.into_iter().find(|found| found.place == 1)?;
    Some(example.text[found.range].to_owned())
}

fn check(detector: Detector) {
    let path = format!(
        "{}/fixtures/content/detectors/{}.yaml",
        env!("CARGO_MANIFEST_DIR"),
        detector.name()
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let examples: Examples =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(
        examples.finds.len() >= 10 && examples.leaves.len() >= 10,
        "{path}"
    );
    let mut wrong = Vec::new();
    for example in &examples.finds {
        let expected = example.finding.as_ref().unwrap_or(&example.text);
        let found = found(detector, example);
        if found.as_ref() != Some(expected) {
            let (column, text) = (&example.column, &example.text);
            wrong.push(format!(
                "in {column:?} {text:?}: {found:?}, not {expected:?}"
            ));
        }
    }
    for example in &examples.leaves {
        if let Some(found) = found(detector, example) {
            let (column, text) = (&example.column, &example.text);
            wrong.push(format!(
                "in {column:?} {text:?}: {found:?}, not to be found"
            ));
        }
    }
    assert!(wrong.is_empty(), "{path}:\n{}", wrong.join("\n"));
}

macro_rules! detectors {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(Detector::of(stringify!($name)).unwrap());
        })*

        #[test]
        fn every_detector_is_checked() {
            let checked = [$(stringify!($name)),*];
            for detector in Detector::ALL {
                assert!(checked.contains(&detector.name()), "{detector:?}");
            }
        }
    };
}

detectors!(
    email,
    phone,
    payment_card,
    iban,
    us_ssn,
    uk_nino,
    de_id,
    fr_nir,
    es_dni,
    it_codice_fiscale,
    passport,
    ip_address,
    mac_address,
    date_of_birth,
    postal_address,
    person_name,
    api_key,
    jwt,
    private_key,
    connection_string,
    password,
    high_entropy,
    medical_record_number,
    icd10,
);
