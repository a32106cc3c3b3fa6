//! Random SQL over the tables of the worlds: all of it follows from a seed, and most of it is well
//! typed. What it likes best are the columns that hold poison in hidden rows.

mod expressions;
mod selects;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What a column or an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Type {
    Int,
    /// An integer that is never zero in a row that is visible.
    Divisor,
    Float,
    Decimal,
    Text,
    /// A text that is a number in every row that is visible.
    Digits,
    Date,
    Time,
    Bool,
    List,
}

impl Type {
    /// What it is to the engine.
    pub(crate) fn base(self) -> Type {
        match self {
            Type::Divisor => Type::Int,
            Type::Digits => Type::Text,
            other => other,
        }
    }
}

/// A table: its name and its columns.
pub(crate) type Table = (&'static str, &'static [(&'static str, Type)]);

/// The tables of the worlds. `share` and `zone` are what policies read.
pub(crate) const TABLES: [Table; 3] = [
    (
        "customers",
        &[
            ("id", Type::Int),
            ("name", Type::Text),
            ("country", Type::Text),
            ("code", Type::Digits),
            ("score", Type::Divisor),
            ("credit", Type::Decimal),
            ("balance", Type::Float),
            ("born", Type::Date),
            ("seen", Type::Time),
            ("active", Type::Bool),
            ("share", Type::Int),
            ("zone", Type::Text),
            ("tags", Type::List),
        ],
    ),
    (
        "orders",
        &[
            ("id", Type::Int),
            ("customer_id", Type::Int),
            ("item", Type::Text),
            ("quantity", Type::Divisor),
            ("price", Type::Decimal),
            ("weight", Type::Float),
            ("placed", Type::Date),
            ("shipped", Type::Time),
            ("paid", Type::Bool),
            ("note", Type::Digits),
            ("share", Type::Int),
            ("zone", Type::Text),
        ],
    ),
    (
        "events",
        &[
            ("id", Type::Int),
            ("order_id", Type::Int),
            ("kind", Type::Text),
            ("happened", Type::Time),
            ("day", Type::Date),
            ("value", Type::Float),
            ("amount", Type::Int),
            ("size", Type::Divisor),
            ("payload", Type::Digits),
            ("ok", Type::Bool),
            ("share", Type::Int),
            ("zone", Type::Text),
        ],
    ),
];

/// The features that have to occur in statements that succeed.
pub(crate) const FEATURES: [&str; 48] = [
    "aggregate",
    "between",
    "case",
    "cast",
    "coalesce",
    "cross join",
    "cte",
    "cte that shadows",
    "date function",
    "derived table",
    "distinct",
    "distinct aggregate",
    "distinct on",
    "division",
    "except",
    "exists",
    "filtered aggregate",
    "full join",
    "group by",
    "grouping sets",
    "having",
    "in list",
    "in subquery",
    "inner join",
    "intersect",
    "interval",
    "join on expression",
    "left join",
    "like",
    "limit",
    "list",
    "modulo",
    "nullif",
    "number function",
    "offset",
    "order by",
    "parameter",
    "parameter in two places",
    "regular expression",
    "right join",
    "scalar subquery",
    "self join",
    "text function",
    "try_cast",
    "union",
    "union all",
    "where",
    "window",
];

/// A value for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parameter {
    Int(i64),
    Text(&'static str),
}

/// A statement in parts, so that a failing one can be made smaller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    with: Vec<String>,
    distinct: String,
    items: Vec<String>,
    /// The rest of the FROM clause, or a whole set operation, in which case there are no items.
    from: String,
    filters: Vec<String>,
    group: String,
    havings: Vec<String>,
    order: Vec<String>,
    limit: String,
    /// The values of `$1`, `$2`, ...
    pub(crate) parameters: Vec<Parameter>,
    /// What occurs in it.
    pub(crate) features: BTreeSet<&'static str>,
}

impl Statement {
    /// The text.
    pub(crate) fn sql(&self) -> String {
        let mut sql = String::new();
        if !self.with.is_empty() {
            write!(sql, "WITH {} ", self.with.join(", ")).unwrap();
        }
        match self.items.is_empty() {
            true => sql.push_str(&self.from),
            false => write!(
                sql,
                "SELECT {}{} FROM {}",
                self.distinct,
                self.items.join(", "),
                self.from
            )
            .unwrap(),
        }
        for (word, parts) in [("WHERE", &self.filters), ("HAVING", &self.havings)] {
            if word == "HAVING" {
                sql.push_str(&self.group);
            }
            if !parts.is_empty() {
                write!(sql, " {word} {}", parts.join(" AND ")).unwrap();
            }
        }
        if !self.order.is_empty() {
            write!(sql, " ORDER BY {}", self.order.join(", ")).unwrap();
        }
        sql + &self.limit
    }

    /// The same with one part less, for each part.
    pub(crate) fn smaller(&self) -> Vec<Statement> {
        type Parts = fn(&mut Statement) -> &mut Vec<String>;
        let lists: [(Parts, usize); 5] = [
            (|s| &mut s.with, 0),
            (|s| &mut s.items, 1),
            (|s| &mut s.filters, 0),
            (|s| &mut s.havings, 0),
            (|s| &mut s.order, 0),
        ];
        let mut smaller = Vec::new();
        for (part, least) in lists {
            let mut whole = self.clone();
            for at in 0..part(&mut whole).len() {
                let mut less = self.clone();
                part(&mut less).remove(at);
                if part(&mut less).len() >= least {
                    smaller.push(less);
                }
            }
        }
        for text in [
            (|s| &mut s.limit) as fn(&mut Statement) -> &mut String,
            |s| &mut s.distinct,
            |s| &mut s.group,
        ] {
            let mut less = self.clone();
            if !std::mem::take(text(&mut less)).is_empty() {
                smaller.push(less);
            }
        }
        smaller
    }
}

/// A column in scope, as an expression names it.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    of: Type,
}

/// A SELECT that stands in another statement.
struct Select {
    sql: String,
    columns: Vec<Column>,
}

/// A statement on its way from a seed.
pub(crate) struct Generator {
    rng: StdRng,
    /// What FROM may name.
    relations: BTreeMap<String, Vec<Column>>,
    /// The columns of the SELECT being written.
    scope: Vec<Column>,
    /// Whether expressions may fail on rows that are visible.
    risky: bool,
    aliases: u32,
    /// The tables that a CTE hides.
    shadowed: BTreeSet<&'static str>,
    parameters: Vec<Parameter>,
    features: BTreeSet<&'static str>,
}

impl Generator {
    /// A generator over those of the tables' columns that are wanted.
    pub(crate) fn new(seed: u64, lists: bool) -> Generator {
        let columns = |columns: &[(&str, Type)]| {
            let wanted = columns
                .iter()
                .filter(|(_, of)| lists || *of != Type::List)
                .map(|(name, of)| Column {
                    name: (*name).to_owned(),
                    of: *of,
                });
            wanted.collect()
        };
        Generator {
            rng: StdRng::seed_from_u64(seed),
            relations: TABLES
                .iter()
                .map(|(name, of)| ((*name).to_owned(), columns(of)))
                .collect(),
            scope: Vec::new(),
            risky: false,
            aliases: 0,
            shadowed: BTreeSet::new(),
            parameters: Vec::new(),
            features: BTreeSet::new(),
        }
    }

    /// The statement of the seed.
    pub(crate) fn statement(mut self) -> Statement {
        self.risky = self.chance(35);
        let with = match self.chance(15) {
            true => self.common_tables(),
            false => Vec::new(),
        };
        let mut statement = match self.below(20) {
            0 | 1 => self.union(),
            2 => self.difference(),
            3 => self.over_union(),
            4..=8 => self.aggregate(),
            9 => self.distinct_on(),
            _ => self.plain(),
        };
        statement.with = with;
        statement.parameters = self.parameters;
        statement.features = self.features;
        statement
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from[at].clone()
    }

    fn mark(&mut self, feature: &'static str) {
        self.features.insert(feature);
    }

    fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }
}
