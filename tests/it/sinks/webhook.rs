//! Delivery by HTTP: what arrives, what is refused, what is tried again.

use super::*;
use crate::receiver::{Receiver, Reply};

async fn webhook(receiver: &Receiver, more: Value) -> Box<dyn Sink> {
    let mut config = json!({"url": receiver.url()});
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    opened_for(
        &sinks(&nowhere()),
        &destination("webhook", config),
        RUN,
        &people(),
    )
    .await
    .unwrap()
}

fn ids(records: &[Map<String, Value>]) -> Vec<i64> {
    records
        .iter()
        .map(|record| record["id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn records_arrive_signed_with_nulls_and_headers() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = Receiver::verifying(secret, |_| Reply::Accept).await;
    let more = json!({"secret": secret, "headers": {"X-Token": "t0ken"}, "batch_size": 2});
    let mut sink = webhook(&receiver, more).await;
    assert_eq!(sink.batch_rows(), 2);
    assert!(!sink.is_atomic() && !syncguard::sink::is_atomic("webhook"));
    let written = sink
        .write(&guarded(
            &people(),
            json!([{"id": 1, "name": "a"}, {"id": 2}]),
        ))
        .await;
    assert_eq!((written.settled, written.rejected), (2, 0), "{written:?}");
    let sent = receiver.requests().remove(0);
    assert_eq!(sent.body, r#"[{"id":1,"name":"a"},{"id":2,"name":null}]"#);
    for (name, value) in [
        ("x-token", "t0ken"),
        ("content-type", "application/json"),
        ("idempotency-key", &sent.id),
    ] {
        assert_eq!(sent.headers[name], value, "{name}");
    }
    assert!(
        sent.id.starts_with("sgb_") && sent.id.len() == 36,
        "{}",
        sent.id
    );
}

#[tokio::test]
async fn a_wrong_secret_ends_the_run() {
    let receiver =
        Receiver::verifying("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", |_| Reply::Accept).await;
    let mut sink = webhook(&receiver, json!({"secret": "another"})).await;
    assert!(fatal(&sink.write(&numbered(0..1)).await).contains("401"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let behind = Receiver::accepting().await;
    let to = behind.url();
    let receiver = Receiver::start(move |_| Reply::Redirect(to.clone())).await;
    let written = webhook(&receiver, json!({}))
        .await
        .write(&numbered(0..3))
        .await;
    assert!(fatal(&written).contains("redirect"));
    assert_eq!(written.settled, 0);
    assert!(behind.requests().is_empty());
}

#[tokio::test]
async fn a_forbidden_address_gets_nothing_however_it_is_written() {
    let receiver = Receiver::accepting().await;
    let shut = Sinks::new(Reach::new(Vec::new(), Vec::new())).unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let there = destination("webhook", json!({"url": receiver.url_by(host)}));
        let faults = shut.check_config("webhook", &there.config).await;
        assert_eq!(faults.len(), 1, "{host}");
        assert_eq!(faults[0].path, "$.config.url", "{host}");
        let refused = match opened_for(&shut, &there, RUN, &people()).await {
            Err(error) => error,
            Ok(mut sink) => sink.write(&numbered(0..1)).await.stopped.expect(host),
        };
        assert!(
            matches!(refused, SinkError::Forbidden(_)),
            "{host}: {refused:?}"
        );
    }
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn an_opened_address_is_delivered_to_by_name() {
    let receiver = Receiver::accepting().await;
    let there = destination("facebook_ads", json!({"url": receiver.url_by("localhost")}));
    let sinks = sinks(&nowhere());
    assert_eq!(sinks.check_config("facebook_ads", &there.config).await, []);
    let mut sink = opened_for(&sinks, &there, RUN, &people()).await.unwrap();
    assert_eq!(sink.write(&numbered(0..2)).await.settled, 2);
    assert_eq!(ids(&receiver.records()), [0, 1]);
}

#[tokio::test]
async fn a_bad_record_is_rejected_and_the_rest_delivered_in_order() {
    for status in [400, 413, 422] {
        let receiver = Receiver::start(move |delivery| {
            let bad = |id: &i64| [3, 4, 9].contains(id);
            if ids(&delivery.records).iter().any(bad) {
                Reply::Saying(status, "n3 is no name".into())
            } else {
                Reply::Accept
            }
        })
        .await;
        let written = webhook(&receiver, json!({}))
            .await
            .write(&numbered(0..11))
            .await;
        assert_eq!((written.settled, written.rejected), (11, 3), "{written:?}");
        assert_eq!(written.rejection, Some(format!("HTTP {status}")));
        assert_eq!(ids(&receiver.records()), [0, 1, 2, 5, 6, 7, 8, 10]);
    }
}

#[tokio::test]
async fn a_fault_in_the_middle_leaves_a_prefix_settled() {
    let receiver = Receiver::start(|delivery| match ids(&delivery.records).as_slice() {
        ids if ids.contains(&1) && ids.len() > 1 => Reply::Status(422),
        [1] => Reply::Status(422),
        ids if ids.contains(&6) => Reply::Status(503),
        _ => Reply::Accept,
    })
    .await;
    let written = webhook(&receiver, json!({}))
        .await
        .write(&numbered(0..8))
        .await;
    assert_eq!(retry(&written), (4, None));
    assert_eq!(written.rejected, 1);
    assert_eq!(ids(&receiver.records()), [0, 2, 3]);
}

#[tokio::test]
async fn what_may_work_later_is_told_with_the_pause_it_asks_for() {
    for (reply, after) in [
        (Reply::RetryAfter(429, "7".into()), Some(7)),
        (Reply::RetryAfter(503, "86400".into()), Some(300)),
        (
            Reply::RetryAfter(503, "Thu, 01 Jan 1970 00:00:00 GMT".into()),
            Some(0),
        ),
        (Reply::RetryAfter(429, "soon".into()), None),
        (Reply::Status(408), None),
        (Reply::Status(425), None),
        (Reply::Status(500), None),
        (Reply::Status(502), None),
        (Reply::Status(504), None),
        (Reply::ResetBefore, None),
    ] {
        let told = reply.clone();
        let receiver = Receiver::start(move |_| told.clone()).await;
        let written = webhook(&receiver, json!({}))
            .await
            .write(&numbered(0..2))
            .await;
        assert_eq!(
            retry(&written),
            (0, after.map(Duration::from_secs)),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn what_will_never_work_ends_the_run() {
    for status in [401, 403, 404, 405, 410] {
        let receiver = Receiver::start(move |_| Reply::Status(status)).await;
        let written = webhook(&receiver, json!({}))
            .await
            .write(&numbered(0..2))
            .await;
        assert!(fatal(&written).contains(&status.to_string()), "{written:?}");
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn nobody_listening_is_a_retry() {
    let url = Receiver::accepting().await.url();
    let there = destination("webhook", json!({"url": url}));
    let sinks = sinks(&nowhere());
    // The port is free again once the endpoint is gone, which takes a moment.
    let mut sink = opened_for(&sinks, &there, RUN, &people()).await.unwrap();
    assert_eq!(retry(&sink.write(&numbered(0..1)).await).0, 0);
}

#[tokio::test]
async fn a_delivery_that_lost_its_answer_is_known_again_by_its_key() {
    let receiver = Receiver::start(|delivery| match delivery.number {
        0 => Reply::ResetAfter,
        _ => Reply::Accept,
    })
    .await;
    let mut sink = webhook(&receiver, json!({})).await;
    assert_eq!(retry(&sink.write(&numbered(0..3)).await), (0, None));
    // As after a crash: another process, another sink, the same run.
    let mut sink = webhook(&receiver, json!({})).await;
    assert_eq!(sink.write(&numbered(0..3)).await.settled, 3);
    assert_eq!(ids(&receiver.records()), [0, 1, 2]);
    assert_eq!(receiver.repeated(), 1);

    let there = destination("webhook", json!({"url": receiver.url()}));
    let other = Uuid::from_u128(2);
    let mut sink = opened_for(&sinks(&nowhere()), &there, other, &people())
        .await
        .unwrap();
    assert_eq!(sink.write(&numbered(0..3)).await.settled, 3);
    assert_eq!(
        receiver.records().len(),
        6,
        "another run's delivery is another delivery"
    );
}

#[tokio::test]
async fn an_error_quotes_neither_values_nor_secrets() {
    let replies = [
        Reply::Saying(422, "bad value hunter2".into()),
        Reply::Saying(500, "hunter2".into()),
        Reply::Saying(401, "hunter2".into()),
        Reply::Redirect("http://hunter2/".into()),
        Reply::ResetBefore,
    ];
    for reply in replies {
        let told = reply.clone();
        let receiver = Receiver::start(move |_| told.clone()).await;
        let url = format!("{}?token=hunter2", receiver.url());
        let config = json!({"url": url, "secret": "hunter2", "headers": {"x-key": "hunter2"}});
        let there = destination("webhook", config);
        let mut sink = opened_for(&sinks(&nowhere()), &there, RUN, &people())
            .await
            .unwrap();
        let written = sink
            .write(&guarded(&people(), json!([{"id": 1, "name": "hunter2"}])))
            .await;
        assert!(
            written.rejected == 1 || written.stopped.is_some(),
            "{reply:?}"
        );
        assert!(!format!("{written:?}").contains("hunter2"), "{written:?}");
    }
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let long = "x".repeat(32 << 20);
    let receiver = Receiver::start(move |_| Reply::Saying(200, long.clone())).await;
    let written = webhook(&receiver, json!({}))
        .await
        .write(&numbered(0..1))
        .await;
    assert_eq!(written.settled, 1);
}

#[tokio::test]
async fn a_limit_is_shared_by_all_runs_and_does_not_fail_large_batches() {
    let receiver = Receiver::accepting().await;
    let sinks = sinks(&nowhere());
    let mut there = destination("webhook", json!({"url": receiver.url()}));
    there.rate_limit = RateLimit {
        requests_per_second: Some(20),
        rows_per_second: Some(1_000),
    };
    let start = Instant::now();
    let mut first = opened_for(&sinks, &there, RUN, &people()).await.unwrap();
    let mut second = opened_for(&sinks, &there, RUN, &people()).await.unwrap();
    for ids in [
        0..5,
        5..10,
        10..15,
        15..20,
        20..25,
        25..30,
        30..35,
        35..40,
        40..45,
        45..50,
        50..55,
        55..60,
    ] {
        assert_eq!(first.write(&numbered(ids.clone())).await.settled, 5);
        assert_eq!(second.write(&numbered(ids)).await.settled, 5);
    }
    assert!(
        start.elapsed() >= Duration::from_millis(190),
        "{:?}",
        start.elapsed()
    );
    let start = Instant::now();
    assert_eq!(first.write(&numbered(0..1_200)).await.settled, 1_200);
    assert!(
        start.elapsed() >= Duration::from_millis(190),
        "{:?}",
        start.elapsed()
    );
    there.rate_limit = RateLimit::default();
    let start = Instant::now();
    let mut free = opened_for(&sinks, &there, RUN, &people()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(free.write(&numbered(0..1_200)).await.settled, 1_200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "a changed limit holds from the next opening on"
    );
}
