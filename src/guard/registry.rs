//! The policies in force, and the guards compiled from them.
//!
//! The registry never talks to the store: whoever does hands it what was committed, so memory is
//! never ahead of the store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::{Fields, SchemaRef};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::compile::{Guard, PolicyFault};
use super::content::Content;
use super::judging::Judge;
use super::requirements::requirements;
use crate::catalog::Model;
use crate::policy::{Change, PolicySet, Requirement, Revision};
use crate::principal::Standing;

/// How many compiled guards are kept.
const GUARDS: u64 = 10_000;

/// Why there is no guard for a model and a destination type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGuard {
    /// A policy does not compile against the model as it is now.
    #[error("{}", first_of(.0))]
    Refused(Vec<PolicyFault>),
    /// A content policy cannot be understood. None such is ever saved.
    #[error("the content policy \"{0}\" cannot be understood: save it again")]
    Content(String),
    /// Nothing but a judge can enforce a content policy that blocks, and there is none.
    #[error(
        "the content policy \"{0}\" needs a judge: set SYNCGUARD_JUDGE_URL, or name what a detector finds"
    )]
    NeedsJudge(String),
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
    compiled: moka::sync::Cache<Subject, Compiled>,
    /// Guards whose policies count from a time.
    relative: moka::sync::Cache<(Subject, DateTime<Utc>), Arc<Guard>>,
    /// Decides what no detector covers.
    judge: Option<Arc<dyn Judge>>,
}

/// What the requirements of a guard follow from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    workspace_id: Uuid,
    revision: Revision,
    model_id: Uuid,
    /// Content policies are for sources.
    source_id: Uuid,
    fields: Fields,
    destination_type: Option<String>,
    unrestricted: bool,
    groups: Vec<Uuid>,
}

/// A compiled guard, or what one is compiled from where that depends on the time as well.
#[derive(Clone, Debug)]
enum Compiled {
    Always(Arc<Guard>),
    Relative(Arc<[Requirement]>),
}

impl Default for Registry {
    fn default() -> Self {
        Registry::with_capacity(GUARDS)
    }
}

impl Registry {
    /// A registry that keeps about this many compiled guards, and as many again of those that
    /// depend on the time.
    pub fn with_capacity(guards: u64) -> Registry {
        Registry {
            in_force: RwLock::default(),
            compiled: moka::sync::Cache::new(guards),
            relative: moka::sync::Cache::new(guards),
            judge: None,
        }
    }

    /// The registry with a judge, who decides what no detector covers of content policies.
    pub fn with_judge(self, judge: Option<Arc<dyn Judge>>) -> Registry {
        Registry { judge, ..self }
    }

    /// Whether there is a judge: then a content policy is also enforced where no detector covers
    /// what it says.
    pub fn judges(&self) -> bool {
        self.judge.is_some()
    }

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

    /// Takes over changes that were committed on top of what is in force, where nothing else came
    /// in between; otherwise nothing happens, and whoever needs the policies loads them.
    pub fn advance(&self, from: Revision, workspace_id: Uuid, changes: &[Change]) {
        let in_force = self.in_force(workspace_id);
        if let Some(current) = in_force.filter(|current| current.revision == from) {
            self.swap(current.with(changes, from + 1));
        }
    }

    /// The guard of a model for a principal and, unless it is only to be looked at, a destination
    /// type; compiled against the schema that the model has now.
    pub fn guard(
        &self,
        policies: &PolicySet,
        model: &Model,
        schema: &SchemaRef,
        destination_type: Option<&str>,
        principal: &Standing,
        now: DateTime<Utc>,
    ) -> Result<Arc<Guard>, NoGuard> {
        let subject = Subject {
            workspace_id: policies.workspace_id,
            revision: policies.revision,
            model_id: model.id,
            source_id: model.source_id,
            fields: schema.fields().clone(),
            destination_type: destination_type.map(str::to_owned),
            unrestricted: principal.is_unrestricted(),
            groups: principal.groups.clone(),
        };
        let compile = |required: &[Requirement]| {
            let guard = Guard::compile(schema, required, now, policies.revision);
            let guard = guard.map_err(NoGuard::Refused)?;
            let content: Vec<_> = policies.for_content(model.source_id).cloned().collect();
            let content = Content::compile(&content, self.judge.as_ref())?;
            Ok(Arc::new(guard.with_content(content.map(Arc::new))))
        };
        let required = match self.compiled.get(&subject) {
            Some(Compiled::Always(guard)) => return Ok(guard),
            Some(Compiled::Relative(required)) => required,
            None => {
                let required = requirements(policies, model, schema, destination_type, principal)?;
                if !required.iter().any(|r| r.filter_tree.is_relative()) {
                    let guard = compile(&required)?;
                    let compiled = Compiled::Always(Arc::clone(&guard));
                    self.compiled.insert(subject, compiled);
                    return Ok(guard);
                }
                let required: Arc<[Requirement]> = required.into();
                let compiled = Compiled::Relative(Arc::clone(&required));
                self.compiled.insert(subject.clone(), compiled);
                required
            }
        };
        let key = (subject, now);
        if let Some(guard) = self.relative.get(&key) {
            return Ok(guard);
        }
        let guard = compile(&required)?;
        self.relative.insert(key, Arc::clone(&guard));
        Ok(guard)
    }
}
