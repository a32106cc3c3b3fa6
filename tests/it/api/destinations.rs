//! `/workspaces/{id}/destinations`.

use serde_json::json;

use super::{NOBODY, Server, text};

#[tokio::test]
async fn a_destination_is_made_read_replaced_and_removed() {
    let server = Server::start().await;
    let destinations = format!("{}/destinations", server.workspace().await);
    let body = json!({
        "name": "ads",
        "type": "facebook_ads",
        "config": {"url": "http://127.0.0.1:9/in", "secret": "tell-nobody", "headers": {"x-token": "tell-nobody"}},
        "rate_limit": {"requests_per_second": 5},
    });
    let made = server.post(&destinations, body.clone()).await.expect(201);
    assert_eq!(made["rate_limit"], body["rate_limit"]);
    assert_eq!(made["config"]["url"], body["config"]["url"]);
    assert!(!made.to_string().contains("tell-nobody"), "{made}");
    server.post(&destinations, body).await.expect(409);
    let one = format!("{destinations}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    let replaced = server
        .put(
            &one,
            json!({"name": "ads 2", "type": "facebook_ads", "config": made["config"]}),
        )
        .await;
    let replaced = replaced.expect(200);
    assert_eq!(
        (&replaced["name"], &replaced["rate_limit"]),
        (&json!("ads 2"), &json!({}))
    );
    let listed = server.get(&destinations).await.expect(200);
    assert_eq!(listed, json!([replaced]));
    server.delete(&one).await.expect(204);
    server.get(&one).await.expect(404);
    server
        .put(&format!("{destinations}/{NOBODY}"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_kept_secret_does_not_move_to_another_host() {
    let server = Server::start().await;
    let destinations = format!("{}/destinations", server.workspace().await);
    let config = json!({"url": "http://127.0.0.1:9/in", "secret": "tell-nobody"});
    let body = json!({"name": "hook", "type": "webhook", "config": config});
    let made = server.post(&destinations, body).await.expect(201);
    let one = format!("{destinations}/{}", text(&made["id"]));
    let mut config = made["config"].clone();
    config["url"] = json!("http://127.0.0.2:9/in");
    let body = json!({"name": "hook", "type": "webhook", "config": config});
    assert_eq!(server.put(&one, body).await.faults(), ["$.config.secret"]);
}

#[tokio::test]
async fn a_destination_is_validated() {
    let server = Server::start().await;
    let destinations = format!("{}/destinations", server.workspace().await);
    let url = "http://127.0.0.1:9/";
    for (body, paths) in [
        (json!({}), vec!["$.config", "$.name", "$.type"]),
        (
            json!({"name": "x", "type": "Face Book", "config": {"url": url}}),
            vec!["$.type"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": "http://10.0.0.1/"}}),
            vec!["$.config.url"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": "file:///x"}}),
            vec!["$.config.url"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": url, "uri": url}}),
            vec!["$.config.uri"],
        ),
        (
            json!({"name": "x", "type": "file", "config": {"path": "/etc/out.csv"}}),
            vec!["$.config.path"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": url}, "rate_limit": {"rows_per_second": 0}}),
            vec!["$.rate_limit"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": url}, "rate_limit": {"rows": 1}}),
            vec!["$.rate_limit"],
        ),
    ] {
        assert_eq!(
            server.post(&destinations, body.clone()).await.faults(),
            paths,
            "{body}"
        );
    }
    let body = json!({"name": "x", "type": "webhook", "config": {"url": url}});
    let made = server.post(&destinations, body).await.expect(201);
    let one = format!("{destinations}/{}", text(&made["id"]));
    let body = json!({"name": "x", "type": "facebook_ads", "config": {"url": url}});
    assert_eq!(server.put(&one, body).await.faults(), ["$.type"]);
}

#[tokio::test]
async fn a_destination_in_use_stays() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    server
        .delete(&format!("{ws}/destinations/{}", catalog.destination))
        .await
        .expect(409);
}
