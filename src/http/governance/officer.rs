//! Who may do what in the organisation's governance.
//!
//! The paths name no workspace. The organisation is governed from its first workspace: who may
//! change governance there may do so for the organisation, and for every resource. What a caller
//! may do in another workspace they may do to its resources. In all cases the key needs the scope.

use uuid::Uuid;

use super::super::Api;
use super::super::auth::Caller;
use super::super::error::ApiError;
use crate::compliance::{Located, OrganizationId, Purview};
use crate::principal::{Act, Permissions};

const FOR_ALL: &str =
    "this takes the permission governance.write in the organisation's first workspace";

/// Proof that the caller may read, change or review governance, and of which resources.
#[derive(Clone, Debug)]
pub(crate) struct Officer {
    /// The organisation.
    pub(crate) organization_id: OrganizationId,
    /// The caller's account.
    pub(crate) account_id: Uuid,
    /// Whose resources they may know of, change or review.
    pub(crate) purview: Purview,
    /// What the audit log tells of a change that this request makes.
    pub(crate) act: Act,
    /// Whether the key has the scope to review.
    may_review: bool,
}

impl Officer {
    /// Somebody who may read governance.
    pub(crate) async fn reads(api: &Api, caller: &Caller) -> Result<Officer, ApiError> {
        caller.in_scope("governance.read")?;
        Officer::with(api, caller, "governance.read").await
    }

    /// Somebody who may change what is the organisation's: policies, solutions and their record,
    /// templates, declared facts.
    pub(crate) async fn governs(api: &Api, caller: &Caller) -> Result<Officer, ApiError> {
        caller.in_scope("governance.write")?;
        let officer = Officer::with(api, caller, "governance.write").await?;
        officer.for_all()
    }

    /// Somebody who may change what concerns the resources of their purview.
    pub(crate) async fn writes(api: &Api, caller: &Caller) -> Result<Officer, ApiError> {
        caller.in_scope("governance.write")?;
        Officer::with(api, caller, "governance.write").await
    }

    /// Somebody who may review what concerns the resources of their purview, if their key has the
    /// scope to review: [`Officer::as_reviewer`] tells. It stands for the scope to change.
    pub(crate) async fn reviews(api: &Api, caller: &Caller) -> Result<Officer, ApiError> {
        if !caller.principal.may_review() {
            caller.in_scope("governance.write")?;
        }
        Officer::with(api, caller, "governance.write").await
    }

    /// Refuses a key without the scope to review. Asked once it is known that there is something
    /// to review.
    pub(crate) fn as_reviewer(&self) -> Result<(), ApiError> {
        match self.may_review {
            true => Ok(()),
            false => Err(ApiError::forbidden(
                "the API key lacks the scope governance:review",
            )),
        }
    }

    /// The same, if it may be done for the whole organisation.
    pub(crate) fn for_all(self) -> Result<Officer, ApiError> {
        match self.purview {
            Purview::Everything => Ok(self),
            Purview::Workspaces(_) => Err(ApiError::forbidden(FOR_ALL)),
        }
    }

    /// Refuses to change what concerns a resource outside the catalog, unless the caller may do so
    /// for the organisation.
    pub(crate) fn changes(&self, workspace_id: Option<Uuid>) -> Result<(), ApiError> {
        match self.purview.governs(workspace_id) {
            true => Ok(()),
            false => Err(ApiError::forbidden(FOR_ALL)),
        }
    }

    /// Refuses what concerns a resource that is beyond the caller's purview, as if it were not
    /// there.
    pub(crate) fn oversees(&self, located: &Located) -> Result<(), ApiError> {
        match self.purview.covers(located.workspace_id) {
            true => Ok(()),
            false => Err(ApiError::not_found("resource")),
        }
    }

    async fn with(api: &Api, caller: &Caller, permission: &str) -> Result<Officer, ApiError> {
        let wanted = Permissions::of(permission)
            .ok_or_else(|| ApiError::internal(&format!("{permission} is no permission")))?;
        let account_id = caller.principal.account.id;
        let home = api.store.home_workspace().await?;
        let standing = api.store.standing(home, account_id).await?;
        // Many may read there who are not to know of other workspaces.
        let governs = Permissions::of("governance.write").map(|write| wanted | write);
        let governs = governs.unwrap_or(Permissions::ALL);
        let purview = match standing.is_some_and(|home| home.permissions.contains(governs)) {
            true => Purview::Everything,
            false => {
                let everywhere = api.store.permissions_everywhere(account_id).await?;
                let within: Vec<Uuid> = everywhere
                    .into_iter()
                    .filter(|(_, permissions)| permissions.contains(wanted))
                    .map(|(workspace_id, _)| workspace_id)
                    .collect();
                if within.is_empty() {
                    return Err(ApiError::forbidden(format!(
                        "your role does not grant {permission} in any workspace"
                    )));
                }
                Purview::Workspaces(within)
            }
        };
        Ok(Officer {
            organization_id: api.store.organization().await?,
            account_id,
            purview,
            act: caller.act(api),
            may_review: caller.principal.may_review(),
        })
    }
}
