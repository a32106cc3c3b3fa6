//! Records on their way through: bytes in, batches to be judged, and the records that pass out
//! again, in the same format.
//!
//! `ndjson`, `json_array` and `csv` frame records and validate them strictly, turn only the
//! columns into Arrow that are wanted, and hand passing records on as the bytes they came as.
//! `object` is the JSON object scanner they share, `values` makes columns of what it found, and
//! `reading` keeps the batch that is being made of a window.
//!
//! `arrow_stream` and `parquet` decode, validate and encode again: `arrow_message`,
//! `parquet_pages` and `thrift` look at what is declared before anything is decoded, `contain`
//! keeps a decoder's panic in its stream, `own_columns` checks the columns, `portion` cuts batches
//! to size and `outlet` writes what passes.
//!
//! `gather` collects the values of records for content policies. `coding` is compression, `feed` brings the bytes of a body in, and `pass` takes a batch through
//! a guard.

mod arrow_message;
mod arrow_stream;
pub mod coding;
#[cfg(test)]
mod columnar_fixtures;
#[cfg(test)]
mod columnar_tests;
mod contain;
mod csv;
#[cfg(test)]
mod drive;
pub mod feed;
mod gather;
mod json_array;
mod ndjson;
mod object;
mod outlet;
mod own_columns;
mod parquet;
mod parquet_pages;
pub mod pass;
mod portion;
mod reading;
mod spans;
mod text;
mod thrift;
mod values;
mod window;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::{Format, WireError};
use crate::guard::{Gathered, Guard, GuardError, Judgement, Leaving};
use spans::Spans;

pub use json_array::{NoArray, locate_array};

/// What a stream may ask of us at most. Every bound is one that a test can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record, its line end included.
    pub record_bytes: usize,
    /// Bytes of one batch of an Arrow or Parquet stream, decoded.
    pub batch_bytes: usize,
    /// How deep arrays and objects nest in a record; the record itself is the first level.
    pub nesting: usize,
    /// Keys of an object, or columns of a header or a schema.
    pub columns: usize,
    /// Rows of a batch; at least 1.
    pub batch_rows: usize,
    /// Bytes of text that are read before a batch is made of them. A longer record makes room for
    /// itself.
    pub window_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            record_bytes: 16 << 20,
            batch_bytes: 64 << 20,
            nesting: 64,
            columns: 2_000,
            batch_rows: 8_192,
            window_bytes: 1 << 20,
        }
    }
}

/// What happens at a record that is not well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// The stream ends with an error.
    #[default]
    Abort,
    /// The record is counted and left out.
    Reject,
}

/// A record that is not well-formed, or does not fit the columns that policies read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The line it begins on (for Parquet and Arrow: the row), counted from 1.
    pub line: u64,
    /// What is wrong with it, without any value.
    pub reason: String,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Why a stream ends before its end. No value of a record is quoted.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A record is not well-formed.
    #[error("{0}")]
    Invalid(Invalid),
    /// The bytes are not of the declared format, or end before its end.
    #[error("{what}")]
    Malformed {
        /// What is wrong and where.
        what: String,
    },
    /// More than a limit allows.
    #[error("more than {most} {what}: the limit can be raised by the operator")]
    Limit {
        /// What there is too much of, such as `bytes in one record`.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// Columns that policies read, or that were asked for, cannot be found.
    #[error("the records lack {}, which policies read", columns(.0))]
    Columns(Vec<String>),
    /// A batch could not be judged.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// What passed could not be written down again.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The bytes stopped coming before the end.
    #[error("{0}")]
    Broken(String),
    /// A temporary file could not be used.
    #[error("a temporary file cannot be used: {0}")]
    Io(std::io::ErrorKind),
}

fn columns(names: &[String]) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|name| format!("column \"{name}\""))
        .collect();
    names.join(" and ")
}

/// The columns to read of the records.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Their names and types, in the order of the batches. A text format reads no other.
    pub schema: SchemaRef,
    /// Whether a record with a key that is no column of these is invalid. Otherwise such keys
    /// are validated and left alone.
    pub only: bool,
}

/// The columns of a stream.
#[derive(Clone, Debug)]
pub enum Columns {
    /// The format tells none: they are what the reader wants them to be.
    Untyped,
    /// They will be known when more bytes have come.
    Unknown,
    /// The stream's own.
    Typed(SchemaRef),
}

/// Records that were read together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One row for each valid record. For text formats the wanted columns; for Arrow and Parquet
    /// all columns of the stream.
    pub rows: RecordBatch,
    /// The line of each row is asked for by [`Records::line_of`]; these are the records that are
    /// no row, in their order. Empty unless they are to be left out.
    pub invalid: Vec<Invalid>,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// A batch; it may hold no row, but then an invalid record.
    Batch(Batch),
    /// Nothing before more bytes come.
    Hungry,
    /// Every record was read, and the stream ended as its format asks.
    End,
}

/// A stream of records in one format.
///
/// Bytes go into [`Records::space`] and are taken over by [`Records::filled`]; then
/// [`Records::next`] is asked until it is hungry. A batch is given out once; until the next is
/// asked for, what passes of it is written by [`Records::release`].
pub trait Records: Send {
    /// Room for further bytes. Empty only where [`Records::next`] has a batch to give first.
    fn space(&mut self) -> &mut [u8];

    /// Takes over as many bytes of the space, from its start.
    fn filled(&mut self, bytes: usize) -> Result<(), StreamError>;

    /// No more bytes follow.
    fn end(&mut self) -> Result<(), StreamError>;

    /// The stream's own columns. They do not change once they are known.
    fn columns(&self) -> Columns;

    /// Reads the next batch: as many records as are there in full, up to the limit. `flush` asks
    /// for what is there even if it is few; otherwise a batch comes when it is full, the space
    /// is, or the stream ended, so that equal streams give equal batches however they arrive.
    ///
    /// Errors: a record that is not well-formed, unless those are left out; bytes that are not of
    /// the format; a stream that ended early; a limit. Nothing more may be asked afterwards.
    fn next(&mut self, wanted: &Wanted, flush: bool) -> Result<Next, StreamError>;

    /// The line (or row, for Arrow and Parquet) that a row of the last batch begins on, from 1.
    fn line_of(&self, row: usize) -> u64;

    /// The bytes of a row of the last batch, as it came; `None` for Arrow and Parquet.
    fn bytes_of(&self, row: usize) -> Option<&[u8]>;

    /// Adds the values of the last batch that go on as the bytes they came as, those that are in no
    /// wanted column included; nothing for Arrow and Parquet, whose batches have all their columns.
    ///
    /// Errors: a record that cannot be read again.
    fn gather(&self, rows: usize, gathered: &mut Gathered) -> Result<(), StreamError> {
        for row in 0..rows {
            if let Some(record) = self.bytes_of(row) {
                gather::json(row, record, gathered)?;
            }
        }
        Ok(())
    }

    /// Judges the last batch: all that would leave with it.
    fn judge(
        &self,
        guard: &Guard,
        batch: &Batch,
        gathered: &mut Gathered,
    ) -> Result<Judgement, StreamError> {
        let rows = batch.rows.num_rows();
        let as_bytes = rows > 0 && self.bytes_of(0).is_some();
        let leaving = match guard.detects() && as_bytes {
            true => {
                gathered.clear();
                self.gather(rows, gathered)?;
                Leaving::Gathered(gathered)
            }
            false => Leaving::All,
        };
        Ok(guard.judge(&batch.rows, leaving)?)
    }

    /// Appends what passes of the last batch, and whatever the format has before it.
    fn release(&mut self, judgement: &Judgement, out: &mut Vec<u8>) -> Result<(), StreamError>;

    /// Appends what belongs at the end. Only after [`Next::End`].
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError>;
}

/// A stream in a format.
pub fn open(format: Format, limits: Limits, on_invalid: OnInvalid) -> Box<dyn Records> {
    match format {
        Format::Ndjson => Box::new(ndjson::Ndjson::new(limits, on_invalid)),
        Format::Json => Box::new(json_array::JsonArray::new(limits, on_invalid)),
        Format::Csv => Box::new(csv::Csv::new(limits, on_invalid)),
        Format::ArrowStream => Box::new(arrow_stream::ArrowStream::new(limits)),
        Format::Parquet => Box::new(parquet::Parquet::new(limits)),
    }
}
