//! What happens between the first bytes of a stream and the last.

use reqwest::Method;
use serde_json::json;

use super::raw::{self, Raw};
use super::{NDJSON, RECORDS, World, gzip, lines};
use crate::api::fixtures::revision;
use crate::api::{MEMBER, Server, not_in, text};
use crate::content;

on_both_stores!(
    policy_changed_in_mid_stream_governs_the_next_batch,
    content_policy_made_in_mid_stream_governs_the_next_batch,
    member_who_left_in_mid_stream_gets_no_more,
);

#[tokio::test]
async fn first_bytes_come_before_the_last_are_sent() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let mut client = Raw::open(&server, &world.path(""), "te: trailers\r\n").await;
    client.send(&lines(&RECORDS[..2])).await;
    client.until(RECORDS[1]).await;
    client.send(&lines(&RECORDS[2..])).await;
    client.end().await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(RECORDS[3]) && !answer.contains(RECORDS[4]));
    let (_, trailers) = answer.rsplit_once("\r\n0\r\n").expect("an end");
    let announced = answer.to_lowercase();
    for (name, count) in [("read", 5), ("allowed", 3), ("withheld", 2), ("invalid", 0)] {
        let line = format!("syncguard-{name}: {count}\r\n");
        assert!(trailers.contains(&line), "{trailers}");
        let (_, list) = announced.split_once("\r\ntrailer: ").expect("a list");
        assert!(list.contains(&format!("syncguard-{name}")), "{list}");
    }
    assert!(
        trailers.contains("syncguard-policy-revision: "),
        "{trailers}"
    );
    assert!(trailers.ends_with("\r\n\r\n"), "{trailers}");
}

#[tokio::test]
async fn a_client_that_wants_no_trailers_gets_none() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let mut client = Raw::open(&server, &world.path(""), "").await;
    client.send(&lines(&RECORDS[..2])).await;
    client.until(RECORDS[1]).await;
    client.end().await;
    let answer = client.rest().await;
    assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_failure_in_mid_stream_breaks_the_answer() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    for (bad, query) in [
        ("{\"id\":1,\"id\":2}\n", ""),
        ("{\"id\":", ""),
        ("nonsense\n", "&on_invalid=abort"),
    ] {
        let path = world.path(query);
        let mut client = Raw::open(&server, &path, "te: trailers\r\n").await;
        client.send(&lines(&RECORDS[..2])).await;
        client.until(RECORDS[1]).await;
        client.send(bad).await;
        client.end().await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!raw::is_whole(&answer), "{bad}: {answer}");
    }
}

#[tokio::test]
async fn an_early_end_of_the_body_is_a_failure() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let path = world.path("");
    // The end is missing after something was answered, and before.
    for waits in [true, false] {
        let mut client = Raw::open(&server, &path, "").await;
        client.send(&lines(&RECORDS[..2])).await;
        if waits {
            client.until(RECORDS[1]).await;
        }
        client.shut().await;
        let answer = client.rest().await;
        assert!(!raw::is_whole(&answer), "{answer}");
    }
    let text = lines(&RECORDS);
    let mut client = Raw::sized(&server, &path, text.len() + 1).await;
    client.raw(text.as_bytes()).await;
    client.shut().await;
    let answer = client.rest().await;
    assert!(!raw::is_whole(&answer), "{answer}");
    // Compressed bytes that lack their end, in a body that has its own.
    let cut = gzip(text.as_bytes());
    let headers = [("content-type", NDJSON), ("content-encoding", "gzip")];
    let answer = server
        .guarded(&path, &headers, cut[..cut.len() - 4].to_vec())
        .await;
    answer.error(400);
}

#[tokio::test]
async fn before_http_1_1_nothing_is_streamed() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let text = lines(&RECORDS);
    let head = raw::head(&server, &world.path(""), "HTTP/1.0");
    let mut client = Raw::connect(&server).await;
    let sent = format!("{head}content-length: {}\r\n\r\n{text}", text.len());
    client.raw(sent.as_bytes()).await;
    let answer = client.rest().await;
    assert!(answer.contains(" 400 "), "{answer}");
    assert!(!answer.contains(RECORDS[1]), "{answer}");
}

async fn policy_changed_in_mid_stream_governs_the_next_batch(server: Server) {
    let world = World::of(&server).await;
    let mut client = Raw::open(&server, &world.path(""), "te: trailers\r\n").await;
    client.send(&lines(&RECORDS[..2])).await;
    client.until(RECORDS[1]).await;
    let rule = format!("{}/destination-rules/{}", world.ws, world.policy);
    let change = json!({"filter_tree": not_in("country", ["US"])});
    let changed = server.put(&rule, change).await;
    let made = revision(&changed);
    changed.expect(200);
    client.send(&lines(&RECORDS)).await;
    client.end().await;
    let answer = client.rest().await;
    assert!(raw::is_whole(&answer), "{answer}");
    assert!(answer.contains(RECORDS[0]) && answer.contains(RECORDS[2]));
    assert!(!answer.contains(RECORDS[3]) && !answer.contains(RECORDS[4]));
    assert_eq!(answer.matches(RECORDS[1]).count(), 1, "{answer}");
    let told = format!("syncguard-policy-revision: {made}\r\n");
    assert!(answer.contains(&told), "{answer}");
    assert!(answer.contains("syncguard-read: 7\r\n"), "{answer}");
}

async fn content_policy_made_in_mid_stream_governs_the_next_batch(server: Server) {
    let world = World::of(&server).await;
    let mut client = Raw::open(&server, &world.path(""), "te: trailers\r\n").await;
    let mail = "ann@mail.example.org";
    let first = format!("{{\"id\":8,\"country\":\"US\",\"note\":\"first {mail}\"}}\n");
    client.send(&first).await;
    client.until("first").await;
    let me = server.get("/api/v1/me").await.expect(200);
    let policy = content::body(&me, content::EMAILS, 2, json!({}));
    let made = server.as_owner(Method::POST, "/policy", policy).await;
    assert!([200, 201].contains(&made.status), "{:#}", made.body);
    client.send(&first.replace("first", "second")).await;
    client.send(&lines(&RECORDS[3..4])).await;
    client.end().await;
    let answer = client.rest().await;
    assert!(raw::is_whole(&answer), "{answer}");
    assert!(answer.contains(RECORDS[3]), "{answer}");
    assert!(!answer.contains("second"), "{answer}");
    assert!(answer.contains("syncguard-withheld: 1\r\n"), "{answer}");
}

async fn member_who_left_in_mid_stream_gets_no_more(server: Server) {
    let world = World::of(&server).await;
    let (account, key) = server.joined(&world.ws, "m@example.com", MEMBER).await;
    let mut client = Raw::open_by(&server, &key, &world.path(""), "").await;
    client.send(&lines(&RECORDS[..2])).await;
    client.until(RECORDS[1]).await;
    let member = format!("{}/members/{account}", world.ws);
    server.delete(&member).await.expect(204);
    client.send(&lines(&RECORDS[2..])).await;
    client.end().await;
    let answer = client.rest().await;
    assert!(!answer.contains(RECORDS[2]), "{answer}");
    assert!(!raw::is_whole(&answer), "{answer}");
}

#[tokio::test]
async fn a_key_revoked_in_mid_stream_gets_no_more() {
    let server = Server::start().await;
    let world = World::of(&server).await;
    let me = server.owner_id().await;
    let keys = format!("/api/v1/accounts/{me}/keys");
    let key = json!({"name": "short-lived", "scopes": ["*"]});
    let key = server.post(&keys, key).await.expect(201);
    let secret = text(&key["key"]);
    let mut client = Raw::open_by(&server, &secret, &world.path(""), "").await;
    client.send(&lines(&RECORDS[..2])).await;
    client.until(RECORDS[1]).await;
    let revoked = format!("{keys}/{}", text(&key["id"]));
    server.delete(&revoked).await.expect(204);
    server.pass(chrono::TimeDelta::seconds(2));
    client.send(&lines(&RECORDS[2..])).await;
    client.end().await;
    let answer = client.rest().await;
    assert!(!answer.contains(RECORDS[2]), "{answer}");
    assert!(!raw::is_whole(&answer), "{answer}");
}
