//! The extended protocol: prepared statements, values, portals.

use serde_json::json;

use super::*;
use crate::api::fixtures::equals;

#[tokio::test]
async fn values_are_bound_to_prepared_statements() {
    let (_server, client) = connected().await;
    let query = "SELECT name FROM customers WHERE id = $1";
    let prepared = client.prepare(query).await.unwrap();
    assert_eq!(prepared.params().len(), 1);
    assert_eq!(prepared.columns()[0].name(), "name");
    for (id, name) in [(1_i64, "Ada"), (4, "Di")] {
        let row = client.query_one(&prepared, &[&id]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), name);
    }
    assert!(
        client
            .query(&prepared, &[&99_i64])
            .await
            .unwrap()
            .is_empty()
    );
    let error = client.prepare("SELECT nothing FROM customers").await;
    assert_eq!(code_of(&error.unwrap_err()), "42703");
    let error = client.prepare("SELECT 1; SELECT 2").await;
    assert_eq!(code_of(&error.unwrap_err()), "42601");
    let empty = client.prepare("").await.unwrap();
    assert!(empty.columns().is_empty());
    assert_eq!(client.execute(&empty, &[]).await.unwrap(), 0);
}

#[tokio::test]
async fn portals_are_suspended_and_go_on() {
    let (_server, mut client) = connected().await;
    let transaction = client.transaction().await.unwrap();
    let query = "SELECT id FROM customers ORDER BY id";
    let portal = transaction.bind(query, &[]).await.unwrap();
    let mut pieces = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 2).await.unwrap();
        if rows.is_empty() {
            break;
        }
        pieces.push(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>());
    }
    assert_eq!(pieces, [vec![1, 2], vec![3, 4], vec![5]]);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn prepared_statements_obey_the_policies_of_their_execution() {
    let (server, key) = started().await;
    let (user, member, policy, _) = restricted(&server).await;
    let owner = connect(&server, OWNER, &key).await.unwrap();
    let client = connect(&server, user, &member).await.unwrap();
    let query = "SELECT id FROM customers ORDER BY id";
    let prepared = client.prepare(query).await.unwrap();
    let ids = async |client: &Client| -> Vec<i64> {
        let rows = client.query(&prepared, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(ids(&client).await, [2, 4]);
    change(&server, &policy, "FR").await;
    assert_eq!(ids(&client).await, [3]);
    assert_eq!(column(&owner, query).await.len(), 5);
}

/// Has a policy show another country.
async fn change(server: &Server, policy: &str, country: &str) {
    let mut body = server.get(policy).await.expect(200);
    body["filter_tree"] = equals("country", country);
    let fields = ["name", "category_id", "parent_model_id", "filter_tree"];
    let body: serde_json::Map<_, _> = fields
        .into_iter()
        .map(|field| (field.to_owned(), body[field].clone()))
        .collect();
    server.put(policy, json!(body)).await.expect(200);
}

#[tokio::test]
async fn rows_held_back_are_not_released_after_a_change() {
    let (server, _) = started().await;
    let (user, member, policy, _) = restricted(&server).await;
    let mut client = connect(&server, user, &member).await.unwrap();
    for statement in [
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id",
    ] {
        assert_eq!(code(&client, statement).await, "");
    }
    assert_eq!(column(&client, "FETCH c").await, ["2"]);
    change(&server, &policy, "FR").await;
    assert_eq!(code(&client, "FETCH c").await, "40001");
    assert_eq!(code(&client, "SELECT 1").await, "25P02");
    assert_eq!(code(&client, "ROLLBACK").await, "");
    let transaction = client.transaction().await.unwrap();
    let query = "SELECT id FROM customers UNION ALL SELECT id FROM customers";
    let portal = transaction.bind(query, &[]).await.unwrap();
    let rows = transaction.query_portal(&portal, 1).await.unwrap();
    assert_eq!(rows[0].get::<_, i64>(0), 3);
    change(&server, &policy, "US").await;
    let error = transaction.query_portal(&portal, 1).await.unwrap_err();
    assert_eq!(code_of(&error), "40001");
}

#[tokio::test]
async fn member_who_is_removed_reads_nothing_more() {
    let (server, _) = started().await;
    let (user, member, _, _) = restricted(&server).await;
    let client = connect(&server, user, &member).await.unwrap();
    let prepared = client.prepare("SELECT id FROM customers").await.unwrap();
    assert_eq!(client.query(&prepared, &[]).await.unwrap().len(), 2);
    let ws = server.workspace().await;
    let members = server.get(&format!("{ws}/members")).await.expect(200);
    let owner = server.owner_id().await;
    let ids = crate::api::fixtures::column(&members, "account_id");
    let id = ids.into_iter().find(|id| id.as_str() != Some(&owner));
    let path = format!("{ws}/members/{}", id.unwrap().as_str().unwrap());
    server.delete(&path).await.expect(204);
    let error = client.query(&prepared, &[]).await.unwrap_err();
    assert_eq!(code_of(&error), "3D000");
}

#[tokio::test]
async fn failure_is_passed_over_until_the_end_of_the_pipeline() {
    let (_server, client) = connected().await;
    let (good, bad) = ("SELECT 1::bigint", "SELECT 1/0 FROM customers");
    for _ in 0..3 {
        let (first, failed, last) = tokio::join!(
            client.query_one(good, &[]),
            client.query(bad, &[]),
            client.query_one(good, &[]),
        );
        assert_eq!(first.unwrap().get::<_, i64>(0), 1);
        assert_eq!(code_of(&failed.unwrap_err()), "22012");
        assert_eq!(last.unwrap().get::<_, i64>(0), 1);
    }
}

#[tokio::test]
async fn statements_prepared_in_sql_are_executed() {
    let (_server, client) = connected().await;
    let prepare = "PREPARE p (bigint) AS SELECT name FROM customers WHERE id = $1";
    assert_eq!(code(&client, prepare).await, "");
    assert_eq!(code(&client, prepare).await, "42P05");
    assert_eq!(column(&client, "EXECUTE p (2)").await, ["Bo"]);
    assert_eq!(column(&client, "EXECUTE p ('3')").await, ["Cy"]);
    assert_eq!(code(&client, "EXECUTE p").await, "22023");
    assert_eq!(code(&client, "EXECUTE p (1 + 1)").await, "0A000");
    assert_eq!(code(&client, "DEALLOCATE p").await, "");
    assert_eq!(code(&client, "EXECUTE p (2)").await, "26000");
}
