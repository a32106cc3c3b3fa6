//! What a run reads: batches whose place in the model is known.

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::source::SourceError;

/// Records as they were read together.
pub(super) struct Batch {
    /// Where the first of them stands in the model.
    start: u64,
    pub(super) rows: RecordBatch,
}

impl Batch {
    /// Where a record of the model stands in this batch, if it does.
    pub(super) fn place_of(&self, position: u64) -> Option<usize> {
        let place = usize::try_from(position.checked_sub(self.start)?).ok()?;
        (place < self.rows.num_rows()).then_some(place)
    }
}

/// A stream of batches that is read one batch ahead, in a task of its own.
pub(super) struct Batches {
    first: Option<Batch>,
    rest: mpsc::Receiver<Result<RecordBatch, SourceError>>,
    /// Where the next batch starts in the model.
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
        let (sender, rest) = mpsc::channel(1);
        let reader = tokio::spawn(async move {
            while let Some(batch) = stream.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Batches {
            first: None,
            rest,
            start,
            reader: Some(AbortOnDropHandle::new(reader)),
        }
    }

    /// The next batch; `None` at the end of the model.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        if let Some(batch) = self.first.take() {
            return Ok(Some(batch));
        }
        let Some(rows) = self.rest.recv().await.transpose()? else {
            // A reader that broke down must not look like the end of the model.
            let ended = match self.reader.take() {
                Some(reader) => reader.await,
                None => Ok(()),
            };
            return match ended {
                Ok(()) => Ok(None),
                Err(_) => Err(SourceError::Failed(
                    "the reader stopped unexpectedly".to_owned(),
                )),
            };
        };
        let start = self.start;
        self.start += rows.num_rows() as u64;
        Ok(Some(Batch { start, rows }))
    }

    /// Takes a batch back, to be the next one.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.first = Some(batch);
    }
}
