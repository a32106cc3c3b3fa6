//! `/workspaces/{id}/models`.

use serde_json::{Value, json};

use super::{NOBODY, Server, text};

async fn source(server: &Server, ws: &str) -> Value {
    let body = json!({"name": "files", "type": "files", "config": {"path": "customers.csv"}});
    server
        .post(&format!("{ws}/sources"), body)
        .await
        .expect(201)["id"]
        .clone()
}

#[tokio::test]
async fn a_model_reads_back_its_columns() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let source = source(&server, &ws).await;
    let models = format!("{ws}/models");
    let body =
        json!({"name": "customers", "source_id": source, "table": "files", "primary_key": ["id"]});
    let made = server.post(&models, body.clone()).await.expect(201);
    let names: Vec<_> = made["schema"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["id", "name", "country", "consent"]);
    assert!(made["schema"][0]["type"].is_string() && made["schema"][0]["nullable"].is_boolean());
    assert_eq!((&made["table"], made.get("sql")), (&json!("files"), None));
    server.post(&models, body).await.expect(409);
    let one = format!("{models}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    let sql = "SELECT country, count(*) AS customers FROM files GROUP BY country";
    let body = json!({"name": "countries", "source_id": source, "sql": sql});
    let replaced = server.put(&one, body).await.expect(200);
    assert_eq!(
        (&replaced["sql"], &replaced["primary_key"]),
        (&json!(sql), &json!([]))
    );
    assert_eq!(replaced["schema"].as_array().map(Vec::len), Some(2));
    assert_eq!(server.get(&models).await.expect(200), json!([replaced]));
    server.delete(&one).await.expect(204);
    server.get(&one).await.expect(404);
    server.delete(&one).await.expect(404);
    server
        .put(&format!("{models}/{NOBODY}"), json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_model_is_validated() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let source = source(&server, &ws).await;
    for (body, paths) in [
        (json!({}), vec!["$", "$.name", "$.source_id"]),
        (
            json!({"name": "x", "source_id": NOBODY, "table": "files"}),
            vec!["$.source_id"],
        ),
        (
            json!({"name": "x", "source_id": "one", "table": "files"}),
            vec!["$.source_id"],
        ),
        (
            json!({"name": "x", "source_id": source, "table": "files", "sql": "SELECT 1"}),
            vec!["$"],
        ),
        (
            json!({"name": "x", "source_id": source, "sql": "SELECT nothing FROM files"}),
            vec!["$.sql"],
        ),
        (
            json!({"name": "x", "source_id": source, "sql": "DROP TABLE files"}),
            vec!["$.sql"],
        ),
        (
            json!({"name": "x", "source_id": source, "table": "files", "primary_key": ["id", "key", "id"]}),
            vec!["$.primary_key[2]"],
        ),
        (
            json!({"name": "x", "source_id": source, "table": "files", "primary_key": ["id", "key"]}),
            vec!["$.primary_key[1]"],
        ),
        (
            json!({"name": "x", "source_id": source, "table": "files", "schema": []}),
            vec!["$.schema"],
        ),
    ] {
        assert_eq!(
            server
                .post(&format!("{ws}/models"), body.clone())
                .await
                .faults(),
            paths,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_model_that_policies_or_syncs_do_not_fit_is_refused() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let one = format!("{ws}/models/{}", catalog.model);
    let body =
        json!({"name": "customers", "source_id": catalog.source, "sql": "SELECT id FROM files"});
    let answer = server.put(&one, body).await.expect(422);
    let details = &answer["error"]["details"];
    assert!(
        details.to_string().contains("not from Germany"),
        "{details}"
    );
    assert_eq!(details[0]["policy_id"], json!(catalog.policy));
    let sync = json!({
        "name": "customers to file",
        "model_id": catalog.model,
        "destination_id": catalog.destination,
        "mapping": [{"from": "name", "to": "NAME"}],
    });
    server
        .put(&format!("{ws}/syncs/{}", catalog.sync), sync)
        .await
        .expect(200);
    let sql = "SELECT id, country FROM files";
    let body = json!({"name": "customers", "source_id": catalog.source, "sql": sql});
    let answer = server.put(&one, body).await.expect(422);
    assert!(answer.to_string().contains("customers to file"), "{answer}");
    server.delete(&one).await.expect(409);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_503() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let config = json!({"url": "postgres://u:tell-nobody@127.0.0.1:9/d"});
    let source = json!({"name": "pg", "type": "postgres", "config": config});
    let source = server
        .post(&format!("{ws}/sources"), source)
        .await
        .expect(201);
    let model = json!({"name": "x", "source_id": source["id"], "table": "t"});
    let answer = server.post(&format!("{ws}/models"), model).await;
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!answer.expect(503).to_string().contains("tell-nobody"));
}
