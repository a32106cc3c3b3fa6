//! Content policies: what their changes do to the revisions of workspaces, and how a registry
//! learns of them.

use std::collections::BTreeMap;

use syncguard::guard::Registry;
use syncguard::policy::ContentPolicy;
use syncguard::policy::content::{Action, Risk};
use syncguard::store::AuditFilter;

use super::*;

on_both_databases!(
    change_makes_a_revision_of_every_workspace_that_it_is_for,
    registry_learns_each_change_and_all_at_once,
    later_workspace_has_the_policies_of_the_organisation,
    policy_is_changed_as_it_was_read_only,
    deleted_policy_is_gone_for_every_reader,
    policy_is_for_what_is_there_only,
    source_that_goes_takes_its_policies_along,
    restoration_leaves_content_policies_alone,
    one_of_two_changes_at_once_is_made,
    changes_of_all_and_of_one_workspace_wait_for_each_other,
    every_change_is_told,
);

fn content(house: &House, workspace_id: Option<Uuid>, source_id: Option<Uuid>) -> ContentPolicy {
    ContentPolicy {
        id: Uuid::now_v7(),
        workspace_id,
        source_id,
        name: "PII Protection Policy".to_owned(),
        content: "Do not allow sharing of personally identifiable information...".to_owned(),
        risk: Risk::High,
        action: Action::Block,
        created_by: house.account.id,
        created_at: at(1),
        updated_by: house.account.id,
        updated_at: at(1),
    }
}

fn renamed(policy: &ContentPolicy, name: &str) -> ContentPolicy {
    ContentPolicy {
        name: name.to_owned(),
        action: Action::Log,
        updated_at: at(6),
        ..policy.clone()
    }
}

fn update(before: &ContentPolicy, after: &ContentPolicy) -> Edit<ContentPolicy> {
    Edit::update(Arc::new(before.clone()), after.clone())
}

fn end(policy: &ContentPolicy) -> Edit<ContentPolicy> {
    Edit::delete(Arc::new(policy.clone()))
}

impl House {
    async fn publish_content(
        &self,
        edit: &Edit<ContentPolicy>,
    ) -> Result<BTreeMap<Uuid, u64>, StoreError> {
        let made = self.store.publish_content(edit, &self.act(7)).await;
        made.map(|made| made.into_iter().collect())
    }

    async fn add(&self, policy: &ContentPolicy) {
        let edit = Edit::create(policy.clone());
        self.publish_content(&edit).await.unwrap();
    }

    async fn revisions(&self, workspaces: [Uuid; 2]) -> BTreeMap<Uuid, u64> {
        let mut revisions = BTreeMap::new();
        for id in workspaces {
            revisions.insert(id, self.store.revision(id).await.unwrap());
        }
        revisions
    }
}

async fn change_makes_a_revision_of_every_workspace_that_it_is_for(house: House) {
    let (own, other) = (house.workspace.id, house.other_workspace().await.id);
    for (scope, concerned) in [
        ((None, None), vec![own, other]),
        ((Some(own), None), vec![own]),
        ((Some(other), None), vec![other]),
        ((Some(own), Some(house.source.id)), vec![own]),
    ] {
        let policy = content(&house, scope.0, scope.1);
        let changed = renamed(&policy, "renamed");
        for edit in [
            Edit::create(policy.clone()),
            update(&policy, &changed),
            end(&changed),
        ] {
            let mut expected = house.revisions([own, other]).await;
            let made = house.publish_content(&edit).await.unwrap();
            for id in &concerned {
                *expected.get_mut(id).unwrap() += 1;
            }
            assert_eq!(house.revisions([own, other]).await, expected);
            expected.retain(|id, _| concerned.contains(id));
            assert_eq!(made, expected);
            for (id, revision) in made {
                let committed = house.store.get_revision(id, revision).await.unwrap();
                assert_eq!(committed.author_id, house.account.id);
                assert_eq!(committed.created_at, at(7));
                let change = Change::ContentPolicy(edit.clone());
                assert_eq!(committed.policy_changes().unwrap(), [change]);
            }
        }
    }
}

async fn registry_learns_each_change_and_all_at_once(house: House) {
    let (own, other) = (house.workspace.id, house.other_workspace().await.id);
    let store = &house.store;
    let step_by_step = Registry::default();
    let at_once = Registry::default();
    for id in [own, other] {
        store.policies_in_force(&step_by_step, id).await.unwrap();
        store.policies_in_force(&at_once, id).await.unwrap();
    }
    let everywhere = content(&house, None, None);
    let here = content(&house, Some(own), None);
    let source = content(&house, Some(own), Some(house.source.id));
    let there = content(&house, Some(other), None);
    let changed = renamed(&everywhere, "renamed");
    for edit in [
        Edit::create(everywhere.clone()),
        Edit::create(here.clone()),
        Edit::create(source.clone()),
        Edit::create(there.clone()),
        update(&everywhere, &changed),
        end(&here),
    ] {
        house.publish_content(&edit).await.unwrap();
        for id in [own, other] {
            let revision = store.revision(id).await.unwrap();
            let learnt = store.policies_since(&step_by_step, id, revision).await;
            assert_eq!(*learnt.unwrap(), store.policy_set(id).await.unwrap());
        }
    }
    for (id, expected) in [(own, [&changed, &source]), (other, [&changed, &there])] {
        let learnt = store.policies_in_force(&at_once, id).await.unwrap();
        assert_eq!(*learnt, store.policy_set(id).await.unwrap());
        let anew = store.policies_in_force(&Registry::default(), id).await;
        assert_eq!(*anew.unwrap(), *learnt);
        let expected: Vec<ContentPolicy> = expected.into_iter().cloned().collect();
        let found: Vec<ContentPolicy> = learnt
            .content_policies
            .values()
            .map(|policy| (**policy).clone())
            .collect();
        assert_eq!(found, expected);
    }
    let learnt = store.policies_in_force(&at_once, own).await.unwrap();
    assert_eq!(learnt.for_content(house.source.id).count(), 2);
    assert_eq!(learnt.for_content(Uuid::now_v7()).count(), 1);
}

async fn later_workspace_has_the_policies_of_the_organisation(house: House) {
    let everywhere = content(&house, None, None);
    house.add(&everywhere).await;
    house
        .add(&content(&house, Some(house.workspace.id), None))
        .await;
    let other = house.other_workspace().await.id;
    let set = house.store.policy_set(other).await.unwrap();
    assert_eq!(set.revision, 1);
    let found: Vec<Uuid> = set.content_policies.keys().copied().collect();
    assert_eq!(found, [everywhere.id]);
}

async fn policy_is_changed_as_it_was_read_only(house: House) {
    let (own, other) = (house.workspace.id, house.other_workspace().await.id);
    for scope in [None, Some(own)] {
        let policy = content(&house, scope, None);
        house.add(&policy).await;
        let changed = renamed(&policy, "renamed");
        house
            .publish_content(&update(&policy, &changed))
            .await
            .unwrap();
        let before = house.revisions([own, other]).await;
        let late = renamed(&policy, "late");
        assert_stale(house.publish_content(&update(&policy, &late)).await);
        assert_stale(house.publish_content(&end(&policy)).await);
        // Nor does it become one for something else.
        for (workspace_id, source_id) in [
            (Some(other), None),
            (Some(own), Some(house.source.id)),
            (scope.xor(Some(own)), None),
        ] {
            let moved = ContentPolicy {
                workspace_id,
                source_id,
                ..changed.clone()
            };
            let moved = house.publish_content(&update(&changed, &moved)).await;
            assert_conflict(moved, "does not change");
        }
        let read = house.store.get_content_policy(policy.id).await.unwrap();
        assert_eq!(read, changed);
        assert_eq!(house.revisions([own, other]).await, before);
    }
}

async fn deleted_policy_is_gone_for_every_reader(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    for scope in [None, Some(ws)] {
        let policy = content(&house, scope, None);
        house.add(&policy).await;
        assert_eq!(
            store.list_content_policies().await.unwrap(),
            std::slice::from_ref(&policy)
        );
        house.publish_content(&end(&policy)).await.unwrap();
        assert_not_found(store.get_content_policy(policy.id).await, "policy");
        assert_eq!(store.list_content_policies().await.unwrap(), []);
        assert!(house.policies().await.content_policies.is_empty());
        let revision = house.revision().await;
        assert_not_found(house.publish_content(&end(&policy)).await, "policy");
        let changed = update(&policy, &renamed(&policy, "renamed"));
        assert_not_found(house.publish_content(&changed).await, "policy");
        assert_eq!(house.revision().await, revision);
    }
    // What they found still refers to them.
    let sql = "UPDATE content_policies SET name = name WHERE deleted_at IS NOT NULL";
    assert_eq!(raw(&house, sql).await.unwrap(), 2);
}

async fn policy_is_for_what_is_there_only(house: House) {
    let (own, other) = (house.workspace.id, house.other_workspace().await.id);
    let before = house.revisions([own, other]).await;
    for (workspace_id, source_id, missing) in [
        (Uuid::now_v7(), None, "workspace"),
        (own, Some(Uuid::now_v7()), "source"),
        (other, Some(house.source.id), "source"),
    ] {
        let policy = content(&house, Some(workspace_id), source_id);
        let made = house.publish_content(&Edit::create(policy)).await;
        assert_not_found(made, missing);
    }
    let never = content(&house, None, None);
    assert_not_found(house.publish_content(&end(&never)).await, "policy");
    assert_eq!(house.store.list_content_policies().await.unwrap(), []);
    assert_eq!(house.revisions([own, other]).await, before);
}

async fn source_that_goes_takes_its_policies_along(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let spare = source(ws, "spare");
    store.insert_source(&spare, &house.act(1)).await.unwrap();
    let kept = content(&house, Some(ws), Some(house.source.id));
    let gone = [
        content(&house, Some(ws), Some(spare.id)),
        content(&house, Some(ws), Some(spare.id)),
    ];
    house.add(&kept).await;
    for policy in &gone {
        house.add(policy).await;
    }
    let revision = house.revision().await;
    store.delete_source(&spare, &house.act(8)).await.unwrap();
    assert_eq!(house.revision().await, revision + 1);
    let left = store.list_content_policies().await.unwrap();
    assert_eq!(left, std::slice::from_ref(&kept));
    let committed = store.get_revision(ws, revision + 1).await.unwrap();
    let expected = gone
        .each_ref()
        .map(|policy| Change::ContentPolicy(end(policy)));
    assert_eq!(committed.policy_changes().unwrap(), expected);
    // One without policies makes no revision.
    let plain = source(ws, "plain");
    store.insert_source(&plain, &house.act(8)).await.unwrap();
    store.delete_source(&plain, &house.act(8)).await.unwrap();
    assert_eq!(house.revision().await, revision + 1);
}

async fn restoration_leaves_content_policies_alone(house: House) {
    let first = house.policies().await;
    let late = policy(&house, "late");
    house.publish(&[create(&late)]).await;
    let everywhere = content(&house, None, None);
    house.add(&everywhere).await;
    let here = content(&house, Some(house.workspace.id), None);
    house.add(&here).await;
    let changed = renamed(&here, "renamed");
    house
        .publish_content(&update(&here, &changed))
        .await
        .unwrap();
    let now = house.policies().await;
    let made = house
        .store
        .revisions_between(house.workspace.id, first.revision, now.revision)
        .await
        .unwrap();
    let changes = made
        .iter()
        .flat_map(|made| made.policy_changes().unwrap())
        .collect();
    let then = now.without(changes, first.revision);
    assert_eq!(then, first);
    house.publish(&now.changes_to(&then)).await;
    let restored = house.policies().await;
    assert!(restored.destination_policies.is_empty());
    assert_eq!(restored.content_policies, now.content_policies);
    // Nor can one be smuggled in among the changes of a workspace.
    let change = Change::ContentPolicy(end(&changed));
    let refused = house.commit(change, restored.revision).await;
    assert_conflict(refused, "not changed in one workspace alone");
}

async fn one_of_two_changes_at_once_is_made(house: House) {
    for scope in [None, Some(house.workspace.id)] {
        let mut now = content(&house, scope, None);
        house.add(&now).await;
        for round in 0..10 {
            let revision = house.revision().await;
            let [left, right] =
                ["left", "right"].map(|side| renamed(&now, &format!("{side} {round}")));
            let (first, second) = (update(&now, &left), update(&now, &right));
            let made = tokio::join!(
                house.publish_content(&first),
                house.publish_content(&second)
            );
            now = match made {
                (Ok(_), Err(StoreError::Stale)) => left,
                (Err(StoreError::Stale), Ok(_)) => right,
                other => panic!("{other:?}"),
            };
            let read = house.store.get_content_policy(now.id).await.unwrap();
            assert_eq!(read, now);
            assert_eq!(house.revision().await, revision + 1);
        }
    }
}

async fn changes_of_all_and_of_one_workspace_wait_for_each_other(house: House) {
    let other = house.other_workspace().await.id;
    let (house, registry) = (Arc::new(house), Arc::new(Registry::default()));
    let scopes = [None, Some(house.workspace.id), Some(other), None];
    let mut tasks = Vec::new();
    for (worker, scope) in scopes.into_iter().enumerate() {
        let (house, registry) = (Arc::clone(&house), Arc::clone(&registry));
        tasks.push(tokio::spawn(async move {
            for round in 0..10 {
                let policy = content(&house, scope, None);
                house.add(&policy).await;
                if round % 2 == 0 {
                    house.publish_content(&end(&policy)).await.unwrap();
                }
                if worker == 0 {
                    let new = workspace(&format!("new {round}"));
                    let act = house.act(3);
                    house.store.insert_workspace(&new, &act).await.unwrap();
                    let learnt = house.store.policies_in_force(&registry, new.id);
                    learnt.await.unwrap();
                }
                if worker == 1 {
                    let rule = super::policy(&house, &format!("rule {round}"));
                    // Others move the workspace on all the time.
                    while let Err(error) = house.commit(create(&rule), house.revision().await).await
                    {
                        assert!(matches!(error, StoreError::Stale), "{error}");
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let left = house.store.list_content_policies().await.unwrap();
    assert_eq!(left.len(), 20);
    for workspace in house.store.list_workspaces(house.account.id).await.unwrap() {
        // A workspace that came meanwhile missed nothing.
        let now = house.store.policy_set(workspace.id).await.unwrap();
        let learnt = house.store.policies_in_force(&registry, workspace.id);
        assert_eq!(*learnt.await.unwrap(), now);
        let own = left
            .iter()
            .filter(|policy| policy.workspace_id.is_none_or(|id| id == workspace.id));
        assert_eq!(now.content_policies.len(), own.count());
    }
}

async fn every_change_is_told(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let filter = AuditFilter {
        action: Some("content_policy.".to_owned()),
        ..AuditFilter::default()
    };
    for scope in [None, Some(ws)] {
        let policy = content(&house, scope, None);
        let changed = renamed(&policy, "renamed");
        house.add(&policy).await;
        house
            .publish_content(&update(&policy, &changed))
            .await
            .unwrap();
        house.publish_content(&end(&changed)).await.unwrap();
        let links = store.list_audit(scope, &filter, 0, 10).await.unwrap();
        let lines: Vec<Value> = links
            .iter()
            .map(|(_, link)| serde_json::from_str(link.line.get()).unwrap())
            .collect();
        let expected = [
            ("content_policy.create", None, Some(&policy)),
            ("content_policy.update", Some(&policy), Some(&changed)),
            ("content_policy.delete", Some(&changed), None),
        ];
        assert_eq!(lines.len(), expected.len());
        let last = house.revision().await;
        for (i, (line, (action, before, after))) in lines.iter().zip(expected).enumerate() {
            assert_eq!(line["action"], action);
            assert_eq!(line["object_id"], json!(policy.id));
            assert_eq!(line["before"], json!(before), "{action}");
            assert_eq!(line["after"], json!(after), "{action}");
            let revision = scope.map(|_| last - 2 + i as u64);
            assert_eq!(line["revision"], json!(revision), "{action}");
        }
    }
    // And in no other chain.
    let own = store.list_audit(Some(ws), &filter, 0, 10).await.unwrap();
    assert_eq!(own.len(), 3);
}
