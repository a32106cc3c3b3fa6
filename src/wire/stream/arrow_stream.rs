//! The Arrow IPC stream: its messages are framed and checked here, decoded and validated in full
//! by `arrow`, and written again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::Schema;
use arrow::ipc::convert::{MessageBuffer, fb_to_schema};
use arrow::ipc::reader::{read_dictionary, read_record_batch};

use super::arrow_message::{self as message, Kind};
use super::contain::{contain, decode};
use super::outlet::Outlet;
use super::own_columns::{OwnColumns, malformed};
use super::portion::Portions;
use super::{Batch, Columns, Limits, Next, Records, StreamError, Wanted};
use crate::guard::Judgement;
use crate::wire::Format;

/// What every message begins with; with a length of 0 behind it, it is the end of the stream.
const MARKER: [u8; 4] = [0xff; 4];
/// Decoded bytes for each byte that came, once more than [`RATIO_FROM`] were decoded.
const MOST_RATIO: u64 = 1_000;
const RATIO_FROM: u64 = 64 << 20;

pub(super) struct ArrowStream {
    limits: Limits,
    place: Place,
    /// The number of the current message, and of the last batch, from 1.
    message: u64,
    batch: u64,
    /// Bytes that came, and what they became.
    taken: u64,
    decoded: u64,
    /// Bytes that were given out.
    given: u64,
    columns: Option<OwnColumns>,
    dictionaries: HashMap<i64, ArrayRef>,
    /// The bytes of each dictionary.
    dictionary_bytes: HashMap<i64, u64>,
    /// Decoded and not given out yet.
    portions: Portions,
    /// What was given out last, and how many rows came before it.
    current: Option<RecordBatch>,
    rows_before: u64,
    rows: u64,
    ended: bool,
    outlet: Outlet,
}

/// Where in the stream we are. Bytes are read to exactly where they are needed.
enum Place {
    /// In the marker and the length of a message's metadata.
    Prefix { bytes: [u8; 8], filled: usize },
    /// In the metadata.
    Metadata { bytes: MutableBuffer, filled: usize },
    /// In the body.
    Body {
        message: MessageBuffer,
        kind: Kind,
        bytes: MutableBuffer,
        filled: usize,
    },
    /// Behind a message that waits to be decoded.
    Whole {
        message: MessageBuffer,
        kind: Kind,
        body: Buffer,
    },
    /// Behind the mark of the end. Room for a byte that must not come.
    Over([u8; 1]),
    /// Behind an error.
    Broken,
}

impl Place {
    fn start() -> Place {
        Place::Prefix {
            bytes: [0; 8],
            filled: 0,
        }
    }
}

impl ArrowStream {
    pub(super) fn new(limits: Limits) -> ArrowStream {
        ArrowStream {
            limits,
            place: Place::start(),
            message: 1,
            batch: 0,
            taken: 0,
            decoded: 0,
            given: 0,
            columns: None,
            dictionaries: HashMap::new(),
            dictionary_bytes: HashMap::new(),
            portions: Portions::default(),
            current: None,
            rows_before: 0,
            rows: 0,
            ended: false,
            outlet: Outlet::new(Format::ArrowStream),
        }
    }

    /// Goes on where a part of a message is complete.
    fn advance(&mut self) -> Result<(), StreamError> {
        loop {
            self.place = match std::mem::replace(&mut self.place, Place::Broken) {
                Place::Prefix { bytes, filled } if filled == bytes.len() => self.prefix(bytes)?,
                Place::Metadata { bytes, filled } if filled == bytes.len() => {
                    self.metadata(bytes.into())?
                }
                Place::Body {
                    message,
                    kind,
                    bytes,
                    filled,
                } if filled == bytes.len() => {
                    if kind == Kind::Schema {
                        self.schema(&message)?;
                        self.message += 1;
                        Place::start()
                    } else {
                        Place::Whole {
                            message,
                            kind,
                            body: bytes.into(),
                        }
                    }
                }
                unfinished => {
                    self.place = unfinished;
                    return Ok(());
                }
            };
        }
    }

    fn prefix(&self, bytes: [u8; 8]) -> Result<Place, StreamError> {
        let [a, b, c, d, length @ ..] = bytes;
        if [a, b, c, d] != MARKER {
            return Err(malformed(format!(
                "message {} does not begin as one of an Arrow IPC stream",
                self.message
            )));
        }
        let length = i32::from_le_bytes(length);
        if length == 0 {
            return match self.columns {
                Some(_) => Ok(Place::Over([0])),
                None => Err(malformed("the Arrow stream ended before its schema".into())),
            };
        }
        let Ok(length) = usize::try_from(length) else {
            return Err(malformed(format!(
                "message {} declares a negative length",
                self.message
            )));
        };
        if length > self.limits.batch_bytes {
            return Err(StreamError::Limit {
                what: "bytes in the metadata of one message",
                most: self.limits.batch_bytes as u64,
            });
        }
        Ok(Place::Metadata {
            bytes: MutableBuffer::from_len_zeroed(length),
            filled: 0,
        })
    }

    fn metadata(&self, bytes: Buffer) -> Result<Place, StreamError> {
        let number = self.message;
        let message = decode(
            || format!("message {number}"),
            || MessageBuffer::try_new(bytes),
        )?;
        let has_schema = self.columns.is_some();
        let (kind, length) = message::head(&message.as_ref(), number, has_schema, &self.limits)?;
        Ok(Place::Body {
            message,
            kind,
            bytes: MutableBuffer::from_len_zeroed(length),
            filled: 0,
        })
    }

    fn schema(&mut self, message: &MessageBuffer) -> Result<(), StreamError> {
        let what = || "the schema".to_owned();
        let schema = decode(what, || message.as_ref().header_as_schema().ok_or(()))?;
        message::check_schema(&schema, &self.limits)?;
        let schema = decode(what, || Ok::<_, ()>(fb_to_schema(schema)))?;
        // Whatever else the stream says about itself may speak of records that do not pass.
        let schema = Schema::new(schema.fields().clone());
        self.columns = Some(OwnColumns::new(Arc::new(schema), &self.limits)?);
        Ok(())
    }

    fn dictionary(&mut self, message: &MessageBuffer, body: &Buffer) -> Result<(), StreamError> {
        let number = self.message;
        let name = || format!("the dictionary in message {number}");
        let Some(columns) = &self.columns else {
            return Err(malformed(name()));
        };
        let header = message.as_ref();
        let values = decode(name, || header.header_as_dictionary_batch().ok_or(()))?;
        let batch = message::dictionary_values(&values, &name)?;
        let bytes = message::check_batch(&batch, body, &name, &self.limits)?;
        let (id, adds) = (values.id(), values.isDelta());
        let kept = match adds {
            true => self.dictionary_bytes.get(&id).copied().unwrap_or(0),
            false => 0,
        };
        let others = self.dictionary_bytes.iter().filter(|(of, _)| **of != id);
        let most = self.limits.batch_bytes as u64;
        if others.map(|(_, bytes)| bytes).sum::<u64>() + kept + bytes > most {
            return Err(StreamError::Limit {
                what: "bytes in the dictionaries",
                most,
            });
        }
        let version = header.version();
        let dictionaries = &mut self.dictionaries;
        decode(name, || {
            read_dictionary(body, values, columns.schema(), dictionaries, &version)
        })?;
        self.dictionary_bytes.insert(id, kept + bytes);
        // What is added to is copied.
        self.count(kept + bytes)
    }

    fn records(&mut self, message: &MessageBuffer, body: &Buffer) -> Result<(), StreamError> {
        self.batch += 1;
        let number = self.batch;
        let name = || format!("batch {number}");
        let Some(columns) = &self.columns else {
            return Err(malformed(name()));
        };
        let header = message.as_ref();
        let records = decode(name, || header.header_as_record_batch().ok_or(()))?;
        let bytes = message::check_batch(&records, body, &name, &self.limits)?;
        let version = header.version();
        let batch = decode(name, || {
            let schema = columns.schema().clone();
            read_record_batch(body, records, schema, &self.dictionaries, None, &version)
        })?;
        self.portions.put(batch);
        self.count(bytes)
    }

    fn count(&mut self, bytes: u64) -> Result<(), StreamError> {
        self.decoded = self.decoded.saturating_add(bytes);
        within_ratio(self.decoded, self.taken)
    }

    fn give(&mut self) -> Result<Option<Next>, StreamError> {
        let number = self.batch;
        let portions = &mut self.portions;
        let taken = contain(|| format!("batch {number}"), || portions.take(&self.limits))??;
        let Some((rows, bytes)) = taken else {
            return Ok(None);
        };
        // Values that rows share are written for each portion.
        self.given = self.given.saturating_add(bytes);
        within_ratio(self.given, self.taken)?;
        self.rows_before = self.rows;
        self.rows += rows.num_rows() as u64;
        self.current = Some(rows.clone());
        Ok(Some(Next::Batch(Batch {
            rows,
            invalid: Vec::new(),
        })))
    }
}

/// Errors: what came became too much.
fn within_ratio(became: u64, taken: u64) -> Result<(), StreamError> {
    if became > RATIO_FROM && became / MOST_RATIO > taken {
        return Err(StreamError::Limit {
            what: "times the compressed size after decompression",
            most: MOST_RATIO,
        });
    }
    Ok(())
}

impl Records for ArrowStream {
    fn space(&mut self) -> &mut [u8] {
        let (bytes, filled) = match &mut self.place {
            // One message is in memory at a time.
            _ if !self.portions.is_empty() => return &mut [],
            Place::Prefix { bytes, filled } => (bytes.as_mut_slice(), *filled),
            Place::Metadata { bytes, filled } | Place::Body { bytes, filled, .. } => {
                (bytes.as_slice_mut(), *filled)
            }
            Place::Over(bytes) => (bytes.as_mut_slice(), 0),
            Place::Whole { .. } | Place::Broken => return &mut [],
        };
        bytes.get_mut(filled..).unwrap_or_default()
    }

    fn filled(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.taken += bytes as u64;
        match &mut self.place {
            Place::Prefix { filled, .. }
            | Place::Metadata { filled, .. }
            | Place::Body { filled, .. } => *filled += bytes,
            Place::Over(_) if bytes > 0 => {
                return Err(malformed(
                    "more bytes follow the end of the Arrow stream".into(),
                ));
            }
            Place::Over(_) | Place::Whole { .. } | Place::Broken => {}
        }
        self.advance()
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.ended = true;
        match self.place {
            Place::Over(_) => Ok(()),
            _ => Err(malformed(format!(
                "the Arrow stream ended early, in or before message {}: its end is not marked",
                self.message
            ))),
        }
    }

    fn columns(&self) -> Columns {
        match &self.columns {
            Some(columns) => Columns::Typed(columns.schema().clone()),
            None => Columns::Unknown,
        }
    }

    fn next(&mut self, wanted: &Wanted, _flush: bool) -> Result<Next, StreamError> {
        self.current = None;
        if let Some(columns) = &mut self.columns {
            columns.compare(wanted)?;
        }
        if let Some(next) = self.give()? {
            return Ok(next);
        }
        match std::mem::replace(&mut self.place, Place::Broken) {
            Place::Whole {
                message,
                kind,
                body,
            } => {
                match kind {
                    Kind::Dictionary => self.dictionary(&message, &body)?,
                    Kind::Batch => self.records(&message, &body)?,
                    Kind::Schema => {}
                }
                self.message += 1;
                self.place = Place::start();
                Ok(self.give()?.unwrap_or(Next::Hungry))
            }
            place => {
                let over = matches!(place, Place::Over(_));
                self.place = place;
                match over && self.ended {
                    true => Ok(Next::End),
                    false => Ok(Next::Hungry),
                }
            }
        }
    }

    fn line_of(&self, row: usize) -> u64 {
        self.rows_before + row as u64 + 1
    }

    fn bytes_of(&self, _row: usize) -> Option<&[u8]> {
        None
    }

    fn release(&mut self, judgement: &Judgement, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let (Some(batch), Some(columns)) = (self.current.take(), &self.columns) else {
            return Ok(());
        };
        let passing = judgement.guard(&batch)?;
        self.outlet.write(columns.schema(), &passing, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match &self.columns {
            Some(columns) => self.outlet.finish(columns.schema(), out),
            None => Ok(()),
        }
    }
}
