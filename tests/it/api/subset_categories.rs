//! `/workspaces/{id}/subset-categories`.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{equals, is_id, is_time, keys, message, revision};
use super::{NOBODY, Server, text};

on_both_stores!(
    category_comes_changes_and_goes,
    category_name_is_unique_in_its_workspace,
    category_with_policies_is_not_deleted,
    every_fault_of_a_category_is_told,
    category_that_was_changed_meanwhile_is_412,
    categories_are_for_those_who_govern,
    category_that_is_not_there_is_404,
);

async fn category_comes_changes_and_goes(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/subset-categories");
    assert_eq!(server.get(&list).await.expect(200), json!([]));
    let answer = server.post(&list, json!({"name": "Region"})).await;
    let first = revision(&answer);
    let made = answer.expect(201);
    let fields = [
        "id",
        "workspace_id",
        "name",
        "description",
        "unassigned",
        "created_at",
        "updated_at",
    ];
    assert_eq!(keys(&made), fields);
    assert!(is_id(&made["id"]) && is_time(&made["created_at"]) && is_time(&made["updated_at"]));
    assert_eq!(json!(ws.rsplit('/').next()), made["workspace_id"]);
    assert_eq!(
        (&made["description"], &made["unassigned"]),
        (&json!(""), &json!("deny"))
    );
    let one = format!("{list}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);

    let brand = json!({"name": "Brand", "description": "Ours", "unassigned": "allow"});
    let brand_made = server.post(&list, brand.clone()).await.expect(201);
    for (key, value) in brand.as_object().expect("an object") {
        assert_eq!(&brand_made[key], value, "{key}");
    }
    let both = json!([made, brand_made]);
    assert_eq!(server.get(&list).await.expect(200), both);

    let answer = server.put(&one, json!({"unassigned": "allow"})).await;
    assert_eq!(revision(&answer), first + 2);
    let changed = answer.expect(200);
    let mut expected = made.clone();
    expected["unassigned"] = json!("allow");
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expected);
    assert_eq!(server.get(&one).await.expect(200), changed);
    let change = json!({"name": "Land", "description": "Where they live"});
    let changed = server.put(&one, change).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["unassigned"]),
        (&json!("Land"), &json!("allow"))
    );

    let answer = server.delete(&one).await;
    assert_eq!(revision(&answer), first + 4);
    answer.expect(204);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        server.as_owner(method, &one, json!({})).await.expect(404);
    }
    let left = json!([brand_made]);
    assert_eq!(server.get(&list).await.expect(200), left);
}

async fn category_name_is_unique_in_its_workspace(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/subset-categories");
    server.category(&ws, "Region", "deny").await;
    let brand = server.category(&ws, "Brand", "deny").await;
    let taken = json!({"name": "Region"});
    let error = server.post(&list, taken.clone()).await.expect(409);
    assert!(message(&error).contains("\"Region\""), "{error}");
    server
        .put(&format!("{list}/{brand}"), taken)
        .await
        .expect(409);
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    server.category(&other, "Region", "deny").await;
}

async fn category_with_policies_is_not_deleted(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let subset = server
        .subset(&ws, &category, None, "US", equals("country", "US"))
        .await;
    let one = format!("{ws}/subset-categories/{category}");
    let revisions = format!("{ws}/revisions");
    let before = server.get(&revisions).await.expect(200);
    let error = server.delete(&one).await.expect(409);
    assert!(message(&error).contains("in use"), "{error}");
    assert_eq!(server.get(&revisions).await.expect(200), before);
    server
        .delete(&format!("{ws}/subsets/{subset}"))
        .await
        .expect(204);
    server.delete(&one).await.expect(204);
}

async fn every_fault_of_a_category_is_told(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/subset-categories");
    let category = server.category(&ws, "Region", "deny").await;
    let faulty: [(Value, &[&str]); 4] = [
        (json!({"name": null}), &["$.name"]),
        (
            json!({"name": "", "description": 1, "unassigned": "perhaps"}),
            &["$.description", "$.name", "$.unassigned"],
        ),
        (json!({"name": "x", "unassigned": true}), &["$.unassigned"]),
        (
            json!({"name": "x", "unasigned": "allow", "id": NOBODY}),
            &["$.id", "$.unasigned"],
        ),
    ];
    server
        .refuses(Method::POST, &list, &list, faulty.clone())
        .await;
    let one = format!("{list}/{category}");
    server.refuses(Method::PUT, &one, &list, faulty).await;
}

async fn category_that_was_changed_meanwhile_is_412(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let path = format!("{ws}/subset-categories/{category}");
    let change = json!({"unassigned": "allow"});
    server.heeds_if_match(&path, change).await;
}

async fn categories_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let list = format!("{ws}/subset-categories");
    let one = format!("{list}/{category}");
    let writes = [
        (Method::POST, list.as_str(), json!({"name": "Brand"})),
        (Method::PUT, one.as_str(), json!({"unassigned": "allow"})),
        (Method::DELETE, one.as_str(), json!({})),
    ];
    server.is_governed(&ws, &[&list, &one], &writes).await;
}

async fn category_that_is_not_there_is_404(server: Server) {
    let ws = server.workspace().await;
    let one = format!("{ws}/subset-categories/{NOBODY}");
    let requests = [Method::GET, Method::PUT, Method::DELETE]
        .map(|method| (method, one.clone(), json!({"name": "x"})));
    server.knows_none_of(&requests).await;
}
