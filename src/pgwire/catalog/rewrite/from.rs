//! Functions in FROM.
//!
//! A function that returns rows becomes a subquery that unnests them. One whose arguments are
//! columns of a table before it, as in `pg_constraint c CROSS JOIN unnest(c.conkey) AS key`,
//! becomes further columns of that table, unnested.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, Ident, JoinConstraint, JoinOperator, Query, Select,
    TableAlias, TableFactor, TableWithJoins, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::ast::{call, exprs_of, folded, is_small, last_part, nested, quoted};
use super::{exprs, scope};

/// Rewrites the FROM of a SELECT whose parts have been rewritten. Gives the columns that go by
/// other names now; in the SELECT they do already.
pub(super) fn rewrite(select: &mut Select) -> Vec<Rename> {
    let mut renames = Vec::new();
    let mut conditions = Vec::new();
    let from = std::mem::take(&mut select.from);
    for mut table in from {
        let joins = std::mem::take(&mut table.joins);
        let mut absorbed = false;
        if let Some(rows) = Rows::of(&table.relation) {
            if rows.is_lateral()
                && let Some(rename) = rows.absorb(&mut select.from, &mut [], false)
            {
                renames.push(rename);
                absorbed = true;
            } else if let Some(derived) = rows.derived() {
                table.relation = derived;
            }
        }
        // What was joined to a function that is gone is joined to what came before it.
        let mut table = if absorbed {
            match select.from.pop() {
                Some(before) => before,
                None => continue,
            }
        } else {
            table
        };
        for mut join in joins {
            if let Some(rows) = Rows::of(&join.relation) {
                let outer = matches!(
                    join.join_operator,
                    JoinOperator::Left(_) | JoinOperator::LeftOuter(_)
                );
                let mut here = [table];
                let rename = rows
                    .is_lateral()
                    .then(|| rows.absorb(&mut select.from, &mut here, outer))
                    .flatten();
                [table] = here;
                if let Some(rename) = rename {
                    renames.push(rename);
                    conditions.extend(condition(join.join_operator));
                    continue;
                }
                if let Some(derived) = rows.derived() {
                    join.relation = derived;
                }
            }
            table.joins.push(join);
        }
        select.from.push(table);
    }
    for condition in conditions {
        select.selection = Some(match select.selection.take() {
            None => condition,
            Some(selection) => Expr::BinaryOp {
                left: Box::new(nested(selection)),
                op: BinaryOperator::And,
                right: Box::new(nested(condition)),
            },
        });
    }
    for renamed in &renames {
        rename(select, renamed);
    }
    renames
}

/// Calls columns by their new names.
pub(super) fn rename(part: &mut impl VisitMut, rename: &Rename) {
    let _ = part.visit(&mut Renamer(rename));
}

/// What a join asks for, unless it asks for nothing.
fn condition(operator: JoinOperator) -> Option<Expr> {
    let (JoinOperator::Join(JoinConstraint::On(condition))
    | JoinOperator::Inner(JoinConstraint::On(condition))) = operator
    else {
        return None;
    };
    let always = matches!(
        condition,
        Expr::Value(ValueWithSpan {
            value: Value::Boolean(true),
            ..
        })
    );
    (!always).then_some(condition)
}

/// A function in FROM.
struct Rows {
    name: String,
    args: Vec<Expr>,
    alias: Ident,
    columns: Vec<Ident>,
    ordinality: bool,
}

/// The columns of a function's rows, which are now those of a table.
pub(super) struct Rename {
    from: String,
    to: Ident,
    columns: Vec<(String, Ident)>,
}

impl Rows {
    fn of(factor: &TableFactor) -> Option<Rows> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(args),
                alias,
                with_ordinality,
                ..
            } => Rows::new(
                name_of(last_part(name)),
                &args.args,
                alias,
                *with_ordinality,
            ),
            TableFactor::Function {
                name,
                args,
                alias,
                with_ordinality,
                ..
            } => Rows::new(name_of(last_part(name)), args, alias, *with_ordinality),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_ordinality,
                ..
            } => {
                let mut rows = Rows::new("unnest".to_owned(), &[], alias, *with_ordinality)?;
                if *with_ordinality && !array_exprs.iter().all(is_small) {
                    return None;
                }
                rows.args.clone_from(array_exprs);
                Some(rows)
            }
            _ => None,
        }
    }

    fn new(
        name: String,
        args: &[FunctionArg],
        alias: &Option<TableAlias>,
        ordinality: bool,
    ) -> Option<Rows> {
        if name.is_empty() {
            return None;
        }
        let (alias, columns) = match alias {
            Some(alias) => (
                alias.name.clone(),
                alias
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect(),
            ),
            None => (quoted(&name), Vec::new()),
        };
        if (ordinality || name == "_pg_expandarray") && !exprs_of(args).into_iter().all(is_small) {
            return None;
        }
        Some(Rows {
            args: exprs_of(args).into_iter().cloned().collect(),
            name,
            alias,
            columns,
            ordinality,
        })
    }

    /// Whether its arguments are columns of something else in FROM.
    fn is_lateral(&self) -> bool {
        self.args
            .iter()
            .any(|arg| !scope::columns_of(arg).is_empty())
    }

    /// Its columns: what is computed, and what it is called.
    fn items(&self, outer: bool) -> Vec<(Expr, Ident)> {
        let unnest = if outer { "unnest_outer" } else { "unnest" };
        let unnested = |list: Expr| call(unnest, vec![list]);
        let first = self.args.first();
        let (exprs, names): (Vec<Expr>, Vec<&str>) = match (self.name.as_str(), first) {
            ("unnest", Some(_)) => (
                self.args.iter().cloned().map(unnested).collect(),
                Vec::new(),
            ),
            ("generate_series", Some(_)) => (
                vec![unnested(call("__series", self.args.clone()))],
                Vec::new(),
            ),
            ("generate_subscripts", Some(array)) => {
                (vec![unnested(exprs::subscripts(array.clone()))], Vec::new())
            }
            ("_pg_expandarray", Some(array)) => (
                vec![
                    unnested(array.clone()),
                    unnested(call("__subscripts", vec![array.clone()])),
                ],
                vec!["x", "n"],
            ),
            _ => (vec![call(&self.name, self.args.clone())], Vec::new()),
        };
        let ordinals = (self.ordinality && self.name == "unnest")
            .then(|| first.cloned())
            .flatten()
            .map(|array| unnested(call("__subscripts", vec![array])));
        let count = exprs.len();
        exprs
            .into_iter()
            .chain(ordinals)
            .enumerate()
            .map(|(position, expr)| {
                let name = self
                    .columns
                    .get(position)
                    .cloned()
                    .or_else(|| names.get(position).map(|name| quoted(name)))
                    .unwrap_or_else(|| {
                        if position == 0 {
                            self.alias.clone()
                        } else if position == count {
                            quoted("ordinality")
                        } else {
                            quoted(&format!("{}_{position}", self.name))
                        }
                    });
                (expr, name)
            })
            .collect()
    }

    /// The function as a subquery of its own. A table that is called like a function is one
    /// already.
    fn derived(&self) -> Option<TableFactor> {
        if self.args.is_empty()
            && crate::pgwire::catalog::tables::find("pg_catalog", &self.name).is_some()
        {
            let text = format!("SELECT * FROM pg_catalog.{}", self.name);
            return aliased(&text, &self.alias);
        }
        aliased(
            &format!("SELECT {}", listed(&self.items(false))),
            &self.alias,
        )
    }

    /// Makes the function's columns those of the table that its arguments are of.
    fn absorb(
        &self,
        before: &mut [TableWithJoins],
        here: &mut [TableWithJoins],
        outer: bool,
    ) -> Option<Rename> {
        let columns: Vec<_> = self.args.iter().flat_map(scope::columns_of).collect();
        let factors = before.iter_mut().chain(here).flat_map(|table| {
            [&mut table.relation]
                .into_iter()
                .chain(table.joins.iter_mut().map(|join| &mut join.relation))
        });
        for factor in factors {
            let Some((called, table)) = scope::named_table(factor) else {
                continue;
            };
            let has = |name: &str| table.columns().any(|(column, _)| column == name);
            let is_its_own = |(of, column): &(Option<String>, String)| {
                has(column) && of.as_ref().is_none_or(|of| *of == called)
            };
            if !columns.iter().all(is_its_own) {
                continue;
            }
            let to = quoted(&called);
            let mut renamed = Vec::new();
            let items: Vec<(Expr, Ident)> = self
                .items(outer)
                .into_iter()
                .map(|(expr, name)| {
                    let own = if has(&folded(&name)) {
                        quoted(&format!("__{}", name.value))
                    } else {
                        name.clone()
                    };
                    renamed.push((folded(&name), own.clone()));
                    (expr, own)
                })
                .collect();
            let text = format!("SELECT *, {} FROM {factor}", listed(&items));
            *factor = aliased(&text, &to)?;
            return Some(Rename {
                from: folded(&self.alias),
                to,
                columns: renamed,
            });
        }
        None
    }
}

fn name_of(name: Option<String>) -> String {
    name.unwrap_or_default()
}

fn listed(items: &[(Expr, Ident)]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|(expr, name)| format!("{expr} AS {name}"))
        .collect();
    items.join(", ")
}

/// A subquery in FROM. `None` if its text cannot be read, so that nothing is rewritten.
fn aliased(text: &str, alias: &Ident) -> Option<TableFactor> {
    let query: Box<Query> = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(text)
        .ok()?
        .parse_query()
        .ok()?;
    Some(TableFactor::Derived {
        lateral: false,
        subquery: query,
        alias: Some(TableAlias {
            explicit: true,
            name: alias.clone(),
            columns: Vec::new(),
            at: None,
        }),
        sample: None,
    })
}

struct Renamer<'a>(&'a Rename);

impl VisitorMut for Renamer<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let [table, column] = idents.as_mut_slice()
            && folded(table) == self.0.from
            && let Some((_, own)) = self
                .0
                .columns
                .iter()
                .find(|(name, _)| *name == folded(column))
        {
            *table = self.0.to.clone();
            *column = own.clone();
        }
        ControlFlow::Continue(())
    }
}
