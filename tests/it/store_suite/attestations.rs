//! Attestations: what is certified, until it ends or is taken back.

use syncguard::compliance::{
    Attestation, AttestationId, AttestationType, Evidence, Page, SnapshotId, SolutionId, Sort,
    TypeCounts,
};
use syncguard::store::{AttestationFilter, AuditFilter};

use super::compliance_history::Taken;
use super::*;

on_both_databases!(
    attestations_read_back_and_belong_to_their_snapshot,
    attestation_is_of_a_snapshot_that_is_there,
    attestation_is_taken_back_while_it_holds,
    of_many_revocations_one_wins,
    summary_counts_at_the_very_ends,
    attestation_goes_with_its_solution,
);

impl House {
    /// A solution with one snapshot.
    async fn snapshot(&self, name: &str) -> (SolutionId, SnapshotId) {
        let solution = self.bare_solution(name).await;
        let taken = Taken::at(solution, at(1), 945, 12, 11);
        self.take(&[taken]).await;
        (solution, taken.id)
    }

    fn attestation(&self, of: (SolutionId, SnapshotId), second: i64) -> Attestation {
        Attestation {
            id: AttestationId(Uuid::now_v7()),
            solution_id: of.0,
            snapshot_id: of.1,
            attestation_type: AttestationType::Iso27001,
            attested_by: self.account.id,
            attested_at: at(second),
            evidence: Evidence::default(),
            expiration: None,
            revoked_at: None,
            revoked_by: None,
            revocation_reason: None,
            created_at: at(second),
            updated_at: at(second),
        }
    }

    async fn attest(&self, attestation: &Attestation) {
        let act = self.act(2);
        let saved = self.store.insert_attestation(attestation, &act).await;
        saved.unwrap();
    }
}

fn page(limit: u32, offset: u64) -> Page {
    let sort = Sort {
        field: "createdAt",
        descending: true,
    };
    Page {
        limit,
        offset,
        sort,
    }
}

async fn attestations_read_back_and_belong_to_their_snapshot(house: House) {
    let store = &house.store;
    let (of, other) = (house.snapshot("a").await, house.snapshot("b").await);
    let first = Attestation {
        attestation_type: AttestationType::Soc2,
        evidence: Evidence {
            document_url: Some("https://example.com/\u{e9}".to_owned()),
            notes: Some("notes".to_owned()),
        },
        expiration: Some(at(100)),
        ..house.attestation(of, 3)
    };
    let second = house.attestation(of, 4);
    let elsewhere = house.attestation(other, 5);
    for attestation in [&second, &first, &elsewhere] {
        house.attest(attestation).await;
        let read = store.get_attestation(attestation.id).await.unwrap();
        assert_eq!(&read, attestation);
    }
    let of_solution = store.attestations_of(of.0).await.unwrap();
    assert_eq!(of_solution, [first.clone(), second.clone()]);
    let all = AttestationFilter::default();
    let listed = store.list_attestations(&all, page(2, 0)).await.unwrap();
    assert_eq!(listed.total, 3);
    assert_eq!(listed.data, [elsewhere.clone(), second.clone()]);
    let listed = store.list_attestations(&all, page(2, 2)).await.unwrap();
    assert_eq!((listed.total, listed.data), (3, vec![first.clone()]));
    let own = AttestationFilter {
        solution_id: Some(of.0),
        snapshot_id: Some(of.1),
        attestation_type: Some(AttestationType::Soc2),
        revoked: Some(false),
    };
    let listed = store.list_attestations(&own, page(9, 0)).await.unwrap();
    assert_eq!((listed.total, listed.data), (1, vec![first]));
    let unknown = AttestationId(Uuid::now_v7());
    assert_not_found(store.get_attestation(unknown).await, "attestation");
}

async fn attestation_is_of_a_snapshot_that_is_there(house: House) {
    let (store, act) = (&house.store, house.act(2));
    let (of, other) = (house.snapshot("a").await, house.snapshot("b").await);
    for of in [
        (of.0, SnapshotId(Uuid::now_v7())),
        (other.0, of.1),
        (SolutionId(Uuid::now_v7()), of.1),
    ] {
        let stray = house.attestation(of, 3);
        assert_not_found(store.insert_attestation(&stray, &act).await, "snapshot");
        assert_not_found(store.get_attestation(stray.id).await, "attestation");
    }
}

#[track_caller]
fn assert_not_active<T: std::fmt::Debug>(result: Result<T, StoreError>, because: &str) {
    match result {
        Err(StoreError::Refused { code, message })
            if code == "attestation_not_active" && message.contains(because) => {}
        other => panic!("expected a refusal about {because}, got {other:?}"),
    }
}

async fn attestation_is_taken_back_while_it_holds(house: House) {
    let store = &house.store;
    let of = house.snapshot("a").await;
    let made = Attestation {
        expiration: Some(at(100)),
        ..house.attestation(of, 3)
    };
    house.attest(&made).await;
    assert_eq!(store.get_attestation(made.id).await.unwrap(), made);
    let act = house.act(99);
    let revoked = store.revoke_attestation(made.id, Some("a gap"), &act).await;
    let expected = Attestation {
        revoked_at: Some(at(99)),
        revoked_by: Some(house.account.id),
        revocation_reason: Some("a gap".to_owned()),
        updated_at: at(99),
        ..made.clone()
    };
    assert_eq!(revoked.unwrap(), expected);
    for second in [99, 200] {
        let act = house.act(second);
        let again = store.revoke_attestation(made.id, None, &act);
        assert_not_active(again.await, "revoked before");
    }
    assert_eq!(store.get_attestation(made.id).await.unwrap(), expected);
    let unknown = AttestationId(Uuid::now_v7());
    let unknown = store.revoke_attestation(unknown, None, &act).await;
    assert_not_found(unknown, "attestation");

    let filter = AuditFilter {
        object_kind: Some("attestation".to_owned()),
        ..AuditFilter::default()
    };
    let lines = store.list_audit(None, &filter, 0, 10).await.unwrap();
    let lines: Vec<Value> = lines
        .iter()
        .map(|(_, link)| serde_json::from_str(link.line.get()).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["action"], "attestation.create");
    assert_eq!(lines[0]["after"], json!(made));
    assert_eq!(lines[1]["action"], "attestation.revoke");
    assert_eq!(lines[1]["before"], json!(made));
    assert_eq!(lines[1]["after"], json!(expected));
}

async fn of_many_revocations_one_wins(house: House) {
    let of = house.snapshot("a").await;
    let made = house.attestation(of, 3);
    house.attest(&made).await;
    let attempts = (0..8).map(|i| {
        let (store, act, id) = (house.store.clone(), house.act(10 + i), made.id);
        tokio::spawn(async move { store.revoke_attestation(id, None, &act).await })
    });
    let mut won = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(revoked) => won.push(revoked),
            lost => assert_not_active(lost, "revoked before"),
        }
    }
    let now = house.store.get_attestation(made.id).await.unwrap();
    assert_eq!(won, [now]);
}

async fn summary_counts_at_the_very_ends(house: House) {
    let (store, month) = (&house.store, 30 * 24 * 60 * 60);
    let of = house.snapshot("a").await;
    let empty = store.attestation_summary(at(0)).await.unwrap();
    assert_eq!((empty.total, &empty.by_type), (0, &TypeCounts::default()));
    for (kind, end) in [
        (AttestationType::Soc2, None),
        (AttestationType::Hipaa, Some(100)),
        (AttestationType::Hipaa, Some(100 + month)),
        (AttestationType::Custom, Some(50)),
    ] {
        let attestation = Attestation {
            attestation_type: kind,
            expiration: end.map(at),
            ..house.attestation(of, 3)
        };
        house.attest(&attestation).await;
        if kind == AttestationType::Custom {
            let act = house.act(4);
            let revoked = store.revoke_attestation(attestation.id, None, &act);
            revoked.await.unwrap();
        }
    }
    // Second; active, revoked, expired and expiring.
    for (second, expected) in [
        (4, [3, 1, 0, 1]),
        (60, [3, 1, 0, 1]),
        (99, [3, 1, 0, 1]),
        (100, [2, 1, 1, 1]),
        (99 + month, [2, 1, 1, 1]),
        (100 + month, [1, 1, 2, 0]),
    ] {
        let summary = store.attestation_summary(at(second)).await.unwrap();
        let found = [
            summary.active,
            summary.revoked,
            summary.expired,
            summary.expiring,
        ];
        assert_eq!(found, expected, "{second}");
        assert_eq!(summary.total, 4);
        assert_eq!(summary.generated_at, at(second));
        let by_type = TypeCounts {
            soc2: 1,
            hipaa: 2,
            custom: 1,
            ..TypeCounts::default()
        };
        assert_eq!(summary.by_type, by_type);
    }
}

async fn attestation_goes_with_its_solution(house: House) {
    let of = house.snapshot("a").await;
    let made = house.attestation(of, 3);
    house.attest(&made).await;
    raw(&house, "DELETE FROM compliance_solutions")
        .await
        .unwrap();
    let gone = house.store.get_attestation(made.id).await;
    assert_not_found(gone, "attestation");
}
