//! The guard against DataFusion's own filter: the same rows, the same conditions, the same run.
//!
//! `cargo bench --profile dev --bench guard`
//!
//! For 1, 10, 100 and 1,000 conditions over a 15-column customer batch it measures
//! - `guard`: `Guard::apply`, which answers the passing rows and who withheld the others,
//! - `filter`: the same expression as DataFusion evaluates it (coerced and simplified by its
//!   planner), then `filter_record_batch`,
//! - `filter_exec`: the same through DataFusion's `FilterExec` operator.
//!
//! Throughput is in rows; the bytes of the batch are printed first.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::common::DFSchema;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::prelude::SessionContext;
use serde_json::{Value, json};
use syncguard::guard::Guard;
use syncguard::policy::{FilterTree, PolicyKind, Requirement};

const ROWS: usize = 8192;
const BATCHES: usize = 16;
const COUNTRIES: [&str; 20] = [
    "AT", "BE", "BR", "CA", "CH", "CN", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IN", "IT", "JP",
    "NL", "NO", "SE", "US",
];

/// A cheap, fixed sequence of numbers that look random.
fn noise(row: usize, column: u64) -> u64 {
    let mut x = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (column << 32);
    x ^= x >> 31;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 29)
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("name", DataType::Utf8View),
        field("email", DataType::Utf8View),
        field("phone", DataType::Utf8View),
        field("country", DataType::Utf8View),
        field("city", DataType::Utf8View),
        field("segment", DataType::Utf8View),
        field("consent", DataType::Boolean),
        field("age", DataType::Int32),
        field("score", DataType::Float64),
        field("balance", DataType::Decimal128(15, 2)),
        field("birthday", DataType::Date32),
        field(
            "seen",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        field("orders", DataType::Int32),
        field("comment", DataType::Utf8View),
    ]))
}

fn batch(start: usize) -> RecordBatch {
    let rows = start..start + ROWS;
    let text = |f: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(rows.clone().map(f)))
    };
    let decimals = rows.clone().map(|r| i128::from(noise(r, 10) % 1_000_000));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.clone().map(|r| r as i64))),
        text(&|r| format!("Customer {:06}", noise(r, 1) % 1_000_000)),
        text(&|r| format!("customer{}@mail{}.example", r, noise(r, 2) % 50)),
        text(&|r| format!("+49 30 {:08}", noise(r, 3) % 100_000_000)),
        text(&|r| COUNTRIES[noise(r, 4) as usize % COUNTRIES.len()].to_owned()),
        text(&|r| format!("city-{}", noise(r, 5) % 5_000)),
        text(&|r| format!("segment-{}", noise(r, 6) % 8)),
        Arc::new(BooleanArray::from_iter(rows.clone().map(|r| {
            match noise(r, 7) % 10 {
                0 => None,
                n => Some(n < 8),
            }
        }))),
        Arc::new(Int32Array::from_iter_values(
            rows.clone().map(|r| (noise(r, 8) % 100) as i32),
        )),
        Arc::new(Float64Array::from_iter_values(
            rows.clone().map(|r| (noise(r, 9) % 100_000) as f64 / 100.0),
        )),
        Arc::new(
            Decimal128Array::from_iter_values(decimals)
                .with_precision_and_scale(15, 2)
                .unwrap(),
        ),
        Arc::new(Date32Array::from_iter_values(
            rows.clone().map(|r| (noise(r, 11) % 20_000) as i32),
        )),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(
                rows.clone()
                    .map(|r| (noise(r, 12) % 1_700_000_000) as i64 * 1_000_000),
            )
            .with_timezone("UTC"),
        ),
        Arc::new(Int32Array::from_iter_values(
            rows.clone().map(|r| (noise(r, 13) % 500) as i32),
        )),
        text(&|r| format!("a remark of customer {r}, of middling length and no importance")),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// The i-th condition of a policy, once for us and once for DataFusion.
fn condition(i: usize) -> (Value, Expr) {
    let tree = |column: &str, operator: &str, value: Value| {
        json!({"type": "condition", "condition_type": "property", "column": column,
               "operator": operator, "value": value})
    };
    match i % 4 {
        0 => {
            let city = format!("city-{}", i * 7 % 5_000);
            (
                tree("city", "equals", json!(city)),
                col("city").eq(lit(city)),
            )
        }
        1 => {
            let age = (i * 3 % 100) as i32;
            (tree("age", "equals", json!(age)), col("age").eq(lit(age)))
        }
        2 => {
            let low = i % 1_000;
            let high = low as f64 + 0.25;
            let between = col("score").between(lit(low as f64), lit(high));
            (tree("score", "between", json!([low, high])), between)
        }
        _ => {
            let orders = (i * 11 % 500) as i32;
            (
                tree("orders", "equals", json!(orders)),
                col("orders").eq(lit(orders)),
            )
        }
    }
}

fn guard(document: &Value) -> Guard {
    let requirement = Requirement {
        policy_id: None,
        kind: PolicyKind::Destination,
        name: "bench".to_owned(),
        filter_tree: FilterTree::parse(document).unwrap(),
    };
    Guard::compile(&schema(), &[requirement], DateTime::UNIX_EPOCH, 1).unwrap()
}

fn compare(criterion: &mut Criterion, name: &str, document: &Value, expr: Expr) {
    let batches: Vec<_> = (0..BATCHES).map(|i| batch(i * ROWS)).collect();
    let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let context = SessionContext::new();
    let df_schema = DFSchema::try_from(schema()).unwrap();
    let predicate = context.create_physical_expr(expr, &df_schema).unwrap();
    let guard = guard(document);

    let theirs = || {
        batches.iter().map(|batch| {
            let mask = predicate.evaluate(batch).unwrap().into_array(ROWS).unwrap();
            filter_record_batch(batch, mask.as_boolean()).unwrap()
        })
    };
    let passing: usize = theirs().map(|batch| batch.num_rows()).sum();
    let ours: usize = batches
        .iter()
        .map(|batch| {
            guard
                .apply(batch, syncguard::guard::Leaving::All)
                .unwrap()
                .guarded()
                .num_rows()
        })
        .sum();
    assert_eq!(ours, passing, "the guard and DataFusion disagree");
    let rows = BATCHES * ROWS;
    println!(
        "{name}: {passing} of {rows} rows pass, {} bytes a row",
        bytes / rows
    );

    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function("guard", |b| {
        b.iter(|| {
            batches.iter().for_each(|batch| {
                drop(black_box(
                    guard.apply(batch, syncguard::guard::Leaving::All).unwrap(),
                ))
            })
        });
    });
    group.bench_function("filter", |b| {
        b.iter(|| theirs().for_each(|batch| drop(black_box(batch))))
    });
    group.bench_function("filter_exec", |b| {
        b.iter(|| {
            let partitions = std::slice::from_ref(&batches);
            let source = MemorySourceConfig::try_new_exec(partitions, schema(), None).unwrap();
            let filter = Arc::new(FilterExec::try_new(Arc::clone(&predicate), source).unwrap());
            let collected = datafusion::physical_plan::collect(filter, context.task_ctx());
            black_box(runtime.block_on(collected).unwrap());
        });
    });
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    let one = json!({"type": "condition", "condition_type": "property", "column": "country",
                     "operator": "not_in", "value": ["DE", "FR", "IT", "ES", "NL", "BE", "AT", "SE", "DK", "FI"]});
    let list = ["DE", "FR", "IT", "ES", "NL", "BE", "AT", "SE", "DK", "FI"];
    let expr = col("country").in_list(list.map(lit).to_vec(), true);
    compare(criterion, "not_in_10_countries", &one, expr);
    for count in [1, 10, 100, 1_000] {
        let (trees, exprs): (Vec<_>, Vec<_>) = (0..count).map(condition).unzip();
        let document = json!({"type": "or", "children": trees});
        let expr = exprs.into_iter().reduce(Expr::or).unwrap();
        compare(criterion, &format!("{count}_conditions"), &document, expr);
    }
}

criterion_group! {
    name = guards;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(3));
    targets = benches
}
criterion_main!(guards);
