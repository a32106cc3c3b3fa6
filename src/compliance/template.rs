//! Templates: policies to be made, for common frameworks.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{OrganizationId, PolicyCategory, ResourceType, Rule, Severity, TemplateId};

/// What a template is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemplateCategory {
    /// Protection against attack.
    Security,
    /// Laws and standards.
    Compliance,
    /// How things are run.
    Operational,
    /// Health data.
    Healthcare,
    /// Payments and accounts.
    Financial,
}

impl TemplateCategory {
    /// The category of a policy that is made from the template.
    pub fn of_policy(self) -> PolicyCategory {
        match self {
            TemplateCategory::Security => PolicyCategory::Security,
            TemplateCategory::Operational => PolicyCategory::Operational,
            TemplateCategory::Compliance
            | TemplateCategory::Healthcare
            | TemplateCategory::Financial => PolicyCategory::Compliance,
        }
    }
}

/// The policy that a template makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDefinition {
    /// Its rules.
    pub rules: Vec<Rule>,
    /// How much is at stake; high where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// What somebody thinks of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TemplateReview)]
pub struct Review {
    /// Who.
    pub user_id: Uuid,
    /// 1 to 5.
    pub rating: u8,
    /// What they say of it.
    pub comment: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A policy template (seed 000, "PolicyTemplate Object").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PolicyTemplate)]
pub struct Template {
    /// Identifier.
    pub id: TemplateId,
    /// Unique in its organisation.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it is about.
    pub category: TemplateCategory,
    /// The policy that it makes.
    pub policy_definition: PolicyDefinition,
    /// What its policies are for.
    pub target_resource_types: Vec<ResourceType>,
    /// Frameworks such as `hipaa`.
    pub compliance_frameworks: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whether other organisations may see it, once it is published.
    pub is_public: bool,
    /// Whether it came with syncguard.
    pub is_verified: bool,
    /// Whether it was published.
    pub published: bool,
    /// Counts the changes since it was published first; 1 until then.
    pub version: u32,
    /// The organisation that made it.
    pub organization_id: OrganizationId,
    /// What was said of it, oldest first; one of each account.
    pub reviews: Vec<Review>,
    /// The mean of the ratings, with one decimal; `None` without one.
    #[schema(required)]
    pub average_rating: Option<f64>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}
