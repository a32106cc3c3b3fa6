//! `/workspaces/{id}/preview`: what a policy would withhold, before it is saved.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::destination_rules::within_filter_tree;
use super::error::ApiError;
use crate::inspect::Preview;
use crate::policy::FilterTree;

/// Judges every record of a model that the caller sees, or another account in their place, by the saved policies of a destination type and, if one is
/// sent, by a filter tree beside them. A filter tree of one's own choice, or another's eyes, tell of
/// single values by what is counted, so that either takes `models.read` as well.
#[utoipa::path(
    post, path = "/workspaces/{id}/preview", tag = "inspection",
    extensions(("x-permission" = json!("governance.read"))),
    request_body = ref("#/components/schemas/PreviewBody"),
    responses((status = 200, body = Preview)),
)]
pub(crate) async fn preview(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Preview>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let mut fields = Fields::read(body).await?;
    let model_id = fields.id("model_id");
    let destination_type = fields.destination_type("destination_type");
    let document = fields.value("filter_tree");
    let account_id = fields.optional_id("account_id");
    if document.is_some() || account_id.is_some() {
        caller.member(&api, id, "models.read").await?;
    }
    let draft = document.and_then(|document| {
        FilterTree::parse(&document)
            .map_err(|faults| fields.faults(faults.into_iter().map(within_filter_tree).collect()))
            .ok()
    });
    if let Some(account_id) = account_id {
        let found = api.store.get_member(member.workspace_id, account_id).await;
        fields.referred("account_id", found)?;
    }
    let found = api.store.get_model(member.workspace_id, model_id).await;
    fields.referred("model_id", found)?;
    fields.finish()?;
    let preview = api
        .inspector
        .preview(
            member.workspace_id,
            model_id,
            &destination_type,
            draft,
            account_id.filter(|id| *id != member.account_id),
            &member.act,
        )
        .await?;
    Ok(Json(preview))
}
