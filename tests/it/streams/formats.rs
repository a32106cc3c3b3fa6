//! The same table and policy in every format: the same verdicts, and what passes is untouched.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use syncguard::guard::Guard;
use syncguard::policy::Requirement;
use syncguard::policy::filter_tree::{FilterTree, resolve};
use syncguard::wire::stream::{Columns, Limits, OnInvalid};
use syncguard::wire::{Format, check_schema, json as wire_json};

use super::wires::{decoded, written};
use super::{FORMATS, Streamed, Way, stream};
use crate::columns::{column, parse_type};
use crate::differential::trees::trees;
use crate::differential::world::places;
use crate::differential::{cases, requirement, run};
use crate::oracle::Judge;
use crate::support::repository_file;

/// Columns that are left out: one that text formats cannot hold for its dates beyond the
/// calendar, one that a record's key may not resemble, and one whose NULLs are written in
/// another way, so that they cannot be compared simply.
const LEFT_OUT: [&str; 3] = ["far", "Text", "dict_tags"];

fn ways() -> impl Strategy<Value = Way> {
    (
        prop::collection::vec(1..400usize, 1..6),
        1..80usize,
        16..4_000usize,
        any::<bool>(),
    )
        .prop_map(|(pieces, batch_rows, window_bytes, flush)| Way {
            limits: Limits {
                batch_rows,
                window_bytes,
                ..Limits::default()
            },
            on_invalid: OnInvalid::Abort,
            pieces,
            flush,
        })
}

/// The places of the columns that a tree reads.
fn roots(schema: &Schema, tree: &FilterTree) -> Option<Vec<usize>> {
    let mut roots = vec![];
    for name in tree.columns() {
        let root = resolve(schema, name).ok()?.root;
        if LEFT_OUT.contains(&schema.field(root).name().as_str()) {
            return None;
        }
        roots.push(root);
    }
    roots.sort_unstable();
    roots.dedup();
    Some(roots)
}

/// The columns that a tree reads and some others. `None` where the format has no place for one
/// that it reads.
fn columns_for(
    format: Format,
    batch: &RecordBatch,
    roots: &[usize],
    salt: usize,
) -> Option<RecordBatch> {
    let schema = batch.schema();
    let fits = |index: &usize| {
        let alone: SchemaRef = Arc::new(Schema::new(vec![schema.field(*index).clone()]));
        check_schema(format, &alone).is_ok()
    };
    if !roots.iter().all(fits) {
        return None;
    }
    let others = (0..schema.fields().len()).filter(|index| {
        (index % 9 == salt % 9 || ["i64", "text"].contains(&schema.field(*index).name().as_str()))
            && !LEFT_OUT.contains(&schema.field(*index).name().as_str())
            && fits(index)
    });
    let mut all: Vec<_> = roots.iter().copied().chain(others).collect();
    all.sort_unstable();
    all.dedup();
    Some(batch.project(&all).unwrap())
}

/// What a batch becomes when it is written as JSON: NaN and the infinities are NULL there.
fn as_json_has_it(format: Format, schema: &SchemaRef, bytes: &[u8]) -> RecordBatch {
    let records: Vec<Map<String, Value>> = match format {
        Format::Ndjson => serde_json::Deserializer::from_slice(bytes)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes))),
        _ => serde_json::from_slice(bytes).unwrap(),
    };
    wire_json::records_to_batch(schema, &records).unwrap()
}

fn fail(what: String) -> TestCaseError {
    TestCaseError::fail(what)
}

/// Takes a batch through a format, and compares with the guard and the oracle.
fn check(
    format: Format,
    batch: &RecordBatch,
    requirement: &Requirement,
    now: DateTime<Utc>,
    way: &Way,
) -> Result<(), TestCaseError> {
    let schema = batch.schema();
    let tree = &requirement.filter_tree;
    let compile =
        |schema: &SchemaRef| Guard::compile(schema, std::slice::from_ref(requirement), now, 1).ok();
    let Ok(judge) = Judge::new(tree, &schema, now) else {
        prop_assert!(compile(&schema).is_none(), "accepted: {tree:?}");
        return Ok(());
    };
    let Some(guard) = compile(&schema) else {
        return Err(fail(format!("refused: {tree:?}")));
    };
    let half = batch.num_rows() / 2;
    let halves = [
        batch.slice(0, half),
        batch.slice(half, batch.num_rows() - half),
    ];
    let bytes = written(format, &schema, &halves);
    let read = match format {
        Format::Ndjson | Format::Json => as_json_has_it(format, &schema, &bytes),
        _ => batch.clone(),
    };
    let expected: Vec<bool> = (0..read.num_rows())
        .map(|row| judge.passes(&read, row) == Some(true))
        .collect();
    let applied = guard
        .apply(&read, syncguard::guard::Leaving::All)
        .map_err(|error| fail(error.to_string()))?;
    let applied: Vec<bool> = applied.passes().iter().collect();
    prop_assert_eq!(&applied, &expected, "{:?}: the guard on the batch", format);

    let streamed = stream(format, way, &bytes, |columns| match columns {
        Columns::Untyped => Some(guard.clone()),
        Columns::Typed(schema) => compile(schema),
        Columns::Unknown => None,
    });
    if let Err(error) = &streamed.end {
        return Err(fail(format!("{format:?}: {error}: {tree:?}")));
    }
    prop_assert_eq!(
        &streamed.verdicts,
        &expected,
        "{:?}: the stream: {:?}",
        format,
        tree
    );
    prop_assert_eq!(streamed.tally.read, batch.num_rows() as u64);
    prop_assert_eq!(streamed.tally.allowed, streamed.passed() as u64);
    prop_assert_eq!(streamed.tally.withheld, streamed.withheld() as u64);
    match format {
        Format::ArrowStream | Format::Parquet => same_rows(format, batch, &streamed, &bytes),
        _ => same_bytes(format, &bytes, &streamed),
    }
}

/// What passed are the rows of the batch, of the types that they came in.
fn same_rows(
    format: Format,
    batch: &RecordBatch,
    streamed: &Streamed,
    bytes: &[u8],
) -> Result<(), TestCaseError> {
    let (came, _) = decoded(format, bytes).map_err(fail)?;
    let (schema, batches) = decoded(format, &streamed.out).map_err(fail)?;
    prop_assert_eq!(came.fields(), schema.fields(), "{:?}", format);
    let mask = BooleanArray::from(streamed.verdicts.clone());
    let expected = filter_record_batch(batch, &mask).unwrap();
    let mut offset = 0;
    for part in &batches {
        let same = expected.slice(offset, part.num_rows());
        for (found, same) in part.columns().iter().zip(same.columns()) {
            prop_assert_eq!(&plain(found), &plain(same), "{:?}", format);
        }
        offset += part.num_rows();
    }
    prop_assert_eq!(offset, expected.num_rows(), "{:?}", format);
    let lines: Vec<u64> = (1..=batch.num_rows() as u64).collect();
    prop_assert_eq!(&streamed.lines, &lines, "{:?}", format);
    Ok(())
}

/// A column without its dictionary: a NULL may be a key's or a value's.
fn plain(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Dictionary(_, value) => cast(column, value).unwrap(),
        _ => column.clone(),
    }
}

/// What passed are the bytes that came.
fn same_bytes(format: Format, bytes: &[u8], streamed: &Streamed) -> Result<(), TestCaseError> {
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all: Vec<&[u8]> = streamed.spans.iter().map(Vec::as_slice).collect();
    match format {
        Format::Json => {
            for (text, spans) in [(bytes, &all), (&streamed.out[..], &streamed.passing())] {
                let records: Vec<&RawValue> = serde_json::from_slice(text)
                    .map_err(|error| fail(format!("{error}: {}", show(text))))?;
                let records: Vec<&[u8]> = records.iter().map(|r| r.get().as_bytes()).collect();
                prop_assert!(records == *spans, "{}", show(text));
            }
        }
        _ => {
            let header = match format {
                Format::Csv => bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap(),
                _ => b"",
            };
            for (text, spans) in [(bytes, all), (&streamed.out[..], streamed.passing())] {
                let mut joined = header.to_vec();
                for span in spans {
                    joined.extend_from_slice(span);
                    joined.push(b'\n');
                }
                prop_assert!(
                    joined == text,
                    "{format:?}: {} is not {}",
                    show(&joined),
                    show(text)
                );
            }
            // Where each record begins follows from the bytes before it.
            let mut line = 1 + header.len().min(1) as u64;
            for (span, found) in streamed.spans.iter().zip(&streamed.lines) {
                prop_assert_eq!(*found, line, "{:?}", format);
                line += 1 + span.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
    }
    Ok(())
}

#[test]
fn every_format_gives_the_verdicts_of_the_oracle() {
    let strategy = || (trees(), places(), any::<u8>(), ways());
    let streams = std::cell::Cell::new([0u32; FORMATS.len()]);
    let tried = cases().div_ceil(8);
    run(tried, strategy, |worlds, (sketch, place, moment, way)| {
        let now = worlds.columns.now(moment);
        let requirement = requirement(0, &sketch.document(&worlds.columns));
        let batch = worlds.slice(place);
        let Some(roots) = roots(&batch.schema(), &requirement.filter_tree) else {
            return Ok(());
        };
        for (index, format) in FORMATS.into_iter().enumerate() {
            if let Some(batch) = columns_for(format, &batch, &roots, place.start) {
                check(format, &batch, &requirement, now, &way)?;
                let mut counts = streams.get();
                counts[index] += 1;
                streams.set(counts);
            }
        }
        Ok(())
    });
    for (format, count) in FORMATS.iter().zip(streams.get()) {
        assert!(count > tried / 4, "{format:?} was tried {count} times only");
    }
}

/// `fixtures/streams/edges.json`: a value of a type, a condition on it, and the verdict in every
/// format. Where JSON has no such value, `as_json` is its verdict there.
#[test]
fn values_at_the_edges_are_judged_alike_in_every_format() {
    let path = repository_file("fixtures/streams/edges.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut failed = vec![];
    for case in &cases {
        let data_type = parse_type(case["type"].as_str().unwrap());
        let values = vec![case["value"].clone(); 3];
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "id",
                column(&parse_type("int64"), &[json!(1), json!(2), json!(3)]),
                true,
            ),
            ("v", column(&data_type, &values), true),
        ])
        .unwrap();
        let mut tree = json!({"type": "condition", "condition_type": "property", "column": "v"});
        for (key, value) in case["condition"].as_object().unwrap() {
            tree[key] = value.clone();
        }
        let requirement = requirement(0, &tree);
        let schema = batch.schema();
        for format in FORMATS {
            if check_schema(format, &schema).is_err() {
                continue;
            }
            let bytes = written(format, &schema, std::slice::from_ref(&batch));
            let way = Way::plain(OnInvalid::Abort);
            let streamed = stream(format, &way, &bytes, |columns| {
                let schema = match columns {
                    Columns::Typed(stream) => stream,
                    _ => &schema,
                };
                let now = "2026-01-31T12:00:00Z".parse().unwrap();
                Guard::compile(schema, std::slice::from_ref(&requirement), now, 1).ok()
            });
            let expected = match (format, case.get("as_json")) {
                (Format::Ndjson | Format::Json, Some(verdict)) => verdict,
                _ => &case["passes"],
            };
            let expected = vec![expected.as_bool().unwrap(); 3];
            if streamed.end.is_err() || streamed.verdicts != expected {
                let (end, verdicts) = (&streamed.end, &streamed.verdicts);
                failed.push(format!("{case} as {format:?}: {end:?}, {verdicts:?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
