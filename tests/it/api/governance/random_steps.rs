//! Random steps on snapshots, attestations and templates: each answers as a small model of its
//! states says, and nothing that is final ever changes again.

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::super::{Answer, Server, text};

on_both_stores!(
    snapshots_reach_only_states_of_the_seed,
    attestations_reach_only_states_of_the_seed,
    templates_reach_only_states_of_the_seed,
);

const G: &str = "/api/v1/governance";
const STEPS: usize = 150;

async fn made(server: &Server, noun: &str, body: Value) -> Value {
    server.post(&format!("{G}/{noun}"), body).await.expect(201)
}

/// Checks what a step answers: a success, or a refusal with a code.
fn check(answer: Answer, allowed: Result<u16, &str>, context: &str) {
    match allowed {
        Ok(status) => assert_eq!(answer.status, status, "{context}: {:#}", answer.body),
        Err(code) => {
            assert_eq!(answer.status, 409, "{context}: {:#}", answer.body);
            assert_eq!(answer.body["error"]["code"], code, "{context}");
        }
    }
}

async fn snapshots_reach_only_states_of_the_seed(server: Server) {
    let solution = made(&server, "solutions", json!({"name": "all"})).await;
    let mut random = StdRng::seed_from_u64(1);
    let mut snapshots: Vec<(String, bool, bool)> = Vec::new();
    for step in 0..STEPS {
        let choice = random.random_range(0..10);
        if snapshots.is_empty() || choice == 0 {
            let body = json!({"solutionId": solution["id"]});
            let snapshot = made(&server, "snapshots", body).await;
            snapshots.push((text(&snapshot["id"]), false, false));
            continue;
        }
        let at = random.random_range(0..snapshots.len());
        let (id, approved, frozen) = &mut snapshots[at];
        let one = format!("{G}/snapshots/{id}");
        let before = server.get(&one).await.expect(200);
        let (verb, allowed) = match choice % 2 {
            0 => ("freeze", !*frozen),
            _ => ("approve", !*frozen && !*approved),
        };
        let expected = match (allowed, *frozen) {
            (true, _) => Ok(200),
            (false, true) => Err("snapshot_frozen"),
            (false, false) => Err("invalid_transition"),
        };
        let answer = server.post(&format!("{one}/{verb}"), json!({})).await;
        check(
            answer,
            expected,
            &format!("step {step}: {verb} of {before:#}"),
        );
        *frozen |= allowed && verb == "freeze";
        *approved |= allowed && verb == "approve";
        let after = server.get(&one).await.expect(200);
        assert_eq!(after["frozen"], *frozen, "step {step}");
        assert_eq!(after["digest"].is_string(), *frozen, "step {step}");
        assert_eq!(after["approvedAt"].is_string(), *approved, "step {step}");
        if before["frozen"] == true {
            assert_eq!(after, before, "step {step}: a frozen snapshot has changed");
        }
    }
}

async fn attestations_reach_only_states_of_the_seed(server: Server) {
    let solution = made(&server, "solutions", json!({"name": "all"})).await;
    let body = json!({"solutionId": solution["id"]});
    let snapshot = made(&server, "snapshots", body).await;
    let mut random = StdRng::seed_from_u64(2);
    let start = chrono::Utc::now();
    let mut days = 0;
    // Each with the day on which it ends, and whether it was revoked.
    let mut attestations: Vec<(String, i64, bool)> = Vec::new();
    for step in 0..STEPS {
        match random.random_range(0..6) {
            0 => {
                server.pass(TimeDelta::days(1));
                days += 1;
            }
            1 => {
                let end = days + random.random_range(-2..6);
                // Half a day from the next look at the clock, on either side.
                let expiration = start + TimeDelta::days(end) + TimeDelta::hours(12);
                let body = json!({
                    "snapshotId": snapshot["id"], "type": "custom", "expiration": expiration,
                });
                let attestation = made(&server, "attestations", body).await;
                attestations.push((text(&attestation["id"]), end, false));
            }
            _ if attestations.is_empty() => {}
            _ => {
                let at = random.random_range(0..attestations.len());
                let (id, _, revoked) = &mut attestations[at];
                let expected = match *revoked {
                    false => Ok(200),
                    true => Err("attestation_not_active"),
                };
                let path = format!("{G}/attestations/{id}/revoke");
                let answer = server.post(&path, json!({})).await;
                check(answer, expected, &format!("step {step}"));
                *revoked = true;
            }
        }
        let list = format!("{G}/attestations?limit=100");
        let list = server.get(&list).await.expect(200);
        for (id, end, revoked) in &attestations {
            let mut shown = list["data"].as_array().expect("attestations").iter();
            let shown = shown.find(|shown| shown["id"] == json!(id)).expect("it");
            let expected = match (revoked, *end < days) {
                (true, _) => "revoked",
                (false, true) => "expired",
                (false, false) => "active",
            };
            assert_eq!(shown["status"], expected, "step {step}: {shown:#}");
            assert_eq!(shown["revokedAt"].is_string(), *revoked, "step {step}");
        }
    }
}

async fn templates_reach_only_states_of_the_seed(server: Server) {
    let mut random = StdRng::seed_from_u64(3);
    let new = json!({"name": "mine", "category": "security", "policyDefinition": {"rules": []}});
    let mut template = made(&server, "templates", new.clone()).await;
    let (mut published, mut version, mut used) = (false, 1, false);
    for step in 0..STEPS {
        let one = format!("{G}/templates/{}", text(&template["id"]));
        let context = format!("step {step}: {published} {version} {used}");
        match random.random_range(0..12) {
            0 | 1 => {
                let expected = match published {
                    false => Ok(200),
                    true => Err("invalid_transition"),
                };
                let answer = server.post(&format!("{one}/publish"), json!({})).await;
                check(answer, expected, &context);
                published = true;
            }
            2..5 => {
                let change = json!({"description": format!("as of step {step}")});
                check(server.put(&one, change).await, Ok(200), &context);
                version += i32::from(published);
            }
            5..8 => {
                let expected = match published {
                    true => Ok(200),
                    false => Err("template_not_published"),
                };
                let rating = json!({"rating": random.random_range(1..=5)});
                let answer = server.post(&format!("{one}/review"), rating).await;
                check(answer, expected, &context);
            }
            8 => {
                let name = json!({"name": format!("policy of step {step}")});
                let answer = server.post(&format!("{one}/use"), name).await;
                check(answer, Ok(201), &context);
                used = true;
            }
            _ => {
                let stays = published && used;
                let expected = match stays {
                    false => Ok(204),
                    true => Err("template_in_use"),
                };
                check(server.delete(&one).await, expected, &context);
                // Otherwise the first that is published and used would be the last.
                if !stays || step % 3 == 0 {
                    let name = json!(format!("made at step {step}"));
                    let mut new = new.clone();
                    new["name"] = name;
                    template = made(&server, "templates", new).await;
                    (published, version, used) = (false, 1, false);
                }
                continue;
            }
        }
        let shown = server.get(&one).await.expect(200);
        assert_eq!(shown["published"], published, "{context}");
        assert_eq!(shown["version"], version, "{context}");
        let versions = server.get(&format!("{one}/versions")).await.expect(200);
        let kept = versions.as_array().map(Vec::len);
        assert_eq!(kept, usize::try_from(version - 1).ok(), "{context}");
    }
}
