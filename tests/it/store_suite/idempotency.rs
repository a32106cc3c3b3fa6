//! Idempotency keys.

use chrono::TimeDelta;
use syncguard::store::{KeptAnswer, Reservation, Reserved};

use super::{House, account, at};

on_both_databases!(
    key_is_reserved_once,
    concurrent_reservations_have_one_first,
    answer_is_kept_for_the_same_request,
    freed_key_can_be_reserved_again,
    key_belongs_to_its_account,
    key_is_forgotten_after_a_day,
    kept_answer_is_neither_replaced_nor_freed,
);

fn reservation(house: &House, fingerprint: u8) -> Reservation {
    Reservation {
        account_id: house.account.id,
        key_text: "one".to_owned(),
        fingerprint: [fingerprint; 32],
    }
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        headers: [("etag".to_owned(), "\"a\"".to_owned())].into(),
        body: body.to_owned(),
    }
}

async fn reserve(house: &House, reservation: &Reservation) -> Reserved {
    house.store.reserve(reservation, at(0)).await.unwrap()
}

async fn key_is_reserved_once(house: House) {
    let (same, other) = (reservation(&house, 1), reservation(&house, 2));
    assert_eq!(reserve(&house, &same).await, Reserved::First);
    assert_eq!(reserve(&house, &same).await, Reserved::Pending);
    assert_eq!(reserve(&house, &other).await, Reserved::Other);
}

async fn concurrent_reservations_have_one_first(house: House) {
    let attempts = (0..8).map(|_| {
        let (store, reservation) = (house.store.clone(), reservation(&house, 1));
        tokio::spawn(async move { store.reserve(&reservation, at(0)).await.unwrap() })
    });
    let mut first = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Reserved::First => first += 1,
            other => assert_eq!(other, Reserved::Pending),
        }
    }
    assert_eq!(first, 1);
}

async fn answer_is_kept_for_the_same_request(house: House) {
    let (same, other) = (reservation(&house, 1), reservation(&house, 2));
    reserve(&house, &same).await;
    let answer = answer("{\"text\":\"a \\u0000 \u{1f600}\"}");
    house.store.keep_answer(&same, &answer).await.unwrap();
    assert_eq!(reserve(&house, &same).await, Reserved::Answered(answer));
    assert_eq!(reserve(&house, &other).await, Reserved::Other);
}

async fn freed_key_can_be_reserved_again(house: House) {
    let (first, second) = (reservation(&house, 1), reservation(&house, 2));
    reserve(&house, &first).await;
    house.store.free_reservation(&second).await.unwrap();
    assert_eq!(reserve(&house, &first).await, Reserved::Pending);
    house.store.free_reservation(&first).await.unwrap();
    assert_eq!(reserve(&house, &second).await, Reserved::First);
}

async fn key_belongs_to_its_account(house: House) {
    let stranger = account("stranger@example.com");
    let act = house.act(0);
    house.store.insert_account(&stranger, &act).await.unwrap();
    let own = reservation(&house, 1);
    let theirs = Reservation {
        account_id: stranger.id,
        ..own.clone()
    };
    reserve(&house, &own).await;
    house.store.keep_answer(&own, &answer("{}")).await.unwrap();
    assert_eq!(reserve(&house, &theirs).await, Reserved::First);
    house.store.free_reservation(&theirs).await.unwrap();
    assert_eq!(
        reserve(&house, &own).await,
        Reserved::Answered(answer("{}"))
    );
}

async fn key_is_forgotten_after_a_day(house: House) {
    let own = reservation(&house, 1);
    reserve(&house, &own).await;
    let day = at(0) + TimeDelta::hours(24);
    let before = day - TimeDelta::seconds(1);
    let reserved = house.store.reserve(&own, before).await.unwrap();
    assert_eq!(reserved, Reserved::Pending);
    let reserved = house.store.reserve(&own, day).await.unwrap();
    assert_eq!(reserved, Reserved::First);
}

async fn kept_answer_is_neither_replaced_nor_freed(house: House) {
    let own = reservation(&house, 1);
    reserve(&house, &own).await;
    let kept = answer("{}");
    house.store.keep_answer(&own, &kept).await.unwrap();
    house.store.keep_answer(&own, &answer("[]")).await.unwrap();
    house.store.free_reservation(&own).await.unwrap();
    assert_eq!(reserve(&house, &own).await, Reserved::Answered(kept));
}
