//! `syncguard filter`.

mod pipes;
mod policies;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, DictionaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{shared_data, temporary_folder};

const PACK: &str = "\
version: 1
policies:
- name: not Germany
  destination_types: [webhook, file]
  filter_tree: {type: condition, condition_type: property, column: country, operator: not_in, value: [DE]}
- name: with consent
  destination_type: webhook
  model: customers
  filter_tree: {type: condition, condition_type: property, column: consent, operator: is_true}
- name: only for orders
  destination_type: webhook
  model: orders
  filter_tree: {type: condition, condition_type: property, column: total, operator: greater_than, value: 5}
- name: switched off
  destination_type: webhook
  enabled: false
  filter_tree: {type: condition, condition_type: property, column: country, operator: is_null}
";

/// The first and the last may go out. Their bytes are unusual on purpose.
const RECORDS: [&str; 6] = [
    r#"{"id": 1,"country":"FR" ,"consent":true,"note":"\u0041b, \"c\""}"#,
    r#"{"id":2,"country":"DE","consent":true}"#,
    r#"{"id":3,"country":null,"consent":true}"#,
    r#"{"id":4,"country":"FR","consent":false}"#,
    r#"{"id":5,"country":"DE"}"#,
    r#"{"consent":true,"country":"US","id":6,"big":-0.50E1}"#,
];

const CSV: &str = "\
id,country,consent,note
1,\"FR\",true,\"a, \"\"b\"\"\"
2,DE,true,
3,,true,x
4,FR,false,x
5,DE,,x
6,US,true,
";

/// A folder with the pack in `rules/`, and whatever else a test puts there.
struct Place {
    folder: PathBuf,
    _folder: TempDir,
}

struct Filtered {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Place {
    fn new() -> Place {
        Place::with(&[("rules/pack.yaml", PACK)])
    }

    fn with(files: &[(&str, &str)]) -> Place {
        let (guard, folder) = temporary_folder();
        let place = Place {
            folder,
            _folder: guard,
        };
        for (name, text) in files {
            place.write(name, text.as_bytes());
        }
        place
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The command in this folder, with no more than these arguments.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncguard"));
        command
            .arg("filter")
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    /// Runs the command with bytes on standard input.
    fn filter(&self, arguments: &str, input: &[u8]) -> Filtered {
        let mut stdin = tempfile::tempfile().unwrap();
        stdin.write_all(input).unwrap();
        std::io::Seek::rewind(&mut stdin).unwrap();
        let done = self.command(arguments).stdin(stdin).output().unwrap();
        Filtered {
            code: done.status.code().expect("the program was killed"),
            out: done.stdout,
            err: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// The same for customers on their way to a webhook.
    fn customers(&self, more: &str, input: &[u8]) -> Filtered {
        let arguments = format!("--model customers --destination webhook {more}");
        self.filter(&arguments, input)
    }
}

impl Filtered {
    #[track_caller]
    fn exits(self, code: i32) -> Filtered {
        assert_eq!(
            self.code,
            code,
            "{}\n{}",
            String::from_utf8_lossy(&self.out),
            self.err
        );
        self
    }

    /// Asserts that it failed, and that standard error says each of these.
    #[track_caller]
    fn refuses(self, telling: &[&str]) -> Filtered {
        let done = self.exits(1);
        for what in telling {
            assert!(done.err.contains(what), "{what} is not in {}", done.err);
        }
        done
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

fn ndjson(records: &[&str]) -> Vec<u8> {
    let mut text = records.join("\n");
    text.push('\n');
    text.into_bytes()
}

/// The same records with types of their own: a dictionary of countries among them.
fn batch() -> RecordBatch {
    let countries: DictionaryArray<Int32Type> = [
        Some("FR"),
        Some("DE"),
        None,
        Some("FR"),
        Some("DE"),
        Some("US"),
    ]
    .into_iter()
    .collect();
    let consent = BooleanArray::from(vec![
        Some(true),
        Some(true),
        Some(true),
        Some(false),
        None,
        Some(true),
    ]);
    RecordBatch::try_from_iter_with_nullable([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(1..=6)) as ArrayRef,
            true,
        ),
        ("country", Arc::new(countries), true),
        ("consent", Arc::new(consent), true),
    ])
    .unwrap()
}

fn as_arrow(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn as_parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn ids(batches: impl Iterator<Item = RecordBatch>) -> Vec<i64> {
    batches
        .flat_map(|batch| {
            let ids = batch["id"].as_primitive::<Int64Type>().clone();
            ids.values().to_vec()
        })
        .collect()
}

fn condition(column: &str, rest: &str) -> String {
    format!("{{type: condition, condition_type: property, column: {column}, {rest}}}")
}

fn pack(name: &str, tree: &str) -> String {
    format!(
        "version: 1\npolicies:\n- name: {name}\n  destination_type: webhook\n  filter_tree: {tree}\n"
    )
}

#[test]
fn the_same_records_pass_in_every_format() {
    let place = Place::new();
    let array = format!("[{}]", RECORDS.join(",\n"));
    type Check = fn(&[u8]);
    let cases: [(&str, Vec<u8>, Check); 5] = [
        ("ndjson", ndjson(&RECORDS), |out| {
            assert_eq!(out, ndjson(&[RECORDS[0], RECORDS[5]]));
        }),
        ("json", array.into_bytes(), |out| {
            let out: Vec<Box<RawValue>> = serde_json::from_slice(out).unwrap();
            let out: Vec<_> = out.iter().map(|record| record.get()).collect();
            assert_eq!(out, [RECORDS[0], RECORDS[5]]);
        }),
        ("csv", CSV.as_bytes().to_vec(), |out| {
            let lines: Vec<_> = CSV.split_inclusive('\n').collect();
            assert_eq!(out, [lines[0], lines[1], lines[6]].concat().as_bytes());
        }),
        ("arrow", as_arrow(&batch()), |out| {
            let reader = StreamReader::try_new(out, None).unwrap();
            assert_eq!(
                reader.schema().field_with_name("country").unwrap(),
                batch().schema().field_with_name("country").unwrap()
            );
            assert_eq!(ids(reader.map(Result::unwrap)), [1, 6]);
        }),
        ("parquet", as_parquet(&batch()), |out| {
            let out = bytes::Bytes::copy_from_slice(out);
            let reader = ParquetRecordBatchReader::try_new(out, 1024).unwrap();
            assert_eq!(ids(reader.map(Result::unwrap)), [1, 6]);
        }),
    ];
    for (format, input, check) in cases {
        let done = place
            .customers(
                &format!("--format {format} --detailed-exit-code --summary"),
                &input,
            )
            .exits(10);
        check(&done.out);
        let summary: Value = serde_json::from_str(&done.err).unwrap();
        let expected = json!({
            "read": 6, "allowed": 2, "withheld": 4, "invalid": 0,
            "withheld_by": [
                {"policy": "not Germany", "pack": "rules/pack.yaml", "count": 3},
                {"policy": "with consent", "pack": "rules/pack.yaml", "count": 2},
            ],
        });
        assert_eq!(summary, expected, "{format}");

        // From file to file, with the format in the name.
        place.write(&format!("in.{format}"), &input);
        place
            .customers(
                &format!("--input in.{format} --output out.{format}"),
                b"unused",
            )
            .exits(0);
        check(&place.read(&format!("out.{format}")));
    }
}

#[test]
fn exit_codes_tell_apart_on_request() {
    let place = Place::new();
    let good = ndjson(&[RECORDS[0]]);
    let some = ndjson(&RECORDS);
    let bad = ndjson(&[RECORDS[0], r#"{"id":7"#, RECORDS[5]]);
    let reject = "--on-invalid reject";
    for (input, more, plain, detailed) in [
        (&b""[..], "", 0, 0),
        (&good, "", 0, 0),
        (&some, "", 0, 10),
        (&bad, "", 1, 20),
        (&bad, reject, 0, 20),
        (&good, "--rules nowhere", 1, 1),
        (&good, "--schema nowhere", 1, 1),
        (&good, "--input nowhere", 1, 1),
        (&good, "--output nowhere/out", 1, 1),
        (&good, "--explain nowhere/out", 1, 1),
        (&good, "--format xml", 1, 1),
        (&good, "--now yesterday", 1, 1),
        (&good, "--record-bytes 0", 1, 1),
    ] {
        let done = place.customers(more, input).exits(plain);
        assert_eq!(done.err.is_empty(), plain == 0, "{more}: {}", done.err);
        place
            .customers(&format!("{more} --detailed-exit-code"), input)
            .exits(detailed);
    }
}

#[test]
fn a_record_beyond_the_limits_ends_the_stream() {
    let place = Place::new();
    let record = ndjson(&[r#"{"country":"FR","consent":true,"deep":[[[[]]]]}"#]);
    place.customers("--nesting 5", &record).exits(0);
    place.customers("--record-bytes 48", &record).exits(0);
    place.customers("--nesting 4", &record).exits(1);
    place.customers("--record-bytes 47", &record).exits(1);
}

#[test]
fn a_record_that_is_not_well_formed_ends_the_stream_or_is_left_out() {
    let place = Place::new();
    let bad = ndjson(&[RECORDS[0], r#"{"id":7,"country":"SECRET"#, RECORDS[5]]);
    let done = place
        .customers("--output out.ndjson --explain why.ndjson", &bad)
        .refuses(&["standard input: line 2: ", "--on-invalid reject"]);
    assert!(!done.err.contains("SECRET"), "{}", done.err);
    let names: Vec<_> = std::fs::read_dir(&place.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["rules", "why.ndjson"].contains(&name.as_str()))
        .collect();
    assert!(names.is_empty(), "an unfinished output is left: {names:?}");

    let done = place
        .customers("--on-invalid reject --explain why.ndjson --summary", &bad)
        .exits(0);
    assert_eq!(done.out, ndjson(&[RECORDS[0], RECORDS[5]]));
    let summary: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(
        (&summary["read"], &summary["invalid"]),
        (&json!(3), &json!(1))
    );
    let why = place.lines("why.ndjson");
    assert_eq!((why.len(), &why[0]["line"]), (1, &json!(2)));
    let reason = why[0]["invalid"].as_str().unwrap();
    assert!(!reason.is_empty() && !reason.contains("SECRET"), "{reason}");
}

#[test]
fn explanations_show_the_withheld_with_their_reasons() {
    let place = Place::new();
    let condition = |column, operator, outcome| json!([{"path": "$", "column": column, "operator": operator, "outcome": outcome}]);
    let germany = |outcome| json!({"policy": "not Germany", "conditions": condition("country", "not_in", outcome)});
    let consent = |outcome| json!({"policy": "with consent", "conditions": condition("consent", "is_true", outcome)});
    let reasons = [
        json!([germany("false")]),
        json!([germany("null")]),
        json!([consent("false")]),
        json!([germany("false"), consent("null")]),
    ];
    let parsed = |record: &str| serde_json::from_str::<Value>(record).unwrap();
    let objects = [
        json!({"id": 2, "country": "DE", "consent": true}),
        json!({"id": 3, "country": null, "consent": true}),
        json!({"id": 4, "country": "FR", "consent": false}),
        json!({"id": 5, "country": "DE", "consent": null}),
    ];
    let array = format!(
        "[{}]",
        RECORDS.join(",").replace(":true}", ":\n\ttrue\r\n}")
    );
    for (format, input, lines, records) in [
        (
            "ndjson",
            ndjson(&RECORDS),
            [2, 3, 4, 5],
            RECORDS[1..5].iter().map(|record| parsed(record)).collect(),
        ),
        (
            "json",
            array.into_bytes(),
            [1, 3, 5, 5],
            RECORDS[1..5].iter().map(|record| parsed(record)).collect(),
        ),
        (
            "csv",
            CSV.replace('\n', "\r\n").into_bytes(),
            [3, 4, 5, 6],
            vec![
                json!("2,DE,true,"),
                json!("3,,true,x"),
                json!("4,FR,false,x"),
                json!("5,DE,,x"),
            ],
        ),
        ("arrow", as_arrow(&batch()), [2, 3, 4, 5], objects.to_vec()),
        (
            "parquet",
            as_parquet(&batch()),
            [2, 3, 4, 5],
            objects.to_vec(),
        ),
    ] {
        place
            .customers(&format!("--format {format} --explain why.ndjson"), &input)
            .exits(0);
        let expected: Vec<_> = lines
            .iter()
            .zip(records)
            .zip(&reasons)
            .map(|((line, record), reasons)| {
                json!({"line": line, "record": record, "withheld_by": reasons})
            })
            .collect();
        assert_eq!(place.lines("why.ndjson"), expected, "{format}");
    }
    // The bytes of a line are its own.
    place
        .customers(
            "--explain why.ndjson",
            &ndjson(&[r#"{ "country" : "\u0044E" }"#]),
        )
        .exits(0);
    let why = String::from_utf8(place.read("why.ndjson")).unwrap();
    assert!(
        why.contains(r#""record":{ "country" : "\u0044E" },"#),
        "{why}"
    );
}

#[test]
fn retail_lines_are_filtered_by_country() {
    let path = shared_data("online_retail.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept = ["United Kingdom", "EIRE"];
    let mut lines = text.split_inclusive('\n');
    let mut expected = lines.next().unwrap().to_owned();
    let (mut read, mut allowed) = (0, 0);
    for line in lines {
        let (_, country) = line.trim_end().rsplit_once(',').unwrap();
        read += 1;
        if kept.contains(&country) {
            allowed += 1;
            expected.push_str(line);
        }
    }
    assert!(0 < allowed && allowed < read);
    let tree = condition("Country", &format!("operator: in, value: {kept:?}"));
    let place = Place::with(&[("rules/a.yaml", &pack("islands", &tree))]);
    let arguments = format!("--destination webhook --summary --input {}", path.display());
    let done = place.filter(&arguments, b"").exits(0);
    let summary: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(
        (&summary["read"], &summary["allowed"], &summary["withheld"]),
        (&json!(read), &json!(allowed), &json!(read - allowed))
    );
    assert!(
        done.text() == expected,
        "the lines that pass are not the same"
    );
}
