//! A compliance story on the built program: a HIPAA template becomes a policy, the policy blocks a
//! sync, the sync is mended, reviewed and runs, and the record of it is frozen and attested.

use reqwest::Method;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::rig::{Client, KEY, Process, assert_ended, text};
use crate::support::{repository_file, temporary_folder};

const G: &str = "/api/v1/governance";

impl Client {
    /// Asks for something of governance, which answers with a status.
    async fn governance(&self, status: u16, method: Method, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let (got, answer) = self.ask(method, &format!("{G}{path}"), body).await;
        assert_eq!(got, status, "{path}: {answer:#}");
        answer
    }

    async fn dashboard(&self) -> Value {
        let path = "/compliance/dashboard";
        self.governance(200, Method::GET, path, Value::Null).await
    }

    /// Another account that is an admin of the workspace; answers its client.
    async fn reviewer(&self) -> Client {
        let account = json!({"email": "reviewer@example.com", "name": "Reviewer"});
        let account = self.make("/api/v1/accounts", account).await;
        let admin = "00000000-0000-0000-0000-000000000002";
        let member = json!({"account_id": account, "role_id": admin});
        let (status, answer) = self.ask(Method::POST, "members", Some(member)).await;
        assert_eq!(status, 201, "{answer:#}");
        let scopes = [
            "governance:read",
            "governance:write",
            "governance:review",
            "workspace:read",
        ];
        let key = json!({"name": "review", "scopes": scopes});
        let keys = format!("/api/v1/accounts/{account}/keys");
        let (status, key) = self.ask(Method::POST, &keys, Some(key)).await;
        assert_eq!(status, 201, "{key:#}");
        Client::connect(self.url(""), &text(&key["key"])).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_blocked_mended_reviewed_runs_and_is_attested() {
    let (_guard, folder) = temporary_folder();
    let files = folder.join("data/files");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("patients.csv"), "id,name\n1,Ada\n2,Bo\n").unwrap();
    let authority = repository_file("fixtures/tls/authority.pem");
    let trusted = authority.to_str().unwrap();
    let mut process = Process::serve(&folder, &[("SSL_CERT_FILE", trusted)]);
    let officer = process.client(KEY).await;
    let (plain, encrypted) = (Receiver::accepting().await, Receiver::over_tls().await);

    // A production sync to a destination without TLS.
    let source = officer
        .source("files", json!({"path": "patients.csv"}))
        .await;
    let query = json!({"table": "files", "primary_key": ["id"]});
    let model = officer.model(&source, query).await;
    let destination = officer
        .destination("webhook", json!({"url": plain.url()}))
        .await;
    let sync = officer
        .sync(&model, &destination, json!({"environment": "production"}))
        .await;

    // The template becomes a policy, and the policy is bound to the sync.
    let path = "/templates?framework=hipaa&resourceType=workflow&verified=true&limit=100";
    let templates = officer
        .governance(200, Method::GET, path, Value::Null)
        .await;
    let in_transit = json!({"field": "encryption.inTransit", "operator": "equals", "value": true});
    let template = templates["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|template| {
            let rules = template["policyDefinition"]["rules"].as_array().unwrap();
            rules.contains(&in_transit)
        });
    let template = template.expect("a template about encryption in transit");
    let path = format!("/templates/{}/use", text(&template["id"]));
    let policy = json!({"name": "Patients travel encrypted", "severity": "critical"});
    let policy = officer.governance(201, Method::POST, &path, policy).await;
    let policy_id = text(&policy["id"]);
    let binding = json!({"policyId": policy_id, "resourceId": sync, "resourceType": "workflow"});
    let instance = officer
        .governance(201, Method::POST, "/instances", binding)
        .await;
    let instance = format!("/instances/{}", text(&instance["id"]));
    let solution = json!({
        "name": "Patient outreach",
        "ownership": {"team": "care"},
        "policies": [policy_id],
        "models": [model],
    });
    let solution = officer
        .governance(201, Method::POST, "/solutions", solution)
        .await;
    assert_eq!(solution["status"], "non_compliant");
    let solution_id = text(&solution["id"]);
    let dashboard = officer.dashboard().await;
    assert_eq!(
        (
            &dashboard["totalSolutions"],
            &dashboard["compliantSolutions"]
        ),
        (&json!(1), &json!(0))
    );

    // The sync is blocked, says why, and nothing arrives.
    let run = officer.run_of(&sync).await;
    assert_ended(&run, "blocked", json!({}));
    let why = text(&run["error"]);
    assert!(
        why.contains("Patients travel encrypted") && why.contains("encryption.inTransit"),
        "{why}"
    );
    assert!(plain.requests().is_empty());
    let path = format!("{instance}/submit");
    let submitted = officer
        .governance(200, Method::POST, &path, Value::Null)
        .await;
    assert_eq!(submitted["result"]["compliant"], false);
    let reviewer = officer.reviewer().await;
    let path = format!("{instance}/deny");
    let denial = json!({"reason": "no TLS", "remediation": "use the https endpoint"});
    officer
        .governance(403, Method::POST, &path, denial.clone())
        .await;
    reviewer.governance(200, Method::POST, &path, denial).await;

    // The destination is mended. The denial stands until another review.
    let mended = json!({"name": "over TLS", "type": "webhook", "config": {"url": encrypted.url()}});
    officer
        .put(&format!("destinations/{destination}"), mended)
        .await;
    let run = officer.run_of(&sync).await;
    assert_ended(&run, "blocked", json!({}));
    let path = format!("{instance}/submit");
    let submitted = officer
        .governance(200, Method::POST, &path, Value::Null)
        .await;
    assert_eq!(submitted["result"]["compliant"], true);
    let path = format!("{instance}/approve");
    let approval = json!({"comment": "checked the endpoint"});
    officer
        .governance(403, Method::POST, &path, approval.clone())
        .await;
    reviewer
        .governance(200, Method::POST, &path, approval)
        .await;
    let run = officer.run_of(&sync).await;
    assert_ended(&run, "succeeded", json!({"read": 2, "delivered": 2}));
    assert_eq!(encrypted.records().len(), 2);

    // The record of it.
    let snapshot = json!({"solutionId": solution_id});
    let snapshot = officer
        .governance(201, Method::POST, "/snapshots", snapshot)
        .await;
    assert_eq!(snapshot["score"], 100.0);
    let dashboard = officer.dashboard().await;
    assert_eq!(
        (
            &dashboard["compliantSolutions"],
            &dashboard["overallScore"],
            &dashboard["frozenSnapshots"]
        ),
        (&json!(1), &json!(100.0), &json!(0))
    );
    let snapshot_id = text(&snapshot["id"]);
    let path = format!("/snapshots/{snapshot_id}/approve");
    reviewer
        .governance(200, Method::POST, &path, Value::Null)
        .await;
    let path = format!("/snapshots/{snapshot_id}/freeze");
    officer
        .governance(200, Method::POST, &path, Value::Null)
        .await;
    officer
        .governance(409, Method::POST, &path, Value::Null)
        .await;
    assert_eq!(officer.dashboard().await["frozenSnapshots"], 1);
    let attestation = json!({
        "snapshotId": snapshot_id,
        "type": "hipaa",
        "evidence": {"notes": "reviewed"},
        "expiration": "2999-01-01T00:00:00Z",
    });
    let attestation = reviewer
        .governance(201, Method::POST, "/attestations", attestation)
        .await;
    assert_eq!(attestation["status"], "active");
    let path = format!("/solutions/{solution_id}/export");
    let export = officer
        .governance(200, Method::POST, &path, Value::Null)
        .await;
    assert_eq!(export["policies"][0]["id"], policy_id);
    assert_eq!(
        export["snapshots"].as_array().unwrap().last().unwrap()["frozen"],
        true
    );
    assert_eq!(export["attestations"][0]["id"], attestation["id"]);
}
