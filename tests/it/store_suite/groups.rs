//! Groups: their role, who is in them, and what ends with them.

use super::access::{Access, access};
use super::*;

on_both_databases!(
    group_reads_back_with_its_role_and_members,
    group_name_is_taken_once_in_a_workspace,
    membership_moves_the_revision,
    only_members_of_the_workspace_are_in_its_groups,
    deleted_group_takes_memberships_and_assignments_along,
    group_that_somebody_changed_is_stale,
    group_of_another_workspace_is_not_found,
);

async fn group_reads_back_with_its_role_and_members(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let role = house.role("steward", &["sources.read"]).await;
    let mut expected = Vec::new();
    for (name, role_id, role_name) in [
        ("south", Some(role.id), Some("steward")),
        ("north", Some(ADMIN), Some("admin")),
        ("west", None, None),
    ] {
        let inserted = house.group(name, role_id).await;
        assert_eq!(inserted.role_name.as_deref(), role_name);
        assert_eq!(inserted.member_count, 0);
        expected.push(inserted);
    }
    let a = house.join("a@example.com", MEMBER).await;
    let b = house.join("b@example.com", MEMBER).await;
    for member in [&a, &b] {
        house.put_into(&expected[1], member.account_id).await;
    }
    expected[1].member_count = 2;
    assert_eq!(store.list_groups(ws).await.unwrap(), expected);
    let north = store.get_group(ws, expected[1].id).await.unwrap();
    assert_eq!(north, expected[1]);
    let changed = Group {
        name: "arctic".to_owned(),
        description: String::new(),
        role_id: Some(role.id),
        updated_at: at(9),
        ..north.clone()
    };
    let act = house.act(9);
    let answered = store.update_group(&north, &changed, &act).await.unwrap();
    let read = Group {
        role_name: Some("steward".to_owned()),
        ..changed
    };
    assert_eq!(answered, read);
    assert_eq!(store.get_group(ws, north.id).await.unwrap(), read);
    assert_not_found(store.get_group(ws, Uuid::now_v7()).await, "group");
}

async fn group_name_is_taken_once_in_a_workspace(house: House) {
    let (store, act) = (&house.store, house.act(2));
    house.group("north", None).await;
    let south = house.group("south", None).await;
    let twin = group(house.workspace.id, "north", None);
    assert_conflict(store.insert_group(&twin, &act).await, "\"north\"");
    let renamed = Group {
        name: "north".to_owned(),
        ..south.clone()
    };
    let saved = store.update_group(&south, &renamed, &act).await;
    assert_conflict(saved, "\"north\"");
    let other = house.other_workspace().await;
    let free = group(other.id, "north", None);
    store.insert_group(&free, &act).await.unwrap();
}

async fn membership_moves_the_revision(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let member = house.join("m@example.com", MEMBER).await;
    let start = house.revision().await;
    let group = house.group("north", None).await;
    assert_eq!(house.revision().await, start, "a new group is empty");
    let act = house.act(3);
    let added = store
        .insert_group_member(&group, member.account_id, &act)
        .await
        .unwrap();
    assert_eq!(house.revision().await, start + 1);
    assert_eq!(
        (added.group_id, added.account_id, added.email.as_str()),
        (group.id, member.account_id, "m@example.com")
    );
    assert_eq!(added.created_at, at(3));
    let read = store.get_group_member(ws, group.id, member.account_id);
    assert_eq!(read.await.unwrap(), added);
    let listed = store.list_group_members(ws, group.id).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&added));
    store.delete_group_member(ws, &added, &act).await.unwrap();
    assert_eq!(house.revision().await, start + 2);
    assert_eq!(store.list_group_members(ws, group.id).await.unwrap(), []);
    let gone = store.delete_group_member(ws, &added, &act).await;
    assert_not_found(gone, "group member");
    assert_eq!(house.revision().await, start + 2);
    for (revision, before, after) in [
        (start + 1, None, Some(&added)),
        (start + 2, Some(&added), None),
    ] {
        let made = store.get_revision(ws, revision).await.unwrap();
        let change = json!({
            "kind": "group_member", "id": group.id, "before": before, "after": after,
        });
        assert_eq!(made.changes, [change]);
        assert_eq!(made.policy_changes().unwrap(), []);
    }
}

async fn only_members_of_the_workspace_are_in_its_groups(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let group = house.group("north", None).await;
    let member = house.join("m@example.com", MEMBER).await;
    let stranger = account("stranger@example.com");
    store.insert_account(&stranger, &act).await.unwrap();
    house.put_into(&group, member.account_id).await;
    let start = house.revision().await;
    for id in [stranger.id, Uuid::now_v7()] {
        let added = store.insert_group_member(&group, id, &act).await;
        assert_not_found(added, "member");
    }
    let twice = store.insert_group_member(&group, member.account_id, &act);
    assert_conflict(twice.await, "in the group already");
    assert_eq!(house.revision().await, start);
}

async fn deleted_group_takes_memberships_and_assignments_along(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let north = house.group("north", Some(ADMIN)).await;
    let south = house.group("south", None).await;
    let member = house.join("m@example.com", MEMBER).await;
    for group in [&north, &south] {
        house.put_into(group, member.account_id).await;
    }
    let Access {
        category, policy, ..
    } = access(&house, "region", "emea");
    let kept = access::assignment(&policy, &south);
    let ended = access::assignment(&policy, &north);
    house
        .publish(&[
            Change::AccessCategory(Edit::create(category)),
            Change::AccessPolicy(Edit::create(policy)),
            Change::Assignment(Edit::create(kept.clone())),
            Change::Assignment(Edit::create(ended.clone())),
        ])
        .await;
    let before = house.policies().await;
    let north = store.get_group(ws, north.id).await.unwrap();
    let act = house.act(8);
    let revision = store.delete_group(&north, &act).await.unwrap();
    assert_eq!(revision, before.revision + 1);
    assert_eq!(house.revision().await, revision);

    assert_not_found(store.get_group(ws, north.id).await, "group");
    let account_id = member.account_id;
    let place = store.get_group_member(ws, north.id, account_id).await;
    assert_not_found(place, "group member");
    let standing = store.standing(ws, account_id).await.unwrap().unwrap();
    assert_eq!(standing.groups, [south.id]);
    assert_eq!(standing.revision, revision);
    let admin = store.get_role(ws, ADMIN).await.unwrap().permissions;
    assert!(!standing.permissions.contains(admin));

    let change = Change::Assignment(Edit::delete(Arc::new(ended)));
    let made = store.get_revision(ws, revision).await.unwrap();
    assert_eq!(
        made.policy_changes().unwrap(),
        std::slice::from_ref(&change)
    );
    assert_eq!(made.changes.len(), 2);
    assert_eq!(made.changes[1]["kind"], "group");
    assert_eq!(made.changes[1]["before"], json!(north));
    let after = house.policies().await;
    assert_eq!(after, before.with(&[change], revision));
    assert_eq!(after.assignments, [(kept.id, Arc::new(kept))].into());
    assert_not_found(store.delete_group(&north, &act).await, "group");
}

async fn group_that_somebody_changed_is_stale(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let read = house.group("north", None).await;
    let member = house.join("m@example.com", MEMBER).await;
    let theirs = Group {
        role_id: Some(ADMIN),
        ..read.clone()
    };
    let theirs = store.update_group(&read, &theirs, &act).await.unwrap();
    let start = house.revision().await;
    assert_stale(store.update_group(&read, &read, &act).await);
    assert_stale(store.delete_group(&read, &act).await);
    // Whoever adds a member must know which permissions that gives.
    let added = store.insert_group_member(&read, member.account_id, &act);
    assert_stale(added.await);
    assert_eq!(store.get_group(ws, read.id).await.unwrap(), theirs);
    assert_eq!(house.revision().await, start);
}

async fn group_of_another_workspace_is_not_found(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let other = house.other_workspace().await.id;
    let group = house.group("north", None).await;
    house.put_into(&group, house.account.id).await;
    let (id, owner) = (group.id, house.account.id);
    let place = store.get_group_member(ws, id, owner).await.unwrap();
    let group = store.get_group(ws, id).await.unwrap();
    let moved = Group {
        workspace_id: other,
        ..group.clone()
    };
    assert_not_found(store.get_group(other, id).await, "group");
    let saved = store.update_group(&moved, &moved, &act).await;
    assert_not_found(saved, "group");
    assert_not_found(store.delete_group(&moved, &act).await, "group");
    let added = store.insert_group_member(&moved, owner, &act).await;
    assert_not_found(added, "group");
    let listed = store.list_group_members(other, id).await;
    assert_eq!(listed.unwrap(), []);
    let read = store.get_group_member(other, id, owner).await;
    assert_not_found(read, "group member");
    let deleted = store.delete_group_member(other, &place, &act).await;
    assert_not_found(deleted, "group member");
    assert_eq!(store.list_groups(other).await.unwrap(), []);
    assert_eq!(store.revision(other).await.unwrap(), 1);
    assert_eq!(store.get_group(ws, id).await.unwrap(), group);
}
