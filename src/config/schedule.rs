//! Times that come again and again.

use chrono::{DateTime, DurationRound, TimeDelta, TimeZone, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// When something is to be done: a cron expression of five fields, in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Cron);

impl Schedule {
    /// Reads minute, hour, day of the month, month and day of the week, such as `0 0 * * *`.
    /// `None`: the text is no such expression, or it never comes, as `0 0 30 2 *` does not.
    pub fn parse(text: &str) -> Option<Schedule> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let five = text.split_whitespace().count() == 5;
        let schedule = parser.parse(text).ok().filter(|_| five).map(Schedule)?;
        schedule.comes().then_some(schedule)
    }

    /// Whether there is any time at which it comes. To look for the last time of one that never
    /// comes is to walk back for thousands of years, at every look.
    fn comes(&self) -> bool {
        // The calendar repeats itself every 400 years. croner walks back to the year 1 and gives
        // up there, so from here it sees each day of such a cycle, and no more.
        let end_of_cycle = Utc.with_ymd_and_hms(402, 1, 1, 0, 0, 0).single();
        end_of_cycle.is_some_and(|end| self.0.find_previous_occurrence(&end, true).is_ok())
    }

    /// What is due at `now` if all that came up to `after` is done: the last time after `after`
    /// and not after `now`. Times before that one are passed over, not made up for.
    pub fn due(&self, after: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let minute = now.duration_trunc(TimeDelta::minutes(1)).ok()?;
        if minute <= after {
            return None;
        }
        let last = self.0.find_previous_occurrence(&minute, true).ok()?;
        (last > after).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_five_fields() {
        for good in [
            "0 * * * *",
            "*/15 8-18 * * MON-FRI",
            "0 0 1 1 *",
            "0 0 31 12 *",
            "59 23 29 2 *",
        ] {
            assert!(Schedule::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "hourly",
            "@daily",
            "* * * *",
            "0 0 * * * *",
            "61 * * * *",
            "0 0 1 1 * 2026",
        ] {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn schedules_that_never_come_are_refused() {
        for never in ["0 0 30 2 *", "* * 31 2,4,6,9,11 *", "0 0 31 4 *"] {
            assert_eq!(Schedule::parse(never), None, "{never}");
        }
    }

    #[test]
    fn the_last_time_since_is_due() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        for (schedule, after, now, due) in [
            // Not yet, just now, and still.
            (
                "0 * * * *",
                "2026-11-22T09:30:00Z",
                "2026-11-22T09:59:59.999999Z",
                None,
            ),
            (
                "0 * * * *",
                "2026-11-22T09:30:00Z",
                "2026-11-22T10:00:00Z",
                Some("2026-11-22T10:00:00Z"),
            ),
            (
                "0 * * * *",
                "2026-11-22T09:30:00Z",
                "2026-11-22T10:45:12.5Z",
                Some("2026-11-22T10:00:00Z"),
            ),
            // Done already.
            (
                "0 * * * *",
                "2026-11-22T10:00:00Z",
                "2026-11-22T10:00:00.7Z",
                None,
            ),
            (
                "0 * * * *",
                "2026-11-22T10:00:00.000001Z",
                "2026-11-22T10:59:00Z",
                None,
            ),
            // Of many that were missed, the last.
            (
                "*/5 * * * *",
                "2026-11-01T00:00:00Z",
                "2026-11-22T10:04:00Z",
                Some("2026-11-22T10:00:00Z"),
            ),
            (
                "0 0 29 2 *",
                "2023-01-01T00:00:00Z",
                "2026-11-22T00:00:00Z",
                Some("2024-02-29T00:00:00Z"),
            ),
            (
                "0 0 29 2 *",
                "2024-02-29T00:00:00Z",
                "2026-11-22T00:00:00Z",
                None,
            ),
            // A clock that was set back.
            (
                "* * * * *",
                "2026-11-22T10:00:00Z",
                "2026-11-22T09:00:00Z",
                None,
            ),
        ] {
            let read = Schedule::parse(schedule).unwrap();
            assert_eq!(
                read.due(at(after), at(now)),
                due.map(at),
                "{schedule} after {after} at {now}"
            );
        }
    }
}
