//! `/openapi.json` is what is served: every route with its status and permission, the objects that
//! are answered, and a sweep over all identifiers that is made from the document.

mod content;
mod fits;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use self::fits::{fault, follow};
use super::{Catalog, MEMBER, NOBODY, OWNER, Server, not_in, text};
use crate::support::repository_file;

/// An operation of the document.
struct Operation {
    method: Method,
    path: String,
    about: Value,
}

impl Operation {
    fn id(&self) -> &str {
        self.about["operationId"].as_str().expect("an operationId")
    }

    fn takes_key(&self) -> bool {
        self.about["security"] != json!([])
    }

    /// The permission it takes, as the scope of a key.
    fn scope(&self) -> Option<String> {
        let permission = self.about["x-permission"].as_str()?;
        Some(permission.replacen('.', ":", 1))
    }

    /// Its one success.
    fn success(&self) -> (u16, &Value) {
        let responses = self.about["responses"].as_object().expect("responses");
        let mut good = responses
            .iter()
            .filter(|(status, _)| status.starts_with('2'));
        let (status, response) = good.next().expect("a success");
        assert!(good.next().is_none(), "{}: two successes", self.id());
        (status.parse().expect("a status"), response)
    }

    /// The names in the path's braces.
    fn in_path(&self) -> Vec<&str> {
        let opened = self.path.split('{').skip(1);
        opened
            .map(|rest| rest.split('}').next().unwrap_or(""))
            .collect()
    }

    /// The path with something in place of each name.
    /// Whether it is one of the organisation's compliance.
    fn is_governance(&self) -> bool {
        self.path.starts_with("/api/v1/governance/")
    }

    /// An identifier of its kind that nothing bears.
    fn nobody(&self) -> String {
        let governed = self.path.strip_prefix("/api/v1/governance/");
        let prefix = match governed.and_then(|path| path.split('/').next()) {
            Some("policies") => "pol_",
            Some("instances") => "pinst_",
            Some("solutions") => "sol_",
            Some("snapshots") => "snap_",
            Some("attestations") => "att_",
            Some("templates") => "tmpl_",
            _ => return NOBODY.to_owned(),
        };
        format!("{prefix}{}", NOBODY.replace('-', ""))
    }

    fn path_with(&self, value: impl Fn(&str) -> String) -> String {
        let names = self.in_path().into_iter();
        names.fold(self.path.clone(), |path, name| {
            path.replace(&format!("{{{name}}}"), &value(name))
        })
    }
}

async fn document(server: &Server) -> Value {
    let answer = server.ask(None, Method::GET, "/openapi.json", None).await;
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    answer.expect(200)
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, about) in item.as_object().expect("a path item") {
            operations.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                about: about.clone(),
            });
        }
    }
    operations
}

/// Every reference in a document that leads nowhere.
fn dangling(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str)
                && follow(document, value).is_null()
            {
                found.insert(reference.to_owned());
            }
            object
                .values()
                .for_each(|value| dangling(document, value, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| dangling(document, item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_whole() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert!(
        document["openapi"]
            .as_str()
            .expect("a version")
            .starts_with("3.1.")
    );
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut lost = BTreeSet::new();
    dangling(&document, &document, &mut lost);
    assert!(lost.is_empty(), "{lost:?}");
    let schemes = &document["components"]["securitySchemes"];
    for way in document["security"]
        .as_array()
        .expect("ways to say who asks")
    {
        for name in way.as_object().expect("a way").keys() {
            assert!(schemes[name].is_object(), "{name}");
        }
    }
    let catalog = server.get("/api/v1/permissions").await.expect(200);
    let catalog: BTreeSet<_> = catalog
        .as_array()
        .expect("permissions")
        .iter()
        .map(|permission| text(&permission["key"]))
        .collect();
    let tags = document["tags"].as_array().expect("tags");
    let tags: BTreeSet<_> = tags.iter().map(|tag| text(&tag["name"])).collect();

    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let (id, about) = (operation.id(), &operation.about);
        assert!(ids.insert(id.to_owned()), "{id} comes twice");
        assert!(!text(&about["summary"]).is_empty(), "{id}");
        let own = about["tags"].as_array().expect("tags");
        assert!(
            own.len() == 1 && tags.contains(&text(&own[0])),
            "{id}: {own:?}"
        );
        operation.success();
        if operation.takes_key() {
            let permission = about.get("x-permission");
            let known = |key: &Value| key.is_null() || catalog.contains(&text(key));
            assert!(permission.is_some_and(known), "{id}: {permission:?}");
            for status in ["401", "429", "500", "503"] {
                assert!(about["responses"][status].is_object(), "{id}: no {status}");
            }
        } else {
            assert!(about.get("x-permission").is_none(), "{id}");
        }
        let parameters = about["parameters"].as_array().cloned().unwrap_or_default();
        let mut described: Vec<String> = Vec::new();
        for parameter in &parameters {
            let parameter = follow(&document, parameter);
            assert!(!text(&parameter["description"]).is_empty(), "{id}");
            if parameter["in"] == "path" {
                assert_eq!(parameter["required"], true, "{id}");
                described.push(text(&parameter["name"]));
            }
        }
        assert_eq!(described, operation.in_path(), "{id}");
    }
    assert!(ids.len() > 80, "only {} operations", ids.len());
}

#[tokio::test]
async fn every_endpoint_of_the_contract_is_described() {
    let server = Server::start().await;
    let document = document(&server).await;
    let path = repository_file("../shared/contract/endpoints.csv");
    let contract = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("this test needs {}: {error}", path.display()));
    let mut seen = 0;
    for line in contract
        .lines()
        .filter(|line| line.starts_with("workspace,"))
    {
        let [_, method, path, success, permission, _] = line.split(',').collect::<Vec<_>>()[..]
        else {
            panic!("unreadable: {line}");
        };
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{line}");
        assert!(operation["responses"][success].is_object(), "{line}");
        let expected = if permission.is_empty() {
            Value::Null
        } else {
            permission.into()
        };
        assert_eq!(operation["x-permission"], expected, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 37);
    let content = contract.lines().filter(|line| line.starts_with("content,"));
    for line in content.clone() {
        let [_, method, path, success, _, _] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("unreadable: {line}");
        };
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation["responses"][success].is_object(), "{line}");
    }
    assert_eq!(content.count(), 2);
}

#[tokio::test]
async fn every_operation_is_served_and_those_with_a_key_take_one() {
    let server = Server::start().await;
    for operation in operations(&document(&server).await) {
        let path = operation.path_with(|_| operation.nobody());
        let answer = server
            .ask(None, operation.method.clone(), &path, None)
            .await;
        let expected = match operation.takes_key() {
            true => 401,
            false => operation.success().0,
        };
        assert_eq!(answer.status, expected, "{} {path}", operation.method);
    }
}

/// A key has every scope but one that its operation takes: 403 names it. With no scope but that
/// one it is no longer forbidden.
#[tokio::test]
async fn each_operation_takes_the_permission_that_is_described() {
    let server = Server::start().await;
    let document = document(&server).await;
    let ws = server.workspace().await;
    let workspace_id = ws.rsplit('/').next().expect("an id").to_owned();
    let me = text(&server.get("/api/v1/me").await.expect(200)["account"]["id"]);
    let scopes: BTreeSet<String> = operations(&document)
        .iter()
        .filter_map(Operation::scope)
        .collect();
    let mut keys = BTreeMap::new();
    for scope in &scopes {
        let others: Vec<_> = scopes.iter().filter(|other| *other != scope).collect();
        let without = server.key(&me, json!(others)).await;
        let alone = server.key(&me, json!([scope])).await;
        keys.insert(scope.clone(), (without, alone));
    }
    let nothing = server.key(&me, json!(["insights:read"])).await;
    for operation in operations(&document)
        .iter()
        .filter(|operation| operation.takes_key())
    {
        let is_account = operation.path.starts_with("/api/v1/accounts");
        let path = operation.path_with(|name| match name {
            "id" if !is_account && !operation.is_governance() => workspace_id.clone(),
            "revision" => "999999".to_owned(),
            _ => operation.nobody(),
        });
        let ask = async |key: &str| {
            server
                .ask(Some(key), operation.method.clone(), &path, Some("{"))
                .await
        };
        let Some(scope) = operation.scope() else {
            assert_ne!(ask(&nothing).await.status, 403, "{}", operation.id());
            continue;
        };
        let (without, alone) = &keys[&scope];
        let refused = ask(without).await;
        assert_eq!(refused.status, 403, "{}: {}", operation.id(), refused.body);
        assert!(
            refused.body.to_string().contains(&scope),
            "{}",
            operation.id()
        );
        // To make a workspace takes the owner role in one, which not every key may make use of.
        if operation.id() == "create_workspace" {
            continue;
        }
        let answer = ask(alone).await;
        assert_ne!(answer.status, 403, "{}: {}", operation.id(), answer.body);
    }
}

/// Everything that a workspace can hold, by the name that paths give its identifier.
async fn world(server: &Server, ws: &str) -> BTreeMap<String, String> {
    let catalog: Catalog = server.catalog(ws).await;
    let run = server
        .post(&format!("{ws}/syncs/{}/trigger", catalog.sync), json!({}))
        .await
        .expect(202);
    let run = text(&run["run_id"]);
    server.finished(ws, &run).await;
    let me = server.get("/api/v1/me").await.expect(200);
    let owner = text(&me["account"]["id"]);
    let made = async |path: &str, body: Value| {
        text(&server.post(&format!("{ws}{path}"), body).await.expect(201)["id"])
    };
    let role = made(
        "/roles",
        json!({"name": "r", "permissions": ["sources.read"]}),
    )
    .await;
    let group = made("/groups", json!({"name": "g"})).await;
    let category = made(
        "/subset-categories",
        json!({"name": "c", "unassigned": "allow"}),
    )
    .await;
    let subset = json!({
        "name": "s",
        "category_id": category,
        "parent_model_id": catalog.model,
        "filter_tree": not_in("country", ["FR"]),
    });
    let subset = made("/subsets", subset).await;
    let assigned = json!({"group_id": group});
    let assignment = made(&format!("/subsets/{subset}/assignments"), assigned).await;
    let channel = json!({"name": "c", "type": "webhook", "url": "http://127.0.0.1:9/"});
    let channel = made("/alert_channels", channel).await;
    let revisions = server.get(&format!("{ws}/revisions")).await.expect(200);
    let content_policy = json!({
        "orgId": me["organization_id"], "workspaceId": ws.rsplit('/').next(),
        "repoId": catalog.source, "name": "c", "content": "Nothing in particular.",
        "riskType": "LOW", "actionType": 0,
    });
    let content_policy = server.post("/policy", content_policy).await.expect(201);
    let governed = async |noun: &str, body: Value| {
        let path = format!("/api/v1/governance/{noun}");
        text(&server.post(&path, body).await.expect(201)["id"])
    };
    let rule = json!({"field": "tls.minVersion", "operator": "gte", "value": "1.2"});
    let policy = json!({
        "name": "TLS", "category": "security", "severity": "high", "rules": [rule],
    });
    let governance_policy = governed("policies", policy).await;
    let templates = server.get("/api/v1/governance/templates").await.expect(200);
    let template = text(&templates["data"][0]["id"]);
    let solution = json!({"name": "All", "policies": [governance_policy]});
    let solution = governed("solutions", solution).await;
    let snapshot = governed("snapshots", json!({"solutionId": solution})).await;
    let attestation = json!({"snapshotId": snapshot, "type": "soc2"});
    governed("attestations", attestation).await;
    let binding = json!({
        "policyId": governance_policy, "resourceId": catalog.sync, "resourceType": "workflow",
    });
    governed("instances", binding).await;
    let pairs = [
        // What is governed, by the noun in its path.
        ("policies", governance_policy),
        ("templates", template),
        ("solutions", solution),
        ("snapshots", snapshot),
        ("id", ws.rsplit('/').next().expect("an id").to_owned()),
        ("accountId", owner),
        ("keyId", text(&me["key_id"])),
        ("sourceId", catalog.source),
        ("modelId", catalog.model),
        ("destinationId", catalog.destination),
        ("ruleId", catalog.policy),
        ("syncId", catalog.sync),
        ("runId", run),
        ("roleId", role),
        ("groupId", group),
        ("catId", category),
        ("subsetId", subset),
        ("assignmentId", assignment),
        ("channelId", channel),
        ("revision", revisions[0]["revision"].to_string()),
        ("destType", "file".to_owned()),
        ("organization", text(&me["organization_id"])),
        ("policyId", text(&content_policy["policy"]["id"])),
    ];
    pairs.map(|(name, id)| (name.to_owned(), id)).into()
}

/// An identifier that nothing bears, or a revision that is not there.
fn unknown(name: &str) -> String {
    let unknown = if name == "revision" { "999999" } else { NOBODY };
    unknown.to_owned()
}

#[tokio::test]
async fn what_is_of_another_workspace_is_answered_as_if_there_were_none() {
    let server = Server::start().await;
    let document = document(&server).await;
    let ws = server.workspace().await;
    let theirs = world(&server, &ws).await;

    // A stranger with a workspace of their own, which the first owner has left.
    let (stranger_id, key) = server.account("stranger@example.com", json!(["*"])).await;
    let other = server
        .post("/api/v1/workspaces", json!({"name": "other"}))
        .await
        .expect(201);
    let other = text(&other["id"]);
    let path = format!("/api/v1/workspaces/{other}");
    let owner = json!({"account_id": stranger_id, "role_id": OWNER});
    server
        .post(&format!("{path}/members"), owner)
        .await
        .expect(201);
    let leave = format!("{path}/members/{}", theirs["accountId"]);
    server
        .ask(Some(&key), Method::DELETE, &leave, None)
        .await
        .expect(204);
    // What stands before the last identifier of a path may be their own.
    let mut own = BTreeMap::from([("id", other.clone())]);
    let made = async |of: &str, body: Value| {
        let (path, body) = (format!("{path}/{of}"), body.to_string());
        let answer = server
            .ask(Some(&key), Method::POST, &path, Some(&body))
            .await;
        text(&answer.expect(201)["id"])
    };
    own.insert("groupId", made("groups", json!({"name": "own"})).await);
    let category = made("subset-categories", json!({"name": "own"})).await;
    let subset = json!({
        "name": "own",
        "category_id": category,
        "filter_tree": not_in("country", ["FR"]),
    });
    own.insert("subsetId", made("subsets", subset).await);

    let body = json!({"role_id": MEMBER}).to_string();
    let mut swept = 0;
    for operation in operations(&document) {
        if !operation.path.starts_with("/api/v1/workspaces/{id}") {
            continue;
        }
        let ask = async |value: &dyn Fn(&str) -> String| {
            let path = operation.path_with(value);
            let method = operation.method.clone();
            let answer = server.ask(Some(&key), method, &path, Some(&body)).await;
            (answer.status, answer.body)
        };
        let there = ask(&|name| theirs[name].clone()).await;
        let nowhere = ask(&|name| {
            if name == "id" {
                NOBODY.into()
            } else {
                theirs[name].clone()
            }
        })
        .await;
        assert_eq!(there.0, 404, "{}: {}", operation.id(), there.1);
        assert_eq!(there, nowhere, "{}", operation.id());

        let names = operation.in_path();
        let Some(last) = names.last().filter(|name| **name != "id") else {
            continue;
        };
        let before = |name: &str| own.get(name).cloned().unwrap_or_else(|| unknown(name));
        let known = ask(&|name| {
            if name == *last {
                theirs[name].clone()
            } else {
                before(name)
            }
        })
        .await;
        let nothing = ask(&|name| {
            if name == *last {
                unknown(name)
            } else {
                before(name)
            }
        })
        .await;
        let expected = if *last == "destType" { 200 } else { 404 };
        assert_eq!(known.0, expected, "{}: {}", operation.id(), known.1);
        assert_eq!(known, nothing, "{}", operation.id());
        swept += 1;
    }
    assert!(swept > 40, "only {swept} operations have identifiers");
    // And everything is still there.
    for operation in operations(&document) {
        if operation.method == Method::GET && operation.path.starts_with("/api/v1/workspaces/{id}")
        {
            let path = operation.path_with(|name| theirs[name].clone());
            server.get(&path).await.expect(operation.success().0);
        }
    }
}

#[tokio::test]
async fn what_is_answered_is_as_described() {
    let server = Server::start().await;
    let document = document(&server).await;
    let ws = server.workspace().await;
    let world = world(&server, &ws).await;
    let mut checked = 0;
    for operation in operations(&document) {
        if operation.method != Method::GET {
            continue;
        }
        let account = operation.path.starts_with("/api/v1/accounts");
        let governed = operation.path.strip_prefix("/api/v1/governance/");
        let noun = governed.and_then(|path| path.split('/').next());
        let path = operation.path_with(|name| match (name, noun) {
            ("id", Some("resources")) => world["modelId"].clone(),
            ("type", Some("resources")) => "model".to_owned(),
            ("id", Some(noun)) => world[noun].clone(),
            ("id", None) if account => world["accountId"].clone(),
            (name, _) => world[name].clone(),
        });
        let (status, response) = operation.success();
        let required = match operation.path.as_str() {
            "/policy" => format!("?effective=true&orgId={}", world["organization"]),
            path if path.ends_with("/enforcement/check") => {
                "?resourceType=model&resourceId=elsewhere".to_owned()
            }
            _ => String::new(),
        };
        let answer = server.get(&format!("{path}{required}")).await;
        let headers = response["headers"].as_object().expect("headers");
        for (name, header) in headers {
            let header = follow(&document, header);
            let shown = answer.header(name);
            let kept = shown.is_some() || header["required"] != true;
            assert!(kept, "{}: no header {name}", operation.id());
        }
        if name_of(&document, response).is_some() {
            assert!(
                headers.contains_key("ETag") == answer.header("etag").is_some(),
                "{path}"
            );
        }
        let body = answer.expect(status);
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_object() {
            let found = fault(&document, schema, &body, "$");
            assert_eq!(found, None, "{}: {body:#}", operation.id());
            checked += 1;
        }
    }
    assert!(checked > 35, "only {checked} answers were checked");

    // An error, too.
    let error = server
        .get(&format!("{ws}/sources/{NOBODY}"))
        .await
        .expect(404);
    let envelope = json!({"$ref": "#/components/schemas/Error"});
    assert_eq!(fault(&document, &envelope, &error, "$"), None);
    let faults = server
        .post(&format!("{ws}/sources"), json!({"x": 1}))
        .await
        .expect(422);
    assert_eq!(fault(&document, &envelope, &faults, "$"), None);
}

/// The name of the schema of a response's JSON, if it is a named one.
fn name_of<'a>(document: &Value, response: &'a Value) -> Option<&'a str> {
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_null() || !follow(document, schema).is_null());
    schema["$ref"].as_str()
}
