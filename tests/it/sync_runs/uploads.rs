//! Uploads: records that come with a request, through the guard, to the destination.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::channel::mpsc;
use reqwest::Body;
use serde_json::{Value, json};

use super::{country, gated, hook, ids, not_from, passing, people, requested, rig_on, stores};
use crate::receiver::{Receiver, Reply};
use crate::rig::{Client, KEY, Process, Rig, Uploaded, assert_balanced, assert_ended, text, until};
use crate::support::temporary_folder;

const ONCE: [(&str, &str); 1] = [("idempotency-key", "one")];

/// The people of a range as NDJSON, with so many bytes more in each name.
fn lines(range: impl Iterator<Item = u64>, more: usize) -> String {
    let line = |id: u64| {
        let country = Some(country(id)).filter(|country| !country.is_empty());
        let name = format!("name {id}{}", " ".repeat(more));
        json!({"id": id, "name": name, "country": country, "consent": true}).to_string() + "\n"
    };
    range.map(line).collect()
}

/// A body of one piece that breaks off behind it.
fn broken(piece: String) -> Body {
    let end = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    Body::wrap_stream(futures::stream::iter([Ok(piece), Err(end)]))
}

/// A body of one piece that stays open as long as the sender lives.
fn open_ended(piece: String) -> (Body, mpsc::UnboundedSender<std::io::Result<String>>) {
    let (sender, pieces) = mpsc::unbounded();
    sender.unbounded_send(Ok(piece)).unwrap();
    (Body::wrap_stream(pieces), sender)
}

/// A sync of people to a webhook that takes batches of 100.
async fn to_hook(rig: &Rig, receiver: &Receiver) -> String {
    let model = rig.csv_model("people.csv", &people(10)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, receiver, 100).await;
    rig.client.sync(&model, &destination, json!({})).await
}

async fn upload(client: &Client, sync: &str, headers: &[(&str, &str)], body: String) -> Uploaded {
    client.upload(sync, "", headers, body).await.unwrap()
}

/// The newest run of a sync, once it has ended.
async fn newest_ended(client: &Client, sync: &str) -> Value {
    let runs = until("no run was begun", async || {
        let runs = client.get(&format!("syncs/{sync}/runs")).await;
        runs.as_array()
            .is_some_and(|runs| !runs.is_empty())
            .then_some(runs)
    })
    .await;
    client.ended(&text(&runs[0]["id"])).await
}

fn message(error: &Value) -> &str {
    error["error"]["message"].as_str().unwrap()
}

#[tokio::test]
async fn counts_in_the_answer_are_those_of_the_ledger_and_equal_what_arrived() {
    for store in stores().await {
        let rig = rig_on(store).await;
        let receiver = Receiver::accepting().await;
        let sync = to_hook(&rig, &receiver).await;
        let run = upload(&rig.client, &sync, &[], lines(1..=2345, 0))
            .await
            .expect(200);
        let expected = passing(2345, &["DE"]);
        let (delivered, withheld) = (expected.len(), 2345 - expected.len());
        let counts = json!({"read": 2345, "delivered": delivered, "withheld": withheld});
        assert_ended(&run, "succeeded", counts);
        assert_eq!(rig.client.run(&text(&run["id"])).await, run);
        // What is withheld never reached the receiver.
        assert_eq!(ids(&receiver.records()), expected);
        assert_eq!(receiver.repeated(), 0);
    }
}

#[tokio::test]
async fn text_formats_deliver_the_same_records() {
    let rig = Rig::start(|_| {}).await;
    let whole: String = lines(1..=1203, 0);
    let array = format!("[{}]", whole.trim_end().replace('\n', ",\n"));
    let expected = passing(1203, &["DE"]);
    for (media_type, body) in [
        ("application/x-ndjson", whole),
        ("application/json", array),
        ("text/csv", people(1203)),
    ] {
        let receiver = Receiver::accepting().await;
        let sync = to_hook(&rig, &receiver).await;
        let headers = [("content-type", media_type)];
        let run = upload(&rig.client, &sync, &headers, body).await.expect(200);
        let (delivered, withheld) = (expected.len(), 1203 - expected.len());
        let counts = json!({"read": 1203, "delivered": delivered, "withheld": withheld});
        assert_ended(&run, "succeeded", counts);
        assert_eq!(ids(&receiver.records()), expected, "{media_type}");
    }
}

#[tokio::test]
async fn columns_are_mapped_and_those_not_mapped_judge_but_do_not_leave() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(10)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let mapping = json!({"mapping": [{"from": "id", "to": "key"}, {"from": "name", "to": "who"}]});
    let sync = rig.client.sync(&model, &destination, mapping).await;
    let run = upload(&rig.client, &sync, &[], lines(1..=7, 0))
        .await
        .expect(200);
    assert_eq!(run["delivered"], passing(7, &["DE"]).len());
    let records = receiver.records().into_iter().map(Value::from);
    let expected = passing(7, &["DE"]).into_iter();
    let expected = expected.map(|id| json!({"key": id, "who": format!("name {id}")}));
    assert_eq!(records.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_key_answers_the_first_receipt_and_delivers_nothing() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let sync = to_hook(&rig, &receiver).await;
    let first = upload(&rig.client, &sync, &ONCE, lines(1..=300, 0)).await;
    assert!(!first.replayed);
    let first = first.expect(200);
    let requests = receiver.requests().len();
    // Whatever the body is, it is not looked at.
    for body in [lines(1..=300, 0), lines(301..=900, 0), "{".to_owned()] {
        let again = upload(&rig.client, &sync, &ONCE, body).await;
        assert!(again.replayed);
        assert_eq!(again.expect(200), first);
    }
    assert_eq!(receiver.requests().len(), requests);
    // Another key is another upload, and so is none.
    for headers in [&[("idempotency-key", "two")][..], &[]] {
        let other = upload(&rig.client, &sync, headers, lines(1..=300, 0)).await;
        assert_ne!(other.expect(200)["id"], first["id"]);
    }
    assert_eq!(receiver.records().len(), 3 * passing(300, &["DE"]).len());
}

#[tokio::test]
async fn an_upload_that_breaks_off_and_is_sent_again_delivers_each_record_once() {
    for store in stores().await {
        let rig = rig_on(store).await;
        let receiver = Receiver::accepting().await;
        let sync = to_hook(&rig, &receiver).await;
        let body = broken(lines(1..=2500, 1000));
        assert!(rig.client.upload(&sync, "", &ONCE, body).await.is_err());
        let run = newest_ended(&rig.client, &sync).await;
        assert_eq!(run["status"], "failed", "{run:#}");
        let read = run["read"].as_u64().unwrap();
        assert!((500..2500).contains(&read), "{run:#}");
        let before = ids(&receiver.records());
        assert_eq!(before, passing(read, &["DE"]));
        assert_eq!(run["delivered"], before.len());

        // Another body does not go on there.
        let other = lines(3..=3002, 1000);
        let refused = upload(&rig.client, &sync, &ONCE, other).await.expect(422);
        let refused = refused["error"]["details"][0]["message"].to_string();
        assert!(
            refused.contains("not those that were sent before"),
            "{refused}"
        );
        assert_eq!(ids(&receiver.records()), before);

        let again = upload(&rig.client, &sync, &ONCE, lines(1..=3000, 1000)).await;
        let again = again.expect(200);
        assert_eq!(again["id"], run["id"]);
        let expected = passing(3000, &["DE"]);
        let (delivered, withheld) = (expected.len(), 3000 - expected.len());
        let counts = json!({"read": 3000, "delivered": delivered, "withheld": withheld});
        assert_ended(&again, "succeeded", counts);
        assert_eq!(ids(&receiver.records()), expected);
        assert_eq!(receiver.repeated(), 0);
    }
}

#[tokio::test]
async fn what_failed_at_a_destination_that_was_down_is_delivered_when_it_is_sent_again() {
    let rig = Rig::start(|config| config.retry.attempts = 2).await;
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let receiver =
        Receiver::start(
            move |delivery| match delivery.number < 3 || up.load(Ordering::SeqCst) {
                true => Reply::Accept,
                false => Reply::Status(503),
            },
        )
        .await;
    let sync = to_hook(&rig, &receiver).await;
    let answer = upload(&rig.client, &sync, &ONCE, lines(1..=2000, 0)).await;
    assert!(message(&answer.expect(503)).contains("503"));
    let run = newest_ended(&rig.client, &sync).await;
    assert_eq!(
        (&run["status"], &run["delivered"], &run["failed"]),
        (&json!("failed"), &json!(300), &json!(100)),
        "{run:#}"
    );
    assert_balanced(&run);
    is_up.store(true, Ordering::SeqCst);
    let again = upload(&rig.client, &sync, &ONCE, lines(1..=2000, 0))
        .await
        .expect(200);
    assert_eq!(again["id"], run["id"]);
    let expected = passing(2000, &["DE"]);
    let (delivered, withheld) = (expected.len(), 2000 - expected.len());
    let counts = json!({"read": 2000, "delivered": delivered, "withheld": withheld});
    assert_ended(&again, "succeeded", counts);
    assert_eq!(ids(&receiver.records()), expected);
    // What came again came under the key it had.
    let mut key_of = BTreeMap::new();
    for delivery in receiver.requests() {
        for id in ids(&delivery.records) {
            let known = key_of.entry(id).or_insert_with(|| delivery.id.clone());
            assert_eq!(*known, delivery.id, "record {id} came under two keys");
        }
    }
}

#[tokio::test]
async fn invalid_records_are_counted_or_end_the_upload() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let sync = to_hook(&rig, &receiver).await;
    let (first, second) = (lines(1..=700, 0), lines(701..=1000, 0));
    let wrong = "{\"id\":\"Tell-Nobody\"\n";
    let body = format!("{first}{}{second}", wrong.repeat(3));

    let reject = "?on_invalid=reject";
    let run = rig.client.upload(&sync, reject, &[], body.clone()).await;
    let run = run.unwrap().expect(200);
    let expected = passing(1000, &["DE"]);
    let (delivered, withheld) = (expected.len(), 1000 - expected.len());
    let counts = json!({"read": 1003, "delivered": delivered, "withheld": withheld, "invalid": 3});
    assert_ended(&run, "succeeded", counts);
    let error = text(&run["error"]);
    assert!(
        error.contains("3 records") && error.contains("line 701"),
        "{error}"
    );
    assert!(!error.contains("Tell-Nobody"), "{error}");
    assert_eq!(ids(&receiver.records()), expected);

    // Nothing but such records: all are accounted for, and nothing is sent.
    let requests = receiver.requests().len();
    let nothing = wrong.repeat(1200);
    let run = rig.client.upload(&sync, reject, &[], nothing).await;
    let counts = json!({"read": 1200, "invalid": 1200});
    assert_ended(&run.unwrap().expect(200), "succeeded", counts);
    assert_eq!(receiver.requests().len(), requests);

    // Without the parameter the first of them is the end, with its line.
    let refused = upload(&rig.client, &sync, &[], body).await.expect(400);
    assert!(message(&refused).contains("line 701"), "{refused:#}");
    assert!(!refused.to_string().contains("Tell-Nobody"), "{refused:#}");
    let run = newest_ended(&rig.client, &sync).await;
    assert_eq!(run["status"], "failed", "{run:#}");
    assert_eq!(run["invalid"], 0, "{run:#}");
    assert!(text(&run["error"]).contains("line 701"), "{run:#}");
}

#[tokio::test]
async fn invalid_records_are_counted_once_when_an_upload_goes_on() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let sync = to_hook(&rig, &receiver).await;
    // Every tenth line is wrong, and there are batches of nothing else.
    let body: String = (1..=300)
        .map(|ten| lines(10 * ten - 9..10 * ten, 1000) + "{\n")
        .collect();
    let body = format!("{}{body}{}", "{\n".repeat(1700), "{\n".repeat(1700));
    let expected: Vec<_> = passing(3000, &["DE"])
        .into_iter()
        .filter(|id| id % 10 != 0)
        .collect();
    let reject = "?on_invalid=reject";
    let mut read = 0;
    for bytes in [1_200_000, 2_300_000] {
        let (start, _) = body.split_at(bytes);
        let sent = broken(start.to_owned());
        assert!(rig.client.upload(&sync, reject, &ONCE, sent).await.is_err());
        let run = until("the upload does not go on", async || {
            let run = newest_ended(&rig.client, &sync).await;
            (run["read"].as_u64().unwrap() > read).then_some(run)
        })
        .await;
        assert_eq!(run["status"], "failed", "{run:#}");
        assert!(run["invalid"].as_u64().unwrap() >= 1700, "{run:#}");
        read = run["read"].as_u64().unwrap();
    }
    let run = rig.client.upload(&sync, reject, &ONCE, body).await;
    let (delivered, withheld) = (expected.len(), 2700 - expected.len());
    assert_ended(
        &run.unwrap().expect(200),
        "succeeded",
        json!({
            "read": 6400, "delivered": delivered, "withheld": withheld, "invalid": 3700,
        }),
    );
    assert_eq!(ids(&receiver.records()), expected);
    assert_eq!(receiver.repeated(), 0);
}

#[tokio::test]
async fn a_file_appears_when_its_upload_is_whole() {
    let rig = Rig::start(|_| {}).await;
    let model = rig.csv_model("people.csv", &people(10)).await;
    rig.client.policy(&model, "file", not_from("DE")).await;
    let destination = rig
        .client
        .destination("file", json!({"path": "out.csv"}))
        .await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let file = rig.files().join("out.csv");
    let body = broken(lines(1..=2500, 1000));
    assert!(rig.client.upload(&sync, "", &ONCE, body).await.is_err());
    let run = newest_ended(&rig.client, &sync).await;
    assert_eq!(
        (&run["status"], &run["delivered"]),
        (&json!("failed"), &json!(0))
    );
    assert!(!file.exists());
    let again = upload(&rig.client, &sync, &ONCE, lines(1..=3000, 1000))
        .await
        .expect(200);
    let expected = passing(3000, &["DE"]);
    let (delivered, withheld) = (expected.len(), 3000 - expected.len());
    let counts = json!({"read": 3000, "delivered": delivered, "withheld": withheld});
    assert_ended(&again, "succeeded", counts);
    let written = std::fs::read_to_string(file).unwrap();
    let id = |line: &str| line.split(',').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(
        written.lines().skip(1).map(id).collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_disabled_sync_takes_no_upload() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(10)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let disabled = json!({"enabled": false});
    let sync = rig.client.sync(&model, &destination, disabled).await;
    let refused = upload(&rig.client, &sync, &[], lines(1..=10, 0))
        .await
        .expect(409);
    assert!(message(&refused).contains("disabled"), "{refused:#}");
    assert_eq!(
        rig.client.get(&format!("syncs/{sync}/runs")).await,
        json!([])
    );
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_blocked_upload_leaves_no_trace_and_goes_on_when_there_is_a_policy() {
    let rig = Rig::start(|_| {}).await;
    rig.client.require_policies().await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(10)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let refused = upload(&rig.client, &sync, &ONCE, lines(1..=300, 0))
        .await
        .expect(409);
    assert!(
        message(&refused).contains("requires a destination policy"),
        "{refused:#}"
    );
    let run = newest_ended(&rig.client, &sync).await;
    assert_ended(&run, "blocked", json!({}));
    assert!(receiver.requests().is_empty());
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let again = upload(&rig.client, &sync, &ONCE, lines(1..=300, 0))
        .await
        .expect(200);
    assert_eq!(again["id"], run["id"]);
    assert_eq!(ids(&receiver.records()), passing(300, &["DE"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_sync_wait_for_its_upload_and_other_uploads_are_refused() {
    let rig = Rig::start(|_| {}).await;
    let (receiver, gate) = gated(1, Reply::Accept).await;
    let sync = to_hook(&rig, &receiver).await;
    let first = rig.client.upload(&sync, "", &ONCE, lines(1..=500, 0));
    let meanwhile = async {
        requested(&receiver, 2).await;
        for headers in [&[][..], &ONCE] {
            let refused = upload(&rig.client, &sync, headers, lines(1..=5, 0)).await;
            let refused = refused.expect(409);
            assert!(message(&refused).contains("at work"), "{refused:#}");
        }
        let queued = rig.client.trigger(&sync).await;
        assert_eq!(rig.client.run(&queued).await["status"], "queued");
        gate.open();
        queued
    };
    let (first, queued) = tokio::join!(first, meanwhile);
    assert_eq!(first.unwrap().expect(200)["read"], 500);
    let run = rig.client.ended(&queued).await;
    assert_eq!(
        (&run["origin"], &run["read"]),
        (&json!("trigger"), &json!(10))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_stops_at_a_checkpoint_and_is_not_resumed() {
    let rig = Rig::start(|_| {}).await;
    let (receiver, gate) = gated(1, Reply::Accept).await;
    let sync = to_hook(&rig, &receiver).await;
    let first = rig.client.upload(&sync, "", &ONCE, lines(1..=2000, 0));
    let meanwhile = async {
        requested(&receiver, 2).await;
        let runs = rig.client.get(&format!("syncs/{sync}/runs")).await;
        let cancel = format!("runs/{}/cancel", text(&runs[0]["id"]));
        rig.client.post(&cancel, json!({})).await;
        gate.open();
    };
    let (first, ()) = tokio::join!(first, meanwhile);
    first.unwrap().expect(409);
    let run = newest_ended(&rig.client, &sync).await;
    let read = passing(2000, &["DE"])[199];
    let counts = json!({"read": read, "delivered": 200, "withheld": read - 200});
    assert_ended(&run, "cancelled", counts);
    let again = upload(&rig.client, &sync, &ONCE, lines(1..=2000, 0))
        .await
        .expect(409);
    assert!(message(&again).contains("was cancelled"), "{again:#}");
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_drains_interrupts_an_upload_that_is_still_coming() {
    let mut rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let sync = to_hook(&rig, &receiver).await;
    let (body, sender) = open_ended(lines(1..=2500, 1000));
    let answer = rig.client.upload(&sync, "", &ONCE, body);
    let drain = async {
        requested(&receiver, 5).await;
        rig.stop();
    };
    let (answer, ()) = tokio::join!(answer, drain);
    // Whoever still sends may be cut off before they read the answer.
    if let Ok(answer) = answer {
        assert!(message(&answer.expect(503)).contains("interrupted"));
    }
    drop(sender);
    rig.drain().await;
    rig.start_again().await;
    let run = newest_ended(&rig.client, &sync).await;
    assert_eq!(run["status"], "failed", "{run:#}");
    let again = upload(&rig.client, &sync, &ONCE, lines(1..=3000, 1000))
        .await
        .expect(200);
    assert_eq!(again["id"], run["id"]);
    assert_eq!(ids(&receiver.records()), passing(3000, &["DE"]));
    assert_eq!(receiver.repeated(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_server_is_killed_has_failed_and_goes_on_when_it_is_sent_again() {
    let (_guard, folder) = temporary_folder();
    let files = folder.join("data/files");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("people.csv"), people(10)).unwrap();
    let receiver = Receiver::accepting().await;
    let settings = [("SYNCGUARD_BATCH_ROWS", "500")];
    let mut process = Process::serve(&folder, &settings);
    let client = process.client(KEY).await;
    let source = client.source("files", json!({"path": "people.csv"})).await;
    let query = json!({"table": "files", "primary_key": ["id"]});
    let model = client.model(&source, query).await;
    client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&client, &receiver, 100).await;
    let sync = client.sync(&model, &destination, json!({})).await;
    let (body, sender) = open_ended(lines(1..=2500, 1000));
    let kill = async {
        requested(&receiver, 5).await;
        process.kill();
    };
    let (answer, ()) = tokio::join!(client.upload(&sync, "", &ONCE, body), kill);
    assert!(answer.is_err());
    drop(sender);

    let mut process = Process::serve(&folder, &settings);
    let client = process.client(KEY).await;
    let run = newest_ended(&client, &sync).await;
    assert_eq!(run["status"], "failed", "{run:#}");
    assert!(text(&run["error"]).contains("was interrupted"), "{run:#}");
    let again = upload(&client, &sync, &ONCE, lines(1..=3000, 1000))
        .await
        .expect(200);
    assert_eq!(again["id"], run["id"]);
    let expected = passing(3000, &["DE"]);
    let (delivered, withheld) = (expected.len(), 3000 - expected.len());
    let counts = json!({"read": 3000, "delivered": delivered, "withheld": withheld});
    assert_ended(&again, "succeeded", counts);
    // The delivery that was under way may have come twice, under one key.
    assert_eq!(ids(&receiver.records()), expected);
    assert!(receiver.repeated() <= 1);
}
