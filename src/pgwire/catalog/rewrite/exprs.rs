//! Operators, functions, arrays and subqueries.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, FunctionArgumentClause, FunctionArguments, Ident,
    LimitClause, OrderByKind, Query, SelectItem, SetExpr, Subscript, UnaryOperator, Value,
    ValueWithSpan,
};

use super::ast::{
    args_of, bare, begins_with_minus, boolean, call, call_of, column_of, is_small, is_zero,
    last_part, nested, null_text, number, parts, string, take, text_of,
};
use super::casts::{self, literal_items};
use super::scope;
use crate::pgwire::catalog::columns::{is_array, is_vector};
use crate::pgwire::catalog::functions::like_pattern;

/// Whether a name is one of the functions that are called without parentheses and read like
/// columns.
pub(super) fn is_bare_function(ident: &Ident) -> bool {
    ident.quote_style.is_none()
        && ["current_schema", "current_role"]
            .iter()
            .any(|name| ident.value.eq_ignore_ascii_case(name))
}

/// Rewrites an expression whose parts have been rewritten.
/// What says less than it did, or goes by the names of columns, is only for
/// statements that read nothing but the catalogs (`lossy`).
pub(super) fn rewrite(expr: &mut Expr, lossy: bool) {
    match expr {
        Expr::Identifier(ident) if is_bare_function(ident) => {
            *expr = call(&ident.value.to_lowercase(), Vec::new());
        }
        // Texts compare byte for byte, whatever the collation.
        Expr::Collate { expr: inside, .. } => *expr = take(inside),
        Expr::Cast { .. } => casts::rewrite(expr, lossy),
        Expr::Function(_) => function(expr, lossy),
        Expr::BinaryOp { .. } => binary(expr, lossy),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: operand,
        } if begins_with_minus(operand) => **operand = Expr::Nested(Box::new(take(operand))),
        _ if !lossy => {}
        Expr::AnyOp { .. } | Expr::AllOp { .. } => quantified(expr),
        Expr::Like { .. } | Expr::ILike { .. } => like(expr),
        Expr::CompoundFieldAccess { .. } => access(expr),
        Expr::Subquery(query) => {
            if scope::query_is_empty(query) && !scope::has_parameter(query) {
                *expr = null_text();
            } else {
                one_row(query);
            }
        }
        Expr::Exists { subquery, negated }
            if scope::query_is_empty(subquery) && !scope::has_parameter(subquery) =>
        {
            *expr = boolean(*negated);
        }
        Expr::InSubquery {
            subquery, negated, ..
        } if scope::query_is_empty(subquery) && !scope::has_parameter(subquery) => {
            *expr = boolean(*negated);
        }
        _ => {}
    }
}

fn function(expr: &mut Expr, lossy: bool) {
    let Expr::Function(function) = expr else {
        return;
    };
    let qualified = matches!(
        parts(&function.name).as_slice(),
        [schema, _] if schema == "pg_catalog" || schema == "information_schema"
    );
    if qualified && let Some(last) = function.name.0.pop() {
        function.name.0 = vec![last];
    }
    if let FunctionArguments::Subquery(query) = &mut function.args {
        if lossy
            && last_part(&function.name).as_deref() == Some("array")
            && let Some(collected) = collected(query)
        {
            *expr = collected;
        }
        return;
    }
    let name = last_part(&function.name).unwrap_or_default();
    let args: Vec<Expr> = args_of(function).into_iter().cloned().collect();
    let Some(first) = args.first().cloned() else {
        return;
    };
    let from_zero = lossy && scope::counts_from_zero(&first);
    match name.as_str() {
        "generate_subscripts" => *expr = call("unnest", vec![subscripts(first)]),
        "generate_series" => *expr = call("unnest", vec![call("__series", args)]),
        "_pg_expandarray" => *expr = call("unnest", vec![call("__expand", vec![first])]),
        "array_lower" | "array_upper" if from_zero => {
            *expr = Expr::Nested(Box::new(Expr::BinaryOp {
                left: Box::new(take(expr)),
                op: BinaryOperator::Minus,
                right: Box::new(number(1)),
            }));
        }
        _ => {}
    }
}

/// The numbers of an array's elements.
pub(super) fn subscripts(array: Expr) -> Expr {
    if scope::counts_from_zero(&array) {
        call("__subscripts", vec![array, number(0)])
    } else {
        call("__subscripts", vec![array])
    }
}

/// `ARRAY(SELECT ...)`: its rows in an array, or an empty one if there can be none.
/// `None` where a limit counts the rows, or a large value would be needed twice.
fn collected(query: &mut Query) -> Option<Expr> {
    if scope::query_is_empty(query) && !scope::has_parameter(query) {
        return Some(call("__no_texts", Vec::new()));
    }
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    if query.order_by.is_some()
        && let SetExpr::Select(select) = query.body.as_ref()
        && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_slice()
        && !is_small(item)
    {
        return None;
    }
    let ordering = match query.order_by.take().map(|order| order.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs,
        _ => Vec::new(),
    };
    if let SetExpr::Select(select) = query.body.as_mut()
        && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_mut_slice()
    {
        let value = take(item);
        let mut collected = call("array_agg", vec![value.clone()]);
        if let Expr::Function(function) = &mut collected
            && let FunctionArguments::List(list) = &mut function.args
            && !ordering.is_empty()
        {
            let ordering = ordering
                .into_iter()
                .map(|mut order| {
                    // The only column may be called by its number.
                    if matches!(
                        &order.expr,
                        Expr::Value(ValueWithSpan {
                            value: Value::Number(..),
                            ..
                        })
                    ) {
                        order.expr = value.clone();
                    }
                    order
                })
                .collect();
            list.clauses.push(FunctionArgumentClause::OrderBy(ordering));
        }
        *item = collected;
    }
    Some(Expr::Subquery(Box::new(query.clone())))
}

/// A subquery that stands for a value gives at most one row, or else it is an error. The engine
/// only joins such a subquery to the query around it if it sees that, which it does if the
/// value is an aggregate.
fn one_row(query: &mut Query) {
    let any_one = match &query.limit_clause {
        None => true,
        Some(LimitClause::LimitOffset {
            limit: Some(limit),
            offset: None,
            ..
        }) => {
            query.order_by.is_none()
                && matches!(limit, Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) if number == "1")
        }
        Some(_) => false,
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    if !any_one || query.fetch.is_some() || select.from.is_empty() || scope::is_aggregated(select) {
        return;
    }
    if let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    {
        *item = call("max", vec![take(item)]);
        select.distinct = None;
        query.order_by = None;
        query.limit_clause = None;
    }
}

fn binary(expr: &mut Expr, lossy: bool) {
    let Expr::BinaryOp { left, op, right } = expr else {
        return;
    };
    if let BinaryOperator::PGCustomBinaryOperator(names) = op {
        if let Some(plain) = names.last().and_then(|name| operator(name)) {
            *op = plain;
            // It may bind less tightly than it did.
            *expr = Expr::Nested(Box::new(take(expr)));
        }
        return;
    }
    if !lossy {
        return;
    }
    match op {
        BinaryOperator::Eq | BinaryOperator::NotEq => {
            compared(left, right);
            compared(right, left);
        }
        // An array that is always NULL adds nothing.
        BinaryOperator::StringConcat if scope::is_null_array(left) => *expr = take(right),
        BinaryOperator::StringConcat if scope::is_null_array(right) => *expr = take(left),
        _ => {}
    }
}

/// Two kinds of columns are of another type here than in PostgreSQL: functions are known by their
/// names where it has their ids, and arrays do not compare with texts.
fn compared(column: &mut Expr, other: &mut Expr) {
    if scope::is_function_name(column) {
        if is_zero(other) {
            *other = string("-");
        } else if column_of(other).is_some_and(|name| name.ends_with("oid")) {
            *column = call("__procoid", vec![take(column)]);
        }
    } else if let Some(kind) = scope::column_type(column)
        && is_array(kind)
        && text_of(other).is_some()
    {
        *column = call("__array_text", vec![take(column), boolean(is_vector(kind))]);
    }
}

fn operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "&" => BinaryOperator::BitwiseAnd,
        "|" => BinaryOperator::BitwiseOr,
        _ => return None,
    })
}

/// `x = ANY (SELECT ...)` is `x IN (SELECT ...)`. Comes before its parts are rewritten, because a
/// subquery in any other place stands for one value.
pub(super) fn any_of_subquery(expr: &mut Expr) {
    let (left, op, right, all) = match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, false),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, true),
        _ => return,
    };
    if let (Some(negated), Expr::Subquery(query)) = (membership(op, all), bare(right)) {
        let inside = Expr::InSubquery {
            subquery: query.clone(),
            expr: Box::new(take(left)),
            negated,
        };
        *expr = nested(inside);
    }
}

/// Whether a comparison with any or all of several values asks if one is among them (and then
/// whether it is negated).
fn membership(op: &BinaryOperator, all: bool) -> Option<bool> {
    match (op, all) {
        (BinaryOperator::Eq, false) => Some(false),
        (BinaryOperator::NotEq, true) => Some(true),
        _ => None,
    }
}

/// The most items of an array that a comparison is written out for.
const MOST_ITEMS: usize = 100;

/// `x = ANY (...)` and `x <> ALL (...)`, over an array that is written out, or one that is a
/// column, a parameter or a function's.
fn quantified(expr: &mut Expr) {
    let (left, op, right, all) = match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op.clone(), right, false),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op.clone(), right, true),
        _ => return,
    };
    let membership = membership(&op, all);
    if matches!(bare(right), Expr::Subquery(_)) {
        return;
    }
    let items = match bare(right) {
        Expr::Array(array) => Some(array.elem.clone()),
        other => literal_items(other, false),
    };
    match (items, membership) {
        (Some(items), _) if items.is_empty() => *expr = boolean(all),
        (Some(list), Some(negated)) => {
            let inside = Expr::InList {
                expr: Box::new(take(left)),
                list,
                negated,
            };
            *expr = nested(inside);
        }
        (Some(items), None) if items.len() > MOST_ITEMS || !is_small(left) => {}
        (Some(items), None) => {
            let left = nested(take(left));
            let joined = items
                .into_iter()
                .map(|item| Expr::BinaryOp {
                    left: Box::new(left.clone()),
                    op: op.clone(),
                    right: Box::new(nested(item)),
                })
                .reduce(|one, other| Expr::BinaryOp {
                    left: Box::new(one),
                    op: if all {
                        BinaryOperator::And
                    } else {
                        BinaryOperator::Or
                    },
                    right: Box::new(other),
                });
            if let Some(joined) = joined {
                *expr = nested(joined);
            }
        }
        (None, Some(negated)) => {
            let contains = call("__contains", vec![take(right), take(left)]);
            *expr = if negated {
                nested(Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(contains),
                })
            } else {
                contains
            };
        }
        (None, None) => {}
    }
}

/// The engine escapes with backslashes only.
fn like(expr: &mut Expr) {
    let (Expr::Like {
        pattern,
        escape_char,
        ..
    }
    | Expr::ILike {
        pattern,
        escape_char,
        ..
    }) = expr
    else {
        return;
    };
    let Some(escape) = escape_char
        .take()
        .and_then(|escape| escape.value.into_string())
    else {
        return;
    };
    **pattern = match joined(pattern) {
        Some(text) => string(&like_pattern(&text, &escape)),
        None => call("__like_pattern", vec![take(pattern), string(&escape)]),
    };
}

/// The text that strings joined with `||` make.
fn joined(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            right,
        } => Some(joined(left)? + &joined(right)?),
        other => text_of(other).map(str::to_owned),
    }
}

/// `array[n]`, and the fields of what `_pg_expandarray` gives: `(f(array)).n` and, where that was
/// a column of a subquery, `(keys).x`.
fn access(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else {
        return;
    };
    if let [AccessExpr::Dot(Expr::Identifier(field))] = access_chain.as_slice() {
        let field = super::ast::folded(field);
        if let Some(array) = expanded(root) {
            let array = array.clone();
            match field.as_str() {
                "x" => *expr = call("unnest", vec![array]),
                "n" => *expr = call("unnest", vec![call("__subscripts", vec![array])]),
                _ => {}
            }
        } else if scope::is_plain(root) {
            let column = bare(root).clone();
            match field.as_str() {
                "x" => *expr = call("__expand_x", vec![column]),
                "n" => *expr = call("__expand_n", vec![column]),
                _ => {}
            }
        }
        return;
    }
    // `t.array[1]` is read as the chain of `.array` and `[1]` on `t`.
    let mut base = bare(root).clone();
    for access in access_chain.iter() {
        base = match access {
            AccessExpr::Dot(Expr::Identifier(field)) => match base {
                Expr::Identifier(table) => Expr::CompoundIdentifier(vec![table, field.clone()]),
                Expr::CompoundIdentifier(mut idents) => {
                    idents.push(field.clone());
                    Expr::CompoundIdentifier(idents)
                }
                _ => return,
            },
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let index = if scope::counts_from_zero(&base) {
                    Expr::BinaryOp {
                        left: Box::new(nested(index.clone())),
                        op: BinaryOperator::Plus,
                        right: Box::new(number(1)),
                    }
                } else {
                    index.clone()
                };
                call("__element", vec![base, index])
            }
            _ => return,
        };
    }
    *expr = base;
}

/// The array that `_pg_expandarray` was called with, once that call has been rewritten.
fn expanded(expr: &Expr) -> Option<&Expr> {
    let (name, args) = call_of(expr)?;
    let [inner] = args.as_slice() else {
        return None;
    };
    let (inner_name, inner_args) = call_of(inner)?;
    match (name.as_str(), inner_name.as_str(), inner_args.as_slice()) {
        ("unnest", "__expand", [array]) => Some(array),
        _ => None,
    }
}
