//! Inspecting without sending: what the policies would do to a model (preview), and why a record
//! would be withheld (explain), and what a change of policies would do (impact).

pub mod impact;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::audit::Event;
use crate::catalog::WithheldBy;
use crate::guard::registry::NoGuard;
use crate::guard::{
    Explanation, Findings, Guard, GuardError, Leaving, PolicyFault, Registry, Verdict, requirements,
};
use crate::policy::content::Action;
use crate::policy::{Fault, FilterTree, PolicyKind, Requirement, Revision};
use crate::principal::{Act, OWNER, Standing};
use crate::reach::Reach;
use crate::source::{self, SourceError};
use crate::store::{Store, StoreError};
use crate::wire;

/// What the policies would do to a model's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
    #[schema(value_type = u64)]
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
    /// A content policy cannot be enforced as this process is set up.
    #[error("{0}")]
    NeedsJudge(String),
    /// Whoever wants to look as another account does not see every row of the model themselves.
    #[error(
        "evaluating as another account takes an account that sees every row of the model itself"
    )]
    Restricted,
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
            NoGuard::NeedsJudge(_) => InspectError::NeedsJudge(error.to_string()),
            NoGuard::Content(_) => InspectError::Store(StoreError::Corrupt(error.to_string())),
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
    /// destination type, if all columns were sent. Reads the whole model, but of it only the columns that policies read, and
    /// only the rows that the caller sees, or `evaluate_as` in their place.
    ///
    /// Errors: `Restricted`; not found if `evaluate_as` is no member of the workspace.
    pub async fn preview(
        &self,
        workspace_id: Uuid,
        model_id: Uuid,
        destination_type: &str,
        draft: Option<FilterTree>,
        evaluate_as: Option<Uuid>,
        act: &Act,
    ) -> Result<Preview, InspectError> {
        let model = self.store.get_model(workspace_id, model_id).await?;
        let source = self.store.get_source(workspace_id, model.source_id).await?;
        let (mut policies, mut principal) = self
            .store
            .policies_for(&self.registry, workspace_id, act.account_id)
            .await?;
        let opened = source::open(&source, &model.query, &model.primary_key, &self.reach).await?;
        let schema = opened.schema();
        if let Some(account_id) = evaluate_as {
            // What somebody else sees must be no more than the caller does.
            if !requirements(&policies, &model, &schema, None, &principal)?.is_empty() {
                return Err(InspectError::Restricted);
            }
            let known = policies.revision;
            (policies, principal) = self
                .store
                .policies_for(&self.registry, workspace_id, account_id)
                .await?;
            if policies.revision != known {
                return Err(StoreError::Stale.into());
            }
        }
        // Rows that they may not see are not there for them: not even counted.
        let seen = self
            .registry
            .guard(&policies, &model, &schema, None, &principal, act.at)?;
        // Of what they see, only destination policies withhold what content policies let pass. In
        // this order: a draft tells nothing of records that content policies withhold.
        let everyone = Standing {
            role_id: OWNER,
            groups: Vec::new(),
            ..principal
        };
        let mut required = match requirements(
            &policies,
            &model,
            &schema,
            Some(destination_type),
            &everyone,
        ) {
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
        let guard = Guard::compile(&schema, &required, act.at, policies.revision)
            .map_err(InspectError::Refused)?;
        let filtered = guard.columns().iter().chain(seen.columns()).cloned();
        let read: BTreeSet<String> = filtered.chain(seen.content_columns()).collect();
        let read: Vec<String> = read.into_iter().collect();
        let guard = Arc::new(guard);
        let mut batches = opened.read(Some(&read), 0, self.batch_rows).await?;
        let mut preview = Preview {
            read: 0,
            passing: 0,
            withheld: 0,
            withheld_by: Vec::new(),
            policy_revision: policies.revision,
        };
        let mut by_policy: BTreeMap<(Option<Uuid>, PolicyKind), u64> = BTreeMap::new();
        while let Some(batch) = batches.next().await {
            let (seen, verdict) = judged(&seen, &guard, batch?).await?;
            let blocks = |found: &&Findings| found.action == Action::Block;
            let mut hidden = BooleanBuffer::new_unset(seen.passes().len());
            for found in seen.findings().iter().filter(blocks) {
                let key = (Some(found.policy_id), PolicyKind::Content);
                *by_policy.entry(key).or_default() += found.rows.count_set_bits() as u64;
                hidden = &hidden | &found.rows;
            }
            let hidden = hidden.count_set_bits() as u64;
            preview.read += verdict.passes().len() as u64 + hidden;
            preview.withheld += hidden;
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
        let mut told = json!(preview);
        if let (Some(account_id), Some(told)) = (evaluate_as, told.as_object_mut()) {
            told.insert("account_id".into(), json!(account_id));
        }
        let event = Event {
            action: "model.preview".into(),
            revision: Some(preview.policy_revision),
            ..Event::of("model", Some(model_id), None, Some(&told))
        };
        self.store.record(Some(workspace_id), act, &event).await?;
        Ok(preview)
    }

    /// Explains for each record whether it would pass for an account, and which policies and
    /// conditions decide. Without a destination type only access and content policies could
    /// withhold it.
    pub async fn explain(
        &self,
        workspace_id: Uuid,
        model_id: Uuid,
        destination_type: Option<&str>,
        account_id: Uuid,
        records: &[Map<String, Value>],
        act: &Act,
    ) -> Result<Vec<Explanation>, InspectError> {
        let model = self.store.get_model(workspace_id, model_id).await?;
        let (policies, principal) = self
            .store
            .policies_for(&self.registry, workspace_id, account_id)
            .await?;
        let guard = self.registry.guard(
            &policies,
            &model,
            &model.schema,
            destination_type,
            &principal,
            act.at,
        )?;
        let batch =
            wire::json::records_to_batch(&model.schema, records).map_err(InspectError::Records)?;
        let explained = guard.explain(&batch)?;
        let passing = explained.iter().filter(|record| record.passes).count();
        let summary = json!({
            "account_id": account_id,
            "destination_type": destination_type,
            "records": explained.len(),
            "passing": passing,
        });
        let event = Event {
            action: "model.explain".into(),
            revision: Some(policies.revision),
            ..Event::of("model", Some(model_id), None, Some(&summary))
        };
        self.store.record(Some(workspace_id), act, &event).await?;
        Ok(explained)
    }
}

/// What a guard says of a batch, and another of the rows that it lets pass; where content policies
/// read their texts, beside the threads that serve others.
async fn judged(
    seen: &Arc<Guard>,
    guard: &Arc<Guard>,
    batch: RecordBatch,
) -> Result<(Verdict, Verdict), InspectError> {
    let detects = seen.detects();
    let (seen, guard) = (Arc::clone(seen), Arc::clone(guard));
    let work = move || {
        let visible = seen.apply(&batch, Leaving::All)?;
        let verdict = guard.apply(visible.guarded().batch(), Leaving::All)?;
        Ok::<_, GuardError>((visible, verdict))
    };
    let judged = match detects {
        true => tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| GuardError::Engine)?,
        false => work(),
    };
    Ok(judged?)
}
