//! `/governance/solutions`: how each stands is computed when it is asked for.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::{Fields, NAME, is_name};
use super::super::error::ApiError;
use super::attestations;
use super::officer::Officer;
use super::page::{ListQuery, Paged};
use crate::compliance::{
    Listed, OrganizationId, Ownership, Policy, PolicyCategory, PolicyId, Resource, ResourceType,
    Rule, Score, Severity, Snapshot, Solution, SolutionId, SolutionStatus,
};
use crate::store::{SolutionFilter, StoreError};

/// What the list can be sorted by.
pub(crate) const SORTS: [&str; 4] = ["createdAt", "updatedAt", "name", "complianceScore"];
/// Most policies, and most models, of a solution.
pub(crate) const MOST: usize = 500;

/// A solution, and how it stands now (seed 000, "Solution Object").
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Solution)]
pub(crate) struct Shown {
    /// Identifier.
    id: SolutionId,
    /// Unique in the organisation.
    name: String,
    /// What it is for.
    description: String,
    /// Whether it meets all its policies in force, and has one.
    status: SolutionStatus,
    /// The organisation.
    organization_id: OrganizationId,
    /// Whose it is.
    ownership: Ownership,
    /// Its policies.
    policies: Vec<PolicyId>,
    /// Its models.
    models: Vec<String>,
    /// The share of its checks, each a policy on a resource, that are compliant: 0 to 100.
    compliance_score: f64,
    /// Creation time.
    created_at: DateTime<Utc>,
    /// Last change.
    updated_at: DateTime<Utc>,
}

impl Shown {
    fn of(solution: Solution, score: Score) -> Shown {
        Shown {
            id: solution.id,
            name: solution.name,
            description: solution.description,
            status: score.status(),
            organization_id: solution.organization_id,
            ownership: solution.ownership,
            policies: solution.policies,
            models: solution.models,
            compliance_score: score.score,
            created_at: solution.created_at,
            updated_at: solution.updated_at,
        }
    }

    async fn now(api: &Api, solution: Solution) -> Result<Shown, ApiError> {
        let score = api.overseer.score(&solution).await?;
        Ok(Shown::of(solution, score))
    }
}

/// A solution with everything that is on record of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SolutionExport)]
pub(crate) struct Export {
    /// What it is.
    solution: ExportedSolution,
    /// Its policies, in force or not.
    policies: Vec<ExportedPolicy>,
    /// Its snapshots, oldest first.
    snapshots: Vec<Snapshot>,
    /// Its attestations, oldest first.
    attestations: Vec<attestations::Shown>,
    /// When.
    exported_at: DateTime<Utc>,
}

/// What a solution is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportedSolution {
    /// Identifier.
    id: SolutionId,
    /// Unique in the organisation.
    name: String,
    /// What it is for.
    description: String,
    /// Whose it is.
    ownership: Ownership,
}

/// What a policy asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportedPolicy {
    /// Identifier.
    id: PolicyId,
    /// Its name.
    name: String,
    /// What it is about.
    category: PolicyCategory,
    /// How much is at stake.
    severity: Severity,
    /// What must hold.
    rules: Vec<Rule>,
}

impl From<Policy> for ExportedPolicy {
    fn from(policy: Policy) -> ExportedPolicy {
        ExportedPolicy {
            id: policy.id,
            name: policy.name,
            category: policy.category,
            severity: policy.severity,
            rules: policy.rules,
        }
    }
}

/// The solutions, each with how it stands now.
#[utoipa::path(
    get, path = "/solutions", tag = "governance-solutions",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("search" = Option<String>, Query),
        ("team" = Option<String>, Query),
        ("limit" = Option<String>, Query),
        ("offset" = Option<String>, Query),
        ("sort" = Option<String>, Query),
    ),
    responses((status = 200, body = Paged<Shown>)),
)]
pub(crate) async fn list_solutions(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Shown>>, ApiError> {
    Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let filter = SolutionFilter {
        search: query.text("search"),
        team: query.text("team"),
    };
    let page = query.page(&SORTS)?;
    let listed = api.overseer.list_solutions(&filter, page).await?;
    let shown = listed.data.into_iter();
    let shown = shown.map(|(solution, score)| Shown::of(solution, score));
    let shown = Listed {
        data: shown.collect(),
        total: listed.total,
    };
    Ok(Json(Paged::new(page, shown)))
}

/// One solution, with how it stands now.
#[utoipa::path(
    get, path = "/solutions/{id}", tag = "governance-solutions",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Shown)),
)]
pub(crate) async fn get_solution(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SolutionId>,
) -> Result<Json<Shown>, ApiError> {
    Officer::reads(&api, &caller).await?;
    let solution = api.store.get_solution(id).await?;
    Ok(Json(Shown::now(&api, solution).await?))
}

/// A new solution.
#[utoipa::path(
    post, path = "/solutions", tag = "governance-solutions",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewSolution"),
    responses((status = 201, body = Shown)),
)]
pub(crate) async fn create_solution(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Shown>), ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let solution = read(&api, &officer, None, body).await?;
    // Learnt before: once it is saved, nothing may fail any more.
    let score = api.overseer.score(&solution).await?;
    api.store.insert_solution(&solution, &officer.act).await?;
    Ok((StatusCode::CREATED, Json(Shown::of(solution, score))))
}

/// Updates a solution. What the body leaves out stays as it is.
#[utoipa::path(
    put, path = "/solutions/{id}", tag = "governance-solutions",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/SolutionChange"),
    responses((status = 200, body = Shown)),
)]
pub(crate) async fn update_solution(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SolutionId>,
    body: Body,
) -> Result<Json<Shown>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let before = api.store.get_solution(id).await?;
    let solution = read(&api, &officer, Some(&before), body).await?;
    let score = api.overseer.score(&solution).await?;
    api.store
        .update_solution(&before, &solution, &officer.act)
        .await?;
    Ok(Json(Shown::of(solution, score)))
}

/// Deletes a solution, with its snapshots and attestations.
#[utoipa::path(
    delete, path = "/solutions/{id}", tag = "governance-solutions",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 204)),
)]
pub(crate) async fn delete_solution(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SolutionId>,
) -> Result<StatusCode, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let before = api.store.get_solution(id).await?;
    api.store.delete_solution(&before, &officer.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A solution with its policies, snapshots and attestations.
#[utoipa::path(
    post, path = "/solutions/{id}/export", tag = "governance-solutions",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Export)),
)]
pub(crate) async fn export_solution(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SolutionId>,
) -> Result<Json<Export>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let solution = api.store.get_solution(id).await?;
    let policies = api.store.get_policies(&solution.policies).await?;
    let snapshots = api.store.snapshots_of(solution.id).await?;
    let attested = api.store.attestations_of(solution.id).await?;
    let now = officer.act.at;
    let attested = attested.iter();
    Ok(Json(Export {
        solution: ExportedSolution {
            id: solution.id,
            name: solution.name,
            description: solution.description,
            ownership: solution.ownership,
        },
        policies: policies.into_iter().map(ExportedPolicy::from).collect(),
        snapshots,
        attestations: attested
            .map(|attestation| attestations::Shown::of(attestation, now))
            .collect(),
        exported_at: now,
    }))
}

async fn read(
    api: &Api,
    officer: &Officer,
    before: Option<&Solution>,
    body: Body,
) -> Result<Solution, ApiError> {
    let mut fields = match before {
        Some(_) => Fields::read_changes(body).await?,
        None => Fields::read(body).await?,
    };
    let name = fields.name_or("name", before.map(|solution| &solution.name));
    let description = before.map(|solution| &solution.description);
    let description = fields.text_or("description", description);
    let ownership = match kept(&mut fields, "ownership", before) {
        Some(before) => before.ownership.clone(),
        None => ownership(&mut fields),
    };
    let policies = match kept(&mut fields, "policies", before) {
        Some(before) => before.policies.clone(),
        None => policies(api, &mut fields).await?,
    };
    let models = match kept(&mut fields, "models", before) {
        Some(before) => before.models.clone(),
        None => models(api, &mut fields).await?,
    };
    fields.finish()?;
    Ok(Solution {
        id: before.map_or_else(|| SolutionId((api.new_id)()), |solution| solution.id),
        name,
        description,
        organization_id: officer.organization_id,
        ownership,
        policies,
        models,
        created_at: before.map_or(officer.act.at, |solution| solution.created_at),
        updated_at: officer.act.at,
    })
}

/// The solution as it was, where a field was not sent.
fn kept<'a>(
    fields: &mut Fields,
    key: &'static str,
    before: Option<&'a Solution>,
) -> Option<&'a Solution> {
    fields.know(key);
    before.filter(|_| !fields.has(key))
}

/// Whose it is: nobody's where nothing is said.
fn ownership(fields: &mut Fields) -> Ownership {
    let mut ownership = Ownership::default();
    let object = match fields.value("ownership") {
        None => return ownership,
        Some(Value::Object(object)) => object,
        Some(_) => {
            fields.fault("$.ownership", "expected an object with team and owner");
            return ownership;
        }
    };
    for (key, value) in object {
        let place = match key.as_str() {
            "team" => &mut ownership.team,
            "owner" => &mut ownership.owner,
            _ => {
                let message = "unknown key; expected team, owner";
                fields.fault(&format!("$.ownership.{key}"), message);
                continue;
            }
        };
        match value {
            Value::Null => {}
            Value::String(text) if is_name(&text) => *place = Some(text),
            _ => fields.fault(&format!("$.ownership.{key}"), format!("expected {NAME}")),
        }
    }
    ownership
}

/// A list of identifiers: none where it was not sent, or is too long, which is a fault.
fn list(fields: &mut Fields, key: &'static str) -> Vec<String> {
    let texts = fields.texts(key).unwrap_or_default();
    if texts.len() > MOST {
        fields.fault(&format!("$.{key}"), format!("expected at most {MOST}"));
        return Vec::new();
    }
    texts
}

/// Policies that are there, each once.
async fn policies(api: &Api, fields: &mut Fields) -> Result<Vec<PolicyId>, StoreError> {
    let texts = list(fields, "policies");
    let ids: BTreeSet<PolicyId> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    let ids: Vec<PolicyId> = ids.into_iter().collect();
    let known = api.store.get_policies(&ids).await?;
    let known: BTreeSet<PolicyId> = known.into_iter().map(|policy| policy.id).collect();
    let mut policies = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let path = format!("$.policies[{i}]");
        match text.parse().ok().filter(|id| known.contains(id)) {
            Some(id) if policies.contains(&id) => fields.fault_once(&path, "it comes twice"),
            Some(id) => policies.push(id),
            None => fields.fault_once(&path, "there is no such policy"),
        }
    }
    Ok(policies)
}

/// Models of the catalog and others, each once; a UUID in its usual form.
async fn models(api: &Api, fields: &mut Fields) -> Result<Vec<String>, StoreError> {
    let texts = list(fields, "models");
    let is_of_catalog = |text: &String| Uuid::try_parse(text).is_ok();
    let landscape = match texts.iter().any(is_of_catalog) {
        true => Some(api.store.landscape().await?),
        false => None,
    };
    let mut models = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let path = format!("$.models[{i}]");
        let model = Resource::new(ResourceType::Model, text);
        let landscape = landscape.as_ref().filter(|_| is_of_catalog(text));
        if landscape.is_some_and(|landscape| landscape.locate(&model).is_none()) {
            fields.fault_once(&path, "there is no such model");
        } else if !is_name(&model.id) {
            fields.fault_once(&path, &format!("expected a model's id, or {NAME}"));
        } else if models.contains(&model.id) {
            fields.fault_once(&path, "it comes twice");
        } else {
            models.push(model.id);
        }
    }
    Ok(models)
}
