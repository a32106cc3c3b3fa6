//! Rows written by key, and rows that a table refuses.

use super::*;
use crate::support::fresh_postgres;

struct Table {
    url: String,
    client: tokio_postgres::Client,
}

impl Table {
    async fn new(definition: &str) -> Table {
        let url = fresh_postgres().await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute(definition).await.unwrap();
        Table { url, client }
    }

    async fn open(&self, table: &str, schema: &SchemaRef) -> Result<Box<dyn Sink>, SinkError> {
        let there = destination("postgres", json!({"url": self.url, "table": table}));
        opened_for(&sinks(&nowhere()), &there, RUN, schema).await
    }

    /// The rows of a query of one text column.
    async fn texts(&self, query: &str) -> Vec<Option<String>> {
        self.client
            .query(query, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    }
}

const PEOPLE: &str = "CREATE SCHEMA crm; CREATE TABLE crm.people (id bigint PRIMARY KEY, name text, kept int DEFAULT 7)";

#[tokio::test]
async fn rows_are_written_by_key_and_the_last_of_a_key_counts() {
    let table = Table::new(&format!(
        "{PEOPLE}; INSERT INTO crm.people VALUES (1, 'old', 8)"
    ))
    .await;
    let mut sink = table.open("crm.people", &people()).await.unwrap();
    let rows = json!([
        {"id": 1, "name": "new"}, {"id": 2, "name": "first"}, {"id": 3, "name": "tab\tand \\N\n"},
        {"id": 2, "name": null}, {"id": 2, "name": "last"}, {"id": 4, "name": null},
    ]);
    let written = sink.write(&guarded(&people(), rows)).await;
    assert_eq!((written.settled, written.rejected), (6, 0), "{written:?}");
    assert_eq!(
        sink.write(&guarded(&people(), json!([{"id": 4, "name": "x"}])))
            .await
            .settled,
        1
    );
    sink.finish().await.unwrap();
    let found = table
        .texts(
            "SELECT concat(id, ' ', coalesce(name, 'NULL'), ' ', kept) FROM crm.people ORDER BY id",
        )
        .await;
    let found: Vec<_> = found.into_iter().flatten().collect();
    assert_eq!(
        found,
        ["1 new 8", "2 last 7", "3 tab\tand \\N\n 7", "4 x 7"]
    );
}

#[tokio::test]
async fn rows_that_break_a_constraint_are_rejected_and_the_rest_written() {
    let table = Table::new(
        "CREATE TABLE people (id int PRIMARY KEY, name varchar(10) NOT NULL CONSTRAINT short CHECK (name <> 'hunter2'))",
    )
    .await;
    let mut sink = table.open("people", &people()).await.unwrap();
    let mut rows: Vec<_> = (0..20)
        .map(|id| json!({"id": id, "name": format!("n{id}")}))
        .collect();
    rows[3]["name"] = "hunter2".into();
    rows[7]["name"] = Value::Null;
    rows[8]["name"] = "hunter2 too long".into();
    rows[15]["id"] = 3_000_000_000_i64.into();
    rows[16]["name"] = "nul\u{0}".into();
    let written = sink.write(&guarded(&people(), Value::from(rows))).await;
    assert_eq!((written.settled, written.rejected), (20, 5), "{written:?}");
    assert_eq!(
        written.rejection.as_deref(),
        Some("SQLSTATE 23514, constraint `short`")
    );
    assert!(!format!("{written:?}").contains("hunter2"));
    let count = table.texts("SELECT count(*)::text FROM people").await;
    assert_eq!(count, [Some("15".into())]);
    for (bad, reason) in [
        (
            json!({"id": 50, "name": null}),
            "SQLSTATE 23502, column `name`",
        ),
        (
            json!({"id": 50, "name": "hunter2 too long"}),
            "SQLSTATE 22001, column `name`",
        ),
        (
            json!({"id": 3_000_000_000_i64, "name": "a"}),
            "SQLSTATE 22003, column `id`",
        ),
    ] {
        let written = sink.write(&guarded(&people(), json!([bad]))).await;
        assert_eq!(written.rejection.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn every_type_keeps_its_value() {
    let table = Table::new(
        "CREATE TABLE wide (id int PRIMARY KEY, b boolean, f double precision, d numeric, t text, x bytea, \
         day date, clock time, wall timestamp, moment timestamptz, utc timestamp, tags text[], n int[], doc jsonb, docs jsonb)",
    )
    .await;
    let wide = schema(&[
        ("id", "Int64"),
        ("b", "Boolean"),
        ("f", "Float64"),
        ("d", "Decimal128(38, 5)"),
        ("t", "Utf8View"),
        ("x", "Binary"),
        ("day", "Date32"),
        ("clock", "Time64(Microsecond)"),
        ("wall", "Timestamp(Microsecond, None)"),
        ("moment", "Timestamp(Millisecond, Some(\"+05:00\"))"),
        ("utc", "Timestamp(Millisecond, Some(\"+05:00\"))"),
        ("tags", "List(Utf8)"),
        ("n", "List(Int64)"),
        ("doc", "Struct(\"a\": Int64, \"b\": Utf8)"),
        ("docs", "List(Struct(\"a\": Int64))"),
    ]);
    // A literal in this file would be rounded to a float.
    let exact: Value = serde_json::from_str("123456789012345678901234567890123.00001").unwrap();
    let rows = json!([
        {"id": 1, "b": true, "f": -1.5e300, "d": exact, "t": "käse \"x\"", "x": "00ff5c",
         "day": "2024-02-29", "clock": "23:59:59.000001", "wall": "2024-02-29T12:00:00.123456",
         "moment": "2024-02-29T12:00:00+05:00", "utc": "2024-02-29T12:00:00+05:00",
         "tags": ["a,b", "\"\\", null, "NULL", ""], "n": [1, null], "doc": {"a": 1, "b": "x\ty"}, "docs": [{"a": 1}, null]},
        {"id": 2},
    ]);
    let mut sink = table.open("wide", &wide).await.unwrap();
    let written = sink.write(&guarded(&wide, rows)).await;
    assert_eq!((written.settled, written.rejected), (2, 0), "{written:?}");
    let found = table.texts("SET TIME ZONE 'UTC'").await;
    assert!(found.is_empty());
    let found = table
        .texts("SELECT to_jsonb(wide)::text FROM wide ORDER BY id")
        .await;
    let first: Value = serde_json::from_str(found[0].as_deref().unwrap()).unwrap();
    let expected = json!({
        "id": 1, "b": true, "f": -1.5e300, "d": exact, "t": "käse \"x\"", "x": "\\x00ff5c",
        "day": "2024-02-29", "clock": "23:59:59.000001", "wall": "2024-02-29T12:00:00.123456",
        "moment": "2024-02-29T07:00:00+00:00", "utc": "2024-02-29T07:00:00",
        "tags": ["a,b", "\"\\", null, "NULL", ""], "n": [1, null], "doc": {"a": 1, "b": "x\ty"}, "docs": [{"a": 1}, null],
    });
    for (name, value) in expected.as_object().unwrap() {
        match name.as_str() {
            "f" => assert_eq!(first[name].as_f64(), value.as_f64()),
            _ => assert_eq!(&first[name], value, "{name}"),
        }
    }
    let second: Value = serde_json::from_str(found[1].as_deref().unwrap()).unwrap();
    assert!(
        second
            .as_object()
            .unwrap()
            .iter()
            .all(|(name, value)| name == "id" || value.is_null()),
        "{second}"
    );
}

#[tokio::test]
async fn a_table_that_does_not_fit_ends_the_run_with_a_clear_error() {
    let table = Table::new(
        "CREATE TABLE narrow (id bigint PRIMARY KEY); CREATE TABLE keyless (id bigint, name text)",
    )
    .await;
    for (name, told) in [
        ("missing", "`missing` does not exist"),
        ("nowhere.missing", "`nowhere.missing` does not exist"),
        ("narrow", "no column `name`"),
        ("keyless", "no primary key or unique constraint on (id)"),
    ] {
        let mut sink = table.open(name, &people()).await.unwrap();
        let what = fatal(&sink.write(&numbered(0..2)).await);
        assert!(what.contains(told), "{what}");
    }
}

#[tokio::test]
async fn a_mirror_or_a_model_without_key_is_refused() {
    let there = destination(
        "postgres",
        json!({"url": "postgres://u:hunter2@127.0.0.1/d", "table": "t"}),
    );
    let key = ["id".to_owned()];
    let other = ["other".to_owned()];
    for (primary_key, mode, told) in [
        (&[][..], SyncMode::Upsert, "primary key"),
        (&other[..], SyncMode::Upsert, "`other` is not sent"),
        (&key[..], SyncMode::Mirror, "mirror"),
    ] {
        let opening = Opening {
            run_id: RUN,
            schema: people(),
            primary_key,
            mode,
        };
        let refused = sinks(&nowhere()).open(&there, opening).await.err();
        assert!(
            matches!(&refused, Some(SinkError::Config(what)) if what.contains(told)),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_lost_connection_is_a_retry_and_the_next_attempt_connects_anew() {
    let table = Table::new(PEOPLE).await;
    let mut sink = table.open("crm.people", &people()).await.unwrap();
    assert_eq!(sink.write(&numbered(0..2)).await.settled, 2);
    let others = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(table.texts(others).await.len(), 1);
    let gone = "SELECT 'x' FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'syncguard'";
    while !table.texts(gone).await.is_empty() {}
    // Whether the loss is noticed before or while writing, nothing is written twice.
    let mut written = sink.write(&numbered(2..4)).await;
    if written.stopped.is_some() {
        assert_eq!(retry(&written), (0, None));
        written = sink.write(&numbered(2..4)).await;
    }
    assert_eq!(written.settled, 2, "{written:?}");
    assert_eq!(
        table.texts("SELECT count(*)::text FROM crm.people").await,
        [Some("4".into())]
    );
}

#[tokio::test]
async fn a_wrong_database_is_a_clear_error_without_secrets() {
    let url = fresh_postgres().await;
    let mut url = url::Url::parse(&url).unwrap();
    url.set_path("missing_database");
    let there = destination("postgres", json!({"url": url.as_str(), "table": "t"}));
    let mut sink = opened_for(&sinks(&nowhere()), &there, RUN, &people())
        .await
        .unwrap();
    assert!(fatal(&sink.write(&numbered(0..1)).await).contains("does not exist"));
    let shut = Sinks::new(Reach::new(Vec::new(), Vec::new())).unwrap();
    let mut sink = opened_for(&shut, &there, RUN, &people()).await.unwrap();
    let refused = sink.write(&numbered(0..1)).await.stopped;
    assert!(
        matches!(refused, Some(SinkError::Forbidden(_))),
        "{refused:?}"
    );
}
