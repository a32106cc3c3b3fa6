//! Accounts, keys, the first account, and members.

use super::*;

on_both_databases!(
    bootstrap_happens_once,
    concurrent_bootstraps_make_one_account,
    what_was_saved_is_there_after_reopening,
    key_is_found_until_it_is_revoked,
    address_in_another_case_is_taken,
    last_owner_stays,
);

async fn bootstrap_happens_once(house: House) {
    let (late, room) = (account("late@example.com"), workspace("late"));
    assert!(house.store.has_accounts().await.unwrap());
    assert!(
        !house
            .store
            .bootstrap(&late, &key(&late), "k", &[1; 32], &room)
            .await
            .unwrap()
    );
    assert_eq!(
        house.store.list_accounts().await.unwrap(),
        std::slice::from_ref(&house.account)
    );
    assert_not_found(house.store.get_workspace(room.id).await, "workspace");
    let role = house
        .store
        .member_role(house.workspace.id, house.account.id)
        .await
        .unwrap();
    assert_eq!(role, Some(OWNER));
    let first = house
        .store
        .list_revisions(house.workspace.id)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!((first.revision, first.author_id), (1, house.account.id));
}

async fn concurrent_bootstraps_make_one_account(house: House) {
    let (_folder, path) = temporary_folder();
    let url = match house.url.starts_with("sqlite") {
        true => format!("sqlite:{}", path.join("store.db").display()),
        false => fresh_postgres().await,
    };
    let store = Store::open(&url).await.unwrap();
    assert!(!store.has_accounts().await.unwrap());
    let attempts = (0..6).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let account = account(&format!("{n}@example.com"));
            let (key, id) = (key(&account), format!("k{n}"));
            store
                .bootstrap(&account, &key, &id, &[1; 32], &workspace("default"))
                .await
                .unwrap()
        })
    });
    let mut made = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        made += usize::from(attempt.await.unwrap());
    }
    assert_eq!((made, store.list_accounts().await.unwrap().len()), (1, 1));
}

async fn what_was_saved_is_there_after_reopening(house: House) {
    house.store.close().await;
    assert!(matches!(
        house.store.ping().await,
        Err(StoreError::Unavailable(_))
    ));
    let store = Store::open(&house.url).await.unwrap();
    store.ping().await.unwrap();
    let sync = store
        .get_sync(house.workspace.id, house.sync.id)
        .await
        .unwrap();
    assert_eq!(
        (sync, store.revision(house.workspace.id).await.unwrap()),
        (house.sync, 2)
    );
}

async fn key_is_found_until_it_is_revoked(house: House) {
    let key = key(&house.account);
    house
        .store
        .insert_key(&key, "second", &[9; 32])
        .await
        .unwrap();
    let found = house.store.find_key("second").await.unwrap().unwrap();
    assert_eq!(
        (&found.key, &found.digest, &found.account),
        (&key, &vec![9; 32], &house.account)
    );
    assert!(!format!("{found:?}").contains("9, 9"));
    assert_conflict(house.store.insert_key(&key, "third", &[9; 32]).await, "key");
    assert_eq!(
        house.store.list_keys(house.account.id).await.unwrap().len(),
        2
    );
    assert_not_found(house.store.delete_key(Uuid::now_v7(), key.id).await, "key");
    house
        .store
        .delete_key(house.account.id, key.id)
        .await
        .unwrap();
    assert!(house.store.find_key("second").await.unwrap().is_none());
    let orphan = ApiKey {
        id: Uuid::now_v7(),
        account_id: Uuid::now_v7(),
        ..key
    };
    assert_not_found(
        house.store.insert_key(&orphan, "orphan", &[9; 32]).await,
        "account",
    );
}

async fn address_in_another_case_is_taken(house: House) {
    let twin = account("Owner@Example.com");
    assert_conflict(house.store.insert_account(&twin).await, "e-mail");
    let mut second = account("second@example.com");
    house.store.insert_account(&second).await.unwrap();
    second.email = "OWNER@example.com".to_owned();
    assert_conflict(house.store.update_account(&second).await, "e-mail");
    second.email = "Second@example.com".to_owned();
    house.store.update_account(&second).await.unwrap();
    assert_eq!(house.store.get_account(second.id).await.unwrap(), second);
    assert_not_found(
        house.store.update_account(&account("x@example.com")).await,
        "account",
    );
}

async fn last_owner_stays(house: House) {
    let (store, ws, owner) = (&house.store, house.workspace.id, house.account.id);
    assert_conflict(store.put_member(ws, owner, ADMIN, at(1)).await, "owner");
    assert_conflict(store.delete_member(ws, owner).await, "owner");
    let second = account("second@example.com");
    store.insert_account(&second).await.unwrap();
    store
        .put_member(ws, second.id, MEMBER, at(2))
        .await
        .unwrap();
    store.put_member(ws, second.id, OWNER, at(3)).await.unwrap();
    store.put_member(ws, owner, ADMIN, at(4)).await.unwrap();
    let members = store.list_members(ws).await.unwrap();
    let roles: Vec<(Uuid, Uuid)> = members.iter().map(|m| (m.account_id, m.role_id)).collect();
    assert_eq!(roles, [(owner, ADMIN), (second.id, OWNER)]);
    store.delete_member(ws, owner).await.unwrap();
    assert_eq!(store.member_role(ws, owner).await.unwrap(), None);
    assert_not_found(store.delete_member(ws, owner).await, "member");
    assert_not_found(
        store.put_member(ws, Uuid::now_v7(), ADMIN, at(5)).await,
        "account",
    );
    assert_not_found(
        store.put_member(Uuid::now_v7(), owner, ADMIN, at(5)).await,
        "workspace",
    );
}
