//! One run, from its start or its last checkpoint to its end.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

use super::batches::{Batch, Batches};
use super::columns::{read_columns, row_digest, sent_columns, sent_names, sent_schema};
use super::ledger::{LastRow, Ledger};
use super::{Held, Shared};
use crate::catalog::{Counts, Destination, Model, Progress, RunStatus, Sync};
use crate::guard::registry::NoGuard;
use crate::guard::{Guard, GuardError, Verdict};
use crate::sink::{Opening, Sink, SinkError};
use crate::source::{self, OpenModel, SourceError};
use crate::store::StoreError;
use crate::telemetry;

/// Why a run came to its end before the end of its model.
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// A fault: the run is failed.
    #[error("{0}")]
    Failed(String),
    /// A policy that cannot be compiled, or is demanded and missing: the run is blocked.
    #[error("{0}")]
    Blocked(String),
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The process is to end: another one resumes.
    #[error("draining")]
    Drained,
    /// Another worker holds the run, or the store is out of reach: nothing may be written.
    #[error("{0}")]
    Lost(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Stop::Failed(format!("{error}; it was deleted")),
            error => Stop::Lost(error),
        }
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Stop::Failed(error.to_string())
    }
}

impl From<SinkError> for Stop {
    fn from(error: SinkError) -> Self {
        Stop::Failed(error.to_string())
    }
}

impl From<NoGuard> for Stop {
    fn from(error: NoGuard) -> Self {
        Stop::Blocked(error.to_string())
    }
}

impl From<GuardError> for Stop {
    fn from(error: GuardError) -> Self {
        match error {
            GuardError::Engine => Stop::Failed(error.to_string()),
            GuardError::Schema { .. } | GuardError::Column(_) => Stop::Blocked(error.to_string()),
        }
    }
}

impl Shared {
    /// Works on a run; answers its final status, or `None` if it is left to be resumed.
    pub(super) async fn run(&self, held: &Held, shutdown: CancellationToken) -> Option<RunStatus> {
        let run = &held.run;
        let mut ledger = Ledger::new(held.progress.clone(), "unknown");
        let mut notes = Notes::default();
        let end = self
            .to_the_end(held, &shutdown, &mut ledger, &mut notes)
            .await;
        let (status, error) = match end {
            Ok(()) => (RunStatus::Succeeded, notes.rejections(ledger.progress())),
            Err(Stop::Failed(error)) => (RunStatus::Failed, Some(error)),
            Err(Stop::Blocked(error)) => (RunStatus::Blocked, Some(error)),
            Err(Stop::Cancelled) => (RunStatus::Cancelled, None),
            Err(Stop::Drained) => {
                tracing::info!("run paused at a checkpoint");
                if let Err(error) = self.store.release_run(run.id, &held.worker).await {
                    tracing::warn!(%error, "the lease could not be given back and will run out");
                }
                return None;
            }
            Err(Stop::Lost(error)) => {
                tracing::warn!(%error, "run left to be resumed");
                return None;
            }
        };
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
            return None;
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
        Some(status)
    }

    async fn to_the_end(
        &self,
        held: &Held,
        shutdown: &CancellationToken,
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        if held.cancel_requested {
            return Err(Stop::Cancelled);
        }
        let run = &held.run;
        let workspace_id = run.workspace_id;
        let sync = self.store.get_sync(workspace_id, run.sync_id).await?;
        let model = self.store.get_model(workspace_id, sync.model_id).await?;
        let source = self.store.get_source(workspace_id, model.source_id).await?;
        let destination = self
            .store
            .get_destination(workspace_id, sync.destination_id)
            .await?;
        *ledger = Ledger::new(ledger.progress().clone(), &destination.destination_type);
        let opened = source::open(&source, &model.query, &model.primary_key, &self.reach).await?;
        // Judged before anything is opened for writing: a blocked run leaves no trace.
        let pinned_now = run.started_at.unwrap_or(run.created_at);
        let job = Job {
            shared: self,
            held,
            shutdown,
            pinned_now,
            model: &model,
            destination: &destination,
        };
        job.guard(&opened.schema()).await?;
        let sent = sent_schema(&opened.schema(), &sync)
            .map_err(|error| Stop::Failed(error.to_string()))?;
        let primary_key = sent_names(&model.primary_key, &sync);
        let opening = Opening {
            run_id: run.id,
            schema: sent,
            primary_key: &primary_key,
            mode: sync.mode,
        };
        let mut sink = self.sinks.open(&destination, opening).await?;
        if sink.is_atomic() {
            // Nothing of an earlier attempt can be seen at the destination.
            *ledger = Ledger::new(Progress::default(), &destination.destination_type);
        }
        let result = job
            .deliver_all(&opened, &sync, sink.as_mut(), ledger, notes)
            .await;
        let result = match result {
            Ok(()) => sink.finish().await.map_err(Stop::from),
            stop => stop,
        };
        if result.is_err() && sink.is_atomic() {
            ledger.undeliver();
        }
        result
    }
}

/// What a run's end tells besides its counts.
#[derive(Default)]
struct Notes {
    first_rejection: Option<String>,
}

impl Notes {
    fn rejections(&self, progress: &Progress) -> Option<String> {
        let rejected = progress.counts.rejected;
        let reason = self
            .first_rejection
            .as_deref()
            .unwrap_or("the reason is not known any more");
        (rejected > 0).then(|| {
            format!("{rejected} records were rejected by the destination; the first: {reason}")
        })
    }
}

/// What stays the same during a run.
struct Job<'a> {
    shared: &'a Shared,
    held: &'a Held,
    shutdown: &'a CancellationToken,
    /// What relative conditions count from, in every batch of the run.
    pinned_now: chrono::DateTime<chrono::Utc>,
    model: &'a Model,
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

    async fn deliver_all(
        &self,
        opened: &OpenModel,
        sync: &Sync,
        sink: &mut dyn Sink,
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        let schema = opened.schema();
        let sent = sent_columns(&schema, sync, &self.model.primary_key);
        'reading: loop {
            let guard = self.guard(&schema).await?;
            let columns = read_columns(&schema, &sent, &guard);
            let mut batches = self.read_on(opened, &columns, &sent, ledger).await?;
            while let Some(batch) = batches.next().await? {
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
            }
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
        guard: &Guard,
        batch: &Batch,
        from: usize,
        sync: &Sync,
        sent: &[String],
        sink: &mut dyn Sink,
        ledger: &mut Ledger,
        notes: &mut Notes,
    ) -> Result<(), Stop> {
        let batch = &batch
            .rows
            .slice(from, batch.rows.num_rows().saturating_sub(from));
        let verdict = guard.apply(batch)?;
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
            if let Some(Pause::Forever(_)) = stop {
                counts.failed = (part.num_rows() - settled) as u64;
                settled = part.num_rows();
            }
            let (withheld, withheld_by) = cursor.advance(settled);
            counts.withheld = withheld as u64;
            counts.read = counts.delivered + counts.rejected + counts.failed + counts.withheld;
            if let Some(last) = cursor.row.checked_sub(1).filter(|_| counts.read > 0) {
                let digest = row_digest(batch, last, sent)
                    .ok_or_else(|| Stop::Failed("a record could not be identified".to_owned()))?;
                let last_row = LastRow {
                    place: (from + last) as u64,
                    digest,
                };
                ledger.enter(counts, withheld_by, guard.revision(), &last_row);
            }
            if let Some(Pause::Forever(error)) = stop {
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
            let shared = self.shared;
            let workspace_id = self.model.workspace_id;
            let now = shared
                .store
                .policies_in_force(&shared.registry, workspace_id)
                .await?;
            if now.revision != guard.revision() {
                return Ok(());
            }
        }
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

/// How far a judged batch is settled.
struct Cursor<'a> {
    verdict: &'a Verdict,
    passing: arrow::util::bit_iterator::BitIndexIterator<'a>,
    /// Rows of the batch that are settled.
    row: usize,
    /// Passing rows among them.
    passed: usize,
}

impl<'a> Cursor<'a> {
    fn new(verdict: &'a Verdict) -> Self {
        Cursor {
            verdict,
            passing: verdict.passes().set_indices(),
            row: 0,
            passed: 0,
        }
    }

    /// Settles the next passing rows, and with them the withheld ones before; with the last of
    /// the passing rows also the withheld ones behind it. Answers how many were withheld, and
    /// by whom.
    fn advance(
        &mut self,
        settled: usize,
    ) -> (
        usize,
        impl Iterator<Item = crate::catalog::WithheldBy> + use<'a>,
    ) {
        let before = self.row - self.passed;
        if let Some(last) = settled.checked_sub(1).and_then(|n| self.passing.nth(n)) {
            self.row = last + 1;
        }
        self.passed += settled;
        if self.passed == self.verdict.guarded().num_rows() {
            self.row = self.verdict.passes().len();
        }
        let after = self.row - self.passed;
        (after - before, self.verdict.withheld_by(before, after))
    }
}
