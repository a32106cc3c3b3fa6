//! Settings from flags, environment and file, validated once and passed down. No global.
//!
//! Precedence: a flag, its environment variable, the file of `--config`, the default. The file is
//! TOML, its keys are the long flag names with underscores (`data_dir = "/var/lib/syncguard"`);
//! an unknown key is an error.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use compliance::Compliance;
pub use judge::{JUDGE_KEY, Judge};
pub use queries::Queries;
pub use schedule::Schedule;
pub use streams::Streams;

mod compliance;
mod judge;
mod queries;
mod schedule;
mod streams;

/// The environment variable that holds the first account's API key. There is no flag for it:
/// the arguments of a process can be read by everyone on the machine.
pub const BOOTSTRAP_KEY: &str = "SYNCGUARD_BOOTSTRAP_KEY";

/// Settings as one place gives them: what is absent is left to the next place.
#[derive(Clone, Default, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port to serve HTTP on (default: 127.0.0.1:8080)
    #[arg(long, env = "SYNCGUARD_LISTEN", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,

    /// Address and port to serve the PostgreSQL protocol on (default: not served)
    #[arg(long, env = "SYNCGUARD_PG_LISTEN", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pg_listen: Option<String>,

    /// Address and port to serve Arrow Flight SQL on (default: not served)
    #[arg(long, env = "SYNCGUARD_FLIGHT_LISTEN", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flight_listen: Option<String>,

    /// PEM file with the certificate chain that the PostgreSQL and Flight SQL ports show; needed
    /// where they listen on more than the loopback address
    #[arg(long, env = "SYNCGUARD_TLS_CERTIFICATE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,

    /// PEM file with the private key of that certificate
    #[arg(long, env = "SYNCGUARD_TLS_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,

    /// Control store: sqlite:PATH or postgres://... (default: SQLite in the data directory)
    #[arg(
        long,
        env = "SYNCGUARD_STORE",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,

    /// Folder for the store and for files (default: $XDG_DATA_HOME/syncguard, else
    /// ~/.local/share/syncguard, else ./syncguard-data)
    #[arg(long, env = "SYNCGUARD_DATA_DIR", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,

    /// Folders that sources and destinations may use, separated by colons; relative paths are
    /// relative to the first (default: the folder `files` in the data directory)
    #[arg(
        long,
        env = "SYNCGUARD_FILE_ROOTS",
        value_name = "DIRS",
        value_delimiter = ':'
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_roots: Option<Vec<PathBuf>>,

    /// Addresses or CIDR ranges, separated by commas, that sources and destinations may connect
    /// to besides public ones (default: none)
    #[arg(
        long,
        env = "SYNCGUARD_ALLOW_PRIVATE_ADDRESSES",
        value_name = "CIDRS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private_addresses: Option<Vec<String>>,

    /// How many requests per second each API key may make, and as many at once (default: 200)
    #[arg(long, env = "SYNCGUARD_REQUESTS_PER_SECOND", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,

    /// How many runs work at the same time (default: 4)
    #[arg(long, env = "SYNCGUARD_CONCURRENT_RUNS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_runs: Option<u32>,

    /// Most records that are read and judged at once (default: 8192)
    #[arg(long, env = "SYNCGUARD_BATCH_ROWS", value_name = "ROWS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<u32>,

    /// How often a batch is sent before the run fails (default: 8)
    #[arg(long, env = "SYNCGUARD_RETRY_ATTEMPTS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_attempts: Option<u32>,

    /// Pause after the first failed attempt, in milliseconds; it doubles with each (default: 500)
    #[arg(long, env = "SYNCGUARD_RETRY_BASE_MS", value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_base_ms: Option<u64>,

    /// Longest pause between attempts, in seconds (default: 60)
    #[arg(long, env = "SYNCGUARD_RETRY_CAP_SECONDS", value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_cap_seconds: Option<u64>,

    /// How long a worker holds a run without a sign of life, in seconds (default: 60)
    #[arg(long, env = "SYNCGUARD_LEASE_SECONDS", value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,

    /// Most bytes of the body of one record stream, as it is sent (default: 1 TiB)
    #[arg(long, env = "SYNCGUARD_STREAM_BODY_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_body_bytes: Option<u64>,

    /// Most bytes of one record stream after decompression (default: 1 TiB)
    #[arg(long, env = "SYNCGUARD_STREAM_DECODED_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_decoded_bytes: Option<u64>,

    /// Most bytes that each byte of a compressed record stream may become (default: 1000)
    #[arg(long, env = "SYNCGUARD_STREAM_RATIO", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_ratio: Option<u64>,

    /// Most bytes of one batch of an Arrow or Parquet stream, decoded (default: 64 MiB)
    #[arg(long, env = "SYNCGUARD_RECORD_BATCH_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_batch_bytes: Option<u64>,

    /// Most bytes of one record of a text stream (default: 16 MiB)
    #[arg(long, env = "SYNCGUARD_RECORD_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_bytes: Option<u64>,

    /// How deep arrays and objects may nest in a record of a stream (default: 64)
    #[arg(long, env = "SYNCGUARD_RECORD_NESTING", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_nesting: Option<u32>,

    /// Most keys or columns of the records of a stream (default: 2000)
    #[arg(long, env = "SYNCGUARD_RECORD_COLUMNS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_columns: Option<u32>,

    /// Most bytes of a body that has to be held in memory as a whole, as in transparent mode
    /// (default: 16 MiB)
    #[arg(long, env = "SYNCGUARD_WHOLE_BODY_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_body_bytes: Option<u64>,

    /// How long the head of a request may take, and how long a connection may be idle, in seconds
    /// (default: 10)
    #[arg(long, env = "SYNCGUARD_HEADER_SECONDS", value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_seconds: Option<u64>,

    /// Longest wait for the next bytes of a record stream, and for the reader of an answer to take
    /// some, in seconds (default: 30)
    #[arg(long, env = "SYNCGUARD_IDLE_SECONDS", value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,

    /// Fewest bytes per second of a record stream, on average over the time spent waiting for it,
    /// after the first 10 seconds of waiting; 0 for no such limit (default: 100)
    #[arg(long, env = "SYNCGUARD_LEAST_BYTES_PER_SECOND", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_bytes_per_second: Option<u64>,

    /// How many record streams each API key may have open at once (default: 32)
    #[arg(long, env = "SYNCGUARD_STREAMS_PER_KEY", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams_per_key: Option<u32>,

    /// How many records per second each API key may send in streams; 0 for no such limit
    /// (default: 0)
    #[arg(long, env = "SYNCGUARD_ROWS_PER_SECOND", value_name = "ROWS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<u32>,

    /// How long a query may take, the reading of its answer included, in seconds (default: 300)
    #[arg(long, env = "SYNCGUARD_QUERY_SECONDS", value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_seconds: Option<u64>,

    /// Most bytes that the sorts, joins and groups of one query may hold; sorts and groups that
    /// need more use the temporary folder (default: 256 MiB)
    #[arg(long, env = "SYNCGUARD_QUERY_MEMORY_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_memory_bytes: Option<u64>,

    /// Most rows of the answer to one query (default: 10000000)
    #[arg(long, env = "SYNCGUARD_QUERY_ROWS", value_name = "ROWS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_rows: Option<u64>,

    /// How many queries each account may have open at once (default: 8)
    #[arg(long, env = "SYNCGUARD_QUERIES_PER_ACCOUNT", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries_per_account: Option<u32>,

    /// How many queries are computed at the same time, each on a thread of its own; more wait
    /// (default: 32)
    #[arg(long, env = "SYNCGUARD_QUERY_THREADS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_threads: Option<u32>,

    /// Most bytes of the text of a query (default: 256 KiB)
    #[arg(long, env = "SYNCGUARD_QUERY_TEXT_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_text_bytes: Option<u64>,

    /// Most operators and expressions of the plan of a query (default: 5000)
    #[arg(long, env = "SYNCGUARD_QUERY_PLAN_NODES", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_plan_nodes: Option<u32>,

    /// Where a compliance policy that is not met keeps a sync from running: environments with
    /// severities, separated by commas; everywhere else it warns
    /// (default, also if it is empty: production:critical,production:high)
    #[arg(
        long,
        env = "SYNCGUARD_COMPLIANCE_BLOCKS",
        value_name = "PAIRS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compliance_blocks: Option<Vec<String>>,

    /// When compliance snapshots are taken, as a cron expression of five fields in UTC; empty for
    /// never (default: 0 0 * * *)
    #[arg(long, env = "SYNCGUARD_SNAPSHOT_SCHEDULE", value_name = "CRON")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_schedule: Option<String>,

    /// Base of an OpenAI-compatible API, such as `https://api.example.com/v1`, whose model judges
    /// what content policies say and no detector covers; the texts of records are sent there
    /// (default: none; its key is in SYNCGUARD_JUDGE_KEY)
    #[arg(long, env = "SYNCGUARD_JUDGE_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_url: Option<String>,

    /// Name of that model
    #[arg(long, env = "SYNCGUARD_JUDGE_MODEL", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_model: Option<String>,

    /// Longest wait for an answer of that model, in seconds (default: 10)
    #[arg(long, env = "SYNCGUARD_JUDGE_TIMEOUT_SECONDS", value_name = "S")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_timeout_seconds: Option<u64>,

    /// Key for that model; see [`JUDGE_KEY`].
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_key: Option<String>,

    /// API key of the first account; see [`BOOTSTRAP_KEY`].
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_key: Option<String>,
}

/// Validated settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// URL of the control store; it may hold a password.
    pub store_url: SecretString,
    /// Folder for the store and for files.
    pub data_dir: PathBuf,
    /// Folders that API callers may use; never empty.
    pub file_roots: Vec<PathBuf>,
    /// Addresses besides public ones that may be connected to.
    pub allow_private_addresses: Vec<IpNet>,
    /// API key of the first account, for an empty store.
    pub bootstrap_key: Option<SecretString>,
    /// Requests that each API key may make per second, and at once; at least 1.
    pub requests_per_second: u32,
    /// Runs that work at the same time; at least 1.
    pub concurrent_runs: usize,
    /// Most records of a batch; at least 1.
    pub batch_rows: usize,
    /// How deliveries are repeated.
    pub retry: Retry,
    /// How long a worker holds a run without a sign of life.
    pub lease: Duration,
    /// What streams of records may ask of the server.
    pub streams: Streams,
    /// Where the PostgreSQL protocol is served; `None`: nowhere.
    pub pg_listen: Option<SocketAddr>,
    /// Where Flight SQL is served; `None`: nowhere.
    pub flight_listen: Option<SocketAddr>,
    /// What those two show to prove who they are; there unless both keep to the loopback.
    pub tls: Option<Tls>,
    /// What queries may ask of the server.
    pub queries: Queries,
    /// What compliance asks of the server.
    pub compliance: Compliance,
    /// Who judges what no detector covers; `None`: nobody.
    pub judge: Option<Judge>,
}

/// A certificate chain and its private key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How deliveries are repeated: exponential pauses with jitter between a base and a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// Pause after the first failed attempt.
    pub base_delay: Duration,
    /// Longest pause.
    pub max_delay: Duration,
}

/// Settings that cannot be used, with every fault.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n  - {}", .faults.join("\n  - "))]
pub struct ConfigError {
    /// What is wrong, where, and what to do.
    pub faults: Vec<String>,
}

impl Settings {
    /// Fills what is absent here from a TOML file.
    pub fn over_file(&self, file: &Path) -> Result<Settings, ConfigError> {
        let fail = |what: String| ConfigError {
            faults: vec![format!("{}: {what}", file.display())],
        };
        let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
        let mut own = self.clone();
        let blocks = own.compliance_blocks.take();
        own.compliance_blocks = blocks.filter(|texts| !compliance::is_blank(texts));
        for setting in [&mut own.judge_url, &mut own.judge_model, &mut own.judge_key] {
            *setting = setting.take().filter(|text| !text.trim().is_empty());
        }
        let merged: Result<Settings, _> = Figment::new()
            .merge(Toml::string(&text))
            .merge(Serialized::defaults(&own))
            .extract();
        merged.map_err(|errors| ConfigError {
            faults: errors
                .into_iter()
                .map(|error| fail(without_values(&error)))
                .flat_map(|e| e.faults)
                .collect(),
        })
    }

    /// Validates, and fills what is absent from the defaults; every fault at once.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let mut faults = Vec::new();
        let streams = Streams::of(&self, &mut faults);
        let queries = Queries::of(&self, &mut faults);
        let compliance = Compliance::of(&self, &mut faults);
        let judge = Judge::of(&self, &mut faults);
        let pg_listen = address("pg_listen", self.pg_listen.as_deref(), &mut faults);
        let flight_listen = address("flight_listen", self.flight_listen.as_deref(), &mut faults);
        let tls = match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            _ => {
                faults.push("tls_certificate, tls_key: give both, or neither".to_owned());
                None
            }
        };
        for (name, listen) in [("pg_listen", pg_listen), ("flight_listen", flight_listen)] {
            if tls.is_none() && listen.is_some_and(|listen| !listen.ip().is_loopback()) {
                faults.push(format!(
                    "{name}: only a loopback address is served without tls_certificate and tls_key"
                ));
            }
        }
        let listen = self.listen.as_deref().unwrap_or("127.0.0.1:8080");
        let listen = listen.parse().map_err(|_| {
            faults
                .push("listen: expected an address and a port, such as 127.0.0.1:8080".to_owned());
        });
        let data_dir = match self.data_dir.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => path,
            None => default_data_dir(),
        };
        let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
        let store = match self.store.filter(|url| !url.is_empty()) {
            Some(url) => url,
            None => default_store(&data_dir),
        };
        if !["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|s| store.starts_with(s))
        {
            faults.push("store: expected sqlite:PATH or postgres://...".to_owned());
        }
        let roots = self.file_roots.unwrap_or_default();
        let mut roots: Vec<_> = roots
            .into_iter()
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        for root in roots.iter().filter(|root| !root.is_dir()) {
            faults.push(format!(
                "file_roots: {} is not a folder: create it first",
                root.display()
            ));
        }
        if roots.is_empty() {
            roots.push(data_dir.join("files"));
        }
        let mut addresses = Vec::new();
        for text in self.allow_private_addresses.unwrap_or_default() {
            match parse_addresses(text.trim()) {
                _ if text.trim().is_empty() => {}
                Some(net) => addresses.push(net),
                None => faults.push(format!(
                    "allow_private_addresses: {text:?} is no address and no CIDR range such as 10.0.0.0/8"
                )),
            }
        }
        let key = self.bootstrap_key.filter(|key| !key.is_empty());
        let requests_per_second = bounded(
            "requests_per_second",
            self.requests_per_second,
            200,
            1..=1_000_000,
            &mut faults,
        );
        let concurrent_runs = bounded(
            "concurrent_runs",
            self.concurrent_runs,
            4,
            1..=1024,
            &mut faults,
        );
        let batch_rows = bounded(
            "batch_rows",
            self.batch_rows,
            8192,
            1..=1_048_576,
            &mut faults,
        );
        let attempts = bounded(
            "retry_attempts",
            self.retry_attempts,
            8,
            1..=1000,
            &mut faults,
        );
        let base = bounded(
            "retry_base_ms",
            self.retry_base_ms,
            500,
            1..=60_000,
            &mut faults,
        );
        let cap = bounded(
            "retry_cap_seconds",
            self.retry_cap_seconds,
            60,
            1..=3600,
            &mut faults,
        );
        let lease = bounded(
            "lease_seconds",
            self.lease_seconds,
            60,
            5..=86_400,
            &mut faults,
        );
        match listen {
            Ok(listen) if faults.is_empty() => Ok(Config {
                listen,
                store_url: store.into(),
                data_dir,
                file_roots: roots,
                allow_private_addresses: addresses,
                bootstrap_key: key.map(SecretString::from),
                requests_per_second,
                concurrent_runs: concurrent_runs as usize,
                batch_rows: batch_rows as usize,
                retry: Retry {
                    attempts,
                    base_delay: Duration::from_millis(base),
                    max_delay: Duration::from_secs(cap),
                },
                lease: Duration::from_secs(lease),
                streams,
                pg_listen,
                flight_listen,
                tls,
                queries,
                compliance,
                judge,
            }),
            _ => Err(ConfigError { faults }),
        }
    }
}

impl Config {
    /// The defaults, with everything kept in one folder; a port that is free is chosen.
    pub fn in_data_dir(data_dir: impl Into<PathBuf>) -> Result<Config, ConfigError> {
        let settings = Settings {
            data_dir: Some(data_dir.into()),
            listen: Some("127.0.0.1:0".into()),
            ..Settings::default()
        };
        settings.into_config()
    }

    /// Creates the data directory, for its owner alone, and the default file root in it.
    pub fn create_folders(&self) -> std::io::Result<()> {
        if !self.data_dir.is_dir() {
            std::fs::create_dir_all(&self.data_dir)?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&self.data_dir, std::fs::Permissions::from_mode(0o700))?;
            }
        }
        for root in self
            .file_roots
            .iter()
            .filter(|root| root.starts_with(&self.data_dir))
        {
            std::fs::create_dir_all(root)?;
        }
        Ok(())
    }

    /// Whether the store is a file of this machine, which no other process uses.
    pub fn store_is_embedded(&self) -> bool {
        self.store_url.expose_secret().starts_with("sqlite:")
    }
}

fn default_store(data_dir: &Path) -> String {
    format!("sqlite://{}", data_dir.join("syncguard.db").display())
}

fn default_data_dir() -> PathBuf {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    match (folder("XDG_DATA_HOME"), folder("HOME")) {
        (Some(data), _) => data.join("syncguard"),
        (None, Some(home)) => home.join(".local/share/syncguard"),
        (None, None) => PathBuf::from("syncguard-data"),
    }
}

fn address(name: &str, given: Option<&str>, faults: &mut Vec<String>) -> Option<SocketAddr> {
    let text = given.filter(|text| !text.is_empty())?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        faults.push(format!(
            "{name}: expected an address and a port, such as 127.0.0.1:5433"
        ));
    }
    parsed
}

fn parse_addresses(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn bounded<N: PartialOrd + std::fmt::Display + Copy>(
    key: &str,
    given: Option<N>,
    default: N,
    range: std::ops::RangeInclusive<N>,
    faults: &mut Vec<String>,
) -> N {
    let value = given.unwrap_or(default);
    if !range.contains(&value) {
        faults.push(format!(
            "{key}: expected a number from {} to {}",
            range.start(),
            range.end()
        ));
    }
    value
}

/// A fault of the file without what stands in it, which may be a secret.
fn without_values(error: &figment::Error) -> String {
    use figment::error::Kind;
    let at = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(key, known) => {
            format!("unknown key {key}; expected one of {}", known.join(", "))
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("{at}: expected {expected}")
        }
        Kind::Message(text) => text
            .lines()
            .next()
            .unwrap_or("not a TOML document")
            .to_owned(),
        kind => format!("{at}: {kind}"),
    }
}

#[cfg(test)]
mod tests;
