//! NDJSON: one object a line. Each line is framed first, and then it is one object or invalid.

use memchr::{memchr, memrchr};

use super::object::{Fault, Scanner, Space};
use super::values::Values;
use super::window::Window;
use super::{
    Batch, Columns, Invalid, Limits, Next, OnInvalid, Records, Spans, StreamError, Wanted,
};
use crate::guard::Judgement;

pub(super) struct Ndjson {
    window: Window,
    scanner: Scanner,
    values: Values,
    limits: Limits,
    on_invalid: OnInvalid,
    /// The lines of the last batch.
    spans: Spans,
    /// Lines before the window.
    lines: u64,
    /// How many bytes from the window's start on are known to be UTF-8.
    utf8: usize,
}

impl Ndjson {
    pub(super) fn new(limits: Limits, on_invalid: OnInvalid) -> Ndjson {
        Ndjson {
            window: Window::new(limits.window_bytes, limits.record_bytes),
            scanner: Scanner::new(&limits, Space::InLine),
            values: Values::new(),
            limits,
            on_invalid,
            spans: Spans::default(),
            lines: 0,
            utf8: 0,
        }
    }

    /// Where the lines end that have come whole; `None` if none has, or if there would be more
    /// of them in a moment and those are waited for.
    fn whole_lines(&self, flush: bool) -> Option<usize> {
        let (bytes, here) = self.window.bytes();
        if here.is_empty() || !(flush || self.window.is_full() || self.window.ended()) {
            return None;
        }
        if self.window.ended() {
            return Some(here.end);
        }
        let last = memrchr(b'\n', bytes.get(here.clone())?)?;
        Some(here.start + last + 1)
    }
}

impl Records for Ndjson {
    fn space(&mut self) -> &mut [u8] {
        self.window.space()
    }

    fn filled(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.window.filled(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.window.end();
        Ok(())
    }

    fn columns(&self) -> Columns {
        Columns::Untyped
    }

    fn next(&mut self, wanted: &Wanted, flush: bool) -> Result<Next, StreamError> {
        self.spans.clear();
        let Some(end) = self.whole_lines(flush) else {
            if self.window.ended() {
                return Ok(Next::End);
            }
            self.window.make_room()?;
            return Ok(Next::Hungry);
        };
        self.scanner.want(wanted);
        self.values.begin(wanted);
        let mut invalid = Vec::new();
        let (window, here) = self.window.bytes();
        let whole = window.get(here.start..end).unwrap_or_default();
        let fresh = whole.get(self.utf8..).unwrap_or_default();
        self.utf8 += match std::str::from_utf8(fresh) {
            _ if fresh.is_ascii() => fresh.len(),
            Ok(_) => fresh.len(),
            Err(error) => error.valid_up_to(),
        };
        let all_utf8 = self.utf8 >= whole.len();
        let mut at = here.start;
        while at < end && self.values.rows() + invalid.len() < self.limits.batch_rows {
            let start = at;
            let first = Space::InLine.skip(window, start);
            self.lines += 1;
            // Most lines are an object and a line feed, and are framed by that.
            let scanned = match all_utf8 {
                true => self.scanner.scan(window, first, end),
                false => utf8_line(window, start, end)
                    .and_then(|()| self.scanner.scan(window, first, end)),
            };
            let read = match scanned {
                Ok(behind) if window.get(behind) == Some(&b'\n') && behind < end => {
                    at = behind + 1;
                    Ok(())
                }
                scanned => {
                    at = line_end(window, start, end);
                    let line = window.get(start..at).unwrap_or_default();
                    if line
                        .iter()
                        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
                    {
                        self.spans.gap();
                        continue;
                    }
                    scanned.and_then(|behind| only_space(window, behind, at))
                }
            };
            if at - start > self.limits.record_bytes {
                return Err(StreamError::Limit {
                    what: "bytes in one record",
                    most: self.limits.record_bytes as u64,
                });
            }
            let read = read.map_err(|fault| fault.reason).and_then(|()| {
                self.values
                    .push(|column| self.scanner.value(window, column))
            });
            match read {
                Ok(()) => self.spans.push(start..at, self.lines),
                Err(reason) => {
                    let record = Invalid {
                        line: self.lines,
                        reason,
                    };
                    if self.on_invalid == OnInvalid::Abort {
                        return Err(StreamError::Invalid(record));
                    }
                    self.spans.gap();
                    invalid.push(record);
                }
            }
        }
        self.utf8 = self.utf8.saturating_sub(at - here.start);
        self.window.consume(at);
        if self.values.rows() == 0 && invalid.is_empty() {
            // Nothing but blank lines.
            return self.next(wanted, flush);
        }
        Ok(Next::Batch(Batch {
            rows: self.values.finish()?,
            invalid,
        }))
    }

    fn line_of(&self, row: usize) -> u64 {
        self.spans.line_of(row)
    }

    fn bytes_of(&self, row: usize) -> Option<&[u8]> {
        self.spans.bytes_of(row, self.window.bytes().0)
    }

    fn release(&mut self, judgement: &Judgement, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.spans.copy(judgement, self.window.bytes().0, out)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), StreamError> {
        Ok(())
    }
}

/// Where the line ends that begins at a position, its line feed included.
fn line_end(window: &[u8], start: usize, end: usize) -> usize {
    let line = window.get(start..end).unwrap_or_default();
    memchr(b'\n', line).map_or(end, |length| start + length + 1)
}

/// A line in a window in which something is no UTF-8.
fn utf8_line(window: &[u8], start: usize, end: usize) -> Result<(), Fault> {
    let line = window
        .get(start..line_end(window, start, end))
        .unwrap_or_default();
    match std::str::from_utf8(line) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault {
            at: start + error.valid_up_to(),
            reason: "it is not valid UTF-8".to_owned(),
        }),
    }
}

/// Nothing but white space stands between an object and the end of its line. A carriage return is
/// white space just before the line feed.
fn only_space(window: &[u8], behind: usize, end: usize) -> Result<(), Fault> {
    let rest = window.get(behind..end).unwrap_or_default();
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    match rest.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        true => Ok(()),
        false => Err(Fault {
            at: behind,
            reason: "something stands behind the object on its line".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use chrono::DateTime;

    use super::super::pass::{Passed, Tally, pass};
    use super::*;
    use crate::guard::Guard;
    use crate::policy::{FilterTree, PolicyKind, Requirement};

    fn guard() -> Guard {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("country", DataType::Utf8, true),
        ]));
        let document = serde_json::json!({
            "type": "condition", "condition_type": "property",
            "column": "country", "operator": "not_in", "value": ["DE", "FR"],
        });
        let requirement = Requirement {
            policy_id: None,
            kind: PolicyKind::Destination,
            name: "no Europe".to_owned(),
            filter_tree: FilterTree::parse(&document).unwrap(),
        };
        Guard::compile(&schema, &[requirement], DateTime::UNIX_EPOCH, 1).unwrap()
    }

    /// What passes of a stream that comes in pieces of a size.
    fn filter(
        input: &[u8],
        piece: usize,
        limits: Limits,
        on_invalid: OnInvalid,
        flush: bool,
    ) -> Result<(Vec<u8>, Tally), StreamError> {
        let guard = guard();
        let mut records = Ndjson::new(limits, on_invalid);
        let (mut out, mut tally) = (Vec::new(), Tally::default());
        let mut rest = input;
        loop {
            let space = records.space();
            let size = piece.min(space.len()).min(rest.len());
            space[..size].copy_from_slice(&rest[..size]);
            rest = &rest[size..];
            records.filled(size)?;
            if rest.is_empty() {
                records.end()?;
            }
            loop {
                match pass(
                    &mut records,
                    &guard,
                    &mut Default::default(),
                    flush,
                    &mut out,
                )? {
                    Passed::Batch { judgement, invalid } => tally.enter(&judgement, &invalid),
                    Passed::Hungry => break,
                    Passed::End => return Ok((out, tally)),
                }
            }
        }
    }

    const INPUT: &str = "{\"id\":1,\"country\":\"US\"}\n\
        {\"id\":2,\"country\":\"DE\"}\r\n\
        \n\
        {\"id\":3,\"country\":\"\\u0046R\"}\n\
        {\"id\":4}\n \t\r\n\
        {\"country\": \"CA\", \"id\":5, \"more\": [1, 2.50]} \r\n\
        {\"id\":6,\"country\":\"GB\"}";

    #[test]
    fn passing_lines_keep_their_bytes_however_they_arrive() {
        let expected = "{\"id\":1,\"country\":\"US\"}\n\
            {\"country\": \"CA\", \"id\":5, \"more\": [1, 2.50]} \r\n\
            {\"id\":6,\"country\":\"GB\"}";
        for piece in [1, 2, 3, 7, 50, 1000] {
            for flush in [false, true] {
                for window_bytes in [1, 30, 200, 1 << 16] {
                    let limits = Limits {
                        window_bytes,
                        ..Limits::default()
                    };
                    let (out, tally) =
                        filter(INPUT.as_bytes(), piece, limits, OnInvalid::Abort, flush).unwrap();
                    assert_eq!(String::from_utf8(out).unwrap(), expected);
                    let counts = (tally.read, tally.allowed, tally.withheld, tally.invalid);
                    assert_eq!(counts, (6, 3, 3, 0));
                }
            }
        }
    }

    #[test]
    fn invalid_lines_are_told_by_number_or_left_out() {
        let input = b"{\"country\":\"US\"}\n\n{\"country\":\"US\",}\n{\"country\":\xff}\n\
            {\"country\":7}\n{\"country\":\"US\"}{}\n{\"country\":\"CA\"}\n";
        for piece in [1, 1000] {
            let limits = Limits::default();
            let (out, tally) = filter(input, piece, limits, OnInvalid::Reject, false).unwrap();
            assert_eq!(out, b"{\"country\":\"US\"}\n{\"country\":\"CA\"}\n");
            assert_eq!((tally.read, tally.allowed, tally.invalid), (6, 2, 4));
            match filter(input, piece, limits, OnInvalid::Abort, false) {
                Err(StreamError::Invalid(invalid)) => assert_eq!(invalid.line, 3),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_line_beyond_the_limit_ends_the_stream() {
        let mut limits = Limits {
            record_bytes: 40,
            window_bytes: 16,
            ..Limits::default()
        };
        let fits = b"{\"country\":\"US\",\"a\":\"1234567890123456\"}\n";
        assert_eq!(fits.len(), 40);
        assert!(filter(fits, 1000, limits, OnInvalid::Reject, false).is_ok());
        limits.record_bytes = 39;
        for window_bytes in [16, 1000] {
            limits.window_bytes = window_bytes;
            let refused = filter(fits, 1000, limits, OnInvalid::Reject, false);
            assert!(matches!(refused, Err(StreamError::Limit { most: 39, .. })));
        }
    }

    #[test]
    fn batches_are_bounded_by_rows() {
        let limits = Limits {
            batch_rows: 2,
            ..Limits::default()
        };
        let (_, tally) = filter(INPUT.as_bytes(), 1000, limits, OnInvalid::Abort, false).unwrap();
        assert_eq!((tally.read, tally.allowed), (6, 3));
    }
}
