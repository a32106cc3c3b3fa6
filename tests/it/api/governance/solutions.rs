//! `/governance/solutions`.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{column, is_id, is_time, keys, message};
use crate::api::{Answer, BOOTSTRAP_KEY, MEMBER, NOBODY, Server, text};

on_both_stores!(
    the_seeds_solution_is_accepted_and_shown,
    solution_comes_changes_and_goes,
    solutions_are_found_sorted_and_paged,
    name_of_a_solution_is_unique,
    every_fault_of_a_solution_is_told,
    what_is_no_request_is_400,
    solution_that_is_not_there_is_404,
    solutions_are_changed_by_those_who_govern,
    deleted_solution_takes_its_record_with_it,
    export_has_everything,
);

pub(super) const SOLUTIONS: &str = "/api/v1/governance/solutions";
const FIELDS: [&str; 11] = [
    "id",
    "name",
    "description",
    "status",
    "organizationId",
    "ownership",
    "policies",
    "models",
    "complianceScore",
    "createdAt",
    "updatedAt",
];
/// A solution that nothing bears.
const NO_SOLUTION: &str = "sol_0190000000007000800000000000dead";
const NO_POLICY: &str = "pol_0190000000007000800000000000dead";

pub(super) fn one(id: &str) -> String {
    format!("{SOLUTIONS}/{id}")
}

/// A policy with one rule: that a fact is true. Answers its id.
pub(super) async fn policy(server: &Server, name: &str, field: &str) -> String {
    let policy = json!({
        "name": name,
        "category": "security",
        "severity": "high",
        "rules": [{"field": field, "operator": "equals", "value": true}],
    });
    server.made("/api/v1/governance/policies", policy).await
}

pub(super) async fn declare(
    server: &Server,
    resource_type: &str,
    resource: &str,
    attributes: Value,
) {
    let path = format!("/api/v1/governance/resources/{resource_type}/{resource}");
    let declared = server.put(&path, json!({"attributes": attributes})).await;
    declared.expect(200);
}

/// A solution; answers its id.
pub(super) async fn solution(
    server: &Server,
    name: &str,
    policies: &[&str],
    models: &[&str],
) -> String {
    let body = json!({"name": name, "policies": policies, "models": models});
    server.made(SOLUTIONS, body).await
}

/// Score and status of a solution now.
pub(super) async fn standing(server: &Server, id: &str) -> (f64, String) {
    let shown = server.get(&one(id)).await.expect(200);
    let score = shown["complianceScore"].as_f64().expect("a number");
    (score, text(&shown["status"]))
}

pub(super) fn non_compliant(score: f64) -> (f64, String) {
    (score, "non_compliant".to_owned())
}

#[track_caller]
fn refused(answer: Answer, code: &str) {
    let error = answer.expect(409);
    assert_eq!(error["error"]["code"], code, "{error}");
}

async fn the_seeds_solution_is_accepted_and_shown(server: Server) {
    let encryption = policy(&server, "Data Encryption at Rest", "encryption.enabled").await;
    let isolation = policy(&server, "Network Segmentation", "network.isolated").await;
    let wanted = json!({
        "name": "Fraud Detection System",
        "description": "Real-time fraud detection pipeline with ML models",
        "ownership": {"team": "security-engineering", "owner": "user_005"},
        "policies": [isolation, encryption],
        "models": ["model_pqr678"],
    });
    let made = server.post(SOLUTIONS, wanted.clone()).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert_eq!(keys(&made["ownership"]), ["team", "owner"]);
    for field in ["name", "description", "ownership", "policies", "models"] {
        assert_eq!(made[field], wanted[field], "{field}");
    }
    let id = text(&made["id"]);
    assert!(id.starts_with("sol_") && id.len() == 36, "{id}");
    assert!(text(&made["organizationId"]).starts_with("org_"));
    assert_eq!(made["status"], "non_compliant");
    assert_eq!(made["complianceScore"].as_f64(), Some(0.0));
    assert!(is_time(&made["createdAt"]));
    assert_eq!(made["createdAt"], made["updatedAt"]);
    assert_eq!(server.get(&one(&id)).await.expect(200), made);

    // One of the two holds for the one model.
    declare(
        &server,
        "model",
        "model_pqr678",
        json!({"encryption": {"enabled": true}}),
    )
    .await;
    assert_eq!(standing(&server, &id).await, non_compliant(50.0));

    let third = policy(&server, "Third", "encryption.enabled").await;
    let change = json!({
        "description": "Updated fraud detection pipeline with enhanced ML models",
        "policies": [isolation, encryption, third],
    });
    let changed = server.put(&one(&id), change.clone()).await.expect(200);
    assert_eq!(keys(&changed), FIELDS);
    assert_eq!(changed["policies"], change["policies"]);
    assert_eq!(changed["description"], change["description"]);
    assert_eq!(changed["complianceScore"].as_f64(), Some(66.7));
    for field in ["id", "name", "ownership", "models", "createdAt"] {
        assert_eq!(changed[field], made[field], "{field}");
    }

    let list = server.get(SOLUTIONS).await.expect(200);
    assert_eq!(keys(&list), ["data", "pagination"]);
    let pagination = json!({"total": 1, "limit": 20, "offset": 0, "hasMore": false});
    assert_eq!(list["pagination"], pagination);
    assert_eq!(list["data"], json!([changed]));
}

async fn solution_comes_changes_and_goes(server: Server) {
    let bare = server.post(SOLUTIONS, json!({"name": "bare"})).await;
    let bare = bare.expect(201);
    assert_eq!(bare["description"], "");
    assert_eq!(bare["ownership"], json!({}));
    assert_eq!(
        (&bare["policies"], &bare["models"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(bare["status"], "non_compliant");
    assert_eq!(bare["complianceScore"].as_f64(), Some(0.0));
    let path = one(&text(&bare["id"]));

    let ws = server.workspace().await;
    let model = server.catalog(&ws).await.model;
    let policy = policy(&server, "p", "x").await;
    server.pass(TimeDelta::minutes(1));
    let change = json!({
        "name": "full",
        "ownership": {"team": "data", "owner": null},
        "policies": [policy],
        "models": ["z", model.to_uppercase(), "a"],
    });
    let full = server.put(&path, change).await.expect(200);
    assert_eq!(full["name"], "full");
    assert_eq!(full["ownership"], json!({"team": "data"}));
    assert_eq!(full["models"], json!(["z", model, "a"]));
    assert_eq!(full["createdAt"], bare["createdAt"]);
    assert_ne!(full["updatedAt"], bare["updatedAt"]);

    // Null is as if it had not been sent.
    let null = json!({"description": null, "ownership": null, "policies": null, "models": null});
    let same = server.put(&path, null).await.expect(200);
    for field in ["description", "ownership", "policies", "models"] {
        assert_eq!(same[field], full[field], "{field}");
    }
    let nothing = json!({"description": "", "ownership": {}, "policies": [], "models": []});
    let emptied = server.put(&path, nothing).await.expect(200);
    assert_eq!(emptied["name"], "full");
    for field in ["description", "ownership", "policies", "models"] {
        assert_eq!(emptied[field], bare[field], "{field}");
    }
    assert_eq!(server.get(&path).await.expect(200), emptied);

    assert_eq!(server.delete(&path).await.expect(204), json!(""));
    server.get(&path).await.expect(404);
    let list = server.get(SOLUTIONS).await.expect(200);
    assert_eq!(list["data"], json!([]));
}

async fn solutions_are_found_sorted_and_paged(server: Server) {
    for (name, about, team) in [
        ("Bravo", "churn", Some("data")),
        ("alpha", "fraud", None),
        ("Charlie", "50% FRAUD", Some("data")),
        ("delta_1", "", Some("Data")),
    ] {
        let body = json!({"name": name, "description": about, "ownership": {"team": team}});
        server.made(SOLUTIONS, body).await;
        server.pass(TimeDelta::seconds(10));
    }
    let names = async |query: &str| {
        let list = server
            .get(&format!("{SOLUTIONS}?{query}"))
            .await
            .expect(200);
        let names = column(&list["data"], "name").into_iter().map(text);
        (names.collect::<Vec<_>>(), list["pagination"].clone())
    };
    for (query, expected) in [
        ("", &["delta_1", "Charlie", "alpha", "Bravo"][..]),
        (
            "sort=createdAt:asc",
            &["Bravo", "alpha", "Charlie", "delta_1"],
        ),
        ("sort=createdAt", &["Bravo", "alpha", "Charlie", "delta_1"]),
        (
            "sort=updatedAt:desc",
            &["delta_1", "Charlie", "alpha", "Bravo"],
        ),
        ("search=fraud", &["Charlie", "alpha"]),
        ("search=RAV", &["Bravo"]),
        ("search=%25", &["Charlie"]),
        ("search=a_1", &["delta_1"]),
        ("search=nothing", &[]),
        ("team=data", &["Charlie", "Bravo"]),
        ("team=data&search=fraud", &["Charlie"]),
        ("team=nobody", &[]),
        ("limit=2", &["delta_1", "Charlie"]),
        ("limit=2&offset=2", &["alpha", "Bravo"]),
        ("offset=9", &[]),
    ] {
        assert_eq!(names(query).await.0, expected, "{query}");
    }
    let (_, page) = names("limit=1&offset=1&team=data").await;
    let expected = json!({"total": 2, "limit": 1, "offset": 1, "hasMore": false});
    assert_eq!(page, expected);
    let (_, page) = names("limit=3").await;
    assert_eq!(
        (&page["total"], &page["hasMore"]),
        (&json!(4), &json!(true))
    );
    let (ascending, _) = names("sort=name:asc").await;
    let (mut descending, _) = names("sort=name:desc").await;
    descending.reverse();
    assert_eq!(ascending, descending);
}

async fn name_of_a_solution_is_unique(server: Server) {
    solution(&server, "first", &[], &[]).await;
    let second = one(&solution(&server, "second", &[], &[]).await);
    let taken = json!({"name": "first"});
    let made = server.post(SOLUTIONS, taken.clone()).await;
    assert!(message(&made.body).contains("\"first\""), "{made:?}");
    refused(made, "duplicate_name");
    refused(server.put(&second, taken).await, "duplicate_name");
    let own = json!({"name": "second", "description": "x"});
    server.put(&second, own).await.expect(200);
}

async fn every_fault_of_a_solution_is_told(server: Server) {
    let policy = policy(&server, "p", "x").await;
    let existing = one(&solution(&server, "there", &[&policy], &[]).await);
    let long = "x".repeat(201);
    let faulty: [(Value, &[&str]); 8] = [
        (
            json!({"name": " ", "description": 7, "ownership": [], "policies": {}, "models": "m"}),
            &[
                "$.description",
                "$.models",
                "$.name",
                "$.ownership",
                "$.policies",
            ],
        ),
        (json!({"name": ""}), &["$.name"]),
        (
            json!({"name": "x", "ownership": {"team": "", "owner": 7, "since": 1}}),
            &["$.ownership.owner", "$.ownership.since", "$.ownership.team"],
        ),
        (
            json!({"name": "x", "policies": [NO_POLICY, policy, "pol_1", policy, 7, NOBODY]}),
            &[
                "$.policies[0]",
                "$.policies[2]",
                "$.policies[3]",
                "$.policies[4]",
                "$.policies[5]",
            ],
        ),
        (
            json!({"name": "x", "models": ["m", NOBODY, "m", "", long, null, "\u{0}"]}),
            &[
                "$.models[1]",
                "$.models[2]",
                "$.models[3]",
                "$.models[4]",
                "$.models[5]",
                "$.models[6]",
            ],
        ),
        (
            json!({"name": "x", "models": vec!["m"; 501], "policies": vec![NO_POLICY; 501]}),
            &["$.models", "$.policies"],
        ),
        (
            json!({"name": "x", "status": "compliant", "complianceScore": 100}),
            &["$.complianceScore", "$.status"],
        ),
        (json!([]), &["$"]),
    ];
    server
        .refuses(Method::POST, SOLUTIONS, SOLUTIONS, faulty.clone())
        .await;
    server
        .refuses(Method::PUT, &existing, SOLUTIONS, faulty)
        .await;
    let nothing: [(Value, &[&str]); 1] = [(json!({}), &["$.name"])];
    server
        .refuses(Method::POST, SOLUTIONS, SOLUTIONS, nothing)
        .await;
}

async fn what_is_no_request_is_400(server: Server) {
    let path = one(&solution(&server, "there", &[], &[]).await);
    for (method, path) in [(Method::POST, SOLUTIONS), (Method::PUT, path.as_str())] {
        let answer = server.ask(Some(BOOTSTRAP_KEY), method, path, Some("{"));
        answer.await.expect(400);
    }
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "offset=-1",
        "sort=score:desc",
        "sort=name:up",
        "owner=me",
        "team=a&team=b",
        "search=%00",
    ] {
        let answer = server.get(&format!("{SOLUTIONS}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
}

async fn solution_that_is_not_there_is_404(server: Server) {
    for id in [NO_SOLUTION, NOBODY, "sol_jkl012"] {
        let path = one(id);
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::PUT, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::POST, format!("{path}/export")),
        ] {
            let answer = server.as_owner(method.clone(), &path, json!({"name": "x"}));
            let error = answer.await.expect(404);
            assert_eq!(error["error"]["code"], "not_found", "{method} {path}");
        }
    }
}

async fn solutions_are_changed_by_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let path = one(&solution(&server, "there", &[], &[]).await);
    let export = format!("{path}/export");
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    let (member_id, member) = server.joined(&ws, "member@example.com", MEMBER).await;
    let limited = server.key(&member_id, json!(["sources:read"])).await;
    let owner_id = server.owner_id().await;
    let reader = server.key(&owner_id, json!(["governance:read"])).await;
    let requests = [
        (Method::GET, SOLUTIONS, false),
        (Method::GET, path.as_str(), false),
        (Method::POST, export.as_str(), false),
        (Method::POST, SOLUTIONS, true),
        (Method::PUT, path.as_str(), true),
        (Method::DELETE, path.as_str(), true),
    ];
    for (method, path, writes) in requests {
        let status = async |key: Option<&str>| {
            let body = json!({"name": "new"}).to_string();
            let answer = server.ask(key, method.clone(), path, Some(&body)).await;
            answer.status
        };
        let expected = if writes { 403 } else { 200 };
        assert_eq!(status(None).await, 401, "{method} {path}");
        assert_eq!(status(Some(&stranger)).await, 403, "{method} {path}");
        assert_eq!(status(Some(&limited)).await, 403, "{method} {path}");
        assert_eq!(status(Some(&member)).await, expected, "{method} {path}");
        assert_eq!(status(Some(&reader)).await, expected, "{method} {path}");
    }
    let list = server.get(SOLUTIONS).await.expect(200);
    assert_eq!(column(&list["data"], "name"), [&json!("there")]);
}

async fn deleted_solution_takes_its_record_with_it(server: Server) {
    let id = solution(&server, "s", &[], &[]).await;
    let other = solution(&server, "other", &[], &[]).await;
    let mut frozen = Vec::new();
    for (solution, freeze) in [(&id, true), (&id, false), (&other, true)] {
        let body = json!({"solutionId": solution});
        let snapshot = server.made("/api/v1/governance/snapshots", body).await;
        let body = json!({"snapshotId": snapshot, "type": "soc2"});
        server.made("/api/v1/governance/attestations", body).await;
        if freeze {
            let path = format!("/api/v1/governance/snapshots/{snapshot}/freeze");
            server.post(&path, json!({})).await.expect(200);
            frozen.push(snapshot);
        }
    }
    let count = async |noun: &str| {
        let list = server.get(&format!("/api/v1/governance/{noun}")).await;
        list.expect(200)["pagination"]["total"].clone()
    };
    assert_eq!(
        (count("snapshots").await, count("attestations").await),
        (json!(3), json!(3))
    );
    server.delete(&one(&id)).await.expect(204);
    assert_eq!(
        (count("snapshots").await, count("attestations").await),
        (json!(1), json!(1))
    );

    let log = server
        .get("/api/v1/audit?action=solution.delete")
        .await
        .expect(200);
    let line = &log[0]["line"];
    assert_eq!(line["after"], Value::Null);
    assert_eq!(line["before"]["id"], json!(id));
    let told = &line["before"]["frozenSnapshots"];
    assert_eq!(column(told, "id"), [&json!(frozen[0])]);
    assert_eq!(told[0]["digest"].as_str().map(str::len), Some(64));
}

async fn export_has_everything(server: Server) {
    let policy = policy(&server, "p", "yes").await;
    let body = json!({
        "name": "s",
        "description": "d",
        "ownership": {"team": "t", "owner": "o"},
        "policies": [policy],
        "models": ["m"],
    });
    let made = server.post(SOLUTIONS, body).await.expect(201);
    let export = format!("{}/export", one(&text(&made["id"])));
    let empty = server.post(&export, json!({})).await.expect(200);
    let parts = [
        "solution",
        "policies",
        "snapshots",
        "attestations",
        "exportedAt",
    ];
    assert_eq!(keys(&empty), parts);
    assert_eq!(
        keys(&empty["solution"]),
        ["id", "name", "description", "ownership"]
    );
    for field in ["id", "name", "description", "ownership"] {
        assert_eq!(empty["solution"][field], made[field], "{field}");
    }
    let own = &empty["policies"][0];
    assert_eq!(keys(own), ["id", "name", "category", "severity", "rules"]);
    assert_eq!((&own["id"], &own["name"]), (&json!(policy), &json!("p")));
    assert_eq!(own["rules"][0]["field"], "yes");
    assert_eq!(
        (&empty["snapshots"], &empty["attestations"]),
        (&json!([]), &json!([]))
    );
    assert!(is_time(&empty["exportedAt"]));

    let mut snapshots = Vec::new();
    let mut attestations = Vec::new();
    let ends = crate::api::in_an_hour();
    for _ in 0..2 {
        let body = json!({"solutionId": made["id"]});
        let snapshot = server.post("/api/v1/governance/snapshots", body).await;
        let snapshot = snapshot.expect(201);
        let body = json!({"snapshotId": snapshot["id"], "type": "gdpr", "expiration": ends});
        let attestation = server.post("/api/v1/governance/attestations", body).await;
        let attestation = attestation.expect(201);
        assert!(is_id(&attestation["attestedBy"]));
        snapshots.push(snapshot);
        attestations.push(attestation);
        server.pass(TimeDelta::seconds(10));
    }
    let full = server.post(&export, json!({})).await.expect(200);
    assert_eq!(full["snapshots"], json!(snapshots));
    assert_eq!(full["attestations"], json!(attestations));
    server.pass(TimeDelta::hours(2));
    let later = server.post(&export, json!({})).await.expect(200);
    let expired = json!("expired");
    assert_eq!(
        column(&later["attestations"], "status"),
        [&expired, &expired]
    );
}
