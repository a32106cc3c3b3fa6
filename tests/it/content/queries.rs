//! Queries: a blocking policy hides the row, over every door.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ALERT, BLOCK, CARDS, body, card, spaced, tells};
use crate::api::fixtures::first_values;
use crate::api::{BOOTSTRAP_KEY, Server, text};

/// The third has the number in a note.
fn customers() -> String {
    let planted = format!("\"card {}\"", spaced());
    let notes = ["fine", "well", &planted, "good", "poor"];
    let lines = notes
        .iter()
        .zip(1..)
        .map(|(note, id)| format!("{id},N{id},{},{note}\n", id * 2));
    "id,name,score,note\n".to_owned() + &lines.collect::<String>()
}

/// A server with a model of them, `customers`.
async fn serving() -> (Server, String) {
    let server = Server::start().await;
    server.write_file("customers.csv", &customers());
    let ws = server.workspace().await;
    let source = json!({"name": "files", "type": "files", "config": {"path": "customers.csv"}});
    let source = server.made(&format!("{ws}/sources"), source).await;
    let model = json!({
        "name": "customers", "source_id": source, "table": "files", "primary_key": ["id"],
    });
    server.made(&format!("{ws}/models"), model).await;
    (server, ws)
}

async fn forbid(server: &Server, action: u8) {
    let me = server.get("/api/v1/me").await.expect(200);
    let policy = body(&me, CARDS, action, json!({}));
    let made = server.as_owner(Method::POST, "/policy", policy).await;
    assert!([200, 201].contains(&made.status), "{:#}", made.body);
}

async fn violations(server: &Server) -> Vec<Value> {
    let me = server.get("/api/v1/me").await.expect(200);
    let org = text(&me["organization_id"]);
    let path = format!("/policy/violations?orgId={org}&take=100");
    let answer = server.get(&path).await.expect(200);
    assert!(!tells(&answer.to_string()), "{answer:#}");
    answer["violations"].as_array().unwrap().clone()
}

async fn ask(server: &Server, ws: &str, sql: &str) -> (u16, Value) {
    let path = format!("{ws}/query");
    let answer = server
        .by(BOOTSTRAP_KEY, Method::POST, &path, json!({"sql": sql}))
        .await;
    assert!(!tells(&answer.body.to_string()), "{sql}: {:#}", answer.body);
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_row_with_a_number_is_hidden_over_http() {
    let (server, ws) = serving().await;
    forbid(&server, BLOCK).await;
    for (sql, expected) in [
        ("SELECT id FROM customers ORDER BY id", json!([1, 2, 4, 5])),
        ("SELECT count(*) FROM customers", json!([4])),
        ("SELECT sum(score) FROM customers", json!([24])),
        (
            "SELECT max(note) FROM customers WHERE note LIKE 'card%'",
            json!([null]),
        ),
        ("SELECT count(*) FROM customers WHERE id = 3", json!([0])),
        (
            "SELECT id FROM customers WHERE 6 / (id - 3) > 2 ORDER BY id",
            json!([4, 5]),
        ),
        ("SELECT count(DISTINCT note) FROM customers", json!([4])),
    ] {
        let (status, answer) = ask(&server, &ws, sql).await;
        assert_eq!(status, 200, "{sql}: {answer:#}");
        assert_eq!(json!(first_values(&answer)), expected, "{sql}");
    }
    // An error of the row would tell of it.
    let casts = "SELECT CAST(replace(note, ' ', '') AS BIGINT) FROM customers WHERE id = 3";
    let (status, answer) = ask(&server, &ws, casts).await;
    assert_eq!(status, 200, "{answer:#}");
    assert!(first_values(&answer).is_empty());
    let (status, plan) = ask(&server, &ws, "EXPLAIN SELECT count(*) FROM customers").await;
    let plan = plan.to_string();
    assert!(
        status != 200 || (!plan.contains("note") && !plan.contains("content")),
        "{plan}"
    );
    let found = violations(&server).await;
    assert!(!found.is_empty());
    let told = Value::from(found).to_string();
    assert!(told.contains("id=3"), "{told}");
}

#[tokio::test]
async fn a_policy_that_alerts_hides_nothing_and_is_on_record() {
    let (server, ws) = serving().await;
    forbid(&server, ALERT).await;
    let (_, answer) = ask(&server, &ws, "SELECT id FROM customers ORDER BY id").await;
    assert_eq!(json!(first_values(&answer)), json!([1, 2, 3, 4, 5]));
    assert_eq!(violations(&server).await.len(), 1);
}

#[tokio::test]
async fn a_row_with_a_number_is_hidden_over_the_postgresql_door() {
    let (server, _) = serving().await;
    forbid(&server, BLOCK).await;
    let owner = server.owner_id().await;
    let key = server.key(&owner, json!(["*"])).await;
    let client = crate::pg::connect(&server, crate::pg::OWNER, &key)
        .await
        .unwrap();
    for (sql, expected) in [
        (
            "SELECT id FROM customers ORDER BY id",
            &["1", "2", "4", "5"][..],
        ),
        ("SELECT count(*) FROM customers", &["4"][..]),
        ("SELECT note FROM customers WHERE id = 3", &[][..]),
    ] {
        assert_eq!(crate::pg::column(&client, sql).await, expected, "{sql}");
    }
    assert!(!violations(&server).await.is_empty());
}

#[tokio::test]
async fn a_row_with_a_number_is_hidden_over_flight() {
    let (server, _) = serving().await;
    forbid(&server, BLOCK).await;
    let owner = server.owner_id().await;
    let key = server.key(&owner, json!(["*"])).await;
    let mut client = crate::flight::client(&server, &key).await;
    for (sql, expected) in [
        (
            "SELECT id FROM customers ORDER BY id",
            &["1", "2", "4", "5"][..],
        ),
        ("SELECT count(*) FROM customers", &["4"][..]),
        ("SELECT note FROM customers WHERE id = 3", &[][..]),
    ] {
        let rows = crate::flight::ask(&mut client, sql).await.expect("rows");
        assert_eq!(rows, expected, "{sql}");
    }
    assert!(!violations(&server).await.is_empty());
}

#[tokio::test]
async fn an_owner_may_look_as_another_where_content_policies_are() {
    let (server, ws) = serving().await;
    forbid(&server, BLOCK).await;
    let (account, _) = server
        .joined(&ws, "ann@example.com", crate::api::MEMBER)
        .await;
    let body = json!({"sql": "SELECT count(*) FROM customers", "account_id": account});
    let path = format!("{ws}/query");
    let answer = server
        .by(BOOTSTRAP_KEY, Method::POST, &path, body)
        .await
        .expect(200);
    assert_eq!(first_values(&answer), [4]);
    assert!(!answer.to_string().contains(&card()));
}
