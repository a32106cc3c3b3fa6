//! `/governance/policies`.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{column, is_time, keys, message};
use crate::api::{MEMBER, NOBODY, Server, text};

on_both_stores!(
    policy_comes_changes_and_goes,
    seeds_own_bodies_are_accepted,
    only_an_active_policy_is_switched_on,
    every_fault_of_a_policy_is_told,
    name_of_a_policy_is_unique,
    policies_are_listed_by_what_is_asked_for,
    parameters_that_are_not_valid_are_400,
    policies_are_written_as_yaml,
    faults_in_yaml_are_told_where_they_are,
    policy_with_active_instances_stays,
    policy_that_was_changed_meanwhile_is_412,
    policy_that_is_not_there_is_404,
    policies_are_for_those_who_govern,
    every_change_of_a_policy_is_told,
);

const POLICIES: &str = "/api/v1/governance/policies";
const IMPORT: &str = "/api/v1/governance/policies/import-yaml";
const FIELDS: [&str; 11] = [
    "id",
    "name",
    "description",
    "status",
    "category",
    "severity",
    "rules",
    "organizationId",
    "isActive",
    "createdAt",
    "updatedAt",
];

fn policy(name: &str) -> Value {
    json!({"name": name, "category": "security", "severity": "high"})
}

#[track_caller]
fn has_prefix(id: &Value, prefix: &str) {
    let digits = id.as_str().and_then(|id| id.strip_prefix(prefix));
    assert_eq!(digits.map(str::len), Some(32), "{id}");
}

async fn policy_comes_changes_and_goes(server: Server) {
    let made = server.post(POLICIES, policy("first")).await;
    assert!(made.header("etag").is_some());
    let made = made.expect(201);
    assert_eq!(keys(&made), FIELDS);
    has_prefix(&made["id"], "pol_");
    has_prefix(&made["organizationId"], "org_");
    let rest = json!({
        "id": made["id"], "name": "first", "description": "", "status": "active",
        "category": "security", "severity": "high", "rules": [],
        "organizationId": made["organizationId"], "isActive": true,
        "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
    });
    assert_eq!(made, rest);
    assert!(is_time(&made["createdAt"]));
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);

    // What a change does not name stays.
    server.pass(TimeDelta::seconds(1));
    let change = json!({"description": "why", "category": "data"});
    let changed = server.put(&one, change).await.expect(200);
    let mut expected = made.clone();
    expected["description"] = json!("why");
    expected["category"] = json!("data");
    expected["updatedAt"] = changed["updatedAt"].clone();
    assert_eq!(changed, expected);
    assert_ne!(changed["updatedAt"], made["updatedAt"]);
    assert_eq!(server.get(&one).await.expect(200), changed);

    assert_eq!(server.delete(&one).await.expect(204), json!(""));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        server.as_owner(method, &one, json!({})).await.expect(404);
    }
}

async fn seeds_own_bodies_are_accepted(server: Server) {
    let body = json!({
        "name": "Minimum TLS Version",
        "category": "security",
        "severity": "critical",
        "description": "Enforces TLS 1.2 or higher for all service endpoints",
        "rules": [{"field": "tls.minVersion", "operator": "gte", "value": "1.2"}],
        "isActive": true,
    });
    let made = server.post(POLICIES, body.clone()).await.expect(201);
    for key in keys(&body) {
        assert_eq!(made[key], body[key], "{key}");
    }
    assert_eq!(made["status"], "active");
    let change = json!({
        "severity": "critical",
        "rules": [{"field": "tls.minVersion", "operator": "gte", "value": "1.3"}],
    });
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    let changed = server.put(&one, change.clone()).await.expect(200);
    assert_eq!(changed["rules"], change["rules"]);
    assert_eq!(changed["name"], body["name"]);

    let yaml = "name: Network Segmentation\ncategory: security\nseverity: high\nrules:\n - field: \
                network.isolated\n operator: equals\n value: true";
    let made = server.post(IMPORT, json!({"yaml": yaml})).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert_eq!(made["name"], "Network Segmentation");
    let rule = json!({"field": "network.isolated", "operator": "equals", "value": true});
    assert_eq!(made["rules"], json!([rule]));
    let listed = server.get(POLICIES).await.expect(200);
    assert_eq!(keys(&listed), ["data", "pagination"]);
    assert_eq!(
        listed["pagination"],
        json!({"total": 2, "limit": 20, "offset": 0, "hasMore": false})
    );
}

async fn only_an_active_policy_is_switched_on(server: Server) {
    let mut off = policy("off");
    off["isActive"] = json!(false);
    let off = server.post(POLICIES, off).await.expect(201);
    assert_eq!(
        (&off["status"], &off["isActive"]),
        (&json!("draft"), &json!(false))
    );
    let mut wrong = policy("wrong");
    wrong["status"] = json!("archived");
    wrong["isActive"] = json!(true);
    assert_eq!(server.post(POLICIES, wrong).await.faults(), ["$.isActive"]);

    let one = format!("{POLICIES}/{}", text(&off["id"]));
    for (change, status, on) in [
        (json!({"isActive": true}), "active", true),
        (json!({"status": "archived"}), "archived", false),
        (json!({"name": "renamed"}), "archived", false),
        (json!({"status": "active"}), "active", false),
        (json!({"isActive": true}), "active", true),
        (json!({"isActive": false}), "active", false),
        (json!({"status": "draft"}), "draft", false),
        (
            json!({"status": "active", "isActive": true}),
            "active",
            true,
        ),
    ] {
        let changed = server.put(&one, change.clone()).await.expect(200);
        assert_eq!(
            (&changed["status"], &changed["isActive"]),
            (&json!(status), &json!(on)),
            "{change}"
        );
    }
    let both = json!({"status": "draft", "isActive": true});
    assert_eq!(server.put(&one, both).await.faults(), ["$.isActive"]);
    assert_eq!(server.get(&one).await.expect(200)["isActive"], true);
}

async fn every_fault_of_a_policy_is_told(server: Server) {
    let made = server.post(POLICIES, policy("sound")).await.expect(201);
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    let wrong = json!({
        "name": "", "category": "secure", "severity": 1, "description": 7, "status": "on",
        "isActive": "yes", "colour": "red",
        "rules": [
            {"field": "a", "operator": "exists"},
            {"field": "a..b", "operator": "in", "value": []},
            {"field": "a", "operator": "is", "value": 1},
            {"field": "a", "operator": "between", "value": [2, 1], "not": true},
        ],
    });
    let paths: &[&str] = &[
        "$.category",
        "$.colour",
        "$.description",
        "$.isActive",
        "$.name",
        "$.rules[1].field",
        "$.rules[1].value",
        "$.rules[2].operator",
        "$.rules[3].not",
        "$.rules[3].value",
        "$.severity",
        "$.status",
    ];
    let required: &[&str] = &["$.category", "$.name", "$.severity"];
    let rules = json!({"name": "x", "category": "data", "severity": "low", "rules": {}});
    server
        .refuses(
            Method::POST,
            POLICIES,
            POLICIES,
            [
                (wrong.clone(), paths),
                (json!({}), required),
                (
                    json!({"name": null, "category": null, "severity": null}),
                    required,
                ),
                (rules, &["$.rules"]),
                (json!([]), &["$"]),
            ],
        )
        .await;
    server
        .refuses(
            Method::PUT,
            &one,
            POLICIES,
            [
                (wrong, paths),
                (json!({"name": ""}), &["$.name"]),
                (json!({"id": "pol_1"}), &["$.id"]),
            ],
        )
        .await;
    for (method, path) in [(Method::POST, POLICIES), (Method::PUT, one.as_str())] {
        let request = server.request(method, path);
        let key = server.key(&server.owner_id().await, json!(["*"])).await;
        let answer = server.send(request.bearer_auth(key).body("{")).await;
        assert_eq!(answer.expect(400)["error"]["code"], "malformed_request");
    }
}

async fn name_of_a_policy_is_unique(server: Server) {
    server.post(POLICIES, policy("first")).await.expect(201);
    let second = server.post(POLICIES, policy("second")).await.expect(201);
    let second = format!("{POLICIES}/{}", text(&second["id"]));
    let yaml = "name: first\ncategory: security\nseverity: low";
    for answer in [
        server.post(POLICIES, policy("first")).await,
        server.put(&second, json!({"name": "first"})).await,
        server.post(IMPORT, json!({"yaml": yaml})).await,
    ] {
        let error = answer.expect(409);
        assert_eq!(error["error"]["code"], "duplicate_name");
        assert!(message(&error).contains("\"first\""), "{error}");
    }
    let own = json!({"name": "second", "description": "x"});
    server.put(&second, own).await.expect(200);
}

async fn policies_are_listed_by_what_is_asked_for(server: Server) {
    for (name, description, status, category, severity) in [
        ("alpha", "first of all", "active", "security", "low"),
        ("beta", "ALPHABET", "draft", "data", "critical"),
        ("gamma", "100%_sure", "archived", "data", "high"),
        ("delta", "", "active", "operational", "medium"),
        ("epsilon", "", "active", "compliance", "high"),
    ] {
        let body = json!({
            "name": name, "description": description, "status": status, "category": category,
            "severity": severity,
        });
        server.post(POLICIES, body).await.expect(201);
        server.pass(TimeDelta::seconds(1));
    }
    let newest = ["epsilon", "delta", "gamma", "beta", "alpha"];
    for (query, expected) in [
        ("", &newest[..]),
        ("?sort=createdAt:desc", &newest),
        (
            "?sort=createdAt:asc",
            &["alpha", "beta", "gamma", "delta", "epsilon"],
        ),
        (
            "?sort=updatedAt",
            &["alpha", "beta", "gamma", "delta", "epsilon"],
        ),
        (
            "?sort=name:asc",
            &["alpha", "beta", "delta", "epsilon", "gamma"],
        ),
        ("?sort=name:desc&limit=2", &["gamma", "epsilon"]),
        ("?sort=name:asc&limit=2&offset=3", &["epsilon", "gamma"]),
        ("?sort=status:asc&status=draft", &["beta"]),
        ("?sort=category:asc&limit=1", &["epsilon"]),
        ("?search=ALPHA&sort=name:asc", &["alpha", "beta"]),
        ("?search=100%25_", &["gamma"]),
        ("?search=_", &["gamma"]),
        ("?search=nothing", &[]),
        (
            "?status=active&sort=name:asc",
            &["alpha", "delta", "epsilon"],
        ),
        ("?status=archived", &["gamma"]),
        ("?category=data&sort=name:asc", &["beta", "gamma"]),
        ("?category=data&status=draft", &["beta"]),
        (
            "?isActive=true&sort=name:asc",
            &["alpha", "delta", "epsilon"],
        ),
        ("?isActive=false&sort=name:asc", &["beta", "gamma"]),
        ("?offset=9", &[]),
    ] {
        let path = format!("{POLICIES}{query}");
        let listed = server.get(&path).await.expect(200);
        assert_eq!(column(&listed["data"], "name"), expected, "{query}");
    }
    let severities = |listed: &Value| {
        column(&listed["data"], "severity")
            .into_iter()
            .map(text)
            .collect::<Vec<_>>()
    };
    let worst = server.get(&format!("{POLICIES}?sort=severity:desc")).await;
    let order = ["critical", "high", "high", "medium", "low"];
    assert_eq!(severities(&worst.expect(200)), order);
    let least = server.get(&format!("{POLICIES}?sort=severity:asc")).await;
    let order = ["low", "medium", "high", "high", "critical"];
    assert_eq!(severities(&least.expect(200)), order);

    let part = server
        .get(&format!("{POLICIES}?status=active&limit=2"))
        .await
        .expect(200);
    assert_eq!(
        part["pagination"],
        json!({"total": 3, "limit": 2, "offset": 0, "hasMore": true})
    );
    assert_eq!(keys(&part["data"][0]), FIELDS);
}

async fn parameters_that_are_not_valid_are_400(server: Server) {
    let path =
        format!("{POLICIES}?status=on&category=x&isActive=1&limit=0&offset=-1&sort=rules&x=1");
    let error = server.get(&path).await.expect(400);
    let details = column(&error["error"]["details"], "path");
    let mut paths: Vec<String> = details.into_iter().map(text).collect();
    paths.sort();
    let expected = [
        "category", "isActive", "limit", "offset", "sort", "status", "x",
    ];
    assert_eq!(paths, expected.map(|name| format!("$query.{name}")));
}

async fn policies_are_written_as_yaml(server: Server) {
    let yaml = "\
# Beside the others.
name: Regions
description: |
  Where data may lie.
category: data
severity: medium
status: draft
rules:
  - field: region
    operator: in
    value: [NO, \"SE\"]
  - field: retention.days
    operator: between
    value: [1, 365.5]
  - {field: owner, operator: exists}
";
    let made = server.post(IMPORT, json!({"yaml": yaml})).await.expect(201);
    let expected = json!([
        {"field": "region", "operator": "in", "value": ["NO", "SE"]},
        {"field": "retention.days", "operator": "between", "value": [1, 365.5]},
        {"field": "owner", "operator": "exists"},
    ]);
    assert_eq!(made["rules"], expected);
    assert_eq!(made["description"], "Where data may lie.\n");
    assert_eq!(
        (&made["status"], &made["isActive"]),
        (&json!("draft"), &json!(false))
    );
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
}

async fn faults_in_yaml_are_told_where_they_are(server: Server) {
    let yaml = |text: &str| json!({"yaml": text});
    let rules = "name: n\ncategory: x\nrules:\n  - {field: a, operator: gt, value: [1]}\ncolour: r";
    let bomb = "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c \
                [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e \
                [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: \
                [*f,*f,*f,*f,*f,*f,*f,*f,*f]";
    server
        .refuses(
            Method::POST,
            IMPORT,
            POLICIES,
            [
                (
                    yaml(rules),
                    &[
                        "$.yaml.category",
                        "$.yaml.colour",
                        "$.yaml.rules[0].value",
                        "$.yaml.severity",
                    ],
                ),
                (yaml("name: a\nname: b"), &["$.yaml"]),
                (yaml("name: [a"), &["$.yaml"]),
                (yaml(bomb), &["$.yaml"]),
                (yaml("- name"), &["$.yaml"]),
                (yaml(""), &["$.yaml"]),
                (json!({}), &["$.yaml"]),
                (json!({"yaml": 1, "name": "x"}), &["$.name", "$.yaml"]),
            ],
        )
        .await;
}

async fn policy_with_active_instances_stays(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let made = server.post(POLICIES, policy("bound")).await.expect(201);
    for (resource_type, resource_id) in [
        ("addon", catalog.source),
        ("model", catalog.model),
        ("app", catalog.destination),
    ] {
        let instance = json!({
            "policyId": made["id"], "resourceId": resource_id, "resourceType": resource_type,
        });
        let instances = "/api/v1/governance/instances";
        server.post(instances, instance).await.expect(201);
    }
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    let error = server.delete(&one).await.expect(409);
    let expected = json!({"error": {
        "code": "policy_in_use",
        "message": "Cannot delete policy: 3 active instances exist",
        "status": 409,
    }});
    assert_eq!(error, expected);
    assert_eq!(server.get(&one).await.expect(200), made);
}

async fn policy_that_was_changed_meanwhile_is_412(server: Server) {
    let made = server.post(POLICIES, policy("first")).await.expect(201);
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    server
        .heeds_if_match(&one, json!({"severity": "low"}))
        .await;
}

async fn policy_that_is_not_there_is_404(server: Server) {
    for id in [
        "pol_0190000000007000800000000000dead",
        "sol_0190000000007000800000000000dead",
        "pol_abc123",
        NOBODY,
    ] {
        let one = format!("{POLICIES}/{id}");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let error = server.as_owner(method, &one, json!({})).await.expect(404);
            assert_eq!(error["error"]["code"], "not_found");
        }
    }
}

async fn policies_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let made = server.post(POLICIES, policy("first")).await.expect(201);
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    let yaml = json!({"yaml": "name: y\ncategory: data\nseverity: low"});
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    let (_, member) = server.joined(&ws, "member@example.com", MEMBER).await;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["governance:read"])).await;
    let other = server.key(&owner, json!(["sources:read"])).await;
    // An owner elsewhere reads what is the organisation's, and does not change it.
    let elsewhere = server
        .post("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let elsewhere = format!("/api/v1/workspaces/{}", text(&elsewhere.expect(201)["id"]));
    let (_, foreign) = server
        .joined(&elsewhere, "foreign@example.com", crate::api::OWNER)
        .await;
    for (method, path, body, writes) in [
        (Method::GET, POLICIES, json!({}), false),
        (Method::GET, one.as_str(), json!({}), false),
        (Method::POST, POLICIES, policy("second"), true),
        (Method::POST, IMPORT, yaml, true),
        (Method::PUT, one.as_str(), json!({"name": "other"}), true),
        (Method::DELETE, one.as_str(), json!({}), true),
    ] {
        let sent = body.to_string();
        let ask = async |key: Option<&str>| {
            server
                .ask(key, method.clone(), path, Some(&sent))
                .await
                .status
        };
        let allowed = if writes { 403 } else { 200 };
        assert_eq!(ask(None).await, 401, "{method} {path}");
        assert_eq!(ask(Some(&stranger)).await, 403, "{method} {path}");
        assert_eq!(ask(Some(&other)).await, 403, "{method} {path}");
        assert_eq!(ask(Some(&member)).await, allowed, "{method} {path}");
        assert_eq!(ask(Some(&reader)).await, allowed, "{method} {path}");
        assert_eq!(ask(Some(&foreign)).await, allowed, "{method} {path}");
    }
    let listed = server.get(POLICIES).await.expect(200);
    assert_eq!(listed["data"], json!([made]));
}

async fn every_change_of_a_policy_is_told(server: Server) {
    let made = server.post(POLICIES, policy("first")).await.expect(201);
    let one = format!("{POLICIES}/{}", text(&made["id"]));
    let changed = server
        .put(&one, json!({"severity": "low"}))
        .await
        .expect(200);
    server.delete(&one).await.expect(204);
    let lines = server
        .get("/api/v1/audit?object_kind=governance_policy")
        .await
        .expect(200);
    let lines = lines.as_array().expect("lines");
    let told = |verb: &str| {
        let action = json!(format!("governance_policy.{verb}"));
        let mut told = lines.iter().map(|link| &link["line"]);
        told.find(|line| line["action"] == action).expect("a line")
    };
    for (verb, before, after) in [
        ("create", &Value::Null, &made),
        ("update", &made, &changed),
        ("delete", &changed, &Value::Null),
    ] {
        let line = told(verb);
        assert_eq!((&line["before"], &line["after"]), (before, after), "{verb}");
        let id = text(&line["object_id"]).replace('-', "");
        assert_eq!(format!("pol_{id}"), text(&made["id"]));
    }
}
