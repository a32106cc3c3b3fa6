//! Solutions: policies and models that are looked at together.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    CheckResult, Facts, Landscape, Located, OrganizationId, Policy, PolicyId, Resource,
    ResourceType, Rule, RuleOutcome, Severity, SolutionId,
};

/// Whether a solution meets its policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SolutionStatus {
    /// All of them, and there is at least one.
    Compliant,
    /// Not all of them, or there is none.
    NonCompliant,
}

/// Whose a solution is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A solution (seed 000, "Solution Object"), without what is computed of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Solution {
    /// Identifier.
    pub id: SolutionId,
    /// Unique in the organisation.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The organisation.
    pub organization_id: OrganizationId,
    /// Whose it is.
    pub ownership: Ownership,
    /// Its policies.
    pub policies: Vec<PolicyId>,
    /// Its models, by id; a UUID is one of the catalog.
    pub models: Vec<String>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// A policy that an instance binds to a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The policy.
    pub policy_id: PolicyId,
    /// The resource.
    pub resource: Resource,
    /// Whether a denial stands: from a denial until the next approval.
    pub is_held: bool,
}

/// What a policy of a solution is checked on.
#[derive(Clone, Debug, PartialEq)]
pub struct Ground {
    /// The resource.
    pub resource: Resource,
    /// Where it belongs; `None` if it is gone from the catalog, which meets no policy.
    pub located: Option<Located>,
    /// Whether a denial stands.
    pub is_held: bool,
}

impl Solution {
    /// Its models as resources.
    fn model_resources(&self) -> impl Iterator<Item = Resource> {
        self.models
            .iter()
            .map(|id| Resource::new(ResourceType::Model, id))
    }

    /// The resources that belong to it: its models, whether they are still there or not, with
    /// their sources, their syncs, and the destinations of these. `None` for a solution without
    /// models: every resource belongs to it.
    pub fn resources(&self, landscape: &Landscape) -> Option<BTreeSet<Resource>> {
        if self.models.is_empty() {
            return None;
        }
        let models: Vec<Resource> = self.model_resources().collect();
        let around = models.iter().flat_map(|model| landscape.around(model));
        let around: BTreeSet<Resource> = around.cloned().collect();
        Some(around.into_iter().chain(models).collect())
    }

    /// What one of its policies is checked on, ordered by resource: what the policy is bound to
    /// (`bound`, and whether a denial stands there) and what belongs to the solution (`own`, as
    /// [`Solution::resources`] has it). Where there is no such resource: its models. Empty if it
    /// has none.
    ///
    /// What is gone from the catalog is left out where the solution does not name it.
    pub fn grounds(
        &self,
        bound: &BTreeMap<Resource, bool>,
        own: Option<&BTreeSet<Resource>>,
        landscape: &Landscape,
    ) -> Vec<Ground> {
        let ground = |resource: &Resource, is_held: bool| Ground {
            resource: resource.clone(),
            located: landscape.locate(resource),
            is_held,
        };
        let Some(own) = own else {
            let all = bound.iter().map(|(resource, held)| ground(resource, *held));
            return all.filter(|ground| ground.located.is_some()).collect();
        };
        let found = own
            .iter()
            .filter_map(|resource| Some(ground(resource, *bound.get(resource)?)));
        let found: Vec<Ground> = found.collect();
        if !found.is_empty() {
            return found;
        }
        let models: BTreeSet<Resource> = self.model_resources().collect();
        models.iter().map(|model| ground(model, false)).collect()
    }
}

/// How a solution stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// The share of checks, each a policy on a resource, that are compliant: 0 to 100, with one
    /// decimal. 0 where there is no check.
    pub score: f64,
    /// Policies.
    pub total_policies: u64,
    /// Those that every resource meets which they were checked on.
    pub compliant_policies: u64,
    /// The others.
    pub non_compliant_policies: u64,
}

impl Score {
    /// Counts. `policies` tells of each policy in force, for each resource that it was checked
    /// on, whether that was compliant. A policy without a check counts as one that failed.
    ///
    /// The score is 100 only where every check is compliant: what would be rounded up to it is
    /// 99.9.
    pub fn of(policies: &[Vec<bool>]) -> Score {
        let is_met = |checks: &&Vec<bool>| !checks.is_empty() && checks.iter().all(|met| *met);
        let total_policies = policies.len() as u64;
        let compliant_policies = policies.iter().filter(is_met).count() as u64;
        let checks: usize = policies.iter().map(|checks| checks.len().max(1)).sum();
        let met = policies.iter().flatten().filter(|met| **met).count();
        let score = match met == checks {
            true if checks == 0 => 0.0,
            true => 100.0,
            false => (met as f64 * 1000.0 / checks as f64).round().min(999.0) / 10.0,
        };
        Score {
            score,
            total_policies,
            compliant_policies,
            non_compliant_policies: total_policies - compliant_policies,
        }
    }

    /// The same of policies that were assessed.
    pub fn of_policies(policies: &[AssessedPolicy]) -> Score {
        let checks = policies.iter().map(|policy| {
            let met = policy.resources.iter().map(|resource| resource.compliant);
            met.collect()
        });
        Score::of(&checks.collect::<Vec<Vec<bool>>>())
    }

    /// Whether the solution meets its policies.
    pub fn status(&self) -> SolutionStatus {
        match self.total_policies > 0 && self.non_compliant_policies == 0 {
            true => SolutionStatus::Compliant,
            false => SolutionStatus::NonCompliant,
        }
    }
}

/// How a solution stands, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The count.
    pub score: Score,
    /// What was counted, which is what a snapshot keeps: `models`, the models of the solution, and
    /// `policies`, each an [`AssessedPolicy`]. The same state of things is the same JSON text.
    pub content: Value,
}

/// A policy of a solution, and how the solution meets it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssessedPolicy {
    /// Identifier.
    pub id: PolicyId,
    /// Its name.
    pub name: String,
    /// How much is at stake.
    pub severity: Severity,
    /// What must hold.
    pub rules: Vec<Rule>,
    /// Whether every resource meets it, and there is one.
    pub compliant: bool,
    /// Why it is not met where there is no resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Each resource that it was checked on, by type and id.
    pub resources: Vec<AssessedResource>,
}

/// A resource that a policy was checked on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssessedResource {
    /// Its id.
    pub resource_id: String,
    /// What it is.
    pub resource_type: ResourceType,
    /// Whether every rule holds, no denial stands, and the resource is there.
    pub compliant: bool,
    /// Whether a reviewer's denial stands.
    pub denied: bool,
    /// Why it is not compliant, where neither a rule nor a denial says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The facts that the rules read, as far as they are known.
    pub facts: Facts,
    /// What became of each rule, in the policy's order.
    pub rules: Vec<RuleOutcome>,
}

impl AssessedPolicy {
    /// Evaluates a policy on each of its grounds, given the facts of the resources.
    pub fn of(
        policy: &Policy,
        grounds: &[Ground],
        facts: &BTreeMap<Resource, Facts>,
    ) -> AssessedPolicy {
        let nothing = Facts::default();
        let resources: Vec<AssessedResource> = grounds
            .iter()
            .map(|ground| {
                let facts = facts.get(&ground.resource).unwrap_or(&nothing);
                AssessedResource::of(policy, ground, facts)
            })
            .collect();
        let reason = resources.is_empty().then_some("nothing is bound to it");
        AssessedPolicy {
            id: policy.id,
            name: policy.name.clone(),
            severity: policy.severity,
            rules: policy.rules.clone(),
            compliant: reason.is_none() && resources.iter().all(|resource| resource.compliant),
            reason,
            resources,
        }
    }
}

impl AssessedResource {
    fn of(policy: &Policy, ground: &Ground, facts: &Facts) -> AssessedResource {
        let result = CheckResult::of(&policy.rules, facts);
        let read = policy.rules.iter().filter_map(|rule| {
            let fact = facts.get(&rule.field)?;
            Some((rule.field.clone(), fact.clone()))
        });
        let is_there = ground.located.is_some();
        AssessedResource {
            resource_id: ground.resource.id.clone(),
            resource_type: ground.resource.resource_type,
            compliant: result.compliant && is_there && !ground.is_held,
            denied: ground.is_held,
            reason: (!is_there).then_some("it is gone from the catalog"),
            facts: Facts(read.collect()),
            rules: result.rules,
        }
    }
}

impl Assessment {
    /// Puts together what came of each policy in force of a solution, in the solution's order.
    pub fn of(solution: &Solution, policies: &[AssessedPolicy]) -> Assessment {
        Assessment {
            score: Score::of_policies(policies),
            content: json!({"models": solution.models, "policies": policies}),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const WORKSPACE: Uuid = Uuid::from_u128(1);

    fn id(n: u128) -> String {
        Uuid::from_u128(n).to_string()
    }

    fn resource(resource_type: ResourceType, n: u128) -> Resource {
        Resource::new(resource_type, &id(n))
    }

    /// Two models, 10 and 20, of the sources 11 and 21; the syncs 12 and 13 of the first write to
    /// the destination 14, and the sync 22 of the other to 24.
    fn landscape() -> Landscape {
        let mut landscape = Landscape::default();
        for (model, source, destination, syncs) in
            [(10, 11, 14, vec![12, 13]), (20, 21, 24, vec![22])]
        {
            let mut add = |resource_type, n| {
                landscape.add(resource_type, Uuid::from_u128(n), WORKSPACE);
                landscape.bring(Uuid::from_u128(model), resource_type, Uuid::from_u128(n));
            };
            add(ResourceType::Addon, source);
            add(ResourceType::App, destination);
            for sync in syncs {
                add(ResourceType::Workflow, sync);
            }
            landscape.add(ResourceType::Model, Uuid::from_u128(model), WORKSPACE);
        }
        landscape
    }

    fn solution(models: &[&str]) -> Solution {
        Solution {
            id: SolutionId(Uuid::from_u128(100)),
            name: "Customer Data Platform".to_owned(),
            description: String::new(),
            organization_id: OrganizationId(Uuid::from_u128(101)),
            ownership: Ownership::default(),
            policies: Vec::new(),
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn policy() -> Policy {
        Policy {
            id: PolicyId(Uuid::from_u128(200)),
            name: "Encryption".to_owned(),
            description: String::new(),
            status: crate::compliance::PolicyStatus::Active,
            category: crate::compliance::PolicyCategory::Security,
            severity: Severity::High,
            rules: Vec::new(),
            organization_id: OrganizationId(Uuid::from_u128(101)),
            is_active: true,
            template: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_score_is_the_share_of_compliant_checks() {
        let mostly = [vec![true; 9_999], vec![false]].concat();
        for (policies, score, total, compliant) in [
            (vec![], 0.0, 0, 0),
            (vec![vec![]], 0.0, 1, 0),
            (vec![vec![true]], 100.0, 1, 1),
            (vec![vec![true], vec![]], 50.0, 2, 1),
            (vec![vec![true, true], vec![false]], 66.7, 2, 1),
            (vec![vec![true, false], vec![false]], 33.3, 2, 0),
            (vec![vec![true; 17], vec![false]], 94.4, 2, 1),
            (vec![mostly], 99.9, 1, 0),
        ] {
            let counted = Score::of(&policies);
            let expected = Score {
                score,
                total_policies: total,
                compliant_policies: compliant,
                non_compliant_policies: total - compliant,
            };
            assert_eq!(counted, expected, "{policies:?}");
            let is_met = total > 0 && compliant == total;
            assert_eq!(counted.status() == SolutionStatus::Compliant, is_met);
        }
    }

    #[test]
    fn a_policy_is_checked_on_what_it_is_bound_to_within_the_solution() {
        use ResourceType::{Addon, App, Model, Workflow};
        let (first, gone) = (id(10), id(99));
        let outside = Resource::new(Model, "outside");
        let landscape = landscape();
        let all = [
            resource(Addon, 11),
            resource(App, 14),
            resource(Workflow, 12),
            resource(Model, 10),
        ];
        let mut everything = all.to_vec();
        everything.push(outside.clone());
        for (models, bound, expected) in [
            // Of the other model nothing belongs to the solution.
            (
                vec![&*first],
                vec![resource(Addon, 21)],
                vec![resource(Model, 10)],
            ),
            (vec![&*first], vec![], vec![resource(Model, 10)]),
            (
                vec![&*first],
                vec![resource(App, 14), resource(App, 24)],
                vec![resource(App, 14)],
            ),
            (vec![&*first], all.to_vec(), all.to_vec()),
            // An id names an object of one type.
            (
                vec![&*first],
                vec![resource(Addon, 10)],
                vec![resource(Model, 10)],
            ),
            (vec!["outside"], vec![], vec![outside.clone()]),
            (vec![&*gone], vec![], vec![resource(Model, 99)]),
            (
                vec![&*gone],
                vec![resource(Model, 99)],
                vec![resource(Model, 99)],
            ),
            // Without models everything belongs to it that is there.
            (vec![], everything.clone(), everything),
            (vec![], vec![resource(App, 99)], vec![]),
            (vec![], vec![], vec![]),
        ] {
            let solution = solution(&models);
            let bound: BTreeMap<Resource, bool> =
                bound.into_iter().map(|resource| (resource, true)).collect();
            let own = solution.resources(&landscape);
            let grounds = solution.grounds(&bound, own.as_ref(), &landscape);
            let mut sorted = expected.clone();
            sorted.sort();
            let found: Vec<_> = grounds
                .iter()
                .map(|ground| ground.resource.clone())
                .collect();
            assert_eq!(found, sorted, "{models:?} {bound:?}");
            for ground in grounds {
                assert_eq!(ground.is_held, bound.contains_key(&ground.resource));
                assert_eq!(ground.located.is_none(), ground.resource.id == gone);
            }
        }
    }

    #[test]
    fn a_denial_and_a_resource_that_is_gone_are_not_compliant() {
        let there = Ground {
            resource: resource(ResourceType::App, 14),
            located: landscape().locate(&resource(ResourceType::App, 14)),
            is_held: false,
        };
        let held = Ground {
            is_held: true,
            ..there.clone()
        };
        let gone = Ground {
            located: None,
            ..there.clone()
        };
        // A policy without rules asks nothing of a resource but that it is there.
        for (grounds, compliant) in [
            (vec![], false),
            (vec![there.clone()], true),
            (vec![there.clone(), held], false),
            (vec![there, gone], false),
        ] {
            let assessed = AssessedPolicy::of(&policy(), &grounds, &BTreeMap::new());
            assert_eq!(assessed.compliant, compliant, "{grounds:?}");
            assert_eq!(assessed.reason.is_some(), grounds.is_empty());
            let all = assessed.resources.iter().all(|one| one.compliant);
            let assessment = Assessment::of(&solution(&[]), &[assessed]);
            assert_eq!(assessment.score.compliant_policies, u64::from(compliant));
            assert_eq!(all && !grounds.is_empty(), compliant);
        }
    }
}
