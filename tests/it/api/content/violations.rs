//! `/policy/violations`, `/policy/{policyId}/violations` and `/policy/alerts`.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{is_id, is_time, keys};
use crate::api::{Answer, BOOTSTRAP_KEY, Catalog, MEMBER, NOBODY, Server, text};

on_both_stores!(
    what_a_stream_contains_is_on_record_and_told,
    lists_are_filtered_and_paged,
    parameters_that_are_not_valid_are_malformed,
    who_may_not_read_governance_there_sees_nothing,
    the_record_outlives_the_policy,
);

/// A policy of the organisation about whatever stands in the column `name`.
async fn policy(server: &Server, name: &str, action: u8) -> String {
    let body = json!({
        "orgId": org_id(server).await,
        "name": name,
        "content": "columns: name",
        "riskType": "HIGH",
        "actionType": action,
    });
    let made = server.post("/policy", body).await.expect(201);
    text(&made["policy"]["id"])
}

async fn org_id(server: &Server) -> String {
    let me = server.get("/api/v1/me").await.expect(200);
    text(&me["organization_id"])
}

/// Sends two customers through the guard: no name leaves that a policy blocks.
async fn stream(server: &Server, ws: &str, catalog: &Catalog) -> Value {
    let path = format!("{ws}/models/{}/guard?destination_type=other", catalog.model);
    let request = server
        .request(Method::POST, &path)
        .bearer_auth(BOOTSTRAP_KEY)
        .header("content-type", "application/x-ndjson")
        .body(
            "{\"id\":7,\"name\":\"Ada\",\"country\":\"US\",\"consent\":true}\n\
             {\"id\":8,\"name\":\"Bo\",\"country\":\"US\",\"consent\":true}\n",
        );
    server.send(request).await.expect(200)
}

async fn what_a_stream_contains_is_on_record_and_told(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let policy = policy(&server, "No names", 2).await;
    stream(&server, &ws, &catalog).await;
    let listed = server.get("/policy/violations").await.expect(200);
    assert_eq!(
        keys(&listed),
        ["success", "violations", "total", "skip", "take"]
    );
    let told = (
        &listed["success"],
        &listed["total"],
        &listed["skip"],
        &listed["take"],
    );
    assert_eq!(told, (&json!(true), &json!(2), &json!(0), &json!(20)));
    let one = listed["violations"].as_array().expect("violations");
    let one = one
        .iter()
        .find(|one| one["record"] == "line 1")
        .expect("line 1");
    assert!(is_id(&one["id"]) && is_id(&one["passageId"]) && is_time(&one["createdAt"]));
    for (key, value) in [
        ("policyId", json!(policy)),
        ("policyName", json!("No names")),
        ("orgId", json!(org_id(&server).await)),
        ("workspaceId", json!(ws.rsplit('/').next())),
        ("repoId", json!(catalog.source)),
        ("modelId", json!(catalog.model)),
        ("runId", Value::Null),
        ("via", json!("stream")),
        ("actionType", json!(2)),
        ("column", json!("name")),
        ("detector", json!("column")),
        ("shape", json!("")),
        (
            "explanation",
            json!(
                "Policy \"No names\" found a value in column name of record line 1; the record was \
                 withheld."
            ),
        ),
    ] {
        assert_eq!(one[key], value, "{key}");
    }
    assert!(!listed.to_string().contains("Ada"), "{listed}");

    let alerts = server.get("/policy/alerts").await.expect(200);
    assert_eq!(
        keys(&alerts),
        ["success", "alerts", "total", "skip", "take"]
    );
    assert_eq!(alerts["total"], 1);
    let alert = &alerts["alerts"][0];
    assert_eq!(
        (&alert["policyId"], &alert["records"]),
        (&json!(policy), &json!(2))
    );
    assert_eq!(
        alert["found"],
        json!([{"column": "name", "detector": "column"}])
    );
    assert!(is_time(&alert["firstAt"]) && is_time(&alert["lastAt"]));
    assert!(!alert.to_string().contains("line 1"), "{alert}");
}

async fn lists_are_filtered_and_paged(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let (log, alert) = (
        policy(&server, "log", 0).await,
        policy(&server, "alert", 1).await,
    );
    stream(&server, &ws, &catalog).await;
    let first = server.get("/policy/alerts").await.expect(200);
    let first_at = text(&first["alerts"][0]["lastAt"]);
    server.pass(TimeDelta::hours(1));
    stream(&server, &ws, &catalog).await;
    let (org, id) = (org_id(&server).await, ws.rsplit('/').next().expect("an id"));
    let source = &catalog.source;
    for (query, violations, alerts) in [
        (String::new(), 8, 2),
        (
            format!("?orgId={org}&workspaceId={id}&repoId={source}"),
            8,
            2,
        ),
        (format!("?repoId={NOBODY}"), 0, 0),
        (format!("?to={first_at}"), 4, 1),
        ("?from=2999-01-01T00:00:00Z".to_owned(), 0, 0),
    ] {
        let total = async |path: &str| {
            let listed = server.get(&format!("{path}{query}")).await.expect(200);
            listed["total"].as_u64().expect("a number")
        };
        assert_eq!(total("/policy/violations").await, violations, "{query}");
        assert_eq!(total("/policy/alerts").await, alerts, "{query}");
        assert_eq!(
            total(&format!("/policy/{log}/violations")).await,
            violations / 2,
            "{query}"
        );
        assert_eq!(
            total(&format!("/policy/{alert}/violations")).await,
            violations / 2
        );
    }
    let page = server
        .get("/policy/violations?skip=6&take=5")
        .await
        .expect(200);
    assert_eq!(page["violations"].as_array().map(Vec::len), Some(2));
    assert_eq!((&page["skip"], &page["take"]), (&json!(6), &json!(5)));
    let newest = server.get("/policy/alerts?take=1").await.expect(200);
    assert_ne!(newest["alerts"][0]["lastAt"], json!(first_at));
}

#[track_caller]
fn refused(answer: Answer, status: u16) -> String {
    assert_eq!(
        (answer.status, &answer.body["success"]),
        (status, &json!(false))
    );
    text(&answer.body["message"])
}

async fn parameters_that_are_not_valid_are_malformed(server: Server) {
    for (query, named) in [
        ("take=0", "take"),
        ("take=101", "take"),
        ("skip=-1", "skip"),
        ("from=yesterday", "from"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("workspaceId=x", "workspaceId"),
        ("repoId=x", "repoId"),
        ("limit=5", "limit"),
    ] {
        for path in ["/policy/violations", "/policy/alerts"] {
            let message = refused(server.get(&format!("{path}?{query}")).await, 400);
            assert!(message.contains(named), "{query}: {message}");
        }
    }
    refused(server.get("/policy/violations?orgId=org_other").await, 403);
    refused(
        server.get(&format!("/policy/{NOBODY}/violations")).await,
        404,
    );
    refused(server.get("/policy/x/violations").await, 400);
}

async fn who_may_not_read_governance_there_sees_nothing(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let policy = policy(&server, "alert", 1).await;
    stream(&server, &ws, &catalog).await;
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    let (_, key) = server.joined(&other, "other@example.com", MEMBER).await;
    let id = ws.rsplit('/').next().expect("an id");
    let ask = async |path: &str| server.ask(Some(&key), Method::GET, path, None).await;
    for path in ["/policy/violations", "/policy/alerts"] {
        let listed = ask(path).await.expect(200);
        assert_eq!(listed["total"], 0, "{path}");
        refused(ask(&format!("{path}?workspaceId={id}")).await, 403);
    }
    // The policy is the organisation's; what it found here is not theirs to know.
    let listed = ask(&format!("/policy/{policy}/violations"))
        .await
        .expect(200);
    assert_eq!(listed["total"], 0);
    let (_, nobody) = server.account("nobody@example.com", json!(["*"])).await;
    let answer = server
        .ask(Some(&nobody), Method::GET, "/policy/alerts", None)
        .await;
    refused(answer, 403);
}

async fn the_record_outlives_the_policy(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let policy = policy(&server, "No names", 2).await;
    stream(&server, &ws, &catalog).await;
    server
        .delete(&format!("/policy/{policy}"))
        .await
        .expect(200);
    let path = format!("/policy/{policy}/violations");
    let listed = server.get(&path).await.expect(200);
    assert_eq!(listed["total"], 2);
    assert_eq!(listed["violations"][0]["policyName"], "No names");
}
