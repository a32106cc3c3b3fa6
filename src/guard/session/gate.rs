//! Which statements and which plans are accepted: an allow-list, too.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, ObjectName,
    Query, Select, SelectItem, Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::fault::{FaultKind, QueryFault, planning};
use super::measure::measure_tokens;
use super::{Bounds, growth};

/// How deep queries and expressions may nest; as deep as the parser's own default.
const MOST_NESTED: usize = 50;
/// Tables that a statement reads once its WITH queries are put where they are named. Each of them
/// that names the one before twice doubles the plan.
const MOST_RELATIONS: u64 = 100;
/// Columns of one CUBE, and grouping sets of one GROUP BY; CUBE makes two to the power of its
/// columns.
const MOST_CUBED: usize = 8;
const MOST_GROUPING_SETS: u64 = 256;
/// Expressions that names of a SELECT list stand for in HAVING and GROUP BY.
const MOST_ALIASED: u64 = 100_000;
/// Bytes of the name of a type. Arrow reads it by recursion.
const MOST_TYPE_BYTES: usize = 256;
/// How deep a plan may be.
const MOST_LEVELS: usize = 500;

/// A statement that may be planned.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A query to run.
    Query(Statement),
    /// A query whose plan is to be shown: the query itself, without EXPLAIN.
    Explain(Statement),
}

/// Parses one statement and says whether it may be planned.
pub(super) fn parse(sql: &str, bounds: &Bounds) -> Result<Accepted, QueryFault> {
    if sql.len() > bounds.text_bytes {
        return Err(too_complex(format!(
            "the statement has {} bytes, of which {} are allowed: shorten it",
            sql.len(),
            bounds.text_bytes
        )));
    }
    let dialect = PostgreSqlDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| QueryFault::new(FaultKind::Syntax, error.to_string()))?;
    measure_tokens(&tokens)?;
    let explain = match leading(&tokens) {
        Some((at, Token::Word(word))) if word.keyword == Keyword::EXPLAIN => {
            tokens = tokens.split_off(at + 1);
            true
        }
        _ => false,
    };
    begins_query(&tokens, explain)?;

    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(MOST_NESTED)
        .build()
        .map_err(planning)?;
    let statement = parser.parse_statement().map_err(planning)?;
    let ended = parser.parser.consume_token(&Token::SemiColon);
    let next = parser.parser.peek_token();
    if next.token != Token::EOF {
        return Err(QueryFault::new(
            FaultKind::Syntax,
            if ended {
                "only one statement is accepted at a time".to_owned()
            } else {
                format!(
                    "expected the end of the statement, found {}{}",
                    short(&next.token),
                    next.span.start
                )
            },
        ));
    }
    match &statement {
        Statement::Statement(inner) => match inner.as_ref() {
            SqlStatement::Query(query) => {
                if let ControlFlow::Break(fault) = query.visit(&mut Inspector::default()) {
                    return Err(*fault);
                }
            }
            _ => return Err(only_select("")),
        },
        _ => return Err(only_select("")),
    }
    Ok(if explain {
        Accepted::Explain(statement)
    } else {
        Accepted::Query(statement)
    })
}

/// The first token that says something, and where it stands.
fn leading(tokens: &[TokenWithSpan]) -> Option<(usize, &Token)> {
    tokens
        .iter()
        .map(|token| &token.token)
        .enumerate()
        .find(|(_, token)| !matches!(token, Token::Whitespace(_)))
}

/// Whether a query begins here. What is no query is not even parsed.
fn begins_query(tokens: &[TokenWithSpan], explain: bool) -> Result<(), QueryFault> {
    let (at, first) = match leading(tokens) {
        Some((_, Token::SemiColon)) | None => {
            return Err(QueryFault::new(FaultKind::Syntax, "the statement is empty"));
        }
        Some(first) => first,
    };
    match first {
        Token::LParen if explain => match tokens.get(at + 1..).and_then(leading) {
            Some((_, Token::LParen)) => Ok(()),
            Some((_, Token::Word(word))) if is_query(word.keyword) => Ok(()),
            _ => Err(no_options()),
        },
        Token::LParen => Ok(()),
        Token::Word(word) if is_query(word.keyword) => Ok(()),
        Token::Word(word)
            if explain
                && matches!(
                    word.keyword,
                    Keyword::ANALYZE | Keyword::VERBOSE | Keyword::FORMAT
                ) =>
        {
            Err(no_options())
        }
        Token::Word(word) if word.keyword != Keyword::NoKeyword => Err(only_select(&format!(
            ", and the statement begins with {}",
            short(first)
        ))),
        other => Err(QueryFault::new(
            FaultKind::Syntax,
            format!("expected SELECT, found {}", short(other)),
        )),
    }
}

fn is_query(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES)
}

/// Walks a parsed query, its subqueries included.
#[derive(Default)]
struct Inspector {
    open: Vec<Open>,
}

/// A query that is being walked.
#[derive(Default)]
struct Open {
    /// Tables that it reads.
    relations: u64,
    /// Its WITH queries, by their address, and their names.
    with: Vec<(usize, String)>,
    /// What each WITH query that was walked reads.
    known: Vec<(String, u64)>,
}

type Step = ControlFlow<Box<QueryFault>>;

impl Visitor for Inspector {
    type Break = Box<QueryFault>;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        let Query {
            with,
            body: _,
            order_by: _,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty() {
            return stop(only_select(": no FOR UPDATE and no FOR SHARE"));
        }
        if for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return stop(only_select(
                ": no FOR XML or JSON, no SETTINGS, no FORMAT, no |>",
            ));
        }
        let mut open = Open::default();
        if let Some(with) = with {
            if with.recursive {
                return stop(not_permitted("WITH RECURSIVE is not accepted"));
            }
            for cte in &with.cte_tables {
                open.with
                    .push((address(&cte.query), cte.alias.name.value.to_lowercase()));
            }
        }
        self.open.push(open);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> Step {
        let Some(done) = self.open.pop() else {
            return ControlFlow::Continue(());
        };
        let reads = done.relations.max(1);
        if reads > MOST_RELATIONS {
            return stop(too_complex(format!(
                "the statement reads more than {MOST_RELATIONS} tables, each WITH query counted \
                 where it is named"
            )));
        }
        if let Some(around) = self.open.last_mut() {
            let here = address(query);
            match around.with.iter().find(|(at, _)| *at == here) {
                Some((_, name)) => around.known.push((name.clone(), reads)),
                None => around.relations = around.relations.saturating_add(reads),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if select.into.is_some() {
            return stop(only_select(": no SELECT INTO"));
        }
        if !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.top.is_some()
            || select.value_table_mode.is_some()
        {
            return stop(not_permitted(
                "only the clauses of a PostgreSQL SELECT are accepted: no LATERAL VIEW, PREWHERE, \
                 CONNECT BY, CLUSTER BY, DISTRIBUTE BY, SORT BY, TOP, SELECT AS",
            ));
        }
        let groups = match &select.group_by {
            GroupByExpr::Expressions(groups, modifiers) if modifiers.is_empty() => {
                groups.as_slice()
            }
            GroupByExpr::All(modifiers) if modifiers.is_empty() => &[],
            _ => {
                return stop(not_permitted(
                    "GROUP BY ... WITH is not accepted: use ROLLUP (...)",
                ));
            }
        };
        let mut sets = 1u64;
        for group in groups {
            sets = sets.saturating_mul(grouping_sets(group));
        }
        if sets > MOST_GROUPING_SETS {
            return stop(too_complex(format!(
                "GROUP BY makes more than {MOST_GROUPING_SETS} grouping sets, or a CUBE has more \
                 than {MOST_CUBED} columns"
            )));
        }
        let named = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(Counter::of(expr).expressions)
                }
                _ => None,
            })
            .max()
            .unwrap_or(0);
        let names: u64 = groups
            .iter()
            .chain(&select.having)
            .chain(&select.qualify)
            .map(|expr| Counter::of(expr).names)
            .sum();
        if named > 1 && named.saturating_mul(names) > MOST_ALIASED {
            return stop(too_complex(
                "HAVING or GROUP BY names long expressions of the SELECT list too often: put them \
                 into a subquery"
                    .to_owned(),
            ));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, _statement: &SqlStatement) -> Step {
        stop(only_select(", in WITH, too"))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Step {
        for part in &relation.0 {
            match part.as_ident() {
                Some(ident) if ident.quote_style == Some('\'') => {
                    return stop(not_permitted(
                        "files cannot be read: FROM takes the name of a model",
                    ));
                }
                Some(_) => {}
                None => return stop(not_permitted("FROM takes the name of a model")),
            }
        }
        let reads = match relation.0.as_slice() {
            [only] => only.as_ident().and_then(|ident| {
                let name = ident.value.to_lowercase();
                self.open
                    .iter()
                    .rev()
                    .flat_map(|open| open.known.iter().rev())
                    .find(|(known, _)| *known == name)
                    .map(|(_, reads)| *reads)
            }),
            _ => None,
        };
        if let Some(open) = self.open.last_mut() {
            open.relations = open.relations.saturating_add(reads.unwrap_or(1));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. } => {
                stop(not_permitted("there are no table functions to select from"))
            }
            TableFactor::Table {
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
                ..
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                ControlFlow::Continue(())
            }
            TableFactor::Derived { sample: None, .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. } => ControlFlow::Continue(()),
            _ => stop(not_permitted(
                "FROM takes models, subqueries, joins and UNNEST, without samples, versions or \
                 hints",
            )),
        }
    }

    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> Step {
        match expr {
            SqlExpr::Function(function) if names_a_type(&function.name) => {
                let FunctionArguments::List(list) = &function.args else {
                    return ControlFlow::Continue(());
                };
                for (index, argument) in list.args.iter().enumerate() {
                    let (value, may_be_the_type) = match argument {
                        FunctionArg::Unnamed(value) => (value, index > 0),
                        FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } => {
                            (arg, true)
                        }
                    };
                    let short = match value {
                        FunctionArgExpr::Expr(SqlExpr::Value(value)) => value
                            .clone()
                            .into_string()
                            .is_none_or(|name| name.len() <= MOST_TYPE_BYTES),
                        // A type is a plain literal; what is none cannot be it.
                        FunctionArgExpr::Expr(_) => !may_be_the_type || index == 0,
                        _ => true,
                    };
                    if may_be_the_type && !short {
                        return stop(too_complex(format!(
                            "the type is to be a text of at most {MOST_TYPE_BYTES} bytes"
                        )));
                    }
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

fn names_a_type(name: &ObjectName) -> bool {
    name.0
        .last()
        .and_then(|part| part.as_ident())
        .is_some_and(|ident| {
            ident.value.eq_ignore_ascii_case("arrow_cast")
                || ident.value.eq_ignore_ascii_case("arrow_try_cast")
        })
}

/// How many grouping sets an expression of GROUP BY makes.
fn grouping_sets(group: &SqlExpr) -> u64 {
    match group {
        SqlExpr::Cube(columns) if columns.len() > MOST_CUBED => u64::MAX,
        SqlExpr::Cube(columns) => 1 << columns.len(),
        SqlExpr::Rollup(columns) => columns.len() as u64 + 1,
        SqlExpr::GroupingSets(sets) => sets.len() as u64,
        _ => 1,
    }
}

/// Counts what an expression is made of.
#[derive(Default)]
struct Counter {
    expressions: u64,
    names: u64,
}

impl Counter {
    fn of(expr: &SqlExpr) -> Counter {
        let mut counter = Counter::default();
        let _ = expr.visit(&mut counter);
        counter
    }
}

impl Visitor for Counter {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<()> {
        self.expressions += 1;
        // A number is the position of a column in GROUP BY.
        if matches!(expr, SqlExpr::Identifier(_) | SqlExpr::Value(_)) {
            self.names += 1;
        }
        ControlFlow::Continue(())
    }
}

/// Says whether a plan may be optimised and run. Values of parameters change what it builds:
/// a plan is checked again once it has them.
pub(super) fn check(plan: &LogicalPlan, bounds: &Bounds) -> Result<(), QueryFault> {
    count(plan, 1, bounds, &mut 0)?;
    growth::check(plan, bounds)
}

/// Counts operators and expressions, and refuses what is not on the list. It recurses into
/// subqueries only, which the parser has bounded.
fn count(
    plan: &LogicalPlan,
    level: usize,
    bounds: &Bounds,
    nodes: &mut usize,
) -> Result<(), QueryFault> {
    let mut waiting = vec![(plan, level)];
    while let Some((plan, level)) = waiting.pop() {
        if !is_accepted(plan) {
            return Err(only_select(""));
        }
        if level > MOST_LEVELS {
            return Err(too_complex(format!(
                "the plan is more than {MOST_LEVELS} operators deep: nest fewer queries"
            )));
        }
        *nodes += 1;
        let mut subqueries = Vec::new();
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                *nodes += 1;
                subqueries.extend(subquery(expr));
                Ok(if *nodes > bounds.plan_nodes {
                    TreeNodeRecursion::Stop
                } else {
                    TreeNodeRecursion::Continue
                })
            })
        })
        .map_err(planning)?;
        if *nodes > bounds.plan_nodes {
            return Err(too_complex(format!(
                "the plan has more than {} operators and expressions: ask for fewer columns or \
                 conditions",
                bounds.plan_nodes
            )));
        }
        for subquery in subqueries {
            count(&subquery, level + 1, bounds, nodes)?;
        }
        waiting.extend(plan.inputs().into_iter().map(|input| (input, level + 1)));
    }
    Ok(())
}

fn is_accepted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_) => true,
        LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::RecursiveQuery(_) => false,
    }
}

/// The plan inside an expression, if it is a subquery.
pub(super) fn subquery(expr: &Expr) -> Option<Arc<LogicalPlan>> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(&subquery.subquery),
        Expr::Exists(exists) => Some(&exists.subquery.subquery),
        Expr::InSubquery(inside) => Some(&inside.subquery.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery.subquery),
        _ => None,
    }
    .cloned()
}

fn stop(fault: QueryFault) -> Step {
    ControlFlow::Break(Box::new(fault))
}

fn only_select(more: &str) -> QueryFault {
    not_permitted(&format!(
        "only SELECT is accepted, and EXPLAIN of one{more}"
    ))
}

fn no_options() -> QueryFault {
    not_permitted("EXPLAIN takes no options here: write EXPLAIN SELECT ...")
}

fn not_permitted(message: &str) -> QueryFault {
    QueryFault::new(FaultKind::NotPermitted, message)
}

pub(super) fn too_complex(message: String) -> QueryFault {
    QueryFault::new(FaultKind::TooComplex, message)
}

/// A token as it was written, if it is not long.
fn short(token: &Token) -> String {
    let text = token.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests;
