//! Streams of records through a guard, in memory and on one thread, in bytes a second.
//!
//! `cargo bench --profile dev --bench wire`
//!
//! About 64 MB of customers (`customers/mod.rs`) go through `wire::stream` as a filter takes them:
//! copied into its space, judged batch by batch, written to one buffer that is used again.
//! - `ndjson`: with each of four policies, and with an OR of 1, 100 and 1,000 conditions, which
//!   let about as many records pass. Beside each, on the same bytes, two that decide nothing:
//!   `floor` finds the lines, searches each for the keys of the policy and copies it; `serde_json`
//!   parses each line with a visitor that borrows the keys, refuses a key that comes twice and
//!   skips what the policy does not read, and copies it.
//! - `formats`: the first policy on every format. Bytes are those of the format.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::writer::StreamWriter;
use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memchr::memmem::Finder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use syncguard::guard::Guard;
use syncguard::policy::{FilterTree, PolicyKind, Requirement};
use syncguard::wire::Format;
use syncguard::wire::stream::pass::{Passed, Tally, pass};
use syncguard::wire::stream::{self, Limits, OnInvalid};

mod customers;

use customers::{Customer, Customers, EUROPE, FIELDS};

/// Of NDJSON; the other formats hold the same customers.
const BYTES: usize = 64 << 20;
const BATCH: usize = 8_192;

fn leaf(column: &str, operator: &str, value: Value) -> Value {
    let mut leaf = json!({"type": "condition", "condition_type": "property", "column": column,
                          "operator": operator});
    if !value.is_null() {
        leaf["value"] = value;
    }
    leaf
}

/// An OR of conditions: 40 % of the balances, however many ranges that takes, and rare values of
/// three other columns.
fn any(count: usize) -> Value {
    let ranges = count.div_ceil(4);
    let condition = |i: usize| {
        let k = i / 4;
        match i % 4 {
            0 => {
                let low = k * 10_000 / ranges;
                leaf("balance", "between", json!([low, low + 4_000 / ranges]))
            }
            1 => leaf("city", "equals", json!(customers::city(k as u64 * 37))),
            2 => leaf("postcode", "equals", json!(format!("{:05}", k * 397))),
            _ => leaf("id", "equals", json!(k * 7_919 + 1)),
        }
    };
    json!({"type": "or", "children": (0..count).map(condition).collect::<Vec<_>>()})
}

/// Name, tree, and the columns that it reads.
fn policies() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let abroad = leaf("country", "not_in", json!(EUROPE));
    let consent = leaf("consent", "is_true", Value::Null);
    let target = [
        leaf("score", "between", json!([200, 799])),
        leaf("email", "ends_with", json!(".com")),
        leaf("signup_date", "greater_than_or_equal", json!("2022-01-01")),
    ];
    let four = vec!["balance", "city", "postcode", "id"];
    vec![
        ("not_in", abroad.clone(), vec!["country"]),
        (
            "and_consent",
            json!({"type": "and", "children": [abroad, consent]}),
            vec!["country", "consent"],
        ),
        (
            "range_suffix_date",
            json!({"type": "and", "children": target}),
            vec!["score", "email", "signup_date"],
        ),
        ("or_1", any(1), vec!["balance"]),
        ("or_4", any(4), four.clone()),
        ("or_100", any(100), four.clone()),
        ("or_1000", any(1_000), four),
    ]
}

/// The columns as a model of text records has them, and as Arrow and Parquet have them.
fn schema(typed: bool) -> SchemaRef {
    let field = |name: &&str| {
        let data_type = match *name {
            "id" | "score" => DataType::Int64,
            "consent" => DataType::Boolean,
            "balance" if typed => DataType::Decimal128(12, 2),
            "balance" => DataType::Float64,
            "signup_date" => DataType::Date32,
            "last_seen" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => DataType::Utf8,
        };
        Field::new(*name, data_type, true)
    };
    Arc::new(Schema::new(FIELDS.iter().map(field).collect::<Vec<_>>()))
}

fn batch(customers: &[Customer]) -> RecordBatch {
    let text = |f: &dyn Fn(&Customer) -> Option<&str>| -> ArrayRef {
        Arc::new(customers.iter().map(f).collect::<StringArray>())
    };
    let integers = |f: &dyn Fn(&Customer) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            customers.iter().map(|c| f(c) as i64),
        ))
    };
    let balance = customers.iter().map(|c| i128::from(c.balance));
    let seen = customers.iter().map(|c| c.last_seen as i64 * 1_000_000);
    let columns: Vec<ArrayRef> = vec![
        integers(&|c| c.id),
        text(&|c| Some(c.first_name)),
        text(&|c| Some(c.last_name)),
        text(&|c| Some(&c.email)),
        text(&|c| Some(&c.phone)),
        text(&|c| c.country),
        text(&|c| Some(&c.city)),
        text(&|c| Some(&c.street)),
        text(&|c| Some(&c.postcode)),
        Arc::new(BooleanArray::from_iter(customers.iter().map(|c| c.consent))),
        integers(&|c| c.score),
        Arc::new(
            Decimal128Array::from_iter_values(balance)
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(Date32Array::from_iter_values(
            customers.iter().map(|c| c.signup_date as i32),
        )),
        Arc::new(TimestampMicrosecondArray::from_iter_values(seen).with_timezone("UTC")),
        text(&|c| c.notes),
    ];
    RecordBatch::try_new(schema(true), columns).unwrap()
}

/// The same customers in a format.
fn records(format: Format, rows: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut customers = Customers::new(1).take(rows);
    match format {
        Format::Ndjson => {
            for customer in customers {
                customer.write_json(&mut out).unwrap();
                out.push(b'\n');
            }
        }
        Format::Json => {
            out.push(b'[');
            for (i, customer) in customers.enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"," });
                customer.write_json(&mut out).unwrap();
            }
            out.push(b']');
        }
        Format::Csv => {
            writeln!(out, "{}", FIELDS.join(",")).unwrap();
            for customer in customers {
                customer.write_csv(&mut out).unwrap();
            }
        }
        Format::ArrowStream | Format::Parquet => {
            let mut batches = Vec::new();
            loop {
                let some: Vec<_> = customers.by_ref().take(BATCH).collect();
                if some.is_empty() {
                    break;
                }
                batches.push(batch(&some));
            }
            if format == Format::ArrowStream {
                let mut writer = StreamWriter::try_new(&mut out, &schema(true)).unwrap();
                batches.iter().for_each(|b| writer.write(b).unwrap());
                writer.finish().unwrap();
            } else {
                let level = ZstdLevel::try_new(1).unwrap();
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(level))
                    .build();
                let mut writer =
                    ArrowWriter::try_new(&mut out, schema(true), Some(properties)).unwrap();
                batches.iter().for_each(|b| writer.write(b).unwrap());
                writer.close().unwrap();
            }
        }
    }
    out
}

fn guard(tree: &Value, typed: bool) -> Guard {
    let requirement = Requirement {
        policy_id: None,
        kind: PolicyKind::Destination,
        name: "bench".to_owned(),
        filter_tree: FilterTree::parse(tree).unwrap(),
    };
    Guard::compile(&schema(typed), &[requirement], DateTime::UNIX_EPOCH, 1).unwrap()
}

/// Takes a whole stream through the guard, and answers what became of its records.
fn filter(format: Format, mut bytes: &[u8], guard: &Guard, out: &mut Vec<u8>) -> Tally {
    let mut records = stream::open(format, Limits::default(), OnInvalid::Abort);
    let mut tally = Tally::default();
    let mut ended = false;
    loop {
        let space = records.space();
        let fits = space.len().min(bytes.len());
        let (now, later) = bytes.split_at(fits);
        space[..fits].copy_from_slice(now);
        bytes = later;
        if fits > 0 {
            records.filled(fits).unwrap();
        }
        if bytes.is_empty() && !ended {
            records.end().unwrap();
            ended = true;
        }
        loop {
            let passed =
                pass(records.as_mut(), guard, &mut Default::default(), false, out).unwrap();
            black_box(&out);
            out.clear();
            match passed {
                Passed::Batch { judgement, invalid } => tally.enter(&judgement, &invalid),
                Passed::Hungry => break,
                Passed::End => return tally,
            }
        }
        // Whoever stays hungry after the end would be asked for ever.
        assert!(!ended || !bytes.is_empty(), "the stream does not end");
    }
}

fn floor(bytes: &[u8], keys: &[Finder<'_>], out: &mut Vec<u8>) {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = &bytes[start..=end];
        for key in keys {
            black_box(key.find(line));
        }
        copy(line, out);
        start = end + 1;
    }
}

/// Appends a line; the buffer is given away when it is as full as a write would be.
fn copy(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line);
    if out.len() >= 256 << 10 {
        black_box(&out);
        out.clear();
    }
}

/// Reads an object: borrowed keys, none twice, the values of the wanted ones as their text.
struct Wanted<'w>(&'w [&'static str]);

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: Vec<&str> = Vec::with_capacity(16);
        while let Some(key) = map.next_key::<&str>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom("a key comes twice"));
            }
            seen.push(key);
            if self.0.contains(&key) {
                black_box(map.next_value::<&RawValue>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

fn serde(bytes: &[u8], keys: &[&'static str], out: &mut Vec<u8>) {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = &bytes[start..=end];
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        Wanted(keys).deserialize(&mut deserializer).unwrap();
        deserializer.end().unwrap();
        copy(line, out);
        start = end + 1;
    }
}

/// How many customers make up the bytes of NDJSON.
fn rows() -> usize {
    let sample = 10_000;
    BYTES / (records(Format::Ndjson, sample).len() / sample)
}

fn ndjson(criterion: &mut Criterion) {
    let rows = rows();
    let bytes = records(Format::Ndjson, rows);
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("ndjson");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    for (name, tree, columns) in policies() {
        let guard = guard(&tree, false);
        let tally = filter(Format::Ndjson, &bytes, &guard, &mut out);
        assert_eq!(tally.read, rows as u64);
        println!(
            "{name}: {} of {rows} records pass, {} bytes a record",
            tally.allowed,
            bytes.len() / rows
        );
        group.bench_function(format!("{name}/guard"), |b| {
            b.iter(|| filter(Format::Ndjson, &bytes, &guard, &mut out))
        });
        if name.starts_with("or_") && name != "or_100" {
            continue;
        }
        let keys: Vec<_> = columns.iter().map(|key| format!("\"{key}\":")).collect();
        let keys: Vec<_> = keys.iter().map(|key| Finder::new(key.as_bytes())).collect();
        group.bench_function(format!("{name}/floor"), |b| {
            b.iter(|| floor(&bytes, &keys, &mut out))
        });
        group.bench_function(format!("{name}/serde_json"), |b| {
            b.iter(|| serde(&bytes, &columns, &mut out))
        });
        out.clear();
    }
    group.finish();
}

fn formats(criterion: &mut Criterion) {
    let rows = rows();
    let mut out = Vec::new();
    let mut allowed = None;
    let (_, tree, _) = policies().swap_remove(0);
    let mut group = criterion.benchmark_group("formats");
    for format in [
        Format::Ndjson,
        Format::Json,
        Format::Csv,
        Format::ArrowStream,
        Format::Parquet,
    ] {
        let guard = guard(
            &tree,
            matches!(format, Format::ArrowStream | Format::Parquet),
        );
        let bytes = records(format, rows);
        let tally = filter(format, &bytes, &guard, &mut out);
        assert_eq!(tally.read, rows as u64);
        assert_eq!(*allowed.get_or_insert(tally.allowed), tally.allowed);
        println!("{}: {} bytes a record", format.name(), bytes.len() / rows);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format.name(), |b| {
            b.iter(|| filter(format, &bytes, &guard, &mut out))
        });
    }
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    targets = ndjson, formats
}
criterion_main!(all);
