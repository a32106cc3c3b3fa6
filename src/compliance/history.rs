//! How solutions stood on each day, reckoned from their snapshots. Days are those of UTC.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

/// Most days that the trend of the dashboard tells of.
pub const TREND_DAYS: u64 = 7;

/// What one snapshot showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The day on which it was taken.
    pub day: NaiveDate,
    /// The score in tenths: 0 to 1000.
    pub tenths: i64,
    /// Policies.
    pub total_policies: i64,
    /// Those that were met.
    pub compliant_policies: i64,
}

/// The snapshots of one solution, oldest first. Of a day only the last counts.
pub type Series = Vec<Reading>;

/// How things stood at the end of a day.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ComplianceHistoryPoint)]
pub struct HistoryPoint {
    /// The day.
    pub date: NaiveDate,
    /// The score, 0 to 100 with one decimal; of several solutions, the mean.
    pub score: f64,
    /// Policies, of all solutions together.
    pub total_policies: u64,
    /// Those that were met.
    pub compliant_policies: u64,
}

/// The score at the end of a day.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ComplianceTrendPoint)]
pub struct TrendPoint {
    /// The day.
    pub date: NaiveDate,
    /// The mean over the solutions that had a snapshot by then: 0 to 100 with one decimal.
    pub score: f64,
}

/// Sums over solutions, each by its last snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    solutions: i64,
    tenths: i64,
    total_policies: i64,
    compliant_policies: i64,
}

impl Sums {
    /// One solution moves on from a snapshot to its next.
    fn moves(&mut self, before: Option<&Reading>, after: &Reading) {
        self.solutions += i64::from(before.is_none());
        self.tenths += after.tenths - before.map_or(0, |before| before.tenths);
        self.total_policies += after.total_policies - before.map_or(0, |it| it.total_policies);
        self.compliant_policies +=
            after.compliant_policies - before.map_or(0, |it| it.compliant_policies);
    }

    fn add(&mut self, other: Sums) {
        self.solutions += other.solutions;
        self.tenths += other.tenths;
        self.total_policies += other.total_policies;
        self.compliant_policies += other.compliant_policies;
    }

    /// The mean score with one decimal, halves up; 0 where there is no solution.
    fn score(&self) -> f64 {
        let twice = self.tenths.saturating_mul(2) + self.solutions;
        let tenths = twice.checked_div(self.solutions * 2).unwrap_or(0);
        f64::from(i32::try_from(tenths).unwrap_or(0)) / 10.0
    }
}

/// The sums at the end of each day on which any snapshot was taken.
fn by_day(series: &[Series]) -> BTreeMap<NaiveDate, Sums> {
    let mut days: BTreeMap<NaiveDate, Sums> = BTreeMap::new();
    for readings in series {
        let mut before = None;
        for reading in readings {
            days.entry(reading.day).or_default().moves(before, reading);
            before = Some(reading);
        }
    }
    let mut so_far = Sums::default();
    for sums in days.values_mut() {
        so_far.add(*sums);
        *sums = so_far;
    }
    days
}

/// The mean of the scores that the last snapshot of each solution has; 0 where there is none.
pub fn overall_score(series: &[Series]) -> f64 {
    let mut sums = Sums::default();
    for last in series.iter().filter_map(|readings| readings.last()) {
        sums.moves(None, last);
    }
    sums.score()
}

/// How many solutions meet, by their last snapshot, all of their policies, of which they have
/// one at least.
pub fn compliant_solutions(series: &[Series]) -> u64 {
    let last = series.iter().filter_map(|readings| readings.last());
    let meets =
        |last: &&Reading| last.total_policies > 0 && last.compliant_policies == last.total_policies;
    last.filter(meets).count() as u64
}

/// The last days up to `today` that have a score, oldest first: a day without a snapshot has that
/// of the day before, and one before the first snapshot has none.
pub fn trend(series: &[Series], today: NaiveDate) -> Vec<TrendPoint> {
    let days = by_day(series);
    let last_days = (0..TREND_DAYS).rev().map(|ago| day_before(today, ago));
    let point = |date: NaiveDate| {
        let (_, sums) = days.range(..=date).next_back()?;
        let score = sums.score();
        Some(TrendPoint { date, score })
    };
    last_days.filter_map(point).collect()
}

/// One point for each day from `start` to `end`, both included, on which a snapshot was taken.
pub fn history(series: &[Series], start: NaiveDate, end: NaiveDate) -> Vec<HistoryPoint> {
    let count = |sum: i64| u64::try_from(sum).unwrap_or(0);
    by_day(series)
        .into_iter()
        .filter(|(date, _)| (start..=end).contains(date))
        .map(|(date, sums)| HistoryPoint {
            date,
            score: sums.score(),
            total_policies: count(sums.total_policies),
            compliant_policies: count(sums.compliant_policies),
        })
        .collect()
}

/// The day so many days before another.
pub fn day_before(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days))
        .unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, day).expect("a day")
    }

    fn reading(on: u32, tenths: i64, total: i64, compliant: i64) -> Reading {
        Reading {
            day: day(on),
            tenths,
            total_policies: total,
            compliant_policies: compliant,
        }
    }

    fn points(points: &[HistoryPoint]) -> Vec<(NaiveDate, f64, u64, u64)> {
        let point = |point: &HistoryPoint| {
            let (total, compliant) = (point.total_policies, point.compliant_policies);
            (point.date, point.score, total, compliant)
        };
        points.iter().map(point).collect()
    }

    fn scores(points: &[TrendPoint]) -> Vec<(NaiveDate, f64)> {
        points
            .iter()
            .map(|point| (point.date, point.score))
            .collect()
    }

    #[test]
    fn without_snapshots_there_is_nothing_to_tell() {
        for series in [vec![], vec![vec![]]] {
            assert_eq!(overall_score(&series), 0.0);
            assert_eq!(compliant_solutions(&series), 0);
            assert!(trend(&series, day(20)).is_empty());
            assert!(history(&series, day(1), day(20)).is_empty());
        }
    }

    #[test]
    fn the_last_snapshot_of_a_day_is_its_point() {
        let series = [vec![
            reading(2, 100, 1, 0),
            reading(2, 900, 4, 3),
            reading(5, 850, 4, 2),
            reading(5, 945, 12, 11),
        ]];
        let expected = [(day(2), 90.0, 4, 3), (day(5), 94.5, 12, 11)];
        assert_eq!(points(&history(&series, day(1), day(9))), expected);
        assert_eq!(overall_score(&series), 94.5);
    }

    #[test]
    fn a_solution_keeps_its_score_until_its_next_snapshot() {
        let series = [
            vec![reading(2, 1000, 3, 3), reading(6, 500, 2, 1)],
            vec![reading(4, 901, 5, 4)],
        ];
        let expected = [
            (day(2), 100.0, 3, 3),
            // 95.05 is rounded up.
            (day(4), 95.1, 8, 7),
            (day(6), 70.1, 7, 5),
        ];
        assert_eq!(points(&history(&series, day(1), day(9))), expected);
        assert_eq!(overall_score(&series), 70.1);
        let expected = [(day(2), 100.0), (day(3), 100.0), (day(4), 95.1)];
        assert_eq!(scores(&trend(&series, day(4))), expected);
        let expected = [(day(6), 70.1), (day(7), 70.1), (day(8), 70.1)];
        assert!(scores(&trend(&series, day(8))).ends_with(&expected));
    }

    #[test]
    fn a_period_includes_both_of_its_ends_and_what_was_before_counts() {
        let series = [
            vec![reading(1, 200, 1, 0), reading(10, 400, 1, 0)],
            vec![reading(5, 600, 1, 0), reading(9, 800, 1, 0)],
        ];
        for (start, end, expected) in [
            (1, 10, vec![(1, 20.0), (5, 40.0), (9, 50.0), (10, 60.0)]),
            (5, 9, vec![(5, 40.0), (9, 50.0)]),
            (6, 8, vec![]),
            (10, 10, vec![(10, 60.0)]),
        ] {
            let found = history(&series, day(start), day(end));
            let found: Vec<_> = found.iter().map(|it| (it.date, it.score)).collect();
            let expected: Vec<_> = expected.into_iter().map(|(on, it)| (day(on), it)).collect();
            assert_eq!(found, expected, "{start} to {end}");
        }
    }

    #[test]
    fn the_trend_is_of_seven_days() {
        let series = [vec![reading(1, 345, 1, 0)]];
        let found = trend(&series, day(20));
        let days: Vec<_> = found.iter().map(|point| point.date).collect();
        assert_eq!(days, (14..=20).map(day).collect::<Vec<_>>());
        assert!(found.iter().all(|point| point.score == 34.5));
    }

    #[test]
    fn the_trend_crosses_the_ends_of_months_and_years() {
        let new_year = NaiveDate::from_ymd_opt(2025, 1, 2).expect("a day");
        let taken = Reading {
            day: day_before(new_year, 4),
            ..reading(1, 1000, 1, 1)
        };
        let days: Vec<_> = trend(&[vec![taken]], new_year)
            .iter()
            .map(|point| point.date.to_string())
            .collect();
        let expected = [
            "2024-12-29",
            "2024-12-30",
            "2024-12-31",
            "2025-01-01",
            "2025-01-02",
        ];
        assert_eq!(days, expected);
    }

    #[test]
    fn a_solution_is_compliant_if_it_meets_all_policies_and_has_one() {
        for (total, compliant, expected) in [(0, 0, 0), (1, 1, 1), (3, 2, 0), (3, 3, 1)] {
            let series = [vec![reading(1, 0, 9, 9), reading(2, 0, total, compliant)]];
            assert_eq!(
                compliant_solutions(&series),
                expected,
                "{total}, {compliant}"
            );
        }
    }

    #[test]
    fn a_mean_is_rounded_to_one_decimal() {
        for (tenths, expected) in [
            (vec![1000, 1000, 999], 100.0),
            (vec![1000, 0, 0], 33.3),
            (vec![0, 0, 1], 0.0),
            (vec![0, 1], 0.1),
            (vec![892, 893], 89.3),
        ] {
            let series: Vec<Series> = tenths
                .iter()
                .map(|tenths| vec![reading(1, *tenths, 1, 0)])
                .collect();
            assert_eq!(overall_score(&series), expected, "{tenths:?}");
        }
    }
}
