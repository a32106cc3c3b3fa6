//! Inspecting without sending: what the policies would do to a model (preview), and why a record
//! would be withheld (explain).

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::WithheldBy;
use crate::guard::registry::{NoGuard, requirements};
use crate::guard::{Explanation, Guard, GuardError, PolicyFault, Registry};
use crate::policy::{Fault, FilterTree, PolicyKind, Requirement, Revision};
use crate::reach::Reach;
use crate::source::{self, SourceError};
use crate::store::{Store, StoreError};
use crate::wire;

/// What the policies would do to a model's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Records read: the whole model.
    pub read: u64,
    /// Records that would pass.
    pub passing: u64,
    /// Records that would be withheld.
    pub withheld: u64,
    /// What each policy would withhold; the draft has no `policy_id`.
    pub withheld_by: Vec<WithheldBy>,
    /// The revision of the saved policies.
    pub policy_revision: Revision,
}

/// Why something could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A policy or the draft does not compile against the model.
    #[error("policies do not compile against the model: {} faults", .0.len())]
    Refused(Vec<PolicyFault>),
    /// The records do not fit the model's columns.
    #[error("the records do not fit the model: {} faults", .0.len())]
    Records(Vec<Fault>),
    /// The workspace demands a destination policy and there is none.
    #[error("{0}")]
    NoDestinationPolicy(String),
    /// The model could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A batch could not be judged.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl From<NoGuard> for InspectError {
    fn from(error: NoGuard) -> Self {
        match error {
            NoGuard::Refused(faults) => InspectError::Refused(faults),
            NoGuard::NoDestinationPolicy { .. } => {
                InspectError::NoDestinationPolicy(error.to_string())
            }
        }
    }
}

/// Previews and explains. Cheap to clone.
#[derive(Clone)]
pub struct Inspector {
    store: Store,
    registry: Arc<Registry>,
    reach: Reach,
    batch_rows: usize,
}

impl Inspector {
    /// An inspector that reads models in batches of at most `batch_rows` records.
    pub fn new(store: Store, registry: Arc<Registry>, reach: Reach, batch_rows: usize) -> Self {
        Inspector {
            store,
            registry,
            reach,
            batch_rows,
        }
    }

    /// Counts what the saved policies, and a draft beside them, would withhold from a
    /// destination type. Reads the whole model, but of it only the columns that policies read.
    pub async fn preview(
        &self,
        workspace_id: Uuid,
        model_id: Uuid,
        destination_type: &str,
        draft: Option<FilterTree>,
        now: DateTime<Utc>,
    ) -> Result<Preview, InspectError> {
        let model = self.store.get_model(workspace_id, model_id).await?;
        let source = self.store.get_source(workspace_id, model.source_id).await?;
        let policies = self
            .store
            .policies_in_force(&self.registry, workspace_id)
            .await?;
        let opened = source::open(&source, &model.query, &model.primary_key, &self.reach).await?;
        let mut required =
            match requirements(&policies, &model, &opened.schema(), Some(destination_type)) {
                // A draft is the policy that is missing.
                Err(NoGuard::NoDestinationPolicy { .. }) if draft.is_some() => Vec::new(),
                required => required?,
            };
        required.extend(draft.map(|filter_tree| Requirement {
            policy_id: None,
            kind: PolicyKind::Draft,
            name: "draft".to_owned(),
            filter_tree,
        }));
        let guard = Guard::compile(&opened.schema(), &required, now, policies.revision)
            .map_err(InspectError::Refused)?;
        let mut batches = opened
            .read(Some(guard.columns()), 0, self.batch_rows)
            .await?;
        let mut preview = Preview {
            read: 0,
            passing: 0,
            withheld: 0,
            withheld_by: Vec::new(),
            policy_revision: policies.revision,
        };
        let mut by_policy: BTreeMap<(Option<Uuid>, PolicyKind), u64> = BTreeMap::new();
        while let Some(batch) = batches.next().await {
            let verdict = guard.apply(&batch?)?;
            preview.read += verdict.passes().len() as u64;
            preview.passing += verdict.guarded().num_rows() as u64;
            preview.withheld += verdict.withheld() as u64;
            for by in verdict.withheld_by(0, verdict.withheld()) {
                *by_policy.entry((by.policy_id, by.kind)).or_default() += by.count;
            }
        }
        preview.withheld_by = by_policy
            .into_iter()
            .map(|((policy_id, kind), count)| WithheldBy {
                policy_id,
                kind,
                count,
            })
            .collect();
        Ok(preview)
    }

    /// Explains for each record whether it would pass, and which policies and conditions decide.
    /// Without a destination type there is nothing that could withhold it.
    pub async fn explain(
        &self,
        workspace_id: Uuid,
        model_id: Uuid,
        destination_type: Option<&str>,
        records: &[Map<String, Value>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Explanation>, InspectError> {
        let model = self.store.get_model(workspace_id, model_id).await?;
        let policies = self
            .store
            .policies_in_force(&self.registry, workspace_id)
            .await?;
        let guard = self
            .registry
            .guard(&policies, &model, &model.schema, destination_type, now)?;
        let batch =
            wire::json::records_to_batch(&model.schema, records).map_err(InspectError::Records)?;
        Ok(guard.explain(&batch)?)
    }
}
