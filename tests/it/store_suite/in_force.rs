//! The policies in force, as a registry that was not there at each change learns of them.

use syncguard::guard::Registry;
use syncguard::policy::{AccessCategory, Scope};

use super::access::{Access, access, assignment};
use super::*;

on_both_databases!(
    registry_that_is_behind_catches_up,
    registry_that_is_far_behind_loads_the_whole_set,
    revision_that_cannot_be_understood_loads_the_whole_set,
    policies_are_those_of_the_standing,
    policies_and_standing_are_of_one_revision_while_both_change,
);

/// A registry that knows the policies of now.
async fn knowing(house: &House) -> (Registry, Arc<PolicySet>) {
    let registry = Registry::default();
    let known = learn(house, &registry).await;
    (registry, known)
}

async fn learn(house: &House, registry: &Registry) -> Arc<PolicySet> {
    let ws = house.workspace.id;
    house.store.policies_in_force(registry, ws).await.unwrap()
}

/// Whether an object of two sets is the very same in memory: what is loaded anew never is.
fn shared(one: &PolicySet, other: &PolicySet, id: Uuid) -> bool {
    let [one, other] = [one, other].map(|set| &set.destination_policies[&id]);
    Arc::ptr_eq(one, other)
}

/// Renames a policy so many times, each time as a revision.
async fn rename(house: &House, policy: DestinationPolicy, times: u64) -> DestinationPolicy {
    let mut now = policy;
    for _ in 0..times {
        let renamed = DestinationPolicy {
            name: format!("renamed {}", Uuid::now_v7()),
            ..now.clone()
        };
        let edit = Edit::update(Arc::new(now), renamed.clone());
        house.publish(&[Change::DestinationPolicy(edit)]).await;
        now = renamed;
    }
    now
}

async fn registry_that_is_behind_catches_up(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let kept = policy(&house, "kept");
    house.publish(&[create(&kept)]).await;
    let (registry, known) = knowing(&house).await;
    assert_eq!(*known, house.policies().await);

    let Access {
        category,
        policy: opened,
        everywhere,
    } = access(&house, "region", "emea");
    let remembering = AccessCategory {
        once_covered: BTreeSet::from([Scope::of(&everywhere)]),
        ..category.clone()
    };
    let group = house.group("north", None).await;
    house.put_into(&group, house.account.id).await;
    house
        .publish(&[
            Change::AccessCategory(Edit::create(category.clone())),
            Change::AccessPolicy(Edit::create(opened.clone())),
        ])
        .await;
    let assigned = assignment(&opened, &group);
    house
        .publish(&[Change::Assignment(Edit::create(assigned))])
        .await;
    let remember = Edit::update(Arc::new(category), remembering.clone());
    house.publish(&[Change::AccessCategory(remember)]).await;
    let short = policy(&house, "short");
    house.publish(&[create(&short)]).await;
    house.publish(&[delete(&short)]).await;
    let before = Arc::new(house.model.clone());
    let model = Model {
        primary_key: Vec::new(),
        ..house.model.clone()
    };
    house
        .publish(&[
            Change::Model(Edit::update(before, model)),
            Change::RequireDestinationPolicy {
                before: false,
                after: true,
            },
        ])
        .await;
    let member = house.join("m@example.com", MEMBER).await;
    house.put_into(&group, member.account_id).await;

    let halfway = known.revision + 2;
    let policies = store.policies_since(&registry, ws, halfway).await.unwrap();
    assert_eq!(policies.revision, halfway);
    assert_eq!(policies.access_policies.len(), 1);
    assert!(policies.assignments.is_empty());
    let policies = learn(&house, &registry).await;
    assert_eq!(*policies, house.policies().await);
    assert!(policies.revision >= known.revision + 9);
    let learnt = &policies.access_categories[&remembering.id];
    assert_eq!(**learnt, remembering);
    assert!(shared(&known, &policies, kept.id), "step by step");

    // The end of a group is learnt, too.
    assert_eq!(policies.assignments.len(), 1);
    let group = store.get_group(ws, group.id).await.unwrap();
    store.delete_group(&group, &house.act(9)).await.unwrap();
    let policies = learn(&house, &registry).await;
    assert_eq!(*policies, house.policies().await);
    assert!(policies.assignments.is_empty());
    // Where nothing has changed the same set is answered, and never an older one.
    assert!(Arc::ptr_eq(&policies, &learn(&house, &registry).await));
    let older = store.policies_since(&registry, ws, 3).await.unwrap();
    assert!(Arc::ptr_eq(&policies, &older));
}

async fn registry_that_is_far_behind_loads_the_whole_set(house: House) {
    let kept = policy(&house, "kept");
    let renamed = policy(&house, "renamed");
    house.publish(&[create(&kept), create(&renamed)]).await;
    let (registry, known) = knowing(&house).await;
    let renamed = rename(&house, renamed, 100).await;
    let near = learn(&house, &registry).await;
    assert_eq!(near.revision, known.revision + 100);
    assert_eq!(*near, house.policies().await);
    assert!(shared(&known, &near, kept.id), "step by step");
    rename(&house, renamed, 101).await;
    let far = learn(&house, &registry).await;
    assert_eq!(far.revision, near.revision + 101);
    assert_eq!(*far, house.policies().await);
    assert!(!shared(&near, &far, kept.id), "loaded anew");
}

async fn revision_that_cannot_be_understood_loads_the_whole_set(house: House) {
    let kept = policy(&house, "kept");
    house.publish(&[create(&kept)]).await;
    for tamper in [
        "UPDATE revisions SET change = '[{}]' WHERE revision =",
        r#"UPDATE revisions SET change = '[{"kind": "access_policy", "after": 7}]' WHERE revision ="#,
        "DELETE FROM revisions WHERE revision =",
    ] {
        let (registry, known) = knowing(&house).await;
        let late = policy(&house, "late");
        let revision = house.publish(&[create(&late)]).await;
        house.publish(&[delete(&late)]).await;
        let sql = format!("{tamper} {revision}");
        assert_eq!(raw(&house, &sql).await.unwrap(), 1, "{sql}");
        let policies = learn(&house, &registry).await;
        assert_eq!(*policies, house.policies().await, "{sql}");
        assert!(!shared(&known, &policies, kept.id), "{sql}: loaded anew");
    }
}

async fn policies_are_those_of_the_standing(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let (registry, known) = knowing(&house).await;
    let member = house.join("m@example.com", MEMBER).await;
    let id = member.account_id;
    let group = house.group("north", None).await;
    house.put_into(&group, id).await;
    house.publish(&[create(&policy(&house, "late"))]).await;
    let (policies, standing) = store.policies_for(&registry, ws, id).await.unwrap();
    assert_eq!(policies.revision, known.revision + 3);
    assert_eq!(*policies, house.policies().await);
    assert_eq!(
        Some(&standing),
        store.standing(ws, id).await.unwrap().as_ref()
    );
    assert_eq!(standing.revision, policies.revision);
    assert_eq!(standing.groups, [group.id]);
    let act = house.act(7);
    store.delete_member(ws, &member, &act).await.unwrap();
    let gone = store.policies_for(&registry, ws, id).await;
    assert_not_found(gone, "member");
}

async fn policies_and_standing_are_of_one_revision_while_both_change(house: House) {
    let (store, ws) = (house.store.clone(), house.workspace.id);
    let owner = house.account.id;
    let group = house.group("north", None).await;
    let start = house.revision().await;
    let registry = Arc::new(Registry::default());
    // Each round puts the owner into the group and adds a policy, then takes the owner out again.
    let readers = (0..2).map(|_| {
        let (store, registry) = (store.clone(), Arc::clone(&registry));
        tokio::spawn(async move {
            loop {
                let (policies, standing) = store.policies_for(&registry, ws, owner).await.unwrap();
                assert_eq!(policies.revision, standing.revision);
                let made = standing.revision - start;
                assert_eq!(policies.destination_policies.len() as u64, (made + 1) / 3);
                assert_eq!(standing.groups.is_empty(), made % 3 == 0);
                if made == 30 {
                    break;
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for round in 0..10 {
        house.put_into(&group, owner).await;
        house
            .publish(&[create(&policy(&house, &format!("policy {round}")))])
            .await;
        let place = store.get_group_member(ws, group.id, owner).await.unwrap();
        let act = house.act(4);
        store.delete_group_member(ws, &place, &act).await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
}
