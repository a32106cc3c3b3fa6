//! `/workspaces/{id}/explain`: which policies and conditions decided about a record.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;

/// Judges the records that are sent as if they were of a model, for a destination type; without
/// one there is no destination policy that could withhold them.
pub(crate) async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let mut fields = Fields::read(body).await?;
    let model_id = fields.id("model_id");
    fields.know("destination_type");
    let destination_type = fields
        .gives("destination_type")
        .then(|| fields.destination_type("destination_type"));
    if let Some(account_id) = fields.optional_id("account_id")
        && api
            .store
            .member_role(member.workspace_id, account_id)
            .await?
            .is_none()
    {
        fields.fault("$.account_id", "there is no such member");
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
            &records,
            (api.clock)(),
        )
        .await?;
    Ok(Json(json!(explained)))
}
