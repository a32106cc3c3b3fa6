//! What a run reads: batches whose place among its records is known.

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::columns::row_digest;
use super::ledger::LastRow;
use crate::source::SourceError;
use crate::wire::stream::{Invalid, StreamError};

/// Why the next batch could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The model.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The bytes of an upload.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The reader broke down.
    #[error("the reader stopped unexpectedly")]
    Broke,
}

/// What a reader hands over.
pub(super) type Read = Result<(RecordBatch, Vec<Invalid>), ReadError>;

/// Records as they were read together.
pub(super) struct Batch {
    /// Where the first of them stands among all records.
    start: u64,
    pub(super) rows: RecordBatch,
    /// Those that are no row because they are not well-formed. They count as standing behind the
    /// rows, and are settled together with the last of these.
    pub(super) invalid: Vec<Invalid>,
}

impl Batch {
    /// Which row stands at a position among all records, if one of these does.
    pub(super) fn place_of(&self, position: u64) -> Option<usize> {
        let place = usize::try_from(position.checked_sub(self.start)?).ok()?;
        (place < self.rows.num_rows()).then_some(place)
    }

    /// Where the batch starts.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where the next batch starts.
    pub(super) fn end(&self) -> u64 {
        self.start + (self.rows.num_rows() + self.invalid.len()) as u64
    }

    /// What is noted of the row at a place when it is the last that was settled.
    pub(super) fn last_row(&self, place: usize, sent: &[String]) -> Option<LastRow> {
        let digest = match self.rows.num_rows() {
            0 => "none".to_owned(),
            _ => row_digest(&self.rows, place, sent)?,
        };
        Some(LastRow {
            place: place as u64,
            digest,
        })
    }

    /// The same of a position that this batch was settled up to; `None` where it cannot have been.
    pub(super) fn last_row_before(&self, position: u64, sent: &[String]) -> Option<LastRow> {
        let place = match position == self.end() {
            true => self.rows.num_rows().saturating_sub(1),
            false => self.place_of(position)?.checked_sub(1)?,
        };
        self.last_row(place, sent)
    }
}

/// A stream of batches that is read one batch ahead, in a task of its own.
pub(super) struct Batches {
    first: Option<Batch>,
    rest: mpsc::Receiver<Read>,
    /// Where the next batch starts.
    start: u64,
    /// Ends the reading when the run does; none once it has come to its own end.
    reader: Option<AbortOnDropHandle<()>>,
}

impl Batches {
    /// Begins to read a stream whose first record stands at `start` in the model.
    pub(super) fn start(
        mut stream: BoxStream<'static, Result<RecordBatch, SourceError>>,
        start: u64,
    ) -> Self {
        Batches::read(start, |sender| async move {
            while let Some(batch) = stream.next().await {
                let read = batch.map(|rows| (rows, Vec::new()));
                if sender.send(read.map_err(ReadError::from)).await.is_err() {
                    break;
                }
            }
        })
    }

    /// Begins to read whatever a reader sends, the first of which stands at `start`.
    pub(super) fn read<F>(start: u64, reader: impl FnOnce(mpsc::Sender<Read>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, rest) = mpsc::channel(1);
        let reader = tokio::spawn(reader(sender));
        Batches {
            first: None,
            rest,
            start,
            reader: Some(AbortOnDropHandle::new(reader)),
        }
    }

    /// The next batch; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, ReadError> {
        if let Some(batch) = self.first.take() {
            return Ok(Some(batch));
        }
        let Some((rows, invalid)) = self.rest.recv().await.transpose()? else {
            // A reader that broke down must not look like the end.
            let ended = match self.reader.take() {
                Some(reader) => reader.await,
                None => Ok(()),
            };
            return match ended {
                Ok(()) => Ok(None),
                Err(_) => Err(ReadError::Broke),
            };
        };
        let batch = Batch {
            start: self.start,
            rows,
            invalid,
        };
        self.start = batch.end();
        Ok(Some(batch))
    }

    /// Takes a batch back, to be the next one.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.first = Some(batch);
    }
}
