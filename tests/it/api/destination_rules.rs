//! `/workspaces/{id}/destination-rules`, field for field as seed 003 has them.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::message;
use super::{NOBODY, Server, not_in, text};

on_both_stores!(
    policy_name_is_unique_for_a_destination_type,
    policy_that_was_changed_meanwhile_is_412,
    policies_are_for_those_who_govern,
    policy_that_is_not_there_is_404,
    a_policy_has_the_fields_of_the_seed,
    an_update_keeps_what_it_does_not_name,
    every_fault_of_a_policy_is_told_and_nothing_is_saved,
    a_duplicate_key_in_a_tree_is_refused,
);

async fn a_policy_has_the_fields_of_the_seed(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let me = server.get("/api/v1/me").await.expect(200);
    let body = json!({
        "name": "GDPR - No EU Customers to Facebook",
        "description": "Prevent EU customer data from being synced to Facebook Ads",
        "parent_model_id": catalog.model,
        "destination_type": "facebook_ads",
        "filter_tree": not_in("country", ["DE", "FR", "IT"]),
        "enabled": true,
    });
    let answer = server
        .post(&format!("{ws}/destination-rules"), body.clone())
        .await;
    let revision: u64 = answer.headers["syncguard-policy-revision"]
        .to_str()
        .expect("a number")
        .parse()
        .expect("a number");
    let made = answer.expect(201);
    let keys: Vec<_> = made
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "workspace_id",
            "parent_model_id",
            "destination_type",
            "name",
            "description",
            "filter_tree",
            "enabled",
            "created_by",
            "created_at",
            "updated_at"
        ]
    );
    for (key, value) in body.as_object().expect("an object") {
        assert_eq!(&made[key], value, "{key}");
    }
    assert_eq!(made["created_by"], me["account"]["id"]);
    let one = format!("{ws}/destination-rules/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);

    let by_type = format!("{ws}/destination-types/facebook_ads/rules");
    assert_eq!(server.get(&by_type).await.expect(200), json!([made]));
    let none = format!("{ws}/destination-types/tiktok/rules");
    assert_eq!(server.get(&none).await.expect(200), json!([]));
    let all = server
        .get(&format!("{ws}/destination-rules"))
        .await
        .expect(200);
    assert_eq!(all.as_array().map(Vec::len), Some(2));

    let answer = server.delete(&one).await;
    assert_eq!(
        answer.headers["syncguard-policy-revision"],
        (revision + 1).to_string()
    );
    answer.expect(204);
    for answer in [
        server.get(&one).await,
        server.delete(&one).await,
        server.put(&one, json!({})).await,
    ] {
        answer.expect(404);
    }
}

async fn an_update_keeps_what_it_does_not_name(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let one = format!("{ws}/destination-rules/{}", catalog.policy);
    let before = server.get(&one).await.expect(200);
    let off = server
        .put(&one, json!({"enabled": false}))
        .await
        .expect(200);
    let mut expected = before.clone();
    expected["enabled"] = json!(false);
    expected["updated_at"] = off["updated_at"].clone();
    assert_eq!(off, expected);
    let change = json!({
        "parent_model_id": null,
        "description": "everywhere",
        "filter_tree": not_in("country", ["DE", "AT"]),
        "enabled": true,
    });
    let changed = server.put(&one, change.clone()).await.expect(200);
    for (key, value) in change.as_object().expect("an object") {
        assert_eq!(&changed[key], value, "{key}");
    }
    assert_eq!(
        (&changed["name"], &changed["created_at"]),
        (&before["name"], &before["created_at"])
    );
    let body = json!({"name": "", "filter_tree": null, "enabled": 1, "created_by": NOBODY});
    let paths = server.put(&one, body).await.faults();
    assert_eq!(
        paths,
        ["$.created_by", "$.enabled", "$.filter_tree", "$.name"]
    );
    assert_eq!(server.get(&one).await.expect(200), changed);
}

async fn every_fault_of_a_policy_is_told_and_nothing_is_saved(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let rules = format!("{ws}/destination-rules");
    let before = server.get(&rules).await.expect(200);
    let property = |column: &str, operator: &str, value: Value| json!({"type": "condition", "condition_type": "property", "column": column, "operator": operator, "value": value});
    let good = json!({
        "name": "x",
        "parent_model_id": catalog.model,
        "destination_type": "webhook",
        "filter_tree": not_in("country", ["DE"]),
    });
    for (change, paths) in [
        (
            json!({"name": null, "destination_type": null, "filter_tree": null}),
            vec!["$.destination_type", "$.filter_tree", "$.name"],
        ),
        (
            json!({"parent_model_id": NOBODY}),
            vec!["$.parent_model_id"],
        ),
        (
            json!({"parent_model_id": 7, "destination_type": "no no"}),
            vec!["$.destination_type", "$.parent_model_id"],
        ),
        (
            json!({"filter_tree": {"type": "and", "children": []}}),
            vec!["$.filter_tree.children"],
        ),
        (
            json!({"filter_tree": {"type": "or", "children": [
                {"type": "perhaps"},
                property("country", "is", json!("DE")),
                property("", "equals", json!([])),
            ]}}),
            vec![
                "$.filter_tree.children[0].type",
                "$.filter_tree.children[1].operator",
                "$.filter_tree.children[2].column",
                "$.filter_tree.children[2].value",
            ],
        ),
        (
            json!({"filter_tree": property("land", "equals", json!("DE"))}),
            vec!["$.filter_tree.column"],
        ),
        (
            json!({"filter_tree": {"type": "and", "children": [
                property("id", "equals", json!("seven")),
                property("country", "greater_than", json!(7)),
            ]}}),
            vec![
                "$.filter_tree.children[0].value",
                "$.filter_tree.children[1].operator",
            ],
        ),
    ] {
        let mut body = good.clone();
        for (key, value) in change.as_object().expect("an object") {
            body[key] = value.clone();
        }
        assert_eq!(
            server.post(&rules, body.clone()).await.faults(),
            paths,
            "{body}"
        );
    }
    assert_eq!(server.get(&rules).await.expect(200), before);
}

async fn a_duplicate_key_in_a_tree_is_refused(server: Server) {
    let ws = server.workspace().await;
    let body = r#"{"name": "x", "destination_type": "webhook", "filter_tree": {
        "type": "condition", "condition_type": "property", "column": "country",
        "operator": "equals", "value": "DE", "value": "US"}}"#;
    let request = server
        .request(Method::POST, &format!("{ws}/destination-rules"))
        .bearer_auth(super::BOOTSTRAP_KEY)
        .body(body);
    assert_eq!(server.send(request).await.faults(), ["$.filter_tree.value"]);
}

async fn policy_name_is_unique_for_a_destination_type(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let rules = format!("{ws}/destination-rules");
    let mut body = json!({
        "name": "not from Germany",
        "destination_type": "file",
        "filter_tree": not_in("country", ["DE"]),
    });
    let error = server.post(&rules, body.clone()).await.expect(409);
    assert!(message(&error).contains("\"not from Germany\""), "{error}");
    body["destination_type"] = json!("webhook");
    let other = server.made(&rules, body).await;
    let change = json!({"destination_type": "file"});
    let answer = server.put(&format!("{rules}/{other}"), change).await;
    answer.expect(409);
    // A model that a policy names is not deleted.
    server
        .delete(&format!("{ws}/syncs/{}", catalog.sync))
        .await
        .expect(204);
    let model = format!("{ws}/models/{}", catalog.model);
    let error = server.delete(&model).await.expect(409);
    assert!(
        message(&error).contains("destination policy not from Germany"),
        "{error}"
    );
}

async fn policy_that_was_changed_meanwhile_is_412(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let path = format!("{ws}/destination-rules/{}", catalog.policy);
    let change = json!({"enabled": false});
    server.heeds_if_match(&path, change).await;
}

async fn policies_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let list = format!("{ws}/destination-rules");
    let one = format!("{list}/{}", catalog.policy);
    let by_type = format!("{ws}/destination-types/file/rules");
    let new = json!({
        "name": "new",
        "destination_type": "file",
        "filter_tree": not_in("country", ["FR"]),
    });
    let writes = [
        (Method::POST, list.as_str(), new),
        (Method::PUT, one.as_str(), json!({"enabled": false})),
        (Method::DELETE, one.as_str(), json!({})),
    ];
    let reads = [list.as_str(), one.as_str(), by_type.as_str()];
    server.is_governed(&ws, &reads, &writes).await;
}

async fn policy_that_is_not_there_is_404(server: Server) {
    let ws = server.workspace().await;
    let one = format!("{ws}/destination-rules/{NOBODY}");
    let requests = [Method::GET, Method::PUT, Method::DELETE]
        .map(|method| (method, one.clone(), json!({"name": "x"})));
    server.knows_none_of(&requests).await;
}
