//! Where an array stands in a JSON document.

use std::ops::Range;

use super::super::Limits;
use super::super::object::{Fault, Space, skip_value};
use super::super::window::PADDING;
use crate::policy::fold::fold;

/// Why no array of records was found in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoArray(pub String);

/// Where the array stands in a whole JSON document that a JSON pointer (RFC 6901) leads to,
/// brackets included. The document is validated in full, as strictly as records are.
///
/// Errors: the document is not valid; the pointer is none; or a part of it leads nowhere, or the
/// whole of it to something else than an array.
pub fn locate_array(
    document: &[u8],
    pointer: &str,
    limits: &Limits,
) -> Result<Range<usize>, NoArray> {
    if std::str::from_utf8(document).is_err() {
        return Err(NoArray("the document is not valid UTF-8".into()));
    }
    let mut padded = Vec::with_capacity(document.len() + PADDING);
    padded.extend_from_slice(document);
    padded.resize(document.len() + PADDING, 0);
    let document = Document {
        bytes: &padded,
        length: document.len(),
        limits,
    };
    let start = document.behind_space(0);
    let end = document.value(start).map_err(|fault| {
        let line = document.line(fault.at.min(document.length));
        NoArray(format!("line {line} of the document: {}", fault.reason))
    })?;
    let end = document.behind_space(end);
    if end < document.length {
        let line = document.line(end);
        return Err(NoArray(format!(
            "line {line} of the document: there is something behind its value"
        )));
    }
    let mut at = start;
    for (part, token) in tokens(pointer)?.iter().enumerate() {
        let lost = |what: &str| {
            let part = part + 1;
            NoArray(format!(
                "the pointer {pointer:?} leads nowhere: part {part}, {token:?}, {what}"
            ))
        };
        at = match document.byte(at) {
            Some(b'{') => document.member(at, token).map_err(unexpected)?,
            Some(b'[') => {
                let index = index(token).ok_or_else(|| lost("is no index of an array"))?;
                document.element(at, index).map_err(unexpected)?
            }
            _ => return Err(lost("is asked of what is neither object nor array")),
        }
        .ok_or_else(|| lost("is not there"))?;
    }
    match document.byte(at) {
        Some(b'[') => Ok(at..document.value(at).map_err(unexpected)?),
        _ => Err(NoArray(format!(
            "the pointer {pointer:?} does not lead to an array"
        ))),
    }
}

/// The parts of a pointer, unescaped.
fn tokens(pointer: &str) -> Result<Vec<String>, NoArray> {
    let Some(parts) = pointer.strip_prefix('/') else {
        return match pointer.is_empty() {
            true => Ok(Vec::new()),
            false => Err(NoArray(format!(
                "{pointer:?} is no JSON pointer: it must be empty or begin with `/`"
            ))),
        };
    };
    let parts = parts.split('/').map(|part| {
        let mut escapes = part.split('~');
        escapes.next();
        match escapes.all(|behind| behind.starts_with(['0', '1'])) {
            true => Ok(part.replace("~1", "/").replace("~0", "~")),
            false => Err(NoArray(format!(
                "{pointer:?} is no JSON pointer: `~` must be `~0`, and `/` in a key `~1`"
            ))),
        }
    });
    parts.collect()
}

fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = token.len() > 1 && token.starts_with('0');
    token.parse().ok().filter(|_| digits && !leading_zero)
}

fn unexpected(fault: Fault) -> NoArray {
    NoArray(fault.reason)
}

/// A document with padding; but for [`Document::value`] it is known to be valid.
struct Document<'a> {
    bytes: &'a [u8],
    length: usize,
    limits: &'a Limits,
}

impl Document<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(..self.length)?.get(at).copied()
    }

    fn line(&self, at: usize) -> usize {
        let before = self.bytes.get(..at).unwrap_or_default();
        memchr::memchr_iter(b'\n', before).count() + 1
    }

    fn behind_space(&self, at: usize) -> usize {
        Space::Any.skip(self.bytes, at)
    }

    /// Where the value that begins at a position ends.
    fn value(&self, at: usize) -> Result<usize, Fault> {
        skip_value(self.bytes, at, Space::Any, self.limits)
    }

    /// Where the value of a key begins in the object at a position.
    fn member(&self, object: usize, name: &str) -> Result<Option<usize>, Fault> {
        let folded = fold(name);
        let mut found = None;
        let mut at = self.behind_space(object + 1);
        while self.byte(at) == Some(b'"') {
            let behind = self.value(at)?;
            let key = self.bytes.get(at..behind).unwrap_or_default();
            // Its colon.
            let value = self.behind_space(self.behind_space(behind) + 1);
            match serde_json::from_slice::<String>(key) {
                Ok(key) if key == name => found = Some(value),
                // A loose reader would take what is there instead.
                Ok(key) if fold(&key) == folded => {
                    let reason =
                        "a key differs from one of the pointer only in case or Unicode form";
                    return Err(Fault {
                        at,
                        reason: reason.to_owned(),
                    });
                }
                _ => {}
            }
            // Its comma, or the brace that closes.
            at = self.behind_space(self.behind_space(self.value(value)?) + 1);
        }
        Ok(found)
    }

    /// Where the element of an index begins in the array at a position.
    fn element(&self, array: usize, index: usize) -> Result<Option<usize>, Fault> {
        let mut at = self.behind_space(array + 1);
        if self.byte(at) == Some(b']') {
            return Ok(None);
        }
        for _ in 0..index {
            let behind = self.behind_space(self.value(at)?);
            if self.byte(behind) != Some(b',') {
                return Ok(None);
            }
            at = self.behind_space(behind + 1);
        }
        Ok(Some(at))
    }
}
