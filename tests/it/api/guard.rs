//! `/workspaces/{id}/models/{modelId}/guard`: the records of a stream come back without those
//! that policies withhold.

mod limits;
mod midway;
mod raw;

use std::io::{Read, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use self::raw::Raw;
use super::{BOOTSTRAP_KEY, MEMBER, NOBODY, Server};

on_both_stores!(
    every_format_passes_the_same_records,
    access_policies_of_the_caller_withhold_too,
    streams_are_in_the_audit_log,
);

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

/// The customers as a pipeline sends them: what passes must come back in this very form.
const RECORDS: [&str; 5] = [
    r#"{"id":1,"name":"Ada","country":"DE","consent":true}"#,
    r#"{ "id" : 2, "note":[1.50, {"a":"\u00e9"}], "country":"US", "name":"Bo","consent":true }"#,
    r#"{"consent":false,"country":"FR","id":3,"name":"C\u0079"}"#,
    r#"{"id":4,"name":"Di","country":"US","consent":null,"big":12345678901234567890.50}"#,
    r#"{"id":5,"name":"Ed","consent":true}"#,
];
const CUSTOMERS: &str = "\
id,name,country,consent\n1,Ada,DE,true\n2,\"B\"\"o, x\",US,true\n3,Cy,FR,false\n4,Di,\"US\",\n5,Ed,,true\n";

/// A workspace with a model of customers, and a policy for destination type `file`.
struct World {
    ws: String,
    model: String,
    policy: String,
}

impl World {
    async fn of(server: &Server) -> World {
        let ws = server.workspace().await;
        let catalog = server.catalog(&ws).await;
        World {
            ws,
            model: catalog.model,
            policy: catalog.policy,
        }
    }

    fn path(&self, query: &str) -> String {
        let World { ws, model, .. } = self;
        format!("{ws}/models/{model}/guard?destination_type=file{query}")
    }
}

/// What was answered, as it came.
struct Answered {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Answered {
    /// Records read, let pass, withheld and invalid.
    #[track_caller]
    fn counts(&self) -> [u64; 4] {
        ["read", "allowed", "withheld", "invalid"].map(|name| {
            let header = &self.headers[format!("syncguard-{name}")];
            header.to_str().unwrap().parse().unwrap()
        })
    }

    #[track_caller]
    fn error(&self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        let error: Value = serde_json::from_slice(&self.body).expect("an envelope");
        assert_eq!(error["error"]["status"], status);
        error["error"].clone()
    }

    #[track_caller]
    fn text(&self) -> &str {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

impl Server {
    async fn guarded(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answered {
        let mut request = self.request(Method::POST, path).body(body);
        if !headers.iter().any(|(name, _)| *name == "x-api-key") {
            request = request.header("x-api-key", BOOTSTRAP_KEY);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        Answered {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("a whole body").to_vec(),
        }
    }
}

fn lines(records: &[&str]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        (
            "name",
            Arc::new(StringArray::from(vec!["Ada", "Bo", "Cy", "Di", "Ed"])),
        ),
        (
            "country",
            Arc::new(StringArray::from(vec![
                Some("DE"),
                Some("US"),
                Some("FR"),
                Some("US"),
                None,
            ])),
        ),
        (
            "consent",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn parquet_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn ids(batches: impl IntoIterator<Item = RecordBatch>) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in batches {
        let column = batch.column_by_name("id").expect("ids").clone();
        let column = column
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap()
            .clone();
        ids.extend(column.values());
    }
    ids
}

async fn every_format_passes_the_same_records(server: Server) {
    let world = World::of(&server).await;
    let ask = async |media_type: &str, body: Vec<u8>| {
        let answer = server
            .guarded(&world.path(""), &[("content-type", media_type)], body)
            .await;
        let told = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{media_type}: {told}");
        assert_eq!(answer.headers[CONTENT_TYPE], media_type);
        assert_eq!(answer.counts(), [5, 3, 2, 0], "{media_type}");
        assert!(answer.headers.contains_key("syncguard-policy-revision"));
        assert!(answer.headers.contains_key("content-length"));
        answer.body
    };
    let ndjson = ask(NDJSON, lines(&RECORDS).into()).await;
    assert_eq!(String::from_utf8_lossy(&ndjson), lines(&RECORDS[1..4]));

    let array = ask(JSON, format!("[\n{}\n]", RECORDS.join(" ,\n")).into()).await;
    let array = String::from_utf8(array).unwrap();
    let parsed: Vec<Value> = serde_json::from_str(&array).expect("an array");
    let ids_of_array: Vec<_> = parsed.iter().map(|record| record["id"].clone()).collect();
    assert_eq!(ids_of_array, [2, 3, 4]);
    for passing in &RECORDS[1..4] {
        assert!(array.contains(passing), "{array}");
    }

    let csv = ask(CSV, CUSTOMERS.into()).await;
    let kept: Vec<_> = CUSTOMERS.lines().collect();
    let kept = [kept[0], kept[2], kept[3], kept[4]].map(|line| format!("{line}\n"));
    assert_eq!(String::from_utf8_lossy(&csv), kept.concat());

    let stream = ask(ARROW, arrow_stream(&batch())).await;
    let reader = StreamReader::try_new(stream.as_slice(), None).expect("a stream");
    assert_eq!(reader.schema(), batch().schema());
    assert_eq!(ids(reader.map(Result::unwrap)), [2, 3, 4]);

    let file = ask(PARQUET, parquet_file(&batch())).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file));
    let reader = reader.expect("a file").build().unwrap();
    assert_eq!(ids(reader.map(Result::unwrap)), [2, 3, 4]);
}

#[tokio::test]
async fn a_coding_comes_back_as_it_was_sent() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let text = lines(&RECORDS);
    let passing = lines(&RECORDS[1..4]);
    let ask = async |coding: &str, body: Vec<u8>| {
        let headers = [("content-type", NDJSON), ("content-encoding", coding)];
        let answer = server.guarded(&world.path(""), &headers, body).await;
        let told = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{coding}: {told}");
        assert_eq!(answer.counts(), [5, 3, 2, 0], "{coding}");
        answer
    };
    let answer = ask("gzip", gzip(text.as_bytes())).await;
    assert_eq!(answer.headers[CONTENT_ENCODING], "gzip");
    let mut plain = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice())
        .read_to_string(&mut plain)
        .expect("gzip");
    assert_eq!(plain, passing);

    let answer = ask("ZSTD", zstd::encode_all(text.as_bytes(), 3).unwrap()).await;
    assert_eq!(answer.headers[CONTENT_ENCODING], "zstd");
    let plain = zstd::decode_all(answer.body.as_slice()).expect("zstd");
    assert_eq!(String::from_utf8(plain).unwrap(), passing);

    let answer = ask("identity", text.into()).await;
    assert!(!answer.headers.contains_key(CONTENT_ENCODING));
    assert_eq!(answer.text(), passing);
}

#[tokio::test]
async fn what_is_declared_is_what_is_read() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let text = lines(&RECORDS);
    let headers: [&[(&str, &str)]; 8] = [
        &[],
        &[("content-type", "")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-ndjson; charset=latin1")],
        &[("content-type", NDJSON), ("content-type", CSV)],
        &[("content-type", NDJSON), ("content-encoding", "br")],
        &[("content-type", NDJSON), ("content-encoding", "gzip, gzip")],
        &[("content-type", NDJSON), ("content-encoding", "")],
    ];
    for headers in headers {
        let answer = server.guarded(&world.path(""), headers, text.clone()).await;
        let error = answer.error(415);
        assert_eq!(error["code"], "unsupported_media_type", "{headers:?}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(PARQUET) || message.contains("zstd"),
            "{message}"
        );
    }
    // Nothing is sniffed: records in another form than declared are none.
    for (media_type, body) in [
        (JSON, lines(&RECORDS)),
        (NDJSON, format!("[{}]", RECORDS.join(","))),
        (NDJSON, CUSTOMERS.to_owned()),
        (PARQUET, lines(&RECORDS)),
    ] {
        let answer = server
            .guarded(&world.path(""), &[("content-type", media_type)], body)
            .await;
        answer.error(400);
    }
    // Text may look like the length of an Arrow message, and then it is too long.
    let arrow = [("content-type", ARROW)];
    let answer = server.guarded(&world.path(""), &arrow, text.clone()).await;
    assert!([400, 413].contains(&answer.status), "{}", answer.status);
    let gzipped = [("content-type", NDJSON), ("content-encoding", "gzip")];
    let answer = server.guarded(&world.path(""), &gzipped, text).await;
    answer.error(400);
}

#[tokio::test]
async fn a_query_is_validated() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let path = format!("{}/models/{}/guard", world.ws, world.model);
    for (query, paths) in [
        ("", vec!["$query.destination_type"]),
        ("?destination_type=A", vec!["$query.destination_type"]),
        (
            "?destination_type=file&on_invalid=skip&x=1",
            vec!["$query.on_invalid", "$query.x"],
        ),
    ] {
        let answer = server.post(&format!("{path}{query}"), json!([])).await;
        assert_eq!(answer.faults(), paths, "{query}");
    }
}

#[tokio::test]
async fn it_takes_the_permission_and_a_model() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let headers = |key| [("content-type", NDJSON), ("x-api-key", key)];
    let me = server.owner_id().await;
    let limited = server.key(&me, json!(["models:read", "syncs:read"])).await;
    let (_, stranger) = server.account("s@example.com", json!(["*"])).await;
    let role = server.role(&world.ws, "reader", &["syncs.read"]).await;
    let (_, reader) = server.joined(&world.ws, "r@example.com", &role).await;
    let unknown = world.path("").replace(&world.model, NOBODY);
    for (key, path, status) in [
        ("sgk_no_key", world.path(""), 401),
        (&limited, world.path(""), 403),
        (&reader, world.path(""), 403),
        (&stranger, world.path(""), 404),
        (BOOTSTRAP_KEY, unknown, 404),
    ] {
        let answer = server.guarded(&path, &headers(key), lines(&RECORDS)).await;
        answer.error(status);
    }
}

async fn access_policies_of_the_caller_withhold_too(server: Server) {
    let world = World::of(&server).await;
    let (account, key) = server.joined(&world.ws, "m@example.com", MEMBER).await;
    let ask = async || {
        let headers = [("content-type", NDJSON), ("x-api-key", key.as_str())];
        let answer = server
            .guarded(&world.path(""), &headers, lines(&RECORDS))
            .await;
        (answer.counts(), answer.text().to_owned())
    };
    assert_eq!(ask().await.0, [5, 3, 2, 0]);
    let category = server.category(&world.ws, "Region", "deny").await;
    let tree = super::fixtures::equals("country", "FR");
    let model = Some(world.model.as_str());
    let subset = server.subset(&world.ws, &category, model, "FR", tree).await;
    assert_eq!(ask().await, ([5, 0, 5, 0], String::new()));
    let group = server.group(&world.ws, "FR", None).await;
    server.assign(&world.ws, &subset, &group).await;
    server.enroll(&world.ws, &group, &account).await;
    assert_eq!(ask().await, ([5, 1, 4, 0], lines(&RECORDS[2..3])));
}

#[tokio::test]
async fn a_record_that_is_not_well_formed_ends_the_stream_or_is_left_out() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let headers = [("content-type", NDJSON)];
    for bad in [
        r#"{"id":7,"country":"DE","country":"US"}"#,
        r#"{"id":7,"country":"DE","c\u006funtry":"US"}"#,
        r#"{"id":7,"Country":"DE","country":"US"}"#,
        r#"{"id":7,"country":"US"} {"id":8,"country":"DE"}"#,
        r#"{"id":7,"country":7}"#,
        "[]",
        "nonsense",
    ] {
        let body = lines(&[RECORDS[1], bad, RECORDS[2]]);
        for query in ["", "&on_invalid=abort"] {
            let answer = server
                .guarded(&world.path(query), &headers, body.clone())
                .await;
            let error = answer.error(400);
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("line 2"), "{bad}: {message}");
        }
        let reject = world.path("&on_invalid=reject");
        let answer = server.guarded(&reject, &headers, body).await;
        assert_eq!(answer.text(), lines(&RECORDS[1..3]), "{bad}");
        assert_eq!(answer.counts(), [3, 2, 0, 1], "{bad}");
    }
}

#[tokio::test]
async fn records_without_a_column_that_policies_read_are_refused() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let without = batch().project(&[0, 1, 3]).unwrap();
    for (media_type, body) in [
        (CSV, b"id,name\n1,Ada\n".to_vec()),
        (ARROW, arrow_stream(&without)),
        (PARQUET, parquet_file(&without)),
    ] {
        let answer = server
            .guarded(&world.path(""), &[("content-type", media_type)], body)
            .await;
        let error = answer.error(422);
        assert!(error.to_string().contains("country"), "{error}");
    }
    // A destination that knows no case would take it for the column.
    let body = b"id,Country\n1,US\n".to_vec();
    let answer = server
        .guarded(&world.path(""), &[("content-type", CSV)], body)
        .await;
    let error = answer.error(400);
    assert!(error.to_string().contains("country"), "{error}");
}

#[tokio::test]
async fn without_a_policy_everything_passes_unless_one_is_required() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let path = world.path("").replace("=file", "=webhook");
    let headers = [("content-type", NDJSON)];
    let answer = server.guarded(&path, &headers, lines(&RECORDS)).await;
    assert_eq!(answer.text(), lines(&RECORDS));
    assert_eq!(answer.counts(), [5, 5, 0, 0]);
    let strict = json!({"name": "default", "require_destination_policy": true});
    server.put(&world.ws, strict).await.expect(200);
    let answer = server.guarded(&path, &headers, lines(&RECORDS)).await;
    assert_eq!(answer.error(409)["code"], "conflict");
}

#[tokio::test]
async fn an_empty_stream_is_answered_with_an_empty_one() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let headers = [("content-type", NDJSON)];
    let answer = server.guarded(&world.path(""), &headers, "").await;
    assert_eq!(answer.text(), "");
    assert_eq!(answer.counts(), [0; 4]);
    assert!(answer.headers.contains_key("syncguard-policy-revision"));
}

#[tokio::test]
async fn an_idempotency_key_changes_nothing() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let headers = [("content-type", NDJSON), ("idempotency-key", "again")];
    for records in [&RECORDS[1..3], &RECORDS[1..2]] {
        let answer = server
            .guarded(&world.path(""), &headers, lines(records))
            .await;
        assert_eq!(answer.text(), lines(records));
        assert!(!answer.headers.contains_key("idempotency-replayed"));
    }
}

async fn streams_are_in_the_audit_log(server: Server) {
    let world = World::of(&server).await;
    let headers = [("content-type", NDJSON)];
    let answer = server
        .guarded(&world.path(""), &headers, lines(&RECORDS))
        .await;
    let revision: u64 = answer.headers["syncguard-policy-revision"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let mut broken = Raw::open(&server, &world.path(""), "").await;
    broken.send(&lines(&RECORDS[..2])).await;
    broken.until(RECORDS[1]).await;
    drop(broken);
    let path = format!("{}/audit?action=model.guard", world.ws);
    let mut told = Vec::new();
    // The line of a stream that broke off is written when the server notices.
    for _ in 0..1000 {
        let listed = server.get(&path).await.expect(200);
        told = listed.as_array().expect("lines").clone();
        if told.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let of = |index: usize| &told[index]["line"];
    assert_eq!(told.len(), 2, "{told:?}");
    let expected = json!({
        "destination_type": "file",
        "format": "ndjson",
        "complete": true,
        "read": 5,
        "allowed": 3,
        "withheld": 2,
        "invalid": 0,
        "withheld_by": [{"policy_id": world.policy, "kind": "destination", "count": 2}],
    });
    let mut after = of(0)["after"].clone();
    let passage = after.as_object_mut().unwrap().remove("passage_id");
    assert!(passage.is_some_and(|id| id.is_string()));
    assert_eq!(after, expected);
    assert_eq!(of(0)["revision"], revision);
    assert_eq!(of(0)["object_id"], json!(world.model));
    assert_eq!(of(1)["after"]["complete"], false);
    assert_eq!(of(1)["after"]["read"], 2);
}
