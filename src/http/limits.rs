//! Who may ask now: every request under `/api/v1` is authenticated here, once, and counted
//! against the limit of its API key.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::trace::AsItIs;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// How many requests each API key may make; clones count together.
#[derive(Clone)]
pub struct Limits {
    per_second: NonZeroU32,
    keys: Arc<DefaultKeyedRateLimiter<Uuid, StateInformationMiddleware>>,
}

impl Limits {
    /// So many requests per second for each key, and as many at once; at least 1.
    pub fn new(per_second: u32) -> Limits {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let keys = RateLimiter::keyed(Quota::per_second(per_second));
        Limits {
            per_second,
            keys: Arc::new(keys.with_middleware::<StateInformationMiddleware>()),
        }
    }

    /// Forgets the keys that have their whole limit again.
    pub(super) fn forget_idle(&self) {
        self.keys.retain_recent();
        self.keys.shrink_to_fit();
    }

    /// Counts a request of a key: how many more it may make at once, or `None` beyond the limit.
    fn count(&self, key_id: Uuid) -> Option<u32> {
        let counted = self.keys.check_key(&key_id).ok()?;
        Some(counted.remaining_burst_capacity())
    }

    fn tell(&self, remaining: u32, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.per_second.get()));
        headers.insert(REMAINING, HeaderValue::from(remaining));
        // What a key may do at once is what it may do in a second, so a second gives all of it back.
        headers.insert(RESET, HeaderValue::from(1));
    }
}

/// Lets a request pass if its key works and is within its limit; the handler finds the [`Caller`].
pub(super) async fn admit(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &api).await?;
    let remaining = api.limits.count(caller.principal.key_id);
    let mut response = match remaining {
        Some(_) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        None => ApiError::rate_limited().into_response(),
    };
    // A destination that has limits tells of its own.
    if response.extensions().get::<AsItIs>().is_none() {
        api.limits
            .tell(remaining.unwrap_or(0), response.headers_mut());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn each_key_has_its_own_limit() {
        let limits = Limits::new(3);
        let (busy, quiet) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(limits.count(busy), Some(2));
        // A slow machine gives some back meanwhile, but not for ever.
        assert!((0..10_000).any(|_| limits.count(busy).is_none()));
        assert_eq!(limits.count(quiet), Some(2));
    }

    #[test]
    fn a_key_at_its_limit_is_not_forgotten() {
        let started = Instant::now();
        let limits = Limits::new(1);
        let key = Uuid::from_u128(1);
        assert_eq!(limits.count(key), Some(0));
        limits.forget_idle();
        assert!(limits.count(key).is_none() || started.elapsed() >= Duration::from_secs(1));
    }

    #[test]
    fn idle_keys_are_forgotten() {
        let limits = Limits::new(1_000_000);
        for key in 0..100 {
            limits.count(Uuid::from_u128(key));
        }
        let forgotten = (0..1_000_000).any(|_| {
            limits.forget_idle();
            limits.keys.is_empty()
        });
        assert!(forgotten);
    }
}
