//! `/policy`: what no record may contain, in prose, for the organisation, a workspace or one of
//! its sources, which seeds 001 and 002 call a repo.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::Caller;
use super::super::body::Fields;
use super::super::error::ApiError;
use super::super::etag::{IfMatch, Object};
use super::super::governance::officer::Officer;
use super::super::query::Query;
use super::envelope::{ContentError, Done, PathId, Success};
use super::scope::{may_change, may_read};
use crate::compliance::OrganizationId;
use crate::policy::content::prose::understand;
use crate::policy::content::{Action, ContentPolicy, Detector, Risk, Understanding};
use crate::policy::{Edit, Fault};
use crate::principal::Account;
use crate::store::StoreError;

/// Most characters of what a policy says.
pub(crate) const MOST_CONTENT: usize = 20_000;

const CONTENT: &str = "a text of 1 to 20000 characters, not only blanks";
const RISK: &str = "one of LOW, MEDIUM, HIGH";
const ACTION: &str = "0 to log, 1 to alert or 2 to block";
const NOTHING_TO_BLOCK: &str = "a policy that blocks must name something that can be found: write \
     what, such as e-mail addresses, payment card numbers, API keys or passwords, or name columns \
     in a line `columns: a, b`, or give a regular expression in a line `match: /.../`";

/// One policy of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyTold {
    policy: ContentPolicyTold,
}

/// The policies of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PoliciesTold {
    /// The newest first.
    policies: Vec<ContentPolicyTold>,
}

/// A content policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentPolicyTold {
    /// Identifier.
    id: Uuid,
    /// The organisation.
    org_id: OrganizationId,
    /// Display name.
    name: String,
    /// What it says.
    content: String,
    /// How much depends on it.
    risk_type: Risk,
    /// What happens where it finds something: 0 logs, 1 alerts, 2 blocks.
    #[schema(minimum = 0, maximum = 2)]
    action_type: u8,
    /// Who created it.
    created_by: Person,
    /// Creation time.
    #[schema(format = DateTime)]
    created_at: String,
    /// Who changed it last.
    last_updated_by: Person,
    /// Last change.
    #[schema(format = DateTime)]
    last_updated_at: String,
    /// The workspace that it is for; `None`: every workspace of the organisation.
    #[schema(required)]
    workspace_id: Option<Uuid>,
    /// The source that it is for; `None`: all of them.
    #[schema(required)]
    repo_id: Option<Uuid>,
    /// That workspace.
    #[schema(required)]
    workspace: Option<ContentScope>,
    /// That source.
    #[schema(required)]
    repo: Option<ContentScope>,
    /// What it looks for.
    detectors: Vec<Detector>,
    /// The columns that its `columns:` lines name: it looks nowhere else.
    columns: Vec<String>,
    /// The regular expressions of its `match:` lines.
    patterns: Vec<String>,
    /// Phrases that name something nothing looks for.
    not_understood: Vec<String>,
}

/// An account, as a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Person {
    /// The account.
    id: Uuid,
    /// Its name up to the first blank.
    name: String,
    /// The rest of its name.
    last_name: String,
    /// Its e-mail address.
    email: String,
}

/// A workspace or a source.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ContentScope {
    /// Identifier.
    id: Uuid,
    /// Display name.
    name: String,
}

impl From<Account> for Person {
    fn from(account: Account) -> Person {
        let name = account.name.trim();
        let (name, last_name) = name.split_once(' ').unwrap_or((name, ""));
        Person {
            id: account.id,
            name: name.to_owned(),
            last_name: last_name.trim_start().to_owned(),
            email: account.email,
        }
    }
}

/// The policies of the organisation; with `workspaceId`, those of that workspace; with `repoId`,
/// too, those of that source. With `effective=true` all that apply there, from every level.
#[utoipa::path(
    get, path = "/policy", tag = "content-policies",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("orgId" = String, Query),
        ("workspaceId" = Option<Uuid>, Query),
        ("repoId" = Option<Uuid>, Query),
        ("effective" = Option<bool>, Query),
    ),
    responses((status = 200, body = Success<PoliciesTold>)),
)]
pub(crate) async fn list_content_policies(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Success<PoliciesTold>>, ContentError> {
    let officer = Officer::reads(&api, &caller).await?;
    let mut query = Query::read(query.as_deref().unwrap_or_default());
    let id = |text: &str| Uuid::try_parse(text).ok();
    let organization_id = query.require("orgId", "an identifier of an organisation", |text| {
        (!text.is_empty()).then(|| text.to_owned())
    });
    let workspace_id = query.take("workspaceId", "a UUID", id);
    let source_id = query.take("repoId", "a UUID", id);
    let effective = query.take("effective", "true or false", |text| text.parse().ok());
    query.finish().map_err(ApiError::of_parameters)?;
    of_this(&officer, &organization_id)?;
    match (workspace_id, source_id) {
        (None, Some(_)) => return Err(ContentError::malformed(WITHOUT_WORKSPACE)),
        (None, None) => {}
        (Some(workspace_id), source_id) => {
            may_read(&api, &officer, workspace_id).await?;
            if let Some(source_id) = source_id {
                api.store.get_source(workspace_id, source_id).await?;
            }
        }
    }
    let mut policies = api.store.list_content_policies().await?;
    policies.retain(|policy| match effective {
        Some(true) => {
            (policy.workspace_id.is_none() || policy.workspace_id == workspace_id)
                && (policy.source_id.is_none() || policy.source_id == source_id)
        }
        _ => (policy.workspace_id, policy.source_id) == (workspace_id, source_id),
    });
    let mut told = Telling::new(&api, officer.organization_id);
    let mut answer = Vec::with_capacity(policies.len());
    for policy in policies.into_iter().rev() {
        answer.push(told.tell(policy).await?);
    }
    Ok(Success::ok(PoliciesTold { policies: answer }))
}

/// One policy.
#[utoipa::path(
    get, path = "/policy/{policyId}", tag = "content-policies",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Success<PolicyTold>, headers(("ETag")))),
)]
pub(crate) async fn get_content_policy(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Object<Success<PolicyTold>>, ContentError> {
    let officer = Officer::reads(&api, &caller).await?;
    let policy = api.store.get_content_policy(id).await?;
    if let Some(workspace_id) = policy.workspace_id {
        may_read(&api, &officer, workspace_id).await?;
    }
    let policy = one(&api, &officer, policy).await?;
    Ok(Success::object(policy))
}

/// A new policy, in force at once.
#[utoipa::path(
    post, path = "/policy", tag = "content-policies",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewContentPolicy"),
    responses((status = 201, body = Success<PolicyTold>, headers(("ETag")))),
)]
pub(crate) async fn create_content_policy(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Object<Success<PolicyTold>>, ContentError> {
    let officer = Officer::writes(&api, &caller).await?;
    let mut fields = Fields::read(body).await?;
    let organization_id = fields.text("orgId");
    if organization_id.is_none() {
        fields.fault_once("$.orgId", "missing; expected an identifier");
    }
    let workspace_id = fields.optional_id("workspaceId");
    let source_id = fields.optional_id("repoId");
    if workspace_id.is_none() && source_id.is_some() {
        fields.fault_once("$.workspaceId", WITHOUT_WORKSPACE);
    }
    let said = Said::read(&mut fields, None, api.publisher.judges());
    fields.finish()?;
    of_this(&officer, &organization_id.unwrap_or_default())?;
    may_change(&api, &caller, workspace_id).await?;
    let act = &officer.act;
    let policy = ContentPolicy {
        id: (api.new_id)(),
        workspace_id,
        source_id,
        name: said.name,
        content: said.content,
        risk: said.risk,
        action: said.action,
        created_by: act.account_id,
        created_at: act.at,
        updated_by: act.account_id,
        updated_at: act.at,
    };
    let edit = Edit::create(policy.clone());
    api.store.publish_content(&edit, act).await?;
    Ok(Success::created(one(&api, &officer, policy).await?))
}

/// Updates a policy. What the body leaves out stays as it is; what the policy is for does not
/// change.
#[utoipa::path(
    put, path = "/policy/{policyId}", tag = "content-policies",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/ContentPolicyChange"),
    responses((status = 200, body = Success<PolicyTold>, headers(("ETag")))),
)]
pub(crate) async fn update_content_policy(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Success<PolicyTold>>, ContentError> {
    let officer = Officer::writes(&api, &caller).await?;
    let before = api.store.get_content_policy(id).await?;
    may_change(&api, &caller, before.workspace_id).await?;
    is_as_read(&api, &officer, &if_match, &before).await?;
    let mut fields = Fields::read(body).await?;
    let organization_id = officer.organization_id.to_string();
    stays(&mut fields, "orgId", Some(organization_id));
    let written = |id: Option<Uuid>| id.map(|id| id.to_string());
    stays(&mut fields, "workspaceId", written(before.workspace_id));
    stays(&mut fields, "repoId", written(before.source_id));
    let said = Said::read(&mut fields, Some(&before), api.publisher.judges());
    fields.finish()?;
    let same = Said::of(&before) == said;
    if same {
        return Ok(Success::object(one(&api, &officer, before).await?));
    }
    let policy = ContentPolicy {
        name: said.name,
        content: said.content,
        risk: said.risk,
        action: said.action,
        updated_by: officer.act.account_id,
        updated_at: officer.act.at,
        ..before.clone()
    };
    let edit = Edit::update(Arc::new(before), policy.clone());
    api.store.publish_content(&edit, &officer.act).await?;
    Ok(Success::object(one(&api, &officer, policy).await?))
}

/// Deletes a policy. What it found stays on record.
#[utoipa::path(
    delete, path = "/policy/{policyId}", tag = "content-policies",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Done)),
)]
pub(crate) async fn delete_content_policy(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId,
    if_match: IfMatch,
) -> Result<Json<Done>, ContentError> {
    let officer = Officer::writes(&api, &caller).await?;
    let before = api.store.get_content_policy(id).await?;
    may_change(&api, &caller, before.workspace_id).await?;
    is_as_read(&api, &officer, &if_match, &before).await?;
    let edit = Edit::delete(Arc::new(before));
    api.store.publish_content(&edit, &officer.act).await?;
    Ok(Done::ok())
}

const WITHOUT_WORKSPACE: &str =
    "repoId without workspaceId: a repo is a source of a workspace, so name that as well";

/// Refuses what is asked of another organisation than the one that is served here.
fn of_this(officer: &Officer, organization_id: &str) -> Result<(), ContentError> {
    match officer.organization_id.to_string() == organization_id {
        true => Ok(()),
        false => Err(ApiError::forbidden("you do not belong to that organisation").into()),
    }
}

/// Notes a fault where a field, if it is sent, is not what the policy has already.
fn stays(fields: &mut Fields, key: &'static str, now: Option<String>) {
    let is_sent = fields.has(key);
    let sent = fields.value(key);
    let same = match (&sent, &now) {
        (None, None) => true,
        (Some(sent), Some(now)) => sent
            .as_str()
            .is_some_and(|sent| sent.eq_ignore_ascii_case(now)),
        _ => false,
    };
    if is_sent && !same {
        let message = "what a policy is for does not change: make another, and delete this one";
        fields.fault_once(&format!("$.{key}"), message);
    }
}

/// What somebody says in a body that a policy should be.
#[derive(Debug, PartialEq)]
struct Said {
    name: String,
    content: String,
    risk: Risk,
    action: Action,
}

impl Said {
    fn of(policy: &ContentPolicy) -> Said {
        Said {
            name: policy.name.clone(),
            content: policy.content.clone(),
            risk: policy.risk,
            action: policy.action,
        }
    }

    /// What the fields say; where they leave something out, what the policy was before. With
    /// faults, a stand-in.
    fn read(fields: &mut Fields, before: Option<&ContentPolicy>, judges: bool) -> Said {
        let name = match before.filter(|_| !fields.gives("name")) {
            Some(before) => {
                fields.value("name");
                before.name.clone()
            }
            None => fields.name("name"),
        };
        let content = fields.text("content");
        let risk = fields.typed::<Risk>("riskType", RISK);
        let action = fields.typed::<Action>("actionType", ACTION);
        if before.is_none() {
            for (key, expected, is_there) in [
                ("$.content", CONTENT, content.is_some()),
                ("$.riskType", RISK, risk.is_some()),
                ("$.actionType", ACTION, action.is_some()),
            ] {
                if !is_there {
                    fields.fault_once(key, &format!("missing; expected {expected}"));
                }
            }
        }
        let said = Said {
            name,
            risk: risk
                .or(before.map(|before| before.risk))
                .unwrap_or(Risk::High),
            action: action
                .or(before.map(|before| before.action))
                .unwrap_or(Action::Log),
            content: content
                .or(before.map(|before| before.content.clone()))
                .unwrap_or_default(),
        };
        said.check(fields, judges);
        said
    }

    /// A judge decides what no detector covers.
    fn check(&self, fields: &mut Fields, judges: bool) {
        let is_blank = self.content.trim().is_empty();
        if is_blank || self.content.chars().count() > MOST_CONTENT {
            fields.fault_once("$.content", &format!("expected {CONTENT}"));
            return;
        }
        match understand(&self.content) {
            Ok(understood) => {
                let is_judged = judges && !understood.unknown.is_empty();
                let finds = understood.detects() || is_judged;
                if self.action == Action::Block && !finds {
                    fields.fault_once("$.content", NOTHING_TO_BLOCK);
                }
            }
            Err(faults) => {
                let within = |fault: Fault| match fault.path.starts_with("$.content") {
                    true => fault,
                    false => Fault::new("$.content", fault.message),
                };
                fields.faults(faults.into_iter().map(within).collect());
            }
        }
    }
}

async fn one(
    api: &Api,
    officer: &Officer,
    policy: ContentPolicy,
) -> Result<PolicyTold, ContentError> {
    let mut told = Telling::new(api, officer.organization_id);
    let policy = told.tell(policy).await?;
    Ok(PolicyTold { policy })
}

/// Refuses with 412 unless the policy is as the caller has read it.
async fn is_as_read(
    api: &Api,
    officer: &Officer,
    if_match: &IfMatch,
    policy: &ContentPolicy,
) -> Result<(), ContentError> {
    if matches!(if_match, IfMatch::Whatever) {
        return Ok(());
    }
    let now = Success::of(one(api, officer, policy.clone()).await?);
    Ok(if_match.check(&now)?)
}

/// Policies with what they refer to, each of which is read once.
struct Telling<'a> {
    api: &'a Api,
    organization_id: OrganizationId,
    people: BTreeMap<Uuid, Person>,
    scopes: BTreeMap<Uuid, Option<ContentScope>>,
}

impl Telling<'_> {
    fn new(api: &Api, organization_id: OrganizationId) -> Telling<'_> {
        Telling {
            api,
            organization_id,
            people: BTreeMap::new(),
            scopes: BTreeMap::new(),
        }
    }

    async fn tell(&mut self, policy: ContentPolicy) -> Result<ContentPolicyTold, ApiError> {
        let workspace = match policy.workspace_id {
            Some(id) => self.workspace(id).await?,
            None => None,
        };
        let repo = match (policy.workspace_id, policy.source_id) {
            (Some(workspace_id), Some(id)) => self.source(workspace_id, id).await?,
            _ => None,
        };
        // It was understood when it was saved. What a later version no longer understands finds
        // nothing here, and the guard refuses it.
        let understood = understand(&policy.content).unwrap_or_default();
        let Understanding {
            detectors,
            columns,
            patterns,
            unknown,
        } = understood;
        Ok(ContentPolicyTold {
            id: policy.id,
            org_id: self.organization_id,
            created_by: self.person(policy.created_by).await?,
            last_updated_by: self.person(policy.updated_by).await?,
            name: policy.name,
            content: policy.content,
            risk_type: policy.risk,
            action_type: policy.action.number(),
            created_at: written(policy.created_at),
            last_updated_at: written(policy.updated_at),
            workspace_id: policy.workspace_id,
            repo_id: policy.source_id,
            workspace,
            repo,
            detectors: detectors.iter().collect(),
            columns,
            patterns,
            not_understood: unknown,
        })
    }

    async fn person(&mut self, id: Uuid) -> Result<Person, ApiError> {
        if let Some(person) = self.people.get(&id) {
            return Ok(person.clone());
        }
        let person = Person::from(self.api.store.get_account(id).await?);
        self.people.insert(id, person.clone());
        Ok(person)
    }

    async fn workspace(&mut self, id: Uuid) -> Result<Option<ContentScope>, ApiError> {
        if let Some(known) = self.scopes.get(&id) {
            return Ok(known.clone());
        }
        let name = self.api.store.get_workspace(id).await?.name;
        Ok(self.keep(id, Some(ContentScope { id, name })))
    }

    async fn source(
        &mut self,
        workspace_id: Uuid,
        id: Uuid,
    ) -> Result<Option<ContentScope>, ApiError> {
        if let Some(known) = self.scopes.get(&id) {
            return Ok(known.clone());
        }
        let found = match self.api.store.get_source(workspace_id, id).await {
            Ok(source) => Some(ContentScope {
                id,
                name: source.name,
            }),
            // It was deleted just now, and the policy with it.
            Err(StoreError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(self.keep(id, found))
    }

    fn keep(&mut self, id: Uuid, found: Option<ContentScope>) -> Option<ContentScope> {
        self.scopes.insert(id, found.clone());
        found
    }
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
