//! What happens between the first bytes of an answer and the last.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::super::fixtures::{House, first_values};
use super::super::{BOOTSTRAP_KEY, Server};
use super::code;

on_both_stores!(
    policy_that_changes_in_mid_stream_ends_the_answer,
    key_that_is_revoked_in_mid_stream_ends_the_answer,
);

/// Rows of the long model, each more than 100 bytes long in every form of text.
const ROWS: usize = 5000;
/// More rows than any socket holds.
const ENDLESS: &str =
    "SELECT a.id, a.country, a.padding, b.id AS other FROM long a CROSS JOIN long b";

async fn server() -> Server {
    Server::start_with(|config| config.batch_rows = 500).await
}

/// Adds the model `long`.
async fn long_model(server: &Server, ws: &str) -> String {
    let padding = "x".repeat(100);
    let mut content = "id,country,padding\n".to_owned();
    for id in 0..ROWS {
        let country = ["US", "DE"][id % 2];
        content.push_str(&format!("{id},{country},{padding}\n"));
    }
    server.write_file("long.csv", &content);
    let source = json!({"name": "long", "type": "files", "config": {"path": "long.csv"}});
    let source = server.made(&format!("{ws}/sources"), source).await;
    let model =
        json!({"name": "long", "source_id": source, "table": "files", "primary_key": ["id"]});
    server.made(&format!("{ws}/models"), model).await
}

async fn begun(server: &Server, key: &str, ws: &str, sql: &str) -> Response {
    let request = server
        .request(Method::POST, &format!("{ws}/query?format=ndjson"))
        .bearer_auth(key)
        .body(json!({"sql": sql}).to_string());
    request.send().await.expect("an answer")
}

/// Reads a piece of an answer that goes on.
async fn some(response: &mut Response) {
    assert_eq!(response.status(), 200);
    let piece = response.chunk().await.expect("it goes on");
    assert!(piece.is_some_and(|piece| !piece.is_empty()));
}

/// Reads until the answer breaks off.
async fn breaks_off(mut response: Response) {
    while let Ok(piece) = response.chunk().await {
        assert!(piece.is_some(), "the answer looks like a whole one");
    }
}

#[tokio::test]
async fn a_long_answer_has_its_end() {
    let server = server().await;
    let ws = server.workspace().await;
    long_model(&server, &ws).await;
    for format in ["json", "ndjson", "csv", "arrow", "parquet"] {
        let request = server
            .request(Method::POST, &format!("{ws}/query?format={format}"))
            .bearer_auth(BOOTSTRAP_KEY)
            .body(json!({"sql": "SELECT * FROM long"}).to_string());
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let body = response.bytes().await.expect("a whole body");
        match format {
            "json" => {
                let table: Value = serde_json::from_slice(&body).expect("a table");
                let ids = first_values(&table);
                assert!(ids.iter().enumerate().all(|(i, id)| *id == json!(i)));
                assert_eq!(ids.len(), ROWS);
            }
            "arrow" => {
                let reader = arrow::ipc::reader::StreamReader::try_new(&body[..], None);
                let batches = reader.expect("a stream").map(Result::unwrap);
                let rows = batches.map(|batch| batch.num_rows()).sum::<usize>();
                assert_eq!(rows, ROWS);
            }
            "parquet" => assert!(body.starts_with(b"PAR1") && body.ends_with(b"PAR1")),
            text => {
                let header = usize::from(text == "csv");
                let lines = body.iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(lines, ROWS + header, "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_fault_that_comes_late_breaks_the_answer_and_an_early_one_has_a_status() {
    let server = server().await;
    let ws = server.workspace().await;
    long_model(&server, &ws).await;
    let late = format!("SELECT id, padding, 1 / (id - {}) AS x FROM long", ROWS - 1);
    let mut response = begun(&server, BOOTSTRAP_KEY, &ws, &late).await;
    some(&mut response).await;
    breaks_off(response).await;
    // What is held until its end has a status in any case.
    for (sql, format) in [
        (late.as_str(), "parquet"),
        ("SELECT id, padding, 1 / id AS x FROM long", "ndjson"),
    ] {
        let path = format!("{ws}/query?format={format}");
        let error = server.post(&path, json!({"sql": sql})).await.expect(422);
        assert_eq!(code(&error), "division_by_zero", "{format}");
    }
}

async fn policy_that_changes_in_mid_stream_ends_the_answer(server: Server) {
    let house = House::of(&server).await;
    let model = long_model(&server, &house.ws).await;
    let tree = super::super::fixtures::equals("country", "US");
    let subset = server
        .subset(&house.ws, &house.category, Some(&model), "long US", tree)
        .await;
    server.assign(&house.ws, &subset, &house.group).await;
    let mut response = begun(&server, &house.analyst.1, &house.ws, ENDLESS).await;
    some(&mut response).await;
    let path = format!("{}/subsets/{subset}", house.ws);
    let tree = super::super::fixtures::equals("country", "FR");
    server
        .put(&path, json!({"filter_tree": tree}))
        .await
        .expect(200);
    breaks_off(response).await;
}

async fn key_that_is_revoked_in_mid_stream_ends_the_answer(server: Server) {
    let ws = server.workspace().await;
    long_model(&server, &ws).await;
    let me = server.get("/api/v1/me").await.expect(200);
    let owner = super::text(&me["account"]["id"]);
    let path = format!("/api/v1/accounts/{owner}/keys");
    let key = json!({"name": "short-lived", "scopes": ["models:read"]});
    let key = server.post(&path, key).await.expect(201);
    let mut response = begun(&server, &super::text(&key["key"]), &ws, ENDLESS).await;
    some(&mut response).await;
    let path = format!("{path}/{}", super::text(&key["id"]));
    server.delete(&path).await.expect(204);
    breaks_off(response).await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_any_more_makes_room() {
    let server = Server::start_with(|config| {
        config.batch_rows = 500;
        config.queries.queries_per_account = 1;
    })
    .await;
    let ws = server.workspace().await;
    long_model(&server, &ws).await;
    let mut response = begun(&server, BOOTSTRAP_KEY, &ws, ENDLESS).await;
    some(&mut response).await;
    let path = format!("{ws}/query");
    let one = json!({"sql": "SELECT 1 AS one"});
    let busy = server.post(&path, one.clone()).await;
    assert_eq!(busy.header("retry-after"), Some("1"));
    assert_eq!(code(&busy.expect(429)), "rate_limited");
    drop(response);
    for _ in 0..1000 {
        let answer = server.post(&path, one.clone()).await;
        if answer.status == 200 {
            return;
        }
        answer.expect(429);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the query goes on without its reader");
}

#[tokio::test]
async fn before_http_1_1_nothing_long_is_streamed() {
    let server = server().await;
    let ws = server.workspace().await;
    long_model(&server, &ws).await;
    let ask = async |sql: &str| {
        let request = server
            .request(Method::POST, &format!("{ws}/query"))
            .version(reqwest::Version::HTTP_10)
            .bearer_auth(BOOTSTRAP_KEY)
            .body(json!({"sql": sql}).to_string());
        server.send(request).await
    };
    ask("SELECT 1 AS one").await.expect(200);
    ask("SELECT * FROM long").await.expect(400);
}
