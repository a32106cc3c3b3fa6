//! How policies combine: the guard of a principal says, row by row, what the formula of the design
//! says. The formula is read a second time here, one row at a time and from the documents alone.

mod cover;
mod formula;
pub(crate) mod house;
mod worlds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::TimestampSecondArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use syncguard::catalog::PolicyKind;
use syncguard::guard::registry::NoGuard;
use syncguard::guard::{Guard, Registry, requirements};
use syncguard::policy::{Change, Edit, FilterDocument, PolicySet, Unassigned};
use syncguard::principal::{ADMIN, MEMBER, OWNER};
use uuid::Uuid;

use self::formula::{Decision, decide};
use self::house::{
    ACCOUNT, ANYWHERE, ELSEWHERE, HERE, House, batch, condition, custom, id, is, model, now,
    schema, verdict_of,
};
use self::worlds::sketches;

const ALL: [usize; 4] = [1, 2, 3, 4];
const NONE: [usize; 0] = [];
const SALES: usize = 0;
const SUPPORT: usize = 1;

#[test]
fn without_policies_everything_passes() {
    let mut house = House::new();
    assert_eq!(house.seen_by(custom(), &[]), ALL);
    assert_eq!(house.sent_by(Some("ads"), MEMBER, &[]), ALL);
    house.category(Unassigned::Deny);
    assert_eq!(house.seen_by(custom(), &[]), ALL, "an empty category");
}

#[test]
fn or_within_a_category() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    let us = house.policy(region, HERE, is("country", "US"));
    house.assign(de, SALES);
    house.assign(us, SUPPORT);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), [1, 3]);
    assert_eq!(house.seen_by(MEMBER, &[SUPPORT]), [2]);
    assert_eq!(house.seen_by(MEMBER, &[SALES, SUPPORT]), [1, 2, 3]);
}

#[test]
fn and_across_categories() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let brand = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    let b = house.policy(brand, HERE, is("brand", "b"));
    house.assign(de, SALES);
    house.assign(b, SALES);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), [3]);
}

#[test]
fn no_policy_of_a_category_sees_nothing() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    assert_eq!(house.seen_by(MEMBER, &[SALES]), NONE, "given to nobody");
    house.assign(de, SALES);
    assert_eq!(house.seen_by(MEMBER, &[]), NONE, "in no group");
    assert_eq!(house.seen_by(MEMBER, &[SUPPORT]), NONE, "in another group");
    assert_eq!(house.seen_by(custom(), &[]), NONE, "a custom role");
}

#[test]
fn a_policy_of_another_category_opens_nothing() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let brand = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    house.policy(brand, HERE, is("brand", "b"));
    house.assign(de, SALES);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), NONE);
}

#[test]
fn unassigned_allow_leaves_whoever_has_none_alone() {
    let mut house = House::new();
    let region = house.category(Unassigned::Allow);
    let de = house.policy(region, HERE, is("country", "DE"));
    house.assign(de, SALES);
    assert_eq!(house.seen_by(MEMBER, &[SUPPORT]), ALL);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), [1, 3], "who has one");
}

#[test]
fn owner_and_admin_are_not_restricted() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    house.assign(de, SALES);
    for role in [OWNER, ADMIN] {
        assert_eq!(house.seen_by(role, &[]), ALL);
        assert_eq!(house.seen_by(role, &[SUPPORT]), ALL);
    }
}

#[test]
fn admin_is_restricted_once_assigned() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let brand = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    let a = house.policy(brand, HERE, is("brand", "a"));
    house.assign(de, SALES);
    house.assign(a, SUPPORT);
    for role in [OWNER, ADMIN] {
        assert_eq!(house.seen_by(role, &[SALES]), [1, 3], "in that category");
        assert_eq!(house.seen_by(role, &[SALES, SUPPORT]), [1]);
    }
}

#[test]
fn whoever_has_a_policy_of_another_model_is_restricted_in_its_category() {
    for unassigned in [Unassigned::Allow, Unassigned::Deny] {
        let mut house = House::new();
        let region = house.category(unassigned);
        house.policy(region, HERE, is("country", "DE"));
        let other = house.policy(region, ELSEWHERE, is("country", "US"));
        house.assign(other, SALES);
        for role in [MEMBER, ADMIN] {
            assert_eq!(house.seen_by(role, &[SALES]), NONE);
        }
    }
}

#[test]
fn a_category_covers_the_models_of_its_policies() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    house.policy(region, ELSEWHERE, is("country", "US"));
    assert_eq!(house.seen_by(MEMBER, &[]), ALL, "another model's");
    house.policy(region, ANYWHERE, is("height", "tall"));
    assert_eq!(house.seen_by(MEMBER, &[]), ALL, "a column it lacks");
    house.policy(region, ANYWHERE, is("brand", "a"));
    assert_eq!(house.seen_by(MEMBER, &[]), NONE, "its own columns");
}

#[test]
fn a_null_is_withheld() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let tree = condition("country", "not_in", json!(["DE"]));
    let rest = house.policy(region, HERE, tree);
    house.assign(rest, SALES);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), [2]);
    let unknown = house.policy(region, HERE, condition("country", "is_null", Value::Null));
    house.assign(unknown, SALES);
    assert_eq!(house.seen_by(MEMBER, &[SALES]), [2, 4]);
}

#[test]
fn destination_policies_are_all_to_be_met() {
    let mut house = House::new();
    house.destination(HERE, "ads", true, is("country", "DE"));
    house.destination(ANYWHERE, "ads", true, is("brand", "a"));
    house.destination(HERE, "ads", false, is("brand", "nothing"));
    house.destination(ELSEWHERE, "ads", true, is("brand", "nothing"));
    house.destination(HERE, "mail", true, is("brand", "b"));
    for role in [OWNER, MEMBER] {
        assert_eq!(house.sent_by(Some("ads"), role, &[]), [1]);
        assert_eq!(house.sent_by(Some("mail"), role, &[]), [3, 4]);
        assert_eq!(house.sent_by(Some("crm"), role, &[]), ALL);
        assert_eq!(house.seen_by(role, &[]), ALL, "only looked at");
    }
}

#[test]
fn access_restricts_what_is_sent() {
    let mut house = House::new();
    house.destination(HERE, "ads", true, is("country", "DE"));
    let brand = house.category(Unassigned::Deny);
    let b = house.policy(brand, HERE, is("brand", "b"));
    house.assign(b, SALES);
    assert_eq!(house.sent_by(Some("ads"), MEMBER, &[SALES]), [3]);
    assert_eq!(house.sent_by(Some("ads"), MEMBER, &[]), NONE);
    assert_eq!(house.sent_by(Some("ads"), ADMIN, &[]), [1, 3]);
}

#[test]
fn a_demanded_destination_policy_must_be_there() {
    let mut house = House::new();
    house.policies.require_destination_policy = true;
    house.destination(HERE, "ads", false, is("country", "DE"));
    let brand = house.category(Unassigned::Deny);
    let b = house.policy(brand, HERE, is("brand", "b"));
    house.assign(b, SALES);
    let principal = house.principal(OWNER, &[SALES]);
    let sent = verdict_of(&house.policies, Some("ads"), &principal, &batch(&[]));
    assert!(matches!(sent, Err(NoGuard::NoDestinationPolicy { .. })));
    assert_eq!(house.seen_by(OWNER, &[SALES]), [3, 4], "only looked at");
}

fn cases() -> u32 {
    match std::env::var("SYNCGUARD_DIFFERENTIAL_CASES") {
        Ok(cases) => cases
            .parse()
            .expect("SYNCGUARD_DIFFERENTIAL_CASES is a whole number"),
        Err(_) => 2_000,
    }
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn guard_and_formula_agree_on_every_row() {
    // What must have come up for the property to say something.
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut runner = TestRunner::new(config(cases()));
    let counts = std::cell::RefCell::new(&mut seen);
    let count = |what: &'static str, is: bool| {
        *counts.borrow_mut().entry(what).or_default() += u32::from(is);
    };
    let outcome = runner.run(&sketches(), |sketch| {
        let policies = sketch.policies();
        let batch = batch(&sketch.rows);
        let kind = sketch.destination_type();
        let registry = Registry::default();
        for (role_id, groups) in sketch.principals() {
            let house = House {
                policies: policies.clone(),
            };
            let principal = house.principal(role_id, &groups);
            let expected = decide(&policies, kind, &principal, &batch, now());
            let required = requirements(&policies, &model(), &schema(), kind, &principal);
            let guard = required.and_then(|required| {
                Guard::compile(&schema(), &required, now(), policies.revision)
                    .map_err(NoGuard::Refused)
            });
            let cached = registry.guard(&policies, &model(), &schema(), kind, &principal, now());
            let withheld_by = match (expected, guard) {
                (Decision::NothingMayBeSent, Err(NoGuard::NoDestinationPolicy { .. })) => {
                    prop_assert!(cached.is_err());
                    count("nothing may be sent", true);
                    continue;
                }
                (Decision::Unfit(names), Err(NoGuard::Refused(faults))) => {
                    let blamed: BTreeSet<_> = faults.into_iter().map(|f| f.policy).collect();
                    prop_assert_eq!(blamed, names);
                    prop_assert!(cached.is_err());
                    count("does not fit", true);
                    continue;
                }
                (Decision::WithheldBy(rows), Ok(guard)) => {
                    let verdict = guard.apply(&batch, syncguard::guard::Leaving::All);
                    let verdict = verdict.map_err(|e| TestCaseError::fail(e.to_string()))?;
                    let explained = guard.explain(&batch);
                    let explained = explained.map_err(|e| TestCaseError::fail(e.to_string()))?;
                    let again = match cached {
                        Ok(guard) => guard.apply(&batch, syncguard::guard::Leaving::All),
                        Err(error) => return Err(TestCaseError::fail(error.to_string())),
                    };
                    let again = again.map_err(|e| TestCaseError::fail(e.to_string()))?;
                    prop_assert_eq!(verdict.passes(), again.passes());
                    for (row, withheld_by) in rows.iter().enumerate() {
                        let told: BTreeSet<(PolicyKind, Uuid)> = explained[row]
                            .withheld_by
                            .iter()
                            .filter_map(|by| Some((by.kind, by.policy_id?)))
                            .collect();
                        prop_assert_eq!(&told, withheld_by, "row {}", row);
                        prop_assert_eq!(verdict.passes().value(row), withheld_by.is_empty());
                    }
                    let mut counted: BTreeMap<(PolicyKind, Uuid), u64> = BTreeMap::new();
                    for by in rows.iter().flatten() {
                        *counted.entry(*by).or_default() += 1;
                    }
                    let told: BTreeMap<(PolicyKind, Uuid), u64> = verdict
                        .withheld_by(0, verdict.withheld())
                        .filter_map(|by| Some(((by.kind, by.policy_id?), by.count)))
                        .collect();
                    prop_assert_eq!(told, counted);
                    rows
                }
                (expected, guard) => {
                    let guard = guard.map(|guard| guard.columns().to_vec());
                    let message = format!("{expected:?}, but the guard: {guard:?}");
                    return Err(TestCaseError::fail(message));
                }
            };
            for by in &withheld_by {
                let access = by.iter().any(|(kind, _)| *kind == PolicyKind::Access);
                count("passes", by.is_empty());
                count("withheld by access", access);
                count("withheld by several", by.len() > 1);
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let least = cases() / 50;
    for what in [
        "nothing may be sent",
        "does not fit",
        "passes",
        "withheld by access",
        "withheld by several",
    ] {
        let times = seen.get(what).copied().unwrap_or_default();
        assert!(times >= least, "{what}: only {times} times: {seen:?}");
    }
}

#[test]
fn principals_of_other_groups_never_share_a_guard() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let de = house.policy(region, HERE, is("country", "DE"));
    let us = house.policy(region, HERE, is("country", "US"));
    house.assign(de, SALES);
    house.assign(us, SUPPORT);
    house.destination(HERE, "ads", true, is("brand", "a"));
    let registry = Registry::default();
    let mut guards = Vec::new();
    for role in [OWNER, MEMBER] {
        for groups in [&[][..], &[SALES], &[SUPPORT], &[SALES, SUPPORT], &[2]] {
            for kind in [None, Some("ads"), Some("mail")] {
                let principal = house.principal(role, groups);
                let guard = || {
                    let policies = &house.policies;
                    registry
                        .guard(policies, &model(), &schema(), kind, &principal, now())
                        .unwrap()
                };
                let first = guard();
                assert!(Arc::ptr_eq(&first, &guard()), "kept for the same subject");
                guards.push((format!("{role} {groups:?} {kind:?}"), first));
            }
        }
    }
    for (i, (one, guard)) in guards.iter().enumerate() {
        for (other, another) in &guards[i + 1..] {
            assert!(!Arc::ptr_eq(guard, another), "{one} shares with {other}");
        }
    }
    // Who they are does not matter, only where they stand.
    let mut other = house.principal(MEMBER, &[SALES]);
    let one = house.principal(MEMBER, &[SALES]);
    other.account_id = id(ACCOUNT, 9);
    let [one, other] = [one, other].map(|principal| {
        let policies = &house.policies;
        registry.guard(policies, &model(), &schema(), None, &principal, now())
    });
    assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
}

#[test]
fn a_new_revision_never_gets_an_old_guard() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let policy = house.policy(region, HERE, is("country", "DE"));
    house.assign(policy, SALES);
    let principal = house.principal(MEMBER, &[SALES]);
    let registry = Registry::default();
    let rows = batch(&[
        (Some("DE"), None, None, None),
        (Some("US"), None, None, None),
    ]);
    let seen = |policies: &PolicySet| {
        let guard = registry.guard(policies, &model(), &schema(), None, &principal, now());
        let guard = guard.unwrap();
        assert_eq!(guard.revision(), policies.revision);
        let verdict = guard.apply(&rows, syncguard::guard::Leaving::All).unwrap();
        assert_eq!(verdict.guarded().revision(), policies.revision);
        verdict.passes().iter().collect::<Vec<bool>>()
    };
    let old = house.policies.clone();
    assert_eq!(seen(&old), [true, false]);
    let before = Arc::clone(&old.access_policies[&policy]);
    let mut after = (*before).clone();
    after.filter_tree = FilterDocument::parse(is("country", "US")).unwrap();
    let change = Change::AccessPolicy(Edit::update(before, after));
    let new = old.with(&[change], old.revision + 1);
    assert_eq!(seen(&new), [false, true]);
    // A batch that is still judged under the old revision keeps its own guard.
    assert_eq!(seen(&old), [true, false]);
    // Also where nothing changed that the guard is compiled from.
    assert_eq!(seen(&new.with(&[], new.revision + 1)), [false, true]);
}

#[test]
fn a_guard_that_counts_from_now_is_of_its_moment() {
    let mut house = House::new();
    let region = house.category(Unassigned::Deny);
    let fields = vec![Field::new(
        "seen_at",
        DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
        true,
    )];
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let tree = condition(
        "seen_at",
        "within_last",
        json!({"value": 1, "unit": "days"}),
    );
    let recent = house.policy(region, HERE, tree);
    house.assign(recent, SALES);
    let principal = house.principal(MEMBER, &[SALES]);
    let registry = Registry::default();
    let guard = |now| {
        let policies = &house.policies;
        registry
            .guard(policies, &model(), &schema, None, &principal, now)
            .unwrap()
    };
    let today = guard(now());
    let later = guard(now() + TimeDelta::days(2));
    assert!(!Arc::ptr_eq(&today, &later));
    assert!(Arc::ptr_eq(&today, &guard(now())));
    let times = TimestampSecondArray::from(vec![now().timestamp() - 60]);
    let times = times.with_timezone("UTC");
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(times)]).unwrap();
    assert!(
        today
            .apply(&rows, syncguard::guard::Leaving::All)
            .unwrap()
            .passes()
            .value(0)
    );
    assert!(
        !later
            .apply(&rows, syncguard::guard::Leaving::All)
            .unwrap()
            .passes()
            .value(0)
    );
}

/// What a set of policies refers to and does not have.
fn dangling(policies: &PolicySet) -> Vec<Uuid> {
    let categories = &policies.access_categories;
    let of_category = policies.access_policies.values();
    let of_category = of_category.filter(|policy| !categories.contains_key(&policy.category_id));
    let of_policy = policies.assignments.values();
    let of_policy = of_policy.filter(|a| !policies.access_policies.contains_key(&a.subset_id));
    let lost = of_category.map(|policy| policy.id);
    lost.chain(of_policy.map(|assignment| assignment.id))
        .collect()
}

proptest! {
    #![proptest_config(config(500))]

    /// The store makes the changes of a restoration one by one: on no step may anything refer to
    /// what is not there.
    #[test]
    fn the_way_back_to_a_revision_can_be_gone_step_by_step(
        from in worlds::reference_sets(),
        to in worlds::reference_sets(),
    ) {
        let mut policies = from.clone();
        for change in from.changes_to(&to) {
            policies = policies.with(&[change], policies.revision);
            prop_assert_eq!(dangling(&policies), Vec::<Uuid>::new());
        }
        prop_assert_eq!(policies, to);
    }
}
