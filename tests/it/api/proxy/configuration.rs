//! What a destination's configuration says about requests that go through us.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::super::{BOOTSTRAP_KEY, NOBODY, not_in};
use super::{ADA, BO, House, JSON, NDJSON, body_records, told};

#[tokio::test]
async fn a_file_takes_no_requests() {
    let house = House::new(body_records()).await;
    let config = json!({"path": "x.ndjson", "format": "ndjson"});
    let proxy = house.destination("a file", "file", config).await;
    house.server.get(&format!("{proxy}/x")).await.expect(409);
}

#[tokio::test]
async fn the_model_is_named_by_the_configuration_or_by_the_request() {
    let house = House::new(body_records()).await;
    let server = &house.server;
    let config = json!({"url": house.receiver.url()});
    let open = format!("{}/in", house.destination("open", "webhook", config).await);
    let bound = format!("{}/in", house.proxy);
    let another = json!({
        "name": "kunden – übrige",
        "source_id": server.get(&format!("{}/models/{}", house.ws, house.model)).await.expect(200)
            ["source_id"],
        "table": "files",
    });
    let another = server.made(&format!("{}/models", house.ws), another).await;
    for (path, named, expected) in [
        (&open, None, None),
        (&open, Some(house.model.as_str()), Some("1")),
        (&open, Some("customers"), Some("1")),
        (&open, Some("kunden – übrige"), Some("0")),
        (&open, Some(NOBODY), None),
        (&open, Some(""), None),
        (&bound, None, Some("1")),
        (&bound, Some("customers"), Some("1")),
        (&bound, Some(another.as_str()), None),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(named) = named {
            let value = HeaderValue::from_bytes(named.as_bytes()).expect("a value");
            headers.insert("syncguard-model", value);
        }
        let request = server
            .request(Method::POST, path)
            .bearer_auth(BOOTSTRAP_KEY);
        let request = request.headers(headers).header("content-type", NDJSON);
        let answer = server.send(request.body(format!("{ADA}\n{BO}\n"))).await;
        let withheld = answer.header("syncguard-withheld");
        assert_eq!(withheld, expected, "{named:?}: {:?}", answer.body);
        if expected.is_none() {
            assert_eq!(answer.faults(), ["$header.Syncguard-Model"], "{named:?}");
        }
    }
    let seen = house.receiver.requests();
    assert!(
        seen.iter()
            .all(|seen| !seen.headers.contains_key("syncguard-model"))
    );
}

#[tokio::test]
async fn a_known_api_needs_no_configuration() {
    let house = House::new(body_records()).await;
    for (kind, place) in [("iterable", "users"), ("mailchimp", "members")] {
        let rule = json!({
            "name": kind,
            "parent_model_id": house.model,
            "destination_type": kind,
            "filter_tree": not_in("country", ["DE"]),
        });
        let rules = format!("{}/destination-rules", house.ws);
        house.server.post(&rules, rule).await.expect(201);
        let config = json!({"url": house.receiver.url(), "proxy": {"model_id": house.model}});
        let path = house.destination(kind, kind, config).await;
        let request = house
            .server
            .request(Method::POST, &path)
            .bearer_auth(BOOTSTRAP_KEY);
        let request = request.header("content-type", JSON);
        let body = format!("{{\"{place}\": [{ADA},{BO}]}}");
        let answer = house.server.send(request.body(body)).await;
        assert_eq!(told(&answer), ["2", "1", "1", "true"].map(Some), "{kind}");
        let seen = house.receiver.requests().pop().expect("a request");
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        assert_eq!(body[place].as_array().expect("records").len(), 1);
    }
}

#[tokio::test]
async fn a_configuration_is_checked_when_it_is_saved() {
    let house = House::new(body_records()).await;
    let destinations = format!("{}/destinations", house.ws);
    let url = house.receiver.url();
    for (proxy, paths) in [
        (json!({"model_id": NOBODY}), ["$.config.proxy.model_id"]),
        (
            json!({"model_id": "customers"}),
            ["$.config.proxy.model_id"],
        ),
        (
            json!({"records": {"pointer": "users"}}),
            ["$.config.proxy.records"],
        ),
        (
            json!({"records": {"body": true, "pointer": "/x"}}),
            ["$.config.proxy.records"],
        ),
        (json!({"record": {}}), ["$.config.proxy.record"]),
        (json!([]), ["$.config.proxy"]),
    ] {
        let config = json!({"url": url, "proxy": proxy});
        let body = json!({"name": "x", "type": "webhook", "config": config});
        let answer = house.server.post(&destinations, body).await;
        assert_eq!(answer.faults(), paths, "{config}");
    }
    let config = json!({"path": "x.csv", "proxy": {}});
    let body = json!({"name": "x", "type": "file", "config": config});
    let faults = house.server.post(&destinations, body).await.faults();
    assert_eq!(faults, ["$.config.proxy"]);
    let (_, id) = house.proxy.rsplit_once('/').expect("a path");
    let saved = house
        .server
        .get(&format!("{destinations}/{id}"))
        .await
        .expect(200);
    let expected = json!({"model_id": house.model, "records": {"body": true}});
    assert_eq!(saved["config"]["proxy"], expected);
}
