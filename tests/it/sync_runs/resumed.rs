//! Runs that are interrupted and go on.

use serde_json::json;

use super::{gated, hook, ids, not_from, passing, people, requested, rig_on, sources, stores};
use crate::receiver::{Receiver, Reply};
use crate::rig::{Client, Rig, assert_balanced, assert_ended, patient};

/// Compliance blocks every sync of a model from here on; answers the policy that does.
async fn block(client: &Client, model: &str) -> String {
    let policy = json!({
        "name": "strict",
        "category": "data",
        "severity": "critical",
        "rules": [{"field": "checks.done", "operator": "exists"}],
    });
    let policy = client.make("/api/v1/governance/policies", policy).await;
    let instance = json!({"policyId": policy, "resourceType": "model", "resourceId": model});
    client.make("/api/v1/governance/instances", instance).await;
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_run_is_resumed_by_the_next_server() {
    for store in stores().await {
        let mut rig = rig_on(store).await;
        let (receiver, gate) = gated(7, Reply::Accept).await;
        let model = rig.csv_model("people.csv", &people(3000)).await;
        rig.client.policy(&model, "webhook", not_from("DE")).await;
        let destination = hook(&rig.client, &receiver, 70).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run_id = rig.client.trigger(&sync).await;
        requested(&receiver, 8).await;
        rig.stop();
        gate.open();
        rig.drain().await;
        // The delivery that was under way came to its end, and no other was begun.
        assert_eq!(receiver.requests().len(), 8);
        rig.start_again().await;
        let run = rig.client.ended(&run_id).await;
        let expected = passing(3000, &["DE"]);
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 3000, "delivered": expected.len(), "withheld": 3000 - expected.len()}),
        );
        assert_eq!(ids(&receiver.records()), expected);
        assert_eq!(receiver.repeated(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_compliance_blocks_meanwhile_is_not_resumed() {
    for store in stores().await {
        let mut rig = rig_on(store).await;
        let (receiver, gate) = gated(7, Reply::Accept).await;
        let model = rig.csv_model("people.csv", &people(3000)).await;
        let destination = hook(&rig.client, &receiver, 70).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run_id = rig.client.trigger(&sync).await;
        requested(&receiver, 8).await;
        let policy = block(&rig.client, &model).await;
        rig.stop();
        gate.open();
        rig.drain().await;
        rig.start_again().await;
        let run = rig.client.ended(&run_id).await;
        assert_balanced(&run);
        assert_eq!(run["status"], "blocked", "{run:#}");
        assert!(run["error"].to_string().contains(&policy), "{run:#}");
        assert_eq!(run["delivered"], receiver.records().len());
        assert_eq!(receiver.requests().len(), 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_anew_by_the_run_that_resumes() {
    let mut rig = Rig::start(|_| {}).await;
    let model = rig.csv_model("people.csv", &people(60_000)).await;
    rig.client.policy(&model, "file", not_from("DE")).await;
    let slow = json!({"name": "out", "type": "file", "config": {"path": "out.csv"}, "rate_limit": {"rows_per_second": 20_000}});
    let destination = rig.client.make("destinations", slow).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run_id = rig.client.trigger(&sync).await;
    crate::rig::until("nothing is read", async || {
        let run = rig.client.run(&run_id).await;
        assert_balanced(&run);
        (run["read"].as_u64().unwrap() > 0).then_some(())
    })
    .await;
    rig.drain().await;
    assert!(!rig.files().join("out.csv").exists());
    rig.start_again().await;
    let fast = json!({"name": "out", "config": {"path": "out.csv"}});
    rig.client
        .put(&format!("destinations/{destination}"), fast)
        .await;
    let run = rig.client.ended(&run_id).await;
    let expected = passing(60_000, &["DE"]).len();
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 60_000, "delivered": expected, "withheld": 60_000 - expected}),
    );
    let text = std::fs::read_to_string(rig.files().join("out.csv")).unwrap();
    assert_eq!(text.lines().count(), expected + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_to_a_file_that_is_blocked_as_it_is_resumed_has_delivered_nothing() {
    let mut rig = Rig::start(|_| {}).await;
    let model = rig.csv_model("people.csv", &people(60_000)).await;
    rig.client.policy(&model, "file", not_from("DE")).await;
    let slow = json!({"name": "out", "type": "file", "config": {"path": "out.csv"}, "rate_limit": {"rows_per_second": 20_000}});
    let destination = rig.client.make("destinations", slow).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run_id = rig.client.trigger(&sync).await;
    crate::rig::until("nothing is written", async || {
        let run = rig.client.run(&run_id).await;
        (run["delivered"].as_u64().unwrap() > 0).then_some(())
    })
    .await;
    block(&rig.client, &model).await;
    rig.drain().await;
    rig.start_again().await;
    let run = rig.client.ended(&run_id).await;
    assert_eq!(run["status"], "blocked", "{run:#}");
    assert_eq!(run["delivered"], 0, "{run:#}");
    assert!(run["failed"].as_u64().unwrap() > 0, "{run:#}");
    assert!(!rig.files().join("out.csv").exists());
}

#[tokio::test]
async fn a_model_that_changed_meanwhile_is_not_resumed() {
    let renamed = people(3000).replace(",name ", ",changed ");
    for changed in [
        people(10),
        people(3000).lines().rev().collect::<Vec<_>>().join("\n"),
        renamed,
    ] {
        let mut rig = Rig::start(patient).await;
        let receiver = Receiver::start(|delivery| match delivery.number {
            0..4 => Reply::Accept,
            _ => Reply::Status(503),
        })
        .await;
        let model = rig.csv_model("people.csv", &people(3000)).await;
        rig.client.policy(&model, "webhook", not_from("DE")).await;
        let destination = hook(&rig.client, &receiver, 100).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run_id = rig.client.trigger(&sync).await;
        requested(&receiver, 5).await;
        rig.drain().await;
        let changed = match changed.starts_with("id,") {
            true => changed,
            false => format!(
                "id,name,country,consent\n{}",
                changed.replace("id,name,country,consent", "")
            ),
        };
        rig.write("people.csv", &changed);
        rig.start_again().await;
        let run = rig.client.ended(&run_id).await;
        let read = passing(3000, &["DE"])[399];
        assert_ended(
            &run,
            "failed",
            json!({"read": read, "delivered": 400, "withheld": read - 400}),
        );
        let error = run["error"].as_str().unwrap();
        assert!(
            error.contains("the model changed while the run was interrupted"),
            "{error}"
        );
        assert_eq!(receiver.requests().len(), 5);
    }
}

/// The fourth delivery is taken, but its confirmation is lost, and the server ends before it can
/// repeat it. It is the short one at the end of a batch that was read: whoever resumes has to end
/// there, too, or the records would come again under another key.
#[tokio::test]
async fn a_delivery_that_is_repeated_after_a_restart_keeps_its_key() {
    for source in ["csv", "ndjson", "parquet", "sql", "sqlite", "postgres"] {
        let mut rig = Rig::start(patient).await;
        let receiver = Receiver::start(|delivery| match delivery.number {
            3 => Reply::ResetAfter,
            _ => Reply::Accept,
        })
        .await;
        let model = match source {
            "csv" => rig.csv_model("people.csv", &people(3000)).await,
            "sqlite" => sources::sqlite_people(&rig.client, &rig.files(), 3000).await,
            "postgres" => sources::postgres_people(&rig.client, 3000).await,
            kind => sources::people_in(&rig, kind, 3000).await,
        };
        rig.client.policy(&model, "webhook", not_from("DE")).await;
        let destination = hook(&rig.client, &receiver, 250).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run_id = rig.client.trigger(&sync).await;
        requested(&receiver, 4).await;
        rig.drain().await;
        rig.start_again().await;
        let run = rig.client.ended(&run_id).await;
        let expected = passing(3000, &["DE"]);
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 3000, "delivered": expected.len(), "withheld": 3000 - expected.len()}),
        );
        assert_eq!(ids(&receiver.records()), expected, "{source}");
        assert_eq!(receiver.repeated(), 1, "{source}");
        let requests = receiver.requests();
        assert_eq!(requests[3].records.len(), 50, "{source}");
        assert_eq!(requests[3].id, requests[4].id, "{source}");
    }
}

#[tokio::test]
async fn a_run_that_was_cancelled_while_nobody_worked_on_it_is_not_resumed() {
    let mut rig = Rig::start(patient).await;
    let receiver = Receiver::start(|_| Reply::Status(503)).await;
    let model = rig.csv_model("people.csv", &people(300)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run_id = rig.client.trigger(&sync).await;
    requested(&receiver, 1).await;
    // Its worker hears of it at its next checkpoint, which it does not come to.
    rig.client
        .post(&format!("runs/{run_id}/cancel"), json!({}))
        .await;
    rig.drain().await;
    rig.start_again().await;
    let run = rig.client.ended(&run_id).await;
    assert_ended(&run, "cancelled", json!({}));
    assert_eq!(receiver.requests().len(), 1);
}
