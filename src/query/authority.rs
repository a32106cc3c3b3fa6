//! Whether a statement may be answered, and as whom: looked up for each statement, and again
//! before each batch of its answer.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{Asker, PERMISSION, Querier, QueryError};
use crate::audit::Event;
use crate::guard::session::Plan;
use crate::policy::{PolicySet, Revision};
use crate::principal::{Act, Permissions, Standing};
use crate::store::StoreError;

/// What evaluating as another account takes besides.
const EVALUATE_PERMISSION: &str = "governance.read";

/// Who asks, whose rows are seen, and the policies in force, at one moment.
pub(super) struct Authority {
    /// Where the asker stands.
    pub(super) own: Standing,
    /// Where the account stands whose rows are seen: the asker's own, mostly.
    pub(super) seen: Standing,
    /// The policies.
    pub(super) policies: Arc<PolicySet>,
    /// When.
    pub(super) at: DateTime<Utc>,
}

impl Authority {
    pub(super) fn revision(&self) -> Revision {
        self.policies.revision
    }

    pub(super) fn evaluates_as_another(&self) -> bool {
        self.own.account_id != self.seen.account_id
    }
}

impl Querier {
    /// The authority of an asker now.
    pub(super) async fn authority(&self, asker: &Asker) -> Result<Authority, QueryError> {
        let at = (self.clock)();
        let principal = &asker.principal;
        if !self.store.key_works(principal.key_id, at).await? {
            return Err(QueryError::Unauthenticated);
        }
        let (policies, own) = self
            .standing(asker.workspace_id, principal.account.id)
            .await?
            .ok_or(QueryError::NoWorkspace)?;
        let scope = principal.scope();
        permitted(&own, scope, PERMISSION)?;
        let other = asker.evaluate_as.filter(|id| *id != own.account_id);
        let Some(other) = other else {
            return Ok(Authority {
                seen: own.clone(),
                own,
                policies,
                at,
            });
        };
        permitted(&own, scope, EVALUATE_PERMISSION)?;
        let (policies, seen) = self
            .standing(asker.workspace_id, other)
            .await?
            .ok_or(QueryError::NoMember)?;
        let may_read =
            Permissions::of(PERMISSION).is_some_and(|wanted| seen.permissions.contains(wanted));
        if !may_read {
            let message =
                format!("the account to evaluate as has no role that grants {PERMISSION}");
            return Err(QueryError::Forbidden(message));
        }
        Ok(Authority {
            own,
            seen,
            policies,
            at,
        })
    }

    async fn standing(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
    ) -> Result<Option<(Arc<PolicySet>, Standing)>, QueryError> {
        let found = self
            .store
            .policies_for(&self.registry, workspace_id, account_id)
            .await;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether rows that were computed with an authority may still be released.
    pub(super) async fn holds(
        &self,
        asker: &Asker,
        authority: &Authority,
    ) -> Result<(), QueryError> {
        let principal = &asker.principal;
        if !self
            .store
            .key_works(principal.key_id, (self.clock)())
            .await?
        {
            return Err(QueryError::Unauthenticated);
        }
        for standing in [&authority.own, &authority.seen] {
            let workspace_id = standing.workspace_id;
            let now = self
                .store
                .standing(workspace_id, standing.account_id)
                .await?;
            if now.as_ref() != Some(standing) {
                return Err(QueryError::Changed);
            }
            if !authority.evaluates_as_another() {
                break;
            }
        }
        Ok(())
    }

    /// Notes that models are read, by whom, and as whom. What was asked is not noted: a query's
    /// text may hold what is somebody's own.
    pub(super) fn note(
        self,
        asker: &Asker,
        authority: &Authority,
        plan: &Plan,
    ) -> impl Future<Output = Result<(), QueryError>> + Send + use<> {
        let models = plan.tables();
        let reads = !models.is_empty() && !plan.is_explained();
        let act = Act {
            account_id: authority.own.account_id,
            key_id: Some(asker.principal.key_id),
            request_id: asker.request_id.clone(),
            at: authority.at,
        };
        let seen = authority.seen.account_id;
        let summary = json!({ "models": models, "account_id": seen });
        let action = match authority.evaluates_as_another() {
            true => "query.evaluate_as",
            false => "query.run",
        };
        let event = Event {
            action: action.into(),
            revision: Some(authority.revision()),
            ..Event::of("account", Some(seen), None, Some(&summary))
        };
        let workspace_id = Some(asker.workspace_id);
        async move {
            if reads {
                self.store.record(workspace_id, &act, &event).await?;
            }
            Ok(())
        }
    }
}

fn permitted(standing: &Standing, scope: Permissions, wanted: &str) -> Result<(), QueryError> {
    let Some(permission) = Permissions::of(wanted) else {
        return Err(QueryError::Internal);
    };
    if !standing.permissions.contains(permission) {
        let message = format!("your role does not grant {wanted}");
        return Err(QueryError::Forbidden(message));
    }
    if !scope.contains(permission) {
        let scope = wanted.replacen('.', ":", 1);
        let message = format!("the API key lacks the scope {scope}");
        return Err(QueryError::Forbidden(message));
    }
    Ok(())
}
