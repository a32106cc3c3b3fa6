//! Schedules of syncs: which are due is told by a mark, and of several processes one moves it.

use syncguard::audit::Line;
use syncguard::store::{AuditFilter, Due, Scheduled};

use super::*;

on_both_databases!(
    sync_with_a_schedule_is_found_with_its_mark,
    schedule_that_begins_anew_waits_for_its_next_time,
    one_of_two_processes_queues_what_is_due,
    time_passes_while_an_earlier_run_is_open,
    sync_that_has_changed_is_left_alone,
    schedule_of_an_older_store_begins_now,
    mark_of_a_clock_that_jumped_ahead_begins_anew,
);

async fn scheduled(house: &House, second: i64) -> Vec<Scheduled> {
    house.store.scheduled_syncs(at(second)).await.unwrap()
}

/// The one sync of the house.
async fn the_one(house: &House) -> Scheduled {
    let mut all = scheduled(house, 0).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn changed(
    house: &House,
    before: &Sync,
    second: i64,
    change: impl FnOnce(&mut Sync),
) -> Sync {
    let mut sync = before.clone();
    sync.updated_at = at(second);
    change(&mut sync);
    house
        .store
        .update_sync(before, &sync, &house.act(second))
        .await
        .unwrap();
    sync
}

async fn sync_with_a_schedule_is_found_with_its_mark(house: House) {
    for (name, schedule, enabled) in [("by hand", None, true), ("off", Some("* * * * *"), false)] {
        let sync = Sync {
            schedule: schedule.map(str::to_owned),
            enabled,
            ..sync(&house.account, &house.model, &house.destination, name)
        };
        house.store.insert_sync(&sync, &house.act(0)).await.unwrap();
    }
    let expected = Scheduled {
        workspace_id: house.workspace.id,
        sync_id: house.sync.id,
        owner_id: house.account.id,
        schedule: "0 * * * *".to_owned(),
        done_until: house.sync.created_at,
    };
    assert_eq!(scheduled(&house, 5).await, [expected]);
}

async fn schedule_that_begins_anew_waits_for_its_next_time(house: House) {
    let sync = house.sync.clone();
    // What does not bear on the schedule leaves its mark.
    let sync = changed(&house, &sync, 10, |sync| sync.name = "renamed".into()).await;
    assert_eq!(the_one(&house).await.done_until, at(0));
    let sync = changed(&house, &sync, 20, |sync| sync.enabled = false).await;
    assert_eq!(scheduled(&house, 0).await, []);
    let sync = changed(&house, &sync, 30, |sync| sync.enabled = true).await;
    assert_eq!(the_one(&house).await.done_until, at(30));
    let sync = changed(&house, &sync, 40, |sync| {
        sync.schedule = Some("*/5 * * * *".into());
    })
    .await;
    assert_eq!(the_one(&house).await.done_until, at(40));
    let sync = changed(&house, &sync, 50, |sync| sync.schedule = None).await;
    assert_eq!(scheduled(&house, 0).await, []);
    changed(&house, &sync, 60, |sync| {
        sync.schedule = Some("*/5 * * * *".into());
    })
    .await;
    assert_eq!(the_one(&house).await.done_until, at(60));
}

async fn one_of_two_processes_queues_what_is_due(house: House) {
    let other = Store::open(&house.url).await.unwrap();
    for (round, due) in [60, 120].into_iter().enumerate() {
        let found = the_one(&house).await;
        let attempts = (0..8).map(|n| {
            let store = match n % 2 {
                0 => house.store.clone(),
                _ => other.clone(),
            };
            let (found, run) = (found.clone(), queued(&house.sync, due + n));
            tokio::spawn(async move { store.queue_due_run(&run, &found, at(due)).await.unwrap() })
        });
        let mut outcomes = Vec::new();
        for attempt in attempts.collect::<Vec<_>>() {
            outcomes.push(attempt.await.unwrap());
        }
        let count = |due: Due| outcomes.iter().filter(|outcome| **outcome == due).count();
        assert_eq!((count(Due::Queued), count(Due::Gone)), (1, 7));
        assert_eq!(the_one(&house).await.done_until, at(due));
        let (ws, sync) = (house.workspace.id, house.sync.id);
        let runs = house.store.list_runs(ws, sync).await.unwrap();
        assert_eq!(runs.len(), round + 1);
        assert_eq!(runs[0].account_id, house.account.id);
        let filter = AuditFilter {
            object_id: Some(runs[0].id),
            ..AuditFilter::default()
        };
        let links = house.store.list_audit(Some(ws), &filter, 0, 10).await;
        let links = links.unwrap();
        assert_eq!(links.len(), 1);
        let line: Line = serde_json::from_str(links[0].1.line.get()).unwrap();
        assert_eq!((line.action.as_str(), line.key_id), ("run.trigger", None));
        assert_eq!(line.after.unwrap()["due_at"], json!(at(due)));
        house
            .store
            .cancel_run(ws, runs[0].id, &house.act(due))
            .await
            .unwrap();
    }
}

async fn time_passes_while_an_earlier_run_is_open(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let earlier = house.queue(&house.sync, 1).await;
    let due = async |second: i64| {
        let found = the_one(&house).await;
        let run = queued(&house.sync, second);
        store.queue_due_run(&run, &found, at(second)).await.unwrap()
    };
    assert_eq!(due(60).await, Due::Busy);
    assert_eq!(the_one(&house).await.done_until, at(60));
    store.claim_run("a", at(70), at(99)).await.unwrap().unwrap();
    assert_eq!(due(120).await, Due::Busy);
    let done = RunStatus::Succeeded;
    store
        .finish_run(earlier.id, "a", done, None, &progress(5), at(130))
        .await
        .unwrap();
    // Neither is made up for.
    let runs = store.list_runs(ws, house.sync.id).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(due(180).await, Due::Queued);
    // A time before the mark is past.
    assert_eq!(due(170).await, Due::Gone);
    assert_eq!(due(180).await, Due::Gone);
}

async fn sync_that_has_changed_is_left_alone(house: House) {
    let found = the_one(&house).await;
    let due = async |found: &Scheduled| {
        let run = queued(&house.sync, 60);
        let queued = house.store.queue_due_run(&run, found, at(60)).await;
        queued.unwrap()
    };
    let other = house.join("other@example.com", ADMIN).await.account_id;
    for stale in [
        Scheduled {
            schedule: "1 * * * *".to_owned(),
            ..found.clone()
        },
        Scheduled {
            owner_id: other,
            ..found.clone()
        },
        Scheduled {
            sync_id: Uuid::now_v7(),
            ..found.clone()
        },
    ] {
        assert_eq!(due(&stale).await, Due::Gone, "{stale:?}");
    }
    let sync = changed(&house, &house.sync, 20, |sync| sync.enabled = false).await;
    assert_eq!(due(&found).await, Due::Gone);
    house
        .store
        .delete_sync(&sync, &house.act(30))
        .await
        .unwrap();
    assert_eq!(due(&found).await, Due::Gone);
}

async fn schedule_of_an_older_store_begins_now(house: House) {
    let forget = "UPDATE syncs SET scheduled_until = NULL";
    raw(&house, forget).await.unwrap();
    let found = scheduled(&house, 500).await;
    assert_eq!(found[0].done_until, at(500));
    assert_eq!(scheduled(&house, 900).await, found);
}

async fn mark_of_a_clock_that_jumped_ahead_begins_anew(house: House) {
    const DAY: i64 = 86_400;
    let queue = async |due: i64| {
        let found = the_one(&house).await;
        let run = queued(&house.sync, due);
        let queued = house.store.queue_due_run(&run, &found, at(due)).await;
        assert_ne!(queued.unwrap(), Due::Gone);
    };
    // A clock may be a little ahead.
    queue(DAY).await;
    assert_eq!(the_one(&house).await.done_until, at(DAY));
    queue(400 * DAY).await;
    assert_eq!(scheduled(&house, 60).await[0].done_until, at(60));
    assert_eq!(scheduled(&house, 120).await[0].done_until, at(60));
    queue(120).await;
    assert_eq!(the_one(&house).await.done_until, at(120));
}
