//! Destinations opened for writing. A sink takes guarded records only, and makes one attempt at
//! a time: retrying is up to its caller, who judges the records anew before each attempt.

pub mod alert;
mod bisect;
mod file;
pub mod forward;
mod pace;
mod postgres;
mod postgres_copy;
mod signature;
mod webhook;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Destination, RateLimit, SyncMode, Transport};
use crate::guard::Guarded;
use crate::policy::Fault;
use crate::reach::{Reach, ReachError};

use forward::Forward;
use pace::Pace;

/// Why a destination does not take records. Neither a record's value nor a secret is quoted.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The destination leads where the operator opened nothing.
    #[error(transparent)]
    Forbidden(#[from] ReachError),
    /// The destination, or the sync, is not set up so that it could work.
    #[error("{0}")]
    Config(String),
    /// It may work later.
    #[error("{what}")]
    Retry {
        /// What went wrong.
        what: String,
        /// How long the destination asks to wait.
        after: Option<Duration>,
    },
    /// It will not work, however often it is tried.
    #[error("{what}")]
    Fatal {
        /// What went wrong, and what to do about it.
        what: String,
    },
}

impl SinkError {
    fn retry(what: impl Into<String>) -> SinkError {
        SinkError::Retry {
            what: what.into(),
            after: None,
        }
    }

    fn fatal(what: impl Into<String>) -> SinkError {
        SinkError::Fatal { what: what.into() }
    }
}

/// What became of the rows of one write. The first `settled` rows have their outcome, and the
/// others none.
#[derive(Debug, Default)]
pub struct Written {
    /// Rows whose outcome is known: delivered or rejected.
    pub settled: usize,
    /// Those among them that the destination refused.
    pub rejected: usize,
    /// Why it refused the first of these, without any value.
    pub rejection: Option<String>,
    /// What ended the attempt before the last row.
    pub stopped: Option<SinkError>,
}

impl Written {
    fn stopped(error: SinkError) -> Written {
        Written {
            stopped: Some(error),
            ..Written::default()
        }
    }
}

/// A destination opened for the records of one run.
#[async_trait]
pub trait Sink: Send {
    /// The most rows that one write takes.
    fn batch_rows(&self) -> usize;

    /// Whether nothing is delivered before `finish`. What was written until then is gone if the
    /// run ends otherwise, and a write may only find out about an earlier one's fault.
    fn is_atomic(&self) -> bool;

    /// One attempt to deliver. Rows are settled from the first to the last, so that a fault
    /// leaves a prefix settled. It first waits until the destination's limit lets it. Dropping
    /// the future is safe: the rows' outcome is unknown then, and repeating them is harmless.
    async fn write(&mut self, rows: &Guarded) -> Written;

    /// Makes everything visible that was written.
    ///
    /// # Errors
    /// Nothing is visible then that was not before, if the sink is atomic.
    async fn finish(&mut self) -> Result<(), SinkError>;
}

/// What a sink is opened for.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// The run: repeated deliveries within it are recognisable.
    pub run_id: Uuid,
    /// Columns as they are sent, after mapping.
    pub schema: SchemaRef,
    /// The columns that identify a record, named as they are sent.
    pub primary_key: &'a [String],
    /// What happens to records that the destination already holds.
    pub mode: SyncMode,
}

/// All destinations of the process: one HTTP client and one pace per destination, shared by all
/// runs. Cheap to clone.
#[derive(Clone)]
pub struct Sinks {
    shared: Arc<Shared>,
}

struct Shared {
    reach: Reach,
    http: reqwest::Client,
    paces: Mutex<HashMap<Uuid, Arc<Pace>>>,
}

impl Sinks {
    /// Prepares to open destinations within reach.
    ///
    /// # Errors
    /// `Fatal` if no HTTP client can be made.
    pub fn new(reach: Reach) -> Result<Sinks, SinkError> {
        // Another provider that the process installed before does as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = webhook::client(&reach)?;
        Ok(Sinks {
            shared: Arc::new(Shared {
                reach,
                http,
                paces: Mutex::default(),
            }),
        })
    }

    /// Judges a configuration before it is saved: its keys, their types and ranges, and whether
    /// what it names is within reach now. Paths start with `$.config`.
    pub async fn check_config(
        &self,
        destination_type: &str,
        config: &Map<String, Value>,
    ) -> Vec<Fault> {
        let reach = &self.shared.reach;
        match destination_type {
            "file" => file::check_config(config, reach),
            "postgres" => postgres::check_config(config, reach).await,
            _ => webhook::check_config(config, reach).await,
        }
    }

    /// Opens a destination for a run. A changed rate limit holds from here on.
    ///
    /// # Errors
    /// `Config` if the destination cannot take these columns in this mode; `Forbidden` if it is
    /// out of reach; `Retry` and `Fatal` if it cannot be opened.
    pub async fn open(
        &self,
        destination: &Destination,
        opening: Opening<'_>,
    ) -> Result<Box<dyn Sink>, SinkError> {
        let mut names = HashSet::new();
        if let Some(twice) = opening
            .schema
            .fields()
            .iter()
            .find(|f| !names.insert(f.name()))
        {
            return Err(SinkError::Config(format!(
                "two columns are sent under the name `{}`; map one of them to another",
                twice.name()
            )));
        }
        let pace = self.pace(destination)?;
        let (config, reach) = (&destination.config, &self.shared.reach);
        Ok(match destination.destination_type.as_str() {
            "file" => Box::new(file::open(config, reach, &opening, pace).await?),
            "postgres" => Box::new(postgres::open(config, reach, &opening, pace)?),
            _ => {
                let http = self.shared.http.clone();
                Box::new(webhook::open(config, reach, http, &opening, pace)?)
            }
        })
    }

    /// A destination that callers send requests of their own to. A changed rate limit holds from
    /// here on.
    ///
    /// # Errors
    /// `Config` if the destination takes no requests, or is misconfigured.
    pub fn forward(&self, destination: &Destination) -> Result<Forward, SinkError> {
        let kind = destination.destination_type.as_str();
        if matches!(kind, "file" | "postgres") {
            return Err(SinkError::Config(format!(
                "a destination of type `{kind}` takes no requests: send to one with a URL"
            )));
        }
        let settings =
            webhook::read_config(&destination.config).map_err(|faults| misconfigured(&faults))?;
        Ok(Forward::new(
            self.shared.http.clone(),
            self.shared.reach.clone(),
            settings.url,
            settings.proxied.or_known(kind),
            self.pace(destination)?,
        ))
    }

    fn pace(&self, destination: &Destination) -> Result<Arc<Pace>, SinkError> {
        let limit = destination.rate_limit;
        let mut paces = self
            .shared
            .paces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = paces
            .get(&destination.id)
            .filter(|pace| pace.limit() == limit)
        {
            return Ok(pace.clone());
        }
        let pace = Arc::new(Pace::new(limit).ok_or_else(|| {
            SinkError::Config("the destination's rate limit must be at least 1 a second".into())
        })?);
        if limit == RateLimit::default() {
            // Nothing to share, and nothing to remember.
            paces.remove(&destination.id);
        } else {
            paces.insert(destination.id, pace.clone());
        }
        Ok(pace)
    }
}

/// Whether sinks of this type are atomic, as they tell themselves once they are open.
pub fn is_atomic(destination_type: &str) -> bool {
    destination_type == "file"
}

/// How bytes travel to a destination; `None` for one on this machine. Of a configuration that
/// cannot be used nothing is certain.
pub fn transport(destination: &Destination) -> Option<Transport> {
    let config = &destination.config;
    let transport = match destination.destination_type.as_str() {
        "file" => return None,
        "postgres" => postgres::transport(config),
        _ => webhook::transport(config),
    };
    let url = config.get("url").and_then(Value::as_str);
    Some(transport.named_by(url.unwrap_or_default()))
}

/// Reads a configuration key by key, and collects every fault.
struct ConfigReader<'a> {
    config: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> ConfigReader<'a> {
    /// A reader of a configuration that may have these keys and no other.
    fn new(config: &'a Map<String, Value>, keys: &[&str]) -> Self {
        let unknown = |key: &&String| !keys.contains(&key.as_str());
        let faults = config
            .keys()
            .filter(unknown)
            .map(|key| {
                let message = format!("unknown key; this destination takes {}", keys.join(", "));
                Fault::new(format!("$.config.{key}"), message)
            })
            .collect();
        ConfigReader { config, faults }
    }

    fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults
            .push(Fault::new(format!("$.config.{key}"), message));
    }

    /// The value of a key, if it is there and not null.
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.config.get(key).filter(|value| !value.is_null())
    }

    fn optional_text(&mut self, key: &str) -> Option<&'a str> {
        match self.value(key)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => {
                self.fault(key, "expected text that is not empty");
                None
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<&'a str> {
        if self.value(key).is_none() {
            self.fault(key, "is required");
            return None;
        }
        self.optional_text(key)
    }

    /// What was read, if it was read without a fault.
    fn done<T>(self, read: Option<T>) -> Result<T, Vec<Fault>> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(self.faults),
        }
    }
}

/// The faults of a configuration that was saved all the same, as one error.
fn misconfigured(faults: &[Fault]) -> SinkError {
    let faults: Vec<_> = faults.iter().map(Fault::to_string).collect();
    SinkError::Config(format!(
        "the destination is misconfigured: {}",
        faults.join("; ")
    ))
}

/// The error of a type among the causes of another.
fn cause<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error skips the error that it was made of when asked for its source.
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
