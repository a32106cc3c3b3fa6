//! Records of one CSV file as text, with the line on which each of them starts.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::{Decoder, Format};
use arrow::datatypes::SchemaRef;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::source::SourceError;
use crate::source::files::{Stored, StoredFile};

/// What is wrong with a file whose header is another than the first file's.
pub(super) const OTHER_HEADER: &str =
    "its header line differs from that of the files before; all must have the same columns";

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

/// Most bytes that may be waiting for the end of a record or a batch: a quote that is never
/// closed would otherwise take in the rest of the file.
const MOST_WAITING: usize = 256 * 1024 * 1024;

/// Most bytes of a header line.
const MOST_HEADER: usize = 1024 * 1024;

/// The names in a file's header line.
pub(super) async fn header(stored: &Stored, file: &StoredFile) -> Result<Vec<String>, SourceError> {
    let mut reader = stored.open(file).await?;
    let mut head = Vec::new();
    let mut ended = false;
    let length = loop {
        if let Some(length) = first_record(&head) {
            break length;
        }
        if ended {
            break head.len();
        }
        if head.len() > MOST_HEADER {
            return Err(file.error("its header line has no end; is it CSV?".into()));
        }
        ended = !fill(&mut reader, &mut head, file).await?;
    };
    let line = head.get(..length).unwrap_or_default();
    let (schema, _) = Format::default()
        .with_header(true)
        .infer_schema(line, Some(0))
        .map_err(|_| file.error("its header line cannot be read as CSV in UTF-8".into()))?;
    if schema.fields().is_empty() || line.iter().all(u8::is_ascii_whitespace) {
        return Err(file.error("it has no header line".into()));
    }
    Ok(schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect())
}

/// The length of the first record, blank lines before it included, if it is complete.
fn first_record(bytes: &[u8]) -> Option<usize> {
    let mut records = Records::new(bytes);
    records.by_ref().next()?;
    Some(records.at)
}

/// Reads one more chunk; `false` at the end of the file.
async fn fill(
    reader: &mut (dyn AsyncRead + Send + Unpin),
    into: &mut Vec<u8>,
    file: &StoredFile,
) -> Result<bool, SourceError> {
    into.reserve(CHUNK);
    let read = reader
        .take(CHUNK as u64)
        .read_buf(into)
        .await
        .map_err(|error| file.error(format!("it cannot be read: {}", error.kind())))?;
    Ok(read > 0)
}

/// A file being read.
pub(super) struct Scan<'a> {
    file: &'a StoredFile,
    reader: Box<dyn AsyncRead + Send + Unpin>,
    decoder: Decoder,
    /// The bytes from the first record of the batch on.
    window: Vec<u8>,
    /// How many of them the decoder has had.
    fed: usize,
    /// Whether `window[..fed]` is the batch that was handed out last.
    flushed: bool,
    ended: bool,
    /// Lines before the window.
    lines: u64,
    /// Records before the window, the header among them.
    records: u64,
    /// Rows in the batch that was handed out last.
    rows: u64,
}

impl<'a> Scan<'a> {
    /// Opens a file whose columns are `schema`, of which `columns` are decoded (`None`: all).
    pub(super) async fn open(
        stored: &Stored,
        file: &'a StoredFile,
        schema: SchemaRef,
        columns: Option<Vec<usize>>,
        batch_rows: usize,
    ) -> Result<Scan<'a>, SourceError> {
        let mut builder = ReaderBuilder::new(Arc::clone(&schema))
            .with_header(true)
            .with_header_validation(true)
            .with_batch_size(batch_rows);
        if let Some(columns) = columns {
            builder = builder.with_projection(columns);
        }
        Ok(Scan {
            file,
            reader: stored.open(file).await?,
            decoder: builder.build_decoder(),
            window: Vec::new(),
            fed: 0,
            flushed: false,
            ended: false,
            lines: 0,
            records: 0,
            rows: 0,
        })
    }

    /// The next records, until there are none.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        self.forget_last();
        while self.decoder.capacity() > 0 {
            if self.fed == self.window.len() && !self.ended {
                if self.window.len() > MOST_WAITING {
                    return Err(self.error_at_window(
                        "the records from here on are too long to be held; is a quote not closed?"
                            .into(),
                    ));
                }
                self.ended = !fill(&mut self.reader, &mut self.window, self.file).await?;
                continue;
            }
            let waiting = self.window.get(self.fed..).unwrap_or_default();
            let read = self
                .decoder
                .decode(waiting)
                .map_err(|error| self.broken(&error.to_string()))?;
            if read == 0 {
                break;
            }
            self.fed += read;
        }
        if self.ended && self.fed == self.window.len() {
            self.check_end()?;
        }
        let batch = self
            .decoder
            .flush()
            .map_err(|error| self.broken(&error.to_string()))?;
        self.flushed = true;
        self.rows = batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        Ok(batch)
    }

    /// The size of the batch that was handed out last, in the file.
    pub(super) fn batch_bytes(&self) -> usize {
        self.fed
    }

    /// A quote that is still open at the end of the file has taken in the records behind it,
    /// which the decoder does not mind.
    fn check_end(&self) -> Result<(), SourceError> {
        let mut records = Records::new(&self.window);
        let before = records.by_ref().count() as u64;
        match records.open_quote {
            true => Err(self.error_at_record(before, "a quote is not closed".into())),
            false => Ok(()),
        }
    }

    fn forget_last(&mut self) {
        if !std::mem::take(&mut self.flushed) {
            return;
        }
        let taken = self.window.drain(..self.fed);
        self.lines += taken
            .as_slice()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count() as u64;
        drop(taken);
        if self.records == 0 {
            self.records = 1;
        }
        self.records += self.rows;
        self.fed = 0;
    }

    /// An error about a row of the batch that was handed out last.
    pub(super) fn error_at(&self, row: usize, what: String) -> SourceError {
        let header = u64::from(self.records == 0);
        self.error_at_record(row as u64 + header, what)
    }

    fn error_at_window(&self, what: String) -> SourceError {
        self.error_at_record(0, what)
    }

    /// An error about the record with this number in the window.
    fn error_at_record(&self, record: u64, what: String) -> SourceError {
        let mut records = Records::new(&self.window);
        let mut line = None;
        for _ in 0..=record {
            line = records.next().or(line);
        }
        // The last record of a file may have no line feed at its end.
        let line = self.lines + line.filter(|_| records.complete).unwrap_or(records.line) + 1;
        SourceError::Line {
            file: self.file.name.clone(),
            line,
            what,
        }
    }

    /// What the decoder says, without the values that it may quote.
    fn broken(&self, message: &str) -> SourceError {
        let number = |after: &str| -> Option<u64> {
            let rest = message.split_once(after)?.1;
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        };
        // The decoder calls line what is the record's number, the header being the first.
        let Some(record) = number("for line ") else {
            return self.file.error(OTHER_HEADER.into());
        };
        let record = record.saturating_sub(1).saturating_sub(self.records);
        let what = match (
            number("expected "),
            number("got ").or_else(|| number("got more than ")),
        ) {
            (Some(expected), _) if message.contains("got more than") => {
                format!("the record has more than {expected} fields, the header has {expected}")
            }
            (Some(expected), Some(got)) => {
                format!("the record has {got} fields, the header has {expected}")
            }
            _ => "the record is not valid UTF-8".into(),
        };
        self.error_at_record(record, what)
    }
}

/// Where the records of a text start. The text begins where a record does.
struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
    /// Whether the last record that was looked for has an end.
    complete: bool,
    /// Whether the text ends within quotes.
    open_quote: bool,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8]) -> Records<'a> {
        Records {
            bytes,
            at: 0,
            line: 0,
            complete: false,
            open_quote: false,
        }
    }
}

/// Where in a field a byte stands. A quote means something at a field's start and within quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end of them, or the first half of a doubled one.
    Closing,
}

impl Iterator for Records<'_> {
    /// The line, counted from 0, on which the record starts.
    type Item = u64;

    /// Moves behind the next record; `None`, and then standing at its start, if it has no end.
    fn next(&mut self) -> Option<u64> {
        while let Some(byte) = self.bytes.get(self.at)
            && matches!(byte, b'\r' | b'\n')
        {
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        let (start, mut line, mut place) = (self.line, self.line, Place::Start);
        for (at, byte) in self.bytes.iter().enumerate().skip(self.at) {
            line += u64::from(*byte == b'\n');
            place = match (place, byte) {
                (Place::Quoted, b'"') => Place::Closing,
                (Place::Quoted, _) | (Place::Start | Place::Closing, b'"') => Place::Quoted,
                (_, b',') => Place::Start,
                (_, b'\n') => {
                    self.at = at + 1;
                    self.line = line;
                    self.complete = true;
                    return Some(start);
                }
                _ => Place::Plain,
            };
        }
        self.complete = false;
        self.open_quote = place == Place::Quoted;
        None
    }
}
