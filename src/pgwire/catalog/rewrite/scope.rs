//! What names in a statement stand for, as far as the catalogs are concerned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, GroupByExpr, JoinOperator, ObjectName,
    Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Value, ValueWithSpan, Visit,
    Visitor,
};

use super::ast::{bare, column_of, folded, last_part, parts};
use crate::pgwire::catalog::columns::{Table, is_always_null, is_vector};
use crate::pgwire::catalog::tables;

/// The table of a catalog that a name stands for once unqualified names are qualified.
pub(super) fn table(name: &ObjectName) -> Option<&'static Table> {
    let parts = parts(name);
    let (name, before) = parts.split_last()?;
    tables::find(before.last()?, name)
}

/// The type in PostgreSQL of a column of a catalog.
pub(super) fn column_type(expr: &Expr) -> Option<&'static str> {
    tables::column_type(&column_of(expr)?)
}

/// Whether an expression is an array whose first element has the number 0. A driver renames such
/// a column, so that the end of the name decides.
pub(super) fn counts_from_zero(expr: &Expr) -> bool {
    let Some(name) = column_of(expr) else {
        return false;
    };
    tables::column_type(&name).is_some_and(is_vector)
        || ["_indkey", "_indoption", "_indclass"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Whether an expression is a column that is an array and always NULL.
pub(super) fn is_null_array(expr: &Expr) -> bool {
    column_type(expr).is_some_and(is_always_null)
}

/// Whether a column holds the name of a function where PostgreSQL has its id.
pub(super) fn is_function_name(expr: &Expr) -> bool {
    column_type(expr) == Some("regproc")
}

/// Whether a query can have no row whatever the models are, because what it reads is always empty.
pub(super) fn query_is_empty(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::Select(select) => select_is_empty(select),
        SetExpr::Query(query) => query_is_empty(query),
        _ => false,
    }
}

/// The same of one SELECT. An aggregate gives a row even of nothing, unless there are groups.
pub(super) fn select_is_empty(select: &Select) -> bool {
    let groups = match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => {
            !exprs.is_empty()
                && !exprs.iter().any(|expr| {
                    matches!(
                        expr,
                        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_)
                    )
                })
        }
        GroupByExpr::All(_) => false,
    };
    (groups || !is_aggregated(select))
        && (select.from.iter().any(joined_is_empty) || select.selection.as_ref().is_some_and(never))
}

/// Whether a condition never holds.
fn never(condition: &Expr) -> bool {
    match bare(condition) {
        Expr::Value(ValueWithSpan {
            value: Value::Boolean(false),
            ..
        }) => true,
        Expr::IsNotNull(column) => is_null_array(column),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => never(left) || never(right),
        _ => false,
    }
}

fn joined_is_empty(table: &TableWithJoins) -> bool {
    let keeps_left = |operator: &JoinOperator| {
        matches!(
            operator,
            JoinOperator::Join(_)
                | JoinOperator::Inner(_)
                | JoinOperator::CrossJoin(_)
                | JoinOperator::Left(_)
                | JoinOperator::LeftOuter(_)
        )
    };
    let requires_right = |operator: &JoinOperator| {
        matches!(
            operator,
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
        )
    };
    let first = factor_is_empty(&table.relation)
        && table
            .joins
            .iter()
            .all(|join| keeps_left(&join.join_operator));
    let joined = (0..table.joins.len()).any(|position| {
        let mut rest = table.joins.iter().skip(position);
        rest.next().is_some_and(|join| {
            requires_right(&join.join_operator) && factor_is_empty(&join.relation)
        }) && rest.all(|join| keeps_left(&join.join_operator))
    });
    first || joined
}

fn factor_is_empty(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table {
            name, args: None, ..
        } => table(name).is_some_and(|table| table.empty),
        TableFactor::Table {
            name,
            args: Some(args),
            ..
        } => {
            last_part(name).as_deref() == Some("unnest")
                && super::ast::exprs_of(&args.args)
                    .into_iter()
                    .any(is_null_array)
        }
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter().any(is_null_array),
        TableFactor::Derived { subquery, .. } => query_is_empty(subquery),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => joined_is_empty(table_with_joins),
        _ => false,
    }
}

/// Whether a SELECT aggregates.
pub(super) fn is_aggregated(select: &Select) -> bool {
    let grouped = !matches!(
        &select.group_by,
        GroupByExpr::Expressions(exprs, _) if exprs.is_empty()
    );
    grouped || select.having.is_some() || select.projection.iter().any(has_aggregate)
}

const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

fn has_aggregate(item: &SelectItem) -> bool {
    struct Aggregates {
        queries: usize,
    }
    impl Visitor for Aggregates {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if self.queries == 0 && is_aggregate(function) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    Visit::visit(item, &mut Aggregates { queries: 0 }).is_break()
}

fn is_aggregate(function: &Function) -> bool {
    function.over.is_none()
        && matches!(function.args, FunctionArguments::List(_))
        && last_part(&function.name).is_some_and(|name| AGGREGATES.contains(&name.as_str()))
}

/// Whether something has a parameter, which must stay for the client to give it a value.
pub(super) fn has_parameter(part: &impl Visit) -> bool {
    struct Parameters;
    impl Visitor for Parameters {
        type Break = ();

        fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
            match value.value {
                Value::Placeholder(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    part.visit(&mut Parameters).is_break()
}

/// The columns that an expression names, as (table, column).
pub(super) fn columns_of(expr: &Expr) -> Vec<(Option<String>, String)> {
    struct Columns(Vec<(Option<String>, String)>);
    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) => self.0.push((None, folded(ident))),
                Expr::CompoundIdentifier(idents) => {
                    let mut names = idents.iter().rev().map(folded);
                    if let Some(column) = names.next() {
                        self.0.push((names.next(), column));
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(Vec::new());
    let _ = expr.visit(&mut columns);
    columns.0
}

/// The name that columns of a table are qualified with, and the catalog's table, if it is one.
pub(super) fn named_table(factor: &TableFactor) -> Option<(String, &'static Table)> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        ..
    } = factor
    else {
        return None;
    };
    let found = table(name)?;
    let called = match alias {
        Some(alias) if alias.columns.is_empty() => folded(&alias.name),
        Some(_) => return None,
        None => last_part(name)?,
    };
    Some((called, found))
}

/// The tables of a SELECT that are the catalogs' own, by the names of their columns' qualifiers.
pub(super) fn named_tables(select: &Select) -> Vec<(String, &'static Table)> {
    fn of(table: &TableWithJoins, found: &mut Vec<(String, &'static Table)>) {
        let factors = [&table.relation]
            .into_iter()
            .chain(table.joins.iter().map(|join| &join.relation));
        for factor in factors {
            match factor {
                TableFactor::NestedJoin {
                    table_with_joins, ..
                } => of(table_with_joins, found),
                factor => found.extend(named_table(factor)),
            }
        }
    }
    let mut found = Vec::new();
    for table in &select.from {
        of(table, &mut found);
    }
    found
}

/// Whether an expression is a column, a literal, or anything else that says nothing new.
pub(super) fn is_plain(expr: &Expr) -> bool {
    matches!(
        bare(expr),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_)
    )
}
