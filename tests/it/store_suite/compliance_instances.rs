//! Policy instances: their review, and lists of them by every filter and in every order.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use syncguard::compliance::{
    CheckResult, Instance, InstanceId, InstanceStatus, Listed, Page, Policy, PolicyCategory,
    PolicyId, PolicyStatus, Purview, Resource, ResourceType, Severity, Sort,
};
use syncguard::store::{AuditFilter, InstanceFilter};

use super::*;

on_both_databases!(
    instance_reads_back_as_it_was_written,
    policy_is_bound_to_a_resource_once,
    policy_that_is_not_there_is_not_bound,
    every_step_of_a_review_is_kept_and_told,
    who_submitted_it_meanwhile_does_not_review,
    of_approve_and_deny_at_once_one_wins,
    no_sequence_of_steps_leads_where_the_seed_does_not,
    every_filter_and_order_of_a_short_list,
    every_filter_and_order_of_a_long_list,
);

const STATUSES: [InstanceStatus; 4] = [
    InstanceStatus::Pending,
    InstanceStatus::Submitted,
    InstanceStatus::Approved,
    InstanceStatus::Denied,
];
const FIELDS: [&str; 8] = [
    "createdAt",
    "updatedAt",
    "submittedAt",
    "reviewedAt",
    "status",
    "resourceType",
    "resourceId",
    "policyId",
];

impl House {
    /// A new policy without rules.
    async fn compliance_policy(&self, name: &str) -> PolicyId {
        let policy = Policy {
            id: PolicyId(Uuid::now_v7()),
            name: name.to_owned(),
            description: String::new(),
            status: PolicyStatus::Active,
            category: PolicyCategory::Security,
            severity: Severity::High,
            rules: Vec::new(),
            organization_id: self.store.organization().await.unwrap(),
            is_active: true,
            template: None,
            created_at: at(1),
            updated_at: at(1),
        };
        self.store
            .insert_policy(&policy, &self.act(1))
            .await
            .unwrap();
        policy.id
    }

    /// A new account that takes part in reviews.
    async fn somebody(&self, email: &str) -> Uuid {
        let somebody = account(email);
        let act = self.act(1);
        self.store.insert_account(&somebody, &act).await.unwrap();
        somebody.id
    }

    async fn bound(&self, policy_id: PolicyId, resource_id: &str) -> Instance {
        let instance = instance(policy_id, resource_id);
        let act = self.act(2);
        self.store.insert_instance(&instance, &act).await.unwrap();
        instance
    }
}

fn instance(policy_id: PolicyId, resource_id: &str) -> Instance {
    Instance {
        id: InstanceId(Uuid::now_v7()),
        policy_id,
        resource_id: resource_id.to_owned(),
        resource_type: ResourceType::App,
        workspace_id: None,
        status: InstanceStatus::Pending,
        result: None,
        submitted_at: None,
        submitted_by: None,
        reviewed_at: None,
        reviewed_by: None,
        comments: Vec::new(),
        conditions: Vec::new(),
        reason: None,
        remediation: None,
        is_held: false,
        override_: None,
        created_at: at(2),
        updated_at: at(2),
    }
}

fn result(compliant: bool) -> CheckResult {
    CheckResult {
        compliant,
        checks: 1,
        passed: u64::from(compliant),
        failed: u64::from(!compliant),
        rules: Vec::new(),
    }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, StoreError>, code: &str) {
    match outcome {
        Err(StoreError::Refused { code: found, .. }) => assert_eq!(found, code),
        other => panic!("{code} was expected: {other:?}"),
    }
}

async fn instance_reads_back_as_it_was_written(house: House) {
    let store = &house.store;
    let policy_id = house.compliance_policy("TLS").await;
    let outside = house.bound(policy_id, "Ünïcode queue").await;
    let inside = Instance {
        resource_type: ResourceType::Model,
        workspace_id: Some(house.workspace.id),
        created_at: at(3),
        ..instance(policy_id, &house.model.id.to_string())
    };
    store.insert_instance(&inside, &house.act(3)).await.unwrap();
    for one in [&outside, &inside] {
        assert_eq!(&store.get_instance(one.id).await.unwrap(), one);
        let resource = Resource {
            resource_type: one.resource_type,
            id: one.resource_id.clone(),
        };
        let bound = store.instances_of_resource(&resource).await.unwrap();
        assert_eq!(bound, std::slice::from_ref(one));
    }
    let resource = Resource::new(ResourceType::Addon, &outside.resource_id);
    assert_eq!(store.instances_of_resource(&resource).await.unwrap(), []);
    let both = store.instances_of_policies(&[policy_id]).await.unwrap();
    assert_eq!(both, [outside, inside]);
    assert_eq!(store.instances_of_policies(&[]).await.unwrap(), []);
    let nobody = store.get_instance(InstanceId(Uuid::now_v7())).await;
    assert_not_found(nobody, "policy instance");
}

async fn policy_is_bound_to_a_resource_once(house: House) {
    let store = &house.store;
    let (tls, mfa) = (
        house.compliance_policy("TLS").await,
        house.compliance_policy("MFA").await,
    );
    let first = house.bound(tls, "queue").await;
    let again = store
        .insert_instance(&instance(tls, "queue"), &house.act(3))
        .await;
    assert_refused(again, "duplicate_instance");
    house.bound(mfa, "queue").await;
    house.bound(tls, "Queue").await;
    let other_type = Instance {
        resource_type: ResourceType::Workflow,
        ..instance(tls, "queue")
    };
    store
        .insert_instance(&other_type, &house.act(3))
        .await
        .unwrap();
    assert_eq!(store.get_instance(first.id).await.unwrap(), first);
}

async fn policy_that_is_not_there_is_not_bound(house: House) {
    let lost = instance(PolicyId(Uuid::now_v7()), "queue");
    let bound = house.store.insert_instance(&lost, &house.act(3)).await;
    assert_not_found(bound, "policy");
    let found = house.store.get_instance(lost.id).await;
    assert_not_found(found, "policy instance");
}

async fn every_step_of_a_review_is_kept_and_told(house: House) {
    let store = &house.store;
    let policy_id = house.compliance_policy("TLS").await;
    let reviewer = house.somebody("reviewer@example.com").await;
    let by = |second: i64| Act::on_behalf_of(reviewer, at(second));
    let id = house.bound(policy_id, "queue").await.id;
    let text = |text: &str| Some(text.to_owned());

    let submitted = store
        .submit_instance(id, result(false), &house.act(3))
        .await;
    let submitted = submitted.unwrap();
    assert_eq!(submitted.status, InstanceStatus::Submitted);
    assert_eq!(submitted.submitted_by, Some(house.account.id));
    assert_eq!(submitted.submitted_at, Some(at(3)));
    assert_eq!(submitted.result, Some(result(false)));
    assert_eq!(store.get_instance(id).await.unwrap(), submitted);

    let denied = store
        .deny_instance(id, text("no TLS"), text("turn it on"), &by(4))
        .await;
    let denied = denied.unwrap();
    assert_eq!(denied.status, InstanceStatus::Denied);
    assert!(denied.is_held);
    assert_eq!(denied.reviewed_by, Some(reviewer));
    assert_eq!(denied.reason, text("no TLS"));
    assert_eq!(denied.remediation, text("turn it on"));
    assert_eq!(store.get_instance(id).await.unwrap(), denied);

    let commented = store
        .comment_instance(id, "It is on.".to_owned(), &house.act(5))
        .await;
    assert_eq!(commented.unwrap().comments.len(), 1);
    let again = store.submit_instance(id, result(true), &house.act(6)).await;
    assert!(again.unwrap().is_held);
    let conditions = vec!["until May".to_owned(), "in Europe".to_owned()];
    let approved = store
        .approve_instance(id, text("fine"), conditions.clone(), &by(7))
        .await;
    let approved = approved.unwrap();
    assert_eq!(approved.status, InstanceStatus::Approved);
    assert!(!approved.is_held);
    assert_eq!(approved.conditions, conditions);
    assert_eq!((&approved.reason, &approved.remediation), (&None, &None));
    let said: Vec<(Uuid, &str)> = approved
        .comments
        .iter()
        .map(|comment| (comment.user_id, comment.comment.as_str()))
        .collect();
    assert_eq!(said, [(house.account.id, "It is on."), (reviewer, "fine")]);
    assert_eq!(store.get_instance(id).await.unwrap(), approved);

    let filter = AuditFilter {
        object_id: Some(id.0),
        ..AuditFilter::default()
    };
    let lines = store.list_audit(None, &filter, 0, 100).await.unwrap();
    let actions: Vec<String> = lines
        .iter()
        .map(|(_, link)| {
            let line: Value = serde_json::from_str(link.line.get()).unwrap();
            line["action"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = ["create", "submit", "deny", "comment", "submit", "approve"];
    assert_eq!(
        actions,
        expected.map(|verb| format!("policy_instance.{verb}"))
    );
}

async fn who_submitted_it_meanwhile_does_not_review(house: House) {
    let store = &house.store;
    let policy_id = house.compliance_policy("TLS").await;
    let id = house.bound(policy_id, "queue").await.id;
    let submitted = store.submit_instance(id, result(true), &house.act(3)).await;
    let submitted = submitted.unwrap();
    let approved = store
        .approve_instance(id, None, Vec::new(), &house.act(4))
        .await;
    assert!(matches!(approved, Err(StoreError::Stale)));
    let denied = store.deny_instance(id, None, None, &house.act(4)).await;
    assert!(matches!(denied, Err(StoreError::Stale)));
    assert_eq!(store.get_instance(id).await.unwrap(), submitted);
}

async fn of_approve_and_deny_at_once_one_wins(house: House) {
    let store = &house.store;
    let policy_id = house.compliance_policy("TLS").await;
    let reviewer = house.somebody("reviewer@example.com").await;
    let id = house.bound(policy_id, "queue").await.id;
    for round in 0..10 {
        let submitted = store
            .submit_instance(id, result(true), &house.act(10 + round))
            .await;
        submitted.unwrap();
        let mut reviews = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (store, act) = (store.clone(), Act::on_behalf_of(reviewer, at(20 + round)));
            reviews.spawn(async move {
                match number % 2 {
                    0 => store.approve_instance(id, None, Vec::new(), &act).await,
                    _ => store.deny_instance(id, None, None, &act).await,
                }
            });
        }
        let mut won = Vec::new();
        for outcome in reviews.join_all().await {
            match outcome {
                Ok(instance) => won.push(instance),
                refused => assert_refused(refused, "invalid_transition"),
            }
        }
        assert_eq!(won, [store.get_instance(id).await.unwrap()]);
    }
}

/// A step of a review, and who takes it.
#[derive(Clone, Debug)]
enum Step {
    Submit(usize, bool),
    Approve(usize, Option<String>, Vec<String>),
    Deny(usize, Option<String>, Option<String>),
    Comment(usize, String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = || "[a-zäß]{1,5}";
    let maybe = || prop::option::of("[a-z]{1,5}");
    let who = || 0..2_usize;
    let step = prop_oneof![
        (who(), any::<bool>()).prop_map(|(who, compliant)| Step::Submit(who, compliant)),
        (who(), maybe(), prop::collection::vec(text(), 0..3))
            .prop_map(|(who, comment, conditions)| Step::Approve(who, comment, conditions)),
        (who(), maybe(), maybe()).prop_map(|(who, reason, remediation)| Step::Deny(
            who,
            reason,
            remediation
        )),
        (who(), text()).prop_map(|(who, comment)| Step::Comment(who, comment)),
    ];
    prop::collection::vec(step, 1..25)
}

/// What an instance must be by the seed's words alone, beside who did what when.
#[derive(Debug)]
struct Expected {
    status: InstanceStatus,
    compliant: Option<bool>,
    submitted: Option<(Uuid, i64)>,
    reviewed: Option<(Uuid, i64)>,
    comments: Vec<(Uuid, String)>,
    conditions: Vec<String>,
    denial: (Option<String>, Option<String>),
    is_held: bool,
    changed: i64,
}

impl Expected {
    /// What becomes of a step; answers how it is refused, if it is.
    fn take(&mut self, step: &Step, people: &[Uuid; 2], now: i64) -> Option<&'static str> {
        let (Step::Submit(who, _)
        | Step::Approve(who, ..)
        | Step::Deny(who, ..)
        | Step::Comment(who, _)) = step;
        let who = people[*who];
        let waits = self.status == InstanceStatus::Submitted;
        let is_review = matches!(step, Step::Approve(..) | Step::Deny(..));
        if is_review && !waits || matches!(step, Step::Submit(..)) && waits {
            return Some("invalid_transition");
        }
        if is_review && self.submitted.is_some_and(|(by, _)| by == who) {
            return Some("stale");
        }
        match step.clone() {
            Step::Submit(_, compliant) => {
                self.status = InstanceStatus::Submitted;
                self.compliant = Some(compliant);
                self.submitted = Some((who, now));
            }
            Step::Approve(_, comment, conditions) => {
                self.status = InstanceStatus::Approved;
                self.reviewed = Some((who, now));
                self.comments.extend(comment.map(|comment| (who, comment)));
                self.conditions = conditions;
                self.denial = (None, None);
                self.is_held = false;
            }
            Step::Deny(_, reason, remediation) => {
                self.status = InstanceStatus::Denied;
                self.reviewed = Some((who, now));
                self.conditions = Vec::new();
                self.denial = (reason, remediation);
                self.is_held = true;
            }
            Step::Comment(_, comment) => self.comments.push((who, comment)),
        }
        self.changed = now;
        None
    }

    fn is(&self, found: &Instance) {
        assert_eq!(found.status, self.status);
        let compliant = found.result.as_ref().map(|result| result.compliant);
        assert_eq!(compliant, self.compliant);
        let pair = |by: Option<Uuid>, when: Option<DateTime<Utc>>| by.zip(when);
        let known = |pair: Option<(Uuid, i64)>| pair.map(|(by, when)| (by, at(when)));
        let submitted = pair(found.submitted_by, found.submitted_at);
        assert_eq!(submitted, known(self.submitted));
        let reviewed = pair(found.reviewed_by, found.reviewed_at);
        assert_eq!(reviewed, known(self.reviewed));
        let said = found.comments.iter();
        let said: Vec<_> = said
            .map(|comment| (comment.user_id, comment.comment.clone()))
            .collect();
        assert_eq!(said, self.comments);
        assert_eq!(found.conditions, self.conditions);
        let denial = (found.reason.clone(), found.remediation.clone());
        assert_eq!(denial, self.denial);
        assert_eq!(found.is_held, self.is_held);
        assert_eq!(found.updated_at, at(self.changed));
    }
}

async fn no_sequence_of_steps_leads_where_the_seed_does_not(house: House) {
    let store = &house.store;
    let policy_id = house.compliance_policy("TLS").await;
    let other = house.somebody("other@example.com").await;
    let people = [house.account.id, other];
    let mut runner = TestRunner::deterministic();
    let mut ends = Vec::new();
    for number in 0..30 {
        let id = house.bound(policy_id, &format!("queue {number}")).await.id;
        let mut expected = Expected {
            status: InstanceStatus::Pending,
            compliant: None,
            submitted: None,
            reviewed: None,
            comments: Vec::new(),
            conditions: Vec::new(),
            denial: (None, None),
            is_held: false,
            changed: 2,
        };
        let steps = steps().new_tree(&mut runner).unwrap().current();
        for (now, step) in (10..).zip(&steps) {
            let refused = expected.take(step, &people, now);
            let by = |who: &usize| Act::on_behalf_of(people[*who], at(now));
            let outcome = match step.clone() {
                Step::Submit(who, compliant) => {
                    store
                        .submit_instance(id, result(compliant), &by(&who))
                        .await
                }
                Step::Approve(who, comment, conditions) => {
                    let act = by(&who);
                    store.approve_instance(id, comment, conditions, &act).await
                }
                Step::Deny(who, reason, remediation) => {
                    let act = by(&who);
                    store.deny_instance(id, reason, remediation, &act).await
                }
                Step::Comment(who, comment) => store.comment_instance(id, comment, &by(&who)).await,
            };
            match refused {
                None => expected.is(&outcome.unwrap()),
                Some("stale") => assert!(matches!(outcome, Err(StoreError::Stale)), "{steps:?}"),
                Some(code) => assert_refused(outcome, code),
            }
            expected.is(&store.get_instance(id).await.unwrap());
        }
        ends.push(expected.status);
    }
    // The counts that lists rest on have followed.
    for status in STATUSES {
        let filter = InstanceFilter {
            status: Some(status),
            ..InstanceFilter::default()
        };
        let listed = store
            .list_instances(
                &filter,
                &Purview::Everything,
                page(100, 0, "createdAt", false),
            )
            .await;
        let listed = listed.unwrap();
        let expected = ends.iter().filter(|end| **end == status).count();
        assert_eq!(
            (listed.total, listed.data.len()),
            (expected as u64, expected)
        );
        assert!(expected > 0, "{status:?} never came up");
    }
}

fn page(limit: u32, offset: u64, field: &'static str, descending: bool) -> Page {
    Page {
        limit,
        offset,
        sort: Sort { field, descending },
    }
}

/// How two instances stand to each other in a list.
fn order(field: &str, descending: bool, a: &Instance, b: &Instance) -> Ordering {
    let way = |order: Ordering| match descending {
        true => order.reverse(),
        false => order,
    };
    let late = |a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>| match (a, b) {
        (Some(a), Some(b)) => way(a.cmp(&b)),
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    let field = match field {
        "createdAt" => way(a.created_at.cmp(&b.created_at)),
        "updatedAt" => way(a.updated_at.cmp(&b.updated_at)),
        "submittedAt" => late(a.submitted_at, b.submitted_at),
        "reviewedAt" => late(a.reviewed_at, b.reviewed_at),
        "status" => way(a.status.as_str().cmp(b.status.as_str())),
        "resourceType" => way(a.resource_type.as_str().cmp(b.resource_type.as_str())),
        "resourceId" => way(a.resource_id.cmp(&b.resource_id)),
        "policyId" => way(a.policy_id.cmp(&b.policy_id)),
        other => panic!("{other}"),
    };
    field.then(way(a.id.cmp(&b.id)))
}

fn is_wanted(filter: &InstanceFilter, purview: &Purview, instance: &Instance) -> bool {
    let resource_id = filter.resource_id.as_ref();
    filter.policy_id.is_none_or(|id| id == instance.policy_id)
        && filter.status.is_none_or(|status| status == instance.status)
        && filter
            .resource_type
            .is_none_or(|kind| kind == instance.resource_type)
        && resource_id.is_none_or(|id| *id == instance.resource_id)
        && purview.covers(instance.workspace_id)
}

/// Checks pages of the list by each filter, alone and together, in each order.
async fn check_lists(house: &House, all: &[Instance], offsets: &[u64], limit: u32) {
    let some = &all[all.len() / 2];
    let policy_id = [None, Some(some.policy_id)];
    let status = [None, Some(some.status)];
    let resource_type = [None, Some(some.resource_type)];
    let resource_id = [None, Some(some.resource_id.clone())];
    let purviews = [
        Purview::Everything,
        Purview::Workspaces(vec![house.workspace.id]),
    ];
    for number in 0..32 {
        let filter = InstanceFilter {
            policy_id: policy_id[number & 1],
            status: status[number >> 1 & 1],
            resource_type: resource_type[number >> 2 & 1],
            resource_id: resource_id[number >> 3 & 1].clone(),
        };
        let purview = &purviews[number >> 4 & 1];
        let wanted: Vec<&Instance> = all
            .iter()
            .filter(|instance| is_wanted(&filter, purview, instance))
            .collect();
        for field in FIELDS {
            for descending in [false, true] {
                let mut sorted = wanted.clone();
                sorted.sort_by(|a, b| order(field, descending, a, b));
                for offset in offsets {
                    let page = page(limit, *offset, field, descending);
                    let listed = house.store.list_instances(&filter, purview, page).await;
                    let Listed { data, total } = listed.unwrap();
                    let what = format!("{filter:?} {purview:?} {page:?}");
                    assert_eq!(total, wanted.len() as u64, "{what}");
                    let expected = sorted.iter().skip(*offset as usize).take(limit as usize);
                    let expected: Vec<InstanceId> = expected.map(|one| one.id).collect();
                    let found: Vec<InstanceId> = data.iter().map(|one| one.id).collect();
                    assert_eq!(found, expected, "{what}");
                }
            }
        }
    }
}

async fn every_filter_and_order_of_a_short_list(house: House) {
    let store = &house.store;
    let reviewer = house.somebody("reviewer@example.com").await;
    let elsewhere = house.other_workspace().await.id;
    let mut policies = Vec::new();
    for name in ["TLS", "MFA", "RBAC"] {
        policies.push(house.compliance_policy(name).await);
    }
    let mut all = Vec::new();
    for number in 0..24_i64 {
        let place = number as usize;
        let one = Instance {
            resource_type: ResourceType::ALL[place / 3 % 4],
            workspace_id: [None, Some(house.workspace.id), Some(elsewhere)][place / 2 % 3],
            // Several of the same time.
            created_at: at(10 + number / 3),
            updated_at: at(10 + number / 3),
            ..instance(policies[place % 3], &format!("resource {}", place / 3 % 5))
        };
        store.insert_instance(&one, &house.act(10)).await.unwrap();
        let (submitter, by) = (house.act(40 + number % 7), at(50 + number % 5));
        if !place.is_multiple_of(4) {
            let submitted = store
                .submit_instance(one.id, result(true), &submitter)
                .await;
            submitted.unwrap();
        }
        let act = Act::on_behalf_of(reviewer, by);
        if place % 4 == 2 {
            let comment = Some(format!("comment {number}"));
            let approved = store
                .approve_instance(one.id, comment, Vec::new(), &act)
                .await;
            approved.unwrap();
        }
        if place % 4 == 3 {
            store.deny_instance(one.id, None, None, &act).await.unwrap();
        }
        all.push(store.get_instance(one.id).await.unwrap());
    }
    check_lists(&house, &all, &[0, 1, 7, 13, 23, 24, 1000], 10).await;
    let whole = store
        .list_instances(
            &InstanceFilter::default(),
            &Purview::Everything,
            page(100, 0, "createdAt", false),
        )
        .await;
    let mut whole = whole.unwrap().data;
    all.sort_by_key(|instance| instance.id);
    whole.sort_by_key(|instance| instance.id);
    assert_eq!(whole, all);
}

/// Instances as SQL makes them: enough for a list to be walked along its indexes.
fn many(house: &House, count: u32) -> String {
    let workspace = house.workspace.id.simple();
    let (numbers, id, realm, nil, no, time): (_, _, _, _, _, fn(&str) -> String) = match house.url.starts_with("sqlite:") {
        true => (
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)
                  SELECT i FROM n)"
            ),
            "randomblob(16)",
            format!("X'{workspace}'"),
            "zeroblob(16)".to_owned(),
            "0",
            |seconds: &str| {
                format!("strftime('%Y-%m-%dT%H:%M:%S', 1750000000 + {seconds}, 'unixepoch') || '+00:00'")
            },
        ),
        false => (
            format!("(SELECT i FROM generate_series(0, {count} - 1) i)"),
            "gen_random_uuid()",
            format!("'{workspace}'::uuid"),
            format!("'{}'::uuid", Uuid::nil()),
            "FALSE",
            |seconds: &str| format!("to_timestamp(1750000000 + {seconds})"),
        ),
    };
    let (created, submitted, reviewed) = (time("i / 2"), time("(i * 7919) % 5000"), time("i % 97"));
    format!(
        "INSERT INTO compliance_instances (id, policy_id, resource_type, resource_id, workspace_id,
             realm, status, submitted_at, reviewed_at, conditions, is_held, created_at, updated_at)
         SELECT {id},
             (SELECT id FROM compliance_policies p
              WHERE p.name = CASE i % 2 WHEN 0 THEN 'TLS' ELSE 'MFA' END),
             CASE WHEN i % 12 < 9 THEN 'app' ELSE 'model' END,
             'resource ' || (i / 2),
             CASE WHEN i % 7 = 0 THEN NULL ELSE {realm} END,
             CASE WHEN i % 7 = 0 THEN {nil} ELSE {realm} END,
             CASE WHEN i % 11 < 9 THEN 'approved' ELSE 'pending' END,
             CASE WHEN i % 5 = 0 THEN NULL ELSE {submitted} END,
             CASE WHEN i % 3 = 0 THEN {reviewed} ELSE NULL END,
             '[]', {no}, {created}, {created}
         FROM {numbers} numbers"
    )
}

async fn every_filter_and_order_of_a_long_list(house: House) {
    let mut policies = Vec::new();
    for name in ["TLS", "MFA"] {
        policies.push(house.compliance_policy(name).await);
    }
    raw(&house, &many(&house, 8_000)).await.unwrap();
    let all = house.store.instances_of_policies(&policies).await.unwrap();
    assert_eq!(all.len(), 8_000);
    check_lists(&house, &all, &[0, 3_333, 6_990], 5).await;
    // What is deleted is counted no more.
    raw(
        &house,
        "DELETE FROM compliance_instances WHERE status = 'pending'",
    )
    .await
    .unwrap();
    let left = house.store.instances_of_policies(&policies).await.unwrap();
    let page = page(1, 0, "createdAt", false);
    let everything = (InstanceFilter::default(), Purview::Everything);
    let listed = house
        .store
        .list_instances(&everything.0, &everything.1, page)
        .await;
    assert_eq!(listed.unwrap().total, left.len() as u64);
}
