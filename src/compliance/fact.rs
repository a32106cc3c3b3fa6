//! Facts: what is known of a resource, each with where it is known from.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ResourceType;

/// One thing that is known of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// A scalar, or an array of scalars.
    #[schema(value_type = Value)]
    pub value: Value,
    /// Where it is known from.
    pub origin: Origin,
    /// Who declared it; absent for what the catalog tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<Uuid>,
    /// When it was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<DateTime<Utc>>,
}

/// Where a fact is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The catalog as it is now: nobody can declare it otherwise.
    Catalog,
    /// Somebody said so.
    Declared,
}

impl Fact {
    /// What the catalog tells.
    pub fn of_catalog(value: impl Into<Value>) -> Fact {
        Fact {
            value: value.into(),
            origin: Origin::Catalog,
            declared_by: None,
            declared_at: None,
        }
    }
}

/// What is known of a resource, by dotted path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(pub BTreeMap<String, Fact>);

impl Facts {
    /// The fact at a dotted path.
    pub fn get(&self, path: &str) -> Option<&Fact> {
        self.0.get(path)
    }

    /// Adds what the catalog tells; it stands above what was declared.
    pub fn tell(&mut self, path: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(path.into(), Fact::of_catalog(value));
    }

    /// Adds what is known of a part of the resource, below the part's name.
    pub fn within(&mut self, part: &str, facts: Facts) {
        for (path, fact) in facts.0 {
            self.0.insert(format!("{part}.{path}"), fact);
        }
    }

    /// Whether it is the catalog that tells what stands at a path, of a resource of that type,
    /// even where it tells nothing just now: that a sync has not run yet is no reason to believe
    /// somebody about its last run. Of a resource outside the catalog it tells nothing.
    pub fn tells(&self, resource_type: ResourceType, path: &str) -> bool {
        let told = |path: &str| {
            self.get(path)
                .is_some_and(|fact| fact.origin == Origin::Catalog)
        };
        if !told("type") {
            return false;
        }
        let first = path.split('.').next().unwrap_or_default();
        told(path)
            || told_words(resource_type).contains(&first)
            || (first == "tls" && told("tls.enabled"))
    }

    /// Adds what was declared, wherever it is not for the catalog to tell.
    pub fn declare(&mut self, resource_type: ResourceType, declared: Facts) {
        let declared: Vec<_> = declared
            .0
            .into_iter()
            .filter(|(path, _)| !self.tells(resource_type, path))
            .collect();
        self.0.extend(declared);
    }
}

/// First words of paths below which only the catalog, and what is known of parts, tells.
fn told_words(resource_type: ResourceType) -> &'static [&'static str] {
    match resource_type {
        ResourceType::Addon => &[],
        ResourceType::App => &["rateLimit", "destinationPolicies", "signature"],
        ResourceType::Workflow => &[
            "source",
            "model",
            "destination",
            "destinationPolicies",
            "lastRun",
            "schedule",
        ],
        ResourceType::Model => &["source", "destinationPolicies", "accessPolicies"],
    }
}
