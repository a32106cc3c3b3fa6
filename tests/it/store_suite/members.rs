//! Members: joining, leaving, and where each stands.

use super::roles::role;
use super::*;

on_both_databases!(
    joining_and_leaving_move_the_revision,
    refused_changes_of_members_change_nothing,
    who_leaves_the_workspace_leaves_its_groups,
    member_that_somebody_changed_is_stale,
    two_owners_who_remove_each_other_do_not_both_succeed,
    standing_unites_own_role_and_groups,
    stranger_stands_nowhere,
);

async fn joining_and_leaving_move_the_revision(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let account = account("m@example.com");
    store.insert_account(&account, &house.act(1)).await.unwrap();
    let start = house.revision().await;
    let joined = store
        .insert_member(ws, account.id, MEMBER, &house.act(2))
        .await
        .unwrap();
    let expected = Member {
        account_id: account.id,
        role_id: MEMBER,
        email: account.email.clone(),
        name: account.name.clone(),
        avatar_url: None,
        created_at: at(2),
    };
    assert_eq!(joined, expected);
    assert_eq!(store.get_member(ws, account.id).await.unwrap(), joined);
    let changed = store
        .update_member(ws, &joined, ADMIN, &house.act(3))
        .await
        .unwrap();
    let expected = Member {
        role_id: ADMIN,
        ..joined.clone()
    };
    assert_eq!(changed, expected);
    store
        .delete_member(ws, &changed, &house.act(4))
        .await
        .unwrap();
    assert_not_found(store.get_member(ws, account.id).await, "member");
    let revisions = store.list_revisions(ws, None, 3).await.unwrap();
    let expected = [
        (start + 3, Some(&changed), None),
        (start + 2, Some(&joined), Some(&changed)),
        (start + 1, None, Some(&joined)),
    ];
    for (made, (revision, before, after)) in revisions.iter().zip(expected) {
        assert_eq!(made.revision, revision);
        let change = json!({
            "kind": "member", "id": account.id, "before": before, "after": after,
        });
        assert_eq!(made.changes, [change]);
        assert_eq!(made.policy_changes().unwrap(), []);
    }
}

async fn refused_changes_of_members_change_nothing(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let member = house.join("m@example.com", MEMBER).await;
    let account = account("new@example.com");
    store.insert_account(&account, &act).await.unwrap();
    let start = house.revision().await;
    let id = member.account_id;
    assert_conflict(
        store.insert_member(ws, id, ADMIN, &act).await,
        "a member already",
    );
    let nobody = store.insert_member(ws, Uuid::now_v7(), ADMIN, &act).await;
    assert_not_found(nobody, "account");
    let in_no_role = store
        .insert_member(ws, account.id, Uuid::now_v7(), &act)
        .await;
    assert_not_found(in_no_role, "role");
    let nowhere = store.insert_member(Uuid::now_v7(), id, ADMIN, &act).await;
    assert_not_found(nowhere, "workspace");
    let to_no_role = store.update_member(ws, &member, Uuid::now_v7(), &act);
    assert_not_found(to_no_role.await, "role");
    assert_eq!(store.get_member(ws, id).await.unwrap(), member);
    assert_eq!(store.list_members(ws).await.unwrap().len(), 2);
    assert_eq!(house.revision().await, start);
}

async fn who_leaves_the_workspace_leaves_its_groups(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let member = house.join("m@example.com", MEMBER).await;
    let id = member.account_id;
    let north = house.group("north", None).await;
    house.put_into(&north, id).await;
    house.put_into(&north, house.account.id).await;
    let other = house.other_workspace().await.id;
    store.insert_member(other, id, MEMBER, &act).await.unwrap();
    let elsewhere = group(other, "north", None);
    let elsewhere = store.insert_group(&elsewhere, &act).await.unwrap();
    house.put_into(&elsewhere, id).await;

    store.delete_member(ws, &member, &act).await.unwrap();
    let left = store.list_group_members(ws, north.id).await.unwrap();
    let left: Vec<Uuid> = left.iter().map(|member| member.account_id).collect();
    assert_eq!(left, [house.account.id]);
    assert_eq!(store.standing(ws, id).await.unwrap(), None);
    let standing = store.standing(other, id).await.unwrap().unwrap();
    assert_eq!(standing.groups, [elsewhere.id]);
    store.insert_member(ws, id, MEMBER, &act).await.unwrap();
    let standing = store.standing(ws, id).await.unwrap().unwrap();
    assert!(standing.groups.is_empty(), "who comes back begins anew");
}

async fn member_that_somebody_changed_is_stale(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let read = house.join("m@example.com", MEMBER).await;
    let theirs = store.update_member(ws, &read, ADMIN, &act).await.unwrap();
    let start = house.revision().await;
    assert_stale(store.update_member(ws, &read, OWNER, &act).await);
    assert_stale(store.delete_member(ws, &read, &act).await);
    let now = store.get_member(ws, read.account_id).await.unwrap();
    assert_eq!((now, house.revision().await), (theirs, start));
}

async fn two_owners_who_remove_each_other_do_not_both_succeed(house: House) {
    let ws = house.workspace.id;
    for round in 0..5 {
        let second = house.join(&format!("{round}@example.com"), OWNER).await;
        let members = house.store.list_members(ws).await.unwrap();
        assert_eq!(members.len(), 2);
        let attempts = members.into_iter().map(|member| {
            let (store, act) = (house.store.clone(), house.act(3));
            tokio::spawn(async move { store.delete_member(ws, &member, &act).await })
        });
        let mut removed = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Ok(()) => removed += 1,
                refused => assert_conflict(refused, "needs an owner"),
            }
        }
        let left = house.store.list_members(ws).await.unwrap();
        assert_eq!((removed, left.len()), (1, 1), "{}", second.email);
    }
}

async fn standing_unites_own_role_and_groups(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let own = house.role("own", &["sources.read"]).await;
    let first = house.role("first", &["models.read", "sources.read"]).await;
    let second = house.role("second", &["syncs.trigger"]).await;
    let member = house.join("m@example.com", own.id).await;
    let id = member.account_id;
    let groups = [
        house.group("a", Some(second.id)).await,
        house.group("b", None).await,
        house.group("c", Some(first.id)).await,
    ];
    let unrelated = house.group("d", Some(ADMIN)).await;
    house.put_into(&unrelated, house.account.id).await;
    let alone = store.standing(ws, id).await.unwrap().unwrap();
    assert_eq!(alone.permissions, own.permissions);
    assert!(alone.groups.is_empty());
    for at in [2, 0, 1] {
        house.put_into(&groups[at], id).await;
    }
    let standing = store.standing(ws, id).await.unwrap().unwrap();
    assert_eq!((standing.workspace_id, standing.account_id), (ws, id));
    assert_eq!(standing.revision, house.revision().await);
    assert_eq!(standing.role_id, own.id);
    let united = own.permissions | first.permissions | second.permissions;
    assert_eq!(standing.permissions, united);
    let mut sorted: Vec<Uuid> = groups.iter().map(|group| group.id).collect();
    sorted.sort();
    assert_eq!(standing.groups, sorted);

    // What a role grants now counts at once, and a system role by a group counts, too.
    let wider = role(&house.workspace, "first", &["models.write"]);
    let wider = syncguard::principal::Role {
        id: first.id,
        ..wider
    };
    store.update_role(ws, &first, &wider, &act).await.unwrap();
    let standing = store.standing(ws, id).await.unwrap().unwrap();
    let united = own.permissions | wider.permissions | second.permissions;
    assert_eq!(standing.permissions, united);
    house.put_into(&unrelated, id).await;
    let standing = store.standing(ws, id).await.unwrap().unwrap();
    let admin = store.get_role(ws, ADMIN).await.unwrap();
    assert!(standing.permissions.contains(admin.permissions));
    assert!(!standing.is_unrestricted(), "a group widens no rows");
    let owner = store.standing(ws, house.account.id).await.unwrap().unwrap();
    assert!(owner.is_unrestricted());
}

async fn stranger_stands_nowhere(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let stranger = account("stranger@example.com");
    store.insert_account(&stranger, &act).await.unwrap();
    let other = house.other_workspace().await.id;
    for (workspace, account) in [
        (ws, stranger.id),
        (ws, Uuid::now_v7()),
        (Uuid::now_v7(), house.account.id),
    ] {
        assert_eq!(store.standing(workspace, account).await.unwrap(), None);
    }
    let owner = store.standing(other, house.account.id).await.unwrap();
    assert_eq!(owner.unwrap().revision, 1);
}
