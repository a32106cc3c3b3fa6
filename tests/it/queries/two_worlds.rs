//! The same random SQL over all rows and a policy, and over the visible rows alone: columns, rows,
//! their order, where batches end, errors and plans agree.
//!
//! A failure prints its seed and the smallest statement that still differs. `SYNCGUARD_TWO_WORLDS`
//! multiplies how many statements there are; whatever its value, each run asks the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use datafusion::common::ScalarValue;

use super::generator::{FEATURES, Generator, Parameter, Statement};
use super::world::{Kind, Layout, MARK, Outcome, Plot, Worlds, ask, has_lists};

/// Statements for each world of a kind.
const MEMORY: u64 = 1_500;
const PARQUET: u64 = 800;
const DATABASE: u64 = 250;

/// Shares of visible rows, and how those stand.
const MEMORY_WORLDS: [usize; 5] = [50, 10, 90, 0, 100];
const PARQUET_WORLDS: [(usize, Layout); 3] = [
    (50, Layout::Interleaved),
    (10, Layout::Clustered),
    (90, Layout::Interleaved),
];
const DATABASE_WORLDS: [(usize, Layout); 2] = [(50, Layout::Interleaved), (10, Layout::Clustered)];

const ALL: u64 = MEMORY * 2 * MEMORY_WORLDS.len() as u64
    + PARQUET * 2 * PARQUET_WORLDS.len() as u64
    + DATABASE * 2 * DATABASE_WORLDS.len() as u64;
const _: () = assert!(ALL >= 20_000);

/// Of how many statements one is explained as well.
const EXPLAINED: u64 = 6;

/// How often a plan that differs is made again.
const CHANCES: usize = 30;

/// What has been asked.
#[derive(Debug, Default)]
struct Tally {
    statements: usize,
    succeeded: usize,
    /// Successful statements that answered with at least one row.
    answered: usize,
    explained: usize,
    /// In how many successful statements a feature occurred.
    features: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Statements that all fail, or all are empty, would agree in any two worlds.
    fn is_telling(&self, answers: bool) {
        let Tally {
            statements,
            succeeded,
            answered,
            explained,
            ..
        } = self;
        assert!(succeeded * 10 >= statements * 6, "{self:#?}");
        assert!(explained * 20 >= *statements, "{self:#?}");
        assert!(!answers || answered * 10 >= statements * 3, "{self:#?}");
    }

    fn has_every_feature(&self) {
        let missing: Vec<_> = FEATURES
            .iter()
            .filter(|feature| self.features.get(*feature).is_none_or(|count| *count < 3))
            .collect();
        assert!(missing.is_empty(), "{missing:?} of {self:#?}");
    }
}

fn values(parameters: &[Parameter]) -> Vec<ScalarValue> {
    let value = |parameter: &Parameter| match parameter {
        Parameter::Int(number) => ScalarValue::Int64(Some(*number)),
        Parameter::Text(text) => ScalarValue::Utf8(Some((*text).to_owned())),
    };
    parameters.iter().map(value).collect()
}

/// Asks both worlds.
async fn both(worlds: &Worlds, sql: &str, parameters: &[ScalarValue]) -> (Outcome, Outcome) {
    (
        ask(&worlds.all, sql, parameters).await,
        ask(&worlds.visible, sql, parameters).await,
    )
}

/// What tells the worlds apart, if anything does.
async fn difference(
    worlds: &Worlds,
    statement: &Statement,
    explained: bool,
) -> (Option<String>, Outcome) {
    let sql = match explained {
        true => format!("EXPLAIN {}", statement.sql()),
        false => statement.sql(),
    };
    let (all, visible) = both(worlds, &sql, &values(&statement.parameters)).await;
    let told = all.error.iter().any(|error| error.contains(MARK))
        || explained && all.everything().contains(MARK);
    let differ = !all.same(&visible) && !by_chance(worlds, &sql, statement, explained).await;
    let difference = (told || differ).then(|| {
        format!(
            "{sql}\nparameters: {:?}\n\nall rows and a policy:\n{}\n\nthe visible rows:\n{}",
            statement.parameters,
            all.shown(),
            visible.shown()
        )
    });
    (difference, visible)
}

/// Whether plans, or errors of planning, that differ are among those that either world gives: the
/// engine adds the columns that a sort lacks in the order of a hash set, which is another each time.
/// Numbers of aliases are others each time as well, and not compared.
/// What is computed from rows has no such excuse.
async fn by_chance(worlds: &Worlds, sql: &str, statement: &Statement, explained: bool) -> bool {
    let mut seen: [Vec<Outcome>; 2] = Default::default();
    for _ in 0..CHANCES {
        let (all, visible) = both(worlds, sql, &values(&statement.parameters)).await;
        if !explained && (all.succeeded() || visible.succeeded()) {
            return false;
        }
        if seen[1].iter().any(|other| all.same_but_for_aliases(other))
            || seen[0]
                .iter()
                .any(|other| visible.same_but_for_aliases(other))
        {
            return true;
        }
        seen[0].push(all);
        seen[1].push(visible);
    }
    false
}

/// The difference of the smallest statement that has one.
async fn smallest(worlds: &Worlds, mut statement: Statement, explained: bool) -> String {
    let mut text = String::new();
    'smaller: loop {
        for less in statement.smaller() {
            if let (Some(difference), _) = difference(worlds, &less, explained).await {
                text = difference;
                statement = less;
                continue 'smaller;
            }
        }
        return text;
    }
}

async fn check(worlds: &Worlds, seed: u64, tally: &mut Tally) {
    let lists = has_lists(worlds.plot.kind);
    let statement = Generator::new(seed, lists).statement();
    for explained in [false, true] {
        if explained && !seed.is_multiple_of(EXPLAINED) {
            continue;
        }
        let (difference, visible) = difference(worlds, &statement, explained).await;
        if let Some(difference) = difference {
            let mut text = format!("{:?}, seed {seed}:\n{difference}", worlds.plot);
            let smaller = smallest(worlds, statement, explained).await;
            write!(text, "\n\nmade smaller:\n{smaller}").unwrap();
            panic!("{text}");
        }
        if explained {
            tally.explained += 1;
            continue;
        }
        tally.statements += 1;
        if visible.succeeded() {
            tally.succeeded += 1;
            tally.answered += usize::from(visible.count() > 0);
            for feature in &statement.features {
                *tally.features.entry(feature).or_default() += 1;
            }
        }
    }
}

/// Asks as many statements as there are to ask of a world, from a seed on that is the world's.
async fn compare(plot: Plot, count: u64) -> Tally {
    let times = match std::env::var("SYNCGUARD_TWO_WORLDS") {
        Ok(times) => times.parse().expect("SYNCGUARD_TWO_WORLDS is a number"),
        Err(_) => 1,
    };
    let worlds = Worlds::of(plot).await;
    let mut tally = Tally::default();
    for seed in (plot.seed * 1_000_000..).take((count * times) as usize) {
        check(&worlds, seed, &mut tally).await;
    }
    tally.is_telling(plot.visible > 0);
    tally
}

async fn in_memory(layout: Layout, seed: u64) {
    for (at, visible) in (0..).zip(MEMORY_WORLDS) {
        let plot = Plot {
            kind: Kind::Memory,
            visible,
            layout,
            batch_rows: if at % 2 == 0 { 16 } else { 64 },
            seed: seed + at,
        };
        compare(plot, MEMORY).await.has_every_feature();
    }
}

async fn elsewhere(kind: Kind, worlds: &[(usize, Layout)], seed: u64, count: u64) {
    for (at, (visible, layout)) in (0..).zip(worlds) {
        let plot = Plot {
            kind,
            visible: *visible,
            layout: *layout,
            batch_rows: if at % 2 == 0 { 16 } else { 64 },
            seed: seed + at,
        };
        compare(plot, count).await;
    }
}

#[tokio::test]
async fn memory_with_hidden_rows_between_visible_ones() {
    in_memory(Layout::Interleaved, 100).await;
}

#[tokio::test]
async fn memory_with_hidden_rows_around_visible_ones() {
    in_memory(Layout::Clustered, 200).await;
}

#[tokio::test]
async fn parquet() {
    elsewhere(Kind::Parquet, &PARQUET_WORLDS, 300, PARQUET).await;
}

#[tokio::test]
async fn parquet_that_applies_filters_itself() {
    elsewhere(Kind::ParquetPushdown, &PARQUET_WORLDS, 400, PARQUET).await;
}

#[tokio::test]
async fn sqlite() {
    elsewhere(Kind::Sqlite, &DATABASE_WORLDS, 500, DATABASE).await;
}

#[tokio::test]
async fn postgres() {
    elsewhere(Kind::Postgres, &DATABASE_WORLDS, 600, DATABASE).await;
}

/// The other tests would notice: without a policy the same statements tell the worlds apart, by
/// their rows and by errors of rows that should be hidden.
#[tokio::test]
async fn without_a_guard_the_worlds_differ() {
    for (kind, seed) in [(Kind::Memory, 700), (Kind::Parquet, 701)] {
        let plot = Plot {
            kind,
            visible: 50,
            layout: Layout::Interleaved,
            batch_rows: 16,
            seed,
        };
        let worlds = Worlds::of(plot).await;
        let (mut differ, mut fail, mut quote) = (0, 0, 0);
        for seed in (seed * 1_000_000..).take(300) {
            let statement = Generator::new(seed, true).statement();
            let parameters = values(&statement.parameters);
            let bare = ask(&worlds.bare, &statement.sql(), &parameters).await;
            let visible = ask(&worlds.visible, &statement.sql(), &parameters).await;
            differ += u32::from(!bare.same(&visible));
            fail += u32::from(visible.succeeded() && !bare.succeeded());
            quote += u32::from(bare.everything().contains(MARK));
        }
        assert!(differ >= 120, "{differ} of 300 differ");
        assert!(fail >= 30, "{fail} of 300 fail by hidden rows");
        assert!(quote >= 15, "{quote} of 300 quote hidden rows");
    }
}
