//! Solutions, with their policies and models in order.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::super::audit;
use super::super::database::{Db, Tx};
use super::super::error::{is_dangling, is_duplicate};
use super::super::{Store, StoreError, columns, same, touched};
use super::listing::{Listing, Sorts};
use crate::audit::Event;
use crate::compliance::{
    AttestationId, Listed, OrganizationId, Ownership, Page, PolicyId, SnapshotId, Solution,
    SolutionId,
};
use crate::principal::Act;

/// Which solutions are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SolutionFilter {
    /// In the name or the description.
    pub search: Option<String>,
    /// The owning team.
    pub team: Option<String>,
}

impl SolutionFilter {
    fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        listing.mentions(&["name", "description"], self.search.as_deref());
        listing.equals("team", self.team.clone());
        listing
    }
}

#[derive(sqlx::FromRow)]
struct SolutionRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    description: String,
    team: Option<String>,
    owner: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl SolutionRow {
    fn with(self, policies: Vec<PolicyId>, models: Vec<String>) -> Solution {
        Solution {
            id: SolutionId(self.id),
            name: self.name,
            description: self.description,
            organization_id: OrganizationId(self.organization_id),
            ownership: Ownership {
                team: self.team,
                owner: self.owner,
            },
            policies,
            models,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// A solution that is deleted, as the audit log keeps it: with what nothing could change while it
/// was there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted<'a> {
    #[serde(flatten)]
    solution: &'a Solution,
    frozen_snapshots: Vec<Frozen>,
    attestations: Vec<AttestationId>,
}

#[derive(Serialize)]
struct Frozen {
    id: SnapshotId,
    digest: Option<String>,
}

const COLUMNS: &str = "id, organization_id, name, description, team, owner, created_at, updated_at";
const TABLE: &str = "compliance_solutions";
const SORTS: Sorts = &[
    ("createdAt", "created_at"),
    ("updatedAt", "updated_at"),
    ("name", "name"),
];
/// How many solutions a statement names at most.
const AT_ONCE: usize = 500;

impl Store {
    /// A part of the solutions.
    pub async fn list_solutions(
        &self,
        filter: &SolutionFilter,
        page: Page,
    ) -> Result<Listed<Solution>, StoreError> {
        let listed = filter
            .listing()
            .page(self, COLUMNS, TABLE, SORTS, "id", page)
            .await?;
        Ok(Listed {
            data: self.with_lists(listed.data).await?,
            total: listed.total,
        })
    }

    /// All solutions that a filter wants, oldest first.
    pub async fn all_solutions(
        &self,
        filter: &SolutionFilter,
    ) -> Result<Vec<Solution>, StoreError> {
        let listing = filter.listing();
        let rows = listing.all(self, COLUMNS, TABLE, "created_at, id").await?;
        self.with_lists(rows).await
    }

    /// The solutions that have a policy, oldest first.
    pub async fn solutions_of_policy(&self, id: PolicyId) -> Result<Vec<Solution>, StoreError> {
        let mut listing = Listing::new();
        listing.holds(
            "id IN (SELECT solution_id FROM compliance_solution_policies WHERE policy_id = {})",
            vec![id.0.into()],
        );
        let rows = listing.all(self, COLUMNS, TABLE, "created_at, id").await?;
        self.with_lists(rows).await
    }

    /// One solution.
    pub async fn get_solution(&self, id: SolutionId) -> Result<Solution, StoreError> {
        find(&mut self.snapshot().await?, id).await
    }

    /// Adds a solution.
    ///
    /// Errors: `duplicate_name`; not found, if one of its policies is not there.
    pub async fn insert_solution(&self, solution: &Solution, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        execute!(
            tx,
            "INSERT INTO compliance_solutions (id, organization_id, name, description, team,
                 owner, snapshot_due, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            solution.id.0,
            solution.organization_id.0,
            &solution.name,
            &solution.description,
            &solution.ownership.team,
            &solution.ownership.owner,
            false,
            columns::time(solution.created_at),
            columns::time(solution.updated_at),
        )
        .map_err(|error| not_saved(error, solution))?;
        put_lists(&mut tx, solution).await?;
        let event = Event::of("solution", Some(solution.id.0), None, Some(solution));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Saves everything of a solution but its organisation and creation.
    ///
    /// Errors: stale, if it is no longer as it was `before`; `duplicate_name`; not found, if one
    /// of its policies is not there.
    pub async fn update_solution(
        &self,
        before: &Solution,
        solution: &Solution,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        lock(&mut tx, before).await?;
        execute!(
            tx,
            "UPDATE compliance_solutions SET name = $2, description = $3, team = $4, owner = $5,
                 updated_at = $6
             WHERE id = $1",
            solution.id.0,
            &solution.name,
            &solution.description,
            &solution.ownership.team,
            &solution.ownership.owner,
            columns::time(solution.updated_at),
        )
        .map_err(|error| not_saved(error, solution))?;
        execute!(
            tx,
            "DELETE FROM compliance_solution_policies WHERE solution_id = $1",
            solution.id.0,
        )?;
        execute!(
            tx,
            "DELETE FROM compliance_solution_models WHERE solution_id = $1",
            solution.id.0,
        )?;
        put_lists(&mut tx, solution).await?;
        let id = Some(solution.id.0);
        let event = Event::of("solution", id, Some(before), Some(solution));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Deletes a solution with its snapshots and attestations. The audit log names those of the
    /// snapshots that were frozen, with their digests.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn delete_solution(&self, before: &Solution, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        lock(&mut tx, before).await?;
        let mut attestations = all!(
            tx,
            (Uuid,),
            "DELETE FROM compliance_attestations WHERE solution_id = $1 RETURNING id",
            before.id.0,
        )?;
        attestations.sort();
        let mut snapshots = all!(
            tx,
            (DateTime<Utc>, Uuid, bool, Option<String>),
            "DELETE FROM compliance_snapshots WHERE solution_id = $1
             RETURNING created_at, id, frozen, digest",
            before.id.0,
        )?;
        snapshots.sort();
        let frozen = snapshots.into_iter().filter(|(_, _, frozen, _)| *frozen);
        let deleted = Deleted {
            solution: before,
            frozen_snapshots: frozen
                .map(|(_, id, _, digest)| Frozen {
                    id: SnapshotId(id),
                    digest,
                })
                .collect(),
            attestations: attestations
                .into_iter()
                .map(|(id,)| AttestationId(id))
                .collect(),
        };
        let rows = execute!(
            tx,
            "DELETE FROM compliance_solutions WHERE id = $1",
            before.id.0,
        )?;
        touched(rows, "solution")?;
        let event = Event::of("solution", Some(before.id.0), Some(&deleted), None);
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Reads the policies and models of solutions.
    async fn with_lists(&self, rows: Vec<SolutionRow>) -> Result<Vec<Solution>, StoreError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut policies: HashMap<Uuid, Vec<PolicyId>> = HashMap::new();
        let mut models: HashMap<Uuid, Vec<String>> = HashMap::new();
        for ids in ids.chunks(AT_ONCE) {
            let of = || {
                let mut listing = Listing::new();
                listing.is_one_of("solution_id", ids.to_vec());
                listing
            };
            let found: Vec<(Uuid, Uuid)> = of()
                .all(
                    self,
                    "solution_id, policy_id",
                    "compliance_solution_policies",
                    "solution_id, position",
                )
                .await?;
            for (id, policy_id) in found {
                policies.entry(id).or_default().push(PolicyId(policy_id));
            }
            let found: Vec<(Uuid, String)> = of()
                .all(
                    self,
                    "solution_id, model_id",
                    "compliance_solution_models",
                    "solution_id, position",
                )
                .await?;
            for (id, model_id) in found {
                models.entry(id).or_default().push(model_id);
            }
        }
        let solutions = rows.into_iter().map(|row| {
            let policies = policies.remove(&row.id).unwrap_or_default();
            let models = models.remove(&row.id).unwrap_or_default();
            row.with(policies, models)
        });
        Ok(solutions.collect())
    }
}

/// One solution as a transaction sees it.
async fn find(tx: &mut Tx, id: SolutionId) -> Result<Solution, StoreError> {
    let row = optional!(
        tx,
        SolutionRow,
        "SELECT id, organization_id, name, description, team, owner, created_at, updated_at
         FROM compliance_solutions WHERE id = $1",
        id.0,
    )?;
    let row = row.ok_or(StoreError::NotFound("solution"))?;
    let policies = all!(
        tx,
        (Uuid,),
        "SELECT policy_id FROM compliance_solution_policies
         WHERE solution_id = $1 ORDER BY position",
        id.0,
    )?;
    let models = all!(
        tx,
        (String,),
        "SELECT model_id FROM compliance_solution_models
         WHERE solution_id = $1 ORDER BY position",
        id.0,
    )?;
    let policies = policies.into_iter().map(|(id,)| PolicyId(id)).collect();
    let models = models.into_iter().map(|(id,)| id).collect();
    Ok(row.with(policies, models))
}

/// Keeps others from changing a solution until the transaction ends, and refuses one that is no
/// longer as its caller read it.
async fn lock(tx: &mut Tx, before: &Solution) -> Result<(), StoreError> {
    let rows = execute!(
        tx,
        "UPDATE compliance_solutions SET updated_at = updated_at WHERE id = $1",
        before.id.0,
    )?;
    touched(rows, "solution")?;
    same(&find(tx, before.id).await?, before)
}

/// Saves the policies and models of a solution that has none yet.
async fn put_lists(tx: &mut Tx, solution: &Solution) -> Result<(), StoreError> {
    for (position, policy) in (0_i64..).zip(&solution.policies) {
        execute!(
            tx,
            "INSERT INTO compliance_solution_policies (solution_id, position, policy_id)
             VALUES ($1, $2, $3)",
            solution.id.0,
            position,
            policy.0,
        )
        .map_err(|error| not_listed(error, "policy"))?;
    }
    for (position, model) in (0_i64..).zip(&solution.models) {
        execute!(
            tx,
            "INSERT INTO compliance_solution_models (solution_id, position, model_id)
             VALUES ($1, $2, $3)",
            solution.id.0,
            position,
            model,
        )
        .map_err(|error| not_listed(error, "model"))?;
    }
    Ok(())
}

fn not_saved(error: sqlx::Error, solution: &Solution) -> StoreError {
    match is_duplicate(&error) {
        true => StoreError::Refused {
            code: "duplicate_name",
            message: format!(
                "there is already a solution named {:?}; choose another",
                solution.name
            ),
        },
        false => error.into(),
    }
}

fn not_listed(error: sqlx::Error, what: &'static str) -> StoreError {
    match is_dangling(&error) {
        true => StoreError::NotFound(what),
        false => error.into(),
    }
}
