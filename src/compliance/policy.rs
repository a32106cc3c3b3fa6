//! Policies: rules that the facts of a resource must meet.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OrganizationId, PolicyId, Rule, TemplateId};

/// Where a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStatus {
    /// In use, as long as it is also switched on (`isActive`).
    Active,
    /// Being written.
    Draft,
    /// No longer in use.
    Archived,
}

/// What is said of a policy that cannot be switched on.
pub const NOT_ACTIVE: &str = "a policy that is a draft or archived cannot be switched on: leave \
     isActive out, or set status to active";

impl PolicyStatus {
    /// Where a new policy stands, and whether it is switched on, by what is said of the two.
    /// Without a word it is in force; one that is switched off is a draft, unless it is said to
    /// be something else. `None`: the two contradict each other ([`NOT_ACTIVE`]).
    pub fn of_new(
        status: Option<PolicyStatus>,
        is_active: Option<bool>,
    ) -> Option<(PolicyStatus, bool)> {
        match (status, is_active) {
            (None, Some(false)) => Some((PolicyStatus::Draft, false)),
            (None | Some(PolicyStatus::Active), on) => {
                Some((PolicyStatus::Active, on.unwrap_or(true)))
            }
            (Some(_), Some(true)) => None,
            (Some(status), _) => Some((status, false)),
        }
    }

    /// The same of a policy that is changed, given how it was. What is no longer active is
    /// switched off, and what is switched on becomes active; otherwise only what is said
    /// changes.
    pub fn of_changed(
        before: (PolicyStatus, bool),
        status: Option<PolicyStatus>,
        is_active: Option<bool>,
    ) -> Option<(PolicyStatus, bool)> {
        let (was, was_on) = before;
        match (status, is_active) {
            (None, Some(true)) => Some((PolicyStatus::Active, true)),
            (None, on) => Some((was, on.unwrap_or(was_on))),
            (Some(PolicyStatus::Active), on) => Some((PolicyStatus::Active, on.unwrap_or(was_on))),
            (Some(_), Some(true)) => None,
            (Some(status), _) => Some((status, false)),
        }
    }
}

/// What a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyCategory {
    /// Protection against attack.
    Security,
    /// Laws and standards.
    Compliance,
    /// How things are run.
    Operational,
    /// How data is treated.
    Data,
}

/// How much is at stake, from the most to the least.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The most.
    Critical,
    /// Much.
    High,
    /// Some.
    Medium,
    /// Little.
    Low,
}

impl Severity {
    /// All of them, from the most to the least.
    pub const ALL: [Severity; 4] = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ];

    /// Its word in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
        }
    }
}

/// A governance policy (seed 000, "Policy Object").
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GovernancePolicy)]
pub struct Policy {
    /// Identifier.
    pub id: PolicyId,
    /// Unique in the organisation.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where it stands.
    pub status: PolicyStatus,
    /// What it is about.
    pub category: PolicyCategory,
    /// How much is at stake.
    pub severity: Severity,
    /// What must hold; all of it.
    pub rules: Vec<Rule>,
    /// The organisation.
    pub organization_id: OrganizationId,
    /// Whether it is switched on; only an active policy can be.
    pub is_active: bool,
    /// The template it was made from, and that template's version then.
    #[serde(skip)]
    pub template: Option<(TemplateId, u32)>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl Policy {
    /// Whether resources must meet it.
    pub fn is_in_force(&self) -> bool {
        self.is_active && self.status == PolicyStatus::Active
    }
}

#[cfg(test)]
mod tests {
    use super::PolicyStatus::{Active, Archived, Draft};
    use super::*;

    #[test]
    fn only_an_active_policy_is_switched_on() {
        let new = [
            (None, None, Some((Active, true))),
            (None, Some(true), Some((Active, true))),
            (None, Some(false), Some((Draft, false))),
            (Some(Active), None, Some((Active, true))),
            (Some(Active), Some(false), Some((Active, false))),
            (Some(Draft), None, Some((Draft, false))),
            (Some(Draft), Some(true), None),
            (Some(Archived), Some(false), Some((Archived, false))),
            (Some(Archived), Some(true), None),
        ];
        for (status, on, expected) in new {
            assert_eq!(
                PolicyStatus::of_new(status, on),
                expected,
                "{status:?} {on:?}"
            );
        }
        let changed = [
            ((Active, true), None, None, Some((Active, true))),
            ((Active, true), None, Some(false), Some((Active, false))),
            ((Active, true), Some(Draft), None, Some((Draft, false))),
            ((Active, true), Some(Draft), Some(true), None),
            (
                (Active, true),
                Some(Archived),
                Some(false),
                Some((Archived, false)),
            ),
            ((Draft, false), None, None, Some((Draft, false))),
            ((Draft, false), None, Some(false), Some((Draft, false))),
            ((Draft, false), None, Some(true), Some((Active, true))),
            ((Archived, false), None, Some(true), Some((Active, true))),
            ((Archived, false), Some(Active), None, Some((Active, false))),
            (
                (Archived, false),
                Some(Active),
                Some(true),
                Some((Active, true)),
            ),
            ((Archived, false), Some(Draft), None, Some((Draft, false))),
        ];
        for (before, status, on, expected) in changed {
            let after = PolicyStatus::of_changed(before, status, on);
            assert_eq!(after, expected, "{before:?} {status:?} {on:?}");
        }
    }
}
