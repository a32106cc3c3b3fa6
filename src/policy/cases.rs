//! Cases of a policy pack: records, and what the pack must decide about them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Fault;
use super::pack::{Reader, read_yaml};

/// The parsed cases of one pack.
#[derive(Clone, Debug, PartialEq)]
pub struct Cases {
    /// The time at which the pack is judged.
    pub now: DateTime<Utc>,
    /// Name of the model that the records belong to; `None`: some model.
    pub model: Option<String>,
    /// The model's columns.
    pub schema: SchemaRef,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
}

/// Some records on their way to one destination type.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What the case shows.
    pub name: String,
    /// Where the records would go.
    pub destination_type: String,
    /// The records; a column that one lacks is NULL.
    pub records: Vec<Map<String, Value>>,
    /// What must become of each of them.
    pub expect: Expectation,
}

/// What must become of a record. It is written as in a cases file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// It passes.
    Passes,
    /// It is withheld, whichever policy does it: what a case expects that does not say.
    Withheld,
    /// It is withheld by exactly the policies of these names.
    WithheldBy(Vec<String>),
}

/// Parses the text of a cases file, or reports every fault in it.
///
/// # Errors
///
/// Each fault has the path of what it is about, such as `$.cases[0].expect`.
pub fn parse(text: &str) -> Result<Cases, Vec<Fault>> {
    let document = read_yaml(text)?;
    let mut faults = Vec::new();
    let cases = cases(&document, &mut faults);
    match cases {
        Some(cases) if faults.is_empty() => Ok(cases),
        _ => Err(faults),
    }
}

fn cases(document: &Value, faults: &mut Vec<Fault>) -> Option<Cases> {
    let known = ["version", "now", "model", "schema", "cases"];
    let mut at = Reader::open(document, "$", &known, faults)?;
    at.version();
    let now = at.text("now").and_then(|text| text.parse().ok());
    if now.is_none() {
        at.fault("now", "expected a time such as 2026-01-01T00:00:00Z");
    }
    let model = at.optional_text("model");
    let schema = schema(&mut at);
    let items = at.array("cases", "cases")?;
    let read: Vec<_> = items
        .iter()
        .enumerate()
        .filter_map(|(i, item)| case(item, &format!("$.cases[{i}]"), schema.as_deref(), at.faults))
        .collect();
    Some(Cases {
        now: now?,
        model: model.map(str::to_owned),
        schema: schema?,
        cases: read,
    })
}

fn schema(at: &mut Reader<'_, '_>) -> Option<SchemaRef> {
    let columns = at.object.get("schema").and_then(Value::as_object);
    let Some(columns) = columns.filter(|columns| !columns.is_empty()) else {
        at.fault(
            "schema",
            "expected the columns of the records and their types",
        );
        return None;
    };
    fields(columns, "$.schema", at.faults)
}

/// Parses the text of a file that has columns and their types and nothing else, written as the
/// `schema` of a cases file.
///
/// # Errors
///
/// Each fault has the path of what it is about, such as `$.consent`.
pub fn columns(text: &str) -> Result<SchemaRef, Vec<Fault>> {
    let document = read_yaml(text)?;
    let mut faults = Vec::new();
    let schema = match document.as_object().filter(|columns| !columns.is_empty()) {
        Some(columns) => fields(columns, "$", &mut faults),
        None => {
            let message = "expected columns and their types, such as consent: boolean";
            faults.push(Fault::new("$", message));
            None
        }
    };
    schema.ok_or(faults)
}

fn fields(columns: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) -> Option<SchemaRef> {
    let mut fields = Vec::new();
    for (name, of) in columns {
        match of.as_str().and_then(data_type) {
            Some(data_type) => fields.push(Field::new(name, data_type, true)),
            None => faults.push(Fault::new(
                format!("{path}.{name}"),
                "expected boolean, integer, number, string, date or timestamp",
            )),
        }
    }
    (fields.len() == columns.len()).then(|| Arc::new(Schema::new(fields)))
}

fn data_type(name: &str) -> Option<DataType> {
    match name {
        "boolean" => Some(DataType::Boolean),
        "integer" => Some(DataType::Int64),
        "number" => Some(DataType::Float64),
        "string" => Some(DataType::Utf8),
        "date" => Some(DataType::Date32),
        "timestamp" => Some(DataType::Timestamp(
            TimeUnit::Microsecond,
            Some("UTC".into()),
        )),
        _ => None,
    }
}

fn case(
    item: &Value,
    path: &str,
    schema: Option<&Schema>,
    faults: &mut Vec<Fault>,
) -> Option<Case> {
    let known = ["name", "destination_type", "record", "records", "expect"];
    let mut at = Reader::open(item, path, &known, faults)?;
    let name = at.text("name");
    if name.is_none() {
        at.fault("name", "expected what the case shows");
    }
    let destination_type = at.text("destination_type");
    if destination_type.is_none() {
        at.fault("destination_type", "expected where the records would go");
    }
    let records = records(&mut at, schema);
    let expect = expectation(&mut at);
    Some(Case {
        name: name?.to_owned(),
        destination_type: destination_type?.to_owned(),
        records: records?,
        expect: expect?,
    })
}

fn records(at: &mut Reader<'_, '_>, schema: Option<&Schema>) -> Option<Vec<Map<String, Value>>> {
    let items: Vec<(String, &Value)> = match (at.object.get("record"), at.object.get("records")) {
        (Some(record), None) => vec![("record".to_owned(), record)],
        (None, Some(_)) => at
            .array("records", "records")?
            .iter()
            .enumerate()
            .map(|(i, record)| (format!("records[{i}]"), record))
            .collect(),
        _ => {
            at.fault("records", "expected record or records, one of the two");
            return None;
        }
    };
    let before = at.faults.len();
    let mut records = Vec::new();
    for (place, item) in items {
        let Some(record) = item.as_object() else {
            at.fault(&place, "expected the columns of a record and their values");
            continue;
        };
        // A misspelt column would be NULL, and the case might hold for that reason alone.
        if let Some(schema) = schema {
            for column in record
                .keys()
                .filter(|column| schema.field_with_name(column).is_err())
            {
                at.fault(
                    &format!("{place}.{column}"),
                    "the schema has no such column",
                );
            }
        }
        records.push(record.clone());
    }
    (at.faults.len() == before).then_some(records)
}

fn expectation(at: &mut Reader<'_, '_>) -> Option<Expectation> {
    let expect = match at.object.get("expect") {
        None => Some(Expectation::Withheld),
        Some(Value::String(word)) => match word.as_str() {
            "passes" => Some(Expectation::Passes),
            "withheld" => Some(Expectation::Withheld),
            _ => None,
        },
        Some(Value::Object(object)) if object.len() == 1 => object
            .get("withheld_by")
            .and_then(Value::as_array)
            .filter(|names| !names.is_empty())
            .and_then(|names| {
                names
                    .iter()
                    .map(|name| name.as_str().map(str::to_owned))
                    .collect()
            })
            .map(Expectation::WithheldBy),
        Some(_) => None,
    };
    if expect.is_none() {
        at.fault(
            "expect",
            "expected passes, withheld, or withheld_by with a list of policy names",
        );
    }
    expect
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "version: 1\nnow: 2026-01-01T00:00:00Z\nschema: {nation: string, consent: boolean}\n";

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = match parse(text) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        };
        let met = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| found.starts_with(expected));
        assert!(met, "{text}\nexpected {expected:#?}\nfound {found:#?}");
    }

    #[test]
    fn a_case_that_expects_nothing_expects_to_be_withheld() {
        let text = format!("{HEAD}cases: [{{name: a, destination_type: x, record: {{}}}}]");
        assert_eq!(parse(&text).unwrap().cases[0].expect, Expectation::Withheld);
    }

    #[test]
    fn columns_stand_alone_as_yaml_or_json() {
        for text in ["a: string\nb.c: date", r#"{"a": "string", "b.c": "date"}"#] {
            let schema = columns(text).unwrap();
            assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
            assert_eq!(schema.field(1).name(), "b.c");
        }
        for (text, path) in [("{}", "$"), ("[a]", "$"), ("a: text\nb: date", "$.a")] {
            let faults = columns(text).unwrap_err();
            assert_eq!((faults.len(), faults[0].path.as_str()), (1, path));
        }
    }

    #[test]
    fn every_fault_is_reported_with_its_path() {
        check("version: 1", &["$.now: ", "$.schema: ", "$.cases: "]);
        check(
            "version: 1\nnow: today\nschema: {a: int}\ncases: [1]",
            &["$.now: ", "$.schema.a: ", "$.cases[0]: "],
        );
        check(
            &format!(
                "{HEAD}cases:\n\
                 - {{name: a, destination_type: x}}\n\
                 - {{name: a, destination_type: x, record: {{}}, records: [{{}}]}}\n\
                 - {{destination_type: x, records: [{{nations: A}}, 7], expect: pass}}\n\
                 - {{name: a, record: {{}}, expect: {{withheld_by: []}}, also: 1}}\n"
            ),
            &[
                "$.cases[0].records: ",
                "$.cases[1].records: ",
                "$.cases[2].name: ",
                "$.cases[2].records[0].nations: ",
                "$.cases[2].records[1]: ",
                "$.cases[2].expect: ",
                "$.cases[3].also: unknown key",
                "$.cases[3].destination_type: ",
                "$.cases[3].expect: ",
            ],
        );
    }
}
