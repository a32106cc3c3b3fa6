//! `/workspaces/{id}/preview` and `/workspaces/{id}/explain`.

use reqwest::Method;
use serde_json::json;

use super::fixtures::{House, message};
use super::{NOBODY, Server, not_in, text};

on_both_stores!(preview_as_another_account_counts_their_rows);

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
async fn a_preview_of_ones_own_making_takes_leave_to_read() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let owner = server.owner_id().await;
    let preview = format!("{ws}/preview");
    let draft = ("filter_tree", not_in("country", ["FR"]));
    let eyes = ("account_id", json!(owner));
    for (name, permissions, status) in [
        ("auditor", &["governance.read"][..], 403),
        ("reader", &["governance.read", "models.read"][..], 200),
    ] {
        let role = server.role(&ws, name, permissions).await;
        let email = format!("{name}@example.com");
        let key = server.member(&ws, &email, &role).await;
        let mut body = json!({"model_id": catalog.model, "destination_type": "file"});
        let plain = server
            .by(&key, Method::POST, &preview, body.clone())
            .await
            .expect(200);
        assert_eq!(plain["read"], 5, "{name}");
        for (field, value) in [&draft, &eyes] {
            body[field] = value.clone();
            let answer = server
                .by(&key, Method::POST, &preview, body.clone())
                .await
                .expect(status);
            if status == 403 {
                assert_eq!(message(&answer), "your role does not grant models.read");
            }
            body[field] = json!(null);
        }
    }
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

async fn preview_as_another_account_counts_their_rows(server: Server) {
    let house = House::of(&server).await;
    let preview = format!("{}/preview", house.ws);
    let (analyst, key) = &house.analyst;
    let body = |account: Option<&str>| json!({"model_id": house.catalog.model, "destination_type": "file", "account_id": account});
    let counts = |counted: &serde_json::Value| {
        ["read", "passing", "withheld"].map(|name| counted[name].as_u64().expect("a count"))
    };
    let own = server.post(&preview, body(None)).await.expect(200);
    assert_eq!(counts(&own), [5, 3, 2]);
    let theirs = server.post(&preview, body(Some(analyst))).await.expect(200);
    assert_eq!(counts(&theirs), [2, 2, 0]);
    let asked = server.by(key, Method::POST, &preview, body(None)).await;
    assert_eq!(asked.expect(200), theirs);

    // The log names the account that was looked at, and only then.
    let path = format!("{}/audit?action=model.preview", house.ws);
    let lines = server.get(&path).await.expect(200);
    let lines = lines.as_array().expect("lines");
    let accounts: Vec<_> = lines
        .iter()
        .map(|line| line["line"]["after"].get("account_id").cloned())
        .collect();
    assert_eq!(accounts, [None, Some(json!(analyst)), None]);
    let owner = server.owner_id().await;
    assert_eq!(lines[1]["line"]["account_id"], json!(owner));

    // Who sees less than every row looks through nobody's eyes but their own.
    let attempt = server
        .by(key, Method::POST, &preview, body(Some(&owner)))
        .await;
    assert_eq!(
        message(&attempt.expect(403)),
        "evaluating as another account takes an account that sees every row of the model itself"
    );
    let asked = server
        .by(key, Method::POST, &preview, body(Some(analyst)))
        .await;
    assert_eq!(asked.expect(200), theirs);
    let nobody = server.post(&preview, body(Some(NOBODY))).await;
    assert_eq!(nobody.faults(), ["$.account_id"]);
}
