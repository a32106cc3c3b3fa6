//! Which access policies apply to an account on a model, and the filter tree that results.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Querier, QueryError};
use crate::audit::Event;
use crate::guard::requirements;
use crate::policy::{PolicyKind, Revision};
use crate::principal::Act;
use crate::store::StoreError;

/// How many rows of a model an account sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visible {
    /// Every row.
    All,
    /// Those for which the filter tree is TRUE.
    Some,
    /// No row, since a category covers the model of which the account has no policy for it.
    None,
}

/// The access policies that apply to an account on a model.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EffectivePolicy {
    /// The account.
    pub account_id: Uuid,
    /// The model.
    pub model_id: Uuid,
    /// The revision of the policies.
    #[schema(value_type = u64)]
    pub policy_revision: Revision,
    /// How many rows it sees.
    pub rows: Visible,
    /// What a row must meet, each of them, to be seen.
    pub requirements: Vec<EffectiveRequirement>,
    /// All of them as one filter tree; `null` where all rows are seen, or none.
    #[schema(required, value_type = Option<Object>)]
    pub filter_tree: Option<Value>,
}

/// One category of access policies that restricts an account on a model: a row must meet any of
/// its policies that the account has.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EffectiveRequirement {
    /// The category.
    pub category_id: Uuid,
    /// Its name.
    pub category: String,
    /// The policies of the category that open rows of the model to the account; with none of
    /// them it sees none.
    pub policies: Vec<EffectiveAccessPolicy>,
}

/// A policy that opens rows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EffectiveAccessPolicy {
    /// The policy.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The rows that it opens.
    #[schema(value_type = Object)]
    pub filter_tree: Value,
}

impl Querier {
    /// The access policies that apply to an account on a model, for those who govern them.
    ///
    /// Errors: no such model or member.
    pub async fn effective_policy(
        &self,
        workspace_id: Uuid,
        model_id: Uuid,
        account_id: Uuid,
        act: &Act,
    ) -> Result<EffectivePolicy, QueryError> {
        let model = self.store.get_model(workspace_id, model_id).await?;
        let (policies, standing) = self
            .store
            .policies_for(&self.registry, workspace_id, account_id)
            .await
            .map_err(|error| match error {
                StoreError::NotFound(_) => QueryError::NoMember,
                error => error.into(),
            })?;
        let assigned = policies.assigned_to(&standing.groups);
        let required = requirements(&policies, &model, &model.schema, None, &standing)
            .map_err(|_| QueryError::Internal)?;
        let mut shown = Vec::new();
        for requirement in required {
            let (Some(category_id), PolicyKind::Access) = (requirement.policy_id, requirement.kind)
            else {
                return Err(QueryError::Internal);
            };
            let opening = policies.access_policies.values().filter(|policy| {
                policy.category_id == category_id
                    && assigned.contains(&policy.id)
                    && policy.covers(&model, &model.schema)
            });
            shown.push(EffectiveRequirement {
                category_id,
                category: requirement.name,
                policies: opening
                    .map(|policy| EffectiveAccessPolicy {
                        id: policy.id,
                        name: policy.name.clone(),
                        filter_tree: policy.filter_tree.json().clone(),
                    })
                    .collect(),
            });
        }
        let rows = match shown.as_slice() {
            [] => Visible::All,
            some if some.iter().any(|category| category.policies.is_empty()) => Visible::None,
            _ => Visible::Some,
        };
        let effective = EffectivePolicy {
            account_id,
            model_id,
            policy_revision: policies.revision,
            rows,
            filter_tree: (rows == Visible::Some).then(|| joined(&shown)),
            requirements: shown,
        };
        let summary = json!({ "account_id": account_id, "rows": rows });
        let event = Event {
            action: "model.effective_policy".into(),
            revision: Some(policies.revision),
            ..Event::of("model", Some(model_id), None, Some(&summary))
        };
        self.store.record(Some(workspace_id), act, &event).await?;
        Ok(effective)
    }
}

fn joined(requirements: &[EffectiveRequirement]) -> Value {
    let all = requirements.iter().map(|requirement| {
        let any = requirement
            .policies
            .iter()
            .map(|policy| policy.filter_tree.clone());
        group("or", any.collect())
    });
    group("and", all.collect())
}

fn group(joint: &str, mut children: Vec<Value>) -> Value {
    match (children.pop(), children.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            children.extend(last);
            json!({ "type": joint, "children": children })
        }
    }
}
