//! Runs from their trigger to their end: real files and databases, real HTTP on loopback.

mod faults;
mod policies;
mod resumed;
pub(crate) mod sources;
mod uploads;

use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Map, Value, json};

use crate::receiver::{Receiver, Reply};
use crate::rig::{Client, Rig, assert_ended, condition};
use crate::support::fresh_postgres;

const COUNTRIES: [&str; 5] = ["DE", "FR", "US", "PL", ""];

/// A CSV file of so many people, numbered from 1; the country follows from the number.
pub(crate) fn people(count: u64) -> String {
    let line = |id: u64| {
        let consent = ["true", "false", ""][(id % 3) as usize];
        format!("{id},name {id},{},{consent}\n", country(id))
    };
    "id,name,country,consent\n".to_owned() + &(1..=count).map(line).collect::<String>()
}

fn country(id: u64) -> &'static str {
    COUNTRIES[(id % 5) as usize]
}

/// The records that may pass: those with a country, and not this one.
pub(crate) fn not_from(country: &str) -> Value {
    condition("country", "not_in", json!([country]))
}

pub(crate) fn passes(id: u64, forbidden: &[&str]) -> bool {
    !country(id).is_empty() && !forbidden.contains(&country(id))
}

/// The people of the first `count` that pass.
pub(crate) fn passing(count: u64, forbidden: &[&str]) -> Vec<u64> {
    (1..=count).filter(|id| passes(*id, forbidden)).collect()
}

pub(crate) fn ids(records: &[Map<String, Value>]) -> Vec<u64> {
    records
        .iter()
        .map(|record| record["id"].as_u64().unwrap())
        .collect()
}

/// A webhook that takes batches of a size.
pub(crate) async fn hook(client: &Client, receiver: &Receiver, batch_size: u64) -> String {
    client
        .destination(
            "webhook",
            json!({"url": receiver.url(), "batch_size": batch_size}),
        )
        .await
}

/// A gate that requests wait at until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits; for tests with more than one thread.
    fn pass(&self) {
        tokio::task::block_in_place(|| {
            let open = self.0.0.lock().unwrap();
            let waited = self
                .0
                .1
                .wait_timeout_while(open, crate::rig::PATIENCE, |open| !*open);
            assert!(!waited.unwrap().1.timed_out(), "the gate stays shut");
        });
    }
}

/// A receiver that accepts, and holds the request of a number until the gate opens.
pub(crate) async fn gated(number: usize, reply: Reply) -> (Receiver, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let receiver = Receiver::start(move |delivery| {
        if delivery.number != number {
            return Reply::Accept;
        }
        held.pass();
        reply.clone()
    })
    .await;
    (receiver, gate)
}

/// Waits until so many requests have come.
pub(crate) async fn requested(receiver: &Receiver, count: usize) {
    crate::rig::until("too few requests", async || {
        (receiver.requests().len() >= count).then_some(())
    })
    .await;
}

/// A control store of each kind.
async fn stores() -> [Option<String>; 2] {
    [None, Some(fresh_postgres().await)]
}

async fn rig_on(store: Option<String>) -> Rig {
    Rig::start(|config| {
        if let Some(url) = store {
            config.store_url = url.into();
        }
    })
    .await
}

#[tokio::test]
async fn counts_balance_and_equal_what_arrived() {
    for store in stores().await {
        let rig = rig_on(store).await;
        let receiver = Receiver::accepting().await;
        let model = rig.csv_model("people.csv", &people(2345)).await;
        let policy = rig.client.policy(&model, "webhook", not_from("DE")).await;
        let consent = condition("consent", "is_true", Value::Null);
        let second = rig.client.policy(&model, "webhook", consent).await;
        let destination = hook(&rig.client, &receiver, 70).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run = rig.client.run_of(&sync).await;
        let expected: Vec<_> = passing(2345, &["DE"])
            .into_iter()
            .filter(|id| id % 3 == 0)
            .collect();
        let delivered = expected.len();
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 2345, "delivered": delivered, "withheld": 2345 - delivered}),
        );
        assert_eq!(ids(&receiver.records()), expected);
        assert_eq!(receiver.repeated(), 0);
        // A record that both withhold is counted under each.
        let by_country = (1..=2345).filter(|id| !passes(*id, &["DE"])).count();
        let by_consent = (1..=2345).filter(|id| id % 3 != 0).count();
        let mut by: Vec<_> = run["withheld_by"].as_array().unwrap().clone();
        by.sort_by_key(|by| by["policy_id"].to_string());
        let mut expected = vec![
            json!({"policy_id": policy, "kind": "destination", "count": by_country}),
            json!({"policy_id": second, "kind": "destination", "count": by_consent}),
        ];
        expected.sort_by_key(|by| by["policy_id"].to_string());
        assert_eq!(by, expected);
        assert_eq!(run["policy_revisions"].as_array().unwrap().len(), 1);
        assert_eq!(run["error"], Value::Null);
    }
}

#[tokio::test]
async fn a_sync_without_policy_and_mapping_sends_every_column_of_every_record() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(1203)).await;
    let destination = hook(&rig.client, &receiver, 500).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "succeeded", json!({"read": 1203, "delivered": 1203}));
    let records = receiver.records();
    assert_eq!(ids(&records), (1..=1203).collect::<Vec<_>>());
    let nobody = json!({"id": 4, "name": "name 4", "country": null, "consent": false});
    assert_eq!(Value::from(records[3].clone()), nobody);
}

#[tokio::test]
async fn a_preview_without_a_policy_reads_no_column_and_counts_all() {
    let rig = Rig::start(|_| {}).await;
    let model = rig.csv_model("people.csv", &people(1203)).await;
    let parquet = rig
        .client
        .destination("file", json!({"path": "people.parquet"}))
        .await;
    let sync = rig.client.sync(&model, &parquet, json!({})).await;
    rig.client.run_of(&sync).await;
    let source = rig
        .client
        .source("files", json!({"path": "people.parquet"}))
        .await;
    let copy = rig.client.model(&source, json!({"table": "files"})).await;
    let constant = rig
        .client
        .model(&source, json!({"sql": "SELECT id FROM files"}))
        .await;
    let postgres = sources::postgres_people(&rig.client, 1203).await;
    let sqlite = sources::sqlite_people(&rig.client, &rig.files(), 1203).await;
    for model in [model, copy, constant, postgres, sqlite] {
        let body = json!({"model_id": model, "destination_type": "webhook"});
        let preview = rig.client.post("preview", body).await;
        assert_eq!(preview["read"], 1203, "{preview:#}");
        assert_eq!(preview["passing"], 1203, "{preview:#}");
        assert_eq!(preview["withheld"], 0, "{preview:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_at_a_checkpoint() {
    let rig = Rig::start(|_| {}).await;
    let (receiver, gate) = gated(1, Reply::Accept).await;
    let model = rig.csv_model("people.csv", &people(5000)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run_id = rig.client.trigger(&sync).await;
    requested(&receiver, 2).await;
    assert_eq!(
        rig.client
            .post(&format!("runs/{run_id}/cancel"), json!({}))
            .await["status"],
        "running"
    );
    gate.open();
    let run = rig.client.ended(&run_id).await;
    let sent = passing(5000, &["DE"])[..200].to_vec();
    let read = sent[199];
    assert_ended(
        &run,
        "cancelled",
        json!({"read": read, "delivered": 200, "withheld": read - 200}),
    );
    assert_eq!(ids(&receiver.records()), sent);
}

#[tokio::test]
async fn a_disabled_sync_is_not_triggered() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(10)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig
        .client
        .sync(&model, &destination, json!({"enabled": false}))
        .await;
    let trigger = format!("syncs/{sync}/trigger");
    let (status, answer) = rig
        .client
        .ask(reqwest::Method::POST, &trigger, Some(json!({})))
        .await;
    assert_eq!(status, 409, "{answer:#}");
    assert_eq!(
        rig.client.get(&format!("syncs/{sync}/runs")).await,
        json!([])
    );
    assert!(receiver.requests().is_empty());
}
