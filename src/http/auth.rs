//! Who is asking, and whether they may: the only place that answers either.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::{HeaderMap, header, request::Parts};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::trace::RequestId;
use crate::policy::PolicySet;
use crate::principal::{Act, KeyText, OWNER, Permissions, Principal, Standing};

/// A caller with a working API key, and the id of the request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    request_id: Option<String>,
}

/// Proof that the caller is a member of a workspace and holds the permission that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The workspace.
    pub(crate) workspace_id: Uuid,
    /// The caller's account.
    pub(crate) account_id: Uuid,
    /// Where the caller stands in the workspace.
    pub(crate) standing: Standing,
    /// The permissions that the caller has there and the key's scopes cover.
    pub(crate) held: Permissions,
    /// What the audit log tells of a change that this request makes.
    pub(crate) act: Act,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    /// Authenticates a request once: whoever did it leaves the caller with the request.
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(caller.clone());
        }
        let text = presented_key(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let key = KeyText::new(text).ok_or_else(ApiError::unauthorized)?;
        let principal = api.store.authenticate(&key, (api.clock)()).await?;
        let request_id = parts.extensions.get::<RequestId>();
        Ok(Caller {
            principal: principal.ok_or_else(ApiError::unauthorized)?,
            request_id: request_id.map(|RequestId(id)| id.clone()),
        })
    }
}

/// The key of a request: `Authorization: Bearer KEY`, or `X-API-Key: KEY`.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim());
    }
    headers.get("x-api-key")?.to_str().ok()
}

impl Caller {
    /// The id of the request, as its answer names it.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// What the audit log tells of a change that this request makes now.
    pub(crate) fn act(&self, api: &Api) -> Act {
        Act {
            account_id: self.principal.account.id,
            key_id: Some(self.principal.key_id),
            request_id: self.request_id.clone(),
            at: (api.clock)(),
        }
    }

    /// The caller as a member of a workspace who holds a permission such as `sources.read`.
    ///
    /// To somebody who is no member the workspace does not exist.
    pub(crate) async fn member(
        &self,
        api: &Api,
        workspace_id: Uuid,
        permission: &str,
    ) -> Result<Member, ApiError> {
        let member = self.belongs(api, workspace_id).await?;
        let wanted = Permissions::of(permission)
            .ok_or_else(|| ApiError::internal(&format!("{permission} is no permission")))?;
        if member.held.contains(wanted) {
            return Ok(member);
        }
        if !member.standing.permissions.contains(wanted) {
            return Err(ApiError::forbidden(format!(
                "your role does not grant {permission}"
            )));
        }
        let scope = permission.replacen('.', ":", 1);
        Err(ApiError::forbidden(format!(
            "the API key lacks the scope {scope}"
        )))
    }

    /// The caller as a member of a workspace, whatever they may do there.
    pub(crate) async fn belongs(&self, api: &Api, workspace_id: Uuid) -> Result<Member, ApiError> {
        let account_id = self.principal.account.id;
        let standing = api.store.standing(workspace_id, account_id).await?;
        let standing = standing.ok_or_else(|| ApiError::not_found("workspace"))?;
        Ok(Member {
            workspace_id,
            account_id,
            held: standing.permissions.in_common(self.principal.scope()),
            standing,
            act: self.act(api),
        })
    }

    /// Refuses to go on with an answer whose key was revoked, or has expired, since it began.
    pub(crate) async fn still_has_key(&self, api: &Api) -> Result<(), ApiError> {
        let account_id = self.principal.account.id;
        let keys = api.store.list_keys(account_id).await?;
        let now = (api.clock)();
        let valid = keys.iter().any(|key| {
            key.id == self.principal.key_id && key.expires_at.is_none_or(|end| now < end)
        });
        match valid {
            true => Ok(()),
            false => Err(ApiError::unauthorized()),
        }
    }

    /// Whether the key's scopes cover a permission.
    pub(crate) fn in_scope(&self, permission: &str) -> Result<(), ApiError> {
        let wanted = Permissions::of(permission);
        if wanted.is_some_and(|wanted| self.principal.scope().contains(wanted)) {
            return Ok(());
        }
        let scope = permission.replacen('.', ":", 1);
        Err(ApiError::forbidden(format!(
            "the API key lacks the scope {scope}"
        )))
    }

    async fn owns(&self, api: &Api, workspace_id: Uuid) -> Result<bool, ApiError> {
        let id = self.principal.account.id;
        let standing = api.store.standing(workspace_id, id).await?;
        Ok(standing.is_some_and(|standing| standing.role_id == OWNER))
    }

    /// Requires the owner role in some workspace, which the account catalog asks for.
    pub(crate) async fn owner_somewhere(&self, api: &Api) -> Result<(), ApiError> {
        self.in_scope("workspace.members")?;
        let id = self.principal.account.id;
        for workspace in api.store.list_workspaces(id).await? {
            if self.owns(api, workspace.id).await? {
                return Ok(());
            }
        }
        Err(ApiError::forbidden(
            "this takes the owner role in a workspace",
        ))
    }

    /// Requires that the caller may act for an account: it is their own, or they own every
    /// workspace it belongs to. Otherwise a key for it would open what they cannot open.
    pub(crate) async fn governs(&self, api: &Api, account_id: Uuid) -> Result<(), ApiError> {
        if account_id == self.principal.account.id {
            return self.in_scope("workspace.members");
        }
        self.owner_somewhere(api).await?;
        api.store.get_account(account_id).await?;
        for workspace in api.store.list_workspaces(account_id).await? {
            if !self.owns(api, workspace.id).await? {
                let message = "this takes the owner role in every workspace of the account";
                return Err(ApiError::forbidden(message));
            }
        }
        Ok(())
    }
}

impl Member {
    /// The policies in force.
    pub(crate) async fn policies(&self, api: &Api) -> Result<Arc<PolicySet>, ApiError> {
        Ok(api.publisher.policies(&self.standing).await?)
    }

    /// Refuses to pass on permissions that the caller does not hold.
    pub(crate) fn holds(&self, wanted: Permissions) -> Result<(), ApiError> {
        let lacking = wanted.without(self.held);
        if lacking.is_empty() {
            return Ok(());
        }
        let keys = lacking.keys().join(", ");
        Err(ApiError::forbidden(format!(
            "you cannot pass on what you or your API key do not hold: {keys}"
        )))
    }
}

/// Identifiers in a path. What is no identifier is as unknown as one that nothing bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Ids<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, api).await;
        path.map(|Path(ids)| Ids(ids))
            .map_err(|_| ApiError::not_found("object"))
    }
}
