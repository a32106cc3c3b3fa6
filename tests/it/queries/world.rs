//! Two worlds: the one holds all rows and a policy, the other only the rows that the policy
//! shows, and nothing to hide. Hidden rows are poison: zeros to divide by, texts that are no
//! numbers, numbers that overflow, dates that no nanosecond reaches, and marks that must not be
//! seen anywhere.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use futures::{FutureExt, StreamExt};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use syncguard::guard::Guard;
use syncguard::guard::session::{Bounds, BoxError, Extras, RunFault, Session, Tables};
use syncguard::guard::table::GuardedTable;
use syncguard::policy::{FilterTree, PolicyKind, Requirement};

use super::generator::{TABLES, Table, Type};
use super::kinds;

/// What every text of a hidden row, and every constant of a policy about them, has in it.
pub(crate) const MARK: &str = "SECRET";
/// The name of the catalog.
pub(crate) const CATALOG: &str = "warehouse";

/// What the tables are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Parquet,
    /// Parquet whose reader applies filters itself, in an order of its own.
    ParquetPushdown,
    Sqlite,
    Postgres,
}

/// Where hidden rows stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Between the visible ones.
    Interleaved,
    /// Before and after them.
    Clustered,
}

/// What a pair of worlds is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    pub(crate) kind: Kind,
    /// How many of a hundred rows are visible.
    pub(crate) visible: usize,
    pub(crate) layout: Layout,
    /// Rows of a batch.
    pub(crate) batch_rows: usize,
    pub(crate) seed: u64,
}

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    /// In hundredths.
    Decimal(i128),
    Text(String),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Time(i64),
    Bool(bool),
    List(Vec<Option<String>>),
}

/// A table of a world.
pub(crate) struct Rows {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<(&'static str, Type)>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// The sessions over a pair of worlds.
pub(crate) struct Worlds {
    /// All rows, and a policy.
    pub(crate) all: Session,
    /// The visible rows.
    pub(crate) visible: Session,
    /// All rows, and no policy: what a leak would look like.
    pub(crate) bare: Session,
    pub(crate) plot: Plot,
    /// Where the files are.
    pub(crate) folder: tempfile::TempDir,
}

impl Worlds {
    /// Makes them.
    pub(crate) async fn of(plot: Plot) -> Worlds {
        let mut rng = StdRng::seed_from_u64(plot.seed);
        let lists = has_lists(plot.kind);
        let (mut all, mut visible) = (Vec::new(), Vec::new());
        for table in TABLES {
            let (both, shown) = rows(table, &plot, lists, &mut rng);
            all.push(both);
            visible.push(shown);
        }
        let folder = tempfile::tempdir().unwrap();
        let [hidden, open] = kinds::open(plot.kind, [&all, &visible], folder.path()).await;
        let policy = policy(plot.seed);
        Worlds {
            all: session(&hidden, &policy, plot.batch_rows),
            visible: session(&open, &[], plot.batch_rows),
            bare: session(&hidden, &[], plot.batch_rows),
            plot,
            folder,
        }
    }

    /// Where the files are, as it may appear in a message.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Whether tables of a kind have columns of lists.
pub(crate) fn has_lists(kind: Kind) -> bool {
    kind != Kind::Sqlite
}

/// One of several policies that show the same rows.
fn policy(seed: u64) -> Vec<Requirement> {
    let condition = |column: &str, operator: &str, value: Value| {
        json!({
            "type": "condition", "condition_type": "property",
            "column": column, "operator": operator, "value": value,
        })
    };
    let zones = condition("zone", "in", json!(["open-1", "open-2", "open-3"]));
    let closed = json!(["SECRET-zone-0", "SECRET-zone-1", "OPEN-1", "shut"]);
    let trees = match seed % 3 {
        0 => vec![zones, condition("share", "less_than", json!(1000))],
        1 => vec![condition("zone", "starts_with", json!("open-"))],
        _ => vec![
            json!({"type": "not", "children": [{"type": "or", "children": [
                condition("zone", "in", closed),
                condition("share", "greater_than_or_equal", json!(1000)),
            ]}]}),
        ],
    };
    trees
        .iter()
        .map(|tree| Requirement {
            policy_id: None,
            kind: PolicyKind::Access,
            name: format!("{MARK}-policy"),
            filter_tree: FilterTree::parse(tree).unwrap(),
        })
        .collect()
}

/// Tables that are there from the beginning.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Vec<(&'static str, GuardedTable)>);

#[async_trait]
impl Tables for Fixed {
    async fn table(&self, name: &str) -> Result<Option<GuardedTable>, BoxError> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        Ok(found.map(|(_, table)| table.clone()))
    }
}

fn session(
    tables: &[(&'static str, Arc<dyn TableProvider>)],
    policy: &[Requirement],
    batch_rows: usize,
) -> Session {
    let tables = tables
        .iter()
        .map(|(name, rows)| {
            let guard = Guard::compile(&rows.schema(), policy, now(), 7).unwrap();
            let table = GuardedTable::new(name, Arc::clone(rows), Arc::new(guard));
            (*name, table)
        })
        .collect();
    let bounds = Bounds {
        memory_bytes: 64 << 20,
        text_bytes: 64 << 10,
        plan_nodes: 5_000,
        batch_rows,
    };
    let tables = Arc::new(Fixed(tables));
    Session::open(CATALOG, tables, &Extras::default(), bounds, 7, now()).unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

// --- rows ----------------------------------------------------------------------------------------

/// The rows of a table, and those of them that are visible.
fn rows(table: Table, plot: &Plot, lists: bool, rng: &mut StdRng) -> (Rows, Rows) {
    let (name, columns) = table;
    let columns: Vec<_> = columns
        .iter()
        .filter(|(_, of)| lists || *of != Type::List)
        .copied()
        .collect();
    let base = match name {
        "customers" => 40,
        "orders" => 80,
        _ => 60,
    };
    let total = if plot.visible < 50 { 2 * base } else { base };
    let shown = total * plot.visible / 100;
    let mut places = vec![false; total];
    let start = match plot.layout {
        Layout::Interleaved => 0,
        Layout::Clustered => (total - shown) / 2,
    };
    places[start..start + shown].fill(true);
    if plot.layout == Layout::Interleaved {
        places.shuffle(rng);
    }
    let rows: Vec<Vec<Cell>> = (0..)
        .zip(&places)
        .map(|(at, visible)| match visible {
            true => visible_row(&columns, at, rng),
            false => hidden_row(&columns, at, rng),
        })
        .collect();
    let visible = rows.iter().zip(&places).filter(|(_, shown)| **shown);
    let visible = Rows {
        name,
        columns: columns.clone(),
        rows: visible.map(|(row, _)| row.clone()).collect(),
    };
    let all = Rows {
        name,
        columns,
        rows,
    };
    (all, visible)
}

fn below(rng: &mut StdRng, end: usize) -> usize {
    rng.random_range(0..end)
}

fn one_of<T: Clone>(rng: &mut StdRng, from: &[T]) -> T {
    from[below(rng, from.len())].clone()
}

fn number(rng: &mut StdRng, from: i64, to: i64) -> i64 {
    rng.random_range(from..to)
}

fn visible_row(columns: &[(&'static str, Type)], at: i64, rng: &mut StdRng) -> Vec<Cell> {
    columns
        .iter()
        .map(|(name, of)| match *name {
            "id" => Cell::Int(at),
            "share" => Cell::Int(number(rng, 0, 100)),
            "zone" => Cell::Text(format!("open-{}", number(rng, 1, 4))),
            _ if below(rng, 100) < 7 => Cell::Null,
            name => visible_cell(name, *of, rng),
        })
        .collect()
}

fn visible_cell(name: &str, of: Type, rng: &mut StdRng) -> Cell {
    let texts: &[&str] = match name {
        "name" => &["Ada Lee", "Bo", "éclair", "Zoë", "", "o'Hara"],
        "country" => &["DE", "US", "FR"],
        "item" => &["box", "bolt", "tape", "7"],
        _ => &["click", "view", "open-1"],
    };
    let colours = [Some("red"), Some("blue"), None].map(|colour| colour.map(str::to_owned));
    match of {
        Type::Int => Cell::Int(number(rng, -3, 40)),
        Type::Divisor => {
            let some = number(rng, -9, 40);
            Cell::Int(if some == 0 { 5 } else { some })
        }
        Type::Float => {
            let floats = [0.0, -0.0, 1.5, -2.25, 3.75, 100.0, f64::NAN, f64::INFINITY];
            Cell::Float(one_of(rng, &floats))
        }
        Type::Decimal => Cell::Decimal(i128::from(number(rng, -10_000, 100_000))),
        Type::Digits => Cell::Text(number(rng, 0, 5_000).to_string()),
        Type::Date => Cell::Date(one_of(rng, &[0, 7_639, 19_523, 19_753, 20_000])),
        Type::Time => Cell::Time(number(rng, 1_672_531_200, 1_730_000_000) * 1_000_000 + 250_000),
        Type::Bool => Cell::Bool(below(rng, 2) == 0),
        Type::List => Cell::List((0..below(rng, 4)).map(|_| one_of(rng, &colours)).collect()),
        Type::Text => Cell::Text(one_of(rng, texts).to_owned()),
    }
}

fn hidden_row(columns: &[(&'static str, Type)], at: i64, rng: &mut StdRng) -> Vec<Cell> {
    columns
        .iter()
        .map(|(name, of)| match *name {
            "id" if below(rng, 10) == 0 => Cell::Int(i64::MAX - at),
            "id" => Cell::Int(at),
            "share" => match below(rng, 3) {
                0 => Cell::Null,
                _ => Cell::Int(1_000 + at),
            },
            // Every policy withholds each of these.
            "zone" => {
                let shut = ["SECRET-zone-0", "SECRET-zone-1", "OPEN-1", "shut"];
                match below(rng, 5) {
                    4 => Cell::Null,
                    zone => Cell::Text(shut[zone].to_owned()),
                }
            }
            _ if below(rng, 100) < 5 => Cell::Null,
            name => hidden_cell(name, *of, at, rng),
        })
        .collect()
}

fn hidden_cell(name: &str, of: Type, at: i64, rng: &mut StdRng) -> Cell {
    // 9999-12-31 and 0001-01-01.
    const DAYS: [i32; 2] = [2_932_896, -719_162];
    match of {
        Type::Int => Cell::Int(one_of(rng, &[0, 3, 424_242, i64::MAX, i64::MIN])),
        Type::Divisor => Cell::Int(one_of(rng, &[0, 0, 0, i64::MAX, i64::MIN])),
        Type::Float => {
            let floats = [0.0, 1.5, f64::NAN, f64::NEG_INFINITY, 1e308, -424_242.5];
            Cell::Float(one_of(rng, &floats))
        }
        Type::Decimal => Cell::Decimal(one_of(rng, &[0, 9_999_999_999, -9_999_999_999])),
        Type::Date => Cell::Date(one_of(rng, &DAYS)),
        Type::Time => Cell::Time(i64::from(one_of(rng, &DAYS)) * 86_400_000_000 + 1),
        Type::Bool => Cell::Bool(below(rng, 2) == 0),
        Type::List => Cell::List(vec![Some(format!("{MARK}-{name}-{at}")), None]),
        Type::Text | Type::Digits => Cell::Text(format!("{MARK}-{name}-{at}")),
    }
}

impl Rows {
    /// The rows as one batch.
    pub(crate) fn batch(&self) -> RecordBatch {
        let columns: Vec<ArrayRef> = (0..self.columns.len())
            .map(|at| array(self.columns[at].1, self.rows.iter().map(|row| &row[at])))
            .collect();
        let fields: Vec<_> = self
            .columns
            .iter()
            .zip(&columns)
            .map(|((name, _), column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, columns).unwrap()
    }
}

/// A column of cells. A cell of another type is NULL.
fn array<'a>(of: Type, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    macro_rules! of {
        ($array:ty, $cell:path) => {{
            let cells = cells.map(|cell| match cell {
                $cell(value) => Some(value.to_owned()),
                _ => None,
            });
            cells.collect::<$array>()
        }};
    }
    match of.base() {
        Type::Int => Arc::new(of!(Int64Array, Cell::Int)),
        Type::Float => Arc::new(of!(Float64Array, Cell::Float)),
        Type::Decimal => {
            let decimals = of!(Decimal128Array, Cell::Decimal);
            Arc::new(decimals.with_precision_and_scale(10, 2).unwrap())
        }
        Type::Date => Arc::new(of!(Date32Array, Cell::Date)),
        Type::Time => Arc::new(of!(TimestampMicrosecondArray, Cell::Time)),
        Type::Bool => Arc::new(of!(BooleanArray, Cell::Bool)),
        Type::List => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                match cell {
                    Cell::List(items) => lists.append_value(items.clone()),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
        _ => Arc::new(of!(StringArray, Cell::Text)),
    }
}

// --- outcomes ------------------------------------------------------------------------------------

/// All that comes of a statement.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) schema: Option<SchemaRef>,
    pub(crate) batches: Vec<RecordBatch>,
    /// The error that ended it.
    pub(crate) error: Option<String>,
}

impl Outcome {
    pub(crate) fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// How many rows came.
    pub(crate) fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows as text, fields joined by `|`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.batches.iter().flat_map(lines).collect()
    }

    /// Whether nobody could tell the one from the other: the columns, the rows in their order,
    /// where batches end, and the error.
    pub(crate) fn same(&self, other: &Outcome) -> bool {
        let borders = |outcome: &Outcome| -> Vec<usize> {
            outcome.batches.iter().map(RecordBatch::num_rows).collect()
        };
        self.schema == other.schema
            && self.error == other.error
            && borders(self) == borders(other)
            && (self.batches == other.batches || self.lines() == other.lines())
    }

    /// Whether it is the same but for the numbers of aliases, which a session counts up from one
    /// statement to the next.
    pub(crate) fn same_but_for_aliases(&self, other: &Outcome) -> bool {
        let columns = |outcome: &Outcome| -> Option<Vec<_>> {
            let fields = outcome.schema.as_ref()?.fields().iter();
            Some(
                fields
                    .map(|field| (without_numbers(field.name()), field.data_type().clone()))
                    .collect(),
            )
        };
        let texts = |outcome: &Outcome| -> Vec<String> {
            let lines = outcome.lines();
            let texts = lines.iter().chain(&outcome.error);
            texts.map(|text| without_numbers(text)).collect()
        };
        self.succeeded() == other.succeeded()
            && columns(self) == columns(other)
            && texts(self) == texts(other)
    }

    /// What it is, for whoever reads of a failure.
    pub(crate) fn shown(&self) -> String {
        let mut lines = self.lines();
        let count = lines.len();
        lines.truncate(20);
        let columns = self.schema.as_ref().map(|schema| {
            let fields = schema.fields().iter();
            let fields = fields.map(|field| format!("{} {}", field.name(), field.data_type()));
            fields.collect::<Vec<_>>().join(", ")
        });
        format!(
            "columns: {}\n{count} rows, of which the first are\n  {}\nerror: {}",
            columns.unwrap_or_default(),
            lines.join("\n  "),
            self.error.as_deref().unwrap_or("none")
        )
    }

    /// Everything that whoever asks gets to see.
    pub(crate) fn everything(&self) -> String {
        let mut text = self.shown();
        text += &self.lines().join("\n");
        text
    }
}

/// A text without the digits of aliases such as `__common_expr_19` and `__scalar_sq_3`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split("__");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let letters = part
            .find(|next: char| !(next.is_ascii_lowercase() || next == '_'))
            .unwrap_or(part.len());
        let (alias, rest) = part.split_at(letters);
        out += "__";
        out += alias;
        out += match alias.ends_with('_') {
            true => rest.trim_start_matches(|next: char| next.is_ascii_digit()),
            false => rest,
        };
    }
    out
}

#[test]
fn numbers_of_aliases_do_not_count() {
    for (text, expected) in [
        ("__common_expr_19 + 19", "__common_expr_ + 19"),
        ("a.__scalar_sq_3.x1, b__4", "a.__scalar_sq_.x1, b__4"),
        ("__correlated_sq_377", "__correlated_sq_"),
        ("a_1", "a_1"),
    ] {
        assert_eq!(without_numbers(text), expected);
    }
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let fields = columns.iter().map(|column| column.value(row).to_string());
            fields.collect::<Vec<_>>().join("|")
        })
        .collect()
}

/// Asks a session. Where the engine panics, that is an outcome as well.
pub(crate) async fn ask(session: &Session, sql: &str, parameters: &[ScalarValue]) -> Outcome {
    let mut outcome = Outcome {
        schema: None,
        batches: Vec::new(),
        error: None,
    };
    let asked = async {
        let plan = session.plan(sql).await?.bind(parameters)?;
        outcome.schema = Some(plan.schema());
        let mut batches = plan.run().await?;
        while let Some(batch) = batches.next().await {
            outcome.batches.push(batch?.batch().clone());
        }
        Ok::<_, RunFault>(())
    };
    let ended = std::panic::AssertUnwindSafe(asked).catch_unwind().await;
    outcome.error = match ended {
        Ok(Ok(())) => None,
        Ok(Err(RunFault::Query(fault))) => Some(format!("{:?}: {fault}", fault.kind)),
        Ok(Err(RunFault::Table(error))) => Some(format!("a table: {error}")),
        Err(_) => Some("a panic".to_owned()),
    };
    outcome
}
