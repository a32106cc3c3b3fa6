//! Running syncs: source → guard, batch by batch → sink, with a checkpoint after each delivery.
//!
//! `Runner` takes runs from the store and works on them; `run` is one run from its start or its
//! last checkpoint to its end, `admission` what it asks before it opens anything, and `stop` what
//! may end it early; `ledger` keeps its counts and `notes` what else it tells; `schedule` queues
//! what is due; `batches` and `columns` are what it reads, and `cursor` how far a
//! batch is settled. `upload` is a run whose records come with a request instead of a model.

mod admission;
mod batches;
mod columns;
mod cursor;
mod ledger;
mod notes;
mod run;
mod schedule;
mod stop;
mod upload;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::catalog::{Checkpoint, Counts, Progress, Run, RunOrigin, RunStatus};
use crate::compliance::Admission;
use crate::config::Retry;
use crate::guard::Registry;
use crate::principal::Act;
use crate::reach::Reach;
use crate::sink::Sinks;
use crate::store::{Claimed, Store, StoreError};
use crate::telemetry;
use stop::Stop;

pub use upload::{Admit, Begun, HeldUpload, Upload, UploadError};

/// Where the time is learnt from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Whether compliance lets a sync of a workspace run now.
pub type AdmissionCheck = Arc<
    dyn Fn(Uuid, Uuid, DateTime<Utc>) -> BoxFuture<'static, Result<Admission, StoreError>>
        + Send
        + Sync,
>;

/// How often an idle worker looks for runs that another process queued or left behind.
const POLL: Duration = Duration::from_secs(1);

/// Why a sync was not triggered.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// It is switched off.
    #[error("the sync is disabled: enable it first")]
    Disabled,
    /// The store refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How runs are worked on.
#[derive(Clone, Copy, Debug)]
pub struct RunSettings {
    /// Runs at the same time; at least 1.
    pub concurrent_runs: usize,
    /// Most records that are read and judged at once; at least 1.
    pub batch_rows: usize,
    /// How long a run is held without a sign of life before another worker may take it.
    pub lease: Duration,
    /// How deliveries are repeated.
    pub retry: Retry,
}

/// Starts runs and works on them. Cheap to clone; all clones are one worker.
#[derive(Clone)]
pub struct Runner {
    /// Shared with the tasks of the runs.
    shared: Arc<Shared>,
}

/// What every run of this worker shares.
struct Shared {
    store: Store,
    registry: Arc<Registry>,
    reach: Reach,
    sinks: Sinks,
    clock: Clock,
    settings: RunSettings,
    /// Asked before a run opens anything.
    admission: AdmissionCheck,
    /// Rung when a run was queued here.
    queued: Notify,
    /// The uploads that are under way.
    uploads: TaskTracker,
}

/// A run that this worker holds.
struct Held {
    run: Run,
    progress: Progress,
    /// Somebody asked to cancel it while nobody held it.
    cancel_requested: bool,
    /// The name the lease is held under: another for each claim, so that a run which was lost
    /// cannot be written by the task that lost it.
    worker: String,
}

impl Held {
    fn new(claimed: Claimed, worker: String) -> Held {
        let Claimed {
            run,
            progress,
            cancel_requested,
        } = claimed;
        Held {
            run,
            progress,
            cancel_requested,
            worker,
        }
    }

    fn is_upload(&self) -> bool {
        self.run.origin == RunOrigin::Upload
    }
}

impl Runner {
    /// A worker that is not at work yet.
    pub fn new(
        store: Store,
        registry: Arc<Registry>,
        reach: Reach,
        sinks: Sinks,
        clock: Clock,
        settings: RunSettings,
        admission: AdmissionCheck,
    ) -> Self {
        let (queued, uploads) = (Notify::new(), TaskTracker::new());
        let shared = Shared {
            store,
            registry,
            reach,
            sinks,
            clock,
            settings,
            admission,
            queued,
            uploads,
        };
        Runner {
            shared: Arc::new(shared),
        }
    }

    /// Queues a run of a sync as whoever acts; a worker takes it up at once.
    pub async fn trigger(
        &self,
        workspace_id: Uuid,
        sync_id: Uuid,
        act: &Act,
    ) -> Result<Run, TriggerError> {
        let sync = self.shared.store.get_sync(workspace_id, sync_id).await?;
        if !sync.enabled {
            return Err(TriggerError::Disabled);
        }
        let run = queued(Uuid::now_v7(), workspace_id, sync_id, act);
        self.shared.store.insert_run(&run, act).await?;
        self.shared.queued.notify_one();
        Ok(run)
    }

    /// Cancels a run: at once if it is queued, else at its next checkpoint.
    pub async fn cancel(
        &self,
        workspace_id: Uuid,
        run_id: Uuid,
        act: &Act,
    ) -> Result<Run, StoreError> {
        self.shared
            .store
            .cancel_run(workspace_id, run_id, act)
            .await
    }

    /// Queues what is due, takes runs and works on them until `shutdown`; then lets each come to
    /// its next checkpoint, gives its lease back, waits for the uploads that are under way, and
    /// returns.
    pub async fn work(&self, shutdown: CancellationToken) {
        tokio::join!(
            self.shared.keep_schedules(&shutdown),
            self.work_on_runs(&shutdown),
        );
    }

    async fn work_on_runs(&self, shutdown: &CancellationToken) {
        let mut runs = JoinSet::new();
        while !shutdown.is_cancelled() {
            let now = self.shared.now();
            if let Err(error) = self.shared.store.end_interrupted_uploads(now).await {
                tracing::warn!(%error, "cannot look for interrupted uploads");
            }
            let free = self
                .shared
                .settings
                .concurrent_runs
                .saturating_sub(runs.len());
            for _ in 0..free {
                match self.shared.claim().await {
                    Ok(Some(held)) => {
                        let shared = Arc::clone(&self.shared);
                        let shutdown = shutdown.clone();
                        runs.spawn(async move {
                            // The run tells why it stopped.
                            drop(shared.execute(held, None, shutdown).await);
                        });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "cannot look for queued runs");
                        break;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.shared.queued.notified() => {}
                Some(_) = runs.join_next(), if !runs.is_empty() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while runs.join_next().await.is_some() {}
        self.shared.uploads.close();
        self.shared.uploads.wait().await;
    }
}

/// A run of a sync that waits for a worker, as whoever acts.
fn queued(id: Uuid, workspace_id: Uuid, sync_id: Uuid, act: &Act) -> Run {
    Run {
        id,
        workspace_id,
        sync_id,
        account_id: act.account_id,
        origin: RunOrigin::Trigger,
        status: RunStatus::Queued,
        counts: Counts::default(),
        withheld_by: Vec::new(),
        policy_revision: None,
        policy_revisions: Vec::new(),
        started_at: None,
        finished_at: None,
        error: None,
        created_at: act.at,
        updated_at: act.at,
    }
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    fn lease_until(&self) -> DateTime<Utc> {
        let lease = TimeDelta::from_std(self.settings.lease).unwrap_or(TimeDelta::MAX);
        self.now()
            .checked_add_signed(lease)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    async fn claim(&self) -> Result<Option<Held>, StoreError> {
        let worker = Uuid::now_v7().to_string();
        let claimed = self
            .store
            .claim_run(&worker, self.now(), self.lease_until())
            .await?;
        Ok(claimed.map(|claimed| Held::new(claimed, worker)))
    }

    /// Works on a run, whose records are in the upload if it is one.
    async fn execute(
        &self,
        held: Held,
        upload: Option<Upload>,
        shutdown: CancellationToken,
    ) -> Result<(), Stop> {
        let run = &held.run;
        let (run_id, workspace_id) = (run.id, run.workspace_id);
        let span = tracing::info_span!("run", %run_id, sync_id = %run.sync_id, %workspace_id);
        let (status, end) = async {
            tracing::info!(is_upload = held.is_upload(), "run started");
            let outcome = AssertUnwindSafe(self.run(&held, upload, shutdown))
                .catch_unwind()
                .await;
            match outcome {
                Ok(ended) => ended,
                Err(_) => (self.abandon(&held).await, Err(Stop::Internal)),
            }
        }
        .instrument(span)
        .await;
        if let Some(status) = status {
            metrics::counter!(telemetry::RUNS_TOTAL, telemetry::STATUS => status.as_str())
                .increment(1);
        }
        end
    }

    /// Ends a run whose task panicked. What it had delivered since its last checkpoint is not
    /// known, which is what the error says.
    async fn abandon(&self, held: &Held) -> Option<RunStatus> {
        let run = &held.run;
        tracing::error!("run ended by an internal fault");
        if held.is_upload() {
            // Its checkpoint is needed when it is sent again: whoever looks for runs next ends it.
            if let Err(error) = self.store.release_run(run.id, &held.worker).await {
                tracing::warn!(%error, "the lease could not be given back and will run out");
            }
            return None;
        }
        let error =
            "an internal fault ended the run; the last batch may have been delivered in part";
        let progress = match self.store.get_run(run.workspace_id, run.id).await {
            Ok(run) => Progress {
                checkpoint: Checkpoint::default(),
                counts: run.counts,
                withheld_by: run.withheld_by,
                policy_revisions: run.policy_revisions,
            },
            Err(_) => held.progress.clone(),
        };
        let finished = self
            .store
            .finish_run(
                run.id,
                &held.worker,
                RunStatus::Failed,
                Some(error),
                &progress,
                self.now(),
            )
            .await;
        finished.ok().map(|()| RunStatus::Failed)
    }
}
