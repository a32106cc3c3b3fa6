//! `/governance/enforcement/check`, `/governance/metrics` and `/governance/resource-types`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::de::{self, value::StrDeserializer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Api;
use super::super::auth::Caller;
use super::super::error::ApiError;
use super::super::query::Query;
use super::officer::Officer;
use crate::catalog::Environment;
use crate::compliance::{Check, Metrics, Resource, ResourceType};

/// A kind of thing that policies can govern.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResourceKind {
    /// The kind.
    id: ResourceType,
    /// What to call it.
    label: &'static str,
    /// What it is here.
    description: &'static str,
}

/// How a resource stands towards every policy in force that applies to it, evaluated now. With an
/// environment, each policy that is not met says what follows for syncs of that environment.
#[utoipa::path(
    get, path = "/enforcement/check", tag = "governance-enforcement",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("resourceId" = String, Query),
        ("resourceType" = String, Query),
        ("environment" = Option<String>, Query),
    ),
    responses((status = 200, body = Check)),
)]
pub(crate) async fn check_enforcement(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Check>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let mut query = Query::read(&query.unwrap_or_default());
    let id = query.require("resourceId", "the id of a resource", |text| {
        let sound = !text.is_empty() && !text.contains('\0');
        sound.then(|| text.to_owned())
    });
    let kinds = "addon, app, workflow or model";
    let resource_type = query.require("resourceType", kinds, |text| {
        ResourceType::of(text).map(Some)
    });
    let environments = "development, staging or production";
    let environment = query.take("environment", environments, |text| {
        let word = StrDeserializer::<de::value::Error>::new(text);
        Environment::deserialize(word).ok()
    });
    query.finish().map_err(ApiError::of_parameters)?;
    let resource_type = resource_type
        .ok_or_else(|| ApiError::internal(&"a query without a resource type was taken"))?;
    let resource = Resource::new(resource_type, &id);
    let located = api.store.locate(resource).await?;
    officer.oversees(&located)?;
    let check = api.overseer.check(&located, environment, officer.act.at);
    Ok(Json(check.await?))
}

/// Figures over all policies, and over the instances of resources that the caller may know of.
#[utoipa::path(
    get, path = "/metrics", tag = "governance-enforcement",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Metrics)),
)]
pub(crate) async fn get_governance_metrics(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Metrics>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let metrics = api
        .store
        .compliance_metrics(&officer.purview, officer.act.at);
    Ok(Json(metrics.await?))
}

/// The kinds of things that policies can govern.
#[utoipa::path(
    get, path = "/resource-types", tag = "governance-enforcement",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<ResourceKind>)),
)]
pub(crate) async fn list_resource_types(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<[ResourceKind; 4]>, ApiError> {
    Officer::reads(&api, &caller).await?;
    Ok(Json(ResourceType::ALL.map(about)))
}

fn about(id: ResourceType) -> ResourceKind {
    let (label, description) = match id {
        ResourceType::Addon => (
            "Add-on",
            "Sources: the warehouses, databases and files that models read",
        ),
        ResourceType::App => (
            "Application",
            "Destinations: the tools, databases and files that syncs write to",
        ),
        ResourceType::Workflow => (
            "Workflow",
            "Syncs: a model bound to a destination, with its environment and schedule",
        ),
        ResourceType::Model => (
            "AI Model",
            "Models: the queries and tables whose records leave through syncs, streams and SQL",
        ),
    };
    ResourceKind {
        id,
        label,
        description,
    }
}
