//! `/workspaces/{id}/roles`.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{column, is_id, is_time, keys, message};
use super::{ADMIN, MEMBER, NOBODY, OWNER, Server, text};

on_both_stores!(
    system_roles_come_first_as_the_seed_has_them,
    system_roles_are_read_only,
    custom_role_comes_changes_and_goes,
    role_name_is_unique_in_its_workspace,
    role_in_use_is_not_deleted_and_says_by_whom,
    every_fault_of_a_role_is_told,
    role_that_was_changed_meanwhile_is_412,
    roles_are_for_those_who_govern,
    role_that_is_not_there_is_404,
);

const FIELDS: [&str; 8] = [
    "id",
    "workspace_id",
    "name",
    "description",
    "is_system",
    "permissions",
    "created_at",
    "updated_at",
];

async fn system_roles_come_first_as_the_seed_has_them(server: Server) {
    let ws = server.workspace().await;
    let custom = server.role(&ws, "a custom one", &[]).await;
    let roles = server.get(&format!("{ws}/roles")).await.expect(200);
    let ids = [json!(OWNER), json!(ADMIN), json!(MEMBER), json!(custom)];
    assert_eq!(column(&roles, "id"), ids.each_ref());
    for (role, name, description) in [
        (&roles[0], "owner", "Full access to all workspace resources"),
        (
            &roles[1],
            "admin",
            "Full access except billing and ownership transfer",
        ),
        (
            &roles[2],
            "member",
            "Standard access; cannot manage workspace settings",
        ),
    ] {
        assert_eq!(keys(role), FIELDS);
        assert_eq!(
            (&role["name"], &role["description"]),
            (&json!(name), &json!(description))
        );
        assert_eq!(
            (&role["is_system"], &role["workspace_id"]),
            (&json!(true), &Value::Null)
        );
        assert_eq!(role["created_at"], "2024-01-01T00:00:00Z");
        let one = format!("{ws}/roles/{}", text(&role["id"]));
        assert_eq!(&server.get(&one).await.expect(200), role);
    }
    let catalog = server.get("/api/v1/permissions").await.expect(200);
    let all: Vec<&Value> = column(&catalog, "key");
    for i in 0..2 {
        let granted: Vec<&Value> = roles[i]["permissions"]
            .as_array()
            .expect("keys")
            .iter()
            .collect();
        assert_eq!(granted, all);
    }
    let granted = roles[2]["permissions"].as_array().expect("keys");
    assert!(granted.contains(&json!("governance.read")));
    assert!(!granted.contains(&json!("governance.write")));
    assert_eq!(granted.len(), 37);
}

async fn system_roles_are_read_only(server: Server) {
    let ws = server.workspace().await;
    let roles = format!("{ws}/roles");
    let before = server.get(&roles).await.expect(200);
    for id in [OWNER, ADMIN, MEMBER] {
        let one = format!("{roles}/{id}");
        let changed = server.put(&one, json!({"description": "mine"})).await;
        assert!(message(&changed.expect(403)).contains("read-only"));
        server.delete(&one).await.expect(403);
    }
    assert_eq!(server.get(&roles).await.expect(200), before);
}

async fn custom_role_comes_changes_and_goes(server: Server) {
    let ws = server.workspace().await;
    let roles = format!("{ws}/roles");
    let wanted = json!({
        "name": "data_analyst",
        "description": "Read-only access to models and audiences",
        "permissions": ["insights.read", "sources.read", "models.read", "audiences.read", "traits.read", "models.read"],
    });
    let made = server.post(&roles, wanted.clone()).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert!(is_id(&made["id"]));
    assert_eq!(json!(ws.rsplit('/').next()), made["workspace_id"]);
    assert_eq!(
        (&made["name"], &made["description"]),
        (&wanted["name"], &wanted["description"])
    );
    assert_eq!(made["is_system"], false);
    // In the order of the catalog, each once.
    let granted = [
        "sources.read",
        "models.read",
        "audiences.read",
        "traits.read",
        "insights.read",
    ];
    assert_eq!(made["permissions"], json!(granted));
    assert!(is_time(&made["created_at"]));
    assert_eq!(made["created_at"], made["updated_at"]);
    let one = format!("{roles}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    assert_eq!(server.get(&roles).await.expect(200)[3], made);

    // What a change does not name stays.
    let renamed = server
        .put(&one, json!({"name": "analyst"}))
        .await
        .expect(200);
    let mut expected = made.clone();
    expected["name"] = json!("analyst");
    expected["updated_at"] = renamed["updated_at"].clone();
    assert_eq!(renamed, expected);
    assert_ne!(renamed["updated_at"], made["updated_at"]);
    let change = json!({"description": null, "permissions": []});
    let emptied = server.put(&one, change).await.expect(200);
    assert_eq!(
        (&emptied["description"], &emptied["permissions"]),
        (&json!(""), &json!([]))
    );
    assert_eq!(emptied["name"], "analyst");
    assert_eq!(server.get(&one).await.expect(200), emptied);

    let bare = json!({"name": "bare", "permissions": []});
    let bare = server.post(&roles, bare).await.expect(201);
    assert_eq!(bare["description"], "");
    assert_eq!(server.delete(&one).await.expect(204), json!(""));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        server.as_owner(method, &one, json!({})).await.expect(404);
    }
    let left = server.get(&roles).await.expect(200);
    assert_eq!(left.as_array().map(Vec::len), Some(4));
}

async fn role_name_is_unique_in_its_workspace(server: Server) {
    let ws = server.workspace().await;
    let roles = format!("{ws}/roles");
    let first = server.role(&ws, "first", &[]).await;
    let second = server.role(&ws, "second", &[]).await;
    for taken in ["first", "owner", "admin", "member"] {
        let body = json!({"name": taken, "permissions": []});
        let made = server.post(&roles, body).await.expect(409);
        assert!(message(&made).contains(&format!("{taken:?}")), "{made}");
        let second = format!("{roles}/{second}");
        server
            .put(&second, json!({"name": taken}))
            .await
            .expect(409);
    }
    // Its own name is not taken, and another workspace has names of its own.
    let own = json!({"name": "first", "description": "x"});
    server
        .put(&format!("{roles}/{first}"), own)
        .await
        .expect(200);
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    server
        .role(&format!("/api/v1/workspaces/{other}"), "first", &[])
        .await;
}

async fn role_in_use_is_not_deleted_and_says_by_whom(server: Server) {
    let ws = server.workspace().await;
    let role = server.role(&ws, "busy", &["sources.read"]).await;
    let one = format!("{ws}/roles/{role}");
    let (account_id, _) = server.joined(&ws, "m@example.com", &role).await;
    let group = server.group(&ws, "Marketing", Some(&role)).await;
    let error = server.delete(&one).await.expect(409);
    for user in ["member m@example.com", "group Marketing"] {
        assert!(message(&error).contains(user), "{error}");
    }
    let member = format!("{ws}/members/{account_id}");
    server
        .put(&member, json!({"role_id": MEMBER}))
        .await
        .expect(200);
    let error = server.delete(&one).await.expect(409);
    assert!(!message(&error).contains("m@example.com"), "{error}");
    let group = format!("{ws}/groups/{group}");
    server
        .put(&group, json!({"role_id": null}))
        .await
        .expect(200);
    server.delete(&one).await.expect(204);
}

async fn every_fault_of_a_role_is_told(server: Server) {
    let ws = server.workspace().await;
    let roles = format!("{ws}/roles");
    let role = server.role(&ws, "mine", &["sources.read"]).await;
    let faulty: [(Value, &[&str]); 6] = [
        (
            json!({"name": null, "permissions": null}),
            &["$.name", "$.permissions"],
        ),
        (
            json!({"name": " ", "permissions": "sources.read"}),
            &["$.name", "$.permissions"],
        ),
        (
            json!({"name": 7, "permissions": {}}),
            &["$.name", "$.permissions"],
        ),
        (
            json!({"name": "x", "permissions": [7, "sources.fly", "sources.read", null, "*", "sources:read"]}),
            &[
                "$.permissions[0]",
                "$.permissions[1]",
                "$.permissions[3]",
                "$.permissions[4]",
                "$.permissions[5]",
            ],
        ),
        (
            json!({"name": "x\u{0}", "description": ["y"], "permissions": []}),
            &["$.description", "$.name"],
        ),
        (
            json!({"name": "x", "permissions": [], "is_system": true, "id": NOBODY}),
            &["$.id", "$.is_system"],
        ),
    ];
    let list = roles.as_str();
    server
        .refuses(Method::POST, list, list, faulty.clone())
        .await;
    server
        .refuses(Method::PUT, &format!("{roles}/{role}"), list, faulty)
        .await;
    let nothing: [(Value, &[&str]); 2] = [
        (json!({}), &["$.name", "$.permissions"]),
        (json!([]), &["$"]),
    ];
    server.refuses(Method::POST, list, list, nothing).await;
    server
        .ask(Some(super::BOOTSTRAP_KEY), Method::POST, &roles, Some("{"))
        .await
        .expect(400);
}

async fn role_that_was_changed_meanwhile_is_412(server: Server) {
    let ws = server.workspace().await;
    let role = server.role(&ws, "mine", &["sources.read"]).await;
    let path = format!("{ws}/roles/{role}");
    let change = json!({"permissions": ["models.read"]});
    server.heeds_if_match(&path, change).await;
}

async fn roles_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let role = server.role(&ws, "mine", &["sources.read"]).await;
    let (list, one) = (format!("{ws}/roles"), format!("{ws}/roles/{role}"));
    let new = json!({"name": "new", "permissions": []});
    let writes = [
        (Method::POST, list.as_str(), new),
        (Method::PUT, one.as_str(), json!({"name": "other"})),
        (Method::DELETE, one.as_str(), json!({})),
    ];
    server.is_governed(&ws, &[&list, &one], &writes).await;
}

async fn role_that_is_not_there_is_404(server: Server) {
    let ws = server.workspace().await;
    let one = format!("{ws}/roles/{NOBODY}");
    let requests = [Method::GET, Method::PUT, Method::DELETE]
        .map(|method| (method, one.clone(), json!({"name": "x"})));
    server.knows_none_of(&requests).await;
    server.get(&format!("{ws}/roles/owner")).await.expect(404);
}
