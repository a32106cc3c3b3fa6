//! `/workspaces/{id}/destinations`: places to send to.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use super::secrets::written_config;
use crate::catalog::{Destination, RateLimit};

/// The destinations of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/destinations", tag = "destinations",
    extensions(("x-permission" = json!("destinations.read"))),
    responses((status = 200, body = Vec<Destination>)),
)]
pub(crate) async fn list_destinations(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Destination>>, ApiError> {
    let member = caller.member(&api, id, "destinations.read").await?;
    let destinations = api.store.list_destinations(member.workspace_id).await?;
    Ok(Json(destinations))
}

/// One destination; secrets are not read back.
#[utoipa::path(
    get, path = "/workspaces/{id}/destinations/{destinationId}", tag = "destinations",
    extensions(("x-permission" = json!("destinations.read"))),
    responses((status = 200, body = Destination, headers(("ETag")))),
)]
pub(crate) async fn get_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Destination>, ApiError> {
    let member = caller.member(&api, id, "destinations.read").await?;
    Ok(Object::ok(
        api.store
            .get_destination(member.workspace_id, destination_id)
            .await?,
    ))
}

/// A new destination. Its path or address is checked now, and again whenever it is written.
#[utoipa::path(
    post, path = "/workspaces/{id}/destinations", tag = "destinations",
    extensions(("x-permission" = json!("destinations.write"))),
    request_body = ref("#/components/schemas/NewDestination"),
    responses((status = 201, body = Destination, headers(("ETag")))),
)]
pub(crate) async fn create_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Destination>, ApiError> {
    let member = caller.member(&api, id, "destinations.write").await?;
    let written = Written::read(&api, &member, None, body).await?;
    let destination = Destination {
        id: (api.new_id)(),
        workspace_id: member.workspace_id,
        name: written.name,
        destination_type: written.destination_type,
        config: written.config,
        rate_limit: written.rate_limit,
        created_at: member.act.at,
        updated_at: member.act.at,
    };
    api.store
        .insert_destination(&destination, &member.act)
        .await?;
    Ok(Object::created(destination))
}

/// Replaces a destination, all but its type: policies name that.
#[utoipa::path(
    put, path = "/workspaces/{id}/destinations/{destinationId}", tag = "destinations",
    extensions(("x-permission" = json!("destinations.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/DestinationBody"),
    responses((status = 200, body = Destination, headers(("ETag")))),
)]
pub(crate) async fn update_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Destination>, ApiError> {
    let member = caller.member(&api, id, "destinations.write").await?;
    let before = api
        .store
        .get_destination(member.workspace_id, destination_id)
        .await?;
    if_match.check(&before)?;
    let written = Written::read(&api, &member, Some(&before), body).await?;
    let destination = Destination {
        name: written.name,
        config: written.config,
        rate_limit: written.rate_limit,
        updated_at: member.act.at,
        ..before.clone()
    };
    api.store
        .update_destination(&before, &destination, &member.act)
        .await?;
    Ok(Object::ok(destination))
}

/// Removes a destination that no sync writes.
#[utoipa::path(
    delete, path = "/workspaces/{id}/destinations/{destinationId}", tag = "destinations",
    extensions(("x-permission" = json!("destinations.delete"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_destination(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "destinations.delete").await?;
    let before = api
        .store
        .get_destination(member.workspace_id, destination_id)
        .await?;
    if_match.check(&before)?;
    api.store.delete_destination(&before, &member.act).await?;
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
        member: &Member,
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
        if let Some(model_id) = proxied_model(&config) {
            let found = api.store.get_model(member.workspace_id, model_id).await;
            fields.referred("config.proxy.model_id", found)?;
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

/// The model whose policies apply to requests that go through us.
fn proxied_model(config: &Map<String, Value>) -> Option<Uuid> {
    let id = config.get("proxy")?.get("model_id")?.as_str()?;
    Uuid::try_parse(id).ok()
}
