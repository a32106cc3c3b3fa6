//! What a change of a content policy does beside, and what does something to content policies.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Org, VAGUE, create, names, refused, told};
use crate::api::{Server, not_in, text};

on_both_stores!(
    repeated_creation_makes_one_policy,
    change_is_a_revision_and_a_line_of_the_log,
    restoration_and_new_workspaces_keep_what_applies,
    source_that_is_deleted_takes_its_policies_along,
);

async fn repeated_creation_makes_one_policy(server: Server) {
    let org = Org::of(&server).await;
    let header = ("idempotency-key", "once");
    let create = async |policy: Value| {
        server
            .with_header(Method::POST, "/policy", header, policy)
            .await
    };
    let first = told(create(org.within("one", None)).await, 201);
    let again = create(org.within("one", None)).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(told(again, 201), first);
    refused(create(org.within("two", None)).await, 400);
    let ours = format!("&workspaceId={}", org.workspace);
    assert_eq!(names(&server, &org.list(&ours)).await, ["one"]);
}

async fn change_is_a_revision_and_a_line_of_the_log(server: Server) {
    let org = Org::of(&server).await;
    let ws = &org.ws;
    let revision = async || {
        let revisions = server.get(&format!("{ws}/revisions")).await.expect(200);
        revisions[0]["revision"].as_u64().expect("a number")
    };
    let before = revision().await;
    let here = create(&server, org.within("here", None)).await;
    let all = create(&server, org.policy("all", VAGUE, 0)).await;
    let path = format!("/policy/{}", text(&all["id"]));
    server
        .put(&path, json!({"riskType": "LOW"}))
        .await
        .expect(200);
    assert_eq!(revision().await, before + 3);
    let lines = async |path: &str| {
        let lines = server
            .get(&format!("{path}?object_kind=content_policy"))
            .await;
        let lines = lines.expect(200);
        let lines = lines.as_array().expect("lines").clone();
        let told = |link: &Value| {
            (
                text(&link["line"]["action"]),
                link["line"]["object_id"].clone(),
            )
        };
        lines.iter().map(told).collect::<Vec<_>>()
    };
    let expected = [("content_policy.create".to_owned(), here["id"].clone())];
    assert_eq!(lines(&format!("{ws}/audit")).await, expected);
    let expected = [
        ("content_policy.create".to_owned(), all["id"].clone()),
        ("content_policy.update".to_owned(), all["id"].clone()),
    ];
    assert_eq!(lines("/api/v1/audit").await, expected);
}

async fn restoration_and_new_workspaces_keep_what_applies(server: Server) {
    let org = Org::of(&server).await;
    let ws = &org.ws;
    let revisions = server.get(&format!("{ws}/revisions")).await.expect(200);
    let first = revisions[0]["revision"].as_u64().expect("a number");
    let rule = json!({
        "name": "rule", "destination_type": "file", "filter_tree": not_in("country", ["DE"]),
    });
    server.made(&format!("{ws}/destination-rules"), rule).await;
    create(&server, org.policy("all", VAGUE, 0)).await;
    create(&server, org.within("here", None)).await;
    let restore = format!("{ws}/revisions/{first}/restore");
    server.post(&restore, json!({})).await.expect(200);
    let ours = format!("&workspaceId={}&effective=true", org.workspace);
    assert_eq!(names(&server, &org.list(&ours)).await, ["here", "all"]);
    let new = server
        .made("/api/v1/workspaces", json!({"name": "new"}))
        .await;
    let new = format!("&workspaceId={new}&effective=true");
    assert_eq!(names(&server, &org.list(&new)).await, ["all"]);
}

async fn source_that_is_deleted_takes_its_policies_along(server: Server) {
    let org = Org::of(&server).await;
    let policy = create(&server, org.within("source", Some(&org.source))).await;
    create(&server, org.within("here", None)).await;
    let path = format!("{}/sources/{}", org.ws, org.source);
    server.delete(&path).await.expect(204);
    let path = format!("/policy/{}", text(&policy["id"]));
    refused(server.get(&path).await, 404);
    let ours = format!("&workspaceId={}", org.workspace);
    assert_eq!(names(&server, &org.list(&ours)).await, ["here"]);
}
