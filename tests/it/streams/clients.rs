//! The clients that people have, against a server over loopback: curl, and by
//! `tests/clients/streams.py` requests, pyarrow and DuckDB.

use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use syncguard::wire::Format;

use super::served::{Keeper, World, assert_receipt, filter_path};
use super::wires::{content_type, keys, written};
use crate::programs::{python, run};
use crate::receiver::Receiver;
use crate::rig::{KEY, condition};
use crate::support::{repository_file, temporary_folder};

fn people(rows: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let names = (0..rows).map(|row| format!("person {row}, \"né\" {}", row % 7));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
    let countries = (0..rows).map(|row| [Some("DE"), Some("US"), None, Some("GB")][row % 4]);
    let countries: ArrayRef = Arc::new(StringArray::from_iter(countries));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("name", names, true),
        ("country", countries, true),
    ])
    .unwrap()
}

/// The ids of those that pass.
fn passing(rows: usize) -> Vec<i64> {
    (0..rows as i64).filter(|id| id % 2 == 1).collect()
}

async fn world(people: &RecordBatch) -> World {
    World::new(people, condition("country", "not_in", json!(["DE", "FR"]))).await
}

/// Runs a client of the script. Answers what it tells of the answer: its status, and its ids or
/// its body.
async fn client(name: &str, url: String, records: &RecordBatch) -> Value {
    let (_folder, folder) = temporary_folder();
    let file = folder.join("people.csv");
    let csv = written(
        Format::Csv,
        &records.schema(),
        std::slice::from_ref(records),
    );
    std::fs::write(&file, csv).unwrap();
    let mut command = Command::new(python());
    command
        .arg(repository_file("tests/clients/streams.py"))
        .args([name, &url])
        .arg(&file)
        .env("SYNCGUARD_API_KEY", KEY)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = run(command, vec![]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} to {url}: {told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {told}"))
}

fn ids(answer: &Value) -> Vec<i64> {
    let ids = answer["ids"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:#}"));
    ids.iter().map(|id| id.as_i64().unwrap()).collect()
}

fn ids_of(format: Format, body: &[u8], people: &RecordBatch) -> Vec<i64> {
    let ids = keys(format, body, &people.schema(), &["id"]);
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// A client of the script in each mode.
async fn check(name: &str, format: Format) {
    let rows = 1_000;
    let people = people(rows);
    let world = world(&people).await;
    let expected = passing(rows);

    let url = world.rig.client.url(&filter_path(&world, "webhook"));
    let answer = client(name, url, &people).await;
    assert_eq!(answer["status"], 200, "{answer:#}");
    assert_eq!(ids(&answer), expected, "{name} filters");

    let receiver = Receiver::accepting().await;
    let path = world
        .deliver_path("webhook", json!({"url": receiver.url(), "batch_size": 100}))
        .await;
    let answer = client(name, world.rig.client.url(&path), &people).await;
    assert_eq!(answer["status"], 200, "{answer:#}");
    assert_receipt(
        answer["body"].as_str().unwrap().as_bytes(),
        rows,
        expected.len(),
    );
    let delivered: Vec<_> = receiver
        .records()
        .iter()
        .map(|record| record["id"].as_i64().unwrap())
        .collect();
    assert_eq!(delivered, expected, "{name} delivers");

    let keeper = Keeper::start().await;
    let path = world.transparent_path(&keeper).await;
    let answer = client(name, world.rig.client.url(&path), &people).await;
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!("kept")),
        "{answer:#}"
    );
    let bodies = keeper.take();
    assert_eq!(bodies.len(), 1, "{name} is forwarded once");
    assert_eq!(
        ids_of(format, &bodies[0], &people),
        expected,
        "{name} is forwarded"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sends_from_a_generator() {
    check("requests", Format::Ndjson).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sends_a_compressed_csv() {
    check("requests-gzip", Format::Csv).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pyarrow_writes_and_reads_a_stream() {
    check("pyarrow", Format::ArrowStream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_writes_and_reads_parquet() {
    check("duckdb", Format::Parquet).await;
}

/// curl with a body of unknown length from its standard input.
async fn curl(url: &str, format: Format, arguments: &[&str], input: Vec<u8>) -> Output {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--noproxy",
            "*",
        ])
        .args(["--request", "POST", "--upload-file", "-"])
        .args(["--header", "Transfer-Encoding: chunked"])
        .args(["--header", "TE: trailers"])
        .args([
            "--header",
            &format!("Content-Type: {}", content_type(format)),
        ])
        .args(["--header", &format!("X-API-Key: {KEY}")])
        .args(arguments)
        .arg(url);
    run(command, input).await
}

/// The body goes up and comes back at the same time: it is far longer than what is buffered on
/// the way.
#[tokio::test(flavor = "multi_thread")]
async fn curl_streams_in_chunks() {
    let rows = 100_000;
    let people = people(rows);
    let world = world(&people).await;
    let expected = passing(rows);
    let (_folder, folder) = temporary_folder();
    let headers = folder.join("headers");
    let url = world.rig.client.url(&filter_path(&world, "webhook"));
    for format in [Format::Ndjson, Format::Json, Format::Csv] {
        let body = written(format, &people.schema(), std::slice::from_ref(&people));
        let arguments = ["--dump-header", headers.to_str().unwrap()];
        let output = curl(&url, format, &arguments, body).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{format:?}: {told}");
        assert_eq!(
            ids_of(format, &output.stdout, &people),
            expected,
            "{format:?}"
        );
        // curl writes trailers behind the headers.
        let told = std::fs::read_to_string(&headers).unwrap().to_lowercase();
        for (name, count) in [("read", rows), ("allowed", expected.len())] {
            let line = format!("syncguard-{name}: {count}\r");
            assert!(
                told.lines().any(|l| format!("{l}\r").starts_with(&line)),
                "{told}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_delivers_and_is_forwarded() {
    let rows = 5_000;
    let people = people(rows);
    let world = world(&people).await;
    let expected = passing(rows);
    let body = written(
        Format::Ndjson,
        &people.schema(),
        std::slice::from_ref(&people),
    );

    let receiver = Receiver::accepting().await;
    let path = world
        .deliver_path("webhook", json!({"url": receiver.url()}))
        .await;
    let url = world.rig.client.url(&path);
    let output = curl(&url, Format::Ndjson, &[], body.clone()).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_receipt(&output.stdout, rows, expected.len());
    assert_eq!(receiver.records().len(), expected.len());

    let keeper = Keeper::start().await;
    let path = world.transparent_path(&keeper).await;
    let output = curl(&world.rig.client.url(&path), Format::Ndjson, &[], body).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(output.stdout, b"kept");
    assert_eq!(ids_of(Format::Ndjson, &keeper.take()[0], &people), expected);
}

/// A record that is not well-formed, far behind the first: curl does not take the answer for
/// whole.
#[tokio::test(flavor = "multi_thread")]
async fn curl_notices_a_body_that_breaks_off() {
    let rows = 100_000;
    let people = people(rows);
    let world = world(&people).await;
    let mut body = written(
        Format::Ndjson,
        &people.schema(),
        std::slice::from_ref(&people),
    );
    body.extend_from_slice(b"{\"id\":1,\"id\":2,\"country\":\"US\"}\n");
    let url = world.rig.client.url(&filter_path(&world, "webhook"));
    let output = curl(&url, Format::Ndjson, &[], body.clone()).await;
    assert!(
        !output.status.success(),
        "a broken body looks whole to curl"
    );

    let reject = format!("{url}&on_invalid=reject");
    let output = curl(&reject, Format::Ndjson, &[], body).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        ids_of(Format::Ndjson, &output.stdout, &people),
        passing(rows)
    );
}
