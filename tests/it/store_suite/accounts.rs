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
            .bootstrap(&late, &key(&late), &key_text("k"), &room)
            .await
            .unwrap()
    );
    assert_eq!(
        house.store.list_accounts().await.unwrap(),
        std::slice::from_ref(&house.account)
    );
    assert_not_found(house.store.get_workspace(room.id).await, "workspace");
    let owner = house
        .store
        .get_member(house.workspace.id, house.account.id)
        .await
        .unwrap();
    assert_eq!(owner.role_id, OWNER);
    let first = house
        .store
        .list_revisions(house.workspace.id, None, 10)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!((first.revision, first.author_id), (1, house.account.id));
    assert_eq!(first.changes, Vec::<Value>::new());
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
            let (key, text) = (key(&account), key_text(&format!("k{n}")));
            store
                .bootstrap(&account, &key, &text, &workspace("default"))
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
        .insert_key(&key, &key_text("second"), &house.act(1))
        .await
        .unwrap();
    let found = house.store.find_key("second").await.unwrap().unwrap();
    assert_eq!(
        (&found.key, &found.digest, &found.account),
        (&key, &key_text("second").digest().to_vec(), &house.account)
    );
    assert!(!format!("{found:?}").contains("digest"));
    let again = house
        .store
        .insert_key(&key, &key_text("third"), &house.act(1))
        .await;
    assert_conflict(again, "key");
    assert_eq!(
        house.store.list_keys(house.account.id).await.unwrap().len(),
        2
    );
    let of_another = house
        .store
        .delete_key(Uuid::now_v7(), key.id, &house.act(2))
        .await;
    assert_not_found(of_another, "key");
    house
        .store
        .delete_key(house.account.id, key.id, &house.act(2))
        .await
        .unwrap();
    assert!(house.store.find_key("second").await.unwrap().is_none());
    let orphan = ApiKey {
        id: Uuid::now_v7(),
        account_id: Uuid::now_v7(),
        ..key
    };
    let saved = house
        .store
        .insert_key(&orphan, &key_text("orphan"), &house.act(3))
        .await;
    assert_not_found(saved, "account");
}

async fn address_in_another_case_is_taken(house: House) {
    let (store, act) = (&house.store, house.act(1));
    let twin = account("Owner@Example.com");
    assert_conflict(store.insert_account(&twin, &act).await, "e-mail");
    let second = account("second@example.com");
    store.insert_account(&second, &act).await.unwrap();
    let named = |email: &str| Account {
        email: email.to_owned(),
        updated_at: at(2),
        ..second.clone()
    };
    let taken = named("OWNER@example.com");
    assert_conflict(store.update_account(&second, &taken, &act).await, "e-mail");
    let own = named("Second@example.com");
    store.update_account(&second, &own, &act).await.unwrap();
    assert_eq!(store.get_account(second.id).await.unwrap(), own);
    assert_stale(store.update_account(&second, &second, &act).await);
    assert_eq!(store.get_account(second.id).await.unwrap(), own);
    let stranger = account("x@example.com");
    let unknown = store.update_account(&stranger, &stranger, &act).await;
    assert_not_found(unknown, "account");
}

async fn last_owner_stays(house: House) {
    let (store, ws, owner) = (&house.store, house.workspace.id, house.account.id);
    let first = store.get_member(ws, owner).await.unwrap();
    let demoted = store.update_member(ws, &first, ADMIN, &house.act(1)).await;
    assert_conflict(demoted, "owner");
    assert_conflict(
        store.delete_member(ws, &first, &house.act(1)).await,
        "owner",
    );
    let second = account("second@example.com");
    store.insert_account(&second, &house.act(1)).await.unwrap();
    let joined = store
        .insert_member(ws, second.id, MEMBER, &house.act(2))
        .await
        .unwrap();
    store
        .update_member(ws, &joined, OWNER, &house.act(3))
        .await
        .unwrap();
    let first = store
        .update_member(ws, &first, ADMIN, &house.act(4))
        .await
        .unwrap();
    let members = store.list_members(ws).await.unwrap();
    let roles: Vec<(Uuid, Uuid)> = members.iter().map(|m| (m.account_id, m.role_id)).collect();
    assert_eq!(roles, [(owner, ADMIN), (second.id, OWNER)]);
    store
        .delete_member(ws, &first, &house.act(5))
        .await
        .unwrap();
    assert_not_found(store.get_member(ws, owner).await, "member");
    let gone = store.delete_member(ws, &first, &house.act(5)).await;
    assert_not_found(gone, "member");
}
