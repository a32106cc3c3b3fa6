//! Runs and uploads.

use serde_json::{Value, json};

use super::{ALERT, BLOCK, CARDS, EMAILS, LOG, forbid, spaced, tells, violations};
use crate::receiver::{Receiver, Reply};
use crate::rig::{Rig, assert_ended, text};
use crate::sync_runs::{gated, hook, ids, requested};

/// People with notes in which, deep down, one has a number.
fn people(count: u64, planted: &[u64]) -> String {
    let line = |id: u64| {
        let said = match planted.contains(&id) {
            true => format!("please charge {} this time", spaced()),
            false => "please call again".to_owned(),
        };
        let record = json!({
            "id": id, "mail": format!("person{id}@mail.example.org"),
            "notes": {"by": "phone", "said": said},
        });
        format!("{record}\n")
    };
    (1..=count).map(line).collect()
}

/// A source and a model over people.
async fn model(rig: &Rig, content: &str) -> (String, String) {
    rig.write("people.ndjson", content);
    let config = json!({"path": "people.ndjson"});
    let source = rig.client.source("files", config).await;
    let query = json!({"table": "files", "primary_key": ["id"]});
    let model = rig.client.model(&source, query).await;
    (source, model)
}

#[track_caller]
fn assert_clean(receiver: &Receiver) {
    for delivery in receiver.requests() {
        assert!(!tells(&String::from_utf8_lossy(&delivery.body)));
    }
}

#[tokio::test]
async fn a_card_number_in_a_nested_text_is_withheld_from_a_receiver() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let (_, model) = model(&rig, &people(700, &[3, 501])).await;
    let policy = forbid(&rig.client, CARDS, BLOCK, json!({})).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 700, "delivered": 698, "withheld": 2}),
    );
    let by = json!([{"policy_id": policy, "kind": "content", "count": 2}]);
    assert_eq!(run["withheld_by"], by);
    let expected: Vec<u64> = (1..=700).filter(|id| ![3, 501].contains(id)).collect();
    assert_eq!(ids(&receiver.records()), expected);
    assert_clean(&receiver);
    let found = violations(&rig.client, "violations").await;
    assert_eq!(found.len(), 2, "{found:#?}");
    let told = Value::from(found).to_string();
    assert!(
        told.contains("notes.said") && told.contains("id=501"),
        "{told}"
    );
}

#[tokio::test]
async fn policies_that_log_or_alert_let_a_record_pass_and_are_on_record() {
    for (action, alerts) in [(LOG, 0), (ALERT, 1)] {
        let rig = Rig::start(|_| {}).await;
        let receiver = Receiver::accepting().await;
        let (_, model) = model(&rig, &people(20, &[7])).await;
        forbid(&rig.client, CARDS, action, json!({})).await;
        let destination = hook(&rig.client, &receiver, 100).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run = rig.client.run_of(&sync).await;
        assert_ended(&run, "succeeded", json!({"read": 20, "delivered": 20}));
        assert_eq!(run["withheld_by"], json!([]));
        assert_eq!(violations(&rig.client, "violations").await.len(), 1);
        assert_eq!(violations(&rig.client, "alerts").await.len(), alerts);
    }
}

#[tokio::test]
async fn all_levels_count_and_the_strictest_action_wins() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let (source, model) = model(&rig, &people(20, &[7])).await;
    let me = rig.client.get("/api/v1/me").await;
    let workspace = text(&me["workspaces"][0]["id"]);
    forbid(&rig.client, CARDS, LOG, json!({})).await;
    let level = json!({"workspaceId": workspace});
    forbid(&rig.client, EMAILS, ALERT, level).await;
    let level = json!({"workspaceId": workspace, "repoId": source});
    let strict = forbid(&rig.client, CARDS, BLOCK, level).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 20, "delivered": 19, "withheld": 1}),
    );
    let by = json!([{"policy_id": strict, "kind": "content", "count": 1}]);
    assert_eq!(run["withheld_by"], by);
    assert_clean(&receiver);
    // Twenty addresses, and the card by two policies.
    assert_eq!(violations(&rig.client, "violations").await.len(), 22);

    // Another source has no such policy of its own.
    rig.write("others.ndjson", &people(3, &[2]));
    let config = json!({"path": "others.ndjson"});
    let other = rig.client.source("files", config).await;
    let query = json!({"table": "files", "primary_key": ["id"]});
    let other = rig.client.model(&other, query).await;
    let sync = rig.client.sync(&other, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "succeeded", json!({"read": 3, "delivered": 3}));
}

#[tokio::test]
async fn only_what_is_sent_is_looked_at() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let (_, model) = model(&rig, &people(20, &[7])).await;
    forbid(&rig.client, CARDS, BLOCK, json!({})).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let mapping = json!({"mapping": [{"from": "id", "to": "id"}, {"from": "mail", "to": "to"}]});
    let sync = rig.client.sync(&model, &destination, mapping).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "succeeded", json!({"read": 20, "delivered": 20}));
    assert_clean(&receiver);
    assert!(violations(&rig.client, "violations").await.is_empty());
    let renamed = json!({"mapping": [{"from": "id", "to": "id"}, {"from": "notes", "to": "x"}]});
    let sync = rig.client.sync(&model, &destination, renamed).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 20, "delivered": 19, "withheld": 1}),
    );
    assert_clean(&receiver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_made_during_a_run_governs_the_next_batch() {
    let rig = Rig::start(|_| {}).await;
    let (receiver, gate) = gated(2, Reply::Accept).await;
    let planted: Vec<u64> = (1..=3_000).filter(|id| id % 10 == 0).collect();
    let (_, model) = model(&rig, &people(3_000, &planted)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run_id = rig.client.trigger(&sync).await;
    requested(&receiver, 3).await;
    forbid(&rig.client, CARDS, BLOCK, json!({})).await;
    gate.open();
    let run = rig.client.ended(&run_id).await;
    assert_eq!(run["status"], "succeeded", "{run:#}");
    assert_eq!(run["delivered"], 300 + 2_700 / 10 * 9, "{run:#}");
    let later = &receiver.requests()[3..];
    assert!(later.len() > 10);
    for delivery in later {
        assert!(!tells(&String::from_utf8_lossy(&delivery.body)));
    }
}

#[tokio::test]
async fn an_upload_is_looked_at_however_a_number_is_written() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let (_, model) = model(&rig, &people(3, &[])).await;
    forbid(&rig.client, CARDS, BLOCK, json!({})).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let escaped: String = spaced()
        .bytes()
        .map(|byte| format!("\\u{byte:04x}"))
        .collect();
    let said = |id: u64, said: &str| {
        format!(r#"{{"id": {id}, "mail": "a", "notes": {{"by": "b", "said": "{said}"}}}}"#)
    };
    let body = [said(1, "nothing"), said(2, &spaced()), said(3, &escaped)].join("\n") + "\n";
    let uploaded = rig.client.upload(&sync, "", &[], body).await.unwrap();
    let receipt = uploaded.expect(200);
    assert_eq!(
        (&receipt["read"], &receipt["withheld"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(ids(&receiver.records()), [1]);
    assert_clean(&receiver);
}
