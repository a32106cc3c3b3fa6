//! The envelope of `/policy`: `{success: true, ...}`, and `{success: false, message}` for every
//! error, whoever found it.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::error::{ApiError, headers_of};
use super::super::etag::Object;
use crate::store::StoreError;

/// An answer to a request that succeeded: `success` beside what `T` has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Success<T> {
    /// Always `true`.
    success: bool,
    #[serde(flatten)]
    told: T,
}

impl<T> Success<T> {
    /// What is answered, as `If-Match` is compared to it.
    pub(crate) fn of(told: T) -> Success<T> {
        Success {
            success: true,
            told,
        }
    }

    /// 200.
    pub(crate) fn ok(told: T) -> Json<Success<T>> {
        Json(Success::of(told))
    }
}

impl<T: Serialize> Success<T> {
    /// 200, with an `ETag`.
    pub(crate) fn object(told: T) -> Object<Success<T>> {
        Object::ok(Success::of(told))
    }

    /// 201, with an `ETag`.
    pub(crate) fn created(told: T) -> Object<Success<T>> {
        Object::created(Success::of(told))
    }
}

/// What is answered where there is nothing to say.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// Always `true`.
    success: bool,
}

impl Done {
    /// 200.
    pub(crate) fn ok() -> Json<Done> {
        Json(Done { success: true })
    }
}

/// What every error looks like.
#[derive(Debug, Serialize)]
struct ContentFailure {
    /// Always `false`.
    success: bool,
    /// For people: everything that is wrong, and what to do about it.
    message: String,
}

/// A request that failed. What is not valid is malformed here: 400 with every fault in the one
/// message.
#[derive(Debug)]
pub(crate) struct ContentError {
    status: StatusCode,
    message: String,
}

impl ContentError {
    /// 400, for a reason that no field has alone.
    pub(crate) fn malformed(message: impl Into<String>) -> ContentError {
        ContentError {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    fn failure(self) -> ContentFailure {
        ContentFailure {
            success: false,
            message: self.message,
        }
    }
}

impl From<ApiError> for ContentError {
    fn from(error: ApiError) -> ContentError {
        let (status, message) = error.in_words();
        ContentError {
            status: match status {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                status => status,
            },
            message,
        }
    }
}

impl From<StoreError> for ContentError {
    fn from(error: StoreError) -> ContentError {
        ApiError::from(error).into()
    }
}

impl IntoResponse for ContentError {
    fn into_response(self) -> Response {
        let status = self.status;
        (status, headers_of(status), Json(self.failure())).into_response()
    }
}

/// Whether a path is one of these endpoints.
pub(crate) fn is_content(path: &str) -> bool {
    path == "/policy" || path.starts_with("/policy/")
}

/// Puts into this envelope whatever refused a request before its handler did: no key, a limit, a
/// path that is not there, a panic.
pub(crate) async fn envelop(request: Request, next: Next) -> Response {
    let is_content = is_content(request.uri().path());
    let (mut parts, body) = next.run(request).await.into_parts();
    match parts.extensions.remove::<ApiError>() {
        Some(error) if is_content => {
            let error = ContentError::from(error);
            parts.status = error.status;
            parts.headers.remove(header::CONTENT_LENGTH);
            let (_, told) = Json(error.failure()).into_response().into_parts();
            Response::from_parts(parts, told)
        }
        _ => Response::from_parts(parts, body),
    }
}

/// The identifier in a path. What is none is malformed here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathId(pub(crate) Uuid);

impl FromRequestParts<Api> for PathId {
    type Rejection = ContentError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<PathId, ContentError> {
        let path = Path::<Uuid>::from_request_parts(parts, api).await;
        path.map(|Path(id)| PathId(id))
            .map_err(|_| ContentError::malformed("the identifier in the path: expected a UUID"))
    }
}

/// The workspace that an answer of these endpoints is about, if it is about one.
pub(crate) fn workspace_of(answer: &str) -> Option<Uuid> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let mut told = answer.as_object()?.values();
    let id = told.find_map(|object| object.get("workspaceId")?.as_str())?;
    Uuid::try_parse(id).ok()
}
