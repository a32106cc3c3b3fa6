//! `/workspaces/{id}/query`: SQL over the rows of models that the caller may see.

mod forms;
mod midway;

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{House, first_values, message, revision};
use super::{Answer, BOOTSTRAP_KEY, MEMBER, NOBODY, Server, text};

on_both_stores!(
    member_sees_their_rows_alone,
    as_another_account_their_rows_are_seen,
    as_another_account_takes_more_than_to_read,
    models_of_another_workspace_are_no_tables,
    rows_are_for_those_who_may_read_models,
);

const IDS: &str = "SELECT id FROM customers ORDER BY id";

impl Server {
    /// Asks for the answer to a statement.
    async fn query(&self, key: &str, ws: &str, body: Value) -> Answer {
        self.by(key, Method::POST, &format!("{ws}/query"), body)
            .await
    }

    /// The first values of an answer to the owner.
    async fn values(&self, ws: &str, sql: &str) -> Vec<Value> {
        let answer = self.query(BOOTSTRAP_KEY, ws, json!({"sql": sql})).await;
        first_values(&answer.expect(200))
    }

    /// A statement as text.
    async fn statement(&self, key: &str, ws: &str, media_type: &str, sql: &str) -> Answer {
        let request = self
            .request(Method::POST, &format!("{ws}/query"))
            .bearer_auth(key)
            .header("content-type", media_type)
            .body(sql.to_owned());
        self.send(request).await
    }
}

fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().expect("a code")
}

async fn member_sees_their_rows_alone(server: Server) {
    let house = House::of(&server).await;
    let (ws, key) = (&house.ws, &house.analyst.1);
    assert_eq!(server.values(ws, IDS).await, [1, 2, 3, 4, 5]);
    let answer = server.query(key, ws, json!({"sql": IDS})).await;
    let path = format!("{ws}/models/{}/effective-policy", house.catalog.model);
    let policy = server.get(&path).await.expect(200);
    assert_eq!(json!(revision(&answer)), policy["policy_revision"]);
    let expected = json!({"columns": [{"name": "id", "type": "Int64"}], "rows": [[2], [4]]});
    assert_eq!(answer.expect(200), expected);
    for media_type in ["text/plain", "application/sql; charset=utf-8"] {
        let answer = server.statement(key, ws, media_type, IDS).await;
        assert_eq!(answer.expect(200), expected, "{media_type}");
    }
    for (sql, expected) in [
        ("SELECT count(*) FROM customers", json!(2)),
        ("SELECT max(id) FROM customers", json!(4)),
        (
            "SELECT count(*) FROM customers a CROSS JOIN customers b",
            json!(4),
        ),
        (
            "SELECT count(*) FROM customers WHERE country <> 'US'",
            json!(0),
        ),
    ] {
        let answer = server.query(key, ws, json!({"sql": sql})).await;
        assert_eq!(first_values(&answer.expect(200)), [expected], "{sql}");
    }
    // Nor is anything that goes wrong in other rows there for them.
    for sql in [
        "SELECT 1 / (id - 1) FROM customers",
        "SELECT id FROM customers WHERE 1 / (id - 3) > -5",
    ] {
        let body = json!({"sql": sql});
        let answer = server.query(key, ws, body.clone()).await;
        assert_eq!(answer.expect(200)["rows"].as_array().map(Vec::len), Some(2));
        let answer = server.query(BOOTSTRAP_KEY, ws, body).await;
        assert_eq!(code(&answer.expect(422)), "division_by_zero", "{sql}");
    }
    // A policy that goes is gone for the next statement, and so is a membership.
    let path = format!("{ws}/groups/{}/members/{}", house.group, house.analyst.0);
    server.delete(&path).await.expect(204);
    let answer = server.query(key, ws, json!({"sql": IDS})).await;
    assert_eq!(answer.expect(200)["rows"], json!([]));
}

async fn as_another_account_their_rows_are_seen(server: Server) {
    let house = House::of(&server).await;
    let ws = &house.ws;
    let owner = server.owner_id().await;
    let as_account = |id: &str| json!({"sql": IDS, "account_id": id});
    let answer = server
        .query(BOOTSTRAP_KEY, ws, as_account(&house.analyst.0))
        .await;
    assert_eq!(first_values(&answer.expect(200)), [2, 4]);
    let answer = server.query(BOOTSTRAP_KEY, ws, as_account(&owner)).await;
    assert_eq!(first_values(&answer.expect(200)), [1, 2, 3, 4, 5]);
    let path = format!("{ws}/audit?action=query.evaluate_as");
    let lines = server.get(&path).await.expect(200);
    let told: Vec<_> = lines
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| json!([line["line"]["account_id"], line["line"]["object_id"]]))
        .collect();
    assert_eq!(told, [json!([owner, house.analyst.0])]);
    let answer = server.query(BOOTSTRAP_KEY, ws, as_account(NOBODY)).await;
    assert_eq!(answer.faults(), ["$.account_id"]);
    let answer = server.query(BOOTSTRAP_KEY, ws, as_account("me")).await;
    assert_eq!(answer.faults(), ["$.account_id"]);
}

async fn as_another_account_takes_more_than_to_read(server: Server) {
    let house = House::of(&server).await;
    let ws = &house.ws;
    let owner = server.owner_id().await;
    let body = json!({"sql": IDS, "account_id": owner});
    // The analyst may read policies, but does not see every row.
    let answer = server.query(&house.analyst.1, ws, body.clone()).await;
    let error = answer.expect(403);
    assert!(message(&error).contains("every row"), "{error}");
    // Of oneself everybody may ask.
    let own = json!({"sql": IDS, "account_id": house.analyst.0});
    let answer = server.query(&house.analyst.1, ws, own).await;
    assert_eq!(first_values(&answer.expect(200)), [2, 4]);
    let reader = server.role(ws, "reader", &["models.read"]).await;
    let (_, key) = server.joined(ws, "reader@example.com", &reader).await;
    let answer = server.query(&key, ws, body.clone()).await;
    let error = answer.expect(403);
    assert_eq!(message(&error), "your role does not grant governance.read");
    let limited = server.key(&owner, json!(["models:read"])).await;
    let body = json!({"sql": IDS, "account_id": house.analyst.0});
    let answer = server.query(&limited, ws, body).await;
    let scope = "the API key lacks the scope governance:read";
    assert_eq!(message(&answer.expect(403)), scope);
    let path = format!("{ws}/audit?action=query.evaluate_as");
    assert_eq!(server.get(&path).await.expect(200), json!([]));
}

async fn models_of_another_workspace_are_no_tables(server: Server) {
    let house = House::of(&server).await;
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    for sql in [
        IDS,
        "SELECT id FROM \"default\".public.customers",
        "SELECT id FROM public.customers",
    ] {
        let answer = server
            .query(BOOTSTRAP_KEY, &other, json!({"sql": sql}))
            .await;
        let error = answer.expect(422);
        assert_eq!(code(&error), "undefined_table", "{sql}: {error}");
        assert_eq!(server.values(&house.ws, sql).await.len(), 5, "{sql}");
    }
    // A stranger is told what they are told where there is no workspace.
    let (_, stranger) = server.account("s@example.com", json!(["*"])).await;
    let body = json!({"sql": IDS});
    let answer = server.query(&stranger, &house.ws, body.clone()).await;
    let nowhere = format!("/api/v1/workspaces/{NOBODY}");
    let nothing = server.query(&stranger, &nowhere, body).await;
    assert_eq!(answer.expect(404), nothing.expect(404));
}

async fn rows_are_for_those_who_may_read_models(server: Server) {
    let house = House::of(&server).await;
    let ws = &house.ws;
    let role = server.role(ws, "nothing", &["sources.read"]).await;
    let (account, key) = server.joined(ws, "n@example.com", &role).await;
    let body = json!({"sql": IDS});
    let answer = server.query(&key, ws, body.clone()).await;
    assert_eq!(
        message(&answer.expect(403)),
        "your role does not grant models.read"
    );
    // Through their eyes there is nothing to see either.
    let through = json!({"sql": IDS, "account_id": account});
    server.query(BOOTSTRAP_KEY, ws, through).await.expect(403);
    let (member, _) = server.joined(ws, "m@example.com", MEMBER).await;
    let limited = server.key(&member, json!(["sources:read"])).await;
    let answer = server.query(&limited, ws, body.clone()).await;
    assert_eq!(
        message(&answer.expect(403)),
        "the API key lacks the scope models:read"
    );
    let path = format!("{ws}/query");
    let answer = server
        .ask(None, Method::POST, &path, Some(&body.to_string()))
        .await;
    answer.expect(401);
}

#[tokio::test]
async fn parameters_have_values() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let ws = &house.ws;
    for (sql, params, expected) in [
        (
            "SELECT id FROM customers WHERE country = $1 AND id > $2 ORDER BY id",
            json!(["US", 2]),
            json!([4]),
        ),
        (
            "SELECT id FROM customers WHERE consent = $1 ORDER BY id",
            json!([true]),
            json!([1, 2, 5]),
        ),
        (
            "SELECT id FROM customers WHERE country = $1",
            json!([null]),
            json!([]),
        ),
        (
            "SELECT id FROM customers WHERE id = $1 OR id = $1 + 1 ORDER BY id",
            json!([3]),
            json!([3, 4]),
        ),
        (
            "SELECT id FROM customers WHERE name = $1",
            json!(["Ada' OR '1' = '1"]),
            json!([]),
        ),
    ] {
        let body = json!({"sql": sql, "params": params});
        let answer = server.query(BOOTSTRAP_KEY, ws, body).await;
        let values = first_values(&answer.expect(200));
        assert_eq!(json!(values), expected, "{sql}");
    }
    let one = "SELECT id FROM customers WHERE id = $1";
    for params in [json!(null), json!([]), json!([1, 2]), json!(["x"])] {
        let body = json!({"sql": one, "params": params});
        let error = server.query(BOOTSTRAP_KEY, ws, body).await.expect(422);
        assert_eq!(code(&error), "invalid_parameters", "{params}: {error}");
        assert_eq!(error["error"]["details"][0]["path"], "$.params");
    }
}

#[tokio::test]
async fn every_fault_of_a_body_is_told() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    for (body, paths) in [
        (json!({}), vec!["$.sql"]),
        (
            json!({"sql": null, "params": {}}),
            vec!["$.params", "$.sql"],
        ),
        (
            json!({"sql": 7, "params": [[], 1, {}], "account_id": "x", "limit": 1}),
            vec![
                "$.account_id",
                "$.limit",
                "$.params[0]",
                "$.params[2]",
                "$.sql",
            ],
        ),
        (
            json!({"sql": "SELECT '\0'", "params": ["\0"]}),
            vec!["$.params[0]", "$.sql"],
        ),
    ] {
        let answer = server.query(BOOTSTRAP_KEY, &ws, body.clone()).await;
        assert_eq!(answer.faults(), paths, "{body}");
    }
    let text = server.statement(BOOTSTRAP_KEY, &ws, "text/plain", "\0");
    assert_eq!(text.await.faults(), ["$"]);
    let path = format!("{ws}/query?format=json&limit=7");
    let answer = server.post(&path, json!({"sql": "SELECT 1"})).await;
    assert_eq!(answer.faults(), ["$query.limit"]);
    for media_type in [
        "",
        "text/html",
        "application/x-www-form-urlencoded",
        "text/plain; charset=latin1",
    ] {
        let answer = server
            .statement(BOOTSTRAP_KEY, &ws, media_type, "SELECT 1")
            .await;
        let error = answer.expect(415);
        assert!(message(&error).contains("application/sql"), "{error}");
    }
    let long = "x".repeat(3 << 20);
    let request = server
        .request(Method::POST, &format!("{ws}/query"))
        .bearer_auth(BOOTSTRAP_KEY)
        .header("content-type", "text/plain")
        .body(long);
    server.send(request).await.expect(413);
}

#[tokio::test]
async fn what_is_wrong_with_a_statement_is_told_and_no_value() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let ws = &house.ws;
    for (sql, expected) in [
        ("SELEC id FROM customers", "syntax_error"),
        ("SELECT id FROM nowhere", "undefined_table"),
        ("SELECT land FROM customers", "undefined_column"),
        ("SELECT no_such(id) FROM customers", "undefined_function"),
        ("DELETE FROM customers", "statement_not_accepted"),
        (
            "COPY (SELECT id FROM customers) TO '/tmp/x.csv'",
            "statement_not_accepted",
        ),
        ("SELECT 1 / (id - 2) FROM customers", "division_by_zero"),
        ("SELECT CAST(name AS INT) FROM customers", "invalid_cast"),
    ] {
        let body = json!({"sql": sql});
        let error = server.query(BOOTSTRAP_KEY, ws, body).await.expect(422);
        assert_eq!(code(&error), expected, "{sql}: {error}");
        assert_eq!(error["error"]["details"][0]["path"], "$.sql", "{sql}");
        for value in ["Ada", "Bo", "Cy", "Di", "Ed"] {
            assert!(!error.to_string().contains(value), "{sql}: {error}");
        }
        let told = server.statement(BOOTSTRAP_KEY, ws, "text/plain", sql).await;
        assert_eq!(told.faults(), ["$"], "{sql}");
    }
    // What of another's rows makes a statement fail does not make it fail here.
    let body = json!({"sql": "SELECT CAST(name AS INT) FROM customers WHERE id > 4"});
    let answer = server.query(&house.analyst.1, ws, body).await;
    assert_eq!(answer.expect(200)["rows"], json!([]));
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_told_to_admins_alone() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let file = server.folder.path().join("data/files/customers.csv");
    std::fs::remove_file(&file).expect("the file");
    let body = json!({"sql": IDS});
    let error = server
        .query(BOOTSTRAP_KEY, &house.ws, body)
        .await
        .expect(503);
    assert!(message(&error).contains("\"customers\""), "{error}");
    assert!(!error.to_string().contains("customers.csv"), "{error}");
}

#[tokio::test]
async fn limits_are_told() {
    let server = Server::start_with(|config| {
        config.queries.query_rows = 3;
        config.queries.query_text_bytes = 64;
    })
    .await;
    let house = House::of(&server).await;
    let ask = async |sql: &str| {
        let answer = server.query(BOOTSTRAP_KEY, &house.ws, json!({"sql": sql}));
        let error = answer.await.expect(422);
        text(&error["error"]["code"])
    };
    assert_eq!(ask(IDS).await, "too_many_rows");
    let long = format!("SELECT '{}' AS a", "x".repeat(100));
    assert_eq!(ask(&long).await, "too_complex");
    let short = format!("{IDS} LIMIT 3");
    assert_eq!(server.values(&house.ws, &short).await, [1, 2, 3]);
}
