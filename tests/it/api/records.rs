//! `/syncs/{syncId}/records`: what the door asks of an upload before it begins.

use reqwest::Method;
use serde_json::json;

use super::fixtures::message;
use super::{Answer, BOOTSTRAP_KEY, MEMBER, NOBODY, Server, text};

on_both_stores!(
    an_upload_is_answered_with_its_run,
    a_key_is_remembered_for_its_account,
);

const NDJSON: &str = "application/x-ndjson";
const RECORDS: &str = r#"{"id":1,"name":"Ada","country":"DE","consent":true}
{"id":2,"name":"Bo","country":"US","consent":null}
{"id":3,"name":"Cy","country":"FR"}
"#;

async fn upload(
    server: &Server,
    key: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let request = server.request(Method::POST, path).bearer_auth(key);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    server.send(request.body(body.to_owned())).await
}

async fn an_upload_is_answered_with_its_run(server: Server) {
    let ws = server.workspace().await;
    let sync = server.catalog(&ws).await.sync;
    let path = format!("{ws}/syncs/{sync}/records");
    let headers = [("content-type", NDJSON)];
    let answer = upload(&server, BOOTSTRAP_KEY, &path, &headers, RECORDS).await;
    let run_id = answer.header("syncguard-run-id").map(str::to_owned);
    assert!(answer.header("ratelimit-limit").is_some());
    assert!(answer.header("idempotency-replayed").is_none());
    let run = answer.expect(200);
    assert_eq!(Some(text(&run["id"])), run_id);
    for (field, expected) in [
        ("status", json!("succeeded")),
        ("origin", json!("upload")),
        ("sync_id", json!(sync)),
        ("read", json!(3)),
        ("delivered", json!(2)),
        ("withheld", json!(1)),
        ("error", json!(null)),
    ] {
        assert_eq!(run[field], expected, "{field}: {run:#}");
    }
    let path = format!("{ws}/runs/{}", text(&run["id"]));
    assert_eq!(server.get(&path).await.expect(200), run);
    let listed = server.get(&format!("{ws}/syncs/{sync}/runs")).await;
    assert_eq!(listed.expect(200), json!([run]));
    let audit = format!("{ws}/audit?object_id={}", text(&run["id"]));
    let audit = server.get(&audit).await.expect(200).to_string();
    assert!(
        audit.contains("run.upload") && audit.contains("run.finish"),
        "{audit}"
    );
}

async fn a_key_is_remembered_for_its_account(server: Server) {
    let ws = server.workspace().await;
    let sync = server.catalog(&ws).await.sync;
    let path = format!("{ws}/syncs/{sync}/records");
    let headers = [("content-type", NDJSON), ("idempotency-key", "one")];
    let first = upload(&server, BOOTSTRAP_KEY, &path, &headers, RECORDS).await;
    let first = first.expect(200);
    let again = upload(&server, BOOTSTRAP_KEY, &path, &headers, RECORDS).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(200), first);
    let key = server.member(&ws, "m@example.com", MEMBER).await;
    let theirs = upload(&server, &key, &path, &headers, RECORDS).await;
    assert_eq!(theirs.header("idempotency-replayed"), None);
    assert_ne!(theirs.expect(200)["id"], first["id"]);
}

#[tokio::test]
async fn what_cannot_be_an_upload_is_refused_and_makes_no_run() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let sync = server.catalog(&ws).await.sync;
    let path = format!("{ws}/syncs/{sync}/records");
    let long = "k".repeat(256);
    let json = ("content-type", NDJSON);
    for (query, headers, status) in [
        ("", &[][..], 415),
        ("", &[("content-type", "text/plain")], 415),
        ("", &[json, ("content-encoding", "br")], 415),
        ("", &[json, ("idempotency-key", "")], 400),
        ("", &[json, ("idempotency-key", "a b")], 400),
        ("", &[json, ("idempotency-key", &long)], 400),
        (
            "",
            &[json, ("idempotency-key", "a"), ("idempotency-key", "b")],
            400,
        ),
        ("?on_invalid=ignore", &[json], 422),
        ("?on_invalid=abort&on_invalid=reject", &[json], 422),
        ("?more=1", &[json], 422),
    ] {
        let path = format!("{path}{query}");
        let answer = upload(&server, BOOTSTRAP_KEY, &path, headers, RECORDS).await;
        assert_eq!(
            answer.status, status,
            "{query} {headers:?}: {}",
            answer.body
        );
        assert_eq!(answer.header("syncguard-run-id"), None);
        answer.expect(status);
    }
    let nowhere = format!("{ws}/syncs/{NOBODY}/records");
    let answer = upload(&server, BOOTSTRAP_KEY, &nowhere, &[json], RECORDS).await;
    assert_eq!(message(&answer.expect(404)), "sync not found");
    let runs = server.get(&format!("{ws}/syncs/{sync}/runs")).await;
    assert_eq!(runs.expect(200), json!([]));
}
