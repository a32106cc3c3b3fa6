//! Revisions: what made each, and the way back.

use super::access::{Access, access, assignment};
use super::*;

on_both_databases!(
    undoing_revisions_gives_each_earlier_state_back,
    revisions_are_listed_newest_first_in_pages,
    revision_of_another_workspace_is_not_found,
);

/// Makes revisions of every kind; answers the policies at each, oldest first.
async fn history(house: &House) -> Vec<PolicySet> {
    let (store, ws) = (&house.store, house.workspace.id);
    let Access {
        category,
        policy: opened,
        everywhere,
    } = access(house, "region", "emea");
    let late = policy(house, "late");
    let group = house.group("north", None).await;
    let mut states = vec![house.policies().await];

    house.publish(&[create(&late)]).await;
    states.push(house.policies().await);

    house
        .publish(&[
            Change::AccessCategory(Edit::create(category.clone())),
            Change::AccessPolicy(Edit::create(opened.clone())),
            Change::AccessPolicy(Edit::create(everywhere.clone())),
            Change::Assignment(Edit::create(assignment(&opened, &group))),
            Change::Assignment(Edit::create(assignment(&everywhere, &group))),
        ])
        .await;
    states.push(house.policies().await);

    let member = house.join("m@example.com", MEMBER).await;
    states.push(house.policies().await);
    house.put_into(&group, member.account_id).await;
    states.push(house.policies().await);

    // One object changed twice in one revision.
    let off = DestinationPolicy {
        enabled: false,
        updated_at: at(6),
        ..late.clone()
    };
    let renamed = DestinationPolicy {
        name: "later".to_owned(),
        ..off.clone()
    };
    let demand = |before, after| Change::RequireDestinationPolicy { before, after };
    house
        .publish(&[
            Change::DestinationPolicy(Edit::update(Arc::new(late), off.clone())),
            Change::DestinationPolicy(Edit::update(Arc::new(off), renamed.clone())),
            demand(false, true),
        ])
        .await;
    states.push(house.policies().await);

    let group = store.get_group(ws, group.id).await.unwrap();
    store.delete_group(&group, &house.act(7)).await.unwrap();
    states.push(house.policies().await);

    let before = Arc::new(house.model.clone());
    let model = Model {
        primary_key: Vec::new(),
        ..house.model.clone()
    };
    house
        .publish(&[Change::Model(Edit::update(before, model))])
        .await;
    states.push(house.policies().await);

    let gone = [opened, everywhere].map(|policy| Change::AccessPolicy(Edit::delete(policy.into())));
    let [first, second] = gone;
    house
        .publish(&[
            first,
            second,
            Change::AccessCategory(Edit::delete(Arc::new(category))),
            delete(&renamed),
            demand(true, false),
        ])
        .await;
    states.push(house.policies().await);
    states
}

async fn undoing_revisions_gives_each_earlier_state_back(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let states = history(&house).await;
    let (first, last) = (&states[0], &states[states.len() - 1]);
    assert_eq!(last.revision, first.revision + states.len() as u64 - 1);
    let mut set = last.clone();
    for earlier in states.iter().rev().skip(1) {
        let made = store.get_revision(ws, set.revision).await.unwrap();
        set = set.without(made.policy_changes().unwrap(), earlier.revision);
        assert_eq!(set, *earlier);
    }
    // Several at once, and forward again.
    for earlier in &states {
        let made = store
            .revisions_between(ws, earlier.revision, last.revision)
            .await
            .unwrap();
        let numbers: Vec<_> = made.iter().map(|made| made.revision).collect();
        let expected: Vec<_> = (earlier.revision + 1..=last.revision).collect();
        assert_eq!(numbers, expected);
        let changes: Vec<Change> = made
            .iter()
            .flat_map(|made| made.policy_changes().unwrap())
            .collect();
        assert_eq!(earlier.with(&changes, last.revision), *last);
        assert_eq!(last.without(changes, earlier.revision), *earlier);
    }
    // What leads from one state to another can be committed as it is.
    for state in states.iter().rev() {
        let now = house.policies().await;
        let mut then = state.clone();
        // The group is no more.
        then.assignments.clear();
        let changes = now.changes_to(&then);
        assert!(now.is_before(&changes));
        then.revision = house.publish(&changes).await;
        assert_eq!(house.policies().await, then);
    }
}

async fn revisions_are_listed_newest_first_in_pages(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    history(&house).await;
    let last = house.revision().await;
    let all = store.list_revisions(ws, None, 100).await.unwrap();
    let numbers: Vec<_> = all.iter().map(|made| made.revision).collect();
    assert_eq!(numbers, (1..=last).rev().collect::<Vec<_>>());
    let (mut before, mut paged) = (None, Vec::new());
    loop {
        let page = store.list_revisions(ws, before, 4).await.unwrap();
        let Some(oldest) = page.last() else { break };
        assert!(page.len() == 4 || oldest.revision == 1);
        before = Some(oldest.revision);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    for made in &all {
        assert_eq!(store.get_revision(ws, made.revision).await.unwrap(), *made);
        assert_eq!(made.author_id, house.account.id);
    }
}

async fn revision_of_another_workspace_is_not_found(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let other = house.other_workspace().await.id;
    store.get_revision(ws, 2).await.unwrap();
    for (workspace, revision) in [(other, 2), (ws, 3), (ws, 0), (Uuid::now_v7(), 1)] {
        let found = store.get_revision(workspace, revision).await;
        assert_not_found(found, "revision");
    }
    assert_eq!(store.list_revisions(other, None, 9).await.unwrap().len(), 1);
    let between = store.revisions_between(other, 1, 9).await.unwrap();
    assert_eq!(between, []);
}
