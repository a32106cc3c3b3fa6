//! What policies do to runs, also while they are under way.

use serde_json::{Value, json};

use super::{country, gated, hook, ids, not_from, passes, passing, people, requested};
use crate::receiver::{Receiver, Reply};
use crate::rig::{Rig, assert_ended, condition};

/// Publishes a second policy while a request is held, and then lets it be answered. The request
/// was made before, so the second policy governs the next one.
async fn check_published_during_a_run(mapping: Value, reply: Reply) {
    let rig = Rig::start(|_| {}).await;
    let taken = matches!(reply, Reply::Accept);
    let (receiver, gate) = gated(2, reply).await;
    let model = rig.csv_model("people.csv", &people(3000)).await;
    let first = rig
        .client
        .policy(
            &model,
            "webhook",
            condition("id", "greater_than", json!(50)),
        )
        .await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig
        .client
        .sync(&model, &destination, json!({"mapping": mapping}))
        .await;
    let run_id = rig.client.trigger(&sync).await;
    requested(&receiver, 3).await;
    let second = rig.client.policy(&model, "webhook", not_from("FR")).await;
    gate.open();
    let run = rig.client.ended(&run_id).await;

    let before: u64 = if taken { 350 } else { 250 };
    let expected: Vec<_> = (51..=before)
        .chain((before + 1..=3000).filter(|id| passes(*id, &["FR"])))
        .collect();
    assert_eq!(ids(&receiver.records()), expected);
    let later = &receiver.requests()[3..];
    assert!(later.len() > 10);
    for delivery in later {
        for id in ids(&delivery.records) {
            assert!(passes(id, &["FR"]), "{id} from {} was sent", country(id));
        }
    }
    let withheld = 3000 - expected.len();
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 3000, "delivered": expected.len(), "withheld": withheld}),
    );
    let revisions = run["policy_revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 2, "{run:#}");
    assert_eq!(
        revisions[0].as_u64().unwrap() + 1,
        revisions[1].as_u64().unwrap()
    );
    assert_eq!(run["policy_revision"], revisions[1]);
    for (policy, count) in [(first, 50), (second, withheld - 50)] {
        let by = json!({"policy_id": policy, "kind": "destination", "count": count});
        assert!(
            run["withheld_by"].as_array().unwrap().contains(&by),
            "{run:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_published_during_a_run_governs_the_next_batch() {
    check_published_during_a_run(Value::Null, Reply::Accept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_published_during_a_run_may_read_a_column_that_is_not_being_read() {
    check_published_during_a_run(json!([{"from": "id", "to": "id"}]), Reply::Accept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_delivery_is_judged_by_what_is_committed_now() {
    check_published_during_a_run(Value::Null, Reply::Status(503)).await;
}

#[tokio::test]
async fn a_policy_may_read_a_column_that_is_not_sent() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(700)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let mapping = json!([{"from": "name", "to": "who"}, {"from": "id", "to": "id"}]);
    let sync = rig
        .client
        .sync(&model, &destination, json!({"mapping": mapping}))
        .await;
    let run = rig.client.run_of(&sync).await;
    let expected = passing(700, &["DE"]);
    let delivered = expected.len();
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 700, "delivered": delivered, "withheld": 700 - delivered}),
    );
    let records = receiver.records();
    assert_eq!(ids(&records), expected);
    for record in records {
        assert_eq!(record.keys().collect::<Vec<_>>(), ["who", "id"]);
        assert_eq!(record["who"], format!("name {}", record["id"]));
    }
}

#[tokio::test]
async fn a_policy_whose_column_the_source_dropped_blocks_the_run() {
    for for_every_model in [false, true] {
        let rig = Rig::start(|_| {}).await;
        let receiver = Receiver::accepting().await;
        let model = rig.csv_model("people.csv", &people(700)).await;
        let policy = rig.client.policy(&model, "webhook", not_from("DE")).await;
        if for_every_model {
            rig.client
                .put(
                    &format!("destination-rules/{policy}"),
                    json!({"parent_model_id": null}),
                )
                .await;
        }
        let destination = hook(&rig.client, &receiver, 100).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        rig.write("people.csv", "id,name,consent\n1,a,true\n2,b,false\n");
        let run = rig.client.run_of(&sync).await;
        assert_ended(&run, "blocked", json!({}));
        let error = run["error"].as_str().unwrap();
        assert!(error.contains("country"), "{error}");
        assert!(receiver.requests().is_empty());
    }
}

#[tokio::test]
async fn a_policy_whose_column_changed_its_type_blocks_the_run() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(700)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    rig.write(
        "people.csv",
        "id,name,country,consent\n1,a,49,true\n2,b,33,false\n",
    );
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "blocked", json!({}));
    assert!(
        run["error"]
            .as_str()
            .unwrap()
            .contains("a column of type Int64"),
        "{run:#}"
    );
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_column_that_the_model_was_saved_without_blocks_a_run_that_would_send_it() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    rig.write("people.csv", &people(3));
    let source = rig
        .client
        .source("files", json!({"path": "people.csv"}))
        .await;
    let body =
        json!({"name": "people", "source_id": source, "table": "files", "primary_key": ["id"]});
    let model = rig.client.make("models", body.clone()).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let mapping = json!({"mapping": [{"from": "id", "to": "id"}]});
    let mapped = rig.client.sync(&model, &destination, mapping).await;
    rig.write(
        "people.csv",
        "id,name,country,consent,ssn\n1,a,FR,true,secret-1\n2,b,PL,false,secret-2\n",
    );
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "blocked", json!({}));
    let error = run["error"].as_str().unwrap();
    assert!(
        error.contains("\"ssn\"") && error.contains("save the model again"),
        "{error}"
    );
    assert!(!error.contains("secret-"), "{error}");
    assert!(receiver.requests().is_empty());

    // A mapping sends what it names, and nothing else.
    let run = rig.client.run_of(&mapped).await;
    assert_ended(&run, "succeeded", json!({"read": 2, "delivered": 2}));
    let records = receiver.records();
    assert_eq!(ids(&records), [1, 2]);
    assert!(records.iter().all(|record| record.len() == 1));

    // Once the model is saved with the column, policies and compliance know of it.
    rig.client.put(&format!("models/{model}"), body).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "succeeded", json!({"read": 2, "delivered": 2}));
    let records = receiver.records();
    assert_eq!(ids(&records), [1, 2, 1, 2]);
    assert_eq!(records[2]["ssn"], "secret-1");
}

#[tokio::test]
async fn a_required_policy_that_is_missing_blocks_the_run() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(700)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    rig.client.require_policies().await;
    // A policy for another destination type does not count.
    rig.client.policy(&model, "file", not_from("DE")).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "blocked", json!({}));
    assert!(
        run["error"]
            .as_str()
            .unwrap()
            .contains("requires a destination policy"),
        "{run:#}"
    );
    assert!(receiver.requests().is_empty());
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    assert_eq!(rig.client.run_of(&sync).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_loses_its_required_policy_on_the_way_is_blocked_there() {
    let rig = Rig::start(|_| {}).await;
    let (receiver, gate) = gated(1, Reply::Accept).await;
    let model = rig.csv_model("people.csv", &people(3000)).await;
    let policy = rig.client.policy(&model, "webhook", not_from("DE")).await;
    rig.client.require_policies().await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run_id = rig.client.trigger(&sync).await;
    requested(&receiver, 2).await;
    let path = format!("destination-rules/{policy}");
    rig.client.put(&path, json!({"enabled": false})).await;
    gate.open();
    let run = rig.client.ended(&run_id).await;
    let sent = passing(3000, &["DE"])[..200].to_vec();
    let read = sent[199];
    assert_ended(
        &run,
        "blocked",
        json!({"read": read, "delivered": 200, "withheld": read - 200}),
    );
    assert_eq!(ids(&receiver.records()), sent);
}
