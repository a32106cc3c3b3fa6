//! JSON objects, validated strictly, and the few of their values that are wanted.
//!
//! Records of one stream mostly have the same keys in the same order. What stands between their
//! values is remembered as a shape: where a record has a known shape, its keys are compared a
//! vector at a time, and are known to be well-formed and to come once. Values are always
//! validated, and a record of no known shape is read key by key.

mod token;

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::text::{special, unescape};
use super::{Limits, Wanted};
use crate::policy::fold::fold;
use token::{finite, number, text_behind, word};

/// How many shapes are remembered.
const SHAPES: usize = 4;

/// A shape with more keys, or longer ones, is not remembered.
const MOST_SHAPE: usize = 64 << 10;

/// A value as it stands in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raw<'a> {
    /// The key is not there, or its value is `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in JSON's grammar.
    Number(&'a [u8]),
    /// Text without escapes, between the quotes. Valid UTF-8 like the whole record.
    Text(&'a [u8]),
    /// Text with escapes, between the quotes; the escapes are valid.
    Escaped(&'a [u8]),
    /// An array or an object, brackets included, validated in full.
    Nested(&'a [u8]),
    /// NaN or an infinity, which formats other than JSON have words for.
    NotFinite(f64),
}

/// What is wrong with a record, and the byte that shows it. A fault at the end of the bytes that
/// have come says only that more have to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Position in the window.
    pub(super) at: usize,
    /// The reason, without any value.
    pub(super) reason: String,
}

fn fault<T>(at: usize, reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        at,
        reason: reason.into(),
    })
}

/// Which bytes are white space between the parts of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Blanks and tabs: a line feed ends the record, and some readers take a carriage return for
    /// one.
    InLine,
    /// Line feeds and carriage returns as well.
    Any,
}

impl Space {
    /// Where the white space ends that begins at a position.
    #[inline(always)]
    pub(super) fn skip(self, window: &[u8], mut at: usize) -> usize {
        while let Some(byte) = window.get(at) {
            match (byte, self) {
                (b' ' | b'\t', _) | (b'\n' | b'\r', Space::Any) => at += 1,
                _ => break,
            }
        }
        at
    }
}

/// A kind of value, and where it stands.
#[derive(Clone, Copy)]
struct Found {
    kind: Kind,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    True,
    False,
    Number,
    Text,
    Escaped,
    Nested,
}

const ABSENT: Found = Found {
    kind: Kind::Null,
    start: 0,
    end: 0,
};

/// Scans objects one after the other. It remembers the shapes they had.
pub(super) struct Scanner {
    bounds: Bounds,
    schema: Option<SchemaRef>,
    only: bool,
    wanted: Vec<WantedKey>,
    /// Each wanted column in the object that was scanned last.
    found: Vec<Found>,
    /// The one that fitted last comes first.
    shapes: Vec<Shape>,
}

#[derive(Clone, Copy)]
struct Bounds {
    nesting: usize,
    keys: usize,
    space: Space,
    /// Whether more than the syntax counts: keys that come once, and are not too many, and
    /// numbers that a float can hold.
    strict: bool,
}

struct WantedKey {
    name: String,
    folded: String,
}

/// What stands between the values of an object.
struct Shape {
    parts: Vec<Part>,
    /// What stands behind the last value, `}` included.
    close: Lead,
    /// The wanted columns that objects of this shape lack.
    absent: Vec<usize>,
}

struct Part {
    /// All from the value before to this one: white space, comma, key and colon.
    lead: Lead,
    /// The wanted column whose value follows.
    column: Option<usize>,
}

/// Bytes that are compared 16 at a time; in each piece those beyond the end are masked out.
struct Lead {
    length: usize,
    first: (u128, u128),
    second: Option<(u128, u128)>,
    rest: Box<[u8]>,
}

impl Lead {
    fn new(bytes: &[u8]) -> Lead {
        let piece = |from: usize| {
            let (mut value, mut mask) = ([0; 16], [0; 16]);
            let bytes = bytes.iter().skip(from);
            for ((value, mask), byte) in value.iter_mut().zip(&mut mask).zip(bytes) {
                (*value, *mask) = (*byte, 0xff);
            }
            (u128::from_le_bytes(value), u128::from_le_bytes(mask))
        };
        Lead {
            length: bytes.len(),
            first: piece(0),
            second: (bytes.len() > 16).then(|| piece(16)),
            rest: bytes.get(32..).unwrap_or_default().into(),
        }
    }

    /// Where the bytes end that stand at a position, if they are these.
    #[inline(always)]
    fn follow(&self, window: &[u8], at: usize) -> Option<usize> {
        let differs = |at: usize, (value, mask): (u128, u128)| {
            let chunk = window.get(at..)?.first_chunk()?;
            Some((u128::from_le_bytes(*chunk) ^ value) & mask)
        };
        if differs(at, self.first)? != 0 {
            return None;
        }
        if let Some(second) = self.second {
            if differs(at + 16, second)? != 0 {
                return None;
            }
            if !self.rest.is_empty() && !window.get(at + 32..)?.starts_with(&self.rest) {
                return None;
            }
        }
        Some(at + self.length)
    }
}

impl Scanner {
    /// A scanner that wants nothing yet.
    pub(super) fn new(limits: &Limits, space: Space) -> Scanner {
        Scanner {
            bounds: Bounds::new(limits, space),
            schema: None,
            only: false,
            wanted: Vec::new(),
            found: Vec::new(),
            shapes: Vec::new(),
        }
    }

    /// Says which columns are wanted from the next object on.
    pub(super) fn want(&mut self, wanted: &Wanted) {
        let same = |known: &SchemaRef| {
            Arc::ptr_eq(known, &wanted.schema) || known.fields() == wanted.schema.fields()
        };
        if self.only == wanted.only && self.schema.as_ref().is_some_and(same) {
            return;
        }
        let fields = wanted.schema.fields();
        self.wanted = fields
            .iter()
            .map(|field| WantedKey {
                name: field.name().clone(),
                folded: fold(field.name()),
            })
            .collect();
        self.found = vec![ABSENT; self.wanted.len()];
        self.shapes.clear();
        self.only = wanted.only;
        self.schema = Some(Arc::clone(&wanted.schema));
    }

    /// Validates the object that begins at `start` of the window, and answers where it ends:
    /// behind its `}`. The bytes from `start` to `end` are valid UTF-8; a NUL and the rest of
    /// [`super::window::PADDING`] follow.
    ///
    /// Errors: `window[start]` is no `{`, the object is not well-formed, has a key twice or one
    /// that differs from a wanted column only in case or Unicode form, has a number that a float
    /// cannot hold, or is larger than the limits.
    pub(super) fn scan(&mut self, window: &[u8], start: usize, end: usize) -> Result<usize, Fault> {
        for place in 0..self.shapes.len() {
            if let Some(behind) = self.by_shape(window, start, place)
                && behind <= end
            {
                if place > 0 {
                    self.shapes.swap(0, place);
                }
                return Ok(behind);
            }
        }
        self.key_by_key(window, start)
    }

    /// The value of a wanted column in the object that was scanned last.
    #[inline]
    pub(super) fn value<'a>(&self, window: &'a [u8], column: usize) -> Raw<'a> {
        let found = self.found.get(column).copied().unwrap_or(ABSENT);
        let whole = window.get(found.start..found.end).unwrap_or_default();
        let inner = || match whole {
            [b'"', text @ .., b'"'] => text,
            _ => &[],
        };
        match found.kind {
            Kind::Null => Raw::Null,
            Kind::True => Raw::Bool(true),
            Kind::False => Raw::Bool(false),
            Kind::Number => Raw::Number(whole),
            Kind::Text => Raw::Text(inner()),
            Kind::Escaped => Raw::Escaped(inner()),
            Kind::Nested => Raw::Nested(whole),
        }
    }

    #[inline]
    fn by_shape(&mut self, window: &[u8], start: usize, place: usize) -> Option<usize> {
        let shape = self.shapes.get(place)?;
        let mut at = start;
        for part in &shape.parts {
            at = part.lead.follow(window, at)?;
            let (kind, behind) = self.bounds.value(window, at, 1).ok()?;
            if let Some(column) = part.column {
                *self.found.get_mut(column)? = Found {
                    kind,
                    start: at,
                    end: behind,
                };
            }
            at = behind;
        }
        at = shape.close.follow(window, at)?;
        for column in &shape.absent {
            *self.found.get_mut(*column)? = ABSENT;
        }
        Some(at)
    }

    fn key_by_key(&mut self, window: &[u8], start: usize) -> Result<usize, Fault> {
        if window.get(start) != Some(&b'{') {
            return fault(start, "it is not a JSON object");
        }
        self.found.fill(ABSENT);
        let mut shape = Shape {
            parts: Vec::new(),
            close: Lead::new(&[]),
            absent: Vec::new(),
        };
        let mut seen = vec![false; self.wanted.len()];
        let mut keys = Keys::default();
        // Where the last value ends: from here on the next lead begins.
        let mut lead = start;
        let behind = self
            .bounds
            .members(window, start, 1, |window, key, value| {
                let name = keys.enter(window, key.clone())?;
                let column = self.wanted.iter().position(|wanted| wanted.name == *name);
                match column {
                    Some(column) => {
                        if let Some(seen) = seen.get_mut(column) {
                            *seen = true;
                        }
                        if let Some(found) = self.found.get_mut(column) {
                            *found = value;
                        }
                    }
                    None => self.stranger(&name, &key, keys.count())?,
                }
                shape.parts.push(Part {
                    lead: Lead::new(window.get(lead..value.start).unwrap_or_default()),
                    column,
                });
                lead = value.end;
                Ok(())
            })?;
        keys.once()?;
        if behind - start <= MOST_SHAPE {
            shape.close = Lead::new(window.get(lead..behind).unwrap_or_default());
            let absent = seen.iter().enumerate().filter(|(_, seen)| !**seen);
            shape.absent = absent.map(|(column, _)| column).collect();
            self.shapes.truncate(SHAPES - 1);
            self.shapes.insert(0, shape);
        }
        Ok(behind)
    }

    /// Judges a key that is no wanted column.
    fn stranger(&self, name: &str, key: &Range<usize>, place: usize) -> Result<(), Fault> {
        let folded = match self.wanted.is_empty() {
            true => String::new(),
            false => fold(name),
        };
        if let Some(wanted) = self.wanted.iter().find(|wanted| wanted.folded == folded) {
            let reason = format!(
                "a key differs from column \"{}\" only in case or Unicode form",
                wanted.name
            );
            return fault(key.start, reason);
        }
        match self.only {
            true => fault(key.start, format!("key {place} is no column of the model")),
            false => Ok(()),
        }
    }
}

/// Validates any JSON value that begins at `start`, as strictly as [`Scanner::scan`] does, and
/// answers where it ends.
pub(super) fn skip_value(
    window: &[u8],
    start: usize,
    space: Space,
    limits: &Limits,
) -> Result<usize, Fault> {
    let (_, behind) = Bounds::new(limits, space).value(window, start, 0)?;
    Ok(behind)
}

/// Where a JSON value ends that begins at `start`, also if it is one that must not be handed on:
/// its syntax is validated, and how deep it nests.
pub(super) fn frame_value(
    window: &[u8],
    start: usize,
    space: Space,
    limits: &Limits,
) -> Result<usize, Fault> {
    let mut bounds = Bounds::new(limits, space);
    bounds.strict = false;
    let (_, behind) = bounds.value(window, start, 0)?;
    Ok(behind)
}

/// Whether bytes are one number in JSON's grammar that a float can hold.
pub(super) fn is_number(bytes: &[u8]) -> bool {
    match number(bytes, 0) {
        Ok((end, far)) => {
            end == bytes.len() && !bytes.is_empty() && (!far || finite(bytes, 0, end).is_ok())
        }
        Err(_) => false,
    }
}

impl Bounds {
    fn new(limits: &Limits, space: Space) -> Bounds {
        Bounds {
            nesting: limits.nesting,
            keys: limits.columns,
            space,
            strict: true,
        }
    }

    /// The kind of the value that begins at a position, `depth` levels deep, and where it ends.
    #[inline(always)]
    fn value(self, window: &[u8], at: usize, depth: usize) -> Result<(Kind, usize), Fault> {
        match window.get(at) {
            Some(b'"') => {
                let stop = special(window, at + 1);
                match window.get(stop) {
                    Some(b'"') => Ok((Kind::Text, stop + 1)),
                    _ => Ok((Kind::Escaped, text_behind(window, stop)?)),
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let (behind, far) = number(window, at)?;
                if far && self.strict {
                    finite(window, at, behind)?;
                }
                Ok((Kind::Number, behind))
            }
            Some(b't') => Ok((Kind::True, word(window, at, b"true")?)),
            Some(b'f') => Ok((Kind::False, word(window, at, b"false")?)),
            Some(b'n') => Ok((Kind::Null, word(window, at, b"null")?)),
            Some(b'{') => Ok((Kind::Nested, self.object(window, at, depth + 1)?)),
            Some(b'[') => Ok((Kind::Nested, self.array(window, at, depth + 1)?)),
            _ => fault(at, "expected a JSON value"),
        }
    }

    /// Validates an object that nobody wants anything of, but for its keys, which come once.
    fn object(self, window: &[u8], start: usize, depth: usize) -> Result<usize, Fault> {
        if !self.strict {
            return self.members(window, start, depth, |_, _, _| Ok(()));
        }
        let mut keys = Keys::default();
        let behind = self.members(window, start, depth, |window, key, _| {
            keys.enter(window, key).map(|_| ())
        })?;
        keys.once()?;
        Ok(behind)
    }

    /// Goes through the members of an object: `enter` is given where each key stands, quotes
    /// included, and its value.
    fn members(
        self,
        window: &[u8],
        start: usize,
        depth: usize,
        mut enter: impl FnMut(&[u8], Range<usize>, Found) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        self.shallow(start, depth)?;
        let mut at = self.space.skip(window, start + 1);
        if window.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        let mut keys = 0;
        loop {
            if window.get(at) != Some(&b'"') {
                return fault(at, "expected a key in quotes");
            }
            keys += 1;
            if keys > self.keys && self.strict {
                return fault(at, format!("it has more than {} keys", self.keys));
            }
            let key = at..text_behind(window, at + 1)?;
            at = self.space.skip(window, key.end);
            if window.get(at) != Some(&b':') {
                return fault(at, "expected a colon behind a key");
            }
            at = self.space.skip(window, at + 1);
            let (kind, end) = self.value(window, at, depth)?;
            let found = Found {
                kind,
                start: at,
                end,
            };
            enter(window, key, found)?;
            at = self.space.skip(window, end);
            match window.get(at) {
                Some(b',') => at = self.space.skip(window, at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return fault(at, "expected a comma or a closing brace"),
            }
        }
    }

    fn array(self, window: &[u8], start: usize, depth: usize) -> Result<usize, Fault> {
        self.shallow(start, depth)?;
        let mut at = self.space.skip(window, start + 1);
        if window.get(at) == Some(&b']') {
            return Ok(at + 1);
        }
        loop {
            let (_, end) = self.value(window, at, depth)?;
            at = self.space.skip(window, end);
            match window.get(at) {
                Some(b',') => at = self.space.skip(window, at + 1),
                Some(b']') => return Ok(at + 1),
                _ => return fault(at, "expected a comma or a closing bracket"),
            }
        }
    }

    fn shallow(self, at: usize, depth: usize) -> Result<(), Fault> {
        match depth > self.nesting {
            true => fault(at, format!("it nests deeper than {} levels", self.nesting)),
            false => Ok(()),
        }
    }
}

/// The keys of one object, and where they stand.
#[derive(Default)]
struct Keys {
    names: Vec<(String, usize)>,
}

impl Keys {
    /// Enters the key that stands in quotes at a place.
    fn enter(&mut self, window: &[u8], key: Range<usize>) -> Result<String, Fault> {
        let text = window
            .get(key.start + 1..key.end.saturating_sub(1))
            .unwrap_or_default();
        let Ok(text) = std::str::from_utf8(text) else {
            return fault(key.start, "it is not valid UTF-8");
        };
        let name = unescape(text).into_owned();
        // A reader that ends texts at a NUL takes it for another key; ours has two of its own.
        if name.contains('\0') || name.starts_with("$serde_json::private::") {
            return fault(key.start, "a key that some readers take for something else");
        }
        self.names.push((name.clone(), key.start));
        Ok(name)
    }

    fn count(&self) -> usize {
        self.names.len()
    }

    /// Errors: a key came twice.
    fn once(mut self) -> Result<(), Fault> {
        self.names.sort_unstable();
        let twice = self.names.windows(2).find_map(|pair| match pair {
            [(one, _), (other, at)] if one == other => Some(*at),
            _ => None,
        });
        match twice {
            Some(at) => fault(at, "a key comes twice"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
