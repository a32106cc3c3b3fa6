//! `/workspaces/{id}/members`.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{is_time, keys, message};
use super::{ADMIN, MEMBER, NOBODY, OWNER, Server, text};

on_both_stores!(
    members_come_change_and_go,
    a_member_is_validated,
    nobody_makes_themself_an_owner,
    the_last_owner_stays,
    member_that_was_changed_meanwhile_is_412,
    unknown_role_and_one_of_another_workspace_are_the_same,
    custom_role_of_a_member_decides_what_they_may_do,
);

async fn members_come_change_and_go(server: Server) {
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

async fn a_member_is_validated(server: Server) {
    let members = format!("{}/members", server.workspace().await);
    for (body, paths) in [
        (json!({}), vec!["$.account_id", "$.role_id"]),
        (
            json!({"role_id": NOBODY, "email": "m@example.com"}),
            vec!["$.account_id", "$.email", "$.role_id"],
        ),
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

async fn nobody_makes_themself_an_owner(server: Server) {
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

async fn the_last_owner_stays(server: Server) {
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

async fn member_that_was_changed_meanwhile_is_412(server: Server) {
    let ws = server.workspace().await;
    let (account_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let path = format!("{ws}/members/{account_id}");
    let change = json!({"role_id": ADMIN});
    server.heeds_if_match(&path, change).await;
}

async fn unknown_role_and_one_of_another_workspace_are_the_same(server: Server) {
    let ws = server.workspace().await;
    let other = json!({"name": "other"});
    let other = server.made("/api/v1/workspaces", other).await;
    let foreign = format!("/api/v1/workspaces/{other}");
    let foreign = server.role(&foreign, "theirs", &["sources.read"]).await;
    let (account_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let (newcomer, _) = server.account("n@example.com", json!(["*"])).await;
    let members = format!("{ws}/members");
    let one = format!("{members}/{account_id}");
    let before = server.get(&members).await.expect(200);
    let mut answers = Vec::new();
    for role in [NOBODY, foreign.as_str()] {
        let member = json!({"account_id": newcomer, "role_id": role});
        let added = server.post(&members, member).await.expect(422);
        let changed = server.put(&one, json!({"role_id": role})).await.expect(422);
        assert_eq!(added["error"]["details"][0]["path"], "$.role_id");
        answers.push((added, changed));
    }
    assert_eq!(answers[0], answers[1]);
    let faulty: [(Value, &[&str]); 3] = [
        (json!({}), &["$.role_id"]),
        (json!({"role_id": "admin"}), &["$.role_id"]),
        (
            json!({"role_id": ADMIN, "account_id": newcomer}),
            &["$.account_id"],
        ),
    ];
    server.refuses(Method::PUT, &one, &members, faulty).await;
    assert_eq!(server.get(&members).await.expect(200), before);
}

async fn custom_role_of_a_member_decides_what_they_may_do(server: Server) {
    let ws = server.workspace().await;
    let reader = ["sources.read", "workspace.read"];
    let reader = server.role(&ws, "reader", &reader).await;
    let (account_id, key) = server.joined(&ws, "m@example.com", &reader).await;
    let one = format!("{ws}/members/{account_id}");
    let member = server.by(&key, Method::GET, &one, json!({})).await;
    let member = member.expect(200);
    let fields = [
        "account_id",
        "role_id",
        "email",
        "name",
        "avatar_url",
        "created_at",
    ];
    assert_eq!(keys(&member), fields);
    assert_eq!(member["role_id"], json!(reader));
    assert!(is_time(&member["created_at"]));
    let may = async |method: Method, path: &str| {
        let path = format!("{ws}{path}");
        server.by(&key, method, &path, json!({})).await.status
    };
    assert_eq!(may(Method::GET, "/sources").await, 200);
    assert_eq!(may(Method::POST, "/sources").await, 403);
    assert_eq!(may(Method::GET, "/models").await, 403);
    let answer = server
        .by(&key, Method::GET, &format!("{ws}/syncs"), json!({}))
        .await;
    let error = answer.expect(403);
    assert_eq!(message(&error), "your role does not grant syncs.read");
    // A change of the role is a change for everybody who has it.
    let change = json!({"permissions": ["models.read"]});
    server
        .put(&format!("{ws}/roles/{reader}"), change)
        .await
        .expect(200);
    assert_eq!(may(Method::GET, "/sources").await, 403);
    assert_eq!(may(Method::GET, "/models").await, 200);
}
