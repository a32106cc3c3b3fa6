//! What tests of runs stand on: a whole server in this process or in one of its own, and a client
//! that makes a catalog in it and follows its runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use reqwest::Method;
use serde_json::{Value, json};
use syncguard::app::{App, Listeners};
use syncguard::config::{Config, Retry};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::temporary_folder;

pub(crate) const KEY: &str = "sgk_rig_0123456789abcdef0123456789abcdef";

/// The longest that anything waited for may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A caller of the API, as the owner of the first workspace.
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    key: String,
    workspace: String,
}

impl Client {
    pub(crate) async fn connect(base: String, key: &str) -> Client {
        // Another test may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut client = Client {
            base,
            http,
            key: key.to_owned(),
            workspace: String::new(),
        };
        let me = client.ask(Method::GET, "/api/v1/me", None).await;
        assert_eq!(me.0, 200, "{:#}", me.1);
        client.workspace = text(&me.1["workspaces"][0]["id"]);
        client
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request; a path without a leading slash is one within the workspace. Answers the
    /// status and the body: JSON, or text as a string.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let path = match path.starts_with('/') || self.workspace.is_empty() {
            true => path.to_owned(),
            false => format!("/api/v1/workspaces/{}/{path}", self.workspace),
        };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str(&body).unwrap_or(Value::String(body)),
        )
    }

    async fn expect(&self, status: u16, method: Method, path: &str, body: Option<Value>) -> Value {
        let (got, answer) = self.ask(method, path, body).await;
        assert_eq!(got, status, "{path}: {answer:#}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.expect(200, Method::GET, path, None).await
    }

    /// Makes an object and answers its id.
    pub(crate) async fn make(&self, kind: &str, body: Value) -> String {
        text(&self.expect(201, Method::POST, kind, Some(body)).await["id"])
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        self.expect(200, Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.expect(200, Method::POST, path, Some(body)).await
    }

    /// Replaces the workspace's own settings.
    pub(crate) async fn require_policies(&self) {
        let body = json!({"name": "default", "require_destination_policy": true});
        self.put(&format!("/api/v1/workspaces/{}", self.workspace), body)
            .await;
    }

    pub(crate) async fn source(&self, kind: &str, config: Value) -> String {
        let name = format!("{kind} {}", uuid::Uuid::now_v7());
        self.make(
            "sources",
            json!({"name": name, "type": kind, "config": config}),
        )
        .await
    }

    /// A model; `query` is `{"table": ...}` or `{"sql": ...}`, and what else a model has.
    pub(crate) async fn model(&self, source_id: &str, query: Value) -> String {
        let mut body =
            json!({"name": format!("model {}", uuid::Uuid::now_v7()), "source_id": source_id});
        extend(&mut body, query);
        self.make("models", body).await
    }

    pub(crate) async fn destination(&self, kind: &str, config: Value) -> String {
        let name = format!("{kind} {}", uuid::Uuid::now_v7());
        self.make(
            "destinations",
            json!({"name": name, "type": kind, "config": config}),
        )
        .await
    }

    /// A sync; `more` is what differs from its defaults.
    pub(crate) async fn sync(&self, model_id: &str, destination_id: &str, more: Value) -> String {
        let name = format!("sync {}", uuid::Uuid::now_v7());
        let mut body =
            json!({"name": name, "model_id": model_id, "destination_id": destination_id});
        extend(&mut body, more);
        self.make("syncs", body).await
    }

    /// A policy of a model for a destination type.
    pub(crate) async fn policy(&self, model_id: &str, kind: &str, filter_tree: Value) -> String {
        let body = json!({
            "name": format!("policy {}", uuid::Uuid::now_v7()),
            "parent_model_id": model_id,
            "destination_type": kind,
            "filter_tree": filter_tree,
        });
        self.make("destination-rules", body).await
    }

    /// Sends records to a sync, as NDJSON unless the headers tell another type. `parameters` is
    /// what follows its path, such as `?on_invalid=reject`.
    pub(crate) async fn upload(
        &self,
        sync: &str,
        parameters: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Uploaded> {
        let workspace = &self.workspace;
        let path = format!("/api/v1/workspaces/{workspace}/syncs/{sync}/records{parameters}");
        let request = self.http.post(self.url(&path)).bearer_auth(&self.key);
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        let request = match typed {
            true => request,
            false => request.header("content-type", "application/x-ndjson"),
        };
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let answer = request.body(body).send().await?;
        Ok(Uploaded {
            status: answer.status().as_u16(),
            replayed: answer.headers().contains_key("idempotency-replayed"),
            body: answer.json().await?,
        })
    }

    /// Starts a run and answers its id.
    pub(crate) async fn trigger(&self, sync: &str) -> String {
        let path = format!("syncs/{sync}/trigger");
        text(&self.expect(202, Method::POST, &path, Some(json!({}))).await["run_id"])
    }

    pub(crate) async fn run(&self, id: &str) -> Value {
        self.get(&format!("runs/{id}")).await
    }

    /// The run once it has ended. Its counts are checked on the way: they balance at any time.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        until("the run does not end", async || {
            let run = self.run(id).await;
            assert_balanced(&run);
            (!["queued", "running"].contains(&run["status"].as_str().unwrap())).then_some(run)
        })
        .await
    }

    /// Runs a sync to its end.
    pub(crate) async fn run_of(&self, sync: &str) -> Value {
        self.ended(&self.trigger(sync).await).await
    }
}

/// How an upload was answered.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded {
    pub(crate) status: u16,
    /// Whether it is the answer of an earlier one.
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

impl Uploaded {
    /// The body, if it has a status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

fn extend(body: &mut Value, more: Value) {
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[track_caller]
pub(crate) fn assert_balanced(run: &Value) {
    let count = |name: &str| run[name].as_u64().unwrap();
    let outcomes = ["delivered", "withheld", "rejected", "invalid", "failed"];
    assert_eq!(
        count("read"),
        outcomes.map(count).iter().sum::<u64>(),
        "{run:#}"
    );
}

/// Asserts how a run ended: its status, and the counts that are named; the others are 0.
#[track_caller]
pub(crate) fn assert_ended(run: &Value, status: &str, counts: Value) {
    assert_eq!(run["status"], status, "{run:#}");
    for name in [
        "read",
        "delivered",
        "withheld",
        "rejected",
        "invalid",
        "failed",
    ] {
        let expected = counts.get(name).cloned().unwrap_or(json!(0));
        assert_eq!(run[name], expected, "{name}: {run:#}");
    }
    assert!(
        run["started_at"].is_string() && run["finished_at"].is_string(),
        "{run:#}"
    );
}

/// A condition of a filter tree.
pub(crate) fn condition(column: &str, operator: &str, value: Value) -> Value {
    let mut node = json!({"type": "condition", "condition_type": "property", "column": column, "operator": operator});
    if !value.is_null() {
        node["value"] = value;
    }
    node
}

/// Settings under which a delivery that failed is not repeated while a test lasts.
pub(crate) fn patient(config: &mut Config) {
    config.retry.base_delay = Duration::from_secs(600);
    config.retry.max_delay = Duration::from_secs(600);
}

/// A server in this process, with its data in a folder of its own.
pub(crate) struct Rig {
    pub(crate) client: Client,
    config: Config,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    folder: PathBuf,
    _folder: TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    /// A server that retries quickly and reads small batches, after `adjust` had its way.
    pub(crate) async fn start(adjust: impl FnOnce(&mut Config)) -> Rig {
        let (guard, folder) = temporary_folder();
        let mut config = Config::in_data_dir(folder.join("data")).unwrap();
        config.bootstrap_key = Some(KEY.into());
        config.allow_private_addresses = vec!["127.0.0.0/8".parse().unwrap()];
        config.requests_per_second = 1_000_000;
        config.batch_rows = 500;
        config.retry = Retry {
            attempts: 8,
            base_delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(20),
        };
        adjust(&mut config);
        let (client, stop, serving) = serve(&config).await;
        Rig {
            client,
            config,
            stop,
            serving,
            folder,
            _folder: guard,
        }
    }

    /// Tells the server to drain.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Drains the server and waits until it is gone.
    pub(crate) async fn drain(&mut self) {
        self.stop();
        let ended = tokio::time::timeout(PATIENCE, &mut self.serving).await;
        ended.expect("the server does not drain").unwrap();
    }

    /// Starts another server on the data of one that was drained.
    pub(crate) async fn start_again(&mut self) {
        (self.client, self.stop, self.serving) = serve(&self.config).await;
    }

    /// The folder that sources and destinations may use.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.join("data/files")
    }

    /// Writes a file that sources may read.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.files().join(name), content).unwrap();
    }

    /// A model over a CSV file.
    pub(crate) async fn csv_model(&self, name: &str, content: &str) -> String {
        self.write(name, content);
        let source = self.client.source("files", json!({"path": name})).await;
        self.client
            .model(&source, json!({"table": "files", "primary_key": ["id"]}))
            .await
    }
}

async fn serve(config: &Config) -> (Client, CancellationToken, JoinHandle<()>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let app = App::open(config.clone(), Arc::new(Utc::now)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let shutdown = stop.clone();
    let serving = tokio::spawn(async move {
        app.serve(Listeners::http(listener), shutdown)
            .await
            .unwrap()
    });
    (Client::connect(base, KEY).await, stop, serving)
}

/// The built program, serving in a process of its own. It is killed when the value is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// `syncguard serve` on a free port, with its data and its log in a folder.
    pub(crate) fn serve(folder: &Path, environment: &[(&str, &str)]) -> Process {
        Process::launch(
            Command::new(env!("CARGO_BIN_EXE_syncguard")),
            folder,
            environment,
        )
    }

    /// The same in a mount namespace of its own, after a shell has run `prepare` there.
    pub(crate) fn serve_after(
        prepare: &str,
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> Process {
        let possible = |flags: &&str| {
            Command::new("unshare")
                .args([flags, "true"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        };
        // Where nobody may make user namespaces, root may perhaps mount all the same.
        let flags = ["-rm", "-m"].into_iter().find(possible).expect(
            "this test needs a mount namespace: neither `unshare -rm` nor, as root, `unshare -m` works here",
        );
        let mut command = Command::new("unshare");
        let script = format!("{prepare} && exec \"$0\" \"$@\"");
        command.args([flags, "sh", "-c", &script, env!("CARGO_BIN_EXE_syncguard")]);
        Process::launch(command, folder, environment)
    }

    fn launch(mut command: Command, folder: &Path, environment: &[(&str, &str)]) -> Process {
        let log = folder.join(format!("log-{}", uuid::Uuid::now_v7()));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.join("data"))
            .env("SYNCGUARD_BOOTSTRAP_KEY", KEY)
            .env("SYNCGUARD_ALLOW_PRIVATE_ADDRESSES", "127.0.0.0/8")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        Process {
            child: command.spawn().unwrap(),
            log,
        }
    }

    /// All that the process has written to standard error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves, and connects to it.
    pub(crate) async fn client(&mut self, key: &str) -> Client {
        let base = until("the program does not serve", async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the program ended with {status}: {}", self.log());
            }
            self.log().lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["message"] == "serving HTTP")
                    .then(|| format!("http://{}", text(&line["address"])))
            })
        })
        .await;
        Client::connect(base, key).await
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) async fn exited(&mut self) -> ExitStatus {
        until("the program does not end", async || {
            self.child.try_wait().unwrap()
        })
        .await
    }
}
