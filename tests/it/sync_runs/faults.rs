//! Runs that meet a fault: a clear error, and every record under one count.

use serde_json::{Value, json};

use super::{hook, ids, not_from, passing, people};
use crate::receiver::{Receiver, Reply};
use crate::rig::{KEY, Process, Rig, assert_ended};
use crate::support::temporary_folder;

#[tokio::test]
async fn a_broken_line_fails_the_run_and_what_was_read_before_is_accounted_for() {
    for (line, what) in [
        ("10501,Tell-Nobody", "fields"),
        ("10501,Tell-Nobody,FR,true,Tell-Nobody", "fields"),
        ("Tell-Nobody,name,FR,true", "column `id`"),
        ("10501,name,FR,Tell-Nobody", "column `consent`"),
    ] {
        let rig = Rig::start(|_| {}).await;
        let receiver = Receiver::accepting().await;
        let whole = people(11_000);
        let mut lines: Vec<_> = whole.lines().collect();
        lines[10_501] = line;
        let model = rig.csv_model("people.csv", &lines.join("\n")).await;
        rig.client.policy(&model, "webhook", not_from("DE")).await;
        let destination = hook(&rig.client, &receiver, 100).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run = rig.client.run_of(&sync).await;
        assert_eq!(run["status"], "failed", "{run:#}");
        let error = run["error"].as_str().unwrap();
        for part in ["people.csv", "line 10502", what] {
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(!error.contains("Tell-Nobody"), "{error}");
        let read = run["read"].as_u64().unwrap();
        assert!((10_000..=10_500).contains(&read), "{run:#}");
        let arrived = ids(&receiver.records());
        assert_eq!(arrived, passing(read, &["DE"]));
        assert_eq!(run["delivered"], arrived.len());

        // Once it is mended, everything is there.
        rig.write("people.csv", &whole);
        let run = rig.client.run_of(&sync).await;
        let expected = passing(11_000, &["DE"]).len();
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 11_000, "delivered": expected, "withheld": 11_000 - expected}),
        );
    }
}

#[tokio::test]
async fn a_source_that_is_gone_fails_the_run() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(10)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    std::fs::remove_file(rig.files().join("people.csv")).unwrap();
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "failed", json!({}));
    assert!(
        run["error"].as_str().unwrap().contains("people.csv"),
        "{run:#}"
    );
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_webhook_that_is_down_fails_the_run_after_the_last_attempt() {
    let rig = Rig::start(|config| config.retry.attempts = 3).await;
    let receiver = Receiver::accepting().await;
    let model = rig.csv_model("people.csv", &people(700)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    drop(receiver);
    let run = rig.client.run_of(&sync).await;
    let read = passing(700, &["DE"])[99];
    assert_ended(
        &run,
        "failed",
        json!({"read": read, "failed": 100, "withheld": read - 100}),
    );
    let error = run["error"].as_str().unwrap();
    assert!(
        error.contains("127.0.0.1") && error.contains("connect"),
        "{error}"
    );
}

#[tokio::test]
async fn a_webhook_that_goes_down_on_the_way_is_tried_again_and_then_given_up() {
    let rig = Rig::start(|config| config.retry.attempts = 3).await;
    // Two faults in between are overcome.
    let receiver = Receiver::start(|delivery| match delivery.number {
        1 => Reply::ResetBefore,
        3 => Reply::RetryAfter(429, "0".into()),
        0..6 => Reply::Accept,
        _ => Reply::Status(503),
    })
    .await;
    let model = rig.csv_model("people.csv", &people(3000)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    let expected = passing(3000, &["DE"]);
    let read = expected[499];
    assert_ended(
        &run,
        "failed",
        json!({"read": read, "delivered": 400, "failed": 100, "withheld": read - 500}),
    );
    assert!(
        run["error"].as_str().unwrap().contains("HTTP 503"),
        "{run:#}"
    );
    assert_eq!(receiver.requests().len(), 6 + 3);
    assert_eq!(ids(&receiver.records()), expected[..400]);
}

#[tokio::test]
async fn a_webhook_that_refuses_the_credentials_is_not_tried_again() {
    let rig = Rig::start(|_| {}).await;
    let receiver = Receiver::start(|_| Reply::Status(401)).await;
    let model = rig.csv_model("people.csv", &people(700)).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    assert_ended(&run, "failed", json!({"read": 100, "failed": 100}));
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn rejected_records_are_counted_and_the_others_arrive() {
    let rig = Rig::start(|_| {}).await;
    let bad = [57, 342, 1401, 1402];
    let receiver = Receiver::start(move |delivery| {
        match ids(&delivery.records).iter().any(|id| bad.contains(id)) {
            true => Reply::Saying(422, "name 57 is not wanted".into()),
            false => Reply::Accept,
        }
    })
    .await;
    let model = rig.csv_model("people.csv", &people(2000)).await;
    rig.client.policy(&model, "webhook", not_from("DE")).await;
    let destination = hook(&rig.client, &receiver, 100).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    let passing = passing(2000, &["DE"]);
    let expected: Vec<_> = passing
        .iter()
        .copied()
        .filter(|id| !bad.contains(id))
        .collect();
    assert_eq!(passing.len() - expected.len(), 4);
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 2000, "delivered": expected.len(), "rejected": 4, "withheld": 2000 - passing.len()}),
    );
    let note = run["error"].as_str().unwrap();
    assert!(
        note.starts_with("4 records were rejected") && note.contains("HTTP 422"),
        "{note}"
    );
    assert!(!note.contains("name 57"), "{note}");
    assert_eq!(ids(&receiver.records()), expected);
}

/// The file system is one of 1 MiB in a mount namespace of the program.
#[tokio::test]
async fn a_full_disk_fails_the_run_and_leaves_the_old_file() {
    let (_guard, folder) = temporary_folder();
    let small = folder.join("data/files/small");
    std::fs::create_dir_all(&small).unwrap();
    std::fs::write(folder.join("data/files/few.csv"), people(20)).unwrap();
    std::fs::write(folder.join("data/files/many.csv"), people(60_000)).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m none '{}'", small.display());
    let mut process = Process::serve_after(&mount, &folder, &[]);
    let client = process.client(KEY).await;
    // As the program sees it.
    let seen = format!("/proc/{}/root{}", process.id(), small.display());
    let destination = client
        .destination("file", json!({"path": "small/out.ndjson"}))
        .await;
    let mut syncs = Vec::new();
    for name in ["few.csv", "many.csv"] {
        let source = client.source("files", json!({"path": name})).await;
        let model = client.model(&source, json!({"table": "files"})).await;
        client.policy(&model, "file", not_from("DE")).await;
        syncs.push(client.sync(&model, &destination, json!({})).await);
    }
    let run = client.run_of(&syncs[0]).await;
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 20, "delivered": 12, "withheld": 8}),
    );
    let old = std::fs::read_to_string(format!("{seen}/out.ndjson")).unwrap();
    assert_eq!(old.lines().count(), 12);

    let run = client.run_of(&syncs[1]).await;
    assert_eq!(run["status"], "failed", "{run:#}");
    assert_eq!(run["delivered"], 0, "{run:#}");
    assert!(run["failed"].as_u64().unwrap() > 0, "{run:#}");
    let error = run["error"].as_str().unwrap();
    assert!(
        error.contains("small/out.ndjson") && error.contains("disk is full"),
        "{error}"
    );
    assert_eq!(
        std::fs::read_to_string(format!("{seen}/out.ndjson")).unwrap(),
        old
    );
    let names: Vec<_> = std::fs::read_dir(&seen)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["out.ndjson"]);
}

#[tokio::test]
async fn a_file_appears_whole() {
    let rig = Rig::start(|_| {}).await;
    let model = rig.csv_model("people.csv", &people(3000)).await;
    rig.client.policy(&model, "file", not_from("DE")).await;
    let destination = rig
        .client
        .destination("file", json!({"path": "out.ndjson"}))
        .await;
    let sync = rig
        .client
        .sync(&model, &destination, json!({"mode": "mirror"}))
        .await;
    let expected = passing(3000, &["DE"]);
    for _ in 0..2 {
        let run = rig.client.run_of(&sync).await;
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 3000, "delivered": expected.len(), "withheld": 3000 - expected.len()}),
        );
        let text = std::fs::read_to_string(rig.files().join("out.ndjson")).unwrap();
        let records: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let found: Vec<_> = records
            .iter()
            .map(|record| record["id"].as_u64().unwrap())
            .collect();
        assert_eq!(found, expected);
    }
}
