//! Enforcement: what follows from not being compliant.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{InstanceId, Override, PolicyId, Resource, ResourceType, RuleOutcome, Severity};
use crate::catalog::Environment;

/// What follows when a policy is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The sync does not run.
    Block,
    /// The sync runs, and its run says so.
    Warn,
}

/// In which environment which severities block; all others warn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement(pub BTreeSet<(&'static str, Severity)>);

impl Default for Enforcement {
    /// Critical and high block in production.
    fn default() -> Self {
        Enforcement(BTreeSet::from([
            ("production", Severity::Critical),
            ("production", Severity::High),
        ]))
    }
}

impl Enforcement {
    /// An environment and a severity by their words; `None` if there are no such.
    pub fn pair(environment: &str, severity: &str) -> Option<(&'static str, Severity)> {
        let environments = ["development", "staging", "production"];
        let environment = environments.into_iter().find(|word| *word == environment)?;
        let severity = Severity::ALL
            .into_iter()
            .find(|known| known.as_str() == severity)?;
        Some((environment, severity))
    }

    /// What follows where a policy of that severity is not met.
    pub fn action(&self, environment: Environment, severity: Severity) -> Action {
        let environment = match environment {
            Environment::Development => "development",
            Environment::Staging => "staging",
            Environment::Production => "production",
        };
        match self.0.contains(&(environment, severity)) {
            true => Action::Block,
            false => Action::Warn,
        }
    }
}

/// Whether a resource meets a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Every rule holds, and no denial stands.
    Compliant,
    /// A rule does not hold, or a reviewer denied it and none has approved it since.
    NonCompliant,
}

/// How a resource stands towards one policy.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedPolicy {
    /// The policy.
    pub policy_id: PolicyId,
    /// Its name.
    pub name: String,
    /// Whether it is met.
    pub status: Standing,
    /// How much is at stake.
    pub severity: Severity,
    /// The instance that binds it.
    pub instance_id: InstanceId,
    /// What follows in the environment that was asked for; absent where it is met, or where no
    /// environment was named. Under an override nothing blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The rules that do not hold.
    pub failed_rules: Vec<RuleOutcome>,
    /// Whether a reviewer's denial stands.
    pub denied: bool,
    /// Leave to run all the same, if it counts.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
}

/// How a resource stands towards every policy that applies to it (seed 000, "enforcement/check").
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EnforcementCheck)]
pub struct Check {
    /// The resource.
    pub resource_id: String,
    /// What it is.
    pub resource_type: ResourceType,
    /// Whether it meets all of them.
    pub compliant: bool,
    /// Each policy in force that an instance binds to it.
    pub policies: Vec<CheckedPolicy>,
    /// When.
    pub checked_at: DateTime<Utc>,
}

/// Most breaches that a refusal or a warning tells of.
const MOST_BREACHES: usize = 10;
/// Most reasons that each of them tells.
const MOST_REASONS: usize = 5;
/// Most characters of a reason: facts have names of any length.
const MOST_OF_A_REASON: usize = 300;

/// The first of several texts, and how many more there are. A run keeps it and the audit log, too,
/// so it is bounded, however many policies and rules there are.
fn first(mut texts: Vec<String>, most: usize) -> String {
    let more = texts.len().saturating_sub(most);
    texts.truncate(most);
    if more > 0 {
        texts.push(format!(
            "and {more} more: GET /api/v1/governance/enforcement/check tells all"
        ));
    }
    texts.join("; ")
}

/// A reason, cut where it is long.
fn cut(reason: &str) -> String {
    match reason.char_indices().nth(MOST_OF_A_REASON) {
        Some((end, _)) => format!("{}...", reason.get(..end).unwrap_or_default()),
        None => reason.to_owned(),
    }
}

/// A policy that a resource of a sync does not meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// The resource.
    pub resource: Resource,
    /// How it stands.
    pub policy: CheckedPolicy,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Breach { resource, policy } = self;
        write!(
            f,
            "policy {:?} ({}, {}) on {} {}: ",
            policy.name,
            policy.policy_id,
            policy.severity.as_str(),
            resource.resource_type.as_str(),
            resource.id,
        )?;
        // A denial comes first: failing rules, however many, do not hide it.
        let denial = "a reviewer denied it, and no review has approved it since";
        let denial = policy.denied.then(|| denial.to_owned());
        let rules = policy.failed_rules.iter();
        let failures = rules.filter_map(|rule| rule.reason.as_deref()).map(cut);
        f.write_str(&first(
            denial.into_iter().chain(failures).collect(),
            MOST_REASONS,
        ))?;
        match &policy.override_ {
            Some(leave) => {
                let end = leave.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
                write!(f, " (an override lets it run until {end})")
            }
            None => Ok(()),
        }
    }
}

/// Whether a sync may run, and why not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admission {
    /// What keeps it from running.
    pub blocked: Vec<Breach>,
    /// What its run has to tell.
    pub warned: Vec<Breach>,
}

impl Admission {
    /// Sorts out what the checks of a sync's resources come to.
    pub fn of(checks: Vec<Check>) -> Admission {
        let mut admission = Admission::default();
        for check in checks {
            let resource = Resource {
                resource_type: check.resource_type,
                id: check.resource_id,
            };
            for policy in check.policies {
                let breaches = match policy.action {
                    Some(Action::Block) => &mut admission.blocked,
                    Some(Action::Warn) => &mut admission.warned,
                    None => continue,
                };
                let resource = resource.clone();
                breaches.push(Breach { resource, policy });
            }
        }
        admission
    }

    /// Why the sync does not run, and what to do about it; `None` if it may.
    pub fn refusal(&self) -> Option<String> {
        (!self.blocked.is_empty()).then(|| {
            format!(
                "compliance does not let the sync run: {}; bring the resources in line with these \
                 policies, or have a reviewer grant an override for the time until then",
                listed(&self.blocked)
            )
        })
    }

    /// What is not met and does not keep the sync from running; `None` if there is nothing.
    pub fn warning(&self) -> Option<String> {
        (!self.warned.is_empty()).then(|| {
            format!(
                "compliance warns of policies that are not met: {}",
                listed(&self.warned)
            )
        })
    }
}

fn listed(breaches: &[Breach]) -> String {
    first(
        breaches.iter().map(Breach::to_string).collect(),
        MOST_BREACHES,
    )
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use uuid::Uuid;

    use super::*;
    use crate::compliance::Operator;

    fn checked(name: &str, action: Option<Action>, leave: bool) -> CheckedPolicy {
        let at = |hour| {
            Utc.with_ymd_and_hms(2026, 1, 2, hour, 0, 0)
                .single()
                .expect("a time")
        };
        CheckedPolicy {
            policy_id: PolicyId(Uuid::from_u128(7)),
            name: name.to_owned(),
            status: match action {
                Some(_) => Standing::NonCompliant,
                None => Standing::Compliant,
            },
            severity: Severity::High,
            instance_id: InstanceId(Uuid::from_u128(8)),
            action,
            failed_rules: vec![RuleOutcome {
                field: "tls.enabled".to_owned(),
                operator: Operator::Equals,
                passed: false,
                actual: None,
                reason: Some("tls.enabled is not known".to_owned()),
            }],
            denied: name == "denied",
            override_: leave.then(|| Override {
                reason: "a deadline".to_owned(),
                granted_by: Uuid::nil(),
                granted_at: at(3),
                expires_at: at(4),
            }),
        }
    }

    fn admission(policies: Vec<CheckedPolicy>) -> Admission {
        Admission::of(vec![Check {
            resource_id: "store-1".to_owned(),
            resource_type: ResourceType::App,
            compliant: false,
            policies,
            checked_at: Utc.timestamp_opt(0, 0).single().expect("a time"),
        }])
    }

    #[test]
    fn the_table_tells_what_blocks() {
        use Environment::{Development, Production, Staging};
        use Severity::{Critical, High, Low, Medium};
        let standard = Enforcement::default();
        let other = Enforcement(BTreeSet::from([("staging", Low)]));
        for (environment, severity, by_standard, by_other) in [
            (Production, Critical, Action::Block, Action::Warn),
            (Production, High, Action::Block, Action::Warn),
            (Production, Medium, Action::Warn, Action::Warn),
            (Production, Low, Action::Warn, Action::Warn),
            (Staging, Critical, Action::Warn, Action::Warn),
            (Staging, Low, Action::Warn, Action::Block),
            (Development, Critical, Action::Warn, Action::Warn),
        ] {
            let case = format!("{environment:?} {severity:?}");
            assert_eq!(
                standard.action(environment, severity),
                by_standard,
                "{case}"
            );
            assert_eq!(other.action(environment, severity), by_other, "{case}");
        }
        assert_eq!(Enforcement::pair("staging", "low"), Some(("staging", Low)));
        assert_eq!(Enforcement::pair("moon", "low"), None);
        assert_eq!(Enforcement::pair("staging", "some"), None);
    }

    #[test]
    fn admission_goes_by_the_action_of_each_policy() {
        let met = admission(vec![checked("met", None, false)]);
        assert_eq!((met.refusal(), met.warning()), (None, None));
        let both = admission(vec![
            checked("strict", Some(Action::Block), false),
            checked("met", None, false),
            checked("mild", Some(Action::Warn), false),
        ]);
        let (refusal, warning) = (both.refusal().expect("why"), both.warning().expect("what"));
        assert!(
            refusal.contains("strict") && !refusal.contains("mild"),
            "{refusal}"
        );
        assert!(
            warning.contains("mild") && !warning.contains("strict"),
            "{warning}"
        );
        assert!(!refusal.contains("met\""), "{refusal}");
    }

    #[test]
    fn a_breach_names_policy_resource_rule_and_override() {
        let texts = admission(vec![
            checked("plain", Some(Action::Block), false),
            checked("denied", Some(Action::Warn), true),
        ]);
        let policy = "pol_00000000000000000000000000000007";
        assert_eq!(
            listed(&texts.blocked),
            format!("policy \"plain\" ({policy}, high) on app store-1: tls.enabled is not known")
        );
        assert_eq!(
            listed(&texts.warned),
            format!(
                "policy \"denied\" ({policy}, high) on app store-1: a reviewer denied it, and no \
                 review has approved it since; tls.enabled is not known (an override lets it run \
                 until 2026-01-02T04:00:00Z)"
            )
        );
    }

    #[test]
    fn a_refusal_is_bounded() {
        let tells = "GET /api/v1/governance/enforcement/check tells all";
        let many = |breaches: usize, rules: usize| {
            let mut policy = checked("denied", Some(Action::Block), false);
            let mut rule = policy.failed_rules.remove(0);
            rule.reason = Some("\u{e4}".repeat(1000));
            policy.failed_rules = vec![rule; rules];
            admission(vec![policy; breaches])
                .refusal()
                .expect("a refusal")
        };
        for (breaches, rules, notes) in [(10, 4, 0), (1, 5, 1), (11, 4, 1), (500, 200, 11)] {
            let refusal = many(breaches, rules);
            let found = refusal.matches(tells).count();
            assert_eq!(found, notes, "{breaches} {rules}: {refusal}");
            let told = refusal.matches("policy \"denied\"").count();
            assert_eq!(told, breaches.min(MOST_BREACHES));
            assert!(refusal.contains(&format!("{}...", "\u{e4}".repeat(300))));
            assert!(!refusal.contains(&"\u{e4}".repeat(301)));
        }
        let refusal = many(500, 200);
        assert!(refusal.contains("; and 196 more: "), "{refusal}");
        assert!(refusal.contains("; and 490 more: "), "{refusal}");
    }
}
