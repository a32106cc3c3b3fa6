//! Every route: 401 without a key, 403 without the permission, and another workspace's objects
//! exactly as if there were none.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::equals;
use super::{MEMBER, NOBODY, OWNER, Server, text};

/// Method, path under the workspace, and the permission it takes; none where it is enough to be
/// a member. `{source}` and the like stand for an object.
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
    (
        "POST",
        "/models/{model}/guard?destination_type=file",
        "syncs:trigger",
    ),
    ("GET", "/models/{model}/rows", "models:read"),
    (
        "GET",
        "/models/{model}/effective-policy?account_id={account}",
        "governance:read",
    ),
    ("POST", "/query", "models:read"),
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
    ("POST", "/syncs/{sync}/records", "syncs:trigger"),
    ("GET", "/syncs/{sync}/runs", "syncs:read"),
    ("GET", "/runs/{run}", "syncs:read"),
    ("POST", "/runs/{run}/cancel", "syncs:trigger"),
    ("GET", "/destination-rules", "governance:read"),
    ("POST", "/destination-rules", "governance:write"),
    ("GET", "/destination-rules/{policy}", "governance:read"),
    ("PUT", "/destination-rules/{policy}", "governance:write"),
    ("DELETE", "/destination-rules/{policy}", "governance:write"),
    ("GET", "/destination-types/file/rules", "governance:read"),
    ("GET", "/permissions/me", ""),
    ("GET", "/roles", "governance:read"),
    ("POST", "/roles", "governance:write"),
    ("GET", "/roles/{role}", "governance:read"),
    ("PUT", "/roles/{role}", "governance:write"),
    ("DELETE", "/roles/{role}", "governance:write"),
    ("GET", "/groups", "governance:read"),
    ("POST", "/groups", "governance:write"),
    ("GET", "/groups/{group}", "governance:read"),
    ("PUT", "/groups/{group}", "governance:write"),
    ("DELETE", "/groups/{group}", "governance:write"),
    ("GET", "/groups/{group}/members", "governance:read"),
    ("POST", "/groups/{group}/members", "governance:write"),
    (
        "DELETE",
        "/groups/{group}/members/{account}",
        "governance:write",
    ),
    ("GET", "/groups/{group}/subsets", "governance:read"),
    ("PUT", "/groups/{group}/subsets", "governance:write"),
    ("GET", "/subset-categories", "governance:read"),
    ("POST", "/subset-categories", "governance:write"),
    ("GET", "/subset-categories/{category}", "governance:read"),
    ("PUT", "/subset-categories/{category}", "governance:write"),
    (
        "DELETE",
        "/subset-categories/{category}",
        "governance:write",
    ),
    ("GET", "/subsets", "governance:read"),
    ("POST", "/subsets", "governance:write"),
    ("GET", "/subsets/me", ""),
    ("GET", "/subsets/{subset}", "governance:read"),
    ("PUT", "/subsets/{subset}", "governance:write"),
    ("DELETE", "/subsets/{subset}", "governance:write"),
    ("GET", "/subsets/{subset}/assignments", "governance:read"),
    ("POST", "/subsets/{subset}/assignments", "governance:write"),
    (
        "DELETE",
        "/subsets/{subset}/assignments/{assignment}",
        "governance:write",
    ),
    ("GET", "/alert_channels", "governance:read"),
    ("POST", "/alert_channels", "governance:write"),
    ("GET", "/alert_channels/{channel}", "governance:read"),
    ("PUT", "/alert_channels/{channel}", "governance:write"),
    ("DELETE", "/alert_channels/{channel}", "governance:write"),
    ("GET", "/revisions", "governance:read"),
    ("GET", "/revisions/{revision}", "governance:read"),
    ("POST", "/revisions/{revision}/restore", "governance:write"),
    ("POST", "/plan", "governance:read"),
    ("POST", "/apply", "governance:write"),
    ("GET", "/audit", "governance:read"),
    ("POST", "/preview", "governance:read"),
    ("POST", "/explain", "governance:read"),
];

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

/// A revision that no workspace here has. Revisions are numbered in each workspace, so that one
/// of another workspace is none to ask for.
const NO_REVISION: &str = "4000000000";

/// The path with every object replaced by the same identifier.
fn with_id(path: &str, id: &str) -> String {
    let mut replaced = path.replace("{revision}", NO_REVISION);
    while let (Some(from), Some(to)) = (replaced.find('{'), replaced.find('}')) {
        replaced.replace_range(from..=to, id);
    }
    replaced
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
        ("GET", "/api/v1/permissions"),
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
        if scope.is_empty() {
            answer.expect(200);
            continue;
        }
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

    let ours = Objects::made(&server, &ws, &catalog.model).await;
    let object = |path: &str| {
        let ids = [
            ("{account}", &owner_id),
            ("{source}", &catalog.source),
            ("{model}", &catalog.model),
            ("{destination}", &catalog.destination),
            ("{policy}", &catalog.policy),
            ("{sync}", &catalog.sync),
            ("{run}", &run),
            ("{role}", &ours.role),
            ("{group}", &ours.group),
            ("{category}", &ours.category),
            ("{subset}", &ours.subset),
            ("{assignment}", &ours.assignment),
            ("{channel}", &ours.channel),
        ];
        let path = path.replace("{revision}", NO_REVISION);
        ids.iter()
            .fold(path, |path, (name, id)| path.replace(name, id))
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
        if path.contains('{') && !path.contains("{revision}") {
            let theirs = ask(format!("{other}{}", object(path))).await;
            let nobodys = ask(format!("{other}{}", with_id(path, NOBODY))).await;
            assert_eq!(theirs, nobodys, "{m} {path}");
        }
    }
    // And everything is still there.
    let sync = format!("{ws}/syncs/{}", catalog.sync);
    server.get(&sync).await.expect(200);
    let assignments = format!("{ws}/subsets/{}/assignments", ours.subset);
    let assignments = server.get(&assignments).await.expect(200);
    assert_eq!(assignments[0]["id"], json!(ours.assignment));
}

/// An object of each kind that governs.
struct Objects {
    role: String,
    group: String,
    category: String,
    subset: String,
    assignment: String,
    channel: String,
}

impl Objects {
    async fn made(server: &Server, ws: &str, model: &str) -> Objects {
        let role = server.role(ws, "mine", &["sources.read"]).await;
        let group = server.group(ws, "mine", Some(&role)).await;
        let category = server.category(ws, "mine", "deny").await;
        let tree = equals("country", "US");
        let subset = server
            .subset(ws, &category, Some(model), "mine", tree)
            .await;
        let assignment = server.assign(ws, &subset, &group).await;
        let channel = json!({"name": "mine", "type": "webhook", "url": "http://127.0.0.1:9/"});
        let channel = server.made(&format!("{ws}/alert_channels"), channel).await;
        Objects {
            role,
            group,
            category,
            subset,
            assignment,
            channel,
        }
    }
}

#[tokio::test]
async fn ids_of_another_workspace_in_a_body_or_below_an_own_object_are_unknown_ones() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let own_catalog = server.catalog(&ws).await;
    let own = Objects::made(&server, &ws, &own_catalog.model).await;
    let own_id = server.owner_id().await;
    // The same owner has both workspaces, so that nothing but the workspace keeps them apart.
    let other = json!({"name": "other"});
    let other = server.made("/api/v1/workspaces", other).await;
    let other = format!("/api/v1/workspaces/{other}");
    let catalog = server.catalog(&other).await;
    let theirs = Objects::made(&server, &other, &catalog.model).await;
    let (stranger, _) = server.joined(&other, "s@example.com", MEMBER).await;
    server.enroll(&other, &theirs.group, &stranger).await;
    let tree = equals("country", "US");
    let explain = |model: &str, account: &str| json!({"model_id": model, "account_id": account, "records": []});
    let sync = |model: &str, destination: &str| json!({"name": "x", "model_id": model, "destination_id": destination});
    let subset = |category: &str, model: &str| json!({"name": "x", "category_id": category, "parent_model_id": model, "filter_tree": tree});
    let rule = |model: &str| json!({"name": "x", "destination_type": "file", "parent_model_id": model, "filter_tree": tree});
    let group = format!("/groups/{}", own.group);
    let (members, subsets) = (format!("{group}/members"), format!("{group}/subsets"));
    let policy = format!("/subsets/{}", own.subset);
    let assignments = format!("{policy}/assignments");
    let own_rule = format!("/destination-rules/{}", own_catalog.policy);
    let me = format!("/members/{own_id}");
    // A request that refers to an id, the path of its fault, and an id of the other workspace.
    let id = "{id}";
    let requests: [(&str, &str, &str, &str, Value); 21] = [
        (
            "POST",
            "/groups",
            "$.role_id",
            &theirs.role,
            json!({"name": "x", "role_id": id}),
        ),
        (
            "PUT",
            &group,
            "$.role_id",
            &theirs.role,
            json!({"role_id": id}),
        ),
        (
            "POST",
            "/members",
            "$.role_id",
            &theirs.role,
            json!({"account_id": stranger, "role_id": id}),
        ),
        (
            "PUT",
            &me,
            "$.role_id",
            &theirs.role,
            json!({"role_id": id}),
        ),
        (
            "POST",
            &members,
            "$.account_id",
            &stranger,
            json!({"account_id": id}),
        ),
        (
            "PUT",
            &subsets,
            "$.subset_ids[1]",
            &theirs.subset,
            json!({"subset_ids": [own.subset, id]}),
        ),
        (
            "POST",
            "/subsets",
            "$.category_id",
            &theirs.category,
            subset(id, &own_catalog.model),
        ),
        (
            "POST",
            "/subsets",
            "$.parent_model_id",
            &catalog.model,
            subset(&own.category, id),
        ),
        (
            "PUT",
            &policy,
            "$.category_id",
            &theirs.category,
            json!({"category_id": id}),
        ),
        (
            "PUT",
            &policy,
            "$.parent_model_id",
            &catalog.model,
            json!({"parent_model_id": id}),
        ),
        (
            "POST",
            &assignments,
            "$.group_id",
            &theirs.group,
            json!({"group_id": id}),
        ),
        (
            "POST",
            "/destination-rules",
            "$.parent_model_id",
            &catalog.model,
            rule(id),
        ),
        (
            "PUT",
            &own_rule,
            "$.parent_model_id",
            &catalog.model,
            json!({"parent_model_id": id}),
        ),
        (
            "POST",
            "/models",
            "$.source_id",
            &catalog.source,
            json!({"name": "x", "source_id": id, "table": "files"}),
        ),
        (
            "POST",
            "/syncs",
            "$.model_id",
            &catalog.model,
            sync(id, &own_catalog.destination),
        ),
        (
            "POST",
            "/syncs",
            "$.destination_id",
            &catalog.destination,
            sync(&own_catalog.model, id),
        ),
        (
            "POST",
            "/explain",
            "$.model_id",
            &catalog.model,
            explain(id, &own_id),
        ),
        (
            "POST",
            "/explain",
            "$.account_id",
            &stranger,
            explain(&own_catalog.model, id),
        ),
        (
            "POST",
            "/preview",
            "$.model_id",
            &catalog.model,
            json!({"model_id": id, "destination_type": "file"}),
        ),
        (
            "POST",
            "/preview",
            "$.account_id",
            &stranger,
            json!({"model_id": own_catalog.model, "destination_type": "file", "account_id": id}),
        ),
        (
            "POST",
            "/query",
            "$.account_id",
            &stranger,
            json!({"sql": "SELECT 1", "account_id": id}),
        ),
    ];
    for (m, path, fault, theirs, body) in requests {
        let path = format!("{ws}{path}");
        let ask = async |id: &str| {
            let body = body.to_string().replace("{id}", id);
            let body = serde_json::from_str(&body).expect("a document");
            server.as_owner(method(m), &path, body).await
        };
        let (found, unknown) = (ask(theirs).await, ask(NOBODY).await);
        assert_eq!(found.body, unknown.body, "{m} {path} {fault}");
        assert_eq!(found.faults(), [fault], "{m} {path}");
    }
    for (m, path, id) in [
        ("DELETE", members, &stranger),
        ("DELETE", assignments, &theirs.assignment),
    ] {
        let found = server
            .as_owner(method(m), &format!("{ws}{path}/{id}"), json!({}))
            .await;
        let unknown = server
            .as_owner(method(m), &format!("{ws}{path}/{NOBODY}"), json!({}))
            .await;
        assert_eq!(found.expect(404), unknown.expect(404), "{m} {path}");
    }
}
