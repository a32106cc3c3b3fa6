//! Policy sets as they are put together by hand, the model and the rows that they are about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use syncguard::catalog::{Model, ModelQuery};
use syncguard::guard::registry::NoGuard;
use syncguard::guard::{Guard, Leaving, requirements};
use syncguard::policy::{
    AccessCategory, AccessPolicy, Assignment, DestinationPolicy, FilterDocument, PolicySet, Scope,
    Unassigned,
};
use syncguard::principal::{Permissions, Standing};
use uuid::Uuid;

/// Objects by small numbers, so that a failure can be read.
pub(crate) fn id(kind: u8, number: usize) -> Uuid {
    Uuid::from_u128((u128::from(kind) << 64) + number as u128 + 1)
}

pub(crate) const WORKSPACE: u8 = 1;
pub(crate) const MODEL: u8 = 2;
pub(crate) const DESTINATION: u8 = 3;
pub(crate) const CATEGORY: u8 = 4;
pub(crate) const POLICY: u8 = 5;
pub(crate) const ASSIGNMENT: u8 = 6;
pub(crate) const GROUP: u8 = 7;
pub(crate) const ACCOUNT: u8 = 8;
pub(crate) const ROLE: u8 = 9;

/// The model of the rows, and another that policies may be about.
pub(crate) const HERE: Option<usize> = Some(0);
pub(crate) const ELSEWHERE: Option<usize> = Some(1);
/// Every model that has the columns.
pub(crate) const ANYWHERE: Option<usize> = None;

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("country", DataType::Utf8, true),
        Field::new("brand", DataType::Utf8, true),
        Field::new("age", DataType::Int64, true),
        Field::new("vip", DataType::Boolean, true),
    ]))
}

pub(crate) type Row = (
    Option<&'static str>,
    Option<&'static str>,
    Option<i64>,
    Option<bool>,
);

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let country: StringArray = rows.iter().map(|row| row.0).collect();
    let brand: StringArray = rows.iter().map(|row| row.1).collect();
    let age: Int64Array = rows.iter().map(|row| row.2).collect();
    let vip: BooleanArray = rows.iter().map(|row| row.3).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(country),
        Arc::new(brand),
        Arc::new(age),
        Arc::new(vip),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(crate) fn model() -> Model {
    Model {
        id: id(MODEL, 0),
        workspace_id: id(WORKSPACE, 0),
        name: "customers".into(),
        source_id: Uuid::nil(),
        query: ModelQuery::Table("customers".into()),
        primary_key: vec![],
        schema: schema(),
        created_at: now(),
        updated_at: now(),
    }
}

/// A policy set as it is put together.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) policies: PolicySet,
}

impl House {
    pub(crate) fn new() -> House {
        House {
            policies: PolicySet {
                workspace_id: id(WORKSPACE, 0),
                revision: 7,
                require_destination_policy: false,
                destination_policies: BTreeMap::new(),
                access_categories: BTreeMap::new(),
                access_policies: BTreeMap::new(),
                assignments: BTreeMap::new(),
                content_policies: BTreeMap::new(),
            },
        }
    }

    pub(crate) fn destination(
        &mut self,
        of: Option<usize>,
        kind: &str,
        enabled: bool,
        tree: Value,
    ) -> Uuid {
        let number = self.policies.destination_policies.len();
        let policy = DestinationPolicy {
            id: id(DESTINATION, number),
            workspace_id: self.policies.workspace_id,
            parent_model_id: of.map(|number| id(MODEL, number)),
            destination_type: kind.to_owned(),
            name: format!("destination policy {number}"),
            description: String::new(),
            filter_tree: FilterDocument::parse(tree).unwrap(),
            enabled,
            created_by: id(ACCOUNT, 0),
            created_at: now(),
            updated_at: now(),
        };
        let id = policy.id;
        let policies = &mut self.policies.destination_policies;
        policies.insert(id, Arc::new(policy));
        id
    }

    pub(crate) fn category(&mut self, unassigned: Unassigned) -> Uuid {
        let number = self.policies.access_categories.len();
        let category = AccessCategory {
            id: id(CATEGORY, number),
            workspace_id: self.policies.workspace_id,
            name: format!("category {number}"),
            description: String::new(),
            unassigned,
            once_covered: BTreeSet::new(),
            created_at: now(),
            updated_at: now(),
        };
        let id = category.id;
        let categories = &mut self.policies.access_categories;
        categories.insert(id, Arc::new(category));
        id
    }

    /// Has a category remember what a policy covered.
    pub(crate) fn once_covered(&mut self, category: Uuid, of: Option<usize>, tree: Value) {
        let policy = self.policy(category, of, tree);
        let policy = self.policies.access_policies.remove(&policy);
        let category = self.policies.access_categories.get_mut(&category);
        let remembered = &mut Arc::make_mut(category.unwrap()).once_covered;
        remembered.insert(Scope::of(&policy.unwrap()));
    }

    pub(crate) fn policy(&mut self, category_id: Uuid, of: Option<usize>, tree: Value) -> Uuid {
        let number = self.policies.access_policies.len();
        let policy = AccessPolicy {
            id: id(POLICY, number),
            category_id,
            workspace_id: self.policies.workspace_id,
            parent_model_id: of.map(|number| id(MODEL, number)),
            name: format!("policy {number}"),
            description: String::new(),
            filter_tree: FilterDocument::parse(tree).unwrap(),
            created_by: id(ACCOUNT, 0),
            created_at: now(),
            updated_at: now(),
        };
        let id = policy.id;
        self.policies.access_policies.insert(id, Arc::new(policy));
        id
    }

    pub(crate) fn assign(&mut self, policy: Uuid, group: usize) {
        let assignment = Assignment {
            id: id(ASSIGNMENT, self.policies.assignments.len()),
            workspace_id: self.policies.workspace_id,
            subset_id: policy,
            group_id: id(GROUP, group),
            created_at: now(),
        };
        let assignments = &mut self.policies.assignments;
        assignments.insert(assignment.id, Arc::new(assignment));
    }

    /// A principal in some groups.
    pub(crate) fn principal(&self, role_id: Uuid, groups: &[usize]) -> Standing {
        let mut groups: Vec<Uuid> = groups.iter().map(|group| id(GROUP, *group)).collect();
        groups.sort_unstable();
        groups.dedup();
        Standing {
            workspace_id: self.policies.workspace_id,
            account_id: id(ACCOUNT, 1),
            revision: self.policies.revision,
            role_id,
            permissions: Permissions::ALL,
            groups,
        }
    }

    /// What the guard lets pass of four rows, as their numbers: 1 is DE and a, 2 is US and a,
    /// 3 is DE and b, 4 has no country and is b.
    pub(crate) fn seen_by(&self, role_id: Uuid, groups: &[usize]) -> Vec<usize> {
        self.sent_by(None, role_id, groups)
    }

    pub(crate) fn sent_by(
        &self,
        kind: Option<&str>,
        role_id: Uuid,
        groups: &[usize],
    ) -> Vec<usize> {
        let rows = [
            (Some("DE"), Some("a"), Some(10), Some(true)),
            (Some("US"), Some("a"), Some(20), None),
            (Some("DE"), Some("b"), None, Some(false)),
            (None, Some("b"), Some(40), Some(true)),
        ];
        let principal = self.principal(role_id, groups);
        let verdict = verdict_of(&self.policies, kind, &principal, &batch(&rows));
        let passes = verdict.expect("the policies compile");
        let numbers = passes.into_iter().zip(1..);
        numbers
            .filter_map(|(passes, n)| passes.then_some(n))
            .collect()
    }
}

/// Which rows the guard of a principal lets pass.
pub(crate) fn verdict_of(
    policies: &PolicySet,
    kind: Option<&str>,
    principal: &Standing,
    batch: &RecordBatch,
) -> Result<Vec<bool>, NoGuard> {
    let required = requirements(policies, &model(), &schema(), kind, principal)?;
    let guard = Guard::compile(&schema(), &required, now(), policies.revision);
    let verdict = guard
        .map_err(NoGuard::Refused)?
        .apply(batch, Leaving::All)
        .unwrap();
    Ok(verdict.passes().iter().collect())
}

pub(crate) fn is(column: &str, value: &str) -> Value {
    condition(column, "equals", json!(value))
}

pub(crate) fn condition(column: &str, operator: &str, value: Value) -> Value {
    let mut node = json!({
        "type": "condition",
        "condition_type": "property",
        "column": column,
        "operator": operator,
    });
    if !value.is_null() {
        node["value"] = value;
    }
    node
}

/// A role of the workspace's own.
pub(crate) fn custom() -> Uuid {
    id(ROLE, 0)
}
