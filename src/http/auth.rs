//! Who is asking, and whether they may: the only place that answers either.

use axum::extract::{FromRequestParts, Path};
use axum::http::{HeaderMap, header, request::Parts};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::trace::RequestId;
use crate::principal::{Act, KeyText, OWNER, Principal, role_grants};

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
    /// The caller's role there.
    pub(crate) role_id: Uuid,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let text = presented_key(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        let key = KeyText::new(text).ok_or_else(ApiError::unauthorized)?;
        let stored = api.store.find_key(&key.public_id()).await?;
        // An unknown key is compared too, so that it takes as long as a wrong one.
        const NOBODY: &[u8] = &[0; 32];
        let digest = stored.as_ref().map_or(NOBODY, |stored| &stored.digest);
        let matches = key.matches(digest);
        let now = (api.clock)();
        match stored {
            Some(stored)
                if matches
                    && stored
                        .key
                        .expires_at
                        .is_none_or(|expires_at| now < expires_at) =>
            {
                let principal = Principal {
                    account: stored.account,
                    key_id: stored.key.id,
                    scopes: stored.key.scopes,
                };
                let request_id = parts.extensions.get::<RequestId>();
                Ok(Caller {
                    principal,
                    request_id: request_id.map(|RequestId(id)| id.clone()),
                })
            }
            _ => Err(ApiError::unauthorized()),
        }
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
        let account_id = self.principal.account.id;
        let role = api.store.member_role(workspace_id, account_id).await?;
        let role_id = role.ok_or_else(|| ApiError::not_found("workspace"))?;
        if !role_grants(role_id, permission) {
            return Err(ApiError::forbidden(format!(
                "your role does not grant {permission}"
            )));
        }
        self.in_scope(permission)?;
        Ok(Member {
            workspace_id,
            account_id,
            role_id,
        })
    }

    /// Whether the key's scopes cover a permission.
    pub(crate) fn in_scope(&self, permission: &str) -> Result<(), ApiError> {
        if self.principal.in_scope(permission) {
            return Ok(());
        }
        let scope = permission.replacen('.', ":", 1);
        Err(ApiError::forbidden(format!(
            "the API key lacks the scope {scope}"
        )))
    }

    /// Requires the owner role in some workspace, which the account catalog asks for.
    pub(crate) async fn owner_somewhere(&self, api: &Api) -> Result<(), ApiError> {
        self.in_scope("workspace.members")?;
        let id = self.principal.account.id;
        for workspace in api.store.list_workspaces(id).await? {
            if api.store.member_role(workspace.id, id).await? == Some(OWNER) {
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
            if api
                .store
                .member_role(workspace.id, self.principal.account.id)
                .await?
                != Some(OWNER)
            {
                let message = "this takes the owner role in every workspace of the account";
                return Err(ApiError::forbidden(message));
            }
        }
        Ok(())
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
