//! Sources: what is in a file or a database comes out of it, whole, in order, with its types, or
//! there is an error that says where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::DateTime;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use serde_json::{Value, json};
use sqlx::Connection;
use syncguard::catalog::{ModelQuery, Source, SourceType};
use syncguard::reach::Reach;
use syncguard::source::{self, OpenModel, SourceError};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{self, repository_file};

fn reach(root: &Path) -> Reach {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network"));
    Reach::new(vec![root.to_owned()], loopback.to_vec())
}

fn source(source_type: SourceType, config: Value) -> Source {
    Source {
        id: Uuid::nil(),
        workspace_id: Uuid::nil(),
        name: "warehouse".into(),
        source_type,
        config: config.as_object().expect("an object").clone(),
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

/// What is opened, and where.
struct Case {
    source_type: SourceType,
    config: Value,
    query: ModelQuery,
    primary_key: Vec<String>,
    root: PathBuf,
}

impl Case {
    fn files(root: &Path, path: &str) -> Case {
        Case {
            source_type: SourceType::Files,
            config: json!({ "path": path }),
            query: ModelQuery::Table("files".into()),
            primary_key: vec![],
            root: root.to_owned(),
        }
    }

    fn sqlite(root: &Path, path: &str, table: &str) -> Case {
        Case {
            source_type: SourceType::Sqlite,
            config: json!({ "path": path }),
            query: ModelQuery::Table(table.into()),
            primary_key: vec![],
            root: root.to_owned(),
        }
    }

    fn postgres(url: &str, table: &str) -> Case {
        Case {
            source_type: SourceType::Postgres,
            config: json!({ "url": url }),
            query: ModelQuery::Table(table.into()),
            primary_key: vec![],
            root: "/".into(),
        }
    }

    fn sql(mut self, sql: &str) -> Case {
        self.query = ModelQuery::Sql(sql.into());
        self
    }

    fn key(mut self, columns: &[&str]) -> Case {
        self.primary_key = columns.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    async fn open(&self) -> Result<OpenModel, SourceError> {
        let source = source(self.source_type, self.config.clone());
        source::open(&source, &self.query, &self.primary_key, &reach(&self.root)).await
    }

    /// All rows as text, fields joined by `|`, or the error of opening or reading.
    async fn rows(&self) -> Result<Vec<String>, SourceError> {
        rows(&self.open().await?, None, 0, 1000).await
    }

    async fn error(&self) -> String {
        self.rows()
            .await
            .expect_err("an error was expected")
            .to_string()
    }

    async fn types(&self) -> Vec<(String, DataType)> {
        let schema = self.open().await.expect("it opens").schema();
        schema
            .fields()
            .iter()
            .map(|f| (f.name().clone(), f.data_type().clone()))
            .collect()
    }
}

async fn rows(
    model: &OpenModel,
    columns: Option<&[String]>,
    skip: u64,
    batch_rows: usize,
) -> Result<Vec<String>, SourceError> {
    let batches: Vec<_> = model
        .read(columns, skip, batch_rows)
        .await?
        .try_collect()
        .await?;
    assert!(
        batches
            .iter()
            .all(|batch| (1..=batch_rows).contains(&batch.num_rows()))
    );
    Ok(batches.iter().flat_map(texts).collect())
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).expect("a printable type"))
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            columns
                .iter()
                .map(|c| c.value(row).to_string())
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

fn write(dir: &TempDir, name: &str, text: &str) {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    std::fs::write(path, text).expect("the file is written");
}

fn temp() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn shared() -> PathBuf {
    repository_file("../shared/data")
        .canonicalize()
        .expect("the data")
}

fn micros(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// A whole read equals its parts, wherever it is cut, in batches of any size.
async fn check_resumes(case: Case, expected: usize) {
    let model = case.open().await.expect("it opens");
    let whole = rows(&model, None, 0, 8192).await.expect("it reads");
    assert_eq!(whole.len(), expected);
    for (skip, batch_rows) in [
        (0, 1),
        (1, 7),
        (expected / 2, 3),
        (expected - 1, 10),
        (expected, 5),
    ] {
        let rest = rows(&model, None, skip as u64, batch_rows)
            .await
            .expect("it reads");
        assert_eq!(rest, whole[skip..], "skip {skip}");
    }
    let past = rows(&model, None, expected as u64 + 10, 10)
        .await
        .expect("it reads");
    assert!(past.is_empty());
    // The same through DataFusion, which orders by nothing.
    let context = SessionContext::new();
    let frame = context.read_table(model.table()).expect("a table");
    assert_eq!(frame.count().await.expect("it counts"), expected);
}

// --- CSV ---------------------------------------------------------------------------------------

#[tokio::test]
async fn csv_types_come_with_nulls() {
    let dir = temp();
    write(
        &dir,
        "a.csv",
        "i,f,b,d,t,z,s,code,none\r\n\
         1,1.5,true,2024-02-29,2024-02-29 10:00:00.5,2024-02-29T10:00:00+02:00,\"a, \"\"b\"\"\",007,\r\n\
         ,,,,,,,,\r\n\
         -2,3,FALSE,1969-12-31,2024-02-29T10:00,2024-02-29T10:00:00Z,\"line\nbreak\",8,\r\n",
    );
    let case = Case::files(dir.path(), "a.csv");
    let types: Vec<_> = case
        .types()
        .await
        .into_iter()
        .map(|(_, data_type)| data_type)
        .collect();
    assert_eq!(
        types,
        [
            DataType::Int64,
            DataType::Float64,
            DataType::Boolean,
            DataType::Date32,
            micros(None),
            micros(Some("UTC")),
            DataType::Utf8View,
            DataType::Utf8View,
            DataType::Utf8View,
        ]
    );
    assert_eq!(
        case.rows().await.expect("it reads"),
        [
            "1|1.5|true|2024-02-29|2024-02-29T10:00:00.500|2024-02-29T08:00:00Z|a, \"b\"|007|NULL",
            "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
            "-2|3.0|false|1969-12-31|2024-02-29T10:00:00|2024-02-29T10:00:00Z|line\nbreak|8|NULL",
        ]
    );
}

#[tokio::test]
async fn csv_line_with_wrong_field_count_is_an_error_with_its_line() {
    for (broken, what) in [("secret", "has 1 fields"), ("secret,2,3", "has 3 fields")] {
        let dir = temp();
        write(
            &dir,
            "people.csv",
            &format!("a,b\n1,\"two\nlines\"\n\n3,4\n{broken}\n5,6\n"),
        );
        let error = Case::files(dir.path(), "people.csv").error().await;
        assert!(
            error.contains("`people.csv`, line 6") && error.contains(what),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn csv_line_broken_after_the_sample_ends_the_read() {
    for (broken, line, what) in [
        ("secret,x\n", 10_502, "`id` is not a whole number"),
        ("007,x\n", 10_502, "`id` is not a whole number"),
        ("1\n", 10_502, "has 1 fields"),
        ("1,\"x\n", 10_502, "quote is not closed"),
        ("1,5\" pipe\n1\n", 10_503, "has 1 fields"),
    ] {
        let dir = temp();
        let good: String = (0..10_500).map(|n| format!("{n},x\n")).collect();
        write(&dir, "late.csv", &format!("id,name\n{good}{broken}2,y\n"));
        let case = Case::files(dir.path(), "late.csv");
        let model = case.open().await.expect("the head is good");
        let mut batches = model.read(None, 0, 1000).await.expect("it starts");
        let mut read = 0;
        let error = loop {
            match batches.try_next().await {
                Ok(Some(batch)) => read += batch.num_rows(),
                Ok(None) => panic!("a file broken by {broken:?} must not look whole"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(read, 10_000);
        assert!(
            error.contains(&format!("line {line}")) && error.contains(what),
            "{error}"
        );
        assert!(
            !error.contains("secret") && !error.contains("007"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn csv_files_must_have_one_header() {
    let dir = temp();
    write(&dir, "a.csv", "a,b\n1,2\n");
    write(&dir, "b.csv", "b,a\n1,2\n");
    let error = Case::files(dir.path(), "*.csv").error().await;
    assert!(
        error.contains("`b.csv`") && error.contains("header"),
        "{error}"
    );
    write(&dir, "b.csv", "a,a\n1,2\n");
    let error = Case::files(dir.path(), "b.csv").error().await;
    assert!(error.contains("two columns have this name"), "{error}");
    write(&dir, "b.csv", "\n");
    let error = Case::files(dir.path(), "b.csv").error().await;
    assert!(error.contains("no header line"), "{error}");
}

#[tokio::test]
async fn csv_columns_not_asked_for_are_not_read() {
    let dir = temp();
    let good: String = (0..10_000).map(|n| format!("{n},{n}\n")).collect();
    write(&dir, "a.csv", &format!("a,b\n{good}10000,not a number\n"));
    let model = Case::files(dir.path(), "a.csv")
        .open()
        .await
        .expect("it opens");
    assert!(rows(&model, None, 0, 1000).await.is_err());
    let only_a = rows(&model, Some(&["a".to_owned()]), 9_999, 1000)
        .await
        .expect("it reads");
    assert_eq!(only_a, ["9999", "10000"]);
    let turned = [String::from("b"), String::from("a")];
    let mut batches = model.read(Some(&turned), 0, 2).await.expect("it starts");
    let first = batches
        .try_next()
        .await
        .expect("it reads")
        .expect("a batch");
    assert_eq!(first.schema().field(0).name(), "b");
    let unknown = model
        .read(Some(&["c".to_owned()]), 0, 1)
        .await
        .err()
        .expect("an error");
    assert!(matches!(unknown, SourceError::NoSuchColumn(name) if name == "c"));
}

// --- NDJSON ------------------------------------------------------------------------------------

#[tokio::test]
async fn ndjson_types_come_with_nulls() {
    let dir = temp();
    write(
        &dir,
        "a.ndjson",
        "{\"i\":1,\"f\":1,\"b\":true,\"s\":\"x\",\"l\":[1,null],\"o\":{\"p\":1}}\n\
         \n\
         {\"f\":2.5,\"o\":{\"q\":\"y\"},\"i\":null}\r\n\
         {}",
    );
    let case = Case::files(dir.path(), "a.ndjson");
    assert_eq!(
        case.rows().await.expect("it reads"),
        [
            "1|1.0|true|x|[1, NULL]|{p: 1, q: NULL}",
            "NULL|2.5|NULL|NULL|NULL|{p: NULL, q: y}",
            "NULL|NULL|NULL|NULL|NULL|NULL",
        ]
    );
}

#[tokio::test]
async fn ndjson_value_that_does_not_fit_is_an_error_with_its_line() {
    for broken in [
        "{\"id\":1.9}",
        "{\"id\":\"7\"}",
        "{\"id\":true}",
        "{\"id\":99999999999999999999}",
        "{\"id\":1,\"id\":2}",
        "{\"id\":1} {\"id\":2}",
        "{\"id\":1",
        "[1]",
        "secret",
    ] {
        let dir = temp();
        let good: String = (0..10_000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
        write(&dir, "late.jsonl", &format!("{good}{broken}\n"));
        let error = Case::files(dir.path(), "late.jsonl").error().await;
        assert!(
            error.contains("`late.jsonl`, line 10001"),
            "{broken}: {error}"
        );
        for value in ["1.9", "99999", "secret"] {
            assert!(!error.contains(value), "{error}");
        }
    }
}

// --- Parquet and Arrow ---------------------------------------------------------------------------

fn every_type() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i",
            Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)])),
        ),
        (
            "f",
            Arc::new(Float64Array::from(vec![Some(0.5), None, Some(-0.0)])),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "s",
            Arc::new(StringArray::from(vec![Some("x"), None, Some("")])),
        ),
        (
            "v",
            Arc::new(StringViewArray::from(vec![
                Some("long enough for a buffer"),
                None,
                Some("y"),
            ])),
        ),
        (
            "d",
            Arc::new(Date32Array::from(vec![Some(0), None, Some(-1)])),
        ),
        (
            "t",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), None, Some(1)]).with_timezone("UTC"),
            ),
        ),
        (
            "y",
            Arc::new(BinaryArray::from(vec![
                Some(&b"\x00\xff"[..]),
                None,
                Some(b""),
            ])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .expect("a batch")
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let file = std::fs::File::create(path).expect("a file");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("it is written");
    writer.close().expect("it is closed");
}

fn write_arrow(path: &Path, batch: &RecordBatch) {
    let file = std::fs::File::create(path).expect("a file");
    let mut writer =
        arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).expect("a writer");
    writer.write(batch).expect("it is written");
    writer.finish().expect("it is closed");
}

#[tokio::test]
async fn parquet_and_arrow_round_trip() {
    let dir = temp();
    let batch = every_type();
    write_parquet(&dir.path().join("a.parquet"), &batch);
    write_arrow(&dir.path().join("a.arrow"), &batch);
    for name in ["a.parquet", "a.arrow"] {
        let case = Case::files(dir.path(), name);
        assert_eq!(
            case.rows().await.expect("it reads"),
            texts(&batch),
            "{name}"
        );
    }
    // Text in Parquet is read as views.
    let types = Case::files(dir.path(), "a.parquet").types().await;
    assert!(
        types.contains(&("v".into(), DataType::Utf8View)),
        "{types:?}"
    );
}

#[tokio::test]
async fn broken_parquet_names_its_file() {
    let dir = temp();
    write(
        &dir,
        "a.parquet",
        "this is not Parquet, and long enough to look for a footer",
    );
    let error = Case::files(dir.path(), "a.parquet").error().await;
    assert!(error.contains("`a.parquet`"), "{error}");
}

#[tokio::test]
async fn parquet_column_with_two_types_is_refused() {
    let dir = temp();
    let batch = |column: ArrayRef| RecordBatch::try_from_iter([("a", column)]).expect("a batch");
    write_parquet(
        &dir.path().join("1.parquet"),
        &batch(Arc::new(Int64Array::from(vec![1]))),
    );
    write_parquet(
        &dir.path().join("2.parquet"),
        &batch(Arc::new(StringArray::from(vec!["x"]))),
    );
    let error = Case::files(dir.path(), "*.parquet").error().await;
    assert!(
        error.contains("`2.parquet`") && error.contains("column `a`"),
        "{error}"
    );
}

// --- Which files -----------------------------------------------------------------------------

#[tokio::test]
async fn files_come_sorted_by_path() {
    let dir = temp();
    for name in [
        "f/c.csv",
        "f/a.csv",
        "f/sub/b.csv",
        "f/.hidden.csv",
        "f/_tmp/d.csv",
    ] {
        write(&dir, name, &format!("name\n{name}\n"));
    }
    write(&dir, "f/readme.txt", "not a table");
    let all = ["f/a.csv", "f/c.csv", "f/sub/b.csv"];
    assert_eq!(
        Case::files(dir.path(), "f").rows().await.expect("it reads"),
        all
    );
    assert_eq!(
        Case::files(dir.path(), "f/[a-z]*/*.csv")
            .rows()
            .await
            .expect("it reads"),
        all[2..]
    );
    assert_eq!(
        Case::files(dir.path(), "f/?.csv")
            .rows()
            .await
            .expect("it reads"),
        all[..2]
    );
    let by_sql = Case::files(dir.path(), "f").sql("SELECT name FROM files");
    assert_eq!(by_sql.rows().await.expect("it reads"), all);

    for n in [2, 10, 1] {
        let one =
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![n])) as ArrayRef)]);
        write_parquet(
            &dir.path().join(format!("part-{n:02}.parquet")),
            &one.expect("a batch"),
        );
    }
    let parts = Case::files(dir.path(), "part-*.parquet");
    assert_eq!(parts.rows().await.expect("it reads"), ["1", "2", "10"]);
    assert!(
        Case::files(dir.path(), "none-*.parquet")
            .error()
            .await
            .contains("no file")
    );
}

#[tokio::test]
async fn links_out_of_the_roots_are_refused() {
    let (inside, outside) = (temp(), temp());
    write(&outside, "secret.csv", "a\n1\n");
    write(&inside, "own.csv", "a\n1\n");
    let out = outside.path().join("secret.csv");
    std::os::unix::fs::symlink(&out, inside.path().join("link.csv")).expect("a link");
    std::os::unix::fs::symlink(outside.path(), inside.path().join("folder")).expect("a link");
    let absolute = out.to_string_lossy().into_owned();
    let parent = format!(
        "../{}/secret.csv",
        outside.path().file_name().unwrap().to_string_lossy()
    );
    for path in [
        "link.csv",
        "folder/secret.csv",
        "folder",
        "*.csv",
        "*/*.csv",
        ".",
        &absolute,
        &parent,
    ] {
        let case = Case::files(inside.path(), path);
        let error = case.rows().await.expect_err(path).to_string();
        assert!(error.contains("outside"), "{path}: {error}");
    }
    assert_eq!(
        Case::files(inside.path(), "own.csv")
            .rows()
            .await
            .expect("it reads"),
        ["1"]
    );
    let database = Case::sqlite(inside.path(), &absolute, "t").error().await;
    assert!(database.contains("outside"), "{database}");
}

#[tokio::test]
async fn object_stores_without_a_client_are_refused() {
    let dir = temp();
    for scheme in ["s3", "gs", "az", "https"] {
        let error = Case::files(dir.path(), &format!("{scheme}://bucket/a.parquet"))
            .error()
            .await;
        assert!(error.contains("carries no client"), "{error}");
    }
}

#[test]
fn config_faults_come_all_at_once() {
    let dir = temp();
    let faults = |source_type, config: Value| -> Vec<String> {
        source::check_config(source_type, config.as_object().unwrap(), &reach(dir.path()))
            .into_iter()
            .map(|fault| fault.path)
            .collect()
    };
    let files = SourceType::Files;
    assert_eq!(faults(files, json!({})), ["$.config.path"]);
    assert_eq!(
        faults(files, json!({ "path": 1, "format": "xml", "extra": true })),
        ["$.config.extra", "$.config.path", "$.config.format"]
    );
    assert_eq!(
        faults(files, json!({ "path": "/etc/passwd" })),
        ["$.config.path"]
    );
    assert!(faults(files, json!({ "path": ".", "format": "csv" })).is_empty());
    assert_eq!(
        faults(SourceType::Sqlite, json!({ "path": "none.db" })),
        ["$.config.path"]
    );
    let url = |url: &str| faults(SourceType::Postgres, json!({ "url": url }));
    assert!(url("postgres://u:p@db.example/d?sslmode=verify-full").is_empty());
    for wrong in [
        "postgres://10.0.0.1/d",
        "postgres://[fd00::1]/d",
        "postgres://%2Ftmp/d",
        "x",
    ] {
        assert_eq!(url(wrong), ["$.config.url"], "{wrong}");
    }
}

// --- SQL over files ----------------------------------------------------------------------------

#[tokio::test]
async fn sql_over_files_is_one_select_of_the_files() {
    let dir = temp();
    write(&dir, "a.csv", "Id,Name\n1,x\n2,y\n2,z\n");
    write(&dir, "b.csv", "a\n1\n");
    let case = |sql: &str| Case::files(dir.path(), "a.csv").sql(sql);
    let by_case = case("SELECT Id, COUNT(*) AS n FROM files GROUP BY Id").key(&["Id"]);
    assert_eq!(by_case.rows().await.expect("it reads"), ["1|1", "2|2"]);
    let quoted = case("SELECT upper(\"Name\") AS n FROM files AS f WHERE f.Id = 2;").key(&["n"]);
    assert_eq!(quoted.rows().await.expect("it reads"), ["Y", "Z"]);
    let b = dir.path().join("b.csv").to_string_lossy().into_owned();
    for sql in [
        "",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE files",
        "INSERT INTO files VALUES (1, 'x')",
        "DELETE FROM files",
        "COPY files TO '/tmp/x.csv'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN SELECT 1",
        "SHOW ALL",
        "DESCRIBE files",
        "SELECT 1; SELECT 2",
        "SELECT * FROM other",
        &format!("SELECT * FROM '{b}'"),
        &format!("SELECT * FROM read_csv('{b}')"),
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM generate_series(1, 10)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELECT missing FROM files",
        "SELECT f.Id, g.Id FROM files f JOIN files g ON f.Id = g.Id",
    ] {
        let error = case(sql).open().await.err();
        assert!(error.is_some(), "{sql} was accepted");
    }
    let key = case("SELECT Id FROM files").key(&["Name"]).error().await;
    assert!(key.contains("no column `Name`"), "{key}");
}

#[tokio::test]
async fn sql_that_fails_on_a_value_does_not_tell_it() {
    let dir = temp();
    write(&dir, "a.csv", "a\n1\nsecret\n");
    for sql in [
        "SELECT CAST(a AS BIGINT) AS n FROM files",
        "SELECT to_date(a) AS n FROM files",
    ] {
        let error = Case::files(dir.path(), "a.csv").sql(sql).error().await;
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn online_retail_groups_by_customer_and_country() {
    let plain = Case::files(&shared(), "online_retail.csv")
        .open()
        .await
        .expect("it opens");
    let lines: Vec<_> = plain
        .read(None, 0, 4096)
        .await
        .expect("it starts")
        .try_collect()
        .await
        .expect("it reads");
    let mut expected: BTreeMap<(Option<i64>, String), (i64, f64)> = BTreeMap::new();
    let mut count = 0;
    for batch in &lines {
        let column = |name: &str| batch.column_by_name(name).expect("a column");
        let customers = column("CustomerID").as_primitive::<Int64Type>();
        let quantities = column("Quantity").as_primitive::<Int64Type>();
        let prices = column("UnitPrice").as_primitive::<Float64Type>();
        let countries = column("Country").as_string_view();
        for row in 0..batch.num_rows() {
            let customer = customers.is_valid(row).then(|| customers.value(row));
            let group = expected
                .entry((customer, countries.value(row).to_owned()))
                .or_default();
            group.0 += 1;
            group.1 += quantities.value(row) as f64 * prices.value(row);
            count += 1;
        }
    }
    assert_eq!(count, 14_594);
    let model = Case::files(&shared(), "online_retail.csv")
        .sql(
            "SELECT CustomerID, Country, COUNT(*) AS lines, SUM(Quantity * UnitPrice) AS total \
             FROM files GROUP BY CustomerID, Country",
        )
        .key(&["CustomerID", "Country"]);
    let model = model.open().await.expect("it opens");
    let groups: Vec<_> = model
        .read(None, 0, 100)
        .await
        .expect("it starts")
        .try_collect()
        .await
        .expect("it reads");
    let mut found = BTreeMap::new();
    for batch in &groups {
        let customers = batch.column(0).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let customer = customers.is_valid(row).then(|| customers.value(row));
            let country = batch.column(1).as_string_view().value(row).to_owned();
            let lines = batch.column(2).as_primitive::<Int64Type>().value(row);
            let total = batch.column(3).as_primitive::<Float64Type>().value(row);
            found.insert((customer, country), (lines, total));
        }
    }
    assert_eq!(found.len(), expected.len());
    for (group, (lines, total)) in &expected {
        let (found_lines, found_total) = found[group];
        assert_eq!(*lines, found_lines, "{group:?}");
        assert!((total - found_total).abs() < 1e-6, "{group:?}");
    }
}

#[tokio::test]
async fn file_reads_resume_anywhere() {
    let dir = temp();
    let csv: String = (0..50).map(|n| format!("{n},name {n}\n")).collect();
    let json: String = (0..50)
        .map(|n| format!("{{\"n\":{n},\"s\":\"name {n}\"}}\n"))
        .collect();
    for part in ["c/1", "c/2"] {
        write(&dir, &format!("{part}.csv"), &format!("n,s\n{csv}"));
    }
    for part in ["j/1", "j/2"] {
        write(&dir, &format!("{part}.ndjson"), &json);
    }
    std::fs::create_dir(dir.path().join("p")).expect("a folder");
    for part in ["p/1", "p/2"] {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).expect("a batch");
        write_parquet(&dir.path().join(format!("{part}.parquet")), &batch);
    }
    for folder in ["c", "j", "p"] {
        check_resumes(Case::files(dir.path(), folder), 100).await;
        let sql =
            Case::files(dir.path(), folder).sql("SELECT n, COUNT(*) AS c FROM files GROUP BY n");
        check_resumes(sql.key(&["n"]), 50).await;
    }
}

// --- SQLite --------------------------------------------------------------------------------------

async fn sqlite(dir: &TempDir, name: &str, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(dir.path().join(name))
        .create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .expect("a database");
    sqlx::raw_sql(sql)
        .execute(&mut connection)
        .await
        .expect("the SQL runs");
    connection.close().await.expect("it closes");
}

#[tokio::test]
async fn sqlite_types_come_with_nulls() {
    let dir = temp();
    sqlite(
        &dir,
        "a.db",
        "CREATE TABLE t (i INTEGER PRIMARY KEY, s VARCHAR(20), f REAL, b BOOLEAN, d DATE,
             t DATETIME, z TIMESTAMPTZ, m DECIMAL(10,2), n NUMERIC, x BLOB, \"odd \"\"name\" TEXT);
         INSERT INTO t VALUES (1, 'x', 0.5, 1, '2024-02-29', '2024-02-29 10:00:00',
             '2024-02-29T10:00:00+02:00', 12.34, 1.5, x'00ff', 'q');
         INSERT INTO t (i) VALUES (2);
         INSERT INTO t VALUES (3, '', 2, 0, '1969-12-31', '2024-02-29',
             '2024-02-29T10:00:00Z', 7, 2, x'', 'r');",
    )
    .await;
    let case = Case::sqlite(dir.path(), "a.db", "t");
    let types: Vec<_> = case
        .types()
        .await
        .into_iter()
        .map(|(_, data_type)| data_type)
        .collect();
    assert_eq!(
        types,
        [
            DataType::Int64,
            DataType::Utf8View,
            DataType::Float64,
            DataType::Boolean,
            DataType::Date32,
            micros(None),
            micros(Some("UTC")),
            DataType::Decimal128(10, 2),
            DataType::Float64,
            DataType::Binary,
            DataType::Utf8View,
        ]
    );
    let expected = [
        "1|x|0.5|true|2024-02-29|2024-02-29T10:00:00|2024-02-29T08:00:00Z|12.34|1.5|00ff|q",
        "2|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
        "3||2.0|false|1969-12-31|2024-02-29T00:00:00|2024-02-29T10:00:00Z|7.00|2.0||r",
    ];
    assert_eq!(case.rows().await.expect("it reads"), expected);
    let qualified = Case::sqlite(dir.path(), "a.db", "main.t");
    assert_eq!(qualified.rows().await.expect("it reads"), expected);
    // The types of a query's columns come from the tables, those of expressions from the values.
    let query = Case::sqlite(dir.path(), "a.db", "t").sql(
        "SELECT m AS money, i + 0 AS whole, CASE i WHEN 1 THEN 1 ELSE i / 2.0 END AS mixed,
             s || '!' AS text, NULL AS none FROM t -- a comment at the end",
    );
    let types: Vec<_> = query
        .types()
        .await
        .into_iter()
        .map(|(_, data_type)| data_type)
        .collect();
    assert_eq!(
        types,
        [
            DataType::Decimal128(10, 2),
            DataType::Int64,
            DataType::Float64,
            DataType::Utf8View,
            DataType::Utf8View,
        ]
    );
    assert_eq!(
        query.rows().await.expect("it reads"),
        [
            "12.34|1|1.0|x!|NULL",
            "NULL|2|1.0|NULL|NULL",
            "7.00|3|1.5|!|NULL"
        ]
    );
}

#[tokio::test]
async fn sqlite_value_of_another_type_is_an_error() {
    for (declared, value, expected) in [
        ("INTEGER", "'secret'", "an integer"),
        ("INTEGER", "1.5", "an integer"),
        ("TEXT", "x'ff'", "text"),
        ("BOOLEAN", "2", "0 or 1"),
        ("BOOLEAN", "'secret'", "0 or 1"),
        ("DATE", "'29.02.2024'", "a date"),
        ("DATE", "20240229", "a date"),
        ("DATETIME", "'2024-02-29T10:00:00Z'", "a time"),
        ("DATETIME", "1709200800", "a time"),
        ("DECIMAL(5,2)", "1.234", "a decimal"),
        ("DECIMAL(5,2)", "12345", "a decimal"),
        ("DECIMAL(5,2)", "'secret'", "a decimal"),
        ("REAL", "'secret'", "a number"),
        ("BLOB", "'secret'", "a blob"),
    ] {
        let dir = temp();
        let sql = format!(
            "CREATE TABLE t (id INTEGER, v {declared}); INSERT INTO t VALUES (1, NULL), (2, {value})"
        );
        sqlite(&dir, "a.db", Box::leak(sql.into_boxed_str())).await;
        let case = Case::sqlite(dir.path(), "a.db", "t");
        let error = case.error().await;
        assert!(
            error.contains("record 2, column `v`") && error.contains(expected),
            "{error}"
        );
        assert!(
            !error.contains("secret") && !error.contains("1.234"),
            "{error}"
        );
        // Who does not ask for the column does not meet the value.
        let model = case.open().await.expect("it opens");
        let ids = rows(&model, Some(&["id".to_owned()]), 0, 10)
            .await
            .expect("it reads");
        assert_eq!(ids, ["1", "2"]);
    }
}

#[tokio::test]
async fn sqlite_takes_one_select_and_stays_as_it_is() {
    let dir = temp();
    sqlite(
        &dir,
        "a.db",
        "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)",
    )
    .await;
    let before = std::fs::read(dir.path().join("a.db")).expect("a file");
    for sql in [
        "DROP TABLE t",
        "DELETE FROM t RETURNING a",
        "PRAGMA user_version = 1",
        "ATTACH DATABASE 'x.db' AS x",
        "SELECT 1) AS m; DELETE FROM t; SELECT * FROM (SELECT 1",
        "SELECT a FROM t; DELETE FROM t",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "EXPLAIN SELECT a FROM t",
        "SELECT a FROM t WHERE a = ?1",
        "SELECT load_extension('x')",
        "SELECT missing FROM t",
    ] {
        assert!(
            Case::sqlite(dir.path(), "a.db", "t")
                .sql(sql)
                .rows()
                .await
                .is_err(),
            "{sql}"
        );
    }
    for table in ["missing", "t; DROP TABLE t", "t\" --", ""] {
        assert!(
            Case::sqlite(dir.path(), "a.db", table)
                .rows()
                .await
                .is_err(),
            "{table}"
        );
    }
    assert_eq!(
        std::fs::read(dir.path().join("a.db")).expect("a file"),
        before
    );
    write(
        &dir,
        "not.db",
        "this is no database, however long the text is made to be",
    );
    assert!(
        Case::sqlite(dir.path(), "not.db", "t")
            .rows()
            .await
            .is_err()
    );
    assert!(
        Case::sqlite(dir.path(), "none.db", "t")
            .rows()
            .await
            .is_err()
    );
    assert!(!dir.path().join("none.db").exists());
}

#[tokio::test]
async fn chinook_reads_as_tables_and_queries() {
    let customers = Case::sqlite(&shared(), "chinook.sqlite", "Customer").key(&["CustomerId"]);
    check_resumes(customers, 59).await;
    let invoices = Case::sqlite(&shared(), "chinook.sqlite", "Invoice").key(&["InvoiceId"]);
    check_resumes(invoices, 412).await;
    let query = Case::sqlite(&shared(), "chinook.sqlite", "").sql(
        "SELECT c.CustomerId, c.Country, COUNT(*) AS invoices, MAX(i.InvoiceDate) AS latest
         FROM Customer c JOIN Invoice i USING (CustomerId) GROUP BY 1, 2;",
    );
    check_resumes(query.key(&["CustomerId", "Country"]), 59).await;
    let model = Case::sqlite(&shared(), "chinook.sqlite", "Invoice")
        .open()
        .await
        .expect("it opens");
    let total = vec!["Total".to_owned()];
    let batches: Vec<_> = model
        .read(Some(&total), 0, 100)
        .await
        .expect("it starts")
        .try_collect()
        .await
        .expect("reads");
    let cents: i128 = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Decimal128Type>().values())
        .sum();
    assert_eq!(cents, 232_860);
}

// --- PostgreSQL ------------------------------------------------------------------------------------

async fn run(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("a server");
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.expect("the SQL runs");
    drop(client);
    driver.await.expect("no panic").expect("it closes");
}

#[tokio::test]
async fn postgres_types_come_with_nulls() {
    let url = support::fresh_postgres().await;
    run(
        &url,
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE DOMAIN mail AS text;
         CREATE SCHEMA \"Other\";
         CREATE TABLE \"Other\".t (
             k int PRIMARY KEY, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric(10,2),
             free numeric, s text, v varchar(5), c char(3), nm name, u uuid, j json, jb jsonb,
             e mood, dm mail, d date, t timestamp, z timestamptz, y bytea, ai int[], at text[],
             an numeric(6,1)[]);
         INSERT INTO \"Other\".t VALUES
             (1, true, -1, 9223372036854775807, 0.5, -0.25, -12.34, 1.5, 'x', 'v', 'c', 'nm',
              '00000000-0000-0000-0000-00000000000a', '{\"a\": 1}', '{\"b\":[2]}', 'sad', 'a@b',
              '2024-02-29', '1999-12-31 23:59:59.5', '2024-02-29 10:00:00+02', '\\x00ff',
              '{1,NULL,3}', '{\"a,b\",NULL}', '{1.5,NULL}'),
             (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
              NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
             (3, false, 0, 0, 'NaN', 'Infinity', 0, 12345678901234567890.123456789, '', '', '',
              '', '00000000-0000-0000-0000-000000000000', 'null', 'null', 'glad', '',
              '0001-01-01', '1970-01-01', '1970-01-01 00:00+00', '', '{}', '{}', '{}');",
    )
    .await;
    let case = Case::postgres(&url, "Other.t").key(&["k"]);
    assert_eq!(
        case.rows().await.expect("it reads"),
        [
            "1|true|-1|9223372036854775807|0.5|-0.25|-12.34|1.500000000|x|v|c  |nm|\
             00000000-0000-0000-0000-00000000000a|{\"a\": 1}|{\"b\": [2]}|sad|a@b|2024-02-29|\
             1999-12-31T23:59:59.500|2024-02-29T08:00:00Z|00ff|[1, NULL, 3]|[a,b, NULL]|[1.5, NULL]",
            &format!("2{}", "|NULL".repeat(23)),
            "3|false|0|0|NaN|inf|0.00|12345678901234567890.123456789|||   ||\
             00000000-0000-0000-0000-000000000000|null|null|glad||0001-01-01|\
             1970-01-01T00:00:00|1970-01-01T00:00:00Z||[]|[]|[]",
        ]
    );
    let types: BTreeMap<_, _> = case.types().await.into_iter().collect();
    assert_eq!(types["n"], DataType::Decimal128(10, 2));
    assert_eq!(types["free"], DataType::Decimal128(38, 9));
    assert_eq!(types["s"], DataType::Utf8View);
    assert_eq!(types["z"], micros(Some("UTC")));
    assert_eq!(
        types["ai"],
        DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)))
    );
}

#[tokio::test]
async fn postgres_value_that_cannot_be_carried_is_an_error() {
    let url = support::fresh_postgres().await;
    for (value, expected) in [
        ("'infinity'::date", "a finite date"),
        ("'-infinity'::timestamptz", "a finite time"),
        ("'NaN'::numeric", "a decimal"),
        ("0.1234567891::numeric", "a decimal"),
        ("ARRAY[[1,2],[3,4]]", "an array of one dimension"),
    ] {
        let sql = format!("SELECT 1 AS id, {value} AS v");
        let error = Case::postgres(&url, "").sql(&sql).error().await;
        assert!(
            error.contains("record 1, column `v`") && error.contains(expected),
            "{error}"
        );
        assert!(!error.contains("0.1234"), "{error}");
    }
    let error = Case::postgres(&url, "")
        .sql("SELECT 1 AS a, '1 day'::interval AS i")
        .error()
        .await;
    assert!(
        error.contains("column `i`") && error.contains("cast it"),
        "{error}"
    );
    let failing = "SELECT v::int AS n FROM (VALUES ('1'), ('secret')) AS t(v)";
    let error = Case::postgres(&url, "").sql(failing).error().await;
    assert!(
        error.contains("SQLSTATE 22P02") && !error.contains("secret"),
        "{error}"
    );
}

#[tokio::test]
async fn postgres_takes_one_select_and_changes_nothing() {
    let url = support::fresh_postgres().await;
    run(
        &url,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2);
         CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS
             $$ BEGIN DELETE FROM t; RETURN 1; END $$;",
    )
    .await;
    for sql in [
        "DELETE FROM t",
        "DROP TABLE t",
        "SELECT a FROM t; DELETE FROM t",
        "SELECT 1) AS m; DELETE FROM t; --",
        "WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x",
        "SELECT wipe() AS a",
        "SELECT set_config('transaction_read_only', 'off', false) || wipe() AS a",
        "COPY t TO '/tmp/t'",
        "SELECT a FROM t WHERE a = $1",
        "SELECT missing FROM t",
    ] {
        assert!(
            Case::postgres(&url, "").sql(sql).rows().await.is_err(),
            "{sql} was accepted"
        );
    }
    for table in ["missing", "t; DROP TABLE t", "t\" --", ""] {
        assert!(Case::postgres(&url, table).rows().await.is_err(), "{table}");
    }
    let case = Case::postgres(&url, "").sql("SELECT a FROM t ; ");
    assert_eq!(case.key(&["a"]).rows().await.expect("it reads"), ["1", "2"]);
}

#[tokio::test]
async fn postgres_reads_resume_anywhere() {
    let url = support::fresh_postgres().await;
    run(
        &url,
        "CREATE TABLE t (id int PRIMARY KEY, name text);
         INSERT INTO t SELECT (n * 7919) % 2003, 'name ' || n FROM generate_series(1, 2000) n;",
    )
    .await;
    check_resumes(Case::postgres(&url, "t").key(&["id"]), 2_000).await;
    check_resumes(Case::postgres(&url, "public.t"), 2_000).await;
    let sql = "SELECT id % 100 AS bucket, count(*) AS n FROM t GROUP BY 1 -- by bucket";
    check_resumes(Case::postgres(&url, "").sql(sql).key(&["bucket"]), 100).await;
    let model = Case::postgres(&url, "t")
        .key(&["id"])
        .open()
        .await
        .expect("it opens");
    let name = rows(&model, Some(&["name".to_owned()]), 1_999, 10)
        .await
        .expect("it reads");
    assert_eq!(name.len(), 1);
}

#[tokio::test]
async fn postgres_stops_where_the_reader_stops() {
    let url = support::fresh_postgres().await;
    let case = Case::postgres(&url, "")
        .sql("SELECT a.attname FROM pg_attribute a, pg_attribute b, pg_attribute c");
    let model = case.open().await.expect("it opens");
    let mut batches = model.read(None, 0, 100).await.expect("it starts");
    let first = batches
        .try_next()
        .await
        .expect("it reads")
        .expect("a batch");
    assert_eq!(first.num_rows(), 100);
}

#[tokio::test]
async fn postgres_out_of_reach_is_refused() {
    let dir = temp();
    let closed = Reach::new(vec![dir.path().to_owned()], vec![]);
    let query = ModelQuery::Table("t".into());
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.1",
        "169.254.169.254",
    ] {
        let url = format!("postgres://u:pass-word@{host}:1/d");
        let source = source(SourceType::Postgres, json!({ "url": url }));
        let error = source::open(&source, &query, &[], &closed)
            .await
            .expect_err(host)
            .to_string();
        assert!(error.contains("not public"), "{error}");
        assert!(!error.contains("pass-word"), "{error}");
    }
    let nobody = Case::postgres("postgres://u:pass-word@127.0.0.1:1/d", "t")
        .error()
        .await;
    assert!(
        nobody.contains("cannot be reached") && !nobody.contains("pass-word"),
        "{nobody}"
    );
}

// --- As a table ------------------------------------------------------------------------------------

#[tokio::test]
async fn tables_read_only_what_a_query_needs() {
    let dir = temp();
    sqlite(
        &dir,
        "a.db",
        "CREATE TABLE t (id INTEGER, bad INTEGER); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 5)",
    )
    .await;
    let model = Case::sqlite(dir.path(), "a.db", "t")
        .open()
        .await
        .expect("it opens");
    let context = SessionContext::new();
    context.register_table("t", model.table()).expect("a table");
    let frame = context
        .sql("SELECT id FROM t WHERE id > 1 LIMIT 1")
        .await
        .expect("a plan");
    let batches = frame.collect().await.expect("it reads");
    assert_eq!(batches.iter().flat_map(texts).collect::<Vec<_>>(), ["2"]);
    let count = context
        .sql("SELECT COUNT(*) AS n FROM t")
        .await
        .expect("a plan");
    let batches = count.collect().await.expect("it counts");
    assert_eq!(batches.iter().flat_map(texts).collect::<Vec<_>>(), ["3"]);
    let all = context
        .sql("SELECT * FROM t")
        .await
        .expect("a plan")
        .collect()
        .await;
    let error = all.expect_err("an error").to_string();
    assert!(error.contains("column `bad`"), "{error}");
}

#[tokio::test]
async fn schema_is_that_of_the_batches() {
    let dir = temp();
    write(&dir, "a.csv", "a,b\n1,x\n");
    write(&dir, "a.ndjson", "{\"a\":1,\"b\":\"x\"}\n");
    write_parquet(&dir.path().join("a.parquet"), &every_type());
    for name in ["a.csv", "a.ndjson", "a.parquet"] {
        for sql in [None, Some("SELECT * FROM files")] {
            let mut case = Case::files(dir.path(), name);
            if let Some(sql) = sql {
                case = case.sql(sql);
            }
            let model = case.open().await.expect("it opens");
            let schema = model.schema();
            let plain = |schema: &Schema| -> Vec<(String, DataType)> {
                schema
                    .fields()
                    .iter()
                    .map(|f| (f.name().clone(), f.data_type().clone()))
                    .collect()
            };
            assert_eq!(plain(&schema), plain(&model.table().schema()));
            let mut batches = model.read(None, 0, 10).await.expect("it starts");
            let batch = batches
                .try_next()
                .await
                .expect("it reads")
                .expect("a batch");
            assert_eq!(plain(&schema), plain(&batch.schema()), "{name}");
        }
    }
}
