//! Streams that pipelines send: their records through the guard and back, or on to where the
//! pipeline sends them.

mod filter;
pub mod transparent;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::catalog::Model;
use crate::guard::registry::NoGuard;
use crate::guard::sighting::sightings;
use crate::guard::{Guard, Judgement, PolicyFault, Registry};
use crate::policy::content::{Passage, Sighting, Via};
use crate::store::{Store, StoreError};
use crate::wire::stream::{Columns, Records, StreamError};

pub use filter::{Filter, Reading};

/// Where the time is learnt from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Why a stream was not let through, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A policy does not compile against the records' columns.
    #[error("policies do not compile against the records: {} faults", .0.len())]
    Refused(Vec<PolicyFault>),
    /// The workspace demands a destination policy and there is none.
    #[error("{0}")]
    NoDestinationPolicy(String),
    /// A content policy cannot be enforced as this process is set up.
    #[error("{0}")]
    NeedsJudge(String),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The store refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records that were judged and are held back may not leave any more.
    #[error("the policies changed while the records were judged: send them again")]
    Changed,
    /// The work ended by an internal fault.
    #[error("an internal fault ended the stream")]
    Internal,
}

impl From<NoGuard> for ProxyError {
    fn from(error: NoGuard) -> Self {
        match error {
            NoGuard::Refused(faults) => ProxyError::Refused(faults),
            NoGuard::NeedsJudge(_) => ProxyError::NeedsJudge(error.to_string()),
            NoGuard::Content(_) => ProxyError::Store(StoreError::Corrupt(error.to_string())),
            NoGuard::NoDestinationPolicy { .. } => {
                ProxyError::NoDestinationPolicy(error.to_string())
            }
        }
    }
}

/// Whose records go where.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The model that the records belong to.
    pub model: Model,
    /// What kind of destination they go to.
    pub destination_type: String,
    /// On whose behalf.
    pub account_id: Uuid,
    /// What relative conditions count from, in every batch of the stream.
    pub now: DateTime<Utc>,
    /// The stream, as violations name it.
    pub passage_id: Uuid,
}

impl Subject {
    /// What content policies found in a batch of the stream, for the record: the records are known
    /// by their lines.
    fn sightings(&self, records: &dyn Records, judgement: &Judgement) -> Vec<Sighting> {
        sightings(
            judgement.findings(),
            |row| records.line_of(row),
            |row| format!("line {}", records.line_of(row)),
        )
    }

    fn passage(&self) -> Passage {
        Passage {
            id: self.passage_id,
            via: Via::Stream,
            workspace_id: self.model.workspace_id,
            source_id: self.model.source_id,
            model_id: self.model.id,
            run_id: None,
            account_id: self.account_id,
        }
    }
}

/// Takes streams through the guard. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    store: Store,
    /// Shared with every run and request of the process.
    registry: Arc<Registry>,
    clock: Clock,
}

impl Proxy {
    /// Prepares to take streams.
    pub fn new(store: Store, registry: Arc<Registry>, clock: Clock) -> Proxy {
        Proxy {
            store,
            registry,
            clock,
        }
    }

    /// The guard at the revision that is committed now; `None` while the columns of the stream
    /// are not known.
    pub async fn guard(
        &self,
        subject: &Subject,
        columns: &Columns,
    ) -> Result<Option<Arc<Guard>>, ProxyError> {
        let schema = match columns {
            Columns::Unknown => return Ok(None),
            Columns::Untyped => &subject.model.schema,
            Columns::Typed(schema) => schema,
        };
        let model = &subject.model;
        let (policies, principal) = self
            .store
            .policies_for(&self.registry, model.workspace_id, subject.account_id)
            .await?;
        let destination_type = Some(subject.destination_type.as_str());
        Ok(Some(self.registry.guard(
            &policies,
            model,
            schema,
            destination_type,
            &principal,
            subject.now,
        )?))
    }
}
