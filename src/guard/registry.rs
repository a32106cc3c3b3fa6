//! The policies in force, and the guards compiled from them.
//!
//! The registry never talks to the store: whoever does hands it what was committed, so memory is
//! never ahead of the store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::{Fields, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::compile::{Guard, PolicyFault};
use crate::catalog::Model;
use crate::policy::{PolicySet, Requirement, Revision};

/// How many compiled guards are kept.
const GUARDS: u64 = 10_000;

/// Why there is no guard for a model and a destination type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGuard {
    /// A policy does not compile against the model as it is now.
    #[error("{}", first_of(.0))]
    Refused(Vec<PolicyFault>),
    /// The workspace demands a destination policy and there is none.
    #[error(
        "the workspace requires a destination policy, and none covers model \"{model}\" for destination type \"{destination_type}\": create one, or switch require_destination_policy off"
    )]
    NoDestinationPolicy {
        /// The model's name.
        model: String,
        /// The destination type.
        destination_type: String,
    },
}

fn first_of(faults: &[PolicyFault]) -> String {
    match faults {
        [] => "the policies do not compile".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more faults)", rest.len()),
    }
}

/// The policies in force in each workspace, and a cache of compiled guards. Shared by every run
/// and request of the process.
#[derive(Debug)]
pub struct Registry {
    in_force: RwLock<HashMap<Uuid, Arc<PolicySet>>>,
    guards: moka::sync::Cache<GuardKey, Arc<Guard>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct GuardKey {
    workspace_id: Uuid,
    revision: Revision,
    model_id: Uuid,
    fields: Fields,
    destination_type: Option<String>,
    /// Only where the policies depend on it.
    now: Option<DateTime<Utc>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            in_force: RwLock::default(),
            guards: moka::sync::Cache::new(GUARDS),
        }
    }
}

impl Registry {
    /// The policies last handed over for a workspace.
    pub fn in_force(&self, workspace_id: Uuid) -> Option<Arc<PolicySet>> {
        let sets = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(&workspace_id).cloned()
    }

    /// Takes over what was committed; an older revision never replaces a newer one. Answers
    /// what is in force afterwards.
    pub fn swap(&self, set: PolicySet) -> Arc<PolicySet> {
        let mut sets = self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match sets.get(&set.workspace_id) {
            Some(current) if current.revision >= set.revision => Arc::clone(current),
            _ => {
                let set = Arc::new(set);
                sets.insert(set.workspace_id, Arc::clone(&set));
                set
            }
        }
    }

    /// The guard of a model for a destination type (or with none, of the model alone), compiled
    /// against the schema that the model has now.
    pub fn guard(
        &self,
        policies: &PolicySet,
        model: &Model,
        schema: &SchemaRef,
        destination_type: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Guard>, NoGuard> {
        let requirements = requirements(policies, model, schema, destination_type)?;
        let relative = requirements
            .iter()
            .any(|requirement| requirement.filter_tree.is_relative());
        let key = GuardKey {
            workspace_id: policies.workspace_id,
            revision: policies.revision,
            model_id: model.id,
            fields: schema.fields().clone(),
            destination_type: destination_type.map(str::to_owned),
            now: relative.then_some(now),
        };
        if let Some(guard) = self.guards.get(&key) {
            return Ok(guard);
        }
        let guard = Guard::compile(schema, &requirements, now, policies.revision)
            .map_err(NoGuard::Refused)?;
        let guard = Arc::new(guard);
        self.guards.insert(key, Arc::clone(&guard));
        Ok(guard)
    }
}

/// What a record of a model, which has these columns now, must meet to go to a destination type.
pub fn requirements(
    policies: &PolicySet,
    model: &Model,
    schema: &Schema,
    destination_type: Option<&str>,
) -> Result<Vec<Requirement>, NoGuard> {
    let Some(destination_type) = destination_type else {
        return Ok(Vec::new());
    };
    let requirements: Vec<_> = policies
        .for_destination(model, schema, destination_type)
        .map(|policy| policy.requirement())
        .collect();
    if requirements.is_empty() && policies.require_destination_policy {
        return Err(NoGuard::NoDestinationPolicy {
            model: model.name.clone(),
            destination_type: destination_type.to_owned(),
        });
    }
    Ok(requirements)
}
