//! Figures over all policies and instances. Instances are counted as they change, by the database
//! itself: what is read here is short, however many there are.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::{Store, StoreError, columns};
use crate::compliance::metrics::{BySeverity, ByStatus, RecentActivity};
use crate::compliance::{InstanceStatus, Metrics, PolicyStatus, Purview, Severity};

/// The workspace that instances of resources outside the catalog count for.
const OUTSIDE: Uuid = Uuid::nil();

impl Store {
    /// How governance stands: figures over all policies, and over the instances within a purview.
    pub async fn compliance_metrics(
        &self,
        purview: &Purview,
        now: DateTime<Utc>,
    ) -> Result<Metrics, StoreError> {
        let mut tx = self.snapshot().await?;
        let mut metrics = Metrics {
            total_policies: 0,
            active_policies: 0,
            total_instances: 0,
            compliance_rate: 0.0,
            by_status: ByStatus::default(),
            by_severity: BySeverity::default(),
            recent_activity: RecentActivity::default(),
            generated_at: now,
        };
        count_policies(&mut tx, &mut metrics).await?;
        count_instances(&mut tx, purview, &mut metrics).await?;
        metrics.recent_activity = RecentActivity {
            last24h: made_within(&mut tx, purview, TimeDelta::hours(24), now).await?,
            last7d: made_within(&mut tx, purview, TimeDelta::days(7), now).await?,
            last30d: made_within(&mut tx, purview, TimeDelta::days(30), now).await?,
        };
        Ok(metrics)
    }
}

async fn count_policies(tx: &mut Tx, metrics: &mut Metrics) -> Result<(), StoreError> {
    let rows = all!(
        tx,
        (String, String, bool, i64),
        "SELECT severity, status, is_active, count(*) FROM compliance_policies
         GROUP BY severity, status, is_active",
    )?;
    for (severity, status, is_active, policies) in rows {
        let policies = columns::from_count(policies, "policies")?;
        let by = &mut metrics.by_severity;
        let of_severity = match columns::from_word(&severity, "compliance_policies.severity")? {
            Severity::Critical => &mut by.critical,
            Severity::High => &mut by.high,
            Severity::Medium => &mut by.medium,
            Severity::Low => &mut by.low,
        };
        *of_severity += policies;
        metrics.total_policies += policies;
        let status: PolicyStatus = columns::from_word(&status, "compliance_policies.status")?;
        if is_active && status == PolicyStatus::Active {
            metrics.active_policies += policies;
        }
    }
    Ok(())
}

async fn count_instances(
    tx: &mut Tx,
    purview: &Purview,
    metrics: &mut Metrics,
) -> Result<(), StoreError> {
    let rows = all!(
        tx,
        (Uuid, String, i64, i64),
        "SELECT realm, status, compliant, CAST(sum(instances) AS BIGINT)
         FROM compliance_instance_counts GROUP BY realm, status, compliant",
    )?;
    let (mut results, mut compliant) = (0, 0);
    for (workspace_id, status, verdict, instances) in rows {
        if !covers(purview, workspace_id) {
            continue;
        }
        let instances = columns::from_count(instances, "compliance_instance_counts.instances")?;
        let by = &mut metrics.by_status;
        let of_status = match columns::from_word(&status, "compliance_instance_counts.status")? {
            InstanceStatus::Pending => &mut by.pending,
            InstanceStatus::Submitted => &mut by.submitted,
            InstanceStatus::Approved => &mut by.approved,
            InstanceStatus::Denied => &mut by.denied,
        };
        *of_status += instances;
        metrics.total_instances += instances;
        match verdict {
            0 => results += instances,
            1 => {
                results += instances;
                compliant += instances;
            }
            _ => {}
        }
    }
    metrics.compliance_rate = Metrics::rate(compliant, results);
    Ok(())
}

/// How many instances were made within a time: of whole hours their counts, and those of the hour
/// in which the time began one by one.
async fn made_within(
    tx: &mut Tx,
    purview: &Purview,
    time: TimeDelta,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let since = columns::time(now - time);
    let next_hour = hour_after(since);
    let hour = next_hour.format("%Y-%m-%dT%H").to_string();
    let rows = all!(
        tx,
        (Uuid, i64),
        "SELECT realm, CAST(sum(instances) AS BIGINT) FROM (
             SELECT realm, instances FROM compliance_instances_by_hour WHERE hour >= $1
             UNION ALL
             SELECT realm, 1 AS instances
             FROM compliance_instances WHERE created_at >= $2 AND created_at < $3
         ) AS made GROUP BY realm",
        &hour,
        since,
        next_hour,
    )?;
    let covered = rows.into_iter().filter(|(id, _)| covers(purview, *id));
    let made = covered.map(|(_, instances)| instances).sum();
    columns::from_count(made, "compliance_instances_by_hour.instances")
}

/// The first full hour after a time, or the time itself if it is one.
fn hour_after(time: DateTime<Utc>) -> DateTime<Utc> {
    let into = time.timestamp().rem_euclid(3600);
    let whole = time.trunc_subsecs(0);
    match whole == time && into == 0 {
        true => time,
        false => whole + TimeDelta::seconds(3600 - into),
    }
}

fn covers(purview: &Purview, workspace_id: Uuid) -> bool {
    purview.covers((workspace_id != OUTSIDE).then_some(workspace_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_at_the_next_full_one() {
        for (time, next) in [
            ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
            ("2026-01-31T09:00:00.000001Z", "2026-01-31T10:00:00Z"),
            ("2026-01-31T09:59:59.999999Z", "2026-01-31T10:00:00Z"),
            ("2026-12-31T23:00:01Z", "2027-01-01T00:00:00Z"),
        ] {
            let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
            assert_eq!(hour_after(at(time)), at(next), "{time}");
        }
    }
}
