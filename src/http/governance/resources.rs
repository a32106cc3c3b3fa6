//! `/governance/resources`: what is known of a resource, and what is declared of it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::officer::Officer;
use crate::compliance::{Declaration, Facts, Located, Origin, Resource, ResourceType};

/// Most characters of an identifier.
const LONGEST_ID: usize = 200;

/// A resource with its facts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceFacts {
    /// What it is.
    resource_type: ResourceType,
    /// Its identifier.
    resource_id: String,
    /// What is known of it, by field.
    facts: Vec<KnownFact>,
}

/// One thing that is known of a resource.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct KnownFact {
    /// Dotted path, as rules of policies name it.
    field: String,
    /// A scalar, or an array of scalars.
    #[schema(value_type = Value)]
    value: Value,
    /// Where it is known from.
    origin: Origin,
    /// The account that declared it; absent for what the catalog tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    declared_by: Option<Uuid>,
    /// When it was declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    declared_at: Option<DateTime<Utc>>,
}

impl ResourceFacts {
    fn of(located: Located, facts: Facts) -> ResourceFacts {
        let shown = facts.0.into_iter().map(|(field, fact)| KnownFact {
            field,
            value: fact.value,
            origin: fact.origin,
            declared_by: fact.declared_by,
            declared_at: fact.declared_at,
        });
        ResourceFacts {
            resource_type: located.resource.resource_type,
            facts: shown.collect(),
            resource_id: located.resource.id,
        }
    }
}

/// What is known of a resource now, and where each fact is known from.
#[utoipa::path(
    get, path = "/resources/{type}/{id}", tag = "governance-resources",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = ResourceFacts)),
)]
pub(crate) async fn get_resource(
    State(api): State<Api>,
    caller: Caller,
    Ids((kind, id)): Ids<(String, String)>,
) -> Result<Json<ResourceFacts>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let located = locate(&api, &officer, &kind, &id).await?;
    let facts = api.overseer.facts(&located).await?;
    Ok(Json(ResourceFacts::of(located, facts)))
}

/// Declares facts of a resource. Attributes that the body leaves out stay; null removes.
#[utoipa::path(
    put, path = "/resources/{type}/{id}", tag = "governance-resources",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/ResourceBody"),
    responses((status = 200, body = ResourceFacts)),
)]
pub(crate) async fn declare_resource(
    State(api): State<Api>,
    caller: Caller,
    Ids((kind, id)): Ids<(String, String)>,
    body: Body,
) -> Result<Json<ResourceFacts>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let located = locate(&api, &officer, &kind, &id).await?;
    let mut fields = Fields::read(body).await?;
    let attributes = fields.object("attributes");
    let (declaration, faults) = Declaration::read(&attributes, "$.attributes");
    fields.faults(faults);
    let known = api.overseer.facts(&located).await?;
    for path in declaration.declared.keys() {
        if known.tells(located.resource.resource_type, path) {
            let message = "the catalog tells this itself: it cannot be declared";
            fields.fault(&format!("$.attributes.{path}"), message);
        }
    }
    fields.finish()?;
    api.store
        .declare(&located, &declaration, &officer.act)
        .await?;
    let facts = api.overseer.facts(&located).await?;
    Ok(Json(ResourceFacts::of(located, facts)))
}

/// The resource that a path names, if it is within the officer's purview.
async fn locate(api: &Api, officer: &Officer, kind: &str, id: &str) -> Result<Located, ApiError> {
    let kind = ResourceType::of(kind).ok_or_else(|| ApiError::not_found("resource type"))?;
    let length = id.chars().count();
    if !(1..=LONGEST_ID).contains(&length) || id.chars().any(char::is_control) {
        return Err(ApiError::not_found("resource"));
    }
    let located = api.store.locate(Resource::new(kind, id)).await?;
    officer.oversees(&located)?;
    Ok(located)
}
