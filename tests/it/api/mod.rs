//! The HTTP API, asked over loopback: one file per URL noun, and a sweep over every route.

/// Makes of each test, which takes a fresh [`Server`], two: `..::sqlite` and `..::postgres`.
macro_rules! on_both_stores {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            #[tokio::test]
            async fn sqlite() {
                super::$test(crate::api::Server::start().await).await;
            }
            #[tokio::test]
            async fn postgres() {
                super::$test(crate::api::Server::start_on_postgres().await).await;
            }
        }
    )*};
}

mod access;
mod accounts;
mod alert_channels;
mod audit;
mod content;
mod destination_rules;
mod destinations;
mod docs;
mod effective_policy;
mod escalation;
mod etag;
pub(crate) mod fixtures;
mod governance;
mod groups;
mod guard;
mod idempotency;
mod inspection;
mod keys;
mod limits;
mod members;
mod models;
mod openapi;
mod packs;
mod permissions;
mod process;
mod proxy;
mod query;
mod records;
mod revisions;
mod roles;
mod rows;
mod runs;
mod schedules;
mod sources;
mod subset_categories;
mod subsets;
mod sweep;
mod syncs;
mod two_servers;
mod workspaces;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use syncguard::app::{App, Listeners};
use syncguard::config::Config;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const OWNER: &str = "00000000-0000-0000-0000-000000000001";
pub(crate) const ADMIN: &str = "00000000-0000-0000-0000-000000000002";
pub(crate) const MEMBER: &str = "00000000-0000-0000-0000-000000000003";
/// An identifier that nothing bears.
pub(crate) const NOBODY: &str = "01900000-0000-7000-8000-00000000dead";

pub(crate) const BOOTSTRAP_KEY: &str = "sgk_bootstrap_0123456789abcdef0123456789abcdef";
const CUSTOMERS: &str = "\
id,name,country,consent
1,Ada,DE,true
2,Bo,US,true
3,Cy,FR,false
4,Di,US,
5,Ed,,true
";

/// A server in this process, with its data in a folder of its own.
pub(crate) struct Server {
    pub(crate) base: String,
    /// Where the PostgreSQL protocol is served.
    pub(crate) pg: SocketAddr,
    /// Where Flight SQL is served.
    pub(crate) flight: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    /// Seconds by which the server's clock is ahead.
    ahead: Arc<AtomicI64>,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer, if it has a status; else the test fails and shows it.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        if status >= 400 {
            assert_eq!(self.body["error"]["status"], status, "{:#}", self.body);
            assert!(
                self.body["error"]["code"].is_string() && self.body["error"]["message"].is_string()
            );
        }
        self.body
    }

    /// The paths of every fault of a 422.
    #[track_caller]
    pub(crate) fn faults(self) -> Vec<String> {
        let body = self.expect(422);
        let details = body["error"]["details"]
            .as_array()
            .expect("details")
            .clone();
        let mut paths: Vec<_> = details
            .iter()
            .map(|fault| {
                assert!(fault["message"].is_string(), "{fault}");
                fault["path"].as_str().expect("a path").to_owned()
            })
            .collect();
        paths.sort();
        paths
    }
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_with(|_| {}).await
    }

    /// A server whose store is a PostgreSQL database of its own.
    pub(crate) async fn start_on_postgres() -> Server {
        let url = crate::support::fresh_postgres().await;
        Server::start_with(|config| config.store_url = url.into()).await
    }

    /// A server whose configuration `adjust` has changed. There is no limit that a test could
    /// reach by being fast, unless it sets one.
    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Server {
        // Another test may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::in_data_dir(folder.path().join("data")).expect("defaults");
        config.bootstrap_key = Some(BOOTSTRAP_KEY.into());
        config.allow_private_addresses = vec!["127.0.0.0/8".parse().expect("a range")];
        config.requests_per_second = 1_000_000;
        adjust(&mut config);
        let ahead = Arc::new(AtomicI64::new(0));
        let seconds = Arc::clone(&ahead);
        let clock = move || Utc::now() + TimeDelta::seconds(seconds.load(Ordering::SeqCst));
        let app = App::open(config, Arc::new(clock))
            .await
            .expect("the app opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let pg = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let flight = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let pg_address = pg.local_addr().expect("an address");
        let flight_address = flight.local_addr().expect("an address");
        let listeners = Listeners {
            http: listener,
            pg: Some(pg),
            flight: Some(flight),
        };
        tokio::spawn(app.serve(listeners, stop.clone()));
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let server = Server {
            base,
            pg: pg_address,
            flight: flight_address,
            http,
            stop,
            ahead,
            folder,
        };
        server.write_file("customers.csv", CUSTOMERS);
        server
    }

    /// Lets time pass for the server.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.ahead.fetch_add(time.num_seconds(), Ordering::SeqCst);
    }

    /// Writes a file that sources may read.
    pub(crate) fn write_file(&self, name: &str, content: &str) {
        let folder = self.folder.path().join("data/files");
        std::fs::create_dir_all(&folder).expect("the file root");
        std::fs::write(folder.join(name), content).expect("the file can be written");
    }

    pub(crate) async fn ask(
        &self,
        key: Option<&str>,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        self.send(request).await
    }

    /// A request of one's own making.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a body");
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn as_owner(&self, method: Method, path: &str, body: Value) -> Answer {
        self.ask(Some(BOOTSTRAP_KEY), method, path, Some(&body.to_string()))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Some(BOOTSTRAP_KEY), Method::GET, path, None).await
    }

    /// A request as the owner with a header.
    pub(crate) async fn with_header(
        &self,
        method: Method,
        path: &str,
        header: (&str, &str),
        body: Value,
    ) -> Answer {
        let request = self.request(method, path).bearer_auth(BOOTSTRAP_KEY);
        let request = request.header(header.0, header.1).body(body.to_string());
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.as_owner(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.as_owner(Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Some(BOOTSTRAP_KEY), Method::DELETE, path, None)
            .await
    }

    /// The workspace that an empty store starts with, as a path.
    pub(crate) async fn workspace(&self) -> String {
        let me = self.get("/api/v1/me").await.expect(200);
        format!("/api/v1/workspaces/{}", text(&me["workspaces"][0]["id"]))
    }

    /// A new account with a key; answers both.
    pub(crate) async fn account(&self, email: &str, scopes: Value) -> (String, String) {
        let account = json!({"email": email, "name": email});
        let id = text(&self.post("/api/v1/accounts", account).await.expect(201)["id"]);
        (id.clone(), self.key(&id, scopes).await)
    }

    /// A new key of an account.
    pub(crate) async fn key(&self, account_id: &str, scopes: Value) -> String {
        let path = format!("/api/v1/accounts/{account_id}/keys");
        let key = json!({"name": "test", "scopes": scopes});
        text(&self.post(&path, key).await.expect(201)["key"])
    }

    /// A new account that has a role in a workspace; answers its key.
    pub(crate) async fn member(&self, workspace: &str, email: &str, role_id: &str) -> String {
        let (account_id, key) = self.account(email, json!(["*"])).await;
        let member = json!({"account_id": account_id, "role_id": role_id});
        self.post(&format!("{workspace}/members"), member)
            .await
            .expect(201);
        key
    }

    /// The catalog of a workspace: a source, a model, a destination, a policy and a sync.
    pub(crate) async fn catalog(&self, workspace: &str) -> Catalog {
        let source = self
            .post(
                &format!("{workspace}/sources"),
                json!({"name": "files", "type": "files", "config": {"path": "customers.csv"}}),
            )
            .await
            .expect(201);
        let model = self
            .post(
                &format!("{workspace}/models"),
                json!({
                    "name": "customers",
                    "source_id": source["id"],
                    "table": "files",
                    "primary_key": ["id"],
                }),
            )
            .await
            .expect(201);
        let path = format!("out-{}.ndjson", text(&model["id"]));
        let destination = self
            .post(
                &format!("{workspace}/destinations"),
                json!({"name": "file", "type": "file", "config": {"path": path, "format": "ndjson"}}),
            )
            .await
            .expect(201);
        let policy = self
            .post(
                &format!("{workspace}/destination-rules"),
                json!({
                    "name": "not from Germany",
                    "parent_model_id": model["id"],
                    "destination_type": "file",
                    "filter_tree": not_in("country", ["DE"]),
                }),
            )
            .await
            .expect(201);
        let sync = self
            .post(
                &format!("{workspace}/syncs"),
                json!({
                    "name": "customers to file",
                    "model_id": model["id"],
                    "destination_id": destination["id"],
                }),
            )
            .await
            .expect(201);
        Catalog {
            source: text(&source["id"]),
            model: text(&model["id"]),
            destination: text(&destination["id"]),
            policy: text(&policy["id"]),
            sync: text(&sync["id"]),
        }
    }

    /// Waits for a run to end.
    pub(crate) async fn finished(&self, workspace: &str, run_id: &str) -> Value {
        for _ in 0..1000 {
            let run = self
                .get(&format!("{workspace}/runs/{run_id}"))
                .await
                .expect(200);
            if !["queued", "running"].contains(&text(&run["status"]).as_str()) {
                return run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the run does not end");
    }
}

/// Identifiers of a workspace's objects.
pub(crate) struct Catalog {
    pub(crate) source: String,
    pub(crate) model: String,
    pub(crate) destination: String,
    pub(crate) policy: String,
    pub(crate) sync: String,
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

pub(crate) fn not_in<const N: usize>(column: &str, values: [&str; N]) -> Value {
    json!({
        "type": "condition",
        "condition_type": "property",
        "column": column,
        "operator": "not_in",
        "value": values.as_slice(),
    })
}

pub(crate) fn in_an_hour() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}
