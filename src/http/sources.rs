//! `/workspaces/{id}/sources`: warehouse connections.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::secrets::written_config;
use crate::catalog::{Source, SourceType, redacted_config};
use crate::source;

fn shown(source: &Source) -> Value {
    json!({
        "id": source.id,
        "workspace_id": source.workspace_id,
        "name": source.name,
        "type": source.source_type,
        "config": redacted_config(&source.config),
        "created_at": source.created_at,
        "updated_at": source.updated_at,
    })
}

/// The sources of a workspace.
pub(crate) async fn list_sources(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let member = caller.member(&api, id, "sources.read").await?;
    let sources = api.store.list_sources(member.workspace_id).await?;
    Ok(Json(sources.iter().map(shown).collect()))
}

/// One source; secrets are not read back.
pub(crate) async fn get_source(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, source_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "sources.read").await?;
    Ok(Json(shown(
        &api.store.get_source(member.workspace_id, source_id).await?,
    )))
}

/// A new source. Its paths and addresses are checked now, and again whenever it is read.
pub(crate) async fn create_source(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let member = caller.member(&api, id, "sources.write").await?;
    let now = (api.clock)();
    let written = Written::read(&api, None, body).await?;
    let source = Source {
        id: (api.new_id)(),
        workspace_id: member.workspace_id,
        name: written.name,
        source_type: written.source_type,
        config: written.config,
        created_at: now,
        updated_at: now,
    };
    api.store.insert_source(&source).await?;
    Ok((StatusCode::CREATED, Json(shown(&source))))
}

/// Replaces a source, all but its type.
pub(crate) async fn update_source(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, source_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "sources.write").await?;
    let before = api.store.get_source(member.workspace_id, source_id).await?;
    let written = Written::read(&api, Some(&before), body).await?;
    let source = Source {
        name: written.name,
        config: written.config,
        updated_at: (api.clock)(),
        ..before
    };
    api.store.update_source(&source).await?;
    Ok(Json(shown(&source)))
}

/// Removes a source that no model reads.
pub(crate) async fn delete_source(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, source_id)): Ids<(Uuid, Uuid)>,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "sources.delete").await?;
    api.store
        .delete_source(member.workspace_id, source_id)
        .await?;
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
