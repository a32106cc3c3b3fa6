//! Streams in every format, transparent requests, and a store that cannot write down.

use std::io::{Read, Write};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
};
use arrow::datatypes::Field;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};
use syncguard::guard::Guard;
use syncguard::wire::Format;
use syncguard::wire::stream::OnInvalid;

use super::differential::{guard_of, policy};
use super::{ALERT, BLOCK, CARDS, card, forbid, spaced, tells, violations};
use crate::rig::{KEY, Rig, condition, text};
use crate::streams::served::Keeper;
use crate::streams::wires::{content_type, keys, written};
use crate::streams::{FORMATS, Way, stream};

/// Three records, of which the second has the number in a text: deep down, if the format can.
fn records(format: Format) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let planted = format!("card: {}, thanks", spaced());
    let texts = vec![Some("no number here"), Some(planted.as_str()), None];
    if format == Format::Csv {
        let notes: ArrayRef = Arc::new(StringArray::from(texts));
        return RecordBatch::try_from_iter([("id", ids), ("notes", notes)]).unwrap();
    }
    let mut lines = ListBuilder::new(StringBuilder::new());
    for text in texts {
        lines.append_value([Some("first"), text, Some("last")]);
    }
    let lines: ArrayRef = Arc::new(lines.finish());
    let field = Arc::new(Field::new("lines", lines.data_type().clone(), true));
    let notes: ArrayRef = Arc::new(StructArray::from(vec![(field, lines)]));
    RecordBatch::try_from_iter([("id", ids), ("notes", notes)]).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A server with a model of such records.
struct Stage {
    rig: Rig,
    http: reqwest::Client,
    workspace: String,
    model: String,
}

impl Stage {
    async fn of(sample: &RecordBatch) -> Stage {
        let rig = Rig::start(|_| {}).await;
        let file = written(
            Format::Parquet,
            &sample.schema(),
            std::slice::from_ref(sample),
        );
        std::fs::write(rig.files().join("sample.parquet"), file).unwrap();
        let config = json!({"path": "sample.parquet"});
        let source = rig.client.source("files", config).await;
        let query = json!({"table": "files", "primary_key": ["id"]});
        let model = rig.client.model(&source, query).await;
        let me = rig.client.get("/api/v1/me").await;
        Stage {
            workspace: text(&me["workspaces"][0]["id"]),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            rig,
            model,
        }
    }

    fn filter_path(&self) -> String {
        let Stage {
            workspace, model, ..
        } = self;
        format!("/api/v1/workspaces/{workspace}/models/{model}/guard?destination_type=webhook")
    }

    /// Sends records; answers the status and the body, empty if it broke off.
    async fn send(&self, path: &str, format: Format, body: Vec<u8>, zipped: bool) -> (u16, Bytes) {
        let request = self
            .http
            .post(self.rig.client.url(path))
            .header("x-api-key", KEY)
            .header("content-type", content_type(format));
        let request = match zipped {
            true => request.header("content-encoding", "gzip").body(gzip(&body)),
            false => request.body(body),
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let zipped = answer.headers().contains_key("content-encoding");
        let body = answer.bytes().await.unwrap_or_default();
        if !zipped {
            return (status, body);
        }
        let mut plain = Vec::new();
        MultiGzDecoder::new(&body[..])
            .read_to_end(&mut plain)
            .unwrap();
        (status, plain.into())
    }
}

#[tokio::test]
async fn a_number_is_withheld_in_each_format_and_coding() {
    for format in FORMATS {
        let batch = records(format);
        let stage = Stage::of(&batch).await;
        forbid(&stage.rig.client, CARDS, BLOCK, json!({})).await;
        let schema = batch.schema();
        let bytes = written(format, &schema, std::slice::from_ref(&batch));
        for zipped in [false, true] {
            let path = stage.filter_path();
            let (status, out) = stage.send(&path, format, bytes.clone(), zipped).await;
            assert_eq!(status, 200, "{format:?}: {}", String::from_utf8_lossy(&out));
            assert_eq!(
                keys(format, &out, &schema, &["id"]),
                ["1", "3"],
                "{format:?}"
            );
            assert!(!tells(&String::from_utf8_lossy(&out)), "{format:?}");
        }
        let keeper = Keeper::start().await;
        let config = json!({
            "url": keeper.url(),
            "proxy": {"model_id": stage.model, "records": {"body": true}},
        });
        let destination = stage.rig.client.destination("webhook", config).await;
        let path = format!("/proxy/{}/{destination}/in", stage.workspace);
        let (status, _) = stage.send(&path, format, bytes.clone(), false).await;
        assert_eq!(status, 200, "{format:?}");
        let kept = keeper.take();
        assert_eq!(
            keys(format, &kept[0], &schema, &["id"]),
            ["1", "3"],
            "{format:?}"
        );
        assert!(!tells(&String::from_utf8_lossy(&kept[0])), "{format:?}");

        let config = json!({"url": keeper.url()});
        let destination = stage.rig.client.destination("webhook", config).await;
        let sync = stage
            .rig
            .client
            .sync(&stage.model, &destination, json!({}))
            .await;
        let path = format!(
            "/api/v1/workspaces/{}/syncs/{sync}/records",
            stage.workspace
        );
        let (status, receipt) = stage.send(&path, format, bytes, false).await;
        let receipt = String::from_utf8_lossy(&receipt).into_owned();
        assert_eq!(status, 200, "{format:?}: {receipt}");
        assert!(receipt.contains("content") && !tells(&receipt), "{receipt}");
        for body in keeper.take() {
            assert!(!tells(&String::from_utf8_lossy(&body)), "{format:?}");
        }
        // Two streams, a transparent request and an upload.
        assert_eq!(violations(&stage.rig.client, "violations").await.len(), 4);
    }
}

#[tokio::test]
async fn a_number_is_found_however_json_has_it() {
    let stage = Stage::of(&records(Format::Ndjson)).await;
    forbid(&stage.rig.client, CARDS, BLOCK, json!({})).await;
    let (number, spaced) = (card(), spaced());
    let escaped: String = spaced
        .bytes()
        .map(|byte| format!("\\u{byte:04x}"))
        .collect();
    let (first, rest) = number.split_at(1);
    let planted = [
        format!(r#"{{"id": 1, "other": "{spaced}"}}"#),
        format!(r#"{{"id": 1, "other": {{"deep": [[{{"deeper": "x {spaced}"}}]]}}}}"#),
        format!(r#"{{"id": 1, "other": "{escaped}"}}"#),
        format!(r#"{{"id": 1, "other": {number}}}"#),
        format!(r#"{{"id": 1, "other": [{number}.0]}}"#),
        format!(r#"{{"id": 1, "other": {first}.{rest}e15}}"#),
        format!(r#"{{"id": 1, "other": {{"{spaced}": true}}}}"#),
        format!(r#"{{"id": 1, "{number}": true}}"#),
        format!(r#"{{"id": 1, "other": "{first}\u200b{rest}"}}"#),
    ];
    for record in &planted {
        let body = format!("{record}\n{{\"id\": 2, \"other\": \"fine\"}}\n");
        let (status, out) = stage
            .send(
                &stage.filter_path(),
                Format::Ndjson,
                body.into_bytes(),
                false,
            )
            .await;
        let out = String::from_utf8_lossy(&out).into_owned();
        assert_eq!(status, 200, "{record}: {out}");
        assert_eq!(out, "{\"id\": 2, \"other\": \"fine\"}\n", "{record}");
    }
    let found = violations(&stage.rig.client, "violations").await;
    assert!(found.len() >= planted.len(), "{found:#?}");
    for within in [
        format!(r#"{{"$serde_json::private::Number": "{spaced}"}}"#),
        format!(r#"{{"other": {{"$serde_json::private::Number": "{spaced}"}}}}"#),
    ] {
        let path = stage.filter_path();
        let sent = stage.send(&path, Format::Ndjson, within.clone().into_bytes(), false);
        assert_eq!(sent.await.0, 400, "{within}");
    }
}

#[tokio::test]
async fn a_whole_number_is_looked_at_in_columnar_formats() {
    let number: i64 = card().parse().unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![number, 7]));
    let batch = RecordBatch::try_from_iter([("id", ids), ("number", numbers)]).unwrap();
    let stage = Stage::of(&batch).await;
    forbid(&stage.rig.client, CARDS, BLOCK, json!({})).await;
    for format in FORMATS {
        let bytes = written(format, &batch.schema(), std::slice::from_ref(&batch));
        let (status, out) = stage.send(&stage.filter_path(), format, bytes, false).await;
        assert_eq!(status, 200, "{format:?}");
        assert_eq!(
            keys(format, &out, &batch.schema(), &["id"]),
            ["2"],
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn a_policy_that_alerts_lets_pass_byte_for_byte() {
    let stage = Stage::of(&records(Format::Ndjson)).await;
    forbid(&stage.rig.client, CARDS, ALERT, json!({})).await;
    let body = format!("{{\"id\": 1,  \"other\": \"{}\"}}\n", spaced());
    let path = stage.filter_path();
    let (status, out) = stage
        .send(&path, Format::Ndjson, body.clone().into_bytes(), false)
        .await;
    assert_eq!((status, &out[..]), (200, body.as_bytes()));
    let found = violations(&stage.rig.client, "violations").await;
    assert_eq!(found.len(), 1);
    let told = found[0].to_string();
    assert!(
        told.contains("line 1") && told.contains("9999 9999 9999 9999"),
        "{told}"
    );
    assert_eq!(violations(&stage.rig.client, "alerts").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_put_on_record_does_not_leave() {
    let stage = Stage::of(&records(Format::Ndjson)).await;
    forbid(&stage.rig.client, CARDS, ALERT, json!({})).await;
    let store = stage.rig.files().parent().unwrap().join("syncguard.db");
    let url = format!("sqlite://{}", store.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let gone = "ALTER TABLE content_violations RENAME TO elsewhere";
    connection.execute(gone).await.unwrap();
    let line = |id: u64, said: &str| format!("{{\"id\": {id}, \"other\": \"{said}\"}}\n");
    let fine = line(1, "fine");
    let planted = line(2, &spaced());
    let path = stage.filter_path();
    let (_, out) = stage
        .send(
            &path,
            Format::Ndjson,
            (fine.clone() + &planted).into_bytes(),
            false,
        )
        .await;
    let out = String::from_utf8_lossy(&out).into_owned();
    assert!(!out.contains("fine") && !tells(&out), "{out}");
    let keeper = Keeper::start().await;
    let config = json!({
        "url": keeper.url(),
        "proxy": {"model_id": stage.model, "records": {"body": true}},
    });
    let destination = stage.rig.client.destination("webhook", config).await;
    let path = format!("/proxy/{}/{destination}/in", stage.workspace);
    let (status, out) = stage
        .send(&path, Format::Ndjson, planted.into_bytes(), false)
        .await;
    assert!(
        status >= 500 && !tells(&String::from_utf8_lossy(&out)),
        "{status}"
    );
    assert!(keeper.take().is_empty());
    // Nothing is found here, and nothing need be written down.
    let path = stage.filter_path();
    let (status, out) = stage
        .send(&path, Format::Ndjson, fine.clone().into_bytes(), false)
        .await;
    assert_eq!((status, &out[..]), (200, fine.as_bytes()));
}

#[tokio::test]
async fn filters_are_asked_before_content_policies() {
    let stage = Stage::of(&records(Format::Ndjson)).await;
    let filter = condition("id", "greater_than", json!(1));
    stage
        .rig
        .client
        .policy(&stage.model, "webhook", filter)
        .await;
    forbid(&stage.rig.client, CARDS, BLOCK, json!({})).await;
    let line = |id: u64| format!("{{\"id\": {id}, \"other\": \"{}\"}}\n", spaced());
    let body = line(1) + &line(2) + "{\"id\": 3}\n";
    let (status, out) = stage
        .send(
            &stage.filter_path(),
            Format::Ndjson,
            body.into_bytes(),
            false,
        )
        .await;
    assert_eq!((status, &out[..]), (200, &b"{\"id\": 3}\n"[..]));
    // What another policy withholds does not leave, and so violates nothing.
    assert_eq!(violations(&stage.rig.client, "violations").await.len(), 1);
}

#[test]
fn records_of_ever_new_keys_are_refused_or_read_and_never_held() {
    let schema = records(Format::Ndjson).schema();
    let guard = guard_of(&schema, &[], &[policy(1, BLOCK, CARDS)]);
    let key = |row: usize| format!("{{\"id\": 1, \"k{row:0200}\": {{\"a\": 1}}}}\n");
    let body: String = (0..20_000).map(key).collect();
    let way = Way::plain(OnInvalid::Abort);
    let streamed = stream(Format::Ndjson, &way, body.as_bytes(), |_| {
        Some(Guard::clone(&guard))
    });
    assert!(streamed.end.is_ok(), "{:?}", streamed.end);
    assert_eq!(streamed.verdicts.len(), 20_000);
}
