//! Runs: who may work on one, how far it came, and how it is stopped.

use super::*;

on_both_databases!(
    run_reads_back_as_written,
    two_workers_never_get_the_same_run,
    runs_of_one_sync_follow_one_another,
    expired_lease_is_taken_over,
    worker_without_the_lease_cannot_save,
    checkpoint_reads_back,
    released_run_is_claimed_again,
    queued_run_is_cancelled_at_once,
    running_run_is_asked_to_stop,
    request_to_stop_outlives_the_worker,
    ended_run_cannot_be_cancelled,
    counts_that_do_not_add_up_are_refused,
);

async fn run_reads_back_as_written(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let Progress {
        counts,
        withheld_by,
        policy_revisions,
        ..
    } = progress(100);
    let run = Run {
        status: RunStatus::Failed,
        counts,
        withheld_by,
        policy_revision: Some(3),
        policy_revisions,
        started_at: Some(at(2)),
        finished_at: Some(at(3)),
        error: Some("the destination refused the key".to_owned()),
        ..queued(&house.sync, 1)
    };
    let act = house.act(1);
    store.insert_run(&run, &act).await.unwrap();
    assert_conflict(store.insert_run(&run, &act).await, "already a run");
    let second = house.queue(&house.sync, 2).await;
    assert_eq!(
        store.list_runs(ws, house.sync.id).await.unwrap(),
        [second, run.clone()]
    );
    assert_eq!(store.get_run(ws, run.id).await.unwrap(), run);
}

async fn two_workers_never_get_the_same_run(house: House) {
    let mut queued = BTreeSet::new();
    for n in 0..20 {
        let name = format!("sync {n}");
        let sync = sync(&house.account, &house.model, &house.destination, &name);
        house.store.insert_sync(&sync, &house.act(0)).await.unwrap();
        queued.insert(house.queue(&sync, n).await.id);
    }
    let workers = (0..6).map(|n| {
        let store = house.store.clone();
        tokio::spawn(async move {
            let (worker, mut runs) = (format!("worker {n}"), Vec::new());
            while let Some(claimed) = store.claim_run(&worker, at(100), at(160)).await.unwrap() {
                runs.push(claimed.run.id);
            }
            runs
        })
    });
    let mut claimed = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        claimed.extend(worker.await.unwrap());
    }
    assert_eq!(claimed.len(), 20);
    assert_eq!(BTreeSet::from_iter(claimed), queued);
}

async fn runs_of_one_sync_follow_one_another(house: House) {
    let store = &house.store;
    let second = house.queue(&house.sync, 2).await;
    let first = house.queue(&house.sync, 1).await;
    let claimed = store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    assert_eq!(claimed.run.id, first.id);
    assert_eq!(
        (claimed.run.status, claimed.run.started_at),
        (RunStatus::Running, Some(at(10)))
    );
    assert_eq!(
        (claimed.progress, claimed.cancel_requested),
        (Progress::default(), false)
    );
    assert_eq!(store.claim_run("b", at(11), at(71)).await.unwrap(), None);
    let done = RunStatus::Succeeded;
    store
        .finish_run(first.id, "a", done, None, &progress(5), at(12))
        .await
        .unwrap();
    let claimed = store.claim_run("b", at(13), at(73)).await.unwrap().unwrap();
    assert_eq!(claimed.run.id, second.id);
}

async fn expired_lease_is_taken_over(house: House) {
    let store = &house.store;
    let run = house.queue(&house.sync, 1).await;
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    store
        .checkpoint_run(run.id, "a", &progress(5), at(80), at(20))
        .await
        .unwrap();
    assert_eq!(store.claim_run("b", at(80), at(140)).await.unwrap(), None);
    let taken = store
        .claim_run("b", at(81), at(141))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.run.id, taken.progress), (run.id, progress(5)));
    assert_eq!(taken.run.started_at, Some(at(10)));
    assert_lease_lost(
        store
            .checkpoint_run(run.id, "a", &progress(9), at(150), at(90))
            .await,
    );
    assert_eq!(house.run(run.id).await.counts, progress(5).counts);
}

async fn worker_without_the_lease_cannot_save(house: House) {
    let store = &house.store;
    let run = house.queue(&house.sync, 1).await;
    let (done, end) = (RunStatus::Succeeded, progress(5));
    assert_lease_lost(
        store
            .checkpoint_run(run.id, "a", &end, at(80), at(20))
            .await,
    );
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    assert_lease_lost(
        store
            .checkpoint_run(run.id, "b", &end, at(80), at(20))
            .await,
    );
    assert_lease_lost(
        store
            .finish_run(run.id, "b", done, None, &end, at(20))
            .await,
    );
    assert_lease_lost(store.release_run(run.id, "b").await);
    let open = RunStatus::Queued;
    assert_conflict(
        store
            .finish_run(run.id, "a", open, None, &end, at(20))
            .await,
        "queued",
    );
    store
        .finish_run(run.id, "a", done, None, &end, at(20))
        .await
        .unwrap();
    assert_lease_lost(
        store
            .checkpoint_run(run.id, "a", &end, at(80), at(21))
            .await,
    );
    assert_lease_lost(
        store
            .finish_run(run.id, "a", done, None, &end, at(21))
            .await,
    );
    assert_eq!(store.claim_run("b", at(500), at(560)).await.unwrap(), None);
}

async fn checkpoint_reads_back(house: House) {
    let store = &house.store;
    let run = house.queue(&house.sync, 1).await;
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    assert!(
        !store
            .checkpoint_run(run.id, "a", &progress(5), at(80), at(20))
            .await
            .unwrap()
    );
    let read = house.run(run.id).await;
    assert_eq!(
        (read.counts, read.withheld_by),
        (progress(5).counts, progress(5).withheld_by)
    );
    assert_eq!(
        (read.policy_revision, read.policy_revisions),
        (Some(3), vec![2, 3])
    );
    assert_eq!(read.updated_at, at(20));
    let (failed, why) = (RunStatus::Failed, Some("the destination is down"));
    store
        .finish_run(run.id, "a", failed, why, &progress(7), at(30))
        .await
        .unwrap();
    let read = house.run(run.id).await;
    assert_eq!(
        (read.status, read.error.as_deref(), read.counts.read),
        (failed, why, 7)
    );
    assert_eq!(
        (read.started_at, read.finished_at),
        (Some(at(10)), Some(at(30)))
    );
}

async fn released_run_is_claimed_again(house: House) {
    let store = &house.store;
    let run = house.queue(&house.sync, 1).await;
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    store
        .checkpoint_run(run.id, "a", &progress(5), at(80), at(20))
        .await
        .unwrap();
    store.release_run(run.id, "a").await.unwrap();
    assert_eq!(house.run(run.id).await.status, RunStatus::Running);
    let again = store.claim_run("b", at(21), at(81)).await.unwrap().unwrap();
    assert_eq!(again.progress, progress(5));
    store.release_all_runs().await.unwrap();
    assert_lease_lost(
        store
            .checkpoint_run(run.id, "b", &progress(6), at(90), at(22))
            .await,
    );
    assert!(
        store
            .claim_run("c", at(22), at(82))
            .await
            .unwrap()
            .is_some()
    );
}

async fn queued_run_is_cancelled_at_once(house: House) {
    let run = house.queue(&house.sync, 1).await;
    let run = house
        .store
        .cancel_run(house.workspace.id, run.id, &house.act(2))
        .await
        .unwrap();
    assert_eq!(
        (run.status, run.finished_at),
        (RunStatus::Cancelled, Some(at(2)))
    );
    assert_eq!(
        house.store.claim_run("a", at(10), at(70)).await.unwrap(),
        None
    );
}

async fn running_run_is_asked_to_stop(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let run = house.queue(&house.sync, 1).await;
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    let asked = store.cancel_run(ws, run.id, &house.act(11)).await.unwrap();
    assert_eq!(
        (asked.status, asked.finished_at),
        (RunStatus::Running, None)
    );
    assert!(
        store
            .checkpoint_run(run.id, "a", &progress(5), at(80), at(20))
            .await
            .unwrap()
    );
    let stopped = RunStatus::Cancelled;
    store
        .finish_run(run.id, "a", stopped, None, &progress(5), at(21))
        .await
        .unwrap();
    assert_eq!(house.run(run.id).await.status, stopped);
}

async fn request_to_stop_outlives_the_worker(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let run = house.queue(&house.sync, 1).await;
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    store.cancel_run(ws, run.id, &house.act(11)).await.unwrap();
    let taken = store
        .claim_run("b", at(71), at(131))
        .await
        .unwrap()
        .unwrap();
    assert!(taken.cancel_requested);
    store.release_run(run.id, "b").await.unwrap();
    let stopped = store.cancel_run(ws, run.id, &house.act(80)).await.unwrap();
    assert_eq!(stopped.status, RunStatus::Cancelled, "nobody holds it");
}

async fn ended_run_cannot_be_cancelled(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let run = house.queue(&house.sync, 1).await;
    store.claim_run("a", at(10), at(70)).await.unwrap().unwrap();
    let done = RunStatus::Succeeded;
    store
        .finish_run(run.id, "a", done, None, &progress(5), at(20))
        .await
        .unwrap();
    assert_conflict(
        store.cancel_run(ws, run.id, &house.act(21)).await,
        "succeeded",
    );
    assert_not_found(
        store.cancel_run(ws, Uuid::now_v7(), &house.act(21)).await,
        "run",
    );
}

async fn counts_that_do_not_add_up_are_refused(house: House) {
    let run = house.queue(&house.sync, 1).await;
    house
        .store
        .claim_run("a", at(10), at(70))
        .await
        .unwrap()
        .unwrap();
    let mut wrong = progress(5);
    wrong.counts.read = 6;
    let saved = house
        .store
        .checkpoint_run(run.id, "a", &wrong, at(80), at(20))
        .await;
    assert!(matches!(saved, Err(StoreError::Corrupt(_))), "{saved:?}");
    assert_eq!(house.run(run.id).await.counts, Counts::default());
}
