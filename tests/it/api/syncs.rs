//! `/workspaces/{id}/syncs`.

use serde_json::{Value, json};

use super::{NOBODY, Server, text};

#[tokio::test]
async fn a_sync_is_made_read_replaced_and_removed() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let one = format!("{ws}/syncs/{}", catalog.sync);
    let made = server.get(&one).await.expect(200);
    for (key, value) in [
        ("mode", json!("full")),
        ("mapping", Value::Null),
        ("environment", json!("production")),
        ("schedule", Value::Null),
        ("enabled", json!(true)),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    let body = json!({
        "name": "customers to file",
        "model_id": catalog.model,
        "destination_id": catalog.destination,
        "mode": "mirror",
        "mapping": [{"from": "id", "to": "ID"}, {"from": "name", "to": "id"}],
        "environment": "staging",
        "schedule": "*/5 * * * *",
        "enabled": false,
    });
    let replaced = server.put(&one, body.clone()).await.expect(200);
    for key in ["mode", "mapping", "environment", "schedule", "enabled"] {
        assert_eq!(replaced[key], body[key], "{key}");
    }
    assert_eq!(replaced["created_at"], made["created_at"]);
    server.post(&format!("{ws}/syncs"), body).await.expect(409);
    assert_eq!(
        server.get(&format!("{ws}/syncs")).await.expect(200),
        json!([replaced])
    );
    server
        .post(&format!("{one}/trigger"), json!({}))
        .await
        .expect(409);
    server.delete(&one).await.expect(204);
    server.get(&one).await.expect(404);
    server.delete(&one).await.expect(404);
    server
        .put(&format!("{ws}/syncs/{NOBODY}"), json!({}))
        .await
        .expect(404);
    server
        .post(&format!("{ws}/syncs/{NOBODY}/trigger"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_sync_is_validated() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let hook = json!({"name": "hook", "type": "webhook", "config": {"url": "http://127.0.0.1:9/"}});
    let hook = server
        .post(&format!("{ws}/destinations"), hook)
        .await
        .expect(201);
    let keyless = json!({"name": "keyless", "source_id": catalog.source, "table": "files"});
    let keyless = server
        .post(&format!("{ws}/models"), keyless)
        .await
        .expect(201);
    let good =
        json!({"name": "x", "model_id": catalog.model, "destination_id": catalog.destination});
    for (change, paths) in [
        (
            json!({"name": null, "model_id": null, "destination_id": null}),
            vec!["$.destination_id", "$.model_id", "$.name"],
        ),
        (
            json!({"model_id": NOBODY, "destination_id": NOBODY}),
            vec!["$.destination_id", "$.model_id"],
        ),
        (
            json!({"mode": "most", "environment": "moon"}),
            vec!["$.environment", "$.mode"],
        ),
        (
            json!({"mode": "mirror", "destination_id": hook["id"]}),
            vec!["$.mode"],
        ),
        (
            json!({"mode": "upsert", "model_id": keyless["id"]}),
            vec!["$.model_id"],
        ),
        (
            json!({"mode": "upsert", "mapping": [{"from": "name", "to": "name"}]}),
            vec!["$.mapping"],
        ),
        (json!({"mapping": []}), vec!["$.mapping"]),
        (json!({"mapping": [{"from": "id"}]}), vec!["$.mapping"]),
        (
            json!({"mapping": [{"from": "id", "to": "a"}, {"from": "nothing", "to": "a"}, {"from": "name", "to": ""}]}),
            vec!["$.mapping[1].from", "$.mapping[1].to", "$.mapping[2].to"],
        ),
        (
            json!({"schedule": "now and then", "enabled": "yes"}),
            vec!["$.enabled", "$.schedule"],
        ),
        (json!({"schedule": "0 0 30 2 *"}), vec!["$.schedule"]),
        (json!({"owner_id": NOBODY}), vec!["$.owner_id"]),
    ] {
        let mut body = good.clone();
        for (key, value) in change.as_object().expect("an object") {
            body[key] = value.clone();
        }
        assert_eq!(
            server
                .post(&format!("{ws}/syncs"), body.clone())
                .await
                .faults(),
            paths,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_triggered_sync_delivers_what_policy_lets_through() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let triggered = server
        .post(&format!("{ws}/syncs/{}/trigger", catalog.sync), json!({}))
        .await
        .expect(202);
    let run = server.finished(&ws, &text(&triggered["run_id"])).await;
    assert_eq!(run["status"], "succeeded", "{run:#}");
    for (count, value) in [
        ("read", 5),
        ("delivered", 3),
        ("withheld", 2),
        ("rejected", 0),
        ("invalid", 0),
        ("failed", 0),
    ] {
        assert_eq!(run[count], value, "{count}");
    }
    let by = json!([{"policy_id": catalog.policy, "kind": "destination", "count": 2}]);
    assert_eq!(run["withheld_by"], by);
    let file = format!("data/files/out-{}.ndjson", catalog.model);
    let sent = std::fs::read_to_string(server.folder.path().join(file)).expect("the file");
    let names: Vec<Value> = sent
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a record")["name"].clone())
        .collect();
    assert_eq!(names, ["Bo", "Cy", "Di"]);
}
