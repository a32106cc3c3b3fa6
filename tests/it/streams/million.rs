//! Many records in every format through every mode: the same pass in each.
//!
//! `SYNCGUARD_TEST_RECORDS` sets how many are made (20,000 if it is not set).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::csv::ReaderBuilder as CsvReader;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use syncguard::guard::Guard;
use syncguard::wire::Format;

use super::served::{Keeper, World, assert_receipt, filter_path};
use super::wires::{keys, keys_of, written};
use super::{FORMATS, group};
use crate::differential::requirement;
use crate::rig::condition;
use crate::support::shared_data;

/// Rows of a batch that is made, and of a body that a destination is sent through us.
const BATCH: usize = 10_000;
const BODY: usize = 2_000;

const COUNTRIES: [&str; 16] = [
    "US", "GB", "DE", "FR", "IT", "ES", "NL", "PL", "SE", "BR", "IN", "JP", "CA", "AU", "MX", "ZA",
];
const FIRST: [&str; 10] = [
    "Ada", "Björn", "Chloé", "Dmitri", "Élodie", "Fatıma", "José", "李雷", "O'Neil", "Zoë",
];
const LAST: [&str; 10] = [
    "Müller",
    "Smith",
    "García",
    "de la Cruz",
    "Nguyễn",
    "O'Brien",
    "Çelik",
    "Rossi",
    "Ivanov",
    "山田",
];
const NOTES: [&str; 8] = [
    "",
    "called twice, no answer",
    "said \"never again\"",
    "two\nlines",
    "tab\there",
    "C:\\temp",
    "🎉 VIP; \u{2028}x",
    "=SUM(A1:A9)",
];

/// Customers as a shop has them: each row by its own draw from the seed.
fn customers(rng: &mut StdRng, first: usize, rows: usize) -> RecordBatch {
    let ids: Vec<i64> = (first as i64..(first + rows) as i64).collect();
    let mut pick = |from: &[&'static str]| -> Vec<&'static str> {
        (0..rows)
            .map(|_| from[rng.random_range(0..from.len())])
            .collect()
    };
    let countries = pick(&COUNTRIES);
    let first_names = pick(&FIRST);
    let last_names = pick(&LAST);
    let notes = pick(&NOTES);
    let segments = pick(&["new", "regular", "vip"]);
    fn some<T>(rng: &mut StdRng, value: T) -> Option<T> {
        (!rng.random_bool(0.05)).then_some(value)
    }
    let countries: Vec<_> = countries.into_iter().map(|c| some(rng, c)).collect();
    let notes: Vec<_> = notes.into_iter().map(|note| some(rng, note)).collect();
    let emails: Vec<_> = ids
        .iter()
        .map(|id| some(rng, format!("customer.{id}+shop@example.com")))
        .collect();
    let phones: Vec<_> = (0..rows)
        .map(|_| {
            let number = rng.random_range(100_000_000u64..999_999_999);
            some(rng, format!("+49 {number}"))
        })
        .collect();
    let accounts: Vec<u64> = (0..rows)
        .map(|_| rng.random_range(1u64 << 53..u64::MAX))
        .collect();
    let born: Vec<_> = (0..rows)
        .map(|_| {
            let day = rng.random_range(-15_000..13_000);
            some(rng, day)
        })
        .collect();
    let seen: Vec<i64> = (0..rows)
        .map(|_| rng.random_range(1_600_000_000_000_000i64..1_790_000_000_000_000))
        .collect();
    let consents: Vec<_> = (0..rows)
        .map(|_| {
            let consent = rng.random_bool(0.8);
            some(rng, consent)
        })
        .collect();
    let orders: Vec<i64> = (0..rows).map(|_| rng.random_range(0..200)).collect();
    let balances: Vec<i128> = (0..rows)
        .map(|_| rng.random_range(-500_000..5_000_000))
        .collect();
    let scores: Vec<_> = (0..rows)
        .map(|_| {
            let score = rng.random_range(-1.0..1.0);
            some(rng, score)
        })
        .collect();
    let balances = Decimal128Array::from(balances)
        .with_precision_and_scale(12, 2)
        .unwrap();
    let columns: [(&str, ArrayRef); 14] = [
        ("id", Arc::new(Int64Array::from(ids))),
        ("email", Arc::new(StringArray::from(emails))),
        ("first_name", Arc::new(StringArray::from(first_names))),
        ("last_name", Arc::new(StringArray::from(last_names))),
        ("country", Arc::new(StringArray::from(countries))),
        ("phone", Arc::new(StringArray::from(phones))),
        ("account", Arc::new(UInt64Array::from(accounts))),
        ("born", Arc::new(Date32Array::from(born))),
        (
            "seen",
            Arc::new(TimestampMicrosecondArray::from(seen).with_timezone("UTC")),
        ),
        ("consent", Arc::new(BooleanArray::from(consents))),
        ("orders", Arc::new(Int64Array::from(orders))),
        ("balance", Arc::new(balances)),
        ("score", Arc::new(Float64Array::from(scores))),
        ("segment", Arc::new(StringArray::from(segments))),
    ];
    let note: ArrayRef = Arc::new(StringArray::from(notes));
    let columns = columns.into_iter().chain([("note", note)]);
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .unwrap()
}

/// The keys of the records that pass, by the guard on the batches themselves.
fn passing(batches: &[RecordBatch], filter_tree: &Value, names: &[&str]) -> Vec<String> {
    let requirement = requirement(0, filter_tree);
    let now = "2026-01-31T12:00:00Z".parse().unwrap();
    let guard = Guard::compile(&batches[0].schema(), &[requirement], now, 1).unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            keys_of(
                guard
                    .apply(batch, syncguard::guard::Leaving::All)
                    .unwrap()
                    .guarded()
                    .batch(),
                names,
            )
        })
        .collect()
}

/// Takes records in every format through every mode. `original` is what stands for a format
/// instead of what we would write ourselves.
async fn check(
    batches: &[RecordBatch],
    filter_tree: Value,
    names: &[&str],
    original: Option<(Format, Bytes)>,
) {
    let schema = batches[0].schema();
    let expected = passing(batches, &filter_tree, names);
    let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert!(expected.len() > read / 20 && expected.len() < read - read / 20);
    let sample = batches[0].slice(0, batches[0].num_rows().min(100));
    let world = World::new(&sample, filter_tree).await;
    let keeper = Keeper::start().await;
    let filter = filter_path(&world, "file");
    let transparent = world.transparent_path(&keeper).await;
    let same = |found: Vec<String>, what: &str| {
        // Not as a whole: they are many.
        let first = found
            .iter()
            .zip(&expected)
            .find(|(found, same)| found != same);
        assert_eq!(first, None, "{what}");
        assert_eq!(found.len(), expected.len(), "{what}");
    };
    for format in FORMATS {
        let body = match &original {
            Some((of, bytes)) if *of == format => bytes.clone(),
            _ => Bytes::from(written(format, &schema, batches)),
        };

        let back = world.sent(&filter, format, body.clone()).await;
        same(
            keys(format, &back, &schema, names),
            &format!("filter as {format:?}"),
        );
        drop(back);

        let file = format!("{}.ndjson", format.name());
        let deliver = world
            .deliver_path("file", json!({"path": file, "format": "ndjson"}))
            .await;
        let receipt = world.sent(&deliver, format, body).await;
        assert_receipt(&receipt, read, expected.len());
        let delivered = std::fs::read(world.rig.files().join(file)).unwrap();
        same(
            keys(Format::Ndjson, &delivered, &schema, names),
            &format!("deliver as {format:?}"),
        );
        drop(delivered);

        let mut found = vec![];
        for batch in batches {
            for start in (0..batch.num_rows()).step_by(BODY) {
                let part = batch.slice(start, BODY.min(batch.num_rows() - start));
                let body = written(format, &schema, &[part]);
                world.sent(&transparent, format, Bytes::from(body)).await;
                for body in keeper.take() {
                    found.extend(keys(format, &body, &schema, names));
                }
            }
        }
        same(found, &format!("transparent as {format:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_customers_pass_in_every_format_and_mode() {
    let count: usize = match std::env::var("SYNCGUARD_TEST_RECORDS") {
        Ok(count) => count
            .parse()
            .expect("SYNCGUARD_TEST_RECORDS is a whole number"),
        Err(_) => 20_000,
    };
    let mut rng = StdRng::seed_from_u64(0x5eed);
    let batches: Vec<_> = (0..count)
        .step_by(BATCH)
        .map(|first| customers(&mut rng, first, BATCH.min(count - first)))
        .collect();
    let filter_tree = group(
        "and",
        &[
            condition(
                "country",
                "not_in",
                json!(["DE", "FR", "IT", "ES", "NL", "PL", "SE"]),
            ),
            condition("consent", "is_true", Value::Null),
            group(
                "or",
                &[
                    condition("balance", "greater_than", json!(1000.5)),
                    condition("segment", "equals", json!("vip")),
                    condition(
                        "account",
                        "greater_than",
                        json!(9_223_372_036_854_775_809u64),
                    ),
                ],
            ),
            condition(
                "seen",
                "between",
                json!(["2021-01-01T00:00:00Z", "2026-06-30T23:59:59.999999+02:00"]),
            ),
        ],
    );
    check(&batches, filter_tree, &["id"], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_invoice_lines_pass_in_every_format_and_mode() {
    let bytes = std::fs::read(shared_data("online_retail.csv")).unwrap();
    let fields = [
        ("InvoiceNo", DataType::Utf8),
        ("StockCode", DataType::Utf8),
        ("Description", DataType::Utf8),
        ("Quantity", DataType::Int64),
        ("InvoiceDate", DataType::Utf8),
        ("UnitPrice", DataType::Float64),
        ("CustomerID", DataType::Int64),
        ("Country", DataType::Utf8),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, data_type)| Field::new(name, data_type, true))
        .collect();
    let batches: Vec<RecordBatch> = CsvReader::new(Arc::new(Schema::new(fields)))
        .with_header(true)
        .with_batch_size(BATCH)
        .build(bytes.as_slice())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let filter_tree = group(
        "and",
        &[
            condition("Country", "not_in", json!(["Germany", "France", "EIRE"])),
            condition("CustomerID", "is_not_null", Value::Null),
            condition("UnitPrice", "between", json!([0.5, 12.75])),
            condition("Description", "not_contains", json!("HEART")),
        ],
    );
    let names = [
        "InvoiceNo",
        "StockCode",
        "Quantity",
        "UnitPrice",
        "CustomerID",
    ];
    check(
        &batches,
        filter_tree,
        &names,
        Some((Format::Csv, Bytes::from(bytes))),
    )
    .await;
}
