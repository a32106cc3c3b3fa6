//! What clients send besides people's queries: the statements of `fixtures/pg_catalog`, which
//! psql, drivers and browsers read the catalog with, and those by which they set themselves up.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use serde_json::json;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

use super::world::World;
use crate::support::repository_file;

/// A statement, and the values of its parameters.
struct Statement {
    title: String,
    sql: String,
    values: Vec<Text>,
}

/// A value as text, whatever its type.
#[derive(Debug)]
struct Text(String);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The statements of a file: each begins with `-- title`; `--$ a ; b` are values, and `--> ` is
/// what it answers there, which depends on the tables.
fn statements(content: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    for line in content.lines() {
        if let Some(title) = line.strip_prefix("-- ") {
            statements.push(Statement {
                title: title.to_owned(),
                sql: String::new(),
                values: Vec::new(),
            });
            continue;
        }
        let Some(statement) = statements.last_mut() else {
            assert_eq!(line, "", "it belongs to no statement");
            continue;
        };
        if let Some(values) = line.strip_prefix("--$ ") {
            let values = values.split(" ; ").map(|value| Text(value.to_owned()));
            statement.values.extend(values);
        } else if !line.starts_with("-->") {
            statement.sql.push_str(line);
            statement.sql.push('\n');
        }
    }
    statements
}

async fn connect(world: &World) -> Client {
    let address = world.server.pg;
    let mut config = tokio_postgres::Config::new();
    config
        .host(address.ip().to_string())
        .port(address.port())
        .user(&world.north.email)
        .password(&world.north.key)
        .dbname("default");
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// What the fixtures call a relation, and its id here.
async fn relations(client: &Client) -> Vec<(String, String)> {
    let mut relations = Vec::new();
    let known = client
        .simple_query("SELECT relname, oid FROM pg_catalog.pg_class")
        .await
        .expect("relations");
    for message in known {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            let [name, id] = [0, 1].map(|at| row.get(at).expect("a value").to_owned());
            relations.push((format!("{{{name}}}"), id));
        }
    }
    relations
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_clients_are_answered() {
    let world = World::new().await;
    let ws = world.server.workspace().await;
    // Models that the fixtures speak of.
    for name in ["Order Lines", "events"] {
        let source = json!({"name": name, "type": "files", "config": {"path": "customers.csv"}});
        let source = world.server.made(&format!("{ws}/sources"), source).await;
        let model = json!({
            "name": name,
            "source_id": source,
            "table": "files",
            "primary_key": ["id", "name"],
        });
        world.server.made(&format!("{ws}/models"), model).await;
    }
    let client = connect(&world).await;
    let relations = relations(&client).await;
    let here = |text: &str| {
        let replace = |text: String, (name, id): &(String, String)| text.replace(name, id);
        relations.iter().fold(text.to_owned(), replace)
    };
    let folder = repository_file("fixtures/pg_catalog");
    let files = std::fs::read_dir(&folder).expect("fixtures/pg_catalog");
    let mut faults = Vec::new();
    let mut count = 0;
    for file in files {
        let path = file.expect("a file").path();
        let content = std::fs::read_to_string(&path).expect("a file");
        for Statement { title, sql, values } in statements(&content) {
            count += 1;
            let sql = here(&sql);
            let values: Vec<_> = values.iter().map(|value| Text(here(&value.0))).collect();
            if values.is_empty()
                && let Err(error) = client.simple_query(&sql).await
            {
                faults.push(format!("{title}, simple: {error:?}\n{sql}"));
            }
            let values: Vec<_> = values.iter().map(|value| value as _).collect();
            let answered = async {
                let prepared = client.prepare(&sql).await?;
                client.query(&prepared, &values).await
            };
            if let Err(error) = answered.await {
                faults.push(format!("{title}, prepared: {error:?}\n{sql}"));
            }
        }
    }
    assert!(count > 0, "there are no statements");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_set_themselves_up() {
    let world = World::new().await;
    let client = connect(&world).await;
    for sql in [
        "",
        ";",
        // JDBC
        "SET extra_float_digits = 3",
        "SET application_name = 'PostgreSQL JDBC Driver'",
        "SHOW TRANSACTION ISOLATION LEVEL",
        // psqlODBC
        "SET DateStyle = 'ISO';SET extra_float_digits = 2;show transaction_isolation",
        "BEGIN;declare \"SQL_CUR1\" cursor with hold for select * from kinds;fetch 2 in \"SQL_CUR1\"",
        "close \"SQL_CUR1\"",
        "COMMIT",
        // psycopg2, SQLAlchemy
        "BEGIN",
        "select pg_catalog.version()",
        "select current_schema()",
        "show transaction isolation level",
        "show standard_conforming_strings",
        "ROLLBACK",
        // asyncpg, pools of connections
        "SELECT pg_advisory_unlock_all();CLOSE ALL;UNLISTEN *;RESET ALL;",
        "DISCARD ALL",
        "DEALLOCATE ALL",
        // psql with FETCH_COUNT
        "BEGIN",
        "DECLARE _psql_cursor NO SCROLL CURSOR FOR\nSELECT id FROM kinds",
        "FETCH FORWARD 37 FROM _psql_cursor",
        "CLOSE _psql_cursor",
        "COMMIT",
        // ADBC
        "BEGIN TRANSACTION",
        "COMMIT",
        "SET search_path = public",
        "SET client_encoding TO 'UTF8'",
        "SET statement_timeout = 0",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ] {
        let answered = client.batch_execute(sql).await;
        assert!(answered.is_ok(), "{sql}: {answered:?}");
    }
}
