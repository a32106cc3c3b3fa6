//! The columns of answers: named as PostgreSQL names them, and each name once, since the engine
//! wants that where PostgreSQL does not.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, TrimWhereField, Value, ValueWithSpan, WildcardAdditionalOptions,
};

use super::ast::{column_of, folded, is_null, last_part, null_text, parts, quoted};
use super::{casts, exprs, scope};

/// Names the columns of a query. Comes before anything else is rewritten, since the names follow
/// from the text as it was written.
pub(super) fn name(query: &mut Query) {
    let ordering = ordering_columns(query);
    let alone = matches!(query.body.as_ref(), SetExpr::Select(_));
    name_body(&mut query.body, &ordering, alone);
}

fn name_body(body: &mut SetExpr, ordering: &BTreeSet<String>, alone: bool) {
    match body {
        SetExpr::Select(select) => name_items(select, ordering, alone),
        SetExpr::SetOperation { left, right, .. } => {
            name_body(left, ordering, false);
            name_body(right, ordering, false);
        }
        _ => {}
    }
}

/// The columns of tables that an answer is sorted by. A column of the answer that is called the
/// same would leave the engine with two that might be meant.
fn ordering_columns(query: &Query) -> BTreeSet<String> {
    let Some(OrderByKind::Expressions(exprs)) = query.order_by.as_ref().map(|order| &order.kind)
    else {
        return BTreeSet::new();
    };
    exprs
        .iter()
        .flat_map(|order| scope::columns_of(&order.expr))
        .filter(|(table, _)| table.is_some())
        .map(|(_, column)| column)
        .collect()
}

fn name_items(select: &mut Select, ordering: &BTreeSet<String>, alone: bool) {
    let mut taken: BTreeSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) if exprs::is_bare_function(ident) => {
                None
            }
            SelectItem::UnnamedExpr(expr) => column_of(expr),
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        })
        .collect();
    for item in &mut select.projection {
        // A bare NULL has no type of its own in PostgreSQL and ends up as a text, unless another
        // branch of a UNION gives it one.
        if alone
            && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
            && is_null(expr)
        {
            let unnamed = matches!(item, SelectItem::UnnamedExpr(_));
            let alias = match item {
                SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
                _ => unused("?column?", &taken),
            };
            if unnamed {
                taken.insert(alias.value.clone());
            }
            *item = SelectItem::ExprWithAlias {
                expr: null_text(),
                alias,
            };
            continue;
        }
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let is_function = matches!(expr, Expr::Identifier(ident) if exprs::is_bare_function(ident));
        if scope::is_plain(expr) && !is_function {
            continue;
        }
        let name = name_of(expr).unwrap_or_else(|| "?column?".to_owned());
        if ordering.contains(&name) {
            continue;
        }
        let alias = unused(&name, &taken);
        taken.insert(alias.value.clone());
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias,
        };
    }
}

fn unused(name: &str, taken: &BTreeSet<String>) -> Ident {
    if !taken.contains(name) {
        return quoted(name);
    }
    let free = (1_u32..)
        .map(|number| format!("{name}_{number}"))
        .find(|name| !taken.contains(name));
    quoted(&free.unwrap_or_default())
}

/// What PostgreSQL calls a column of the answer that has no name.
fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => column_of(expr),
        Expr::Nested(inside) | Expr::Collate { expr: inside, .. } => name_of(inside),
        Expr::Function(function) => last_part(&function.name),
        Expr::Cast {
            expr, data_type, ..
        } => name_of(expr).or_else(|| type_name(data_type)),
        Expr::Case { else_result, .. } => else_result
            .as_ref()
            .filter(|expr| scope::is_plain(expr))
            .and_then(|expr| name_of(expr))
            .or_else(|| Some("case".to_owned())),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => name_of(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => Some(folded(alias)),
                _ => None,
            },
            _ => None,
        },
        Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|access| match access {
                datafusion::sql::sqlparser::ast::AccessExpr::Dot(field) => column_of(field),
                datafusion::sql::sqlparser::ast::AccessExpr::Subscript(_) => None,
            })
            .or_else(|| name_of(root)),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Overlay { .. } => Some("overlay".to_owned()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .to_owned(),
        ),
        Expr::Value(ValueWithSpan {
            value: Value::Boolean(_),
            ..
        }) => Some("bool".to_owned()),
        _ => None,
    }
}

fn type_name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Custom(name, _) => last_part(name),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => Some("int4".to_owned()),
        DataType::BigInt(_) | DataType::Int8(_) => Some("int8".to_owned()),
        DataType::SmallInt(_) | DataType::Int2(_) => Some("int2".to_owned()),
        DataType::Boolean | DataType::Bool => Some("bool".to_owned()),
        DataType::CharacterVarying(_) | DataType::Varchar(_) => Some("varchar".to_owned()),
        DataType::Text | DataType::Regclass | DataType::Date => {
            Some(data_type.to_string().to_lowercase())
        }
        _ => None,
    }
}

/// `SELECT c.oid, c.*` has one column twice. The second is left out: clients go by the name.
pub(super) fn expand(select: &mut Select) {
    let named: BTreeSet<(Option<String>, String)> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) if scope::is_plain(expr) => {
                scope::columns_of(expr).into_iter().next()
            }
            _ => None,
        })
        .collect();
    if named.is_empty() {
        return;
    }
    let tables = scope::named_tables(select);
    let items = std::mem::take(&mut select.projection);
    for item in items {
        let of = match &item {
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) if is_default(options) => parts(name).pop(),
            SelectItem::Wildcard(options) if is_default(options) && select.from.len() == 1 => {
                match tables.as_slice() {
                    [(only, _)] => Some(only.clone()),
                    _ => None,
                }
            }
            _ => None,
        };
        let table = of.and_then(|of| tables.iter().find(|(name, _)| *name == of));
        match table {
            Some((name, table)) if repeats(&named, name, table) => {
                select.projection.extend(
                    table
                        .columns()
                        .map(|(column, _)| column)
                        .filter(|column| !is_named(&named, name, column))
                        .map(|column| {
                            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![
                                quoted(name),
                                quoted(column),
                            ]))
                        }),
                );
            }
            _ => select.projection.push(item),
        }
    }
}

fn repeats(
    named: &BTreeSet<(Option<String>, String)>,
    name: &str,
    table: &crate::pgwire::catalog::columns::Table,
) -> bool {
    table
        .columns()
        .any(|(column, _)| is_named(named, name, column))
}

fn is_named(named: &BTreeSet<(Option<String>, String)>, table: &str, column: &str) -> bool {
    named.contains(&(Some(table.to_owned()), column.to_owned()))
        || named.contains(&(None, column.to_owned()))
}

fn is_default(options: &WildcardAdditionalOptions) -> bool {
    *options == WildcardAdditionalOptions::default()
}

/// Shows names in place of ids, where a column of the answer was cast to `regclass` or its kin.
pub(super) fn show(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    casts::shown(expr);
                }
            }
        }
        SetExpr::Query(query) => show(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            show(left);
            show(right);
        }
        _ => {}
    }
}
