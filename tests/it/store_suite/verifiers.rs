//! What the PostgreSQL protocol checks keys by.

use syncguard::principal::{ITERATIONS, Verifier};

use super::*;

on_both_databases!(
    verifiers_come_and_go_with_their_keys,
    newest_keys_that_work_are_candidates,
    address_is_compared_letter_by_letter,
    use_of_a_key_is_noted,
    salt_secret_is_made_once_for_each_deployment,
);

async fn verifiers_come_and_go_with_their_keys(house: House) {
    let store = &house.store;
    let salt = store.salt_secret().await.unwrap();
    let salt = salt.of_account(house.account.id);
    let key = key(&house.account);
    let text = key_text("second");
    store.insert_key(&key, &text, &house.act(1)).await.unwrap();
    let candidates = async || {
        let found = store.candidates(&house.account.email, 100, at(9)).await;
        found.unwrap().unwrap()
    };
    let found = candidates().await;
    assert_eq!(found.account, house.account);
    assert_eq!(found.keys.len(), 2);
    let verifier = Verifier::of(text.expose(), &salt, ITERATIONS);
    assert!(found.keys.contains(&(key.clone(), verifier)));
    assert!(!format!("{found:?}").contains("stored_key"));
    store
        .delete_key(house.account.id, key.id, &house.act(2))
        .await
        .unwrap();
    let left = candidates().await.keys;
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].0.id, key.id);
}

async fn newest_keys_that_work_are_candidates(house: House) {
    let store = &house.store;
    let mut expected = Vec::new();
    for (second, end) in [(10, None), (11, Some(20)), (12, Some(40)), (13, None)] {
        let key = ApiKey {
            created_at: at(second),
            expires_at: end.map(at),
            ..key(&house.account)
        };
        let text = key_text(&format!("k{second}"));
        store.insert_key(&key, &text, &house.act(1)).await.unwrap();
        expected.push(key.id);
    }
    let ids = async |most: u32, now: i64| {
        let found = store.candidates(&house.account.email, most, at(now)).await;
        let keys = found.unwrap().unwrap().keys.into_iter();
        keys.map(|(key, _)| key.id).collect::<Vec<_>>()
    };
    let newest = [expected[3], expected[2], expected[1], expected[0]];
    assert_eq!(ids(4, 19).await, newest);
    assert_eq!(ids(2, 19).await, newest[..2]);
    assert_eq!(ids(3, 20).await, [newest[0], newest[1], newest[3]]);
    assert_eq!(ids(2, 40).await, [newest[0], newest[3]]);
}

async fn address_is_compared_letter_by_letter(house: House) {
    for (email, is_known) in [
        ("owner@example.com", true),
        ("Owner@example.com", false),
        ("owner@example.com ", false),
        ("owner@example.co_", false),
        ("%", false),
        ("", false),
    ] {
        let found = house.store.candidates(email, 100, at(9)).await.unwrap();
        assert_eq!(found.is_some(), is_known, "{email:?}");
    }
}

async fn use_of_a_key_is_noted(house: House) {
    let store = &house.store;
    let found = store.candidates(&house.account.email, 1, at(9)).await;
    let (key, _) = found.unwrap().unwrap().keys.remove(0);
    assert_eq!(key.last_used_at, None);
    let admitted = store
        .admit(house.account.clone(), key.clone(), at(9))
        .await
        .unwrap();
    assert_eq!(
        (admitted.account, admitted.key_id, admitted.scopes),
        (house.account.clone(), key.id, key.scopes)
    );
    let keys = store.list_keys(house.account.id).await.unwrap();
    assert_eq!(keys[0].last_used_at, Some(at(9)));
}

async fn salt_secret_is_made_once_for_each_deployment(house: House) {
    let salt = async |store: &Store| {
        let secret = store.salt_secret().await.unwrap();
        secret.of_account(Uuid::nil())
    };
    let first = salt(&house.store).await;
    let again = Store::open(&house.url).await.unwrap();
    assert_eq!(salt(&again).await, first);
    let (_folder, path) = temporary_folder();
    let url = format!("sqlite:{}", path.join("store.db").display());
    assert_ne!(salt(&Store::open(&url).await.unwrap()).await, first);
}
