//! Hostile text: each input of the corpus has its required outcome, and a destination that reads
//! loosely never sees a record that the policy withholds.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use syncguard::guard::Guard;
use syncguard::wire::Format;
use syncguard::wire::stream::{Columns, Limits, OnInvalid, StreamError};

use super::loose::{self, Seen};
use super::{Streamed, Way, stream};
use crate::columns;
use crate::differential::requirement;
use crate::support::repository_file;

/// `fixtures/streams/hostile_*.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Corpus {
    /// The columns of the model.
    schema: Map<String, Value>,
    /// Filter trees by name; a case that names none is about `country`.
    policies: HashMap<String, Value>,
    /// The reasons that records are refused with, by a part that one of them has.
    reasons: HashMap<String, Vec<String>>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    name: String,
    policy: Option<String>,
    input: Option<Input>,
    /// Bytes that are no text.
    base64: Option<String>,
    #[serde(default)]
    limits: HashMap<String, usize>,
    #[serde(default)]
    passes: usize,
    #[serde(default)]
    withheld: usize,
    /// The reason of each record that is left out, or that ends the stream, by its name in the
    /// list of reasons.
    #[serde(default)]
    invalid: Vec<String>,
    /// A part of the error that ends the stream, also where invalid records are left out.
    error: Option<String>,
    /// It ends the stream or is left out, whichever, and of what is valid before and behind it no
    /// more than `passes` pass.
    #[serde(default)]
    refused: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Repeated { repeat: String, times: usize },
}

impl Case {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match (&self.input, &self.base64) {
            (Some(Input::Text(text)), None) => text.clone().into_bytes(),
            (Some(Input::Parts(parts)), None) => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => text.clone(),
                    Part::Repeated { repeat, times } => repeat.repeat(*times),
                })
                .collect::<String>()
                .into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
            _ => panic!("{} has no input, or two", self.name),
        }
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            match name.as_str() {
                "record_bytes" => limits.record_bytes = *value,
                "nesting" => limits.nesting = *value,
                "columns" => limits.columns = *value,
                _ => panic!("no such limit: {name}"),
            }
        }
        limits
    }
}

pub(crate) fn corpus(format: Format) -> Corpus {
    let path = format!("fixtures/streams/hostile_{}.json", format.name());
    let text = std::fs::read_to_string(repository_file(&path)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Corpus {
    pub(crate) fn schema(&self) -> SchemaRef {
        columns::schema(&self.schema)
    }

    /// The guard of a policy, against the model or the columns of a stream.
    pub(crate) fn guard(&self, policy: &str, columns: &Columns) -> Option<Guard> {
        let schema = match columns {
            Columns::Typed(schema) => schema.clone(),
            _ => self.schema(),
        };
        let requirement = requirement(0, &self.policies[policy]);
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        Guard::compile(&schema, &[requirement], now, 1).ok()
    }
}

/// Every record that is seen may be seen, and there are as many as passed.
pub(crate) fn assert_clean(format: Format, streamed: &Streamed, what: &str) {
    let seen: Vec<Seen> = match format {
        Format::Ndjson => loose::lines(&streamed.out),
        Format::Csv => loose::csv(&streamed.out),
        _ => loose::document(&streamed.out),
    };
    let shown = || String::from_utf8_lossy(&streamed.out).into_owned();
    for record in &seen {
        let country = record.get("country").cloned().flatten();
        assert!(
            country
                .as_deref()
                .is_some_and(|c| !["DE", "FR"].contains(&c)),
            "{what}: a destination sees {country:?} in {}",
            shown()
        );
    }
    assert_eq!(seen.len(), streamed.passed(), "{what}: {}", shown());
}

/// How a case ended, if not as required.
fn fault(
    corpus: &Corpus,
    case: &Case,
    on_invalid: OnInvalid,
    streamed: &Streamed,
) -> Option<String> {
    let contains = |text: &str, parts: &[String]| parts.iter().any(|part| text.contains(part));
    let wanted: Vec<&[String]> = case
        .invalid
        .iter()
        .map(|name| corpus.reasons[name].as_slice())
        .collect();
    if case.refused {
        let refused = streamed.end.is_err() || !streamed.invalid.is_empty();
        let passed = streamed.passed();
        return (!refused || passed > case.passes).then(|| format!("not refused, {passed} pass"));
    }
    if let Some(part) = &case.error {
        return match &streamed.end {
            Err(StreamError::Invalid(invalid)) => Some(format!("only a record: {invalid}")),
            Err(error) if error.to_string().contains(part) => None,
            other => Some(format!("{other:?} without {part:?}")),
        };
    }
    if let (OnInvalid::Abort, Some(parts)) = (on_invalid, wanted.first()) {
        return match &streamed.end {
            Err(StreamError::Invalid(invalid)) if contains(&invalid.reason, parts) => None,
            other => Some(format!("{other:?} without {parts:?}")),
        };
    }
    let reasons: Vec<&str> = streamed.invalid.iter().map(|i| i.reason.as_str()).collect();
    let same = reasons.len() == wanted.len()
        && reasons
            .iter()
            .zip(&wanted)
            .all(|(r, parts)| contains(r, parts));
    let counts = (streamed.passed(), streamed.withheld());
    if streamed.end.is_err() || !same || counts != (case.passes, case.withheld) {
        return Some(format!(
            "{:?}, passing and withheld {counts:?}, invalid {reasons:?}",
            streamed.end
        ));
    }
    None
}

fn check(format: Format, at_least: usize) {
    let corpus = corpus(format);
    assert!(
        corpus.cases.len() >= at_least,
        "{} cases",
        corpus.cases.len()
    );
    let mut names: Vec<_> = corpus.cases.iter().map(|case| &case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), corpus.cases.len(), "two cases have one name");
    let mut failed = vec![];
    for case in &corpus.cases {
        let bytes = case.bytes();
        let policy = case.policy.as_deref().unwrap_or("country");
        for on_invalid in [OnInvalid::Reject, OnInvalid::Abort] {
            // A long input in single bytes takes longer than it tells.
            let (one, few) = match bytes.len() {
                0..20_000 => (vec![1], vec![3, 7]),
                _ => (vec![4_096], vec![10_000, 33_333]),
            };
            for (pieces, flush) in [(vec![usize::MAX], false), (one, false), (few, true)] {
                let way = Way {
                    limits: case.limits(),
                    on_invalid,
                    pieces,
                    flush,
                };
                let streamed = stream(format, &way, &bytes, |columns| {
                    corpus.guard(policy, columns)
                });
                let pieces = &way.pieces;
                let what = format!("{} ({on_invalid:?}, pieces of {pieces:?})", case.name);
                if let Some(fault) = fault(&corpus, case, on_invalid, &streamed) {
                    failed.push(format!("{what}: {fault}"));
                }
                if policy == "country" {
                    assert_clean(format, &streamed, &what);
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn hostile_ndjson_has_its_outcome_and_shows_nothing_forbidden() {
    check(Format::Ndjson, 120);
}

#[test]
fn hostile_json_arrays_have_their_outcome_and_show_nothing_forbidden() {
    check(Format::Json, 40);
}

#[test]
fn hostile_csv_has_its_outcome_and_shows_nothing_forbidden() {
    check(Format::Csv, 50);
}

/// No error quotes a value of a record.
#[test]
fn reasons_quote_no_value() {
    for (format, input) in [
        (
            Format::Ndjson,
            "{\"country\":\"US\",\"age\":\"hunter2\",\"age\":\"hunter2\"}\n",
        ),
        (Format::Ndjson, "{\"country\":\"hunter2\"} hunter2\n"),
        (Format::Ndjson, "{\"country\":hunter2}\n"),
        (Format::Json, "[{\"country\":\"US\"} hunter2]"),
        (Format::Json, "[{\"country\":[\"hunter2\"]}]"),
        (Format::Csv, "id,country\n1,US,hunter2\n"),
        (Format::Csv, "id,country\n1,\"US\"hunter2\n"),
    ] {
        let corpus = corpus(format);
        let way = Way::plain(OnInvalid::Abort);
        let streamed = stream(format, &way, input.as_bytes(), |columns| {
            corpus.guard("country", columns)
        });
        let error = streamed.end.expect_err(input);
        let told = format!("{error} {error:?}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
