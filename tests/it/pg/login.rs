//! Who is let in.

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::api::in_an_hour;

#[tokio::test]
async fn any_key_of_an_account_opens_its_workspace() {
    let (server, key) = started().await;
    let owner = server.owner_id().await;
    let second = server.key(&owner, json!(["models:read"])).await;
    for password in [&key, &second] {
        let client = connect(&server, OWNER, password).await.unwrap();
        assert_eq!(
            column(&client, "SELECT count(*) FROM customers").await,
            ["5"]
        );
    }
    let mut unnamed = config(&server, OWNER, &key);
    let client = open(unnamed.dbname(OWNER)).await.unwrap();
    assert_eq!(
        column(&client, "SELECT count(*) FROM customers").await,
        ["5"]
    );
}

#[tokio::test]
async fn keys_that_do_not_work_are_wrong_passwords() {
    let (server, key) = started().await;
    let owner = server.owner_id().await;
    let keys = format!("/api/v1/accounts/{owner}/keys");
    let body = json!({"name": "short", "scopes": ["*"], "expires_at": in_an_hour()});
    let expired = server.post(&keys, body).await.expect(201);
    let expired = expired["key"].as_str().unwrap();
    assert!(connect(&server, OWNER, expired).await.is_ok());
    server.pass(TimeDelta::hours(2));
    let body = json!({"name": "gone", "scopes": ["*"]});
    let revoked = server.post(&keys, body).await.expect(201);
    let path = format!("{keys}/{}", revoked["id"].as_str().unwrap());
    server.delete(&path).await.expect(204);
    let (_, of_another) = server.account("bo@example.com", json!(["*"])).await;
    let mut messages = std::collections::BTreeSet::new();
    for (user, password) in [
        (OWNER, "wrong"),
        (OWNER, ""),
        (OWNER, expired),
        (OWNER, revoked["key"].as_str().unwrap()),
        (OWNER, &of_another),
        ("Owner@localhost", &key),
        ("nobody@example.com", &key),
    ] {
        let error = connect(&server, user, password).await.unwrap_err();
        assert_eq!(code_of(&error), "28P01", "{user}");
        let message = error.as_db_error().unwrap().message().to_owned();
        messages.insert(message.replace(user, "USER"));
    }
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(connect(&server, OWNER, &key).await.is_ok());
}

#[tokio::test]
async fn workspaces_of_others_do_not_exist() {
    let (server, key) = started().await;
    let (_, stranger) = server.account("bo@example.com", json!(["*"])).await;
    for (user, password, database) in [
        (OWNER, &key, "nothing"),
        ("bo@example.com", &stranger, "default"),
        ("bo@example.com", &stranger, "nothing"),
        ("bo@example.com", &stranger, "bo@example.com"),
    ] {
        let mut config = config(&server, user, password);
        let error = open(config.dbname(database)).await.unwrap_err();
        assert_eq!(code_of(&error), "3D000", "{user} {database}");
    }
}

#[tokio::test]
async fn revoked_key_ends_an_open_session() {
    let (server, _) = started().await;
    let owner = server.owner_id().await;
    let keys = format!("/api/v1/accounts/{owner}/keys");
    let body = json!({"name": "second", "scopes": ["*"]});
    let key = server.post(&keys, body).await.expect(201);
    let client = connect(&server, OWNER, key["key"].as_str().unwrap()).await;
    let client = client.unwrap();
    assert_eq!(code(&client, "SELECT * FROM customers").await, "");
    let path = format!("{keys}/{}", key["id"].as_str().unwrap());
    server.delete(&path).await.expect(204);
    assert_eq!(code(&client, "SELECT * FROM customers").await, "28000");
    assert!(
        client
            .simple_query("SELECT 1")
            .await
            .unwrap_err()
            .is_closed()
    );
}

#[tokio::test]
async fn settings_that_come_with_the_client_are_checked() {
    let (server, key) = started().await;
    for (options, expected) in [
        ("-c statement_timeout=5s -c search_path=public", ""),
        ("-c role=admin", "42704"),
        ("-c client_encoding=LATIN1", "0A000"),
        ("nonsense", "42601"),
    ] {
        let mut config = config(&server, OWNER, &key);
        let outcome = open(config.options(options)).await;
        let code = outcome.err().map_or(String::new(), |error| code_of(&error));
        assert_eq!(code, expected, "{options}");
    }
}
