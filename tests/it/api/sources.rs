//! `/workspaces/{id}/sources`.

use serde_json::json;

use super::{NOBODY, Server, text};

#[tokio::test]
async fn a_source_is_made_read_replaced_and_removed() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    let body = json!({"name": "files", "type": "files", "config": {"path": "customers.csv"}});
    let made = server.post(&sources, body.clone()).await.expect(201);
    assert_eq!(
        (&made["type"], &made["config"]),
        (&body["type"], &body["config"])
    );
    server.post(&sources, body).await.expect(409);
    let one = format!("{sources}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    let body = json!({"name": "other", "config": {"path": "customers.csv", "format": "csv"}});
    let replaced = server.put(&one, body).await.expect(200);
    assert_eq!(
        (&replaced["name"], &replaced["type"]),
        (&json!("other"), &json!("files"))
    );
    assert_eq!(server.get(&sources).await.expect(200), json!([replaced]));
    server.delete(&one).await.expect(204);
    server.get(&one).await.expect(404);
    server.delete(&one).await.expect(404);
    server
        .put(&format!("{sources}/{NOBODY}"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_source_is_validated() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    for (body, paths) in [
        (
            json!({}),
            vec!["$.config", "$.config.path", "$.name", "$.type"],
        ),
        (
            json!({"name": "x", "type": "oracle", "config": {"path": "customers.csv"}}),
            vec!["$.type"],
        ),
        (
            json!({"name": "x", "type": "files", "config": {"path": "../../etc/passwd"}}),
            vec!["$.config.path"],
        ),
        (
            json!({"name": "x", "type": "files", "config": {"path": "customers.csv", "pth": 1}, "y": 1}),
            vec!["$.config.pth", "$.y"],
        ),
        (
            json!({"name": "x", "type": "postgres", "config": {"url": 7}}),
            vec!["$.config.url"],
        ),
    ] {
        assert_eq!(
            server.post(&sources, body.clone()).await.faults(),
            paths,
            "{body}"
        );
    }
    let body = json!({"name": "x", "type": "files", "config": {"path": "customers.csv"}});
    let made = server.post(&sources, body).await.expect(201);
    let body = json!({"name": "x", "type": "sqlite", "config": {"path": "customers.csv"}});
    let one = format!("{sources}/{}", text(&made["id"]));
    assert_eq!(server.put(&one, body).await.faults(), ["$.type"]);
}

#[tokio::test]
async fn a_password_is_not_read_back() {
    let server = Server::start().await;
    let sources = format!("{}/sources", server.workspace().await);
    let config = json!({"url": "postgres://u:tell-nobody@127.0.0.1:1/d"});
    let body = json!({"name": "pg", "type": "postgres", "config": config});
    let made = server.post(&sources, body).await.expect(201);
    assert!(!made.to_string().contains("tell-nobody"), "{made}");
    let listed = server.get(&sources).await.expect(200);
    assert!(!listed.to_string().contains("tell-nobody"), "{listed}");
    // What was read can be sent back, but only as a whole.
    let one = format!("{sources}/{}", text(&made["id"]));
    let body = json!({"name": "pg2", "type": "postgres", "config": made["config"]});
    server.put(&one, body).await.expect(200);
    let moved = text(&made["config"]["url"]).replace("127.0.0.1", "127.0.0.2");
    let body = json!({"name": "pg2", "type": "postgres", "config": {"url": moved}});
    assert_eq!(server.put(&one, body).await.faults(), ["$.config.url"]);
}

#[tokio::test]
async fn a_source_in_use_stays() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    server
        .delete(&format!("{ws}/sources/{}", catalog.source))
        .await
        .expect(409);
}
