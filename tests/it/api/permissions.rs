//! `/permissions`, and `/workspaces/{id}/permissions/me`.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::fixtures::{column, is_id, is_time, keys, message};
use super::{MEMBER, NOBODY, OWNER, Server, text};

on_both_stores!(
    catalog_is_that_of_the_seed_and_the_same_for_everybody,
    own_role_and_the_roles_of_groups_add_up,
    scopes_of_the_key_cut_what_is_held,
    strangers_hold_nothing_here,
);

/// The table of the seed.
const CATEGORIES: [(&str, &str); 13] = [
    ("sources", "read, write, delete"),
    ("models", "read, write, delete"),
    ("destinations", "read, write, delete"),
    ("syncs", "read, write, delete, trigger"),
    ("audiences", "read, write, delete"),
    ("traits", "read, write, delete"),
    ("identity_graphs", "read, write, delete, trigger"),
    ("journeys", "read, write, delete, activate"),
    ("events", "read, write, delete"),
    ("loaders", "read, write, delete, trigger"),
    ("governance", "read, write"),
    ("insights", "read"),
    ("workspace", "read, write, members"),
];

async fn catalog_is_that_of_the_seed_and_the_same_for_everybody(server: Server) {
    let catalog = server.get("/api/v1/permissions").await.expect(200);
    let expected: Vec<_> = CATEGORIES
        .iter()
        .flat_map(|(category, actions)| {
            let actions = actions.split(", ");
            actions.map(move |action| json!([category, format!("{category}.{action}")]))
        })
        .collect();
    assert_eq!(expected.len(), 40);
    let entries = catalog.as_array().expect("a list");
    let listed: Vec<_> = entries
        .iter()
        .map(|entry| json!([entry["category"], entry["key"]]))
        .collect();
    assert_eq!(listed, expected);
    for entry in entries {
        let fields = ["id", "key", "category", "description", "created_at"];
        assert_eq!(keys(entry), fields);
        assert!(is_id(&entry["id"]) && is_time(&entry["created_at"]));
        assert!(text(&entry["description"]).len() > 5, "{entry}");
    }
    assert_eq!(
        entries[0]["description"],
        "View sources and connection details"
    );
    assert_eq!(entries[0]["created_at"], "2024-01-01T00:00:00Z");
    let ids: BTreeSet<_> = column(&catalog, "id").into_iter().map(text).collect();
    assert_eq!(ids.len(), 40);
    // It is public to whoever has a key, also without a workspace.
    let (_, key) = server
        .account("n@example.com", json!(["insights:read"]))
        .await;
    let path = "/api/v1/permissions";
    let theirs = server.ask(Some(&key), Method::GET, path, None).await;
    assert_eq!(theirs.expect(200), catalog);
    let nobodys = server.ask(None, Method::GET, path, None).await;
    nobodys.expect(401);
}

async fn own_role_and_the_roles_of_groups_add_up(server: Server) {
    let ws = server.workspace().await;
    let own = server.role(&ws, "own", &["sources.read"]).await;
    let more = ["models.read", "sources.read"];
    let more = server.role(&ws, "more", &more).await;
    let most = server.role(&ws, "most", &["insights.read"]).await;
    let (account_id, key) = server.joined(&ws, "m@example.com", &own).await;
    assert_eq!(server.permissions(&ws, &key).await, ["sources.read"]);
    let entry = server
        .ask(
            Some(&key),
            Method::GET,
            &format!("{ws}/permissions/me"),
            None,
        )
        .await
        .expect(200);
    let catalog = server.get("/api/v1/permissions").await.expect(200);
    assert_eq!(entry[0], catalog[0]);

    let plain = server.group(&ws, "plain", None).await;
    let first = server.group(&ws, "first", Some(&more)).await;
    let second = server.group(&ws, "second", Some(&most)).await;
    for group in [&plain, &first, &second] {
        server.enroll(&ws, group, &account_id).await;
    }
    // In the order of the catalog, each once.
    let all = ["sources.read", "models.read", "insights.read"];
    assert_eq!(server.permissions(&ws, &key).await, all);

    // Whatever ends or changes works at once: a role, a membership, a group.
    server
        .put(
            &format!("{ws}/roles/{most}"),
            json!({"permissions": ["traits.read"]}),
        )
        .await
        .expect(200);
    let all = ["sources.read", "models.read", "traits.read"];
    assert_eq!(server.permissions(&ws, &key).await, all);
    server
        .delete(&format!("{ws}/groups/{first}/members/{account_id}"))
        .await
        .expect(204);
    let rest = ["sources.read", "traits.read"];
    assert_eq!(server.permissions(&ws, &key).await, rest);
    let roleless = json!({"role_id": null});
    server
        .put(&format!("{ws}/groups/{second}"), roleless)
        .await
        .expect(200);
    assert_eq!(server.permissions(&ws, &key).await, ["sources.read"]);
    server.enroll(&ws, &first, &account_id).await;
    assert_eq!(server.permissions(&ws, &key).await.len(), 2);
    server
        .delete(&format!("{ws}/groups/{first}"))
        .await
        .expect(204);
    assert_eq!(server.permissions(&ws, &key).await, ["sources.read"]);
    // What they hold is what they may do.
    let ask = async |path: &str| {
        let path = format!("{ws}{path}");
        server
            .ask(Some(&key), Method::GET, &path, None)
            .await
            .status
    };
    assert_eq!(ask("/sources").await, 200);
    assert_eq!(ask("/models").await, 403);
}

async fn scopes_of_the_key_cut_what_is_held(server: Server) {
    let ws = server.workspace().await;
    let (account_id, all) = server.joined(&ws, "m@example.com", MEMBER).await;
    let held = server.permissions(&ws, &all).await;
    assert!(held.contains(&"governance.read".into()) && held.contains(&"syncs.trigger".into()));
    for lacking in ["governance.write", "workspace.write", "workspace.members"] {
        assert!(!held.contains(&lacking.into()), "{lacking}");
    }
    let scopes = json!(["syncs:trigger", "governance:write", "models:read"]);
    let limited = server.key(&account_id, scopes).await;
    // A scope that the account does not hold gives nothing.
    let both = ["models.read", "syncs.trigger"];
    assert_eq!(server.permissions(&ws, &limited).await, both);
    let owner_id = server.owner_id().await;
    let limited = server.key(&owner_id, json!(["workspace:members"])).await;
    let one = ["workspace.members"];
    assert_eq!(server.permissions(&ws, &limited).await, one);
    let (_, second) = server.joined(&ws, "o@example.com", OWNER).await;
    assert_eq!(server.permissions(&ws, &second).await.len(), 40);
}

async fn strangers_hold_nothing_here(server: Server) {
    let ws = server.workspace().await;
    let (account_id, stranger) = server.account("s@example.com", json!(["*"])).await;
    let mine = format!("{ws}/permissions/me");
    let answer = server.ask(Some(&stranger), Method::GET, &mine, None).await;
    let theirs = answer.expect(404);
    assert_eq!(message(&theirs), "workspace not found");
    let nowhere = format!("/api/v1/workspaces/{NOBODY}/permissions/me");
    assert_eq!(server.get(&nowhere).await.expect(404), theirs);
    server.ask(None, Method::GET, &mine, None).await.expect(401);
    // The way in and out of a workspace works at once.
    let member = json!({"account_id": account_id, "role_id": MEMBER});
    server
        .post(&format!("{ws}/members"), member)
        .await
        .expect(201);
    assert!(!server.permissions(&ws, &stranger).await.is_empty());
    server
        .delete(&format!("{ws}/members/{account_id}"))
        .await
        .expect(204);
    let answer = server.ask(Some(&stranger), Method::GET, &mine, None).await;
    answer.expect(404);
}
