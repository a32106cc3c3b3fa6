//! Where resources belong, the facts that were declared of them, and what the catalog has to be
//! asked for facts beside its objects.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::{Store, StoreError, audit, columns};
use crate::audit::Event;
use crate::compliance::declaration::MOST_FACTS;
use crate::compliance::{Declaration, Facts, LastRun, Located, Resource, ResourceType};
use crate::principal::Act;

/// What the audit log shows of a declaration.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declared<'a> {
    resource_type: ResourceType,
    resource_id: &'a str,
    facts: &'a Facts,
}

#[derive(sqlx::FromRow)]
struct LastRunRow {
    sync_id: Uuid,
    status: String,
    withheld: i64,
    finished_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<LastRunRow> for (Uuid, LastRun) {
    type Error = StoreError;

    fn try_from(row: LastRunRow) -> Result<(Uuid, LastRun), StoreError> {
        let run = LastRun {
            status: columns::from_word(&row.status, "runs.status")?,
            at: row.finished_at.unwrap_or(row.updated_at),
            withheld: columns::from_count(row.withheld, "runs.withheld")?,
        };
        Ok((row.sync_id, run))
    }
}

impl Store {
    /// The workspace of a resource. One outside the catalog has none.
    ///
    /// Errors: not found, if its id is a UUID that nothing of its type in the catalog bears.
    pub async fn locate(&self, resource: Resource) -> Result<Located, StoreError> {
        let Some(id) = resource.catalog_id() else {
            return Ok(Located {
                resource,
                workspace_id: None,
            });
        };
        let statement = match resource.resource_type {
            ResourceType::Addon => "SELECT workspace_id FROM sources WHERE id = $1",
            ResourceType::App => "SELECT workspace_id FROM destinations WHERE id = $1",
            ResourceType::Workflow => "SELECT workspace_id FROM syncs WHERE id = $1",
            ResourceType::Model => "SELECT workspace_id FROM models WHERE id = $1",
        };
        let found = optional!(self, (Uuid,), statement, id)?;
        let (workspace_id,) = found.ok_or(StoreError::NotFound("resource"))?;
        Ok(Located {
            resource,
            workspace_id: Some(workspace_id),
        })
    }

    /// The facts that were declared of a resource, also of one that is gone.
    pub async fn declared_facts(&self, resource: &Resource) -> Result<Facts, StoreError> {
        let row = optional!(
            self,
            (String,),
            "SELECT facts FROM compliance_declarations
             WHERE resource_type = $1 AND resource_id = $2",
            resource.resource_type.as_str(),
            &resource.id,
        )?;
        row.map_or_else(|| Ok(Facts::default()), |(text,)| facts(&text))
    }

    /// The facts that were declared of the resources of a workspace.
    pub async fn declared_in(
        &self,
        workspace_id: Uuid,
    ) -> Result<HashMap<Resource, Facts>, StoreError> {
        let rows = all!(
            self,
            (String, String, String),
            "SELECT resource_type, resource_id, facts FROM compliance_declarations
             WHERE workspace_id = $1",
            workspace_id,
        )?;
        let read = |(kind, id, text): (String, String, String)| {
            let column = "compliance_declarations.resource_type";
            let kind = ResourceType::of(&kind).ok_or_else(|| columns::unreadable(column))?;
            Ok((Resource::new(kind, &id), facts(&text)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// Changes what is declared of a resource. Of two changes at once both have their effect,
    /// one after the other.
    ///
    /// Errors: conflict, if more facts would be declared than a resource may have.
    pub async fn declare(
        &self,
        located: &Located,
        declaration: &Declaration,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        let resource = &located.resource;
        let kind = resource.resource_type.as_str();
        let before = lock(&mut tx, located, act).await?;
        let at = columns::time(act.at);
        let after = declaration.apply(&before, act.account_id, at);
        if after == before {
            return Ok(());
        }
        if after.0.len() > MOST_FACTS {
            return Err(StoreError::Conflict(format!(
                "a resource has at most {MOST_FACTS} declared facts; remove some with null first"
            )));
        }
        let text = columns::json(&after)?;
        execute!(
            tx,
            "UPDATE compliance_declarations SET facts = $3, updated_at = $4
             WHERE resource_type = $1 AND resource_id = $2",
            kind,
            &resource.id,
            &text,
            at,
        )?;
        let shown = |facts| Declared {
            resource_type: resource.resource_type,
            resource_id: &resource.id,
            facts,
        };
        let (before, after) = (shown(&before), shown(&after));
        let event = Event {
            action: "resource.declare".into(),
            ..Event::of(
                "resource",
                resource.catalog_id(),
                Some(&before),
                Some(&after),
            )
        };
        audit::append(&mut tx, located.workspace_id, act, &event).await?;
        tx.commit().await
    }

    /// The last run of a sync that worked on records. One that was blocked or cancelled before it
    /// read any says nothing of them, and must not take the place of the fact that blocked it.
    pub async fn last_run(
        &self,
        workspace_id: Uuid,
        sync_id: Uuid,
    ) -> Result<Option<LastRun>, StoreError> {
        let row = optional!(
            self,
            LastRunRow,
            "SELECT sync_id, status, withheld, finished_at, updated_at FROM runs
             WHERE workspace_id = $1 AND sync_id = $2
               AND (status IN ('succeeded', 'failed')
                   OR (status IN ('blocked', 'cancelled') AND rows_read > 0))
             ORDER BY created_at DESC, id DESC LIMIT 1",
            workspace_id,
            sync_id,
        )?;
        let run = row.map(<(Uuid, LastRun)>::try_from).transpose()?;
        Ok(run.map(|(_, run)| run))
    }

    /// The last run that worked on records, of each sync of a workspace.
    pub async fn last_runs(
        &self,
        workspace_id: Uuid,
    ) -> Result<HashMap<Uuid, LastRun>, StoreError> {
        let rows = all!(
            self,
            LastRunRow,
            "SELECT r.sync_id, r.status, r.withheld, r.finished_at, r.updated_at
             FROM syncs s JOIN runs r ON r.id = (
                 SELECT id FROM runs
                 WHERE workspace_id = s.workspace_id AND sync_id = s.id
                   AND (status IN ('succeeded', 'failed')
                       OR (status IN ('blocked', 'cancelled') AND rows_read > 0))
                 ORDER BY created_at DESC, id DESC LIMIT 1)
             WHERE s.workspace_id = $1",
            workspace_id,
        )?;
        rows.into_iter().map(LastRunRow::try_into).collect()
    }
}

fn facts(text: &str) -> Result<Facts, StoreError> {
    columns::from_json(text, "compliance_declarations.facts")
}

/// What is declared of a resource, held until the transaction ends: whoever changes it next waits
/// for it.
async fn lock(tx: &mut Tx, located: &Located, act: &Act) -> Result<Facts, StoreError> {
    let row = optional!(
        tx,
        (String,),
        "INSERT INTO compliance_declarations
             (resource_type, resource_id, workspace_id, facts, updated_at)
         VALUES ($1, $2, $3, '{}', $4)
         ON CONFLICT (resource_type, resource_id) DO UPDATE SET updated_at = excluded.updated_at
         RETURNING facts",
        located.resource.resource_type.as_str(),
        &located.resource.id,
        located.workspace_id,
        columns::time(act.at),
    )?;
    let lost = || StoreError::Corrupt("a declaration that was written is not there".into());
    let (text,) = row.ok_or_else(lost)?;
    facts(&text)
}
