//! What the tests of the control plane set up, and how they ask for its effect.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Catalog, MEMBER, NOBODY, Server, text};

/// A filter tree of one condition.
pub(crate) fn equals(column: &str, value: &str) -> Value {
    condition(column, "equals", json!(value))
}

/// A filter tree of one condition that takes a value.
pub(crate) fn condition(column: &str, operator: &str, value: Value) -> Value {
    json!({
        "type": "condition",
        "condition_type": "property",
        "column": column,
        "operator": operator,
        "value": value,
    })
}

/// The keys of an object in their order.
#[track_caller]
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

/// One field of every object of a list.
#[track_caller]
pub(crate) fn column<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    let list = list.as_array().expect("a list");
    list.iter().map(|object| &object[field]).collect()
}

/// Whether a value is a time in UTC such as `2026-01-31T09:30:00.5Z`.
pub(crate) fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
    })
}

/// Whether a value is a UUID.
pub(crate) fn is_id(value: &Value) -> bool {
    let text = value.as_str();
    text.is_some_and(|text| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok())
}

/// The revision that an answer tells of.
#[track_caller]
pub(crate) fn revision(answer: &Answer) -> u64 {
    let header = answer.header("syncguard-policy-revision");
    header.expect("a revision").parse().expect("a number")
}

/// The message of an error.
#[track_caller]
pub(crate) fn message(error: &Value) -> &str {
    error["error"]["message"].as_str().expect("a message")
}

/// A model of customers, of which members see those from the US alone: an access policy opens
/// them to a group.
pub(crate) struct House {
    pub(crate) ws: String,
    pub(crate) catalog: Catalog,
    pub(crate) group: String,
    pub(crate) category: String,
    pub(crate) policy: String,
    /// A member of the group: account and key.
    pub(crate) analyst: (String, String),
}

impl House {
    pub(crate) async fn of(server: &Server) -> House {
        let ws = server.workspace().await;
        let catalog = server.catalog(&ws).await;
        let category = server.category(&ws, "Region", "deny").await;
        let tree = equals("country", "US");
        let model = Some(catalog.model.as_str());
        let policy = server.subset(&ws, &category, model, "US", tree).await;
        let group = server.group(&ws, "US", None).await;
        server.assign(&ws, &policy, &group).await;
        let analyst = server.joined(&ws, "analyst@example.com", MEMBER).await;
        server.enroll(&ws, &group, &analyst.0).await;
        House {
            ws,
            catalog,
            group,
            category,
            policy,
            analyst,
        }
    }
}

/// The first value of each row of an answer to a query.
#[track_caller]
pub(crate) fn first_values(table: &Value) -> Vec<Value> {
    let rows = table["rows"].as_array().expect("rows");
    rows.iter().map(|row| row[0].clone()).collect()
}

impl Server {
    /// A request with a key.
    pub(crate) async fn by(&self, key: &str, method: Method, path: &str, body: Value) -> Answer {
        self.ask(Some(key), method, path, Some(&body.to_string()))
            .await
    }

    /// A new object; answers its id.
    pub(crate) async fn made(&self, path: &str, body: Value) -> String {
        text(&self.post(path, body).await.expect(201)["id"])
    }

    /// A new account that has a role in a workspace; answers its id and a key for everything.
    pub(crate) async fn joined(&self, ws: &str, email: &str, role_id: &str) -> (String, String) {
        let (account_id, key) = self.account(email, json!(["*"])).await;
        let member = json!({"account_id": account_id, "role_id": role_id});
        let members = format!("{ws}/members");
        self.post(&members, member).await.expect(201);
        (account_id, key)
    }

    /// A new custom role; answers its id.
    pub(crate) async fn role(&self, ws: &str, name: &str, permissions: &[&str]) -> String {
        let role = json!({"name": name, "permissions": permissions});
        self.made(&format!("{ws}/roles"), role).await
    }

    /// A new group; answers its id.
    pub(crate) async fn group(&self, ws: &str, name: &str, role_id: Option<&str>) -> String {
        let group = json!({"name": name, "role_id": role_id});
        self.made(&format!("{ws}/groups"), group).await
    }

    /// Puts an account into a group.
    pub(crate) async fn enroll(&self, ws: &str, group: &str, account_id: &str) {
        let members = format!("{ws}/groups/{group}/members");
        let member = json!({"account_id": account_id});
        self.post(&members, member).await.expect(201);
    }

    /// A new category; answers its id.
    pub(crate) async fn category(&self, ws: &str, name: &str, unassigned: &str) -> String {
        let category = json!({"name": name, "unassigned": unassigned});
        self.made(&format!("{ws}/subset-categories"), category)
            .await
    }

    /// A new access policy; answers its id.
    pub(crate) async fn subset(
        &self,
        ws: &str,
        category: &str,
        model: Option<&str>,
        name: &str,
        filter_tree: Value,
    ) -> String {
        let subset = json!({
            "name": name,
            "category_id": category,
            "parent_model_id": model,
            "filter_tree": filter_tree,
        });
        self.made(&format!("{ws}/subsets"), subset).await
    }

    /// Assigns an access policy to a group; answers the assignment's id.
    pub(crate) async fn assign(&self, ws: &str, subset: &str, group: &str) -> String {
        let path = format!("{ws}/subsets/{subset}/assignments");
        self.made(&path, json!({"group_id": group})).await
    }

    /// The account that the first key belongs to.
    pub(crate) async fn owner_id(&self) -> String {
        text(&self.get("/api/v1/me").await.expect(200)["account"]["id"])
    }

    /// The permissions of a key's account in a workspace.
    pub(crate) async fn permissions(&self, ws: &str, key: &str) -> Vec<String> {
        let path = format!("{ws}/permissions/me");
        let held = self.ask(Some(key), Method::GET, &path, None).await;
        let held = held.expect(200);
        column(&held, "key").into_iter().map(text).collect()
    }

    /// The ids of the customers that access policies let an account see, as `explain` has it.
    pub(crate) async fn seen(&self, ws: &str, model: &str, account_id: &str) -> Vec<u64> {
        let body = json!({
            "model_id": model,
            "account_id": account_id,
            "records": [
                {"id": 1, "name": "Ada", "country": "DE", "consent": true},
                {"id": 2, "name": "Bo", "country": "US", "consent": true},
                {"id": 3, "name": "Cy", "country": "FR", "consent": false},
                {"id": 4, "name": "Di", "country": "US"},
                {"id": 5, "name": "Ed", "consent": true},
            ],
        });
        let explained = self.post(&format!("{ws}/explain"), body).await.expect(200);
        let passes = column(&explained, "passes");
        assert_eq!(passes.len(), 5);
        (1..)
            .zip(passes)
            .filter(|(_, passes)| passes.as_bool().expect("yes or no"))
            .map(|(id, _)| id)
            .collect()
    }

    /// A run of a sync by a key, after its end.
    pub(crate) async fn ran(&self, key: &str, ws: &str, sync: &str) -> Value {
        let path = format!("{ws}/syncs/{sync}/trigger");
        let run = self.by(key, Method::POST, &path, json!({})).await;
        self.finished(ws, &text(&run.expect(202)["run_id"])).await
    }

    /// The ids of the records in the file that the catalog's sync writes.
    pub(crate) fn sent(&self, model: &str) -> Vec<u64> {
        let path = format!("data/files/out-{model}.ndjson");
        let content = std::fs::read_to_string(self.folder.path().join(path)).expect("the file");
        let records = content.lines().map(|line| {
            let record: Value = serde_json::from_str(line).expect("a record");
            record["id"].as_u64().expect("an id")
        });
        records.collect()
    }

    /// Checks that an object is changed and deleted as it was read, and not otherwise. `change`
    /// must be accepted; the object is gone afterwards.
    pub(crate) async fn heeds_if_match(&self, path: &str, change: Value) {
        let read = self.get(path).await;
        let first = read.header("etag").expect("an ETag").to_owned();
        let before = read.expect(200);
        let attempt = async |method: Method, tag: &str| {
            let header = ("if-match", tag);
            self.with_header(method, path, header, change.clone()).await
        };
        attempt(Method::PUT, "\"other\"").await.expect(412);
        attempt(Method::DELETE, "\"other\"").await.expect(412);
        assert_eq!(self.get(path).await.expect(200), before, "{path}");
        let changed = attempt(Method::PUT, &first).await;
        let second = changed.header("etag").expect("an ETag").to_owned();
        let changed = changed.expect(200);
        assert_ne!(first, second, "{path}");
        attempt(Method::PUT, &first).await.expect(412);
        attempt(Method::DELETE, &first).await.expect(412);
        let now = self.get(path).await;
        assert_eq!(now.header("etag"), Some(second.as_str()), "{path}");
        assert_eq!(now.expect(200), changed, "{path}");
        attempt(Method::DELETE, &second).await.expect(204);
        self.get(path).await.expect(404);
    }

    /// Checks that requests with each body are refused with the faults at its paths, and that a
    /// list is the same afterwards.
    pub(crate) async fn refuses<const N: usize>(
        &self,
        method: Method,
        path: &str,
        list: &str,
        bodies: [(Value, &[&str]); N],
    ) {
        let before = self.get(list).await.expect(200);
        for (body, paths) in bodies {
            let answer = self.as_owner(method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, 422, "{method} {path} {body}: {answer:?}");
            assert_eq!(answer.faults(), paths, "{method} {path} {body}");
        }
        assert_eq!(self.get(list).await.expect(200), before, "{list}");
    }

    /// Checks what every route answers to whom it is not for. `read` and `write` are requests
    /// that take `governance.read` and `governance.write` and would succeed for the owner.
    pub(crate) async fn is_governed(
        &self,
        ws: &str,
        read: &[&str],
        write: &[(Method, &str, Value)],
    ) {
        let (_, stranger) = self.account("stranger@example.com", json!(["*"])).await;
        let (member_id, member) = self
            .joined(ws, "bystander@example.com", super::MEMBER)
            .await;
        let limited = self.key(&member_id, json!(["sources:read"])).await;
        let owner_id = self.owner_id().await;
        let reader = self.key(&owner_id, json!(["governance:read"])).await;
        let requests = read
            .iter()
            .map(|path| (Method::GET, *path, Value::Null, false));
        let changes = write
            .iter()
            .map(|(method, path, body)| (method.clone(), *path, body.clone(), true));
        let seen = async || {
            let mut seen = Vec::new();
            for path in read {
                seen.push(self.get(path).await.expect(200));
            }
            seen
        };
        let before = seen().await;
        for (method, path, body, writes) in requests.chain(changes) {
            let text = body.to_string();
            let ask = async |key: Option<&str>| {
                let answer = self.ask(key, method.clone(), path, Some(&text)).await;
                (answer.status, answer)
            };
            let (status, _) = ask(None).await;
            assert_eq!(status, 401, "{method} {path}");
            let (status, _) = ask(Some("sgk_0000000000000000_00")).await;
            assert_eq!(status, 401, "{method} {path}");
            let (status, answer) = ask(Some(&stranger)).await;
            assert_eq!(status, 404, "{method} {path}");
            assert_eq!(message(&answer.expect(404)), "workspace not found");
            let (status, answer) = ask(Some(&member)).await;
            if writes {
                assert_eq!(status, 403, "{method} {path}");
                let role = "your role does not grant governance.write";
                assert_eq!(message(&answer.expect(403)), role);
            } else {
                assert_eq!(status, 200, "{method} {path}");
            }
            let key = if writes { &reader } else { &limited };
            let (status, answer) = ask(Some(key)).await;
            assert_eq!(status, 403, "{method} {path}");
            let scope = if writes {
                "the API key lacks the scope governance:write"
            } else {
                "the API key lacks the scope governance:read"
            };
            assert_eq!(message(&answer.expect(403)), scope);
        }
        assert_eq!(seen().await, before);
    }

    /// Checks that none of these paths leads to anything, whatever the method.
    pub(crate) async fn knows_none_of(&self, requests: &[(Method, String, Value)]) {
        let mut answers = BTreeSet::new();
        for (method, path, body) in requests {
            assert!(path.contains(NOBODY), "{path}");
            let answer = self.as_owner(method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
            answers.insert(message(&answer.expect(404)).to_owned());
        }
        assert!(!answers.contains("route not found"), "{answers:?}");
    }
}
