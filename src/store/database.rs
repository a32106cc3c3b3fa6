//! The two databases behind one face. Each statement is written once and runs on either: the
//! macros below write the same call for both drivers and pick one by the open database.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Postgres, Sqlite, Transaction};

use super::{Store, StoreError};

/// How long a statement waits for a connection, or for another writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something of one database or the other.
#[derive(Clone)]
pub(super) enum Db<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// Connections to the open database.
pub(super) type Pool = Db<SqlitePool, PgPool>;

/// Every row of a query: `all!(on, Row, SQL, binds...)`, where `on` is a `Store` or a `Tx`.
macro_rules! all {
    ($on:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.executor() {
            Db::Sqlite(db) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_all(db).await,
            Db::Postgres(db) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_all(db).await,
        }
    };
}

/// The first row of a query, if there is one.
macro_rules! optional {
    ($on:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.executor() {
            Db::Sqlite(db) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_optional(db).await
            }
            Db::Postgres(db) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_optional(db).await
            }
        }
    };
}

/// Runs a statement and tells how many rows it touched.
macro_rules! execute {
    ($on:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.executor() {
            Db::Sqlite(db) => sqlx::query($sql)$(.bind($bind))*
                .execute(db)
                .await
                .map(|done| done.rows_affected()),
            Db::Postgres(db) => sqlx::query($sql)$(.bind($bind))*
                .execute(db)
                .await
                .map(|done| done.rows_affected()),
        }
    };
}

/// A transaction; dropped before [`Tx::commit`], it leaves nothing behind.
pub(super) struct Tx(Db<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>);

impl Tx {
    pub(super) fn executor(&mut self) -> Db<&mut SqliteConnection, &mut PgConnection> {
        match &mut self.0 {
            Db::Sqlite(tx) => Db::Sqlite(&mut **tx),
            Db::Postgres(tx) => Db::Postgres(&mut **tx),
        }
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Db::Sqlite(tx) => tx.commit().await?,
            Db::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

impl Store {
    /// Opens the store and brings its tables up to date.
    ///
    /// `url` is `sqlite:PATH` (or `sqlite:///PATH`; the file is created, its folder is not) or
    /// `postgres://...`.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        let pool = match place(url)? {
            Db::Sqlite(path) => {
                create_private(Path::new(path)).map_err(|error| {
                    let kind = error.kind();
                    StoreError::Unavailable(format!(
                        "its file cannot be created: {kind}; does its folder exist?"
                    ))
                })?;
                let options = SqliteConnectOptions::new()
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full);
                let pool = open_sqlite(path, options).await?;
                sqlx::migrate!("src/store/migrations/sqlite")
                    .run(&pool)
                    .await?;
                Db::Sqlite(pool)
            }
            Db::Postgres(options) => {
                let pool = open_postgres(options).await?;
                sqlx::migrate!("src/store/migrations/postgres")
                    .run(&pool)
                    .await?;
                Db::Postgres(pool)
            }
        };
        Ok(Store { pool })
    }

    /// Opens a store that is there, at a URL as [`Store::open`] takes it, to read from: nothing
    /// is made, migrated or changed, and other processes may go on using it.
    pub async fn open_to_read(url: &str) -> Result<Store, StoreError> {
        let pool = match place(url)? {
            Db::Sqlite(path) => {
                let options = SqliteConnectOptions::new().pragma("query_only", "ON");
                Db::Sqlite(open_sqlite(path, options).await?)
            }
            Db::Postgres(options) => {
                let options = options.options([("default_transaction_read_only", "on")]);
                Db::Postgres(open_postgres(options).await?)
            }
        };
        Ok(Store { pool })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        execute!(self, "SELECT 1")?;
        Ok(())
    }

    /// Closes all connections, once those in use come back.
    pub async fn close(&self) {
        match &self.pool {
            Db::Sqlite(pool) => pool.close().await,
            Db::Postgres(pool) => pool.close().await,
        }
    }

    pub(super) fn executor(&self) -> Db<&SqlitePool, &PgPool> {
        match &self.pool {
            Db::Sqlite(pool) => Db::Sqlite(pool),
            Db::Postgres(pool) => Db::Postgres(pool),
        }
    }

    /// A transaction that writes. SQLite takes its one write lock at once: a transaction that
    /// first reads and then writes would fail where another wrote in between.
    pub(super) async fn write(&self) -> Result<Tx, StoreError> {
        Ok(Tx(match &self.pool {
            Db::Sqlite(pool) => Db::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Db::Postgres(pool) => Db::Postgres(pool.begin().await?),
        }))
    }

    /// A transaction whose queries all see the same state.
    pub(super) async fn snapshot(&self) -> Result<Tx, StoreError> {
        let read_only = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        Ok(Tx(match &self.pool {
            Db::Sqlite(pool) => Db::Sqlite(pool.begin().await?),
            Db::Postgres(pool) => Db::Postgres(pool.begin_with(read_only).await?),
        }))
    }
}

/// Where a URL leads: to a file, or to a server.
fn place(url: &str) -> Result<Db<&str, PgConnectOptions>, StoreError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            let expected = "its URL must name a file: sqlite:PATH";
            return Err(StoreError::Unavailable(expected.into()));
        }
        return Ok(Db::Sqlite(path));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Db::Postgres(PgConnectOptions::from_str(url)?));
    }
    let expected = "its URL must begin with sqlite: or postgres://";
    Err(StoreError::Unavailable(expected.into()))
}

/// Connects to a file that is there.
async fn open_sqlite(path: &str, options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let options = options
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(PATIENCE);
    SqlitePoolOptions::new()
        .max_connections(8)
        // A file does not hang up: to ask before each statement whether it did would only wake the
        // connection's thread once more.
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

/// The store holds the credentials of sources and destinations: its file is for its owner only.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        opened => opened.map(drop),
    }
}

async fn open_postgres(options: PgConnectOptions) -> Result<PgPool, StoreError> {
    let options = options.application_name("syncguard");
    // A pool goes on trying a server that is not there and then only says that time ran out, so
    // the first connection is made without one.
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(connected) => connected?.close().await?,
        Err(_) => return Err(StoreError::Unavailable("its server does not answer".into())),
    }
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await?;
    Ok(pool)
}
