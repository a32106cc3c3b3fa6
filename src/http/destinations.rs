//! `/workspaces/{id}/destinations`: places to send to.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::secrets::written_config;
use crate::catalog::{Destination, RateLimit, redacted_config};

fn shown(destination: &Destination) -> Value {
    json!({
        "id": destination.id,
        "workspace_id": destination.workspace_id,
        "name": destination.name,
        "type": destination.destination_type,
        "config": redacted_config(&destination.config),
        "rate_limit": destination.rate_limit,
        "created_at": destination.created_at,
        "updated_at": destination.updated_at,
    })
}

/// The destinations of a workspace.
pub(crate) async fn list_destinations(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let member = caller.member(&api, id, "destinations.read").await?;
    let destinations = api.store.list_destinations(member.workspace_id).await?;
    Ok(Json(destinations.iter().map(shown).collect()))
}

/// One destination; secrets are not read back.
pub(crate) async fn get_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "destinations.read").await?;
    Ok(Json(shown(
        &api.store
            .get_destination(member.workspace_id, destination_id)
            .await?,
    )))
}

/// A new destination. Its path or address is checked now, and again whenever it is written.
pub(crate) async fn create_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let member = caller.member(&api, id, "destinations.write").await?;
    let now = (api.clock)();
    let written = Written::read(&api, None, body).await?;
    let destination = Destination {
        id: (api.new_id)(),
        workspace_id: member.workspace_id,
        name: written.name,
        destination_type: written.destination_type,
        config: written.config,
        rate_limit: written.rate_limit,
        created_at: now,
        updated_at: now,
    };
    api.store.insert_destination(&destination).await?;
    Ok((StatusCode::CREATED, Json(shown(&destination))))
}

/// Replaces a destination, all but its type: policies name that.
pub(crate) async fn update_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "destinations.write").await?;
    let before = api
        .store
        .get_destination(member.workspace_id, destination_id)
        .await?;
    let written = Written::read(&api, Some(&before), body).await?;
    let destination = Destination {
        name: written.name,
        config: written.config,
        rate_limit: written.rate_limit,
        updated_at: (api.clock)(),
        ..before
    };
    api.store.update_destination(&destination).await?;
    Ok(Json(shown(&destination)))
}

/// Removes a destination that no sync writes.
pub(crate) async fn delete_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_id)): Ids<(Uuid, Uuid)>,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "destinations.delete").await?;
    api.store
        .delete_destination(member.workspace_id, destination_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

struct Written {
    name: String,
    destination_type: String,
    config: Map<String, Value>,
    rate_limit: RateLimit,
}

impl Written {
    async fn read(
        api: &Api,
        before: Option<&Destination>,
        body: Body,
    ) -> Result<Written, ApiError> {
        let mut fields = Fields::read(body).await?;
        let name = fields.name("name");
        fields.know("type");
        let destination_type = match before {
            Some(before) if !fields.gives("type") => before.destination_type.clone(),
            _ => fields.destination_type("type"),
        };
        let changes = |before: &Destination| before.destination_type != destination_type;
        if before.is_some_and(changes) {
            fields.fault(
                "$.type",
                "the type of a destination does not change: create another",
            );
        }
        let sent = fields.object("config");
        let config = written_config(&mut fields, before.map(|before| &before.config), sent);
        if !destination_type.is_empty() {
            fields.faults(api.sinks.check_config(&destination_type, &config).await);
        }
        let expected = "requests_per_second and rows_per_second as whole numbers from 1";
        let rate_limit: RateLimit = fields.typed("rate_limit", expected).unwrap_or_default();
        if [rate_limit.requests_per_second, rate_limit.rows_per_second].contains(&Some(0)) {
            fields.fault("$.rate_limit", format!("expected {expected}"));
        }
        fields.finish()?;
        Ok(Written {
            name,
            destination_type,
            config,
            rate_limit,
        })
    }
}
