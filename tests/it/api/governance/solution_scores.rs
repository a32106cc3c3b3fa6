//! `/governance/solutions`: how solutions stand, at the moment of asking.

use reqwest::Method;
use serde_json::json;

use super::solutions::{SOLUTIONS, declare, non_compliant, policy, solution, standing};
use crate::api::fixtures::column;
use crate::api::{ADMIN, Server, text};

on_both_stores!(
    solutions_are_sorted_by_their_score,
    score_follows_what_is_declared,
    score_follows_the_url_of_a_destination,
    score_follows_reviews_and_the_state_of_policies,
    score_of_a_solution_without_models_counts_what_its_policies_are_bound_to,
);

async fn bind(server: &Server, policy: &str, resource_type: &str, resource: &str) -> String {
    let instance =
        json!({"policyId": policy, "resourceId": resource, "resourceType": resource_type});
    server.made("/api/v1/governance/instances", instance).await
}

fn compliant(score: f64) -> (f64, String) {
    (score, "compliant".to_owned())
}

async fn solutions_are_sorted_by_their_score(server: Server) {
    let met = policy(&server, "met", "yes").await;
    let missed = policy(&server, "missed", "no").await;
    declare(&server, "model", "m", json!({"yes": true, "no": false})).await;
    solution(&server, "half", &[&met, &missed], &["m"]).await;
    solution(&server, "none", &[&missed], &["m"]).await;
    solution(&server, "all", &[&met], &["m"]).await;
    solution(&server, "unasked", &[], &["m"]).await;
    let names = async |query: &str| {
        let path = format!("{SOLUTIONS}?sort=complianceScore:{query}");
        let list = server.get(&path).await.expect(200);
        let names = column(&list["data"], "name").into_iter().map(text);
        (names.collect::<Vec<_>>(), list["pagination"].clone())
    };
    assert_eq!(names("desc").await.0, ["all", "half", "unasked", "none"]);
    assert_eq!(names("asc").await.0, ["none", "unasked", "half", "all"]);
    let (middle, page) = names("desc&limit=2&offset=1").await;
    assert_eq!(middle, ["half", "unasked"]);
    let expected = json!({"total": 4, "limit": 2, "offset": 1, "hasMore": true});
    assert_eq!(page, expected);
    assert_eq!(names("desc&search=al").await.0, ["all", "half"]);

    declare(&server, "model", "m", json!({"yes": false, "no": true})).await;
    assert_eq!(names("desc").await.0[0], "none");
}

async fn score_follows_what_is_declared(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let policy = policy(&server, "Reviewed", "review.done").await;
    let id = solution(&server, "s", &[&policy], &[&catalog.model]).await;
    // Bound to nothing, it is asked of the model.
    assert_eq!(standing(&server, &id).await, non_compliant(0.0));
    declare(
        &server,
        "model",
        &catalog.model,
        json!({"review": {"done": true}}),
    )
    .await;
    assert_eq!(standing(&server, &id).await, compliant(100.0));

    // Bound to what belongs to the model, it is asked of that instead.
    bind(&server, &policy, "addon", &catalog.source).await;
    bind(&server, &policy, "workflow", &catalog.sync).await;
    bind(&server, &policy, "app", &catalog.destination).await;
    bind(&server, &policy, "app", "elsewhere").await;
    assert_eq!(standing(&server, &id).await, non_compliant(0.0));
    for (resource_type, resource, score) in [
        ("addon", &catalog.source, non_compliant(33.3)),
        ("workflow", &catalog.sync, non_compliant(66.7)),
        ("app", &catalog.destination, compliant(100.0)),
    ] {
        declare(
            &server,
            resource_type,
            resource,
            json!({"review.done": true}),
        )
        .await;
        assert_eq!(standing(&server, &id).await, score, "{resource_type}");
    }
    declare(
        &server,
        "addon",
        &catalog.source,
        json!({"review": {"done": null}}),
    )
    .await;
    assert_eq!(standing(&server, &id).await, non_compliant(66.7));
}

async fn score_follows_the_url_of_a_destination(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let destinations = format!("{ws}/destinations");
    let config = |url: &str| json!({"url": url});
    let hook = json!({
        "name": "hook",
        "type": "webhook",
        "config": config("http://127.0.0.1:9/in"),
    });
    let hook = server.made(&destinations, hook).await;
    let sync = json!({"name": "hooked", "model_id": catalog.model, "destination_id": hook});
    server.made(&format!("{ws}/syncs"), sync).await;
    let policy = policy(&server, "TLS", "encryption.inTransit").await;
    bind(&server, &policy, "app", &hook).await;
    let id = solution(&server, "s", &[&policy], &[&catalog.model]).await;
    assert_eq!(standing(&server, &id).await, non_compliant(0.0));
    for (url, expected) in [
        ("https://127.0.0.1:9/in", compliant(100.0)),
        ("http://127.0.0.1:9/in", non_compliant(0.0)),
    ] {
        let change = json!({"name": "hook", "type": "webhook", "config": config(url)});
        let path = format!("{destinations}/{hook}");
        server.put(&path, change).await.expect(200);
        assert_eq!(standing(&server, &id).await, expected, "{url}");
    }
}

async fn score_follows_reviews_and_the_state_of_policies(server: Server) {
    let ws = server.workspace().await;
    let (_, reviewer) = server.joined(&ws, "reviewer@example.com", ADMIN).await;
    let met = policy(&server, "met", "yes").await;
    let missed = policy(&server, "missed", "no").await;
    declare(&server, "model", "m", json!({"yes": true})).await;
    let instance = bind(&server, &met, "model", "m").await;
    let id = solution(&server, "s", &[&met, &missed], &["m"]).await;
    assert_eq!(standing(&server, &id).await, non_compliant(50.0));

    // A policy that is not in force is not asked for.
    let path = format!("/api/v1/governance/policies/{missed}");
    server
        .put(&path, json!({"isActive": false}))
        .await
        .expect(200);
    assert_eq!(standing(&server, &id).await, compliant(100.0));

    // A denial stands until the next approval.
    let instance = format!("/api/v1/governance/instances/{instance}");
    let review = async |verb: &str| {
        let submit = format!("{instance}/submit");
        server.post(&submit, json!({})).await.expect(200);
        let path = format!("{instance}/{verb}");
        let reviewed = server.by(&reviewer, Method::POST, &path, json!({})).await;
        reviewed.expect(200);
    };
    review("deny").await;
    assert_eq!(standing(&server, &id).await, non_compliant(0.0));
    review("approve").await;
    assert_eq!(standing(&server, &id).await, compliant(100.0));

    let path = format!("/api/v1/governance/policies/{met}");
    server
        .put(&path, json!({"isActive": false}))
        .await
        .expect(200);
    assert_eq!(standing(&server, &id).await, non_compliant(0.0));
}

async fn score_of_a_solution_without_models_counts_what_its_policies_are_bound_to(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let policy = policy(&server, "p", "yes").await;
    let id = solution(&server, "s", &[&policy], &[]).await;
    assert_eq!(standing(&server, &id).await, non_compliant(0.0));
    bind(&server, &policy, "app", "outside").await;
    bind(&server, &policy, "workflow", &catalog.sync).await;
    declare(&server, "app", "outside", json!({"yes": true})).await;
    assert_eq!(standing(&server, &id).await, non_compliant(50.0));
    // What is gone is not asked.
    let path = format!("{ws}/syncs/{}", catalog.sync);
    server.delete(&path).await.expect(204);
    assert_eq!(standing(&server, &id).await, compliant(100.0));
}
