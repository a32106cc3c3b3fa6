//! `/governance/instances`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{column, is_id, is_time, keys, message};
use crate::api::{ADMIN, MEMBER, NOBODY, OWNER, Server, text};

on_both_stores!(
    instance_is_bound_submitted_denied_submitted_again_and_approved,
    pages_have_the_seeds_envelope_filters_and_order,
    faulty_parameters_are_400,
    instance_of_what_is_not_there_is_404,
    policy_is_bound_to_a_resource_once,
    every_fault_of_a_body_is_told,
    body_of_a_review_may_be_left_out,
    wrong_transition_is_409_and_says_what_is_possible,
    who_submitted_does_not_review,
    review_takes_its_scope_and_its_permission,
    instance_beyond_the_purview_is_not_there,
    instance_that_is_not_there_is_404,
    what_is_gone_from_the_catalog_is_not_submitted,
    instances_are_for_those_who_govern,
);

const INSTANCES: &str = "/api/v1/governance/instances";
const FIELDS: [&str; 17] = [
    "id",
    "policyId",
    "resourceId",
    "resourceType",
    "status",
    "result",
    "submittedAt",
    "submittedBy",
    "reviewedAt",
    "reviewedBy",
    "comments",
    "conditions",
    "reason",
    "remediation",
    "override",
    "createdAt",
    "updatedAt",
];

impl Server {
    /// A new policy; answers its id.
    async fn governed_by(&self, name: &str, rules: Value) -> String {
        let policy = json!({
            "name": name, "category": "security", "severity": "high", "rules": rules,
        });
        self.made("/api/v1/governance/policies", policy).await
    }

    /// A new policy without rules, bound to a resource outside the catalog; answers the path of
    /// the instance.
    async fn bound(&self, name: &str, resource_id: &str) -> String {
        let policy_id = self.governed_by(name, json!([])).await;
        let body = json!({
            "policyId": policy_id, "resourceId": resource_id, "resourceType": "addon",
        });
        format!("{INSTANCES}/{}", self.made(INSTANCES, body).await)
    }

    /// The key of somebody else who may review.
    async fn reviewer(&self) -> (String, String) {
        let ws = self.workspace().await;
        self.joined(&ws, "reviewer@example.com", ADMIN).await
    }

    /// An instance as the list has it.
    async fn listed(&self, path: &str) -> Value {
        let id = path.rsplit('/').next().expect("an id");
        let list = self
            .get(&format!("{INSTANCES}?limit=100"))
            .await
            .expect(200);
        let all = list["data"].as_array().expect("instances");
        let one = all.iter().find(|one| one["id"] == id);
        one.expect("the instance").clone()
    }
}

async fn instance_is_bound_submitted_denied_submitted_again_and_approved(server: Server) {
    let owner_id = server.owner_id().await;
    let (reviewer_id, reviewer) = server.reviewer().await;
    let rules = json!([
        {"field": "tls.minVersion", "operator": "gte", "value": "1.2"},
        {"field": "tls.disabled", "operator": "not_exists"},
    ]);
    let policy_id = server.governed_by("Minimum TLS Version", rules).await;
    let body = json!({
        "policyId": policy_id, "resourceId": "addon_ghi789", "resourceType": "addon",
    });
    let made = server.post(INSTANCES, body.clone()).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    let id = text(&made["id"]);
    assert!(id.starts_with("pinst_") && id.len() == 38, "{id}");
    for field in ["policyId", "resourceId", "resourceType"] {
        assert_eq!(made[field], body[field]);
    }
    assert_eq!(made["status"], "pending");
    for field in [
        "result",
        "submittedAt",
        "submittedBy",
        "reviewedAt",
        "reviewedBy",
        "reason",
    ] {
        assert_eq!(made[field], Value::Null, "{field}");
    }
    assert_eq!(
        (&made["comments"], &made["conditions"]),
        (&json!([]), &json!([]))
    );
    assert!(is_time(&made["createdAt"]));
    assert_eq!(made["createdAt"], made["updatedAt"]);
    let one = format!("{INSTANCES}/{id}");
    assert_eq!(server.listed(&one).await, made);

    let submitted = server
        .post(&format!("{one}/submit"), json!({}))
        .await
        .expect(200);
    let expected = ["id", "status", "result", "submittedAt", "updatedAt"];
    assert_eq!(keys(&submitted), expected);
    assert_eq!(submitted["id"], id);
    assert_eq!(submitted["status"], "submitted");
    assert_eq!(submitted["submittedAt"], submitted["updatedAt"]);
    let result = &submitted["result"];
    assert_eq!(
        keys(result),
        ["compliant", "checks", "passed", "failed", "rules"]
    );
    assert_eq!(result["compliant"], false);
    assert_eq!(
        (&result["checks"], &result["passed"], &result["failed"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(
        column(&result["rules"], "passed"),
        [&json!(false), &json!(true)]
    );
    let now = server.listed(&one).await;
    assert_eq!(
        (&now["result"], &now["submittedBy"]),
        (result, &json!(owner_id))
    );

    let denial = json!({
        "reason": "TLS version 1.1 detected on endpoint",
        "remediation": "Upgrade TLS configuration to version 1.2 or higher",
    });
    let path = format!("{one}/deny");
    let denied = server
        .by(&reviewer, Method::POST, &path, denial.clone())
        .await
        .expect(200);
    let expected = ["id", "status", "reviewedAt", "reviewedBy", "updatedAt"];
    assert_eq!(keys(&denied), expected);
    assert_eq!(
        (&denied["id"], &denied["status"]),
        (&json!(id), &json!("denied"))
    );
    assert_eq!(denied["reviewedBy"], reviewer_id);
    assert_eq!(denied["reviewedAt"], denied["updatedAt"]);
    assert!(is_time(&denied["reviewedAt"]) && is_id(&denied["reviewedBy"]));
    let now = server.listed(&one).await;
    assert_eq!(now["reason"], denial["reason"]);
    assert_eq!(now["remediation"], denial["remediation"]);
    assert_eq!(now["reviewedAt"], denied["reviewedAt"]);

    let comment = json!({"comment": "Verified encryption configuration with ops team."});
    let commented = server
        .post(&format!("{one}/comment"), comment.clone())
        .await
        .expect(200);
    assert_eq!(keys(&commented), ["id", "comments", "updatedAt"]);
    let said = &commented["comments"][0];
    assert_eq!(keys(said), ["userId", "comment", "createdAt"]);
    assert_eq!(
        (&said["userId"], &said["comment"]),
        (&json!(owner_id), &comment["comment"])
    );
    assert_eq!(said["createdAt"], commented["updatedAt"]);

    server
        .post(&format!("{one}/submit"), json!({}))
        .await
        .expect(200);
    // What the last review said stays until the next.
    assert_eq!(server.listed(&one).await["reason"], denial["reason"]);
    let approval = json!({
        "comment": "All encryption requirements satisfied.", "conditions": ["until May"],
    });
    let path = format!("{one}/approve");
    let approved = server
        .by(&reviewer, Method::POST, &path, approval)
        .await
        .expect(200);
    let expected = ["id", "status", "reviewedAt", "reviewedBy", "updatedAt"];
    assert_eq!(keys(&approved), expected);
    assert_eq!(approved["status"], "approved");
    let now = server.listed(&one).await;
    assert_eq!(keys(&now), FIELDS);
    assert_eq!(now["conditions"], json!(["until May"]));
    assert_eq!(
        (&now["reason"], &now["remediation"]),
        (&Value::Null, &Value::Null)
    );
    let people = column(&now["comments"], "userId");
    assert_eq!(people, [&json!(owner_id), &json!(reviewer_id)]);
    assert_eq!(now["updatedAt"], approved["updatedAt"]);
}

async fn pages_have_the_seeds_envelope_filters_and_order(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let (_, reviewer) = server.reviewer().await;
    let policy_id = server.governed_by("first", json!([])).await;
    let mut paths = Vec::new();
    for (resource_type, resource_id) in [
        ("addon", "b"),
        ("addon", "a"),
        ("model", catalog.model.as_str()),
        ("workflow", catalog.sync.as_str()),
    ] {
        let body = json!({
            "policyId": policy_id, "resourceId": resource_id, "resourceType": resource_type,
        });
        paths.push(format!(
            "{INSTANCES}/{}",
            server.made(INSTANCES, body).await
        ));
    }
    paths.push(server.bound("second", "a").await);
    for place in [1, 2, 3] {
        let submit = format!("{}/submit", paths[place]);
        server.post(&submit, json!({})).await.expect(200);
    }
    for (place, verb) in [(2, "deny"), (1, "approve")] {
        let review = format!("{}/{verb}", paths[place]);
        server
            .by(&reviewer, Method::POST, &review, json!({}))
            .await
            .expect(200);
    }
    let list = server.get(INSTANCES).await.expect(200);
    assert_eq!(keys(&list), ["data", "pagination"]);
    let envelope = json!({"total": 5, "limit": 20, "offset": 0, "hasMore": false});
    assert_eq!(list["pagination"], envelope);
    assert_eq!(
        keys(&list["pagination"]),
        ["total", "limit", "offset", "hasMore"]
    );
    let upper = catalog.model.to_uppercase();
    for (query, expected) in [
        (String::new(), vec![4, 3, 2, 1, 0]),
        ("sort=createdAt:asc".to_owned(), vec![0, 1, 2, 3, 4]),
        ("sort=updatedAt:desc".to_owned(), vec![1, 2, 3, 4, 0]),
        ("sort=submittedAt:desc&limit=3".to_owned(), vec![3, 2, 1]),
        ("sort=submittedAt:asc&limit=3".to_owned(), vec![1, 2, 3]),
        ("sort=reviewedAt:desc&limit=2".to_owned(), vec![1, 2]),
        ("sort=reviewedAt&limit=2".to_owned(), vec![2, 1]),
        ("sort=status:asc&limit=2".to_owned(), vec![1, 2]),
        ("sort=resourceType:desc&limit=2".to_owned(), vec![3, 2]),
        ("sort=createdAt:asc&limit=2&offset=3".to_owned(), vec![3, 4]),
        ("sort=createdAt:asc&offset=5".to_owned(), vec![]),
        (format!("policyId={policy_id}"), vec![3, 2, 1, 0]),
        ("status=denied".to_owned(), vec![2]),
        ("status=pending".to_owned(), vec![4, 0]),
        ("resourceType=addon".to_owned(), vec![4, 1, 0]),
        ("resourceId=a".to_owned(), vec![4, 1]),
        (format!("resourceId={upper}"), vec![2]),
        (
            format!("resourceId=a&policyId={policy_id}&status=approved"),
            vec![1],
        ),
        ("resourceId=a&resourceType=app".to_owned(), vec![]),
    ] {
        let list = server
            .get(&format!("{INSTANCES}?{query}"))
            .await
            .expect(200);
        let found: Vec<String> = column(&list["data"], "id").into_iter().map(text).collect();
        let expected: Vec<String> = expected
            .into_iter()
            .map(|place: usize| text(&json!(paths[place].rsplit('/').next())))
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    let list = server
        .get(&format!("{INSTANCES}?limit=2&offset=1"))
        .await
        .expect(200);
    let envelope = json!({"total": 5, "limit": 2, "offset": 1, "hasMore": true});
    assert_eq!(list["pagination"], envelope);
}

async fn faulty_parameters_are_400(server: Server) {
    for query in [
        "status=open",
        "resourceType=pipeline",
        "limit=0",
        "limit=101",
        "offset=-1",
        "sort=result:asc",
        "sort=createdAt:up",
        "page=1",
        "status=denied&status=pending",
    ] {
        server
            .get(&format!("{INSTANCES}?{query}"))
            .await
            .expect(400);
    }
}

async fn instance_of_what_is_not_there_is_404(server: Server) {
    let policy_id = server.governed_by("one", json!([])).await;
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let nobody = format!("pol_{}", NOBODY.replace('-', ""));
    for (policy_id, resource_type, resource_id) in [
        (nobody.as_str(), "addon", "queue"),
        (&policy_id, "model", NOBODY),
        // It is a model, and no destination.
        (&policy_id, "app", catalog.model.as_str()),
    ] {
        let body = json!({
            "policyId": policy_id, "resourceId": resource_id, "resourceType": resource_type,
        });
        server.post(INSTANCES, body).await.expect(404);
    }
    assert_eq!(server.get(INSTANCES).await.expect(200)["data"], json!([]));
}

async fn policy_is_bound_to_a_resource_once(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let policy_id = server.governed_by("one", json!([])).await;
    let bind = async |resource_type: &str, resource_id: &str| {
        let body = json!({
            "policyId": policy_id, "resourceId": resource_id, "resourceType": resource_type,
        });
        server.post(INSTANCES, body).await
    };
    bind("model", &catalog.model).await.expect(201);
    let again = bind("model", &catalog.model.to_uppercase())
        .await
        .expect(409);
    assert_eq!(again["error"]["code"], "duplicate_instance");
    assert!(message(&again).contains(&catalog.model), "{again}");
    bind("addon", "queue").await.expect(201);
    bind("app", "queue").await.expect(201);
    bind("addon", "queue").await.expect(409);
}

async fn every_fault_of_a_body_is_told(server: Server) {
    let policy_id = server.governed_by("one", json!([])).await;
    let all: &[&str] = &["$.policyId", "$.resourceId", "$.resourceType"];
    let with = |key: &str, value: Value| {
        let mut body = json!({
            "policyId": policy_id, "resourceId": "queue", "resourceType": "addon",
        });
        body[key] = value;
        body
    };
    let bodies: [(Value, &[&str]); 8] = [
        (json!({}), all),
        (
            json!({"policyId": 1, "resourceId": [], "resourceType": "x"}),
            all,
        ),
        (
            with("resourceType", json!({"addon": null})),
            &["$.resourceType"],
        ),
        (with("resourceId", json!("")), &["$.resourceId"]),
        (
            with("resourceId", json!("a".repeat(201))),
            &["$.resourceId"],
        ),
        (with("resourceId", json!("a\nb")), &["$.resourceId"]),
        (with("resourceId", json!("a\0b")), &["$.resourceId"]),
        (with("status", json!("approved")), &["$.status"]),
    ];
    server
        .refuses(Method::POST, INSTANCES, INSTANCES, bodies)
        .await;
    let longest = with("resourceId", json!("\u{e9}".repeat(200)));
    let id = server.made(INSTANCES, longest).await;
    let one = format!("{INSTANCES}/{id}");
    server
        .post(&format!("{one}/submit"), json!({}))
        .await
        .expect(200);
    let (_, reviewer) = server.reviewer().await;
    let long = "a".repeat(10_001);
    for (verb, body, paths) in [
        ("comment", json!({}), &["$.comment"] as &[&str]),
        ("comment", json!({"comment": " "}), &["$.comment"]),
        ("comment", json!({"comment": long}), &["$.comment"]),
        ("comment", json!({"comment": "a\0"}), &["$.comment"]),
        (
            "approve",
            json!({"comment": "", "conditions": [1, ""]}),
            &["$.comment", "$.conditions[0]", "$.conditions[1]"],
        ),
        (
            "approve",
            json!({"conditions": vec!["x"; 101]}),
            &["$.conditions"],
        ),
        (
            "approve",
            json!({"conditions": ["x".repeat(1_001)]}),
            &["$.conditions[0]"],
        ),
        ("approve", json!({"reason": "x"}), &["$.reason"]),
        (
            "deny",
            json!({"reason": long, "remediation": 7}),
            &["$.reason", "$.remediation"],
        ),
    ] {
        let path = format!("{one}/{verb}");
        let answer = server.by(&reviewer, Method::POST, &path, body).await;
        assert_eq!(answer.faults(), paths, "{verb}");
    }
    for verb in ["approve", "deny", "comment"] {
        let path = format!("{one}/{verb}");
        let answer = server
            .ask(Some(&reviewer), Method::POST, &path, Some("{"))
            .await;
        answer.expect(400);
    }
    let now = server.listed(&one).await;
    assert_eq!(
        (&now["status"], &now["comments"]),
        (&json!("submitted"), &json!([]))
    );
    let longest = json!({"comment": "a".repeat(10_000)});
    server
        .post(&format!("{one}/comment"), longest)
        .await
        .expect(200);
}

async fn body_of_a_review_may_be_left_out(server: Server) {
    let (_, reviewer) = server.reviewer().await;
    let one = server.bound("one", "queue").await;
    let bodies = [
        None,
        Some(""),
        Some("{}"),
        Some(r#"{"reason": null, "remediation": null}"#),
    ];
    for body in bodies {
        server
            .post(&format!("{one}/submit"), json!({}))
            .await
            .expect(200);
        let path = format!("{one}/deny");
        let denied = server.ask(Some(&reviewer), Method::POST, &path, body).await;
        assert_eq!(denied.expect(200)["status"], "denied");
    }
    for body in [
        None,
        Some("{}"),
        Some(r#"{"comment": null, "conditions": null}"#),
    ] {
        // Nor does a submission take one.
        let path = format!("{one}/submit");
        let owner = server.key(&server.owner_id().await, json!(["*"])).await;
        server
            .ask(Some(&owner), Method::POST, &path, None)
            .await
            .expect(200);
        let path = format!("{one}/approve");
        let approved = server.ask(Some(&reviewer), Method::POST, &path, body).await;
        assert_eq!(approved.expect(200)["status"], "approved");
    }
}

async fn wrong_transition_is_409_and_says_what_is_possible(server: Server) {
    let (_, reviewer) = server.reviewer().await;
    let one = server.bound("one", "queue").await;
    let by = async |verb: &str| {
        let path = format!("{one}/{verb}");
        server.by(&reviewer, Method::POST, &path, json!({})).await
    };
    let submit = async || server.post(&format!("{one}/submit"), json!({})).await;
    let refused = |answer: Value, state: &str, possible: &str| {
        assert_eq!(answer["error"]["code"], "invalid_transition");
        let told = message(&answer);
        assert!(told.contains(state) && told.ends_with(possible), "{told}");
    };
    let again = "it can be submitted";
    for verb in ["approve", "deny"] {
        refused(by(verb).await.expect(409), "pending", again);
    }
    submit().await.expect(200);
    let possible = "it can be approved or denied";
    refused(submit().await.expect(409), "submitted", possible);
    by("deny").await.expect(200);
    for verb in ["approve", "deny"] {
        refused(by(verb).await.expect(409), "denied", again);
    }
    submit().await.expect(200);
    by("approve").await.expect(200);
    for verb in ["approve", "deny"] {
        refused(by(verb).await.expect(409), "approved", again);
    }
    submit().await.expect(200);
}

async fn who_submitted_does_not_review(server: Server) {
    let (_, reviewer) = server.reviewer().await;
    let one = server.bound("one", "queue").await;
    server
        .post(&format!("{one}/submit"), json!({}))
        .await
        .expect(200);
    for verb in ["approve", "deny"] {
        let refused = server
            .post(&format!("{one}/{verb}"), json!({}))
            .await
            .expect(403);
        assert!(message(&refused).contains("who submitted"), "{refused}");
    }
    assert_eq!(server.listed(&one).await["status"], "submitted");
    let path = format!("{one}/deny");
    server
        .by(&reviewer, Method::POST, &path, json!({}))
        .await
        .expect(200);
    // Now it is the reviewer who submits.
    let path = format!("{one}/submit");
    server
        .by(&reviewer, Method::POST, &path, json!({}))
        .await
        .expect(200);
    let path = format!("{one}/approve");
    server
        .by(&reviewer, Method::POST, &path, json!({}))
        .await
        .expect(403);
    server.post(&path, json!({})).await.expect(200);
}

async fn review_takes_its_scope_and_its_permission(server: Server) {
    let ws = server.workspace().await;
    let (reviewer_id, _) = server.reviewer().await;
    let (_, member) = server.joined(&ws, "member@example.com", MEMBER).await;
    let one = server.bound("one", "queue").await;
    server
        .post(&format!("{one}/submit"), json!({}))
        .await
        .expect(200);
    let writer = server.key(&reviewer_id, json!(["governance:write"])).await;
    let scoped = server.key(&reviewer_id, json!(["governance:review"])).await;
    for verb in ["approve", "deny"] {
        let path = format!("{one}/{verb}");
        let refused = server.by(&writer, Method::POST, &path, json!({})).await;
        assert!(message(&refused.expect(403)).contains("governance:review"));
        let refused = server.by(&member, Method::POST, &path, json!({})).await;
        assert!(message(&refused.expect(403)).contains("governance.write"));
    }
    let path = format!("{one}/approve");
    server
        .by(&scoped, Method::POST, &path, json!({}))
        .await
        .expect(200);
    // The scope to review is none to submit or to comment.
    for verb in ["submit", "comment"] {
        let path = format!("{one}/{verb}");
        server
            .by(&scoped, Method::POST, &path, json!({"comment": "x"}))
            .await
            .expect(403);
    }
}

async fn instance_beyond_the_purview_is_not_there(server: Server) {
    let home = server.workspace().await;
    let catalog = server.catalog(&home).await;
    let policy_id = server.governed_by("one", json!([])).await;
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    let theirs = server.catalog(&other).await;
    let (_, key) = server.joined(&other, "other@example.com", OWNER).await;
    let body =
        |model: &str| json!({"policyId": policy_id, "resourceId": model, "resourceType": "model"});
    // Resources beyond it are not there either.
    let refused = server
        .by(&key, Method::POST, INSTANCES, body(&catalog.model))
        .await;
    refused.expect(404);
    let made = server
        .by(&key, Method::POST, INSTANCES, body(&theirs.model))
        .await;
    let own = text(&made.expect(201)["id"]);
    let hidden = server.made(INSTANCES, body(&catalog.model)).await;
    let outside = server.bound("two", "queue").await;
    let list = server
        .ask(Some(&key), Method::GET, INSTANCES, None)
        .await
        .expect(200);
    let outside = outside.rsplit('/').next().expect("an id");
    assert_eq!(column(&list["data"], "id"), [&json!(outside), &json!(own)]);
    assert_eq!(list["pagination"]["total"], 2);
    let all = server.get(INSTANCES).await.expect(200);
    assert_eq!(all["pagination"]["total"], 3);
    let resource = format!("{INSTANCES}?resourceId={}", catalog.model);
    let list = server
        .ask(Some(&key), Method::GET, &resource, None)
        .await
        .expect(200);
    assert_eq!(list["pagination"]["total"], 0);
    for verb in ["submit", "approve", "deny", "comment"] {
        let path = format!("{INSTANCES}/{hidden}/{verb}");
        let refused = server
            .by(&key, Method::POST, &path, json!({"comment": "x"}))
            .await;
        assert_eq!(message(&refused.expect(404)), "policy instance not found");
    }
    let path = format!("{INSTANCES}/{own}/submit");
    server
        .by(&key, Method::POST, &path, json!({}))
        .await
        .expect(200);
    let path = format!("{INSTANCES}/{own}/approve");
    server.post(&path, json!({})).await.expect(200);
}

async fn instance_that_is_not_there_is_404(server: Server) {
    let nobody = format!("pinst_{}", NOBODY.replace('-', ""));
    for id in [nobody.as_str(), "pinst_def456", NOBODY] {
        for verb in ["submit", "approve", "deny", "comment"] {
            let path = format!("{INSTANCES}/{id}/{verb}");
            server
                .post(&path, json!({"comment": "x"}))
                .await
                .expect(404);
        }
    }
}

async fn what_is_gone_from_the_catalog_is_not_submitted(server: Server) {
    let ws = server.workspace().await;
    let hook = json!({
        "name": "hook", "type": "webhook", "config": {"url": "https://127.0.0.1:9/in"},
    });
    let hook = server.made(&format!("{ws}/destinations"), hook).await;
    // Nothing is asked of it, so that what is gone would be compliant.
    let policy_id = server.governed_by("one", json!([])).await;
    let body = json!({"policyId": policy_id, "resourceId": hook, "resourceType": "app"});
    let one = format!("{INSTANCES}/{}", server.made(INSTANCES, body).await);
    let path = format!("{ws}/destinations/{hook}");
    server.delete(&path).await.expect(204);
    let before = server.listed(&one).await;
    let refused = server.post(&format!("{one}/submit"), json!({})).await;
    assert_eq!(message(&refused.expect(404)), "resource not found");
    assert_eq!(server.listed(&one).await, before);
}

async fn instances_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let one = server.bound("one", "queue").await;
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    let (member_id, member) = server.joined(&ws, "member@example.com", MEMBER).await;
    let limited = server.key(&member_id, json!(["sources:read"])).await;
    let reader = server
        .key(&server.owner_id().await, json!(["governance:read"]))
        .await;
    server
        .ask(None, Method::GET, INSTANCES, None)
        .await
        .expect(401);
    server
        .ask(Some(&member), Method::GET, INSTANCES, None)
        .await
        .expect(200);
    for key in [&stranger, &limited] {
        server
            .ask(Some(key), Method::GET, INSTANCES, None)
            .await
            .expect(403);
    }
    let before = server.listed(&one).await;
    for verb in ["", "/submit", "/approve", "/deny", "/comment"] {
        let path = match verb {
            "" => INSTANCES.to_owned(),
            verb => format!("{one}{verb}"),
        };
        let body = json!({"comment": "x"});
        server
            .ask(None, Method::POST, &path, Some("{}"))
            .await
            .expect(401);
        for key in [&stranger, &member, &limited, &reader] {
            server
                .by(key, Method::POST, &path, body.clone())
                .await
                .expect(403);
        }
    }
    assert_eq!(server.listed(&one).await, before);
}
