//! CSV (RFC 4180) with a header line: fields by commas, lines by LF or CRLF. What no two readers
//! must read differently is refused: a quote within an unquoted field, text behind a closing
//! quote, a bare carriage return. An empty field is NULL, `""` is empty text, and a blank line is
//! no record.

mod header;
mod index;

use arrow::buffer::BooleanBuffer;

use self::header::{Header, Kind, Slot};
use self::index::{Index, Line};
use super::object::{Raw, is_number};
use super::reading::{Reading, bytes};
use super::{Columns, Limits, Next, OnInvalid, Records, StreamError, Wanted};
use crate::guard::{Gathered, GuardError, Judgement};

/// Positions in a record are held in 32 bits.
const MOST_BYTES: usize = 1 << 31;

pub(super) struct Csv {
    reading: Reading,
    index: Index,
    header: Option<Header>,
    /// Where the wanted columns stand; empty before the header is known.
    slots: Vec<Slot>,
    /// Whether the stream's end was told to the index.
    closed: bool,
    /// Whether the header was written.
    headed: bool,
    cells: Vec<Cell>,
    /// The texts of the record that have doubled quotes in them, without those.
    plain: Vec<u8>,
}

/// A value of the record that is being read, by where it stands.
#[derive(Clone, Copy)]
enum Cell {
    Null,
    Bool(bool),
    Number(usize, usize),
    NotFinite(f64),
    Text(usize, usize),
    /// Stands in `plain`.
    Plain(usize, usize),
}

impl Csv {
    pub(super) fn new(limits: Limits, on_invalid: OnInvalid) -> Csv {
        let limits = Limits {
            record_bytes: limits.record_bytes.min(MOST_BYTES),
            window_bytes: limits.window_bytes.min(MOST_BYTES),
            ..limits
        };
        Csv {
            reading: Reading::new(limits, on_invalid),
            index: Index::new(limits.columns),
            header: None,
            slots: Vec::new(),
            closed: false,
            headed: false,
            cells: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Reads records until there are enough of them, or no more.
    fn read(&mut self, wanted: &Wanted) -> Result<(), StreamError> {
        self.reading.validate();
        let text = self.reading.bytes().get(..self.reading.length());
        if self.header.is_none() && text.unwrap_or_default().starts_with("\u{feff}".as_bytes()) {
            return Err(marked());
        }
        while !self.reading.is_enough() {
            if let Some(line) = self.index.line() {
                self.line(line, wanted)?;
                continue;
            }
            let length = self.reading.length();
            let more = self.index.extend(self.reading.bytes(), length);
            if more.map_err(|reason| self.fault(reason))? {
                continue;
            }
            if self.reading.is_broken() {
                return Err(self.fault("it is not valid UTF-8"));
            }
            if !self.reading.is_last() || self.closed {
                break;
            }
            let closed = self.index.close(length, self.reading.done);
            closed.map_err(|reason| self.fault(reason))?;
            self.closed = true;
        }
        Ok(())
    }

    /// What ends the stream at the record that is being read, whatever is done with others that
    /// are invalid: another reader could frame all that follows differently.
    fn fault(&self, reason: &str) -> StreamError {
        StreamError::Invalid(self.reading.invalid(self.reading.done, reason))
    }

    /// Reads a line: a record, the header, or nothing.
    fn line(&mut self, line: Line, wanted: &Wanted) -> Result<(), StreamError> {
        let start = self.reading.done;
        let end = self.index.end(line.last);
        let next = (end + 1).min(self.reading.length());
        let bytes = self.reading.bytes();
        let text = bytes.get(start..end).unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            self.reading.done = next;
            return Ok(());
        }
        if start > 0 && self.reading.taken() == 0 {
            self.forget();
            return Ok(());
        }
        let Some(header) = &self.header else {
            return self.begin(line, start..next, wanted);
        };
        let fits = match line.last - line.first + 1 == header.columns() {
            true => self.record(line, start, start + text.len()),
            false => Err(format!(
                "the record does not have the {} fields of the header",
                header.columns()
            )),
        };
        self.reading.take(start..next, fits)?;
        self.reading.done = next;
        Ok(())
    }

    /// Takes a line for the header, and begins anew behind it.
    fn begin(
        &mut self,
        line: Line,
        place: std::ops::Range<usize>,
        wanted: &Wanted,
    ) -> Result<(), StreamError> {
        let limits = self.reading.limits;
        if place.len() > limits.record_bytes {
            return Err(StreamError::Limit {
                what: "bytes in one record",
                most: limits.record_bytes as u64,
            });
        }
        let bytes = self.reading.bytes();
        // Blank lines may come before it.
        let header = bytes.get(place.clone()).unwrap_or_default();
        if header.starts_with("\u{feff}".as_bytes()) {
            return Err(marked());
        }
        let mut from = place.start;
        let names = (line.first..=line.last).map(|field| {
            let end = self.index.end(field);
            let name = bytes.get(from..end).unwrap_or_default();
            from = end + 1;
            let name = name.strip_suffix(b"\r").unwrap_or(name);
            let name = String::from_utf8_lossy(name);
            let quoted = name
                .strip_prefix('"')
                .and_then(|name| name.strip_suffix('"'));
            match quoted {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => name.into_owned(),
            }
        });
        let text = bytes.get(place.clone()).unwrap_or_default();
        let header = Header::new(names.collect(), text, limits.columns)?;
        self.slots = header.slots(wanted)?;
        self.header = Some(header);
        self.reading.done = place.end;
        self.forget();
        Ok(())
    }

    /// Forgets what stands before the first record of a batch, so that each batch has the whole
    /// window, however much of it was there before.
    fn forget(&mut self) {
        self.reading.forget();
        self.index.restart();
        self.closed = false;
    }

    /// Adds the wanted values of a record.
    ///
    /// Errors: why one of them does not fit its column.
    fn record(&mut self, line: Line, start: usize, end: usize) -> Result<(), String> {
        let bytes = bytes(&self.reading.window);
        self.cells.clear();
        self.plain.clear();
        for slot in &self.slots {
            let from = match slot.field {
                0 => start,
                later => self.index.end(line.first + later - 1) + 1,
            };
            // The line end of the last field may be two bytes.
            let to = self.index.end(line.first + slot.field).min(end);
            let cell = cell(bytes, from, to, slot, &mut self.plain)?;
            self.cells.push(cell);
        }
        let (cells, plain) = (&self.cells, &self.plain);
        self.reading
            .values
            .push(|column| match cells.get(column).copied() {
                None | Some(Cell::Null) => Raw::Null,
                Some(Cell::Bool(value)) => Raw::Bool(value),
                Some(Cell::NotFinite(value)) => Raw::NotFinite(value),
                Some(Cell::Number(from, to)) => {
                    Raw::Number(bytes.get(from..to).unwrap_or_default())
                }
                Some(Cell::Text(from, to)) => Raw::Text(bytes.get(from..to).unwrap_or_default()),
                Some(Cell::Plain(from, to)) => Raw::Text(plain.get(from..to).unwrap_or_default()),
            })
    }

    fn write(&mut self, passes: &BooleanBuffer, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.write_header(out);
        let mut any = false;
        self.reading.passing(passes, true, |records| {
            any = true;
            out.extend_from_slice(records);
        })?;
        if any && out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        Ok(())
    }

    fn write_header(&mut self, out: &mut Vec<u8>) {
        if let Some(header) = self.header.as_ref().filter(|_| !self.headed) {
            out.extend_from_slice(&header.line);
            self.headed = true;
        }
    }
}

/// The value of a field, which stands from a position to another.
#[inline]
fn cell(
    bytes: &[u8],
    from: usize,
    to: usize,
    slot: &Slot,
    plain: &mut Vec<u8>,
) -> Result<Cell, String> {
    let field = bytes.get(from..to).unwrap_or_default();
    if field.is_empty() {
        return Ok(Cell::Null);
    }
    let text = field.strip_prefix(b"\"").map(|text| {
        let text = text.strip_suffix(b"\"").unwrap_or(text);
        match memchr::memchr(b'"', text) {
            None => Cell::Text(from + 1, from + 1 + text.len()),
            Some(_) => {
                let start = plain.len();
                undouble(text, plain);
                Cell::Plain(start, plain.len())
            }
        }
    });
    let text = text.unwrap_or(Cell::Text(from, to));
    let (value, at) = match text {
        Cell::Text(from, to) => (bytes.get(from..to).unwrap_or_default(), (from, to)),
        // Doubled quotes are no part of anything but text.
        _ => (&b"\""[..], (0, 0)),
    };
    let misfit = |what: &str| Err(format!("column \"{}\" {what}", slot.name));
    match slot.kind {
        Kind::Text => Ok(text),
        Kind::Bool => match value {
            b"true" | b"TRUE" | b"True" => Ok(Cell::Bool(true)),
            b"false" | b"FALSE" | b"False" => Ok(Cell::Bool(false)),
            _ => misfit("holds neither true nor false"),
        },
        Kind::Number | Kind::Float if is_number(value) => Ok(Cell::Number(at.0, at.1)),
        Kind::Float => match not_finite(value) {
            Some(value) => Ok(Cell::NotFinite(value)),
            None => misfit("holds no number"),
        },
        Kind::Number => misfit("holds no number"),
        Kind::Nested => misfit("is of a type that CSV has no form for"),
    }
}

/// The values of a float that JSON has no number for.
fn not_finite(text: &[u8]) -> Option<f64> {
    let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    if is("nan") {
        Some(f64::NAN)
    } else if is("inf") || is("infinity") {
        Some(f64::INFINITY)
    } else if is("-inf") || is("-infinity") {
        Some(f64::NEG_INFINITY)
    } else {
        None
    }
}

/// Appends text with one quote for every two.
fn undouble(text: &[u8], plain: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        let (before, behind) = rest.split_at_checked(quote + 1).unwrap_or((rest, &[]));
        plain.extend_from_slice(before);
        rest = behind.get(1..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
}

fn marked() -> StreamError {
    StreamError::Malformed {
        what: "the text begins with a byte order mark, which readers may take for a part of the \
               first column's name: remove it"
            .into(),
    }
}

impl Records for Csv {
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
        if begun.dropped || begun.rewanted {
            self.index.restart();
            self.closed = false;
        }
        if let Some(header) = self.header.as_ref().filter(|_| begun.rewanted) {
            self.slots = header.slots(wanted)?;
        }
        self.read(wanted)?;
        if self.reading.taken() == 0 && self.reading.done > 0 {
            self.forget();
        }
        let next = self.reading.give(flush)?;
        if matches!(next, Next::End) && self.header.is_none() {
            return Err(StreamError::Malformed {
                what: "there is no header line, which names the columns".into(),
            });
        }
        Ok(next)
    }

    fn line_of(&self, row: usize) -> u64 {
        self.reading.line_of(row)
    }

    fn bytes_of(&self, row: usize) -> Option<&[u8]> {
        self.reading.bytes_of(row)
    }

    fn gather(&self, rows: usize, gathered: &mut Gathered) -> Result<(), StreamError> {
        let unread = || StreamError::Guard(GuardError::Engine);
        let header = self.header.as_ref().ok_or_else(unread)?;
        for row in 0..rows {
            let record = self.bytes_of(row).ok_or_else(unread)?;
            let record = std::str::from_utf8(record).map_err(|_| unread())?;
            header.gather(row, record, gathered);
        }
        Ok(())
    }

    fn release(&mut self, judgement: &Judgement, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.write(judgement.passes(), out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.write_header(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
