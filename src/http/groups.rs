//! `/workspaces/{id}/groups`: groups, their members, and the access policies assigned to them.
//!
//! A group's role is passed on to its members, so whoever gives a group a role, or a role's group
//! a member, must hold the permissions themselves; and nobody adds themself.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::destination_rules::{WithRevision, with_revision};
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::policy::{AccessPolicy, PolicySet};
use crate::principal::{Group, GroupMember};

/// The groups of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/groups", tag = "groups",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<Group>)),
)]
pub(crate) async fn list_groups(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Group>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Json(api.store.list_groups(member.workspace_id).await?))
}

/// One group.
#[utoipa::path(
    get, path = "/workspaces/{id}/groups/{groupId}", tag = "groups",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Group, headers(("ETag")))),
)]
pub(crate) async fn get_group(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Group>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Object::ok(
        api.store.get_group(member.workspace_id, group_id).await?,
    ))
}

/// A new group without members.
#[utoipa::path(
    post, path = "/workspaces/{id}/groups", tag = "groups",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewGroup"),
    responses((status = 201, body = Group, headers(("ETag")))),
)]
pub(crate) async fn create_group(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Group>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let group = read(&api, &member, None, body).await?;
    Ok(Object::created(
        api.store.insert_group(&group, &member.act).await?,
    ))
}

/// Updates a group. What the body leaves out stays as it is; `"role_id": null` takes its role.
#[utoipa::path(
    put, path = "/workspaces/{id}/groups/{groupId}", tag = "groups",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/GroupChange"),
    responses((status = 200, body = Group, headers(("ETag")))),
)]
pub(crate) async fn update_group(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Group>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = api.store.get_group(member.workspace_id, group_id).await?;
    if_match.check(&before)?;
    let group = read(&api, &member, Some(&before), body).await?;
    Ok(Object::ok(
        api.store.update_group(&before, &group, &member.act).await?,
    ))
}

/// Deletes a group: its members lose at once what it gave them.
#[utoipa::path(
    delete, path = "/workspaces/{id}/groups/{groupId}", tag = "groups",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn delete_group(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<WithRevision<StatusCode>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = api.store.get_group(member.workspace_id, group_id).await?;
    if_match.check(&before)?;
    let revision = api.store.delete_group(&before, &member.act).await?;
    Ok(with_revision(revision, StatusCode::NO_CONTENT))
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<&Group>,
    body: Body,
) -> Result<Group, ApiError> {
    let mut fields = Fields::read(body).await?;
    let name = fields.name_or("name", before.map(|group| &group.name));
    let description = fields.text_or("description", before.map(|group| &group.description));
    let role_id = match before.filter(|_| !fields.has("role_id")) {
        Some(before) => {
            fields.know("role_id");
            before.role_id
        }
        None => fields.optional_id("role_id"),
    };
    let mut role = None;
    if let Some(role_id) = role_id {
        let found = api.store.get_role(member.workspace_id, role_id).await;
        role = fields.referred("role_id", found)?;
    }
    fields.finish()?;
    if let Some(role) = role
        && before.is_none_or(|before| before.role_id != role_id)
    {
        member.holds(role.permissions)?;
    }
    Ok(Group {
        id: before.map_or_else(api.new_id, |group| group.id),
        workspace_id: member.workspace_id,
        name,
        description,
        role_id,
        role_name: None,
        member_count: 0,
        created_at: before.map_or(member.act.at, |group| group.created_at),
        updated_at: member.act.at,
    })
}

/// The members of a group.
#[utoipa::path(
    get, path = "/workspaces/{id}/groups/{groupId}/members", tag = "groups",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<GroupMember>)),
)]
pub(crate) async fn list_group_members(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Vec<GroupMember>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let group = api.store.get_group(member.workspace_id, group_id).await?;
    let members = api.store.list_group_members(member.workspace_id, group.id);
    Ok(Json(members.await?))
}

/// Adds a member of the workspace to a group.
#[utoipa::path(
    post, path = "/workspaces/{id}/groups/{groupId}/members", tag = "groups",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewGroupMember"),
    responses((status = 201, body = GroupMember, headers(("ETag")))),
)]
pub(crate) async fn add_group_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<Object<GroupMember>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let group = api.store.get_group(member.workspace_id, group_id).await?;
    let mut fields = Fields::read(body).await?;
    let account_id = fields.id("account_id");
    let found = api.store.get_member(member.workspace_id, account_id).await;
    fields.referred("account_id", found)?;
    fields.finish()?;
    if account_id == member.account_id {
        let message = "you cannot add yourself to a group: ask another admin";
        return Err(ApiError::forbidden(message));
    }
    if let Some(role_id) = group.role_id {
        let role = api.store.get_role(member.workspace_id, role_id).await?;
        member.holds(role.permissions)?;
    }
    let added = api
        .store
        .insert_group_member(&group, account_id, &member.act)
        .await?;
    Ok(Object::created(added))
}

/// Takes a member out of a group.
#[utoipa::path(
    delete, path = "/workspaces/{id}/groups/{groupId}/members/{accountId}", tag = "groups",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 204)),
)]
pub(crate) async fn remove_group_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id, account_id)): Ids<(Uuid, Uuid, Uuid)>,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let group = api.store.get_group(member.workspace_id, group_id).await?;
    let before = api
        .store
        .get_group_member(member.workspace_id, group.id, account_id)
        .await?;
    api.store
        .delete_group_member(member.workspace_id, &before, &member.act)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The access policies assigned to a group.
#[utoipa::path(
    get, path = "/workspaces/{id}/groups/{groupId}/subsets", tag = "groups",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<AccessPolicy>)),
)]
pub(crate) async fn list_group_subsets(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Vec<Arc<AccessPolicy>>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let group = api.store.get_group(member.workspace_id, group_id).await?;
    let policies = member.policies(&api).await?;
    Ok(Json(assigned(&policies, &[group.id])))
}

/// Replaces the set of access policies assigned to a group, all at once.
#[utoipa::path(
    put, path = "/workspaces/{id}/groups/{groupId}/subsets", tag = "groups",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/GroupSubsets"),
    responses((status = 200, body = Vec<AccessPolicy>, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn replace_group_subsets(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, group_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<WithRevision<Json<Vec<Arc<AccessPolicy>>>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let group = api.store.get_group(member.workspace_id, group_id).await?;
    let policies = member.policies(&api).await?;
    let mut fields = Fields::read(body).await?;
    let texts = fields.texts("subset_ids");
    if texts.is_none() {
        let message = "missing; expected an array of the ids of access policies";
        fields.fault_once("$.subset_ids", message);
    }
    let mut wanted = BTreeSet::new();
    for (i, text) in texts.iter().flatten().enumerate() {
        match Uuid::try_parse(text) {
            Ok(id) if policies.access_policies.contains_key(&id) => {
                wanted.insert(id);
            }
            _ => fields.fault_once(
                &format!("$.subset_ids[{i}]"),
                "there is no such access policy",
            ),
        }
    }
    fields.finish()?;
    let policies = api
        .publisher
        .assign_only(&group, &wanted, api.new_id, &member.act)
        .await
        .map_err(|error| ApiError::publish(None, error))?;
    Ok(with_revision(
        policies.revision,
        Json(assigned(&policies, &[group.id])),
    ))
}

/// The access policies assigned to any of some groups, by age.
pub(crate) fn assigned(policies: &PolicySet, groups: &[Uuid]) -> Vec<Arc<AccessPolicy>> {
    let assigned = policies.assigned_to(groups);
    policies
        .access_policies
        .values()
        .filter(|policy| assigned.contains(&policy.id))
        .cloned()
        .collect()
}
