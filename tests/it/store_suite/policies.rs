//! Revisions: one change at a time, whole or not at all.

use syncguard::store::AuditFilter;

use super::*;

on_both_databases!(
    commit_makes_the_next_revision,
    commit_against_an_old_revision_is_stale,
    failed_commit_changes_nothing,
    concurrent_commits_leave_one_winner_per_revision,
    policy_set_is_never_torn,
);

async fn commit_makes_the_next_revision(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let first = policy(&house, "late");
    assert_eq!(house.commit(create(&first), 2).await.unwrap(), 3);
    let policy = DestinationPolicy {
        enabled: false,
        parent_model_id: None,
        ..first.clone()
    };
    let update = Edit::update(Arc::new(first.clone()), policy.clone());
    let update = Change::DestinationPolicy(update);
    assert_eq!(house.commit(update.clone(), 3).await.unwrap(), 4);
    let demand = Change::RequireDestinationPolicy {
        before: false,
        after: true,
    };
    assert_eq!(house.commit(demand.clone(), 4).await.unwrap(), 5);
    let set = store.policy_set(ws).await.unwrap();
    assert_eq!((set.revision, set.require_destination_policy), (5, true));
    let expected = [(policy.id, Arc::new(policy.clone()))];
    assert_eq!(set.destination_policies, expected.into());
    let delete = delete(&policy);
    assert_eq!(house.commit(delete.clone(), 5).await.unwrap(), 6);
    assert_not_found(house.commit(delete.clone(), 6).await, "policy");
    let model = Model {
        query: ModelQuery::Table("customers".to_owned()),
        primary_key: vec!["id".to_owned(), "seen".to_owned()],
        updated_at: at(8),
        ..house.model.clone()
    };
    let before = Arc::new(house.model.clone());
    let remodel = Change::Model(Edit::update(before, model.clone()));
    assert_eq!(house.commit(remodel.clone(), 6).await.unwrap(), 7);
    assert_eq!(store.get_model(ws, model.id).await.unwrap(), model);
    assert_eq!(store.revision(ws).await.unwrap(), 7);
    let revisions = store.list_revisions(ws, None, 100).await.unwrap();
    let numbers: Vec<_> = revisions.iter().map(|made| made.revision).collect();
    assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1]);
    let made = [
        Some(remodel),
        Some(delete),
        Some(demand),
        Some(update),
        Some(create(&first)),
        Some(Change::Model(Edit::create(house.model.clone()))),
        None,
    ];
    for (committed, change) in revisions.iter().zip(made) {
        let expected: Vec<Value> = change.iter().map(Change::document).collect();
        assert_eq!(committed.changes, expected, "{}", committed.revision);
        assert_eq!(committed.author_id, house.account.id);
    }
    assert_eq!(
        revisions[4].changes[0]["after"]["filter_tree"],
        *first.filter_tree.json()
    );
    assert_eq!(revisions[0].created_at, at(5));
}

async fn commit_against_an_old_revision_is_stale(house: House) {
    let policy = policy(&house, "late");
    for expected in [0, 1, 3] {
        assert_stale(house.commit(create(&policy), expected).await);
    }
    let set = house.store.policy_set(house.workspace.id).await.unwrap();
    assert_eq!((set.revision, set.destination_policies.len()), (2, 0));
}

async fn failed_commit_changes_nothing(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let before = store.policy_set(ws).await.unwrap();
    let all = AuditFilter::default();
    let lines = store.list_audit(Some(ws), &all, 0, 1000).await.unwrap();
    let stray = DestinationPolicy {
        parent_model_id: Some(Uuid::now_v7()),
        ..policy(&house, "x")
    };
    assert_not_found(house.commit(create(&stray), 2).await, "model");
    // The first change of the two is written already when the second fails.
    let changes = [create(&policy(&house, "late")), create(&stray)];
    assert_not_found(house.commit_all(&changes, 2).await, "model");
    let nobody = Act::on_behalf_of(Uuid::now_v7(), at(5));
    let unknown = store.commit(ws, &changes[..1], 2, &nobody).await;
    assert!(
        matches!(unknown, Err(StoreError::Corrupt(_))),
        "{unknown:?}"
    );
    assert_eq!(store.policy_set(ws).await.unwrap(), before);
    assert_eq!(store.list_revisions(ws, None, 100).await.unwrap().len(), 2);
    let now = store.list_audit(Some(ws), &all, 0, 1000).await.unwrap();
    assert_eq!(now.len(), lines.len());
    assert!(!lines.is_empty());
}

async fn concurrent_commits_leave_one_winner_per_revision(house: House) {
    let house = Arc::new(house);
    let authors = (0..8).map(|n| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let change = create(&policy(&house, &format!("policy {n}")));
            let mut expected = 2;
            loop {
                match house.commit(change.clone(), expected).await {
                    Ok(revision) => return revision,
                    Err(StoreError::Stale) => {
                        expected = house.store.revision(house.workspace.id).await.unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let mut revisions = BTreeSet::new();
    for author in authors.collect::<Vec<_>>() {
        revisions.insert(author.await.unwrap());
    }
    assert_eq!(revisions, BTreeSet::from_iter(3..=10));
    let set = house.store.policy_set(house.workspace.id).await.unwrap();
    assert_eq!((set.revision, set.destination_policies.len()), (10, 8));
}

async fn policy_set_is_never_torn(house: House) {
    let (store, ws) = (house.store.clone(), house.workspace.id);
    let reader = tokio::spawn(async move {
        loop {
            let set = store.policy_set(ws).await.unwrap();
            let policies = set.destination_policies.len() as u64;
            assert_eq!(policies, set.revision - 2, "each revision added one policy");
            if policies == 20 {
                break;
            }
        }
    });
    for n in 0..20 {
        house
            .commit(create(&policy(&house, &format!("policy {n}"))), n + 2)
            .await
            .unwrap();
    }
    reader.await.unwrap();
}
