//! `/workspaces/{id}/alert_channels`.

use serde_json::{Value, json};

use super::{NOBODY, Server, text};

const KEY: &str = "whsec_dGVsbC1ub2JvZHk=";

on_both_stores!(
    a_channel_is_made_read_replaced_and_removed,
    a_kept_key_does_not_move_to_another_host,
    the_url_of_a_slack_channel_is_a_secret,
    a_channel_is_validated,
    changes_are_told_without_secrets,
);

async fn channels(server: &Server) -> String {
    format!("{}/alert_channels", server.workspace().await)
}

fn webhook() -> Value {
    let url = "http://127.0.0.1:9/in?key=tell-nobody";
    json!({"name": "ops", "type": "webhook", "url": url, "secret": KEY})
}

fn slack() -> Value {
    let url = "http://127.0.0.1:9/services/tell-nobody";
    json!({"name": "team", "type": "slack", "url": url})
}

async fn a_channel_is_made_read_replaced_and_removed(server: Server) {
    let channels = channels(&server).await;
    let made = server.post(&channels, webhook()).await.expect(201);
    assert_eq!(made["url"], "http://127.0.0.1:9/in?********");
    assert_eq!(
        (&made["secret"], &made["enabled"]),
        (&json!("********"), &json!(true))
    );
    server.post(&channels, webhook()).await.expect(409);
    let one = format!("{channels}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    let shown = json!({
        "name": "on call", "url": made["url"], "secret": made["secret"], "enabled": false,
    });
    let replaced = server.put(&one, shown).await.expect(200);
    assert_eq!(
        (&replaced["name"], &replaced["enabled"]),
        (&json!("on call"), &json!(false))
    );
    assert_eq!(
        (&replaced["url"], &replaced["secret"]),
        (&made["url"], &made["secret"])
    );
    let bare = json!({"name": "on call", "type": "webhook", "url": made["url"]});
    let bare = server.put(&one, bare).await.expect(200);
    assert_eq!(
        (&bare["secret"], &bare["enabled"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(server.get(&channels).await.expect(200), json!([bare]));
    server.delete(&one).await.expect(204);
    server.get(&one).await.expect(404);
    server
        .get(&format!("{channels}/{NOBODY}"))
        .await
        .expect(404);
}

async fn a_kept_key_does_not_move_to_another_host(server: Server) {
    let channels = channels(&server).await;
    let made = server.post(&channels, webhook()).await.expect(201);
    let one = format!("{channels}/{}", text(&made["id"]));
    let moved = json!({"name": "ops", "url": "http://127.0.0.2:9/in", "secret": "********"});
    assert_eq!(server.put(&one, moved).await.faults(), ["$.secret"]);
    let url = "http://127.0.0.2:9/in?********";
    let moved = json!({"name": "ops", "url": url, "secret": KEY});
    assert_eq!(server.put(&one, moved).await.faults(), ["$.url"]);
    let elsewhere = json!({"name": "ops", "url": "http://127.0.0.1:9/out", "secret": "********"});
    server.put(&one, elsewhere).await.expect(200);
}

async fn the_url_of_a_slack_channel_is_a_secret(server: Server) {
    let channels = channels(&server).await;
    let made = server.post(&channels, slack()).await.expect(201);
    assert_eq!(made["url"], "http://127.0.0.1:9/********");
    assert_eq!(made["secret"], Value::Null);
    let one = format!("{channels}/{}", text(&made["id"]));
    let shown = json!({"name": "team", "type": "slack", "url": made["url"], "enabled": false});
    server.put(&one, shown).await.expect(200);
    let webhook = json!({"name": "team", "type": "webhook", "url": made["url"]});
    assert_eq!(server.put(&one, webhook).await.faults(), ["$.type"]);
}

async fn a_channel_is_validated(server: Server) {
    let channels = channels(&server).await;
    let url = "http://127.0.0.1:9/";
    for (body, paths) in [
        (json!({}), vec!["$.name", "$.type", "$.url"]),
        (
            json!({"name": "x", "type": "pager", "url": url}),
            vec!["$.type"],
        ),
        (
            json!({"name": "x", "type": "slack", "url": "http://10.0.0.1/"}),
            vec!["$.url"],
        ),
        (
            json!({"name": "x", "type": "slack", "url": "file:///x"}),
            vec!["$.url"],
        ),
        (
            json!({"name": "x", "type": "slack", "url": "http://u:p@127.0.0.1/"}),
            vec!["$.url"],
        ),
        (
            json!({"name": "x", "type": "slack", "url": url, "secret": KEY}),
            vec!["$.secret"],
        ),
        (
            json!({"name": "x", "type": "webhook", "url": url, "secret": "plain"}),
            vec!["$.secret"],
        ),
        (
            json!({"name": "x", "type": "webhook", "url": url, "secret": "whsec_"}),
            vec!["$.secret"],
        ),
        (
            json!({"name": "x", "type": "webhook", "url": url, "enabled": 1}),
            vec!["$.enabled"],
        ),
        (
            json!({"name": "x", "type": "webhook", "url": url, "uri": url}),
            vec!["$.uri"],
        ),
    ] {
        let faults = server.post(&channels, body.clone()).await.faults();
        assert_eq!(faults, paths, "{body}");
    }
}

async fn changes_are_told_without_secrets(server: Server) {
    let channels = channels(&server).await;
    for body in [webhook(), slack()] {
        let made = server.post(&channels, body).await.expect(201);
        let one = format!("{channels}/{}", text(&made["id"]));
        server.delete(&one).await.expect(204);
    }
    let audit = format!(
        "{}/audit?object_kind=alert_channel",
        server.workspace().await
    );
    let lines = server.get(&audit).await.expect(200);
    assert_eq!(lines.as_array().map(Vec::len), Some(4));
    let lines = lines.to_string();
    assert!(
        !lines.contains("tell-nobody") && !lines.contains(KEY),
        "{lines}"
    );
}
