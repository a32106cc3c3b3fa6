//! How fast a destination is written to, whoever writes.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::catalog::RateLimit;

pub(super) struct Pace {
    limit: RateLimit,
    requests: Option<DefaultDirectRateLimiter>,
    rows: Option<(NonZeroU32, DefaultDirectRateLimiter)>,
}

impl Pace {
    /// A pace within the limit; `None` if the limit lets nothing through.
    pub(super) fn new(limit: RateLimit) -> Option<Pace> {
        let a_second = |n: Option<u32>| n.map(NonZeroU32::new);
        let requests = match a_second(limit.requests_per_second) {
            Some(n) => Some(RateLimiter::direct(Quota::per_second(n?))),
            None => None,
        };
        let rows = match a_second(limit.rows_per_second) {
            Some(n) => Some((n?, RateLimiter::direct(Quota::per_second(n?)))),
            None => None,
        };
        Some(Pace {
            limit,
            requests,
            rows,
        })
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// How many rows a request takes of at most so many: no more than a second's, so that little
    /// time passes between their judgement and their departure.
    pub(super) fn batch_rows(&self, most: usize) -> usize {
        let a_second = self.rows.as_ref().map(|(rows, _)| rows.get());
        a_second
            .and_then(|rows| usize::try_from(rows).ok())
            .map_or(most, |rows| rows.min(most))
    }

    /// Waits until a request with so many rows may go out. More rows than a second's are let in
    /// piece by piece.
    pub(super) async fn admit(&self, rows: usize) {
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        let Some((most, limiter)) = &self.rows else {
            return;
        };
        let mut left = rows;
        while left > 0 {
            let piece = u32::try_from(left).map_or(*most, |left| {
                NonZeroU32::new(left).map_or(*most, |left| left.min(*most))
            });
            // It fails at once, and only for a piece above the quota, which this one is not.
            if limiter.until_n_ready(piece).await.is_err() {
                return;
            }
            left = left.saturating_sub(usize::try_from(piece.get()).unwrap_or(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_larger_than_a_seconds_rows_is_admitted_piece_by_piece() {
        let limit = RateLimit {
            requests_per_second: Some(1_000),
            rows_per_second: Some(10_000),
        };
        let pace = Pace::new(limit).expect("pace");
        let start = std::time::Instant::now();
        pace.admit(11_000).await;
        assert!(
            start.elapsed() >= std::time::Duration::from_millis(90),
            "{:?}",
            start.elapsed()
        );
        pace.admit(0).await;
    }

    #[test]
    fn a_limit_of_nothing_is_no_pace() {
        let none = RateLimit {
            requests_per_second: Some(0),
            rows_per_second: None,
        };
        assert!(Pace::new(none).is_none());
        assert!(Pace::new(RateLimit::default()).is_some());
    }
}
