//! The control store: accounts and keys, workspaces, the catalog, policies with their revisions,
//! runs with their leases, compliance, and the audit log. The only SQL on control data.
//!
//! SQLite by default, PostgreSQL where several processes share the work. Both have the same
//! tables and run the same statements. An id of another workspace is not found.

#[macro_use]
mod database;
mod access;
mod accounts;
mod alert_channels;
mod alert_deliveries;
mod audit;
mod authenticate;
mod columns;
mod compliance;
mod content_policies;
mod destinations;
mod error;
mod groups;
mod idempotency;
mod in_force;
mod members;
mod models;
mod policies;
mod revisions;
mod roles;
#[macro_use]
mod runs;
mod schedules;
mod sightings;
mod sources;
mod syncs;
mod uploads;
mod verifiers;
mod workspaces;

use uuid::Uuid;

pub use accounts::StoredKey;
pub use alert_deliveries::{AlertDelivery, Attempted};
pub use audit::AuditFilter;
pub use compliance::{
    AttestationFilter, Figures, InstanceFilter, PolicyFilter, PolicyVersions, SnapshotFilter,
    SolutionFilter, TemplateFilter,
};
pub use error::StoreError;
pub use idempotency::{KeptAnswer, Reservation, Reserved};
pub use revisions::Committed;
pub use runs::Claimed;
pub use schedules::{Due, Scheduled};
pub use sightings::{KEPT, SightingFilter};
pub use uploads::Uploading;
pub use verifiers::Candidates;

use database::{Db, Pool, Tx};

/// An open store; clones share its connections.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let database = match &self.pool {
            Db::Sqlite(_) => "SQLite",
            Db::Postgres(_) => "PostgreSQL",
        };
        f.debug_tuple("Store").field(&database).finish()
    }
}

/// Deletes an object of a workspace unless others refer to it: then `users`, a query for their
/// names, tells which. The workspace is locked, so that no other can come to refer to it.
async fn delete_unused(
    tx: &mut Tx,
    what: &'static str,
    delete: &'static str,
    users: &'static str,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<(), StoreError> {
    let users = all!(tx, (String,), users, workspace_id, id)?;
    if !users.is_empty() {
        let users: Vec<String> = users.into_iter().map(|(user,)| user).collect();
        let users = users.join(", ");
        return Err(StoreError::Conflict(format!(
            "the {what} is in use by {users}; delete or change that first"
        )));
    }
    touched(execute!(tx, delete, workspace_id, id)?, what)
}

/// Refuses to change an object that is no longer as its caller read it.
fn same<T: PartialEq>(now: &T, before: &T) -> Result<(), StoreError> {
    match now == before {
        true => Ok(()),
        false => Err(StoreError::Stale),
    }
}

/// The objects of all rows, or the first that cannot be read.
fn objects<R, T>(rows: Result<Vec<R>, sqlx::Error>) -> Result<Vec<T>, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    rows?.into_iter().map(T::try_from).collect()
}

/// The object of a row that must be there; `what` names its kind if it is not.
fn object<R, T>(row: Result<Option<R>, sqlx::Error>, what: &'static str) -> Result<T, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    row?.map_or(Err(StoreError::NotFound(what)), T::try_from)
}

/// The outcome of a statement that should have touched one row.
fn touched(rows: u64, what: &'static str) -> Result<(), StoreError> {
    if rows == 0 {
        Err(StoreError::NotFound(what))
    } else {
        Ok(())
    }
}
