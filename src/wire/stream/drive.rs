//! Takes a text through a format in a test, however it arrives.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field, Schema};

use super::{Limits, Next, Records, StreamError, Wanted};

/// What became of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What was written.
    pub(super) out: String,
    /// How many rows and invalid records each batch had.
    pub(super) batches: Vec<(usize, usize)>,
    /// The line of every row.
    pub(super) lines: Vec<u64>,
    /// The line of every invalid record, and the reason.
    pub(super) invalid: Vec<(u64, String)>,
    /// Why it ended early: the kind, and the text.
    pub(super) error: Option<(&'static str, String)>,
}

impl Outcome {
    /// The kind of error and its line, or the first line of its text where that has none.
    pub(super) fn error(&self) -> String {
        let Some((kind, text)) = &self.error else {
            return String::new();
        };
        let line = text
            .strip_prefix("line ")
            .and_then(|text| text.split(':').next());
        format!("{kind} {}", line.unwrap_or_default()).trim().into()
    }
}

/// Small enough that the texts of tests reach the limits.
pub(super) const LIMITS: Limits = Limits {
    batch_bytes: 1 << 20,
    record_bytes: 200,
    nesting: 8,
    columns: 6,
    batch_rows: 3,
    window_bytes: 40,
};

/// Columns that are wanted.
pub(super) fn wanted(columns: &[(&str, DataType)]) -> Wanted {
    let fields = columns
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Wanted {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        only: false,
    }
}

/// Takes a text through, so many bytes at a time. What has `DE` in its first wanted column, if
/// that is text, does not pass.
pub(super) fn drive<R: Records>(
    records: &mut R,
    text: &[u8],
    step: usize,
    wanted: &Wanted,
    write: fn(&mut R, &BooleanBuffer, &mut Vec<u8>) -> Result<(), StreamError>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut out = Vec::new();
    if let Err(error) = through(records, text, step, wanted, write, &mut outcome, &mut out) {
        let kind = match error {
            StreamError::Invalid(_) => "invalid",
            StreamError::Malformed { .. } => "malformed",
            StreamError::Limit { .. } => "limit",
            StreamError::Columns(_) => "columns",
            _ => "other",
        };
        outcome.error = Some((kind, error.to_string()));
    }
    outcome.out = String::from_utf8(out).unwrap();
    outcome
}

fn through<R: Records>(
    records: &mut R,
    text: &[u8],
    step: usize,
    wanted: &Wanted,
    write: fn(&mut R, &BooleanBuffer, &mut Vec<u8>) -> Result<(), StreamError>,
    outcome: &mut Outcome,
    out: &mut Vec<u8>,
) -> Result<(), StreamError> {
    let (mut rest, mut ended) = (text, false);
    loop {
        let space = records.space();
        let taken = space.len().min(step).min(rest.len());
        space[..taken].copy_from_slice(&rest[..taken]);
        rest = &rest[taken..];
        records.filled(taken)?;
        if rest.is_empty() && !ended {
            ended = true;
            records.end()?;
        }
        loop {
            let batch = match records.next(wanted, false)? {
                Next::Hungry => break,
                Next::End => return records.finish(out),
                Next::Batch(batch) => batch,
            };
            let rows = batch.rows.num_rows();
            outcome.batches.push((rows, batch.invalid.len()));
            outcome
                .lines
                .extend((0..rows).map(|row| records.line_of(row)));
            let invalid = batch.invalid.into_iter();
            outcome
                .invalid
                .extend(invalid.map(|invalid| (invalid.line, invalid.reason)));
            let first = batch.rows.columns().first();
            let texts = first.and_then(|column| column.as_string_opt::<i32>());
            let forbidden = |row| texts.is_some_and(|texts| texts.value(row) == "DE");
            let passes: BooleanBuffer = (0..rows).map(|row| !forbidden(row)).collect();
            for row in 0..rows {
                let record = records.bytes_of(row).unwrap();
                assert!(!record.is_empty());
            }
            write(records, &passes, out)?;
        }
    }
}

/// The same outcome for every way in which a text can arrive.
pub(super) fn however_it_arrives(drive: impl Fn(usize) -> Outcome) -> Outcome {
    let whole = drive(usize::MAX);
    for step in [1, 2, 3, 7, 31] {
        assert_eq!(drive(step), whole, "{step} bytes at a time");
    }
    whole
}
