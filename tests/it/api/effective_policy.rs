//! `/workspaces/{id}/models/{modelId}/effective-policy`: which access policies apply to an account.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{House, equals, message};
use super::{NOBODY, Server, text};

on_both_stores!(what_applies_to_an_account_is_told);

async fn what_applies_to_an_account_is_told(server: Server) {
    let house = House::of(&server).await;
    let (ws, model) = (&house.ws, &house.catalog.model);
    let path = format!("{ws}/models/{model}/effective-policy");
    let (analyst, key) = &house.analyst;
    let of = async |account: &str| {
        let answer = server.get(&format!("{path}?account_id={account}")).await;
        answer.expect(200)
    };
    let own = server.get(&path).await.expect(200);
    let owner = server.owner_id().await;
    assert_eq!(own["account_id"], json!(owner));
    assert_eq!(own["model_id"], json!(model));
    assert_eq!(own["rows"], "all");
    assert_eq!(
        (&own["requirements"], &own["filter_tree"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(of(&owner).await, own);

    let theirs = of(analyst).await;
    assert_eq!(theirs["rows"], "some");
    assert_eq!(theirs["filter_tree"], equals("country", "US"));
    let policy = json!({"id": house.policy, "name": "US", "filter_tree": equals("country", "US")});
    let requirement =
        json!({"category_id": house.category, "category": "Region", "policies": [policy]});
    assert_eq!(theirs["requirements"], json!([requirement]));
    let asked = server.by(key, Method::GET, &path, Value::Null).await;
    assert_eq!(asked.expect(200), theirs);

    // A second category that has no policy for them leaves nothing to see.
    let brand = server.category(ws, "Brand", "deny").await;
    let tree = equals("name", "Bo");
    server.subset(ws, &brand, Some(model), "Bo", tree).await;
    let theirs = of(analyst).await;
    assert_eq!(
        (&theirs["rows"], &theirs["filter_tree"]),
        (&json!("none"), &Value::Null)
    );
    assert!(theirs["policy_revision"].as_u64() > own["policy_revision"].as_u64());

    // The audit log tells whose it was.
    let lines = format!("{ws}/audit?action=model.effective_policy");
    let lines = server.get(&lines).await.expect(200);
    assert_eq!(lines[2]["line"]["after"]["account_id"], json!(analyst));
    assert_eq!(text(&lines[2]["line"]["account_id"]), owner);
}

#[tokio::test]
async fn it_is_for_those_who_govern() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let path = format!(
        "{}/models/{}/effective-policy",
        house.ws, house.catalog.model
    );
    let role = server.role(&house.ws, "reader", &["models.read"]).await;
    let (_, key) = server.joined(&house.ws, "r@example.com", &role).await;
    let answer = server.by(&key, Method::GET, &path, Value::Null).await;
    let expected = "your role does not grant governance.read";
    assert_eq!(message(&answer.expect(403)), expected);
    for (query, paths) in [
        (format!("?account_id={NOBODY}"), vec!["$query.account_id"]),
        (
            "?account_id=x&model=y".to_owned(),
            vec!["$query.account_id", "$query.model"],
        ),
    ] {
        let answer = server.get(&format!("{path}{query}")).await;
        assert_eq!(answer.faults(), paths, "{query}");
    }
    let nowhere = format!("{}/models/{NOBODY}/effective-policy", house.ws);
    server.get(&nowhere).await.expect(404);
}
