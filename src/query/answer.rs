//! An answer on its way: computed apart, held to its limits, released while its authority holds.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, ScalarValue};
use futures::stream::{self, BoxStream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::authority::Authority;
use super::models::Models;
use super::slots::Slot;
use super::thread::Thread;
use super::{Asker, Querier, QueryError};
use crate::guard::GuardError;
use crate::guard::Guarded;
use crate::guard::session::{Bounds, Extras, Plan, RunFault, Session};
use crate::guard::table::{Misfit, TableFault};
use crate::policy::Revision;
use crate::source::SourceError;

/// An answer on its way.
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// The revision of the policies that it obeys.
    pub revision: Revision,
    /// What stays the same as long as the answer does, where that is known without computing it.
    pub validator: Option<[u8; 32]>,
    /// The rows. An error ends them: an answer is whole only if the stream ends without one.
    /// Dropping them ends the query.
    pub batches: BoxStream<'static, Result<Guarded, QueryError>>,
}

/// What is known of an answer before its first row.
struct Head {
    schema: SchemaRef,
    authority: Arc<Authority>,
    validator: Option<[u8; 32]>,
}

/// Hands on what was computed. It holds its account's place as long as there may be rows left,
/// however slow their reader is.
struct Release {
    querier: Querier,
    asker: Asker,
    authority: Arc<Authority>,
    computed: mpsc::Receiver<Guarded>,
    thread: Thread<()>,
    until: Pin<Box<Sleep>>,
    _slot: Slot,
}

impl Release {
    async fn next(mut self) -> Result<Option<(Guarded, Release)>, QueryError> {
        let batch = tokio::select! {
            biased;
            () = &mut self.until => return Err(self.querier.timed_out()),
            batch = self.computed.recv() => batch,
        };
        let Some(batch) = batch else {
            self.thread.ended().await?;
            return Ok(None);
        };
        // It may have waited here for long: what was computed under policies that no longer hold
        // is not released.
        self.querier.holds(&self.asker, &self.authority).await?;
        Ok(Some((batch, self)))
    }
}

impl Querier {
    pub(super) async fn answer(
        &self,
        asker: &Asker,
        sql: &str,
        parameters: &[ScalarValue],
        extras: &Extras,
    ) -> Result<Answer, QueryError> {
        let slot = self.slot(asker)?;
        let mut until = self.until();
        let (head, announced) = oneshot::channel();
        let (batches, computed) = mpsc::channel(1);
        let work = self.clone().work(
            asker.clone(),
            sql.to_owned(),
            parameters.to_vec(),
            extras.clone(),
            head,
            batches,
        );
        let start = async {
            let mut thread = self.thread(work).await?;
            match announced.await {
                Ok(head) => Ok((head, thread)),
                // It ended before it had anything to announce.
                Err(_) => Err(thread.ended().await.err().unwrap_or(QueryError::Internal)),
            }
        };
        let (head, thread) = tokio::select! {
            biased;
            () = &mut until => return Err(self.timed_out()),
            started = start => started?,
        };
        let authority = head.authority;
        let release = Release {
            querier: self.clone(),
            asker: asker.clone(),
            authority: Arc::clone(&authority),
            computed,
            thread,
            until,
            _slot: slot,
        };
        let batches = stream::unfold(Some(release), |release| async {
            match release?.next().await {
                Ok(Some((batch, release))) => Some((Ok(batch), Some(release))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Answer {
            schema: head.schema,
            revision: authority.revision(),
            validator: head.validator,
            batches: batches.boxed(),
        })
    }

    /// Room for one more query of the asker's account.
    pub(super) fn slot(&self, asker: &Asker) -> Result<Slot, QueryError> {
        let account_id = asker.principal.account.id;
        self.slots
            .enter(account_id, self.limits.queries_per_account)
    }

    /// When a query that begins now has taken too long.
    pub(super) fn until(&self) -> Pin<Box<Sleep>> {
        let seconds = Duration::from_secs(self.limits.query_seconds);
        Box::pin(tokio::time::sleep(seconds))
    }

    pub(super) fn timed_out(&self) -> QueryError {
        QueryError::TimedOut(self.limits.query_seconds)
    }

    async fn work(
        self,
        asker: Asker,
        sql: String,
        parameters: Vec<ScalarValue>,
        extras: Extras,
        head: oneshot::Sender<Head>,
        batches: mpsc::Sender<Guarded>,
    ) -> Result<(), QueryError> {
        let authority = Arc::new(self.authority(&asker).await?);
        let models = Arc::new(Models::new(&self, Arc::clone(&authority)));
        let session = self
            .session(&authority, Arc::clone(&models), &extras)
            .await?;
        let plan = session.plan(&sql).await.map_err(told)?;
        let plan = plan.bind(&parameters)?;
        // Written down while the first rows are computed; none leaves before it is.
        let note = self.clone().note(&asker, &authority, &plan);
        let noted = self.workers.spawn(note);
        let validator = match plan.is_deterministic() && extras.schemas.is_empty() {
            true => {
                self.validator(&authority, &models, &plan, &sql, &parameters)
                    .await?
            }
            false => None,
        };
        let schema = plan.schema();
        let rows = plan.run().await;
        let mut rows = match rows {
            Ok(rows) => rows,
            Err(fault) => {
                models.record_findings().await?;
                return Err(told(fault));
            }
        };
        let mut next = rows.next().await;
        noted.await.map_err(|_| QueryError::Internal)??;
        let announced = head.send(Head {
            schema,
            authority,
            validator,
        });
        if announced.is_err() {
            return models.record_findings().await;
        }
        let most = self.limits.query_rows;
        let mut left = most;
        loop {
            models.record_findings().await?;
            let Some(batch) = next else { break };
            let batch = batch.map_err(told)?;
            left = left
                .checked_sub(batch.num_rows() as u64)
                .ok_or(QueryError::TooManyRows(most))?;
            if batches.send(batch).await.is_err() {
                break;
            }
            next = rows.next().await;
        }
        Ok(())
    }

    /// A session with the models that an authority may read.
    pub(super) async fn session(
        &self,
        authority: &Authority,
        models: Arc<Models>,
        extras: &Extras,
    ) -> Result<Session, QueryError> {
        let limits = &self.limits;
        let bounds = Bounds {
            memory_bytes: usize::try_from(limits.query_memory_bytes).unwrap_or(usize::MAX),
            text_bytes: usize::try_from(limits.query_text_bytes).unwrap_or(usize::MAX),
            plan_nodes: limits.query_plan_nodes as usize,
            batch_rows: self.batch_rows,
        };
        let workspace = self.store.get_workspace(authority.own.workspace_id).await?;
        Ok(Session::open(
            &workspace.name,
            models,
            extras,
            bounds,
            authority.revision(),
            authority.at,
        )?)
    }

    /// A digest of all that an answer follows from; `None` where that is not known.
    async fn validator(
        &self,
        authority: &Authority,
        models: &Models,
        plan: &Plan,
        sql: &str,
        parameters: &[ScalarValue],
    ) -> Result<Option<[u8; 32]>, QueryError> {
        let mut digest = Sha256::new();
        let seen = &authority.seen;
        digest.update(format!(
            "{} {} {} {} {:?} {sql:?} {parameters:?}",
            env!("CARGO_PKG_VERSION"),
            seen.workspace_id,
            authority.revision(),
            seen.role_id,
            seen.groups,
        ));
        for name in plan.tables() {
            let Some(rows) = models.named(&name) else {
                return Ok(None);
            };
            match models.fingerprint(&rows).await? {
                Some(bytes) => {
                    digest.update((bytes.len() as u64).to_be_bytes());
                    digest.update(bytes);
                }
                None => return Ok(None),
            }
        }
        Ok(Some(digest.finalize().into()))
    }
}

/// What the asker is told of a fault; the rest is for the log.
pub(super) fn told(fault: RunFault) -> QueryError {
    let error = match fault {
        RunFault::Query(fault) => return fault.into(),
        RunFault::Table(error) => error,
    };
    let fault = match error.downcast::<QueryError>() {
        Ok(own) => return *own,
        Err(error) => RunFault::Table(error),
    };
    let Some(fault) = fault.of_table::<TableFault>() else {
        return QueryError::Internal;
    };
    // Of all causes only a source's own words are known to quote no row.
    let why = match fault.cause.find_root() {
        DataFusionError::External(cause) => match (
            cause.downcast_ref::<SourceError>(),
            cause.downcast_ref::<GuardError>(),
            cause.downcast_ref::<Misfit>(),
        ) {
            (Some(source), _, _) => source.to_string(),
            (None, Some(guard), _) => guard.to_string(),
            (None, None, Some(misfit)) => misfit.to_string(),
            (None, None, None) => "an engine failed".to_owned(),
        },
        _ => "an engine failed".to_owned(),
    };
    tracing::warn!(model = fault.table, why, "a query could not read a model");
    QueryError::Source(fault.table.clone())
}
