//! The limit of requests that each API key has.

use reqwest::Method;
use serde_json::json;

use super::{Answer, Server};

fn told(answer: &Answer) -> (&str, u32, &str) {
    let header = |name| answer.header(name).expect(name);
    let remaining = header("ratelimit-remaining").parse().expect("a number");
    (
        header("ratelimit-limit"),
        remaining,
        header("ratelimit-reset"),
    )
}

#[tokio::test]
async fn every_authenticated_answer_tells_of_the_limit() {
    let server = Server::start_with(|config| config.requests_per_second = 50).await;
    for (path, status) in [("/api/v1/me", 200), ("/api/v1/workspaces/nothing", 404)] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let (limit, remaining, reset) = told(&answer);
        assert_eq!((limit, reset), ("50", "1"));
        assert!((40..50).contains(&remaining), "{remaining}");
    }
}

#[tokio::test]
async fn beyond_the_limit_is_429_for_that_key_alone() {
    let server = Server::start_with(|config| config.requests_per_second = 5).await;
    let (_, key) = server.account("busy@example.com", json!(["*"])).await;
    let ask = || server.ask(Some(&key), Method::GET, "/api/v1/me", None);
    let mut passed = 0;
    let refused = loop {
        let answer = ask().await;
        if answer.status == 429 {
            break answer;
        }
        told(&answer);
        answer.expect(200);
        passed += 1;
        assert!(passed < 500, "the limit is never reached");
    };
    assert!(passed >= 5, "only {passed} passed");
    assert_eq!(told(&refused), ("5", 0, "1"));
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(refused.expect(429)["error"]["code"], "rate_limited");
    server.get("/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn who_is_not_known_is_401_however_often_they_ask() {
    let server = Server::start_with(|config| config.requests_per_second = 1).await;
    for _ in 0..20 {
        let answer = server
            .ask(Some("sgk_no_key"), Method::GET, "/api/v1/me", None)
            .await;
        assert_eq!(answer.header("ratelimit-limit"), None);
        answer.expect(401);
    }
    // What is no route, or has no such method, is told without a key.
    let nowhere = server.ask(None, Method::GET, "/api/v1/nowhere", None).await;
    nowhere.expect(404);
    let patched = server.ask(None, Method::PATCH, "/api/v1/me", None).await;
    patched.expect(405);
}
