//! `/workspaces/{id}/models/{modelId}/effective-policy`: which access policies apply to an account
//! on a model, and what they come to.

use axum::Json;
use axum::extract::{RawQuery, State};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::error::ApiError;
use super::query::Query;
use super::query_error::{Places, query_error};
use crate::query::EffectivePolicy;

/// The access policies that apply to an account on a model, and the filter tree that results;
/// without an account, to the caller.
#[utoipa::path(
    get, path = "/workspaces/{id}/models/{modelId}/effective-policy", tag = "inspection",
    extensions(("x-permission" = json!("governance.read"))),
    params(("account_id" = Option<String>, Query)),
    responses((status = 200, body = EffectivePolicy)),
)]
pub(crate) async fn get_effective_policy(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, model_id)): Ids<(Uuid, Uuid)>,
    RawQuery(query): RawQuery,
) -> Result<Json<EffectivePolicy>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let model = api.store.get_model(member.workspace_id, model_id).await?;
    let mut query = Query::read(query.as_deref().unwrap_or_default());
    let account_id = query.take("account_id", "a UUID", |text| Uuid::try_parse(text).ok());
    query.finish()?;
    let account_id = account_id.unwrap_or(member.account_id);
    let policy = api
        .querier
        .effective_policy(member.workspace_id, model.id, account_id, &member.act)
        .await
        .map_err(|error| query_error(error, Places::QUERY))?;
    Ok(Json(policy))
}
