//! Errors about content policies have an envelope of their own.

use std::collections::BTreeSet;

use serde_json::json;

use super::fits::{fault, follow};
use super::{document, operations};
use crate::api::{BOOTSTRAP_KEY, NOBODY, Server};

#[tokio::test]
async fn errors_about_content_policies_have_their_own_envelope() {
    let server = Server::start().await;
    let document = document(&server).await;
    let envelope = json!({"$ref": "#/components/schemas/ContentError"});
    let key = server.account("nobody@example.com", json!(["*"])).await.1;
    let mut seen = BTreeSet::new();
    for operation in operations(&document) {
        if !operation.path.starts_with("/policy") {
            continue;
        }
        let responses = operation.about["responses"].as_object().expect("responses");
        for (status, response) in responses
            .iter()
            .filter(|(status, _)| status.as_str() >= "4")
        {
            let response = follow(&document, response);
            let schema = &response["content"]["application/json"]["schema"];
            assert_eq!(*schema, envelope, "{} {status}", operation.id());
        }
        let path = operation.path_with(|_| NOBODY.to_owned());
        let no_id = operation.path_with(|_| "x".to_owned());
        for (key, path) in [
            (None, &path),
            (Some(key.as_str()), &path),
            (Some(BOOTSTRAP_KEY), &path),
            (Some(BOOTSTRAP_KEY), &no_id),
        ] {
            let method = operation.method.clone();
            let answer = server.ask(key, method, path, Some("{")).await;
            assert!(
                responses.contains_key(&answer.status.to_string()),
                "{answer:?}"
            );
            // What was found can be asked for without a parameter.
            if answer.status == 200 {
                continue;
            }
            let found = fault(&document, &envelope, &answer.body, "$");
            assert_eq!(found, None, "{} {path}: {}", operation.id(), answer.body);
            seen.insert(answer.status);
        }
    }
    assert_eq!(seen, BTreeSet::from([400, 401, 403, 404]));
    for (method, path, status) in [("PATCH", "/policy", 405), ("GET", "/policy/x/y/z", 404)] {
        let method = method.parse().expect("a method");
        let answer = server.ask(None, method, path, None).await;
        assert_eq!(answer.status, status);
        assert_eq!(fault(&document, &envelope, &answer.body, "$"), None);
    }
}
