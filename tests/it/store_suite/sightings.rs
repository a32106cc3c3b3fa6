//! What content policies found: each violation once, within bounds, and listed for those who may
//! see it.

use syncguard::compliance::Purview;
use syncguard::policy::ContentPolicy;
use syncguard::policy::content::{Action, Passage, Risk, Seen, Sighting, Via, Violation};
use syncguard::store::{KEPT, SightingFilter};

use super::*;

on_both_databases!(
    what_is_found_adds_up_and_each_violation_is_kept_once,
    violations_are_bounded_and_records_are_not,
    violations_are_listed_newest_first_by_every_filter,
    alerts_leave_out_what_is_only_logged,
    two_processes_write_at_once,
    record_outlives_the_policy,
    text_that_no_database_holds_is_kept_all_the_same,
    what_was_found_is_forgotten_after_ninety_days,
);

pub(super) async fn content_policy(house: &House, name: &str, action: Action) -> ContentPolicy {
    let policy = ContentPolicy {
        id: Uuid::now_v7(),
        workspace_id: None,
        source_id: None,
        name: name.to_owned(),
        content: "columns: notes".to_owned(),
        risk: Risk::High,
        action,
        created_by: house.account.id,
        created_at: at(1),
        updated_by: house.account.id,
        updated_at: at(1),
    };
    let edit = Edit::create(policy.clone());
    let act = house.act(1);
    house.store.publish_content(&edit, &act).await.unwrap();
    policy
}

pub(super) fn passage(house: &House, via: Via) -> Passage {
    let id = Uuid::now_v7();
    Passage {
        id,
        via,
        workspace_id: house.workspace.id,
        source_id: house.source.id,
        model_id: house.model.id,
        run_id: (via == Via::Sync).then_some(id),
        account_id: house.account.id,
    }
}

fn seen(place: u64, column: &str) -> Seen {
    Seen {
        place,
        record: format!("id={place}"),
        column: column.to_owned(),
        detector: "email".to_owned(),
        shape: "aaa@aaaaaaa.aaa".to_owned(),
    }
}

/// A finding in each of these records.
pub(super) fn sighting(policy: &ContentPolicy, places: std::ops::Range<u64>) -> Sighting {
    Sighting {
        policy_id: policy.id,
        action: policy.action,
        records: places.end - places.start,
        seen: places.map(|place| seen(place, "notes")).collect(),
    }
}

pub(super) fn everything() -> SightingFilter {
    SightingFilter {
        purview: Purview::Everything,
        policy_id: None,
        workspace_id: None,
        source_id: None,
        from: None,
        to: None,
    }
}

async fn violations(house: &House, filter: &SightingFilter) -> Vec<Violation> {
    let listed = house.store.list_violations(filter, 0, 100).await.unwrap();
    assert_eq!(listed.total, listed.data.len() as u64);
    listed.data
}

async fn what_was_found_is_forgotten_after_ninety_days(house: House) {
    let policy = content_policy(&house, "PII", Action::Alert).await;
    let found = [sighting(&policy, 0..3)];
    let (old, young) = (passage(&house, Via::Query), passage(&house, Via::Query));
    for (passage, second) in [(&old, 10), (&young, 20)] {
        let recorded = house.store.record_sightings(passage, &found, at(second));
        recorded.await.unwrap();
    }
    let days = 90 * 24 * 60 * 60;
    let forget = async |second: i64| {
        let forgotten = house.store.forget_sightings(at(second)).await;
        forgotten.unwrap()
    };
    assert_eq!(forget(days + 10).await, 0);
    // Three violations and what they were found together in.
    assert_eq!(forget(days + 11).await, 4);
    let left = violations(&house, &everything()).await;
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|one| one.passage == young));
    assert_eq!(forget(days + 11).await, 0);
}

async fn what_is_found_adds_up_and_each_violation_is_kept_once(house: House) {
    let policy = content_policy(&house, "PII", Action::Alert).await;
    let passage = passage(&house, Via::Sync);
    let first = sighting(&policy, 0..3);
    for second in [10, 12] {
        let found = [first.clone()];
        let recorded = house.store.record_sightings(&passage, &found, at(second));
        recorded.await.unwrap();
    }
    let stricter = Sighting {
        policy_id: policy.id,
        action: Action::Block,
        records: 2,
        seen: vec![seen(2, "notes"), seen(3, "bio.text")],
    };
    let stricter = [stricter];
    let recorded = house.store.record_sightings(&passage, &stricter, at(11));
    recorded.await.unwrap();

    let known = violations(&house, &everything()).await;
    assert_eq!(known.len(), 4, "{known:?}");
    let places: BTreeSet<u64> = known.iter().map(|one| one.seen.place).collect();
    assert_eq!(places, BTreeSet::from([0, 1, 2, 3]));
    assert_eq!(known[0].seen, seen(3, "bio.text"));
    assert_eq!((known[0].action, known[0].at), (Action::Block, at(11)));
    assert_eq!((known[1].action, known[1].at), (Action::Alert, at(10)));
    assert!(
        known
            .iter()
            .all(|one| one.passage == passage && one.policy_name == "PII")
    );

    let alerts = house.store.list_alerts(&everything(), 0, 10).await.unwrap();
    assert_eq!(alerts.total, 1);
    let alert = &alerts.data[0];
    // Records count as often as they are judged.
    assert_eq!((alert.records, alert.action), (8, Action::Block));
    let pair = |column: &str| (column.to_owned(), "email".to_owned());
    assert_eq!(alert.found, [pair("notes"), pair("bio.text")]);
    assert_eq!((alert.first_at, alert.last_at), (at(10), at(12)));
    assert_eq!(alert.passage, passage);
}

async fn violations_are_bounded_and_records_are_not(house: House) {
    let policy = content_policy(&house, "PII", Action::Log).await;
    let passage = passage(&house, Via::Stream);
    for batch in 0..12 {
        let mut found = sighting(&policy, batch * 100..(batch + 1) * 100);
        found.seen[0].column = format!("column {batch}");
        let found = [found];
        let recorded = house.store.record_sightings(&passage, &found, at(10));
        recorded.await.unwrap();
    }
    let listed = house.store.list_violations(&everything(), 0, 1).await;
    assert_eq!(listed.unwrap().total, KEPT);
    // Another stream has a record of its own.
    let other = super::sightings::passage(&house, Via::Stream);
    let found = [sighting(&policy, 0..1)];
    house
        .store
        .record_sightings(&other, &found, at(11))
        .await
        .unwrap();
    let listed = house.store.list_violations(&everything(), 0, 1).await;
    assert_eq!(listed.unwrap().total, KEPT + 1);
}

async fn violations_are_listed_newest_first_by_every_filter(house: House) {
    let (one, two) = (
        content_policy(&house, "one", Action::Alert).await,
        content_policy(&house, "two", Action::Block).await,
    );
    let other = house.other_workspace().await;
    let here = passage(&house, Via::Query);
    let there = Passage {
        id: Uuid::now_v7(),
        workspace_id: other.id,
        source_id: Uuid::now_v7(),
        ..here.clone()
    };
    for (second, passage, policy) in [(10, &here, &one), (20, &there, &one), (30, &here, &two)] {
        let found = [sighting(policy, 0..1)];
        let recorded = house.store.record_sightings(passage, &found, at(second));
        recorded.await.unwrap();
    }
    let all = everything;
    let within = |ids: Vec<Uuid>| SightingFilter {
        purview: Purview::Workspaces(ids),
        ..all()
    };
    let cases = [
        (all(), vec![30, 20, 10]),
        (
            SightingFilter {
                policy_id: Some(one.id),
                ..all()
            },
            vec![20, 10],
        ),
        (
            SightingFilter {
                workspace_id: Some(other.id),
                ..all()
            },
            vec![20],
        ),
        (
            SightingFilter {
                source_id: Some(here.source_id),
                ..all()
            },
            vec![30, 10],
        ),
        (
            SightingFilter {
                from: Some(at(20)),
                ..all()
            },
            vec![30, 20],
        ),
        (
            SightingFilter {
                to: Some(at(20)),
                ..all()
            },
            vec![20, 10],
        ),
        (within(vec![house.workspace.id]), vec![30, 10]),
        (within(vec![]), vec![]),
        (
            SightingFilter {
                workspace_id: Some(other.id),
                ..within(vec![house.workspace.id])
            },
            vec![],
        ),
    ];
    for (filter, seconds) in cases {
        let expected: Vec<_> = seconds.into_iter().map(at).collect();
        let found = violations(&house, &filter).await;
        let times: Vec<_> = found.iter().map(|one| one.at).collect();
        assert_eq!(times, expected, "{filter:?}");
        let alerts = house.store.list_alerts(&filter, 0, 100).await.unwrap();
        let times: Vec<_> = alerts.data.iter().map(|one| one.last_at).collect();
        assert_eq!(times, expected, "{filter:?}");
    }
    let page = house.store.list_violations(&all(), 1, 1).await.unwrap();
    assert_eq!((page.total, page.data[0].at), (3, at(20)));
    let page = house.store.list_alerts(&all(), 5, 1).await.unwrap();
    assert_eq!((page.total, page.data.len()), (3, 0));
}

async fn alerts_leave_out_what_is_only_logged(house: House) {
    let policy = content_policy(&house, "quiet", Action::Log).await;
    let passage = passage(&house, Via::Upload);
    let found = [sighting(&policy, 0..2)];
    house
        .store
        .record_sightings(&passage, &found, at(10))
        .await
        .unwrap();
    assert_eq!(violations(&house, &everything()).await.len(), 2);
    let alerts = house.store.list_alerts(&everything(), 0, 10).await.unwrap();
    assert_eq!((alerts.total, alerts.data), (0, vec![]));
    assert_eq!(house.store.untold_alerts(at(10_000)).await.unwrap(), []);
}

async fn two_processes_write_at_once(house: House) {
    let other = Store::open(&house.url).await.unwrap();
    let mut policies = Vec::new();
    for name in ["a", "b", "c", "d"] {
        policies.push(content_policy(&house, name, Action::Alert).await);
    }
    let passage = passage(&house, Via::Sync);
    let writes = (0..16_u64).map(|n| {
        let store = match n % 2 {
            0 => house.store.clone(),
            _ => other.clone(),
        };
        let mut found: Vec<_> = policies
            .iter()
            .map(|policy| sighting(policy, n * 5..(n + 1) * 5))
            .collect();
        // Whatever order they come in.
        found.rotate_left((n % 4) as usize);
        let passage = passage.clone();
        tokio::spawn(async move { store.record_sightings(&passage, &found, at(10)).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let alerts = house.store.list_alerts(&everything(), 0, 10).await.unwrap();
    let records: Vec<u64> = alerts.data.iter().map(|alert| alert.records).collect();
    assert_eq!(records, [80; 4]);
    let listed = house.store.list_violations(&everything(), 0, 1).await;
    assert_eq!(listed.unwrap().total, 320);
}

async fn record_outlives_the_policy(house: House) {
    let policy = content_policy(&house, "PII", Action::Block).await;
    let passage = passage(&house, Via::Query);
    let found = [sighting(&policy, 0..1)];
    house
        .store
        .record_sightings(&passage, &found, at(10))
        .await
        .unwrap();
    let edit = Edit::delete(Arc::new(policy.clone()));
    let act = house.act(20);
    house.store.publish_content(&edit, &act).await.unwrap();
    let known = violations(&house, &everything()).await;
    assert_eq!(known[0].policy_name, "PII");
    let of_deleted = house.store.content_policy_workspace(policy.id).await;
    assert_eq!(of_deleted.unwrap(), None);
    let unknown = house.store.content_policy_workspace(Uuid::now_v7()).await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound(_))),
        "{unknown:?}"
    );
}

async fn text_that_no_database_holds_is_kept_all_the_same(house: House) {
    let policy = content_policy(&house, "PII", Action::Alert).await;
    let passage = passage(&house, Via::Query);
    let mut found = sighting(&policy, 0..1);
    found.seen[0].record = "a\0b".to_owned();
    found.seen[0].column = "ü\0".repeat(5_000);
    house
        .store
        .record_sightings(&passage, &[found], at(10))
        .await
        .unwrap();
    let known = violations(&house, &everything()).await;
    assert_eq!(known[0].seen.record, "a\u{fffd}b");
    assert_eq!(known[0].seen.column.chars().count(), 500);
}
