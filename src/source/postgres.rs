//! PostgreSQL. Every read has a connection of its own, and on it one read-only transaction that
//! sees one snapshot; rows are streamed, never collected.
//!
//! `sslmode` means what it means to PostgreSQL's own clients: `disable` never encrypts, `prefer`
//! (the default) encrypts if the server does, `require` always encrypts; neither of these looks
//! at the server's certificate. `verify-ca` and `verify-full` encrypt and demand a certificate
//! for the host's name that the system's authorities signed.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::SourceError;
use super::column::Filling;
use super::database::{Relation, offset};
use super::postgres_types::{Binary, Encoding, append};
use super::postgres_where::{Native, Where};
use super::redact::{postgres_running, postgres_statement};
use super::rows::{Outlet, Rows, Wanted, produce};
use super::statement::{Dialect, quoted};
use crate::catalog::{ModelQuery, Transport};
use crate::reach::Reach;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The session of every read: it changes nothing, sees one snapshot, and gives rows in the same
/// order each time, which neither parallel nor synchronised scans would.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; \
     SET LOCAL synchronize_seqscans = off; \
     SET LOCAL max_parallel_workers_per_gather = 0";

/// Indexes are read by way of a bitmap only, which finds rows in the order in which the table has
/// them. So rows that are left out leave the order of the others as it is, and no order tells how
/// many there are.
const IN_PLACE: &str = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off";

/// What a connection to the server that a URL names would be.
pub(super) fn transport(url: &str) -> Transport {
    let server = Server::parse(url).ok();
    let requires = |server: &&Server| server.config.get_ssl_mode() == SslMode::Require;
    let encrypting = server.as_ref().filter(requires);
    Transport {
        hosts: server
            .iter()
            .map(|server| server.host().to_owned())
            .collect(),
        encrypted: encrypting.is_some(),
        verified: encrypting.is_some_and(|server| server.verify),
    }
}

/// A server, as a URL names it. Debug output shows no password.
#[derive(Clone, Debug)]
pub(super) struct Server {
    config: Config,
    host: String,
    port: u16,
    verify: bool,
}

impl Server {
    /// Reads a connection URL; an error says what is wrong without quoting it.
    pub(super) fn parse(text: &str) -> Result<Server, String> {
        let mut url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))
            .ok_or("is not a postgres:// URL")?;
        // The client knows fewer modes than PostgreSQL; the rest is ours.
        let mut verify = false;
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(key, value)| {
                let strict = key == "sslmode" && matches!(&*value, "verify-ca" | "verify-full");
                verify |= strict;
                let value = if strict {
                    "require".to_owned()
                } else {
                    value.into_owned()
                };
                (key.into_owned(), value)
            })
            .collect();
        if verify {
            url.query_pairs_mut().clear().extend_pairs(pairs);
        }
        let mut config = Config::from_str(url.as_str()).map_err(
            |_| "has a part or parameter that is not known, or a value that is not valid",
        )?;
        if !config.get_hostaddrs().is_empty() {
            return Err(
                "must not name an address by `hostaddr`; put it in the host's place".into(),
            );
        }
        let host = match config.get_hosts() {
            [Host::Tcp(host)] if !host.is_empty() => host.clone(),
            [] | [Host::Tcp(_)] => return Err("names no host".into()),
            [_] => return Err("must name a host, not a socket".into()),
            _ => return Err("must name one host".into()),
        };
        let port = match config.get_ports() {
            [] => 5432,
            [port] => *port,
            _ => return Err("must name one port".into()),
        };
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("syncguard");
        }
        Ok(Server {
            config,
            host,
            port,
            verify,
        })
    }

    /// The host's name or address.
    pub(super) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Connects to one of the addresses that the host's name led to and that were found open.
    async fn connect(&self, reach: &Reach) -> Result<Connection, SourceError> {
        let addresses = reach.resolve(self.host(), self.port).await?;
        let tls = tls(self.config.get_ssl_mode(), self.verify)?;
        let mut failure = SourceError::Unavailable("the host has no address".into());
        for address in addresses {
            match self.connect_to(address, tls.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = postgres_statement(&error),
            }
        }
        Err(match failure {
            // A server that refuses the login speaks of the connection, not of the model's query.
            SourceError::Query(what) => SourceError::Unavailable(what),
            other => other,
        })
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        tls: MakeRustlsConnect,
    ) -> Result<Connection, tokio_postgres::Error> {
        let mut config = self.config.clone();
        config.hostaddr(address.ip());
        let (client, connection) = config.connect(tls).await?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // The client sees every failure too, on the request that it ends.
            drop(connection.await);
        }));
        Ok(Connection {
            client,
            _driver: driver,
        })
    }
}

/// A connection; dropping it closes it.
struct Connection {
    client: Client,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    async fn begin(&self) -> Result<(), SourceError> {
        self.execute(BEGIN).await
    }

    async fn execute(&self, sql: &str) -> Result<(), SourceError> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| postgres_statement(&error))
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, SourceError> {
        self.client
            .prepare(sql)
            .await
            .map_err(|error| postgres_statement(&error))
    }

    /// What the columns of a statement are compared as: those that are a table's own. One that is
    /// computed, by the model or by a view, is `None`: to compare it might compute it for rows that
    /// the model leaves out, and fail.
    async fn natives(&self, statement: &Statement) -> Result<Vec<Option<Native>>, SourceError> {
        let mut tables: Vec<u32> = statement
            .columns()
            .iter()
            .filter_map(tokio_postgres::Column::table_oid)
            .collect();
        tables.sort_unstable();
        tables.dedup();
        if tables.is_empty() {
            return Ok(vec![None; statement.columns().len()]);
        }
        let found = self
            .client
            .query(TABLES, &[&tables])
            .await
            .map_err(|error| postgres_statement(&error))?;
        let mut stored = Vec::new();
        let mut unicode = true;
        for row in &found {
            let broken = |error| postgres_running(&error);
            stored.push(row.try_get::<_, u32>(0).map_err(broken)?);
            unicode &= row.try_get::<_, bool>(1).map_err(broken)?;
        }
        Ok(statement
            .columns()
            .iter()
            .map(|column| {
                let table = column.table_oid()?;
                stored.contains(&table).then_some(())?;
                Some(match Native::of(column.type_()) {
                    // What the database's encoding lacks cannot even be asked for.
                    Native::Text | Native::Bpchar if !unicode => Native::Other,
                    native => native,
                })
            })
            .collect())
    }
}

/// Which of some relations are tables or materialised views, and whether the database has all of
/// Unicode.
const TABLES: &str = "SELECT oid, pg_catalog.getdatabaseencoding() = 'UTF8' \
     FROM pg_catalog.pg_class WHERE oid = ANY($1) AND relkind IN ('r', 'p', 'm')";

/// A model in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresRows {
    server: Server,
    reach: Reach,
    relation: Relation,
    schema: SchemaRef,
    encodings: Vec<Encoding>,
    /// The columns' quoted names, and what they are compared as.
    compared: Vec<(String, Option<Native>)>,
}

/// Opens a model on a server.
pub(super) async fn open(
    server: Server,
    query: &ModelQuery,
    primary_key: &[String],
    reach: &Reach,
) -> Result<Arc<PostgresRows>, SourceError> {
    let relation = Relation::new(query, primary_key, Dialect::Postgres)?;
    let connection = server.connect(reach).await?;
    connection.begin().await?;
    let statement = connection.prepare(&relation.describe()).await?;
    if !statement.params().is_empty() {
        return Err(SourceError::Query("it must not have parameters".into()));
    }
    let encodings = encodings(&statement)?;
    let fields: Vec<_> = statement
        .columns()
        .iter()
        .zip(&encodings)
        .map(|(column, encoding)| Field::new(column.name(), encoding.data_type(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let natives = connection.natives(&statement).await?;
    let compared = schema
        .fields()
        .iter()
        .map(|field| quoted(field.name()))
        .zip(natives)
        .collect();
    Ok(Arc::new(PostgresRows {
        server,
        reach: reach.clone(),
        relation,
        schema,
        encodings,
        compared,
    }))
}

fn encodings(statement: &Statement) -> Result<Vec<Encoding>, SourceError> {
    statement
        .columns()
        .iter()
        .map(|column| {
            Encoding::of(column.type_(), column.type_modifier()).map_err(|what| {
                SourceError::Column {
                    column: column.name().to_owned(),
                    what,
                }
            })
        })
        .collect()
}

impl Rows for PostgresRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn can_mark(&self) -> bool {
        true
    }

    fn stream(
        self: Arc<Self>,
        wanted: Wanted,
    ) -> BoxStream<'static, Result<RecordBatch, SourceError>> {
        produce(move |outlet| async move { self.put(wanted, outlet).await })
    }
}

impl PostgresRows {
    async fn put(&self, wanted: Wanted, outlet: Outlet) -> Result<(), SourceError> {
        let mut filling = Filling::new(&self.schema, &wanted)?;
        // In a query of the model's own, conditions could change the order of what comes back.
        let conditions = match self.relation.table() {
            Some(_) => wanted.conditions.as_slice(),
            None => &[],
        };
        let filter = Where::new(conditions, &self.compared);
        let connection = self.server.connect(&self.reach).await?;
        connection.begin().await?;
        if !filter.texts.is_empty() && !wanted.ordered {
            connection.execute(IN_PLACE).await?;
        }
        let sql = self.relation.select(&self.schema, &wanted, &filter.texts);
        let statement = connection.prepare(&sql).await?;
        // Where no column is wanted, the statement has one that is not read.
        if !wanted.columns.is_empty() {
            self.check(&encodings(&statement)?, &wanted)?;
        }
        let wanted_encodings: Vec<_> = wanted
            .columns
            .iter()
            .filter_map(|at| self.encodings.get(*at))
            .collect();
        let parameters: Vec<Box<dyn ToSql + Sync + Send>> =
            std::iter::once(Box::new(offset(wanted.skip)) as Box<dyn ToSql + Sync + Send>)
                .chain(filter.parameters.into_iter().map(|one| Box::new(one) as _))
                .collect();
        let rows = connection
            .client
            .query_raw(&statement, parameters)
            .await
            .map_err(|error| postgres_running(&error))?;
        let mut rows = std::pin::pin!(rows);
        let mut record = wanted.skip;
        while let Some(row) = rows
            .try_next()
            .await
            .map_err(|error| postgres_running(&error))?
        {
            record += 1;
            let mut bytes = 0;
            for (at, encoding) in wanted_encodings.iter().enumerate() {
                let Binary(value) = row.try_get(at).map_err(|error| postgres_running(&error))?;
                bytes += filling.add(at, record, |column| {
                    append(column, encoding, value)?;
                    Ok(1 + value.map_or(0, <[u8]>::len))
                })?;
            }
            if filling.end_row(bytes)
                && let Some(batch) = filling.finish()?
                && !outlet.send(batch).await
            {
                return Ok(());
            }
        }
        if let Some(batch) = filling.finish()? {
            outlet.send(batch).await;
        }
        Ok(())
    }

    /// The model may have changed since it was opened.
    fn check(&self, found: &[Encoding], wanted: &Wanted) -> Result<(), SourceError> {
        for (at, encoding) in wanted.columns.iter().zip(found) {
            if self.encodings.get(*at) != Some(encoding) {
                let column = self
                    .schema
                    .fields()
                    .get(*at)
                    .map_or_else(String::new, |f| f.name().clone());
                return Err(SourceError::Column {
                    column,
                    what: "its type has changed since the model was opened".into(),
                });
            }
        }
        Ok(())
    }
}

fn tls(mode: SslMode, verify: bool) -> Result<MakeRustlsConnect, SourceError> {
    let provider = Arc::new(ring::default_provider());
    if verify && mode != SslMode::Disable {
        // The connector builds its configuration on the process's provider.
        if CryptoProvider::get_default().is_none() {
            drop(ring::default_provider().install_default());
        }
        let (connector, _) = MakeRustlsConnect::with_native_certs().map_err(|_| {
            SourceError::Unavailable(
                "the system has no certificate authorities to verify with".into(),
            )
        })?;
        return Ok(connector);
    }
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| SourceError::Unavailable("TLS cannot be set up".into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Encryption without authentication, as `sslmode=prefer` and `require` ask for.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_one_host_by_network() {
        let server = Server::parse("postgres://u:p@db.example:6432/d?sslmode=verify-full");
        let server = server.expect("a good URL");
        assert_eq!(
            (server.host(), server.port, server.verify),
            ("db.example", 6432, true)
        );
        assert_eq!(server.config.get_ssl_mode(), SslMode::Require);
        assert!(!format!("{server:?}").contains("\"p\""));
        for wrong in [
            "mysql://db/d",
            "postgres:///d",
            "postgres://u@%2Fvar%2Frun/d",
            "postgres://a,b/d",
            "postgres://h/d?host=/tmp",
            "postgres://h/d?hostaddr=127.0.0.1",
            "postgres://h/d?sslmode=sometimes",
            "not a url",
        ] {
            assert!(Server::parse(wrong).is_err(), "{wrong}");
        }
    }
}
