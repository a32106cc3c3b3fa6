//! What a session answers over a small guarded table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use futures::TryStreamExt;
use serde_json::json;

use super::*;
use crate::guard::Guard;
use crate::policy::{FilterTree, PolicyKind, Requirement};

const BOUNDS: Bounds = Bounds {
    memory_bytes: 64 << 20,
    text_bytes: 64 << 10,
    plan_nodes: 5_000,
    batch_rows: 4,
};

#[derive(Debug)]
struct Shop(BTreeMap<String, GuardedTable>);

#[async_trait]
impl Tables for Shop {
    async fn table(&self, name: &str) -> Result<Option<GuardedTable>, BoxError> {
        Ok(self.0.get(name).cloned())
    }
}

/// Ten accounts, of which those with an even id are mine. Number 5 is somebody else's, has a
/// balance of 5 and a name that is no number.
fn session() -> Session {
    session_within(BOUNDS)
}

fn session_within(bounds: Bounds) -> Session {
    let ids: Vec<i64> = (0..10).collect();
    let names: Vec<String> = ids
        .iter()
        .map(|id| match id {
            5 => "SECRET".to_owned(),
            id => id.to_string(),
        })
        .collect();
    let names = names.iter().map(String::as_str);
    let rows = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids.clone())) as _),
        (
            "owner",
            Arc::new(StringArray::from_iter_values(
                ids.iter().map(|id| if id % 2 == 0 { "me" } else { "you" }),
            )) as _,
        ),
        ("balance", Arc::new(Int64Array::from(ids.clone())) as _),
        (
            "kind",
            Arc::new(names.clone().collect::<DictionaryArray<Int32Type>>()) as _,
        ),
        ("name", Arc::new(StringArray::from_iter_values(names)) as _),
    ])
    .unwrap();
    let filter_tree = FilterTree::parse(&json!({
        "type": "condition", "condition_type": "property",
        "column": "owner", "operator": "equals", "value": "me",
    }))
    .unwrap();
    let required = Requirement {
        policy_id: None,
        kind: PolicyKind::Access,
        name: "mine".into(),
        filter_tree,
    };
    let now = DateTime::UNIX_EPOCH;
    let guard = Guard::compile(&rows.schema(), &[required], now, 7).unwrap();
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    let table = GuardedTable::new("accounts", Arc::new(table), Arc::new(guard));
    let shop = Shop([("accounts".to_owned(), table)].into());
    Session::open("shop", Arc::new(shop), &Extras::default(), bounds, 7, now).unwrap()
}

async fn ask(sql: &str, values: &[ScalarValue]) -> Result<String, RunFault> {
    let plan = session().plan(sql).await?.bind(values)?;
    let batches: Vec<Guarded> = plan.run().await?.try_collect().await?;
    assert!(batches.iter().all(|batch| batch.revision() == 7));
    let batches: Vec<RecordBatch> = batches.iter().map(|b| b.batch().clone()).collect();
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// The cells of the rows, joined.
async fn cells(sql: &str) -> String {
    let shown = ask(sql, &[])
        .await
        .unwrap_or_else(|fault| panic!("{sql}: {fault}"));
    let rows = shown.lines().filter(|line| line.starts_with('|')).skip(1);
    rows.map(|row| row.replace([' ', '|'], ","))
        .map(|row| {
            let cells: Vec<&str> = row.split(',').filter(|cell| !cell.is_empty()).collect();
            cells.join(" ")
        })
        .collect::<Vec<_>>()
        .join("; ")
}

#[tokio::test]
async fn only_rows_that_pass_are_seen() {
    for (sql, expected) in [
        ("SELECT id FROM accounts", "0; 2; 4; 6; 8"),
        ("SELECT count(*) FROM accounts", "5"),
        ("SELECT max(id), min(id) FROM shop.public.accounts", "8 0"),
        (
            "SELECT id FROM accounts WHERE id > 3 ORDER BY id DESC",
            "8; 6; 4",
        ),
        (
            "SELECT id FROM accounts WHERE 1/(balance-5) = 0 AND id < 3",
            "0; 2",
        ),
        ("SELECT sum(CAST(name AS BIGINT)) FROM accounts", "20"),
        // A dictionary holds the values of all rows that came with it.
        ("SELECT sum(CAST(kind AS BIGINT)) FROM accounts", "20"),
        (
            "SELECT count(*) FROM accounts a, accounts b, accounts c",
            "125",
        ),
        (
            "SELECT id, count(*) OVER () AS n FROM accounts WHERE id < 4",
            "0 2; 2 2",
        ),
        (
            "SELECT id, sum(id) OVER (ORDER BY id) AS n FROM accounts WHERE id < 5",
            "0 0; 2 2; 4 6",
        ),
        (
            "SELECT id, 'x' AS t FROM accounts WHERE id = 2 UNION ALL SELECT NULL, NULL::text",
            "2 x; ",
        ),
        ("SELECT id FROM accounts WHERE owner = 'you'", ""),
        ("SELECT id FROM accounts LIMIT 2", "0; 2"),
        (
            "SELECT id FROM accounts UNION ALL SELECT id + 100 FROM accounts LIMIT 7",
            "0; 2; 4; 6; 8; 100; 102",
        ),
    ] {
        assert_eq!(cells(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn parameters_take_the_type_that_the_text_asks_for() {
    let sql = "SELECT id FROM accounts WHERE id = $1 OR name = $2";
    let plan = session().plan(sql).await.unwrap();
    let types = plan.parameters().unwrap();
    assert_eq!(types, [Some(DataType::Int64), Some(DataType::Utf8)]);
    let shown = ask(sql, &[ScalarValue::from("4"), ScalarValue::from("8")]).await;
    let shown = shown.unwrap();
    assert!(
        shown.contains("| 4  |") && shown.contains("| 8  |"),
        "{shown}"
    );
    let fault = ask(sql, &[ScalarValue::from("x"), ScalarValue::from("8")]).await;
    assert!(
        matches!(&fault, Err(RunFault::Query(fault)) if fault.kind == FaultKind::Parameters),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_plan_names_the_tables_it_reads() {
    for (sql, tables) in [
        ("SELECT 1", &[][..]),
        ("SELECT id FROM accounts", &["accounts"]),
        (
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM shop.public.accounts)",
            &["accounts"],
        ),
    ] {
        assert_eq!(session().plan(sql).await.unwrap().tables(), tables, "{sql}");
    }
}

#[tokio::test]
async fn a_plan_ends_at_the_guard() {
    let shown = ask(
        "EXPLAIN SELECT id FROM accounts WHERE id = 3 AND balance / id > 1",
        &[],
    );
    let shown = shown.await.unwrap();
    assert!(shown.contains("GuardedScan: table=accounts"), "{shown}");
    for hidden in ["owner", "MemoryExec", "DataSource", "mine"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

#[tokio::test]
async fn what_a_window_keeps_is_accounted_for() {
    let bounds = Bounds {
        memory_bytes: 1_000,
        ..BOUNDS
    };
    let session = session_within(bounds);
    for (sql, fits) in [
        ("SELECT id FROM accounts", true),
        ("SELECT *, count(*) OVER () AS n FROM accounts", false),
    ] {
        let plan = session.plan(sql).await.unwrap();
        let rows = plan.run().await.unwrap();
        let rows: Result<Vec<_>, _> = rows.try_collect().await;
        let kind = rows.err().map(|fault| match fault {
            RunFault::Query(fault) => fault.kind,
            RunFault::Table(_) => FaultKind::Internal,
        });
        assert_eq!(kind, (!fits).then_some(FaultKind::Memory), "{sql}");
    }
}
