//! Whether a resource meets the policies that apply to it, evaluated now.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::Overseer;
use crate::catalog::Environment;
use crate::compliance::{
    Action, Check, CheckResult, CheckedPolicy, Facts, Instance, Located, Policy, PolicyId, Standing,
};
use crate::store::StoreError;

impl Overseer {
    /// Evaluates a policy on a resource.
    pub async fn evaluate(
        &self,
        policy: &Policy,
        located: &Located,
    ) -> Result<CheckResult, StoreError> {
        let facts = self.facts(located).await?;
        Ok(CheckResult::of(&policy.rules, &facts))
    }

    /// How a resource stands towards every policy in force that an instance binds to it, and
    /// what follows in an environment. The policies with most at stake come first.
    pub async fn check(
        &self,
        located: &Located,
        environment: Option<Environment>,
        now: DateTime<Utc>,
    ) -> Result<Check, StoreError> {
        let instances = self.store.instances_of_resource(&located.resource).await?;
        let policies = self.in_force(&instances).await?;
        self.judge(located, &instances, &policies, environment, now)
            .await
    }

    /// The policies in force that instances bind to anything.
    pub(super) async fn in_force<'a>(
        &self,
        instances: impl IntoIterator<Item = &'a Instance>,
    ) -> Result<HashMap<PolicyId, Policy>, StoreError> {
        let ids: BTreeSet<PolicyId> = instances.into_iter().map(|one| one.policy_id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<PolicyId> = ids.into_iter().collect();
        let policies = self.store.get_policies(&ids).await?.into_iter();
        let in_force = policies.filter(Policy::is_in_force);
        Ok(in_force.map(|policy| (policy.id, policy)).collect())
    }

    /// The check of a resource, given the instances that bind policies to it and which of the
    /// policies are in force.
    pub(super) async fn judge(
        &self,
        located: &Located,
        instances: &[Instance],
        policies: &HashMap<PolicyId, Policy>,
        environment: Option<Environment>,
        now: DateTime<Utc>,
    ) -> Result<Check, StoreError> {
        let bound: Vec<(&Instance, &Policy)> = instances
            .iter()
            .filter_map(|instance| Some((instance, policies.get(&instance.policy_id)?)))
            .collect();
        let facts = match bound.is_empty() {
            true => Facts::default(),
            false => self.facts(located).await?,
        };
        let mut checked: Vec<CheckedPolicy> = bound
            .into_iter()
            .map(|(instance, policy)| {
                let result = CheckResult::of(&policy.rules, &facts);
                self.weigh(instance, policy, result, environment, now)
            })
            .collect();
        checked.sort_by(|one, other| {
            let order = |policy: &CheckedPolicy| (policy.severity, policy.name.clone());
            order(one).cmp(&order(other))
        });
        Ok(Check {
            resource_id: located.resource.id.clone(),
            resource_type: located.resource.resource_type,
            compliant: checked
                .iter()
                .all(|policy| policy.status == Standing::Compliant),
            policies: checked,
            checked_at: now,
        })
    }

    /// How one policy stands, and what follows.
    fn weigh(
        &self,
        instance: &Instance,
        policy: &Policy,
        result: CheckResult,
        environment: Option<Environment>,
        now: DateTime<Utc>,
    ) -> CheckedPolicy {
        let denied = instance.is_held;
        let status = match result.compliant && !denied {
            true => Standing::Compliant,
            false => Standing::NonCompliant,
        };
        let leave = instance.leave(policy.updated_at, now).cloned();
        let action = environment
            .filter(|_| status == Standing::NonCompliant)
            .map(|environment| match leave {
                Some(_) => Action::Warn,
                None => self.enforcement.action(environment, policy.severity),
            });
        let failed = result.rules.into_iter().filter(|rule| !rule.passed);
        CheckedPolicy {
            policy_id: policy.id,
            name: policy.name.clone(),
            status,
            severity: policy.severity,
            instance_id: instance.id,
            action,
            failed_rules: failed.collect(),
            denied,
            override_: leave,
        }
    }
}
