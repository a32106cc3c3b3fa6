//! What was granted and is no longer, asked over HTTP: the next statement sees the change, and an
//! answer that is on its way ends.

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{equals, first_values, message};
use crate::api::{Answer, MEMBER, Server};

/// A member whose groups open customers from Germany.
struct Town {
    server: Server,
    ws: String,
    category: String,
    group: String,
    subset: String,
    assignment: String,
    account: String,
    key: String,
}

const NAMES: &str = "SELECT name FROM customers ORDER BY name";

impl Town {
    async fn new() -> Town {
        // Small batches, so that an answer has many.
        let server = Server::start_with(|config| config.batch_rows = 100).await;
        let ws = server.workspace().await;
        let model = server.catalog(&ws).await.model;
        let category = server.category(&ws, "Region", "deny").await;
        let tree = equals("country", "DE");
        let subset = server
            .subset(&ws, &category, Some(&model), "DE", tree)
            .await;
        let other = equals("country", "FR");
        server
            .subset(&ws, &category, Some(&model), "FR", other)
            .await;
        let group = server.group(&ws, "Germans", None).await;
        let assignment = server.assign(&ws, &subset, &group).await;
        let (account, key) = server.joined(&ws, "m@example.com", MEMBER).await;
        server.enroll(&ws, &group, &account).await;
        Town {
            server,
            ws,
            category,
            group,
            subset,
            assignment,
            account,
            key,
        }
    }

    async fn ask(&self, sql: &str) -> Answer {
        let path = format!("{}/query", self.ws);
        let body = json!({"sql": sql});
        self.server.by(&self.key, Method::POST, &path, body).await
    }

    async fn names(&self) -> Vec<String> {
        let answer = self.ask(NAMES).await.expect(200);
        let rows = answer["rows"].as_array().expect("rows");
        let names = rows
            .iter()
            .map(|row| row[0].as_str().expect("a name").to_owned());
        names.collect()
    }
}

#[tokio::test]
async fn a_policy_that_was_tightened_governs_the_next_statement() {
    let town = Town::new().await;
    assert_eq!(town.names().await, ["Ada"]);
    let path = format!("{}/subsets/{}", town.ws, town.subset);
    for (country, names) in [
        ("US", vec!["Bo", "Di"]),
        ("NL", vec![]),
        ("DE", vec!["Ada"]),
    ] {
        let change = json!({"filter_tree": equals("country", country)});
        town.server.put(&path, change).await.expect(200);
        assert_eq!(town.names().await, names, "{country}");
    }
}

#[tokio::test]
async fn removal_of_the_last_policy_shows_no_row() {
    let town = Town::new().await;
    assert_eq!(town.names().await, ["Ada"]);
    let assignments = format!("{}/subsets/{}/assignments", town.ws, town.subset);
    let path = format!("{assignments}/{}", town.assignment);
    town.server.delete(&path).await.expect(204);
    assert_eq!(town.names().await, [""; 0]);
    // Nor where the policy itself goes, as long as the category covers the model.
    let assignment = town
        .server
        .assign(&town.ws, &town.subset, &town.group)
        .await;
    assert_eq!(town.names().await, ["Ada"]);
    let path = format!("{assignments}/{assignment}");
    town.server.delete(&path).await.expect(204);
    let path = format!("{}/subsets/{}", town.ws, town.subset);
    town.server.delete(&path).await.expect(204);
    assert_eq!(town.names().await, [""; 0]);
}

#[tokio::test]
async fn removal_of_a_categorys_last_policy_shows_no_row() {
    let town = Town::new().await;
    let subsets = format!("{}/subsets", town.ws);
    let given = format!("{}/groups/{}/subsets", town.ws, town.group);
    let none = json!({"subset_ids": []});
    town.server.put(&given, none).await.expect(200);
    let all = town.server.get(&subsets).await.expect(200);
    for subset in all.as_array().expect("policies") {
        let id = subset["id"].as_str().expect("an id");
        town.server
            .delete(&format!("{subsets}/{id}"))
            .await
            .expect(204);
        assert_eq!(town.names().await, [""; 0]);
    }
    let path = format!("{}/query", town.ws);
    let answer = town.server.post(&path, json!({"sql": NAMES})).await;
    let everything = first_values(&answer.expect(200));
    assert_eq!(everything.len(), 5);
    let path = format!("{}/subset-categories/{}", town.ws, town.category);
    town.server.delete(&path).await.expect(204);
    assert_eq!(town.names().await, everything);
}

#[tokio::test]
async fn membership_removed() {
    let town = Town::new().await;
    assert_eq!(town.names().await, ["Ada"]);
    let groups = format!("{}/groups/{}/members", town.ws, town.group);
    let path = format!("{groups}/{}", town.account);
    town.server.delete(&path).await.expect(204);
    assert_eq!(town.names().await, [""; 0]);
    let path = format!("{}/members/{}", town.ws, town.account);
    town.server.delete(&path).await.expect(204);
    let error = town.ask(NAMES).await.expect(404);
    assert_eq!(message(&error), "workspace not found");
}

#[tokio::test]
async fn a_role_without_the_permission_asks_nothing() {
    let town = Town::new().await;
    let role = town.server.role(&town.ws, "blind", &["sources.read"]).await;
    let path = format!("{}/members/{}", town.ws, town.account);
    let change = json!({"role_id": role});
    town.server.put(&path, change).await.expect(200);
    let error = town.ask(NAMES).await.expect(403);
    assert!(message(&error).contains("models.read"), "{error}");
}

/// More bytes than sockets hold, so that the answer cannot be whole when the policy changes.
#[tokio::test]
async fn policy_changed_in_mid_stream_ends_the_answer() {
    const ROWS: usize = 6_000;
    let town = Town::new().await;
    let (server, ws) = (&town.server, &town.ws);
    let wide = "w".repeat(4_000);
    let rows: String = (0..ROWS).map(|id| format!("{id},DE,{wide}\n")).collect();
    server.write_file("wide.csv", &format!("id,country,wide\n{rows}"));
    let source = json!({"name": "wide", "type": "files", "config": {"path": "wide.csv"}});
    let source = server.made(&format!("{ws}/sources"), source).await;
    let model = json!({"name": "wide", "source_id": source, "table": "files"});
    let model = server.made(&format!("{ws}/models"), model).await;
    let tree = equals("country", "DE");
    let subset = server
        .subset(ws, &town.category, Some(&model), "wide", tree)
        .await;
    server.assign(ws, &subset, &town.group).await;
    for changes in [false, true] {
        let request = server
            .request(Method::POST, &format!("{ws}/query"))
            .bearer_auth(&town.key)
            .header("accept", "application/x-ndjson")
            .body(json!({"sql": "SELECT id, country, wide FROM wide"}).to_string());
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let mut body = response.bytes_stream();
        let mut bytes = 0;
        let mut whole = true;
        let mut changed = !changes;
        while let Some(part) = body.next().await {
            match part {
                Ok(part) => bytes += part.len(),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
            if !changed {
                changed = true;
                let change = json!({"filter_tree": equals("country", "NL")});
                let path = format!("{ws}/subsets/{subset}");
                server.put(&path, change).await.expect(200);
            }
        }
        let has_all = bytes > ROWS * wide.len();
        assert_eq!((whole, has_all), (!changes, !changes), "{bytes} bytes");
    }
}

/// Whether a model is there at all is not for those to know who may not read it.
#[tokio::test]
async fn another_workspaces_model_is_unknown() {
    let town = Town::new().await;
    let other = json!({"name": "other"});
    let other = town.server.made("/api/v1/workspaces", other).await;
    let other = format!("/api/v1/workspaces/{other}");
    let source = json!({"name": "files", "type": "files", "config": {"path": "customers.csv"}});
    let source = town.server.made(&format!("{other}/sources"), source).await;
    let model = json!({"name": "secrets", "source_id": source, "table": "files"});
    town.server.made(&format!("{other}/models"), model).await;
    let told = async |table: &str| {
        let answer = town.ask(&format!("SELECT * FROM {table}")).await;
        let status = answer.status;
        assert!((400..500).contains(&status), "{answer:?}");
        let mut error: Value = answer.expect(status);
        error["error"]["request_id"] = Value::Null;
        let text = error.to_string();
        let text = text.replace("secrets", "X").replace("nothing", "X");
        (status, text.replace("other", "Y").replace("nowhere", "Y"))
    };
    for (theirs, nobodys) in [
        ("secrets", "nothing"),
        ("public.secrets", "public.nothing"),
        ("other.public.secrets", "nowhere.public.secrets"),
        ("other.public.secrets", "other.public.nothing"),
        ("\"default\".public.secrets", "\"default\".public.nothing"),
    ] {
        assert_eq!(told(theirs).await, told(nobodys).await, "{theirs}");
    }
    // Nor does its id lead anywhere.
    let path = format!("{other}/query");
    let body = json!({"sql": "SELECT * FROM secrets"});
    let answer = town.server.by(&town.key, Method::POST, &path, body).await;
    assert_eq!(message(&answer.expect(404)), "workspace not found");
}
