//! Figures over all policies and instances.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How governance stands in figures (seed 000, "metrics").
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GovernanceMetrics)]
pub struct Metrics {
    /// Policies.
    pub total_policies: u64,
    /// Policies in force.
    pub active_policies: u64,
    /// Policy instances.
    pub total_instances: u64,
    /// Compliant results in 100 results, with one decimal; 0 where there is no result.
    pub compliance_rate: f64,
    /// Instances by where they stand in their review.
    pub by_status: ByStatus,
    /// Policies by how much is at stake.
    pub by_severity: BySeverity,
    /// Instances by their age.
    pub recent_activity: RecentActivity,
    /// When.
    pub generated_at: DateTime<Utc>,
}

/// Instances by where they stand in their review.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ByStatus {
    /// A reviewer agreed.
    pub approved: u64,
    /// A reviewer did not.
    pub denied: u64,
    /// Waiting for a reviewer.
    pub submitted: u64,
    /// Not submitted.
    pub pending: u64,
}

/// Policies by how much is at stake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BySeverity {
    /// The most.
    pub critical: u64,
    /// Much.
    pub high: u64,
    /// Some.
    pub medium: u64,
    /// Little.
    pub low: u64,
}

/// Instances by their age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecentActivity {
    /// Made within 24 hours.
    pub last24h: u64,
    /// Made within 7 days.
    pub last7d: u64,
    /// Made within 30 days.
    pub last30d: u64,
}

impl Metrics {
    /// The rate of compliance: how many of the results are compliant, in 100.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of objects are far below 2^53"
    )]
    pub fn rate(compliant: u64, results: u64) -> f64 {
        match results {
            0 => 0.0,
            _ => (compliant as f64 / results as f64 * 1000.0).round() / 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_one_decimal() {
        for (part, whole, rate) in [
            (0, 0, 0.0),
            (0, 3, 0.0),
            (1, 3, 33.3),
            (2, 3, 66.7),
            (3, 3, 100.0),
            (183, 200, 91.5),
            (1, 2000, 0.1),
        ] {
            assert_eq!(
                Metrics::rate(part, whole).to_string(),
                rate.to_string(),
                "{part}/{whole}"
            );
        }
    }
}
