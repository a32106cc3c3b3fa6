//! A server with a model and a policy on it, and the three ways through it.

use std::io::Read;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use reqwest::Method;
use serde_json::{Value, json};
use syncguard::wire::Format;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::wires::{content_type, written};
use crate::rig::{KEY, Rig, text};

/// Bytes of a request that are handed over at once.
const PIECE: usize = 64 * 1024;

/// A destination that keeps the bodies it is sent, without their gzip, and answers `kept`.
pub(crate) struct Keeper {
    address: std::net::SocketAddr,
    kept: Arc<Mutex<Vec<Bytes>>>,
    serving: JoinHandle<()>,
}

impl Keeper {
    pub(crate) async fn start() -> Keeper {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(vec![]));
        let state = kept.clone();
        let keep = move |request: Request<Body>| {
            let state = state.clone();
            async move {
                let coding = request.headers().get("content-encoding").cloned();
                let Ok(body) = to_bytes(request.into_body(), usize::MAX).await else {
                    return (StatusCode::BAD_REQUEST, "broken");
                };
                let body = match coding.as_ref().map(HeaderValue::as_bytes) {
                    None | Some(b"identity") => body,
                    Some(b"gzip") => {
                        let mut plain = Vec::new();
                        let mut decoder = MultiGzDecoder::new(&body[..]);
                        if decoder.read_to_end(&mut plain).is_err() {
                            return (StatusCode::BAD_REQUEST, "not gzip");
                        }
                        plain.into()
                    }
                    Some(_) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown coding"),
                };
                state.lock().unwrap().push(body);
                (StatusCode::OK, "kept")
            }
        };
        let serving = tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(keep))
                .await
                .unwrap();
        });
        Keeper {
            address,
            kept,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The bodies that came since this was last asked.
    pub(crate) fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.kept.lock().unwrap())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A server with a model, and one policy on it for files and webhooks.
pub(crate) struct World {
    pub(crate) rig: Rig,
    http: reqwest::Client,
    pub(crate) workspace: String,
    pub(crate) model: String,
}

impl World {
    /// The model has the columns of the sample.
    pub(crate) async fn new(sample: &RecordBatch, filter_tree: Value) -> World {
        let rig = Rig::start(|config| config.batch_rows = 5_000).await;
        let schema = sample.schema();
        let parquet = written(Format::Parquet, &schema, std::slice::from_ref(sample));
        std::fs::write(rig.files().join("sample.parquet"), parquet).unwrap();
        let client = &rig.client;
        let source = client
            .source("files", json!({"path": "sample.parquet"}))
            .await;
        let query = json!({"table": "files", "primary_key": [schema.field(0).name()]});
        let model = client.model(&source, query).await;
        for kind in ["webhook", "file"] {
            client.policy(&model, kind, filter_tree.clone()).await;
        }
        let me = client.get("/api/v1/me").await;
        let workspace = text(&me["workspaces"][0]["id"]);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        World {
            rig,
            http,
            workspace,
            model,
        }
    }

    /// Sends records in pieces; answers the status and the body. An error is a body that breaks
    /// off, or no answer at all.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        format: Format,
        body: Bytes,
    ) -> Result<(u16, Bytes), reqwest::Error> {
        let mut rest = body;
        let pieces = std::iter::from_fn(move || {
            let size = PIECE.min(rest.len());
            (size > 0).then(|| Ok::<_, std::io::Error>(rest.split_to(size)))
        });
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let answer = self
            .http
            .request(method, self.rig.client.url(path))
            .header("x-api-key", KEY)
            .header("content-type", content_type(format))
            .body(body)
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await?))
    }

    /// Sends records that are answered with 200; answers the body.
    pub(crate) async fn sent(&self, path: &str, format: Format, body: Bytes) -> Bytes {
        let answer = self.send(Method::POST, path, format, body).await;
        let (status, body) = answer.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let shown = String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned();
        assert_eq!(status, 200, "{path} as {format:?}: {shown}");
        body
    }

    /// A sync of the model to a new destination; answers the path that its records are posted to.
    pub(crate) async fn deliver_path(&self, kind: &str, config: Value) -> String {
        let client = &self.rig.client;
        let destination = client.destination(kind, config).await;
        let sync = client.sync(&self.model, &destination, json!({})).await;
        format!("/api/v1/workspaces/{}/syncs/{sync}/records", self.workspace)
    }

    /// A destination whose whole bodies are records; answers the path that stands before it.
    pub(crate) async fn transparent_path(&self, keeper: &Keeper) -> String {
        let config = json!({
            "url": keeper.url(),
            "proxy": {"model_id": self.model, "records": {"body": true}},
        });
        let destination = self.rig.client.destination("webhook", config).await;
        format!("/proxy/{}/{destination}/in", self.workspace)
    }
}

/// The path by which records come back.
pub(crate) fn filter_path(world: &World, destination_type: &str) -> String {
    let World {
        workspace, model, ..
    } = world;
    format!(
        "/api/v1/workspaces/{workspace}/models/{model}/guard?destination_type={destination_type}"
    )
}

/// A receipt of records: all read, and as many delivered as pass.
#[track_caller]
pub(crate) fn assert_receipt(receipt: &[u8], read: usize, delivered: usize) {
    let receipt: Value = serde_json::from_slice(receipt).unwrap();
    for (name, count) in [
        ("read", read),
        ("delivered", delivered),
        ("withheld", read - delivered),
        ("rejected", 0),
        ("invalid", 0),
        ("failed", 0),
    ] {
        assert_eq!(receipt[name], count, "{name}: {receipt:#}");
    }
}
