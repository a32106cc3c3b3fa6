//! Clockwork: what is to be done about compliance when nobody asks.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::Overseer;
use crate::config::Schedule;

/// Where the time is learnt from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// How often it looks whether something is due.
const POLL: Duration = Duration::from_secs(1);
/// How long it waits after a failure: what fails now mostly fails a second later, too, and each
/// attempt evaluates all that is in the solutions.
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// A due time that is longer ago is passed over: the snapshot would show another day.
const LATEST: TimeDelta = TimeDelta::days(1);

impl Overseer {
    /// Takes the snapshots of all solutions whenever the schedule says, and those that a policy
    /// change asked for and whoever made it could not take, until `shutdown`. What fails is tried
    /// again after a minute. Of several processes on one store, one takes each.
    pub async fn keep_time(
        &self,
        clock: Clock,
        schedule: Option<Schedule>,
        shutdown: CancellationToken,
    ) {
        let mut done = None;
        let (mut asked_failed, mut due_failed) = (None, None);
        while !shutdown.is_cancelled() {
            let now = clock();
            if !pauses(asked_failed, now)
                && let Err(error) = self.take_due_snapshots(now).await
            {
                tracing::warn!(%error, "cannot take all snapshots that policy changes ask for");
                asked_failed = Some(now);
            }
            let due = schedule.as_ref().and_then(|schedule| due(schedule, now));
            let due = due.filter(|due_at| done != Some(*due_at) && !pauses(due_failed, now));
            if let Some(due_at) = due {
                match self.take_scheduled_snapshots(due_at, now).await {
                    Ok(()) => done = Some(due_at),
                    Err(error) => {
                        tracing::warn!(%error, %due_at, "cannot take all snapshots due");
                        due_failed = Some(now);
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}

/// Whether a failure is too recent to try again. One that is still to come is from a clock that
/// was set back, and holds nothing up.
fn pauses(failed_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    failed_at.is_some_and(|at| (TimeDelta::zero()..PAUSE).contains(&(now - at)))
}

/// The time at which snapshots were due last, unless it is too long ago.
fn due(schedule: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    schedule.due(now.checked_sub_signed(LATEST)?, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_followed_by_a_pause_of_a_minute() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        assert!(!pauses(None, at(100)));
        for (now, expected) in [(100, true), (159, true), (160, false), (99, false)] {
            assert_eq!(pauses(Some(at(100)), at(now)), expected, "{now}");
        }
    }

    #[test]
    fn snapshots_are_due_for_a_day() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        for (schedule, now, expected) in [
            (
                "0 0 * * *",
                "2026-11-22T00:00:00Z",
                Some("2026-11-22T00:00:00Z"),
            ),
            (
                "0 0 * * *",
                "2026-11-22T23:59:59.5Z",
                Some("2026-11-22T00:00:00Z"),
            ),
            (
                "0 0 1 * *",
                "2026-11-01T23:59:00Z",
                Some("2026-11-01T00:00:00Z"),
            ),
            ("0 0 1 * *", "2026-11-02T00:00:00Z", None),
            ("0 0 1 * *", "2026-11-22T00:00:00Z", None),
        ] {
            let read = Schedule::parse(schedule).unwrap();
            assert_eq!(due(&read, at(now)), expected.map(at), "{schedule} at {now}");
        }
    }
}
