//! Access policies: their categories, and the groups that have them.

use syncguard::policy::{AccessCategory, AccessPolicy, Assignment, Scope, Unassigned};

use super::*;

on_both_databases!(
    every_kind_of_change_reads_back_as_it_was_made,
    what_is_in_use_is_not_deleted,
    policy_is_assigned_to_a_group_once,
    taken_name_of_category_or_policy_conflicts,
    reference_into_another_workspace_is_not_found,
    object_of_another_workspace_is_not_found,
);

/// A category that remembers something, a policy of it, and a further policy that covers every model.
pub(super) struct Access {
    pub(super) category: AccessCategory,
    pub(super) policy: AccessPolicy,
    pub(super) everywhere: AccessPolicy,
}

pub(super) fn access(house: &House, category: &str, policy: &str) -> Access {
    let category = AccessCategory {
        id: Uuid::now_v7(),
        workspace_id: house.workspace.id,
        name: category.to_owned(),
        description: "Who looks after what".to_owned(),
        unassigned: Unassigned::Deny,
        once_covered: BTreeSet::from([Scope::model(house.model.id)]),
        created_at: at(1),
        updated_at: at(1),
    };
    let tree = json!({
        "type": "condition", "condition_type": "property",
        "column": "id", "operator": "in", "value": [1, 9007199254740993_u64],
    });
    let policy = AccessPolicy {
        id: Uuid::now_v7(),
        category_id: category.id,
        workspace_id: house.workspace.id,
        parent_model_id: Some(house.model.id),
        name: policy.to_owned(),
        description: "These alone".to_owned(),
        filter_tree: FilterDocument::parse(tree).unwrap(),
        created_by: house.account.id,
        created_at: at(1),
        updated_at: at(1),
    };
    let everywhere = AccessPolicy {
        id: Uuid::now_v7(),
        parent_model_id: None,
        name: format!("{} everywhere", policy.name),
        ..policy.clone()
    };
    Access {
        category,
        policy,
        everywhere,
    }
}

pub(super) fn assignment(policy: &AccessPolicy, group: &Group) -> Assignment {
    Assignment {
        id: Uuid::now_v7(),
        workspace_id: policy.workspace_id,
        subset_id: policy.id,
        group_id: group.id,
        created_at: at(1),
    }
}

fn create_category(category: &AccessCategory) -> Change {
    Change::AccessCategory(Edit::create(category.clone()))
}

fn create_policy(policy: &AccessPolicy) -> Change {
    Change::AccessPolicy(Edit::create(policy.clone()))
}

fn create_assignment(assignment: &Assignment) -> Change {
    Change::Assignment(Edit::create(assignment.clone()))
}

/// Commits changes and checks that the store then holds what they say.
async fn check(house: &House, changes: &[Change]) {
    let before = house.policies().await;
    assert!(before.is_before(changes));
    let revision = house.publish(changes).await;
    let after = house.policies().await;
    assert_eq!(after, before.with(changes, revision));
    assert_ne!(after, before.with(&[], revision), "something has changed");
}

async fn every_kind_of_change_reads_back_as_it_was_made(house: House) {
    let Access {
        category,
        policy: own,
        everywhere,
    } = access(&house, "region", "emea");
    let group = house.group("north", None).await;
    let assignment = assignment(&own, &group);
    let destination = policy(&house, "late");
    let demand = Change::RequireDestinationPolicy {
        before: false,
        after: true,
    };
    let made = [
        create_category(&category),
        create_policy(&own),
        create_policy(&everywhere),
        create_assignment(&assignment),
        create(&destination),
        demand.clone(),
    ];
    check(&house, &made).await;

    let second = access(&house, "brand", "unused").category;
    check(&house, &[create_category(&second)]).await;
    let changed_category = AccessCategory {
        name: "country".to_owned(),
        description: String::new(),
        unassigned: Unassigned::Allow,
        once_covered: BTreeSet::from([Scope::model(house.model.id), Scope::of(&everywhere)]),
        updated_at: at(7),
        ..category.clone()
    };
    let tree = json!({
        "type": "condition", "condition_type": "property",
        "column": "address.city", "operator": "is_null",
    });
    let changed_policy = AccessPolicy {
        category_id: second.id,
        parent_model_id: None,
        name: "emea, moved".to_owned(),
        description: String::new(),
        filter_tree: FilterDocument::parse(tree).unwrap(),
        updated_at: at(7),
        ..own.clone()
    };
    let changed_destination = DestinationPolicy {
        enabled: false,
        updated_at: at(7),
        ..destination.clone()
    };
    let category = Arc::new(category);
    check(
        &house,
        &[
            Change::AccessCategory(Edit::update(category, changed_category)),
            Change::AccessPolicy(Edit::update(Arc::new(own), changed_policy.clone())),
            Change::DestinationPolicy(Edit::update(
                Arc::new(destination),
                changed_destination.clone(),
            )),
        ],
    )
    .await;
    check(
        &house,
        &[
            Change::Assignment(Edit::delete(Arc::new(assignment))),
            Change::AccessPolicy(Edit::delete(Arc::new(changed_policy))),
            Change::AccessCategory(Edit::delete(Arc::new(second))),
            delete(&changed_destination),
            Change::RequireDestinationPolicy {
                before: true,
                after: false,
            },
        ],
    )
    .await;
    let left = house.policies().await;
    assert_eq!(
        (left.access_categories.len(), left.access_policies.len()),
        (1, 1)
    );
    assert!(left.assignments.is_empty() && left.destination_policies.is_empty());
}

async fn what_is_in_use_is_not_deleted(house: House) {
    let Access {
        category, policy, ..
    } = access(&house, "region", "emea");
    let group = house.group("north", None).await;
    let assignment = assignment(&policy, &group);
    let made = [
        create_category(&category),
        create_policy(&policy),
        create_assignment(&assignment),
    ];
    let revision = house.publish(&made).await;
    let before = house.policies().await;
    let end_category = Change::AccessCategory(Edit::delete(Arc::new(category)));
    let end_policy = Change::AccessPolicy(Edit::delete(Arc::new(policy)));
    let end_assignment = Change::Assignment(Edit::delete(Arc::new(assignment)));
    let refused = house.commit(end_category.clone(), revision).await;
    assert_conflict(refused, "access category is in use");
    let refused = house.commit(end_policy.clone(), revision).await;
    assert_conflict(refused, "access policy is in use");
    let act = house.act(6);
    house.store.delete_sync(&house.sync, &act).await.unwrap();
    let refused = house.store.delete_model(&house.model, &act).await;
    assert_conflict(refused, "access policy emea");
    assert_eq!(house.policies().await, before);
    let changes = [end_assignment, end_policy, end_category];
    house.commit_all(&changes, revision).await.unwrap();
    assert!(house.policies().await.access_categories.is_empty());
}

async fn policy_is_assigned_to_a_group_once(house: House) {
    let Access {
        category, policy, ..
    } = access(&house, "region", "emea");
    let group = house.group("north", None).await;
    let first = assignment(&policy, &group);
    let made = [
        create_category(&category),
        create_policy(&policy),
        create_assignment(&first),
    ];
    let revision = house.publish(&made).await;
    let twin = create_assignment(&assignment(&policy, &group));
    assert_conflict(house.commit(twin, revision).await, "assigned to this group");
    let south = house.group("south", None).await;
    let elsewhere = create_assignment(&assignment(&policy, &south));
    assert_eq!(
        house.commit(elsewhere, revision).await.unwrap(),
        revision + 1
    );
}

async fn taken_name_of_category_or_policy_conflicts(house: House) {
    let region = access(&house, "region", "emea");
    let made = [
        create_category(&region.category),
        create_policy(&region.policy),
    ];
    let revision = house.publish(&made).await;
    let twin = access(&house, "region", "emea");
    let refused = house
        .commit(create_category(&twin.category), revision)
        .await;
    assert_conflict(refused, "\"region\"");
    let of_the_same = AccessPolicy {
        category_id: region.category.id,
        ..twin.policy
    };
    let refused = house.commit(create_policy(&of_the_same), revision).await;
    assert_conflict(refused, "\"emea\"");
    let brand = access(&house, "brand", "emea");
    let made = [
        create_category(&brand.category),
        create_policy(&brand.policy),
    ];
    house.commit_all(&made, revision).await.unwrap();
}

async fn reference_into_another_workspace_is_not_found(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let other = house.other_workspace().await;
    let own = access(&house, "region", "emea");
    let group = house.group("north", None).await;
    let made = [create_category(&own.category), create_policy(&own.policy)];
    house.publish(&made).await;
    let theirs = super::group(other.id, "north", None);
    let theirs = store.insert_group(&theirs, &act).await.unwrap();
    let category = AccessCategory {
        id: Uuid::now_v7(),
        workspace_id: other.id,
        ..own.category.clone()
    };
    let make = [create_category(&category)];
    store.commit(other.id, &make, 1, &act).await.unwrap();

    let of_our_category = AccessPolicy {
        id: Uuid::now_v7(),
        workspace_id: other.id,
        parent_model_id: None,
        name: "stray".into(),
        ..own.policy.clone()
    };
    let of_our_model = AccessPolicy {
        category_id: category.id,
        parent_model_id: Some(house.model.id),
        ..of_our_category.clone()
    };
    for stray in [of_our_category, of_our_model] {
        let saved = store
            .commit(other.id, &[create_policy(&stray)], 2, &act)
            .await;
        assert_not_found(saved, "category or model");
    }
    let to_their_group = assignment(&own.policy, &theirs);
    let revision = house.revision().await;
    let saved = house
        .commit(create_assignment(&to_their_group), revision)
        .await;
    assert_not_found(saved, "access policy or group");
    for group in [&theirs, &group] {
        let of_our_policy = Assignment {
            workspace_id: other.id,
            ..assignment(&own.policy, group)
        };
        let make = [create_assignment(&of_our_policy)];
        let saved = store.commit(other.id, &make, 2, &act).await;
        assert_not_found(saved, "access policy or group");
    }
}

async fn object_of_another_workspace_is_not_found(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let other = house.other_workspace().await.id;
    let own = access(&house, "region", "emea");
    let group = house.group("north", None).await;
    let assignment = assignment(&own.policy, &group);
    let made = [
        create_category(&own.category),
        create_policy(&own.policy),
        create_assignment(&assignment),
    ];
    house.publish(&made).await;
    let before = house.policies().await;
    let moved = AccessCategory {
        workspace_id: other,
        ..own.category.clone()
    };
    let (category, policy) = (Arc::new(own.category), Arc::new(own.policy));
    let deletions = [
        Change::AccessCategory(Edit::delete(Arc::clone(&category))),
        Change::AccessPolicy(Edit::delete(policy)),
        Change::Assignment(Edit::delete(Arc::new(assignment))),
    ];
    let [make_category, make_policy, make_assignment] = made;
    let takeover = Change::AccessCategory(Edit::update(category, moved.clone()));
    let cases = [
        (make_category, "category"),
        (create_category(&moved), "category"),
        (takeover, "category"),
        (make_policy, "access policy"),
        (make_assignment, "assignment"),
    ];
    let deletions = deletions.map(|change| (change, "policy"));
    for (change, what) in cases.into_iter().chain(deletions) {
        let kind = change.kind();
        let saved = store.commit(other, &[change], 1, &act).await;
        assert!(saved.is_err(), "{kind}");
        assert_not_found(saved, what);
    }
    assert_eq!(store.revision(other).await.unwrap(), 1);
    assert_eq!(house.policies().await, before);
}
