//! `/workspaces/{id}/members`.

use reqwest::Method;
use serde_json::json;

use super::{ADMIN, MEMBER, NOBODY, OWNER, Server, text};

#[tokio::test]
async fn members_come_change_and_go() {
    let server = Server::start().await;
    let members = format!("{}/members", server.workspace().await);
    let (id, key) = server.account("m@example.com", json!(["*"])).await;
    let member = json!({"account_id": id, "role_id": MEMBER});
    let made = server.post(&members, member.clone()).await.expect(201);
    assert_eq!(
        (&made["account_id"], &made["role_id"]),
        (&json!(id), &json!(MEMBER))
    );
    assert_eq!(made["email"], "m@example.com");
    server.post(&members, member).await.expect(409);
    let one = format!("{members}/{id}");
    assert_eq!(server.get(&one).await.expect(200), made);
    assert_eq!(
        server
            .put(&one, json!({"role_id": ADMIN}))
            .await
            .expect(200)["role_id"],
        ADMIN
    );
    assert_eq!(
        server
            .get(&members)
            .await
            .expect(200)
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    server
        .ask(Some(&key), Method::GET, &members, None)
        .await
        .expect(200);
    server.delete(&one).await.expect(204);
    server
        .ask(Some(&key), Method::GET, &members, None)
        .await
        .expect(404);
    for method in [Method::GET, Method::DELETE] {
        server.as_owner(method, &one, json!({})).await.expect(404);
    }
}

#[tokio::test]
async fn a_member_is_validated() {
    let server = Server::start().await;
    let members = format!("{}/members", server.workspace().await);
    for (body, paths) in [
        (json!({}), vec!["$.account_id", "$.role_id"]),
        (
            json!({"account_id": "x", "role_id": 3}),
            vec!["$.account_id", "$.role_id"],
        ),
        (
            json!({"account_id": NOBODY, "role_id": NOBODY}),
            vec!["$.account_id", "$.role_id"],
        ),
    ] {
        assert_eq!(
            server.post(&members, body.clone()).await.faults(),
            paths,
            "{body}"
        );
    }
}

#[tokio::test]
async fn nobody_makes_themself_an_owner() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let members = format!("{ws}/members");
    let owner_id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    let admin = server.member(&ws, "a@example.com", ADMIN).await;
    let member = server.member(&ws, "m@example.com", MEMBER).await;
    let (newcomer, _) = server.account("n@example.com", json!(["*"])).await;
    let me = server
        .ask(Some(&admin), Method::GET, "/api/v1/me", None)
        .await
        .expect(200);
    let admin_id = text(&me["account"]["id"]);
    let role = |id: &str| json!({"role_id": id}).to_string();
    let as_admin = async |method: Method, path: &str, body: String| {
        server.ask(Some(&admin), method, path, Some(&body)).await
    };
    as_admin(Method::PUT, &format!("{members}/{admin_id}"), role(OWNER))
        .await
        .expect(403);
    as_admin(Method::PUT, &format!("{members}/{owner_id}"), role(MEMBER))
        .await
        .expect(403);
    as_admin(
        Method::DELETE,
        &format!("{members}/{owner_id}"),
        String::new(),
    )
    .await
    .expect(403);
    let as_owner = json!({"account_id": newcomer, "role_id": OWNER}).to_string();
    as_admin(Method::POST, &members, as_owner).await.expect(403);
    let as_member = json!({"account_id": newcomer, "role_id": MEMBER}).to_string();
    server
        .ask(Some(&member), Method::POST, &members, Some(&as_member))
        .await
        .expect(403);
    as_admin(Method::POST, &members, as_member)
        .await
        .expect(201);
}

#[tokio::test]
async fn the_last_owner_stays() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let owner_id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    let own = format!("{ws}/members/{owner_id}");
    server.delete(&own).await.expect(409);
    server
        .put(&own, json!({"role_id": ADMIN}))
        .await
        .expect(409);
    server.member(&ws, "o@example.com", OWNER).await;
    server
        .put(&own, json!({"role_id": ADMIN}))
        .await
        .expect(200);
}
