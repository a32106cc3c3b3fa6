//! Why a query cannot be answered, in words that tell of no row.
//!
//! What the engine says before a row is read speaks of the query's text, of columns and of types,
//! and is handed on. What it says later may quote rows (`Cannot cast string '…'`): then only the
//! kind is left, in words that are the same whatever the rows.

use std::error::Error;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::RunFault;

/// What kind of fault it is; each door has a code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The text is no SQL.
    Syntax,
    /// It names a table that is not there.
    UndefinedTable,
    /// It names a column that is not there, or more than one could be meant.
    UndefinedColumn,
    /// It names a function that is not there.
    UndefinedFunction,
    /// Types that do not fit each other.
    Type,
    /// Something the engine does not do.
    Unsupported,
    /// Something that queries may not do.
    NotPermitted,
    /// The text, the plan or what it would build is too large.
    TooComplex,
    /// Values of parameters are missing, too many, or do not fit.
    Parameters,
    /// A number is divided by zero.
    DivisionByZero,
    /// A value cannot be cast.
    InvalidCast,
    /// A number does not fit its type.
    Overflow,
    /// A value cannot be computed for another reason.
    Computation,
    /// More memory than a query may use.
    Memory,
    /// A fault of ours.
    Internal,
}

/// Why a query cannot be answered. The message speaks of the query's text and of the columns
/// and types that the asker may know, never of a value of a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryFault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl QueryFault {
    /// A fault of a kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> QueryFault {
        QueryFault {
            kind,
            message: message.into(),
        }
    }
}

/// The most characters of a message of the engine.
const MOST_TEXT: usize = 1_000;

/// An error from planning a query, before any row is read.
pub(super) fn planning(error: DataFusionError) -> QueryFault {
    planned(&error)
}

fn planned(error: &DataFusionError) -> QueryFault {
    let said = |kind, text: &str| QueryFault::new(kind, first_line(text));
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            planned(inner)
        }
        DataFusionError::Shared(inner) => planned(inner),
        DataFusionError::Collection(all) => all.first().map_or_else(internal, planned),
        DataFusionError::SQL(parser, _) => match parser.as_ref() {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                said(FaultKind::Syntax, text)
            }
            ParserError::RecursionLimitExceeded => QueryFault::new(
                FaultKind::TooComplex,
                "the statement nests too deep: write it with WITH queries",
            ),
        },
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { .. }
            | SchemaError::AmbiguousReference { .. }
            | SchemaError::DuplicateQualifiedField { .. }
            | SchemaError::DuplicateUnqualifiedField { .. } => {
                said(FaultKind::UndefinedColumn, &schema.to_string())
            }
        },
        DataFusionError::Plan(text) => said(plan_kind(text), text),
        DataFusionError::NotImplemented(text) => said(FaultKind::Unsupported, text),
        DataFusionError::Execution(text) => said(execution_kind(text), text),
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::ExternalError(inner) => planned_outside(inner.as_ref()),
            arrow => said(arrow_kind(arrow), &arrow.to_string()),
        },
        DataFusionError::External(inner) => planned_outside(inner.as_ref()),
        other => told(other),
    }
}

fn planned_outside(error: &(dyn Error + 'static)) -> QueryFault {
    if let Some(fault) = error.downcast_ref::<QueryFault>() {
        fault.clone()
    } else if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        planned(inner)
    } else {
        internal()
    }
}

/// What is wrong with a plan. The engine has one variant for all of it.
fn plan_kind(text: &str) -> FaultKind {
    let has = |part: &str| text.contains(part);
    if text.starts_with("table '") && has("not found") {
        FaultKind::UndefinedTable
    } else if text.starts_with("Invalid function")
        || (has("unction") && has("not found"))
        || has("No function matches")
    {
        FaultKind::UndefinedFunction
    } else if has("laceholder") || has("arameter") {
        FaultKind::Parameters
    } else if ["type", "coerc", "cast", "argument", "signature"]
        .iter()
        .any(|part| has(part))
    {
        FaultKind::Type
    } else {
        FaultKind::Syntax
    }
}

/// The text of an error without what the engine adds for its developers.
fn first_line(text: &str) -> String {
    let text = text
        .split(DataFusionError::BACK_TRACE_SEP)
        .next()
        .unwrap_or_default();
    let mut text = text.lines().next().unwrap_or_default().trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest.trim_start();
    }
    if text.is_empty() {
        return "the engine cannot plan the query".to_owned();
    }
    text.chars().take(MOST_TEXT).collect()
}

/// What the engine puts before its messages.
const PREFIXES: &[&str] = &[
    "Error during planning: ",
    "Schema error: ",
    "Execution error: ",
    "Arrow error: ",
    "SQL error: ",
    "sql parser error: ",
    "This feature is not implemented: ",
    "type_coercion: ",
];

/// An error from running a plan. What a table said comes back as it came.
pub(super) fn running(error: DataFusionError) -> RunFault {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            running(*inner)
        }
        DataFusionError::Collection(all) => match all.into_iter().next() {
            Some(first) => running(first),
            None => internal().into(),
        },
        DataFusionError::Shared(inner) => match Arc::try_unwrap(inner) {
            Ok(inner) => running(inner),
            Err(shared) => match outside(shared.as_ref()) {
                Some(error) => match error.downcast_ref::<QueryFault>() {
                    Some(fault) => fault.clone().into(),
                    None => RunFault::Table(Box::new(SharedFault(shared))),
                },
                None => told(&shared).into(),
            },
        },
        DataFusionError::External(inner) => apart(inner),
        DataFusionError::ArrowError(arrow, backtrace) => match *arrow {
            ArrowError::ExternalError(inner) => apart(inner),
            arrow => told(&DataFusionError::ArrowError(Box::new(arrow), backtrace)).into(),
        },
        other => told(&other).into(),
    }
}

/// An error that is not the engine's, unless the engine's is inside.
fn apart(error: Box<dyn Error + Send + Sync>) -> RunFault {
    let error = match error.downcast::<DataFusionError>() {
        Ok(inner) => return running(*inner),
        Err(error) => error,
    };
    let error = match error.downcast::<ArrowError>() {
        Ok(inner) => return running(DataFusionError::ArrowError(inner, None)),
        Err(error) => error,
    };
    match error.downcast::<QueryFault>() {
        Ok(fault) => RunFault::Query(*fault),
        Err(error) => RunFault::Table(error),
    }
}

/// A table's error that several operators were told of. Its source is the error itself.
#[derive(Debug)]
struct SharedFault(Arc<DataFusionError>);

impl std::fmt::Display for SharedFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a table cannot be read")
    }
}

impl Error for SharedFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        outside(&self.0)
    }
}

/// The error inside the engine's wrapping that is not the engine's own.
fn outside(error: &DataFusionError) -> Option<&(dyn Error + 'static)> {
    let mut inner: &(dyn Error + 'static) = match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            return outside(inner);
        }
        DataFusionError::Shared(inner) => return outside(inner),
        DataFusionError::Collection(all) => return outside(all.first()?),
        DataFusionError::External(inner) => inner.as_ref(),
        DataFusionError::ArrowError(arrow, _) => arrow.as_ref(),
        _ => return None,
    };
    loop {
        if let Some(engine) = inner.downcast_ref::<DataFusionError>() {
            return outside(engine);
        }
        match inner.downcast_ref::<ArrowError>() {
            Some(ArrowError::ExternalError(deeper)) => inner = deeper.as_ref(),
            Some(_) => return None,
            None => return Some(inner),
        }
    }
}

impl RunFault {
    /// The table's error, if it is of a type, however it was wrapped.
    pub fn of_table<T: Error + 'static>(&self) -> Option<&T> {
        let RunFault::Table(error) = self else {
            return None;
        };
        let mut error: &(dyn Error + 'static) = error.as_ref();
        loop {
            if let Some(found) = error.downcast_ref::<T>() {
                return Some(found);
            }
            error = error.source()?;
        }
    }
}

/// An error by its kind alone.
fn told(error: &DataFusionError) -> QueryFault {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => told(inner),
        DataFusionError::Shared(inner) => told(inner),
        DataFusionError::Collection(all) => all.first().map_or_else(internal, told),
        DataFusionError::ArrowError(arrow, _) => fixed(arrow_kind(arrow)),
        DataFusionError::Execution(text)
            if text.starts_with("Scalar subquery returned more than one row") =>
        {
            QueryFault::new(
                FaultKind::Computation,
                "a subquery that stands for one value gave more than one row",
            )
        }
        DataFusionError::Execution(text) => fixed(execution_kind(text)),
        DataFusionError::ResourcesExhausted(_) => fixed(FaultKind::Memory),
        DataFusionError::NotImplemented(_) => fixed(FaultKind::Unsupported),
        _ => internal(),
    }
}

fn arrow_kind(error: &ArrowError) -> FaultKind {
    match error {
        ArrowError::DivideByZero => FaultKind::DivisionByZero,
        ArrowError::CastError(_) | ArrowError::ParseError(_) => FaultKind::InvalidCast,
        ArrowError::ArithmeticOverflow(_) => FaultKind::Overflow,
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => FaultKind::Memory,
        ArrowError::NotYetImplemented(_) => FaultKind::Unsupported,
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
            execution_kind(text)
        }
        _ => FaultKind::Computation,
    }
}

/// What an error says of itself where the engine has one variant for several kinds. Only how its
/// texts begin and end is asked, since rows may be quoted in between.
fn execution_kind(text: &str) -> FaultKind {
    let begins = |with: &[&str]| with.iter().any(|with| text.starts_with(with));
    if begins(&["Divide by zero", "Division by zero", "divide by zero"]) {
        FaultKind::DivisionByZero
    } else if begins(&[
        "Overflow happened",
        "Arithmetic overflow",
        "Arithmetic Overflow",
        "Decimal overflow",
        "Overflow",
        "overflow",
    ]) || ["overflow", "overflows", "overflows i64"]
        .iter()
        .any(|end| text.ends_with(end))
        || (text.contains(" to store in a Decimal") && text.contains(" of precision "))
    {
        FaultKind::Overflow
    } else if begins(&[
        "Error parsing",
        "Cannot cast",
        "Can't cast",
        "Could not parse",
        "Cannot parse",
        "Could not cast",
        "Unable to cast",
        "Cannot convert",
    ]) {
        FaultKind::InvalidCast
    } else {
        FaultKind::Computation
    }
}

/// The words for a kind of fault while rows are read.
fn fixed(kind: FaultKind) -> QueryFault {
    let message = match kind {
        FaultKind::DivisionByZero => "division by zero",
        FaultKind::InvalidCast => {
            "a value cannot be cast to the type that is asked for: TRY_CAST gives NULL for it"
        }
        FaultKind::Overflow => "a number does not fit its type: cast to a larger type first",
        FaultKind::Memory => {
            "the query needs more memory than it may use: ask for fewer rows or columns, or sort, \
             group and join fewer of them"
        }
        FaultKind::Unsupported => "the engine does not support what the query asks",
        FaultKind::Computation => "a value cannot be computed",
        _ => return internal(),
    };
    QueryFault::new(kind, message)
}

fn internal() -> QueryFault {
    QueryFault::new(FaultKind::Internal, "an internal fault ended the query")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("secret of the source")]
    struct SourceSays;

    fn execution(text: &str) -> DataFusionError {
        DataFusionError::Execution(text.to_owned())
    }

    #[test]
    fn a_running_error_is_left_with_its_kind() {
        let cases = [
            (
                DataFusionError::from(ArrowError::DivideByZero),
                FaultKind::DivisionByZero,
            ),
            (
                ArrowError::CastError("Cannot cast string 'secret' to Int32".into()).into(),
                FaultKind::InvalidCast,
            ),
            (
                ArrowError::ArithmeticOverflow("Overflow happened on: secret".into()).into(),
                FaultKind::Overflow,
            ),
            (
                ArrowError::InvalidArgumentError(
                    "secret is too large to store in a Decimal128 of precision 5. Max is 1".into(),
                )
                .into(),
                FaultKind::Overflow,
            ),
            (
                execution("Error parsing timestamp from 'secret'"),
                FaultKind::InvalidCast,
            ),
            (
                execution("secret").context("secret"),
                FaultKind::Computation,
            ),
            (
                DataFusionError::Shared(Arc::new(execution("secret"))),
                FaultKind::Computation,
            ),
            (
                DataFusionError::Collection(vec![execution("secret")]),
                FaultKind::Computation,
            ),
            (
                DataFusionError::ResourcesExhausted("secret".into()),
                FaultKind::Memory,
            ),
            (
                DataFusionError::Internal("secret".into()),
                FaultKind::Internal,
            ),
            (
                ArrowError::ExternalError(Box::new(execution("Divide by zero secret"))).into(),
                FaultKind::DivisionByZero,
            ),
        ];
        for (error, kind) in cases {
            let said = format!("{error:?}");
            let RunFault::Query(fault) = running(error) else {
                panic!("{said} is the query's");
            };
            assert_eq!(fault.kind, kind, "{said}");
            assert!(!fault.message.contains("secret"), "{said}");
        }
    }

    #[test]
    fn the_same_kind_has_the_same_words_whatever_the_value() {
        for text in ["Cannot cast string 'a'", "Cannot cast string 'overflow'"] {
            assert_eq!(
                running(execution(text)).to_string(),
                fixed(FaultKind::InvalidCast).message
            );
        }
    }

    #[test]
    fn an_error_of_a_table_comes_back_as_it_came() {
        let ways: [fn(DataFusionError) -> DataFusionError; 4] = [
            |error| error,
            |error| error.context("more"),
            |error| ArrowError::ExternalError(Box::new(error)).into(),
            |error| DataFusionError::Shared(Arc::new(error)),
        ];
        for way in ways {
            let fault = running(way(DataFusionError::External(Box::new(SourceSays))));
            assert_eq!(fault.of_table::<SourceSays>(), Some(&SourceSays));
        }
        let kept = Arc::new(DataFusionError::External(Box::new(SourceSays)));
        let fault = running(DataFusionError::Shared(kept.clone()));
        assert_eq!(fault.of_table::<SourceSays>(), Some(&SourceSays));
        assert!(!fault.to_string().contains("secret"));
    }

    #[test]
    fn a_fault_of_ours_comes_back_as_itself() {
        let ours = QueryFault::new(FaultKind::Parameters, "two are missing");
        let inside = || DataFusionError::External(Box::new(ours.clone()));
        assert_eq!(planning(inside()), ours);
        assert_eq!(planning(inside().context("more")), ours);
        let kept = Arc::new(inside());
        for error in [inside(), DataFusionError::Shared(kept.clone())] {
            let RunFault::Query(fault) = running(error) else {
                panic!("it is the query's");
            };
            assert_eq!(fault, ours);
        }
    }

    #[test]
    fn a_planning_error_has_a_kind_and_one_line() {
        let plan = |text: &str| DataFusionError::Plan(text.to_owned());
        let cases = [
            (
                plan("table 'w.public.t' not found"),
                FaultKind::UndefinedTable,
            ),
            (
                plan("Invalid function 'foo'.\nDid you mean 'floor'?"),
                FaultKind::UndefinedFunction,
            ),
            (
                plan("Cannot coerce arithmetic expression Utf8 + Boolean to valid types"),
                FaultKind::Type,
            ),
            (plan("Projections require unique names"), FaultKind::Syntax),
            (
                DataFusionError::NotImplemented("GROUP BY moons".into()),
                FaultKind::Unsupported,
            ),
            (
                ParserError::ParserError("Expected: x".into()).into(),
                FaultKind::Syntax,
            ),
            (
                ParserError::RecursionLimitExceeded.into(),
                FaultKind::TooComplex,
            ),
            (
                DataFusionError::Internal("a\nThis issue was likely caused by a bug".into()),
                FaultKind::Internal,
            ),
        ];
        for (error, kind) in cases {
            let said = error.to_string();
            let fault = planning(error);
            assert_eq!(fault.kind, kind, "{said}");
            assert!(!fault.message.contains('\n') && !fault.message.contains("bug"));
            assert!(!fault.message.starts_with("Error during"), "{said}");
        }
    }
}
