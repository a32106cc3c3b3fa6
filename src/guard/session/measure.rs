//! The size of a text before it is parsed.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::fault::{FaultKind, QueryFault};
use super::gate::too_complex;

/// How deep brackets may nest.
const MOST_BRACKETS: usize = 64;
/// How deep calls of functions may nest: the parser doubles its work with each.
const MOST_CALLS: usize = 12;
/// Operators in a row. The parser makes a tree of them that is as deep as the row is long, and
/// much of what walks such trees later recurses.
const MOST_CHAINED: usize = 1_000;
/// Parts of a name.
const MOST_DOTS: usize = 64;
/// SELECT and VALUES in one statement.
const MOST_SELECTS: usize = 200;

/// Bounds what a parser would build of a text of one or several statements, before it builds it:
/// its recursion has no bound of its own everywhere, and an argument of a function is parsed twice.
pub fn measure(sql: &str) -> Result<(), QueryFault> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| QueryFault::new(FaultKind::Syntax, error.to_string()))?;
    measure_tokens(&tokens)
}

pub(super) fn measure_tokens(tokens: &[TokenWithSpan]) -> Result<(), QueryFault> {
    // Operators of each bracket that is open, since its last comma.
    let mut open = vec![0usize];
    // Whether those brackets are around the arguments of a function.
    let mut calls = vec![false];
    let mut chained = 0usize;
    let (mut dots, mut selects) = (0usize, 0usize);
    let mut before = None;
    for token in tokens {
        let (mut adds, mut opens) = (false, false);
        let previous = match &token.token {
            Token::Whitespace(_) => continue,
            token => before.replace(token),
        };
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if word.keyword == Keyword::INTERVAL => {
                if matches!(previous, Some(Token::Word(word)) if word.keyword == Keyword::INTERVAL)
                {
                    return Err(too_complex("INTERVAL follows INTERVAL".to_owned()));
                }
            }
            Token::Word(word) => {
                adds = chains(word.keyword);
                selects += usize::from(matches!(word.keyword, Keyword::SELECT | Keyword::VALUES));
            }
            Token::Period => dots += 1,
            Token::LParen => opens = true,
            Token::LBracket => (adds, opens) = (true, true),
            Token::RParen | Token::RBracket if open.len() > 1 => {
                chained -= open.pop().unwrap_or_default();
                calls.pop();
            }
            Token::Comma => {
                if let Some(last) = open.last_mut() {
                    chained -= std::mem::take(last);
                }
            }
            Token::RParen
            | Token::RBracket
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_) => {}
            Token::SemiColon => {
                (open, calls, chained, selects) = (vec![0], vec![false], 0, 0);
            }
            _ => adds = true,
        }
        if !matches!(token.token, Token::Word(_) | Token::Period) {
            dots = 0;
        }
        if adds {
            chained += 1;
            if let Some(last) = open.last_mut() {
                *last += 1;
            }
        }
        if opens {
            open.push(0);
            calls.push(previous.is_some_and(is_function));
            if open.len() > MOST_BRACKETS || calls.iter().filter(|call| **call).count() > MOST_CALLS
            {
                return Err(too_complex(format!(
                    "brackets nest deeper than {MOST_BRACKETS}, or functions deeper than \
                     {MOST_CALLS}: use a subquery or WITH"
                )));
            }
        }
        if chained > MOST_CHAINED {
            return Err(too_complex(format!(
                "more than {MOST_CHAINED} operators follow each other: use IN (...), or join with \
                 VALUES"
            )));
        }
        if dots > MOST_DOTS {
            return Err(too_complex(format!(
                "a name has more than {MOST_DOTS} parts"
            )));
        }
        if selects > MOST_SELECTS {
            return Err(too_complex(format!(
                "the statement has more than {MOST_SELECTS} SELECT or VALUES"
            )));
        }
    }
    Ok(())
}

/// Whether a bracket after a token holds the arguments of a function, as far as that is known
/// without parsing; where it is not, it does.
fn is_function(before: &Token) -> bool {
    let Token::Word(word) = before else {
        return false;
    };
    let joins = chains(word.keyword)
        || matches!(
            word.keyword,
            Keyword::SELECT
                | Keyword::DISTINCT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::HAVING
                | Keyword::JOIN
                | Keyword::ON
                | Keyword::USING
                | Keyword::AS
                | Keyword::WITH
                | Keyword::VALUES
                | Keyword::EXISTS
                | Keyword::CASE
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE
                | Keyword::BY
                | Keyword::ALL
                | Keyword::ANY
                | Keyword::SOME
                | Keyword::OVER
                | Keyword::FILTER
                | Keyword::GROUP
                | Keyword::LATERAL
                | Keyword::LIMIT
                | Keyword::OFFSET
        );
    word.quote_style.is_some() || !joins
}

/// Whether a keyword stands between or behind operands.
fn chains(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::NOTNULL
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::MATCH
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::OVERLAPS
            | Keyword::OPERATOR
            | Keyword::DIV
            | Keyword::MEMBER
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::MINUS
            | Keyword::INTERSECT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_keep_the_parser_busy_is_refused() {
        let nested = |open: &str, times: usize, close: &str| {
            format!("SELECT {}1{}", open.repeat(times), close.repeat(times))
        };
        for (text, accepted) in [
            (nested("abs(", 10, ")"), true),
            (nested("abs(", 20, ")"), false),
            (nested("\"abs\" (", 20, ")"), false),
            (nested("CAST(", 20, ")"), false),
            (nested("(", 50, ")"), true),
            (nested("(", 100, ")"), false),
            (nested("ARRAY[", 100, "]"), false),
            (nested("1 + ", 900, ""), true),
            (nested("1 + ", 2_000, ""), false),
            (format!("SELECT {}'1'", "INTERVAL ".repeat(2)), false),
            (format!("SELECT NULL::{}", "TABLE(a ".repeat(80)), false),
            (
                format!("SELECT a FROM t WHERE {}", "x AND (".repeat(30)),
                true,
            ),
            // Each statement of a text is measured by itself.
            ("SELECT 1 + 1;".repeat(1_500), true),
        ] {
            let fault = measure(&text).err().map(|fault| fault.kind);
            let expected = (!accepted).then_some(FaultKind::TooComplex);
            assert_eq!(fault, expected, "{}", text.get(..60).unwrap_or(&text));
        }
    }
}
