//! The gate for a SQL model over a database: exactly one statement that asks and changes nothing.
//!
//! The statement is wrapped as `(…) AS model`, so it must not be able to close that parenthesis
//! or start another statement. Only the lexical structure is judged here, which is small and the
//! same in every version; whether the statement is good SQL is for the database to say.

/// Whose lexical rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// The statement without surrounding blanks and a closing `;`, or why it is refused.
pub(super) fn single(sql: &str, dialect: Dialect) -> Result<&str, String> {
    if sql.contains('\0') {
        return Err("it contains a NUL character".into());
    }
    let mut lexer = Lexer {
        text: sql,
        at: 0,
        dialect,
    };
    let mut depth = 0_usize;
    let mut end = None;
    let mut first_word = None;
    while let Some(token) = lexer.next()? {
        if end.is_some() {
            return Err("it must be one statement; there is more text after `;`".into());
        }
        match token {
            Token::Semicolon => end = Some(lexer.at - 1),
            Token::Open => depth += 1,
            Token::Close => {
                depth = depth.checked_sub(1).ok_or("a `)` has no `(`")?;
            }
            Token::Word(word) => {
                first_word.get_or_insert(word);
            }
            Token::Parameter => return Err("it must not have parameters".into()),
            Token::Other => {
                first_word.get_or_insert("");
            }
        }
    }
    if depth != 0 {
        return Err("a `(` is not closed".into());
    }
    let Some(word) = first_word else {
        return Err("it is empty".into());
    };
    if !["select", "with", "values"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
    {
        return Err("it must be a SELECT statement".into());
    }
    Ok(sql.get(..end.unwrap_or(sql.len())).unwrap_or(sql).trim())
}

/// An identifier, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name, `table` or `schema.table`, quoted.
pub(super) fn quoted_table(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(name),
    }
}

enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    Semicolon,
    Parameter,
    Other,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Option<Token<'a>>, String> {
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                return Ok(None);
            };
            if first.is_whitespace() {
                self.at += first.len_utf8();
            } else if rest.starts_with("--") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += self.comment(rest)?;
            } else {
                return self.token(rest, first).map(Some);
            }
        }
    }

    fn token(&mut self, rest: &'a str, first: char) -> Result<Token<'a>, String> {
        let postgres = self.dialect == Dialect::Postgres;
        if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or(rest);
            self.at += length;
            if postgres && word.eq_ignore_ascii_case("e") && self.rest().starts_with('\'') {
                self.at += closing(self.rest(), '\'', true)?;
                return Ok(Token::Other);
            }
            return Ok(Token::Word(word));
        }
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ';' => (Token::Semicolon, 1),
            '\'' | '"' => (Token::Other, closing(rest, first, false)?),
            '`' if !postgres => (Token::Other, closing(rest, first, false)?),
            '[' if !postgres => (
                Token::Other,
                rest.find(']').ok_or("a `[` is not closed")? + 1,
            ),
            '?' | '@' | ':' | '$' if !postgres => (Token::Parameter, 1),
            '$' => match dollar_quoted(rest)? {
                Some(length) => (Token::Other, length),
                None => (Token::Other, 1),
            },
            _ if first.is_ascii_digit() => {
                let length = rest
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .unwrap_or(rest.len());
                (Token::Other, length)
            }
            _ => (Token::Other, first.len_utf8()),
        };
        self.at += length;
        Ok(token)
    }

    /// The length of a comment. PostgreSQL's nest.
    fn comment(&self, rest: &str) -> Result<usize, String> {
        let mut depth = 0_usize;
        let mut at = 0;
        loop {
            let tail = rest.get(at..).unwrap_or_default();
            if tail.starts_with("/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                depth += 1;
                at += 2;
            } else if tail.starts_with("*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Ok(at);
                }
            } else {
                at += tail
                    .chars()
                    .next()
                    .ok_or("a comment is not closed")?
                    .len_utf8();
            }
        }
    }
}

/// The length of a quoted text from its opening to its closing quote; a doubled quote stands for
/// itself.
fn closing(rest: &str, quote: char, backslashes: bool) -> Result<usize, String> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if backslashes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Ok(at + c.len_utf8());
        }
    }
    Err(format!("a {quote} is not closed"))
}

/// The length of `$tag$…$tag$`, or `None` if the text does not begin one.
fn dollar_quoted(rest: &str) -> Result<Option<usize>, String> {
    let tag_length = rest
        .char_indices()
        .skip(1)
        .find(|(_, c)| !(c.is_alphanumeric() || *c == '_'))
        .filter(|(_, c)| *c == '$')
        .map(|(at, _)| at + 1);
    let Some(tag) = tag_length.and_then(|length| rest.get(..length)) else {
        return Ok(None);
    };
    if tag.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let body = rest.get(tag.len()..).unwrap_or_default();
    let length = body.find(tag).ok_or("a dollar-quoted text is not closed")?;
    Ok(Some(tag.len() + length + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_is_accepted() {
        for (sql, inner) in [
            ("SELECT 1", "SELECT 1"),
            (" select ';' ; ", "select ';'"),
            (
                "WITH a AS (SELECT 1) SELECT * FROM a;",
                "WITH a AS (SELECT 1) SELECT * FROM a",
            ),
            ("-- first;\nSELECT 1 -- last", "-- first;\nSELECT 1 -- last"),
            (
                "SELECT \"a;)\" /* ;) */ FROM t",
                "SELECT \"a;)\" /* ;) */ FROM t",
            ),
            ("(SELECT 1)", "(SELECT 1)"),
        ] {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                assert_eq!(single(sql, dialect).as_deref(), Ok(inner), "{sql}");
            }
        }
        let postgres = [
            "SELECT $a$;)$a$",
            "SELECT E'\\');'",
            "SELECT /* /* */ ; */ a[1]::int",
        ];
        for sql in postgres {
            assert_eq!(single(sql, Dialect::Postgres).as_deref(), Ok(sql));
        }
        for sql in ["SELECT [a;)] FROM t", "SELECT `a;)` FROM t", "SELECT '\\'"] {
            assert_eq!(single(sql, Dialect::Sqlite).as_deref(), Ok(sql));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for sql in [
            "",
            ";",
            "-- nothing",
            "SELECT 1; SELECT 2",
            "SELECT 1) AS m; ATTACH 'x' AS y; --",
            "SELECT (1",
            "SELECT 'a",
            "SELECT 1 /* open",
            "DELETE FROM t",
            "DROP TABLE t",
            "PRAGMA writable_schema = 1",
            "EXPLAIN SELECT 1",
            "COPY t TO '/tmp/x'",
            "SELECT '\0'",
        ] {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                assert!(single(sql, dialect).is_err(), "{sql}");
            }
        }
        assert!(single("SELECT ?", Dialect::Sqlite).is_err());
        assert!(single("SELECT :a", Dialect::Sqlite).is_err());
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(quoted_table("s.t"), "\"s\".\"t\"");
    }
}
