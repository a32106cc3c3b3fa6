//! Categories go on covering what their policies have covered: changes are made as they are
//! published.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;
use serde_json::json;
use syncguard::guard::requirements;
use syncguard::policy::{AccessCategory, AccessPolicy, Change, Edit, PolicySet, Unassigned};
use syncguard::principal::{ADMIN, MEMBER, OWNER};
use uuid::Uuid;

use super::house::{ANYWHERE, ELSEWHERE, HERE, House, MODEL, id, is, model, schema};
use super::{ALL, FilterDocument, NONE, SALES, config, worlds};

/// A house with a category of one policy, which opens Germany to sales, and the two.
fn germans(of: Option<usize>) -> (House, Arc<AccessCategory>, Arc<AccessPolicy>) {
    let mut house = House::new();
    let category = house.category(Unassigned::Deny);
    let policy = house.policy(category, of, is("country", "DE"));
    house.assign(policy, SALES);
    let category = Arc::clone(&house.policies.access_categories[&category]);
    let policy = Arc::clone(&house.policies.access_policies[&policy]);
    (house, category, policy)
}

fn publish(house: &mut House, change: Change) -> Vec<Change> {
    let changes = house.policies.keeping_cover(&[change]);
    let next = house.policies.revision + 1;
    assert!(house.policies.is_before(&changes));
    assert_eq!(house.policies.keeping_cover(&changes), changes);
    house.policies = house.policies.with(&changes, next);
    changes
}

fn change(policy: &Arc<AccessPolicy>, change: impl FnOnce(&mut AccessPolicy)) -> Change {
    let mut after = (**policy).clone();
    change(&mut after);
    Change::AccessPolicy(Edit::update(Arc::clone(policy), after))
}

fn delete(policy: &Arc<AccessPolicy>) -> Change {
    Change::AccessPolicy(Edit::delete(Arc::clone(policy)))
}

/// The category as it is, and changed.
fn recategorize(house: &House, id: Uuid, change: impl FnOnce(&mut AccessCategory)) -> Change {
    let before = Arc::clone(&house.policies.access_categories[&id]);
    let mut after = (*before).clone();
    change(&mut after);
    Change::AccessCategory(Edit::update(before, after))
}

#[test]
fn last_policy_taken_away_closes_the_model() {
    for of in [HERE, ANYWHERE] {
        for way in ["deleted", "another model's", "other columns", "moved"] {
            let (mut house, category, policy) = germans(of);
            let other = house.category(Unassigned::Allow);
            assert_eq!(house.seen_by(MEMBER, &[SALES]), [1, 3]);
            let taken = match way {
                "deleted" => delete(&policy),
                "another model's" => change(&policy, |policy| {
                    policy.parent_model_id = ELSEWHERE.map(|number| id(MODEL, number));
                }),
                "other columns" => change(&policy, |policy| {
                    policy.parent_model_id = None;
                    policy.filter_tree = FilterDocument::parse(is("height", "tall")).unwrap();
                }),
                _ => change(&policy, |policy| policy.category_id = other),
            };
            publish(&mut house, taken);
            for groups in [&[][..], &[SALES]] {
                assert_eq!(house.seen_by(MEMBER, groups), NONE, "{of:?} {way}");
            }
            for role in [OWNER, ADMIN] {
                assert_eq!(house.seen_by(role, &[]), ALL, "{of:?} {way}");
            }
            // Whoever has a new policy sees what that one opens.
            let us = house.policy(category.id, HERE, is("country", "US"));
            house.assign(us, SALES);
            let seen = house.seen_by(MEMBER, &[SALES]);
            assert!(seen.contains(&2) || way == "moved", "{of:?} {way}");
        }
    }
}

#[test]
fn nothing_is_remembered_that_a_policy_still_covers() {
    for (gone, left) in [(HERE, HERE), (ANYWHERE, ANYWHERE)] {
        let (mut house, category, policy) = germans(gone);
        house.policy(category.id, left, is("country", "US"));
        assert_eq!(publish(&mut house, delete(&policy)), [delete(&policy)]);
    }
    let (mut house, _, policy) = germans(HERE);
    let renamed = change(&policy, |policy| policy.name = "renamed".into());
    assert_eq!(publish(&mut house, renamed.clone()), [renamed]);
    // What the rest covers one after another is remembered in the end.
    let (mut house, category, policy) = germans(HERE);
    let last = house.policy(category.id, HERE, is("country", "US"));
    let last = Arc::clone(&house.policies.access_policies[&last]);
    publish(&mut house, delete(&policy));
    publish(&mut house, delete(&last));
    assert_eq!(house.seen_by(MEMBER, &[SALES]), NONE);
}

#[test]
fn deleting_the_category_or_allowing_opens() {
    let (mut house, category, policy) = germans(HERE);
    publish(&mut house, delete(&policy));
    let allow = recategorize(&house, category.id, |c| c.unassigned = Unassigned::Allow);
    publish(&mut house, allow);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), ALL);
    let deny = recategorize(&house, category.id, |c| c.unassigned = Unassigned::Deny);
    publish(&mut house, deny);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), ALL, "it has forgotten");

    let (mut house, category, policy) = germans(HERE);
    publish(&mut house, delete(&policy));
    let rename = recategorize(&house, category.id, |c| c.name = "renamed".into());
    publish(&mut house, rename);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), NONE, "a name says nothing");
    let now = Arc::clone(&house.policies.access_categories[&category.id]);
    publish(&mut house, Change::AccessCategory(Edit::delete(now)));
    assert_eq!(house.seen_by(MEMBER, &[SALES]), ALL);
}

#[test]
fn a_model_that_loses_its_columns_stays_covered() {
    let (mut house, category, policy) = germans(ANYWHERE);
    publish(&mut house, delete(&policy));
    let mut narrower = model();
    narrower.schema = Arc::new(Schema::new(vec![Field::new("brand", DataType::Utf8, true)]));
    let edit = Edit::update(Arc::new(model()), narrower.clone());
    publish(&mut house, Change::Model(edit));
    let member = house.principal(MEMBER, &[SALES]);
    let required = |model| requirements(&house.policies, model, &narrower.schema, None, &member);
    assert_eq!(required(&narrower).unwrap()[0].policy_id, Some(category.id));
    // Another model without them is not.
    let mut another = narrower.clone();
    another.id = id(MODEL, 2);
    assert!(required(&another).unwrap().is_empty());
}

#[test]
fn what_is_remembered_is_in_revisions_and_not_shown() {
    let (mut house, category, policy) = germans(ANYWHERE);
    let made = Change::AccessCategory(Edit::create((*category).clone()));
    assert_eq!(made.document()["after"], json!(category));
    let changes = publish(&mut house, delete(&policy));
    assert_eq!(changes.len(), 2);
    let document = changes[1].document();
    assert_eq!(document["before"], json!(category));
    let scopes = json!([{"parent_model_id": null, "columns": ["country"]}]);
    assert_eq!(document["after"]["once_covered"], scopes);
    for change in [&made, &changes[1]] {
        let read = Change::from_document(&change.document()).unwrap();
        assert_eq!(read.as_ref(), Some(change));
    }
    let now = &house.policies.access_categories[&category.id];
    assert_eq!(json!(now), json!(category), "as callers are shown it");
}

/// Whether a category restricts a member who has no policy.
fn covers(policies: &PolicySet, category: Uuid) -> bool {
    let house = House {
        policies: policies.clone(),
    };
    let member = house.principal(MEMBER, &[]);
    let required = requirements(policies, &model(), &schema(), None, &member).unwrap();
    required.iter().any(|r| r.policy_id == Some(category))
}

proptest! {
    #![proptest_config(config(500))]

    /// A restoration makes any changes at once.
    #[test]
    fn no_change_makes_a_category_that_stays_cover_less(
        first in worlds::reference_sets(),
        second in worlds::reference_sets(),
        third in worlds::reference_sets(),
    ) {
        let mut now = first;
        for to in [second, third] {
            let changes = now.keeping_cover(&now.changes_to(&to));
            prop_assert!(now.is_before(&changes));
            prop_assert_eq!(&now.keeping_cover(&changes), &changes);
            let after = now.with(&changes, now.revision + 1);
            for category in to.access_categories.keys() {
                let before = now.access_categories.contains_key(category);
                if before && covers(&now, *category) {
                    prop_assert!(covers(&after, *category));
                }
            }
            // Once there, there is nothing to do.
            let again = after.keeping_cover(&after.changes_to(&to));
            prop_assert!(again.is_empty());
            now = after;
        }
    }
}
