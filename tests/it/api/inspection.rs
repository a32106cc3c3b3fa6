//! `/workspaces/{id}/preview` and `/workspaces/{id}/explain`.

use serde_json::json;

use super::{NOBODY, Server, not_in, text};

#[tokio::test]
async fn a_preview_counts_with_and_without_a_draft() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let preview = format!("{ws}/preview");
    let saved = json!({"model_id": catalog.model, "destination_type": "file"});
    let counted = server.post(&preview, saved.clone()).await.expect(200);
    assert_eq!(
        (&counted["read"], &counted["passing"], &counted["withheld"]),
        (&json!(5), &json!(3), &json!(2))
    );
    let by = json!([{"policy_id": catalog.policy, "kind": "destination", "count": 2}]);
    assert_eq!(counted["withheld_by"], by);
    let mut draft = saved;
    draft["filter_tree"] = not_in("country", ["FR"]);
    let counted = server.post(&preview, draft).await.expect(200);
    assert_eq!(
        (&counted["passing"], &counted["withheld"]),
        (&json!(2), &json!(3))
    );
    let free = json!({"model_id": catalog.model, "destination_type": "webhook"});
    assert_eq!(server.post(&preview, free).await.expect(200)["passing"], 5);
}

#[tokio::test]
async fn a_preview_is_validated() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    for (body, paths) in [
        (json!({}), vec!["$.destination_type", "$.model_id"]),
        (
            json!({"model_id": NOBODY, "destination_type": "file", "filter_tree": []}),
            vec!["$.filter_tree", "$.model_id"],
        ),
        (
            json!({"model_id": catalog.model, "destination_type": "file", "filter_tree": not_in("land", ["DE"])}),
            vec!["$.filter_tree.column"],
        ),
    ] {
        assert_eq!(
            server
                .post(&format!("{ws}/preview"), body.clone())
                .await
                .faults(),
            paths,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_explanation_names_the_policy() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let body = json!({
        "model_id": catalog.model,
        "destination_type": "file",
        "records": [
            {"id": 1, "name": "Ada", "country": "DE", "consent": true},
            {"id": 2, "name": "Bo", "country": "US", "consent": true},
            {"id": 3, "name": "Ed"},
        ],
    });
    let explained = server
        .post(&format!("{ws}/explain"), body)
        .await
        .expect(200);
    let explained = explained.as_array().expect("one a record");
    assert_eq!(explained.len(), 3);
    let named = |i: usize| explained[i].to_string().contains(&catalog.policy);
    assert!(named(0) && named(2), "{explained:#?}");
    let passes: Vec<_> = explained
        .iter()
        .map(|one| one["passes"].as_bool())
        .collect();
    assert_eq!(passes, [Some(false), Some(true), Some(false)]);
}

#[tokio::test]
async fn records_to_explain_are_validated() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let me = server.get("/api/v1/me").await.expect(200);
    let account_id = text(&me["account"]["id"]);
    for (body, paths) in [
        (json!({}), vec!["$.model_id", "$.records"]),
        (
            json!({"model_id": catalog.model, "records": {}}),
            vec!["$.records"],
        ),
        (
            json!({"model_id": catalog.model, "records": [{}, 7]}),
            vec!["$.records[1]"],
        ),
        (
            json!({"model_id": catalog.model, "records": [], "account_id": NOBODY}),
            vec!["$.account_id"],
        ),
        (
            json!({"model_id": catalog.model, "records": [], "account_id": account_id, "destination_type": "A"}),
            vec!["$.destination_type"],
        ),
        (
            json!({"model_id": catalog.model, "records": [{"id": 1}, {"id": "one"}]}),
            vec!["$.records[1].id"],
        ),
    ] {
        assert_eq!(
            server
                .post(&format!("{ws}/explain"), body.clone())
                .await
                .faults(),
            paths,
            "{body}"
        );
    }
}
