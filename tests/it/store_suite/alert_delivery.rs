//! Alerts on their way to a receiver on loopback. Time passes by parameter.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use syncguard::alert::{Clock, Teller};
use syncguard::catalog::{AlertChannel, ChannelType};
use syncguard::policy::ContentPolicy;
use syncguard::policy::content::{Action, Passage, Via};
use syncguard::reach::Reach;
use syncguard::sink::Sinks;
use tokio_util::sync::CancellationToken;

use super::alerts::channel;
use super::sightings::{content_policy, passage, sighting};
use super::*;
use crate::receiver::{Delivery, Receiver, Reply};

on_both_databases!(
    one_message_tells_of_a_run_and_policy_and_is_signed,
    slack_is_given_a_sentence,
    failure_is_tried_again_with_the_same_message,
    receiver_says_how_long_to_wait,
    refusal_and_redirection_end_it,
    tenth_failure_ends_it,
    thirty_messages_go_to_a_channel_in_a_minute,
    message_has_the_time_of_its_sending,
    shutdown_waits_for_no_receiver,
    two_workers_send_nothing_twice,
    disabled_channel_is_told_nothing,
    private_address_is_told_nothing,
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn sinks(opened: &str) -> Sinks {
    // Another test may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Sinks::new(Reach::new(Vec::new(), vec![opened.parse().unwrap()])).unwrap()
}

fn teller(store: &Store) -> Teller {
    Teller::new(store.clone(), sinks("127.0.0.0/8"), Uuid::now_v7)
}

fn clock(second: i64) -> Clock {
    Arc::new(move || at(second))
}

async fn listening(house: &House, receiver: &Receiver, kind: ChannelType) -> AlertChannel {
    let channel = AlertChannel {
        url: receiver.url(),
        channel_type: kind,
        secret: (kind == ChannelType::Webhook).then(|| SECRET.to_owned()),
        ..channel(house, "ops")
    };
    let act = house.act(1);
    house
        .store
        .insert_alert_channel(&channel, &act)
        .await
        .unwrap();
    channel
}

async fn find(house: &House, passage: &Passage, policy: &ContentPolicy, second: i64) {
    let found = [sighting(policy, 0..2)];
    let recorded = house.store.record_sightings(passage, &found, at(second));
    recorded.await.unwrap();
}

/// Something that is found in a query at second 0, and told from second 30 on.
async fn found_once(house: &House) {
    let policy = content_policy(house, "PII <!channel>", Action::Block).await;
    find(house, &passage(house, Via::Query), &policy, 0).await;
}

async fn tell(house: &House, second: i64) -> usize {
    teller(&house.store).tell(&clock(second)).await.unwrap()
}

fn is_signed(delivery: &Delivery) -> bool {
    let header = |name: &str| delivery.headers[name].to_str().unwrap().to_owned();
    let key = STANDARD
        .decode(SECRET.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&delivery.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header("webhook-signature") == expected
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.body).unwrap()
}

async fn one_message_tells_of_a_run_and_policy_and_is_signed(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    let run = passage(&house, Via::Sync);
    let (one, two) = (
        content_policy(&house, "one", Action::Alert).await,
        content_policy(&house, "two", Action::Block).await,
    );
    for second in [0, 5, 9] {
        find(&house, &run, &one, second).await;
    }
    find(&house, &run, &two, 9).await;
    assert_eq!(tell(&house, 38).await, 0);
    assert_eq!(tell(&house, 39).await, 2);
    assert_eq!(tell(&house, 100).await, 0);

    let sent = receiver.requests();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(is_signed));
    assert!(sent[0].id != sent[1].id && sent[0].id.starts_with("sga_"));
    let told = sent.iter().map(body);
    let told = told
        .into_iter()
        .find(|told| told["data"]["policyName"] == "one");
    let told = told.unwrap();
    assert_eq!(told["type"], "content_policy.alert");
    assert_eq!(told["timestamp"], json!(at(39)));
    let data = &told["data"];
    assert_eq!(data["records"], 6);
    assert_eq!(data["runId"], json!(run.run_id));
    assert_eq!(data["workspaceId"], json!(house.workspace.id));
    assert_eq!(data["actionType"], 1);
    assert_eq!(
        data["found"],
        json!([{"column": "notes", "detector": "email"}])
    );
    let org_id = house.store.organization().await.unwrap();
    assert_eq!(data["orgId"], json!(org_id));
    // Neither a record's key nor what a value looks like.
    for delivery in &sent {
        let text = String::from_utf8_lossy(&delivery.body);
        assert!(!text.contains("id=") && !text.contains("aaa@"), "{text}");
    }

    // More in the same run is another message.
    find(&house, &run, &one, 200).await;
    assert_eq!(tell(&house, 229).await, 0);
    assert_eq!(tell(&house, 230).await, 1);
    assert_eq!(body(&receiver.requests()[2])["data"]["records"], 8);
}

async fn slack_is_given_a_sentence(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    listening(&house, &receiver, ChannelType::Slack).await;
    found_once(&house).await;
    assert_eq!(tell(&house, 30).await, 1);
    let sent = receiver.requests().remove(0);
    let text = "Policy \"PII &lt;!channel&gt;\" found an e-mail address in column notes: 2 records \
                of a query; they were withheld.";
    assert_eq!(body(&sent), json!({"text": text}));
    assert_eq!(sent.headers["content-type"], "application/json");
    assert!(!sent.headers.contains_key("webhook-signature"));
}

async fn failure_is_tried_again_with_the_same_message(house: House) {
    let receiver = Receiver::recording(|delivery| match delivery.number {
        0 => Reply::Status(500),
        1 => Reply::ResetBefore,
        _ => Reply::Accept,
    })
    .await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    found_once(&house).await;
    let due = [(30, 1), (89, 0), (90, 1), (209, 0), (210, 1), (9_000, 0)];
    for (second, attempts) in due {
        assert_eq!(tell(&house, second).await, attempts, "{second}");
    }
    let sent = receiver.requests();
    assert_eq!(sent.len(), 3);
    for delivery in &sent {
        assert!(is_signed(delivery));
        assert_eq!((&delivery.id, &delivery.body), (&sent[0].id, &sent[0].body));
    }
    let times: Vec<&str> = sent
        .iter()
        .map(|delivery| delivery.headers["webhook-timestamp"].to_str().unwrap())
        .collect();
    let expected = [30, 90, 210].map(|second| at(second).timestamp().to_string());
    assert_eq!(times, expected);
}

async fn receiver_says_how_long_to_wait(house: House) {
    let receiver = Receiver::recording(|delivery| match delivery.number {
        0 => Reply::RetryAfter(429, "600".into()),
        1 => Reply::RetryAfter(503, "86400".into()),
        2 => Reply::RetryAfter(429, "1".into()),
        _ => Reply::Accept,
    })
    .await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    found_once(&house).await;
    let due = [
        (30, 1),
        (629, 0),
        (630, 1),
        // An hour at most.
        (4_229, 0),
        (4_230, 1),
        // And no sooner than it would be tried anyway.
        (4_469, 0),
        (4_470, 1),
        (90_000, 0),
    ];
    for (second, attempts) in due {
        assert_eq!(tell(&house, second).await, attempts, "{second}");
    }
    assert_eq!(receiver.requests().len(), 4);
}

async fn refusal_and_redirection_end_it(house: House) {
    for (n, reply) in [
        Reply::Status(400),
        Reply::Status(404),
        Reply::Redirect("http://127.0.0.1:9/".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let receiver = Receiver::recording(move |_| reply.clone()).await;
        let channel = listening(&house, &receiver, ChannelType::Webhook).await;
        found_once(&house).await;
        assert_eq!(tell(&house, 30).await, 1, "{n}");
        assert_eq!(tell(&house, 90_000).await, 0, "{n}");
        assert_eq!(receiver.requests().len(), 1, "{n}");
        let act = house.act(2);
        house
            .store
            .delete_alert_channel(&channel, &act)
            .await
            .unwrap();
    }
}

async fn tenth_failure_ends_it(house: House) {
    let receiver = Receiver::recording(|_| Reply::Status(503)).await;
    listening(&house, &receiver, ChannelType::Slack).await;
    found_once(&house).await;
    let mut attempts = 0;
    // Six hours are the longest pause.
    for hours in 1..20 {
        attempts += tell(&house, hours * 6 * 3_600).await;
    }
    assert_eq!((attempts, receiver.requests().len()), (10, 10));
}

async fn thirty_messages_go_to_a_channel_in_a_minute(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    let policy = content_policy(&house, "PII", Action::Alert).await;
    for _ in 0..40 {
        find(&house, &passage(&house, Via::Query), &policy, 0).await;
    }
    let in_one_minute = async |second: i64| {
        let mut sent = 0;
        for _ in 0..20 {
            sent += tell(&house, second).await;
        }
        sent
    };
    assert_eq!(in_one_minute(30).await, 30);
    assert_eq!(in_one_minute(89).await, 0);
    assert_eq!(in_one_minute(90).await, 10);
    let ids: BTreeSet<String> = receiver
        .requests()
        .into_iter()
        .map(|sent| sent.id)
        .collect();
    assert_eq!((ids.len(), receiver.requests().len()), (40, 40));
}

async fn message_has_the_time_of_its_sending(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    let policy = content_policy(&house, "PII", Action::Alert).await;
    for _ in 0..3 {
        find(&house, &passage(&house, Via::Query), &policy, 0).await;
    }
    let seconds = AtomicI64::new(30);
    let clock: Clock = Arc::new(move || at(seconds.fetch_add(1, Ordering::Relaxed)));
    assert_eq!(teller(&house.store).tell(&clock).await.unwrap(), 3);
    let times: BTreeSet<String> = receiver
        .requests()
        .iter()
        .map(|sent| {
            sent.headers["webhook-timestamp"]
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(times.len(), 3);
}

async fn shutdown_waits_for_no_receiver(house: House) {
    let shutdown = CancellationToken::new();
    let cancel = shutdown.clone();
    let receiver = Receiver::recording(move |_| {
        cancel.cancel();
        Reply::Slow(Duration::from_secs(60), Box::new(Reply::Accept))
    })
    .await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    found_once(&house).await;
    let teller = teller(&house.store);
    let telling = teller.keep_telling(clock(30), shutdown);
    let patience = Duration::from_secs(8);
    tokio::time::timeout(patience, telling).await.unwrap();
}

async fn two_workers_send_nothing_twice(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    listening(&house, &receiver, ChannelType::Webhook).await;
    let policy = content_policy(&house, "PII", Action::Alert).await;
    for _ in 0..20 {
        find(&house, &passage(&house, Via::Stream), &policy, 0).await;
    }
    let other = Store::open(&house.url).await.unwrap();
    let workers = [teller(&house.store), teller(&other)].map(|teller| {
        tokio::spawn(async move {
            for _ in 0..10 {
                teller.tell(&clock(30)).await.unwrap();
            }
        })
    });
    for worker in workers {
        worker.await.unwrap();
    }
    let ids: BTreeSet<String> = receiver
        .requests()
        .into_iter()
        .map(|sent| sent.id)
        .collect();
    assert_eq!((ids.len(), receiver.requests().len()), (20, 20));
}

async fn disabled_channel_is_told_nothing(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    let channel = listening(&house, &receiver, ChannelType::Webhook).await;
    let disabled = AlertChannel {
        enabled: false,
        ..channel.clone()
    };
    let act = house.act(2);
    house
        .store
        .update_alert_channel(&channel, &disabled, &act)
        .await
        .unwrap();
    found_once(&house).await;
    assert_eq!(tell(&house, 30).await, 0);
    // Nor is it told later of what was found meanwhile.
    house
        .store
        .update_alert_channel(&disabled, &channel, &act)
        .await
        .unwrap();
    assert_eq!(tell(&house, 60).await, 0);
    assert!(receiver.requests().is_empty());
}

async fn private_address_is_told_nothing(house: House) {
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    let shut = sinks("192.0.2.0/24");
    let faults = shut
        .check_channel(ChannelType::Slack, &receiver.url(), None)
        .await;
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].path, "$.url");
    listening(&house, &receiver, ChannelType::Webhook).await;
    found_once(&house).await;
    let teller = Teller::new(house.store.clone(), shut, Uuid::now_v7);
    assert_eq!(teller.tell(&clock(30)).await.unwrap(), 1);
    assert_eq!(teller.tell(&clock(90_000)).await.unwrap(), 0);
    assert!(receiver.requests().is_empty());
}
