//! How a solution stands: each of its policies on each resource that it is about, by facts that
//! are read now.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use super::Overseer;
use crate::compliance::{
    AssessedPolicy, Assessment, Facts, Ground, Listed, Located, Page, Policy, PolicyId, Resource,
    Score, Solution,
};
use crate::store::{SolutionFilter, StoreError};

impl Overseer {
    /// How a solution stands now.
    pub async fn score(&self, solution: &Solution) -> Result<Score, StoreError> {
        Ok(self.assess(solution).await?.score)
    }

    /// How a solution stands now, and why.
    pub async fn assess(&self, solution: &Solution) -> Result<Assessment, StoreError> {
        let policies = self.policies_of(slice::from_ref(solution)).await?.pop();
        Ok(Assessment::of(solution, &policies.unwrap_or_default()))
    }

    /// How solutions stand now, in their order. What they share is read once.
    pub async fn scores(&self, solutions: &[Solution]) -> Result<Vec<Score>, StoreError> {
        let assessed = self.policies_of(solutions).await?;
        let scores = assessed.iter().map(|policies| Score::of_policies(policies));
        Ok(scores.collect())
    }

    /// Each policy in force of each solution, evaluated now.
    async fn policies_of(
        &self,
        solutions: &[Solution],
    ) -> Result<Vec<Vec<AssessedPolicy>>, StoreError> {
        let plans = self.plan(solutions).await?;
        let grounds = plans.iter().flatten().flat_map(|(_, grounds)| grounds);
        let located = grounds.filter_map(|ground| ground.located.as_ref());
        let located: BTreeMap<&Resource, &Located> = located
            .map(|located| (&located.resource, located))
            .collect();
        let facts = self.learn(located.into_values()).await?;
        let assessed = plans.iter().map(|plan| {
            let policies = plan.iter();
            let policies =
                policies.map(|(policy, grounds)| AssessedPolicy::of(policy, grounds, &facts));
            policies.collect()
        });
        Ok(assessed.collect())
    }

    /// A part of the solutions, each with how it stands now. To sort by `complianceScore` takes
    /// the score of every solution that meets the filter; otherwise those of the page are enough.
    pub async fn list_solutions(
        &self,
        filter: &SolutionFilter,
        page: Page,
    ) -> Result<Listed<(Solution, Score)>, StoreError> {
        if page.sort.field != "complianceScore" {
            let listed = self.store.list_solutions(filter, page).await?;
            return Ok(Listed {
                data: self.with_scores(listed.data).await?,
                total: listed.total,
            });
        }
        let mut all = self
            .with_scores(self.store.all_solutions(filter).await?)
            .await?;
        all.sort_by(|one, other| {
            let order = by_score(one, other);
            match page.sort.descending {
                true => order.reverse(),
                false => order,
            }
        });
        let total = all.len() as u64;
        let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let data = all.into_iter().skip(offset).take(page.limit as usize);
        Ok(Listed {
            data: data.collect(),
            total,
        })
    }

    async fn with_scores(
        &self,
        solutions: Vec<Solution>,
    ) -> Result<Vec<(Solution, Score)>, StoreError> {
        let scores = self.scores(&solutions).await?;
        Ok(solutions.into_iter().zip(scores).collect())
    }

    /// What is to be checked: of each solution its policies in force, each with its grounds.
    async fn plan(
        &self,
        solutions: &[Solution],
    ) -> Result<Vec<Vec<(Policy, Vec<Ground>)>>, StoreError> {
        let ids = solutions.iter().flat_map(|solution| &solution.policies);
        let ids: BTreeSet<PolicyId> = ids.copied().collect();
        let ids: Vec<PolicyId> = ids.into_iter().collect();
        let mut policies: BTreeMap<PolicyId, Policy> = BTreeMap::new();
        for policy in self.store.get_policies(&ids).await? {
            if policy.is_in_force() {
                policies.insert(policy.id, policy);
            }
        }
        if policies.is_empty() {
            return Ok(solutions.iter().map(|_| Vec::new()).collect());
        }

        let landscape = self.store.landscape().await?;
        let own: Vec<Option<BTreeSet<Resource>>> = solutions
            .iter()
            .map(|solution| solution.resources(&landscape))
            .collect();
        let resources: BTreeSet<Resource> = own.iter().flatten().flatten().cloned().collect();
        let without_models = solutions.iter().zip(&own).filter(|(_, own)| own.is_none());
        let anywhere = without_models.flat_map(|(solution, _)| &solution.policies);
        let anywhere: BTreeSet<PolicyId> = anywhere
            .copied()
            .filter(|id| policies.contains_key(id))
            .collect();
        let mut bindings = self.store.bindings_on(&resources).await?;
        bindings.extend(self.store.bindings_of(&anywhere).await?);
        let mut bound: BTreeMap<PolicyId, BTreeMap<Resource, bool>> = BTreeMap::new();
        for binding in bindings {
            bound
                .entry(binding.policy_id)
                .or_default()
                .insert(binding.resource, binding.is_held);
        }

        let nowhere = BTreeMap::new();
        let plans = solutions.iter().zip(&own).map(|(solution, own)| {
            let in_force = solution.policies.iter().filter_map(|id| policies.get(id));
            let planned = in_force.map(|policy| {
                let bound = bound.get(&policy.id).unwrap_or(&nowhere);
                let grounds = solution.grounds(bound, own.as_ref(), &landscape);
                (policy.clone(), grounds)
            });
            planned.collect()
        });
        Ok(plans.collect())
    }

    /// What is known of resources now.
    async fn learn(
        &self,
        located: impl Iterator<Item = &Located>,
    ) -> Result<BTreeMap<Resource, Facts>, StoreError> {
        let located: Vec<Located> = located.cloned().collect();
        let facts = self.facts_of(&located).await?;
        let resources = located.into_iter().map(|located| located.resource);
        Ok(resources.zip(facts).collect())
    }
}

fn by_score(one: &(Solution, Score), other: &(Solution, Score)) -> Ordering {
    let scores = one.1.score.total_cmp(&other.1.score);
    scores.then_with(|| one.0.id.cmp(&other.0.id))
}
