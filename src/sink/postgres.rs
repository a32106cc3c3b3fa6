//! Rows written into a PostgreSQL table by primary key: one transaction a batch, in which the
//! last of several rows with one key counts.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use futures::SinkExt;
use serde_json::{Map, Value};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::bisect::{Attempt, Outcome, by_halves};
use super::pace::Pace;
use super::postgres_copy::{self, CopyError};
use super::{ConfigReader, Opening, Sink, SinkError, Written, cause, misconfigured};
use crate::catalog::{SyncMode, Transport};
use crate::guard::Guarded;
use crate::policy::Fault;
use crate::reach::{Reach, ReachError};

const KEYS: [&str; 2] = ["url", "table"];
const BATCH_ROWS: usize = 10_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that one transaction may take before the server counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Bytes of COPY data in one message.
const CHUNK: usize = 64 << 10;
const STAGE: &str = "pg_temp.syncguard_batch";
const POSITION: &str = "syncguard_position";

struct Settings {
    config: Config,
    table: Table,
}

/// A table's name, with or without its schema.
struct Table {
    shown: String,
    quoted: String,
}

fn read_config(config: &Map<String, Value>) -> Result<Settings, Vec<Fault>> {
    let mut reader = ConfigReader::new(config, &KEYS);
    let url = reader.text("url").and_then(|text| match checked_url(text) {
        Ok(config) => Some(config),
        Err(message) => {
            reader.fault("url", message);
            None
        }
    });
    let table = reader.text("table").and_then(|text| {
        let table = Table::parse(text);
        if table.is_none() {
            reader.fault("table", "expected `table` or `schema.table`");
        }
        table
    });
    reader.done(
        url.zip(table)
            .map(|(config, table)| Settings { config, table }),
    )
}

fn checked_url(text: &str) -> Result<Config, &'static str> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err("expected a URL such as postgres://user:password@host:5432/database");
    }
    // The parser's own message may quote the password.
    let config = Config::from_str(text).map_err(
        |_| "is not a PostgreSQL URL: check its parts, and its options' names and values",
    )?;
    if !config.get_hostaddrs().is_empty() {
        return Err("`hostaddr` is not supported: name the host");
    }
    let is_tcp =
        |host: &Host| matches!(host, Host::Tcp(name) if !name.is_empty() && !name.starts_with('/'));
    if config.get_hosts().is_empty() || !config.get_hosts().iter().all(is_tcp) {
        return Err("expected a host name or address in the URL; sockets are not supported");
    }
    if config.get_ports().len() > 1 && config.get_ports().len() != config.get_hosts().len() {
        return Err("expected one port, or one for each host");
    }
    Ok(config)
}

impl Table {
    fn parse(text: &str) -> Option<Table> {
        let parts: Vec<_> = text.split('.').collect();
        let named = |part: &&str| !part.is_empty() && !part.contains('\0');
        if parts.len() > 2 || !parts.iter().all(named) {
            return None;
        }
        let quoted: Vec<_> = parts.into_iter().map(quoted).collect();
        Some(Table {
            shown: text.to_owned(),
            quoted: quoted.join("."),
        })
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) async fn check_config(config: &Map<String, Value>, reach: &Reach) -> Vec<Fault> {
    match read_config(config) {
        Err(faults) => faults,
        Ok(settings) => match resolved(&settings.config, reach).await {
            Ok(_) => Vec::new(),
            Err(error) => vec![Fault::new("$.config.url", error.to_string())],
        },
    }
}

/// What a connection of this configuration would be. Certificates are verified wherever there
/// is TLS, but only `require` insists on it.
pub(super) fn transport(config: &Map<String, Value>) -> Transport {
    let url = config.get("url").and_then(Value::as_str);
    let server = url.and_then(|text| checked_url(text).ok());
    let encrypted = server
        .as_ref()
        .is_some_and(|server| server.get_ssl_mode() == SslMode::Require);
    let hosts = server.iter().flat_map(Config::get_hosts);
    Transport {
        hosts: hosts
            .filter_map(|host| match host {
                Host::Tcp(name) => Some(name.clone()),
                #[cfg(unix)]
                Host::Unix(_) => None,
            })
            .collect(),
        encrypted,
        verified: encrypted,
    }
}

/// The same configuration, bound to the addresses that its hosts lead to now.
async fn resolved(config: &Config, reach: &Reach) -> Result<Config, ReachError> {
    let mut bound = Config::new();
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    for (index, host) in hosts.iter().enumerate() {
        let Host::Tcp(name) = host else { continue };
        let port = ports
            .get(index)
            .or_else(|| ports.first())
            .copied()
            .unwrap_or(5432);
        for address in reach.resolve(name, port).await? {
            bound.host(name).hostaddr(address.ip()).port(port);
        }
    }
    if let Some(user) = config.get_user() {
        bound.user(user);
    }
    if let Some(password) = config.get_password() {
        bound.password(password);
    }
    if let Some(database) = config.get_dbname() {
        bound.dbname(database);
    }
    if let Some(options) = config.get_options() {
        bound.options(options);
    }
    bound
        .application_name(config.get_application_name().unwrap_or("syncguard"))
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .connect_timeout(
            config
                .get_connect_timeout()
                .copied()
                .unwrap_or(CONNECT_TIMEOUT),
        );
    Ok(bound)
}

pub(super) struct PostgresSink {
    reach: Reach,
    settings: Settings,
    columns: Columns,
    session: Option<Session>,
    pace: Arc<Pace>,
}

/// The columns that are written, in order.
struct Columns {
    names: Vec<String>,
    primary_key: Vec<String>,
}

/// A connection with its stage, the temporary table that a batch goes through.
struct Session {
    client: Client,
    /// Which columns hold JSON.
    as_json: Vec<bool>,
}

pub(super) fn open(
    config: &Map<String, Value>,
    reach: &Reach,
    opening: &Opening<'_>,
    pace: Arc<Pace>,
) -> Result<PostgresSink, SinkError> {
    let settings = read_config(config).map_err(|faults| misconfigured(&faults))?;
    if opening.mode == SyncMode::Mirror {
        return Err(SinkError::Config(
            "a postgres destination cannot be mirrored: rows are never deleted there; use the mode `upsert` or `full`"
                .into(),
        ));
    }
    let columns = Columns::of(&opening.schema, opening.primary_key)?;
    let writable = postgres_copy::encode(
        &RecordBatch::new_empty(opening.schema.clone()),
        &vec![false; columns.names.len()],
    );
    if let Err(CopyError::Type { column } | CopyError::Value { column }) = writable {
        return Err(SinkError::Config(format!(
            "column `{column}` has a type that PostgreSQL cannot be given; leave it out of the mapping"
        )));
    }
    Ok(PostgresSink {
        reach: reach.clone(),
        settings,
        columns,
        session: None,
        pace,
    })
}

impl Columns {
    fn of(schema: &SchemaRef, primary_key: &[String]) -> Result<Columns, SinkError> {
        if primary_key.is_empty() {
            return Err(SinkError::Config(
                "a postgres destination needs the model's primary key to write rows by; set `primary_key` on the model"
                    .into(),
            ));
        }
        if let Some(missing) = primary_key.iter().find(|key| schema.index_of(key).is_err()) {
            return Err(SinkError::Config(format!(
                "the primary key column `{missing}` is not sent; add it to the mapping"
            )));
        }
        let names: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        if names.iter().any(|name| name == POSITION) {
            return Err(SinkError::Config(format!(
                "no column may be named `{POSITION}`"
            )));
        }
        Ok(Columns {
            names,
            primary_key: primary_key.to_vec(),
        })
    }

    fn list(names: &[String]) -> String {
        names
            .iter()
            .map(|name| quoted(name))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn stage(&self, table: &Table) -> String {
        // The position is filled by the stage itself: COPY reads rows in order.
        format!(
            "CREATE TEMPORARY TABLE syncguard_batch ON COMMIT DELETE ROWS AS \
             SELECT {} FROM {} WITH NO DATA; \
             ALTER TABLE {STAGE} ADD COLUMN {POSITION} bigint GENERATED ALWAYS AS IDENTITY",
            Self::list(&self.names),
            table.quoted
        )
    }

    fn copy(&self) -> String {
        format!("COPY {STAGE} ({}) FROM STDIN", Self::list(&self.names))
    }

    fn upsert(&self, table: &Table) -> String {
        let (all, key) = (Self::list(&self.names), Self::list(&self.primary_key));
        let rest: Vec<_> = self
            .names
            .iter()
            .filter(|name| !self.primary_key.contains(name))
            .map(|name| format!("{0} = EXCLUDED.{0}", quoted(name)))
            .collect();
        let action = match rest.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", rest.join(", ")),
        };
        format!(
            "INSERT INTO {} ({all}) SELECT {all} FROM \
             (SELECT DISTINCT ON ({key}) * FROM {STAGE} ORDER BY {key}, {POSITION} DESC) AS batch \
             ORDER BY {POSITION} ON CONFLICT ({key}) DO {action}",
            table.quoted
        )
    }
}

/// Why a batch did not go through.
enum Failure {
    Database(tokio_postgres::Error),
    Sink(SinkError),
    Refused(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::Database(error)
    }
}

impl PostgresSink {
    async fn connect(&self) -> Result<Session, Failure> {
        let config = resolved(&self.settings.config, &self.reach)
            .await
            .map_err(|error| {
                Failure::Sink(match error {
                    ReachError::Unresolved(_) => SinkError::retry(error.to_string()),
                    error => SinkError::Forbidden(error),
                })
            })?;
        let (client, connection) = config.connect(tls()).await?;
        // It ends with its client. Its error reaches whoever uses the client.
        tokio::spawn(async move { drop(connection.await) });
        let table = &self.settings.table;
        let found = client
            .query(
                "SELECT a.attname::text, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) \
                 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                 WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped",
                &[&table.quoted],
            )
            .await?;
        if found.is_empty() {
            return Err(Failure::Sink(SinkError::fatal(format!(
                "table `{}` does not exist at the destination, or has no columns",
                table.shown
            ))));
        }
        let mut as_json = Vec::with_capacity(self.columns.names.len());
        for name in &self.columns.names {
            let row = found.iter().find(|row| row.get::<_, &str>(0) == name);
            let Some(row) = row else {
                return Err(Failure::Sink(SinkError::fatal(format!(
                    "table `{}` has no column `{name}`; add it there, or leave it out of the mapping",
                    table.shown
                ))));
            };
            as_json.push(matches!(row.get(1), "json" | "jsonb"));
        }
        client.batch_execute(&self.columns.stage(table)).await?;
        Ok(Session { client, as_json })
    }

    /// One transaction. The session is given back only if it can be used again.
    async fn deliver(
        &self,
        session: Option<Session>,
        rows: &RecordBatch,
    ) -> Result<Session, (Option<Session>, Failure)> {
        let mut session = match session {
            Some(session) if !session.client.is_closed() => session,
            _ => self.connect().await.map_err(|failure| (None, failure))?,
        };
        match self.transact(&mut session, rows).await {
            Ok(()) => Ok(session),
            Err(failure) => Err((Some(session).filter(|s| !s.client.is_closed()), failure)),
        }
    }

    async fn transact(&self, session: &mut Session, rows: &RecordBatch) -> Result<(), Failure> {
        let fields = rows.schema_ref().fields().iter();
        if !fields.map(|field| field.name()).eq(&self.columns.names) {
            return Err(Failure::Sink(SinkError::fatal(
                "the columns changed on the way",
            )));
        }
        let data = postgres_copy::encode(rows, &session.as_json).map_err(|error| match error {
            CopyError::Value { column } => Failure::Refused(format!(
                "a value of column `{column}` has no form in PostgreSQL"
            )),
            CopyError::Type { column } => Failure::Sink(SinkError::fatal(format!(
                "column `{column}` has a type that PostgreSQL cannot be given"
            ))),
        })?;
        let transaction = session.client.transaction().await?;
        {
            let mut copy = Box::pin(
                transaction
                    .copy_in::<_, Bytes>(&self.columns.copy())
                    .await?,
            );
            let mut data = Bytes::from(data);
            while !data.is_empty() {
                copy.feed(data.split_to(CHUNK.min(data.len()))).await?;
            }
            copy.as_mut().finish().await?;
        }
        transaction
            .execute(&self.columns.upsert(&self.settings.table), &[])
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    fn judged(&self, failure: Failure) -> Outcome {
        let error = match failure {
            Failure::Refused(reason) => return Outcome::Refused(reason),
            Failure::Sink(error) => return Outcome::Stopped(error),
            Failure::Database(error) => error,
        };
        match error.as_db_error() {
            Some(said) => self.judged_by_state(said),
            None => Outcome::Stopped(unanswered(&error)),
        }
    }

    /// What the database's error code means. Its message may quote a value, and stays unsaid.
    fn judged_by_state(&self, said: &DbError) -> Outcome {
        let (state, table) = (said.code(), &self.settings.table.shown);
        let code = state.code();
        let fatal = |what: String| Outcome::Stopped(SinkError::fatal(what));
        match code.get(..2).unwrap_or_default() {
            "22" | "23" | "44" => Outcome::Refused(self.reason(said)),
            _ if *state == SqlState::RAISE_EXCEPTION => Outcome::Refused(self.reason(said)),
            "08" | "40" | "53" | "57" | "58" | "55" => Outcome::Stopped(SinkError::retry(format!(
                "the database cannot serve now (SQLSTATE {code})"
            ))),
            "28" => fatal(format!(
                "the database does not accept the user or password in `url` (SQLSTATE {code})"
            )),
            "3D" => fatal(format!(
                "the database named in `url` does not exist (SQLSTATE {code})"
            )),
            _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => fatal(format!(
                "the user in `url` may not write table `{table}`, or may not create temporary tables (SQLSTATE {code})"
            )),
            _ if *state == SqlState::INVALID_COLUMN_REFERENCE => fatal(format!(
                "table `{table}` has no primary key or unique constraint on ({}) (SQLSTATE {code})",
                self.columns.primary_key.join(", ")
            )),
            _ if *state == SqlState::UNDEFINED_TABLE => {
                fatal(format!("table `{table}` does not exist (SQLSTATE {code})"))
            }
            _ if *state == SqlState::UNDEFINED_COLUMN => fatal(format!(
                "table `{table}` lacks a column that is sent (SQLSTATE {code})"
            )),
            _ => fatal(format!(
                "the database refuses to write table `{table}` (SQLSTATE {code})"
            )),
        }
    }

    /// Why a record was refused: the code, and the names of what it broke.
    fn reason(&self, said: &DbError) -> String {
        let mut reason = format!("SQLSTATE {}", said.code().code());
        if let Some(constraint) = said.constraint() {
            reason.push_str(&format!(", constraint `{constraint}`"));
        }
        // COPY tells the column in the middle of a sentence that also quotes the value. Only a
        // name that is one of ours is taken from it.
        let told = |name: &&String| {
            said.column() == Some(name.as_str())
                || said
                    .where_()
                    .is_some_and(|text| text.contains(&format!(", column {name}: ")))
        };
        if let Some(column) = self.columns.names.iter().find(told) {
            reason.push_str(&format!(", column `{column}`"));
        }
        reason
    }
}

/// What an error means that the database did not send.
fn unanswered(error: &tokio_postgres::Error) -> SinkError {
    if let Some(rustls::Error::InvalidCertificate(_)) = cause::<rustls::Error>(error) {
        return SinkError::fatal(
            "the database's certificate is not valid, or not of an authority this machine trusts; \
             install that authority here, or set `sslmode=disable` in `url`",
        );
    }
    if error.is_closed() {
        return SinkError::retry("the connection to the database broke");
    }
    match cause::<std::io::Error>(error) {
        Some(io) => SinkError::retry(format!("the database cannot be reached: {}", io.kind())),
        // Its own text is about the set-up, but might quote it.
        None => SinkError::fatal(
            "no session can be opened: check the user, password and `sslmode` in `url`",
        ),
    }
}

/// TLS with the machine's root certificates. A server that asks for TLS is always verified.
fn tls() -> MakeRustlsConnect {
    match MakeRustlsConnect::with_native_certs() {
        Ok((tls, _)) => tls,
        Err(_) => MakeRustlsConnect::new(
            rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth(),
        ),
    }
}

#[async_trait]
impl Attempt for PostgresSink {
    async fn attempt(&mut self, rows: &Guarded) -> Outcome {
        self.pace.admit(rows.num_rows()).await;
        // Taken out, so that a write that is dropped half-way leaves no half-used session.
        let session = self.session.take();
        let delivery = self.deliver(session, rows.batch());
        match tokio::time::timeout(TIMEOUT, delivery).await {
            Ok(Ok(session)) => {
                self.session = Some(session);
                Outcome::Delivered
            }
            Ok(Err((session, failure))) => {
                let outcome = self.judged(failure);
                // After a fault that may be the session's own the next attempt makes a new one.
                if matches!(outcome, Outcome::Refused(_)) {
                    self.session = session;
                }
                outcome
            }
            Err(_) => Outcome::Stopped(SinkError::retry("the database did not answer in time")),
        }
    }
}

#[async_trait]
impl Sink for PostgresSink {
    fn batch_rows(&self) -> usize {
        self.pace.batch_rows(BATCH_ROWS)
    }

    fn is_atomic(&self) -> bool {
        false
    }

    async fn write(&mut self, rows: &Guarded) -> Written {
        by_halves(self, rows).await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        self.session = None;
        Ok(())
    }
}
