//! What compliance does to syncs: the check before a run.

use std::collections::BTreeSet;

use chrono::{SecondsFormat, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::message;
use crate::api::{ADMIN, BOOTSTRAP_KEY, Catalog, Server, text};

on_both_stores!(
    a_policy_on_any_of_its_resources_blocks_a_sync_in_production,
    what_does_not_block_is_told_by_the_run,
    a_policy_that_is_not_in_force_does_not_count,
    a_denial_holds_a_sync_until_an_approval,
    an_override_lets_a_sync_run_until_it_ends,
    an_upload_that_is_blocked_is_409_and_goes_on_when_it_may,
    a_run_is_blocked_exactly_where_a_check_says_so,
);

const GOV: &str = "/api/v1/governance";

/// A catalog, and a reviewer's key.
struct Place {
    ws: String,
    catalog: Catalog,
    reviewer: String,
}

impl Place {
    async fn of(server: &Server) -> Place {
        let ws = server.workspace().await;
        let catalog = server.catalog(&ws).await;
        let (_, reviewer) = server.joined(&ws, "reviewer@example.com", ADMIN).await;
        Place {
            ws,
            catalog,
            reviewer,
        }
    }

    fn resources(&self) -> [(&'static str, &str); 4] {
        [
            ("addon", &self.catalog.source),
            ("model", &self.catalog.model),
            ("app", &self.catalog.destination),
            ("workflow", &self.catalog.sync),
        ]
    }

    async fn run(&self, server: &Server) -> Value {
        server
            .ran(BOOTSTRAP_KEY, &self.ws, &self.catalog.sync)
            .await
    }

    /// Whether anything arrived at the destination, which is emptied.
    fn arrived(&self, server: &Server) -> bool {
        let path = format!("data/files/out-{}.ndjson", self.catalog.model);
        std::fs::remove_file(server.folder.path().join(path)).is_ok()
    }

    async fn set_environment(&self, server: &Server, environment: &str) {
        let sync = json!({
            "name": "customers to file",
            "model_id": self.catalog.model,
            "destination_id": self.catalog.destination,
            "environment": environment,
        });
        let path = format!("{}/syncs/{}", self.ws, self.catalog.sync);
        server.put(&path, sync).await.expect(200);
    }
}

#[track_caller]
fn assert_blocked(run: &Value, parts: &[&str]) {
    assert_eq!(run["status"], "blocked", "{run:#}");
    for count in ["read", "delivered", "withheld", "failed"] {
        assert_eq!(run[count], 0, "{count}");
    }
    let error = text(&run["error"]);
    for part in parts.iter().chain(&["override"]) {
        assert!(error.contains(part), "{part}: {error}");
    }
}

async fn a_policy_on_any_of_its_resources_blocks_a_sync_in_production(server: Server) {
    let place = Place::of(&server).await;
    for (i, (kind, id)) in place.resources().into_iter().enumerate() {
        let severity = ["critical", "high"][i % 2];
        let name = format!("strict for {kind}");
        let policy = server.gov_policy(&name, severity).await;
        server.gov_bind(&policy, kind, id).await;
        let run = place.run(&server).await;
        assert_blocked(&run, &[&name, &policy, severity, "checks.done", kind, id]);
        assert!(!place.arrived(&server), "{kind}");
        let audit = format!("{}/audit?object_id={}", place.ws, text(&run["id"]));
        let audit = server.get(&audit).await.expect(200).to_string();
        assert!(
            audit.contains("blocked") && audit.contains(&policy),
            "{audit}"
        );
        server.gov_declare(kind, id, true).await;
        let run = place.run(&server).await;
        assert_eq!(
            (&run["status"], &run["error"]),
            (&json!("succeeded"), &Value::Null)
        );
        assert!(place.arrived(&server), "{kind}");
    }
    // All that block are named.
    for (kind, id) in place.resources() {
        server.gov_declare(kind, id, false).await;
    }
    let names = ["addon", "model", "app", "workflow"].map(|kind| format!("strict for {kind}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_blocked(&place.run(&server).await, &names);
}

async fn what_does_not_block_is_told_by_the_run(server: Server) {
    let place = Place::of(&server).await;
    let strict = server.gov_policy("strict", "critical").await;
    server
        .gov_bind(&strict, "app", &place.catalog.destination)
        .await;
    let mild = server.gov_policy("mild", "medium").await;
    server.gov_bind(&mild, "model", &place.catalog.model).await;
    for environment in ["staging", "development"] {
        place.set_environment(&server, environment).await;
        let run = place.run(&server).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        let error = text(&run["error"]);
        for part in ["warns", "strict", "mild", &strict, &mild, "checks.done"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(place.arrived(&server));
    }
    place.set_environment(&server, "production").await;
    assert_blocked(&place.run(&server).await, &["strict", "mild"]);
    server
        .gov_declare("app", &place.catalog.destination, true)
        .await;
    let run = place.run(&server).await;
    assert_eq!(run["status"], "succeeded");
    let error = text(&run["error"]);
    assert!(
        error.contains("mild") && !error.contains("strict"),
        "{error}"
    );
    let metrics = server.ask(None, Method::GET, "/metrics", None).await;
    let metrics = metrics.expect(200).to_string();
    assert!(
        metrics.contains("syncguard_policy_breaches_total"),
        "{metrics}"
    );
}

async fn a_policy_that_is_not_in_force_does_not_count(server: Server) {
    let place = Place::of(&server).await;
    let policy = server.gov_policy("strict", "critical").await;
    let instance = server
        .gov_bind(&policy, "workflow", &place.catalog.sync)
        .await;
    let path = format!("{GOV}/policies/{policy}");
    for (change, status) in [
        (json!({}), "blocked"),
        (json!({"isActive": false}), "succeeded"),
        (json!({"isActive": true}), "blocked"),
        (json!({"status": "archived"}), "succeeded"),
    ] {
        server.put(&path, change.clone()).await.expect(200);
        assert_eq!(
            place.run(&server).await["status"],
            status,
            "{change} {instance}"
        );
    }
}

async fn a_denial_holds_a_sync_until_an_approval(server: Server) {
    let place = Place::of(&server).await;
    let policy = server.gov_policy("reviewed", "high").await;
    let id = &place.catalog.destination;
    let instance = server.gov_bind(&policy, "app", id).await;
    server.gov_declare("app", id, true).await;
    for (key, step, status) in [
        (BOOTSTRAP_KEY, "submit", "succeeded"),
        (&place.reviewer, "deny", "blocked"),
        (BOOTSTRAP_KEY, "submit", "blocked"),
        (&place.reviewer, "approve", "succeeded"),
    ] {
        server.gov_step(key, &instance, step).await;
        let run = place.run(&server).await;
        assert_eq!(run["status"], status, "{step}: {run:#}");
        if status == "blocked" {
            assert_blocked(&run, &["reviewed", "denied"]);
        }
    }
}

async fn an_override_lets_a_sync_run_until_it_ends(server: Server) {
    let place = Place::of(&server).await;
    let policy = server.gov_policy("strict", "critical").await;
    let id = &place.catalog.destination;
    let instance = server.gov_bind(&policy, "app", id).await;
    assert_blocked(&place.run(&server).await, &["strict"]);
    server.gov_step(&place.reviewer, &instance, "submit").await;
    let end = (Utc::now() + TimeDelta::hours(2)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let path = format!("{GOV}/instances/{instance}/override");
    let leave = json!({"reason": "a deadline", "expiresAt": end});
    server.post(&path, leave.clone()).await.expect(200);
    let run = place.run(&server).await;
    assert_eq!(run["status"], "succeeded", "{run:#}");
    let error = text(&run["error"]);
    assert!(error.contains("strict") && error.contains(&end), "{error}");
    assert!(place.arrived(&server));
    server.delete(&path).await.expect(204);
    assert_blocked(&place.run(&server).await, &["strict"]);
    server.post(&path, leave).await.expect(200);
    server.pass(TimeDelta::hours(2));
    assert_blocked(&place.run(&server).await, &["strict"]);
    assert!(!place.arrived(&server));
}

async fn an_upload_that_is_blocked_is_409_and_goes_on_when_it_may(server: Server) {
    let place = Place::of(&server).await;
    let policy = server.gov_policy("strict", "critical").await;
    let id = &place.catalog.destination;
    server.gov_bind(&policy, "app", id).await;
    let path = format!("{}/syncs/{}/records", place.ws, place.catalog.sync);
    let upload = async || {
        let request = server
            .request(Method::POST, &path)
            .bearer_auth(BOOTSTRAP_KEY);
        let request = request
            .header("content-type", "application/x-ndjson")
            .header("idempotency-key", "one");
        let record = r#"{"id":2,"name":"Bo","country":"US","consent":true}"#;
        server.send(request.body(record)).await
    };
    let blocked = upload().await;
    let run_id = blocked
        .header("syncguard-run-id")
        .expect("a run")
        .to_owned();
    let blocked = blocked.expect(409);
    assert!(message(&blocked).contains("strict"), "{blocked}");
    let run = server
        .get(&format!("{}/runs/{run_id}", place.ws))
        .await
        .expect(200);
    assert_blocked(&run, &["strict"]);
    assert!(!place.arrived(&server));
    server.gov_declare("app", id, true).await;
    let run = upload().await.expect(200);
    assert_eq!(
        (&run["id"], &run["status"]),
        (&json!(run_id), &json!("succeeded"))
    );
    assert_eq!(run["delivered"], 1);
}

#[tokio::test]
async fn the_table_of_what_blocks_is_configuration() {
    let server = Server::start_with(|config| {
        config.compliance.blocks = [("staging".to_owned(), "low".to_owned())].into();
    })
    .await;
    let place = Place::of(&server).await;
    let policy = server.gov_policy("any", "critical").await;
    server
        .gov_bind(&policy, "workflow", &place.catalog.sync)
        .await;
    let path = format!("{GOV}/policies/{policy}");
    for (environment, severity, status) in [
        ("production", "critical", "succeeded"),
        ("production", "low", "succeeded"),
        ("staging", "critical", "succeeded"),
        ("staging", "low", "blocked"),
        ("development", "low", "succeeded"),
    ] {
        place.set_environment(&server, environment).await;
        server
            .put(&path, json!({"severity": severity}))
            .await
            .expect(200);
        let run = place.run(&server).await;
        assert_eq!(run["status"], status, "{environment} {severity}: {run:#}");
    }
}

/// One policy on one resource of the sync.
#[derive(Clone, Debug)]
struct Binding {
    severity: &'static str,
    resource: usize,
    active: bool,
    overridden: bool,
}

fn binding() -> impl Strategy<Value = Binding> {
    let severity = prop::sample::select(vec!["critical", "high", "medium", "low"]);
    (
        severity,
        0..4_usize,
        any::<bool>(),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(severity, resource, active, overridden)| Binding {
            severity,
            resource,
            active,
            overridden,
        })
}

async fn a_run_is_blocked_exactly_where_a_check_says_so(server: Server) {
    let place = Place::of(&server).await;
    let end = (Utc::now() + TimeDelta::days(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut runner = TestRunner::deterministic();
    let cases = (
        prop::collection::vec(binding(), 0..4),
        prop::collection::vec(any::<bool>(), 4),
        prop::sample::select(vec!["production", "staging", "development"]),
    );
    let mut seen = BTreeSet::new();
    let mut number = 0;
    for _ in 0..24 {
        let case = cases.new_tree(&mut runner).expect("a case").current();
        let (bindings, done, environment) = &case;
        place.set_environment(&server, environment).await;
        for ((kind, id), done) in place.resources().into_iter().zip(done) {
            server.gov_declare(kind, id, *done).await;
        }
        let mut made = Vec::new();
        for binding in bindings {
            number += 1;
            let policy = server
                .gov_policy(&format!("p{number}"), binding.severity)
                .await;
            let (kind, id) = place.resources()[binding.resource];
            let instance = server.gov_bind(&policy, kind, id).await;
            let path = format!("{GOV}/policies/{policy}");
            server
                .put(&path, json!({"isActive": binding.active}))
                .await
                .expect(200);
            if binding.overridden {
                server.gov_step(&place.reviewer, &instance, "submit").await;
                let path = format!("{GOV}/instances/{instance}/override");
                let leave = json!({"reason": "why", "expiresAt": end});
                server.post(&path, leave).await.expect(200);
            }
            made.push(path);
        }
        let mut expected = false;
        let more = format!("&environment={environment}");
        for (kind, id) in place.resources() {
            let check = server.gov_check(kind, id, &more).await;
            let policies = check["policies"].as_array().expect("policies").clone();
            expected |= policies.iter().any(|policy| policy["action"] == "block");
        }
        let by_hand = bindings.iter().any(|binding| {
            *environment == "production"
                && ["critical", "high"].contains(&binding.severity)
                && binding.active
                && !binding.overridden
                && !done[binding.resource]
        });
        assert_eq!(expected, by_hand, "{case:?}");
        let run = place.run(&server).await;
        let status = if expected { "blocked" } else { "succeeded" };
        assert_eq!(run["status"], status, "{case:?}: {run:#}");
        assert_eq!(place.arrived(&server), !expected, "{case:?}");
        seen.insert(expected);
        for path in made {
            server
                .put(&path, json!({"isActive": false}))
                .await
                .expect(200);
        }
    }
    assert_eq!(seen.len(), 2, "blocked and let through");
}
