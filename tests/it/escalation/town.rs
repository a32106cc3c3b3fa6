//! What the walk and the ways up stand on: the whole program without its listener, two workspaces,
//! and eight accounts with their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use chrono::Utc;
use serde_json::{Value, json};
use syncguard::app::App;
use syncguard::config::Config;
use syncguard::principal::{ADMIN, MEMBER, OWNER};
use syncguard::store::Store;
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use super::calls::KEEN;
use super::model::{Held, Snapshot};
use crate::support::temporary_folder;

const KEY: &str = "sgk_walk_0123456789abcdef0123456789abcdef";

/// A key that the test knows.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) id: Uuid,
    pub(crate) account: Uuid,
    pub(crate) text: String,
    /// It opens all that its account may do, and is never deleted: there is always an owner who
    /// can act.
    pub(crate) main: bool,
}

/// The whole program without its listener, two workspaces, and eight accounts with their keys.
pub(crate) struct Town {
    router: Router,
    store: Store,
    pub(crate) workspaces: Vec<Uuid>,
    pub(crate) accounts: Vec<Uuid>,
    pub(crate) keys: Vec<Known>,
    /// Custom roles by name, of the first workspace.
    pub(crate) roles: BTreeMap<&'static str, Uuid>,
    _app: App,
    _folder: TempDir,
}

/// The accounts by what they are in the first workspace; `NEWCOMER` is in the second only,
/// `OUTSIDER` in none.
pub(crate) const FOUNDER: usize = 0;
pub(crate) const ADMINISTRATOR: usize = 1;
pub(crate) const GOVERNOR: usize = 2;
pub(crate) const STEWARD: usize = 3;
pub(crate) const DEPUTY: usize = 4;
pub(crate) const PLAIN: usize = 5;
pub(crate) const NEWCOMER: usize = 6;
pub(crate) const OUTSIDER: usize = 7;

const ROLES: [(&str, &[&str]); 4] = [
    (
        "governor",
        &["governance.read", "governance.write", "syncs.read"],
    ),
    (
        "steward",
        &[
            "governance.read",
            "workspace.read",
            "workspace.members",
            "models.read",
        ],
    ),
    ("deputy", &KEEN),
    ("wide", &["governance.read", "sources.delete"]),
];

impl Town {
    pub(crate) async fn found() -> Town {
        // Another test may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (guard, folder) = temporary_folder();
        let mut config = Config::in_data_dir(folder.join("data")).unwrap();
        config.bootstrap_key = Some(KEY.into());
        config.requests_per_second = 1_000_000;
        let app = App::open(config, Arc::new(Utc::now)).await.unwrap();
        let store = app.api().store.clone();
        let founder = store.list_accounts().await.unwrap().remove(0).id;
        let first = store.list_workspaces(founder).await.unwrap().remove(0).id;
        let main = store.list_keys(founder).await.unwrap().remove(0).id;
        let mut town = Town {
            router: syncguard::http::router(app.api().clone()),
            store,
            workspaces: vec![first],
            accounts: vec![founder],
            keys: vec![Known {
                id: main,
                account: founder,
                text: KEY.to_owned(),
                main: true,
            }],
            roles: BTreeMap::new(),
            _app: app,
            _folder: guard,
        };
        town.settle().await;
        town
    }

    /// Accounts and keys first: whoever owns every workspace of an account makes its keys.
    async fn settle(&mut self) {
        for number in 1..=OUTSIDER {
            let body = json!({"email": format!("a{number}@example.com"), "name": "somebody"});
            let made = self.made("/api/v1/accounts", body).await;
            self.accounts.push(made);
        }
        for account in self.accounts.clone() {
            for scopes in [
                json!(["*"]),
                json!(["governance:read", "governance:write"]),
                json!(["workspace:read", "workspace:members"]),
                json!(["governance:review"]),
            ] {
                let main = scopes == json!(["*"]);
                if !(main && account == self.accounts[FOUNDER]) {
                    self.make_key(account, scopes, main).await;
                }
            }
        }
        let body = json!({"name": "second"});
        let second = self.made("/api/v1/workspaces", body).await;
        self.workspaces.push(second);
        let mut second_deputy = Uuid::nil();
        for (name, permissions) in ROLES {
            for workspace in self.workspaces.clone() {
                let path = format!("/api/v1/workspaces/{workspace}/roles");
                let body = json!({"name": name, "permissions": permissions});
                let made = self.made(&path, body).await;
                if workspace == second {
                    second_deputy = match name {
                        "deputy" => made,
                        _ => second_deputy,
                    };
                } else {
                    self.roles.insert(name, made);
                }
            }
        }
        for (workspace, account, role) in [
            (0, ADMINISTRATOR, ADMIN),
            (0, GOVERNOR, self.roles["governor"]),
            (0, STEWARD, self.roles["steward"]),
            (0, DEPUTY, self.roles["deputy"]),
            (0, PLAIN, MEMBER),
            (1, GOVERNOR, OWNER),
            (1, STEWARD, ADMIN),
            (1, PLAIN, MEMBER),
            (1, NEWCOMER, second_deputy),
        ] {
            let path = format!("{}/members", self.path(workspace));
            let body = json!({"account_id": self.accounts[account], "role_id": role});
            let (status, answer) = self.as_founder(Method::POST, &path, Some(body)).await;
            assert_eq!(status, 201, "{answer:#}");
        }
    }

    pub(crate) fn path(&self, workspace: usize) -> String {
        format!("/api/v1/workspaces/{}", self.workspaces[workspace])
    }

    pub(crate) async fn ask(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .body(body)
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        let body = serde_json::from_slice(&bytes.unwrap()).unwrap_or(Value::Null);
        (status, body)
    }

    pub(crate) async fn as_founder(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        self.ask(KEY, method, path, body).await
    }

    /// Makes an object as the founder and answers its id.
    pub(crate) async fn made(&self, path: &str, body: Value) -> Uuid {
        let (status, answer) = self.as_founder(Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{path}: {answer:#}");
        id_of(&answer)
    }

    async fn make_key(&mut self, account: Uuid, scopes: Value, main: bool) {
        let path = format!("/api/v1/accounts/{account}/keys");
        let body = json!({"name": "given", "scopes": scopes});
        let (status, answer) = self.as_founder(Method::POST, &path, Some(body)).await;
        assert_eq!(status, 201, "{answer:#}");
        self.learn(&answer, account, main);
    }

    /// Remembers a key that was answered.
    pub(crate) fn learn(&mut self, answer: &Value, account: Uuid, main: bool) {
        self.keys.push(Known {
            id: id_of(answer),
            account,
            text: answer["key"].as_str().expect("a new key").to_owned(),
            main,
        });
    }

    /// The key of an account with exactly these scopes, as it was made first.
    pub(crate) fn key(&self, state: &Snapshot, account: usize, scopes: &[&str]) -> String {
        let of_account = |known: &&Known| known.account == self.accounts[account];
        let mut keys = self.keys.iter().filter(of_account);
        let key = keys.find(|known| state.keys[&known.id].scopes == scopes);
        key.expect("the account has such a key").text.clone()
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.store, &self.workspaces).await
    }

    /// Whether a key is told what the model says it opens; what it is told, if not.
    pub(crate) async fn told_wrongly(
        &self,
        state: &Snapshot,
        key: &Known,
        workspace: Uuid,
    ) -> Option<String> {
        let path = format!("/api/v1/workspaces/{workspace}/permissions/me");
        let (status, answer) = self.ask(&key.text, Method::GET, &path, None).await;
        let right = match state.role(workspace, key.account) {
            None => status == 404,
            Some(_) => {
                let listed = answer.as_array().into_iter().flatten();
                let told: Held = listed
                    .filter_map(|entry| entry["key"].as_str().map(str::to_owned))
                    .collect();
                status == 200 && told == state.of_key(workspace, key.id)
            }
        };
        (!right).then(|| format!("key {} is told {status} {answer}", key.id))
    }
}

#[track_caller]
pub(crate) fn id_of(answer: &Value) -> Uuid {
    let id = answer["id"].as_str().expect("an id");
    id.parse().expect("a UUID")
}
