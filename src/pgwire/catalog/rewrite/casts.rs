//! Casts to types that only PostgreSQL has.
//!
//! A cast to `regclass` and its kin is an id to whoever compares it and a name to whoever reads
//! it. It becomes the call that gives the id; a cast of that to a text becomes the call that gives
//! the name, and so does what is left of it in a column of the answer (see [`shown`]).

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr,
    TimezoneInfo,
};

use super::ast::{args_of, boolean, call, call_of, cast, last_part, take, text_of};
use super::scope;
use crate::pgwire::catalog::columns::{is_array, is_vector};
use crate::pgwire::catalog::scalar::array_items;

/// Calls that give ids, and those that give the names.
const NAMES: &[(&str, &str)] = &[
    ("__regclass", "__relname"),
    ("to_regclass", "__relname"),
    ("__regtype", "__typname"),
    ("to_regtype", "__typname"),
    ("__regnamespace", "__nspname"),
    ("to_regnamespace", "__nspname"),
    ("__regrole", "__rolname"),
    ("to_regrole", "__rolname"),
];

/// Whether a cast is one that the engine does not know.
pub(super) fn is_foreign(data_type: &DataType) -> bool {
    match data_type {
        DataType::Custom(..) | DataType::Regclass => true,
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(item, _) | ArrayElemTypeDef::AngleBracket(item),
        ) => is_foreign(item),
        _ => false,
    }
}

/// Rewrites a cast whose operand has been rewritten.
/// Where columns are not all of a catalog, nothing is known of them from their names.
pub(super) fn rewrite(expr: &mut Expr, lossy: bool) {
    let Expr::Cast {
        kind: CastKind::Cast | CastKind::DoubleColon,
        expr: operand,
        data_type,
        ..
    } = expr
    else {
        return;
    };
    if let DataType::Array(
        ArrayElemTypeDef::SquareBracket(item, _) | ArrayElemTypeDef::AngleBracket(item),
    ) = data_type
    {
        let is_number = is_number(item);
        if !lossy && literal_items(operand, is_number).is_none() {
            return;
        }
        *expr = array(take(operand), is_number);
        return;
    }
    let Some(name) = name(data_type) else {
        return;
    };
    let operand = take(operand);
    *expr = match name.as_str() {
        "regclass" => id("__regclass", operand),
        "regtype" => id("__regtype", operand),
        "regnamespace" => id("__regnamespace", operand),
        "regrole" => id("__regrole", operand),
        "regproc" | "regprocedure" | "regoper" | "regoperator" | "regconfig" | "regdictionary" => {
            call("__regproc", vec![operand])
        }
        "oid" => number(operand, DataType::Int(None)),
        "xid" | "cid" | "int8" | "bigint" => number(operand, DataType::BigInt(None)),
        "int4" | "int" | "integer" | "cardinal_number" => number(operand, DataType::Int(None)),
        "int2" | "smallint" => number(operand, DataType::SmallInt(None)),
        "bool" | "boolean" => cast(operand, DataType::Boolean),
        "float4" | "real" => cast(operand, DataType::Real),
        "float8" => cast(operand, DataType::DoublePrecision),
        "numeric" | "decimal" => cast(operand, DataType::Numeric(ExactNumberInfo::None)),
        "date" => cast(operand, DataType::Date),
        "timestamp" => cast(operand, DataType::Timestamp(None, TimezoneInfo::None)),
        "timestamptz" => cast(operand, DataType::Timestamp(None, TimezoneInfo::Tz)),
        "bytea" => cast(operand, DataType::Bytea),
        // These read like arrays already.
        "int2vector" | "oidvector" | "anyarray" => operand,
        _ if lossy || named(&operand).is_some() => text(operand),
        _ => cast(operand, DataType::Text),
    };
}

/// What is left of a cast to `regclass` or its kin in a column of the answer: the name.
pub(super) fn shown(expr: &mut Expr) {
    if named(expr).is_some() {
        *expr = text(take(expr));
    }
}

fn id(function: &str, operand: Expr) -> Expr {
    match call_of(&operand) {
        // A cast of a cast.
        Some((name, _)) if named(&operand).is_some() && name == function => operand,
        _ => call(function, vec![operand]),
    }
}

fn number(operand: Expr, data_type: DataType) -> Expr {
    cast(operand, data_type)
}

/// The name behind an id, if an expression is a call that gives one.
fn named(expr: &Expr) -> Option<&'static str> {
    let (name, _) = call_of(expr)?;
    NAMES
        .iter()
        .find(|(id, _)| *id == name)
        .map(|(_, name)| *name)
}

fn text(operand: Expr) -> Expr {
    if let (Some(name), Some((_, args))) = (named(&operand), call_of(&operand)) {
        return call(name, args.into_iter().cloned().collect());
    }
    if let Expr::Function(function) = &operand
        && let Some("__regproc") = last_part(&function.name).as_deref()
    {
        return call(
            "__regproc",
            args_of(function).into_iter().cloned().collect(),
        );
    }
    match scope::column_type(&operand) {
        Some(kind) if is_array(kind) => {
            call("__array_text", vec![operand, boolean(is_vector(kind))])
        }
        _ => cast(operand, DataType::Text),
    }
}

/// An array that is written as a text becomes one that is written out. Whatever else is cast to
/// an array is one already, since no type of a catalog's array needs another.
fn array(operand: Expr, of_numbers: bool) -> Expr {
    match literal_items(&operand, of_numbers) {
        Some(elem) => Expr::Array(Array { elem, named: true }),
        None => operand,
    }
}

/// The elements of an array that is written as a text.
pub(super) fn literal_items(expr: &Expr, of_numbers: bool) -> Option<Vec<Expr>> {
    let text = text_of(expr)?.trim();
    if !text.starts_with('{') {
        return None;
    }
    Some(
        array_items(text)
            .into_iter()
            .map(|item| match item {
                None => super::ast::null_text(),
                Some(item) => match item.parse() {
                    Ok(value) if of_numbers => super::ast::number(value),
                    _ => super::ast::string(&item),
                },
            })
            .collect(),
    )
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Custom(..) => matches!(
            name(data_type).as_deref(),
            Some("oid" | "int2" | "int4" | "int8")
        ),
        DataType::SmallInt(_)
        | DataType::Int2(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::Int4(_)
        | DataType::BigInt(_)
        | DataType::Int8(_) => true,
        _ => false,
    }
}

/// The name of a type that the engine may not know; texts are among them, since a cast to a text
/// may be one of an id.
fn name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Custom(name, _) => last_part(name),
        DataType::Regclass => Some("regclass".to_owned()),
        DataType::Text
        | DataType::Varchar(None)
        | DataType::Varchar(Some(CharacterLength::Max))
        | DataType::Char(None)
        | DataType::CharacterVarying(_)
        | DataType::JSON
        | DataType::JSONB
        | DataType::Uuid => Some("text".to_owned()),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => {
            Some("int4".to_owned())
        }
        DataType::BigInt(None) | DataType::Int8(None) => Some("int8".to_owned()),
        _ => None,
    }
}
