//! Alert channels, and messages to them: each is made once, and sent by one of several processes.

use syncguard::catalog::{AlertChannel, ChannelType};
use syncguard::policy::content::{Action, ContentAlert, Via};
use syncguard::store::{AlertDelivery, Attempted, AuditFilter};

use super::sightings::{content_policy, passage, sighting};
use super::*;

on_both_databases!(
    channel_is_made_read_replaced_and_removed,
    alert_is_told_when_it_is_quiet_or_goes_on_for_long,
    one_of_two_processes_makes_the_messages,
    message_is_taken_by_one_and_comes_back_from_the_dead,
    channel_is_told_thirty_times_a_minute,
    channel_that_is_disabled_forgets,
    sixty_messages_wait_for_a_channel,
    workspace_has_twenty_channels,
);

pub(super) fn channel(house: &House, name: &str) -> AlertChannel {
    AlertChannel {
        id: Uuid::now_v7(),
        workspace_id: house.workspace.id,
        name: name.to_owned(),
        channel_type: ChannelType::Webhook,
        url: "https://example.com/hook?key=hunter2".to_owned(),
        secret: Some("whsec_aHVudGVyMg==".to_owned()),
        enabled: true,
        created_at: at(1),
        updated_at: at(1),
    }
}

pub(super) async fn made(house: &House, name: &str) -> AlertChannel {
    let channel = channel(house, name);
    let act = house.act(1);
    house
        .store
        .insert_alert_channel(&channel, &act)
        .await
        .unwrap();
    channel
}

/// The one alert that somebody is to be told of.
async fn untold(house: &House, second: i64) -> Option<(ContentAlert, u64)> {
    let mut all = house.store.untold_alerts(at(second)).await.unwrap();
    assert!(all.len() <= 1, "{all:?}");
    all.pop()
}

async fn tell(house: &House, alert: &ContentAlert, told: u64, second: i64) -> usize {
    let made = house
        .store
        .tell_alert(alert, told, "{}", Uuid::now_v7, at(second));
    made.await.unwrap()
}

async fn take(store: &Store, channel: &AlertChannel, second: i64) -> Vec<AlertDelivery> {
    let until = at(second + 300);
    let taken = store.take_alert_deliveries(channel, 100, at(second), until);
    taken.await.unwrap().1
}

/// So many alerts that are told to every channel at a time.
async fn messages(house: &House, number: usize, second: i64) {
    let policy = content_policy(house, &format!("from {second}"), Action::Alert).await;
    for _ in 0..number {
        let found = [sighting(&policy, 0..1)];
        let passage = passage(house, Via::Query);
        let recorded = house
            .store
            .record_sightings(&passage, &found, at(second - 60));
        recorded.await.unwrap();
    }
    for (alert, told) in house.store.untold_alerts(at(second)).await.unwrap() {
        tell(house, &alert, told, second).await;
    }
}

async fn channel_is_made_read_replaced_and_removed(house: House) {
    let ws = house.workspace.id;
    let before = made(&house, "ops").await;
    assert_eq!(
        house.store.get_alert_channel(ws, before.id).await.unwrap(),
        before
    );
    let taken = house
        .store
        .insert_alert_channel(&channel(&house, "ops"), &house.act(1))
        .await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    let after = AlertChannel {
        name: "operators".to_owned(),
        secret: None,
        enabled: false,
        updated_at: at(2),
        ..before.clone()
    };
    let act = house.act(2);
    house
        .store
        .update_alert_channel(&before, &after, &act)
        .await
        .unwrap();
    assert_eq!(
        house.store.list_alert_channels(ws).await.unwrap(),
        std::slice::from_ref(&after)
    );
    let stale = house.store.delete_alert_channel(&before, &act).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    let other = house.other_workspace().await;
    let strange = house.store.get_alert_channel(other.id, before.id).await;
    assert!(
        matches!(strange, Err(StoreError::NotFound(_))),
        "{strange:?}"
    );
    house
        .store
        .delete_alert_channel(&after, &act)
        .await
        .unwrap();
    assert_eq!(house.store.list_alert_channels(ws).await.unwrap(), []);

    let filter = AuditFilter {
        object_kind: Some("alert_channel".to_owned()),
        ..AuditFilter::default()
    };
    let lines = house
        .store
        .list_audit(Some(ws), &filter, 0, 10)
        .await
        .unwrap();
    assert_eq!(lines.len(), 3);
    for (_, link) in lines {
        let line = link.line.get();
        assert!(
            !line.contains("hunter2") && !line.contains("aHVudGVyMg"),
            "{line}"
        );
    }
}

async fn alert_is_told_when_it_is_quiet_or_goes_on_for_long(house: House) {
    let policy = content_policy(&house, "PII", Action::Alert).await;
    let passage = passage(&house, Via::Sync);
    let find = async |second: i64| {
        let found = [sighting(&policy, 0..1)];
        let recorded = house.store.record_sightings(&passage, &found, at(second));
        recorded.await.unwrap();
    };
    find(0).await;
    find(20).await;
    assert_eq!(untold(&house, 40).await, None);
    let (alert, told) = untold(&house, 50).await.unwrap();
    assert_eq!((alert.records, told), (2, 0));
    // It is told of though nobody listens.
    assert_eq!(tell(&house, &alert, told, 50).await, 0);
    assert_eq!(untold(&house, 10_000).await, None);
    // Another message only if there is more, and not at once while it goes on.
    find(60).await;
    find(345).await;
    assert_eq!(untold(&house, 349).await, None);
    let (alert, told) = untold(&house, 350).await.unwrap();
    assert_eq!((alert.records, told), (4, 2));
    tell(&house, &alert, told, 350).await;
    find(351).await;
    assert_eq!(untold(&house, 380).await, None);
    assert_eq!(untold(&house, 381).await.unwrap().1, 4);
}

async fn one_of_two_processes_makes_the_messages(house: House) {
    let channels = [made(&house, "one").await, made(&house, "two").await];
    let other = Store::open(&house.url).await.unwrap();
    let policy = content_policy(&house, "PII", Action::Block).await;
    let found = [sighting(&policy, 0..3)];
    let passage = passage(&house, Via::Stream);
    house
        .store
        .record_sightings(&passage, &found, at(0))
        .await
        .unwrap();
    let (alert, told) = untold(&house, 30).await.unwrap();
    let attempts = (0..8).map(|n| {
        let store = match n % 2 {
            0 => house.store.clone(),
            _ => other.clone(),
        };
        let alert = alert.clone();
        tokio::spawn(async move {
            let made = store.tell_alert(&alert, told, "{}", Uuid::now_v7, at(30));
            made.await.unwrap()
        })
    });
    let mut made = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        made += attempt.await.unwrap();
    }
    assert_eq!(made, 2);
    for channel in &channels {
        assert_eq!(take(&house.store, channel, 30).await.len(), 1);
    }
}

async fn message_is_taken_by_one_and_comes_back_from_the_dead(house: House) {
    let channel = made(&house, "ops").await;
    let other = Store::open(&house.url).await.unwrap();
    messages(&house, 8, 100).await;
    assert_eq!(
        house.store.channels_to_tell(at(100)).await.unwrap(),
        std::slice::from_ref(&channel)
    );
    let workers = (0..6).map(|n| {
        let store = match n % 2 {
            0 => house.store.clone(),
            _ => other.clone(),
        };
        let channel = channel.clone();
        tokio::spawn(async move {
            let taken = store.take_alert_deliveries(&channel, 3, at(100), at(400));
            taken.await.unwrap().1
        })
    });
    let mut taken = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        taken.extend(worker.await.unwrap());
    }
    let ids: BTreeSet<Uuid> = taken.iter().map(|delivery| delivery.id).collect();
    assert_eq!((taken.len(), ids.len()), (8, 8));
    assert!(taken.iter().all(|delivery| delivery.attempts == 1));

    let outcomes = [
        Attempted::Delivered,
        Attempted::GivenUp {
            error: "gone".into(),
        },
        Attempted::Again {
            at: at(160),
            error: "busy".into(),
        },
    ];
    for (delivery, outcome) in taken.iter().zip(&outcomes) {
        let finished = house
            .store
            .finish_alert_delivery(delivery, outcome, at(101));
        finished.await.unwrap();
    }
    let again = take(&other, &channel, 160).await;
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id, again[0].attempts), (taken[2].id, 2));
    // Of the others nothing was heard.
    assert_eq!(take(&other, &channel, 399).await, []);
    let lost = take(&other, &channel, 400).await;
    assert_eq!(lost.len(), 5);
    // Whoever comes back so late has nothing to say.
    let late = taken
        .iter()
        .find(|delivery| delivery.id == lost[0].id)
        .unwrap();
    let finished = house
        .store
        .finish_alert_delivery(late, &Attempted::Delivered, at(401));
    finished.await.unwrap();
    assert_eq!(take(&other, &channel, 700).await.len(), 6);
}

async fn channel_is_told_thirty_times_a_minute(house: House) {
    let channel = made(&house, "ops").await;
    messages(&house, 50, 100).await;
    assert_eq!(take(&house.store, &channel, 100).await.len(), 30);
    assert_eq!(take(&house.store, &channel, 130).await.len(), 0);
    assert_eq!(take(&house.store, &channel, 159).await.len(), 0);
    assert_eq!(take(&house.store, &channel, 160).await.len(), 20);
}

async fn sixty_messages_wait_for_a_channel(house: House) {
    let channel = made(&house, "ops").await;
    messages(&house, 65, 100).await;
    let mut taken = 0;
    for minute in 0..5 {
        taken += take(&house.store, &channel, 100 + 60 * minute).await.len();
    }
    assert_eq!(taken, 60);
    assert!(untold(&house, 1_000).await.is_none());
}

async fn workspace_has_twenty_channels(house: House) {
    for n in 0..20 {
        made(&house, &format!("channel {n}")).await;
    }
    let one_more = channel(&house, "one more");
    let act = house.act(1);
    let refused = house.store.insert_alert_channel(&one_more, &act).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
}

async fn channel_that_is_disabled_forgets(house: House) {
    let (off, on) = (made(&house, "off").await, made(&house, "on").await);
    messages(&house, 2, 100).await;
    let disabled = AlertChannel {
        enabled: false,
        ..off.clone()
    };
    let act = house.act(101);
    house
        .store
        .update_alert_channel(&off, &disabled, &act)
        .await
        .unwrap();
    messages(&house, 1, 200).await;
    let waiting = house.store.channels_to_tell(at(200)).await.unwrap();
    assert_eq!(waiting, std::slice::from_ref(&on));
    assert_eq!(take(&house.store, &off, 200).await, []);
    assert_eq!(take(&house.store, &on, 200).await.len(), 3);
    house
        .store
        .update_alert_channel(&disabled, &off, &act)
        .await
        .unwrap();
    assert_eq!(take(&house.store, &off, 300).await, []);
    // A channel that goes takes its messages along.
    house.store.delete_alert_channel(&on, &act).await.unwrap();
    assert_eq!(house.store.channels_to_tell(at(9_000)).await.unwrap(), []);
}
