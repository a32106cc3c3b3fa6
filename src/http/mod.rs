//! The HTTP door: translates requests into use cases, nothing more.
//!
//! Every route stands on one page ([`router`]). There is one error envelope, one place that
//! authenticates and authorises, and one file per URL noun.

use metrics_exporter_prometheus::PrometheusHandle;
use uuid::Uuid;

use crate::inspect::Inspector;
use crate::oversee::Overseer;
use crate::principal::KeyText;
use crate::proxy::Proxy;
use crate::publish::Publisher;
use crate::query::Querier;
use crate::reach::Reach;
use crate::sink::Sinks;
use crate::store::Store;
use crate::sync::{Clock, Runner};

mod accounts;
mod alert_channels;
mod answer;
mod audit;
mod auth;
mod body;
mod content;
mod destination_rules;
mod destinations;
mod docs;
mod effective_policy;
mod error;
mod etag;
mod explain;
mod governance;
mod groups;
mod guard;
mod idempotency;
mod intake;
mod limits;
mod me;
mod members;
mod models;
mod openapi;
mod packs;
mod permissions;
mod preview;
mod process;
mod proxy;
mod queries;
mod query;
mod query_error;
mod records;
mod revisions;
mod roles;
mod router;
mod rows;
mod runs;
mod secrets;
mod server;
mod socket;
mod sources;
mod subset_categories;
mod subsets;
mod syncs;
mod trace;
mod workspaces;

pub use intake::Streams;
pub use limits::Limits;
pub use router::router;
pub use server::serve;

/// What handlers work with; cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The control store.
    pub store: Store,
    /// Publishes policy changes.
    pub publisher: Publisher,
    /// Starts and cancels runs.
    pub runner: Runner,
    /// Oversees compliance.
    pub overseer: Overseer,
    /// Previews and explains.
    pub inspector: Inspector,
    /// Checks destinations when they are saved.
    pub sinks: Sinks,
    /// Checks paths and addresses when sources are saved.
    pub reach: Reach,
    /// How many requests each API key may make.
    pub limits: Limits,
    /// What streams of records may ask.
    pub streams: Streams,
    /// Takes streams through the guard.
    pub proxy: Proxy,
    /// Answers queries.
    pub querier: Querier,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// The time.
    pub clock: Clock,
    /// A new identifier, such as `Uuid::now_v7`.
    pub new_id: fn() -> Uuid,
    /// A new API key from random bytes.
    pub new_key: fn() -> KeyText,
}
