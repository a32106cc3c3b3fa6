//! `/workspaces/{id}/sources`: warehouse connections.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use super::secrets::written_config;
use crate::catalog::{Source, SourceType};
use crate::source;

/// The sources of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/sources", tag = "sources",
    extensions(("x-permission" = json!("sources.read"))),
    responses((status = 200, body = Vec<Source>)),
)]
pub(crate) async fn list_sources(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Source>>, ApiError> {
    let member = caller.member(&api, id, "sources.read").await?;
    let sources = api.store.list_sources(member.workspace_id).await?;
    Ok(Json(sources))
}

/// One source; secrets are not read back.
#[utoipa::path(
    get, path = "/workspaces/{id}/sources/{sourceId}", tag = "sources",
    extensions(("x-permission" = json!("sources.read"))),
    responses((status = 200, body = Source, headers(("ETag")))),
)]
pub(crate) async fn get_source(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, source_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Source>, ApiError> {
    let member = caller.member(&api, id, "sources.read").await?;
    Ok(Object::ok(
        api.store.get_source(member.workspace_id, source_id).await?,
    ))
}

/// A new source. Its paths and addresses are checked now, and again whenever it is read.
#[utoipa::path(
    post, path = "/workspaces/{id}/sources", tag = "sources",
    extensions(("x-permission" = json!("sources.write"))),
    request_body = ref("#/components/schemas/NewSource"),
    responses((status = 201, body = Source, headers(("ETag")))),
)]
pub(crate) async fn create_source(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Source>, ApiError> {
    let member = caller.member(&api, id, "sources.write").await?;
    let written = Written::read(&api, None, body).await?;
    let source = Source {
        id: (api.new_id)(),
        workspace_id: member.workspace_id,
        name: written.name,
        source_type: written.source_type,
        config: written.config,
        created_at: member.act.at,
        updated_at: member.act.at,
    };
    api.store.insert_source(&source, &member.act).await?;
    Ok(Object::created(source))
}

/// Replaces a source, all but its type.
#[utoipa::path(
    put, path = "/workspaces/{id}/sources/{sourceId}", tag = "sources",
    extensions(("x-permission" = json!("sources.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/SourceBody"),
    responses((status = 200, body = Source, headers(("ETag")))),
)]
pub(crate) async fn update_source(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, source_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Source>, ApiError> {
    let member = caller.member(&api, id, "sources.write").await?;
    let before = api.store.get_source(member.workspace_id, source_id).await?;
    if_match.check(&before)?;
    let written = Written::read(&api, Some(&before), body).await?;
    let source = Source {
        name: written.name,
        config: written.config,
        updated_at: member.act.at,
        ..before.clone()
    };
    api.store
        .update_source(&before, &source, &member.act)
        .await?;
    Ok(Object::ok(source))
}

/// Removes a source that no model reads.
#[utoipa::path(
    delete, path = "/workspaces/{id}/sources/{sourceId}", tag = "sources",
    extensions(("x-permission" = json!("sources.delete"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_source(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, source_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "sources.delete").await?;
    let before = api.store.get_source(member.workspace_id, source_id).await?;
    if_match.check(&before)?;
    api.store.delete_source(&before, &member.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

struct Written {
    name: String,
    source_type: SourceType,
    config: serde_json::Map<String, Value>,
}

impl Written {
    async fn read(api: &Api, before: Option<&Source>, body: Body) -> Result<Written, ApiError> {
        let mut fields = Fields::read(body).await?;
        let name = fields.name("name");
        let sent = fields.gives("type");
        let source_type = fields.typed("type", "one of files, sqlite, postgres");
        if !sent && before.is_none() {
            fields.fault("$.type", "missing; expected one of files, sqlite, postgres");
        }
        if let (Some(before), Some(now)) = (before, source_type)
            && before.source_type != now
        {
            fields.fault(
                "$.type",
                "the type of a source does not change: create another",
            );
        }
        let source_type = source_type
            .or(before.map(|source| source.source_type))
            .unwrap_or(SourceType::Files);
        let sent = fields.object("config");
        let config = written_config(&mut fields, before.map(|source| &source.config), sent);
        fields.faults(source::check_config(source_type, &config, &api.reach));
        fields.finish()?;
        Ok(Written {
            name,
            source_type,
            config,
        })
    }
}
