//! `/governance/snapshots`.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{is_time, keys};
use crate::api::{ADMIN, MEMBER, Server, text};
use crate::rig::until;
use crate::support::fresh_postgres;

on_both_stores!(
    snapshot_is_taken_read_approved_and_frozen,
    snapshots_are_listed_page_by_page,
    snapshot_of_nothing_is_refused,
    snapshot_that_is_not_there_is_404,
    snapshots_are_for_those_who_govern,
    snapshot_goes_with_its_solution,
    change_of_a_policy_takes_a_snapshot,
    snapshots_are_taken_when_they_are_due,
);

const SNAPSHOTS: &str = "/api/v1/governance/snapshots";
/// An identifier that no snapshot bears.
const NO_SNAPSHOT: &str = "snap_0190000000007000800000000000dead";
/// An identifier that no solution bears.
const NO_SOLUTION: &str = "sol_0190000000007000800000000000dead";
const FIELDS: [&str; 13] = [
    "id",
    "solutionId",
    "snapshotType",
    "frozen",
    "score",
    "totalPolicies",
    "compliantPolicies",
    "nonCompliantPolicies",
    "digest",
    "approvedAt",
    "approvedBy",
    "createdAt",
    "updatedAt",
];

async fn solution(server: &Server, name: &str) -> String {
    let solution = json!({"name": name});
    server.made("/api/v1/governance/solutions", solution).await
}

async fn taken(server: &Server, solution: &str) -> Value {
    let body = json!({"solutionId": solution});
    server.post(SNAPSHOTS, body).await.expect(201)
}

/// The snapshots of a solution that were made so, newest first.
async fn of_type(server: &Server, solution: &str, kind: &str) -> Vec<Value> {
    let path = format!("{SNAPSHOTS}?solutionId={solution}&snapshotType={kind}");
    let listed = server.get(&path).await.expect(200);
    listed["data"].as_array().expect("snapshots").clone()
}

async fn snapshot_is_taken_read_approved_and_frozen(server: Server) {
    let solution = solution(&server, "one").await;
    let made = taken(&server, &solution).await;
    assert_eq!(keys(&made), FIELDS);
    let one = format!("{SNAPSHOTS}/{}", text(&made["id"]));
    for (field, value) in [
        ("solutionId", json!(solution)),
        ("snapshotType", json!("manual")),
        ("frozen", json!(false)),
        ("totalPolicies", json!(0)),
        ("compliantPolicies", json!(0)),
        ("nonCompliantPolicies", json!(0)),
        ("digest", Value::Null),
        ("approvedAt", Value::Null),
        ("approvedBy", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    assert!(made["score"].is_number());
    assert!(is_time(&made["createdAt"]) && made["createdAt"] == made["updatedAt"]);
    assert_eq!(server.get(&one).await.expect(200), made);

    server.pass(TimeDelta::minutes(1));
    let approve = format!("{one}/approve");
    let approved = server.post(&approve, json!({})).await.expect(200);
    assert_eq!(
        keys(&approved),
        ["id", "approvedAt", "approvedBy", "updatedAt"]
    );
    assert_eq!(approved["id"], made["id"]);
    assert_eq!(approved["approvedBy"], json!(server.owner_id().await));
    assert_eq!(approved["approvedAt"], approved["updatedAt"]);
    assert_ne!(approved["updatedAt"], made["updatedAt"]);
    let again = server.post(&approve, json!({})).await.expect(409);
    assert_eq!(again["error"]["code"], "invalid_transition");

    let freeze = format!("{one}/freeze");
    let owner = server.owner_id().await;
    let writer = server.key(&owner, json!(["governance:write"])).await;
    let frozen = server.ask(Some(&writer), Method::POST, &freeze, None);
    let frozen = frozen.await.expect(200);
    assert_eq!(keys(&frozen), ["id", "frozen", "updatedAt"]);
    assert_eq!(
        (&frozen["id"], &frozen["frozen"]),
        (&made["id"], &json!(true))
    );
    let read = server.get(&one).await.expect(200);
    assert_eq!(read["updatedAt"], frozen["updatedAt"]);
    assert_eq!(text(&read["digest"]).len(), 64);
    for path in [&freeze, &approve] {
        let refused = server.post(path, json!({})).await.expect(409);
        assert_eq!(refused["error"]["code"], "snapshot_frozen");
    }
    assert_eq!(server.get(&one).await.expect(200), read);

    // The chain of the organisation tells each step, and the digest.
    let lines = server
        .get("/api/v1/audit?object_kind=compliance_snapshot")
        .await
        .expect(200);
    let lines = lines.as_array().expect("lines");
    let actions: Vec<String> = lines
        .iter()
        .map(|link| text(&link["line"]["action"]))
        .collect();
    let expected =
        ["create", "approve", "freeze"].map(|verb| format!("compliance_snapshot.{verb}"));
    assert_eq!(actions, expected);
    assert_eq!(lines[2]["line"]["after"]["digest"], read["digest"]);
}

async fn snapshots_are_listed_page_by_page(server: Server) {
    let (one, other) = (
        solution(&server, "one").await,
        solution(&server, "other").await,
    );
    let mut made = Vec::new();
    for of in [&one, &one, &other] {
        made.push(text(&taken(&server, of).await["id"]));
        server.pass(TimeDelta::seconds(1));
    }
    let frozen = format!("{SNAPSHOTS}/{}/freeze", made[0]);
    server.post(&frozen, json!({})).await.expect(200);
    for (query, expected, total, more) in [
        ("", vec![2, 1, 0], 3, false),
        ("?sort=createdAt:asc", vec![0, 1, 2], 3, false),
        ("?sort=updatedAt:desc&limit=1", vec![0], 3, true),
        ("?limit=1&offset=1", vec![1], 3, true),
        ("?limit=2&offset=2", vec![0], 3, false),
        ("?offset=9", vec![], 3, false),
        ("?frozen=true", vec![0], 1, false),
        ("?frozen=false&sort=createdAt:asc", vec![1, 2], 2, false),
        ("?snapshotType=manual", vec![2, 1, 0], 3, false),
        ("?snapshotType=scheduled", vec![], 0, false),
        (
            &format!("?solutionId={one}&sort=createdAt:asc"),
            vec![0, 1],
            2,
            false,
        ),
        (&format!("?solutionId={NO_SOLUTION}"), vec![], 0, false),
    ] {
        let listed = server.get(&format!("{SNAPSHOTS}{query}")).await.expect(200);
        assert_eq!(keys(&listed), ["data", "pagination"]);
        let found: Vec<String> = listed["data"]
            .as_array()
            .expect("snapshots")
            .iter()
            .map(|snapshot| {
                assert_eq!(keys(snapshot), FIELDS);
                text(&snapshot["id"])
            })
            .collect();
        let expected: Vec<String> = expected.iter().map(|n: &usize| made[*n].clone()).collect();
        assert_eq!(found, expected, "{query}");
        let pagination = &listed["pagination"];
        assert_eq!(keys(pagination), ["total", "limit", "offset", "hasMore"]);
        assert_eq!(
            (&pagination["total"], &pagination["hasMore"]),
            (&json!(total), &json!(more)),
            "{query}"
        );
    }
    for query in [
        "snapshotType=yearly",
        "frozen=maybe",
        "limit=0",
        "limit=101",
        "offset=-1",
        "sort=digest:asc",
        "sort=createdAt:up",
        "status=manual",
    ] {
        let refused = server
            .get(&format!("{SNAPSHOTS}?{query}"))
            .await
            .expect(400);
        let name = query.split('=').next().expect("a name");
        let path = format!("$query.{name}");
        assert_eq!(refused["error"]["details"][0]["path"], path, "{query}");
    }
}

async fn snapshot_of_nothing_is_refused(server: Server) {
    for (body, paths) in [
        (json!({}), vec!["$.solutionId"]),
        (json!({"solutionId": null}), vec!["$.solutionId"]),
        (json!({"solutionId": 7}), vec!["$.solutionId"]),
        (
            json!({"solutionId": [NO_SNAPSHOT], "score": 100}),
            vec!["$.score", "$.solutionId"],
        ),
    ] {
        let answer = server.post(SNAPSHOTS, body.clone()).await;
        assert_eq!(answer.faults(), paths, "{body}");
    }
    server
        .post(SNAPSHOTS, json!({"solutionId": NO_SOLUTION}))
        .await
        .expect(404);
    let owner = server.owner_id().await;
    let key = server.key(&owner, json!(["*"])).await;
    for body in ["", "{", "solutionId"] {
        let answer = server.ask(Some(&key), Method::POST, SNAPSHOTS, Some(body));
        answer.await.expect(400);
    }
    let listed = server.get(SNAPSHOTS).await.expect(200);
    assert_eq!(listed["pagination"]["total"], 0);
}

async fn snapshot_that_is_not_there_is_404(server: Server) {
    for id in [NO_SNAPSHOT, NO_SOLUTION, "snap_stu901", "7"] {
        let one = format!("{SNAPSHOTS}/{id}");
        server.get(&one).await.expect(404);
        for verb in ["freeze", "approve"] {
            server
                .post(&format!("{one}/{verb}"), json!({}))
                .await
                .expect(404);
        }
    }
}

async fn snapshots_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let solution = solution(&server, "one").await;
    let made = taken(&server, &solution).await;
    let one = format!("{SNAPSHOTS}/{}", text(&made["id"]));
    let (_, admin) = server.joined(&ws, "admin@example.com", ADMIN).await;
    let (_, member) = server.joined(&ws, "member@example.com", MEMBER).await;
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    // Somebody who governs another workspace does not govern the organisation.
    let elsewhere = server.made("/api/v1/workspaces", json!({"name": "other"}));
    let elsewhere = format!("/api/v1/workspaces/{}", elsewhere.await);
    let (_, local) = server.joined(&elsewhere, "local@example.com", ADMIN).await;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["governance:read"])).await;
    let writer = server.key(&owner, json!(["governance:write"])).await;
    let body = json!({"solutionId": solution});
    for (who, key, reads, writes) in [
        ("nobody", None, 401, 401),
        ("a stranger", Some(&stranger), 403, 403),
        ("a member", Some(&member), 200, 403),
        ("an admin elsewhere", Some(&local), 200, 403),
        ("a key to read", Some(&reader), 200, 403),
        ("a key to write", Some(&writer), 403, 201),
        ("an admin", Some(&admin), 200, 201),
    ] {
        let ask = async |method: Method, path: &str, body: &Value| {
            let (key, body) = (key.map(String::as_str), body.to_string());
            server.ask(key, method, path, Some(&body)).await.status
        };
        for path in [SNAPSHOTS, &one] {
            assert_eq!(ask(Method::GET, path, &Value::Null).await, reads, "{who}");
        }
        assert_eq!(ask(Method::POST, SNAPSHOTS, &body).await, writes, "{who}");
        if writes != 201 {
            for verb in ["freeze", "approve"] {
                let path = format!("{one}/{verb}");
                assert_eq!(ask(Method::POST, &path, &json!({})).await, writes, "{who}");
            }
        }
    }
    assert_eq!(server.get(&one).await.expect(200), made);
}

async fn snapshot_goes_with_its_solution(server: Server) {
    let solution = solution(&server, "one").await;
    let made = taken(&server, &solution).await;
    let one = format!("{SNAPSHOTS}/{}", text(&made["id"]));
    server
        .post(&format!("{one}/freeze"), json!({}))
        .await
        .expect(200);
    server
        .delete(&format!("/api/v1/governance/solutions/{solution}"))
        .await
        .expect(204);
    server.get(&one).await.expect(404);
}

async fn change_of_a_policy_takes_a_snapshot(server: Server) {
    let policy = json!({
        "name": "TLS",
        "category": "security",
        "severity": "high",
        "rules": [{"field": "tls.minVersion", "operator": "gte", "value": "1.2"}],
    });
    let policy = server.made("/api/v1/governance/policies", policy).await;
    let body = json!({"name": "one", "policies": [policy]});
    let solution = server.made("/api/v1/governance/solutions", body).await;
    let untouched = self::solution(&server, "other").await;
    assert_eq!(of_type(&server, &solution, "triggered").await.len(), 0);
    for (taken, severity) in ["critical", "low"].into_iter().enumerate() {
        server.pass(TimeDelta::minutes(1));
        server
            .put(
                &format!("/api/v1/governance/policies/{policy}"),
                json!({"severity": severity}),
            )
            .await
            .expect(200);
        let found = until("a triggered snapshot", async || {
            let found = of_type(&server, &solution, "triggered").await;
            (found.len() > taken).then_some(found)
        })
        .await;
        assert_eq!(found.len(), taken + 1);
        assert_eq!(found[0]["totalPolicies"], 1);
    }
    assert_eq!(of_type(&server, &untouched, "triggered").await.len(), 0);
}

/// Waits until a solution has so many scheduled snapshots.
async fn scheduled(server: &Server, solution: &str, count: usize) -> Vec<Value> {
    let found = until("a scheduled snapshot", async || {
        let found = of_type(server, solution, "scheduled").await;
        (found.len() >= count).then_some(found)
    })
    .await;
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

async fn snapshots_are_taken_when_they_are_due(server: Server) {
    let (one, other) = (
        solution(&server, "one").await,
        solution(&server, "other").await,
    );
    server.pass(TimeDelta::days(1));
    for of in [&one, &other] {
        let found = scheduled(&server, of, 1).await;
        assert_eq!(keys(&found[0]), FIELDS);
        assert_eq!(found[0]["frozen"], json!(false));
    }
    // The times that were missed are not made up for.
    server.pass(TimeDelta::days(7));
    scheduled(&server, &one, 2).await;
    let late = solution(&server, "late").await;
    server.pass(TimeDelta::days(1));
    scheduled(&server, &one, 3).await;
    scheduled(&server, &late, 1).await;
    // In the name of the owner, without a key.
    let lines = server
        .get("/api/v1/audit?action=compliance_snapshot.create")
        .await
        .expect(200);
    let owner = server.owner_id().await;
    for link in lines.as_array().expect("lines") {
        let line = &link["line"];
        assert_eq!(line["account_id"], json!(owner));
        assert_eq!(line["key_id"], Value::Null);
    }
}

#[tokio::test]
async fn two_servers_take_a_snapshot_that_is_due_once() {
    let url = fresh_postgres().await;
    let one = Server::start_with(|config| config.store_url = url.clone().into()).await;
    let other = Server::start_with(|config| config.store_url = url.into()).await;
    let mut solutions = Vec::new();
    for n in 0..5 {
        solutions.push(solution(&one, &format!("solution {n}")).await);
    }
    for day in 1..=3 {
        one.pass(TimeDelta::days(1));
        other.pass(TimeDelta::days(1));
        for solution in &solutions {
            scheduled(&one, solution, day).await;
            scheduled(&other, solution, day).await;
        }
    }
}

#[tokio::test]
async fn without_a_schedule_none_is_taken() {
    let server = Server::start_with(|config| config.compliance.snapshot_schedule = None).await;
    let solution = solution(&server, "one").await;
    server.pass(TimeDelta::days(2));
    taken(&server, &solution).await;
    assert_eq!(of_type(&server, &solution, "scheduled").await.len(), 0);
}
