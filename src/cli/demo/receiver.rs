//! The demo's ad platform: an endpoint on loopback that counts what it is sent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::net::TcpListener;

/// What arrived.
#[derive(Debug, Default)]
struct Received {
    batches: HashSet<String>,
    records: u64,
    without_consent: u64,
    nations: HashSet<String>,
}

/// A receiving endpoint that serves as long as the process runs.
#[derive(Clone)]
pub(super) struct Receiver {
    /// Shared with the handler.
    received: Arc<Mutex<Received>>,
    /// Where it listens.
    pub(super) url: String,
}

impl Receiver {
    pub(super) async fn start() -> anyhow::Result<Receiver> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/records", listener.local_addr()?);
        let received = Arc::new(Mutex::new(Received::default()));
        let routes = Router::new()
            .route("/records", post(receive))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&received));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the receiving endpoint ended");
            }
        });
        Ok(Receiver { received, url })
    }

    /// Records that arrived, each batch counted once.
    pub(super) fn records(&self) -> u64 {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .records
    }

    /// Records among them whose consent was not `true`.
    pub(super) fn without_consent(&self) -> u64 {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .without_consent
    }

    /// The nations they came from, sorted.
    pub(super) fn nations(&self) -> Vec<String> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nations: Vec<_> = received.nations.iter().cloned().collect();
        nations.sort_unstable();
        nations
    }
}

async fn receive(
    State(received): State<Arc<Mutex<Received>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(id) = headers
        .get("idempotency-key")
        .and_then(|id| id.to_str().ok())
    else {
        return StatusCode::BAD_REQUEST;
    };
    let Ok(records) = serde_json::from_slice::<Vec<Map<String, Value>>>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    if received.batches.insert(id.to_owned()) {
        received.records += records.len() as u64;
        for record in &records {
            if record.get("consent") != Some(&Value::Bool(true)) {
                received.without_consent += 1;
            }
            let nation = record
                .get("nation")
                .and_then(Value::as_str)
                .unwrap_or("unknown");
            if !received.nations.contains(nation) {
                received.nations.insert(nation.to_owned());
            }
        }
    }
    StatusCode::NO_CONTENT
}
