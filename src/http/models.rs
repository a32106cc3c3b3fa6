//! `/workspaces/{id}/models`: what is selected from a source.
//!
//! Saving a model opens it, so that its columns are known, and publishes it: a model whose
//! columns a policy does not fit is refused.

use arrow::datatypes::Schema;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::catalog::{Model, ModelQuery};
use crate::policy::{Change, Edit, Fault};
use crate::source::{self, SourceError};

/// The models of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/models", tag = "models",
    extensions(("x-permission" = json!("models.read"))),
    responses((status = 200, body = Vec<Model>)),
)]
pub(crate) async fn list_models(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Model>>, ApiError> {
    let member = caller.member(&api, id, "models.read").await?;
    let models = api.store.list_models(member.workspace_id).await?;
    Ok(Json(models))
}

/// One model, with the columns found when it was last saved.
#[utoipa::path(
    get, path = "/workspaces/{id}/models/{modelId}", tag = "models",
    extensions(("x-permission" = json!("models.read"))),
    responses((status = 200, body = Model, headers(("ETag")))),
)]
pub(crate) async fn get_model(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, model_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Model>, ApiError> {
    let member = caller.member(&api, id, "models.read").await?;
    Ok(Object::ok(
        api.store.get_model(member.workspace_id, model_id).await?,
    ))
}

/// A new model.
#[utoipa::path(
    post, path = "/workspaces/{id}/models", tag = "models",
    extensions(("x-permission" = json!("models.write"))),
    request_body = ref("#/components/schemas/ModelBody"),
    responses((status = 201, body = Model, headers(("ETag")))),
)]
pub(crate) async fn create_model(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Model>, ApiError> {
    let member = caller.member(&api, id, "models.write").await?;
    let model = publish(&api, &member, None, body).await?;
    Ok(Object::created(model))
}

/// Replaces a model, and finds its columns anew.
#[utoipa::path(
    put, path = "/workspaces/{id}/models/{modelId}", tag = "models",
    extensions(("x-permission" = json!("models.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/ModelBody"),
    responses((status = 200, body = Model, headers(("ETag")))),
)]
pub(crate) async fn update_model(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, model_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Model>, ApiError> {
    let member = caller.member(&api, id, "models.write").await?;
    let before = api.store.get_model(member.workspace_id, model_id).await?;
    if_match.check(&before)?;
    let model = publish(&api, &member, Some(before), body).await?;
    Ok(Object::ok(model))
}

/// Removes a model that no sync sends and no policy names.
#[utoipa::path(
    delete, path = "/workspaces/{id}/models/{modelId}", tag = "models",
    extensions(("x-permission" = json!("models.delete"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_model(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, model_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "models.delete").await?;
    let before = api.store.get_model(member.workspace_id, model_id).await?;
    if_match.check(&before)?;
    api.store.delete_model(&before, &member.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn publish(
    api: &Api,
    member: &Member,
    before: Option<Model>,
    body: Body,
) -> Result<Model, ApiError> {
    let now = member.act.at;
    let mut fields = Fields::read(body).await?;
    let name = fields.name("name");
    let source_id = fields.id("source_id");
    let query = match (text(&mut fields, "table"), text(&mut fields, "sql")) {
        (Some(table), None) => Some(ModelQuery::Table(table)),
        (None, Some(sql)) => Some(ModelQuery::Sql(sql)),
        _ => {
            fields.fault("$", "expected either table or sql");
            None
        }
    };
    let primary_key = fields.texts("primary_key").unwrap_or_default();
    for (i, column) in primary_key.iter().enumerate() {
        if primary_key.iter().take(i).any(|earlier| earlier == column) {
            fields.fault_once(&format!("$.primary_key[{i}]"), "the column comes twice");
        }
    }
    let found = api.store.get_source(member.workspace_id, source_id).await;
    let source = fields.referred("source_id", found)?;
    fields.finish()?;
    let (Some(query), Some(source)) = (query, source) else {
        return Err(ApiError::internal(
            &"a model without a query passed validation",
        ));
    };
    let path = match query {
        ModelQuery::Table(_) => "$.table",
        ModelQuery::Sql(_) => "$.sql",
    };
    let opened = source::open(&source, &query, &[], &api.reach).await;
    let opened = opened.map_err(|error| match error {
        SourceError::Unavailable(_) => ApiError::unreachable(&error),
        error => ApiError::fault(path, error.to_string()),
    })?;
    let schema = opened.schema();
    drop(opened);
    let mut faults = Vec::new();
    for (i, column) in primary_key.iter().enumerate() {
        if schema.column_with_name(column).is_none() {
            let message = format!("there is no column {column:?}: {}", names(&schema));
            faults.push(Fault::new(format!("$.primary_key[{i}]"), message));
        }
    }
    if let Some(before) = &before {
        faults.extend(unmapped(api, before, &schema, &primary_key).await?);
    }
    if !faults.is_empty() {
        return Err(ApiError::invalid(faults));
    }
    let (id, created_at) = match &before {
        Some(before) => (before.id, before.created_at),
        None => ((api.new_id)(), now),
    };
    let model = Model {
        id,
        workspace_id: member.workspace_id,
        name,
        source_id,
        query,
        primary_key,
        schema,
        created_at,
        updated_at: now,
    };
    let edit = Edit {
        before: before.map(Arc::new),
        after: Some(Arc::new(model.clone())),
    };
    let changes = [Change::Model(edit)];
    let published = api
        .publisher
        .publish(member.workspace_id, &changes, &member.act);
    published
        .await
        .map_err(|error| ApiError::publish(None, error))?;
    Ok(model)
}

fn text(fields: &mut Fields, key: &'static str) -> Option<String> {
    let text = fields.text(key)?;
    if text.trim().is_empty() {
        fields.fault(&format!("$.{key}"), "expected a text that is not empty");
    }
    Some(text)
}

/// The columns of a schema, for a message.
pub(crate) fn names(schema: &Schema) -> String {
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    format!("the model has {}", names.join(", "))
}

/// What the syncs of a model would miss in its new columns.
async fn unmapped(
    api: &Api,
    model: &Model,
    schema: &Schema,
    primary_key: &[String],
) -> Result<Vec<Fault>, ApiError> {
    let mut faults = Vec::new();
    for sync in api.store.list_syncs(model.workspace_id).await? {
        if sync.model_id != model.id {
            continue;
        }
        for mapped in sync.mapping.iter().flatten() {
            if schema.column_with_name(&mapped.from).is_none() {
                let message = format!(
                    "the sync {:?} sends the column {:?}",
                    sync.name, mapped.from
                );
                faults.push(Fault::new("$", message));
            }
        }
        if !model.primary_key.is_empty() && primary_key.is_empty() {
            let destination = api
                .store
                .get_destination(model.workspace_id, sync.destination_id)
                .await?;
            if super::syncs::needs_key(sync.mode, &destination) {
                let message = format!("the sync {:?} needs a primary key", sync.name);
                faults.push(Fault::new("$.primary_key", message));
            }
        }
    }
    Ok(faults)
}
