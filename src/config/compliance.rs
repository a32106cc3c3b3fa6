//! What compliance asks of the server.

use std::collections::BTreeSet;

use super::{Schedule, Settings};

const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];
const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];

/// Settings of compliance, in plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compliance {
    /// Environments and severities: where a policy of that severity is not met, a sync of that
    /// environment does not run.
    pub blocks: BTreeSet<(String, String)>,
    /// When snapshots of all solutions are taken; `None`: never by themselves.
    pub snapshot_schedule: Option<Schedule>,
}

impl Compliance {
    /// What is set, and the defaults of the rest.
    pub(super) fn of(settings: &Settings, faults: &mut Vec<String>) -> Compliance {
        let default = || {
            vec![
                "production:critical".to_owned(),
                "production:high".to_owned(),
            ]
        };
        let mut blocks = BTreeSet::new();
        let given = settings.compliance_blocks.clone();
        let given = given.filter(|texts| !is_blank(texts));
        for text in given.unwrap_or_else(default) {
            match text.trim().split_once(':') {
                _ if text.trim().is_empty() => {}
                Some((environment, severity))
                    if ENVIRONMENTS.contains(&environment) && SEVERITIES.contains(&severity) =>
                {
                    blocks.insert((environment.to_owned(), severity.to_owned()));
                }
                _ => faults.push(format!(
                    "compliance_blocks: {text:?} is no environment and severity, such as \
                     production:critical"
                )),
            }
        }
        let schedule = settings.snapshot_schedule.as_deref().unwrap_or("0 0 * * *");
        let snapshot_schedule = Schedule::parse(schedule);
        if snapshot_schedule.is_none() && !schedule.trim().is_empty() {
            faults.push(
                "snapshot_schedule: expected a cron expression of five fields that comes at some \
                 time, such as 0 0 * * *"
                    .to_owned(),
            );
        }
        Compliance {
            blocks,
            snapshot_schedule,
        }
    }
}

/// Whether a list has nothing but blanks in it, as a variable that is passed on unset reads. That
/// says nothing, so it does not switch enforcement off; an empty list of the file does.
pub(super) fn is_blank(texts: &[String]) -> bool {
    !texts.is_empty() && texts.iter().all(|text| text.trim().is_empty())
}
