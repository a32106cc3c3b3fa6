//! The roof: the one file that names concrete types and wires them.

use std::fs::File;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use chrono::SubsecRound;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::alert::Teller;
use crate::catalog::Workspace;
use crate::compliance::{Enforcement, template_pack};
use crate::config::{Config, Schedule, Tls};
use crate::flight;
use crate::guard::{Judge, Registry};
use crate::http::{self, Api, Limits, Streams};
use crate::inspect::Inspector;
use crate::judge::ModelJudge;
use crate::oversee::Overseer;
use crate::pgwire;
use crate::principal::{Account, ApiKey, KeyText};
use crate::proxy::Proxy;
use crate::publish::Publisher;
use crate::query::Querier;
use crate::reach::Reach;
use crate::sink::Sinks;
use crate::store::Store;
use crate::sync::{AdmissionCheck, Clock, RunSettings, Runner};
use crate::telemetry;
use crate::wire::stream;
use crate::wire::stream::coding::Expansion;

/// The whole program, wired and not yet serving.
pub struct App {
    api: Api,
    /// The key of the first account, if it was generated just now: to be shown once.
    pub bootstrap: Option<SecretString>,
    /// Tells of what content policies found.
    teller: Teller,
    /// When compliance snapshots of all solutions are taken.
    snapshot_schedule: Option<Schedule>,
    /// What the PostgreSQL and Flight SQL doors show to prove who they are.
    tls: Option<Arc<TlsAcceptor>>,
    /// Held as long as the program runs: queries are computed there.
    _workers: Workers,
    /// Held as long as the program runs: an embedded store has one process.
    _lock: Option<File>,
}

impl App {
    /// Opens the store, makes the first account on an empty one, and wires everything.
    ///
    /// Errors: folders that cannot be made, an embedded store that another process uses, a store
    /// that cannot be reached or migrated.
    pub async fn open(config: Config, clock: Clock) -> anyhow::Result<App> {
        // The stores keep microseconds: what a request answers is what a later one reads.
        let clock: Clock = Arc::new(move || clock().trunc_subsecs(6));
        let folders = std::iter::once(&config.data_dir).chain(&config.file_roots);
        for folder in folders {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let store_url = config.store_url.expose_secret();
        let lock = match store_url.starts_with("sqlite:") {
            true => Some(lock(&config)?),
            false => None,
        };
        let store = Store::open(store_url).await?;
        if lock.is_some() {
            // Nobody else is at work: whatever run is under way was left by a process that died.
            store.release_all_runs().await?;
        }
        let now = clock();
        let bootstrap = bootstrap(&store, config.bootstrap_key.as_ref(), now).await?;
        let templates = template_pack::all(now).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            anyhow!("the policy templates cannot be read: {}", faults.join("; "))
        })?;
        store.keep_verified_templates(&templates).await?;
        let workers = query_workers()?;
        let judge = judge(&config, &workers, &clock)?;
        let registry = Arc::new(Registry::default().with_judge(judge));
        let reach = Reach::new(
            config.file_roots.clone(),
            config.allow_private_addresses.clone(),
        );
        let sinks = Sinks::new(reach.clone())?;
        let settings = RunSettings {
            concurrent_runs: config.concurrent_runs,
            batch_rows: config.batch_rows,
            lease: config.lease,
            retry: config.retry,
        };
        let overseer = Overseer::new(store.clone(), enforcement(&config)?);
        let runner = Runner::new(
            store.clone(),
            Arc::clone(&registry),
            reach.clone(),
            sinks.clone(),
            Arc::clone(&clock),
            settings,
            admission(&overseer),
        );
        let inspector = Inspector::new(
            store.clone(),
            Arc::clone(&registry),
            reach.clone(),
            config.batch_rows,
        );
        let streams = Streams::new(
            config.streams,
            limits_of(&config),
            Expansion {
                bytes: config.streams.stream_decoded_bytes,
                ratio: config.streams.stream_ratio,
            },
        );
        let proxy = Proxy::new(store.clone(), Arc::clone(&registry), Arc::clone(&clock));
        let querier = Querier::new(
            store.clone(),
            Arc::clone(&registry),
            reach.clone(),
            Arc::clone(&clock),
            config.queries,
            config.batch_rows,
            workers.handle(),
        );
        let publisher = Publisher::new(store.clone(), registry);
        let teller = Teller::new(store.clone(), sinks.clone(), Uuid::now_v7);
        let api = Api {
            store,
            publisher,
            runner,
            overseer,
            inspector,
            sinks,
            reach,
            limits: Limits::new(config.requests_per_second),
            streams,
            proxy,
            querier,
            metrics: telemetry::metrics()?,
            clock,
            new_id: Uuid::now_v7,
            new_key,
        };
        Ok(App {
            api,
            bootstrap,
            teller,
            snapshot_schedule: config.compliance.snapshot_schedule,
            tls: config.tls.as_ref().map(tls_acceptor).transpose()?,
            _workers: workers,
            _lock: lock,
        })
    }

    /// What the doors work with.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Serves on the listeners, works on runs and does what is due, until `shutdown`. Then no new
    /// work is taken, open requests end, and runs stop at their next checkpoint, to be resumed.
    pub async fn serve(
        self,
        listeners: Listeners,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let api = &self.api;
        let runner = api.runner.clone();
        let work = runner.work(shutdown.clone());
        let time = api.overseer.keep_time(
            Arc::clone(&api.clock),
            self.snapshot_schedule.clone(),
            shutdown.clone(),
        );
        let alerts = self
            .teller
            .keep_telling(Arc::clone(&api.clock), shutdown.clone());
        let http = http::serve(listeners.http, api.clone(), shutdown.clone());
        let pg = async {
            if let Some(listener) = listeners.pg {
                let door = pgwire::Door {
                    store: api.store.clone(),
                    querier: api.querier.clone(),
                    clock: Arc::clone(&api.clock),
                    tls: self.tls.clone(),
                };
                pgwire::serve(listener, door, shutdown.clone()).await;
            }
        };
        let flight = async {
            if let Some(listener) = listeners.flight {
                let door = flight::Door {
                    store: api.store.clone(),
                    querier: api.querier.clone(),
                    clock: Arc::clone(&api.clock),
                    tls: self.tls.clone(),
                };
                flight::serve(listener, door, shutdown.clone()).await;
            }
        };
        tokio::join!(work, time, alerts, http, pg, flight);
        self.api.store.close().await;
        Ok(())
    }
}

/// Where the doors listen.
pub struct Listeners {
    /// HTTP.
    pub http: TcpListener,
    /// The PostgreSQL protocol, if it is served.
    pub pg: Option<TcpListener>,
    /// Flight SQL, if it is served.
    pub flight: Option<TcpListener>,
}

impl Listeners {
    /// HTTP alone.
    pub fn http(listener: TcpListener) -> Listeners {
        Listeners {
            http: listener,
            pg: None,
            flight: None,
        }
    }
}

/// What queries wait with, so that one that never rests holds up nothing else.
struct Workers(Option<Runtime>);

impl Workers {
    fn handle(&self) -> Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            None => Handle::current(),
        }
    }
}

impl Drop for Workers {
    /// A runtime must not be waited for where others are at work.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Who judges what no detector covers, if anybody does.
fn judge(
    config: &Config,
    workers: &Workers,
    clock: &Clock,
) -> anyhow::Result<Option<Arc<dyn Judge>>> {
    let Some(settings) = &config.judge else {
        return Ok(None);
    };
    let judge = ModelJudge::new(settings, workers.handle(), Arc::clone(clock))
        .context("the client of the judge cannot be started")?;
    Ok(Some(Arc::new(judge)))
}

/// They wait for files, sources, the store and the judge; the queries themselves have a thread each.
const QUERY_WORKERS: usize = 4;

fn query_workers() -> anyhow::Result<Workers> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(QUERY_WORKERS)
        .thread_name("query-io")
        .enable_all()
        .build()
        .context("cannot start the threads that compute queries")?;
    Ok(Workers(Some(runtime)))
}

/// Reads the certificate chain and the key that prove who the server is.
fn tls_acceptor(tls: &Tls) -> anyhow::Result<Arc<TlsAcceptor>> {
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read {}", tls.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .with_context(|| format!("cannot read {}", tls.key.display()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(chain, key)
    .with_context(|| {
        format!(
            "{} and {} do not fit each other",
            tls.certificate.display(),
            tls.key.display()
        )
    })?;
    // What clients of either protocol may ask for; those of PostgreSQL mostly ask for nothing.
    config.alpn_protocols = vec![b"h2".to_vec(), b"postgresql".to_vec()];
    Ok(Arc::new(TlsAcceptor::from(Arc::new(config))))
}

/// The limits of what one stream may make the process hold.
fn limits_of(config: &Config) -> stream::Limits {
    let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    stream::Limits {
        record_bytes: bytes(config.streams.record_bytes),
        batch_bytes: bytes(config.streams.record_batch_bytes),
        nesting: config.streams.record_nesting as usize,
        columns: config.streams.record_columns as usize,
        batch_rows: config.batch_rows,
        ..stream::Limits::default()
    }
}

/// What runs ask before they open anything: syncs know nothing of compliance but that.
fn admission(overseer: &Overseer) -> AdmissionCheck {
    let overseer = overseer.clone();
    Arc::new(move |workspace_id, sync_id, now| {
        let overseer = overseer.clone();
        Box::pin(async move { overseer.admit(workspace_id, sync_id, now).await })
    })
}

/// The table of what blocks.
fn enforcement(config: &Config) -> anyhow::Result<Enforcement> {
    let blocks = config.compliance.blocks.iter();
    let pairs = blocks.map(|(environment, severity)| Enforcement::pair(environment, severity));
    let pairs: Option<_> = pairs.collect();
    pairs
        .map(Enforcement)
        .context("compliance_blocks: an environment or a severity is not known")
}

fn lock(config: &Config) -> anyhow::Result<File> {
    let path = config.data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => bail!(
            "another process serves from {}: stop it, choose another --data-dir, or use a PostgreSQL store",
            config.data_dir.display()
        ),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn new_key() -> KeyText {
    KeyText::from_random(rand::random(), rand::random())
}

/// Makes the first account, owner of the workspace `default`, on an empty store. Answers its key
/// if it had to be generated.
async fn bootstrap(
    store: &Store,
    given: Option<&SecretString>,
    now: chrono::DateTime<chrono::Utc>,
) -> anyhow::Result<Option<SecretString>> {
    if store.has_accounts().await? {
        return Ok(None);
    }
    let text = match given {
        Some(key) => KeyText::new(key.expose_secret())
            .context("SYNCGUARD_BOOTSTRAP_KEY: expected 1 to 200 visible ASCII characters")?,
        None => new_key(),
    };
    let account = Account {
        id: Uuid::now_v7(),
        email: "owner@localhost".to_owned(),
        name: "Owner".to_owned(),
        avatar_url: None,
        created_at: now,
        updated_at: now,
    };
    let key = ApiKey {
        id: Uuid::now_v7(),
        account_id: account.id,
        name: "bootstrap".to_owned(),
        scopes: vec!["*".to_owned()],
        expires_at: None,
        last_used_at: None,
        created_at: now,
    };
    let workspace = Workspace {
        id: Uuid::now_v7(),
        name: "default".to_owned(),
        require_destination_policy: false,
        created_at: now,
        updated_at: now,
    };
    let made = store.bootstrap(&account, &key, &text, &workspace).await?;
    Ok((made && given.is_none()).then(|| text.expose().into()))
}
