//! `/governance/templates`: policies to be made, for common frameworks. An organisation sees its
//! own, and those that others have published for everybody; it changes its own alone.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::super::etag::{IfMatch, Object};
use super::officer::Officer;
use super::page::{ListQuery, Paged};
use crate::compliance::{
    Policy, PolicyDefinition, PolicyId, PolicyStatus, ResourceType, Review, Severity, Template,
    TemplateCategory, TemplateId, rule,
};
use crate::store::TemplateFilter;

/// What the list can be sorted by.
const SORTS: [&str; 5] = [
    "createdAt",
    "updatedAt",
    "name",
    "category",
    "averageRating",
];

const CATEGORY: &str = "security, compliance, operational, healthcare or financial";
const SEVERITY: &str = "critical, high, medium or low";
const RESOURCE_TYPE: &str = "addon, app, workflow or model";

/// What a publication answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PublishedTemplate)]
pub(crate) struct Published {
    /// The template.
    id: TemplateId,
    /// Whether it is published.
    published: bool,
    /// When it was.
    updated_at: DateTime<Utc>,
}

/// What a review answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReviewedTemplate)]
pub(crate) struct Reviewed {
    /// The template.
    id: TemplateId,
    /// What was said of it, oldest first.
    reviews: Vec<Review>,
    /// The mean of the ratings, with one decimal.
    #[schema(required)]
    average_rating: Option<f64>,
    /// When the last was said.
    updated_at: DateTime<Utc>,
}

/// The templates that the organisation may see.
#[utoipa::path(
    get, path = "/templates", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("search" = Option<String>, Query),
        ("category" = Option<String>, Query),
        ("resourceType" = Option<String>, Query),
        ("verified" = Option<bool>, Query),
        ("framework" = Option<String>, Query),
        ("limit" = Option<u32>, Query),
        ("offset" = Option<u64>, Query),
        ("sort" = Option<String>, Query),
    ),
    responses((status = 200, body = Paged<Template>)),
)]
pub(crate) async fn list_templates(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Template>>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let filter = TemplateFilter {
        search: query.text("search"),
        category: query.word("category", CATEGORY),
        resource_type: query.word("resourceType", RESOURCE_TYPE),
        verified: query.switch("verified"),
        framework: query.text("framework"),
    };
    let page = query.page(&SORTS)?;
    let listed = api
        .store
        .list_templates(officer.organization_id, &filter, page)
        .await?;
    Ok(Json(Paged::new(page, listed)))
}

/// A new template of the organisation, not yet published.
#[utoipa::path(
    post, path = "/templates", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewTemplate"),
    responses((status = 201, body = Template, headers(("ETag")))),
)]
pub(crate) async fn create_template(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Object<Template>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let template = read(&api, &officer, None, body).await?;
    api.store.insert_template(&template, &officer.act).await?;
    Ok(Object::created(template))
}

/// One template.
#[utoipa::path(
    get, path = "/templates/{id}", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Template, headers(("ETag")))),
)]
pub(crate) async fn get_template(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
) -> Result<Object<Template>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let template = api.store.get_template(officer.organization_id, id).await?;
    Ok(Object::ok(template))
}

/// Updates a template of the organisation. What the body leaves out stays as it is. A published
/// template becomes its next version.
#[utoipa::path(
    put, path = "/templates/{id}", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/TemplateChange"),
    responses((status = 200, body = Template, headers(("ETag")))),
)]
pub(crate) async fn update_template(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Template>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let before = own(&api, &officer, id).await?;
    if_match.check(&before)?;
    let template = read(&api, &officer, Some(&before), body).await?;
    let after = api
        .store
        .update_template(&before, &template, &officer.act)
        .await?;
    Ok(Object::ok(after))
}

/// Deletes a template of the organisation. A published one stays if policies were made from it.
#[utoipa::path(
    delete, path = "/templates/{id}", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_template(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let before = own(&api, &officer, id).await?;
    if_match.check(&before)?;
    api.store.delete_template(&before, &officer.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a template was before each change since it was published, oldest first.
#[utoipa::path(
    get, path = "/templates/{id}/versions", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<Template>)),
)]
pub(crate) async fn list_template_versions(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
) -> Result<Json<Vec<Template>>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let template = api.store.get_template(officer.organization_id, id).await?;
    let versions = api
        .store
        .template_versions(officer.organization_id, &template)
        .await?;
    Ok(Json(versions))
}

/// A new policy with the rules of a template.
#[utoipa::path(
    post, path = "/templates/{id}/use", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/TemplateUse"),
    responses((status = 201, body = Policy, headers(("ETag")))),
)]
pub(crate) async fn use_template(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
    body: Body,
) -> Result<Object<Policy>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let template = api.store.get_template(officer.organization_id, id).await?;
    let mut fields = Fields::read_optional(body).await?;
    let name = match fields.gives("name") {
        true => fields.name("name"),
        false => {
            fields.value("name");
            template.name
        }
    };
    let description = fields.text("description").unwrap_or(template.description);
    let severity = fields
        .typed("severity", SEVERITY)
        .or(template.policy_definition.severity)
        .unwrap_or(Severity::High);
    fields.finish()?;
    let policy = Policy {
        id: PolicyId((api.new_id)()),
        name,
        description,
        status: PolicyStatus::Active,
        category: template.category.of_policy(),
        severity,
        rules: template.policy_definition.rules,
        organization_id: officer.organization_id,
        is_active: true,
        template: Some((template.id, template.version)),
        created_at: officer.act.at,
        updated_at: officer.act.at,
    };
    api.store.insert_policy(&policy, &officer.act).await?;
    Ok(Object::created(policy))
}

/// Publishes a template of the organisation: if it is public, other organisations may use it.
#[utoipa::path(
    post, path = "/templates/{id}/publish", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 200, body = Published)),
)]
pub(crate) async fn publish_template(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
) -> Result<Json<Published>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    own(&api, &officer, id).await?;
    let template = api.store.publish_template(id, &officer.act).await?;
    Ok(Json(Published {
        id: template.id,
        published: template.published,
        updated_at: template.updated_at,
    }))
}

/// Says what the caller thinks of a published template, in place of what they said before.
#[utoipa::path(
    post, path = "/templates/{id}/review", tag = "governance-templates",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewReview"),
    responses((status = 200, body = Reviewed)),
)]
pub(crate) async fn review_template(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<TemplateId>,
    body: Body,
) -> Result<Json<Reviewed>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let seen = api.store.get_template(officer.organization_id, id).await?;
    let mut fields = Fields::read(body).await?;
    let rating = rating(&mut fields);
    let comment = fields.text("comment").unwrap_or_default();
    fields.finish()?;
    let review = Review {
        user_id: officer.account_id,
        rating,
        comment,
        created_at: officer.act.at,
    };
    let template = api
        .store
        .review_template(seen.id, &review, &officer.act)
        .await?;
    Ok(Json(Reviewed {
        id: template.id,
        reviews: template.reviews,
        average_rating: template.average_rating,
        updated_at: template.updated_at,
    }))
}

/// A template that the organisation may change.
async fn own(api: &Api, officer: &Officer, id: TemplateId) -> Result<Template, ApiError> {
    let template = api.store.get_template(officer.organization_id, id).await?;
    match template.organization_id == officer.organization_id {
        true => Ok(template),
        false => Err(ApiError::forbidden(
            "this template belongs to another organisation, which alone changes it: make a \
             policy from it, or a template of your own",
        )),
    }
}

async fn read(
    api: &Api,
    officer: &Officer,
    before: Option<&Template>,
    body: Body,
) -> Result<Template, ApiError> {
    let mut fields = match before {
        Some(_) => Fields::read_changes(body).await?,
        None => Fields::read(body).await?,
    };
    let name = fields.name_or("name", before.map(|template| &template.name));
    let description = fields.text_or("description", before.map(|template| &template.description));
    let category = kept(&mut fields, "category", before, |template| {
        template.category
    });
    let category = category.unwrap_or_else(|| category_of(&mut fields));
    let definition = kept(&mut fields, "policyDefinition", before, |template| {
        template.policy_definition.clone()
    });
    let policy_definition = definition.unwrap_or_else(|| definition_of(&mut fields));
    let targets = kept(&mut fields, "targetResourceTypes", before, |template| {
        template.target_resource_types.clone()
    });
    let target_resource_types = targets.unwrap_or_else(|| targets_of(&mut fields));
    let frameworks = kept(&mut fields, "complianceFrameworks", before, |template| {
        template.compliance_frameworks.clone()
    });
    let compliance_frameworks =
        frameworks.unwrap_or_else(|| words_of(&mut fields, "complianceFrameworks"));
    let tags = kept(&mut fields, "tags", before, |template| {
        template.tags.clone()
    });
    let tags = tags.unwrap_or_else(|| words_of(&mut fields, "tags"));
    let is_public = kept(&mut fields, "isPublic", before, |template| {
        template.is_public
    });
    let is_public = is_public.unwrap_or_else(|| fields.switch("isPublic").unwrap_or(false));
    fields.finish()?;
    Ok(Template {
        id: before.map_or_else(|| TemplateId((api.new_id)()), |template| template.id),
        name,
        description,
        category,
        policy_definition,
        target_resource_types,
        compliance_frameworks,
        tags,
        is_public,
        is_verified: false,
        published: before.is_some_and(|template| template.published),
        version: before.map_or(1, |template| template.version),
        organization_id: officer.organization_id,
        reviews: before.map_or_else(Vec::new, |template| template.reviews.clone()),
        average_rating: before.and_then(|template| template.average_rating),
        created_at: before.map_or(officer.act.at, |template| template.created_at),
        updated_at: officer.act.at,
    })
}

/// What a template has already, if the field was not sent.
fn kept<T>(
    fields: &mut Fields,
    key: &'static str,
    before: Option<&Template>,
    value: impl FnOnce(&Template) -> T,
) -> Option<T> {
    let before = before.filter(|_| !fields.has(key))?;
    fields.know(key);
    Some(value(before))
}

fn category_of(fields: &mut Fields) -> TemplateCategory {
    let category = fields.typed("category", CATEGORY);
    category.unwrap_or_else(|| {
        fields.fault_once("$.category", &format!("missing; expected {CATEGORY}"));
        TemplateCategory::Security
    })
}

fn definition_of(fields: &mut Fields) -> PolicyDefinition {
    const PATH: &str = "$.policyDefinition";
    const EXPECTED: &str = "an object with rules, and a severity if you like";
    let mut object = match fields.value("policyDefinition") {
        Some(Value::Object(object)) => object,
        Some(_) => {
            fields.fault(PATH, format!("expected {EXPECTED}"));
            return PolicyDefinition::default();
        }
        None => {
            fields.fault(PATH, format!("missing; expected {EXPECTED}"));
            return PolicyDefinition::default();
        }
    };
    let path = format!("{PATH}.rules");
    let rules = match object.shift_remove("rules") {
        Some(rules) => rule::read(&rules, &path).unwrap_or_else(|faults| {
            fields.faults(faults);
            Vec::new()
        }),
        None => {
            fields.fault(&path, "missing; expected an array of rules");
            Vec::new()
        }
    };
    let severity = object.shift_remove("severity");
    let severity = severity.filter(|value| !value.is_null()).and_then(|value| {
        let word = value.as_str();
        let known = |severity: &Severity| word == Some(severity.as_str());
        let severity = Severity::ALL.into_iter().find(known);
        if severity.is_none() {
            fields.fault(&format!("{PATH}.severity"), format!("expected {SEVERITY}"));
        }
        severity
    });
    for key in object.keys() {
        let message = "unknown key; expected rules, severity";
        fields.fault(&format!("{PATH}.{key}"), message);
    }
    PolicyDefinition { rules, severity }
}

fn targets_of(fields: &mut Fields) -> Vec<ResourceType> {
    const KEY: &str = "targetResourceTypes";
    let mut targets = Vec::new();
    for (i, word) in fields.texts(KEY).unwrap_or_default().iter().enumerate() {
        match ResourceType::of(word) {
            Some(target) => targets.push(target),
            None => {
                let message = format!("expected {RESOURCE_TYPE}");
                fields.fault_once(&format!("$.{KEY}[{i}]"), &message);
            }
        }
    }
    targets
}

/// Frameworks or tags.
fn words_of(fields: &mut Fields, key: &'static str) -> Vec<String> {
    let words = fields.texts(key).unwrap_or_default();
    for (i, word) in words.iter().enumerate() {
        if word.is_empty() || word.chars().count() > 100 {
            let message = "expected a text of 1 to 100 characters";
            fields.fault_once(&format!("$.{key}[{i}]"), message);
        }
    }
    words
}

fn rating(fields: &mut Fields) -> u8 {
    const EXPECTED: &str = "a whole number from 1 to 5";
    let sent = fields.value("rating");
    let is_there = sent.is_some();
    let rating = sent.as_ref().and_then(Value::as_u64);
    let rating = rating.and_then(|rating| u8::try_from(rating).ok());
    match rating.filter(|rating| (1..=5).contains(rating)) {
        Some(rating) => rating,
        None => {
            let missing = if is_there { "" } else { "missing; " };
            fields.fault("$.rating", format!("{missing}expected {EXPECTED}"));
            1
        }
    }
}
