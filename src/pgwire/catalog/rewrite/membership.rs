//! `EXISTS (...)` and `x IN (SELECT ...)` in the columns of an answer. The engine evaluates them in
//! WHERE only, so that they become subqueries which count.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, Select, SetExpr, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Rewrites the columns of a SELECT whose parts have been rewritten.
pub(super) fn rewrite(select: &mut Select) {
    for item in &mut select.projection {
        let _ = VisitMut::visit(item, &mut Columns { queries: 0 });
    }
}

struct Columns {
    queries: usize,
}

impl VisitorMut for Columns {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        let counted = match expr {
            Expr::Exists { subquery, negated } => {
                let matching = matching(subquery);
                matching.and_then(|matching| count(&matching, *negated))
            }
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => count(
                &format!("({subquery}) AS __in (__item) WHERE __in.__item = ({expr})"),
                *negated,
            ),
            _ => None,
        };
        if let Some(counted) = counted {
            *expr = counted;
        }
        ControlFlow::Continue(())
    }
}

/// FROM and WHERE of the rows that EXISTS looks for. What is correlated has to stay in the WHERE
/// of the very query that counts.
fn matching(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    if query.with.is_some()
        || query.limit_clause.is_some()
        || query.fetch.is_some()
        || select.from.is_empty()
        || super::scope::is_aggregated(select)
    {
        return None;
    }
    let from: Vec<String> = select.from.iter().map(ToString::to_string).collect();
    let condition = select
        .selection
        .as_ref()
        .map(|selection| format!(" WHERE {selection}"));
    Some(format!(
        "{}{}",
        from.join(", "),
        condition.unwrap_or_default()
    ))
}

fn count(matching: &str, negated: bool) -> Option<Expr> {
    let operator = if negated {
        BinaryOperator::Eq
    } else {
        BinaryOperator::Gt
    };
    let query = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(&format!(
            "SELECT count(*) {operator} 0 AS counted FROM {matching}"
        ))
        .ok()?
        .parse_query()
        .ok()?;
    Some(Expr::Subquery(query))
}
