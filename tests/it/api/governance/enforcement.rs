//! `/governance/enforcement/check`, `/governance/metrics` and `/governance/resource-types`.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{column, is_time, keys, message};
use crate::api::{MEMBER, NOBODY, Server, text};

on_both_stores!(
    a_check_has_the_fields_of_the_seed,
    a_check_names_policies_in_force_by_severity_and_name,
    a_check_reads_facts_and_policies_as_they_are_now,
    a_check_tells_what_follows_in_an_environment,
    a_denial_stands_until_an_approval,
    every_fault_of_the_parameters_of_a_check_is_told,
    what_is_beyond_the_purview_is_not_there,
    resource_types_are_those_of_the_seed,
    metrics_have_the_fields_of_the_seed,
    metrics_follow_every_change,
    metrics_are_those_of_the_purview,
);

const GOV: &str = "/api/v1/governance";

/// What tests of enforcement set up.
impl Server {
    /// A policy of one rule, that the declared fact `checks.done` is true; answers its id.
    pub(crate) async fn gov_policy(&self, name: &str, severity: &str) -> String {
        let policy = json!({
            "name": name,
            "category": "security",
            "severity": severity,
            "rules": [{"field": "checks.done", "operator": "equals", "value": true}],
        });
        self.made(&format!("{GOV}/policies"), policy).await
    }

    /// Binds a policy to a resource; answers the instance's id.
    pub(crate) async fn gov_bind(&self, policy: &str, kind: &str, resource: &str) -> String {
        let instance = json!({"policyId": policy, "resourceType": kind, "resourceId": resource});
        self.made(&format!("{GOV}/instances"), instance).await
    }

    /// Declares the fact `checks.done` of a resource.
    pub(crate) async fn gov_declare(&self, kind: &str, resource: &str, done: bool) {
        let path = format!("{GOV}/resources/{kind}/{resource}");
        let attributes = json!({"attributes": {"checks": {"done": done}}});
        self.put(&path, attributes).await.expect(200);
    }

    /// A step in the review of an instance by a key.
    pub(crate) async fn gov_step(&self, key: &str, instance: &str, step: &str) -> Value {
        let path = format!("{GOV}/instances/{instance}/{step}");
        self.by(key, Method::POST, &path, json!({}))
            .await
            .expect(200)
    }

    /// The check of a resource.
    pub(crate) async fn gov_check(&self, kind: &str, resource: &str, more: &str) -> Value {
        let query = format!("resourceId={resource}&resourceType={kind}{more}");
        let path = format!("{GOV}/enforcement/check?{query}");
        self.get(&path).await.expect(200)
    }

    async fn gov_metrics(&self) -> Value {
        self.get(&format!("{GOV}/metrics")).await.expect(200)
    }
}

async fn a_check_has_the_fields_of_the_seed(server: Server) {
    let policy = server.gov_policy("Data Encryption at Rest", "high").await;
    let instance = server.gov_bind(&policy, "addon", "addon_ghi789").await;
    server.gov_declare("addon", "addon_ghi789", true).await;
    let check = server.gov_check("addon", "addon_ghi789", "").await;
    assert_eq!(
        keys(&check),
        [
            "resourceId",
            "resourceType",
            "compliant",
            "policies",
            "checkedAt"
        ]
    );
    assert!(is_time(&check["checkedAt"]));
    for (field, expected) in [
        ("resourceId", json!("addon_ghi789")),
        ("resourceType", json!("addon")),
        ("compliant", json!(true)),
        (
            "policies",
            json!([{
                "policyId": policy,
                "name": "Data Encryption at Rest",
                "status": "compliant",
                "severity": "high",
                "instanceId": instance,
                "failedRules": [],
                "denied": false,
            }]),
        ),
    ] {
        assert_eq!(check[field], expected, "{field}");
    }
    // What nothing is bound to meets everything.
    let other = server.gov_check("app", "addon_ghi789", "").await;
    assert_eq!(
        (&other["compliant"], &other["policies"]),
        (&json!(true), &json!([]))
    );
}

async fn a_check_names_policies_in_force_by_severity_and_name(server: Server) {
    for (name, severity) in [
        ("d", "low"),
        ("b", "high"),
        ("c", "critical"),
        ("a", "high"),
        ("e", "medium"),
    ] {
        let policy = server.gov_policy(name, severity).await;
        server.gov_bind(&policy, "app", "thing").await;
    }
    let names = async || {
        let check = server.gov_check("app", "thing", "").await;
        let names: Vec<String> = column(&check["policies"], "name")
            .into_iter()
            .map(text)
            .collect();
        (names.concat(), check)
    };
    let (all, check) = names().await;
    assert_eq!(all, "cabed");
    let policies = check["policies"].as_array().expect("policies");
    let path = |name: &str| {
        let policy = policies.iter().find(|policy| policy["name"] == name);
        format!(
            "{GOV}/policies/{}",
            text(&policy.expect("the policy")["policyId"])
        )
    };
    for (name, change, left) in [
        ("a", json!({"isActive": false}), "cbed"),
        ("b", json!({"status": "archived"}), "ced"),
        ("c", json!({"status": "draft"}), "ed"),
        ("a", json!({"isActive": true}), "aed"),
    ] {
        server.put(&path(name), change.clone()).await.expect(200);
        assert_eq!(names().await.0, left, "{name} {change}");
    }
}

async fn a_check_reads_facts_and_policies_as_they_are_now(server: Server) {
    let ws = server.workspace().await;
    let model = server.catalog(&ws).await.model;
    let policy = server.gov_policy("checked", "low").await;
    server.gov_bind(&policy, "model", &model).await;
    let check = async || {
        // An id in another form is the same object.
        let check = server.gov_check("model", &model.to_uppercase(), "").await;
        assert_eq!(check["resourceId"], json!(model));
        let policy = &check["policies"][0];
        assert_eq!(
            policy["status"] == "compliant",
            check["compliant"] == json!(true)
        );
        assert!(policy.get("action").is_none(), "{policy}");
        check
    };
    let missing = check().await;
    assert_eq!(missing["policies"][0]["status"], "non_compliant");
    let failed = &missing["policies"][0]["failedRules"][0];
    assert_eq!(
        (&failed["field"], &failed["operator"], &failed["passed"]),
        (&json!("checks.done"), &json!("equals"), &json!(false))
    );
    assert!(text(&failed["reason"]).contains("checks.done"), "{failed}");
    server.gov_declare("model", &model, true).await;
    assert_eq!(check().await["compliant"], true);
    let rules = json!({"rules": [{"field": "checks.done", "operator": "equals", "value": false}]});
    let path = format!("{GOV}/policies/{policy}");
    server.put(&path, rules).await.expect(200);
    assert_eq!(check().await["compliant"], false);
    server.gov_declare("model", &model, false).await;
    assert_eq!(check().await["compliant"], true);
}

async fn a_check_tells_what_follows_in_an_environment(server: Server) {
    for severity in ["critical", "high", "medium", "low"] {
        let policy = server.gov_policy(severity, severity).await;
        server.gov_bind(&policy, "workflow", "flow").await;
    }
    for (environment, expected) in [
        ("production", ["block", "block", "warn", "warn"]),
        ("staging", ["warn"; 4]),
        ("development", ["warn"; 4]),
    ] {
        let more = format!("&environment={environment}");
        let check = server.gov_check("workflow", "flow", &more).await;
        assert_eq!(
            column(&check["policies"], "action"),
            expected,
            "{environment}"
        );
    }
    server.gov_declare("workflow", "flow", true).await;
    let met = server
        .gov_check("workflow", "flow", "&environment=production")
        .await;
    for policy in met["policies"].as_array().expect("policies") {
        assert!(policy.get("action").is_none(), "{policy}");
    }
}

async fn a_denial_stands_until_an_approval(server: Server) {
    let ws = server.workspace().await;
    let (_, reviewer) = server
        .joined(&ws, "reviewer@example.com", crate::api::ADMIN)
        .await;
    let policy = server.gov_policy("reviewed", "high").await;
    let instance = server.gov_bind(&policy, "app", "thing").await;
    server.gov_declare("app", "thing", true).await;
    let owner = crate::api::BOOTSTRAP_KEY;
    for (key, step, compliant) in [
        (owner, "submit", true),
        (&reviewer, "deny", false),
        (owner, "submit", false),
        (&reviewer, "approve", true),
        (owner, "submit", true),
        (&reviewer, "deny", false),
    ] {
        server.gov_step(key, &instance, step).await;
        let check = server.gov_check("app", "thing", "").await;
        assert_eq!(check["compliant"], compliant, "{step}");
        assert_eq!(check["policies"][0]["denied"], !compliant, "{step}");
    }
    // An approval never replaces the rules.
    server.gov_step(owner, &instance, "submit").await;
    server.gov_step(&reviewer, &instance, "approve").await;
    server.gov_declare("app", "thing", false).await;
    let check = server.gov_check("app", "thing", "").await;
    assert_eq!(check["compliant"], false);
    assert_eq!(check["policies"][0]["denied"], false);
}

async fn every_fault_of_the_parameters_of_a_check_is_told(server: Server) {
    for (query, paths) in [
        ("", &["$query.resourceId", "$query.resourceType"][..]),
        ("?resourceId=a", &["$query.resourceType"]),
        ("?resourceId=&resourceType=app", &["$query.resourceId"]),
        ("?resourceId=a%00&resourceType=app", &["$query.resourceId"]),
        ("?resourceId=a&resourceType=apps", &["$query.resourceType"]),
        (
            "?resourceId=a&resourceType=app&environment=moon&more=1",
            &["$query.environment", "$query.more"],
        ),
        (
            "?resourceId=a&resourceId=b&resourceType=app",
            &["$query.resourceId"],
        ),
    ] {
        let path = format!("{GOV}/enforcement/check{query}");
        let refused = server.get(&path).await.expect(400);
        let mut told: Vec<String> = column(&refused["error"]["details"], "path")
            .into_iter()
            .map(text)
            .collect();
        told.sort();
        assert_eq!(told, paths, "{query}");
    }
}

async fn what_is_beyond_the_purview_is_not_there(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let check = |kind: &str, id: &str| {
        format!("{GOV}/enforcement/check?resourceType={kind}&resourceId={id}")
    };
    for (kind, id) in [
        ("addon", &catalog.source),
        ("model", &catalog.model),
        ("app", &catalog.destination),
        ("workflow", &catalog.sync),
    ] {
        server.get(&check(kind, id)).await.expect(200);
        server.get(&check(kind, NOBODY)).await.expect(404);
    }
    // An object of another kind.
    server.get(&check("app", &catalog.source)).await.expect(404);
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    let (_, key) = server.joined(&other, "other@example.com", MEMBER).await;
    let ask = async |path: &str| server.ask(Some(&key), Method::GET, path, None).await;
    let hidden = ask(&check("app", &catalog.destination)).await.expect(404);
    assert_eq!(message(&hidden), "resource not found");
    ask(&check("app", "outside")).await.expect(200);
    ask(&format!("{GOV}/metrics")).await.expect(200);
    ask(&format!("{GOV}/resource-types")).await.expect(200);
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    for path in [
        check("app", "outside"),
        format!("{GOV}/metrics"),
        format!("{GOV}/resource-types"),
    ] {
        let answer = server.ask(Some(&stranger), Method::GET, &path, None).await;
        answer.expect(403);
    }
}

async fn resource_types_are_those_of_the_seed(server: Server) {
    let types = server
        .get(&format!("{GOV}/resource-types"))
        .await
        .expect(200);
    let expected = [
        ("addon", "Add-on"),
        ("app", "Application"),
        ("workflow", "Workflow"),
        ("model", "AI Model"),
    ];
    for (one, (id, label)) in types.as_array().expect("types").iter().zip(expected) {
        assert_eq!(keys(one), ["id", "label", "description"]);
        assert_eq!((&one["id"], &one["label"]), (&json!(id), &json!(label)));
        assert!(text(&one["description"]).len() > 20);
    }
    assert_eq!(column(&types, "id").len(), 4);
}

async fn metrics_have_the_fields_of_the_seed(server: Server) {
    let metrics = server.gov_metrics().await;
    assert_eq!(
        keys(&metrics),
        [
            "totalPolicies",
            "activePolicies",
            "totalInstances",
            "complianceRate",
            "byStatus",
            "bySeverity",
            "recentActivity",
            "generatedAt"
        ]
    );
    let zero = |names: &[&str]| {
        let pairs = names.iter().map(|name| ((*name).to_owned(), json!(0)));
        Value::Object(pairs.collect())
    };
    for (field, expected) in [
        ("totalPolicies", json!(0)),
        ("activePolicies", json!(0)),
        ("totalInstances", json!(0)),
        (
            "byStatus",
            zero(&["approved", "denied", "submitted", "pending"]),
        ),
        ("bySeverity", zero(&["critical", "high", "medium", "low"])),
        ("recentActivity", zero(&["last24h", "last7d", "last30d"])),
    ] {
        assert_eq!(metrics[field], expected, "{field}");
    }
    assert_eq!(metrics["complianceRate"].as_f64(), Some(0.0));
    assert!(is_time(&metrics["generatedAt"]));
}

async fn metrics_follow_every_change(server: Server) {
    let ws = server.workspace().await;
    let (_, reviewer) = server
        .joined(&ws, "reviewer@example.com", crate::api::ADMIN)
        .await;
    let owner = crate::api::BOOTSTRAP_KEY;
    let policy = server.gov_policy("one", "high").await;
    let off = server.gov_policy("two", "low").await;
    let path = format!("{GOV}/policies/{off}");
    server
        .put(&path, json!({"isActive": false}))
        .await
        .expect(200);
    let mut instances = Vec::new();
    for (i, days) in [(0, 0), (1, 3), (2, 10), (3, 30)] {
        server.pass(TimeDelta::days(days));
        let resource = format!("thing-{i}");
        instances.push(server.gov_bind(&policy, "app", &resource).await);
        if i < 2 {
            server.gov_declare("app", &resource, true).await;
        }
    }
    // Ages in days: 43, 40, 30 and none.
    server.pass(TimeDelta::seconds(-60));
    let metrics = server.gov_metrics().await;
    let recent = json!({"last24h": 1, "last7d": 1, "last30d": 2});
    assert_eq!(metrics["recentActivity"], recent);
    server.pass(TimeDelta::seconds(120));
    let metrics = server.gov_metrics().await;
    let recent = json!({"last24h": 1, "last7d": 1, "last30d": 1});
    assert_eq!(metrics["recentActivity"], recent);
    assert_eq!(
        (&metrics["totalPolicies"], &metrics["activePolicies"]),
        (&json!(2), &json!(1))
    );
    let severities = json!({"critical": 0, "high": 1, "medium": 0, "low": 1});
    assert_eq!(metrics["bySeverity"], severities);
    for (instance, last) in instances.iter().zip(["approve", "deny", "submit", ""]) {
        if !last.is_empty() {
            server.gov_step(owner, instance, "submit").await;
        }
        if ["approve", "deny"].contains(&last) {
            server.gov_step(&reviewer, instance, last).await;
        }
    }
    let metrics = server.gov_metrics().await;
    let statuses = json!({"approved": 1, "denied": 1, "submitted": 1, "pending": 1});
    assert_eq!(metrics["byStatus"], statuses);
    assert_eq!(metrics["totalInstances"], 4);
    // Two of three results are compliant.
    assert_eq!(metrics["complianceRate"].as_f64(), Some(66.7));
    for status in ["approved", "denied", "submitted", "pending"] {
        let listed = server
            .get(&format!("{GOV}/instances?status={status}"))
            .await;
        let total = &listed.expect(200)["pagination"]["total"];
        assert_eq!(total, &metrics["byStatus"][status], "{status}");
    }
}

async fn metrics_are_those_of_the_purview(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    let theirs = server.catalog(&other).await;
    let policy = server.gov_policy("everywhere", "high").await;
    for destination in [&catalog.destination, &theirs.destination] {
        server.gov_bind(&policy, "app", destination).await;
    }
    server.gov_bind(&policy, "model", &catalog.model).await;
    server.gov_bind(&policy, "app", "outside").await;
    let (_, key) = server.joined(&other, "other@example.com", MEMBER).await;
    let path = format!("{GOV}/metrics");
    let seen = server
        .ask(Some(&key), Method::GET, &path, None)
        .await
        .expect(200);
    assert_eq!(
        (&seen["totalInstances"], &seen["byStatus"]["pending"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(seen["recentActivity"]["last24h"], 2);
    assert_eq!(seen["totalPolicies"], 1);
    let all = server.gov_metrics().await;
    assert_eq!(
        (&all["totalInstances"], &all["recentActivity"]["last30d"]),
        (&json!(4), &json!(4))
    );
}
