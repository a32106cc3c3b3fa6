//! The schedules of syncs: runs that nobody asks for.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, Catalog, Server, text};
use crate::rig::until;

on_both_stores!(
    sync_runs_when_its_time_has_come,
    schedule_waits_while_the_sync_is_off,
    schedule_of_somebody_who_left_is_blocked,
);

/// Gives the sync a schedule, as somebody.
async fn set(server: &Server, key: Option<&str>, ws: &str, catalog: &Catalog, rest: Value) {
    let mut body = json!({
        "name": "customers to file",
        "model_id": catalog.model,
        "destination_id": catalog.destination,
        "schedule": "0 0 * * *",
    });
    for (name, value) in rest.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let path = format!("{ws}/syncs/{}", catalog.sync);
    match key {
        Some(key) => server.by(key, Method::PUT, &path, body).await,
        None => server.put(&path, body).await,
    }
    .expect(200);
}

async fn runs(server: &Server, ws: &str, sync: &str) -> Vec<Value> {
    let runs = server.get(&format!("{ws}/syncs/{sync}/runs")).await;
    runs.expect(200).as_array().expect("runs").clone()
}

/// Waits until the sync has so many runs, and the newest has ended.
async fn ended(server: &Server, ws: &str, sync: &str, count: usize) -> Value {
    let found = until("a scheduled run", async || {
        let found = runs(server, ws, sync).await;
        (found.len() >= count).then_some(found)
    })
    .await;
    assert_eq!(found.len(), count, "{found:#?}");
    server.finished(ws, &text(&found[0]["id"])).await
}

async fn sync_runs_when_its_time_has_come(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    set(&server, None, &ws, &catalog, json!({})).await;
    assert_eq!(runs(&server, &ws, &catalog.sync).await.len(), 0);
    server.pass(TimeDelta::days(1));
    let run = ended(&server, &ws, &catalog.sync, 1).await;
    assert_eq!(
        (&run["status"], &run["delivered"]),
        (&json!("succeeded"), &json!(3))
    );
    assert_eq!(run["account_id"], json!(server.owner_id().await));
    // The days that were missed are made up for by one run.
    server.pass(TimeDelta::days(3));
    ended(&server, &ws, &catalog.sync, 2).await;
    server.pass(TimeDelta::days(1));
    ended(&server, &ws, &catalog.sync, 3).await;
    let lines = server
        .get(&format!("{ws}/audit?action=run.trigger"))
        .await
        .expect(200);
    for link in lines.as_array().expect("lines") {
        assert_eq!(link["line"]["key_id"], Value::Null);
        assert!(text(&link["line"]["after"]["due_at"]).ends_with(":00:00Z"));
    }
}

async fn schedule_waits_while_the_sync_is_off(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    set(&server, None, &ws, &catalog, json!({"enabled": false})).await;
    server.pass(TimeDelta::days(5));
    set(&server, None, &ws, &catalog, json!({"enabled": true})).await;
    server.pass(TimeDelta::days(1));
    // Of the days while it was off there is none.
    ended(&server, &ws, &catalog.sync, 1).await;
    set(&server, None, &ws, &catalog, json!({"schedule": null})).await;
    server.pass(TimeDelta::days(5));
    set(
        &server,
        None,
        &ws,
        &catalog,
        json!({"schedule": "30 12 * * *"}),
    )
    .await;
    server.pass(TimeDelta::days(1));
    ended(&server, &ws, &catalog.sync, 2).await;
}

async fn schedule_of_somebody_who_left_is_blocked(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let (account_id, key) = server.joined(&ws, "admin@example.com", ADMIN).await;
    set(&server, Some(&key), &ws, &catalog, json!({})).await;
    server.pass(TimeDelta::days(1));
    let run = ended(&server, &ws, &catalog.sync, 1).await;
    assert_eq!(
        (&run["status"], &run["account_id"]),
        (&json!("succeeded"), &json!(account_id))
    );
    let member = format!("{ws}/members/{account_id}");
    server.delete(&member).await.expect(204);
    server.pass(TimeDelta::days(1));
    let run = ended(&server, &ws, &catalog.sync, 2).await;
    assert_eq!(
        (&run["status"], &run["account_id"]),
        (&json!("blocked"), &json!(account_id))
    );
    assert!(text(&run["error"]).contains("no longer a member"));
}

#[tokio::test]
async fn two_servers_run_a_sync_once_for_each_time() {
    let url = crate::support::fresh_postgres().await;
    let one = Server::start_with(|config| config.store_url = url.clone().into()).await;
    let files = one.folder.path().join("data/files");
    let other = Server::start_with(|config| {
        config.store_url = url.into();
        config.file_roots = vec![files];
    })
    .await;
    let ws = one.workspace().await;
    let catalog = one.catalog(&ws).await;
    set(&one, None, &ws, &catalog, json!({})).await;
    for day in 1..=3 {
        one.pass(TimeDelta::days(1));
        other.pass(TimeDelta::days(1));
        ended(&one, &ws, &catalog.sync, day).await;
        ended(&other, &ws, &catalog.sync, day).await;
    }
}
