//! Two servers on one PostgreSQL: what is changed at one holds at the other with its next
//! request.

use reqwest::Method;
use serde_json::json;

use super::fixtures::equals;
use super::{MEMBER, Server, not_in, text};

/// Two servers with one store and one folder for files.
async fn pair() -> (Server, Server) {
    let url = crate::support::fresh_postgres().await;
    let one = Server::start_with(|config| config.store_url = url.clone().into()).await;
    let files = one.folder.path().join("data/files");
    let other = Server::start_with(|config| {
        config.store_url = url.into();
        config.file_roots = vec![files];
    })
    .await;
    (one, other)
}

#[tokio::test]
async fn policy_changed_at_one_governs_at_the_other() {
    let (one, other) = pair().await;
    let ws = one.workspace().await;
    let catalog = one.catalog(&ws).await;
    let rule = format!("{ws}/destination-rules/{}", catalog.policy);
    let (account_id, key) = one.joined(&ws, "m@example.com", MEMBER).await;
    let sent = async |at: &Server| {
        at.ran(&key, &ws, &catalog.sync).await;
        one.sent(&catalog.model)
    };
    let everything = [1, 2, 3, 4, 5];
    // Both know the policies before they change.
    for at in [&one, &other] {
        assert_eq!(at.get(&rule).await.expect(200)["name"], "not from Germany");
        assert_eq!(at.seen(&ws, &catalog.model, &account_id).await, everything);
        assert_eq!(sent(at).await, [2, 3, 4]);
    }
    let change = json!({"filter_tree": not_in("country", ["FR"])});
    other.put(&rule, change).await.expect(200);
    assert_eq!(sent(&one).await, [1, 2, 4]);
    let category = one.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let model = Some(catalog.model.as_str());
    let subset = other.subset(&ws, &category, model, "US", tree).await;
    let nothing = [0; 0];
    assert_eq!(one.seen(&ws, &catalog.model, &account_id).await, nothing);
    assert_eq!(sent(&one).await, nothing);
    let group = one.group(&ws, "US", None).await;
    other.assign(&ws, &subset, &group).await;
    one.enroll(&ws, &group, &account_id).await;
    for at in [&one, &other] {
        assert_eq!(at.seen(&ws, &catalog.model, &account_id).await, [2, 4]);
    }
    assert_eq!(sent(&other).await, [2, 4]);
    one.delete(&format!("{ws}/groups/{group}"))
        .await
        .expect(204);
    assert_eq!(other.seen(&ws, &catalog.model, &account_id).await, nothing);
    assert_eq!(sent(&other).await, nothing);
    // The other has learnt step by step what a new one would load.
    let group = other.group(&ws, "US again", None).await;
    other.enroll(&ws, &group, &account_id).await;
    for i in 0..110 {
        one.put(
            &format!("{ws}/subset-categories/{category}"),
            json!({"name": format!("c{i}")}),
        )
        .await
        .expect(200);
    }
    other.assign(&ws, &subset, &group).await;
    assert_eq!(other.seen(&ws, &catalog.model, &account_id).await, [2, 4]);
    let categories = format!("{ws}/subset-categories");
    assert_eq!(
        other.get(&categories).await.expect(200),
        one.get(&categories).await.expect(200)
    );
}

#[tokio::test]
async fn key_revoked_at_one_is_refused_by_the_other() {
    let (one, other) = pair().await;
    let (account_id, key) = one.account("m@example.com", json!(["*"])).await;
    let ask = async |at: &Server| {
        let answer = at.ask(Some(&key), Method::GET, "/api/v1/me", None).await;
        answer.status
    };
    for at in [&one, &other, &one, &other] {
        assert_eq!(ask(at).await, 200);
    }
    let keys = format!("/api/v1/accounts/{account_id}/keys");
    let listed = other.get(&keys).await.expect(200);
    let revoke = format!("{keys}/{}", text(&listed[0]["id"]));
    other.delete(&revoke).await.expect(204);
    for at in [&one, &other] {
        assert_eq!(ask(at).await, 401);
    }
}

#[tokio::test]
async fn roles_groups_and_members_changed_at_one_count_at_the_other() {
    let (one, other) = pair().await;
    let ws = one.workspace().await;
    let role = one.role(&ws, "mine", &["sources.read"]).await;
    let (account_id, key) = one.joined(&ws, "m@example.com", &role).await;
    let held = async |at: &Server| at.permissions(&ws, &key).await;
    for at in [&one, &other] {
        assert_eq!(held(at).await, ["sources.read"]);
    }
    let change = json!({"permissions": ["models.read"]});
    other
        .put(&format!("{ws}/roles/{role}"), change)
        .await
        .expect(200);
    assert_eq!(held(&one).await, ["models.read"]);
    let more = one.role(&ws, "more", &["syncs.read"]).await;
    let group = other.group(&ws, "more", Some(&more)).await;
    one.enroll(&ws, &group, &account_id).await;
    assert_eq!(held(&other).await, ["models.read", "syncs.read"]);
    other
        .delete(&format!("{ws}/groups/{group}"))
        .await
        .expect(204);
    assert_eq!(held(&one).await, ["models.read"]);
    one.delete(&format!("{ws}/members/{account_id}"))
        .await
        .expect(204);
    let path = format!("{ws}/permissions/me");
    let answer = other.ask(Some(&key), Method::GET, &path, None).await;
    answer.expect(404);
}

#[tokio::test]
async fn changes_at_both_at_the_same_time_are_all_kept() {
    let (one, other) = pair().await;
    let ws = one.workspace().await;
    let categories = format!("{ws}/subset-categories");
    let (list, servers) = (&categories, [&one, &other]);
    let made = (0..16).map(|i| {
        let body = json!({"name": format!("c{i}")});
        async move { servers[i % 2].post(list, body).await }
    });
    let mut made: Vec<String> = futures::future::join_all(made)
        .await
        .into_iter()
        .map(|answer| text(&answer.expect(201)["id"]))
        .collect();
    made.sort();
    for at in servers {
        let listed = at.get(list).await.expect(200);
        let listed = super::fixtures::column(&listed, "id");
        let mut listed: Vec<String> = listed.into_iter().map(text).collect();
        listed.sort();
        assert_eq!(listed, made);
    }
    let revisions = other.get(&format!("{ws}/revisions")).await.expect(200);
    assert_eq!(revisions.as_array().map(Vec::len), Some(17));
}
