//! Runs: one execution of a sync each, with what became of its records.

use axum::Json;
use axum::extract::State;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::error::ApiError;
use crate::catalog::Run;

/// The newest runs of a sync, newest first, at most 200.
#[utoipa::path(
    get, path = "/workspaces/{id}/syncs/{syncId}/runs", tag = "runs",
    extensions(("x-permission" = json!("syncs.read"))),
    responses((status = 200, body = Vec<Run>)),
)]
pub(crate) async fn list_runs(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, sync_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Vec<Run>>, ApiError> {
    let member = caller.member(&api, id, "syncs.read").await?;
    let sync = api.store.get_sync(member.workspace_id, sync_id).await?;
    Ok(Json(
        api.store.list_runs(member.workspace_id, sync.id).await?,
    ))
}

/// One run.
#[utoipa::path(
    get, path = "/workspaces/{id}/runs/{runId}", tag = "runs",
    extensions(("x-permission" = json!("syncs.read"))),
    responses((status = 200, body = Run)),
)]
pub(crate) async fn get_run(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, run_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Run>, ApiError> {
    let member = caller.member(&api, id, "syncs.read").await?;
    Ok(Json(api.store.get_run(member.workspace_id, run_id).await?))
}

/// Stops a run: at once if it waits, after its batch if it works; 409 if it has ended.
#[utoipa::path(
    post, path = "/workspaces/{id}/runs/{runId}/cancel", tag = "runs",
    extensions(("x-permission" = json!("syncs.trigger"))),
    responses((status = 200, body = Run)),
)]
pub(crate) async fn cancel_run(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, run_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Run>, ApiError> {
    let member = caller.member(&api, id, "syncs.trigger").await?;
    Ok(Json(
        api.runner
            .cancel(member.workspace_id, run_id, &member.act)
            .await?,
    ))
}
