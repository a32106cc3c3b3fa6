//! A value in a database that does not fit its column ends a query where its row may be seen, and
//! tells nothing where a policy hides it, whatever finds the row.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::api::fixtures::{equals, first_values};
use crate::api::{MEMBER, Server};
use crate::support::fresh_postgres;

/// Rows of `people`; 3 and 4 have values that fit no column of ours.
const POSTGRES: &str =
    "CREATE TABLE people (id int PRIMARY KEY, country text, born date, worth numeric, tags date[]);
    INSERT INTO people VALUES
        (1, 'US', '2000-01-01', 1, '{2000-01-01}'),
        (2, 'DE', '2000-01-02', 2, NULL),
        (3, 'DE', 'infinity', 'NaN', '{2000-01-01,infinity,2000-01-02}'),
        (5, 'US', '2000-01-05', 5, '{}');";
const SQLITE: &str = "CREATE TABLE people (id INTEGER PRIMARY KEY, country TEXT, born DATE, worth INTEGER, tags TEXT);
    INSERT INTO people VALUES
        (1, 'US', '2000-01-01', 1, 'a'),
        (2, 'DE', '2000-01-02', 2, NULL),
        (3, 'DE', 'soon', 'much', x'ff'),
        (5, 'US', '2000-01-05', 5, '');";

async fn check(server: &Server, source: Value) {
    let ws = server.workspace().await;
    let source = server.post(&format!("{ws}/sources"), source).await;
    let model = json!({
        "name": "people",
        "source_id": source.expect(201)["id"],
        "table": "people",
        "primary_key": ["id"],
    });
    let model = server
        .post(&format!("{ws}/models"), model)
        .await
        .expect(201);
    let model = model["id"].as_str().expect("an id");
    let category = server.category(&ws, "Region", "deny").await;
    let mut keys = Vec::new();
    for country in ["US", "DE"] {
        let tree = equals("country", country);
        let subset = server
            .subset(&ws, &category, Some(model), country, tree)
            .await;
        let group = server.group(&ws, country, None).await;
        server.assign(&ws, &subset, &group).await;
        let email = format!("{country}@example.com");
        let (account, key) = server.joined(&ws, &email, MEMBER).await;
        server.enroll(&ws, &group, &account).await;
        keys.push(key);
    }
    for (sql, seen) in [
        ("SELECT id FROM people WHERE id = 3", json!([])),
        (
            "SELECT id FROM people WHERE id = 3 AND born IS NULL",
            json!([]),
        ),
        (
            "SELECT id FROM people WHERE id >= 3 AND worth IS NULL",
            json!([]),
        ),
        (
            "SELECT id, born, worth, tags FROM people ORDER BY id",
            json!([1, 5]),
        ),
        ("SELECT id, tags FROM people WHERE id >= 3", json!([5])),
        ("SELECT count(*) FROM people WHERE born IS NULL", json!([0])),
        ("SELECT max(worth)::bigint FROM people", json!([5])),
    ] {
        let ask = async |key: &str| {
            let path = format!("{ws}/query");
            server
                .by(key, Method::POST, &path, json!({"sql": sql}))
                .await
        };
        let answer = ask(&keys[0]).await.expect(200);
        assert_eq!(json!(first_values(&answer)), seen, "{sql}");
        // Whoever sees the row is told that it cannot be read, unless nobody reads the value: the
        // database knows that it is not NULL.
        let answer = ask(&keys[1]).await;
        let body = answer.body.to_string();
        let skipped = sql.contains("IS NULL") || sql.ends_with("id = 3");
        assert!(answer.status >= 400 || skipped, "{sql}: {body}");
        for value in ["infinity", "NaN", "soon", "much"] {
            assert!(!body.contains(value), "{sql}: {body}");
        }
    }
}

#[tokio::test]
async fn postgres() {
    let server = Server::start().await;
    let url = fresh_postgres().await;
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(POSTGRES))
        .execute(&mut connection)
        .await
        .expect("the table");
    let source = json!({"name": "db", "type": "postgres", "config": {"url": url}});
    check(&server, source).await;
}

#[tokio::test]
async fn sqlite() {
    let server = Server::start().await;
    let path = server.folder.path().join("data/files/people.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(SQLITE))
        .execute(&mut connection)
        .await
        .expect("the table");
    let source = json!({"name": "db", "type": "sqlite", "config": {"path": "people.db"}});
    check(&server, source).await;
}
