//! The one error envelope: `{"error": {"code", "message", "status", "details"?}}`.
//!
//! Faults of the inside are logged with their request and answered with a sentence that tells
//! nothing of it.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::intake::stream_error;
use crate::guard::{GuardError, PolicyFault};
use crate::inspect::InspectError;
use crate::policy::Fault;
use crate::proxy::ProxyError;
use crate::publish::PublishError;
use crate::publish::packs::PackError;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::sync::{TriggerError, UploadError};

/// A request that failed, as its sender sees it. Its answer bears it as an extension, for whoever
/// has another envelope.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Value>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// 400: what was sent is no request.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", message)
    }

    /// 401: no key, or none that works. Why is not said.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "missing or invalid API key",
        )
    }

    /// 403: the caller's role or key does not allow it.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: it does not exist, or not for this caller.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{what} not found"),
        )
    }

    /// 405: the route exists, the method does not.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "this route does not have that method";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
    }

    /// 406: an answer in none of the forms that the caller takes.
    pub(crate) fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn timeout() -> Self {
        let message = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// 409: the state of things does not allow it now.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 412: the object is not what the caller has read.
    pub(crate) fn precondition_failed() -> Self {
        let message = "the object has changed since it was read: read it again, then decide";
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            message,
        )
    }

    /// 413: the body is longer than the route reads.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the body is longer than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    }

    /// 408: a stream came too slowly, or broke off.
    pub(crate) fn broken_off(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// 413: more than a limit of streams allows.
    pub(crate) fn beyond_limit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    }

    /// 415: a body of another type than the route takes.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported_media_type", message)
    }

    /// 422: well-formed, but not valid; every fault at once.
    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        let details = faults.iter().map(|fault| json!(fault)).collect();
        ApiError {
            details,
            ..Self::unprocessable()
        }
    }

    /// The same faults as those of parameters, which make a request malformed: 400.
    pub(crate) fn of_parameters(self) -> Self {
        ApiError {
            details: self.details,
            ..Self::malformed("the parameters are not valid: see details")
        }
    }

    /// 422 with a single fault.
    pub(crate) fn fault(path: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Fault::new(path, message)])
    }

    /// 422: saved policies do not fit. Faults of the policy `own` are faults of the document
    /// that was sent, whose filter tree is at `$.filter_tree`; the others name their policy.
    pub(crate) fn refused(own: Option<Uuid>, faults: Vec<PolicyFault>) -> Self {
        let details = faults.into_iter().map(|refused| {
            let path = refused.fault.path.replacen('$', "$.filter_tree", 1);
            if refused.policy_id == own {
                json!({"path": path, "message": refused.fault.message})
            } else {
                let message = format!(
                    "policy {:?}, {path}: {}",
                    refused.policy, refused.fault.message
                );
                json!({"path": "$", "message": message, "policy_id": refused.policy_id})
            }
        });
        ApiError {
            details: details.collect(),
            ..Self::unprocessable()
        }
    }

    /// 422: a query that cannot be answered, for a reason that has a code of its own.
    pub(crate) fn query(code: &'static str, path: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let details = vec![json!({"path": path, "message": message})];
        ApiError {
            details,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
        }
    }

    fn unprocessable() -> Self {
        let message = "the request is not valid: see details";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            message,
        )
    }

    /// 429: the key has made as many requests as it may.
    pub(crate) fn rate_limited() -> Self {
        let message = "the API key has reached its limit of requests: wait, then try again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
    }

    /// 429: the key has as many streams open as it may.
    pub(crate) fn too_many_streams(most: u32) -> Self {
        let message = format!("the API key has {most} streams open: let one end, then try again");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
    }

    /// 429: the account has as many queries open as it may.
    pub(crate) fn too_many_queries(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
    }

    /// 502: the destination cannot be reached, or broke off.
    pub(crate) fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", message)
    }

    /// 504: the destination did not answer in time.
    pub(crate) fn gateway_timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "gateway_timeout", message)
    }

    /// 503: something that is needed does not answer; worth trying again.
    pub(crate) fn unavailable() -> Self {
        let message = "the service cannot answer at the moment: try again";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            message,
        )
    }

    /// 503: a source does not answer now.
    pub(crate) fn unreachable(error: &SourceError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "service_unavailable", error.to_string())
    }

    /// 503: a model cannot be read now.
    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "service_unavailable", message)
    }

    /// 500: logged here, and not told.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed");
        let message = "something went wrong: the request id tells the operator more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Its status and, in one text, everything that it says: every fault with its place, or the
    /// message where there are none.
    pub(crate) fn in_words(&self) -> (StatusCode, String) {
        let faults = self.details.iter().filter_map(|fault| {
            let path = fault.get("path")?.as_str()?;
            let message = fault.get("message")?.as_str()?;
            let place = path.strip_prefix("$query.").or(path.strip_prefix("$."));
            Some(match place {
                Some(place) => format!("{place}: {message}"),
                None => message.to_owned(),
            })
        });
        let faults: Vec<String> = faults.collect();
        let message = match faults.is_empty() {
            true => self.message.clone(),
            false => faults.join(". "),
        };
        (self.status, message)
    }

    /// What a publication that failed tells whoever saved the policy `own`, or anything else.
    pub(crate) fn publish(own: Option<Uuid>, error: PublishError) -> Self {
        match error {
            PublishError::Refused(faults) => Self::refused(own, faults),
            PublishError::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "status": self.status.as_u16(),
        });
        if let (false, Some(error)) = (self.details.is_empty(), error.as_object_mut()) {
            error.insert("details".into(), self.details.clone().into());
        }
        let json = axum::Json(json!({"error": error}));
        let mut response = (self.status, headers_of(self.status), json).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The headers that an error has beside its body, by its status.
pub(crate) fn headers_of(status: StatusCode) -> HeaderMap {
    let header = match status {
        StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Bearer"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            (header::RETRY_AFTER, "1")
        }
        _ => return HeaderMap::new(),
    };
    HeaderMap::from_iter([(header.0, HeaderValue::from_static(header.1))])
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::not_found(what),
            StoreError::Conflict(message) => Self::conflict(message),
            StoreError::Refused { code, message } => Self::new(StatusCode::CONFLICT, code, message),
            StoreError::Stale => Self::conflict(
                "somebody else changed this at the same time: read it again and retry",
            ),
            StoreError::LeaseLost => Self::conflict("another worker has taken over this run"),
            StoreError::Unavailable(_) => {
                tracing::error!(%error, "the store does not answer");
                Self::unavailable()
            }
            StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<TriggerError> for ApiError {
    fn from(error: TriggerError) -> Self {
        match error {
            TriggerError::Disabled => Self::conflict("the sync is disabled: enable it first"),
            TriggerError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Stream(error) => stream_error(&error),
            UploadError::Store(error) => error.into(),
            UploadError::Differs(message) => Self::fault("$", message),
            UploadError::Draining(message) | UploadError::Unavailable(message) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                message,
            ),
            UploadError::Disabled | UploadError::Stopped(_) => Self::conflict(error.to_string()),
            UploadError::Internal => Self::internal(&error),
        }
    }
}

impl From<PackError> for ApiError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Faults(faults) => Self::invalid(faults),
            PackError::Moved { .. } => Self::conflict(error.to_string()),
            PackError::Store(error) => error.into(),
        }
    }
}

impl From<InspectError> for ApiError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Refused(faults) => Self::refused(None, faults),
            InspectError::Records(faults) => {
                let within = |fault: Fault| match fault.path.strip_prefix("$.records") {
                    Some(_) => fault,
                    None => Fault::new(fault.path.replacen('$', "$.records", 1), fault.message),
                };
                Self::invalid(faults.into_iter().map(within).collect())
            }
            InspectError::NoDestinationPolicy(message) | InspectError::NeedsJudge(message) => {
                Self::conflict(message)
            }
            InspectError::Restricted => Self::forbidden(error.to_string()),
            InspectError::Source(error @ SourceError::Unavailable(_)) => Self::unreachable(&error),
            InspectError::Source(error) => {
                Self::conflict(format!("the model cannot be read: {error}"))
            }
            InspectError::Store(error) => error.into(),
            InspectError::Guard(GuardError::Engine) => Self::internal(&GuardError::Engine),
            InspectError::Guard(error) => Self::conflict(error.to_string()),
        }
    }
}

impl From<ProxyError> for ApiError {
    fn from(error: ProxyError) -> Self {
        match error {
            ProxyError::Refused(faults) => Self::refused(None, faults),
            ProxyError::NoDestinationPolicy(message) | ProxyError::NeedsJudge(message) => {
                Self::conflict(message)
            }
            ProxyError::Stream(error) => stream_error(&error),
            ProxyError::Store(error) => error.into(),
            ProxyError::Changed => Self::conflict(error.to_string()),
            ProxyError::Internal => Self::internal(&error),
        }
    }
}

/// The answer to a panic in a handler.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal(&"a handler panicked").into_response()
}

/// The answer where there is no route.
pub(crate) async fn unknown_route() -> ApiError {
    ApiError::not_found("route")
}

/// The answer where the route lacks the method.
pub(crate) async fn unknown_method() -> ApiError {
    ApiError::method_not_allowed()
}
