//! The clients that analysts have, against a server over loopback: psql, and by the scripts in
//! `tests/clients` psycopg, pgjdbc, ADBC's drivers, pyarrow.flight, requests and DuckDB. All see
//! the same rows of the same analyst, and none tells of others.

mod kinds;
mod psql;
mod replay;
mod world;

use serde_json::{Value, json};

use kinds::COLUMNS;
use world::World;

const FAULTS: [&str; 6] = ["syntax", "table", "column", "division", "cast", "write"];

/// The codes of the faults, in the order of [`FAULTS`].
fn codes(told: &Value) -> Vec<&str> {
    let code = |name: &&str| told["faults"][name][0].as_str().unwrap_or("none");
    FAULTS.iter().map(code).collect()
}

/// Checks the faults that each of the analysts is told of. Where there are no rows, nothing is
/// divided or cast.
#[track_caller]
fn check_faults(told: &[Value; 3], expected: [&str; 6]) {
    let [north, south, nobody] = told;
    assert_eq!(codes(north), expected, "{:#}", north["faults"]);
    assert_eq!(north["faults"], south["faults"]);
    let mut without_rows = expected;
    without_rows[3..5].fill("none");
    assert_eq!(codes(nobody), without_rows, "{:#}", nobody["faults"]);
}

const SQLSTATES: [&str; 6] = ["42601", "42P01", "42703", "22012", "22P02", "42501"];

/// Names and types of the columns, as Arrow's clients are told.
fn arrow_columns() -> Value {
    COLUMNS
        .map(|column| json!([column.name, column.arrow]))
        .into_iter()
        .collect()
}

fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_sees_what_its_user_may_see() {
    let world = World::new().await;
    let told = world.told_to_each(&["query_psycopg.py"]).await;
    check_faults(&told, SQLSTATES);
    for told in &told {
        assert_eq!(told["rows"].as_object().expect("rows").len(), 10);
        assert_eq!(
            told["transaction"],
            json!(["42P01", "25P02", "ROLLBACK", "SELECT 1", 2, "IDLE"])
        );
    }
    let canceled = told.each_ref().map(|told| &told["cancel"]);
    assert_eq!(canceled, [&json!("57014"), &json!("57014"), &Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pgjdbc_sees_what_its_user_may_see() {
    let world = World::new().await;
    let told = world.told_to_each(&["QueryJdbc.java", "rows"]).await;
    check_faults(&told, SQLSTATES);
    assert_eq!(told[0]["rows"].as_object().expect("rows").len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn pgjdbc_reads_the_catalog() {
    let world = World::new().await;
    let [told, ..] = world.told_to_each(&["QueryJdbc.java", "describe"]).await;
    let columns: Value = (1..)
        .zip(&COLUMNS)
        .map(|(number, column)| json!([column.name, column.pg, number.to_string()]))
        .collect();
    let result: Value = COLUMNS
        .iter()
        .map(|column| json!([column.name, column.pg, false]))
        .collect();
    for (what, expected) in [
        ("catalogs", json!(["default"])),
        (
            "tables",
            json!([
                ["public", "customers", "TABLE"],
                ["public", "kinds", "TABLE"]
            ]),
        ),
        ("columns", columns),
        ("of customers", json!(["id", "name", "country", "consent"])),
        ("of nothing", json!([])),
        ("keys", json!(["id"])),
        ("foreign keys", json!([])),
        ("result", result),
    ] {
        assert_eq!(told[what], expected, "{what}");
    }
    let has = |what: &str, name: &str| {
        let list = told[what].as_array();
        let list = list.unwrap_or_else(|| panic!("{told:#}"));
        assert!(
            list.contains(&json!(name)),
            "{what} has no {name}: {list:?}"
        );
    };
    has("schemas", "public");
    has("everything in public", "kinds");
    has("table types", "TABLE");
    for column in &COLUMNS {
        has("types", column.pg);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc_postgresql_sees_what_its_user_may_see() {
    let world = World::new().await;
    let told = world
        .told_to_each(&["query_adbc_postgresql.py", "rows"])
        .await;
    check_faults(&told, SQLSTATES);
    assert_eq!(told[0]["rows"].as_object().expect("rows").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc_postgresql_reads_the_catalog() {
    let world = World::new().await;
    let [mut told, ..] = world
        .told_to_each(&["query_adbc_postgresql.py", "describe"])
        .await;
    let columns = told["columns"].as_array_mut().expect("columns");
    let mut expected = arrow_columns();
    // Any number of digits, which Arrow has no type for.
    assert_eq!(columns[3][0], "price");
    columns.remove(3);
    expected.as_array_mut().expect("columns").remove(3);
    assert_eq!(told["columns"], expected);
}

/// The tables, as ADBC's drivers tell of them.
fn tables() -> Value {
    let customers = ["id", "name", "country", "consent"];
    json!([
        ["default", "public", "customers", customers],
        ["default", "public", "kinds", names()],
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc_flightsql_sees_what_its_user_may_see() {
    let world = World::new().await;
    let told = world.told_to_each(&["query_adbc_flightsql.py"]).await;
    let expected = [
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "UNAUTHORIZED",
    ];
    check_faults(&told, expected);
    for told in &told {
        assert_eq!(told["rows"].as_object().expect("rows").len(), 4);
        // Text is laid out in views.
        let columns = told["columns"].to_string().replace("string_view", "string");
        assert_eq!(columns, arrow_columns().to_string());
        assert_eq!(told["tables"], tables());
        assert_eq!(told["table types"], json!(["TABLE"]));
        assert_eq!(told["vendor"], "syncguard");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pyarrow_flight_sees_what_its_user_may_see() {
    let world = World::new().await;
    let [north, ..] = world.told_to_each(&["query_flight.py"]).await;
    // Without what gRPC adds of its own.
    let refused = |what: &str| {
        let [kind, message] = [0, 1].map(|at| north["refused"][what][at].as_str());
        (
            kind.unwrap_or("allowed").to_owned(),
            message
                .unwrap_or("")
                .split(". ")
                .next()
                .unwrap_or("")
                .to_owned(),
        )
    };
    for what in [
        "no key",
        "a handshake with a wrong key",
        "a handshake of nobody",
    ] {
        assert_eq!(refused(what).0, "FlightUnauthenticatedError", "{what}");
    }
    let wrong = refused("a handshake with a wrong key");
    assert_eq!(wrong, refused("a handshake of nobody"));
    for what in ["a ticket of somebody else", "a ticket that was changed"] {
        let (kind, message) = refused(what);
        // What pyarrow makes of `NOT_FOUND`.
        assert_eq!(kind, "ArrowKeyError", "{what}: {message}");
        assert!(message.contains("there is no such ticket"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_http_see_what_their_user_may_see() {
    let world = World::new().await;
    let told = world.told_to_each(&["query_http.py"]).await;
    let expected = [
        "syntax_error",
        "undefined_table",
        "undefined_column",
        "division_by_zero",
        "invalid_cast",
        "statement_not_accepted",
    ];
    check_faults(&told, expected);
    assert_eq!(told[0]["rows"].as_object().expect("rows").len(), 9);
}
