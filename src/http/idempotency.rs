//! `Idempotency-Key`: a POST that is sent again has its effect once, and the same answer.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::body;
use super::content::envelope::{is_content, workspace_of};
use super::error::ApiError;
use super::governance::officer::Officer;
use crate::store::{KeptAnswer, Reservation, Reserved};

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The headers of an answer that are repeated with it.
static KEPT_HEADERS: [HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::ETAG,
    HeaderName::from_static("syncguard-policy-revision"),
];

/// Beside an answer that tells a secret: what may be kept of it, and is repeated in its place.
/// Whatever answers a secret to a POST must add this to its answer.
#[derive(Clone, Debug)]
pub(crate) struct Stored(pub(crate) Value);

/// Reserves the key of a POST before its handler runs, keeps the answer of a success, and repeats
/// it to the same request of the same API key. Any other answer frees the key again; a panic, or
/// a process that dies, leaves it reserved, because nobody knows what was done.
pub(super) async fn once(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.method() != Method::POST || !request.headers().contains_key(&KEY) {
        return Ok(next.run(request).await);
    }
    let key_text = presented(request.headers())?;
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &api).await?;
    let body = body::read_whole(body).await?;
    let reservation = Reservation {
        account_id: caller.principal.account.id,
        key_text,
        fingerprint: fingerprint(&caller, &parts, &body),
    };
    let request = Request::from_parts(parts, Body::from(body));
    let work = reserved(api, caller, reservation, request, next);
    // A caller who hangs up does not stop it halfway: nobody could know its outcome.
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => response,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ApiError::unavailable()),
        },
    }
}

/// Answers a request under its key: by its handler, or by what is known of the key.
async fn reserved(
    api: Api,
    caller: Caller,
    reservation: Reservation,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match api.store.reserve(&reservation, (api.clock)()).await? {
        Reserved::First => {
            let response = next.run(request).await;
            keep(&api, &reservation, response).await
        }
        Reserved::Pending => Err(ApiError::conflict(
            "the first request with this Idempotency-Key has not ended, or its outcome is not \
             known: look before you repeat it under another key",
        )),
        Reserved::Other => Err(ApiError::fault(
            "$header.Idempotency-Key",
            "the key was used for another request or with another API key: choose another",
        )),
        Reserved::Answered(answer) => {
            let path = request.uri().path();
            let is_content = is_content(path);
            let workspace_id = match is_content {
                true => workspace_of(&answer.body),
                false => workspace(path),
            };
            still_member(&api, &caller, workspace_id).await?;
            if is_content || path.split('/').any(|part| part == "governance") {
                Officer::reads(&api, &caller).await?;
            }
            replayed(answer)
        }
    }
}

/// The key of a request: 1 to 255 visible ASCII characters.
pub(super) fn presented(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut sent = headers.get_all(&KEY).iter();
    match (sent.next().map(HeaderValue::as_bytes), sent.next()) {
        (Some(key), None)
            if (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) =>
        {
            Ok(String::from_utf8_lossy(key).into_owned())
        }
        _ => Err(ApiError::malformed(
            "Idempotency-Key: expected one header of 1 to 255 visible ASCII characters",
        )),
    }
}

/// What makes two requests the same. The API key is a part of it: another one, which may do less,
/// does not learn what this one was answered.
fn fingerprint(caller: &Caller, parts: &Parts, body: &[u8]) -> [u8; 32] {
    let key_id = caller.principal.key_id;
    let mut digest = Sha256::new();
    digest.update(format!("{key_id}\n{}\n{}\n", parts.method, parts.uri));
    digest.update(body);
    digest.finalize().into()
}

/// The workspace that a path leads into.
fn workspace(path: &str) -> Option<Uuid> {
    let mut segments = path.split('/').skip_while(|part| *part != "workspaces");
    segments.nth(1).and_then(|id| Uuid::try_parse(id).ok())
}

/// To somebody who has left a workspace it does not exist, with whatever they did in it.
async fn still_member(
    api: &Api,
    caller: &Caller,
    workspace_id: Option<Uuid>,
) -> Result<(), ApiError> {
    let Some(workspace_id) = workspace_id else {
        return Ok(());
    };
    let account_id = caller.principal.account.id;
    match api.store.standing(workspace_id, account_id).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found("workspace")),
    }
}

fn replayed(answer: KeptAnswer) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(answer.status);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status.map_err(|error| ApiError::internal(&error))?;
    let headers = response.headers_mut();
    for name in &KEPT_HEADERS {
        let value = answer.headers.get(name.as_str());
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Keeps the answer of a success, and frees the key after anything else. Where the store cannot be
/// written the key stays reserved: its request is not done a second time.
async fn keep(
    api: &Api,
    reservation: &Reservation,
    response: Response,
) -> Result<Response, ApiError> {
    if !response.status().is_success() {
        if let Err(error) = api.store.free_reservation(reservation).await {
            tracing::error!(%error, "an idempotency key stays reserved");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.map_err(|error| ApiError::internal(&error))?;
    let kept_body = match parts.extensions.get::<Stored>() {
        Some(Stored(value)) => value.to_string(),
        None => String::from_utf8_lossy(&body).into_owned(),
    };
    let kept_header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    let answer = KeptAnswer {
        status: parts.status.as_u16(),
        headers: KEPT_HEADERS.iter().filter_map(kept_header).collect(),
        body: kept_body,
    };
    if let Err(error) = api.store.keep_answer(reservation, &answer).await {
        tracing::error!(%error, "the answer to an idempotency key is not kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}
