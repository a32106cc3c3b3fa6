//! `/livez`, `/readyz`, `/metrics`, `/version`: what operators ask, without a key.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::error::ApiError;

/// Cancelled once the process takes no new work.
#[derive(Clone)]
pub(crate) struct Draining(pub(crate) CancellationToken);

/// The process runs.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// The store answers, and the process is not about to end. Migrations are done and policies
/// compiled before the listener is served at all.
pub(crate) async fn readyz(
    State(api): State<Api>,
    draining: Option<Extension<Draining>>,
) -> Result<&'static str, ApiError> {
    if draining.is_some_and(|Extension(Draining(token))| token.is_cancelled()) {
        return Err(ApiError::unavailable());
    }
    api.store.ping().await?;
    Ok("ok\n")
}

/// Metrics in the Prometheus text format.
pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], api.metrics.render())
}

/// Name and version of the program.
pub(crate) async fn version() -> Json<Value> {
    Json(json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")}))
}
