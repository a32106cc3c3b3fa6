//! `/workspaces`.

use reqwest::Method;
use serde_json::json;

use super::{ADMIN, MEMBER, Server, not_in, text};

#[tokio::test]
async fn a_workspace_is_made_by_an_owner_and_belongs_to_its_maker() {
    let server = Server::start().await;
    let made = server
        .post("/api/v1/workspaces", json!({"name": "second"}))
        .await
        .expect(201);
    assert_eq!(made["require_destination_policy"], false);
    let path = format!("/api/v1/workspaces/{}", text(&made["id"]));
    assert_eq!(server.get(&path).await.expect(200), made);
    assert_eq!(
        server
            .get("/api/v1/workspaces")
            .await
            .expect(200)
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    server
        .post("/api/v1/workspaces", json!({"name": "second"}))
        .await
        .expect(409);
    let faults = server
        .post(
            "/api/v1/workspaces",
            json!({"require_destination_policy": "yes"}),
        )
        .await
        .faults();
    assert_eq!(faults, ["$.name", "$.require_destination_policy"]);
    let ws = server.workspace().await;
    let key = server.member(&ws, "a@example.com", ADMIN).await;
    server
        .ask(Some(&key), Method::POST, "/api/v1/workspaces", Some("{}"))
        .await
        .expect(403);
}

#[tokio::test]
async fn requiring_a_policy_stops_what_has_none() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let changed = server
        .put(
            &ws,
            json!({"name": "renamed", "require_destination_policy": true}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&changed["name"], &changed["require_destination_policy"]),
        (&json!("renamed"), &json!(true))
    );
    let ask = json!({"model_id": catalog.model, "destination_type": "webhook"});
    server
        .post(&format!("{ws}/preview"), ask.clone())
        .await
        .expect(409);
    let mut draft = ask;
    draft["filter_tree"] = not_in("country", ["DE"]);
    server
        .post(&format!("{ws}/preview"), draft)
        .await
        .expect(200);
    let key = server.member(&ws, "m@example.com", MEMBER).await;
    server
        .ask(Some(&key), Method::GET, &ws, None)
        .await
        .expect(200);
    server
        .ask(Some(&key), Method::PUT, &ws, Some("{}"))
        .await
        .expect(403);
}
