//! `/policy`: content policies, as seeds 001 and 002 have them.

mod effects;
mod levels;
mod policies;
mod violations;

use serde_json::{Value, json};

use super::fixtures::{column, keys};
use super::{Answer, Server, text};

const PII: &str = "Do not allow sharing of personally identifiable information...";
const SECRETS: &str = "Do not allow sharing of API keys, passwords, or secrets...";
/// What finds nothing.
const VAGUE: &str = "Be nice to each other.";

/// An organisation with a workspace and a source.
struct Org {
    id: String,
    ws: String,
    workspace: String,
    source: String,
}

impl Org {
    async fn of(server: &Server) -> Org {
        let me = server.get("/api/v1/me").await.expect(200);
        let ws = server.workspace().await;
        Org {
            id: text(&me["organization_id"]),
            workspace: text(&me["workspaces"][0]["id"]),
            source: source(server, &ws, "customers").await,
            ws,
        }
    }

    /// The query of a list.
    fn list(&self, more: &str) -> String {
        format!("/policy?orgId={}{more}", self.id)
    }

    /// A policy for the organisation, as a body.
    fn policy(&self, name: &str, content: &str, action: u8) -> Value {
        json!({
            "orgId": self.id, "name": name, "content": content,
            "riskType": "HIGH", "actionType": action,
        })
    }

    /// The same for the workspace, or a source of it.
    fn within(&self, name: &str, source: Option<&str>) -> Value {
        let mut policy = self.policy(name, VAGUE, 0);
        policy["workspaceId"] = json!(self.workspace);
        policy["repoId"] = json!(source);
        policy
    }
}

async fn source(server: &Server, ws: &str, name: &str) -> String {
    let source = json!({"name": name, "type": "files", "config": {"path": "customers.csv"}});
    server.made(&format!("{ws}/sources"), source).await
}

/// The policy of an answer.
#[track_caller]
fn told(answer: Answer, status: u16) -> Value {
    let mut body = answer.expect(status);
    assert_eq!(keys(&body), ["success", "policy"]);
    assert_eq!(body["success"], true);
    body["policy"].take()
}

/// The policies of an answer.
#[track_caller]
fn listed(answer: Answer) -> Value {
    let mut body = answer.expect(200);
    assert_eq!(keys(&body), ["success", "policies"]);
    assert_eq!(body["success"], true);
    body["policies"].take()
}

/// The message of an error.
#[track_caller]
fn refused(answer: Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{:#}", answer.body);
    assert_eq!(keys(&answer.body), ["success", "message"]);
    assert_eq!(answer.body["success"], false);
    text(&answer.body["message"])
}

async fn create(server: &Server, policy: Value) -> Value {
    told(server.post("/policy", policy).await, 201)
}

async fn names(server: &Server, path: &str) -> Vec<String> {
    let policies = listed(server.get(path).await);
    column(&policies, "name").into_iter().map(text).collect()
}
