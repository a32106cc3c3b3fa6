//! Small pieces of syntax: made, and taken apart.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, UnaryOperator, Value, ValueWithSpan,
};

/// A call of a function.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args
                .into_iter()
                .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
                .collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A cast.
pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

/// NULL as a text, which is what PostgreSQL takes a bare NULL for.
pub(super) fn null_text() -> Expr {
    cast(Expr::value(Value::Null), DataType::Text)
}

/// A string as a literal whose text reads back as it is: of one with quotes or backslashes in
/// plain quotes the parser's printer has to guess what was escaped.
pub(super) fn literal(text: String) -> Value {
    if text.contains(['\'', '\\']) {
        Value::EscapedStringLiteral(text)
    } else {
        Value::SingleQuotedString(text)
    }
}

/// The longest text of an expression that is put in several places.
const SMALL: usize = 200;

/// Whether an expression may be put in several places. Larger ones would grow with each level
/// of nesting.
pub(super) fn is_small(expr: &Expr) -> bool {
    expr.to_string().len() <= SMALL
}

/// Whether the text of an expression begins with a minus, so that one more makes a comment.
pub(super) fn begins_with_minus(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Minus,
        Expr::Value(ValueWithSpan {
            value: Value::Number(number, _),
            ..
        }) => number.starts_with('-'),
        Expr::BinaryOp { left, .. } => begins_with_minus(left),
        Expr::Cast { expr, .. } => begins_with_minus(expr),
        _ => false,
    }
}

/// A string.
pub(super) fn string(text: &str) -> Expr {
    Expr::value(literal(text.to_owned()))
}

/// A number.
pub(super) fn number(number: i64) -> Expr {
    Expr::value(Value::Number(number.to_string(), false))
}

/// A flag.
pub(super) fn boolean(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

/// An expression in parentheses, so that its text reads the same wherever it is put.
pub(super) fn nested(expr: Expr) -> Expr {
    match expr {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)
        | Expr::Nested(_)
        | Expr::Function(_) => expr,
        expr => Expr::Nested(Box::new(expr)),
    }
}

/// What is inside of parentheses.
pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inside) => bare(inside),
        expr => expr,
    }
}

/// Takes an expression out, leaving NULL.
pub(super) fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

/// The text of a string.
pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match bare(expr) {
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

/// Whether an expression is the number 0.
pub(super) fn is_zero(expr: &Expr) -> bool {
    matches!(
        bare(expr),
        Expr::Value(ValueWithSpan {
            value: Value::Number(number, _),
            ..
        }) if number == "0"
    )
}

/// Whether an expression is a bare NULL.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(
        bare(expr),
        Expr::Value(ValueWithSpan {
            value: Value::Null,
            ..
        })
    )
}

/// A name as it is compared: what is not quoted is folded to lower case.
pub(super) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    }
}

/// A name that keeps its letters.
pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// The parts of a name.
pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(folded)
        .collect()
}

/// The last part of a name.
pub(super) fn last_part(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(folded)
}

/// The name of a column, without its table's.
pub(super) fn column_of(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().map(folded),
        _ => None,
    }
}

/// The name and the arguments of a call that has nothing but arguments.
pub(super) fn call_of(expr: &Expr) -> Option<(String, Vec<&Expr>)> {
    let Expr::Function(function) = bare(expr) else {
        return None;
    };
    Some((last_part(&function.name)?, args_of(function)))
}

/// The arguments of a function.
pub(super) fn args_of(function: &Function) -> Vec<&Expr> {
    match &function.args {
        FunctionArguments::List(list) => exprs_of(&list.args),
        _ => Vec::new(),
    }
}

/// The expressions among arguments.
pub(super) fn exprs_of(args: &[FunctionArg]) -> Vec<&Expr> {
    args.iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}
