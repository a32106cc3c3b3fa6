//! Uploads: held from their start, never handed to a worker, resumed under their key.

use syncguard::store::{AuditFilter, Uploading};

use super::*;

on_both_databases!(
    upload_is_held_from_the_start_and_no_worker_gets_it,
    upload_and_other_runs_of_its_sync_exclude_each_other,
    of_uploads_at_the_same_time_one_is_held,
    key_leads_back_to_what_failed_and_to_the_receipt,
    key_belongs_to_a_sync_and_an_account,
    upload_whose_lease_ended_has_failed,
    upload_that_was_to_be_cancelled_is_cancelled,
);

fn upload(sync: &Sync, second: i64) -> Run {
    Run {
        origin: RunOrigin::Upload,
        status: RunStatus::Running,
        started_at: Some(at(second)),
        ..queued(sync, second)
    }
}

async fn start(
    house: &House,
    run: &Run,
    key: Option<&str>,
    worker: &str,
    second: i64,
) -> Result<Uploading, StoreError> {
    let (until, act) = (
        at(second + 60),
        Act::on_behalf_of(run.account_id, at(second)),
    );
    house
        .store
        .start_upload(run, key, worker, until, &act)
        .await
}

#[track_caller]
fn held(uploading: Result<Uploading, StoreError>) -> syncguard::store::Claimed {
    match uploading.unwrap() {
        Uploading::Held(claimed) => claimed,
        Uploading::Done(run) => panic!("it was done before: {run:?}"),
    }
}

async fn finish(house: &House, run: &Run, worker: &str, status: RunStatus, second: i64) {
    let progress = progress(7);
    house
        .store
        .finish_run(run.id, worker, status, Some("why"), &progress, at(second))
        .await
        .unwrap();
}

async fn actions(house: &House, run: &Run) -> Vec<String> {
    let filter = AuditFilter {
        object_id: Some(run.id),
        ..AuditFilter::default()
    };
    let workspace_id = Some(house.workspace.id);
    let lines = house.store.list_audit(workspace_id, &filter, 0, 100);
    let lines = lines.await.unwrap().into_iter();
    let action = |line: Value| line["action"].as_str().unwrap().to_owned();
    lines
        .map(|(_, link)| action(serde_json::from_str(link.line.get()).unwrap()))
        .collect()
}

async fn upload_is_held_from_the_start_and_no_worker_gets_it(house: House) {
    let store = &house.store;
    let run = upload(&house.sync, 1);
    let claimed = held(start(&house, &run, None, "a", 1).await);
    assert_eq!(
        (claimed.run, claimed.progress, claimed.cancel_requested),
        (run.clone(), Progress::default(), false)
    );
    assert_eq!(house.run(run.id).await, run);
    store
        .checkpoint_run(run.id, "a", &progress(5), at(80), at(20))
        .await
        .unwrap();
    // Neither while it is held nor afterwards.
    assert_eq!(store.claim_run("b", at(30), at(90)).await.unwrap(), None);
    assert_eq!(store.claim_run("b", at(500), at(560)).await.unwrap(), None);
    store.release_run(run.id, "a").await.unwrap();
    assert_eq!(store.claim_run("b", at(30), at(90)).await.unwrap(), None);
}

async fn upload_and_other_runs_of_its_sync_exclude_each_other(house: House) {
    let store = &house.store;
    let waiting = house.queue(&house.sync, 1).await;
    let run = upload(&house.sync, 2);
    assert_conflict(start(&house, &run, None, "a", 2).await, "another run");
    store.claim_run("w", at(3), at(60)).await.unwrap().unwrap();
    assert_conflict(start(&house, &run, None, "a", 4).await, "another run");
    finish(&house, &waiting, "w", RunStatus::Succeeded, 5).await;
    held(start(&house, &run, None, "a", 6).await);
    assert_conflict(
        start(&house, &upload(&house.sync, 7), None, "b", 7).await,
        "another run",
    );
    // Whatever is queued waits, even if its clock is behind.
    let waiting = house.queue(&house.sync, 0).await;
    assert_eq!(store.claim_run("w", at(8), at(68)).await.unwrap(), None);
    finish(&house, &run, "a", RunStatus::Succeeded, 9).await;
    let claimed = store.claim_run("w", at(10), at(70)).await.unwrap();
    assert_eq!(claimed.unwrap().run.id, waiting.id);
}

async fn of_uploads_at_the_same_time_one_is_held(house: House) {
    let starts = (0..8).map(|n| {
        let (store, run) = (house.store.clone(), upload(&house.sync, n));
        let act = house.act(n);
        tokio::spawn(async move {
            let worker = format!("worker {n}");
            store
                .start_upload(&run, Some("one"), &worker, at(100), &act)
                .await
        })
    });
    let (mut held, mut refused) = (0, 0);
    for start in starts.collect::<Vec<_>>() {
        match start.await.unwrap() {
            Ok(Uploading::Held(_)) => held += 1,
            Err(StoreError::Conflict(_)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((held, refused), (1, 7));
}

async fn key_leads_back_to_what_failed_and_to_the_receipt(house: House) {
    let first = upload(&house.sync, 1);
    held(start(&house, &first, Some("one"), "a", 1).await);
    let again = upload(&house.sync, 2);
    assert_conflict(
        start(&house, &again, Some("one"), "b", 2).await,
        "still at work",
    );
    for (worker, next, status) in [
        ("a", "b", RunStatus::Failed),
        ("b", "c", RunStatus::Blocked),
    ] {
        finish(&house, &first, worker, status, 10).await;
        let claimed = held(start(&house, &again, Some("one"), next, 20).await);
        assert_eq!((claimed.run.id, claimed.progress), (first.id, progress(7)));
        assert_eq!(claimed.run.started_at, Some(at(1)));
        let run = house.run(first.id).await;
        assert_eq!(
            (run.status, run.error, run.finished_at),
            (RunStatus::Running, None, None)
        );
    }
    finish(&house, &first, "c", RunStatus::Succeeded, 30).await;
    let receipt = house.run(first.id).await;
    for _ in 0..2 {
        let done = start(&house, &again, Some("one"), "d", 40).await.unwrap();
        assert_eq!(done, Uploading::Done(receipt.clone()));
    }
    assert_eq!(
        actions(&house, &first).await,
        [
            "run.upload",
            "run.finish",
            "run.upload",
            "run.finish",
            "run.upload",
            "run.finish"
        ]
    );
    // A key that was not used, and no key, begin anew.
    held(start(&house, &again, Some("two"), "e", 50).await);
    finish(&house, &again, "e", RunStatus::Cancelled, 51).await;
    assert_conflict(
        start(&house, &upload(&house.sync, 52), Some("two"), "f", 52).await,
        "was cancelled",
    );
    let runs = house.store.list_runs(house.workspace.id, house.sync.id);
    assert_eq!(runs.await.unwrap().len(), 2);
}

async fn key_belongs_to_a_sync_and_an_account(house: House) {
    let first = upload(&house.sync, 1);
    held(start(&house, &first, Some("one"), "a", 1).await);
    let second = sync(&house.account, &house.model, &house.destination, "second");
    let act = house.act(0);
    house.store.insert_sync(&second, &act).await.unwrap();
    let elsewhere = upload(&second, 2);
    let claimed = held(start(&house, &elsewhere, Some("one"), "b", 2).await);
    assert_eq!(claimed.run.id, elsewhere.id);
    finish(&house, &first, "a", RunStatus::Failed, 3).await;
    let other = house.join("other@example.com", MEMBER).await;
    let theirs = Run {
        account_id: other.account_id,
        ..upload(&house.sync, 4)
    };
    let claimed = held(start(&house, &theirs, Some("one"), "c", 4).await);
    assert_eq!(claimed.run.id, theirs.id);
}

async fn upload_whose_lease_ended_has_failed(house: House) {
    let store = &house.store;
    let run = upload(&house.sync, 1);
    held(start(&house, &run, Some("one"), "a", 1).await);
    store
        .checkpoint_run(run.id, "a", &progress(5), at(80), at(20))
        .await
        .unwrap();
    store.end_interrupted_uploads(at(80)).await.unwrap();
    assert_eq!(house.run(run.id).await.status, RunStatus::Running);
    store.end_interrupted_uploads(at(81)).await.unwrap();
    let ended = house.run(run.id).await;
    assert_eq!(
        (ended.status, ended.finished_at, ended.counts),
        (RunStatus::Failed, Some(at(81)), progress(5).counts)
    );
    assert!(ended.error.unwrap().contains("was interrupted"));
    assert_eq!(actions(&house, &run).await, ["run.upload", "run.finish"]);
    assert_lease_lost(
        store
            .checkpoint_run(run.id, "a", &progress(9), at(150), at(90))
            .await,
    );
    // Sent again it goes on, also where nobody noticed before that it had been left.
    for (worker, second) in [("b", 100), ("c", 110)] {
        let again = upload(&house.sync, second);
        let claimed = held(start(&house, &again, Some("one"), worker, second).await);
        assert_eq!((claimed.run.id, claimed.progress), (run.id, progress(5)));
        store.release_all_runs().await.unwrap();
    }
}

async fn upload_that_was_to_be_cancelled_is_cancelled(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let run = upload(&house.sync, 1);
    held(start(&house, &run, None, "a", 1).await);
    let asked = store.cancel_run(ws, run.id, &house.act(2)).await.unwrap();
    assert_eq!(asked.status, RunStatus::Running);
    store.end_interrupted_uploads(at(62)).await.unwrap();
    let ended = house.run(run.id).await;
    assert_eq!((ended.status, ended.error), (RunStatus::Cancelled, None));
}
