//! `ETag` on objects, and `If-Match` on their changes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Server, text};

fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

/// The path, the body of a change, and whether it can be deleted, of one object of each kind.
async fn objects(server: &Server) -> Vec<(String, Value, bool)> {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let (account, _) = server.account("a@example.com", json!(["*"])).await;
    let file = json!({"path": "out.ndjson", "format": "ndjson"});
    let model = json!({
        "name": "new", "source_id": catalog.source, "table": "files", "primary_key": ["id"],
    });
    let sync = json!({
        "name": "new", "model_id": catalog.model, "destination_id": catalog.destination,
    });
    vec![
        (
            format!("/api/v1/accounts/{account}"),
            json!({"email": "a@example.com", "name": "new"}),
            false,
        ),
        (ws.clone(), json!({"name": "new"}), false),
        // What refers to others goes before them.
        (format!("{ws}/syncs/{}", catalog.sync), sync, true),
        (
            format!("{ws}/destinations/{}", catalog.destination),
            json!({"name": "new", "config": file}),
            true,
        ),
        (
            format!("{ws}/sources/{}", catalog.source),
            json!({"name": "new", "config": {"path": "customers.csv"}}),
            false,
        ),
        (format!("{ws}/models/{}", catalog.model), model, false),
    ]
}

#[tokio::test]
async fn a_change_of_an_object_as_it_was_read_is_made() {
    let server = Server::start().await;
    for (path, body, deletable) in objects(&server).await {
        let read = tag(&server.get(&path).await);
        assert!(read.starts_with('"') && read.len() == 34, "{read}");
        let if_match = ("if-match", read.as_str());
        let changed = server
            .with_header(Method::PUT, &path, if_match, body.clone())
            .await;
        let now = tag(&changed);
        assert_eq!(changed.expect(200)["name"], "new", "{path}");
        assert_ne!(now, read, "{path}");
        assert_eq!(tag(&server.get(&path).await), now, "{path}");
        let among_others = format!("\"other\", {now}");
        for header in [among_others.as_str(), "*"] {
            let answer = server
                .with_header(Method::PUT, &path, ("if-match", header), body.clone())
                .await;
            answer.expect(200);
        }
        if deletable {
            let now = tag(&server.get(&path).await);
            let if_match = ("if-match", now.as_str());
            let deleted = server
                .with_header(Method::DELETE, &path, if_match, json!({}))
                .await;
            deleted.expect(204);
        }
    }
}

#[tokio::test]
async fn a_change_of_an_object_that_somebody_changed_is_412_and_not_made() {
    let server = Server::start().await;
    for (path, body, deletable) in objects(&server).await {
        let read = tag(&server.get(&path).await);
        let theirs = server.put(&path, body.clone()).await.expect(200);
        let weak = format!("W/{}", tag(&server.get(&path).await));
        for stale in [read.as_str(), "\"\"", weak.as_str()] {
            let if_match = ("if-match", stale);
            let mut mine = body.clone();
            mine["name"] = json!("mine");
            let refused = server.with_header(Method::PUT, &path, if_match, mine).await;
            let error = refused.expect(412);
            assert_eq!(error["error"]["code"], "precondition_failed", "{path}");
            if deletable {
                let refused = server
                    .with_header(Method::DELETE, &path, if_match, json!({}))
                    .await;
                refused.expect(412);
            }
        }
        assert_eq!(server.get(&path).await.expect(200), theirs, "{path}");
    }
}

#[tokio::test]
async fn if_match_that_is_no_tag_is_400() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    for header in ["abc", "\"abc", "", "* , \"a\""] {
        let answer = server
            .with_header(Method::PUT, &ws, ("if-match", header), json!({"name": "x"}))
            .await;
        answer.expect(400);
    }
}

#[tokio::test]
async fn a_new_object_has_the_etag_that_is_read_afterwards() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    for (path, body) in [
        (
            "/api/v1/accounts",
            json!({"email": "a@example.com", "name": "a"}),
        ),
        ("/api/v1/workspaces", json!({"name": "second"})),
        (
            sources.as_str(),
            json!({"name": "s", "type": "files", "config": {"path": "customers.csv"}}),
        ),
    ] {
        let made = server.post(path, body).await;
        let new = tag(&made);
        let one = format!("{path}/{}", text(&made.expect(201)["id"]));
        assert_eq!(tag(&server.get(&one).await), new, "{one}");
    }
}
