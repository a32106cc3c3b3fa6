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
    change_of_what_was_read_before_another_change_is_stale,
    lists_are_in_creation_order,
);

async fn taken_name_conflicts(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(1));
    let taken = "already a";
    let twin = source(ws, "warehouse");
    assert_conflict(store.insert_source(&twin, &act).await, taken);
    let twin = destination(ws, "ads");
    assert_conflict(store.insert_destination(&twin, &act).await, taken);
    let twin = sync(
        &house.account,
        &house.model,
        &house.destination,
        &house.sync.name,
    );
    assert_conflict(store.insert_sync(&twin, &act).await, taken);
    let twin = model(ws, &house.source, "customers");
    assert_conflict(
        house.commit(Change::Model(Edit::create(twin)), 2).await,
        taken,
    );
    let late = create(&policy(&house, "late"));
    house.commit(late, 2).await.unwrap();
    let twin = create(&policy(&house, "late"));
    assert_conflict(house.commit(twin, 3).await, taken);
    let twin = workspace("default");
    assert_conflict(store.insert_workspace(&twin, &act).await, taken);

    let other = source(ws, "other");
    store.insert_source(&other, &act).await.unwrap();
    let renamed = Source {
        name: "warehouse".to_owned(),
        ..other.clone()
    };
    let saved = store.update_source(&other, &renamed, &act).await;
    assert_conflict(saved, "\"warehouse\"");
    let room = house.other_workspace().await;
    let saved = store.rename_workspace(&room, "default", &act).await;
    assert_conflict(saved, taken);
}

async fn name_is_free_in_another_workspace(house: House) {
    let other = house.other_workspace().await;
    house
        .store
        .insert_source(&source(other.id, "warehouse"), &house.act(1))
        .await
        .unwrap();
    house
        .store
        .insert_destination(&destination(other.id, "ads"), &house.act(1))
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
    assert_not_found(store.cancel_run(other, run.id, &house.act(2)).await, "run");
    assert_eq!(store.list_runs(other, sync.id).await.unwrap(), []);

    let act = house.act(3);
    let moved = Source {
        workspace_id: other,
        ..source
    };
    assert_not_found(store.update_source(&moved, &moved, &act).await, "source");
    assert_not_found(store.delete_source(&moved, &act).await, "source");
    let moved = Destination {
        workspace_id: other,
        ..destination
    };
    let what = "destination";
    let saved = store.update_destination(&moved, &moved, &act).await;
    assert_not_found(saved, what);
    assert_not_found(store.delete_destination(&moved, &act).await, what);
    let moved = Model {
        workspace_id: other,
        ..model
    };
    assert_not_found(store.delete_model(&moved, &act).await, "model");
    let moved = Sync {
        workspace_id: other,
        ..sync
    };
    assert_not_found(store.update_sync(&moved, &moved, &act).await, "sync");
    assert_not_found(store.delete_sync(&moved, &act).await, "sync");

    let policy = policy(&house, "late");
    house.commit(create(&policy), 2).await.unwrap();
    let moved = DestinationPolicy {
        workspace_id: other,
        parent_model_id: None,
        ..policy.clone()
    };
    let before = Arc::new(policy.clone());
    let update = |after: &DestinationPolicy| {
        Change::DestinationPolicy(Edit::update(Arc::clone(&before), after.clone()))
    };
    for (change, what) in [
        (delete(&policy), "policy"),
        (update(&moved), "destination policy"),
        (create(&moved), "destination policy"),
        (create(&policy), "destination policy"),
    ] {
        assert_not_found(store.commit(other, &[change], 1, &act).await, what);
    }
    assert_eq!(store.revision(other).await.unwrap(), 1);
    let set = store.policy_set(house.workspace.id).await.unwrap();
    assert_eq!(set.destination_policies, [(policy.id, before)].into());
}

async fn reference_into_another_workspace_is_not_found(house: House) {
    let (store, other) = (&house.store, house.other_workspace().await.id);
    let act = house.act(3);
    let stray = Change::Model(Edit::create(model(other, &house.source, "stray")));
    assert_not_found(store.commit(other, &[stray], 1, &act).await, "source");

    let own_source = source(other, "own");
    store.insert_source(&own_source, &act).await.unwrap();
    let own = model(other, &own_source, "own");
    let change = Change::Model(Edit::create(own.clone()));
    store.commit(other, &[change], 1, &act).await.unwrap();
    let stray = sync(&house.account, &own, &house.destination, "stray");
    assert_not_found(store.insert_sync(&stray, &act).await, "destination");
    let own_destination = destination(other, "own");
    store
        .insert_destination(&own_destination, &act)
        .await
        .unwrap();
    let stray = Sync {
        workspace_id: other,
        destination_id: own_destination.id,
        ..house.sync.clone()
    };
    let stray = Sync {
        id: Uuid::now_v7(),
        ..stray
    };
    assert_not_found(store.insert_sync(&stray, &act).await, "model");

    let stray = DestinationPolicy {
        workspace_id: other,
        ..policy(&house, "stray")
    };
    let saved = store.commit(other, &[create(&stray)], 2, &act).await;
    assert_not_found(saved, "model");
    let stray = Run {
        workspace_id: other,
        ..queued(&house.sync, 1)
    };
    assert_not_found(store.insert_run(&stray, &act).await, "sync");
    assert_not_found(store.policy_set(Uuid::now_v7()).await, "workspace");
    assert_not_found(store.revision(Uuid::now_v7()).await, "workspace");
}

async fn object_in_use_is_not_deleted(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(6));
    let policy = policy(&house, "late");
    house.commit(create(&policy), 2).await.unwrap();
    assert_conflict(
        store.delete_source(&house.source, &act).await,
        "model customers",
    );
    assert_conflict(
        store.delete_destination(&house.destination, &act).await,
        "sync customers to",
    );
    let used = "destination policy late, sync customers to ads";
    assert_conflict(store.delete_model(&house.model, &act).await, used);
    store.delete_sync(&house.sync, &act).await.unwrap();
    store
        .delete_destination(&house.destination, &act)
        .await
        .unwrap();
    house.commit(delete(&policy), 3).await.unwrap();
    store.delete_model(&house.model, &act).await.unwrap();
    store.delete_source(&house.source, &act).await.unwrap();
    assert_not_found(store.get_source(ws, house.source.id).await, "source");
}

async fn sync_is_deleted_once_its_runs_have_ended(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let ended = house.queue(&house.sync, 1).await;
    store.cancel_run(ws, ended.id, &house.act(2)).await.unwrap();
    let open = house.queue(&house.sync, 3).await;
    let deleted = store.delete_sync(&house.sync, &house.act(3)).await;
    assert_conflict(deleted, "has not ended");
    assert_eq!(store.list_runs(ws, house.sync.id).await.unwrap().len(), 2);
    store.cancel_run(ws, open.id, &house.act(4)).await.unwrap();
    store.delete_sync(&house.sync, &house.act(5)).await.unwrap();
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
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(9));
    let config = object(json!({"path": "other.db"}));
    let (name, updated_at) = ("renamed".to_owned(), at(9));
    let source = Source {
        name: name.clone(),
        source_type: SourceType::Sqlite,
        config,
        updated_at,
        ..house.source.clone()
    };
    store
        .update_source(&house.source, &source, &act)
        .await
        .unwrap();
    assert_eq!(store.get_source(ws, source.id).await.unwrap(), source);
    let rate_limit = RateLimit::default();
    let destination = Destination {
        name: name.clone(),
        rate_limit,
        updated_at,
        ..house.destination.clone()
    };
    store
        .update_destination(&house.destination, &destination, &act)
        .await
        .unwrap();
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
        ..house.sync.clone()
    };
    store.update_sync(&house.sync, &sync, &act).await.unwrap();
    assert_eq!(store.get_sync(ws, sync.id).await.unwrap(), sync);
    store
        .rename_workspace(&house.workspace, &name, &act)
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
        ..sync.clone()
    };
    let saved = store.update_sync(&sync, &stray, &act).await;
    assert_not_found(saved, "model");
}

async fn change_of_what_was_read_before_another_change_is_stale(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(9));
    let source = Source {
        name: "theirs".to_owned(),
        ..house.source.clone()
    };
    store
        .update_source(&house.source, &source, &act)
        .await
        .unwrap();
    assert_stale(
        store
            .update_source(&house.source, &house.source, &act)
            .await,
    );
    assert_stale(store.delete_source(&house.source, &act).await);
    assert_eq!(store.get_source(ws, source.id).await.unwrap(), source);

    let destination = Destination {
        name: "theirs".to_owned(),
        ..house.destination.clone()
    };
    let (before, id) = (&house.destination, destination.id);
    store
        .update_destination(before, &destination, &act)
        .await
        .unwrap();
    assert_stale(store.update_destination(before, before, &act).await);
    assert_stale(store.delete_destination(before, &act).await);
    assert_eq!(store.get_destination(ws, id).await.unwrap(), destination);

    let sync = Sync {
        enabled: false,
        ..house.sync.clone()
    };
    store.update_sync(&house.sync, &sync, &act).await.unwrap();
    assert_stale(store.update_sync(&house.sync, &house.sync, &act).await);
    assert_stale(store.delete_sync(&house.sync, &act).await);
    assert_eq!(store.get_sync(ws, sync.id).await.unwrap(), sync);

    let model = Model {
        primary_key: Vec::new(),
        ..house.model.clone()
    };
    let before = Arc::new(house.model.clone());
    let change = Change::Model(Edit::update(before, model.clone()));
    house.commit(change, 2).await.unwrap();
    assert_stale(store.delete_model(&house.model, &act).await);
    assert_eq!(store.get_model(ws, model.id).await.unwrap(), model);

    let before = &house.workspace;
    store
        .rename_workspace(before, "theirs", &act)
        .await
        .unwrap();
    assert_stale(store.rename_workspace(before, "mine", &act).await);
    assert_eq!(store.get_workspace(ws).await.unwrap().name, "theirs");
}

async fn lists_are_in_creation_order(house: House) {
    let (ws, act) = (house.workspace.id, house.act(0));
    for (name, second) in [("c", 30), ("a", 10), ("b", 20)] {
        let source = Source {
            created_at: at(second),
            ..source(ws, name)
        };
        house.store.insert_source(&source, &act).await.unwrap();
    }
    // Whole seconds and fractions of a second sort as times do, though they are text in SQLite.
    let whole = DateTime::from_timestamp(at(10).timestamp(), 0).unwrap();
    let early = Source {
        created_at: whole,
        ..source(ws, "early")
    };
    house.store.insert_source(&early, &act).await.unwrap();
    let later = Source {
        created_at: whole + TimeDelta::milliseconds(123),
        ..source(ws, "later")
    };
    house.store.insert_source(&later, &act).await.unwrap();
    let sources = house.store.list_sources(ws).await.unwrap();
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["warehouse", "early", "later", "a", "b", "c"]);
}
