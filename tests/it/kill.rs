//! The built program, killed at random moments and started again, against an endpoint that fails
//! at random, too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::receiver::{Delivery, Receiver, Reply};
use crate::rig::{Client, KEY, Process, assert_balanced, assert_ended, text, until};
use crate::support::temporary_folder;
use crate::sync_runs::sources::sqlite_people;
use crate::sync_runs::{hook, ids, not_from, passes, passing, people};

const RECORDS: u64 = 60_000;
/// For each kind of source.
const KILLS: usize = 25;
const FORBIDDEN: [&str; 1] = ["DE"];

/// Small batches, so that there are many moments to be killed at, and no end of patience.
const SETTINGS: [(&str, &str); 4] = [
    ("SYNCGUARD_BATCH_ROWS", "1000"),
    ("SYNCGUARD_RETRY_ATTEMPTS", "1000"),
    ("SYNCGUARD_RETRY_BASE_MS", "5"),
    ("SYNCGUARD_RETRY_CAP_SECONDS", "1"),
];

/// What the endpoint has seen so far.
#[derive(Clone, Default)]
struct Seen {
    requests: Arc<AtomicUsize>,
    /// Batches that it took without saying so.
    lost_answers: Arc<AtomicUsize>,
}

/// An endpoint that answers one request in six with a fault.
async fn moody(seed: u64, seen: &Seen) -> Receiver {
    let random = Mutex::new(StdRng::seed_from_u64(seed));
    let seen = seen.clone();
    Receiver::start(move |_| {
        seen.requests.fetch_add(1, Ordering::SeqCst);
        let mut random = random.lock().unwrap();
        let pause = Duration::from_micros(random.random_range(0..15_000));
        let reply = match random.random_range(0..200) {
            0..8 => Reply::RetryAfter(429, "0".into()),
            8 => Reply::RetryAfter(429, "1".into()),
            9..18 => Reply::Status(500),
            18..26 => Reply::ResetBefore,
            26..34 => {
                seen.lost_answers.fetch_add(1, Ordering::SeqCst);
                Reply::ResetAfter
            }
            _ => Reply::Accept,
        };
        Reply::Slow(pause, Box::new(reply))
    })
    .await
}

/// A sync of all records under a policy. Its batches do not divide those that are read, so that
/// short ones are among them.
async fn sync_of_all(client: &Client, receiver: &Receiver, model: &str) -> String {
    client
        .policy(model, "webhook", not_from(FORBIDDEN[0]))
        .await;
    let destination = hook(client, receiver, 70).await;
    client.sync(model, &destination, json!({})).await
}

async fn csv_people(client: &Client, files: &Path, count: u64) -> String {
    std::fs::write(files.join("people.csv"), people(count)).unwrap();
    let source = client.source("files", json!({"path": "people.csv"})).await;
    let query = json!({"table": "files", "primary_key": ["id"]});
    client.model(&source, query).await
}

fn is_final(run: &serde_json::Value) -> bool {
    assert_balanced(run);
    !["queued", "running"].contains(&text(&run["status"]).as_str())
}

/// Waits for a moment at which the run is being delivered: some time after another request has
/// come. If it ends meanwhile, that is as good a moment.
async fn moment(random: &mut StdRng, client: &Client, run_id: &str, seen: &Seen) {
    let before = seen.requests.load(Ordering::SeqCst);
    until("the run neither goes on nor ends", async || {
        let goes_on = seen.requests.load(Ordering::SeqCst) > before;
        (goes_on || is_final(&client.run(run_id).await)).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_micros(random.random_range(0..250_000))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_again_and_again_loses_nothing_and_leaks_nothing() {
    let seed = match std::env::var("SYNCGUARD_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64,
    };
    eprintln!("SYNCGUARD_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (_guard, folder) = temporary_folder();
    let files = folder.join("data/files");
    std::fs::create_dir_all(&files).unwrap();
    let seen = Seen::default();
    let receiver = moody(seed ^ 1, &seen).await;
    let mut process = Process::serve(&folder, &SETTINGS);
    let mut client = process.client(KEY).await;
    // A file is read from its beginning to the place where to go on; a database is asked for
    // what comes after.
    let models = [
        csv_people(&client, &files, RECORDS).await,
        sqlite_people(&client, &files, RECORDS).await,
    ];
    let expected = passing(RECORDS, &FORBIDDEN);
    let delivered = expected.len() as u64;

    for model in models {
        let sync = sync_of_all(&client, &receiver, &model).await;
        let (mut kills, mut runs) = (0, 0);
        while kills < KILLS {
            let before = Before {
                requests: receiver.requests().len(),
                records: receiver.records().len(),
                repeated: receiver.repeated(),
                interruptions: kills + seen.lost_answers.load(Ordering::SeqCst),
            };
            let run_id = client.trigger(&sync).await;
            runs += 1;
            while !is_final(&client.run(&run_id).await) && kills < KILLS {
                moment(&mut random, &client, &run_id, &seen).await;
                process.kill();
                kills += 1;
                process = Process::serve(&folder, &SETTINGS);
                // Some do not come far.
                while kills < KILLS && random.random_bool(0.2) {
                    let short = Duration::from_micros(random.random_range(0..150_000));
                    tokio::time::sleep(short).await;
                    process.kill();
                    kills += 1;
                    process = Process::serve(&folder, &SETTINGS);
                }
                client = process.client(KEY).await;
            }
            let run = client.ended(&run_id).await;
            let withheld = RECORDS - delivered;
            let counts = json!({"read": RECORDS, "delivered": delivered, "withheld": withheld});
            assert_ended(&run, "succeeded", counts);
            let interruptions = kills + seen.lost_answers.load(Ordering::SeqCst);
            check(
                &receiver,
                &before,
                &expected,
                interruptions - before.interruptions,
            );
        }
        eprintln!(
            "{kills} kills in {runs} runs; so far {} requests, {} lost answers, {} batches taken twice",
            receiver.requests().len(),
            seen.lost_answers.load(Ordering::SeqCst),
            receiver.repeated(),
        );
    }
}

/// How things stood before a run.
struct Before {
    requests: usize,
    records: usize,
    repeated: usize,
    /// Kills and lost answers: each may make one batch come twice.
    interruptions: usize,
}

fn check(receiver: &Receiver, before: &Before, expected: &[u64], interruptions: usize) {
    // What came again under its key is there once, so nothing came under two keys.
    assert_eq!(ids(&receiver.records()[before.records..]), expected);
    let repeated = receiver.repeated() - before.repeated;
    assert!(
        repeated <= interruptions,
        "{repeated} batches came twice, {interruptions} may"
    );
    let mut key_of: HashMap<u64, String> = HashMap::new();
    for delivery in &receiver.requests()[before.requests..] {
        assert_eq!(delivery.headers["idempotency-key"], delivery.id.as_str());
        for id in ids(&delivery.records) {
            assert!(passes(id, &FORBIDDEN), "record {id} was sent");
            let key = key_of.entry(id).or_insert_with(|| delivery.id.clone());
            assert_eq!(*key, delivery.id, "record {id} came under two keys");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_program_drains_and_the_next_one_finishes_the_run() {
    let (_guard, folder) = temporary_folder();
    let files = folder.join("data/files");
    std::fs::create_dir_all(&files).unwrap();
    let slow = |_: &Delivery| Reply::Slow(Duration::from_millis(5), Box::new(Reply::Accept));
    let receiver = Receiver::start(slow).await;
    let mut process = Process::serve(&folder, &SETTINGS);
    let mut client = process.client(KEY).await;
    let model = csv_people(&client, &files, 20_000).await;
    let sync = sync_of_all(&client, &receiver, &model).await;
    let run_id = client.trigger(&sync).await;
    for requests in [5, 20, 40] {
        until("the run does not go on", async || {
            (receiver.requests().len() >= requests).then_some(())
        })
        .await;
        process.terminate();
        let status = process.exited().await;
        assert_eq!(status.code(), Some(0), "{}", process.log());
        process = Process::serve(&folder, &SETTINGS);
        client = process.client(KEY).await;
    }
    let run = client.ended(&run_id).await;
    let expected = passing(20_000, &FORBIDDEN);
    let delivered = expected.len();
    assert_ended(
        &run,
        "succeeded",
        json!({"read": 20_000, "delivered": delivered, "withheld": 20_000 - delivered}),
    );
    assert_eq!(ids(&receiver.records()), expected);
    assert_eq!(receiver.repeated(), 0);
}
