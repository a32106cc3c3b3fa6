//! `/governance/instances/{id}/override`.

use chrono::{SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{is_time, keys, message};
use crate::api::{ADMIN, BOOTSTRAP_KEY, Server, text};

on_both_stores!(
    an_override_is_granted_replaced_and_ended,
    every_fault_of_an_override_is_told,
    overrides_are_for_reviewers_who_did_not_submit,
    an_override_that_has_ended_counts_for_nothing,
    an_override_needs_a_submission,
    an_override_ends_with_a_change_of_the_policy,
    an_override_ends_with_a_later_denial,
    an_override_does_not_count_for_who_submits_later,
);

const GOV: &str = "/api/v1/governance";
const NO_INSTANCE: &str = "pinst_000000000000000000000000000000aa";

/// A time so far ahead.
fn ahead(time: TimeDelta) -> String {
    (Utc::now() + time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn instance(server: &Server) -> String {
    let policy = server.gov_policy("strict", "critical").await;
    server.gov_bind(&policy, "app", "thing").await
}

/// An instance that another account has submitted; answers its id and that account's key.
async fn submitted(server: &Server) -> (String, String) {
    let ws = server.workspace().await;
    let id = instance(server).await;
    let (_, other) = server.joined(&ws, "submitter@example.com", ADMIN).await;
    server.gov_step(&other, &id, "submit").await;
    (id, other)
}

/// Grants an instance an override for a day.
async fn grant(server: &Server, id: &str) {
    let body = leave("why", &ahead(TimeDelta::days(1)));
    let path = format!("{GOV}/instances/{id}/override");
    server.post(&path, body).await.expect(200);
}

/// What follows in production, and whether an override counts.
async fn action(server: &Server) -> (String, bool) {
    let check = server
        .gov_check("app", "thing", "&environment=production")
        .await;
    let policy = &check["policies"][0];
    (text(&policy["action"]), policy.get("override").is_some())
}

fn leave(reason: &str, end: &str) -> Value {
    json!({"reason": reason, "expiresAt": end})
}

async fn an_override_is_granted_replaced_and_ended(server: Server) {
    let (id, _) = submitted(&server).await;
    let path = format!("{GOV}/instances/{id}/override");
    server.delete(&path).await.expect(404);
    let owner = server.owner_id().await;
    for (reason, days) in [("a deadline", 1), ("a later one", 90)] {
        let end = ahead(TimeDelta::days(days) - TimeDelta::minutes(5));
        let granted = server.post(&path, leave(reason, &end)).await.expect(200);
        assert_eq!(keys(&granted), ["id", "override", "updatedAt"]);
        assert_eq!(granted["id"], json!(id));
        let given = &granted["override"];
        assert_eq!(
            keys(given),
            ["reason", "grantedBy", "grantedAt", "expiresAt"]
        );
        for (field, expected) in [
            ("reason", reason),
            ("grantedBy", &owner),
            ("expiresAt", &end),
        ] {
            assert_eq!(given[field], expected, "{field}");
        }
        assert!(is_time(&given["grantedAt"]));
        assert_eq!(given["grantedAt"], granted["updatedAt"]);
        let check = server
            .gov_check("app", "thing", "&environment=production")
            .await;
        let policy = &check["policies"][0];
        assert_eq!(&policy["override"], given);
        assert_eq!(
            (&policy["status"], &policy["action"], &check["compliant"]),
            (&json!("non_compliant"), &json!("warn"), &json!(false))
        );
    }
    server.delete(&path).await.expect(204);
    server.delete(&path).await.expect(404);
    let check = server
        .gov_check("app", "thing", "&environment=production")
        .await;
    assert_eq!(check["policies"][0]["action"], "block");
    let audit = server.get("/api/v1/audit?action=policy_instance.").await;
    let audit = audit.expect(200).to_string();
    for part in ["policy_instance.override_end", "a deadline", "a later one"] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}

async fn every_fault_of_an_override_is_told(server: Server) {
    let (id, _) = submitted(&server).await;
    let path = format!("{GOV}/instances/{id}/override");
    let end = ahead(TimeDelta::days(1));
    for (body, paths) in [
        (json!({}), vec!["$.expiresAt", "$.reason"]),
        (json!({"reason": " ", "expiresAt": end}), vec!["$.reason"]),
        (
            json!({"reason": 1, "expiresAt": "soon"}),
            vec!["$.expiresAt", "$.reason"],
        ),
        (
            leave("late", &ahead(TimeDelta::minutes(-5))),
            vec!["$.expiresAt"],
        ),
        (
            leave("long", &ahead(TimeDelta::days(91))),
            vec!["$.expiresAt"],
        ),
        (
            json!({"reason": "x", "expiresAt": end, "more": 1}),
            vec!["$.more"],
        ),
    ] {
        assert_eq!(
            server.post(&path, body.clone()).await.faults(),
            paths,
            "{body}"
        );
    }
    let malformed = server
        .ask(Some(BOOTSTRAP_KEY), Method::POST, &path, Some("{"))
        .await;
    malformed.expect(400);
    for id in [NO_INSTANCE, "pinst_abc", "nothing"] {
        let path = format!("{GOV}/instances/{id}/override");
        server.post(&path, leave("why", &end)).await.expect(404);
        server.delete(&path).await.expect(404);
    }
    server.delete(&path).await.expect(404);
}

async fn overrides_are_for_reviewers_who_did_not_submit(server: Server) {
    let ws = server.workspace().await;
    let id = instance(&server).await;
    let path = format!("{GOV}/instances/{id}/override");
    let (account, reviewer) = server.joined(&ws, "reviewer@example.com", ADMIN).await;
    let writer = server
        .key(&account, json!(["governance:write", "governance:read"]))
        .await;
    let body = leave("why", &ahead(TimeDelta::days(1)));
    let ask = async |key: &str, method: Method| server.by(key, method, &path, body.clone()).await;
    for method in [Method::POST, Method::DELETE] {
        let refused = ask(&writer, method).await.expect(403);
        assert!(message(&refused).contains("governance:review"), "{refused}");
    }
    server.gov_step(BOOTSTRAP_KEY, &id, "submit").await;
    let refused = ask(BOOTSTRAP_KEY, Method::POST).await.expect(403);
    assert!(message(&refused).contains("submitted"), "{refused}");
    ask(&reviewer, Method::POST).await.expect(200);
    // Who ends it only makes things stricter.
    ask(BOOTSTRAP_KEY, Method::DELETE).await.expect(204);
    // Reviewers of another workspace are not those of the organisation.
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    let (_, stranger) = server.joined(&other, "other@example.com", ADMIN).await;
    ask(&stranger, Method::POST).await.expect(403);
}

async fn an_override_that_has_ended_counts_for_nothing(server: Server) {
    let (id, _) = submitted(&server).await;
    let path = format!("{GOV}/instances/{id}/override");
    let end = ahead(TimeDelta::hours(1));
    server.post(&path, leave("why", &end)).await.expect(200);
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
    server.pass(TimeDelta::hours(1));
    assert_eq!(action(&server).await, ("block".to_owned(), false));
}

async fn an_override_needs_a_submission(server: Server) {
    let id = instance(&server).await;
    let path = format!("{GOV}/instances/{id}/override");
    let body = leave("why", &ahead(TimeDelta::days(1)));
    let refused = server.post(&path, body).await.expect(409);
    assert!(message(&refused).contains("submit it first"), "{refused}");
    assert!(
        refused.to_string().contains("invalid_transition"),
        "{refused}"
    );
    assert_eq!(action(&server).await, ("block".to_owned(), false));
}

async fn an_override_ends_with_a_change_of_the_policy(server: Server) {
    let (id, _) = submitted(&server).await;
    grant(&server, &id).await;
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
    let bound = server.get(&format!("{GOV}/instances")).await;
    let policy = text(&bound.expect(200)["data"][0]["policyId"]);
    let rules = json!([{"field": "checks.done", "operator": "exists"}]);
    server
        .put(&format!("{GOV}/policies/{policy}"), json!({"rules": rules}))
        .await
        .expect(200);
    assert_eq!(action(&server).await, ("block".to_owned(), false));
    grant(&server, &id).await;
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
}

async fn an_override_ends_with_a_later_denial(server: Server) {
    let (id, submitter) = submitted(&server).await;
    grant(&server, &id).await;
    server.gov_step(BOOTSTRAP_KEY, &id, "deny").await;
    assert_eq!(action(&server).await, ("block".to_owned(), false));
    // One that is granted after the denial counts, also when the instance is submitted again.
    grant(&server, &id).await;
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
    server.gov_step(&submitter, &id, "submit").await;
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
}

async fn an_override_does_not_count_for_who_submits_later(server: Server) {
    let (id, submitter) = submitted(&server).await;
    grant(&server, &id).await;
    let ws = server.workspace().await;
    let (_, reviewer) = server.joined(&ws, "reviewer@example.com", ADMIN).await;
    server.gov_step(&reviewer, &id, "approve").await;
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
    // Whoever granted it submits the instance anew.
    server.gov_step(BOOTSTRAP_KEY, &id, "submit").await;
    assert_eq!(action(&server).await, ("block".to_owned(), false));
    server.gov_step(&reviewer, &id, "approve").await;
    server.gov_step(&submitter, &id, "submit").await;
    assert_eq!(action(&server).await, ("warn".to_owned(), true));
}
