//! Every route: 401 without a key, 403 without the permission, and another workspace's objects
//! exactly as if there were none.

use reqwest::Method;
use serde_json::json;

use super::{MEMBER, NOBODY, OWNER, Server, text};

/// Method, path under the workspace, and the permission it takes. `{source}` and the like stand
/// for an object.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "", "workspace:read"),
    ("PUT", "", "workspace:write"),
    ("GET", "/members", "workspace:read"),
    ("POST", "/members", "workspace:members"),
    ("GET", "/members/{account}", "workspace:read"),
    ("PUT", "/members/{account}", "workspace:members"),
    ("DELETE", "/members/{account}", "workspace:members"),
    ("GET", "/sources", "sources:read"),
    ("POST", "/sources", "sources:write"),
    ("GET", "/sources/{source}", "sources:read"),
    ("PUT", "/sources/{source}", "sources:write"),
    ("DELETE", "/sources/{source}", "sources:delete"),
    ("GET", "/models", "models:read"),
    ("POST", "/models", "models:write"),
    ("GET", "/models/{model}", "models:read"),
    ("PUT", "/models/{model}", "models:write"),
    ("DELETE", "/models/{model}", "models:delete"),
    ("GET", "/destinations", "destinations:read"),
    ("POST", "/destinations", "destinations:write"),
    ("GET", "/destinations/{destination}", "destinations:read"),
    ("PUT", "/destinations/{destination}", "destinations:write"),
    (
        "DELETE",
        "/destinations/{destination}",
        "destinations:delete",
    ),
    ("GET", "/syncs", "syncs:read"),
    ("POST", "/syncs", "syncs:write"),
    ("GET", "/syncs/{sync}", "syncs:read"),
    ("PUT", "/syncs/{sync}", "syncs:write"),
    ("DELETE", "/syncs/{sync}", "syncs:delete"),
    ("POST", "/syncs/{sync}/trigger", "syncs:trigger"),
    ("GET", "/syncs/{sync}/runs", "syncs:read"),
    ("GET", "/runs/{run}", "syncs:read"),
    ("POST", "/runs/{run}/cancel", "syncs:trigger"),
    ("GET", "/destination-rules", "governance:read"),
    ("POST", "/destination-rules", "governance:write"),
    ("GET", "/destination-rules/{policy}", "governance:read"),
    ("PUT", "/destination-rules/{policy}", "governance:write"),
    ("DELETE", "/destination-rules/{policy}", "governance:write"),
    ("GET", "/destination-types/file/rules", "governance:read"),
    ("POST", "/preview", "governance:read"),
    ("POST", "/explain", "governance:read"),
];

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

/// The path with every object replaced by the same identifier.
fn with_id(path: &str, id: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(from), Some(to)) => format!("{}{id}{}", &path[..from], &path[to + 1..]),
        _ => path.to_owned(),
    }
}

#[tokio::test]
async fn without_a_key_every_route_is_401() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let outside = [
        ("GET", "/api/v1/me"),
        ("GET", "/api/v1/accounts"),
        ("POST", "/api/v1/accounts"),
        ("GET", "/api/v1/workspaces"),
        ("POST", "/api/v1/workspaces"),
    ];
    let inside = ROUTES
        .iter()
        .map(|(m, path, _)| (*m, format!("{ws}{}", with_id(path, NOBODY))));
    for (m, path) in outside
        .into_iter()
        .map(|(m, p)| (m, p.to_owned()))
        .chain(inside)
    {
        let answer = server.ask(None, method(m), &path, Some("{")).await;
        assert_eq!(answer.status, 401, "{m} {path}");
        answer.expect(401);
    }
}

#[tokio::test]
async fn without_the_scope_every_route_is_403() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let me = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    let key = server.key(&me, json!(["insights:read"])).await;
    for (m, path, scope) in ROUTES {
        let path = format!("{ws}{}", with_id(path, NOBODY));
        let answer = server.ask(Some(&key), method(m), &path, Some("{")).await;
        assert_eq!(answer.status, 403, "{m} {path}");
        assert!(
            answer.expect(403).to_string().contains(scope),
            "{m} {path} should take {scope}"
        );
    }
}

#[tokio::test]
async fn a_member_may_not_change_policies_settings_and_members() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let key = server.member(&ws, "m@example.com", MEMBER).await;
    for (m, path, scope) in ROUTES {
        let path = format!("{ws}{}", with_id(path, NOBODY));
        let refused = ["governance:write", "workspace:write", "workspace:members"].contains(scope);
        let answer = server.ask(Some(&key), method(m), &path, Some("{")).await;
        assert_eq!(
            answer.status == 403,
            refused,
            "{m} {path}: {}",
            answer.status
        );
        assert!(answer.status < 500, "{m} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn another_workspace_and_its_objects_do_not_exist() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let run = server
        .post(&format!("{ws}/syncs/{}/trigger", catalog.sync), json!({}))
        .await
        .expect(202);
    let run = text(&run["run_id"]);
    server.finished(&ws, &run).await;
    let owner_id = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);

    // A stranger with a workspace of their own, which the first owner has left.
    let (stranger_id, key) = server.account("stranger@example.com", json!(["*"])).await;
    let other = server
        .post("/api/v1/workspaces", json!({"name": "other"}))
        .await
        .expect(201);
    let other = format!("/api/v1/workspaces/{}", text(&other["id"]));
    let owner = json!({"account_id": stranger_id, "role_id": OWNER});
    server
        .post(&format!("{other}/members"), owner)
        .await
        .expect(201);
    let leave = format!("{other}/members/{owner_id}");
    server
        .ask(Some(&key), Method::DELETE, &leave, None)
        .await
        .expect(204);

    let object = |path: &str| {
        let ids = [
            ("{account}", &owner_id),
            ("{source}", &catalog.source),
            ("{model}", &catalog.model),
            ("{destination}", &catalog.destination),
            ("{policy}", &catalog.policy),
            ("{sync}", &catalog.sync),
            ("{run}", &run),
        ];
        ids.iter()
            .fold(path.to_owned(), |path, (name, id)| path.replace(name, id))
    };
    let body = json!({"role_id": MEMBER}).to_string();
    let unknown_ws = format!("/api/v1/workspaces/{NOBODY}");
    for (m, path, _) in ROUTES {
        let ask = async |path: String| {
            let answer = server.ask(Some(&key), method(m), &path, Some(&body)).await;
            assert_eq!(answer.status, 404, "{m} {path}: {}", answer.body);
            answer.expect(404)
        };
        let there = ask(format!("{ws}{}", object(path))).await;
        let nowhere = ask(format!("{unknown_ws}{}", object(path))).await;
        assert_eq!(there, nowhere, "{m} {path}");
        if path.contains('{') {
            let theirs = ask(format!("{other}{}", object(path))).await;
            let nobodys = ask(format!("{other}{}", with_id(path, NOBODY))).await;
            assert_eq!(theirs, nobodys, "{m} {path}");
        }
    }
    // References in a body are no way in either.
    let reference = json!({"name": "x", "source_id": catalog.source, "table": "files"}).to_string();
    let answer = server
        .ask(
            Some(&key),
            Method::POST,
            &format!("{other}/models"),
            Some(&reference),
        )
        .await;
    assert_eq!(answer.faults(), ["$.source_id"]);
    // And everything is still there.
    let sync = format!("{ws}/syncs/{}", catalog.sync);
    server.get(&sync).await.expect(200);
}
