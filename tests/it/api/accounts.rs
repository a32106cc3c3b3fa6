//! `/me`, `/accounts` and their keys.

use reqwest::Method;
use serde_json::json;

use super::{ADMIN, MEMBER, NOBODY, OWNER, Server, in_an_hour, text};

#[tokio::test]
async fn the_first_account_owns_the_default_workspace() {
    let server = Server::start().await;
    let me = server.get("/api/v1/me").await.expect(200);
    assert_eq!(me["scopes"], json!(["*"]));
    assert_eq!(me["workspaces"][0]["name"], "default");
    assert_eq!(me["workspaces"][0]["role_id"], OWNER);
    let id = text(&me["account"]["id"]);
    assert_eq!(
        server
            .get(&format!("/api/v1/accounts/{id}"))
            .await
            .expect(200),
        me["account"]
    );
}

#[tokio::test]
async fn accounts_are_made_changed_and_listed_by_an_owner() {
    let server = Server::start().await;
    let ada =
        json!({"email": "ada@example.com", "name": "Ada", "avatar_url": "https://a.example/x.png"});
    let made = server
        .post("/api/v1/accounts", ada.clone())
        .await
        .expect(201);
    let path = format!("/api/v1/accounts/{}", text(&made["id"]));
    assert_eq!(server.get(&path).await.expect(200), made);
    server.post("/api/v1/accounts", ada).await.expect(409);
    let changed = server
        .put(&path, json!({"email": "ada@example.com", "name": "Ada L."}))
        .await
        .expect(200);
    assert_eq!(
        (&changed["name"], &changed["avatar_url"]),
        (&json!("Ada L."), &json!(null))
    );
    assert_eq!(
        server
            .get("/api/v1/accounts")
            .await
            .expect(200)
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    server
        .get(&format!("/api/v1/accounts/{NOBODY}"))
        .await
        .expect(404);
    server
        .put(&format!("/api/v1/accounts/{NOBODY}"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn who_owns_nothing_sees_only_their_own_account() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let owner_id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    for (email, role) in [("m@example.com", MEMBER), ("a@example.com", ADMIN)] {
        let key = server.member(&ws, email, role).await;
        let ask = async |method: Method, path: &str, body: &str| {
            server.ask(Some(&key), method, path, Some(body)).await
        };
        let me = ask(Method::GET, "/api/v1/me", "").await.expect(200);
        let own = format!("/api/v1/accounts/{}", text(&me["account"]["id"]));
        ask(Method::GET, &own, "").await.expect(200);
        let keys = ask(Method::GET, &format!("{own}/keys"), "")
            .await
            .expect(200);
        assert_eq!(keys.as_array().map(Vec::len), Some(1));
        ask(Method::GET, "/api/v1/accounts", "").await.expect(403);
        ask(Method::POST, "/api/v1/accounts", "{}")
            .await
            .expect(403);
        let other = format!("/api/v1/accounts/{owner_id}");
        ask(Method::GET, &other, "").await.expect(403);
        ask(Method::PUT, &other, "{}").await.expect(403);
        ask(Method::GET, &format!("{other}/keys"), "")
            .await
            .expect(403);
        ask(Method::POST, &format!("{other}/keys"), "{}")
            .await
            .expect(403);
    }
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_ends() {
    let server = Server::start().await;
    let (id, _) = server.account("k@example.com", json!(["*"])).await;
    let keys = format!("/api/v1/accounts/{id}/keys");
    let body = json!({"name": "ci", "scopes": ["syncs:trigger"], "expires_at": in_an_hour()});
    let made = server.post(&keys, body).await.expect(201);
    let key = text(&made["key"]);
    assert!(key.starts_with("sgk_"), "{key}");
    assert_eq!(made["scopes"], json!(["syncs:trigger"]));
    let listed = server.get(&keys).await.expect(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert!(!listed.to_string().contains(&key));
    server
        .ask(Some(&key), Method::GET, "/api/v1/me", None)
        .await
        .expect(200);
    server
        .delete(&format!("{keys}/{}", text(&made["id"])))
        .await
        .expect(204);
    server
        .ask(Some(&key), Method::GET, "/api/v1/me", None)
        .await
        .expect(401);
    server
        .delete(&format!("{keys}/{}", text(&made["id"])))
        .await
        .expect(404);
    server
        .post(&format!("/api/v1/accounts/{NOBODY}/keys"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_key_is_validated() {
    let server = Server::start().await;
    let (id, _) = server.account("k@example.com", json!(["*"])).await;
    let keys = format!("/api/v1/accounts/{id}/keys");
    for (body, paths) in [
        (json!({}), vec!["$.name", "$.scopes"]),
        (json!({"name": "x", "scopes": []}), vec!["$.scopes"]),
        (
            json!({"name": "x", "scopes": ["*", "all", "sources.read"]}),
            vec!["$.scopes[1]", "$.scopes[2]"],
        ),
        (
            json!({"name": "x", "scopes": ["*"], "expires_at": "2020-01-01T00:00:00Z"}),
            vec!["$.expires_at"],
        ),
        (
            json!({"name": "x", "scopes": ["*"], "expires_at": "soon"}),
            vec!["$.expires_at"],
        ),
    ] {
        assert_eq!(
            server.post(&keys, body.clone()).await.faults(),
            paths,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_key_passes_on_no_scope_that_it_lacks() {
    let server = Server::start().await;
    let id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    let key = server
        .key(&id, json!(["workspace:members", "syncs:read"]))
        .await;
    let keys = format!("/api/v1/accounts/{id}/keys");
    for (scopes, status) in [
        (json!(["syncs:read"]), 201),
        (json!(["syncs:trigger"]), 403),
        (json!(["*"]), 403),
        (json!(["syncs:read", "governance:write"]), 403),
    ] {
        let body = json!({"name": "x", "scopes": scopes}).to_string();
        server
            .ask(Some(&key), Method::POST, &keys, Some(&body))
            .await
            .expect(status);
    }
}

#[tokio::test]
async fn an_owner_makes_no_key_for_an_account_of_a_workspace_they_do_not_own() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let (id, key) = server.account("boss@example.com", json!(["*"])).await;
    let owner_id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    // The other becomes owner of a workspace that the first owner then leaves.
    let other = server
        .post("/api/v1/workspaces", json!({"name": "other"}))
        .await
        .expect(201);
    let other = format!("/api/v1/workspaces/{}", text(&other["id"]));
    let member = json!({"account_id": id, "role_id": OWNER});
    server
        .post(&format!("{other}/members"), member.clone())
        .await
        .expect(201);
    server
        .post(
            &format!("{ws}/members"),
            json!({"account_id": id, "role_id": MEMBER}),
        )
        .await
        .expect(201);
    server
        .ask(
            Some(&key),
            Method::DELETE,
            &format!("{other}/members/{owner_id}"),
            None,
        )
        .await
        .expect(204);
    let body = json!({"name": "x", "scopes": ["*"]});
    server
        .post(&format!("/api/v1/accounts/{id}/keys"), body)
        .await
        .expect(403);
    server
        .get(&format!("/api/v1/accounts/{id}/keys"))
        .await
        .expect(403);
}

#[tokio::test]
async fn a_key_expires() {
    let server = Server::start().await;
    let (id, _) = server.account("k@example.com", json!(["*"])).await;
    let body = json!({"name": "ci", "scopes": ["*"], "expires_at": in_an_hour()});
    let made = server
        .post(&format!("/api/v1/accounts/{id}/keys"), body)
        .await
        .expect(201);
    let key = text(&made["key"]);
    server
        .ask(Some(&key), Method::GET, "/api/v1/me", None)
        .await
        .expect(200);
    server.pass(chrono::TimeDelta::minutes(61));
    server
        .ask(Some(&key), Method::GET, "/api/v1/me", None)
        .await
        .expect(401);
}
