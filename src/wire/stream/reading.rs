//! What CSV and JSON arrays share: the bytes that came, how far they were read, and the records
//! of the batch that is being made. Every position counts from the first byte that is not dealt
//! with, so that it stays right when the window moves its bytes.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;

use super::values::Values;
use super::window::Window;
use super::{Batch, Invalid, Limits, Next, OnInvalid, StreamError, Wanted};
use crate::guard::GuardError;

/// What [`Reading::begin`] changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// The last batch is gone, and positions count from behind it.
    pub(super) dropped: bool,
    /// Other columns are wanted than before: records are read again from position 0.
    pub(super) rewanted: bool,
}

/// Text that is being read, and the batch that is being made of it.
pub(super) struct Reading {
    pub(super) window: Window,
    pub(super) limits: Limits,
    pub(super) values: Values,
    /// Everything before it is read.
    pub(super) done: usize,
    on_invalid: OnInvalid,
    wanted: Option<Wanted>,
    rows: Vec<Range<usize>>,
    invalid: Vec<Invalid>,
    /// Whether the batch was given out.
    given: bool,
    /// Everything before it is valid UTF-8.
    valid: usize,
    /// Whether invalid UTF-8 begins there.
    broken: bool,
    /// The line that position 0 stands on.
    line: u64,
    /// Where lines were counted up to last, and the line there.
    counted: Cell<(usize, u64)>,
}

impl Reading {
    pub(super) fn new(limits: Limits, on_invalid: OnInvalid) -> Reading {
        Reading {
            window: Window::new(limits.window_bytes, limits.record_bytes),
            limits,
            values: Values::new(),
            done: 0,
            on_invalid,
            wanted: None,
            rows: Vec::new(),
            invalid: Vec::new(),
            given: false,
            valid: 0,
            broken: false,
            line: 1,
            counted: Cell::new((0, 1)),
        }
    }

    /// Begins or goes on with a batch of these columns.
    pub(super) fn begin(&mut self, wanted: &Wanted) -> Begun {
        let dropped = self.given;
        if dropped {
            self.given = false;
            self.forget();
            self.rows.clear();
        }
        let rewanted = !self.wanted.as_ref().is_some_and(|known| {
            known.only == wanted.only
                && (Arc::ptr_eq(&known.schema, &wanted.schema) || known.schema == wanted.schema)
        });
        if rewanted {
            self.wanted = Some(wanted.clone());
            self.rows.clear();
            self.invalid.clear();
            self.done = 0;
        }
        if dropped || rewanted {
            self.values.begin(wanted);
        }
        Begun { dropped, rewanted }
    }

    /// The bytes from position 0 on, padding included.
    pub(super) fn bytes(&self) -> &[u8] {
        bytes(&self.window)
    }

    /// How many bytes may be looked at: all that came, or all before invalid UTF-8.
    pub(super) fn length(&self) -> usize {
        self.valid
    }

    /// Validates the bytes that came.
    pub(super) fn validate(&mut self) {
        let (_, range) = self.window.bytes();
        let fresh = self.bytes().get(self.valid..range.len());
        if let Err(fault) = std::str::from_utf8(fresh.unwrap_or_default()) {
            self.valid += fault.valid_up_to();
            self.broken = fault.error_len().is_some() || self.window.ended();
        } else {
            self.valid = range.len();
        }
    }

    /// Whether invalid UTF-8 follows what may be looked at.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether nothing can follow what may be looked at.
    pub(super) fn is_last(&self) -> bool {
        self.window.ended() && !self.broken
    }

    /// How many records the batch has by now.
    pub(super) fn taken(&self) -> usize {
        self.rows.len() + self.invalid.len()
    }

    /// Whether the batch has all the records that it may have.
    pub(super) fn is_enough(&self) -> bool {
        self.taken() >= self.limits.batch_rows
    }

    /// Takes a record into the batch; its values were added, or do not fit for a reason.
    pub(super) fn take(
        &mut self,
        record: Range<usize>,
        fits: Result<(), String>,
    ) -> Result<(), StreamError> {
        if record.len() > self.limits.record_bytes {
            return Err(StreamError::Limit {
                what: "bytes in one record",
                most: self.limits.record_bytes as u64,
            });
        }
        let Err(reason) = fits else {
            self.rows.push(record);
            return Ok(());
        };
        let invalid = self.invalid(record.start, reason);
        match self.on_invalid {
            OnInvalid::Abort => return Err(StreamError::Invalid(invalid)),
            OnInvalid::Reject => self.invalid.push(invalid),
        }
        Ok(())
    }

    /// What is wrong with the record at a position.
    pub(super) fn invalid(&self, at: usize, reason: impl Into<String>) -> Invalid {
        Invalid {
            line: self.line(at),
            reason: reason.into(),
        }
    }

    /// What is wrong with the stream at a position.
    pub(super) fn malformed(&self, at: usize, what: &str) -> StreamError {
        StreamError::Malformed {
            what: format!("line {}: {what}", self.line(at)),
        }
    }

    /// The line of a position, from 1.
    fn line(&self, at: usize) -> u64 {
        let (mut from, mut line) = self.counted.get();
        if from > at {
            (from, line) = (0, self.line);
        }
        let between = self.bytes().get(from..at).unwrap_or_default();
        line += memchr::memchr_iter(b'\n', between).count() as u64;
        self.counted.set((at, line));
        line
    }

    /// Forgets what is read, so that position 0 stands behind it. No batch may be under way.
    pub(super) fn forget(&mut self) {
        self.line = self.line(self.done);
        self.counted.set((0, self.line));
        let (_, range) = self.window.bytes();
        self.window.consume(range.start + self.done);
        self.valid = self.valid.saturating_sub(self.done);
        self.done = 0;
    }

    /// Gives the batch out if it has enough records, if there is no room for more, if the stream
    /// ended, or, with `flush`, if it has any. Without a batch it makes room.
    pub(super) fn give(&mut self, flush: bool) -> Result<Next, StreamError> {
        if !self.is_enough() && !self.window.ended() {
            let (_, range) = self.window.bytes();
            if range.start > 0 || (self.window.is_full() && self.taken() == 0) {
                self.window.make_room()?;
            }
            if self.taken() == 0 || !(flush || self.window.is_full()) {
                return Ok(Next::Hungry);
            }
        }
        if self.taken() == 0 {
            return Ok(Next::End);
        }
        self.given = true;
        Ok(Next::Batch(Batch {
            rows: self.values.finish()?,
            invalid: std::mem::take(&mut self.invalid),
        }))
    }

    /// The line of a row of the batch, from 1.
    pub(super) fn line_of(&self, row: usize) -> u64 {
        self.rows
            .get(row)
            .map_or(0, |record| self.line(record.start))
    }

    /// The bytes of a row of the batch.
    pub(super) fn bytes_of(&self, row: usize) -> Option<&[u8]> {
        self.bytes().get(self.rows.get(row)?.clone())
    }

    /// The records that pass; those that stand side by side are one piece, if they may be.
    ///
    /// Errors: others were judged than those of the batch.
    pub(super) fn passing(
        &self,
        passes: &BooleanBuffer,
        join: bool,
        mut write: impl FnMut(&[u8]),
    ) -> Result<(), StreamError> {
        if passes.len() != self.rows.len() {
            return Err(StreamError::Guard(GuardError::Engine));
        }
        let bytes = self.bytes();
        let mut write = |piece: Range<usize>| write(bytes.get(piece).unwrap_or_default());
        let mut piece = 0..0;
        for (from, to) in passes.set_slices() {
            for record in self.rows.get(from..to).unwrap_or_default() {
                if join && record.start == piece.end {
                    piece.end = record.end;
                    continue;
                }
                if !piece.is_empty() {
                    write(piece);
                }
                piece = record.clone();
            }
        }
        if !piece.is_empty() {
            write(piece);
        }
        Ok(())
    }
}

/// The bytes of a window that are not dealt with, and the padding behind them.
pub(super) fn bytes(window: &Window) -> &[u8] {
    let (bytes, range) = window.bytes();
    bytes.get(range.start..).unwrap_or_default()
}
