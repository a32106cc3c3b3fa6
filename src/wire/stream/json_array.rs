//! A JSON array of objects. What passes is the bytes of each object, joined by commas.

mod pointer;

use arrow::buffer::BooleanBuffer;

use super::object::{Scanner, Space, frame_value};
use super::reading::{Reading, bytes};
use super::{Columns, Limits, Next, OnInvalid, Records, StreamError, Wanted};
use crate::guard::Judgement;

pub use pointer::{NoArray, locate_array};

pub(super) struct JsonArray {
    reading: Reading,
    scanner: Scanner,
    /// What may follow what is read.
    state: State,
    /// The same at position 0.
    base: State,
    /// Whether the opening bracket was written, and a record.
    opened: bool,
    filled: bool,
}

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The opening bracket.
    Array,
    /// A record or the closing bracket.
    First,
    /// A record.
    Record,
    /// A comma or the closing bracket.
    Behind,
    /// Nothing.
    Closed,
}

impl JsonArray {
    pub(super) fn new(limits: Limits, on_invalid: OnInvalid) -> JsonArray {
        JsonArray {
            reading: Reading::new(limits, on_invalid),
            scanner: Scanner::new(&limits, Space::Any),
            state: State::Array,
            base: State::Array,
            opened: false,
            filled: false,
        }
    }

    /// Reads records until there are enough of them, or no more.
    fn read(&mut self) -> Result<(), StreamError> {
        self.reading.validate();
        while !self.reading.is_enough() {
            let (text, length) = (self.reading.bytes(), self.reading.length());
            let at = Space::Any.skip(text, self.reading.done).min(length);
            let byte = text.get(at).copied().filter(|_| at < length);
            self.reading.done = at;
            let Some(byte) = byte else {
                return self.pause();
            };
            self.state = match (self.state, byte) {
                (State::Array, b'[') => State::First,
                (State::First | State::Behind, b']') => State::Closed,
                (State::Behind, b',') => State::Record,
                (State::First | State::Record, _) if at > 0 && self.reading.taken() == 0 => {
                    self.forget();
                    continue;
                }
                (State::First | State::Record, _) => {
                    if !self.record(at)? {
                        return self.pause();
                    }
                    self.state = State::Behind;
                    continue;
                }
                (State::Array, _) => {
                    return Err(self.reading.malformed(
                        at,
                        "an array of objects is expected, which begins with `[`, with no byte \
                         order mark before it",
                    ));
                }
                (State::Behind, _) => {
                    let what = "`,` or `]` is expected behind a record";
                    return Err(self.reading.malformed(at, what));
                }
                (State::Closed, _) => {
                    let what = "there is something behind the array's end";
                    return Err(self.reading.malformed(at, what));
                }
            };
            self.reading.done = at + 1;
        }
        Ok(())
    }

    /// Forgets what stands before the first record of a batch, so that each batch has the whole
    /// window, however much of it was there before.
    fn forget(&mut self) {
        self.reading.forget();
        self.base = self.state;
    }

    /// Everything that came was read; that may be the end.
    fn pause(&self) -> Result<(), StreamError> {
        let end = self.reading.length();
        if self.reading.is_broken() {
            return Err(self.reading.malformed(end, "it is not valid UTF-8"));
        }
        if self.reading.is_last() && self.state != State::Closed {
            let what = "the stream ends before the array does";
            return Err(self.reading.malformed(end, what));
        }
        Ok(())
    }

    /// Reads the record at a position. Answers whether it came in full.
    fn record(&mut self, at: usize) -> Result<bool, StreamError> {
        let reading = &mut self.reading;
        let (length, limits) = (reading.length(), reading.limits);
        let text = bytes(&reading.window);
        // What goes beyond the length runs into what is no UTF-8.
        let (end, fits) = match self.scanner.scan(text, at, length) {
            Ok(end) if end > length => return Ok(false),
            Ok(end) => {
                let value = |column| self.scanner.value(text, column);
                (end, reading.values.push(value))
            }
            Err(fault) if fault.at >= length => return Ok(false),
            Err(fault) => match frame_value(text, at, Space::Any, &limits) {
                // A number that ends with what came may go on.
                Ok(end) if end >= length => return Ok(false),
                Ok(end) => (end, Err(fault.reason)),
                Err(skipping) if skipping.at >= length => return Ok(false),
                Err(_) => {
                    let invalid = reading.invalid(at, fault.reason);
                    return Err(StreamError::Invalid(invalid));
                }
            },
        };
        reading.take(at..end, fits)?;
        reading.done = end;
        Ok(true)
    }

    fn write(&mut self, passes: &BooleanBuffer, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.open(out);
        let filled = &mut self.filled;
        self.reading.passing(passes, false, |record| {
            if *filled {
                out.push(b',');
            }
            *filled = true;
            out.extend_from_slice(record);
        })
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if !self.opened {
            out.push(b'[');
            self.opened = true;
        }
    }
}

impl Records for JsonArray {
    fn space(&mut self) -> &mut [u8] {
        self.reading.window.space()
    }

    fn filled(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.reading.window.filled(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.reading.window.end();
        Ok(())
    }

    fn columns(&self) -> Columns {
        Columns::Untyped
    }

    fn next(&mut self, wanted: &Wanted, flush: bool) -> Result<Next, StreamError> {
        let begun = self.reading.begin(wanted);
        if begun.dropped {
            self.base = self.state;
        }
        if begun.rewanted {
            self.scanner.want(wanted);
            self.state = self.base;
        }
        self.read()?;
        if self.reading.taken() == 0 && self.reading.done > 0 {
            self.forget();
        }
        self.reading.give(flush)
    }

    fn line_of(&self, row: usize) -> u64 {
        self.reading.line_of(row)
    }

    fn bytes_of(&self, row: usize) -> Option<&[u8]> {
        self.reading.bytes_of(row)
    }

    fn release(&mut self, judgement: &Judgement, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.write(judgement.passes(), out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.open(out);
        out.push(b']');
        Ok(())
    }
}

#[cfg(test)]
mod tests;
