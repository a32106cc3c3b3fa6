//! From the lines of a policy to its sentences, and from a sentence to its words.

use std::ops::Range;

use super::words::{Kind, longest, singular};

/// A word, a phrase or a mark of a sentence.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it stands in the content.
    pub(super) at: Range<usize>,
}

/// A sentence, or a line that is none.
pub(super) struct Sentence {
    pub(super) tokens: Vec<Token>,
    /// How its line began.
    pub(super) place: Place,
    /// It ends with a colon, or is a heading: what follows belongs to it.
    pub(super) introduces: bool,
}

impl Sentence {
    /// Whether it says that what is before it does not apply.
    pub(super) fn opposes(&self) -> bool {
        let mut kinds = self.tokens.iter().map(|token| token.kind);
        kinds.find(|kind| *kind != Kind::Filler) == Some(Kind::Inapplicable)
    }
}

/// Where a sentence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// After an empty line, or at the start.
    Paragraph,
    Line,
    Bullet,
    Heading,
}

enum Raw {
    /// In lower case, and in the singular.
    Word((String, String)),
    Mark(Kind),
}

/// Takes lines, and makes sentences of them.
#[derive(Default)]
pub(super) struct Sentences {
    pub(super) done: Vec<Sentence>,
    open: Vec<(Raw, Range<usize>)>,
    place: Option<Place>,
    after_blank: bool,
    last_line: usize,
}

impl Sentences {
    /// Takes a line that starts at a byte of the content.
    pub(super) fn line(&mut self, line: &str, start: usize) {
        let text = line.trim();
        if text.is_empty() {
            self.end();
            self.after_blank = true;
            return;
        }
        if is_rule(text) {
            self.end();
            self.done.push(Sentence {
                tokens: Vec::new(),
                place: Place::Heading,
                introduces: true,
            });
            return;
        }
        let (text, place) = without_bullet(text);
        let start = start + (text.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        let place = match place {
            Place::Line if !self.goes_on(text) && forbids_all(text) => Place::Heading,
            Place::Line if self.after_blank => Place::Paragraph,
            place => place,
        };
        if place != Place::Line || !self.goes_on(text) {
            self.end();
            self.place = Some(place);
        }
        self.after_blank = false;
        self.last_line = text.len();
        self.read(text, start);
        if place == Place::Heading {
            self.end();
        }
    }

    /// Whether a line belongs to the sentence of the line before: that one ends with a word
    /// that wants more, or this one begins so, or that one was long and this one is in lower
    /// case.
    fn goes_on(&self, text: &str) -> bool {
        const LONG: usize = 40;
        let wants_more = match self.open.last() {
            None | Some((Raw::Mark(Kind::Colon), _)) => return false,
            Some((Raw::Mark(_), _)) => true,
            Some((Raw::Word(word), _)) => !matches!(
                longest(|i| (i == 0).then_some(word)).0,
                Kind::Term { .. }
                    | Kind::Unknown
                    | Kind::Noun
                    | Kind::Prefix
                    | Kind::Done(_)
                    | Kind::Filler
            ),
        };
        let first: String = text
            .chars()
            .take_while(|c| c.is_alphanumeric())
            .take(20)
            .collect();
        let lower = first.chars().next().is_some_and(char::is_lowercase);
        let word = (first.to_lowercase(), String::new());
        let continues = lower
            && matches!(
                longest(|i| (i == 0).then_some(&word)).0,
                Kind::And
                    | Kind::Or
                    | Kind::But
                    | Kind::Except
                    | Kind::If
                    | Kind::Unless
                    | Kind::Relative
                    | Kind::Be
                    | Kind::Modal
                    | Kind::Done(_)
                    | Kind::Preposition
            );
        wants_more || continues || (lower && self.last_line >= LONG)
    }

    /// Ends the sentence that is open.
    pub(super) fn end(&mut self) {
        let raw = std::mem::take(&mut self.open);
        let place = self.place.replace(Place::Line).unwrap_or(Place::Line);
        if raw.is_empty() {
            return;
        }
        let introduces =
            place == Place::Heading || matches!(raw.last(), Some((Raw::Mark(Kind::Colon), _)));
        self.done.push(Sentence {
            tokens: tokens(&raw),
            place,
            introduces,
        });
    }

    fn read(&mut self, text: &str, start: usize) {
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c.is_alphanumeric() {
                let mut end = at + c.len_utf8();
                let mut word: String = c.to_lowercase().collect();
                while let Some((i, c)) = chars.peek().copied() {
                    let inside = matches!(c, '\'' | '\u{2019}' | '.' | '_' | '@')
                        && text
                            .get(i + c.len_utf8()..)
                            .is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
                    if !c.is_alphanumeric() && !inside {
                        break;
                    }
                    word.extend(if c == '\u{2019}' { '\'' } else { c }.to_lowercase());
                    end = i + c.len_utf8();
                    chars.next();
                }
                let abbreviates = ["etc", "e.g", "i.e", "eg", "ie", "incl", "no", "nos"];
                let rest = text.get(end..).unwrap_or_default();
                if abbreviates.contains(&word.as_str())
                    && rest.starts_with('.')
                    && !rest.starts_with("..")
                    && !begins_sentence(rest.get(1..).unwrap_or_default())
                {
                    chars.next();
                }
                self.word(word, start + at..start + end);
                continue;
            }
            let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
            let mark = match c {
                '.' if rest.starts_with('.') => {
                    while chars.next_if(|(_, c)| *c == '.').is_some() {}
                    let rest = rest.trim_start_matches('.');
                    (!begins_sentence(rest)).then_some(Kind::Comma)
                }
                '\u{2026}' => (!begins_sentence(rest)).then_some(Kind::Comma),
                '.' | '!' | '?' | '\u{3002}' => {
                    let ends = rest
                        .chars()
                        .next()
                        .is_none_or(|c| c.is_whitespace() || "\"')]*_\u{201d}\u{2019}".contains(c));
                    if !ends {
                        continue;
                    }
                    None
                }
                ';' => None,
                ',' | '/' | '|' | '\u{2014}' | '\u{ff0c}' | '\u{3001}' => Some(Kind::Comma),
                '\u{2013}' => Some(Kind::Comma),
                '-' if rest.starts_with(' ') => Some(Kind::Comma),
                '&' => Some(Kind::And),
                ':' => Some(Kind::Colon),
                '(' | '[' => Some(Kind::Open),
                ')' | ']' => Some(Kind::Close),
                _ => continue,
            };
            match mark {
                Some(kind) => {
                    let end = start + at + c.len_utf8();
                    self.open.push((Raw::Mark(kind), start + at..end));
                }
                None => {
                    // The next sentence of a bullet belongs to its list too.
                    let place = self.place;
                    self.end();
                    if place == Some(Place::Bullet) {
                        self.place = place;
                    }
                }
            }
        }
    }

    fn word(&mut self, word: String, at: Range<usize>) {
        // "e-mail" is one word, and "U.S." is "US".
        if word.starts_with("mail")
            && let Some((Raw::Word((last, last_singular)), before)) = self.open.last_mut()
            && last == "e"
            && before.end + 1 == at.start
        {
            *last = format!("e{word}");
            *last_singular = singular(last);
            before.end = at.end;
            return;
        }
        let mut word = word;
        if word.contains('.') && word.split('.').all(|part| part.chars().count() == 1) {
            let short: String = word.chars().filter(|c| *c != '.').collect();
            if !["eg", "ie"].contains(&short.as_str()) {
                word = short;
            }
        }
        let singular = singular(&word);
        self.open.push((Raw::Word((word, singular)), at));
    }
}

/// Whether a line draws a line across the page.
fn is_rule(text: &str) -> bool {
    ['-', '*', '=', '_']
        .into_iter()
        .any(|mark| text.len() >= 3 && text.chars().all(|c| c == mark))
}

/// Whether a line says no more than that something is forbidden, as headings do.
fn forbids_all(text: &str) -> bool {
    const LONGEST: usize = 40;
    if text.len() > LONGEST {
        return false;
    }
    let words: Vec<(String, String)> = text
        .trim_matches(['*', '_'])
        .split(' ')
        .map(|word| word.to_lowercase())
        .map(|word| (word.clone(), singular(&word)))
        .collect();
    let (mut at, mut sign, mut judged) = (0, 1, false);
    while at < words.len() {
        let (kind, taken) = longest(|i| words.get(at + i));
        match kind {
            Kind::Not => sign = -sign,
            Kind::Done(own @ (1 | -1)) => {
                sign *= own;
                judged = true;
            }
            Kind::Link | Kind::Noun => {}
            _ => return false,
        }
        at += taken;
    }
    judged && sign < 0
}

fn begins_sentence(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with(char::is_uppercase)
}

fn without_bullet(text: &str) -> (&str, Place) {
    let text = text.trim_start_matches(|c: char| c == '>' || c.is_whitespace());
    if text.starts_with('#') {
        return (text.trim_start_matches('#').trim_start(), Place::Heading);
    }
    const BULLETS: [char; 8] = [
        '-', '*', '+', '\u{2022}', '\u{2013}', '\u{2014}', '\u{b7}', '\u{2023}',
    ];
    if let Some(rest) = text.strip_prefix(BULLETS)
        && rest.starts_with(char::is_whitespace)
    {
        return (rest.trim_start(), Place::Bullet);
    }
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = match text.len() - number.len() {
        1..=3 => Some(number),
        0 => text.strip_prefix(|c: char| c.is_ascii_lowercase()),
        _ => None,
    };
    if let Some(rest) = number
        && let Some(rest) = rest.strip_prefix(')').or_else(|| {
            rest.strip_prefix('.')
                .filter(|_| text.starts_with(|c: char| c.is_ascii_digit()))
        })
        && rest.starts_with(char::is_whitespace)
    {
        return (rest.trim_start(), Place::Bullet);
    }
    (text, Place::Line)
}

fn tokens(raw: &[(Raw, Range<usize>)]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = raw;
    while let Some((first, at)) = rest.first() {
        let (kind, taken) = match first {
            Raw::Mark(kind) => (*kind, 1),
            Raw::Word(_) => longest(|i| match rest.get(i) {
                Some((Raw::Word(word), _)) => Some(word),
                _ => None,
            }),
        };
        let (these, others) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
        let end = these.last().map_or(at.end, |(_, last)| last.end);
        tokens.push(Token {
            kind,
            at: at.start..end,
        });
        rest = others;
    }
    tokens
}
