//! Revisions: one change at a time, whole or not at all.

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
    let mut policy = policy(&house, "late");
    assert_eq!(house.commit(put(&policy), 2).await.unwrap(), 3);
    policy.enabled = false;
    policy.parent_model_id = None;
    assert_eq!(house.commit(put(&policy), 3).await.unwrap(), 4);
    assert_eq!(
        house
            .commit(Change::RequireDestinationPolicy(true), 4)
            .await
            .unwrap(),
        5
    );
    let set = store.policy_set(ws).await.unwrap();
    assert_eq!((set.revision, set.require_destination_policy), (5, true));
    assert_eq!(set.destination_policies, [policy.clone()]);
    let delete = Change::DeleteDestinationPolicy(policy.id);
    assert_eq!(house.commit(delete.clone(), 5).await.unwrap(), 6);
    assert_not_found(house.commit(delete, 6).await, "destination policy");
    let columns = vec!["id".to_owned(), "seen".to_owned()];
    let query = ModelQuery::Table("customers".to_owned());
    let model = Model {
        query,
        primary_key: columns,
        updated_at: at(8),
        ..house.model.clone()
    };
    assert_eq!(
        house
            .commit(Change::PutModel(Box::new(model.clone())), 6)
            .await
            .unwrap(),
        7
    );
    assert_eq!(store.get_model(ws, model.id).await.unwrap(), model);
    assert_eq!(store.revision(ws).await.unwrap(), 7);
    let revisions = store.list_revisions(ws).await.unwrap();
    assert_eq!(
        revisions.iter().map(|r| r.revision).collect::<Vec<_>>(),
        [7, 6, 5, 4, 3, 2, 1]
    );
    assert_eq!(revisions[3].change["filter_tree"], policy.filter_tree_json);
}

async fn commit_against_an_old_revision_is_stale(house: House) {
    let policy = policy(&house, "late");
    for expected in [0, 1, 3] {
        let stale = house.commit(put(&policy), expected).await;
        assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    }
    let set = house.store.policy_set(house.workspace.id).await.unwrap();
    assert_eq!((set.revision, set.destination_policies.len()), (2, 0));
}

async fn failed_commit_changes_nothing(house: House) {
    let before = house.store.policy_set(house.workspace.id).await.unwrap();
    let stray = DestinationPolicy {
        parent_model_id: Some(Uuid::now_v7()),
        ..policy(&house, "x")
    };
    assert_not_found(house.commit(put(&stray), 2).await, "model");
    let (id, change) = (house.workspace.id, put(&policy(&house, "late")));
    // The author is checked last, when the policy and the revision are written already.
    let unknown = house
        .store
        .commit(id, &change, Uuid::now_v7(), 2, at(5))
        .await;
    assert_not_found(unknown, "account");
    assert_eq!(house.store.policy_set(id).await.unwrap(), before);
    assert_eq!(house.store.list_revisions(id).await.unwrap().len(), 2);
}

async fn concurrent_commits_leave_one_winner_per_revision(house: House) {
    let house = Arc::new(house);
    let authors = (0..8).map(|n| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let change = put(&policy(&house, &format!("policy {n}")));
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
            .commit(put(&policy(&house, &format!("policy {n}"))), n + 2)
            .await
            .unwrap();
    }
    reader.await.unwrap();
}
