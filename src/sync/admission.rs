//! What a run asks before it opens anything: whether compliance lets its sync run.

use super::Shared;
use super::notes::Notes;
use super::stop::Stop;
use crate::catalog::{Destination, Model, Run, Source, Sync};
use crate::compliance::{Admission, Breach};
use crate::telemetry;

/// The sync of a run, and what it is bound to.
#[derive(PartialEq)]
pub(super) struct Bound {
    pub(super) sync: Sync,
    pub(super) model: Model,
    pub(super) source: Source,
    pub(super) destination: Destination,
}

impl Shared {
    /// The sync of a run as it is now.
    pub(super) async fn bound(&self, run: &Run) -> Result<Bound, Stop> {
        let workspace_id = run.workspace_id;
        let sync = self.store.get_sync(workspace_id, run.sync_id).await?;
        let model = self.store.get_model(workspace_id, sync.model_id).await?;
        let source = self.store.get_source(workspace_id, model.source_id).await?;
        let destination = self
            .store
            .get_destination(workspace_id, sync.destination_id)
            .await?;
        Ok(Bound {
            sync,
            model,
            source,
            destination,
        })
    }

    /// Notes what compliance warns of.
    ///
    /// Errors: blocked, if it does not let the sync run.
    pub(super) fn heed(&self, admission: &Admission, notes: &mut Notes) -> Result<(), Stop> {
        count("block", &admission.blocked);
        count("warn", &admission.warned);
        notes.warning = admission.warning();
        match admission.refusal() {
            Some(refusal) => Err(Stop::Blocked(refusal)),
            None => Ok(()),
        }
    }
}

fn count(action: &'static str, breaches: &[Breach]) {
    if breaches.is_empty() {
        return;
    }
    let number = breaches.len() as u64;
    metrics::counter!(telemetry::POLICY_BREACHES_TOTAL, telemetry::ACTION => action)
        .increment(number);
    let policies: Vec<String> = breaches
        .iter()
        .map(|breach| breach.policy.policy_id.to_string())
        .collect();
    tracing::warn!(
        action,
        policies = policies.join(", "),
        "resources of the sync do not meet compliance policies"
    );
}
