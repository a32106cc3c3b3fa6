//! Impact: how many records a change of policies would newly withhold or release.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{InspectError, Inspector};
use crate::audit::Event;
use crate::catalog::{Destination, Model};
use crate::guard::registry::NoGuard;
use crate::guard::{Guard, GuardError, Leaving, requirements};
use crate::policy::{Change, PolicySet, Requirement, Revision};
use crate::principal::{Act, Standing};
use crate::source;

/// What a change would do to what goes from a model to a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Impact {
    /// The destination.
    pub destination_id: Uuid,
    /// Its name.
    pub destination: String,
    /// The model.
    pub model_id: Uuid,
    /// Its name.
    pub model: String,
    /// How many records it is about.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Records counted, or why they could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ImpactOutcome)]
pub enum Outcome {
    /// They were counted.
    Counted(Counts),
    /// They could not be counted.
    Unknown {
        /// Why.
        error: String,
    },
}

/// Records that a principal may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ImpactCounts)]
pub struct Counts {
    /// Records read: all of the model that the principal may see.
    pub read: u64,
    /// Records that pass now and would be withheld.
    pub newly_withheld: u64,
    /// Records that are withheld now and would pass.
    pub newly_released: u64,
}

/// The guards of a model for one destination type, before and after; `None` lets nothing pass.
struct Watch {
    before: Option<Guard>,
    after: Option<Guard>,
    counts: Counts,
}

impl Inspector {
    /// Counts, for every model and destination that a sync binds and whose guard would change,
    /// the records that would newly be withheld or released. Each model is read once, and of it
    /// only the columns that policies read. Records that the principal may not see do not count.
    ///
    /// Errors: the store cannot be read. A model that cannot be is an outcome of its own.
    pub async fn impact(
        &self,
        before: &PolicySet,
        after: &PolicySet,
        principal: &Standing,
        act: &Act,
    ) -> Result<Vec<Impact>, InspectError> {
        let changed = changed_types(before, after);
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let workspace_id = before.workspace_id;
        let bound: BTreeSet<_> = self
            .store
            .list_syncs(workspace_id)
            .await?
            .iter()
            .map(|sync| (sync.model_id, sync.destination_id))
            .collect();
        let destinations = self.store.list_destinations(workspace_id).await?;
        let mut impacts = Vec::new();
        for model in self.store.list_models(workspace_id).await? {
            let reached: Vec<&Destination> = destinations
                .iter()
                .filter(|to| {
                    changed.contains(&to.destination_type) && bound.contains(&(model.id, to.id))
                })
                .collect();
            if reached.is_empty() {
                continue;
            }
            let kinds = reached.iter().map(|to| to.destination_type.as_str());
            let counted = self
                .count(&model, kinds.collect(), (before, after), principal, act.at)
                .await;
            if let Err(InspectError::Store(error)) = counted {
                return Err(error.into());
            }
            for destination in reached {
                let outcome = match &counted {
                    Ok(counted) => match counted.get(destination.destination_type.as_str()) {
                        Some(counts) => Outcome::Counted(*counts),
                        // The policies that changed do not concern this model.
                        None => continue,
                    },
                    Err(error) => Outcome::Unknown {
                        error: error.to_string(),
                    },
                };
                impacts.push(Impact {
                    destination_id: destination.id,
                    destination: destination.name.clone(),
                    model_id: model.id,
                    model: model.name.clone(),
                    outcome,
                });
            }
        }
        let event = Event {
            action: "destination_policy.plan".into(),
            revision: Some(before.revision),
            ..Event::of("workspace", Some(workspace_id), None, Some(&impacts))
        };
        self.store.record(Some(workspace_id), act, &event).await?;
        Ok(impacts)
    }

    /// The counts of one model for each destination type whose guard would change.
    async fn count<'a>(
        &self,
        model: &Model,
        destination_types: BTreeSet<&'a str>,
        (before, after): (&PolicySet, &PolicySet),
        principal: &Standing,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<&'a str, Counts>, InspectError> {
        let source = self
            .store
            .get_source(model.workspace_id, model.source_id)
            .await?;
        let opened = source::open(&source, &model.query, &model.primary_key, &self.reach).await?;
        let schema = opened.schema();
        let compile = |required: &[Requirement], revision: Revision| {
            Guard::compile(&schema, required, now, revision).map_err(NoGuard::Refused)
        };
        let side = |required: Result<Vec<Requirement>, NoGuard>, revision: Revision| match required
            .and_then(|required| compile(&required, revision))
        {
            Ok(guard) => Ok(Some(guard)),
            Err(NoGuard::NoDestinationPolicy { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let mut watches = BTreeMap::new();
        for kind in destination_types {
            let required = |policies: &PolicySet| {
                requirements(policies, model, &schema, Some(kind), principal)
            };
            let (was, will) = (required(before), required(after));
            if was == will {
                continue;
            }
            let watch = Watch {
                before: side(was, before.revision)?,
                after: side(will, after.revision)?,
                counts: Counts::default(),
            };
            watches.insert(kind, watch);
        }
        if watches.is_empty() {
            return Ok(BTreeMap::new());
        }
        // What content policies withhold is not counted: a change tells nothing of it.
        let visible = self
            .registry
            .guard(before, model, &schema, None, principal, now)?;
        let guards = watches
            .values()
            .flat_map(|watch| watch.before.iter().chain(&watch.after))
            .chain([visible.as_ref()]);
        let columns: BTreeSet<&String> = guards.flat_map(|guard| guard.columns()).collect();
        let mut columns: BTreeSet<String> = columns.into_iter().cloned().collect();
        columns.extend(visible.content_columns());
        let columns: Vec<String> = columns.into_iter().collect();
        let mut batches = opened.read(Some(&columns), 0, self.batch_rows).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let seen = visible.apply(&batch, Leaving::All)?;
            let seen = seen.guarded();
            for watch in watches.values_mut() {
                watch.counts.read += seen.num_rows() as u64;
                watch.count(seen.batch())?;
            }
        }
        let counted = watches.into_iter();
        Ok(counted.map(|(kind, watch)| (kind, watch.counts)).collect())
    }
}

impl Watch {
    /// Both guards know the principal: a record that they may not see passes neither.
    fn count(&mut self, batch: &RecordBatch) -> Result<(), GuardError> {
        let passing = |guard: &Option<Guard>| match guard {
            Some(guard) => guard.passes(batch, Leaving::All).map(Some),
            None => Ok(None),
        };
        let (before, after) = (passing(&self.before)?, passing(&self.after)?);
        let set = |rows: &Option<arrow::buffer::BooleanBuffer>| match rows {
            Some(rows) => rows.count_set_bits(),
            None => 0,
        };
        let both = match (&before, &after) {
            (Some(before), Some(after)) => (before & after).count_set_bits(),
            _ => 0,
        };
        self.counts.newly_withheld += (set(&before) - both) as u64;
        self.counts.newly_released += (set(&after) - both) as u64;
        Ok(())
    }
}

/// The destination types for which some policy differs.
fn changed_types(before: &PolicySet, after: &PolicySet) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for change in before.changes_to(after) {
        if let Change::DestinationPolicy(edit) = change {
            let sides = [edit.before, edit.after];
            let policies = sides.into_iter().flatten();
            changed.extend(policies.map(|policy| policy.destination_type.clone()));
        }
    }
    changed
}
