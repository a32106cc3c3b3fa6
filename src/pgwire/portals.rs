//! Answers that a client takes piece by piece: portals and cursors, which are the same thing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::BytesMut;
use datafusion::common::ScalarValue;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use pgwire::messages::data::{FieldDescription, RowDescription};
use tokio_util::sync::CancellationToken;

use super::copy::CopyWriter;
use super::fault::{Fault, Trouble, encode};
use super::link::Link;
use super::rows::{Format, RowWriter};
use super::statement::Command;
use super::types::{modifier, pg_type};
use crate::policy::Revision;
use crate::query::{Answer, QueryError};

/// Portals with a name of one connection.
const MOST: usize = 100;
/// Bytes of what they were bound to and ask for.
const MOST_BYTES: usize = 16 << 20;
/// Columns of one answer, as PostgreSQL has it.
const COLUMNS: usize = 1664;
/// Rows that are written at once.
const ROWS: usize = 256;

/// Rows on their way. At most one batch is held back.
pub(super) struct Rows {
    pub(super) schema: SchemaRef,
    /// The revision that they obey; rows of ours obey none.
    pub(super) revision: Option<Revision>,
    batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
    /// What is left of the last batch.
    left: Option<RecordBatch>,
    /// Whether there may be more.
    is_open: bool,
}

impl Rows {
    /// The rows of an answer.
    pub(super) fn of(answer: Answer) -> Rows {
        let batches = answer.batches.map_ok(|guarded| guarded.batch().clone());
        Rows {
            schema: answer.schema,
            revision: Some(answer.revision),
            batches: batches.boxed(),
            left: None,
            is_open: true,
        }
    }

    /// Rows of texts of ours.
    pub(super) fn texts(columns: &[&str], rows: &[Vec<String>]) -> Result<Rows, Fault> {
        let schema = texts(columns);
        let arrays = (0..columns.len()).map(|n| {
            let cells = rows.iter().map(|row| row.get(n));
            Arc::new(cells.collect::<StringArray>()) as ArrayRef
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect());
        Ok(Rows {
            schema,
            revision: None,
            batches: stream::empty().boxed(),
            left: Some(batch.map_err(|_| Fault::internal())?),
            is_open: true,
        })
    }

    /// The next rows, at most so many; `None` after the last.
    async fn next(&mut self, most: u64) -> Result<Option<RecordBatch>, QueryError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        loop {
            if let Some(batch) = self.left.take() {
                let rows = batch.num_rows();
                if rows > most {
                    self.left = Some(batch.slice(most, rows - most));
                    return Ok(Some(batch.slice(0, most)));
                }
                if rows > 0 {
                    return Ok(Some(batch));
                }
            }
            self.left = self.batches.try_next().await?;
            if self.left.is_none() {
                // Whatever the stream holds on to is let go, though its portal may live on.
                self.batches = stream::empty().boxed();
                self.is_open = false;
                return Ok(None);
            }
        }
    }
}

/// Columns of texts.
pub(super) fn texts(columns: &[&str]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|name| Field::new(*name, DataType::Utf8, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// How rows are written.
pub(super) enum Writer {
    Rows(RowWriter),
    Copy(CopyWriter),
    /// They are passed over.
    Nothing,
}

impl Writer {
    /// Appends whole messages, or nothing.
    fn write(&mut self, batch: &RecordBatch, out: &mut BytesMut) -> Result<(), Fault> {
        let start = out.len();
        let written = match self {
            Writer::Rows(writer) => writer.write(batch, 0..batch.num_rows(), out),
            Writer::Copy(writer) => writer.write(batch, out),
            Writer::Nothing => Ok(()),
        };
        written.map_err(|fault| {
            out.truncate(start);
            fault.into()
        })
    }
}

/// Sends rows, at most so many, and answers how many there were.
pub(super) async fn send(
    link: &mut Link,
    token: &CancellationToken,
    rows: &mut Rows,
    writer: &mut Writer,
    most: Option<u64>,
) -> Result<u64, Trouble> {
    let most = most.unwrap_or(u64::MAX);
    let mut sent = 0;
    while sent < most {
        let next = attend(link, token, rows.next(most - sent)).await??;
        let Some(batch) = next else {
            break;
        };
        let length = batch.num_rows();
        for start in (0..length).step_by(ROWS) {
            let piece = batch.slice(start, ROWS.min(length - start));
            writer.write(&piece, &mut link.out)?;
            link.flush_if_full().await?;
        }
        sent = sent.saturating_add(length as u64);
    }
    Ok(sent)
}

/// Works on something as long as its client is there and has not given it up.
pub(super) async fn attend<T>(
    link: &mut Link,
    token: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, Trouble> {
    tokio::select! {
        biased;
        () = token.cancelled() => Err(Fault::canceled().into()),
        done = work => Ok(done),
        () = link.hung_up() => Err(Trouble::Gone),
    }
}

/// The format of each column, of codes as clients give them: none, one for all, or one for each.
pub(super) fn formats(codes: &[i16], columns: usize) -> Result<Vec<Format>, Fault> {
    let format = |code: &i16| match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        code => {
            let message = format!("unsupported format code {code}: expected 0 or 1");
            Err(Fault::new("22023", message))
        }
    };
    match codes {
        [] => Ok(vec![Format::Text; columns]),
        [code] => Ok(vec![format(code)?; columns]),
        codes if codes.len() == columns => codes.iter().map(format).collect(),
        codes => {
            let message = format!("{} format codes for {columns} values", codes.len());
            Err(Fault::new("08P01", message))
        }
    }
}

/// Tells the client of the columns that come.
pub(super) fn describe(
    schema: &Schema,
    formats: &[Format],
    out: &mut BytesMut,
) -> Result<(), Fault> {
    not_too_wide(schema)?;
    let fields = schema.fields().iter().zip(formats).map(|(field, format)| {
        let pg_type = pg_type(field.data_type());
        FieldDescription::new(
            field.name().replace('\0', "\u{fffd}"),
            0,
            0,
            pg_type.oid,
            pg_type.len,
            modifier(field.data_type()),
            match format {
                Format::Text => 0,
                Format::Binary => 1,
            },
        )
    });
    encode(&RowDescription::new(fields.collect()), out);
    Ok(())
}

/// Refuses answers with more columns than clients can be told of.
pub(super) fn not_too_wide(schema: &Schema) -> Result<(), Fault> {
    match schema.fields().len() <= COLUMNS {
        true => Ok(()),
        false => {
            let message = format!("an answer can have at most {COLUMNS} columns here");
            Err(Fault::new("54011", message))
        }
    }
}

/// Whether rows have the columns that the client was told of, as far as it can tell.
pub(super) fn same_columns(told: &Schema, found: &Schema) -> bool {
    let (told, found) = (told.fields(), found.fields());
    told.len() == found.len()
        && told.iter().zip(found).all(|(told, found)| {
            told.name() == found.name() && pg_type(told.data_type()) == pg_type(found.data_type())
        })
}

/// A prepared statement with its values, and what has come of it.
pub(super) struct Portal {
    /// What it asks for; nothing, if its text is empty.
    pub(super) command: Option<Arc<Command>>,
    pub(super) values: Vec<ScalarValue>,
    /// The formats of its columns, as the client gave them.
    pub(super) codes: Vec<i16>,
    /// The columns that the client was told of.
    pub(super) told: Option<SchemaRef>,
    /// Its rows, once it has begun.
    pub(super) rows: Option<Rows>,
    /// Whether it outlives its transaction.
    pub(super) is_held: bool,
    /// Whether the transaction in which it was made is still open.
    pub(super) is_fresh: bool,
    /// Bytes of what it was bound to and asks for.
    pub(super) bytes: usize,
}

/// The portals of a connection.
#[derive(Default)]
pub(super) struct Portals(HashMap<String, Portal>);

impl Portals {
    /// Takes a portal out, to be put back if nothing goes wrong.
    pub(super) fn take(&mut self, name: &str) -> Option<Portal> {
        self.0.remove(name)
    }

    /// Puts back a portal that was taken.
    pub(super) fn put_back(&mut self, name: &str, portal: Portal) {
        self.0.insert(name.to_owned(), portal);
    }

    /// Adds a portal. The one without a name is replaced.
    pub(super) fn add(&mut self, name: &str, portal: Portal) -> Result<(), Fault> {
        if !name.is_empty() && self.0.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(Fault::new("42P03", message));
        }
        self.0.remove(name);
        let named = self.0.keys().filter(|name| !name.is_empty()).count();
        if named >= MOST && !name.is_empty() {
            let message = format!("{MOST} cursors and portals are open: close some");
            return Err(Fault::new("54000", message));
        }
        let held = self.0.values().map(|portal| portal.bytes);
        if held.fold(portal.bytes, usize::saturating_add) > MOST_BYTES {
            let message =
                format!("the values of open portals take more than {MOST_BYTES} bytes: close some");
            return Err(Fault::new("54000", message));
        }
        self.put_back(name, portal);
        Ok(())
    }

    /// The columns of a cursor.
    pub(super) fn columns(&self, name: &str) -> Result<SchemaRef, Fault> {
        let rows = self.0.get(name).and_then(|portal| portal.rows.as_ref());
        rows.map(|rows| Arc::clone(&rows.schema))
            .ok_or_else(|| no_cursor(name))
    }

    /// Drops a portal. Whether there was one is told.
    pub(super) fn close(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    pub(super) fn close_all(&mut self) {
        self.0.clear();
    }

    /// Drops what ends with a transaction.
    pub(super) fn end_transaction(&mut self, is_committed: bool) {
        self.0
            .retain(|_, portal| portal.is_held && (is_committed || !portal.is_fresh));
        for portal in self.0.values_mut() {
            portal.is_fresh = false;
        }
    }

    /// Whether a query is held open.
    pub(super) fn are_open(&self) -> bool {
        let rows = |portal: &Portal| portal.rows.as_ref().is_some_and(|rows| rows.is_open);
        self.0.values().any(rows)
    }
}

/// What is said of a cursor that is not there.
pub(super) fn no_cursor(name: &str) -> Fault {
    Fault::new("34000", format!("cursor \"{name}\" does not exist"))
}
