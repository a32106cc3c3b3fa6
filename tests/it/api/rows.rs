//! `/workspaces/{id}/models/{modelId}/rows`: the rows of a model that the caller may see.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{House, first_values, message};
use super::{BOOTSTRAP_KEY, NOBODY, Server};

on_both_stores!(rows_are_the_callers, columns_and_pages_are_chosen);

impl House {
    fn rows(&self, query: &str) -> String {
        format!("{}/models/{}/rows{query}", self.ws, self.catalog.model)
    }
}

async fn rows_are_the_callers(server: Server) {
    let house = House::of(&server).await;
    let (analyst, key) = &house.analyst;
    let all = server.get(&house.rows("")).await;
    assert!(all.header("syncguard-policy-revision").is_some());
    let all = all.expect(200);
    let names: Vec<&Value> = all["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(names, ["id", "name", "country", "consent"]);
    assert_eq!(
        all["rows"],
        json!([
            [1, "Ada", "DE", true],
            [2, "Bo", "US", true],
            [3, "Cy", "FR", false],
            [4, "Di", "US", null],
            [5, "Ed", null, true],
        ])
    );
    let own = server
        .by(key, Method::GET, &house.rows(""), Value::Null)
        .await
        .expect(200);
    assert_eq!(own["rows"], json!([all["rows"][1], all["rows"][3]]));
    let theirs = house.rows(&format!("?account_id={analyst}"));
    assert_eq!(server.get(&theirs).await.expect(200), own);
    // Who does not see every row sees through nobody else's eyes.
    let owner = server.owner_id().await;
    let through = house.rows(&format!("?account_id={owner}"));
    let refused = server.by(key, Method::GET, &through, Value::Null).await;
    let error = refused.expect(403);
    assert!(message(&error).contains("every row"), "{error}");
    let nobody = house.rows(&format!("?account_id={NOBODY}"));
    assert_eq!(server.get(&nobody).await.faults(), ["$query.account_id"]);
    let nowhere = format!("{}/models/{NOBODY}/rows", house.ws);
    server.get(&nowhere).await.expect(404);
}

async fn columns_and_pages_are_chosen(server: Server) {
    let house = House::of(&server).await;
    let ids = async |query: &str| {
        let answer = server.get(&house.rows(query)).await;
        first_values(&answer.expect(200))
    };
    assert_eq!(ids("?limit=2").await, [1, 2]);
    assert_eq!(ids("?limit=2&offset=3").await, [4, 5]);
    assert_eq!(ids("?offset=5").await, Vec::<Value>::new());
    assert_eq!(
        ids("?offset=1000000000000&limit=10000").await,
        Vec::<Value>::new()
    );
    assert_eq!(ids("?columns=name,id&limit=1").await, ["Ada"]);
    let rows = server.get(&house.rows("?columns=country,id&limit=1")).await;
    assert_eq!(rows.expect(200)["rows"], json!([["DE", 1]]));
    // A page of their own rows, not of all.
    let page = house.rows("?limit=1&offset=1");
    let answer = server
        .by(&house.analyst.1, Method::GET, &page, Value::Null)
        .await;
    assert_eq!(first_values(&answer.expect(200)), [4]);
    let csv = server.get(&house.rows("?format=csv&columns=id")).await;
    assert_eq!(csv.expect(200), "id\n1\n2\n3\n4\n5\n");
}

#[tokio::test]
async fn every_fault_of_a_query_is_told() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    for (query, paths) in [
        ("?limit=0", vec!["$query.limit"]),
        (
            "?limit=10001&offset=-1",
            vec!["$query.limit", "$query.offset"],
        ),
        ("?offset=1000000000001", vec!["$query.offset"]),
        (
            "?account_id=x&order=id",
            vec!["$query.account_id", "$query.order"],
        ),
        ("?limit=1&limit=2", vec!["$query.limit"]),
        ("?columns=", vec!["$query.columns"]),
        (
            "?columns=id,land,ID",
            vec!["$query.columns", "$query.columns"],
        ),
        ("?columns=id,name,id", vec!["$query.columns"]),
        (
            "?columns=id%22,%22name",
            vec!["$query.columns", "$query.columns"],
        ),
    ] {
        let answer = server.get(&house.rows(query)).await;
        assert_eq!(answer.faults(), paths, "{query}");
    }
    server.get(&house.rows("?format=xlsx")).await.expect(400);
    let request = server
        .request(Method::GET, &house.rows(""))
        .bearer_auth(BOOTSTRAP_KEY)
        .header("accept", "text/html");
    server.send(request).await.expect(406);
}

#[tokio::test]
async fn names_that_need_quotes_are_found() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    server.write_file("odd.csv", "Id,\"a \"\"b\"\"\",select\n2,x,1\n1,y,2\n");
    let source = json!({"name": "odd", "type": "files", "config": {"path": "odd.csv"}});
    let source = server.made(&format!("{ws}/sources"), source).await;
    let name = "Odd \"rows\"; DROP TABLE customers";
    let model = json!({"name": name, "source_id": source, "table": "files", "primary_key": ["Id"]});
    let model = server.made(&format!("{ws}/models"), model).await;
    let path = format!("{ws}/models/{model}/rows");
    let rows = server.get(&path).await.expect(200);
    assert_eq!(rows["rows"], json!([[1, "y", 2], [2, "x", 1]]));
    let rows = server
        .get(&format!("{path}?columns=a%20%22b%22,select"))
        .await;
    assert_eq!(rows.expect(200)["rows"], json!([["y", 2], ["x", 1]]));
}
