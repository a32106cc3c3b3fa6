//! `/policy` and `/policy/{policyId}`.

use chrono::TimeDelta;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Org, PII, SECRETS, VAGUE, create, listed, names, refused, told};
use crate::api::fixtures::{is_id, keys};
use crate::api::{Answer, BOOTSTRAP_KEY, NOBODY, OWNER, Server, text};

on_both_stores!(
    examples_of_the_seed_are_created_and_read_word_for_word,
    client_of_the_seed_reads_every_field,
    update_changes_what_is_sent_and_never_the_scope,
    deleted_policy_is_gone,
    policy_that_somebody_changed_is_not_changed_as_it_was_read,
    every_fault_of_a_body_is_told_in_one_message,
    blocking_policy_names_something_that_can_be_found,
);

/// The fields of a policy as the seed has them, and those that tell what was understood.
const FIELDS: [&str; 18] = [
    "id",
    "orgId",
    "name",
    "content",
    "riskType",
    "actionType",
    "createdBy",
    "createdAt",
    "lastUpdatedBy",
    "lastUpdatedAt",
    "workspaceId",
    "repoId",
    "workspace",
    "repo",
    "detectors",
    "columns",
    "patterns",
    "notUnderstood",
];

/// A new account with a name; answers its id and a key for everything.
async fn named(server: &Server, ws: &str, name: &str, email: &str) -> (String, String) {
    let account = json!({"email": email, "name": name});
    let id = server.made("/api/v1/accounts", account).await;
    let member = json!({"account_id": id, "role_id": OWNER});
    let members = format!("{ws}/members");
    server.post(&members, member).await.expect(201);
    let key = server.key(&id, json!(["*"])).await;
    (id, key)
}

/// Whether a text is a time such as `2024-01-15T10:30:00.000Z`.
fn is_iso(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 24 && text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

async fn examples_of_the_seed_are_created_and_read_word_for_word(server: Server) {
    let org = Org::of(&server).await;
    let rename = json!({"name": "Production Workspace"});
    server.put(&org.ws, rename).await.expect(200);
    let (john, johns) = named(&server, &org.ws, "John Doe", "john@example.com").await;
    let (jane, janes) = named(&server, &org.ws, "Jane van Smith", "jane@example.com").await;
    let john = json!({
        "id": john, "name": "John", "lastName": "Doe", "email": "john@example.com",
    });
    let jane = json!({
        "id": jane, "name": "Jane", "lastName": "van Smith", "email": "jane@example.com",
    });

    let mut pii = org.policy("PII Protection Policy", PII, 2);
    pii["workspaceId"] = json!(org.workspace);
    let pii = told(server.by(&johns, Method::POST, "/policy", pii).await, 201);
    let code = org.policy("Code Security Policy", SECRETS, 2);
    let code = told(server.by(&janes, Method::POST, "/policy", code).await, 201);
    let mut repo = org.policy("PII Protection Policy", PII, 2);
    repo["workspaceId"] = json!(org.workspace);
    repo["repoId"] = json!(org.source);
    let repo = told(server.by(&johns, Method::POST, "/policy", repo).await, 201);

    let workspace = json!({"id": org.workspace, "name": "Production Workspace"});
    let source = json!({"id": org.source, "name": "customers"});
    for (policy, name, content, who, scope) in [
        (
            &pii,
            "PII Protection Policy",
            PII,
            &john,
            [
                json!(org.workspace),
                Value::Null,
                workspace.clone(),
                Value::Null,
            ],
        ),
        (
            &code,
            "Code Security Policy",
            SECRETS,
            &jane,
            [Value::Null, Value::Null, Value::Null, Value::Null],
        ),
        (
            &repo,
            "PII Protection Policy",
            PII,
            &john,
            [json!(org.workspace), json!(org.source), workspace, source],
        ),
    ] {
        assert_eq!(keys(policy), FIELDS);
        assert!(is_id(&policy["id"]), "{policy}");
        assert_eq!(policy["orgId"], json!(org.id));
        assert_eq!(policy["name"], name);
        assert_eq!(policy["content"], content);
        assert_eq!(policy["riskType"], "HIGH");
        assert_eq!(policy["actionType"], 2);
        assert_eq!(policy["createdBy"], *who);
        assert_eq!(policy["lastUpdatedBy"], *who);
        assert!(is_iso(&policy["createdAt"]), "{policy}");
        assert_eq!(policy["lastUpdatedAt"], policy["createdAt"]);
        let found = ["workspaceId", "repoId", "workspace", "repo"].map(|key| policy[key].clone());
        assert_eq!(found, scope);
        let path = format!("/policy/{}", text(&policy["id"]));
        assert_eq!(told(server.get(&path).await, 200), *policy);
    }
    let detectors = |policy: &Value| {
        let found = policy["detectors"].as_array().expect("detectors").clone();
        found.iter().map(text).collect::<Vec<_>>()
    };
    assert!(detectors(&pii).contains(&"email".to_owned()), "{pii}");
    assert!(detectors(&code).contains(&"api_key".to_owned()), "{code}");
    assert!(detectors(&code).contains(&"password".to_owned()), "{code}");
    assert_eq!(detectors(&repo), detectors(&pii));

    let in_workspace = format!("&workspaceId={}", org.workspace);
    let in_repo = format!("{in_workspace}&repoId={}", org.source);
    for (scope, expected) in [
        ("", &code),
        (in_workspace.as_str(), &pii),
        (in_repo.as_str(), &repo),
    ] {
        let policies = listed(server.get(&org.list(scope)).await);
        assert_eq!(policies, json!([expected]));
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyDto {
    id: String,
    org_id: String,
    name: String,
    content: String,
    risk_type: String,
    action_type: i64,
    created_by: UserDto,
    created_at: String,
    last_updated_by: UserDto,
    last_updated_at: String,
    workspace_id: Option<String>,
    repo_id: Option<String>,
    workspace: Option<ScopeDto>,
    repo: Option<ScopeDto>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserDto {
    id: String,
    name: String,
    last_name: String,
    email: String,
}

#[derive(Debug, Deserialize)]
struct ScopeDto {
    id: String,
    name: String,
}

/// What the seed's client asks for, and what it makes of the answer.
async fn client_of_the_seed_reads_every_field(server: Server) {
    #[derive(Deserialize)]
    struct Listed {
        success: bool,
        policies: Vec<PolicyDto>,
    }
    let org = Org::of(&server).await;
    create(&server, org.within("one", Some(&org.source))).await;
    let path = org.list(&format!(
        "&workspaceId={}&repoId={}",
        org.workspace, org.source
    ));
    let request = server.request(Method::GET, &path);
    let request = request
        .bearer_auth(BOOTSTRAP_KEY)
        .header("accept", "application/json");
    let answer = server.send(request).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body: Listed = serde_json::from_value(answer.expect(200)).expect("a list");
    assert!(body.success);
    let [policy] = &body.policies[..] else {
        panic!("{:?}", body.policies);
    };
    let me = server.get("/api/v1/me").await.expect(200);
    for user in [&policy.created_by, &policy.last_updated_by] {
        assert_eq!(user.id, text(&me["account"]["id"]));
        assert_eq!(user.email, text(&me["account"]["email"]));
        let name = format!("{} {}", user.name, user.last_name);
        assert_eq!(name.trim_end(), text(&me["account"]["name"]));
    }
    assert_eq!(policy.org_id, org.id);
    assert_eq!(policy.id.len(), 36);
    assert_eq!(
        (policy.name.as_str(), policy.content.as_str()),
        ("one", VAGUE)
    );
    assert_eq!((policy.risk_type.as_str(), policy.action_type), ("HIGH", 0));
    assert!(policy.created_at <= policy.last_updated_at);
    assert_eq!(policy.workspace_id.as_deref(), Some(org.workspace.as_str()));
    assert_eq!(policy.repo_id.as_deref(), Some(org.source.as_str()));
    let [workspace, repo] = [&policy.workspace, &policy.repo].map(|scope| {
        let scope = scope.as_ref().expect("a scope");
        (scope.id.clone(), scope.name.clone())
    });
    assert_eq!(workspace.0, org.workspace);
    assert_eq!(repo, (org.source.clone(), "customers".to_owned()));
}

async fn update_changes_what_is_sent_and_never_the_scope(server: Server) {
    let org = Org::of(&server).await;
    let (_, jane) = named(&server, &org.ws, "Jane", "jane@example.com").await;
    let before = create(&server, org.within("before", Some(&org.source))).await;
    let path = format!("/policy/{}", text(&before["id"]));
    let mut expected = before.clone();
    for (key, value) in [
        ("name", json!("after")),
        ("riskType", json!("LOW")),
        ("actionType", json!(1)),
        ("content", json!("Be nicer.")),
    ] {
        server.pass(TimeDelta::hours(1));
        let change = json!({key: value});
        let changed = told(server.by(&jane, Method::PUT, &path, change).await, 200);
        expected[key] = value;
        assert!(changed["lastUpdatedAt"].as_str() > expected["lastUpdatedAt"].as_str());
        assert_eq!(changed["lastUpdatedBy"]["name"], "Jane");
        assert_eq!(changed["lastUpdatedBy"]["lastName"], "");
        for key in ["lastUpdatedAt", "lastUpdatedBy", "notUnderstood"] {
            expected[key] = changed[key].clone();
        }
        assert_eq!(changed, expected);
        assert_eq!(told(server.get(&path).await, 200), expected);
    }
    // Nothing changes, and nobody changed it.
    let ws = org.ws.clone();
    let revisions = server.get(&format!("{ws}/revisions")).await.expect(200);
    for same in [
        json!({}),
        json!({"name": null, "content": null}),
        json!({"name": "after", "actionType": 1}),
        json!({"orgId": org.id, "workspaceId": org.workspace, "repoId": org.source}),
    ] {
        assert_eq!(told(server.put(&path, same).await, 200), expected);
    }
    for (key, value) in [
        ("orgId", json!("org_00000000000000000000000000000000")),
        ("orgId", Value::Null),
        ("workspaceId", json!(NOBODY)),
        ("workspaceId", Value::Null),
        ("repoId", json!(NOBODY)),
        ("repoId", Value::Null),
        ("repoId", json!(7)),
    ] {
        let moved = json!({"name": "moved", key: value});
        let message = refused(server.put(&path, moved).await, 400);
        assert!(message.starts_with(&format!("{key}: ")), "{message}");
        assert!(message.contains("does not change"), "{message}");
    }
    assert_eq!(told(server.get(&path).await, 200), expected);
    let now = server.get(&format!("{ws}/revisions")).await.expect(200);
    assert_eq!(now, revisions);
    // One of the organisation has neither.
    let all = create(&server, org.policy("all", VAGUE, 0)).await;
    let path = format!("/policy/{}", text(&all["id"]));
    let nothing = json!({"name": "renamed", "workspaceId": null, "repoId": null});
    told(server.put(&path, nothing).await, 200);
    let somewhere = json!({"workspaceId": org.workspace});
    refused(server.put(&path, somewhere).await, 400);
}

async fn policy_that_somebody_changed_is_not_changed_as_it_was_read(server: Server) {
    let org = Org::of(&server).await;
    let tag = |answer: &Answer| answer.header("etag").expect("an ETag").to_owned();
    let made = server.post("/policy", org.policy("PII", PII, 1)).await;
    let read = tag(&made);
    let path = format!("/policy/{}", text(&told(made, 201)["id"]));
    assert_eq!(tag(&server.get(&path).await), read);
    let rename = |name: &str| json!({"name": name});
    let changed = server
        .with_header(
            Method::PUT,
            &path,
            ("if-match", read.as_str()),
            rename("theirs"),
        )
        .await;
    let now = tag(&changed);
    assert_eq!(told(changed, 200)["name"], "theirs");
    assert_ne!(now, read);
    for method in [Method::PUT, Method::DELETE] {
        let answer = server
            .with_header(method, &path, ("if-match", read.as_str()), rename("mine"))
            .await;
        assert!(!refused(answer, 412).is_empty());
    }
    let malformed = server
        .with_header(Method::PUT, &path, ("if-match", "abc"), rename("mine"))
        .await;
    refused(malformed, 400);
    assert_eq!(told(server.get(&path).await, 200)["name"], "theirs");
    let deleted = server
        .with_header(Method::DELETE, &path, ("if-match", now.as_str()), json!({}))
        .await;
    deleted.expect(200);
}

async fn deleted_policy_is_gone(server: Server) {
    let org = Org::of(&server).await;
    let ours = format!("&workspaceId={}&effective=true", org.workspace);
    for policy in [org.policy("all", VAGUE, 0), org.within("here", None)] {
        let id = text(&create(&server, policy).await["id"]);
        let path = format!("/policy/{id}");
        assert_eq!(names(&server, &org.list(&ours)).await.len(), 1);
        let gone = server.delete(&path).await.expect(200);
        assert_eq!(gone, json!({"success": true}));
        assert!(names(&server, &org.list(&ours)).await.is_empty());
        for path in [path, format!("/policy/{NOBODY}")] {
            assert_eq!(refused(server.get(&path).await, 404), "policy not found");
            let change = json!({"name": "back"});
            refused(server.put(&path, change).await, 404);
            refused(server.delete(&path).await, 404);
        }
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        for id in ["x", "123", "pol_00000000000000000000000000000000"] {
            let path = format!("/policy/{id}");
            let answer = server.as_owner(method.clone(), &path, json!({})).await;
            assert!(refused(answer, 400).contains("UUID"));
        }
    }
}

async fn every_fault_of_a_body_is_told_in_one_message(server: Server) {
    let org = Org::of(&server).await;
    let whole = org.policy("whole", VAGUE, 0);
    let with = |key: &str, value: Value| {
        let mut policy = whole.clone();
        policy[key] = value;
        policy
    };
    let message = refused(server.post("/policy", json!({})).await, 400);
    for key in ["orgId", "name", "content", "riskType", "actionType"] {
        assert!(message.contains(&format!("{key}: missing")), "{message}");
    }
    let everything = json!({
        "orgId": 7, "workspaceId": "here", "repoId": "there", "name": " ", "content": "",
        "riskType": "high", "actionType": 3, "id": NOBODY,
    });
    let message = refused(server.post("/policy", everything.clone()).await, 400);
    for key in everything.as_object().expect("an object").keys() {
        assert!(message.contains(&format!("{key}: ")), "{key}: {message}");
    }
    let id = text(&create(&server, whole.clone()).await["id"]);
    let path = format!("/policy/{id}");
    for (key, value) in [
        ("name", json!("")),
        ("name", json!("n".repeat(201))),
        ("name", json!("two\nlines")),
        ("name", json!(["a"])),
        ("content", json!(" \n ")),
        ("content", json!("c".repeat(20_001))),
        ("content", json!("a\u{0}b")),
        ("content", json!({})),
        ("content", json!("match: /(/")),
        ("riskType", json!("")),
        ("riskType", json!("CRITICAL")),
        ("riskType", json!(2)),
        ("actionType", json!(-1)),
        ("actionType", json!(1.5)),
        ("actionType", json!("2")),
        ("actionType", json!(true)),
        ("createdBy", json!({})),
        ("detectors", json!([])),
    ] {
        let message = refused(server.post("/policy", with(key, value.clone())).await, 400);
        assert!(message.contains(&format!("{key}: ")), "{value}: {message}");
        let message = refused(server.put(&path, json!({key: value})).await, 400);
        assert!(message.contains(&format!("{key}: ")), "{value}: {message}");
    }
    let message = refused(
        server
            .post("/policy", with("repoId", json!(org.source)))
            .await,
        400,
    );
    assert!(message.contains("workspaceId"), "{message}");
    for body in ["", "{", "[]", "7", "{\"name\": \"a\", \"name\": \"b\"}"] {
        let key = Some(BOOTSTRAP_KEY);
        refused(
            server.ask(key, Method::POST, "/policy", Some(body)).await,
            400,
        );
        refused(server.ask(key, Method::PUT, &path, Some(body)).await, 400);
    }
    let longest = "c".repeat(20_000);
    create(&server, with("content", json!(longest))).await;
    assert_eq!(names(&server, &org.list("")).await.len(), 2);
    // What is not there.
    let nowhere = org.within("nowhere", Some(NOBODY));
    let message = refused(server.post("/policy", nowhere).await, 404);
    assert_eq!(message, "source not found");
}

async fn blocking_policy_names_something_that_can_be_found(server: Server) {
    let org = Org::of(&server).await;
    let message = refused(server.post("/policy", org.policy("a", VAGUE, 2)).await, 400);
    assert!(message.starts_with("content: "), "{message}");
    for way in ["columns:", "match:", "e-mail"] {
        assert!(message.contains(way), "{message}");
    }
    for action in [0, 1] {
        let secret = "Do not share the recipe of the sauce.";
        let policy = create(&server, org.policy("recipe", secret, action)).await;
        assert_eq!(policy["detectors"], json!([]));
        let unknown = policy["notUnderstood"].as_array().expect("phrases");
        assert!(!unknown.is_empty(), "{policy}");
        let path = format!("/policy/{}", text(&policy["id"]));
        let block = json!({"actionType": 2});
        refused(server.put(&path, block).await, 400);
        assert_eq!(told(server.get(&path).await, 200), policy);
        let both = json!({"actionType": 2, "content": PII});
        told(server.put(&path, both).await, 200);
        refused(server.put(&path, json!({"content": VAGUE})).await, 400);
        told(server.put(&path, json!({"content": SECRETS})).await, 200);
    }
    let precise = "columns: email, notes.text\nmatch: /ACME-[0-9]{6}/";
    let policy = create(&server, org.policy("precise", precise, 2)).await;
    assert_eq!(policy["columns"], json!(["email", "notes.text"]));
    assert_eq!(policy["patterns"], json!(["ACME-[0-9]{6}"]));
}
