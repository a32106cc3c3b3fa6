//! Logs and metrics: the subscriber, and the names of every metric and label in one place.
//!
//! Metrics have base units (seconds, rows). No label holds a row value, an account or anything
//! else that a caller can make up without bound.

use std::io::IsTerminal;
use std::sync::Mutex;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Counter: records with a known outcome. Labels [`OUTCOME`] and [`DESTINATION_TYPE`].
pub const ROWS_TOTAL: &str = "syncguard_rows_total";
/// Counter: runs that ended. Label [`STATUS`].
pub const RUNS_TOTAL: &str = "syncguard_runs_total";
/// Histogram: how long requests took, in seconds. Labels [`METHOD`], [`ROUTE`] and [`STATUS`].
pub const HTTP_REQUEST_DURATION_SECONDS: &str = "syncguard_http_request_duration_seconds";
/// Counter: deliveries that were repeated. Label [`DESTINATION_TYPE`].
pub const SINK_RETRIES_TOTAL: &str = "syncguard_sink_retries_total";
/// Gauge: the policy revision that this process judges by. Label [`WORKSPACE`].
pub const POLICY_REVISION: &str = "syncguard_policy_revision";
/// Counter: compliance policies that resources of a sync did not meet as a run began. Label
/// [`ACTION`].
pub const POLICY_BREACHES_TOTAL: &str = "syncguard_policy_breaches_total";
/// Counter: records that the judge of content policies was to decide on. Label [`OUTCOME`]:
/// `passes`, `violates` or `undecided`.
pub const JUDGED_RECORDS_TOTAL: &str = "syncguard_judged_records_total";
/// Counter: attempts to tell a channel of an alert. Labels [`CHANNEL_TYPE`] and [`STATUS`]:
/// `delivered`, `retried` or `given_up`.
pub const ALERTS_TOTAL: &str = "syncguard_alerts_total";

/// Label: `delivered`, `withheld`, `rejected`, `invalid` or `failed`; or `allowed`, for records of
/// a stream that were handed back to whoever sent it.
pub const OUTCOME: &str = "outcome";
/// Label: type of a destination.
pub const DESTINATION_TYPE: &str = "destination_type";
/// Label: what a channel of alerts speaks: `webhook` or `slack`.
pub const CHANNEL_TYPE: &str = "channel_type";
/// Label: how a run or a request ended.
pub const STATUS: &str = "status";
/// Label: what followed: `block` or `warn`.
pub const ACTION: &str = "action";
/// Label: HTTP method.
pub const METHOD: &str = "method";
/// Label: a route as it is declared, such as `/api/v1/workspaces/{id}`.
pub const ROUTE: &str = "route";
/// Label: identifier of a workspace.
pub const WORKSPACE: &str = "workspace";

/// The environment variable with the log filter, such as `info,syncguard=debug`.
pub const LOG_FILTER: &str = "SYNCGUARD_LOG";

/// Sends logs to standard error: as text to a terminal, else as one JSON object a line.
/// Panics are logged with their place and without their message, which may quote a row.
pub fn start() {
    let filter = EnvFilter::try_from_env(LOG_FILTER)
        .unwrap_or_else(|_| EnvFilter::new("warn,syncguard=info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A subscriber that is already there, as in tests, stays.
    let _ = if std::io::stderr().is_terminal() {
        subscriber.with_target(false).try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "a task panicked");
    }));
}

/// The recorder of this process, installed at the first call; each call answers the same.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let seconds = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)?
        .install_recorder()?;
    describe_counter!(ROWS_TOTAL, Unit::Count, "Records by outcome.");
    describe_counter!(RUNS_TOTAL, Unit::Count, "Runs that ended, by status.");
    describe_histogram!(
        HTTP_REQUEST_DURATION_SECONDS,
        Unit::Seconds,
        "Duration of requests."
    );
    describe_counter!(
        SINK_RETRIES_TOTAL,
        Unit::Count,
        "Deliveries that were repeated."
    );
    describe_gauge!(
        POLICY_REVISION,
        Unit::Count,
        "Policy revision that data is judged by."
    );
    describe_counter!(
        POLICY_BREACHES_TOTAL,
        Unit::Count,
        "Compliance policies that were not met as a run began."
    );
    describe_counter!(
        JUDGED_RECORDS_TOTAL,
        Unit::Count,
        "Records that the judge of content policies was to decide on, by outcome."
    );
    describe_counter!(
        ALERTS_TOTAL,
        Unit::Count,
        "Attempts to tell channels of alerts, by outcome."
    );
    *recorder = Some(handle.clone());
    Ok(handle)
}
