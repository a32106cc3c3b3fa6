//! Compliance snapshots: once for each occasion, approved once, and frozen for good.

use syncguard::audit::Line;
use syncguard::compliance::{Listed, Page, Snapshot, SnapshotId, SnapshotType, SolutionId, Sort};
use syncguard::store::{AuditFilter, SnapshotFilter};

use super::*;

on_both_databases!(
    snapshot_reads_back_as_written,
    snapshots_are_filtered_and_sorted,
    snapshot_of_no_solution_is_refused,
    one_of_two_processes_takes_what_is_due,
    solutions_wait_for_what_is_due_once,
    snapshot_of_a_clock_that_jumped_ahead_does_not_count,
    mark_goes_with_the_snapshot_of_what_is_now,
    approved_once_and_frozen_once,
    of_freezing_at_the_same_time_one_succeeds,
    approval_at_the_same_time_is_frozen_whole_or_refused,
    frozen_snapshot_cannot_be_changed_by_anything,
    what_was_tampered_with_is_found,
    organisation_has_an_owner,
);

/// An identifier as SQL.
fn sql(house: &House, id: Uuid) -> String {
    match house.url.starts_with("sqlite:") {
        true => format!("X'{}'", id.simple()),
        false => format!("'{id}'"),
    }
}

fn sql_time(time: DateTime<Utc>) -> String {
    format!("'{}'", time.to_rfc3339())
}

async fn solution(house: &House, name: &str, second: i64) -> SolutionId {
    let id = Uuid::now_v7();
    let (literal, time) = (sql(house, id), sql_time(at(second)));
    let insert = format!(
        "INSERT INTO compliance_solutions (id, organization_id, name, description, snapshot_due,
             created_at, updated_at)
         VALUES ({literal}, (SELECT id FROM organizations WHERE is_own), '{name}', '', FALSE,
             {time}, {time})"
    );
    raw(house, &insert).await.unwrap();
    SolutionId(id)
}

/// A policy of a solution.
async fn policy_of(house: &House, solution: SolutionId, name: &str) -> Uuid {
    let id = Uuid::now_v7();
    let (literal, time) = (sql(house, id), sql_time(at(0)));
    let insert = format!(
        "INSERT INTO compliance_policies (id, organization_id, name, description, status,
             category, severity, rules, is_active, created_at, updated_at)
         VALUES ({literal}, (SELECT id FROM organizations WHERE is_own), '{name}', '', 'active',
             'security', 'high', '[]', TRUE, {time}, {time})"
    );
    raw(house, &insert).await.unwrap();
    let insert = format!(
        "INSERT INTO compliance_solution_policies (solution_id, position, policy_id)
         VALUES ({}, 0, {literal})",
        sql(house, solution.0)
    );
    raw(house, &insert).await.unwrap();
    id
}

fn snapshot(solution_id: SolutionId, snapshot_type: SnapshotType, second: i64) -> Snapshot {
    Snapshot {
        id: SnapshotId(Uuid::now_v7()),
        solution_id,
        snapshot_type,
        frozen: false,
        score: 94.5,
        total_policies: 12,
        compliant_policies: 11,
        non_compliant_policies: 1,
        digest: None,
        approved_at: None,
        approved_by: None,
        created_at: at(second),
        updated_at: at(second),
    }
}

fn content() -> Value {
    json!({"policies": [{"name": "TLS", "rules": []}], "b": 9007199254740993_u64, "a": 1.0})
}

async fn taken(house: &House, solution_id: SolutionId, second: i64) -> Snapshot {
    let snapshot = snapshot(solution_id, SnapshotType::Manual, second);
    house
        .store
        .insert_snapshot(&snapshot, &content(), &house.act(second))
        .await
        .unwrap();
    snapshot
}

fn page(field: &'static str, descending: bool) -> Page {
    Page {
        limit: 100,
        offset: 0,
        sort: Sort { field, descending },
    }
}

async fn list(house: &House, filter: SnapshotFilter, page: Page) -> Vec<SnapshotId> {
    let Listed { data, total } = house.store.list_snapshots(&filter, page).await.unwrap();
    assert!(total >= data.len() as u64);
    data.iter().map(|snapshot| snapshot.id).collect()
}

/// What the organisation's chain tells of a snapshot.
async fn told(house: &House, id: SnapshotId) -> Vec<Line> {
    let filter = AuditFilter {
        object_id: Some(id.0),
        ..AuditFilter::default()
    };
    let links = house.store.list_audit(None, &filter, 0, 100).await.unwrap();
    let lines = links.iter();
    lines
        .map(|(_, link)| serde_json::from_str(link.line.get()).unwrap())
        .collect()
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, StoreError>, expected: &str) {
    match result {
        Err(StoreError::Refused { code, .. }) if code == expected => {}
        other => panic!("expected {expected}, got {other:?}"),
    }
}

async fn snapshot_reads_back_as_written(house: House) {
    let store = &house.store;
    let (one, other) = (
        solution(&house, "one", 0).await,
        solution(&house, "other", 0).await,
    );
    let second = taken(&house, one, 20).await;
    let first = taken(&house, one, 10).await;
    let foreign = taken(&house, other, 15).await;
    assert_eq!(store.get_snapshot(first.id).await.unwrap(), first);
    assert_eq!(
        store.snapshots_of(one).await.unwrap(),
        [first.clone(), second]
    );
    assert_eq!(store.snapshots_of(other).await.unwrap(), [foreign]);
    let nobody = SnapshotId(Uuid::now_v7());
    assert_not_found(store.get_snapshot(nobody).await, "snapshot");
    let act = house.act(30);
    assert_not_found(store.freeze_snapshot(nobody, &act).await, "snapshot");
    assert_not_found(store.approve_snapshot(nobody, &act).await, "snapshot");
    assert_not_found(store.verify_snapshot(nobody).await, "snapshot");
    let lines = told(&house, first.id).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].action, "compliance_snapshot.create");
    assert_eq!(lines[0].after, Some(json!(first)));
    assert_eq!(
        (lines[0].before.as_ref(), lines[0].workspace_id),
        (None, None)
    );
}

async fn snapshots_are_filtered_and_sorted(house: House) {
    let (store, act) = (&house.store, house.act(1));
    let (one, other) = (
        solution(&house, "one", 0).await,
        solution(&house, "other", 0).await,
    );
    let mut ids = Vec::new();
    for (n, (of, kind, score)) in [
        (one, SnapshotType::Manual, 50.0),
        (one, SnapshotType::Scheduled, 100.0),
        (other, SnapshotType::Triggered, 9.5),
        (other, SnapshotType::Manual, 0.0),
    ]
    .into_iter()
    .enumerate()
    {
        let snapshot = Snapshot {
            score,
            ..snapshot(of, kind, n as i64)
        };
        store
            .insert_snapshot(&snapshot, &content(), &act)
            .await
            .unwrap();
        ids.push(snapshot.id);
    }
    store
        .approve_snapshot(ids[2], &house.act(50))
        .await
        .unwrap();
    store
        .approve_snapshot(ids[0], &house.act(60))
        .await
        .unwrap();
    store.freeze_snapshot(ids[0], &house.act(70)).await.unwrap();
    for (field, ascending) in [
        ("createdAt", [0, 1, 2, 3]),
        ("updatedAt", [1, 3, 2, 0]),
        ("score", [3, 2, 0, 1]),
        ("snapshotType", [0, 3, 1, 2]),
    ] {
        let sorted = list(&house, SnapshotFilter::default(), page(field, false)).await;
        assert_eq!(sorted, ascending.map(|n| ids[n]), "{field}");
        let sorted = list(&house, SnapshotFilter::default(), page(field, true)).await;
        let mut descending = ascending.map(|n| ids[n]);
        descending.reverse();
        assert_eq!(sorted, descending, "{field}");
    }
    // What was not approved comes last, whatever the direction.
    let sorted = list(&house, SnapshotFilter::default(), page("approvedAt", false)).await;
    assert_eq!(sorted, [2, 0, 1, 3].map(|n| ids[n]));
    let sorted = list(&house, SnapshotFilter::default(), page("approvedAt", true)).await;
    assert_eq!(sorted, [0, 2, 3, 1].map(|n| ids[n]));
    for (filter, found) in [
        (
            SnapshotFilter {
                solution_id: Some(other),
                ..SnapshotFilter::default()
            },
            vec![2, 3],
        ),
        (
            SnapshotFilter {
                snapshot_type: Some(SnapshotType::Manual),
                ..SnapshotFilter::default()
            },
            vec![0, 3],
        ),
        (
            SnapshotFilter {
                frozen: Some(true),
                ..SnapshotFilter::default()
            },
            vec![0],
        ),
        (
            SnapshotFilter {
                frozen: Some(false),
                solution_id: Some(one),
                ..SnapshotFilter::default()
            },
            vec![1],
        ),
    ] {
        let expected: Vec<SnapshotId> = found.iter().map(|n| ids[*n]).collect();
        let label = format!("{filter:?}");
        assert_eq!(
            list(&house, filter, page("createdAt", false)).await,
            expected,
            "{label}"
        );
    }
}

async fn snapshot_of_no_solution_is_refused(house: House) {
    let nothing = snapshot(SolutionId(Uuid::now_v7()), SnapshotType::Manual, 1);
    let inserted = house
        .store
        .insert_snapshot(&nothing, &content(), &house.act(1))
        .await;
    assert_not_found(inserted, "solution");
    assert!(told(&house, nothing.id).await.is_empty());
}

async fn one_of_two_processes_takes_what_is_due(house: House) {
    let solution_id = solution(&house, "one", 0).await;
    let other = Store::open(&house.url).await.unwrap();
    for due in [60, 120] {
        let attempts = (0..8).map(|n| {
            let store = match n % 2 {
                0 => house.store.clone(),
                _ => other.clone(),
            };
            let act = house.act(due + n);
            tokio::spawn(async move {
                let snapshot = snapshot(solution_id, SnapshotType::Scheduled, due + n);
                store
                    .insert_scheduled_snapshot(&snapshot, &content(), at(due), &act)
                    .await
                    .unwrap()
            })
        });
        let mut taken = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            taken += u32::from(attempt.await.unwrap());
        }
        assert_eq!(taken, 1, "at {due}");
    }
    let taken = house.store.snapshots_of(solution_id).await.unwrap();
    assert_eq!(taken.len(), 2);
    for snapshot in taken {
        assert_eq!(told(&house, snapshot.id).await.len(), 1);
    }
}

async fn solutions_wait_for_what_is_due_once(house: House) {
    let (store, act) = (&house.store, house.act(100));
    let early = solution(&house, "early", 10).await;
    let late = solution(&house, "late", 90).await;
    assert_eq!(store.solutions_due(at(5), at(150)).await.unwrap(), []);
    assert_eq!(store.solutions_due(at(60), at(150)).await.unwrap(), [early]);
    assert_eq!(
        store.solutions_due(at(90), at(150)).await.unwrap(),
        [early, late]
    );
    // What somebody asked for is another matter.
    taken(&house, early, 95).await;
    assert_eq!(
        store.solutions_due(at(90), at(150)).await.unwrap(),
        [early, late]
    );
    let snapshot = snapshot(early, SnapshotType::Scheduled, 100);
    assert!(
        store
            .insert_scheduled_snapshot(&snapshot, &content(), at(90), &act)
            .await
            .unwrap()
    );
    assert_eq!(store.solutions_due(at(90), at(150)).await.unwrap(), [late]);
    // Nor is an earlier time made up for.
    assert_eq!(store.solutions_due(at(60), at(150)).await.unwrap(), []);
    assert_eq!(
        store.solutions_due(at(150), at(150)).await.unwrap(),
        [early, late]
    );
}

async fn snapshot_of_a_clock_that_jumped_ahead_does_not_count(house: House) {
    const DAY: i64 = 86_400;
    let (store, act) = (&house.store, house.act(0));
    let solution_id = solution(&house, "one", 0).await;
    let take = async |due: i64| {
        let snapshot = snapshot(solution_id, SnapshotType::Scheduled, due);
        store
            .insert_scheduled_snapshot(&snapshot, &content(), at(due), &act)
            .await
            .unwrap()
    };
    assert!(take(100 * DAY).await);
    for (now, due) in [
        (60, true),
        (99 * DAY - 1, true),
        (99 * DAY, false),
        (100 * DAY, false),
    ] {
        let waiting = store.solutions_due(at(60), at(now)).await.unwrap();
        assert_eq!(!waiting.is_empty(), due, "at {now}");
    }
    // What is taken now counts at once.
    assert!(take(60).await);
    let waiting = store.solutions_due(at(60), at(60)).await.unwrap();
    assert_eq!(waiting, []);
}

async fn mark_goes_with_the_snapshot_of_what_is_now(house: House) {
    let (store, act) = (&house.store, house.act(100));
    let solution_id = solution(&house, "one", 0).await;
    let policy = policy_of(&house, solution_id, "TLS").await;
    assert_eq!(store.solutions_changed().await.unwrap(), []);
    let mark = format!(
        "UPDATE compliance_solutions SET snapshot_due = TRUE WHERE id = {}",
        sql(&house, solution_id.0)
    );
    raw(&house, &mark).await.unwrap();
    assert_eq!(store.solutions_changed().await.unwrap(), [solution_id]);
    let seen = store.policy_versions(solution_id).await.unwrap();
    assert_eq!(seen.len(), 1);
    let changed = format!(
        "UPDATE compliance_policies SET updated_at = {} WHERE id = {}",
        sql_time(at(50)),
        sql(&house, policy)
    );
    raw(&house, &changed).await.unwrap();
    let triggered = |second| snapshot(solution_id, SnapshotType::Triggered, second);
    assert_stale(
        store
            .insert_triggered_snapshot(&triggered(60), &content(), &seen, &act)
            .await,
    );
    assert_eq!(store.solutions_changed().await.unwrap(), [solution_id]);
    assert_eq!(store.snapshots_of(solution_id).await.unwrap(), []);
    let seen = store.policy_versions(solution_id).await.unwrap();
    let attempts = (0..6).map(|n| {
        let (store, seen, act) = (store.clone(), seen.clone(), act.clone());
        let snapshot = triggered(70 + n);
        tokio::spawn(async move {
            store
                .insert_triggered_snapshot(&snapshot, &content(), &seen, &act)
                .await
                .unwrap()
        })
    });
    let mut taken = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        taken += u32::from(attempt.await.unwrap());
    }
    assert_eq!(taken, 1);
    assert_eq!(store.solutions_changed().await.unwrap(), []);
    assert_eq!(store.snapshots_of(solution_id).await.unwrap().len(), 1);
}

async fn approved_once_and_frozen_once(house: House) {
    let store = &house.store;
    let made = taken(&house, solution(&house, "one", 0).await, 1).await;
    assert!(!store.verify_snapshot(made.id).await.unwrap());
    let approved = store
        .approve_snapshot(made.id, &house.act(5))
        .await
        .unwrap();
    let expected = Snapshot {
        approved_at: Some(at(5)),
        approved_by: Some(house.account.id),
        updated_at: at(5),
        ..made.clone()
    };
    assert_eq!(approved, expected);
    assert_eq!(store.get_snapshot(made.id).await.unwrap(), expected);
    assert_refused(
        store.approve_snapshot(made.id, &house.act(6)).await,
        "invalid_transition",
    );
    let frozen = store.freeze_snapshot(made.id, &house.act(7)).await.unwrap();
    let expected = Snapshot {
        frozen: true,
        digest: Some(expected.digest_with(&content().to_string())),
        updated_at: at(7),
        ..expected
    };
    assert_eq!(frozen, expected);
    for second in [8, 9] {
        let act = house.act(second);
        assert_refused(
            store.freeze_snapshot(made.id, &act).await,
            "snapshot_frozen",
        );
        assert_refused(
            store.approve_snapshot(made.id, &act).await,
            "snapshot_frozen",
        );
    }
    assert_eq!(store.get_snapshot(made.id).await.unwrap(), frozen);
    assert!(store.verify_snapshot(made.id).await.unwrap());
    let lines = told(&house, made.id).await;
    let actions: Vec<&str> = lines.iter().map(|line| line.action.as_str()).collect();
    let expected =
        ["create", "approve", "freeze"].map(|verb| format!("compliance_snapshot.{verb}"));
    assert_eq!(actions, expected);
    let after = lines[2].after.as_ref().unwrap();
    assert_eq!(after["digest"], json!(frozen.digest));
    assert_eq!(lines[2].before, Some(json!(approved)));
    // One that nobody approved can be frozen, too.
    let plain = taken(&house, made.solution_id, 20).await;
    store
        .freeze_snapshot(plain.id, &house.act(21))
        .await
        .unwrap();
    assert!(store.verify_snapshot(plain.id).await.unwrap());
}

async fn of_freezing_at_the_same_time_one_succeeds(house: House) {
    let made = taken(&house, solution(&house, "one", 0).await, 1).await;
    let attempts = (0..8).map(|n| {
        let (store, act) = (house.store.clone(), house.act(10 + n));
        tokio::spawn(async move { store.freeze_snapshot(made.id, &act).await })
    });
    let mut won = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(frozen) => won.push(frozen),
            refused => assert_refused(refused, "snapshot_frozen"),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(house.store.get_snapshot(made.id).await.unwrap(), won[0]);
    assert!(house.store.verify_snapshot(made.id).await.unwrap());
}

async fn approval_at_the_same_time_is_frozen_whole_or_refused(house: House) {
    let solution_id = solution(&house, "one", 0).await;
    for n in 0..8 {
        let made = taken(&house, solution_id, n).await;
        let (store, act) = (house.store.clone(), house.act(10 + n));
        let approval = tokio::spawn(async move { store.approve_snapshot(made.id, &act).await });
        let (store, act) = (house.store.clone(), house.act(20 + n));
        let freezing = tokio::spawn(async move { store.freeze_snapshot(made.id, &act).await });
        let (approved, frozen) = (approval.await.unwrap(), freezing.await.unwrap().unwrap());
        assert_eq!(frozen.approved_at.is_some(), approved.is_ok());
        if approved.is_err() {
            assert_refused(approved, "snapshot_frozen");
        }
        assert_eq!(house.store.get_snapshot(made.id).await.unwrap(), frozen);
        assert!(house.store.verify_snapshot(made.id).await.unwrap());
    }
}

async fn frozen_snapshot_cannot_be_changed_by_anything(house: House) {
    let solution_id = solution(&house, "one", 0).await;
    let open = taken(&house, solution_id, 1).await;
    let made = taken(&house, solution_id, 2).await;
    let frozen = house
        .store
        .freeze_snapshot(made.id, &house.act(3))
        .await
        .unwrap();
    let account = sql(&house, house.account.id);
    let time = sql_time(at(9));
    for change in [
        "frozen = FALSE".to_owned(),
        "score = 100".to_owned(),
        "non_compliant_policies = 0".to_owned(),
        "content = '{}'".to_owned(),
        "digest = NULL".to_owned(),
        "updated_at = updated_at".to_owned(),
        format!("approved_at = {time}, approved_by = {account}"),
    ] {
        let update = |id: SnapshotId| {
            let id = sql(&house, id.0);
            format!("UPDATE compliance_snapshots SET {change} WHERE id = {id}")
        };
        let refused = raw(&house, &update(frozen.id)).await.unwrap_err();
        assert!(
            refused.to_string().contains("never changed"),
            "{change}: {refused}"
        );
        assert_eq!(raw(&house, &update(open.id)).await.unwrap(), 1, "{change}");
    }
    assert_eq!(house.store.get_snapshot(made.id).await.unwrap(), frozen);
    assert!(house.store.verify_snapshot(made.id).await.unwrap());
}

async fn what_was_tampered_with_is_found(house: House) {
    let store = &house.store;
    let solution_id = solution(&house, "one", 0).await;
    let other = solution(&house, "other", 0).await;
    let account = sql(&house, house.account.id);
    let time = sql_time(at(9));
    let changes = [
        "score = 94.6".to_owned(),
        "total_policies = 13".to_owned(),
        "compliant_policies = 12".to_owned(),
        "non_compliant_policies = 0".to_owned(),
        "snapshot_type = 'scheduled'".to_owned(),
        "content = replace(content, 'TLS', 'TLT')".to_owned(),
        "content = content || ' '".to_owned(),
        "digest = NULL".to_owned(),
        "digest = replace(digest, 'a', 'b') || '0'".to_owned(),
        "frozen = FALSE".to_owned(),
        format!("solution_id = {}", sql(&house, other.0)),
        format!("approved_at = {time}"),
        format!("approved_by = {account}"),
        format!("created_at = {time}"),
    ];
    let mut frozen = Vec::new();
    for n in 0..=changes.len() {
        let made = taken(&house, solution_id, n as i64).await;
        store
            .freeze_snapshot(made.id, &house.act(100))
            .await
            .unwrap();
        frozen.push(made.id);
    }
    let untouched = frozen.pop().unwrap();
    let drop = match house.url.starts_with("sqlite:") {
        true => "DROP TRIGGER compliance_snapshots_stay_frozen",
        false => "DROP TRIGGER compliance_snapshots_stay_frozen ON compliance_snapshots",
    };
    raw(&house, drop).await.unwrap();
    for (id, change) in frozen.into_iter().zip(changes) {
        assert!(store.verify_snapshot(id).await.unwrap(), "{change}");
        let literal = sql(&house, id.0);
        let update = format!("UPDATE compliance_snapshots SET {change} WHERE id = {literal}");
        assert_eq!(raw(&house, &update).await.unwrap(), 1, "{change}");
        assert!(!store.verify_snapshot(id).await.unwrap(), "{change}");
    }
    assert!(store.verify_snapshot(untouched).await.unwrap());
}

async fn organisation_has_an_owner(house: House) {
    let owner = house.account.id;
    assert_eq!(house.store.organization_owner().await.unwrap(), owner);
    // Of several owners the one who was there first.
    house.join("admin@example.com", ADMIN).await;
    house.join("late@example.com", OWNER).await;
    house.other_workspace().await;
    assert_eq!(house.store.organization_owner().await.unwrap(), owner);
}
