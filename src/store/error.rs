//! What can go wrong with the store, told without values, passwords or URLs.

use sqlx::error::ErrorKind;
use sqlx::migrate::MigrateError;

/// Why the store did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object in this workspace; its kind is named.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It contradicts what the store holds: a name that is taken, an object in use, a state.
    #[error("{0}")]
    Conflict(String),
    /// The same, with a code that tells programs which contradiction it is, such as
    /// `policy_in_use`.
    #[error("{message}")]
    Refused {
        /// The code.
        code: &'static str,
        /// What contradicts, and what to do.
        message: String,
    },
    /// The policies changed since they were read: read them again, and try again.
    #[error("the policies of the workspace have changed meanwhile; read them again and retry")]
    Stale,
    /// The run belongs to another worker, or has ended: stop working on it.
    #[error("the run is no longer leased to this worker")]
    LeaseLost,
    /// The database cannot be reached or used just now.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store holds something that this version cannot read, or was given such.
    #[error("the store cannot be read: {0}")]
    Corrupt(String),
}

/// Database messages quote values where a value is at fault (classes 22 and 23 of SQLSTATE), and
/// decoding errors quote what they could not decode, so those parts are left out.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        use sqlx::Error;
        match error {
            Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                match error.kind() {
                    ErrorKind::Other if !code.starts_with("22") => {
                        StoreError::Unavailable(format!("{} (code {code})", error.message()))
                    }
                    ErrorKind::Other => {
                        StoreError::Corrupt(format!("a value was refused (code {code})"))
                    }
                    _ => StoreError::Corrupt(format!(
                        "a constraint was violated (code {code}, constraint {})",
                        error.constraint().unwrap_or("unnamed")
                    )),
                }
            }
            Error::ColumnDecode { index, .. } => {
                StoreError::Corrupt(format!("column {index} has an unexpected value"))
            }
            Error::Decode(_) | Error::Encode(_) => {
                StoreError::Corrupt("a value does not fit its column".into())
            }
            Error::Configuration(_) => StoreError::Unavailable("its URL is not valid".into()),
            Error::Migrate(error) => StoreError::from(*error),
            error => StoreError::Unavailable(error.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> StoreError {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => StoreError::Corrupt(format!(
                "its tables were made by another version of syncguard: {error}"
            )),
        }
    }
}

/// Whether a statement failed because a unique value is taken.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation())
}

/// Whether a statement failed because a reference leads nowhere, or would do so afterwards.
pub(super) fn is_dangling(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_foreign_key_violation())
}

/// The error of a statement that saves a named object: a name that is taken, a reference to
/// something that is not there, or else a fault.
pub(super) fn not_saved(
    error: sqlx::Error,
    what: &'static str,
    name: &str,
    referred: &'static str,
) -> StoreError {
    if is_duplicate(&error) {
        StoreError::Conflict(format!(
            "there is already a {what} named {name:?}; choose another"
        ))
    } else if is_dangling(&error) {
        StoreError::NotFound(referred)
    } else {
        error.into()
    }
}
