//! One run, from its start or its last checkpoint to its end.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::admission::Bound;
use super::batches::{Batch, Batches, ReadError};
use super::columns::{new_column, read_columns, row_digest, sent_columns, sent_names, sent_schema};
use super::cursor::Cursor;
use super::ledger::{LastRow, Ledger};
use super::notes::Notes;
use super::stop::Stop;
use super::{Held, Shared, Upload};
use crate::catalog::{Counts, Destination, Model, Progress, RunOrigin, RunStatus, Source, Sync};
use crate::guard::sighting::{Keys, sightings};
use crate::guard::{Guard, Leaving, Verdict};
use crate::policy::content::{Passage, Via};
use crate::sink::{self, Opening, Sink, SinkError};
use crate::source::{self, OpenModel};
use crate::store::StoreError;
use crate::telemetry;

impl Shared {
    /// Works on a run; answers its final status, or `None` if it is left to be resumed, and what
    /// stopped it before the end of its records.
    pub(super) async fn run(
        &self,
        held: &Held,
        upload: Option<Upload>,
        shutdown: CancellationToken,
    ) -> (Option<RunStatus>, Result<(), Stop>) {
        let run = &held.run;
        let mut ledger = Ledger::new(held.progress.clone(), "unknown");
        let mut notes = Notes::default();
        let end = self
            .to_the_end(held, upload, &shutdown, &mut ledger, &mut notes)
            .await;
        let (status, error) = match &end {
            Ok(()) => (RunStatus::Succeeded, notes.told(ledger.progress())),
            Err(Stop::Blocked(error)) => (RunStatus::Blocked, Some(error.clone())),
            Err(Stop::Cancelled) => (RunStatus::Cancelled, None),
            Err(Stop::Drained | Stop::Changed) if !held.is_upload() => {
                tracing::info!("run paused at a checkpoint");
                if let Err(error) = self.store.release_run(run.id, &held.worker).await {
                    tracing::warn!(%error, "the lease could not be given back and will run out");
                }
                return (None, end);
            }
            Err(Stop::Lost(error)) => {
                tracing::warn!(%error, "run left to be resumed");
                return (None, end);
            }
            Err(stop) => (RunStatus::Failed, Some(stop.to_string())),
        };
        let error = notes.added_to(error);
        let progress = ledger.progress();
        let finished = self
            .store
            .finish_run(
                run.id,
                &held.worker,
                status,
                error.as_deref(),
                progress,
                self.now(),
            )
            .await;
        if let Err(error) = finished {
            tracing::warn!(%error, "the end of the run could not be recorded");
            return (None, Err(Stop::Lost(error)));
        }
        let counts = progress.counts;
        tracing::info!(
            status = status.as_str(),
            error,
            read = counts.read,
            delivered = counts.delivered,
            withheld = counts.withheld,
            rejected = counts.rejected,
            invalid = counts.invalid,
            failed = counts.failed,
            "run ended"
        );
        (Some(status), end)
    }

    async fn to_the_end(
        &self,
        held: &Held,
        upload: Option<Upload>,
        shutdown: &CancellationToken,
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        let run = &held.run;
        let bound = self.bound(run).await?;
        let Bound {
            sync,
            model,
            source,
            destination,
        } = &bound;
        *ledger = Ledger::new(ledger.progress().clone(), &destination.destination_type);
        if held.is_upload() {
            ledger.retry();
        }
        if sink::is_atomic(&destination.destination_type) {
            // Nothing of an earlier attempt can be seen, should the run end before its sink opens.
            ledger.undeliver();
        }
        if held.cancel_requested {
            return Err(Stop::Cancelled);
        }
        // Judged before anything is opened for writing: a blocked run leaves no trace.
        // An upload that goes on may do so long after it began.
        let pinned_now = match run.origin {
            RunOrigin::Upload => self.now(),
            RunOrigin::Trigger => run.started_at.unwrap_or(run.created_at),
        };
        let job = Job {
            shared: self,
            held,
            shutdown,
            pinned_now,
            salt: Uuid::now_v7(),
            model,
            source,
            destination,
        };
        let admission = (self.admission)(run.workspace_id, run.sync_id, self.now());
        let admission = job.awaiting(ledger, admission).await??;
        self.heed(&admission, notes)?;
        if self.bound(run).await? != bound {
            // What was checked may not be what was read.
            return Err(Stop::Changed);
        }
        let mut records = job.open(upload, ledger).await?;
        let schema = records.schema();
        if let Some(name) = new_column(&schema, sync, model) {
            return Err(Stop::Blocked(format!(
                "the source has a column \"{name}\" that the model did not have when it was saved: save the model again, so that policies are checked against it"
            )));
        }
        job.guard(&schema).await?;
        let sent = sent_schema(&schema, sync).map_err(|error| Stop::Failed(error.to_string()))?;
        let primary_key = sent_names(&model.primary_key, sync);
        let opening = Opening {
            run_id: run.id,
            schema: sent,
            primary_key: &primary_key,
            mode: sync.mode,
        };
        let mut sink = self.sinks.open(destination, opening).await?;
        if sink.is_atomic() {
            // Nothing of an earlier attempt can be seen at the destination.
            *ledger = Ledger::new(Progress::default(), &destination.destination_type);
        }
        let result = job
            .deliver_all(&mut records, sync, sink.as_mut(), ledger, notes)
            .await;
        let result = match result {
            Ok(()) => match job.alive(ledger, sink.finish()).await {
                Ok(finished) => finished.map_err(Stop::from),
                Err(stop) => Err(stop),
            },
            stop => stop,
        };
        if result.is_err() && sink.is_atomic() {
            ledger.undeliver();
        }
        result
    }
}

/// Where the records of a run come from.
enum Records {
    /// A model, which can be read as often as is needed, and a part of its columns.
    Model(OpenModel),
    /// An upload, which is read once.
    Upload {
        /// Its columns.
        schema: SchemaRef,
        batches: Batches,
    },
}

impl Records {
    fn schema(&self) -> SchemaRef {
        match self {
            Records::Model(opened) => opened.schema(),
            Records::Upload { schema, .. } => Arc::clone(schema),
        }
    }
}

/// What stays the same during a run.
struct Job<'a> {
    shared: &'a Shared,
    held: &'a Held,
    shutdown: &'a CancellationToken,
    /// What relative conditions count from, in every batch of the run.
    pinned_now: chrono::DateTime<chrono::Utc>,
    /// What digests of keys are salted with: nobody is shown it.
    salt: Uuid,
    model: &'a Model,
    source: &'a Source,
    destination: &'a Destination,
}

impl Job<'_> {
    /// The guard at the revision that is committed now, for the account that the run runs as.
    async fn guard(&self, schema: &SchemaRef) -> Result<Arc<Guard>, Stop> {
        let shared = self.shared;
        let workspace_id = self.model.workspace_id;
        let account_id = self.held.run.account_id;
        let (policies, principal) = shared
            .store
            .policies_for(&shared.registry, workspace_id, account_id)
            .await
            .map_err(|error| match error {
                StoreError::NotFound(_) => Stop::Blocked(
                    "the account that the run runs as is no longer a member of the workspace"
                        .to_owned(),
                ),
                error => Stop::Lost(error),
            })?;
        let destination_type = Some(self.destination.destination_type.as_str());
        Ok(shared.registry.guard(
            &policies,
            self.model,
            schema,
            destination_type,
            &principal,
            self.pinned_now,
        )?)
    }

    /// Opens the model, or begins to read the upload that comes in its place.
    async fn open(&self, upload: Option<Upload>, ledger: &Ledger) -> Result<Records, Stop> {
        let shared = self.shared;
        let model = self.model;
        let Some(upload) = upload else {
            let (query, primary_key) = (&model.query, &model.primary_key);
            let opened = source::open(self.source, query, primary_key, &shared.reach).await?;
            return Ok(Records::Model(opened));
        };
        let (mut batches, columns) = upload.read(&model.schema, shared.settings.batch_rows);
        match self.awaiting(ledger, columns).await? {
            Ok(schema) => Ok(Records::Upload { schema, batches }),
            // It ended before its columns were known.
            Err(_) => match batches.next().await {
                Err(error) => Err(error.into()),
                Ok(_) => Err(ReadError::Broke.into()),
            },
        }
    }

    async fn deliver_all(
        &self,
        records: &mut Records,
        sync: &Sync,
        sink: &mut dyn Sink,
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        let schema = records.schema();
        let sent = sent_columns(&schema, sync, &self.model.primary_key);
        if let Records::Upload { batches, .. } = records {
            self.skip(batches, &sent, ledger).await?;
        }
        'reading: loop {
            let guard = self.guard(&schema).await?;
            let columns;
            let mut opened_now;
            let batches = match records {
                Records::Model(opened) => {
                    columns = read_columns(&schema, &sent, &guard);
                    opened_now = self.read_on(opened, &columns, &sent, ledger).await?;
                    &mut opened_now
                }
                Records::Upload { batches, .. } => {
                    let all = schema.fields().iter().map(|field| field.name());
                    columns = all.cloned().collect();
                    batches
                }
            };
            while let Some(batch) = self.awaiting(ledger, batches.next()).await?? {
                while let Some(from) = batch.place_of(ledger.position()) {
                    let guard = self.guard(&schema).await?;
                    if guard
                        .columns()
                        .iter()
                        .any(|column| !columns.contains(column))
                    {
                        // A new policy reads more than is being read.
                        continue 'reading;
                    }
                    self.deliver(&guard, &batch, from, sync, &sent, sink, ledger, notes)
                        .await?;
                }
                if batch.rows.num_rows() == 0 && batch.start() == ledger.position() {
                    self.leave_out(&batch, &sent, ledger, notes).await?;
                }
                if ledger.position() < batch.end() {
                    return Err(Stop::Internal);
                }
            }
            return Ok(());
        }
    }

    /// Enters a batch in which no record is valid.
    async fn leave_out(
        &self,
        batch: &Batch,
        sent: &[String],
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        let counts = notes.leave_out(batch, Counts::default());
        if let Some(last_row) = batch.last_row(0, sent).filter(|_| counts.read > 0) {
            ledger.enter(counts, [], None, &last_row);
        }
        self.checkpoint(ledger).await
    }

    /// Skips what is settled of an upload that goes on. The last record of it must be the one that
    /// was settled last.
    async fn skip(
        &self,
        batches: &mut Batches,
        sent: &[String],
        ledger: &Ledger,
    ) -> Result<(), Stop> {
        let position = ledger.position();
        if position == 0 {
            return Ok(());
        }
        let last = ledger.progress().checkpoint.last_row.as_deref();
        let last = last.and_then(LastRow::parse);
        loop {
            let batch = self.awaiting(ledger, batches.next()).await??;
            let batch = batch.ok_or(Stop::Differs)?;
            if batch.end() < position {
                continue;
            }
            if last.is_none() || batch.last_row_before(position, sent) != last {
                return Err(Stop::Differs);
            }
            batches.put_back(batch);
            return Ok(());
        }
    }

    /// Reads on from the ledger's position, one batch ahead of the deliveries. The record before
    /// must be the one that was last settled.
    async fn read_on(
        &self,
        opened: &OpenModel,
        columns: &[String],
        sent: &[String],
        ledger: &Ledger,
    ) -> Result<Batches, Stop> {
        let changed = || {
            Stop::Failed(
                "the model changed while the run was interrupted, so it cannot go on where it stopped: trigger the sync again"
                    .to_owned(),
            )
        };
        let last = match &ledger.progress().checkpoint.last_row {
            Some(text) => Some(LastRow::parse(text).ok_or_else(changed)?),
            None => None,
        };
        let position = ledger.position();
        let behind = last.as_ref().map_or(0, |last| last.place.saturating_add(1));
        let start = position.checked_sub(behind).ok_or_else(changed)?;
        let stream = opened
            .read(Some(columns), start, self.shared.settings.batch_rows)
            .await?;
        let mut batches = Batches::start(stream, start);
        let Some(last) = last else { return Ok(batches) };
        loop {
            let batch = batches.next().await?.ok_or_else(changed)?;
            // With other columns the batches may be smaller than they were.
            let Some(place) = batch.place_of(position.saturating_sub(1)) else {
                continue;
            };
            if row_digest(&batch.rows, place, sent) != Some(last.digest) {
                return Err(changed());
            }
            batches.put_back(batch);
            return Ok(batches);
        }
    }

    /// Judges the rows of a batch from one on by one revision and delivers what passes, until
    /// they are all settled or a newer revision is to judge the rest.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another part of the run's state"
    )]
    async fn deliver(
        &self,
        guard: &Arc<Guard>,
        batch: &Batch,
        from: usize,
        sync: &Sync,
        sent: &[String],
        sink: &mut dyn Sink,
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        let whole = batch;
        let batch = &whole
            .rows
            .slice(from, whole.rows.num_rows().saturating_sub(from));
        let verdict = self.judge(guard, batch, sent, ledger).await?;
        if guard.detects() && !self.still_governs(guard).await? {
            // To look for what is forbidden may have taken long.
            return Ok(());
        }
        if !verdict.findings().is_empty() {
            let place = |row| whole.start() + (from + row) as u64;
            self.record_findings(&verdict, batch, place).await?;
        }
        let rows = match &sync.mapping {
            Some(mapping) => verdict.guarded().map(mapping)?,
            None => verdict.guarded().clone(),
        };
        let mut cursor = Cursor::new(&verdict);
        let mut pauses = self.pauses();
        loop {
            let part = rows
                .slice(cursor.passed, sink.batch_rows().max(1))
                .placed_at(ledger.sent());
            let written = match part.num_rows() {
                0 => Default::default(),
                _ => self.alive(ledger, sink.write(&part)).await?,
            };
            let mut counts = Counts {
                delivered: written.settled.saturating_sub(written.rejected) as u64,
                rejected: written.rejected as u64,
                ..Counts::default()
            };
            if notes.first_rejection.is_none() {
                notes.first_rejection = written.rejection;
            }
            let mut settled = written.settled;
            let stop = match written.stopped {
                None => None,
                Some(SinkError::Retry { what, after }) => {
                    if settled > 0 {
                        pauses = self.pauses();
                    }
                    match pauses.next() {
                        Some(pause) => Some(Pause::For(pause.max(after.unwrap_or_default()), what)),
                        None => Some(Pause::Forever(SinkError::Retry { what, after: None })),
                    }
                }
                Some(error) => Some(Pause::Forever(error)),
            };
            let mut failed = 0;
            if let Some(Pause::Forever(_)) = stop {
                failed = (part.num_rows() - settled) as u64;
                if !self.held.is_upload() {
                    counts.failed = std::mem::take(&mut failed);
                    settled = part.num_rows();
                }
            }
            let (withheld, withheld_by) = cursor.advance(settled);
            counts.withheld = withheld as u64;
            counts.read = counts.delivered + counts.rejected + counts.failed + counts.withheld;
            if cursor.row == batch.num_rows() {
                counts = notes.leave_out(whole, counts);
            }
            if let Some(last) = cursor.row.checked_sub(1).filter(|_| counts.read > 0) {
                let digest = row_digest(batch, last, sent)
                    .ok_or_else(|| Stop::Failed("a record could not be identified".to_owned()))?;
                let last_row = LastRow {
                    place: (from + last) as u64,
                    digest,
                };
                ledger.enter(counts, withheld_by, Some(guard.revision()), &last_row);
            }
            if let Some(Pause::Forever(error)) = stop {
                ledger.fail(failed);
                return Err(error.into());
            }
            self.checkpoint(ledger).await?;
            if let Some(Pause::For(pause, what)) = stop {
                tracing::warn!(
                    what,
                    pause_seconds = pause.as_secs_f64(),
                    "delivery is repeated"
                );
                metrics::counter!(
                    telemetry::SINK_RETRIES_TOTAL,
                    telemetry::DESTINATION_TYPE => self.destination.destination_type.clone()
                )
                .increment(1);
                self.pause(ledger, pause).await?;
            }
            if self.shutdown.is_cancelled() {
                return Err(Stop::Drained);
            }
            if cursor.row == batch.num_rows() {
                return Ok(());
            }
            // What is left, be it a repetition, is judged by what is committed now.
            if !self.still_governs(guard).await? {
                return Ok(());
            }
        }
    }

    /// Whether a guard is of the revision that is committed now.
    async fn still_governs(&self, guard: &Guard) -> Result<bool, Stop> {
        let shared = self.shared;
        let workspace_id = self.model.workspace_id;
        let now = shared
            .store
            .policies_in_force(&shared.registry, workspace_id)
            .await?;
        Ok(now.revision == guard.revision())
    }

    /// Judges a batch; where content policies read its texts, beside the threads that serve others.
    async fn judge(
        &self,
        guard: &Arc<Guard>,
        batch: &RecordBatch,
        sent: &[String],
        ledger: &Ledger,
    ) -> Result<Verdict, Stop> {
        if !guard.detects() {
            return Ok(guard.apply(batch, Leaving::Columns(sent))?);
        }
        let (guard, batch, sent) = (Arc::clone(guard), batch.clone(), sent.to_vec());
        let work = move || guard.apply(&batch, Leaving::Columns(&sent));
        let judged = tokio::task::spawn_blocking(work);
        let judged = self.awaiting(ledger, judged).await?;
        Ok(judged.map_err(|_| Stop::Internal)??)
    }

    /// Puts on record what content policies found in a batch, before anything of it leaves.
    async fn record_findings(
        &self,
        verdict: &Verdict,
        batch: &RecordBatch,
        place: impl Fn(usize) -> u64,
    ) -> Result<(), Stop> {
        let run = &self.held.run;
        let keys = Keys::of(
            batch,
            &self.model.primary_key,
            verdict.findings(),
            self.salt,
        );
        let record = |row| {
            let unnamed = || format!("record {}", place(row) + 1);
            keys.of_row(row).unwrap_or_else(unnamed)
        };
        let found = sightings(verdict.findings(), &place, record);
        let passage = Passage {
            id: run.id,
            via: match run.origin {
                RunOrigin::Trigger => Via::Sync,
                RunOrigin::Upload => Via::Upload,
            },
            workspace_id: run.workspace_id,
            source_id: self.model.source_id,
            model_id: self.model.id,
            run_id: Some(run.id),
            account_id: run.account_id,
        };
        let shared = self.shared;
        shared
            .store
            .record_sightings(&passage, &found, shared.now())
            .await?;
        Ok(())
    }

    /// Pauses between attempts: they double, with jitter.
    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        let retry = self.shared.settings.retry;
        ExponentialBuilder::new()
            .with_min_delay(retry.base_delay)
            .with_max_delay(retry.max_delay)
            .with_max_times(retry.attempts.saturating_sub(1) as usize)
            .with_jitter()
            .build()
    }

    async fn checkpoint(&self, ledger: &Ledger) -> Result<(), Stop> {
        let shared = self.shared;
        let cancelled = shared
            .store
            .checkpoint_run(
                self.held.run.id,
                &self.held.worker,
                ledger.progress(),
                shared.lease_until(),
                shared.now(),
            )
            .await?;
        if cancelled {
            Err(Stop::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Waits for a delivery and renews the lease meanwhile.
    async fn alive<T>(&self, ledger: &Ledger, work: impl Future<Output = T>) -> Result<T, Stop> {
        let beat = self.shared.settings.lease / 3;
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(beat) => match self.checkpoint(ledger).await {
                    // A delivery that is under way comes to its end before the run does.
                    Ok(()) | Err(Stop::Cancelled) => {}
                    Err(stop) => return Err(stop),
                },
            }
        }
    }

    /// Waits for records to come or to be judged, and renews the lease meanwhile.
    async fn awaiting<T>(
        &self,
        ledger: &Ledger,
        records: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let beat = self.shared.settings.lease / 3;
        let mut records = std::pin::pin!(records);
        loop {
            tokio::select! {
                records = &mut records => return Ok(records),
                () = self.shutdown.cancelled() => return Err(Stop::Drained),
                () = tokio::time::sleep(beat) => self.checkpoint(ledger).await?,
            }
        }
    }

    async fn pause(&self, ledger: &Ledger, pause: Duration) -> Result<(), Stop> {
        tokio::select! {
            () = self.shutdown.cancelled() => Err(Stop::Drained),
            done = self.alive(ledger, tokio::time::sleep(pause)) => done,
        }
    }
}

enum Pause {
    /// The delivery is repeated.
    For(Duration, String),
    /// It is not: the run fails.
    Forever(SinkError),
}
