//! Solutions: their lists in order, names, stale changes, and what the audit log tells of them;
//! and the landscape that they are assessed in.

use syncguard::compliance::{
    OrganizationId, Ownership, Page, Policy, PolicyCategory, PolicyId, PolicyStatus, Resource,
    ResourceType, Severity, Solution, SolutionId, Sort,
};
use syncguard::store::{AuditFilter, SolutionFilter};

use super::*;

on_both_databases!(
    solutions_read_back_with_their_lists_in_order,
    solutions_are_found_by_filters_and_policies,
    name_of_a_solution_is_taken_once,
    solution_that_somebody_changed_is_stale,
    solution_with_a_policy_that_is_not_there_is_not_saved,
    every_change_of_a_solution_is_told,
    landscape_has_the_whole_catalog,
);

const BY_NAME: Page = Page {
    limit: 100,
    offset: 0,
    sort: Sort {
        field: "name",
        descending: false,
    },
};

impl House {
    async fn ruled_policy(&self, name: &str) -> PolicyId {
        let policy = Policy {
            id: PolicyId(Uuid::now_v7()),
            name: name.to_owned(),
            description: String::new(),
            status: PolicyStatus::Active,
            category: PolicyCategory::Security,
            severity: Severity::High,
            rules: Vec::new(),
            organization_id: self.organization().await,
            is_active: true,
            template: None,
            created_at: at(1),
            updated_at: at(1),
        };
        let act = self.act(1);
        self.store.insert_policy(&policy, &act).await.unwrap();
        policy.id
    }

    async fn organization(&self) -> OrganizationId {
        self.store.organization().await.unwrap()
    }

    /// A solution that is not saved yet.
    async fn solution(&self, name: &str, policies: &[PolicyId], models: &[&str]) -> Solution {
        Solution {
            id: SolutionId(Uuid::now_v7()),
            name: name.to_owned(),
            description: format!("All of {name}"),
            organization_id: self.organization().await,
            ownership: Ownership {
                team: Some("data".to_owned()),
                owner: None,
            },
            policies: policies.to_vec(),
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            created_at: at(2),
            updated_at: at(2),
        }
    }

    async fn saved(&self, name: &str, policies: &[PolicyId], models: &[&str]) -> Solution {
        let solution = self.solution(name, policies, models).await;
        let act = self.act(2);
        self.store.insert_solution(&solution, &act).await.unwrap();
        solution
    }
}

async fn solutions_read_back_with_their_lists_in_order(house: House) {
    let store = &house.store;
    let (a, b) = (house.ruled_policy("a").await, house.ruled_policy("b").await);
    let first = house.saved("first", &[b, a], &["z", "a", "m"]).await;
    let second = house.saved("second", &[a], &[]).await;
    assert_eq!(store.get_solution(first.id).await.unwrap(), first);
    let changed = Solution {
        name: "third".to_owned(),
        description: String::new(),
        ownership: Ownership {
            team: None,
            owner: Some("somebody".to_owned()),
        },
        policies: vec![a, b],
        models: vec!["m".to_owned(), "z".to_owned()],
        updated_at: at(9),
        ..first.clone()
    };
    let act = house.act(9);
    store.update_solution(&first, &changed, &act).await.unwrap();
    assert_eq!(store.get_solution(first.id).await.unwrap(), changed);
    let all = SolutionFilter::default();
    let listed = store.list_solutions(&all, BY_NAME).await.unwrap();
    assert_eq!(listed.total, 2);
    assert_eq!(listed.data, [second.clone(), changed.clone()]);
    let act = house.act(10);
    store.delete_solution(&changed, &act).await.unwrap();
    let gone = store.get_solution(first.id).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound("solution")), "{gone}");
    assert_eq!(store.all_solutions(&all).await.unwrap(), [second]);
}

async fn solutions_are_found_by_filters_and_policies(house: House) {
    let store = &house.store;
    let (a, b) = (house.ruled_policy("a").await, house.ruled_policy("b").await);
    let one = house.saved("one", &[a], &[]).await;
    let both = house.saved("both", &[a, b], &["m"]).await;
    let none = house.saved("none", &[], &[]).await;
    let mut of_a = store.solutions_of_policy(a).await.unwrap();
    of_a.sort_by(|one, other| other.name.cmp(&one.name));
    assert_eq!(of_a, [one.clone(), both.clone()]);
    let of_b = store.solutions_of_policy(b).await.unwrap();
    assert_eq!(of_b, std::slice::from_ref(&both));
    let filter = SolutionFilter {
        search: Some("OF no".to_owned()),
        team: Some("data".to_owned()),
    };
    assert_eq!(store.all_solutions(&filter).await.unwrap(), [none]);
    let page = Page {
        limit: 1,
        offset: 2,
        ..BY_NAME
    };
    let all = SolutionFilter::default();
    let listed = store.list_solutions(&all, page).await.unwrap();
    assert_eq!((listed.total, listed.data), (3, vec![one]));
    let nobodys = SolutionFilter {
        team: Some("nobody".to_owned()),
        ..all
    };
    assert!(store.all_solutions(&nobodys).await.unwrap().is_empty());
}

async fn name_of_a_solution_is_taken_once(house: House) {
    let store = &house.store;
    let first = house.saved("first", &[], &[]).await;
    let second = house.saved("second", &[], &[]).await;
    let twin = house.solution("first", &[], &[]).await;
    let renamed = Solution {
        name: first.name.clone(),
        ..second.clone()
    };
    let act = house.act(3);
    let errors = [
        store.insert_solution(&twin, &act).await.unwrap_err(),
        store
            .update_solution(&second, &renamed, &act)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        let StoreError::Refused { code, message } = error else {
            panic!("{error}");
        };
        assert_eq!(code, "duplicate_name");
        assert!(message.contains("\"first\""), "{message}");
    }
    assert_eq!(store.get_solution(second.id).await.unwrap(), second);
}

async fn solution_that_somebody_changed_is_stale(house: House) {
    let store = &house.store;
    let policy = house.ruled_policy("a").await;
    let read = house.saved("first", &[policy], &["m"]).await;
    let changed = Solution {
        models: Vec::new(),
        ..read.clone()
    };
    let act = house.act(3);
    store.update_solution(&read, &changed, &act).await.unwrap();
    for error in [
        store
            .update_solution(&read, &changed, &act)
            .await
            .unwrap_err(),
        store.delete_solution(&read, &act).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Stale), "{error}");
    }
    assert_eq!(store.get_solution(read.id).await.unwrap(), changed);
    store.delete_solution(&changed, &act).await.unwrap();
    for error in [
        store
            .update_solution(&changed, &read, &act)
            .await
            .unwrap_err(),
        store.delete_solution(&changed, &act).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotFound("solution")), "{error}");
    }
}

async fn solution_with_a_policy_that_is_not_there_is_not_saved(house: House) {
    let store = &house.store;
    let nothing = PolicyId(Uuid::now_v7());
    let lost = house.solution("lost", &[nothing], &[]).await;
    let act = house.act(3);
    let error = store.insert_solution(&lost, &act).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound("policy")), "{error}");
    let all = SolutionFilter::default();
    assert!(store.all_solutions(&all).await.unwrap().is_empty());
}

async fn every_change_of_a_solution_is_told(house: House) {
    let store = &house.store;
    let solution = house.saved("first", &[], &["m"]).await;
    let changed = Solution {
        name: "other".to_owned(),
        ..solution.clone()
    };
    let act = house.act(3);
    store
        .update_solution(&solution, &changed, &act)
        .await
        .unwrap();
    store.delete_solution(&changed, &act).await.unwrap();
    let filter = AuditFilter {
        object_kind: Some("solution".to_owned()),
        ..AuditFilter::default()
    };
    let links = store.list_audit(None, &filter, 0, 10).await.unwrap();
    let lines: Vec<Value> = links
        .iter()
        .map(|(_, link)| serde_json::from_str(link.line.get()).unwrap())
        .collect();
    let actions: Vec<&Value> = lines.iter().map(|line| &line["action"]).collect();
    assert_eq!(
        actions,
        ["solution.create", "solution.update", "solution.delete"]
    );
    for line in &lines {
        assert_eq!(line["object_id"], json!(solution.id.0));
    }
    assert_eq!(lines[0]["after"], json!(solution));
    assert_eq!(lines[1]["before"], json!(solution));
    assert_eq!(lines[1]["after"], json!(changed));
    assert_eq!(lines[2]["before"]["name"], "other");
    assert_eq!(lines[2]["before"]["frozenSnapshots"], json!([]));
    assert_eq!(lines[2]["after"], Value::Null);
}

async fn landscape_has_the_whole_catalog(house: House) {
    let landscape = house.store.landscape().await.unwrap();
    let resource = |resource_type, id: Uuid| Resource::new(resource_type, &id.to_string());
    let model = resource(ResourceType::Model, house.model.id);
    let brought = BTreeSet::from([
        resource(ResourceType::Addon, house.source.id),
        resource(ResourceType::App, house.destination.id),
        resource(ResourceType::Workflow, house.sync.id),
    ]);
    let around: BTreeSet<Resource> = landscape.around(&model).cloned().collect();
    assert_eq!(around, brought);
    for resource in brought.iter().chain([&model]) {
        let located = landscape.locate(resource).unwrap();
        assert_eq!(located.workspace_id, Some(house.workspace.id));
    }
    assert_eq!(
        landscape.locate(&resource(ResourceType::Addon, house.model.id)),
        None
    );
    let outside = Resource::new(ResourceType::App, "outside");
    assert_eq!(landscape.locate(&outside).unwrap().workspace_id, None);
}
