//! A request id, a span and a measurement for every request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::Api;
use crate::telemetry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, as its answer names it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Marks an answer that is a destination's, to whose headers nothing of ours is added that stands
/// for the same as one of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsItIs;

/// Takes the caller's request id or makes one, and sends it back.
pub(crate) async fn trace(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = match request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|id| id.to_str().ok())
    {
        Some(id) if is_request_id(id) => id.to_owned(),
        _ => (api.new_id)().to_string(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = method_label(request.method().as_str());
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request_id = %id, method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    metrics::histogram!(
        telemetry::HTTP_REQUEST_DURATION_SECONDS,
        telemetry::METHOD => method,
        telemetry::ROUTE => route,
        telemetry::STATUS => status.to_string(),
    )
    .record(seconds);
    span.in_scope(|| tracing::info!(status, seconds, "answered"));
    let is_ours = response.extensions().get::<AsItIs>().is_none();
    let headers = response.headers_mut();
    if is_ours {
        // Answers hold keys and policies: nothing between here and the caller keeps them, unless
        // it was thought about.
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
    }
    if let Ok(id) = HeaderValue::from_str(&id)
        && (is_ours || !headers.contains_key(&REQUEST_ID))
    {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// A caller's id is taken if nothing in it can disturb a log.
fn is_request_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// A caller can make up methods without bound; a label must not follow.
fn method_label(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}
