//! The control store: accounts and keys, workspaces, the catalog, policies with their revisions,
//! and runs with their leases. The only SQL on control data.
//!
//! SQLite by default, PostgreSQL where several processes share the work. Both have the same
//! tables and run the same statements. An id of another workspace is not found.

#[macro_use]
mod database;
mod accounts;
mod columns;
mod destinations;
mod error;
mod in_force;
mod models;
mod policies;
mod runs;
mod sources;
mod syncs;
mod workspaces;

use uuid::Uuid;

pub use accounts::StoredKey;
pub use error::StoreError;
pub use policies::Committed;
pub use runs::Claimed;
pub use workspaces::Member;

use database::{Db, Pool};
use error::is_dangling;

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

impl Store {
    /// Deletes an object of a workspace unless others refer to it: then `users`, a query for
    /// their names, tells which.
    async fn delete_unused(
        &self,
        what: &'static str,
        delete: &'static str,
        users: &'static str,
        workspace_id: Uuid,
        id: Uuid,
    ) -> Result<(), StoreError> {
        match execute!(self, delete, workspace_id, id) {
            Ok(0) => Err(StoreError::NotFound(what)),
            Ok(_) => Ok(()),
            Err(error) if is_dangling(&error) => {
                let users = all!(self, (String,), users, workspace_id, id)?;
                let users: Vec<String> = users.into_iter().map(|(user,)| user).collect();
                let users = users.join(", ");
                Err(StoreError::Conflict(format!(
                    "the {what} is in use by {users}; delete or change that first"
                )))
            }
            Err(error) => Err(error.into()),
        }
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
