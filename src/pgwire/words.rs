//! A text of SQL, word by word: what the engine's own grammar of statements lacks is read here.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::fault::Fault;
use crate::guard::session::measure;

/// How deep expressions may be nested, as the engine has it.
const DEPTH: usize = 50;

const DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// What is left of a text.
pub(super) struct Words<'a> {
    text: &'a str,
    parser: Parser<'static>,
    /// Where each token begins, in bytes, and whether it opens or closes parentheses.
    places: Vec<(usize, Paren)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paren {
    Opens,
    Closes,
    Neither,
}

/// A place between two words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl<'a> Words<'a> {
    /// All words of a text. Texts that would take too much to read are refused before that.
    pub(super) fn of(text: &'a str) -> Result<Words<'a>, Fault> {
        measure(text)?;
        let tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location();
        let tokens = tokens.map_err(|error| fault(error.into()))?;
        let places = places(text, &tokens).ok_or_else(Fault::internal)?;
        let parser = Parser::new(&DIALECT)
            .with_recursion_limit(DEPTH)
            .with_tokens_with_locations(tokens);
        Ok(Words {
            text,
            parser,
            places,
        })
    }

    /// The place before the next word.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.parser.index())
    }

    /// The very text between a place and here. What a statement prints is not always what was
    /// read.
    pub(super) fn since(&self, mark: Mark) -> Result<&'a str, Fault> {
        let bytes = self.byte(mark.0)..self.byte(self.parser.index());
        let text = self.text.get(bytes).ok_or_else(Fault::internal)?;
        Ok(text.trim_ascii_end())
    }

    /// The very text in the first parentheses that were read since a place.
    pub(super) fn in_parentheses_since(&self, mark: Mark) -> Result<&'a str, Fault> {
        let mut depth = 0usize;
        let mut start = None;
        for (byte, paren) in self.places.iter().skip(mark.0) {
            match paren {
                Paren::Opens => {
                    depth += 1;
                    start = start.or(Some(byte + 1));
                }
                Paren::Closes => depth = depth.saturating_sub(1),
                Paren::Neither => continue,
            }
            if let (0, Some(start)) = (depth, start) {
                let text = self.text.get(start..*byte);
                return text.ok_or_else(Fault::internal);
            }
        }
        Err(Fault::internal())
    }

    fn byte(&self, index: usize) -> usize {
        let place = self.places.get(index);
        place.map_or(self.text.len(), |(byte, _)| *byte)
    }

    /// Whether the text, or the statement, ends here.
    pub(super) fn at_end(&self) -> bool {
        matches!(
            self.parser.peek_token_ref().token,
            Token::EOF | Token::SemiColon
        )
    }

    /// Whether the text ends here.
    pub(super) fn at_end_of_text(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }

    /// The first words, in upper case; empty where there is no plain word.
    pub(super) fn peek<const N: usize>(&self) -> [String; N] {
        std::array::from_fn(|n| match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            _ => String::new(),
        })
    }

    /// Reads a word, if it comes next.
    pub(super) fn word(&mut self, expected: &str) -> bool {
        let [next] = self.peek();
        let comes = next == expected;
        if comes {
            self.parser.advance_token();
        }
        comes
    }

    /// Reads words, if all of them come next.
    pub(super) fn words<const N: usize>(&mut self, expected: [&str; N]) -> bool {
        let come = self.peek::<N>() == expected.map(str::to_owned);
        if come {
            (0..N).for_each(|_| self.parser.advance_token());
        }
        come
    }

    /// Reads one of some words, if one comes next.
    pub(super) fn one_of<const N: usize>(
        &mut self,
        expected: [&'static str; N],
    ) -> Option<&'static str> {
        expected.into_iter().find(|word| self.word(word))
    }

    /// Reads a word that has to come.
    pub(super) fn expect(&mut self, expected: &str) -> Result<(), Fault> {
        match self.word(expected) {
            true => Ok(()),
            false => Err(self.unexpected(expected)),
        }
    }

    /// Reads a sign, if it comes next.
    pub(super) fn sign(&mut self, expected: &Token) -> bool {
        self.parser.consume_token(expected)
    }

    /// Reads a name: in lower case, unless it is quoted.
    pub(super) fn name(&mut self) -> Result<String, Fault> {
        let name = match &self.parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_some() => word.value.clone(),
            Token::Word(word) => word.value.to_lowercase(),
            _ => return Err(self.unexpected("a name")),
        };
        self.parser.advance_token();
        Ok(name)
    }

    /// Reads a whole number, if one comes next.
    pub(super) fn number(&mut self) -> Result<Option<i64>, Fault> {
        let is_negative = self.parser.consume_token(&Token::Minus);
        let Token::Number(digits, _) = &self.parser.peek_token_ref().token else {
            return match is_negative {
                true => Err(self.unexpected("a number")),
                false => Ok(None),
            };
        };
        let number: Option<i64> = digits.parse().ok();
        let number = number.ok_or_else(|| self.unexpected("a whole number"))?;
        self.parser.advance_token();
        Ok(Some(if is_negative { -number } else { number }))
    }

    /// Reads a value as `SET` takes them: a word, a text or a number.
    pub(super) fn value(&mut self) -> Result<String, Fault> {
        let sign = match self.parser.consume_token(&Token::Minus) {
            true => "-",
            false => "",
        };
        let value = match &self.parser.peek_token_ref().token {
            Token::Word(word) => word.value.clone(),
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
            Token::Number(digits, _) => format!("{sign}{digits}"),
            _ => return Err(self.unexpected("a value")),
        };
        self.parser.advance_token();
        Ok(value)
    }

    /// Reads names in parentheses or other things of the engine's grammar.
    pub(super) fn parse<T>(
        &mut self,
        parse: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> Result<T, Fault> {
        parse(&mut self.parser).map_err(fault)
    }

    /// Reads a statement of the engine's grammar.
    pub(super) fn statement(&mut self) -> Result<ast::Statement, Fault> {
        self.parse(Parser::parse_statement)
    }

    /// Requires that the statement ends here.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.at_end() {
            true => Ok(()),
            false => Err(self.unexpected("the end of the statement")),
        }
    }

    /// What is said of a word that should not come.
    pub(super) fn unexpected(&self, expected: &str) -> Fault {
        let found = self.parser.peek_token_ref();
        Fault::syntax(format!(
            "syntax error at or near \"{}\" (line {}, column {}): expected {expected}",
            found.token, found.span.start.line, found.span.start.column
        ))
    }
}

/// Where the tokens of a text begin. Their lines and columns count characters.
fn places(text: &str, tokens: &[TokenWithSpan]) -> Option<Vec<(usize, Paren)>> {
    let mut characters = text.char_indices();
    let mut here = Location::new(1, 1);
    let mut byte = 0;
    let mut places = Vec::with_capacity(tokens.len());
    for token in tokens {
        while here < token.span.start {
            let (_, character) = characters.next()?;
            here = match character {
                '\n' => Location::new(here.line + 1, 1),
                _ => Location::new(here.line, here.column + 1),
            };
            byte = characters.offset();
        }
        if here != token.span.start {
            return None;
        }
        let paren = match token.token {
            Token::LParen => Paren::Opens,
            Token::RParen => Paren::Closes,
            _ => Paren::Neither,
        };
        places.push((byte, paren));
    }
    Some(places)
}

fn fault(error: ParserError) -> Fault {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            Fault::syntax(format!("syntax error: {message}"))
        }
        ParserError::RecursionLimitExceeded => {
            let message = format!("expressions are nested more than {DEPTH} deep");
            Fault::new("54001", message)
        }
    }
}
