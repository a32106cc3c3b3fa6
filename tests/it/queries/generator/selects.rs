//! SELECTs: what they read from, and what is made of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Column, Generator, Select, Statement, TABLES, Type};

impl Generator {
    pub(super) fn any_type(&mut self) -> Type {
        self.pick(&[
            Type::Int,
            Type::Int,
            Type::Float,
            Type::Decimal,
            Type::Text,
            Type::Text,
            Type::Date,
            Type::Time,
            Type::Bool,
        ])
    }

    /// An item of a SELECT: often a plain column, else an expression.
    fn item(&mut self, depth: u32) -> Column {
        if self.chance(40) && !self.scope.is_empty() {
            let scope = std::mem::take(&mut self.scope);
            let column = self.pick(&scope);
            self.scope = scope;
            return column;
        }
        let of = self.any_type();
        Column {
            name: self.expression(of, depth),
            of,
        }
    }

    pub(super) fn common_tables(&mut self) -> Vec<String> {
        self.mark("cte");
        let count = 1 + self.below(2);
        let mut texts = Vec::new();
        for _ in 0..count {
            let name = match self.chance(35) {
                true => {
                    self.mark("cte that shadows");
                    let (name, _) = self.pick(&TABLES);
                    self.shadowed.insert(name);
                    name.to_owned()
                }
                false => self.alias("cte"),
            };
            if texts
                .iter()
                .any(|text: &String| text.starts_with(&format!("{name} ")))
            {
                continue;
            }
            let body = self.select(2, None);
            texts.push(format!("{name} AS ({})", body.sql));
            self.relations.insert(name, body.columns);
        }
        texts
    }

    /// A SELECT in parentheses' worth of text, of columns of these types or of any. Its columns
    /// are named `x1`, `x2`, ...
    pub(super) fn select(&mut self, depth: u32, types: Option<&[Type]>) -> Select {
        let outer = std::mem::take(&mut self.scope);
        let from = self.from(depth.saturating_sub(1));
        let items: Vec<Column> = match types {
            Some(types) => types
                .iter()
                .map(|of| Column {
                    name: self.expression(*of, 1),
                    of: *of,
                })
                .collect(),
            None => {
                let count = 2 + self.below(3);
                (0..count).map(|_| self.item(1)).collect()
            }
        };
        let mut columns = Vec::new();
        let mut texts = Vec::new();
        for (at, item) in (1..).zip(items) {
            texts.push(format!("{} AS x{at}", item.name));
            columns.push(Column {
                name: format!("x{at}"),
                of: item.of,
            });
        }
        let mut sql = format!("SELECT {} FROM {from}", texts.join(", "));
        if self.chance(60) {
            self.mark("where");
            let filter = match self.chance(10) {
                true => self.membership(),
                false => self.boolean(1),
            };
            write!(sql, " WHERE {filter}").unwrap();
        }
        self.scope = outer;
        Select { sql, columns }
    }

    /// A FROM clause; its columns are in scope afterwards.
    pub(super) fn from(&mut self, depth: u32) -> String {
        let (mut text, mut columns) = self.relation(depth);
        let joins = match depth {
            0 => 0,
            _ => self.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 2]),
        };
        for _ in 0..joins {
            if self.chance(8) {
                self.mark("cross join");
                let small = self.select(0, None);
                let alias = self.alias("t");
                write!(text, " CROSS JOIN ({} LIMIT 3) {alias}", small.sql).unwrap();
                columns.extend(qualified(&alias, small.columns));
                continue;
            }
            let (relation, joined) = self.relation(depth - 1);
            let (word, feature) = self.pick(&[
                ("JOIN", "inner join"),
                ("JOIN", "inner join"),
                ("LEFT JOIN", "left join"),
                ("LEFT JOIN", "left join"),
                ("RIGHT JOIN", "right join"),
                ("FULL JOIN", "full join"),
            ]);
            self.mark(feature);
            let table = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
            if table(&text) == table(&relation) && !text.starts_with('(') {
                self.mark("self join");
            }
            let on = self.condition(&columns, &joined);
            columns.extend(joined);
            write!(text, " {word} {relation} ON {on}").unwrap();
            // An outer join on more than equality costs a nested loop; an inner one filters.
            if word == "JOIN" && self.chance(25) {
                let outer = std::mem::replace(&mut self.scope, columns.clone());
                write!(text, " AND {}", self.boolean(0)).unwrap();
                self.scope = outer;
            }
        }
        self.scope = columns;
        text
    }

    /// The condition of a join: keys that are equal, or expressions.
    fn condition(&mut self, left: &[Column], right: &[Column]) -> String {
        let of = |columns: &[Column], of: Type| -> Vec<Column> {
            let fitting = columns.iter().filter(|column| column.of.base() == of);
            fitting.cloned().collect()
        };
        let named = |columns: &[Column]| -> Vec<Column> {
            let keys = columns.iter().filter(|column| {
                column.of == Type::Int && (column.name.ends_with("id") || column.name.contains('x'))
            });
            keys.cloned().collect()
        };
        let (keys_left, keys_right) = (named(left), named(right));
        if !keys_left.is_empty() && !keys_right.is_empty() && self.chance(75) {
            let (left, right) = (self.pick(&keys_left), self.pick(&keys_right));
            return format!("{} = {}", left.name, right.name);
        }
        self.mark("join on expression");
        let (ints_left, ints_right) = (of(left, Type::Int), of(right, Type::Int));
        let (texts_left, texts_right) = (of(left, Type::Text), of(right, Type::Text));
        if !ints_left.is_empty() && !ints_right.is_empty() {
            let (left, right) = (self.pick(&ints_left), self.pick(&ints_right));
            let divisors = left.of == Type::Divisor && right.of == Type::Divisor;
            return match self.below(3) {
                0 if divisors => format!("1000 / {} = 1000 / {}", left.name, right.name),
                1 => format!("{} + 1 = {}", left.name, right.name),
                _ => format!("{} % 23 = {} % 23", left.name, right.name),
            };
        }
        if !texts_left.is_empty() && !texts_right.is_empty() {
            let (left, right) = (self.pick(&texts_left), self.pick(&texts_right));
            return format!("upper({}) = lower({})", left.name, right.name);
        }
        "1 = 2".to_owned()
    }

    /// A table, a CTE or a derived table, and its columns under its alias.
    fn relation(&mut self, depth: u32) -> (String, Vec<Column>) {
        let alias = self.alias("t");
        if depth > 0 && self.chance(20) {
            self.mark("derived table");
            let mut select = self.select(depth - 1, None);
            if self.chance(20) {
                self.mark("limit");
                write!(select.sql, " LIMIT {}", 1 + self.below(40)).unwrap();
            }
            let columns = qualified(&alias, select.columns);
            return (format!("({}) {alias}", select.sql), columns);
        }
        let names: Vec<String> = self.relations.keys().cloned().collect();
        let name = self.pick(&names);
        let columns = qualified(&alias, self.relations[&name].clone());
        (format!("{name} {alias}"), columns)
    }

    fn filters(&mut self, depth: u32) -> Vec<String> {
        let count = self.pick(&[0, 1, 1, 1, 2, 3]);
        if count > 0 {
            self.mark("where");
        }
        (0..count)
            .map(|_| match self.chance(22) {
                true => self.membership(),
                false => self.boolean(depth),
            })
            .collect()
    }

    fn limit(&mut self) -> String {
        let mut limit = String::new();
        if self.chance(35) {
            self.mark("limit");
            write!(limit, " LIMIT {}", self.below(30)).unwrap();
            if self.chance(40) {
                self.mark("offset");
                write!(limit, " OFFSET {}", self.below(20)).unwrap();
            }
        }
        limit
    }

    fn order(&mut self, items: usize) -> Vec<String> {
        if !self.chance(45) {
            return Vec::new();
        }
        self.mark("order by");
        let count = 1 + self.below(2);
        let direction = ["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"];
        (0..count)
            .map(|_| match self.chance(60) || self.scope.is_empty() {
                true => format!("{}{}", 1 + self.below(items), self.pick(&direction)),
                false => {
                    let of = self.any_type();
                    format!("{}{}", self.expression(of, 1), self.pick(&direction))
                }
            })
            .collect()
    }

    /// Projections, computed items and windows over joins.
    pub(super) fn plain(&mut self) -> Statement {
        let mut statement = Statement::default();
        let depth = self.pick(&[1, 1, 2]);
        statement.from = self.from(depth);
        statement.filters = self.filters(2);
        let count = 1 + self.below(5);
        statement.items = (0..count)
            .map(|_| match self.chance(12) {
                true => self.window(),
                false => self.item(2).name,
            })
            .collect();
        once_each(&mut statement.items);
        if self.chance(15) {
            self.mark("distinct");
            statement.distinct = "DISTINCT ".to_owned();
            // Here only what is selected can be ordered by.
            self.scope.clear();
        }
        statement.order = self.order(statement.items.len());
        statement.limit = self.limit();
        statement
    }

    pub(super) fn distinct_on(&mut self) -> Statement {
        self.mark("distinct on");
        let mut statement = Statement {
            from: self.from(1),
            filters: self.filters(1),
            ..Statement::default()
        };
        let of = self.any_type();
        let key = self.expression(of, 1);
        statement.distinct = format!("DISTINCT ON ({key}) ");
        statement.items = vec![key.clone(), self.item(1).name, self.item(1).name];
        once_each(&mut statement.items);
        statement.order = vec![key];
        statement
    }

    pub(super) fn aggregate(&mut self) -> Statement {
        self.mark("aggregate");
        let mut statement = Statement::default();
        let depth = self.pick(&[1, 1, 2]);
        statement.from = self.from(depth);
        statement.filters = self.filters(1);
        let count = self.pick(&[0, 0, 1, 1, 1, 2, 3]);
        let mut keys: Vec<String> = (0..count).map(|_| self.item(1).name).collect();
        // The engine groups by no subquery.
        keys.retain(|key| !key.contains("SELECT"));
        once_each(&mut keys);
        let aggregates = 1 + self.below(4);
        statement.items.clone_from(&keys);
        for _ in 0..aggregates {
            let aggregate = self.one_aggregate(1);
            statement.items.push(aggregate.name);
        }
        once_each(&mut statement.items);
        if !keys.is_empty() {
            self.mark("group by");
            let names = keys.join(", ");
            statement.group = match self.below(12) {
                0 => {
                    self.mark("grouping sets");
                    format!(" GROUP BY ROLLUP ({names})")
                }
                1 => {
                    self.mark("grouping sets");
                    format!(" GROUP BY CUBE ({names})")
                }
                _ => format!(" GROUP BY {names}"),
            };
        }
        if self.chance(if keys.is_empty() { 10 } else { 35 }) {
            self.mark("having");
            let aggregate = self.one_aggregate(1);
            self.scope.clear();
            let having = self.comparison(&aggregate.name, aggregate.of);
            statement.havings.push(having);
        }
        self.scope.clear();
        statement.order = self.order(statement.items.len());
        statement.limit = self.limit();
        statement
    }

    /// Where sorted branches are merged, both are read at the same time: so that it is no chance
    /// which error comes first, only one of them can fail.
    pub(super) fn union(&mut self) -> Statement {
        let mut statement = Statement::default();
        let types: Vec<Type> = (0..1 + self.below(3)).map(|_| self.any_type()).collect();
        let first = self.select(2, Some(&types));
        let second = self.surely(&types);
        let (word, feature) = self.pick(&[("UNION", "union"), ("UNION ALL", "union all")]);
        self.mark(feature);
        statement.from = format!("{} {word} {}", first.sql, second.sql);
        if self.chance(60) {
            self.mark("order by");
            statement.from = format!("SELECT * FROM ({}) u", statement.from);
            statement.limit = self.limit();
            let every: Vec<_> = (1..=types.len()).map(|at| at.to_string()).collect();
            statement.from += &format!(" ORDER BY {}", every.join(", "));
        }
        statement
    }

    /// A SELECT of columns as they are, which fails on no row.
    fn surely(&mut self, types: &[Type]) -> Select {
        let names: Vec<String> = TABLES
            .iter()
            .filter(|(name, _)| !self.shadowed.contains(name))
            .map(|(name, _)| (*name).to_owned())
            .collect();
        if names.is_empty() {
            let items: Vec<_> = types.iter().map(|of| self.literal(*of)).collect();
            return Select {
                sql: format!("SELECT {}", items.join(", ")),
                columns: Vec::new(),
            };
        }
        let name = self.pick(&names);
        let columns = self.relations[&name].clone();
        let items: Vec<String> = (1..)
            .zip(types)
            .map(|(at, of)| {
                let fitting: Vec<_> = columns
                    .iter()
                    .filter(|column| column.of.base() == *of)
                    .map(|column| column.name.clone())
                    .collect();
                let item = match fitting.is_empty() {
                    true => self.literal(*of),
                    false => self.pick(&fitting),
                };
                format!("{item} AS y{at}")
            })
            .collect();
        Select {
            sql: format!("SELECT {} FROM {name}", items.join(", ")),
            columns: Vec::new(),
        }
    }

    /// Aggregates over a union.
    pub(super) fn over_union(&mut self) -> Statement {
        let mut statement = Statement::default();
        let first = self.select(1, Some(&[Type::Int, Type::Text]));
        let second = self.surely(&[Type::Int, Type::Text]);
        self.mark("union all");
        self.mark("aggregate");
        statement.items = ["count(*)", "min(u.x1)", "max(u.x2)", "count(DISTINCT u.x1)"]
            .map(str::to_owned)
            .to_vec();
        statement.from = format!("({} UNION ALL {}) u", first.sql, second.sql);
        statement
    }

    pub(super) fn difference(&mut self) -> Statement {
        let mut statement = Statement::default();
        let types: Vec<Type> = (0..1 + self.below(2)).map(|_| self.any_type()).collect();
        let first = self.select(2, Some(&types));
        let second = self.select(1, Some(&types));
        let (word, feature) = self.pick(&[("INTERSECT", "intersect"), ("EXCEPT", "except")]);
        self.mark(feature);
        statement.from = format!("{} {word} {}", first.sql, second.sql);
        statement
    }

    /// An aggregate and its type.
    fn one_aggregate(&mut self, depth: u32) -> Column {
        let (mut name, of) = match self.below(12) {
            0 | 1 => ("count(*)".to_owned(), Type::Int),
            2 => {
                self.mark("distinct aggregate");
                let of = self.any_type();
                (
                    format!("count(DISTINCT {})", self.expression(of, depth)),
                    Type::Int,
                )
            }
            3 => (
                format!("sum({})", self.expression(Type::Int, depth)),
                Type::Int,
            ),
            4 => (
                format!("avg({})", self.expression(Type::Float, depth)),
                Type::Float,
            ),
            5 => (
                format!("sum({})", self.expression(Type::Decimal, depth)),
                Type::Decimal,
            ),
            6 => {
                let function = self.pick(&["stddev", "var_pop", "median"]);
                let number = self.expression(Type::Float, depth);
                (format!("{function}({number})"), Type::Float)
            }
            7 => (format!("bool_or({})", self.boolean(depth)), Type::Bool),
            8 => {
                let text = self.expression(Type::Text, depth);
                (format!("string_agg({text}, ',')"), Type::Text)
            }
            _ => {
                let of = self.any_type();
                let function = match of {
                    Type::Bool => "bool_and",
                    _ => self.pick(&["min", "max"]),
                };
                (format!("{function}({})", self.expression(of, depth)), of)
            }
        };
        if self.chance(12) {
            self.mark("filtered aggregate");
            name += &format!(" FILTER (WHERE {})", self.boolean(0));
        }
        Column { name, of }
    }

    /// A window function.
    fn window(&mut self) -> String {
        self.mark("window");
        let of = self.any_type();
        let function = match self.below(8) {
            0 => "row_number()".to_owned(),
            1 => "rank()".to_owned(),
            2 => "dense_rank()".to_owned(),
            3 => format!("lag({}, 1)", self.leaf(of)),
            4 => format!("first_value({})", self.leaf(of)),
            5 => "ntile(4)".to_owned(),
            6 => format!("sum({})", self.expression(Type::Int, 1)),
            _ => format!("max({})", self.expression(of, 1)),
        };
        let (partition, order) = (self.any_type(), self.any_type());
        let partition = match self.chance(60) {
            true => format!("PARTITION BY {} ", self.leaf(partition)),
            false => String::new(),
        };
        let order = format!("ORDER BY {}", self.expression(order, 1));
        let frame = match function.starts_with("sum") && self.chance(50) {
            true => " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
            false => "",
        };
        format!("{function} OVER ({partition}{order}{frame})")
    }
}

/// The engine wants every item of a SELECT to be another.
fn once_each(items: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    items.retain(|item| seen.insert(item.clone()));
}

fn qualified(alias: &str, columns: Vec<Column>) -> Vec<Column> {
    let qualify = |column: Column| Column {
        name: format!("{alias}.{}", column.name),
        of: column.of,
    };
    columns.into_iter().map(qualify).collect()
}
