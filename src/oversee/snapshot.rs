//! Snapshots: how a solution stands is kept, when somebody asks, when it is time, and when one of
//! its policies changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Overseer;
use crate::compliance::{Snapshot, SnapshotId, SnapshotType, Solution, SolutionId};
use crate::principal::Act;
use crate::store::StoreError;

/// How often a solution is looked at again whose policies change meanwhile; after that it waits
/// for the next look.
const ATTEMPTS: usize = 3;

impl Overseer {
    /// Takes a snapshot of a solution because somebody asks for it.
    ///
    /// Errors: not found, if there is no such solution.
    pub async fn take_snapshot(
        &self,
        id: SnapshotId,
        solution_id: SolutionId,
        act: &Act,
    ) -> Result<Snapshot, StoreError> {
        let solution = self.store.get_solution(solution_id).await?;
        let (snapshot, content) = self
            .look(id, &solution, SnapshotType::Manual, act.at)
            .await?;
        self.store.insert_snapshot(&snapshot, &content, act).await?;
        Ok(snapshot)
    }

    /// Takes the snapshots of the solutions of which a policy has changed since. What cannot be
    /// taken now is left for the next time; its error is told after the others are taken.
    pub async fn take_due_snapshots(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let changed = self.store.solutions_changed().await?;
        if changed.is_empty() {
            return Ok(());
        }
        let act = self.own_act(now).await?;
        let mut outcome = Ok(());
        for solution_id in changed {
            keep_first(&mut outcome, self.take_triggered(solution_id, &act).await);
        }
        outcome
    }

    /// Takes the snapshots that were due at a time, of all solutions that were there then; those
    /// that were taken are left alone. An error is told after the others are taken.
    pub(super) async fn take_scheduled_snapshots(
        &self,
        due_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let waiting = self.store.solutions_due(due_at, now).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let act = self.own_act(now).await?;
        let mut outcome = Ok(());
        for solution_id in waiting {
            let taken = self.take_scheduled(solution_id, due_at, &act).await;
            keep_first(&mut outcome, taken);
        }
        outcome
    }

    async fn take_triggered(&self, solution_id: SolutionId, act: &Act) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let seen = self.store.policy_versions(solution_id).await?;
            let solution = self.store.get_solution(solution_id).await?;
            let (snapshot, content) = self
                .look(new_id(), &solution, SnapshotType::Triggered, act.at)
                .await?;
            let taken = self
                .store
                .insert_triggered_snapshot(&snapshot, &content, &seen, act)
                .await;
            match taken {
                Err(StoreError::Stale) => {}
                taken => return taken.map(|_| ()),
            }
        }
        Ok(())
    }

    async fn take_scheduled(
        &self,
        solution_id: SolutionId,
        due_at: DateTime<Utc>,
        act: &Act,
    ) -> Result<(), StoreError> {
        let solution = self.store.get_solution(solution_id).await?;
        let (snapshot, content) = self
            .look(new_id(), &solution, SnapshotType::Scheduled, act.at)
            .await?;
        self.store
            .insert_scheduled_snapshot(&snapshot, &content, due_at, act)
            .await?;
        Ok(())
    }

    /// How a solution stands now, as a snapshot and its content.
    async fn look(
        &self,
        id: SnapshotId,
        solution: &Solution,
        snapshot_type: SnapshotType,
        at: DateTime<Utc>,
    ) -> Result<(Snapshot, Value), StoreError> {
        let assessment = self.assess(solution).await?;
        let score = assessment.score;
        let snapshot = Snapshot {
            id,
            solution_id: solution.id,
            snapshot_type,
            frozen: false,
            score: score.score,
            total_policies: score.total_policies,
            compliant_policies: score.compliant_policies,
            non_compliant_policies: score.non_compliant_policies,
            digest: None,
            approved_at: None,
            approved_by: None,
            created_at: at,
            updated_at: at,
        };
        Ok((snapshot, assessment.content))
    }

    /// What nobody asks for is done on behalf of the organisation's owner.
    async fn own_act(&self, at: DateTime<Utc>) -> Result<Act, StoreError> {
        Ok(Act::on_behalf_of(
            self.store.organization_owner().await?,
            at,
        ))
    }
}

fn new_id() -> SnapshotId {
    SnapshotId(Uuid::now_v7())
}

/// Keeps the first error of several. A solution that was deleted meanwhile is none.
fn keep_first(outcome: &mut Result<(), StoreError>, next: Result<(), StoreError>) {
    match next {
        Ok(()) | Err(StoreError::NotFound("solution")) => {}
        Err(error) if outcome.is_ok() => *outcome = Err(error),
        Err(_) => {}
    }
}
