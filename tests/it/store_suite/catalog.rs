//! Sources, models, destinations and syncs: names, isolation, use, and what reads back.

use super::*;

on_both_databases!(
    taken_name_conflicts,
    name_is_free_in_another_workspace,
    foreign_object_is_not_found,
    reference_into_another_workspace_is_not_found,
    object_in_use_is_not_deleted,
    sync_is_deleted_once_its_runs_have_ended,
    catalog_reads_back_as_written,
    saved_changes_read_back,
    lists_are_in_creation_order,
);

async fn taken_name_conflicts(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let taken = "already a";
    assert_conflict(store.insert_source(&source(ws, "warehouse")).await, taken);
    assert_conflict(
        store.insert_destination(&destination(ws, "ads")).await,
        taken,
    );
    let twin = sync(
        &house.account,
        &house.model,
        &house.destination,
        &house.sync.name,
    );
    assert_conflict(store.insert_sync(&twin).await, taken);
    let twin = model(ws, &house.source, "customers");
    assert_conflict(
        house.commit(Change::PutModel(Box::new(twin)), 2).await,
        taken,
    );
    house.commit(put(&policy(&house, "late")), 2).await.unwrap();
    assert_conflict(house.commit(put(&policy(&house, "late")), 3).await, taken);
    assert_conflict(
        store
            .insert_workspace(&workspace("default"), house.account.id)
            .await,
        taken,
    );

    let other = source(ws, "other");
    store.insert_source(&other).await.unwrap();
    let renamed = Source {
        name: "warehouse".to_owned(),
        ..other
    };
    assert_conflict(store.update_source(&renamed).await, "\"warehouse\"");
    let room = house.other_workspace().await;
    assert_conflict(
        store.update_workspace_name(room.id, "default", at(9)).await,
        taken,
    );
}

async fn name_is_free_in_another_workspace(house: House) {
    let other = house.other_workspace().await;
    house
        .store
        .insert_source(&source(other.id, "warehouse"))
        .await
        .unwrap();
    house
        .store
        .insert_destination(&destination(other.id, "ads"))
        .await
        .unwrap();
}

async fn foreign_object_is_not_found(house: House) {
    let (store, other) = (&house.store, house.other_workspace().await.id);
    let (source, model) = (house.source.clone(), house.model.clone());
    let (destination, sync) = (house.destination.clone(), house.sync.clone());
    let run = house.queue(&sync, 1).await;

    assert_not_found(store.get_source(other, source.id).await, "source");
    assert_not_found(store.get_model(other, model.id).await, "model");
    assert_not_found(
        store.get_destination(other, destination.id).await,
        "destination",
    );
    assert_not_found(store.get_sync(other, sync.id).await, "sync");
    assert_not_found(store.get_run(other, run.id).await, "run");
    assert_not_found(store.cancel_run(other, run.id, at(2)).await, "run");
    assert_eq!(store.list_runs(other, sync.id).await.unwrap(), []);

    assert_not_found(store.delete_source(other, source.id).await, "source");
    assert_not_found(store.delete_model(other, model.id).await, "model");
    assert_not_found(
        store.delete_destination(other, destination.id).await,
        "destination",
    );
    assert_not_found(store.delete_sync(other, sync.id).await, "sync");

    let moved = Source {
        workspace_id: other,
        ..source
    };
    assert_not_found(store.update_source(&moved).await, "source");
    let moved = Destination {
        workspace_id: other,
        ..destination
    };
    assert_not_found(store.update_destination(&moved).await, "destination");

    let policy = policy(&house, "late");
    house.commit(put(&policy), 2).await.unwrap();
    let author = house.account.id;
    let delete = Change::DeleteDestinationPolicy(policy.id);
    assert_not_found(
        store.commit(other, &delete, author, 1, at(3)).await,
        "destination policy",
    );
    let moved = DestinationPolicy {
        workspace_id: other,
        parent_model_id: None,
        ..policy.clone()
    };
    let moved = put(&moved);
    assert_not_found(
        store.commit(other, &moved, author, 1, at(3)).await,
        "destination policy",
    );
    let own = put(&policy);
    assert_not_found(
        store.commit(other, &own, author, 1, at(3)).await,
        "destination policy",
    );
    assert_eq!(
        store
            .policy_set(house.workspace.id)
            .await
            .unwrap()
            .destination_policies,
        [policy]
    );
}

async fn reference_into_another_workspace_is_not_found(house: House) {
    let (store, other) = (&house.store, house.other_workspace().await.id);
    let author = house.account.id;
    let stray = Change::PutModel(Box::new(model(other, &house.source, "stray")));
    assert_not_found(
        store.commit(other, &stray, author, 1, at(3)).await,
        "source",
    );

    let own_source = source(other, "own");
    store.insert_source(&own_source).await.unwrap();
    let own = model(other, &own_source, "own");
    store
        .commit(
            other,
            &Change::PutModel(Box::new(own.clone())),
            author,
            1,
            at(3),
        )
        .await
        .unwrap();
    let stray = sync(&house.account, &own, &house.destination, "stray");
    assert_not_found(store.insert_sync(&stray).await, "destination");
    let own_destination = destination(other, "own");
    store.insert_destination(&own_destination).await.unwrap();
    let stray = Sync {
        workspace_id: other,
        destination_id: own_destination.id,
        ..house.sync.clone()
    };
    let stray = Sync {
        id: Uuid::now_v7(),
        ..stray
    };
    assert_not_found(store.insert_sync(&stray).await, "model");

    let stray = DestinationPolicy {
        workspace_id: other,
        ..policy(&house, "stray")
    };
    assert_not_found(
        store.commit(other, &put(&stray), author, 2, at(3)).await,
        "model",
    );
    let stray = Run {
        workspace_id: other,
        ..queued(&house.sync, 1)
    };
    assert_not_found(store.insert_run(&stray).await, "sync");
    assert_not_found(store.policy_set(Uuid::now_v7()).await, "workspace");
    assert_not_found(store.revision(Uuid::now_v7()).await, "workspace");
}

async fn object_in_use_is_not_deleted(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    house.commit(put(&policy(&house, "late")), 2).await.unwrap();
    assert_conflict(
        store.delete_source(ws, house.source.id).await,
        "model customers",
    );
    assert_conflict(
        store.delete_destination(ws, house.destination.id).await,
        "sync customers to",
    );
    let used = "destination policy late, sync customers to ads";
    assert_conflict(store.delete_model(ws, house.model.id).await, used);
    store.delete_sync(ws, house.sync.id).await.unwrap();
    store
        .delete_destination(ws, house.destination.id)
        .await
        .unwrap();
    let id = store.policy_set(ws).await.unwrap().destination_policies[0].id;
    house
        .commit(Change::DeleteDestinationPolicy(id), 3)
        .await
        .unwrap();
    store.delete_model(ws, house.model.id).await.unwrap();
    store.delete_source(ws, house.source.id).await.unwrap();
    assert_not_found(store.get_source(ws, house.source.id).await, "source");
}

async fn sync_is_deleted_once_its_runs_have_ended(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let ended = house.queue(&house.sync, 1).await;
    store.cancel_run(ws, ended.id, at(2)).await.unwrap();
    let open = house.queue(&house.sync, 3).await;
    assert_conflict(store.delete_sync(ws, house.sync.id).await, "has not ended");
    assert_eq!(store.list_runs(ws, house.sync.id).await.unwrap().len(), 2);
    store.cancel_run(ws, open.id, at(4)).await.unwrap();
    store.delete_sync(ws, house.sync.id).await.unwrap();
    assert_not_found(store.get_run(ws, ended.id).await, "run");
}

async fn catalog_reads_back_as_written(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    assert_eq!(store.get_workspace(ws).await.unwrap(), house.workspace);
    assert_eq!(
        store.list_workspaces(house.account.id).await.unwrap(),
        std::slice::from_ref(&house.workspace)
    );
    assert_eq!(
        store.get_source(ws, house.source.id).await.unwrap(),
        house.source
    );
    assert_eq!(
        store.get_model(ws, house.model.id).await.unwrap(),
        house.model
    );
    assert_eq!(
        store
            .get_destination(ws, house.destination.id)
            .await
            .unwrap(),
        house.destination
    );
    assert_eq!(store.get_sync(ws, house.sync.id).await.unwrap(), house.sync);
    let keys: Vec<String> = store.list_sources(ws).await.unwrap()[0]
        .config
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["url", "z", "a"], "the order of keys is kept");
}

async fn saved_changes_read_back(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let config = object(json!({"path": "other.db"}));
    let (name, updated_at) = ("renamed".to_owned(), at(9));
    let source = Source {
        name: name.clone(),
        source_type: SourceType::Sqlite,
        config,
        updated_at,
        ..house.source
    };
    store.update_source(&source).await.unwrap();
    assert_eq!(store.get_source(ws, source.id).await.unwrap(), source);
    let rate_limit = RateLimit::default();
    let destination = Destination {
        name: name.clone(),
        rate_limit,
        updated_at,
        ..house.destination
    };
    store.update_destination(&destination).await.unwrap();
    assert_eq!(
        store.get_destination(ws, destination.id).await.unwrap(),
        destination
    );
    let (mapping, schedule) = (None, None);
    let sync = Sync {
        name: name.clone(),
        mapping,
        schedule,
        enabled: false,
        updated_at,
        ..house.sync
    };
    store.update_sync(&sync).await.unwrap();
    assert_eq!(store.get_sync(ws, sync.id).await.unwrap(), sync);
    store
        .update_workspace_name(ws, &name, updated_at)
        .await
        .unwrap();
    let workspace = Workspace {
        name,
        updated_at,
        ..house.workspace
    };
    assert_eq!(store.get_workspace(ws).await.unwrap(), workspace);
    let stray = Sync {
        model_id: Uuid::now_v7(),
        ..sync
    };
    assert_not_found(store.update_sync(&stray).await, "model");
}

async fn lists_are_in_creation_order(house: House) {
    let ws = house.workspace.id;
    for (name, second) in [("c", 30), ("a", 10), ("b", 20)] {
        let source = Source {
            created_at: at(second),
            ..source(ws, name)
        };
        house.store.insert_source(&source).await.unwrap();
    }
    // Whole seconds and fractions of a second sort as times do, though they are text in SQLite.
    let whole = DateTime::from_timestamp(at(10).timestamp(), 0).unwrap();
    let early = Source {
        created_at: whole,
        ..source(ws, "early")
    };
    house.store.insert_source(&early).await.unwrap();
    let later = Source {
        created_at: whole + TimeDelta::milliseconds(123),
        ..source(ws, "later")
    };
    house.store.insert_source(&later).await.unwrap();
    let sources = house.store.list_sources(ws).await.unwrap();
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["warehouse", "early", "later", "a", "b", "c"]);
}
