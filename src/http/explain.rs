//! `/workspaces/{id}/explain`: which policies and conditions decided about a record.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use crate::guard::Explanation;

/// Judges the records that are sent as if they were of a model, for an account (the caller, if
/// none is named) and a destination type; without one no destination policy is asked.
#[utoipa::path(
    post, path = "/workspaces/{id}/explain", tag = "inspection",
    extensions(("x-permission" = json!("governance.read"))),
    request_body = ref("#/components/schemas/ExplainBody"),
    responses((status = 200, body = Vec<Explanation>)),
)]
pub(crate) async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Vec<Explanation>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let mut fields = Fields::read(body).await?;
    let model_id = fields.id("model_id");
    fields.know("destination_type");
    let destination_type = fields
        .gives("destination_type")
        .then(|| fields.destination_type("destination_type"));
    let account_id = fields.optional_id("account_id");
    if let Some(account_id) = account_id {
        let found = api.store.get_member(member.workspace_id, account_id).await;
        fields.referred("account_id", found)?;
    }
    let records = fields.records("records");
    let found = api.store.get_model(member.workspace_id, model_id).await;
    fields.referred("model_id", found)?;
    fields.finish()?;
    let explained = api
        .inspector
        .explain(
            member.workspace_id,
            model_id,
            destination_type.as_deref(),
            account_id.unwrap_or(member.account_id),
            &records,
            &member.act,
        )
        .await?;
    Ok(Json(explained))
}
