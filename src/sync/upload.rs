//! Uploads: runs whose records come in the body of a request, which waits for their end.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batches::{Batches, Read, ReadError};
use super::stop::Stop;
use super::{Held, Runner};
use crate::catalog::{Counts, Run, RunOrigin, RunStatus};
use crate::principal::Act;
use crate::store::{StoreError, Uploading};
use crate::wire::Format;
use crate::wire::stream::coding::{Coding, Expansion};
use crate::wire::stream::feed::{Body, Feed, Filled};
use crate::wire::stream::{self, Columns, Limits, Next, OnInvalid, Records, StreamError, Wanted};

/// Waits until so many records more may be taken in.
pub type Admit = Box<dyn FnMut(u64) -> BoxFuture<'static, Result<(), StreamError>> + Send>;

/// Records as they are sent.
pub struct Upload {
    /// Their bytes.
    pub body: Body,
    /// The format they are in.
    pub format: Format,
    /// How the bytes are compressed.
    pub coding: Coding,
    /// What compressed bytes may become.
    pub expansion: Expansion,
    /// What the records may ask of us. How many make a batch is up to the runs.
    pub limits: Limits,
    /// What happens at a record that is not well-formed.
    pub on_invalid: OnInvalid,
    /// Asked for each batch before it is judged.
    pub admit: Admit,
}

/// Why an upload was not taken, or not to its end. What its records came to is told by its run.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The sync is switched off.
    #[error("the sync is disabled: enable it first")]
    Disabled,
    /// The process is about to end.
    #[error("{0}")]
    Draining(String),
    /// The records are not those that were sent before under the same key.
    #[error("{0}")]
    Differs(String),
    /// The bytes are not what they should be, or stopped coming.
    #[error(transparent)]
    Stream(StreamError),
    /// The destination does not answer, after every retry.
    #[error("{0}")]
    Unavailable(String),
    /// The sync or its destination does not work; policy or compliance does not let it run;
    /// somebody changed or cancelled it.
    #[error("{0}")]
    Stopped(String),
    /// The store refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error("an internal fault ended the run")]
    Internal,
}

impl From<Stop> for UploadError {
    fn from(stop: Stop) -> Self {
        let text = stop.to_string();
        match stop {
            Stop::Drained => UploadError::Draining(text),
            Stop::Differs => UploadError::Differs(text),
            Stop::Stream(error) => UploadError::Stream(error),
            Stop::Unavailable(_) => UploadError::Unavailable(text),
            Stop::Failed(_) | Stop::Blocked(_) | Stop::Changed => UploadError::Stopped(text),
            Stop::Cancelled => UploadError::Stopped("the run was cancelled".to_owned()),
            Stop::Lost(error) => UploadError::Store(error),
            Stop::Internal => UploadError::Internal,
        }
    }
}

/// What is to be done about an upload.
pub enum Begun {
    /// Its records are to be sent on.
    Held(HeldUpload),
    /// It succeeded before, under the same key: this is its receipt.
    Done(Run),
}

/// An upload whose run is held. It must be worked on at once.
pub struct HeldUpload(Held);

impl HeldUpload {
    /// The run.
    pub fn run_id(&self) -> Uuid {
        self.0.run.id
    }
}

impl Runner {
    /// Begins an upload to a sync as whoever acts, or goes on with the one that they sent before
    /// under the same key and that came to no good end.
    ///
    /// Errors: the sync is disabled, or at work.
    pub async fn begin_upload(
        &self,
        workspace_id: Uuid,
        sync_id: Uuid,
        key: Option<&str>,
        act: &Act,
    ) -> Result<Begun, UploadError> {
        let shared = &self.shared;
        let sync = shared.store.get_sync(workspace_id, sync_id).await?;
        if !sync.enabled {
            return Err(UploadError::Disabled);
        }
        let run = Run {
            id: Uuid::now_v7(),
            workspace_id,
            sync_id,
            account_id: act.account_id,
            origin: RunOrigin::Upload,
            status: RunStatus::Running,
            counts: Counts::default(),
            withheld_by: Vec::new(),
            policy_revision: None,
            policy_revisions: Vec::new(),
            started_at: Some(act.at),
            finished_at: None,
            error: None,
            created_at: act.at,
            updated_at: act.at,
        };
        let worker = Uuid::now_v7().to_string();
        let started = shared
            .store
            .start_upload(&run, key, &worker, shared.lease_until(), act)
            .await?;
        Ok(match started {
            Uploading::Held(claimed) => Begun::Held(HeldUpload(Held::new(claimed, worker))),
            Uploading::Done(run) => Begun::Done(run),
        })
    }

    /// Takes the records of an upload through the guard to the destination, and answers the run
    /// when each of them has its outcome. The future must not be dropped before; `shutdown` ends
    /// it at the next checkpoint.
    ///
    /// Errors: whatever ended it before; the run tells what its records came to until then.
    pub async fn upload(
        &self,
        held: HeldUpload,
        upload: Upload,
        shutdown: CancellationToken,
    ) -> Result<Run, UploadError> {
        let shared = &self.shared;
        // Whoever ends the process waits for this.
        let _at_work = shared.uploads.token();
        let (workspace_id, run_id) = (held.0.run.workspace_id, held.0.run.id);
        match shared.execute(held.0, Some(upload), shutdown).await {
            Ok(_) => Ok(shared.store.get_run(workspace_id, run_id).await?),
            Err(stop) => Err(stop.into()),
        }
    }
}

impl Upload {
    /// Begins to read the records of a model. Their columns are told as soon as they are known:
    /// those of the model, or the stream's own, which have the same names. If they are never
    /// told, the batches tell why.
    pub(super) fn read(
        mut self,
        model: &SchemaRef,
        batch_rows: usize,
    ) -> (Batches, oneshot::Receiver<SchemaRef>) {
        self.limits.batch_rows = batch_rows.max(1);
        let (known, columns) = oneshot::channel();
        let wanted = Wanted {
            schema: nullable(model),
            only: true,
        };
        let batches = Batches::read(0, |sender| async move {
            let mut reading = Reading {
                wanted,
                known: Some(known),
                sender,
            };
            if let Err(error) = reading.read(self).await {
                // Whoever has stopped listening knows why.
                drop(reading.sender.send(Err(error)).await);
            }
        });
        (batches, columns)
    }
}

/// A key that a record lacks is NULL, whatever the model's source promises.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| Field::clone(field).with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// An upload that is being read.
struct Reading {
    wanted: Wanted,
    /// Where its columns are told; none once they are.
    known: Option<oneshot::Sender<SchemaRef>>,
    sender: mpsc::Sender<Read>,
}

impl Reading {
    async fn read(&mut self, upload: Upload) -> Result<(), ReadError> {
        let mut admit = upload.admit;
        let mut feed = Feed::new(upload.body, upload.coding, upload.expansion)?;
        let mut records = stream::open(upload.format, upload.limits, upload.on_invalid);
        self.tell(&records.columns())?;
        loop {
            let filled = feed.fill(records.as_mut(), None).await?;
            self.tell(&records.columns())?;
            loop {
                let next;
                (records, next) = self.next(records).await?;
                let next = next?;
                self.tell(&records.columns())?;
                match next {
                    Next::Batch(batch) => {
                        let records = batch.rows.num_rows() + batch.invalid.len();
                        admit(records as u64).await?;
                        let read = Ok((batch.rows, batch.invalid));
                        if self.sender.send(read).await.is_err() {
                            return Ok(());
                        }
                    }
                    Next::Hungry if filled == Filled::End => {
                        let what = "the body ends in the middle of its records".to_owned();
                        return Err(StreamError::Malformed { what }.into());
                    }
                    Next::Hungry => break,
                    Next::End => return Ok(()),
                }
            }
        }
    }

    /// Asks the records for what comes next, on a thread that may be busy with it for a while.
    async fn next(
        &self,
        mut records: Box<dyn Records>,
    ) -> Result<(Box<dyn Records>, Result<Next, StreamError>), ReadError> {
        let wanted = self.wanted.clone();
        let work = tokio::task::spawn_blocking(move || {
            let next = records.next(&wanted, false);
            (records, next)
        });
        work.await.map_err(|_| ReadError::Broke)
    }

    /// Tells the columns once, as soon as they are known.
    fn tell(&mut self, columns: &Columns) -> Result<(), StreamError> {
        let wanted = &self.wanted.schema;
        let schema = match columns {
            _ if self.known.is_none() => return Ok(()),
            Columns::Unknown => return Ok(()),
            Columns::Untyped => wanted,
            Columns::Typed(own) => {
                same_names(wanted, own)?;
                own
            }
        };
        if let Some(known) = self.known.take() {
            // Whoever has stopped listening knows why.
            drop(known.send(Arc::clone(schema)));
        }
        Ok(())
    }
}

/// Refuses columns that are not those of the model.
fn same_names(model: &Schema, own: &Schema) -> Result<(), StreamError> {
    let lacking = |of: &Schema, within: &Schema| -> Vec<String> {
        let names = of.fields().iter().map(|field| field.name());
        let lacking = names.filter(|name| within.column_with_name(name).is_none());
        lacking.cloned().collect()
    };
    let missing = lacking(model, own);
    if !missing.is_empty() {
        return Err(StreamError::Columns(missing));
    }
    let unknown = lacking(own, model);
    if let Some(name) = unknown.first() {
        let what = format!("the model has no column \"{name}\", which the records have");
        return Err(StreamError::Malformed { what });
    }
    match own.fields().len() == model.fields().len() {
        true => Ok(()),
        false => Err(StreamError::Malformed {
            what: "two columns of the records have the same name".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn schema(names: &[&str]) -> Schema {
        let fields = names
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true));
        Schema::new(fields.collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_those_of_the_model_in_any_order() {
        let model = schema(&["id", "country"]);
        for (own, fault) in [
            (&["id", "country"][..], ""),
            (&["country", "id"], ""),
            (&["id"], "lack column \"country\""),
            (&["id", "Country"], "lack column \"country\""),
            (&["id", "country", "more"], "no column \"more\""),
            (&["id", "country", "id"], "the same name"),
        ] {
            match same_names(&model, &schema(own)) {
                Ok(()) => assert_eq!(fault, "", "{own:?}"),
                Err(error) => assert!(error.to_string().contains(fault), "{own:?}: {error}"),
            }
            assert_eq!(same_names(&model, &schema(own)).is_ok(), fault.is_empty());
        }
    }
}
