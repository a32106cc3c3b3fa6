//! Overrides: leave to run although an instance is not compliant, for a time.

use serde_json::json;
use uuid::Uuid;

use super::super::audit;
use super::super::database::{Db, Tx};
use super::super::{Store, StoreError, columns};
use crate::audit::Event;
use crate::compliance::{InstanceId, Override};
use crate::principal::Act;

impl Store {
    /// Grants an override of an instance, in place of the one that it may have.
    pub async fn set_override(
        &self,
        id: InstanceId,
        leave: &Override,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        let (workspace_id, before) = lock(&mut tx, id, act).await?;
        let document = columns::json(leave)?;
        execute!(
            tx,
            "UPDATE compliance_instances SET override_document = $2 WHERE id = $1",
            id.0,
            &document,
        )?;
        let event = told("policy_instance.override", id, before, Some(leave));
        audit::append(&mut tx, workspace_id, act, &event).await?;
        tx.commit().await
    }

    /// Ends the override of an instance.
    ///
    /// Errors: not found, if there is no such instance or it has no override.
    pub async fn end_override(&self, id: InstanceId, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        let (workspace_id, before) = lock(&mut tx, id, act).await?;
        let before = before.ok_or(StoreError::NotFound("override"))?;
        execute!(
            tx,
            "UPDATE compliance_instances SET override_document = NULL WHERE id = $1",
            id.0,
        )?;
        let event = told("policy_instance.override_end", id, Some(before), None);
        audit::append(&mut tx, workspace_id, act, &event).await?;
        tx.commit().await
    }
}

/// Takes an instance to change it; answers the workspace of its resource, and the override that it
/// has.
async fn lock(
    tx: &mut Tx,
    id: InstanceId,
    act: &Act,
) -> Result<(Option<Uuid>, Option<Override>), StoreError> {
    let row = optional!(
        tx,
        (Option<Uuid>, Option<String>),
        "UPDATE compliance_instances SET updated_at = $2 WHERE id = $1
         RETURNING workspace_id, override_document",
        id.0,
        columns::time(act.at),
    )?;
    let (workspace_id, document) = row.ok_or(StoreError::NotFound("policy instance"))?;
    let column = "compliance_instances.override_document";
    let leave = document.map(|document| columns::from_json(&document, column));
    Ok((workspace_id, leave.transpose()?))
}

fn told(action: &str, id: InstanceId, before: Option<Override>, after: Option<&Override>) -> Event {
    Event {
        action: action.to_owned(),
        ..Event::of(
            "policy_instance",
            Some(id.0),
            Some(&json!({"override": before})),
            Some(&json!({"override": after})),
        )
    }
}
