//! Policy instances: a policy bound to a resource, and its review.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Facts, InstanceId, PolicyId, ResourceType, Rule, RuleOutcome, rule};

/// Where an instance stands in its review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// Bound and not submitted.
    Pending,
    /// Waiting for a reviewer.
    Submitted,
    /// A reviewer agreed.
    Approved,
    /// A reviewer did not. Its resource is not compliant until another review approves.
    Denied,
}

impl InstanceStatus {
    /// Its word in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceStatus::Pending => "pending",
            InstanceStatus::Submitted => "submitted",
            InstanceStatus::Approved => "approved",
            InstanceStatus::Denied => "denied",
        }
    }

    /// Whether it may be submitted: for the first time, or again once a reviewer has decided.
    pub fn may_be_submitted(self) -> bool {
        self != InstanceStatus::Submitted
    }

    /// Whether a reviewer may approve or deny it.
    pub fn may_be_reviewed(self) -> bool {
        self == InstanceStatus::Submitted
    }
}

/// What came of evaluating a policy, rule by rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Whether every rule holds.
    pub compliant: bool,
    /// How many rules there are.
    pub checks: u64,
    /// How many hold.
    pub passed: u64,
    /// How many do not.
    pub failed: u64,
    /// Each of them, in the policy's order.
    pub rules: Vec<RuleOutcome>,
}

impl CheckResult {
    /// What becomes of rules, given the facts of a resource.
    pub fn of(rules: &[Rule], facts: &Facts) -> CheckResult {
        let rules: Vec<_> = rules.iter().map(|one| rule::evaluate(one, facts)).collect();
        let passed = rules.iter().filter(|outcome| outcome.passed).count() as u64;
        let checks = rules.len() as u64;
        CheckResult {
            compliant: passed == checks,
            checks,
            passed,
            failed: checks - passed,
            rules,
        }
    }
}

/// What somebody said about an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// Who.
    pub user_id: Uuid,
    /// What.
    pub comment: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Leave to run although an instance is not compliant, for a time.
///
/// It is granted to an instance that was submitted, by a reviewer who did not submit it. It counts
/// only until it ends, and only for what the reviewer saw: no longer once whoever granted it has
/// submitted the instance, once the policy has changed, or once a later denial stands. Then a new
/// one has to be granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Why.
    pub reason: String,
    /// Who gave it.
    pub granted_by: Uuid,
    /// When.
    pub granted_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// A policy bound to a resource (seed 000, "PolicyInstance Object").
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PolicyInstance)]
pub struct Instance {
    /// Identifier.
    pub id: InstanceId,
    /// The policy.
    pub policy_id: PolicyId,
    /// The resource.
    pub resource_id: String,
    /// What the resource is.
    pub resource_type: ResourceType,
    /// The workspace of the resource; `None` for a resource outside the catalog.
    #[serde(skip)]
    pub workspace_id: Option<Uuid>,
    /// Where it stands in its review.
    pub status: InstanceStatus,
    /// What the last submission came to.
    #[schema(required)]
    pub result: Option<CheckResult>,
    /// When it was last submitted.
    #[schema(required)]
    pub submitted_at: Option<DateTime<Utc>>,
    /// Who submitted it: they cannot review it.
    #[schema(required)]
    pub submitted_by: Option<Uuid>,
    /// When a reviewer last decided.
    #[schema(required)]
    pub reviewed_at: Option<DateTime<Utc>>,
    /// Who decided.
    #[schema(required)]
    pub reviewed_by: Option<Uuid>,
    /// What was said about it, oldest first.
    pub comments: Vec<Comment>,
    /// What an approval depends on.
    pub conditions: Vec<String>,
    /// Why it was denied.
    #[schema(required)]
    pub reason: Option<String>,
    /// What is to be done about a denial.
    #[schema(required)]
    pub remediation: Option<String>,
    /// Whether a denial stands: from a denial until the next approval.
    #[serde(skip)]
    pub is_held: bool,
    /// Leave to run although it is not compliant.
    #[serde(rename = "override")]
    #[schema(required)]
    pub override_: Option<Override>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// Why a step of a review is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The instance does not stand where the step begins; told with what is possible.
    #[error("{0}")]
    Transition(String),
    /// Who submitted an instance does not review it.
    #[error("who submitted a policy instance cannot review it: somebody else has to")]
    OwnSubmission,
}

impl Instance {
    /// Submitted with what the evaluation came to, for the first time or again. What the last
    /// review said stays until the next.
    pub fn submitted(
        &self,
        result: CheckResult,
        by: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Instance, Refusal> {
        if !self.status.may_be_submitted() {
            return Err(self.not_from_here("submitted"));
        }
        Ok(Instance {
            status: InstanceStatus::Submitted,
            result: Some(result),
            submitted_at: Some(at),
            submitted_by: Some(by),
            updated_at: at,
            ..self.clone()
        })
    }

    /// Approved: no denial stands any more.
    pub fn approved(
        &self,
        comment: Option<String>,
        conditions: Vec<String>,
        by: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Instance, Refusal> {
        self.may_review("approved", by)?;
        let comments = self.comments.iter().cloned();
        let comment = comment.map(|comment| Comment {
            user_id: by,
            comment,
            created_at: at,
        });
        Ok(Instance {
            status: InstanceStatus::Approved,
            reviewed_at: Some(at),
            reviewed_by: Some(by),
            comments: comments.chain(comment).collect(),
            conditions,
            reason: None,
            remediation: None,
            is_held: false,
            updated_at: at,
            ..self.clone()
        })
    }

    /// Denied: that stands until the next approval.
    pub fn denied(
        &self,
        reason: Option<String>,
        remediation: Option<String>,
        by: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Instance, Refusal> {
        self.may_review("denied", by)?;
        Ok(Instance {
            status: InstanceStatus::Denied,
            reviewed_at: Some(at),
            reviewed_by: Some(by),
            conditions: Vec::new(),
            reason,
            remediation,
            is_held: true,
            updated_at: at,
            ..self.clone()
        })
    }

    /// The override that counts, if there is one; see [`Override`]. `policy_changed_at` is when
    /// the policy was last changed.
    pub fn leave(&self, policy_changed_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<&Override> {
        let leave = self.override_.as_ref()?;
        let is_own = self.submitted_by == Some(leave.granted_by);
        let is_denied_since =
            self.is_held && self.reviewed_at.is_some_and(|at| at > leave.granted_at);
        let counts = now < leave.expires_at
            && policy_changed_at <= leave.granted_at
            && !is_own
            && !is_denied_since;
        counts.then_some(leave)
    }

    /// With one more comment, wherever it stands.
    pub fn commented(&self, comment: String, by: Uuid, at: DateTime<Utc>) -> Instance {
        let mut after = self.clone();
        after.comments.push(Comment {
            user_id: by,
            comment,
            created_at: at,
        });
        after.updated_at = at;
        after
    }

    fn may_review(&self, step: &str, by: Uuid) -> Result<(), Refusal> {
        if !self.status.may_be_reviewed() {
            return Err(self.not_from_here(step));
        }
        match self.submitted_by == Some(by) {
            true => Err(Refusal::OwnSubmission),
            false => Ok(()),
        }
    }

    fn not_from_here(&self, step: &str) -> Refusal {
        let possible = match self.status {
            InstanceStatus::Submitted => "it can be approved or denied",
            _ => "it can be submitted",
        };
        let status = self.status.as_str();
        Refusal::Transition(format!(
            "the policy instance is {status} and cannot be {step}: {possible}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceStatus::{Approved, Denied, Pending, Submitted};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap_or_default()
    }

    fn instance(status: InstanceStatus) -> Instance {
        Instance {
            id: InstanceId(Uuid::from_u128(1)),
            policy_id: PolicyId(Uuid::from_u128(2)),
            resource_id: "queue".to_owned(),
            resource_type: ResourceType::App,
            workspace_id: None,
            status,
            result: None,
            submitted_at: Some(at(1)),
            submitted_by: Some(Uuid::from_u128(3)),
            reviewed_at: None,
            reviewed_by: None,
            comments: Vec::new(),
            conditions: vec!["until May".to_owned()],
            reason: Some("no TLS".to_owned()),
            remediation: Some("turn it on".to_owned()),
            is_held: status == Denied,
            override_: None,
            created_at: at(0),
            updated_at: at(1),
        }
    }

    fn result() -> CheckResult {
        CheckResult {
            compliant: true,
            checks: 0,
            passed: 0,
            failed: 0,
            rules: Vec::new(),
        }
    }

    #[test]
    fn each_step_is_possible_from_where_the_seed_has_it() {
        let (submitter, reviewer) = (Uuid::from_u128(3), Uuid::from_u128(4));
        for (from, submits, reviews) in [
            (Pending, true, false),
            (Submitted, false, true),
            (Approved, true, false),
            (Denied, true, false),
        ] {
            let before = instance(from);
            let submitted = before.submitted(result(), submitter, at(2));
            let approved = before.approved(None, Vec::new(), reviewer, at(2));
            let denied = before.denied(None, None, reviewer, at(2));
            assert_eq!(submitted.is_ok(), submits, "{from:?}");
            assert_eq!(approved.is_ok(), reviews, "{from:?}");
            assert_eq!(denied.is_ok(), reviews, "{from:?}");
            let possible = match from {
                Submitted => "approved or denied",
                _ => "submitted",
            };
            for refused in [submitted, approved, denied]
                .into_iter()
                .filter_map(Result::err)
            {
                let told = refused.to_string();
                assert!(told.contains(&format!("is {}", from.as_str())), "{told}");
                assert!(told.ends_with(&format!("it can be {possible}")), "{told}");
            }
        }
    }

    #[test]
    fn who_submitted_does_not_review() {
        let before = instance(Submitted);
        let own = Uuid::from_u128(3);
        let refused = Err(Refusal::OwnSubmission);
        assert_eq!(before.approved(None, Vec::new(), own, at(2)), refused);
        assert_eq!(before.denied(None, None, own, at(2)), refused);
    }

    #[test]
    fn an_override_counts_for_what_was_seen_until_it_ends() {
        let (submitter, granter) = (Uuid::from_u128(3), Uuid::from_u128(4));
        let granted = Instance {
            override_: Some(Override {
                reason: "a deadline".to_owned(),
                granted_by: granter,
                granted_at: at(10),
                expires_at: at(20),
            }),
            ..instance(Submitted)
        };
        let counts = |instance: &Instance, changed, now| {
            let leave = instance.leave(at(changed), at(now));
            assert!(leave.is_none() || leave == instance.override_.as_ref());
            leave.is_some()
        };
        assert!(!counts(&instance(Submitted), 0, 15));
        for (changed, now, expected) in [
            (0, 10, true),
            (10, 19, true),
            (0, 20, false),
            (0, 21, false),
            (11, 15, false),
        ] {
            assert_eq!(counts(&granted, changed, now), expected, "{changed} {now}");
        }
        let by = |submitted_by| Instance {
            submitted_by,
            ..granted.clone()
        };
        assert!(counts(&by(Some(submitter)), 0, 15));
        assert!(!counts(&by(Some(granter)), 0, 15));
        for (is_held, reviewed_at, expected) in [
            (true, Some(at(9)), true),
            (true, Some(at(10)), true),
            (true, Some(at(11)), false),
            (false, Some(at(11)), true),
            (false, None, true),
        ] {
            let reviewed = Instance {
                is_held,
                reviewed_at,
                ..granted.clone()
            };
            let case = format!("{is_held} {reviewed_at:?}");
            assert_eq!(counts(&reviewed, 0, 15), expected, "{case}");
        }
    }

    #[test]
    fn denial_stands_until_the_next_approval() {
        let (submitter, reviewer) = (Uuid::from_u128(3), Uuid::from_u128(4));
        let reason = Some("no TLS".to_owned());
        let denied = instance(Submitted).denied(reason.clone(), None, reviewer, at(2));
        let denied = denied.expect("denied");
        assert!(denied.is_held);
        assert_eq!(denied.conditions, Vec::<String>::new());
        let again = denied.submitted(result(), submitter, at(3));
        let again = again.expect("submitted");
        assert!(again.is_held);
        assert_eq!((&again.reason, again.reviewed_at), (&reason, Some(at(2))));
        let comment = Some("fixed".to_owned());
        let approved = again.approved(comment, Vec::new(), reviewer, at(4));
        let approved = approved.expect("approved");
        assert!(!approved.is_held);
        assert_eq!((&approved.reason, &approved.remediation), (&None, &None));
        assert_eq!(approved.comments.len(), 1);
        assert_eq!(approved.updated_at, at(4));
    }
}
