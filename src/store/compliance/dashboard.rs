//! What the dashboard and the history are reckoned from: snapshots of many days, read at once.

use chrono::{NaiveDate, NaiveTime};
use uuid::Uuid;

use super::super::database::Db;
use super::super::{Store, StoreError, columns};
use crate::compliance::SolutionId;
use crate::compliance::history::{Reading, Series};

/// What the dashboard shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Solutions, also those without a snapshot.
    pub solutions: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Those that nothing can change any more.
    pub frozen_snapshots: u64,
    /// The snapshots of each solution that has any: since a day, and the last one before it.
    pub series: Vec<Series>,
}

/// One row for each solution: years of snapshots are tens of thousands, and would take several
/// times as long to fetch as rows of their own. A time begins with its day on both databases,
/// because sessions are in UTC. The last snapshot before `$1` tells where the period begins. The
/// CROSS JOIN has SQLite begin with the solutions, of which the index then has the snapshots.
const SERIES: &str = "SELECT string_agg(CAST(s.created_at AS TEXT) || '|' ||
         CAST(round(s.score * 10) AS BIGINT) || '|' || s.total_policies || '|' ||
         s.compliant_policies, ',')
     FROM compliance_solutions o CROSS JOIN compliance_snapshots s
     WHERE s.solution_id = o.id AND ($2 IS NULL OR o.id = $2) AND s.created_at >= coalesce(
         (SELECT max(b.created_at) FROM compliance_snapshots b
          WHERE b.solution_id = o.id AND b.created_at < $1), $1)
     GROUP BY o.id";

impl Store {
    /// How solutions stood since the beginning of a day (UTC), and figures over all of them; at
    /// one moment.
    pub async fn compliance_figures(&self, since: NaiveDate) -> Result<Figures, StoreError> {
        let mut tx = self.snapshot().await?;
        let none: Option<Uuid> = None;
        let since = since.and_time(NaiveTime::MIN).and_utc();
        let rows = all!(tx, (String,), SERIES, since, none)?;
        let counts = optional!(
            tx,
            (i64, i64, i64),
            "SELECT (SELECT count(*) FROM compliance_solutions),
                 (SELECT count(*) FROM compliance_snapshots),
                 (SELECT count(*) FROM compliance_snapshots WHERE frozen)",
        )?;
        tx.commit().await?;
        let (solutions, snapshots, frozen) = counts.unwrap_or_default();
        Ok(Figures {
            solutions: columns::from_count(solutions, "count")?,
            snapshots: columns::from_count(snapshots, "count")?,
            frozen_snapshots: columns::from_count(frozen, "count")?,
            series: all_series(rows)?,
        })
    }

    /// The snapshots of a solution, or of each that has any: since the beginning of a day (UTC),
    /// and the last one before it.
    pub async fn compliance_series(
        &self,
        solution_id: Option<SolutionId>,
        since: NaiveDate,
    ) -> Result<Vec<Series>, StoreError> {
        let solution_id = solution_id.map(|id| id.0);
        let since = since.and_time(NaiveTime::MIN).and_utc();
        all_series(all!(self, (String,), SERIES, since, solution_id)?)
    }
}

fn all_series(rows: Vec<(String,)>) -> Result<Vec<Series>, StoreError> {
    let series = rows.iter().map(|(text,)| {
        let mut entries: Vec<&str> = text.split(',').collect();
        // No database promises an order; as texts, times follow each other.
        entries.sort_unstable();
        let readings: Option<Series> = entries.into_iter().map(reading).collect();
        readings.ok_or_else(|| columns::unreadable("compliance_snapshots.created_at"))
    });
    series.collect()
}

fn reading(entry: &str) -> Option<Reading> {
    let mut parts = entry.split('|');
    Some(Reading {
        day: parts.next()?.get(..10)?.parse().ok()?,
        tenths: parts.next()?.parse().ok()?,
        total_policies: parts.next()?.parse().ok()?,
        compliant_policies: parts.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_read_in_the_order_of_their_times() {
        for texts in [
            [
                "2026-03-02T10:00:00.5+00:00|945|12|11",
                "2026-03-02T10:00:00+00:00|900|4|3",
                "2025-12-31T23:59:59.999999+00:00|0|0|0",
            ],
            [
                "2026-03-02 10:00:00.5+00|945|12|11",
                "2026-03-02 10:00:00+00|900|4|3",
                "2025-12-31 23:59:59.999999+00|0|0|0",
            ],
        ] {
            let series = all_series(vec![(texts.join(","),)]).expect("readable");
            let [readings] = series.as_slice() else {
                panic!("{series:?}");
            };
            let found: Vec<_> = readings
                .iter()
                .map(|it| (it.day.to_string(), it.tenths, it.total_policies))
                .collect();
            let expected = [
                ("2025-12-31".to_owned(), 0, 0),
                ("2026-03-02".to_owned(), 900, 4),
                ("2026-03-02".to_owned(), 945, 12),
            ];
            assert_eq!(found, expected);
        }
        for text in [
            "",
            "2026-03-02",
            "2026-03-02T00:00:00+00:00|1.5|1|1",
            "é|1|1|1",
        ] {
            assert!(all_series(vec![(text.to_owned(),)]).is_err(), "{text}");
        }
    }
}
