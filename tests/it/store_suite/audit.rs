//! The audit log: appended, filtered, refused to be changed, and found where it was.

use syncguard::audit::{Chain, Event, Line, Link, Report, Verifier, hash};
use syncguard::principal::Act;
use syncguard::store::AuditFilter;

use super::*;

on_both_databases!(
    lines_say_what_was_recorded_and_are_linked,
    chains_do_not_mix,
    filters_find_their_lines,
    pages_follow_each_other,
    concurrent_appends_make_one_chain,
    growing_chain_is_whole_at_any_time,
    lines_cannot_be_changed_or_removed,
    everything_that_was_tampered_with_is_found,
);

fn act(second: i64) -> Act {
    Act {
        account_id: Uuid::from_u128(1),
        key_id: Some(Uuid::from_u128(2)),
        request_id: Some(format!("request-{second}")),
        at: at(second),
    }
}

fn event(action: &'static str) -> Event {
    Event {
        action: action.to_owned(),
        object_kind: "probe",
        object_id: Some(Uuid::from_u128(3)),
        revision: Some(4),
        before: Some(json!({"name": "first"})),
        after: Some(json!({"name": "second", "big": 9007199254740993_u64, "nothing": null})),
    }
}

/// A chain with this many lines, of a workspace that nothing else writes of.
async fn chain(house: &House, length: i64) -> Uuid {
    let id = Uuid::now_v7();
    for second in 1..=length {
        house
            .store
            .record(Some(id), &act(second), &event("probe.update"))
            .await
            .unwrap();
    }
    id
}

async fn lines(house: &House, id: Uuid, filter: &AuditFilter) -> Vec<Line> {
    let links = house
        .store
        .list_audit(Some(id), filter, 0, 1000)
        .await
        .unwrap();
    links.iter().map(|(_, link)| read(link)).collect()
}

fn read(link: &Link) -> Line {
    serde_json::from_str(link.line.get()).unwrap()
}

async fn verify(house: &House, id: Uuid) -> Report {
    let chain = Chain::Workspace(id).to_string();
    house
        .store
        .verify_audit(&chain, BTreeSet::new())
        .await
        .unwrap()
}

async fn without_triggers(house: &House) {
    let drops: &[&str] = if house.url.starts_with("sqlite:") {
        &[
            "DROP TRIGGER audit_lines_not_changed",
            "DROP TRIGGER audit_lines_not_removed",
        ]
    } else {
        &["DROP TRIGGER audit_lines_stay ON audit_lines"]
    };
    for drop in drops {
        raw(house, drop).await.unwrap();
    }
}

async fn lines_say_what_was_recorded_and_are_linked(house: House) {
    let id = chain(&house, 2).await;
    let bare = Event {
        action: "probe.delete".to_owned(),
        object_kind: "probe",
        object_id: None,
        revision: None,
        before: None,
        after: None,
    };
    let nobody = Act {
        key_id: None,
        request_id: None,
        // Nanoseconds are more than the databases hold.
        at: at(3) + TimeDelta::nanoseconds(7),
        ..act(3)
    };
    house.store.record(Some(id), &nobody, &bare).await.unwrap();
    let filter = AuditFilter::default();
    let links = house
        .store
        .list_audit(Some(id), &filter, 0, 10)
        .await
        .unwrap();
    let mut previous = Chain::Workspace(id).origin();
    for (at, (seq, link)) in links.iter().enumerate() {
        assert_eq!(*seq, at as u64 + 1);
        assert_eq!(link.previous, previous);
        assert_eq!(link.hash, hash(&previous, link.line.get()));
        previous.clone_from(&link.hash);
    }
    let (written, told) = (event("probe.update"), act(1));
    let expected = Line {
        seq: 1,
        at: told.at,
        workspace_id: Some(id),
        account_id: told.account_id,
        key_id: told.key_id,
        request_id: told.request_id,
        action: written.action,
        object_kind: written.object_kind.to_owned(),
        object_id: written.object_id,
        revision: written.revision,
        before: written.before,
        after: written.after,
    };
    assert_eq!(read(&links[0].1), expected);
    let last = read(&links[2].1);
    assert_eq!((last.seq, last.at), (3, at(3)));
    assert_eq!((last.key_id, last.request_id), (None, None));
    assert_eq!((last.object_id, last.revision), (None, None));
    assert_eq!((last.before, last.after), (None, None));
    let noted = BTreeSet::from([links[1].1.hash.clone(), "0".repeat(64)]);
    let name = Chain::Workspace(id).to_string();
    let report = house.store.verify_audit(&name, noted).await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.chain, report.lines), (name, 3));
    assert_eq!(report.head.as_ref(), Some(&links[2].1.hash));
    assert_eq!(report.met, BTreeSet::from([links[1].1.hash.clone()]));
}

async fn chains_do_not_mix(house: House) {
    let one = chain(&house, 2).await;
    let other = chain(&house, 3).await;
    house
        .store
        .record(None, &act(9), &event("probe.organisation"))
        .await
        .unwrap();
    let all = AuditFilter::default();
    assert_eq!(lines(&house, one, &all).await.len(), 2);
    let found = lines(&house, other, &all).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|line| line.workspace_id == Some(other)));
    let organisation = house.store.list_audit(None, &all, 0, 1000).await.unwrap();
    let last = read(&organisation.last().unwrap().1);
    assert_eq!(
        (last.workspace_id, last.action.as_str()),
        (None, "probe.organisation")
    );
    assert_eq!(lines(&house, Uuid::now_v7(), &all).await, []);
    let chains = house.store.list_audit_chains().await.unwrap();
    for chain in [
        Chain::Organisation,
        Chain::Workspace(one),
        Chain::Workspace(other),
    ] {
        assert!(chains.contains(&chain.to_string()), "{chain} in {chains:?}");
    }
    for chain in chains {
        let report = house.store.verify_audit(&chain, BTreeSet::new()).await;
        assert!(report.unwrap().is_whole(), "{chain}");
    }
}

async fn filters_find_their_lines(house: House) {
    let id = Uuid::now_v7();
    let other = Uuid::from_u128(77);
    let events = [
        (1, event("role.create")),
        (2, event("role.update")),
        (
            3,
            Event {
                revision: Some(5),
                ..event("role_x.update")
            },
        ),
        (
            4,
            Event {
                object_id: Some(other),
                ..event("run.finish")
            },
        ),
        (
            5,
            Event {
                object_kind: "other",
                object_id: None,
                ..event("role.")
            },
        ),
    ];
    for (second, event) in events {
        let mut act = act(second);
        if second == 2 {
            act.account_id = other;
        }
        house.store.record(Some(id), &act, &event).await.unwrap();
    }
    let none = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (none(), vec![1, 2, 3, 4, 5]),
        (
            AuditFilter {
                action: text("role.create"),
                ..none()
            },
            vec![1],
        ),
        (
            AuditFilter {
                action: text("role."),
                ..none()
            },
            vec![1, 2, 5],
        ),
        (
            AuditFilter {
                action: text("role"),
                ..none()
            },
            vec![],
        ),
        (
            AuditFilter {
                object_kind: text("probe"),
                ..none()
            },
            vec![1, 2, 3, 4],
        ),
        (
            AuditFilter {
                object_id: Some(other),
                ..none()
            },
            vec![4],
        ),
        (
            AuditFilter {
                account_id: Some(other),
                ..none()
            },
            vec![2],
        ),
        (
            AuditFilter {
                revision: Some(5),
                ..none()
            },
            vec![3],
        ),
        (
            AuditFilter {
                from: Some(at(3)),
                ..none()
            },
            vec![3, 4, 5],
        ),
        (
            AuditFilter {
                to: Some(at(3)),
                ..none()
            },
            vec![1, 2],
        ),
        (
            AuditFilter {
                from: Some(at(2)),
                to: Some(at(4)),
                ..none()
            },
            vec![2, 3],
        ),
        (
            AuditFilter {
                action: text("role."),
                from: Some(at(2)),
                ..none()
            },
            vec![2, 5],
        ),
    ];
    for (filter, expected) in cases {
        let found = lines(&house, id, &filter).await;
        let found: Vec<_> = found.iter().map(|line| line.seq).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn pages_follow_each_other(house: House) {
    let id = chain(&house, 7).await;
    let (mut after, mut pages) = (0, Vec::new());
    loop {
        let filter = AuditFilter::default();
        let page = house
            .store
            .list_audit(Some(id), &filter, after, 3)
            .await
            .unwrap();
        let Some((last, _)) = page.last() else { break };
        after = *last;
        pages.push(page.iter().map(|(seq, _)| *seq).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    let filter = AuditFilter::default();
    let beyond = house.store.list_audit(Some(id), &filter, u64::MAX, 3).await;
    assert!(beyond.unwrap().is_empty());
}

/// Records lines in several tasks at once.
fn writers(house: &House, id: Uuid, lines_each: i64) -> Vec<tokio::task::JoinHandle<()>> {
    let write = |writer: i64| {
        let store = house.store.clone();
        tokio::spawn(async move {
            for at in 0..lines_each {
                let act = act(writer * 1000 + at);
                store
                    .record(Some(id), &act, &event("probe.update"))
                    .await
                    .unwrap();
            }
        })
    };
    (0..6).map(write).collect()
}

async fn concurrent_appends_make_one_chain(house: House) {
    // Several chains, because the first line of each has a race of its own.
    for _ in 0..5 {
        let id = Uuid::now_v7();
        for writer in writers(&house, id, 10) {
            writer.await.unwrap();
        }
        let report = verify(&house, id).await;
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.lines, 60);
    }
}

async fn growing_chain_is_whole_at_any_time(house: House) {
    let id = chain(&house, 1).await;
    let writers = writers(&house, id, 40);
    let mut seen = Vec::new();
    while !writers.iter().all(|writer| writer.is_finished()) {
        let report = verify(&house, id).await;
        assert!(report.is_whole(), "{report:?}");
        seen.push(report.lines);
    }
    assert!(seen.is_sorted(), "{seen:?}");
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(verify(&house, id).await.lines, 241);
}

async fn lines_cannot_be_changed_or_removed(house: House) {
    let id = chain(&house, 2).await;
    let mut statements = vec![
        "UPDATE audit_lines SET line = 'x'",
        "UPDATE audit_lines SET action = 'x' WHERE seq = 2",
        "DELETE FROM audit_lines WHERE seq = 2",
        "DELETE FROM audit_lines",
    ];
    if house.url.starts_with("sqlite:") {
        statements.push("INSERT OR REPLACE INTO audit_lines SELECT * FROM audit_lines");
    } else {
        statements.push("TRUNCATE audit_lines");
    }
    for statement in statements {
        let error = raw(&house, statement).await.unwrap_err().to_string();
        assert!(
            error.contains("audit lines are never"),
            "{statement}: {error}"
        );
    }
    let report = verify(&house, id).await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.lines, 2);
}

async fn everything_that_was_tampered_with_is_found(house: House) {
    without_triggers(&house).await;
    // What is done to a chain of three lines, and the first place that is found.
    let cases = [
        (
            "UPDATE audit_lines SET line = replace(line, 'first', 'forst')",
            2,
            2,
        ),
        ("UPDATE audit_lines SET line = 'no JSON'", 2, 2),
        ("UPDATE audit_lines SET hash = previous", 2, 2),
        ("UPDATE audit_lines SET previous = hash", 2, 2),
        ("UPDATE audit_lines SET action = 'probe.other'", 2, 2),
        ("UPDATE audit_lines SET object_kind = 'other'", 2, 2),
        ("UPDATE audit_lines SET object_id = NULL", 2, 2),
        ("UPDATE audit_lines SET object_id = account_id", 2, 2),
        ("UPDATE audit_lines SET account_id = object_id", 2, 2),
        ("UPDATE audit_lines SET revision = 99", 2, 2),
        ("UPDATE audit_lines SET revision = NULL", 2, 2),
        (
            "UPDATE audit_lines SET created_at = (SELECT min(created_at) FROM workspaces)",
            2,
            2,
        ),
        ("UPDATE audit_lines SET seq = 100", 1, 1),
        ("UPDATE audit_lines SET seq = -1", 3, 1),
        ("DELETE FROM audit_lines", 1, 1),
        ("DELETE FROM audit_lines", 2, 2),
        ("DELETE FROM audit_lines", 3, 3),
        ("DELETE FROM audit_heads", 3, 4),
        ("UPDATE audit_heads SET seq = 2", 3, 3),
        ("UPDATE audit_heads SET hash = 'other'", 3, 3),
    ];
    for (change, at, expected) in cases {
        let id = chain(&house, 3).await;
        let name = Chain::Workspace(id);
        let sql = format!("{change} WHERE chain = '{name}' AND seq = {at}");
        assert_eq!(raw(&house, &sql).await.unwrap(), 1, "{sql}");
        let report = verify(&house, id).await;
        let first = report.broken.first().map(|broken| broken.seq);
        assert_eq!(first, Some(expected), "{sql}: {report:?}");
    }
    // Values that cannot even be read do not hide what comes after them.
    if house.url.starts_with("sqlite:") {
        let id = chain(&house, 3).await;
        let name = Chain::Workspace(id);
        for (set, at) in [
            ("created_at = 'soon', account_id = x'00'", 1),
            ("line = '?'", 3),
        ] {
            let sql = format!("UPDATE audit_lines SET {set} WHERE chain = '{name}' AND seq = {at}");
            raw(&house, &sql).await.unwrap();
        }
        let report = verify(&house, id).await;
        let found: Vec<_> = report.broken.iter().map(|broken| broken.seq).collect();
        assert_eq!(found, [1, 1, 3], "{report:?}");
    }
    // A chain under another name is none, and the rest of its lines are missed where they were.
    let id = chain(&house, 1).await;
    let name = Chain::Workspace(id);
    for table in ["audit_lines", "audit_heads"] {
        let sql = format!("UPDATE {table} SET chain = 'nowhere' WHERE chain = '{name}'");
        raw(&house, &sql).await.unwrap();
    }
    let nowhere = house.store.verify_audit("nowhere", BTreeSet::new()).await;
    assert!(!nowhere.unwrap().is_whole());
}

#[tokio::test]
async fn store_that_is_opened_to_read_cannot_be_changed_and_is_not_made() {
    let (_folder, path) = temporary_folder();
    let sqlite = format!("sqlite:{}", path.join("store.db").display());
    for url in [sqlite, fresh_postgres().await] {
        if url.starts_with("sqlite:") {
            let error = Store::open_to_read(&url).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            assert!(!path.join("store.db").exists());
        }
        let house = House::at(&url).await;
        let id = chain(&house, 2).await;
        let reader = Store::open_to_read(&url).await.unwrap();
        let refused = reader
            .record(Some(id), &act(3), &event("probe.update"))
            .await;
        assert!(refused.is_err());
        let name = Chain::Workspace(id).to_string();
        let report = reader.verify_audit(&name, BTreeSet::new()).await.unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.lines, 2);
        // It can be read while others write, and sees what they write.
        house
            .store
            .record(Some(id), &act(3), &event("probe.update"))
            .await
            .unwrap();
        let links = reader
            .list_audit(Some(id), &AuditFilter::default(), 0, 10)
            .await
            .unwrap();
        let mut verifier = Verifier::of(Chain::Workspace(id), BTreeSet::new());
        for (_, link) in &links {
            verifier.feed_exported(&serde_json::to_vec(link).unwrap());
        }
        let report = verifier.finish();
        assert!(report.is_whole() && report.lines == 3, "{report:?}");
    }
}
