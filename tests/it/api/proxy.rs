//! `/proxy/{workspaceId}/{destinationId}/{path}`: what a destination sees of a request, and what
//! comes back.

mod configuration;
mod records;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fixtures::message;
use super::{Answer, BOOTSTRAP_KEY, MEMBER, NOBODY, Server, not_in, text};
use crate::receiver::{Delivery, Receiver, Reply};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// A record from Germany, which is withheld, and two that pass, each in a hand of its own.
const ADA: &str = r#"{"id":1,"country":"DE"}"#;
const BO: &str = r#"{"id": 2, "country" : "US" ,"x":1.50, "\u0079":[ "é\/" ]}"#;
const CY: &str = r#"{"country":"FR","id":3}"#;

/// A server with a model whose German records do not go to `webhook`, and a destination.
struct House {
    server: Server,
    ws: String,
    model: String,
    receiver: Receiver,
    /// `/proxy/{workspaceId}/{destinationId}`.
    proxy: String,
}

impl House {
    async fn new(records: Value) -> House {
        House::answering(records, |_| Reply::Accept).await
    }

    async fn answering(
        records: Value,
        script: impl Fn(&Delivery) -> Reply + Send + Sync + 'static,
    ) -> House {
        let server = Server::start().await;
        let receiver = Receiver::recording(script).await;
        let ws = server.workspace().await;
        let model = server.catalog(&ws).await.model;
        let rule = json!({
            "name": "none from Germany",
            "parent_model_id": model,
            "destination_type": "webhook",
            "filter_tree": not_in("country", ["DE"]),
        });
        server
            .post(&format!("{ws}/destination-rules"), rule)
            .await
            .expect(201);
        let mut house = House {
            server,
            ws,
            model,
            receiver,
            proxy: String::new(),
        };
        let config = json!({
            "url": house.receiver.url(),
            "proxy": {"model_id": house.model, "records": records},
        });
        house.proxy = house.destination("hook", "webhook", config).await;
        house
    }

    /// Another destination; answers the path of its proxy.
    async fn destination(&self, name: &str, kind: &str, config: Value) -> String {
        let body = json!({"name": name, "type": kind, "config": config});
        let id = self
            .server
            .made(&format!("{}/destinations", self.ws), body)
            .await;
        let workspace = self.ws.rsplit('/').next().expect("an id");
        format!("/proxy/{workspace}/{id}")
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = format!("{}{path}", self.proxy);
        let request = self.server.request(method, &path);
        request.header("x-api-key", BOOTSTRAP_KEY)
    }

    async fn send(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, "/in");
        let request = request.header("content-type", content_type).body(body);
        self.server.send(request).await
    }

    /// The only request that the destination has seen.
    #[track_caller]
    fn seen(&self) -> Delivery {
        let mut requests = self.receiver.requests();
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }

    #[track_caller]
    fn saw_nothing(&self) {
        assert_eq!(self.receiver.requests().len(), 0);
    }
}

fn body_records() -> Value {
    json!({"body": true})
}

fn told(answer: &Answer) -> [Option<&str>; 4] {
    [
        "syncguard-read",
        "syncguard-allowed",
        "syncguard-withheld",
        "syncguard-forwarded",
    ]
    .map(|name| answer.header(name))
}

#[tokio::test]
async fn a_destination_sees_the_request_without_the_forbidden_records() {
    let house = House::answering(body_records(), |_| {
        let headers = vec![
            ("content-type", "text/x-answer"),
            ("x-answer", "1"),
            ("x-answer", "2"),
            ("ratelimit-remaining", "77"),
            ("x-request-id", "theirs"),
            ("syncguard-read", "1000"),
            ("keep-alive", "timeout=9"),
        ];
        Reply::Answer(202, headers, b"\x00taken\xff".to_vec())
    })
    .await;
    let request = house
        .request(Method::PUT, "/v1/a%2Fb%20c//d;e=f/?q=%41&r&q=2")
        .header("content-type", NDJSON)
        .header("user-agent", "pipeline/1")
        .header("accept", "text/*")
        .header("x-custom", "one")
        .header("forwarded", "for=192.0.2.1")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-custom", "two")
        .header("content-md5", "old")
        .header("digest", "old")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("proxy-authorization", "Basic eA==")
        .header("syncguard-model", &house.model)
        .body(format!("{BO}\n{ADA}\n{CY}\n"));
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 202);
    let headers = response.headers().clone();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().expect("text"));
    assert_eq!(headers.get_all("x-answer").iter().count(), 2);
    for (name, expected) in [
        ("content-type", Some("text/x-answer")),
        ("ratelimit-remaining", Some("77")),
        ("ratelimit-limit", None),
        ("cache-control", None),
        ("keep-alive", None),
        ("x-request-id", Some("theirs")),
        ("content-length", Some("7")),
        ("syncguard-read", Some("3")),
        ("syncguard-allowed", Some("2")),
        ("syncguard-withheld", Some("1")),
        ("syncguard-forwarded", Some("true")),
    ] {
        assert_eq!(header(name), expected, "{name}");
    }
    assert!(header("syncguard-policy-revision").is_some());
    let body = response.bytes().await.expect("a body");
    assert_eq!(body.as_ref(), b"\x00taken\xff");

    let seen = house.seen();
    assert_eq!(seen.method, Method::PUT);
    assert_eq!(
        seen.uri.to_string(),
        "/hook/v1/a%2Fb%20c//d;e=f/?q=%41&r&q=2"
    );
    assert_eq!(seen.body, format!("{BO}\n{CY}\n"));
    let mut lines: Vec<(String, String)> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    lines.retain(|(name, _)| name != "host" && name != "content-length");
    let expected = [
        ("content-type", NDJSON),
        ("user-agent", "pipeline/1"),
        ("accept", "text/*"),
        ("x-custom", "one"),
        ("x-custom", "two"),
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(lines, expected);
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string());
    assert!(
        house
            .receiver
            .url()
            .contains(seen.headers["host"].to_str().expect("a host"))
    );
}

#[tokio::test]
async fn where_no_record_is_left_the_destination_is_not_called() {
    let house = House::new(json!({"pointer": "/users"})).await;
    let body = format!("{{\"users\": [{ADA}, {ADA}, {{\"country\": null}}]}}");
    let answer = house.send(JSON, body).await;
    assert_eq!(told(&answer), ["3", "0", "3", "false"].map(Some));
    let revision = answer.header("syncguard-policy-revision");
    let revision: u64 = revision.expect("a revision").parse().expect("a number");
    let summary = answer.expect(200)["syncguard"].clone();
    assert_eq!(
        [&summary["read"], &summary["allowed"], &summary["withheld"]],
        [3, 0, 3]
    );
    assert_eq!(summary["forwarded"], false);
    assert_eq!(summary["policy_revision"], revision);
    house.saw_nothing();
}

#[tokio::test]
async fn a_judgement_is_on_record() {
    let house = House::new(body_records()).await;
    house.send(NDJSON, format!("{ADA}\n{BO}\n")).await;
    let path = format!("{}/audit?action=destination.proxy", house.ws);
    let lines = house.server.get(&path).await.expect(200);
    let lines = lines.as_array().expect("lines");
    assert_eq!(lines.len(), 1);
    let line = &lines[0]["line"];
    assert!(line["revision"].is_u64(), "{line}");
    let counts = &line["after"];
    assert_eq!(
        [&counts["read"], &counts["allowed"], &counts["withheld"]],
        [2, 1, 1]
    );
    assert_eq!(counts["model_id"], house.model.as_str());
    assert_eq!(counts["forwarded"], true);
    assert!(!line.to_string().contains("US"), "{line}");
}

#[tokio::test]
async fn our_key_does_not_reach_the_destination() {
    let house = House::new(body_records()).await;
    let path = format!("{}/in", house.proxy);
    let bearer = format!("Bearer {BOOTSTRAP_KEY}");
    for (headers, expected) in [
        (vec![("authorization", bearer.as_str())], None),
        (vec![("x-api-key", BOOTSTRAP_KEY)], None),
        (
            vec![
                ("x-api-key", BOOTSTRAP_KEY),
                ("authorization", "Klaviyo-API-Key pk_1"),
            ],
            Some("Klaviyo-API-Key pk_1"),
        ),
        // In both places it is meant for us alone.
        (
            vec![
                ("x-api-key", BOOTSTRAP_KEY),
                ("authorization", bearer.as_str()),
            ],
            None,
        ),
    ] {
        for method in [Method::GET, Method::POST] {
            let mut request = house.server.request(method.clone(), &path);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            if method == Method::POST {
                request = request
                    .header("content-type", NDJSON)
                    .body(format!("{BO}\n"));
            }
            let answer = house.server.send(request).await;
            assert_eq!(answer.status, 200, "{headers:?}: {:?}", answer.body);
            let seen = house.receiver.requests().pop().expect("a request");
            let credential = seen.headers.get("authorization");
            assert_eq!(
                credential.map(|value| value.to_str().expect("text")),
                expected
            );
            let all = format!("{:?}", seen.headers);
            assert!(!all.contains(BOOTSTRAP_KEY), "{all}");
            assert!(!seen.headers.contains_key("x-api-key"));
        }
    }
}

#[tokio::test]
async fn what_carries_no_records_goes_on_without_judgement() {
    let house = House::new(body_records()).await;
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE] {
        let request = house.request(method.clone(), "/x?y=1");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{method}");
        assert_eq!(response.headers()["syncguard-forwarded"], "true");
        assert!(!response.headers().contains_key("syncguard-read"));
        let seen = house.receiver.requests().pop().expect("a request");
        assert_eq!(
            (seen.method, seen.uri.to_string()),
            (method, "/hook/x?y=1".into())
        );
        assert!(seen.body.is_empty());
    }
    let before = house.receiver.requests().len();
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let request = house.request(method, "/x").header("content-type", JSON);
        assert_eq!(house.server.send(request).await.faults(), ["$body"]);
    }
    // With a body they are judged like any other.
    let request = house
        .request(Method::DELETE, "/x")
        .header("content-type", NDJSON);
    let answer = house.server.send(request.body(format!("{ADA}\n"))).await;
    assert_eq!(told(&answer), ["1", "0", "1", "false"].map(Some));
    assert_eq!(house.receiver.requests().len(), before);
}

#[tokio::test]
async fn the_base_url_is_where_a_path_begins() {
    let house = House::new(body_records()).await;
    let url = format!("{}?token=tell-nobody", house.receiver.url());
    let config = json!({"url": url, "headers": {"x-secret": "tell-nobody"}, "secret": "s"});
    let proxy = house.destination("with a query", "webhook", config).await;
    for (path, expected) in [
        ("", "/hook?token=tell-nobody"),
        ("/", "/hook/?token=tell-nobody"),
        ("?a=1", "/hook?token=tell-nobody&a=1"),
        ("/x?a=1", "/hook/x?token=tell-nobody&a=1"),
    ] {
        let request = house.server.request(Method::GET, &format!("{proxy}{path}"));
        let answer = house.server.send(request.bearer_auth(BOOTSTRAP_KEY)).await;
        assert_eq!(answer.status, 200);
        let seen = house.receiver.requests().pop().expect("a request");
        assert_eq!(seen.uri.to_string(), expected);
        // The destination's own credentials are not lent to whoever asks.
        assert!(!seen.headers.contains_key("x-secret"));
        assert!(!seen.headers.contains_key("webhook-signature"));
    }
}

/// A request whose path no client of ours would leave as it is.
async fn raw(server: &Server, path: &str) -> String {
    let address = server.base.strip_prefix("http://").expect("an address");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {BOOTSTRAP_KEY}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_path_that_leads_out_of_the_base_is_refused() {
    let house = House::new(body_records()).await;
    for path in [
        "/../x",
        "/..",
        "/a/../../x",
        "/./x",
        "/%2e%2e/x",
        "/.%2E/x",
        "/%252e%252e/x",
        "/..%2fx",
        "/..%5cx",
        "/a\\..\\x",
        "/..;/x",
    ] {
        let answer = raw(&house.server, &format!("{}{path}", house.proxy)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    house.saw_nothing();
    let answer = raw(&house.server, &format!("{}/..x/%2fy", house.proxy)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(house.seen().uri.to_string(), "/hook/..x/%2fy");
}

#[tokio::test]
async fn a_redirect_and_an_error_are_passed_back() {
    let to = "http://169.254.169.254/latest?x";
    let house = House::answering(body_records(), move |delivery| match delivery.number {
        0 => Reply::Redirect(to.to_owned()),
        1 => Reply::RetryAfter(429, "7".to_owned()),
        _ => Reply::Saying(500, "{\"theirs\": 1}".to_owned()),
    })
    .await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        let url = format!("{}{}/in", house.server.base, house.proxy);
        let request = client.post(url).bearer_auth(BOOTSTRAP_KEY);
        let request = request
            .header("content-type", NDJSON)
            .body(format!("{BO}\n"));
        answers.push(house.server.send(request).await);
    }
    assert_eq!(answers[0].status, 307);
    assert_eq!(answers[0].header("location"), Some(to));
    assert_eq!(answers[1].status, 429);
    assert_eq!(answers[1].header("retry-after"), Some("7"));
    assert_eq!(answers[2].status, 500);
    assert_eq!(answers[2].body, json!({"theirs": 1}));
    assert_eq!(house.receiver.requests().len(), 3);
}

#[tokio::test]
async fn a_destination_that_does_not_answer_is_502_and_its_secrets_are_not_told() {
    let house = House::answering(body_records(), |_| Reply::ResetBefore).await;
    let url = format!("{}?token=tell-nobody", house.receiver.url());
    let broken = house
        .destination("broken", "webhook", json!({"url": url}))
        .await;
    // Nothing listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let url = format!("http://127.0.0.1:{port}/x?token=tell-nobody");
    let closed = house
        .destination("closed", "webhook", json!({"url": url}))
        .await;
    for proxy in [broken, closed] {
        let request = house
            .server
            .request(Method::GET, &format!("{proxy}/y?own=tell-nobody"));
        let answer = house.server.send(request.bearer_auth(BOOTSTRAP_KEY)).await;
        let error = answer.expect(502);
        assert_eq!(error["error"]["code"], "bad_gateway");
        assert!(!error.to_string().contains("tell-nobody"), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_open_any_more_is_not_connected_to() {
    let url = crate::support::fresh_postgres().await;
    let open = Server::start_with(|config| {
        config.store_url = url.clone().into();
        let also = "::1/128".parse().expect("a range");
        config.allow_private_addresses.push(also);
    })
    .await;
    let shut = Server::start_with(|config| {
        config.store_url = url.into();
        config.allow_private_addresses = Vec::new();
    })
    .await;
    let receiver = Receiver::recording(|_| Reply::Accept).await;
    let ws = open.workspace().await;
    let workspace = ws.rsplit('/').next().expect("an id");
    for host in ["127.0.0.1", "localhost", "127.1", "0x7f000001"] {
        let config = json!({"url": receiver.url_by(host)});
        let body = json!({"name": host, "type": "webhook", "config": config});
        let id = open.made(&format!("{ws}/destinations"), body).await;
        let path = format!("/proxy/{workspace}/{id}/x");
        let ask = async |server: &Server| {
            let request = server.request(Method::GET, &path);
            server.send(request.bearer_auth(BOOTSTRAP_KEY)).await
        };
        ask(&open).await.expect(200);
        let error = ask(&shut).await.expect(502);
        assert!(message(&error).contains("not public"), "{error}");
    }
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test]
async fn who_may_not_trigger_syncs_may_not_send_through_us() {
    let house = House::new(body_records()).await;
    let server = &house.server;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["syncs:read"])).await;
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    let role = server.role(&house.ws, "reader", &["syncs.read"]).await;
    let (_, weak) = server.joined(&house.ws, "weak@example.com", &role).await;
    let workspace = house.ws.rsplit('/').next().expect("an id");
    let nowhere = format!("/proxy/{workspace}/{NOBODY}/in");
    let path = format!("{}/in", house.proxy);
    for (key, path, status) in [
        (None, path.as_str(), 401),
        (Some("sgk_0000000000000000_00"), path.as_str(), 401),
        (Some(reader.as_str()), path.as_str(), 403),
        (Some(weak.as_str()), path.as_str(), 403),
        (Some(stranger.as_str()), path.as_str(), 404),
        (Some(BOOTSTRAP_KEY), nowhere.as_str(), 404),
        (Some(BOOTSTRAP_KEY), "/proxy/x/y/z", 404),
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = server.ask(key, method, path, Some("[]")).await;
            assert_eq!(answer.status, status, "{path}: {:?}", answer.body);
            answer.expect(status);
        }
    }
    house.saw_nothing();

    // A destination of another workspace is none.
    let other = json!({"name": "other"});
    let other = text(&server.post("/api/v1/workspaces", other).await.expect(201)["id"]);
    let (_, id) = house.proxy.rsplit_once('/').expect("a path");
    let answer = server.get(&format!("/proxy/{other}/{id}/in")).await;
    assert_eq!(message(&answer.expect(404)), "destination not found");
    house.saw_nothing();
}

#[tokio::test]
async fn the_sender_sends_only_what_they_may_see() {
    let house = House::new(body_records()).await;
    let server = &house.server;
    let (account_id, key) = server.joined(&house.ws, "m@example.com", MEMBER).await;
    let category = server.category(&house.ws, "Region", "deny").await;
    let tree = super::fixtures::equals("country", "FR");
    let subset = server
        .subset(&house.ws, &category, Some(&house.model), "France", tree)
        .await;
    let path = format!("{}/in", house.proxy);
    let ask = async || {
        let request = server.request(Method::POST, &path).bearer_auth(&key);
        let request = request.header("content-type", NDJSON);
        server.send(request.body(format!("{BO}\n{CY}\n"))).await
    };
    let answer = ask().await;
    assert_eq!(told(&answer), ["2", "0", "2", "false"].map(Some));
    let group = server.group(&house.ws, "France", None).await;
    server.assign(&house.ws, &subset, &group).await;
    server.enroll(&house.ws, &group, &account_id).await;
    let answer = ask().await;
    assert_eq!(told(&answer), ["2", "1", "1", "true"].map(Some));
    assert_eq!(house.seen().body, format!("{CY}\n"));
}
