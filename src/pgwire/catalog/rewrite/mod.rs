//! What clients write for PostgreSQL, in the terms that the engine knows.
//!
//! Statements that have nothing to do with the catalogs are left alone. In the others, by file:
//! - `casts`: casts to types that only PostgreSQL has;
//! - `exprs`: operators, arrays, subqueries;
//! - `from`: functions in FROM;
//! - `membership`: EXISTS and IN in the columns of the answer;
//! - `columns`: how the columns of the answer are called;
//! - here: what reads tables that are always empty is not evaluated.
//!
//! The last spares most of what the engine cannot do: clients ask for policies, publications,
//! defaults, identities and comments with correlated subqueries over such tables.

mod ast;
mod casts;
mod columns;
mod exprs;
mod from;
mod membership;
mod scope;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, ObjectNamePart, OrderByKind, Query, Select,
    SelectItem, Statement, TableFactor, UnaryOperator, Value, ValueWithSpan, Visit, VisitMut,
    Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::functions;
use super::tables;

/// Rewrites a statement that needs the catalogs, and says whether it does. One that calls what
/// only rewriting may call, or whose names do not read back from its text, is left alone.
pub(super) fn prepare(statement: &mut Statement) -> bool {
    let mut rewritten = statement.clone();
    let done = rewrite(&mut rewritten);
    if done {
        *statement = rewritten;
    }
    done
}

fn rewrite(statement: &mut Statement) -> bool {
    let mut ctes = Ctes::default();
    let _ = Visit::visit(statement, &mut ctes);
    let ctes = ctes.0;
    if Visit::visit(statement, &mut Detector { ctes: &ctes }).is_continue() {
        return false;
    }
    let mut relations = Relations {
        ctes: &ctes,
        catalog: false,
        others: false,
    };
    if Visit::visit(statement, &mut relations).is_break() {
        return false;
    }
    let lossy = relations.catalog && !relations.others;
    let _ = VisitMut::visit(statement, &mut Exact);
    if !names_read_back(&statement.to_string()) {
        return false;
    }
    let _ = VisitMut::visit(
        statement,
        &mut Rewriter {
            ctes: &ctes,
            lossy,
            renames: Vec::new(),
        },
    );
    if let Some(query) = query_of(statement) {
        columns::show(&mut query.body);
    }
    true
}

fn query_of(statement: &mut Statement) -> Option<&mut Query> {
    match statement {
        Statement::Query(query) => Some(query),
        Statement::Explain { statement, .. } => query_of(statement),
        _ => None,
    }
}

/// The names that WITH gives to queries: they come before tables.
#[derive(Default)]
struct Ctes(BTreeSet<String>);

impl Visitor for Ctes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0
            .extend(with.map(|table| ast::folded(&table.alias.name)));
        ControlFlow::Continue(())
    }
}

/// The table of `pg_catalog` that an unqualified name stands for. PostgreSQL looks there first;
/// here only for names that start with `pg_`, which all of them do.
fn is_catalog_table(name: &ObjectName, ctes: &BTreeSet<String>) -> bool {
    match ast::parts(name).as_slice() {
        [name] => {
            name.starts_with("pg_")
                && !ctes.contains(name)
                && tables::find("pg_catalog", name).is_some()
        }
        _ => false,
    }
}

/// Breaks off at the first part of a statement that needs the catalogs.
struct Detector<'a> {
    ctes: &'a BTreeSet<String>,
}

impl Visitor for Detector<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts = ast::parts(relation);
        let schema = parts.iter().rev().nth(1).map(String::as_str);
        if matches!(schema, Some("pg_catalog" | "information_schema"))
            || is_catalog_table(relation, self.ctes)
        {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let needs = match expr {
            Expr::Function(function) => match ast::parts(&function.name).as_slice() {
                [schema, _] => schema == "pg_catalog" || schema == "information_schema",
                [name] => functions::is_known(name),
                _ => false,
            },
            Expr::Cast { data_type, .. } => casts::is_foreign(data_type),
            Expr::Collate { .. } => true,
            Expr::BinaryOp { op, .. } => {
                matches!(op, BinaryOperator::PGCustomBinaryOperator(_))
            }
            Expr::Identifier(ident) => exprs::is_bare_function(ident),
            _ => false,
        };
        if needs {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Which relations a statement reads. Breaks off at a function that only rewriting may call.
struct Relations<'a> {
    ctes: &'a BTreeSet<String>,
    catalog: bool,
    others: bool,
}

impl Visitor for Relations<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => {
                if is_catalog_table(name, self.ctes) || scope::table(name).is_some() {
                    self.catalog = true;
                } else if name.0.len() > 1
                    || !ast::last_part(name).is_some_and(|name| self.ctes.contains(&name))
                {
                    self.others = true;
                }
                ControlFlow::Continue(())
            }
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => private(name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => private(&function.name),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn private(name: &ObjectName) -> ControlFlow<()> {
    match ast::last_part(name) {
        Some(name) if name.starts_with("__") => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

/// Whether no quoted name has a quote or a backslash in it, which the parser's printer would have
/// to guess about.
fn names_read_back(text: &str) -> bool {
    Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize()
        .is_ok_and(|tokens| {
            !tokens.iter().any(|token| {
                matches!(token, Token::Word(word)
                    if word.quote_style.is_some() && word.value.contains(['"', '\\']))
            })
        })
}

/// Makes the text of a statement exact.
struct Exact;

impl VisitorMut for Exact {
    type Break = ();

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) =
            &mut value.value
        {
            value.value = ast::literal(std::mem::take(text));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: operand,
        } = expr
            && ast::begins_with_minus(operand)
        {
            **operand = Expr::Nested(Box::new(ast::take(operand)));
        }
        ControlFlow::Continue(())
    }
}

struct Rewriter<'a> {
    ctes: &'a BTreeSet<String>,
    /// Whether the statement reads the catalogs and nothing else, so that names of columns are
    /// theirs and what is known to be empty need not be evaluated.
    lossy: bool,
    /// Columns that go by other names now, for each query that is being walked: its ORDER BY has
    /// to follow.
    renames: Vec<Vec<from::Rename>>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        columns::name(query);
        self.renames.push(Vec::new());
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if is_catalog_table(relation, self.ctes) {
            let schema = ObjectNamePart::Identifier(Ident::new("pg_catalog"));
            relation.0.insert(0, schema);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.lossy {
            exprs::any_of_subquery(expr);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        exprs::rewrite(expr, self.lossy);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let empty = self.lossy && scope::select_is_empty(select);
        let renamed = from::rewrite(select);
        if let Some(renames) = self.renames.last_mut() {
            renames.extend(renamed);
        }
        if self.lossy {
            columns::expand(select);
        }
        if empty {
            hollow(select);
        }
        if self.lossy {
            membership::rewrite(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for rename in self.renames.pop().into_iter().flatten() {
            if let Some(order) = &mut query.order_by {
                from::rename(order, &rename);
            }
        }
        let sorted = query.order_by.as_ref().is_some_and(|order| {
            matches!(&order.kind, OrderByKind::Expressions(exprs)
                if !exprs.iter().any(|order| scope::has_parameter(&order.expr)))
        });
        if self.lossy && sorted && scope::query_is_empty(query) {
            query.order_by = None;
        }
        ControlFlow::Continue(())
    }
}

/// Takes out of a SELECT that has no row what would be evaluated for its rows. Its columns and
/// its parameters stay.
fn hollow(select: &mut Select) {
    if !select.selection.as_ref().is_some_and(scope::has_parameter) {
        select.selection = Some(ast::boolean(false));
    }
    if select
        .having
        .as_ref()
        .is_some_and(|having| !scope::has_parameter(having))
    {
        select.having = None;
    }
    for (position, item) in select.projection.iter_mut().enumerate() {
        match item {
            SelectItem::ExprWithAlias { expr, .. }
                if !scope::is_plain(expr) && !scope::has_parameter(expr) =>
            {
                *expr = ast::null_text();
            }
            SelectItem::UnnamedExpr(expr)
                if !scope::is_plain(expr) && !scope::has_parameter(expr) =>
            {
                *item = SelectItem::ExprWithAlias {
                    expr: ast::null_text(),
                    alias: ast::quoted(&format!("?column?_{position}")),
                };
            }
            _ => {}
        }
    }
}
