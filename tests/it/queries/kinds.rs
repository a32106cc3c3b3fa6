//! Tables of a world in memory, in files and in databases.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::prelude::SessionContext;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use syncguard::catalog::{ModelQuery, Source, SourceType};
use syncguard::reach::Reach;
use syncguard::source;
use uuid::Uuid;

use super::generator::Type;
use super::world::{Cell, Kind, Rows};
use crate::support::fresh_postgres;

/// Rows of a row group: visible and hidden rows share some, and others are of one kind.
const GROUP_ROWS: usize = 16;

type Opened = Vec<(&'static str, Arc<dyn TableProvider>)>;

/// The tables of two worlds, which know nothing of each other.
pub(super) async fn open(kind: Kind, worlds: [&[Rows]; 2], folder: &Path) -> [Opened; 2] {
    let database = match kind {
        Kind::Postgres => fresh_postgres().await,
        _ => String::new(),
    };
    let mut opened = Vec::new();
    // The path tells nothing of which world it is, in case it is told.
    for (name, tables) in ["one", "two"].into_iter().zip(worlds) {
        let place = folder.join(name);
        std::fs::create_dir(&place).unwrap();
        match kind {
            Kind::Sqlite => sqlite(&place, tables).await,
            Kind::Postgres => postgres(&database, name, tables).await,
            _ => {}
        }
        let mut world: Opened = Vec::new();
        for table in tables {
            let rows = match kind {
                Kind::Memory => memory(table),
                Kind::Parquet => {
                    let file = parquet_file(&place, table);
                    model(folder, SourceType::Files, json!({"path": file}), table.name).await
                }
                Kind::ParquetPushdown => listed(&parquet_file(&place, table)).await,
                Kind::Sqlite => {
                    let config = json!({"path": place.join("world.db")});
                    model(folder, SourceType::Sqlite, config, table.name).await
                }
                Kind::Postgres => {
                    let config = json!({"url": database});
                    let table = format!("{name}.{}", table.name);
                    model(folder, SourceType::Postgres, config, &table).await
                }
            };
            world.push((table.name, rows));
        }
        opened.push(world);
    }
    opened.try_into().ok().unwrap()
}

/// In batches of many sizes.
fn memory(table: &Rows) -> Arc<dyn TableProvider> {
    let whole = table.batch();
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut at = 0;
    for rows in [1, 5, 40, 2, 17].into_iter().cycle() {
        let rows = rows.min(whole.num_rows() - at);
        if rows == 0 {
            break;
        }
        batches.push(whole.slice(at, rows));
        at += rows;
    }
    Arc::new(MemTable::try_new(whole.schema(), vec![batches]).unwrap())
}

fn parquet_file(place: &Path, table: &Rows) -> String {
    let path = place.join(format!("{}.parquet", table.name));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_bloom_filter_enabled(true)
        .build();
    let batch = table.batch();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.to_str().unwrap().to_owned()
}

/// A file whose reader applies every filter that reaches it while it reads.
async fn listed(path: &str) -> Arc<dyn TableProvider> {
    let mut options = TableParquetOptions::default();
    options.global.pushdown_filters = true;
    options.global.reorder_filters = true;
    let format = ParquetFormat::new().with_options(options);
    let options = ListingOptions::new(Arc::new(format));
    let url = ListingTableUrl::parse(path).unwrap();
    let state = SessionContext::new().state();
    let schema = options.infer_schema(&state, &url).await.unwrap();
    let config = ListingTableConfig::new(url)
        .with_listing_options(options)
        .with_schema(schema);
    Arc::new(ListingTable::try_new(config).unwrap())
}

/// A model as the server opens it.
async fn model(
    folder: &Path,
    source_type: SourceType,
    config: Value,
    table: &str,
) -> Arc<dyn TableProvider> {
    let source = Source {
        id: Uuid::nil(),
        workspace_id: Uuid::nil(),
        name: "warehouse".into(),
        source_type,
        config: config.as_object().unwrap().clone(),
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    };
    let loopback = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
    let root = folder.canonicalize().unwrap();
    let reach = Reach::new(vec![root], loopback.to_vec());
    let query = ModelQuery::Table(table.to_owned());
    let model = source::open(&source, &query, &[], &reach).await.unwrap();
    model.table()
}

async fn sqlite(place: &Path, tables: &[Rows]) {
    let options = SqliteConnectOptions::new()
        .filename(place.join("world.db"))
        .create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for statement in tables
        .iter()
        .flat_map(|table| create(table, table.name, false))
    {
        let query = sqlx::query(AssertSqlSafe(statement));
        query.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Without an index: what PostgreSQL reads through one comes in another order, and which it uses
/// depends on how many rows there are.
async fn postgres(url: &str, schema: &str, tables: &[Rows]) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let schemas = [format!("CREATE SCHEMA {schema}")];
    let tables = tables
        .iter()
        .flat_map(|table| create(table, &format!("{schema}.{}", table.name), true));
    for statement in schemas.into_iter().chain(tables) {
        let query = sqlx::query(AssertSqlSafe(statement));
        query.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// The statements that make a table and fill it.
fn create(table: &Rows, name: &str, postgres: bool) -> Vec<String> {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|(column, of)| {
            let declared = match of.base() {
                Type::Int => "BIGINT",
                Type::Float => "DOUBLE PRECISION",
                Type::Decimal => "DECIMAL(10,2)",
                Type::Date => "DATE",
                Type::Time => "TIMESTAMP",
                Type::Bool => "BOOLEAN",
                Type::List => "TEXT[]",
                _ => "TEXT",
            };
            format!(
                "{column} {}",
                match (declared, postgres) {
                    ("TIMESTAMP", false) => "DATETIME",
                    (declared, _) => declared,
                }
            )
        })
        .collect();
    let mut statements = vec![format!("CREATE TABLE {name} ({})", columns.join(", "))];
    for rows in table.rows.chunks(100) {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let cells = row.iter().map(|cell| literal(cell, postgres));
                format!("({})", cells.collect::<Vec<_>>().join(", "))
            })
            .collect();
        statements.push(format!("INSERT INTO {name} VALUES {}", rows.join(", ")));
    }
    statements
}

/// A value as SQL. SQLite has no NaN.
fn literal(cell: &Cell, postgres: bool) -> String {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
        Cell::Int(number) => number.to_string(),
        Cell::Float(number) if postgres => format!("'{number}'"),
        Cell::Float(number) if number.is_nan() => "NULL".to_owned(),
        Cell::Float(number) if number.is_infinite() => {
            let sign = if *number < 0.0 { "-" } else { "" };
            format!("{sign}9e999")
        }
        Cell::Float(number) => format!("{number:e}"),
        Cell::Decimal(hundredths) => {
            let sign = if *hundredths < 0 { "-" } else { "" };
            let all = hundredths.unsigned_abs();
            format!("{sign}{}.{:02}", all / 100, all % 100)
        }
        Cell::Text(value) => text(value),
        Cell::Date(days) => {
            let day = DateTime::from_timestamp(i64::from(*days) * 86_400, 0).unwrap();
            text(&day.format("%Y-%m-%d").to_string())
        }
        Cell::Time(micros) => {
            let time = DateTime::from_timestamp_micros(*micros).unwrap();
            text(&time.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
        }
        Cell::Bool(value) if postgres => value.to_string(),
        Cell::Bool(value) => u8::from(*value).to_string(),
        Cell::List(items) => {
            let items = items.iter().map(|item| match item {
                Some(item) => text(item),
                None => "NULL".to_owned(),
            });
            format!("ARRAY[{}]::TEXT[]", items.collect::<Vec<_>>().join(", "))
        }
    }
}
