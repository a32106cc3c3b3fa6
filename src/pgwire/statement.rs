//! What a text asks for. Queries go on to be answered; what concerns the session is read here;
//! everything else is refused.

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    self, CopySource, CopyTarget, Expr, SetExpr, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::fault::Fault;
use super::words::Words;

/// Statements of one text.
const MOST_STATEMENTS: usize = 1000;

/// A query: its very text, cut from what the client sent. What the parser makes of it takes some
/// hundred times as much, so that it is not kept.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) text: String,
    /// Whether it asks for a plan.
    pub(super) is_explain: bool,
}

impl Query {
    /// What the parser makes of it.
    pub(super) fn statement(&self) -> Result<ast::Statement, Fault> {
        Words::of(&self.text)?.statement()
    }
}

/// What one statement asks for.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Query(Query),
    CopyOut(Box<CopyOut>),
    /// With the tag that answers it.
    Begin(&'static str),
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// A setting; without a value, back to its default.
    Set {
        name: String,
        value: Option<String>,
        /// The tag that answers it.
        tag: &'static str,
    },
    ResetAll,
    /// Something of a session that changes nothing here; with the tag that answers it.
    Inert(&'static str),
    Show(String),
    ShowAll,
    Declare {
        name: String,
        is_held: bool,
        is_binary: bool,
        query: Query,
    },
    Fetch {
        name: String,
        /// Rows; `None` is all that are left.
        rows: Option<u64>,
        /// Whether the rows are passed over.
        is_move: bool,
    },
    /// `None` closes all.
    Close(Option<String>),
    Prepare {
        name: String,
        query: Query,
    },
    Execute {
        name: String,
        values: Vec<ScalarValue>,
    },
    /// `None` forgets all.
    Deallocate(Option<String>),
    DiscardAll,
}

/// `COPY ... TO STDOUT`.
#[derive(Clone, Debug)]
pub(super) struct CopyOut {
    pub(super) query: Query,
    pub(super) options: Vec<ast::CopyOption>,
    pub(super) legacy: Vec<ast::CopyLegacyOption>,
}

/// Bytes that a byte of text may become once it is read.
const READ: usize = 100;

impl Command {
    /// Bytes that it holds at most, read from a text of so many.
    pub(super) fn bytes(&self, text: usize) -> usize {
        match self {
            Command::Query(query) | Command::Prepare { query, .. } => query.text.len(),
            Command::Declare { query, .. } => query.text.len(),
            _ => text.saturating_mul(READ),
        }
    }

    /// Whether it is answered in a transaction that has failed.
    pub(super) fn ends_transaction(&self) -> bool {
        matches!(
            self,
            Command::Commit | Command::Rollback | Command::RollbackTo(_)
        )
    }
}

/// The statements of a text.
pub(super) fn commands(text: &str) -> Result<Vec<Command>, Fault> {
    let mut words = Words::of(text)?;
    let mut commands = Vec::new();
    loop {
        while words.sign(&Token::SemiColon) {}
        if words.at_end_of_text() {
            break;
        }
        if commands.len() == MOST_STATEMENTS {
            let message = format!("more than {MOST_STATEMENTS} statements: send them one by one");
            return Err(Fault::new("54001", message));
        }
        commands.push(command(&mut words)?);
        words.end()?;
    }
    Ok(commands)
}

fn command(words: &mut Words<'_>) -> Result<Command, Fault> {
    let [first] = words.peek();
    let read = match first.as_str() {
        "BEGIN" | "START" => begin,
        "COMMIT" | "END" => commit,
        "ROLLBACK" | "ABORT" => rollback,
        "SAVEPOINT" => savepoint,
        "RELEASE" => release,
        "SET" => set,
        "RESET" => reset,
        "SHOW" => show,
        "DECLARE" => declare,
        "FETCH" | "MOVE" => fetch,
        "CLOSE" => close,
        "PREPARE" => prepare,
        "EXECUTE" => execute,
        "DEALLOCATE" => deallocate,
        "DISCARD" => discard,
        "UNLISTEN" => unlisten,
        "LISTEN" | "NOTIFY" => return Err(Fault::unsupported("there are no notifications here")),
        "COPY" => copy,
        // What is no statement at all is told apart from what is not done here.
        _ => other,
    };
    read(words)
}

/// What is no query, and nothing that a session needs.
fn refused(first: &str) -> Fault {
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b' ';
    let is_plain = first.len() < 40 && first.bytes().all(is_plain);
    let what = if is_plain { first } else { "this" };
    let message = format!("{what} is not permitted: queries are answered here, and nothing else");
    Fault::new("42501", message)
}

fn other(words: &mut Words<'_>) -> Result<Command, Fault> {
    Ok(Command::Query(query(words)?))
}

fn query(words: &mut Words<'_>) -> Result<Query, Fault> {
    let [first] = words.peek();
    let start = words.mark();
    let is_explain = match words.statement()? {
        ast::Statement::Query(query) if writes(&query) => return Err(refused(&first)),
        ast::Statement::Query(_) => false,
        ast::Statement::Explain { .. } => true,
        _ => return Err(refused(&first)),
    };
    // What follows is told of before the text is cut there.
    words.end()?;
    Ok(Query {
        text: words.since(start)?.to_owned(),
        is_explain,
    })
}

/// Whether what looks like a query changes something, which its parts may still do.
fn writes(query: &ast::Query) -> bool {
    matches!(
        *query.body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    )
}

fn begin(words: &mut Words<'_>) -> Result<Command, Fault> {
    let tag = match words.word("BEGIN") {
        true => {
            words.one_of(["WORK", "TRANSACTION"]);
            "BEGIN"
        }
        false => {
            words.expect("START")?;
            words.expect("TRANSACTION")?;
            "START TRANSACTION"
        }
    };
    modes(words)?;
    Ok(Command::Begin(tag))
}

/// Isolation and the like: every transaction only reads, whatever it is called.
fn modes(words: &mut Words<'_>) -> Result<(), Fault> {
    while !words.at_end() {
        let known = words.words(["READ", "ONLY"])
            || words.words(["READ", "WRITE"])
            || words.words(["DEFERRABLE"])
            || words.words(["NOT", "DEFERRABLE"])
            || words.words(["ISOLATION", "LEVEL", "SERIALIZABLE"])
            || words.words(["ISOLATION", "LEVEL", "REPEATABLE", "READ"])
            || words.words(["ISOLATION", "LEVEL", "READ", "COMMITTED"])
            || words.words(["ISOLATION", "LEVEL", "READ", "UNCOMMITTED"]);
        if !known {
            return Err(words.unexpected("a mode of a transaction"));
        }
        words.sign(&Token::Comma);
    }
    Ok(())
}

fn commit(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.one_of(["COMMIT", "END"]);
    words.one_of(["WORK", "TRANSACTION"]);
    unchained(words)?;
    Ok(Command::Commit)
}

fn rollback(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.one_of(["ROLLBACK", "ABORT"]);
    words.one_of(["WORK", "TRANSACTION"]);
    if words.word("TO") {
        words.word("SAVEPOINT");
        return Ok(Command::RollbackTo(words.name()?));
    }
    unchained(words)?;
    Ok(Command::Rollback)
}

fn unchained(words: &mut Words<'_>) -> Result<(), Fault> {
    if words.word("PREPARED") {
        return Err(refused("PREPARED"));
    }
    if words.words(["AND", "CHAIN"]) {
        return Err(Fault::unsupported("AND CHAIN is not done here: begin anew"));
    }
    words.words(["AND", "NO", "CHAIN"]);
    Ok(())
}

fn savepoint(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("SAVEPOINT")?;
    Ok(Command::Savepoint(words.name()?))
}

fn release(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("RELEASE")?;
    words.word("SAVEPOINT");
    Ok(Command::Release(words.name()?))
}

fn set(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("SET")?;
    if words.words(["SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"])
        || words.words(["TRANSACTION"])
    {
        modes(words)?;
        return Ok(Command::Inert("SET"));
    }
    if words.peek() == ["SESSION", "AUTHORIZATION"] {
        return Err(refused("SET SESSION AUTHORIZATION"));
    }
    // SESSION and LOCAL are words like others where TO or = follows.
    let [first, second] = words.peek();
    if ["SESSION", "LOCAL"].contains(&first.as_str()) && !second.is_empty() && second != "TO" {
        words.one_of(["SESSION", "LOCAL"]);
    }
    let tag = "SET";
    if words.words(["TIME", "ZONE"]) {
        let value = match words.one_of(["LOCAL", "DEFAULT"]) {
            Some(_) => None,
            None => Some(words.value()?),
        };
        let name = "timezone".to_owned();
        return Ok(Command::Set { name, value, tag });
    }
    if words.word("NAMES") {
        let name = "client_encoding".to_owned();
        let value = Some(words.value()?);
        return Ok(Command::Set { name, value, tag });
    }
    if words.word("ROLE") {
        return match words.word("NONE") {
            true => Ok(Command::Inert(tag)),
            false => Err(refused("SET ROLE")),
        };
    }
    let name = setting(words)?;
    if !words.word("TO") && !words.sign(&Token::Eq) {
        return Err(words.unexpected("TO or ="));
    }
    if words.word("DEFAULT") {
        let value = None;
        return Ok(Command::Set { name, value, tag });
    }
    let mut values = vec![words.value()?];
    while words.sign(&Token::Comma) {
        values.push(words.value()?);
    }
    let value = Some(values.join(", "));
    Ok(Command::Set { name, value, tag })
}

/// The name of a setting.
fn setting(words: &mut Words<'_>) -> Result<String, Fault> {
    let mut name = words.name()?;
    while words.sign(&Token::Period) {
        name = format!("{name}.{}", words.name()?);
    }
    Ok(name)
}

fn reset(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("RESET")?;
    if words.word("ALL") {
        return Ok(Command::ResetAll);
    }
    if words.word("ROLE") || words.words(["SESSION", "AUTHORIZATION"]) {
        return Ok(Command::Inert("RESET"));
    }
    let name = match words.words(["TIME", "ZONE"]) {
        true => "timezone".to_owned(),
        false => setting(words)?,
    };
    let (value, tag) = (None, "RESET");
    Ok(Command::Set { name, value, tag })
}

fn show(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("SHOW")?;
    if words.word("ALL") {
        return Ok(Command::ShowAll);
    }
    let name = if words.words(["TIME", "ZONE"]) {
        "TimeZone".to_owned()
    } else if words.words(["TRANSACTION", "ISOLATION", "LEVEL"]) {
        "transaction_isolation".to_owned()
    } else if words.words(["SESSION", "AUTHORIZATION"]) {
        "session_authorization".to_owned()
    } else {
        setting(words)?
    };
    Ok(Command::Show(name))
}

fn declare(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("DECLARE")?;
    let name = words.name()?;
    let mut is_binary = false;
    loop {
        if words.word("BINARY") {
            is_binary = true;
            continue;
        }
        // A cursor only goes forward, which those who ask for more find out when they go back.
        let more = words.one_of(["INSENSITIVE", "ASENSITIVE", "SCROLL"]);
        if more.is_none() && !words.words(["NO", "SCROLL"]) {
            break;
        }
    }
    words.expect("CURSOR")?;
    let is_held = words.words(["WITH", "HOLD"]);
    if !is_held {
        words.words(["WITHOUT", "HOLD"]);
    }
    words.expect("FOR")?;
    let query = query(words)?;
    Ok(Command::Declare {
        name,
        is_held,
        is_binary,
        query,
    })
}

fn fetch(words: &mut Words<'_>) -> Result<Command, Fault> {
    let is_move = words.word("MOVE");
    if !is_move {
        words.expect("FETCH")?;
    }
    let backwards = || {
        let message = "a cursor only goes forward here: FETCH NEXT, a number of rows, or ALL";
        Fault::new("55000", message)
    };
    let amount = |words: &mut Words<'_>, default: Option<u64>| -> Result<Option<u64>, Fault> {
        if words.word("ALL") {
            return Ok(None);
        }
        match words.number()? {
            None => Ok(default),
            Some(rows) => match u64::try_from(rows) {
                Ok(rows) => Ok(Some(rows)),
                Err(_) => Err(backwards()),
            },
        }
    };
    let rows = match words.one_of(["NEXT", "FORWARD"]) {
        Some("FORWARD") => amount(words, Some(1))?,
        Some(_) => Some(1),
        None => {
            match words.one_of(["PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "BACKWARD"]) {
                Some(_) => return Err(backwards()),
                None => amount(words, Some(1))?,
            }
        }
    };
    words.one_of(["FROM", "IN"]);
    let name = words.name()?;
    Ok(Command::Fetch {
        name,
        rows,
        is_move,
    })
}

fn close(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("CLOSE")?;
    Ok(Command::Close(name_or_all(words)?))
}

fn name_or_all(words: &mut Words<'_>) -> Result<Option<String>, Fault> {
    match words.word("ALL") {
        true => Ok(None),
        false => words.name().map(Some),
    }
}

fn prepare(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("PREPARE")?;
    if words.word("TRANSACTION") {
        return Err(refused("PREPARE TRANSACTION"));
    }
    let name = words.name()?;
    if words.sign(&Token::LParen) {
        // The values are cast to what the query asks for.
        words.parse(|parser| parser.parse_comma_separated(Parser::parse_data_type))?;
        if !words.sign(&Token::RParen) {
            return Err(words.unexpected(")"));
        }
    }
    words.expect("AS")?;
    let query = query(words)?;
    Ok(Command::Prepare { name, query })
}

fn execute(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("EXECUTE")?;
    let name = words.name()?;
    let mut values = Vec::new();
    if words.sign(&Token::LParen) && !words.sign(&Token::RParen) {
        let given = words.parse(|parser| parser.parse_comma_separated(Parser::parse_expr))?;
        values = given.iter().map(literal).collect::<Result<_, _>>()?;
        if !words.sign(&Token::RParen) {
            return Err(words.unexpected(")"));
        }
    }
    Ok(Command::Execute { name, values })
}

/// The value of a literal; what it is cast to is for the query to say.
fn literal(expression: &Expr) -> Result<ScalarValue, Fault> {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => literal(inner),
        Expr::TypedString(typed) => text_of(&typed.value.value).ok_or_else(no_literal),
        Expr::Value(value) => match &value.value {
            Value::Null => Ok(ScalarValue::Null),
            Value::Boolean(value) => Ok(ScalarValue::Boolean(Some(*value))),
            Value::Number(digits, _) => Ok(number(digits)),
            value => text_of(value).ok_or_else(no_literal),
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => Ok(number(&format!("-{digits}"))),
                _ => Err(no_literal()),
            },
            _ => Err(no_literal()),
        },
        _ => Err(no_literal()),
    }
}

fn text_of(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text) => Some(ScalarValue::Utf8(Some(text.clone()))),
        Value::DollarQuotedString(text) => Some(ScalarValue::Utf8(Some(text.value.clone()))),
        _ => None,
    }
}

/// A number that is no small integer stays text, so that casting it loses nothing.
fn number(digits: &str) -> ScalarValue {
    match digits.parse() {
        Ok(number) => ScalarValue::Int64(Some(number)),
        Err(_) => ScalarValue::Utf8(Some(digits.to_owned())),
    }
}

fn no_literal() -> Fault {
    Fault::unsupported("EXECUTE takes literals only: compute the values in the query")
}

fn deallocate(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("DEALLOCATE")?;
    words.word("PREPARE");
    Ok(Command::Deallocate(name_or_all(words)?))
}

fn discard(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("DISCARD")?;
    match words.one_of(["ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"]) {
        Some("ALL") => Ok(Command::DiscardAll),
        Some("PLANS") => Ok(Command::Inert("DISCARD PLANS")),
        Some("SEQUENCES") => Ok(Command::Inert("DISCARD SEQUENCES")),
        Some(_) => Ok(Command::Inert("DISCARD TEMP")),
        None => Err(words.unexpected("ALL, PLANS, SEQUENCES or TEMP")),
    }
}

fn unlisten(words: &mut Words<'_>) -> Result<Command, Fault> {
    words.expect("UNLISTEN")?;
    if !words.sign(&Token::Mul) {
        words.name()?;
    }
    Ok(Command::Inert("UNLISTEN"))
}

fn copy(words: &mut Words<'_>) -> Result<Command, Fault> {
    let start = words.mark();
    let statement = words.statement()?;
    let ast::Statement::Copy {
        source,
        to,
        target,
        options,
        legacy_options: legacy,
        ..
    } = statement
    else {
        return Err(refused("COPY"));
    };
    if !to {
        return Err(refused("COPY FROM"));
    }
    if target != CopyTarget::Stdout {
        let message = "COPY goes to STDOUT only, neither to a file nor to a program";
        return Err(Fault::new("42501", message));
    }
    let text = match source {
        CopySource::Query(query) if writes(&query) => return Err(refused("COPY of a change")),
        CopySource::Query(_) => words.in_parentheses_since(start)?.to_owned(),
        CopySource::Table {
            table_name,
            columns,
        } => {
            let columns = match columns.as_slice() {
                [] => "*".to_owned(),
                columns => columns.iter().map(name).collect::<Vec<_>>().join(", "),
            };
            let parts = table_name.0.iter().map(ast::ObjectNamePart::as_ident);
            let parts: Option<Vec<_>> = parts.map(|part| part.map(name)).collect();
            let table = parts.ok_or_else(|| refused("COPY"))?.join(".");
            format!("SELECT {columns} FROM {table}")
        }
    };
    let is_explain = false;
    Ok(Command::CopyOut(Box::new(CopyOut {
        query: Query { text, is_explain },
        options,
        legacy,
    })))
}

/// A name as it is written. The parser's own way leaves some quotes in it as they are.
fn name(name: &ast::Ident) -> String {
    match name.quote_style {
        None => name.value.clone(),
        Some(_) => format!("\"{}\"", name.value.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests;
