//! `/livez`, `/readyz`, `/metrics`, `/version`: what operators ask, without a key.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Api;
use super::error::ApiError;

/// Cancelled once the process takes no new work.
#[derive(Clone)]
pub(crate) struct Draining(pub(crate) CancellationToken);

/// The process runs.
#[utoipa::path(
    get, path = "/livez", tag = "process",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// The store answers, and the process is not about to end. Migrations are done and policies
/// compiled before the listener is served at all.
#[utoipa::path(
    get, path = "/readyz", tag = "process",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
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
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], api.metrics.render())
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    /// Name of the program.
    name: &'static str,
    /// Its version.
    version: &'static str,
}

/// Name and version of the program.
#[utoipa::path(
    get, path = "/version", tag = "process",
    responses((status = 200, body = Version)),
)]
pub(crate) async fn version() -> Json<Version> {
    Json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    })
}
