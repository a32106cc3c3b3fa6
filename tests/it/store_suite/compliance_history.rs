//! What the dashboard and the history are reckoned from, against a plain reckoning.

use std::collections::BTreeMap;

use chrono::{NaiveDate, SecondsFormat};
use syncguard::compliance::history::{history, overall_score};
use syncguard::compliance::{SnapshotId, SolutionId};

use super::*;

on_both_databases!(
    series_begin_with_the_last_snapshot_before_the_period,
    history_is_what_a_plain_reckoning_says,
    figures_count_all_solutions_and_snapshots,
);

/// A snapshot, past the code that takes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) id: SnapshotId,
    solution: SolutionId,
    at: DateTime<Utc>,
    tenths: i64,
    total: i64,
    compliant: i64,
    frozen: bool,
}

impl Taken {
    pub(super) fn at(
        solution: SolutionId,
        at: DateTime<Utc>,
        tenths: i64,
        total: i64,
        compliant: i64,
    ) -> Taken {
        Taken {
            id: SnapshotId(Uuid::now_v7()),
            solution,
            at,
            tenths,
            total,
            compliant,
            frozen: false,
        }
    }
}

impl House {
    /// How an identifier is written in SQL.
    fn id(&self, id: Uuid) -> String {
        match self.url.starts_with("sqlite:") {
            true => format!("X'{}'", id.simple()),
            false => format!("'{id}'"),
        }
    }

    pub(super) async fn bare_solution(&self, name: &str) -> SolutionId {
        let id = Uuid::now_v7();
        let organization = self.store.organization().await.unwrap().0;
        let sql = format!(
            "INSERT INTO compliance_solutions (id, organization_id, name, description,
                 snapshot_due, created_at, updated_at)
             VALUES ({}, {}, '{name}', '', FALSE, '{time}', '{time}')",
            self.id(id),
            self.id(organization),
            time = written(at(0)),
        );
        assert_eq!(raw(self, &sql).await.unwrap(), 1);
        SolutionId(id)
    }

    pub(super) async fn take(&self, snapshots: &[Taken]) {
        let rows: Vec<String> = snapshots
            .iter()
            .map(|it| {
                let (id, solution) = (self.id(it.id.0), self.id(it.solution.0));
                format!(
                    "({id}, {solution}, 'manual', {}, {}, {}, {}, {}, '{{}}', '{time}', '{time}')",
                    it.frozen,
                    it.tenths as f64 / 10.0,
                    it.total,
                    it.compliant,
                    it.total - it.compliant,
                    time = written(it.at),
                )
            })
            .collect();
        let sql = format!(
            "INSERT INTO compliance_snapshots (id, solution_id, snapshot_type, frozen, score,
                 total_policies, compliant_policies, non_compliant_policies, content, created_at,
                 updated_at)
             VALUES {}",
            rows.join(", ")
        );
        let taken = raw(self, &sql).await.unwrap();
        assert_eq!(taken, snapshots.len() as u64);
    }
}

/// A time as the store writes it.
fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn midnight(day: u32) -> DateTime<Utc> {
    let day = date(day).and_hms_opt(0, 0, 0).unwrap();
    day.and_utc()
}

fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, day).unwrap()
}

async fn series_begin_with_the_last_snapshot_before_the_period(house: House) {
    let (one, other) = (
        house.bare_solution("a").await,
        house.bare_solution("b").await,
    );
    house.bare_solution("without").await;
    let moment = TimeDelta::microseconds(1);
    house
        .take(&[
            Taken::at(one, midnight(1), 10, 1, 0),
            Taken::at(one, midnight(3) - moment, 20, 2, 0),
            Taken::at(one, midnight(3), 30, 3, 0),
            Taken::at(one, midnight(3) + moment, 40, 4, 0),
            Taken::at(other, midnight(2), 999, 9, 9),
        ])
        .await;
    for (since, expected) in [
        (1, vec![(1, 10), (2, 20), (3, 30), (3, 40)]),
        (2, vec![(1, 10), (2, 20), (3, 30), (3, 40)]),
        (3, vec![(2, 20), (3, 30), (3, 40)]),
        (4, vec![(3, 40)]),
    ] {
        let series = house.store.compliance_series(Some(one), date(since)).await;
        let series = series.unwrap();
        assert_eq!(series.len(), 1, "{since}");
        let found: Vec<_> = series[0].iter().map(|it| (it.day, it.tenths)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(d, it)| (date(d), it)).collect();
        assert_eq!(found, expected, "{since}");
        let all = house.store.compliance_series(None, date(since)).await;
        assert_eq!(all.unwrap().len(), 2, "{since}");
    }
    let nobody = Some(SolutionId(Uuid::now_v7()));
    let none = house.store.compliance_series(nobody, date(1)).await;
    assert!(none.unwrap().is_empty());
}

/// For each day with a snapshot: the sums over the last snapshot of each solution by its end.
fn reckoned(
    snapshots: &[Taken],
    only: Option<SolutionId>,
    start: NaiveDate,
    end: NaiveDate,
) -> Vec<(NaiveDate, f64, u64, u64)> {
    let own: Vec<&Taken> = snapshots
        .iter()
        .filter(|it| only.is_none_or(|only| it.solution == only))
        .collect();
    let days: BTreeSet<NaiveDate> = own.iter().map(|it| it.at.date_naive()).collect();
    let days = days.into_iter().filter(|day| (start..=end).contains(day));
    days.map(|day| {
        let mut last: BTreeMap<SolutionId, &Taken> = BTreeMap::new();
        for taken in own.iter().filter(|it| it.at.date_naive() <= day) {
            let entry = last.entry(taken.solution).or_insert(taken);
            if entry.at < taken.at {
                *entry = taken;
            }
        }
        let tenths: i64 = last.values().map(|it| it.tenths).sum();
        let mean = (tenths as f64 / last.len() as f64).round() / 10.0;
        let total: i64 = last.values().map(|it| it.total).sum();
        let compliant: i64 = last.values().map(|it| it.compliant).sum();
        (day, mean, total as u64, compliant as u64)
    })
    .collect()
}

async fn history_is_what_a_plain_reckoning_says(house: House) {
    let mut solutions = Vec::new();
    for name in ["a", "b", "c", "d"] {
        solutions.push(house.bare_solution(name).await);
    }
    // Any sequence that never takes the same time twice does.
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) % below) as i64
    };
    let mut snapshots = Vec::new();
    for i in 0..150 {
        let solution = solutions[next(4) as usize];
        let seconds = TimeDelta::seconds(next(20 * 24 * 60 * 60));
        let time = midnight(2) + seconds + TimeDelta::microseconds(i);
        let total = next(13);
        let compliant = next(total as u64 + 1);
        let tenths = next(1001);
        snapshots.push(Taken::at(solution, time, tenths, total, compliant));
    }
    house.take(&snapshots).await;
    for (start, end) in [(1, 30), (2, 21), (8, 15), (12, 12), (25, 30)] {
        let (start, end) = (date(start), date(end));
        for only in [None, Some(solutions[0]), Some(solutions[3])] {
            let series = house.store.compliance_series(only, start).await.unwrap();
            let found: Vec<_> = history(&series, start, end)
                .iter()
                .map(|it| (it.date, it.score, it.total_policies, it.compliant_policies))
                .collect();
            let expected = reckoned(&snapshots, only, start, end);
            assert_eq!(found, expected, "{start} {end} {only:?}");
        }
    }
    let figures = house.store.compliance_figures(date(30)).await.unwrap();
    assert_eq!((figures.solutions, figures.snapshots), (4, 150));
    let expected = reckoned(&snapshots, None, date(1), date(31));
    let (_, expected, _, _) = expected.last().unwrap();
    assert_eq!(overall_score(&figures.series), *expected);
}

async fn figures_count_all_solutions_and_snapshots(house: House) {
    let empty = house.store.compliance_figures(date(1)).await.unwrap();
    assert_eq!((empty.solutions, empty.snapshots), (0, 0));
    assert!(empty.series.is_empty());
    let one = house.bare_solution("a").await;
    house.bare_solution("b").await;
    let frozen = Taken {
        frozen: true,
        ..Taken::at(one, midnight(1), 10, 1, 0)
    };
    house
        .take(&[frozen, Taken::at(one, midnight(2), 20, 1, 0)])
        .await;
    let figures = house.store.compliance_figures(date(9)).await.unwrap();
    assert_eq!((figures.solutions, figures.snapshots), (2, 2));
    assert_eq!((figures.frozen_snapshots, figures.series.len()), (1, 1));
}
