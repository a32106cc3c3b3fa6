//! What the catalog tells of its objects, as facts.
//!
//! Only what is certain is told, and what is told is as it is, not as somebody says: no secret,
//! no path, no URL. What is not known is not there, which fails every rule that asks for it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Facts;
use crate::catalog::{Destination, Model, RunStatus, Source, Sync, Transport, Workspace};
use crate::policy::{DestinationPolicy, PolicySet};

/// The oldest version of TLS that a client of ours speaks.
const LEAST_TLS: &str = "1.2";

/// How the last run of a sync that worked on records went. One that was blocked or cancelled before
/// it read any is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// How it ended.
    pub status: RunStatus,
    /// When.
    pub at: DateTime<Utc>,
    /// How many records policies held back.
    pub withheld: u64,
}

/// A sync with what it leads from and to.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The sync.
    pub sync: &'a Sync,
    /// The model that it reads.
    pub model: &'a Model,
    /// Where it writes.
    pub destination: &'a Destination,
    /// How bytes come from the source and go to the destination, where they leave a machine.
    pub legs: [Option<&'a Transport>; 2],
    /// The e-mail address of the account it runs as.
    pub owner: Option<&'a str>,
    /// Its last run that worked on records.
    pub last_run: Option<&'a LastRun>,
}

/// What is told of a source.
pub fn source(workspace: &Workspace, source: &Source, transport: Option<&Transport>) -> Facts {
    let (created, updated) = (source.created_at, source.updated_at);
    let kind = json!(source.source_type);
    let mut facts = object(workspace, &source.name, kind, created, updated);
    hosts(&mut facts, transport);
    encryption(&mut facts, &[transport]);
    facts
}

/// What is told of a destination.
pub fn destination(
    workspace: &Workspace,
    policies: &PolicySet,
    destination: &Destination,
    transport: Option<&Transport>,
) -> Facts {
    let (created, updated) = (destination.created_at, destination.updated_at);
    let kind = destination.destination_type.as_str();
    let mut facts = object(workspace, &destination.name, kind, created, updated);
    hosts(&mut facts, transport);
    encryption(&mut facts, &[transport]);
    let limit = destination.rate_limit;
    let limits = [
        ("rateLimit.requestsPerSecond", limit.requests_per_second),
        ("rateLimit.rowsPerSecond", limit.rows_per_second),
    ];
    let is_limited = limits.iter().any(|(_, limit)| limit.is_some());
    facts.tell("rateLimit.enabled", is_limited);
    for (path, limit) in limits {
        if let Some(limit) = limit {
            facts.tell(path, limit);
        }
    }
    let of_type = |policy: &&DestinationPolicy| policy.destination_type == kind;
    let count = enabled(policies).filter(of_type).count();
    facts.tell("destinationPolicies.count", count);
    require_destination_policy(&mut facts, policies);
    if !matches!(kind, "file" | "postgres") {
        let secret = destination.config.get("secret").and_then(Value::as_str);
        facts.tell("signature.enabled", secret.is_some_and(|it| !it.is_empty()));
    }
    facts
}

/// What is told of a model, given those of its columns whose names speak of persons.
pub fn model(
    workspace: &Workspace,
    policies: &PolicySet,
    model: &Model,
    personal: Vec<String>,
) -> Facts {
    let (created, updated) = (model.created_at, model.updated_at);
    let mut facts = object(workspace, &model.name, "model", created, updated);
    let columns: Vec<&str> = model
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    facts.tell("columnCount", columns.len());
    facts.tell("columns", columns);
    facts.tell("personalData.columns", personal);
    facts.tell("primaryKey", model.primary_key.clone());
    let covering: Vec<&DestinationPolicy> = enabled(policies)
        .filter(|policy| policy.covers(model, &model.schema))
        .collect();
    let types: BTreeSet<&str> = covering
        .iter()
        .map(|policy| policy.destination_type.as_str())
        .collect();
    facts.tell("destinationPolicies.count", covering.len());
    let types: Vec<&str> = types.into_iter().collect();
    facts.tell("destinationPolicies.destinationTypes", types);
    require_destination_policy(&mut facts, policies);
    let count = policies
        .access_policies
        .values()
        .filter(|policy| policy.covers(model, &model.schema))
        .count();
    facts.tell("accessPolicies.count", count);
    facts.tell("accessControl.rowLevel", is_row_level(policies, model));
    facts
}

/// What is told of a sync: of itself, and of the whole way from the source to the destination.
pub fn sync(workspace: &Workspace, policies: &PolicySet, way: &Way<'_>) -> Facts {
    let (sync, model) = (way.sync, way.model);
    let (created, updated) = (sync.created_at, sync.updated_at);
    let mut facts = object(workspace, &sync.name, "sync", created, updated);
    facts.tell("environment", json!(sync.environment));
    facts.tell("mode", json!(sync.mode));
    facts.tell("enabled", sync.enabled);
    if let Some(owner) = way.owner {
        facts.tell("owner", owner);
    }
    if let Some(schedule) = &sync.schedule {
        facts.tell("schedule", schedule.as_str());
    }
    facts.tell("columns", sent_columns(sync, model));
    if let Some(run) = way.last_run {
        facts.tell("lastRun.status", run.status.as_str());
        facts.tell("lastRun.at", json!(run.at));
        facts.tell("lastRun.withheld", run.withheld);
    }
    encryption(&mut facts, &way.legs);
    let kind = way.destination.destination_type.as_str();
    let count = policies.for_destination(model, &model.schema, kind).count();
    facts.tell("destinationPolicies.count", count);
    require_destination_policy(&mut facts, policies);
    facts.tell("accessControl.rowLevel", is_row_level(policies, model));
    facts
}

/// What is told of every object. Roles govern all of them.
fn object(
    workspace: &Workspace,
    name: &str,
    kind: impl Into<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
) -> Facts {
    let mut facts = Facts::default();
    facts.tell("name", name);
    facts.tell("type", kind);
    facts.tell("workspace", workspace.name.as_str());
    facts.tell("accessControl.rbac", true);
    facts.tell("createdAt", json!(created_at));
    facts.tell("updatedAt", json!(updated_at));
    facts
}

/// One host is a text, several are a list. What has an `@` in it is no host: it is the rest of a
/// password that was not encoded.
fn hosts(facts: &mut Facts, transport: Option<&Transport>) {
    let hosts = transport.map(|transport| transport.hosts.as_slice());
    match hosts.unwrap_or_default() {
        hosts if hosts.is_empty() || hosts.iter().any(|host| host.contains('@')) => {}
        [host] => facts.tell("host", host.as_str()),
        hosts => facts.tell("host", hosts.to_vec()),
    }
}

/// A way is encrypted if all of its legs are; what leaves no machine is no leg.
fn encryption(facts: &mut Facts, legs: &[Option<&Transport>]) {
    let legs: Vec<&Transport> = legs.iter().copied().flatten().collect();
    if legs.is_empty() {
        return;
    }
    let encrypted = legs.iter().all(|leg| leg.encrypted);
    facts.tell("encryption.inTransit", encrypted);
    facts.tell("tls.enabled", encrypted);
    if encrypted {
        facts.tell("tls.minVersion", LEAST_TLS);
        facts.tell("tls.verified", legs.iter().all(|leg| leg.verified));
    }
}

fn enabled(policies: &PolicySet) -> impl Iterator<Item = &DestinationPolicy> {
    let policies = policies.destination_policies.values();
    policies
        .map(AsRef::as_ref)
        .filter(|policy: &&DestinationPolicy| policy.enabled)
}

fn require_destination_policy(facts: &mut Facts, policies: &PolicySet) {
    let required = policies.require_destination_policy;
    facts.tell("destinationPolicies.required", required);
}

/// Whether a category of access policies covers a model, by a policy that is there or was.
fn is_row_level(policies: &PolicySet, model: &Model) -> bool {
    let mut by_policy = policies.access_policies.values();
    let mut by_memory = policies.access_categories.values();
    by_policy.any(|policy| policy.covers(model, &model.schema))
        || by_memory.any(|category| category.has_covered(model, &model.schema))
}

/// The columns of the model that leave with a sync, each once, in order.
fn sent_columns(sync: &Sync, model: &Model) -> Vec<String> {
    let mut sent: Vec<String> = Vec::new();
    match &sync.mapping {
        None => sent.extend(model.schema.fields().iter().map(|it| it.name().clone())),
        Some(mapping) => {
            for column in mapping {
                if !sent.contains(&column.from) {
                    sent.push(column.from.clone());
                }
            }
        }
    }
    sent
}

#[cfg(test)]
mod tests;
