//! What is asked without a key, and what every answer has.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Server;

#[tokio::test]
async fn operators_need_no_key() {
    let server = Server::start().await;
    for path in ["/livez", "/readyz", "/metrics", "/version"] {
        server.ask(None, Method::GET, path, None).await.expect(200);
    }
    let metrics = server
        .ask(None, Method::GET, "/metrics", None)
        .await
        .expect(200)
        .to_string();
    assert!(
        metrics.contains("syncguard_http_request_duration_seconds_bucket"),
        "{metrics}"
    );
    assert!(metrics.contains(r#"route=\"/livez\""#), "{metrics}");
}

#[tokio::test]
async fn an_unknown_route_is_404_and_a_wrong_method_405() {
    let server = Server::start().await;
    server
        .ask(None, Method::GET, "/api/v1/nothing", None)
        .await
        .expect(404);
    server
        .ask(None, Method::GET, "/nothing", None)
        .await
        .expect(404);
    let answer = server.ask(None, Method::PATCH, "/api/v1/me", None).await;
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    answer.expect(405);
}

#[tokio::test]
async fn a_request_id_is_taken_or_made() {
    let server = Server::start().await;
    let ask = |id: &'static str| {
        server.send(
            server
                .request(Method::GET, "/livez")
                .header("x-request-id", id),
        )
    };
    assert_eq!(
        ask("abc-1.2:3_4").await.headers["x-request-id"],
        "abc-1.2:3_4"
    );
    for bad in ["", "a b", "<x>"] {
        let id = ask(bad).await.headers["x-request-id"].clone();
        assert_eq!(id.len(), 36, "{id:?}");
    }
    let missing = server.ask(None, Method::GET, "/nothing", None).await;
    assert_eq!(missing.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn a_key_comes_as_bearer_or_as_header() {
    let server = Server::start().await;
    let (_, key) = server.account("k@example.com", json!(["*"])).await;
    let ask = |name: &'static str, value: String| {
        server.send(
            server
                .request(Method::GET, "/api/v1/me")
                .header(name, value),
        )
    };
    ask("authorization", format!("Bearer {key}"))
        .await
        .expect(200);
    ask("authorization", format!("bearer {key}"))
        .await
        .expect(200);
    ask("x-api-key", key.clone()).await.expect(200);
    let (id, _) = key.rsplit_once('_').expect("a key has three parts");
    let mut bodies = Vec::new();
    for (name, value) in [
        ("authorization", format!("Basic {key}")),
        ("authorization", key.clone()),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", format!("Bearer {key}x")),
        ("authorization", format!("Bearer {id}_wrong")),
        ("authorization", "Bearer sgk_unknown_key".to_owned()),
        ("x-api-key", "nonsense".to_owned()),
        ("x-other", key.clone()),
    ] {
        let answer = ask(name, value).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        bodies.push(answer.expect(401));
    }
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "401 tells what was wrong"
    );
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let server = Server::start().await;
    let path = "/api/v1/accounts";
    let post = async |body: &str| {
        server
            .send(
                server
                    .request(Method::POST, path)
                    .bearer_auth(super::BOOTSTRAP_KEY)
                    .body(body.to_owned()),
            )
            .await
    };
    for malformed in ["", "{", "not json", "{\"email\": }", "{} {}"] {
        post(malformed).await.expect(400);
    }
    for (body, paths) in [
        ("[]", vec!["$"]),
        ("{}", vec!["$.email", "$.name"]),
        (
            r#"{"email": "a", "name": 7, "surname": "x"}"#,
            vec!["$.email", "$.name", "$.surname"],
        ),
        (
            r#"{"email": "a@b", "name": "x", "name": "y"}"#,
            vec!["$.name"],
        ),
        (
            r#"{"email": "a@b", "name": " ", "avatar_url": "javascript:x"}"#,
            vec!["$.avatar_url", "$.name"],
        ),
    ] {
        assert_eq!(post(body).await.faults(), paths, "{body}");
    }
    let long = format!(
        r#"{{"email": "a@b", "name": "{}"}}"#,
        "x".repeat(2 * 1024 * 1024)
    );
    post(&long).await.expect(413);
    let name = "x".repeat(201);
    assert_eq!(
        post(&json!({"email": "a@b", "name": name}).to_string())
            .await
            .faults(),
        ["$.name"]
    );
}

#[tokio::test]
async fn an_open_request_ends_before_the_server_does() {
    let server = Server::start().await;
    let address = server.base.trim_start_matches("http://");
    let mut open = TcpStream::connect(address).await.expect("a connection");
    let body = r#"{"email": "slow@example.com", "name": "Slow"}"#;
    let head = format!(
        "POST /api/v1/accounts HTTP/1.1\r\nhost: {address}\r\nx-api-key: {}\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        super::BOOTSTRAP_KEY,
        body.len(),
    );
    open.write_all(head.as_bytes())
        .await
        .expect("the head is sent");
    let mut go_on = [0; 25];
    open.read_exact(&mut go_on)
        .await
        .expect("the handler waits for the body");
    server.stop.cancel();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    open.write_all(body.as_bytes())
        .await
        .expect("the body is sent");
    let mut answer = String::new();
    open.read_to_string(&mut answer)
        .await
        .expect("an answer, and then the end");
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
}
