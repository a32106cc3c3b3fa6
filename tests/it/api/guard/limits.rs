//! What a stream of records may ask of the server.

use std::time::{Duration, Instant};

use syncguard::config::Streams;

use super::raw::{Raw, is_whole};
use super::{CSV, NDJSON, RECORDS, World, gzip, lines};
use crate::api::Server;

async fn server_with(adjust: impl FnOnce(&mut Streams)) -> (Server, World) {
    let server = Server::start_with(|config| adjust(&mut config.streams)).await;
    let world = World::of(&server).await;
    (server, world)
}

#[tokio::test]
async fn too_much_of_anything_is_refused() {
    let long = format!(r#"{{"id":1,"name":"{}"}}"#, "x".repeat(500));
    let deep = format!(r#"{{"id":1,"x":{}1{}}}"#, "[".repeat(9), "]".repeat(9));
    let wide: String = (0..20).map(|i| format!(r#","c{i}":1"#)).collect();
    let wide = format!(r#"{{"id":1{wide}}}"#);
    let columns: Vec<_> = (0..20).map(|i| format!("c{i}")).collect();
    let header = format!("id,country,{}\n", columns.join(","));
    let repeated = lines(&RECORDS[1..2]).repeat(100_000);
    type Adjust = fn(&mut Streams);
    /// What is too much, how the limit is set, the kind of body, the body, and the statuses it may have.
    type Case = (&'static str, Adjust, &'static str, Vec<u8>, &'static [u16]);
    let cases: [Case; 8] = [
        (
            "body",
            |limits| limits.stream_body_bytes = 100,
            "",
            lines(&RECORDS).into(),
            &[413],
        ),
        (
            "record",
            |limits| limits.record_bytes = 200,
            "",
            lines(&[&long]).into(),
            &[413],
        ),
        (
            "record without an end",
            |limits| limits.record_bytes = 200,
            "",
            long.clone().into(),
            &[413],
        ),
        (
            "nesting",
            |limits| limits.record_nesting = 8,
            "",
            lines(&[&deep]).into(),
            &[400, 413],
        ),
        (
            "keys",
            |limits| limits.record_columns = 20,
            "",
            lines(&[&wide]).into(),
            &[400, 413],
        ),
        (
            "columns",
            |limits| limits.record_columns = 20,
            CSV,
            header.into(),
            &[400, 413],
        ),
        (
            "decoded bytes",
            |limits| limits.stream_decoded_bytes = 200,
            "gzip",
            gzip(lines(&RECORDS).as_bytes()),
            &[413],
        ),
        (
            "ratio",
            |limits| limits.stream_ratio = 10,
            "gzip",
            gzip(repeated.as_bytes()),
            &[413],
        ),
    ];
    for (what, adjust, kind, body, statuses) in cases {
        let mut headers = vec![("content-type", if kind == CSV { CSV } else { NDJSON })];
        if kind == "gzip" {
            headers.push(("content-encoding", "gzip"));
        }
        let (generous, world) = server_with(|_| {}).await;
        let path = world.path("");
        if what != "ratio" && what != "record without an end" {
            let answer = generous.guarded(&path, &headers, body.clone()).await;
            assert_eq!(answer.status, 200, "{what}");
        }
        let (server, world) = server_with(adjust).await;
        let path = world.path("");
        // What a stream let pass before may have been answered already: a bomb of many records.
        let request = server.request(reqwest::Method::POST, &path);
        let mut request = request.header("x-api-key", super::BOOTSTRAP_KEY).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("an answer");
        match answer.status().as_u16() {
            200 if what == "ratio" => {
                answer.bytes().await.expect_err("no whole body");
            }
            status => assert!(statuses.contains(&status), "{what}: {status}"),
        }
    }
}

#[tokio::test]
async fn a_key_has_so_many_streams_at_once() {
    let (server, world) = server_with(|limits| limits.streams_per_key = 1).await;
    let headers = [("content-type", NDJSON)];
    let mut first = Raw::open(&server, &world.path(""), "").await;
    first.send(&lines(&RECORDS[..2])).await;
    first.until(RECORDS[1]).await;
    let second = server
        .guarded(&world.path(""), &headers, lines(&RECORDS))
        .await;
    assert!(second.headers.contains_key("retry-after"));
    assert_eq!(second.error(429)["code"], "rate_limited");
    let me = server.owner_id().await;
    let other = server.key(&me, serde_json::json!(["*"])).await;
    let others = [("content-type", NDJSON), ("x-api-key", other.as_str())];
    let answer = server
        .guarded(&world.path(""), &others, lines(&RECORDS))
        .await;
    answer.text();
    first.end().await;
    assert!(is_whole(&first.rest().await));
    let third = server
        .guarded(&world.path(""), &headers, lines(&RECORDS))
        .await;
    third.text();
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let (server, world) = server_with(|limits| limits.idle_seconds = 1).await;
    let mut silent = Raw::open(&server, &world.path(""), "").await;
    silent.send("{\"id\":").await;
    let answer = silent.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let mut begun = Raw::open(&server, &world.path(""), "").await;
    begun.send(&lines(&RECORDS[..2])).await;
    begun.until(RECORDS[1]).await;
    let answer = begun.rest().await;
    assert!(!is_whole(&answer), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (server, _) = server_with(|limits| limits.header_seconds = 1).await;
    let mut client = Raw::connect(&server).await;
    client.raw(b"POST /api/v1/me HTTP/1.1\r\nhost:").await;
    let answer = client.rest().await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn a_head_is_bounded() {
    let server = Server::start().await;
    let many = (0..200)
        .map(|i| format!("x-{i}: 1\r\n"))
        .collect::<String>();
    let long = format!("x-long: {}\r\n", "x".repeat(100_000));
    for headers in [many, long] {
        let mut client = Raw::connect(&server).await;
        let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        client.raw(head.as_bytes()).await;
        let answer = client.rest().await;
        // Whoever has not sent all of it when the server hangs up may not see its answer.
        let refused = answer.starts_with("HTTP/1.1 431") || answer.is_empty();
        assert!(refused, "{answer}");
    }
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_given_up() {
    let (server, world) = server_with(|limits| limits.idle_seconds = 1).await;
    let mut client = Raw::open(&server, &world.path(""), "").await;
    let text = lines(&RECORDS[1..2]).repeat(1_000);
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    let mut sent = 0;
    // What lies between the two fits the buffers of the system.
    while client.try_raw(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 1 << 30, "the server reads on without end");
    }
    let answer = client.rest().await;
    assert!(!is_whole(&answer));
}

#[tokio::test]
async fn more_records_than_a_second_allows_are_waited_for() {
    let (server, world) = server_with(|limits| limits.rows_per_second = 10).await;
    let headers = [("content-type", NDJSON)];
    let started = Instant::now();
    let text = lines(&RECORDS[1..2]).repeat(15);
    let answer = server
        .guarded(&world.path(""), &headers, text.clone())
        .await;
    assert_eq!(answer.text(), text);
    assert!(started.elapsed() >= Duration::from_millis(400));
}
