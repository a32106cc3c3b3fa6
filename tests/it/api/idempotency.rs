//! `Idempotency-Key`: a POST that is sent again has its effect once.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{ADMIN, Answer, BOOTSTRAP_KEY, Server, text};

/// A POST under an idempotency key.
async fn post(server: &Server, key: &str, path: &str, once: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, path).bearer_auth(key);
    let request = request.header("idempotency-key", once);
    server.send(request.body(body.to_string())).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

async fn names(server: &Server, path: &str) -> Vec<String> {
    let listed = server.get(path).await.expect(200);
    let listed = listed.as_array().expect("an array");
    listed.iter().map(|object| text(&object["name"])).collect()
}

fn source(name: &str) -> Value {
    json!({"name": name, "type": "files", "config": {"path": "customers.csv"}})
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_and_creates_nothing() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    let first = post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a")).await;
    assert!(!is_replayed(&first));
    let again = post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a")).await;
    assert!(is_replayed(&again));
    for name in ["etag", "content-type"] {
        assert!(first.header(name).is_some(), "{name}");
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert!(again.header("ratelimit-limit").is_some());
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(names(&server, &sources).await, ["a"]);
}

#[tokio::test]
async fn a_repeated_policy_tells_its_revision_again() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let rules = format!("{ws}/destination-rules");
    let body = json!({
        "name": "p", "destination_type": "file", "filter_tree": super::not_in("country", ["DE"]),
    });
    let first = post(&server, BOOTSTRAP_KEY, &rules, "one", &body).await;
    let again = post(&server, BOOTSTRAP_KEY, &rules, "one", &body).await;
    let revision = |answer: &Answer| {
        let revision = answer.header("syncguard-policy-revision");
        revision.expect("a revision").to_owned()
    };
    assert_eq!(revision(&first), revision(&again));
    assert_eq!(first.expect(201), again.expect(201));
}

#[tokio::test]
async fn concurrent_requests_under_one_key_create_one_object() {
    let server = Server::start().await;
    let accounts = "/api/v1/accounts";
    let body = json!({"email": "a@example.com", "name": "a"});
    let attempts = (0..8).map(|_| post(&server, BOOTSTRAP_KEY, accounts, "one", &body));
    let answers = futures::future::join_all(attempts).await;
    let mut made = Vec::new();
    for answer in answers {
        match answer.status {
            201 => made.push(answer),
            _ => drop(answer.expect(409)),
        }
    }
    assert_eq!(made.iter().filter(|made| !is_replayed(made)).count(), 1);
    let first = text(&made[0].body["id"]);
    assert!(made.iter().all(|made| text(&made.body["id"]) == first));
    assert_eq!(names(&server, accounts).await, ["Owner", "a"]);
}

#[tokio::test]
async fn a_key_of_another_request_is_refused() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let sources = format!("{ws}/sources");
    post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a"))
        .await
        .expect(201);
    let other_body = post(&server, BOOTSTRAP_KEY, &sources, "one", &source("b")).await;
    assert_eq!(other_body.faults(), ["$header.Idempotency-Key"]);
    let path = "/api/v1/accounts";
    let other_path = post(&server, BOOTSTRAP_KEY, path, "one", &source("a")).await;
    assert_eq!(other_path.faults(), ["$header.Idempotency-Key"]);
    assert_eq!(names(&server, &sources).await, ["a"]);
}

#[tokio::test]
async fn another_account_has_keys_of_its_own() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let sources = format!("{ws}/sources");
    let key = server.member(&ws, "admin@example.com", ADMIN).await;
    post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a"))
        .await
        .expect(201);
    let theirs = post(&server, &key, &sources, "one", &source("b")).await;
    assert!(!is_replayed(&theirs));
    theirs.expect(201);
    // The very request of the other account is not answered from there either.
    let same = post(&server, &key, &sources, "two", &source("a")).await;
    same.expect(409);
    assert_eq!(names(&server, &sources).await, ["a", "b"]);
}

#[tokio::test]
async fn another_api_key_does_not_learn_what_was_answered() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    let id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    let weak = server.key(&id, json!(["insights:read"])).await;
    post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a"))
        .await
        .expect(201);
    let answer = post(&server, &weak, &sources, "one", &source("a")).await;
    assert_eq!(answer.faults(), ["$header.Idempotency-Key"]);
    let request = server.request(Method::POST, &sources);
    let request = request.header("idempotency-key", "one");
    let answer = server.send(request.body(source("a").to_string())).await;
    answer.expect(401);
}

#[tokio::test]
async fn who_has_left_the_workspace_is_answered_as_if_there_were_none() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let sources = format!("{ws}/sources");
    let key = server.member(&ws, "admin@example.com", ADMIN).await;
    let me = server
        .ask(Some(&key), Method::GET, "/api/v1/me", None)
        .await;
    let id = text(&me.expect(200)["account"]["id"]);
    post(&server, &key, &sources, "one", &source("a"))
        .await
        .expect(201);
    server
        .delete(&format!("{ws}/members/{id}"))
        .await
        .expect(204);
    let gone = post(&server, &key, &sources, "one", &source("a")).await;
    let never = post(&server, &key, &sources, "two", &source("a")).await;
    assert_eq!(gone.expect(404), never.expect(404));
}

#[tokio::test]
async fn a_request_that_failed_may_be_tried_again() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    let faulty = json!({"name": "a", "type": "files"});
    post(&server, BOOTSTRAP_KEY, &sources, "one", &faulty)
        .await
        .expect(422);
    let mended = post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a")).await;
    assert!(!is_replayed(&mended));
    mended.expect(201);
}

#[tokio::test]
async fn a_request_whose_outcome_is_not_known_is_not_done_again() {
    let server = Server::start().await;
    let accounts = "/api/v1/accounts";
    let body = json!({"email": "a@example.com", "name": "a"});
    post(&server, BOOTSTRAP_KEY, accounts, "one", &body)
        .await
        .expect(201);
    // As if the process had died before it could keep the answer.
    let file = server.folder.path().join("data/syncguard.db");
    let mut store = SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let forgotten = sqlx::query("UPDATE idempotency_keys SET status = NULL, body = NULL")
        .execute(&mut store)
        .await
        .unwrap();
    assert_eq!(forgotten.rows_affected(), 1);
    for _ in 0..2 {
        let answer = post(&server, BOOTSTRAP_KEY, accounts, "one", &body).await;
        let message = text(&answer.expect(409)["error"]["message"]);
        // The address would be taken, too: the message tells that it was not tried.
        assert!(message.contains("Idempotency-Key"), "{message}");
    }
}

#[tokio::test]
async fn a_caller_who_hung_up_learns_what_was_done() {
    let server = Server::start().await;
    let address = server.base.trim_start_matches("http://");
    for n in 0..20 {
        let (once, body) = (
            format!("k{n}"),
            json!({"email": format!("{n}@example.com"), "name": "a"}),
        );
        let sent = body.to_string();
        let request = format!(
            "POST /api/v1/accounts HTTP/1.1\r\nhost: {address}\r\n\
             authorization: Bearer {BOOTSTRAP_KEY}\r\nidempotency-key: {once}\r\n\
             content-length: {}\r\n\r\n{sent}",
            sent.len(),
        );
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(request.as_bytes()).await.unwrap();
        drop(caller);
        let mut pending = 0;
        loop {
            let answer = post(&server, BOOTSTRAP_KEY, "/api/v1/accounts", &once, &body).await;
            if answer.status == 201 {
                break;
            }
            answer.expect(409);
            pending += 1;
            assert!(pending < 1000, "the key stays reserved");
        }
    }
    assert_eq!(names(&server, "/api/v1/accounts").await.len(), 21);
}

#[tokio::test]
async fn an_api_key_is_not_shown_again() {
    let server = Server::start().await;
    let (id, _) = server.account("a@example.com", json!(["*"])).await;
    let keys = format!("/api/v1/accounts/{id}/keys");
    let body = json!({"name": "ci", "scopes": ["*"]});
    let mut first = post(&server, BOOTSTRAP_KEY, &keys, "one", &body)
        .await
        .expect(201);
    let key = text(&first["key"]);
    let again = post(&server, BOOTSTRAP_KEY, &keys, "one", &body).await;
    assert!(is_replayed(&again));
    first.as_object_mut().unwrap().shift_remove("key");
    assert_eq!(again.expect(201), first);
    assert_eq!(names(&server, &keys).await, ["test", "ci"]);
    let data = server.folder.path().join("data");
    let mut files = 0;
    for file in std::fs::read_dir(data).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            let holds = bytes.windows(key.len()).any(|part| part == key.as_bytes());
            assert!(!holds, "{} holds the key", file.display());
            files += 1;
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a"))
        .await
        .expect(201);
    server.pass(TimeDelta::hours(23));
    let again = post(&server, BOOTSTRAP_KEY, &sources, "one", &source("a")).await;
    assert!(is_replayed(&again));
    server.pass(TimeDelta::hours(2));
    post(&server, BOOTSTRAP_KEY, &sources, "one", &source("b"))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_header_that_is_no_key_is_400() {
    let server = Server::start().await;
    let long = "k".repeat(256);
    for once in ["", "two words", long.as_str()] {
        let body = json!({"name": "second"});
        post(&server, BOOTSTRAP_KEY, "/api/v1/workspaces", once, &body)
            .await
            .expect(400);
    }
    let longest = "k".repeat(255);
    let body = json!({"name": "second"});
    post(
        &server,
        BOOTSTRAP_KEY,
        "/api/v1/workspaces",
        &longest,
        &body,
    )
    .await
    .expect(201);
    let request = server.request(Method::POST, "/api/v1/workspaces");
    let request = request.bearer_auth(BOOTSTRAP_KEY).body("{}");
    let request = request.header("idempotency-key", "a");
    let twice = request.header("idempotency-key", "b");
    server.send(twice).await.expect(400);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_under_a_key_too() {
    let server = Server::start().await;
    let body = json!({"name": "x".repeat(2 * 1024 * 1024)});
    post(&server, BOOTSTRAP_KEY, "/api/v1/workspaces", "one", &body)
        .await
        .expect(413);
}
