//! The audit log: filters, pages, the export, and who may read it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};
use syncguard::audit::{Chain, Event, Verifier};
use syncguard::principal::Act;
use syncguard::store::Store;
use uuid::Uuid;

use super::{BOOTSTRAP_KEY, MEMBER, Server, text};

fn store_url(server: &Server) -> String {
    let file = server.folder.path().join("data/syncguard.db");
    format!("sqlite://{}", file.display())
}

fn id_of(workspace: &str) -> Uuid {
    let (_, id) = workspace.rsplit_once('/').expect("a path");
    id.parse().expect("an id")
}

fn event(action: &'static str) -> Event {
    Event {
        action: action.to_owned(),
        object_kind: "probe",
        object_id: Some(Uuid::from_u128(3)),
        revision: Some(7_000_000),
        before: None,
        after: Some(json!({"big": 9007199254740993_u64, "text": "é\n"})),
    }
}

/// Records lines beside those that the server itself writes.
async fn record(server: &Server, workspace: &str, action: &'static str, lines: i64) {
    let store = Store::open(&store_url(server)).await.expect("the store");
    for second in 0..lines {
        let act = Act {
            account_id: Uuid::from_u128(1),
            key_id: None,
            request_id: None,
            at: chrono::DateTime::from_timestamp(1_000_000_000 + second, 0).expect("a time"),
        };
        store
            .record(Some(id_of(workspace)), &act, &event(action))
            .await
            .expect("a line");
    }
    store.close().await;
}

async fn list(server: &Server, workspace: &str, query: &str) -> Vec<Value> {
    let path = format!("{workspace}/audit?{query}");
    let lines = server.get(&path).await.expect(200);
    lines.as_array().expect("lines").clone()
}

#[tokio::test]
async fn lines_are_filtered_and_paged() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    record(&server, &ws, "probe.create", 3).await;
    record(&server, &ws, "probe.update", 2).await;
    let lines = list(&server, &ws, "action=probe.").await;
    assert_eq!(lines.len(), 5);
    let line = &lines[0]["line"];
    assert_eq!(line["workspace_id"], text(&json!(id_of(&ws))));
    assert_eq!(line["at"], "2001-09-09T01:46:40Z");
    assert_eq!(line["after"]["text"], "é\n");
    assert_eq!(lines[1]["previous"], lines[0]["hash"]);
    for (query, expected) in [
        ("action=probe.create", 3),
        ("action=probe", 0),
        ("object_kind=probe&revision=7000000", 5),
        ("object_kind=probe&revision=7", 0),
        ("object_id=00000000-0000-0000-0000-000000000003", 5),
        ("object_id=00000000-0000-0000-0000-000000000004", 0),
        ("account_id=00000000-0000-0000-0000-000000000001", 5),
        ("action=probe.&from=2001-09-09T01:46:41Z", 3),
        ("action=probe.&from=2001-09-09T03:46:41%2B02:00", 3),
        ("action=probe.&to=2001-09-09T01:46:41Z", 2),
        ("action=probe.&limit=4&format=json", 4),
        ("action=probe.&limit=1000", 5),
    ] {
        let found = list(&server, &ws, query).await;
        assert_eq!(found.len(), expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut after = Value::from(0);
    loop {
        let page = list(
            &server,
            &ws,
            &format!("action=probe.&limit=2&after={after}"),
        )
        .await;
        let Some(last) = page.last() else { break };
        after = last["line"]["seq"].clone();
        seen.extend(page);
    }
    assert_eq!(seen, lines);
}

#[tokio::test]
async fn every_fault_of_a_query_is_told_at_once() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let query = "action=a%20b&object_kind=&object_id=x&account_id=1&revision=-1&from=2026&\
                 to=2026-01-31T00:00:00&after=x&limit=1001&format=csv&order=desc&after=1";
    let answer = server.get(&format!("{ws}/audit?{query}")).await;
    let expected = [
        "$query.account_id",
        "$query.action",
        "$query.after",
        "$query.format",
        "$query.from",
        "$query.limit",
        "$query.object_id",
        "$query.object_kind",
        "$query.order",
        "$query.revision",
        "$query.to",
    ];
    assert_eq!(answer.faults(), expected);
    let answer = server
        .get(&format!("{ws}/audit?limit=0&format=ndjson"))
        .await;
    assert_eq!(answer.faults(), ["$query.limit"]);
}

#[tokio::test]
async fn export_of_more_than_a_page_is_verified_without_the_store() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    record(&server, &ws, "probe.create", 250).await;
    for (query, accept) in [
        ("?format=ndjson", "*/*"),
        ("", "text/html, application/x-ndjson;q=0.9"),
    ] {
        let answer = server
            .request(Method::GET, &format!("{ws}/audit{query}"))
            .bearer_auth(BOOTSTRAP_KEY)
            .header("accept", accept)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let body = answer.bytes().await.expect("a body");
        let mut verifier = Verifier::of(Chain::Workspace(id_of(&ws)), BTreeSet::new());
        let mut probes = 0;
        for line in body
            .strip_suffix(b"\n")
            .expect("lines")
            .split(|b| *b == b'\n')
        {
            let line = verifier.feed_exported(line).expect("a line");
            probes += u32::from(line.action == "probe.create");
        }
        let report = verifier.finish();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(probes, 250);
    }
    for (limit, expected) in [(1, 1), (100, 100), (101, 101), (200, 200), (1001, 250)] {
        let path = format!("{ws}/audit?format=ndjson&action=probe.create&limit={limit}");
        let request = server
            .request(Method::GET, &path)
            .bearer_auth(BOOTSTRAP_KEY);
        let body = request.send().await.expect("an answer").bytes().await;
        let lines = body.expect("a body").split(|b| *b == b'\n').count() - 1;
        assert_eq!(lines, expected, "{limit}");
    }
    let path = format!("{ws}/audit?format=ndjson&action=probe.other");
    let request = server
        .request(Method::GET, &path)
        .bearer_auth(BOOTSTRAP_KEY);
    let body = request.send().await.expect("an answer").bytes().await;
    assert!(body.expect("a body").is_empty());
}

#[tokio::test]
async fn export_that_fails_on_its_way_breaks_off() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    record(&server, &ws, "probe.create", 250).await;
    let url = store_url(&server);
    let mut connection = SqliteConnection::connect(&url).await.expect("the store");
    connection
        .execute("DROP TRIGGER audit_lines_not_changed")
        .await
        .expect("no trigger");
    connection
        .execute(
            "UPDATE audit_lines SET line = 'no JSON'
             WHERE seq = (SELECT max(seq) FROM audit_lines WHERE action = 'probe.create')",
        )
        .await
        .expect("a line that cannot be read");
    let path = format!("{ws}/audit?format=ndjson&action=probe.create");
    let request = server
        .request(Method::GET, &path)
        .bearer_auth(BOOTSTRAP_KEY);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err(), "a body that looks whole");
    let path = format!("{ws}/audit?action=probe.create&limit=1000");
    server.get(&path).await.expect(500);
}

#[tokio::test]
async fn log_is_read_with_the_scope_and_in_its_own_workspace_only() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    record(&server, &ws, "probe.create", 2).await;
    for (email, scopes, status) in [
        (
            "a@example.com",
            json!(["sources:read", "governance:write"]),
            403,
        ),
        ("b@example.com", json!(["governance:read"]), 200),
    ] {
        let (account_id, key) = server.account(email, scopes).await;
        let member = json!({"account_id": account_id, "role_id": MEMBER});
        server
            .post(&format!("{ws}/members"), member)
            .await
            .expect(201);
        for query in ["", "?format=ndjson", "?limit=x"] {
            let path = format!("{ws}/audit{query}");
            let answer = server.ask(Some(&key), Method::GET, &path, None).await;
            let expected = if query == "?limit=x" && status == 200 {
                422
            } else {
                status
            };
            assert_eq!(answer.status, expected, "{email} {query}");
        }
    }
    let other = json!({"name": "other"});
    let other = server.post("/api/v1/workspaces", other).await.expect(201);
    let other = format!("/api/v1/workspaces/{}", text(&other["id"]));
    assert!(list(&server, &other, "action=probe.").await.is_empty());
    assert_eq!(list(&server, &ws, "action=probe.").await.len(), 2);
}
