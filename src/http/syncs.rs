//! `/workspaces/{id}/syncs`: a model bound to a destination.

use std::collections::HashSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use super::models::names;
use crate::catalog::{Destination, Environment, MappedColumn, Model, Sync, SyncMode};
use crate::config::Schedule;

/// The syncs of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/syncs", tag = "syncs",
    extensions(("x-permission" = json!("syncs.read"))),
    responses((status = 200, body = Vec<Sync>)),
)]
pub(crate) async fn list_syncs(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Sync>>, ApiError> {
    let member = caller.member(&api, id, "syncs.read").await?;
    Ok(Json(api.store.list_syncs(member.workspace_id).await?))
}

/// One sync.
#[utoipa::path(
    get, path = "/workspaces/{id}/syncs/{syncId}", tag = "syncs",
    extensions(("x-permission" = json!("syncs.read"))),
    responses((status = 200, body = Sync, headers(("ETag")))),
)]
pub(crate) async fn get_sync(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, sync_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Sync>, ApiError> {
    let member = caller.member(&api, id, "syncs.read").await?;
    Ok(Object::ok(
        api.store.get_sync(member.workspace_id, sync_id).await?,
    ))
}

/// A new sync; the caller is its owner, as whom its schedule runs it.
#[utoipa::path(
    post, path = "/workspaces/{id}/syncs", tag = "syncs",
    extensions(("x-permission" = json!("syncs.write"))),
    request_body = ref("#/components/schemas/SyncBody"),
    responses((status = 201, body = Sync, headers(("ETag")))),
)]
pub(crate) async fn create_sync(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Sync>, ApiError> {
    let member = caller.member(&api, id, "syncs.write").await?;
    let sync = read(&api, &member, None, body).await?;
    api.store.insert_sync(&sync, &member.act).await?;
    Ok(Object::created(sync))
}

/// Replaces a sync. Whoever changes one becomes its owner: nobody may have another account send
/// what they could not send themselves.
#[utoipa::path(
    put, path = "/workspaces/{id}/syncs/{syncId}", tag = "syncs",
    extensions(("x-permission" = json!("syncs.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/SyncBody"),
    responses((status = 200, body = Sync, headers(("ETag")))),
)]
pub(crate) async fn update_sync(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, sync_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Sync>, ApiError> {
    let member = caller.member(&api, id, "syncs.write").await?;
    let before = api.store.get_sync(member.workspace_id, sync_id).await?;
    if_match.check(&before)?;
    let sync = read(&api, &member, Some(&before), body).await?;
    api.store.update_sync(&before, &sync, &member.act).await?;
    Ok(Object::ok(sync))
}

/// Removes a sync.
#[utoipa::path(
    delete, path = "/workspaces/{id}/syncs/{syncId}", tag = "syncs",
    extensions(("x-permission" = json!("syncs.delete"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_sync(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, sync_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "syncs.delete").await?;
    let before = api.store.get_sync(member.workspace_id, sync_id).await?;
    if_match.check(&before)?;
    api.store.delete_sync(&before, &member.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A run that was queued.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Triggered {
    /// The run.
    run_id: Uuid,
}

/// Queues a run, as the caller.
#[utoipa::path(
    post, path = "/workspaces/{id}/syncs/{syncId}/trigger", tag = "syncs",
    extensions(("x-permission" = json!("syncs.trigger"))),
    responses((status = 202, body = Triggered)),
)]
pub(crate) async fn trigger_sync(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, sync_id)): Ids<(Uuid, Uuid)>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let member = caller.member(&api, id, "syncs.trigger").await?;
    let run = api
        .runner
        .trigger(member.workspace_id, sync_id, &member.act)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run_id: run.id })))
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<&Sync>,
    body: Body,
) -> Result<Sync, ApiError> {
    let now = member.act.at;
    let mut fields = Fields::read(body).await?;
    let name = fields.name("name");
    let model_id = fields.id("model_id");
    let destination_id = fields.id("destination_id");
    let mode = fields
        .typed("mode", "one of full, upsert, mirror")
        .unwrap_or_default();
    let mapping: Option<Vec<MappedColumn>> =
        fields.typed("mapping", "an array of {\"from\", \"to\"}");
    let environments = "one of development, staging, production";
    let environment: Environment = fields
        .typed("environment", environments)
        .unwrap_or_default();
    let schedule = fields.text("schedule");
    let enabled = fields.switch("enabled").unwrap_or(true);
    if schedule
        .as_deref()
        .is_some_and(|schedule| Schedule::parse(schedule).is_none())
    {
        fields.fault(
            "$.schedule",
            "expected a cron expression of five fields that comes at some time, such as \
             \"0 * * * *\"",
        );
    }
    let found = api.store.get_model(member.workspace_id, model_id).await;
    let model = fields.referred("model_id", found)?;
    let found = api
        .store
        .get_destination(member.workspace_id, destination_id)
        .await;
    let destination = fields.referred("destination_id", found)?;
    if let Some(mapping) = &mapping {
        check_mapping(&mut fields, mapping, model.as_ref());
    }
    if let (Some(model), Some(destination)) = (&model, &destination) {
        check_mode(&mut fields, mode, mapping.as_deref(), model, destination);
    }
    fields.finish()?;
    let (id, created_at) = before.map_or_else(
        || ((api.new_id)(), now),
        |before| (before.id, before.created_at),
    );
    Ok(Sync {
        id,
        workspace_id: member.workspace_id,
        name,
        model_id,
        destination_id,
        mode,
        mapping,
        environment,
        schedule,
        enabled,
        owner_id: member.account_id,
        created_at,
        updated_at: now,
    })
}

fn check_mapping(fields: &mut Fields, mapping: &[MappedColumn], model: Option<&Model>) {
    if mapping.is_empty() {
        fields.fault(
            "$.mapping",
            "an empty mapping sends nothing: leave it out to send all",
        );
    }
    let mut taken = HashSet::new();
    for (i, column) in mapping.iter().enumerate() {
        if let Some(model) = model
            && model.schema.column_with_name(&column.from).is_none()
        {
            let message = format!(
                "there is no column {:?}: {}",
                column.from,
                names(&model.schema)
            );
            fields.fault(&format!("$.mapping[{i}].from"), message);
        }
        if column.to.is_empty() {
            fields.fault(&format!("$.mapping[{i}].to"), "expected a name");
        } else if !taken.insert(&column.to) {
            fields.fault(
                &format!("$.mapping[{i}].to"),
                "another column has that name",
            );
        }
    }
}

/// Whether a sync needs to know what identifies a record.
pub(crate) fn needs_key(mode: SyncMode, destination: &Destination) -> bool {
    mode == SyncMode::Upsert || destination.destination_type == "postgres"
}

fn check_mode(
    fields: &mut Fields,
    mode: SyncMode,
    mapping: Option<&[MappedColumn]>,
    model: &Model,
    destination: &Destination,
) {
    if mode == SyncMode::Mirror && destination.destination_type != "file" {
        fields.fault("$.mode", "only destinations of type file can be mirrored");
    }
    if !needs_key(mode, destination) {
        return;
    }
    if model.primary_key.is_empty() {
        fields.fault(
            "$.model_id",
            "the model needs a primary_key for this mode and destination",
        );
    }
    for column in &model.primary_key {
        if mapping.is_some_and(|mapping| !mapping.iter().any(|mapped| mapped.from == *column)) {
            let message = format!("the primary key column {column:?} has to be sent");
            fields.fault("$.mapping", message);
        }
    }
}
