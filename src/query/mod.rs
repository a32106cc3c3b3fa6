//! Queries: SQL as a principal, over guarded tables only. The doors (HTTP, PostgreSQL, Flight SQL)
//! all come here.
//!
//! Nothing is kept from one statement to the next, neither a plan nor an answer: who asks, what
//! they may read and which policies are in force are looked up for each statement, and again
//! before each batch of an answer is released.

mod answer;
mod authority;
mod effective;
mod models;
mod slots;
mod thread;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use answer::Answer;
pub use effective::{EffectivePolicy, EffectiveRequirement, Visible};

use answer::told;
use models::Models;
use slots::Slots;

use crate::catalog::{Model, Workspace};
use crate::config::Queries;
use crate::guard::session::{Extras, QueryFault};
use crate::guard::{PolicyFault, Registry};
use crate::policy::Revision;
use crate::principal::Principal;
use crate::reach::Reach;
use crate::store::{Store, StoreError};

/// What a statement may be asked for: the permission, as the catalog of permissions names it.
pub const PERMISSION: &str = "models.read";

/// The time, as the roof gives it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Who asks, and where.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The account and the key it uses.
    pub principal: Principal,
    /// The workspace.
    pub workspace_id: Uuid,
    /// The request, as its answer names it.
    pub request_id: Option<String>,
    /// The account whose rows are looked at, where that is not the asker's own.
    pub evaluate_as: Option<Uuid>,
}

/// Why there is no answer, or not all of it. No message carries a row value.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query's fault, or a fault in computing it.
    #[error(transparent)]
    Fault(#[from] QueryFault),
    /// The key was revoked or has expired.
    #[error("the API key no longer works")]
    Unauthenticated,
    /// The workspace is not there, or the account is no member of it.
    #[error("there is no such workspace")]
    NoWorkspace,
    /// The account or the key may not do this; what it lacks.
    #[error("{0}")]
    Forbidden(String),
    /// An account that is to be looked at as is no member.
    #[error("there is no such member")]
    NoMember,
    /// Too many queries of the account are open.
    #[error("{0} queries of this account are open, which is as many as may be: close one, or wait")]
    Busy(u32),
    /// The query took too long.
    #[error("the query took longer than {0} s: ask for less, or for fewer rows")]
    TimedOut(u64),
    /// The answer has too many rows.
    #[error("the answer has more than {0} rows: ask for fewer, with WHERE or LIMIT")]
    TooManyRows(u64),
    /// Policies, groups or models changed while the answer was on its way.
    #[error("policies or permissions changed while the query ran: run it again")]
    Changed,
    /// A policy does not compile against a model as it is now, so none of its rows are shown.
    #[error(
        "the policies of model \"{model}\" do not compile against its columns, so that none of its rows can be shown: an admin has to save the model or the policies again"
    )]
    Refused {
        /// The model.
        model: String,
        /// For the log.
        faults: Vec<PolicyFault>,
    },
    /// A model cannot be read. What the source said is in the log, since it may tell of rows that
    /// the asker does not see.
    #[error("model \"{0}\" cannot be read: ask an admin to look at its source")]
    Source(String),
    /// The store refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error("an internal fault ended the query")]
    Internal,
}

/// What a statement takes and gives.
#[derive(Clone, Debug)]
pub struct Description {
    /// The types of `$1`, `$2`, ..., where the text tells them.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of the answer.
    pub schema: SchemaRef,
    /// The revision of the policies at which it was described.
    pub revision: Revision,
}

/// Answers queries. Cheap to clone.
#[derive(Clone)]
pub struct Querier {
    store: Store,
    registry: Arc<Registry>,
    reach: Reach,
    clock: Clock,
    limits: Queries,
    batch_rows: usize,
    slots: Slots,
    /// How many queries more may be computed at this time; shared by all doors.
    room: Arc<Semaphore>,
    /// What queries wait with: for files, sources and the store.
    workers: Handle,
}

impl Querier {
    /// Prepares to answer queries.
    pub fn new(
        store: Store,
        registry: Arc<Registry>,
        reach: Reach,
        clock: Clock,
        limits: Queries,
        batch_rows: usize,
        workers: Handle,
    ) -> Querier {
        Querier {
            store,
            registry,
            reach,
            clock,
            limits,
            batch_rows,
            slots: Slots::default(),
            room: Arc::new(Semaphore::new(limits.query_threads as usize)),
            workers,
        }
    }

    /// The workspace of a name that an account is a member of; without a name its only one.
    pub async fn workspace(
        &self,
        account_id: Uuid,
        name: Option<&str>,
    ) -> Result<Workspace, QueryError> {
        let mut workspaces = self.store.list_workspaces(account_id).await?;
        workspaces.retain(|workspace| name.is_none_or(|name| workspace.name == name));
        match (workspaces.pop(), workspaces.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(QueryError::NoWorkspace),
        }
    }

    /// The models that the asker may query, by name.
    pub async fn models(&self, asker: &Asker) -> Result<Vec<Model>, QueryError> {
        let authority = self.authority(asker).await?;
        let workspace_id = authority.seen.workspace_id;
        let mut models = self.store.list_models(workspace_id).await?;
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// What a statement takes and gives, without running it.
    pub async fn describe(
        &self,
        asker: &Asker,
        sql: &str,
        extras: &Extras,
    ) -> Result<Description, QueryError> {
        let _slot = self.slot(asker)?;
        let this = self.clone();
        let (asker, sql, extras) = (asker.clone(), sql.to_owned(), extras.clone());
        let work = async move {
            let authority = Arc::new(this.authority(&asker).await?);
            let models = Arc::new(Models::new(&this, Arc::clone(&authority)));
            let session = this.session(&authority, models, &extras).await?;
            let plan = session.plan(&sql).await.map_err(told)?;
            Ok(Description {
                parameters: plan.parameters()?,
                schema: plan.schema(),
                revision: authority.revision(),
            })
        };
        let described = Box::pin(async { self.thread(work).await?.ended().await });
        tokio::select! {
            biased;
            () = self.until() => Err(self.timed_out()),
            described = described => described,
        }
    }

    /// Runs a statement with values for its parameters.
    pub async fn run(
        &self,
        asker: &Asker,
        sql: &str,
        parameters: &[ScalarValue],
        extras: &Extras,
    ) -> Result<Answer, QueryError> {
        // In one place of its own: the futures of all doors are smaller by it.
        Box::pin(self.answer(asker, sql, parameters, extras)).await
    }

    /// Whether rows of an answer of a revision, which a door has held back, may still be
    /// released: the key works, and no policy, group or role has changed.
    pub async fn still(&self, asker: &Asker, revision: Revision) -> Result<(), QueryError> {
        let authority = self.authority(asker).await?;
        match authority.revision() == revision {
            true => Ok(()),
            false => Err(QueryError::Changed),
        }
    }

    /// Bytes that the text of a statement may have.
    pub fn text_bytes(&self) -> u64 {
        self.limits.query_text_bytes
    }
}
