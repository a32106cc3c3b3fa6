//! `/workspaces/{id}/plan` and `/workspaces/{id}/apply`: policy packs against the policies of a
//! workspace.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::{DESTINATION_TYPE, Fields, NAME, is_destination_type, is_name};
use super::error::ApiError;
use crate::catalog::Model;
use crate::inspect::impact::Impact;
use crate::policy::difference::Difference;
use crate::policy::pack::{self, Pack};
use crate::policy::{DestinationPolicy, Fault, FilterDocument, Revision};

/// What applying some policies would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    /// The revision that it is compared with.
    #[schema(value_type = u64)]
    policy_revision: Revision,
    /// The policies that would change.
    changes: Vec<PackChange>,
    /// On how many records it bears, for every model and destination that a sync binds.
    impact: Vec<Impact>,
}

/// What applying some policies changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Applied {
    /// The revision that it made; the current one, if nothing changed.
    #[schema(value_type = u64)]
    policy_revision: Revision,
    /// The policies that changed.
    changes: Vec<PackChange>,
}

/// One policy that changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PackChange {
    /// What becomes of it.
    action: Action,
    /// Its name.
    name: String,
    /// The destination type that it restricts.
    destination_type: String,
    /// As it was; null where it is created.
    #[schema(required)]
    before: Option<ShownPolicy>,
    /// As it will be; null where it is deleted.
    #[schema(required)]
    after: Option<ShownPolicy>,
}

/// What becomes of a policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
}

/// A destination policy as packs write it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PackPolicy)]
pub(crate) struct ShownPolicy {
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// Name of the model that it applies to; null: every model that has its columns.
    #[schema(required)]
    model: Option<String>,
    /// The destination type that it restricts.
    destination_type: String,
    /// The records that may be sent.
    filter_tree: FilterDocument,
    /// Whether it is in force.
    enabled: bool,
}

/// Shows what applying some policies would change, and on how many records it bears.
#[utoipa::path(
    post, path = "/workspaces/{id}/plan", tag = "packs",
    extensions(("x-permission" = json!("governance.read"))),
    request_body = ref("#/components/schemas/PackBody"),
    responses((status = 200, body = Plan)),
)]
pub(crate) async fn plan(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Plan>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let asked = Asked::read(body).await?;
    let (publisher, workspace_id) = (&api.publisher, member.workspace_id);
    let plan = publisher
        .plan_pack(
            workspace_id,
            &asked.pack,
            asked.prune,
            &member.act,
            api.new_id,
        )
        .await?;
    let impact = api
        .inspector
        .impact(&plan.before, &plan.after(), &plan.principal, &member.act)
        .await?;
    let models = api.store.list_models(workspace_id).await?;
    Ok(Json(Plan {
        policy_revision: plan.before.revision,
        changes: shown(&plan.differences, &models),
        impact,
    }))
}

/// Publishes some policies as one revision. Policies that they do not name are left alone, or
/// deleted with `prune`.
#[utoipa::path(
    post, path = "/workspaces/{id}/apply", tag = "packs",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/PackBody"),
    responses((status = 200, body = Applied)),
)]
pub(crate) async fn apply(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Applied>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let asked = Asked::read(body).await?;
    let (plan, revision) = api
        .publisher
        .apply_pack(
            member.workspace_id,
            &asked.pack,
            asked.prune,
            asked.expected_revision,
            &member.act,
            api.new_id,
        )
        .await?;
    let models = api.store.list_models(member.workspace_id).await?;
    Ok(Json(Applied {
        policy_revision: revision,
        changes: shown(&plan.differences, &models),
    }))
}

/// A body of either route.
struct Asked {
    pack: Pack,
    prune: bool,
    expected_revision: Option<Revision>,
}

impl Asked {
    async fn read(body: Body) -> Result<Asked, ApiError> {
        let mut fields = Fields::read(body).await?;
        let policies = fields.value("policies").unwrap_or_default();
        let pack = match pack::policies(&json!({"policies": policies})) {
            Ok(pack) => {
                fields.faults(texts_that_cannot_be(&pack));
                Some(pack)
            }
            Err(faults) => {
                fields.faults(faults);
                None
            }
        };
        let prune = fields.switch("prune").unwrap_or(false);
        let expected_revision = fields.typed("expected_revision", "a revision, such as 7");
        fields.finish()?;
        let pack = pack.ok_or_else(|| ApiError::internal(&"a faulty pack passed validation"))?;
        Ok(Asked {
            pack,
            prune,
            expected_revision,
        })
    }
}

/// What the policies of a workspace may not be called or say, though a pack may.
fn texts_that_cannot_be(pack: &Pack) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (i, policy) in pack.policies.iter().enumerate() {
        if !is_name(&policy.name) {
            let path = format!("$.policies[{i}].name");
            faults.push(Fault::new(path, format!("expected {NAME}")));
        }
        if policy.description.contains('\0') {
            let path = format!("$.policies[{i}].description");
            faults.push(Fault::new(path, "expected a text without NUL characters"));
        }
        for (j, destination_type) in policy.destination_types.iter().enumerate() {
            if !is_destination_type(destination_type) {
                let path = format!("$.policies[{i}].destination_types[{j}]");
                faults.push(Fault::new(path, format!("expected {DESTINATION_TYPE}")));
            }
        }
    }
    faults
}

/// The changes, with their policies as packs write them.
fn shown(differences: &[Difference], models: &[Model]) -> Vec<PackChange> {
    let policy = |policy: &DestinationPolicy| {
        let model = models
            .iter()
            .find(|model| Some(model.id) == policy.parent_model_id);
        ShownPolicy {
            name: policy.name.clone(),
            description: policy.description.clone(),
            model: model.map(|model| model.name.clone()),
            destination_type: policy.destination_type.clone(),
            filter_tree: policy.filter_tree.clone(),
            enabled: policy.enabled,
        }
    };
    differences
        .iter()
        .filter_map(|Difference { edit, .. }| {
            let action = match (&edit.before, &edit.after) {
                (None, _) => Action::Create,
                (Some(_), Some(_)) => Action::Update,
                (Some(_), None) => Action::Delete,
            };
            let object = edit.object()?;
            Some(PackChange {
                action,
                name: object.name.clone(),
                destination_type: object.destination_type.clone(),
                before: edit.before.as_deref().map(policy),
                after: edit.after.as_deref().map(policy),
            })
        })
        .collect()
}
