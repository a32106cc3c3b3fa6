//! `/accounts/{id}/keys`: use, expiry and end of a key.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{is_time, keys};
use super::{MEMBER, NOBODY, Server, text};

on_both_stores!(
    use_of_a_key_is_noted,
    key_works_until_it_expires,
    revoked_key_is_refused_at_once,
    key_that_is_almost_right_is_refused,
    keys_of_another_account_are_not_found,
);

/// A key of a new account: the account's path to its keys, and the answer that shows the key.
async fn key(server: &Server, expires_at: Option<DateTime<Utc>>) -> (String, Value) {
    let (account_id, _) = server.account("k@example.com", json!(["*"])).await;
    let path = format!("/api/v1/accounts/{account_id}/keys");
    let body = json!({"name": "ci", "scopes": ["*"], "expires_at": expires_at});
    let made = server.post(&path, body).await.expect(201);
    (path, made)
}

async fn status(server: &Server, key: &str) -> u16 {
    let answer = server.ask(Some(key), Method::GET, "/api/v1/me", None).await;
    answer.status
}

async fn use_of_a_key_is_noted(server: Server) {
    let (path, made) = key(&server, None).await;
    let fields = [
        "id",
        "account_id",
        "name",
        "scopes",
        "expires_at",
        "last_used_at",
        "created_at",
        "key",
    ];
    assert_eq!(keys(&made), fields);
    assert_eq!(
        (&made["expires_at"], &made["last_used_at"]),
        (&Value::Null, &Value::Null)
    );
    let listed = async || {
        let all = server.get(&path).await.expect(200);
        let all = all.as_array().expect("keys").clone();
        let one = all.into_iter().find(|one| one["id"] == made["id"]);
        one.expect("the key")
    };
    let before = listed().await;
    assert_eq!(keys(&before), fields[..7]);
    assert_eq!(before["last_used_at"], Value::Null);
    // A wrong secret is no use of the key.
    let wrong = format!("{}0", text(&made["key"]));
    assert_eq!(status(&server, &wrong).await, 401);
    assert_eq!(listed().await, before);
    assert_eq!(status(&server, &text(&made["key"])).await, 200);
    let used = listed().await;
    assert!(is_time(&used["last_used_at"]), "{used}");
    let time = |key: &Value| {
        let at = DateTime::parse_from_rfc3339(&text(&key["last_used_at"]));
        at.expect("a time")
    };
    assert!(time(&used).signed_duration_since(Utc::now()).abs() < TimeDelta::minutes(1));
    // To the minute.
    server.pass(TimeDelta::minutes(5));
    assert_eq!(listed().await, used);
    assert_eq!(status(&server, &text(&made["key"])).await, 200);
    let later = time(&listed().await) - time(&used);
    assert!(later >= TimeDelta::minutes(5), "{later}");
}

async fn key_works_until_it_expires(server: Server) {
    let expires_at = Utc::now() + TimeDelta::hours(1);
    let (_, made) = key(&server, Some(expires_at)).await;
    assert!(is_time(&made["expires_at"]));
    let key = text(&made["key"]);
    server.pass(TimeDelta::minutes(58));
    assert_eq!(status(&server, &key).await, 200);
    server.pass(TimeDelta::minutes(2));
    assert_eq!(status(&server, &key).await, 401);
}

async fn revoked_key_is_refused_at_once(server: Server) {
    let (path, made) = key(&server, None).await;
    let one = format!("{path}/{}", text(&made["id"]));
    let key = text(&made["key"]);
    for _ in 0..3 {
        assert_eq!(status(&server, &key).await, 200);
    }
    server.delete(&one).await.expect(204);
    assert_eq!(status(&server, &key).await, 401);
    server.delete(&one).await.expect(404);
    let left = server.get(&path).await.expect(200);
    assert!(!left.to_string().contains(&text(&made["id"])));
}

async fn key_that_is_almost_right_is_refused(server: Server) {
    let (_, made) = key(&server, None).await;
    let right = text(&made["key"]);
    let last = if right.ends_with('0') { '1' } else { '0' };
    let mut other_secret = right.clone();
    other_secret.pop();
    other_secret.push(last);
    for wrong in [
        other_secret.as_str(),
        &right[..right.len() - 1],
        &right.to_uppercase(),
        &right[4..],
        "sgk_",
        "sgk_0000000000000000_0000",
    ] {
        assert_eq!(status(&server, wrong).await, 401);
    }
    assert_eq!(status(&server, &right).await, 200);
}

async fn keys_of_another_account_are_not_found(server: Server) {
    let ws = server.workspace().await;
    let (path, made) = key(&server, None).await;
    let (other, theirs) = server.joined(&ws, "o@example.com", MEMBER).await;
    let id = text(&made["id"]);
    let elsewhere = format!("/api/v1/accounts/{other}/keys");
    server
        .delete(&format!("{elsewhere}/{id}"))
        .await
        .expect(404);
    server.delete(&format!("{path}/{NOBODY}")).await.expect(404);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::POST, path.clone()),
        (Method::DELETE, format!("{path}/{id}")),
    ] {
        let answer = server.by(&theirs, method.clone(), &path, json!({})).await;
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    assert_eq!(status(&server, &text(&made["key"])).await, 200);
}
