//! The statements of clients, as `fixtures/pg_catalog` has them: each is planned and run, and
//! where the fixture says so, its rows are compared.
//!
//! A statement begins with a line `-- title` and ends where the next one begins. `--$ a ; b` are
//! the values of its parameters; each `--> a | b` is a row that it gives, in order, and
//! `--> nothing` says that there is none. `{customers}` is the id of that relation.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};
use datafusion::common::ScalarValue;
use datafusion::common::config::Dialect;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use uuid::Uuid;

use super::*;
use crate::catalog::ModelQuery;

fn model(number: u128, name: &str, key: &[&str], fields: Vec<Field>) -> Model {
    let then = DateTime::<Utc>::UNIX_EPOCH;
    Model {
        id: Uuid::from_u128(number),
        workspace_id: Uuid::from_u128(1),
        name: name.to_owned(),
        source_id: Uuid::from_u128(2),
        query: ModelQuery::Table(name.to_owned()),
        primary_key: key.iter().map(|&column| column.to_owned()).collect(),
        schema: Arc::new(Schema::new(fields)),
        created_at: then,
        updated_at: then,
    }
}

fn models() -> Vec<Model> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    vec![
        model(
            10,
            "customers",
            &["id"],
            vec![
                Field::new("id", DataType::Int64, false),
                Field::new("country", DataType::Utf8, true),
                Field::new("balance", DataType::Decimal128(12, 2), true),
                Field::new("created_at", micros, true),
            ],
        ),
        model(
            11,
            "Order Lines",
            &["order_id", "line"],
            vec![
                Field::new("order_id", DataType::Int64, true),
                Field::new("line", DataType::Int16, false),
                Field::new("tags", texts, true),
            ],
        ),
        model(
            12,
            "events",
            &[],
            vec![
                Field::new("at", DataType::Date32, false),
                Field::new("paid", DataType::Boolean, true),
                Field::new("score", DataType::Float64, true),
            ],
        ),
    ]
}

fn catalog() -> Catalog {
    Catalog::new("work", "ada")
}

/// A session as it is set up for a client: the catalogs beside `public`.
fn session() -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true)
        .with_default_catalog_and_schema("work", "public");
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    let context = SessionContext::new_with_config(config);
    let extras = catalog().extras(&models()).unwrap();
    for (name, tables) in extras.schemas {
        let schema = MemorySchemaProvider::new();
        for (table, batch) in tables {
            let rows = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            schema.register_table(table, Arc::new(rows)).unwrap();
        }
        let work = context.catalog("work").unwrap();
        work.register_schema(&name, Arc::new(schema)).unwrap();
    }
    for function in extras.functions {
        context.register_udf(function.as_ref().clone());
    }
    context
}

fn prepared(sql: &str) -> (bool, String) {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
    assert_eq!(statements.len(), 1, "{sql}");
    let mut statement = statements.remove(0);
    let needed = catalog().prepare(&mut statement);
    (needed, statement.to_string())
}

async fn answer(
    context: &SessionContext,
    sql: &str,
    parameters: &[String],
) -> Result<Vec<String>, String> {
    let (_, text) = prepared(sql);
    let fault = |error: datafusion::error::DataFusionError| format!("{error}\n  {text}");
    let mut frame = context.sql(&text).await.map_err(fault)?;
    if !parameters.is_empty() {
        let values: Vec<ScalarValue> = parameters
            .iter()
            .map(|value| ScalarValue::from(value.as_str()))
            .collect();
        frame = frame.with_param_values(values).map_err(fault)?;
    }
    let batches = frame.collect().await.map_err(fault)?;
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            rows.push(cells.join(" | "));
        }
    }
    Ok(rows)
}

/// A statement of a fixture.
#[derive(Debug, Default)]
struct Case {
    title: String,
    sql: String,
    parameters: Vec<String>,
    rows: Option<Vec<String>>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("fixtures")
        .join("pg_catalog");
    let relations = relations::describe(&models());
    let mut places: BTreeMap<String, String> = relations
        .iter()
        .map(|relation| (format!("{{{}}}", relation.name), relation.oid.to_string()))
        .collect();
    for relation in &relations {
        if let Some(key) = &relation.key {
            places.insert(format!("{{{}}}", key.name), key.index.to_string());
        }
    }
    places.insert("{version}".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let mut cases: Vec<Case> = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            let mut line = line.to_owned();
            for (place, value) in &places {
                line = line.replace(place, value);
            }
            if let Some(row) = line.strip_prefix("--> ") {
                let rows = &mut cases.last_mut().unwrap().rows;
                let rows = rows.get_or_insert_default();
                if row != "nothing" {
                    rows.push(row.to_owned());
                }
            } else if let Some(values) = line.strip_prefix("--$ ") {
                cases.last_mut().unwrap().parameters =
                    values.split(" ; ").map(str::to_owned).collect();
            } else if let Some(title) = line.strip_prefix("-- ") {
                cases.push(Case {
                    title: format!("{name}: {title}"),
                    ..Case::default()
                });
            } else if !line.is_empty() {
                let sql = &mut cases.last_mut().unwrap().sql;
                sql.push_str(&line);
                sql.push('\n');
            }
        }
    }
    assert!(cases.len() > 80, "only {} statements", cases.len());
    cases
}

#[tokio::test]
async fn clients_are_answered() {
    let context = session();
    let mut faults = Vec::new();
    for case in cases() {
        assert!(prepared(&case.sql).0, "{} needs no catalog", case.title);
        match (
            answer(&context, &case.sql, &case.parameters).await,
            &case.rows,
        ) {
            (Err(error), _) => faults.push(format!("{}: {error}", case.title)),
            (Ok(rows), Some(expected)) if rows != *expected => faults.push(format!(
                "{}\n  expected {expected:#?}\n  found {rows:#?}\n  {}",
                case.title,
                prepared(&case.sql).1
            )),
            (Ok(_), _) => {}
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults\n\n{}",
        faults.len(),
        faults.join("\n\n")
    );
}

#[test]
fn what_is_rewritten_can_be_read_again() {
    for case in cases() {
        let (_, text) = prepared(&case.sql);
        let again = Parser::parse_sql(&PostgreSqlDialect {}, &text);
        let again = again.unwrap_or_else(|error| panic!("{}: {error}\n{text}", case.title));
        assert_eq!(again[0].to_string(), text, "{}", case.title);
    }
}

#[test]
fn other_statements_stay_as_they_are() {
    for sql in [
        "SELECT count(*) FROM customers WHERE country = $1",
        "SELECT * FROM public.customers WHERE id = ANY (ARRAY[1, 2])",
        "SELECT E'a\\n', CAST(id AS TEXT), id::BIGINT FROM customers",
        "WITH pg_class AS (SELECT 1 AS x) SELECT x FROM pg_class",
        "SELECT (SELECT max(id) FROM customers), lower(country) FROM customers ORDER BY 1",
        "SELECT pg_things.id FROM pg_things",
    ] {
        let before = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        let (needed, text) = prepared(sql);
        assert!(!needed, "{sql}");
        assert_eq!(before[0].to_string(), text);
    }
}

#[test]
fn what_users_read_keeps_its_meaning() {
    for (sql, kept) in [
        (
            "SELECT id, version() IS NULL FROM customers WHERE roles IS NOT NULL",
            "WHERE roles IS NOT NULL",
        ),
        (
            "SELECT roles || '/' || name, user FROM customers",
            "roles || '/' || name",
        ),
        (
            "SELECT (SELECT name FROM customers), current_schema",
            "(SELECT name FROM customers)",
        ),
        (
            "SELECT 'x' NOT IN (SELECT nation FROM customers), current_schema",
            "'x' NOT IN (SELECT nation FROM customers)",
        ),
        ("SELECT version(), E'a\\'b\\\\'", "E'a\\'b\\\\'"),
        ("SELECT version(), 'it''s'", "E'it\\'s'"),
    ] {
        let (needed, text) = prepared(sql);
        assert!(needed && text.contains(kept), "{text}");
    }
    for sql in [
        "SELECT __regclass('a'), version()",
        "SELECT version() AS \"a\"\"b\"",
    ] {
        assert!(!prepared(sql).0, "{sql}");
    }
}

#[test]
fn statements_that_need_the_catalogs_are_told() {
    for sql in [
        "SELECT version()",
        "SELECT current_schema",
        "SELECT user",
        "SELECT * FROM pg_class",
        "SELECT * FROM information_schema.tables",
        "SELECT id::oid FROM customers",
        "SELECT id FROM customers WHERE country OPERATOR(pg_catalog.~) 'D'",
        "SELECT id FROM customers WHERE country = 'DE' COLLATE \"C\"",
    ] {
        assert!(prepared(sql).0, "{sql}");
    }
}

#[test]
fn columns_are_called_as_postgresql_calls_them() {
    for (sql, names) in [
        ("SELECT version(), 1", "\"version\" \"?column?\""),
        (
            "SELECT c.oid::regclass, NULL, NULL FROM pg_class c",
            "\"oid\" \"?column?\" \"?column?_1\"",
        ),
        (
            "SELECT pg_catalog.format_type(20, NULL) FROM pg_class",
            "\"format_type\"",
        ),
    ] {
        let text = prepared(sql).1;
        for name in names.split(' ') {
            assert!(text.contains(&format!("AS {name}")), "{name} in {text}");
        }
    }
}

#[test]
fn ids_stay_the_same_whoever_looks() {
    let all = relations::describe(&models());
    let one = relations::describe(&models()[..1]);
    let customers = all.iter().find(|relation| relation.name == "customers");
    assert_eq!(customers, one.first());
    let mut ids: Vec<i32> = all
        .iter()
        .flat_map(|relation| {
            let key = relation
                .key
                .iter()
                .flat_map(|key| [key.index, key.constraint]);
            [relation.oid].into_iter().chain(key)
        })
        .collect();
    assert!(ids.iter().all(|id| *id >= builtin::FIRST_MODEL));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

#[test]
fn every_row_fills_columns_that_are_there() {
    let relations = relations::describe(&models());
    let view = View {
        workspace: "work",
        user: "ada",
        relations: &relations,
    };
    let named = |table: &columns::Table, rows: Vec<columns::Row>| {
        let columns: Vec<&str> = table.columns().map(|(name, _)| name).collect();
        assert!(
            !table.empty || rows.is_empty(),
            "{} is said to be empty",
            table.name
        );
        for row in rows {
            for (name, _) in row {
                assert!(columns.contains(&name), "{}.{name}", table.name);
            }
        }
    };
    for table in tables::PG_CATALOG {
        named(table, rows::rows(table.name, view));
    }
    for table in tables::INFORMATION_SCHEMA {
        named(table, information::rows(table.name, view));
    }
}

#[test]
fn names_are_read_and_written() {
    for (text, schema, name) in [
        ("customers", None, "customers"),
        ("public.Customers", Some("public"), "customers"),
        ("\"Order Lines\"", None, "Order Lines"),
        ("public.\"a\"\"b.c\"", Some("public"), "a\"b.c"),
    ] {
        let (found_schema, found) = relations::parsed(text);
        assert_eq!((found_schema.as_deref(), found.as_str()), (schema, name));
    }
    for (name, text) in [
        ("customers", "customers"),
        ("Order Lines", "\"Order Lines\""),
        ("select", "\"select\""),
        ("a\"b", "\"a\"\"b\""),
        ("", "\"\""),
    ] {
        assert_eq!(relations::quoted(name), text);
    }
}

#[test]
fn arrays_are_read_from_texts() {
    for (text, items) in [
        ("{}", vec![]),
        ("{a,\"b,c\",NULL}", vec![Some("a"), Some("b,c"), None]),
        ("{\"a\\\"b\"}", vec![Some("a\"b")]),
        ("1 2", vec![Some("1"), Some("2")]),
    ] {
        let found = scalar::array_items(text);
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, items, "{text}");
    }
}
