//! Expressions: of a wanted type, over the columns in scope.

use super::{Column, Generator, Parameter, Type};

/// Texts that visible rows hold, and some that none does.
const TEXTS: [&str; 8] = ["DE", "US", "open-1", "open-2", "box", "click", "a%", "zz"];

impl Generator {
    /// An expression of a type.
    pub(super) fn expression(&mut self, of: Type, depth: u32) -> String {
        if depth == 0 || self.chance(25) {
            return self.leaf(of);
        }
        if self.chance(14) {
            return self.choice(of, depth - 1);
        }
        match of.base() {
            Type::Int => self.int(depth - 1),
            Type::Float => self.float(depth - 1),
            Type::Decimal => self.decimal(depth - 1),
            Type::Text => self.text(depth - 1),
            Type::Date => self.date(depth - 1),
            Type::Time => self.time(depth - 1),
            Type::List => self.list(),
            _ => self.boolean(depth - 1),
        }
    }

    /// A column of a type, or a literal.
    pub(super) fn leaf(&mut self, of: Type) -> String {
        let fitting = self.columns(|column| column.of.base() == of.base());
        match fitting.is_empty() || self.chance(12) {
            true => self.literal(of),
            false => self.pick(&fitting).name,
        }
    }

    fn columns(&self, fits: impl Fn(&Column) -> bool) -> Vec<Column> {
        let fitting = self.scope.iter().filter(|column| fits(column));
        fitting.cloned().collect()
    }

    /// A column that holds poison in hidden rows alone; `None` where there is none in scope.
    fn magnet(&mut self, of: Type) -> Option<String> {
        let fitting = self.columns(|column| column.of == of);
        (!fitting.is_empty()).then(|| self.pick(&fitting).name)
    }

    pub(super) fn literal(&mut self, of: Type) -> String {
        match of.base() {
            Type::Int => match self.below(8) {
                0 => "0".to_owned(),
                1 => "9223372036854775807".to_owned(),
                _ => (1 + self.below(60)).to_string(),
            },
            Type::Float => {
                let floats = ["0.5", "2.5e0", "-1.0", "1e3", "CAST('NaN' AS DOUBLE)"];
                let float = self.pick(&floats);
                match float.starts_with("CAST") {
                    true => float.to_owned(),
                    false => format!("CAST({float} AS DOUBLE)"),
                }
            }
            Type::Decimal => {
                let decimal = self.pick(&["1.50", "0.00", "12.25", "-3.10"]);
                format!("CAST({decimal} AS DECIMAL(10,2))")
            }
            Type::Date => self
                .pick(&[
                    "DATE '2024-01-31'",
                    "DATE '2023-06-15'",
                    "DATE '1990-12-01'",
                ])
                .to_owned(),
            Type::Time => self
                .pick(&[
                    "TIMESTAMP '2024-02-29T12:00:00'",
                    "TIMESTAMP '2023-11-05T01:30:00.25'",
                ])
                .to_owned(),
            Type::Bool => self.pick(&["true", "false", "NULL"]).to_owned(),
            Type::List => "make_array('red', 'blue')".to_owned(),
            _ => format!("'{}'", self.pick(&TEXTS)),
        }
    }

    /// CASE, COALESCE, NULLIF and a subquery of one value.
    fn choice(&mut self, of: Type, depth: u32) -> String {
        match self.below(if of.base() == Type::List { 3 } else { 6 }) {
            0 | 1 => {
                self.mark("case");
                let (when, then) = (self.boolean(depth), self.expression(of, depth));
                match self.chance(60) {
                    true => {
                        let other = self.expression(of, depth);
                        format!("CASE WHEN {when} THEN {then} ELSE {other} END")
                    }
                    false => format!("CASE WHEN {when} THEN {then} END"),
                }
            }
            2 => {
                self.mark("coalesce");
                let first = self.leaf(of);
                format!("COALESCE({first}, {})", self.expression(of, depth))
            }
            3 => {
                self.mark("nullif");
                let first = self.expression(of, depth);
                format!("NULLIF({first}, {})", self.leaf(of))
            }
            4 if matches!(of.base(), Type::Int | Type::Text | Type::Decimal) => {
                self.mark("scalar subquery");
                let outer = std::mem::take(&mut self.scope);
                let from = self.from(0);
                let item = self.expression(of, 1);
                let filter = self.boolean(1);
                self.scope = outer;
                let aggregate = self.pick(&["max", "min"]);
                format!("(SELECT {aggregate}({item}) FROM {from} WHERE {filter})")
            }
            5 if of.base() == Type::Int => {
                self.mark("scalar subquery");
                let (from, key, correlated) = self.correlated();
                format!("(SELECT count(*) FROM {from} WHERE {key} = {correlated})")
            }
            _ => self.leaf(of),
        }
    }

    /// A relation, a key of it, and an integer of the scope outside to compare it with.
    fn correlated(&mut self) -> (String, String, String) {
        let outside = self.columns(|column| column.of.base() == Type::Int);
        let outer = std::mem::take(&mut self.scope);
        let from = self.from(0);
        let keys = self.columns(|column| column.of == Type::Int);
        self.scope = outer;
        let key = match keys.is_empty() {
            true => "7".to_owned(),
            false => self.pick(&keys).name,
        };
        let correlated = match outside.is_empty() {
            true => "7".to_owned(),
            false => self.pick(&outside).name,
        };
        (from, key, correlated)
    }

    fn int(&mut self, depth: u32) -> String {
        match self.below(15) {
            0 | 1 => {
                let operator = self.pick(&["+", "-", "*"]);
                let (left, right) = (self.expression(Type::Int, depth), self.leaf(Type::Int));
                format!("({left} {operator} {right})")
            }
            2..=4 => self.quotient(depth),
            5 | 6 => self.cast_to_int(depth),
            7 => {
                self.mark("text function");
                let text = self.expression(Type::Text, depth);
                match self.below(4) {
                    0 => format!("length({text})"),
                    1 => format!("strpos({text}, 'e')"),
                    2 => format!("ascii({text})"),
                    _ => format!("octet_length({text})"),
                }
            }
            8 => {
                self.mark("number function");
                let number = self.expression(Type::Int, depth);
                match self.below(3) {
                    0 => format!("greatest({number}, {})", self.leaf(Type::Int)),
                    1 => format!("least({number}, {})", self.leaf(Type::Int)),
                    _ if self.risky => format!("abs({number})"),
                    _ => format!("abs({number} % 1000)"),
                }
            }
            9 | 10 => {
                self.mark("date function");
                let part = self.pick(&["year", "month", "day", "dow"]);
                let of = self.pick(&[Type::Date, Type::Time]);
                let when = self.expression(of, depth);
                match self.chance(50) {
                    true => format!("date_part('{part}', {when})"),
                    false => format!("EXTRACT({part} FROM {when})"),
                }
            }
            11 if !self.columns(|column| column.of == Type::List).is_empty() => {
                self.mark("list");
                let list = self.list();
                let function = self.pick(&["array_length", "cardinality"]);
                format!("{function}({list})")
            }
            12 => self.parameter(Type::Int),
            _ => self.choice(Type::Int, depth),
        }
    }

    /// A division or a remainder, where hidden rows would divide by zero.
    fn quotient(&mut self, depth: u32) -> String {
        let operator = self.pick(&["/", "/", "%"]);
        let feature = if operator == "/" {
            "division"
        } else {
            "modulo"
        };
        self.mark(feature);
        let dividend = self.pick(&["1", "1000", "-7", "100000"]);
        if let Some(divisor) = self.magnet(Type::Divisor)
            && self.chance(75)
        {
            return match self.below(4) {
                0 => {
                    self.mark("case");
                    format!("CASE WHEN {divisor} <> 0 THEN {dividend} {operator} {divisor} END")
                }
                1 => format!(
                    "({} {operator} {divisor})",
                    self.expression(Type::Int, depth)
                ),
                _ => format!("({dividend} {operator} {divisor})"),
            };
        }
        let divisor = self.expression(Type::Int, depth);
        match self.risky {
            true => format!("({dividend} {operator} ({divisor}))"),
            false => {
                self.mark("nullif");
                format!("({dividend} {operator} NULLIF({divisor}, 0))")
            }
        }
    }

    fn cast_to_int(&mut self, depth: u32) -> String {
        self.mark("cast");
        let to = self.pick(&["BIGINT", "BIGINT", "INT"]);
        match (self.magnet(Type::Digits), self.below(6)) {
            (Some(digits), 0..=2) => match self.below(3) {
                0 => format!("{digits}::{to}"),
                1 => format!("arrow_cast({digits}, 'Int64')"),
                _ => format!("CAST({digits} AS {to})"),
            },
            (_, 3) => {
                self.mark("try_cast");
                format!("TRY_CAST({} AS BIGINT)", self.expression(Type::Text, depth))
            }
            (_, 4) if self.risky => {
                let of = self.pick(&[Type::Text, Type::Float, Type::Decimal, Type::Int]);
                format!("CAST({} AS {to})", self.expression(of, depth))
            }
            (_, 4) => format!("CAST({} AS SMALLINT)", self.small()),
            _ => format!("CAST({} AS BIGINT)", self.leaf(Type::Bool)),
        }
    }

    /// An integer that fits two bytes in every visible row.
    fn small(&mut self) -> String {
        match self.magnet(Type::Divisor) {
            Some(divisor) => divisor,
            None => format!("{} % 100", self.leaf(Type::Int)),
        }
    }

    fn float(&mut self, depth: u32) -> String {
        match self.below(7) {
            0 | 1 => {
                let operator = self.pick(&["+", "-", "*", "/"]);
                let (left, right) = (self.expression(Type::Float, depth), self.leaf(Type::Float));
                format!("({left} {operator} {right})")
            }
            2 | 3 => {
                self.mark("number function");
                let number = self.expression(Type::Float, depth);
                match self.below(6) {
                    0 => format!("sqrt(abs({number}))"),
                    1 => format!("round({number}, 1)"),
                    2 => format!("floor({number})"),
                    3 => format!("ceil({number})"),
                    4 => format!("power({number}, 2)"),
                    _ => format!("ln({number})"),
                }
            }
            4 => {
                self.mark("cast");
                match self.magnet(Type::Digits) {
                    Some(digits) => format!("CAST({digits} AS DOUBLE)"),
                    None => format!("CAST({} AS DOUBLE)", self.leaf(Type::Int)),
                }
            }
            5 => {
                self.mark("cast");
                format!("CAST({} AS DOUBLE)", self.expression(Type::Decimal, depth))
            }
            _ => self.choice(Type::Float, depth),
        }
    }

    fn decimal(&mut self, depth: u32) -> String {
        match self.below(6) {
            0 => format!(
                "({} + {})",
                self.leaf(Type::Decimal),
                self.leaf(Type::Decimal)
            ),
            1 => format!("({} * 2)", self.leaf(Type::Decimal)),
            2 => {
                self.mark("division");
                match self.magnet(Type::Divisor) {
                    Some(divisor) => format!("({} / {divisor})", self.leaf(Type::Decimal)),
                    None => format!("({} / 3)", self.leaf(Type::Decimal)),
                }
            }
            3 => {
                self.mark("cast");
                match self.magnet(Type::Digits) {
                    Some(digits) => format!("CAST({digits} AS DECIMAL(12,2))"),
                    None => format!("CAST({} AS DECIMAL(8,1))", self.leaf(Type::Decimal)),
                }
            }
            4 => {
                self.mark("cast");
                let small = self.small();
                format!("CAST({small} AS DECIMAL(6,1))")
            }
            _ => self.choice(Type::Decimal, depth),
        }
    }

    fn text(&mut self, depth: u32) -> String {
        if self.chance(25) {
            self.mark("cast");
            let of = self.pick(&[
                Type::Int,
                Type::Float,
                Type::Decimal,
                Type::Date,
                Type::Time,
            ]);
            return format!("CAST({} AS VARCHAR)", self.expression(of, depth));
        }
        if self.chance(10) {
            return self.choice(Type::Text, depth);
        }
        self.mark("text function");
        let text = self.expression(Type::Text, depth);
        match self.below(14) {
            0 => format!("upper({text})"),
            1 => format!("lower({text})"),
            2 => format!("trim({text})"),
            3 => format!("reverse({text})"),
            4 => format!("left({text}, 2)"),
            5 => format!("right({text}, 3)"),
            6 => format!("substr({text}, 2, 3)"),
            7 => format!("replace({text}, 'e', '3')"),
            8 => format!("({text} || {})", self.leaf(Type::Text)),
            9 => format!("concat({text}, '-', {})", self.leaf(Type::Int)),
            10 => format!("split_part({text}, '-', 1)"),
            11 => format!("lpad({text}, 6, '*')"),
            12 => format!("initcap({text})"),
            _ => format!("regexp_replace({text}, '[aeiou]', '_')"),
        }
    }

    fn date(&mut self, depth: u32) -> String {
        match self.below(4) {
            0 => {
                self.mark("interval");
                format!("({} + INTERVAL '3 days')", self.leaf(Type::Date))
            }
            1 => {
                self.mark("cast");
                format!("CAST({} AS DATE)", self.expression(Type::Time, depth))
            }
            2 => {
                self.mark("date function");
                let part = self.pick(&["month", "year"]);
                format!(
                    "CAST(date_trunc('{part}', {}) AS DATE)",
                    self.leaf(Type::Time)
                )
            }
            _ => self.choice(Type::Date, depth),
        }
    }

    fn time(&mut self, depth: u32) -> String {
        match self.below(5) {
            0 => {
                self.mark("interval");
                format!("({} - INTERVAL '1 month')", self.leaf(Type::Time))
            }
            1 | 2 => {
                self.mark("date function");
                let part = self.pick(&["hour", "day", "month"]);
                format!(
                    "date_trunc('{part}', {})",
                    self.expression(Type::Time, depth)
                )
            }
            3 => {
                // In nanoseconds, which the dates of hidden rows overflow.
                self.mark("cast");
                format!("CAST({} AS TIMESTAMP)", self.leaf(Type::Date))
            }
            _ => self.choice(Type::Time, depth),
        }
    }

    fn list(&mut self) -> String {
        self.mark("list");
        match self.magnet(Type::List) {
            Some(list) => list,
            None => "make_array('red', 'blue')".to_owned(),
        }
    }

    /// IN or EXISTS with a subquery: the engine takes them as parts of WHERE alone.
    pub(super) fn membership(&mut self) -> String {
        if self.chance(50) {
            self.mark("in subquery");
            let word = self.pick(&["IN", "IN", "NOT IN"]);
            let inner = self.select(0, Some(&[Type::Int]));
            return format!("({} {word} ({}))", self.leaf(Type::Int), inner.sql);
        }
        self.mark("exists");
        let word = self.pick(&["EXISTS", "EXISTS", "NOT EXISTS"]);
        let (from, key, correlated) = self.correlated();
        format!("{word} (SELECT 1 FROM {from} WHERE {key} = {correlated})")
    }

    /// A condition.
    pub(super) fn boolean(&mut self, depth: u32) -> String {
        if depth > 0 && self.chance(25) {
            let operator = self.pick(&["AND", "AND", "OR"]);
            let (left, right) = (self.boolean(depth - 1), self.boolean(depth - 1));
            return match self.chance(20) {
                true => format!("NOT ({left} {operator} {right})"),
                false => format!("({left} {operator} {right})"),
            };
        }
        match self.below(12) {
            0 => {
                self.mark("in list");
                let of = self.pick(&[Type::Int, Type::Text, Type::Date]);
                let word = self.pick(&["IN", "NOT IN"]);
                let list: Vec<_> = (0..3).map(|_| self.literal(of)).collect();
                format!("({} {word} ({}))", self.leaf(of), list.join(", "))
            }
            1 => {
                self.mark("between");
                let of = self.pick(&[Type::Int, Type::Decimal, Type::Date, Type::Time]);
                let word = self.pick(&["BETWEEN", "BETWEEN", "NOT BETWEEN"]);
                let (low, high) = (self.literal(of), self.literal(of));
                format!("({} {word} {low} AND {high})", self.leaf(of))
            }
            2 => {
                self.mark("like");
                let word = self.pick(&["LIKE", "LIKE", "NOT LIKE", "ILIKE"]);
                let pattern = self.pick(&["open%", "%e%", "_o%", "D_", "7%"]);
                format!(
                    "({} {word} '{pattern}')",
                    self.expression(Type::Text, depth)
                )
            }
            3 => {
                let of = self.any_type();
                let word = self.pick(&["IS NULL", "IS NOT NULL"]);
                format!("({} {word})", self.expression(of, depth))
            }
            4 => {
                self.mark("regular expression");
                let operator = self.pick(&["~", "!~"]);
                let pattern = self.pick(&["^[0-9]+$", "o.e", "(a|e)"]);
                format!("({} {operator} '{pattern}')", self.leaf(Type::Text))
            }
            5 => {
                // What must behave the same, whatever hidden rows lie between.
                match self.magnet(Type::Divisor) {
                    Some(divisor) => {
                        self.mark("division");
                        format!("({divisor} <> 0 AND 1000 / {divisor} > 3)")
                    }
                    None => self.leaf(Type::Bool),
                }
            }
            6 if !self.columns(|column| column.of == Type::List).is_empty() => {
                self.mark("list");
                format!("array_has({}, 'red')", self.list())
            }
            7 => {
                let of = self.any_type();
                let word = self.pick(&["IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
                format!("({} {word} {})", self.leaf(of), self.leaf(of))
            }
            _ => {
                let of = self.any_type();
                let left = self.expression(of, depth);
                self.comparison(&left, of)
            }
        }
    }

    /// An expression compared with a literal, a parameter or a column.
    pub(super) fn comparison(&mut self, left: &str, of: Type) -> String {
        let operator = self.pick(&["=", "<>", "<", "<=", ">", ">="]);
        let right = match self.below(10) {
            0..=2 => self.leaf(of),
            3 | 4 if matches!(of.base(), Type::Int | Type::Text) => self.parameter(of),
            _ => self.literal(of),
        };
        format!("({left} {operator} {right})")
    }

    /// A parameter: a new one, or one that is there already.
    fn parameter(&mut self, of: Type) -> String {
        self.mark("parameter");
        let cast = if of.base() == Type::Int {
            "BIGINT"
        } else {
            "VARCHAR"
        };
        let known = (1..)
            .zip(&self.parameters)
            .find(|(_, known)| matches!(known, Parameter::Int(_)) == (of.base() == Type::Int));
        if let Some((at, _)) = known {
            self.mark("parameter in two places");
            return format!("CAST(${at} AS {cast})");
        }
        let value = match of.base() {
            Type::Int => Parameter::Int(i64::try_from(1 + self.below(40)).unwrap()),
            _ => Parameter::Text(self.pick(&TEXTS)),
        };
        self.parameters.push(value);
        format!("CAST(${} AS {cast})", self.parameters.len())
    }
}
