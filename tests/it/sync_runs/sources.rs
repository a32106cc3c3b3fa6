//! The same records, wherever they are read from.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

use super::{COUNTRIES, hook, ids, people};
use crate::receiver::Receiver;
use crate::rig::{Client, Rig, assert_ended, condition};
use crate::support::{fresh_postgres, shared_data};

/// SQL for the columns of [`people`] from a column `id`.
fn columns() -> String {
    let cases: String = COUNTRIES
        .iter()
        .enumerate()
        .filter(|(_, country)| !country.is_empty())
        .map(|(rest, country)| format!(" WHEN {rest} THEN '{country}'"))
        .collect();
    format!(
        "id, 'name ' || id AS name, CASE id % 5{cases} END AS country,
         CASE id % 3 WHEN 0 THEN TRUE WHEN 1 THEN FALSE END AS consent"
    )
}

/// A model of [`people`] in a PostgreSQL database.
pub(super) async fn postgres_people(client: &Client, count: u64) -> String {
    let url = fresh_postgres().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let sql = format!(
        "CREATE TABLE people AS SELECT {} FROM generate_series(1, {count}) AS series(id)",
        columns()
    );
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    let source = client.source("postgres", json!({"url": url})).await;
    client
        .model(&source, json!({"table": "people", "primary_key": ["id"]}))
        .await
}

/// A model of [`people`] in a SQLite database, in a folder that sources may use.
pub(crate) async fn sqlite_people(client: &Client, files: &Path, count: u64) -> String {
    let url = format!("sqlite://{}?mode=rwc", files.join("people.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sql = format!(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, country TEXT, consent BOOLEAN);
         WITH RECURSIVE series(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM series WHERE id < {count})
         INSERT INTO people SELECT {} FROM series",
        columns()
    );
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    let source = client.source("sqlite", json!({"path": "people.db"})).await;
    client
        .model(&source, json!({"table": "people", "primary_key": ["id"]}))
        .await
}

/// A model of [`people`] in a file of a format, or in the SQL of a model over CSV.
pub(super) async fn people_in(rig: &Rig, kind: &str, count: u64) -> String {
    let csv = rig.csv_model("people.csv", &people(count)).await;
    let (path, query) = match kind {
        "sql" => (
            "people.csv".to_owned(),
            json!({"sql": "SELECT * FROM files", "primary_key": ["id"]}),
        ),
        format => {
            let path = format!("copy.{format}");
            let destination = rig.client.destination("file", json!({"path": path})).await;
            let copy = rig.client.sync(&csv, &destination, json!({})).await;
            assert_eq!(rig.client.run_of(&copy).await["status"], "succeeded");
            (path, json!({"table": "files", "primary_key": ["id"]}))
        }
    };
    let source = rig.client.source("files", json!({"path": path})).await;
    rig.client.model(&source, query).await
}

const CUSTOMER: [&str; 6] = [
    "CustomerId",
    "FirstName",
    "Country",
    "PostalCode",
    "Phone",
    "Email",
];

/// The customers of Chinook, as the database itself gives them.
async fn customers() -> Vec<Map<String, Value>> {
    let url = format!(
        "sqlite://{}?mode=ro&immutable=1",
        shared_data("chinook.sqlite").display()
    );
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sql = format!(
        "SELECT {} FROM Customer ORDER BY CustomerId",
        CUSTOMER.join(", ")
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let record = |row: &sqlx::sqlite::SqliteRow| {
        let value = |name: &&str| match *name {
            "CustomerId" => json!(row.get::<i64, _>(0)),
            name => json!(row.get::<Option<String>, _>(name)),
        };
        CUSTOMER
            .iter()
            .map(|name| (name.to_string(), value(name)))
            .collect()
    };
    rows.iter().map(record).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The customers as a CSV file.
fn customers_csv(customers: &[Map<String, Value>]) -> String {
    let mut csv = CUSTOMER.join(",") + "\n";
    for record in customers {
        let fields = CUSTOMER.map(|name| match &record[name] {
            Value::Null => String::new(),
            Value::String(text) => quoted(text),
            number => number.to_string(),
        });
        csv += &(fields.join(",") + "\n");
    }
    csv
}

/// The customers as a table of a PostgreSQL database.
async fn customers_postgres(customers: &[Map<String, Value>]) -> String {
    let url = fresh_postgres().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let names = CUSTOMER.map(quoted);
    let sql = format!(
        "CREATE TABLE customer ({} INTEGER PRIMARY KEY, {} TEXT)",
        names[0],
        names[1..].join(" TEXT, ")
    );
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    for record in customers {
        let mut insert = sqlx::query("INSERT INTO customer VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(record["CustomerId"].as_i64().unwrap() as i32);
        for name in &CUSTOMER[1..] {
            insert = insert.bind(record[*name].as_str());
        }
        insert.execute(&mut connection).await.unwrap();
    }
    url
}

#[tokio::test]
async fn files_sqlite_and_postgres_deliver_the_same_customers() {
    let customers = customers().await;
    assert_eq!(customers.len(), 59);
    let forbidden = ["Germany", "France", "Czech Republic"];
    let expected: Vec<_> = customers
        .iter()
        .filter(|record| !forbidden.contains(&record["Country"].as_str().unwrap()))
        .cloned()
        .collect();

    let chinook = shared_data("chinook.sqlite");
    let beside = chinook.parent().unwrap().to_owned();
    let rig = Rig::start(|config| config.file_roots.push(beside)).await;
    rig.write("customers.csv", &customers_csv(&customers));
    let url = customers_postgres(&customers).await;
    let sql = format!("SELECT {} FROM Customer", CUSTOMER.join(", "));
    let in_files = format!("SELECT {} FROM files", CUSTOMER.map(quoted).join(", "));
    for (kind, config, query) in [
        ("sqlite", json!({"path": chinook}), json!({"sql": sql})),
        (
            "files",
            json!({"path": "customers.csv"}),
            json!({"table": "files"}),
        ),
        (
            "files",
            json!({"path": "customers.csv"}),
            json!({"sql": in_files}),
        ),
        (
            "postgres",
            json!({"url": url}),
            json!({"table": "customer"}),
        ),
        (
            "postgres",
            json!({"url": url}),
            json!({"sql": "SELECT * FROM customer"}),
        ),
    ] {
        let receiver = Receiver::accepting().await;
        let source = rig.client.source(kind, config).await;
        let mut query = query;
        query["primary_key"] = json!(["CustomerId"]);
        let model = rig.client.model(&source, query.clone()).await;
        rig.client
            .policy(
                &model,
                "webhook",
                condition("Country", "not_in", json!(forbidden)),
            )
            .await;
        let destination = hook(&rig.client, &receiver, 10).await;
        let sync = rig.client.sync(&model, &destination, json!({})).await;
        let run = rig.client.run_of(&sync).await;
        let withheld = customers.len() - expected.len();
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 59, "delivered": expected.len(), "withheld": withheld}),
        );
        assert_eq!(receiver.records(), expected, "{kind} {query}");
    }
}

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(letter),
        }
    }
    fields
}

#[tokio::test]
async fn grouped_invoice_lines_arrive_as_they_add_up() {
    let retail = shared_data("online_retail.csv");
    let text = std::fs::read_to_string(&retail).unwrap();
    let forbidden = ["Germany", "France", "EIRE"];
    let mut expected: HashMap<(Option<i64>, String), (i64, i64)> = HashMap::new();
    let (mut lines, mut groups) = (0, std::collections::HashSet::new());
    for line in text.trim_start_matches('\u{feff}').lines().skip(1) {
        let fields = fields(line);
        assert_eq!(fields.len(), 8, "{line}");
        lines += 1;
        let group = (fields[6].parse().ok(), fields[7].clone());
        groups.insert(group.clone());
        if !forbidden.contains(&fields[7].as_str()) {
            let (count, quantity) = expected.entry(group).or_default();
            *count += 1;
            *quantity += fields[3].parse::<i64>().unwrap();
        }
    }
    assert_eq!(lines, 14_594);

    let beside = retail.parent().unwrap().to_owned();
    let rig = Rig::start(|config| config.file_roots.push(beside)).await;
    let receiver = Receiver::accepting().await;
    let source = rig.client.source("files", json!({"path": retail})).await;
    let sql = "SELECT CustomerID, Country, count(*) AS lines, sum(Quantity) AS quantity
               FROM files GROUP BY CustomerID, Country";
    let query = json!({"sql": sql, "primary_key": ["CustomerID", "Country"]});
    let model = rig.client.model(&source, query).await;
    rig.client
        .policy(
            &model,
            "webhook",
            condition("Country", "not_in", json!(forbidden)),
        )
        .await;
    let destination = hook(&rig.client, &receiver, 50).await;
    let sync = rig.client.sync(&model, &destination, json!({})).await;
    let run = rig.client.run_of(&sync).await;
    let delivered = expected.len();
    assert_ended(
        &run,
        "succeeded",
        json!({"read": groups.len(), "delivered": delivered, "withheld": groups.len() - delivered}),
    );
    let records = receiver.records();
    assert_eq!(records.len(), delivered);
    let arrived: HashMap<_, _> = records
        .iter()
        .map(|record| {
            let group = (
                record["CustomerID"].as_i64(),
                record["Country"].as_str().unwrap().to_owned(),
            );
            (
                group,
                (
                    record["lines"].as_i64().unwrap(),
                    record["quantity"].as_i64().unwrap(),
                ),
            )
        })
        .collect();
    assert_eq!(arrived, expected);
}

#[tokio::test]
async fn postgres_holds_what_passed() {
    let rig = Rig::start(|_| {}).await;
    let url = fresh_postgres().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let table =
        "CREATE TABLE target (id BIGINT PRIMARY KEY, name TEXT, country TEXT, consent BOOLEAN)";
    connection.execute(table).await.unwrap();
    let model = rig.csv_model("people.csv", &people(3000)).await;
    rig.client
        .policy(&model, "postgres", super::not_from("DE"))
        .await;
    let config = json!({"url": url, "table": "target"});
    let destination = rig.client.destination("postgres", config).await;
    let sync = rig
        .client
        .sync(&model, &destination, json!({"mode": "upsert"}))
        .await;
    let expected = super::passing(3000, &["DE"]);
    for _ in 0..2 {
        let run = rig.client.run_of(&sync).await;
        let withheld = 3000 - expected.len();
        assert_ended(
            &run,
            "succeeded",
            json!({"read": 3000, "delivered": expected.len(), "withheld": withheld}),
        );
        let rows = sqlx::query("SELECT to_jsonb(target) FROM target ORDER BY id");
        let rows = rows.fetch_all(&mut connection).await.unwrap();
        let records: Vec<Map<String, Value>> = rows
            .iter()
            .map(|row| row.get::<Value, _>(0).as_object().unwrap().clone())
            .collect();
        assert_eq!(ids(&records), expected);
    }
}
