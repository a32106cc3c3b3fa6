//! What is told about the records: why they were withheld, how far it is, and how many they were.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use serde_json::value::RawValue;

use super::pipe::Stop;
use super::rules::Rules;
use crate::guard::{Explanation, Guard, GuardError, Judgement};
use crate::wire::stream::pass::Tally;
use crate::wire::stream::{Batch, Invalid, Records, StreamError};
use crate::wire::{self, Format};

/// Writes each record that is withheld or left out to a file, with the reasons.
pub(super) struct Explanations {
    to: BufWriter<File>,
    path: PathBuf,
    format: Format,
}

impl Explanations {
    /// Makes the file, empty.
    pub(super) fn create(path: &Path, format: Format) -> anyhow::Result<Explanations> {
        let file =
            File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Explanations {
            to: BufWriter::new(file),
            path: path.to_owned(),
            format,
        })
    }

    /// Enters what does not pass of the batch that the records gave last.
    pub(super) fn enter(
        &mut self,
        guard: &Guard,
        records: &dyn Records,
        batch: &Batch,
        judgement: &Judgement,
    ) -> Result<(), Stop> {
        let mut invalid = batch.invalid.iter().peekable();
        let hidden = !judgement.passes();
        if judgement.withheld() > 0 {
            let mask = BooleanArray::new(hidden.clone(), None);
            let withheld = filter_record_batch(&batch.rows, &mask)
                .map_err(|_| StreamError::from(GuardError::Engine))?;
            let explained = guard.explain(&withheld).map_err(StreamError::from)?;
            let mut as_json = match self.format {
                Format::ArrowStream | Format::Parquet => objects(&withheld)?,
                Format::Ndjson | Format::Json | Format::Csv => Vec::new(),
            }
            .into_iter();
            for (row, explanation) in hidden.set_indices().zip(&explained) {
                let line = records.line_of(row);
                while let Some(before) = invalid.next_if(|invalid| invalid.line < line) {
                    self.left_out(before)?;
                }
                let record = match (records.bytes_of(row), as_json.next()) {
                    (_, Some(object)) => object.get().as_bytes().to_vec(),
                    (Some(bytes), None) => self.shown(bytes),
                    (None, None) => b"null".to_vec(),
                };
                self.withheld(line, &record, explanation)?;
            }
        }
        invalid.try_for_each(|invalid| self.left_out(invalid))
    }

    /// The bytes of a record as one line of JSON.
    fn shown(&self, bytes: &[u8]) -> Vec<u8> {
        match self.format {
            Format::Csv => {
                let text = String::from_utf8_lossy(bytes);
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                json!(line).to_string().into_bytes()
            }
            // Outside of text, where none can stand, line ends are white space.
            _ => bytes
                .trim_ascii()
                .iter()
                .map(|byte| match byte {
                    b'\n' | b'\r' => b' ',
                    other => *other,
                })
                .collect(),
        }
    }

    fn withheld(&mut self, line: u64, record: &[u8], why: &Explanation) -> Result<(), Stop> {
        let policies = why.withheld_by.iter();
        let by: Vec<_> = policies
            .map(|policy| json!({"policy": policy.name, "conditions": policy.conditions}))
            .collect();
        let by = json!(by);
        let written = write!(self.to, "{{\"line\":{line},\"record\":")
            .and_then(|()| self.to.write_all(record))
            .and_then(|()| writeln!(self.to, ",\"withheld_by\":{by}}}"));
        written.map_err(|error| self.failed(error))
    }

    fn left_out(&mut self, invalid: &Invalid) -> Result<(), Stop> {
        let line = json!({"line": invalid.line, "invalid": invalid.reason});
        writeln!(self.to, "{line}").map_err(|error| self.failed(error))
    }

    /// Hands on what was entered so far.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        self.to.flush().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Stop {
        let path = self.path.clone();
        Stop::Explain { path, error }
    }
}

/// The rows of a batch, each as a JSON object; `null` where JSON has no form for a column.
fn objects(batch: &arrow::record_batch::RecordBatch) -> Result<Vec<Box<RawValue>>, StreamError> {
    let Ok(array) = wire::json_array(batch) else {
        return Ok(vec![RawValue::NULL.to_owned(); batch.num_rows()]);
    };
    serde_json::from_slice(&array).map_err(|_| StreamError::Malformed {
        what: "a withheld record cannot be shown as JSON".to_owned(),
    })
}

/// Shows on a terminal how far it is.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Nothing is shown where standard error is no terminal, or the records come out on one.
    pub(super) fn new(length: Option<u64>, occupied: bool) -> Progress {
        let (bar, template) = match length {
            _ if occupied => (ProgressBar::hidden(), "{msg}"),
            Some(length) => (
                ProgressBar::new(length),
                "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {msg}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {bytes}  {bytes_per_sec}  {elapsed}  {msg}",
            ),
        };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress {
            bar: bar.with_style(style),
        }
    }

    /// Shows how many bytes were read, and what became of the records.
    pub(super) fn show(&self, bytes: u64, tally: &Tally) {
        if self.bar.is_hidden() {
            return;
        }
        let (read, withheld) = (HumanCount(tally.read), HumanCount(tally.withheld));
        self.bar.set_position(bytes);
        self.bar
            .set_message(format!("{read} records, {withheld} withheld"));
    }

    /// Leaves no trace of it.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Writes to standard error how many records were read and what became of them: as JSON, or in
/// words to a terminal.
pub(super) fn summarize(
    tally: &Tally,
    rules: &Rules,
    as_json: bool,
    terminal: bool,
) -> io::Result<()> {
    let withheld_by: Vec<_> = rules
        .iter()
        .filter_map(|policy| {
            let id = policy.requirement.policy_id;
            let by = tally.withheld_by.iter().find(|by| by.policy_id == id)?;
            Some((policy, by.count))
        })
        .collect();
    let mut to = io::stderr().lock();
    if as_json {
        let withheld_by: Vec<_> = withheld_by
            .into_iter()
            .map(|(policy, count)| {
                json!({
                    "policy": policy.requirement.name,
                    "pack": policy.pack,
                    "count": count,
                })
            })
            .collect();
        let summary = json!({
            "read": tally.read,
            "allowed": tally.allowed,
            "withheld": tally.withheld,
            "invalid": tally.invalid,
            "withheld_by": withheld_by,
        });
        return writeln!(to, "{summary}");
    }
    if !terminal {
        return Ok(());
    }
    let count = |count| HumanCount(count).to_string();
    writeln!(
        to,
        "{} records read: {} passed, {} withheld, {} not well-formed",
        count(tally.read),
        count(tally.allowed),
        count(tally.withheld),
        count(tally.invalid)
    )?;
    for (policy, withheld) in withheld_by {
        let (name, pack) = (&policy.requirement.name, policy.pack.display());
        writeln!(to, "  {:>9}  {name} ({pack})", count(withheld))?;
    }
    Ok(())
}
