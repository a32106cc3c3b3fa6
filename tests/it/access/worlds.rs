//! Random policy sets, principals and rows.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use syncguard::policy::{PolicySet, Unassigned};
use syncguard::principal::{ADMIN, MEMBER, OWNER};
use uuid::Uuid;

use super::house::{
    ANYWHERE, CATEGORY, ELSEWHERE, GROUP, HERE, House, POLICY, Row, condition, custom, id,
};

const TYPES: [&str; 2] = ["ads", "mail"];
const GROUPS: usize = 4;

/// What a policy set, a few principals and a batch are made from.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    demands: bool,
    /// Model, destination type, enabled, tree.
    destination: Vec<(Option<usize>, usize, bool, Value)>,
    categories: Vec<Unassigned>,
    /// What categories have covered: category, model, tree.
    once_covered: Vec<(usize, Option<usize>, Value)>,
    /// Category, model, tree, groups.
    access: Vec<(usize, Option<usize>, Value, Vec<usize>)>,
    /// Role and groups.
    principals: Vec<(usize, Vec<usize>)>,
    destination_type: Option<usize>,
    pub(crate) rows: Vec<Row>,
}

fn one_column() -> impl Strategy<Value = Value> {
    let countries = vec(select(vec!["DE", "US", "FR"]), 1..3);
    prop_oneof![
        6 => (countries, any::<bool>()).prop_map(|(values, negated)| {
            let operator = if negated { "not_in" } else { "in" };
            condition("country", operator, json!(values))
        }),
        4 => select(vec!["a", "b"]).prop_map(|brand| condition("brand", "equals", json!(brand))),
        3 => (0..5i64).prop_map(|n| condition("age", "greater_than", json!(n * 10))),
        3 => select(vec!["is_true", "is_false"])
            .prop_map(|operator| condition("vip", operator, Value::Null)),
        2 => select(vec!["country", "age", "vip"])
            .prop_map(|column| condition(column, "is_null", Value::Null)),
    ]
}

fn trees() -> impl Strategy<Value = Value> {
    let fits = one_column().prop_recursive(2, 6, 3, |inner| {
        let children = || vec(inner.clone(), 1..4);
        prop_oneof![
            children().prop_map(|children| json!({"type": "and", "children": children})),
            children().prop_map(|children| json!({"type": "or", "children": children})),
            inner
                .clone()
                .prop_map(|child| json!({"type": "not", "children": [child]})),
        ]
    });
    // A column that the model lacks: such a policy covers nothing, or does not fit.
    let lacks = one_column().prop_map(|child| {
        let height = condition("height", "less_than", json!(2));
        json!({"type": "or", "children": [child, height]})
    });
    prop_oneof![14 => fits, 1 => lacks]
}

fn models() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![4 => Just(HERE), 3 => Just(ANYWHERE), 2 => Just(ELSEWHERE)]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = |values: &'static [&'static str]| prop::option::weighted(0.8, select(values));
    let row = (
        text(&["DE", "US", "FR"]),
        text(&["a", "b"]),
        prop::option::weighted(0.8, 0..50i64),
        prop::option::weighted(0.8, any::<bool>()),
    );
    vec(row, 0..12)
}

fn groups() -> impl Strategy<Value = Vec<usize>> {
    btree_set(0..GROUPS, 0..=2).prop_map(|groups| groups.into_iter().collect())
}

pub(crate) fn sketches() -> impl Strategy<Value = Sketch> {
    let unassigned = prop_oneof![
        3 => Just(Unassigned::Deny),
        2 => Just(Unassigned::Allow),
    ];
    let destination = (models(), 0..TYPES.len(), prop::bool::weighted(0.7), trees());
    let access = (0..3usize, models(), trees(), groups());
    (
        prop::bool::weighted(0.3),
        vec(destination, 0..3),
        vec(unassigned, 1..4),
        vec((0..3usize, models(), trees()), 0..2),
        vec(access, 0..8),
        vec((0..4usize, groups()), 1..5),
        prop::option::weighted(0.7, 0..TYPES.len()),
        rows(),
    )
        .prop_map(
            |(
                demands,
                destination,
                categories,
                once_covered,
                access,
                principals,
                destination_type,
                rows,
            )| {
                Sketch {
                    demands,
                    destination,
                    categories,
                    once_covered,
                    access,
                    principals,
                    destination_type,
                    rows,
                }
            },
        )
}

impl Sketch {
    pub(crate) fn policies(&self) -> PolicySet {
        let mut house = House::new();
        house.policies.require_destination_policy = self.demands;
        for (model, kind, enabled, tree) in &self.destination {
            house.destination(*model, TYPES[*kind], *enabled, tree.clone());
        }
        let categories: Vec<Uuid> = self
            .categories
            .iter()
            .map(|unassigned| house.category(*unassigned))
            .collect();
        for (category, model, tree) in &self.once_covered {
            let category = categories[category % categories.len()];
            house.once_covered(category, *model, tree.clone());
        }
        for (category, model, tree, groups) in &self.access {
            let category = categories[category % categories.len()];
            let policy = house.policy(category, *model, tree.clone());
            for group in groups {
                house.assign(policy, *group);
            }
        }
        house.policies
    }

    pub(crate) fn destination_type(&self) -> Option<&'static str> {
        self.destination_type.map(|kind| TYPES[kind])
    }

    /// The role and the groups of each principal.
    pub(crate) fn principals(&self) -> Vec<(Uuid, Vec<usize>)> {
        let roles = [OWNER, ADMIN, MEMBER, custom()];
        let principals = self.principals.iter();
        principals
            .map(|(role, groups)| (roles[*role], groups.clone()))
            .collect()
    }
}

/// Policy sets that have some of the same categories, policies and assignments: what differs is
/// which of them are there, and which category a policy is in.
pub(crate) fn reference_sets() -> impl Strategy<Value = PolicySet> {
    let present = vec(any::<bool>(), 4);
    let policies = vec(prop::option::weighted(0.8, 0..4usize), 5);
    let groups = vec(btree_set(0..3usize, 0..=3), 5);
    (present, policies, groups).prop_map(|(present, policies, groups)| {
        let mut house = House::new();
        for _ in 0..4 {
            house.category(Unassigned::Deny);
        }
        let tree = condition("country", "is_null", Value::Null);
        for category in &policies {
            let category = id(CATEGORY, category.unwrap_or_default());
            let policy = house.policy(category, ANYWHERE, tree.clone());
            for group in 0..3 {
                house.assign(policy, group);
            }
        }
        let mut set = house.policies;
        set.access_categories
            .retain(|category, _| (0..4).any(|n| present[n] && *category == id(CATEGORY, n)));
        let categories = set.access_categories.clone();
        set.access_policies.retain(|own, policy| {
            let kept = (0..5).any(|n| policies[n].is_some() && *own == id(POLICY, n));
            kept && categories.contains_key(&policy.category_id)
        });
        let kept = set.access_policies.clone();
        set.assignments.retain(|_, assignment| {
            let given = |n: usize, group: &usize| {
                assignment.subset_id == id(POLICY, n) && assignment.group_id == id(GROUP, *group)
            };
            kept.contains_key(&assignment.subset_id)
                && (0..5).any(|n| groups[n].iter().any(|group| given(n, group)))
        });
        set
    })
}
