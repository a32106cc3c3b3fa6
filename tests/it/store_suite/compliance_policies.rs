//! Governance policies: lists, changes, and what a deletion takes with it.

use syncguard::compliance::rule;
use syncguard::compliance::{
    Listed, Page, Policy, PolicyCategory, PolicyId, PolicyStatus, Severity, Sort,
};
use syncguard::store::{AuditFilter, PolicyFilter};

use super::*;

on_both_databases!(
    policies_read_back_as_they_were_written,
    policy_that_somebody_changed_is_stale,
    name_of_a_policy_is_taken_once,
    policies_that_are_alike_are_on_one_page_each,
    policy_goes_with_its_reviewed_instances,
    policy_with_active_instances_stays,
    change_of_a_policy_makes_snapshots_due,
    of_two_changes_at_once_one_is_stale,
    every_change_of_a_policy_is_told,
);

impl House {
    async fn governance_policy(&self, name: &str) -> Policy {
        let policy = self.unsaved(name).await;
        let act = self.act(1);
        self.store.insert_policy(&policy, &act).await.unwrap();
        policy
    }

    async fn unsaved(&self, name: &str) -> Policy {
        let rules = json!([
            {"field": "tls.minVersion", "operator": "gte", "value": "1.2"},
            {"field": "n", "operator": "between", "value": [1.50, 9007199254740993_u64]},
            {"field": "owner", "operator": "exists"},
        ]);
        Policy {
            id: PolicyId(Uuid::now_v7()),
            name: name.to_owned(),
            description: "Why".to_owned(),
            status: PolicyStatus::Active,
            category: PolicyCategory::Security,
            severity: Severity::High,
            rules: rule::read(&rules, "$").unwrap(),
            organization_id: self.store.organization().await.unwrap(),
            is_active: true,
            template: None,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    /// An id as a literal of the database's SQL.
    fn literal(&self, id: Uuid) -> String {
        match self.url.starts_with("sqlite:") {
            true => format!("X'{}'", id.simple()),
            false => format!("'{id}'"),
        }
    }

    /// An instance of a policy, with a comment; its resource is outside the catalog.
    async fn bind(&self, policy: &Policy, resource_id: &str, status: &str) {
        let id = self.literal(Uuid::now_v7());
        let policy_id = self.literal(policy.id.0);
        let time = "'2026-01-01 00:00:00+00:00'";
        let realm = self.literal(Uuid::nil());
        let instance = format!(
            "INSERT INTO compliance_instances (id, policy_id, resource_type, resource_id, realm, status,
                 conditions, is_held, created_at, updated_at)
             VALUES ({id}, {policy_id}, 'addon', '{resource_id}', {realm}, '{status}', '[]', FALSE, {time},
                 {time})"
        );
        raw(self, &instance).await.unwrap();
        let account = self.literal(self.account.id);
        let comment = format!(
            "INSERT INTO compliance_comments (instance_id, seq, account_id, comment, created_at)
             VALUES ({id}, 1, {account}, 'x', {time})"
        );
        raw(self, &comment).await.unwrap();
    }

    /// A solution that holds policies; no snapshot of it is due.
    async fn solution_over(&self, name: &str, policies: &[&Policy]) -> Uuid {
        let solution_id = Uuid::now_v7();
        let id = self.literal(solution_id);
        let organization = self.literal(self.store.organization().await.unwrap().0);
        let time = "'2026-01-01 00:00:00+00:00'";
        let solution = format!(
            "INSERT INTO compliance_solutions (id, organization_id, name, description,
                 snapshot_due, created_at, updated_at)
             VALUES ({id}, {organization}, '{name}', '', FALSE, {time}, {time})"
        );
        raw(self, &solution).await.unwrap();
        for (position, policy) in policies.iter().enumerate() {
            let policy_id = self.literal(policy.id.0);
            let held = format!(
                "INSERT INTO compliance_solution_policies (solution_id, position, policy_id)
                 VALUES ({id}, {position}, {policy_id})"
            );
            raw(self, &held).await.unwrap();
        }
        solution_id
    }

    /// Whether a snapshot is due of a solution; afterwards none is.
    async fn was_due(&self, solution_id: Uuid) -> bool {
        let id = self.literal(solution_id);
        let taken = format!(
            "UPDATE compliance_solutions SET snapshot_due = FALSE WHERE id = {id} AND snapshot_due"
        );
        raw(self, &taken).await.unwrap() == 1
    }

    async fn listed_policies(&self, filter: &PolicyFilter, page: Page) -> Listed<Policy> {
        self.store.list_policies(filter, page).await.unwrap()
    }
}

fn page(field: &'static str, descending: bool) -> Page {
    Page {
        limit: 100,
        offset: 0,
        sort: Sort { field, descending },
    }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, StoreError>, wanted: &str, part: &str) {
    match result {
        Err(StoreError::Refused { code, message }) if code == wanted && message.contains(part) => {}
        other => panic!("expected {wanted} about {part}, got {other:?}"),
    }
}

async fn policies_read_back_as_they_were_written(house: House) {
    let store = &house.store;
    let one = house.governance_policy("one").await;
    let two = house.governance_policy("two").await;
    assert_eq!(store.get_policy(one.id).await.unwrap(), one);
    let nobody = PolicyId(Uuid::now_v7());
    assert_not_found(store.get_policy(nobody).await, "policy");
    let ids = [two.id, nobody, one.id];
    let found = store.get_policies(&ids).await.unwrap();
    assert_eq!(found, [two.clone(), one.clone()]);
    assert_eq!(store.get_policies(&[]).await.unwrap(), []);
    let many: Vec<PolicyId> = (0..1200).map(|_| nobody).chain([one.id]).collect();
    assert_eq!(
        store.get_policies(&many).await.unwrap(),
        std::slice::from_ref(&one)
    );

    let changed = Policy {
        name: "first".to_owned(),
        description: String::new(),
        status: PolicyStatus::Archived,
        category: PolicyCategory::Data,
        severity: Severity::Low,
        rules: Vec::new(),
        is_active: false,
        updated_at: at(9),
        ..one.clone()
    };
    let act = house.act(9);
    store.update_policy(&one, &changed, &act).await.unwrap();
    assert_eq!(store.get_policy(one.id).await.unwrap(), changed);
    let filter = PolicyFilter {
        search: Some("FIRST".to_owned()),
        status: Some(PolicyStatus::Archived),
        category: Some(PolicyCategory::Data),
        is_active: Some(false),
    };
    let listed = house.listed_policies(&filter, page("severity", true)).await;
    assert_eq!((listed.data, listed.total), (vec![changed.clone()], 1));
    store.delete_policy(&changed, &act).await.unwrap();
    assert_not_found(store.get_policy(one.id).await, "policy");
    let listed = house
        .listed_policies(&PolicyFilter::default(), page("name", false))
        .await;
    assert_eq!((listed.data, listed.total), (vec![two], 1));
}

async fn policy_that_somebody_changed_is_stale(house: House) {
    let (store, act) = (&house.store, house.act(2));
    let first = house.governance_policy("one").await;
    let second = Policy {
        severity: Severity::Low,
        updated_at: at(2),
        ..first.clone()
    };
    store.update_policy(&first, &second, &act).await.unwrap();
    assert_stale(store.update_policy(&first, &second, &act).await);
    assert_stale(store.delete_policy(&first, &act).await);
    store.delete_policy(&second, &act).await.unwrap();
    assert_not_found(store.update_policy(&second, &first, &act).await, "policy");
    assert_not_found(store.delete_policy(&second, &act).await, "policy");
}

async fn name_of_a_policy_is_taken_once(house: House) {
    let (store, act) = (&house.store, house.act(2));
    house.governance_policy("one").await;
    let two = house.governance_policy("two").await;
    let twin = house.unsaved("one").await;
    let saved = store.insert_policy(&twin, &act).await;
    assert_refused(saved, "duplicate_name", "\"one\"");
    let renamed = Policy {
        name: "one".to_owned(),
        ..two.clone()
    };
    let saved = store.update_policy(&two, &renamed, &act).await;
    assert_refused(saved, "duplicate_name", "\"one\"");
    assert_eq!(store.get_policy(two.id).await.unwrap(), two);
}

async fn policies_that_are_alike_are_on_one_page_each(house: House) {
    for i in 0..7 {
        house.governance_policy(&format!("p{i}")).await;
    }
    for sort in [
        "createdAt",
        "updatedAt",
        "name",
        "severity",
        "status",
        "category",
    ] {
        for descending in [false, true] {
            let mut seen = BTreeSet::new();
            for offset in [0, 3, 6, 9] {
                let page = Page {
                    limit: 3,
                    offset,
                    ..page(sort, descending)
                };
                let listed = house.listed_policies(&PolicyFilter::default(), page).await;
                assert_eq!(listed.total, 7);
                seen.extend(listed.data.into_iter().map(|policy| policy.id));
            }
            assert_eq!(seen.len(), 7, "{sort} {descending}");
        }
    }
}

async fn policy_goes_with_its_reviewed_instances(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let one = house.governance_policy("one").await;
    let two = house.governance_policy("two").await;
    for (resource, status) in [("a", "approved"), ("b", "denied")] {
        house.bind(&one, resource, status).await;
        house.bind(&two, resource, status).await;
    }
    store.delete_policy(&one, &act).await.unwrap();
    assert_not_found(store.get_policy(one.id).await, "policy");
    // What is left belongs to the other.
    let touched = async |sql: &str| raw(&house, sql).await.unwrap();
    let instances = "UPDATE compliance_instances SET reason = NULL";
    assert_eq!(touched(instances).await, 2);
    let comments = "UPDATE compliance_comments SET comment = 'y'";
    assert_eq!(touched(comments).await, 2);
    assert_eq!(store.get_policy(two.id).await.unwrap(), two);
}

async fn policy_with_active_instances_stays(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let one = house.governance_policy("one").await;
    house.bind(&one, "a", "approved").await;
    house.bind(&one, "b", "pending").await;
    let deleted = store.delete_policy(&one, &act).await;
    let message = "Cannot delete policy: 1 active instance exists";
    assert_refused(deleted, "policy_in_use", message);
    house.bind(&one, "c", "submitted").await;
    house.bind(&one, "d", "submitted").await;
    let deleted = store.delete_policy(&one, &act).await;
    let message = "Cannot delete policy: 3 active instances exist";
    assert_refused(deleted, "policy_in_use", message);
    let instances = "UPDATE compliance_instances SET reason = NULL";
    assert_eq!(raw(&house, instances).await.unwrap(), 4);
    assert_eq!(store.get_policy(one.id).await.unwrap(), one);
}

async fn change_of_a_policy_makes_snapshots_due(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let one = house.governance_policy("one").await;
    let two = house.governance_policy("two").await;
    let both = house.solution_over("both", &[&one, &two]).await;
    let other = house.solution_over("other", &[&two]).await;
    let changed = Policy {
        severity: Severity::Critical,
        ..one.clone()
    };
    store.update_policy(&one, &changed, &act).await.unwrap();
    assert!(house.was_due(both).await && !house.was_due(other).await);
    // What is refused makes nothing due.
    assert_stale(store.update_policy(&one, &one, &act).await);
    assert!(!house.was_due(both).await);
    store.delete_policy(&changed, &act).await.unwrap();
    assert!(house.was_due(both).await && !house.was_due(other).await);
    let held = "UPDATE compliance_solution_policies SET position = 7";
    assert_eq!(raw(&house, held).await.unwrap(), 2);
}

async fn of_two_changes_at_once_one_is_stale(house: House) {
    let mut before = house.governance_policy("one").await;
    for round in 0..10 {
        let change = |severity: Severity| {
            let (store, before, act) = (house.store.clone(), before.clone(), house.act(round));
            let changed = Policy {
                severity,
                updated_at: at(100 + round),
                ..before.clone()
            };
            tokio::spawn(async move { store.update_policy(&before, &changed, &act).await })
        };
        let (one, other) = (change(Severity::Low), change(Severity::Critical));
        let outcomes = [one.await.unwrap(), other.await.unwrap()];
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
        let [one, other] = outcomes;
        assert_stale(one.and(other));
        before = house.store.get_policy(before.id).await.unwrap();
    }
}

async fn every_change_of_a_policy_is_told(house: House) {
    let (store, act) = (&house.store, house.act(3));
    let one = house.governance_policy("one").await;
    let changed = Policy {
        severity: Severity::Low,
        ..one.clone()
    };
    store.update_policy(&one, &changed, &act).await.unwrap();
    store.delete_policy(&changed, &act).await.unwrap();
    let filter = AuditFilter {
        object_kind: Some("governance_policy".to_owned()),
        ..AuditFilter::default()
    };
    let links = store.list_audit(None, &filter, 0, 10).await.unwrap();
    let lines: Vec<Value> = links
        .iter()
        .map(|(_, link)| serde_json::from_str(link.line.get()).unwrap())
        .collect();
    let expected = [
        ("governance_policy.create", None, Some(&one)),
        ("governance_policy.update", Some(&one), Some(&changed)),
        ("governance_policy.delete", Some(&changed), None),
    ];
    assert_eq!(lines.len(), expected.len());
    for (line, (action, before, after)) in lines.iter().zip(expected) {
        assert_eq!(line["action"], action);
        assert_eq!(
            (&line["before"], &line["after"]),
            (&json!(before), &json!(after))
        );
    }
}
