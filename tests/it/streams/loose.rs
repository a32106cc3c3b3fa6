//! A destination that reads as loosely as any does: whatever could be taken for a record is one.
//!
//! Lines end at LF, CR LF or CR. Of several objects on a line each is a record, what stands
//! between them is overlooked, and so is an end that is missing. Keys are compared without case
//! and in their compatibility form, and the last of equal ones wins.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

/// Deeper than this, brackets are overlooked.
const DEEPEST: usize = 256;

/// A record as the destination sees it: its text fields by their folded names; `None` for
/// anything else than text.
pub(crate) type Seen = HashMap<String, Option<String>>;

/// A key as the destination compares it.
pub(crate) fn folded(key: &str) -> String {
    let lower: String = key.nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkc().collect()
}

/// The records of lines of JSON.
pub(crate) fn lines(bytes: &[u8]) -> Vec<Seen> {
    bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .flat_map(document)
        .collect()
}

/// The records of one text: every object that is in no other.
pub(crate) fn document(bytes: &[u8]) -> Vec<Seen> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader {
        text: text.chars().collect(),
        at: 0,
    };
    let mut seen = vec![];
    while let Some(next) = reader.peek() {
        if next == '{' {
            seen.push(reader.object(0));
        } else {
            reader.at += 1;
        }
    }
    seen
}

struct Reader {
    text: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += 1;
        next
    }

    /// White space and comments.
    fn skip(&mut self) {
        while let Some(next) = self.peek() {
            let after = self.text.get(self.at + 1).copied();
            match (next, after) {
                ('/', Some('*')) => {
                    self.at += 2;
                    while self.at < self.text.len()
                        && !self.text[self.at..].starts_with(&['*', '/'])
                    {
                        self.at += 1;
                    }
                    self.at += 2;
                }
                _ if next.is_whitespace() || next.is_control() || next == '\u{feff}' => {
                    self.at += 1;
                }
                _ => return,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Seen {
        self.at += 1;
        let mut seen = Seen::new();
        loop {
            self.skip();
            match self.peek() {
                None => return seen,
                Some('}') => {
                    self.at += 1;
                    return seen;
                }
                Some(',' | ':' | ']' | '[' | '{') => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            let key = self.word();
            self.skip();
            if matches!(self.peek(), Some(':' | '=')) {
                self.at += 1;
                let value = self.value(depth);
                seen.insert(folded(&key), value);
            }
        }
    }

    /// A string in either kind of quotes, or all up to the next mark.
    fn word(&mut self) -> String {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.at += 1;
                self.string(quote)
            }
            _ => {
                let mut word = String::new();
                while let Some(next) = self.peek() {
                    if matches!(next, ',' | ':' | '=' | '{' | '}' | '[' | ']') {
                        break;
                    }
                    word.push(next);
                    self.at += 1;
                }
                word.trim().to_owned()
            }
        }
    }

    fn string(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(next) = self.take() {
            match next {
                _ if next == quote => break,
                '\\' => match self.take() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('b') => text.push('\u{8}'),
                    Some('f') => text.push('\u{c}'),
                    Some('u') => text.push(self.escaped()),
                    Some(other) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        text
    }

    fn four(&mut self) -> Option<u32> {
        let digits: String = self.text.get(self.at..self.at + 4)?.iter().collect();
        let code = u32::from_str_radix(&digits, 16).ok()?;
        self.at += 4;
        Some(code)
    }

    /// What stands behind `\u`; a lone surrogate is what such readers make of it.
    fn escaped(&mut self) -> char {
        let lost = char::REPLACEMENT_CHARACTER;
        let Some(code) = self.four() else {
            return lost;
        };
        if !(0xd800..0xdc00).contains(&code) {
            return char::from_u32(code).unwrap_or(lost);
        }
        let back = self.at;
        if self.text[self.at.min(self.text.len())..].starts_with(&['\\', 'u']) {
            self.at += 2;
            if let Some(low @ 0xdc00..0xe000) = self.four() {
                let code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).unwrap_or(lost);
            }
            self.at = back;
        }
        lost
    }

    fn value(&mut self, depth: usize) -> Option<String> {
        self.skip();
        match self.peek() {
            Some('"' | '\'') => Some(self.word()),
            Some('{') if depth < DEEPEST => {
                self.object(depth + 1);
                None
            }
            Some('[') if depth < DEEPEST => {
                self.at += 1;
                loop {
                    self.skip();
                    match self.peek() {
                        None => return None,
                        Some(']') => {
                            self.at += 1;
                            return None;
                        }
                        Some(',') => self.at += 1,
                        _ => {
                            let before = self.at;
                            self.value(depth + 1);
                            // Something that is no value.
                            self.at = self.at.max(before + 1);
                        }
                    }
                }
            }
            _ => {
                self.word();
                None
            }
        }
    }
}

/// The records of CSV: the first line has their names, of which the last of equal ones wins.
/// Quotes count only at the start of a field, and what follows their end belongs to it.
pub(crate) fn csv(bytes: &[u8]) -> Vec<Seen> {
    let text = String::from_utf8_lossy(bytes);
    let mut letters = text.trim_start_matches('\u{feff}').chars().peekable();
    let mut rows: Vec<Vec<String>> = vec![];
    let mut row = vec![];
    let mut field = String::new();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if field.is_empty() && !quoted => {
                while let Some(inside) = letters.next() {
                    if inside != '"' {
                        field.push(inside);
                    } else if letters.next_if_eq(&'"').is_some() {
                        field.push('"');
                    } else {
                        break;
                    }
                }
                quoted = true;
            }
            ',' => {
                row.push(std::mem::take(&mut field));
                quoted = false;
            }
            '\n' | '\r' => {
                if !(row.is_empty() && field.is_empty() && !quoted) {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                quoted = false;
            }
            other => field.push(other),
        }
    }
    if !(row.is_empty() && field.is_empty() && !quoted) {
        row.push(field);
        rows.push(row);
    }
    let mut rows = rows.into_iter();
    let header: Vec<String> = rows
        .next()
        .unwrap_or_default()
        .iter()
        .map(|name| folded(name))
        .collect();
    rows.map(|row| {
        header
            .iter()
            .cloned()
            .zip(row.into_iter().map(Some))
            .collect()
    })
    .collect()
}

#[test]
fn the_destination_is_as_loose_as_it_says() {
    let countries = |seen: Vec<Seen>| -> Vec<Option<String>> {
        seen.into_iter()
            .map(|record| record.get("country").cloned().flatten())
            .collect()
    };
    let text = |text: &str| Some(text.to_owned());
    for (input, expected) in [
        (
            r#"{"country":"US"}{"country":"DE"}"#,
            vec![text("US"), text("DE")],
        ),
        (r#"{"country":"US","COUNTRY":"DE"} x"#, vec![text("DE")]),
        (r#"{"country":"US","\u0063ountry":"DE""#, vec![text("DE")]),
        (
            "{\"country\":\"US\",\"ｃｏｕｎｔｒｙ\":'DE'}",
            vec![text("DE")],
        ),
        ("{\"id\":1,\r{\"country\":\"DE\"}", vec![None, text("DE")]),
        (
            r#"[{country:"DE"},{"country":"FR",}]"#,
            vec![text("DE"), text("FR")],
        ),
        (r#"{"a":{"country":"DE"},"country":["DE"]}"#, vec![None]),
        (
            r#"{"a":[1,{"b":"}"}],/* x */"country":"\ud83d\ude00"}"#,
            vec![text("😀")],
        ),
    ] {
        assert_eq!(countries(lines(input.as_bytes())), expected, "{input}");
    }
    let table = "id,Country,country\r1,\"US\",DE\r\n\r\n2,\"D\"E,\"F\n\"\"R\"\n3";
    let expected = [text("DE"), text("F\n\"R"), None];
    assert_eq!(countries(csv(table.as_bytes())), expected);
}
