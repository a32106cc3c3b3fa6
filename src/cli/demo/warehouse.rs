//! The demo's warehouse: customers as a Parquet file, the same on every machine.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    ArrayRef, AsArray, BooleanBuilder, Decimal128Array, Int64Array, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tpchgen::generators::{CustomerGenerator, NationGenerator};
use tpchgen_arrow::CustomerArrow;

/// TPC-H scale factor 1 has 150,000 customers.
const SCALE_FACTOR: f64 = 1.0;
const BATCH_ROWS: usize = 8192;

/// Writes the customers of TPC-H with the name of their nation, and with an e-mail address and a
/// consent that follow from the key: seven of ten said yes, two said no, one was not asked.
///
/// Answers how many there are.
pub(super) fn write(path: &Path) -> anyhow::Result<u64> {
    let nations: Vec<_> = NationGenerator::default()
        .iter()
        .map(|nation| nation.n_name.to_owned())
        .collect();
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let schema = schema();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
    let mut written = 0;
    let generator = CustomerGenerator::new(SCALE_FACTOR, 1, 1);
    for batch in CustomerArrow::new(generator).with_batch_size(BATCH_ROWS) {
        let batch = customers(&batch?, &nations, &schema)?;
        written += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    writer.close()?;
    Ok(written)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Int64, false),
        Field::new("name", DataType::Utf8View, false),
        Field::new("email", DataType::Utf8, true),
        Field::new("phone", DataType::Utf8View, false),
        Field::new("nation", DataType::Utf8, true),
        Field::new("segment", DataType::Utf8View, false),
        Field::new("balance", DataType::Decimal128(15, 2), false),
        Field::new("consent", DataType::Boolean, true),
    ]))
}

fn customers(
    tpch: &RecordBatch,
    nations: &[String],
    schema: &SchemaRef,
) -> anyhow::Result<RecordBatch> {
    let column = |name: &str| -> anyhow::Result<&ArrayRef> {
        tpch.column_by_name(name)
            .with_context(|| format!("TPC-H customers have no {name}"))
    };
    let keys: &Int64Array = column("c_custkey")?.as_primitive::<Int64Type>();
    let nation_keys = column("c_nationkey")?.as_primitive::<Int64Type>();
    let balances: &Decimal128Array = column("c_acctbal")?.as_primitive();
    let (mut emails, mut names) = (StringBuilder::new(), StringBuilder::new());
    let mut consents = BooleanBuilder::new();
    for (key, nation) in keys.values().iter().zip(nation_keys.values()) {
        match key % 17 {
            0 => emails.append_null(),
            _ => emails.append_value(format!("customer{key}@example.com")),
        }
        names.append_option(
            usize::try_from(*nation)
                .ok()
                .and_then(|nation| nations.get(nation)),
        );
        match key % 10 {
            0..=6 => consents.append_value(true),
            7 | 8 => consents.append_value(false),
            _ => consents.append_null(),
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys.clone()),
        Arc::clone(column("c_name")?),
        Arc::new(emails.finish()),
        Arc::clone(column("c_phone")?),
        Arc::new(names.finish()),
        Arc::clone(column("c_mktsegment")?),
        Arc::new(balances.clone().with_precision_and_scale(15, 2)?),
        Arc::new(consents.finish()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
