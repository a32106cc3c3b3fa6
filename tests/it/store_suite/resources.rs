//! Resources of compliance: where they belong, what is declared of them, how syncs last ran.

use syncguard::compliance::{Declaration, Facts, Located, Origin, Resource, ResourceType};
use syncguard::store::AuditFilter;

use super::*;

on_both_databases!(
    resources_are_located_in_their_workspace,
    declarations_read_back_merged,
    declarations_at_once_are_all_kept,
    more_declarations_than_fit_are_refused,
    last_run_is_the_last_that_worked_on_records,
);

fn declaration(attributes: Value) -> Declaration {
    let (declaration, faults) = Declaration::read(&object(attributes), "$");
    assert!(faults.is_empty(), "{faults:?}");
    declaration
}

fn outside(id: &str) -> Located {
    Located {
        resource: Resource::new(ResourceType::Addon, id),
        workspace_id: None,
    }
}

fn shown(facts: &Facts) -> Value {
    let facts = facts.0.iter();
    let values = facts.map(|(path, fact)| (path.clone(), fact.value.clone()));
    Value::Object(values.collect())
}

async fn resources_are_located_in_their_workspace(house: House) {
    for (kind, id) in [
        (ResourceType::Addon, house.source.id),
        (ResourceType::App, house.destination.id),
        (ResourceType::Workflow, house.sync.id),
        (ResourceType::Model, house.model.id),
    ] {
        let resource = Resource::new(kind, &id.to_string());
        let located = house.store.locate(resource.clone()).await.unwrap();
        assert_eq!(located.resource, resource);
        assert_eq!(located.workspace_id, Some(house.workspace.id));
        for other in ResourceType::ALL.into_iter().filter(|it| *it != kind) {
            let resource = Resource::new(other, &id.to_string());
            assert_not_found(house.store.locate(resource).await, "resource");
        }
    }
    let resource = Resource::new(ResourceType::App, "outside");
    let located = house.store.locate(resource).await.unwrap();
    assert_eq!(located.workspace_id, None);
}

async fn declarations_read_back_merged(house: House) {
    let store = &house.store;
    let resource = Resource::new(ResourceType::Model, &house.model.id.to_string());
    let none = store.declared_facts(&resource).await.unwrap();
    assert_eq!(none, Facts::default());
    let located = store.locate(resource.clone()).await.unwrap();
    let big: Value = serde_json::from_str("9007199254740993.10").unwrap();
    for (second, attributes) in [
        (1, json!({"a": {"b": 1, "c": big}, "d": ["x", true]})),
        (2, json!({"a.b": null, "e": "é\n"})),
        (3, json!({"nothing": null})),
    ] {
        let act = house.act(second);
        let declaration = declaration(attributes);
        store.declare(&located, &declaration, &act).await.unwrap();
    }
    let facts = store.declared_facts(&resource).await.unwrap();
    let expected = json!({"a.c": big, "d": ["x", true], "e": "é\n"});
    assert_eq!(shown(&facts).to_string(), expected.to_string());
    for (path, second) in [("a.c", 1), ("e", 2)] {
        let fact = facts.get(path).unwrap();
        assert_eq!(fact.origin, Origin::Declared);
        assert_eq!(fact.declared_by, Some(house.account.id));
        assert_eq!(fact.declared_at, Some(at(second)));
    }
    let within = store.declared_in(house.workspace.id).await.unwrap();
    assert_eq!(within.get(&resource), Some(&facts));
    assert_eq!(within.len(), 1);
    let other = house.other_workspace().await;
    assert!(store.declared_in(other.id).await.unwrap().is_empty());

    // What changes nothing is no line of the log.
    let filter = AuditFilter {
        action: Some("resource.declare".to_owned()),
        ..AuditFilter::default()
    };
    let lines = store.list_audit(Some(house.workspace.id), &filter, 0, 10);
    assert_eq!(lines.await.unwrap().len(), 2);
}

async fn declarations_at_once_are_all_kept(house: House) {
    let located = outside("cache");
    let declared = (0..16).map(|i| {
        let (store, located, act) = (house.store.clone(), located.clone(), house.act(i));
        tokio::spawn(async move {
            let declaration = declaration(json!({format!("a{i}"): i}));
            store.declare(&located, &declaration, &act).await
        })
    });
    for done in futures::future::join_all(declared).await {
        done.unwrap().unwrap();
    }
    let facts = house.store.declared_facts(&located.resource).await;
    assert_eq!(facts.unwrap().0.len(), 16);
}

async fn more_declarations_than_fit_are_refused(house: House) {
    let located = outside("cache");
    let many = |prefix: &str, count: usize| {
        let attributes = (0..count).map(|i| (format!("{prefix}{i}"), json!(i)));
        declaration(Value::Object(attributes.collect()))
    };
    let (store, act) = (&house.store, house.act(1));
    store
        .declare(&located, &many("a", 200), &act)
        .await
        .unwrap();
    let refused = store.declare(&located, &many("b", 1), &act).await;
    assert_conflict(refused, "at most 200");
    let facts = store.declared_facts(&located.resource).await.unwrap();
    assert_eq!(facts.0.len(), 200);
    assert!(facts.get("b0").is_none());
}

async fn last_run_is_the_last_that_worked_on_records(house: House) {
    let (store, ws, sync) = (&house.store, house.workspace.id, house.sync.id);
    assert_eq!(store.last_run(ws, sync).await.unwrap(), None);
    let mut runs = Vec::new();
    for second in 1..=8 {
        runs.push(house.queue(&house.sync, second).await.id);
    }
    assert_eq!(store.last_run(ws, sync).await.unwrap(), None);
    assert!(store.last_runs(ws).await.unwrap().is_empty());
    // Whether a run is the last from its end on. The last ones are still queued and running.
    for (second, status, withheld, counts) in [
        (1, "blocked", 0, false),
        (2, "failed", 1, true),
        (3, "succeeded", 7, true),
        (4, "blocked", 0, false),
        (5, "cancelled", 0, false),
        (6, "cancelled", 2, true),
        (7, "running", 3, false),
    ] {
        let id = runs[second as usize - 1];
        let hex = id.simple();
        let id = match house.url.starts_with("sqlite:") {
            true => format!("x'{hex}'"),
            false => format!("'{id}'"),
        };
        let end = format!(
            "UPDATE runs SET status = '{status}', withheld = {withheld}, rows_read = {withheld} WHERE id = {id}"
        );
        assert_eq!(raw(&house, &end).await.unwrap(), 1);
        let last = store.last_run(ws, sync).await.unwrap();
        let told = last.as_ref().map(|last| (last.status.as_str(), last.at));
        // It tells no end, so that its last change stands for it.
        assert_eq!(told == Some((status, at(second))), counts, "{second}");
        let all = store.last_runs(ws).await.unwrap();
        assert_eq!(all.get(&sync), last.as_ref(), "{second}");
        assert_eq!(all.len(), usize::from(last.is_some()), "{second}");
        if counts {
            assert_eq!(last.map(|last| last.withheld), Some(withheld), "{second}");
        }
    }
    let last = store.last_run(ws, sync).await.unwrap().unwrap();
    assert_eq!((last.status, last.at), (RunStatus::Cancelled, at(6)));
    let other = house.other_workspace().await.id;
    assert_eq!(store.last_run(other, sync).await.unwrap(), None);
    assert!(store.last_runs(other).await.unwrap().is_empty());
}
