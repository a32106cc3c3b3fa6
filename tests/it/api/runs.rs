//! Runs: listed, read, cancelled.

use serde_json::json;

use super::{NOBODY, Server, text};

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let sync = format!("{ws}/syncs/{}", catalog.sync);
    assert_eq!(
        server.get(&format!("{sync}/runs")).await.expect(200),
        json!([])
    );
    let mut ids = Vec::new();
    for _ in 0..2 {
        let triggered = server
            .post(&format!("{sync}/trigger"), json!({}))
            .await
            .expect(202);
        ids.insert(0, text(&triggered["run_id"]));
        server.finished(&ws, &ids[0]).await;
    }
    let listed = server.get(&format!("{sync}/runs")).await.expect(200);
    let listed: Vec<_> = listed
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| text(&run["id"]))
        .collect();
    assert_eq!(listed, ids);
    server
        .get(&format!("{ws}/syncs/{NOBODY}/runs"))
        .await
        .expect(404);
    server.get(&format!("{ws}/runs/{NOBODY}")).await.expect(404);
    server
        .post(&format!("{ws}/runs/{NOBODY}/cancel"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_run_that_cannot_deliver_is_cancelled_and_one_that_ended_is_not() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    // Nothing listens there: the run goes on trying.
    let hook = json!({"name": "hook", "type": "webhook", "config": {"url": "http://127.0.0.1:9/"}});
    let hook = server
        .post(&format!("{ws}/destinations"), hook)
        .await
        .expect(201);
    let sync = json!({"name": "stuck", "model_id": catalog.model, "destination_id": hook["id"]});
    let sync = server.post(&format!("{ws}/syncs"), sync).await.expect(201);
    let path = format!("{ws}/syncs/{}/trigger", text(&sync["id"]));
    let run = text(&server.post(&path, json!({})).await.expect(202)["run_id"]);
    let cancel = format!("{ws}/runs/{run}/cancel");
    assert_eq!(
        server.post(&cancel, json!({})).await.expect(200)["id"],
        json!(run)
    );
    assert_eq!(server.finished(&ws, &run).await["status"], "cancelled");
    server.post(&cancel, json!({})).await.expect(409);
}
