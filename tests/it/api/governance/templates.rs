//! `/governance/templates`.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use syncguard::compliance::TemplateId;

use crate::api::fixtures::{column, is_time, keys, message};
use crate::api::{MEMBER, NOBODY, Server, text};

on_both_stores!(
    template_comes_changes_and_goes,
    examples_of_the_seed_are_taken,
    every_fault_of_a_template_is_told,
    list_is_filtered_sorted_and_paged,
    parameters_that_are_not_valid_are_400,
    name_is_unique_in_the_organisation,
    published_template_gets_versions,
    template_is_published_once,
    template_makes_a_policy,
    template_in_use_is_not_deleted,
    reviews_make_the_average,
    packs_come_with_syncguard,
    templates_are_for_those_who_govern,
    template_that_is_not_there_is_404,
    template_that_was_changed_meanwhile_is_412,
    changes_are_told_in_the_audit_log,
);

const LIST: &str = "/api/v1/governance/templates";

const FIELDS: [&str; 17] = [
    "id",
    "name",
    "description",
    "category",
    "policyDefinition",
    "targetResourceTypes",
    "complianceFrameworks",
    "tags",
    "isPublic",
    "isVerified",
    "published",
    "version",
    "organizationId",
    "reviews",
    "averageRating",
    "createdAt",
    "updatedAt",
];

/// The example of the seed.
fn cardholder() -> Value {
    json!({
        "name": "PCI-DSS Cardholder Data Protection",
        "category": "financial",
        "policyDefinition": {"rules": [
            {"field": "encryption.atRest", "operator": "equals", "value": true},
            {"field": "encryption.inTransit", "operator": "equals", "value": true},
            {"field": "accessControl.rbac", "operator": "equals", "value": true},
        ]},
        "description": "Ensures PCI-DSS compliance for cardholder data environments",
        "targetResourceTypes": ["addon", "app"],
        "complianceFrameworks": ["pci-dss"],
        "tags": ["payment", "cardholder", "encryption"],
        "isPublic": true,
    })
}

fn small(name: &str) -> Value {
    json!({"name": name, "category": "security", "policyDefinition": {"rules": [
        {"field": "tls.enabled", "operator": "equals", "value": true},
    ]}})
}

fn path(id: &str) -> String {
    format!("{LIST}/{id}")
}

/// An identifier of the right form that nothing bears.
fn nobody() -> String {
    format!("tmpl_{}", NOBODY.replace('-', ""))
}

#[track_caller]
fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().expect("a code")
}

impl Server {
    /// A new template of that name; answers its path.
    async fn template(&self, name: &str) -> String {
        path(&self.made(LIST, small(name)).await)
    }

    async fn published(&self, name: &str) -> String {
        let one = self.template(name).await;
        self.post(&format!("{one}/publish"), json!({}))
            .await
            .expect(200);
        one
    }

    /// The names of the organisation's own templates that a query finds, in its order.
    async fn names(&self, query: &str) -> Vec<String> {
        let query = format!("{LIST}?verified=false&{query}");
        let listed = self.get(&query).await.expect(200);
        column(&listed["data"], "name")
            .into_iter()
            .map(text)
            .collect()
    }
}

async fn template_comes_changes_and_goes(server: Server) {
    let made = server.post(LIST, small("first")).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert!(text(&made["id"]).parse::<TemplateId>().is_ok(), "{made}");
    assert!(text(&made["organizationId"]).starts_with("org_"));
    let defaults = json!({
        "description": "",
        "targetResourceTypes": [],
        "complianceFrameworks": [],
        "tags": [],
        "isPublic": false,
        "isVerified": false,
        "published": false,
        "version": 1,
        "reviews": [],
        "averageRating": null,
    });
    for (field, value) in defaults.as_object().expect("an object") {
        assert_eq!(&made[field], value, "{field}");
    }
    assert!(is_time(&made["createdAt"]));
    assert_eq!(made["createdAt"], made["updatedAt"]);
    let one = path(&text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);

    // What a change does not name stays.
    let change = json!({"tags": ["a", "A"], "isPublic": true, "category": "healthcare"});
    let changed = server.put(&one, change.clone()).await.expect(200);
    let mut expected = made.clone();
    for (field, value) in change.as_object().expect("an object") {
        expected[field] = value.clone();
    }
    assert_ne!(changed["updatedAt"], made["updatedAt"]);
    expected["updatedAt"] = changed["updatedAt"].clone();
    assert_eq!(changed, expected);
    // Null is as if it had not been sent.
    let null = json!({"tags": null, "description": null, "isPublic": null});
    assert_eq!(server.put(&one, null).await.expect(200), changed);
    let change = json!({"tags": [], "isPublic": false});
    let changed = server.put(&one, change).await.expect(200);
    assert_eq!(changed["tags"], json!([]));
    assert_eq!(changed["isPublic"], false);
    assert_eq!(server.get(&one).await.expect(200), changed);
    // As long as it is not published, there is one version of it.
    assert_eq!(changed["version"], 1);
    let versions = server.get(&format!("{one}/versions")).await.expect(200);
    assert_eq!(versions, json!([]));

    assert_eq!(server.delete(&one).await.expect(204), json!(""));
    server.get(&one).await.expect(404);
}

async fn examples_of_the_seed_are_taken(server: Server) {
    let made = server.post(LIST, cardholder()).await.expect(201);
    for (field, value) in cardholder().as_object().expect("an object") {
        assert_eq!(&made[field], value, "{field}");
    }
    let one = path(&text(&made["id"]));
    let change = json!({
        "description": "Updated PCI-DSS template with v4.0 requirements",
        "policyDefinition": {"rules": [
            {"field": "encryption.atRest", "operator": "equals", "value": true},
            {"field": "encryption.inTransit", "operator": "equals", "value": true},
            {"field": "encryption.algorithm", "operator": "in", "value": ["AES-256", "AES-128"]},
        ]},
    });
    let changed = server.put(&one, change.clone()).await.expect(200);
    assert_eq!(changed["description"], change["description"]);
    assert_eq!(changed["policyDefinition"], change["policyDefinition"]);
    assert_eq!(changed["tags"], made["tags"]);
    let published = server.post(&format!("{one}/publish"), json!({})).await;
    let published = published.expect(200);
    assert_eq!(keys(&published), ["id", "published", "updatedAt"]);
    let body = json!({"name": "Production PCI-DSS Policy", "severity": "critical"});
    let policy = server.post(&format!("{one}/use"), body).await.expect(201);
    assert_eq!(policy["name"], "Production PCI-DSS Policy");
    assert_eq!(policy["severity"], "critical");
    let body = json!({
        "rating": 5,
        "comment": "Comprehensive coverage of PCI-DSS v4.0 requirements. Easy to customize.",
    });
    let reviewed = server.post(&format!("{one}/review"), body.clone()).await;
    let reviewed = reviewed.expect(200);
    assert_eq!(
        keys(&reviewed),
        ["id", "reviews", "averageRating", "updatedAt"]
    );
    let review = &reviewed["reviews"][0];
    assert_eq!(keys(review), ["userId", "rating", "comment", "createdAt"]);
    assert_eq!(review["rating"], 5);
    assert_eq!(review["comment"], body["comment"]);
}

async fn every_fault_of_a_template_is_told(server: Server) {
    let one = server.template("mine").await;
    let long = "x".repeat(101);
    let faulty: [(Value, &[&str]); 6] = [
        (
            json!({"name": "", "category": "", "policyDefinition": 1}),
            &["$.category", "$.name", "$.policyDefinition"],
        ),
        (
            json!({"name": " ", "category": "data", "policyDefinition": []}),
            &["$.category", "$.name", "$.policyDefinition"],
        ),
        (
            json!({"name": "x", "category": "security", "policyDefinition": {
                "severity": "dire", "more": 1,
            }}),
            &[
                "$.policyDefinition.more",
                "$.policyDefinition.rules",
                "$.policyDefinition.severity",
            ],
        ),
        (
            json!({"name": "x", "category": "security", "policyDefinition": {"rules": [
                {"field": "tls.enabled", "operator": "resembles", "value": true},
            ]}}),
            &["$.policyDefinition.rules[0].operator"],
        ),
        (
            json!({
                "name": "x",
                "category": "security",
                "policyDefinition": {"rules": []},
                "description": 7,
                "targetResourceTypes": ["app", "server", 7],
                "complianceFrameworks": [""],
                "tags": ["a", long],
                "isPublic": "yes",
            }),
            &[
                "$.complianceFrameworks[0]",
                "$.description",
                "$.isPublic",
                "$.tags[1]",
                "$.targetResourceTypes[1]",
                "$.targetResourceTypes[2]",
            ],
        ),
        (
            json!({
                "name": "x",
                "category": "security",
                "policyDefinition": {"rules": []},
                "isVerified": true,
                "published": true,
            }),
            &["$.isVerified", "$.published"],
        ),
    ];
    server
        .refuses(Method::POST, LIST, LIST, faulty.clone())
        .await;
    server.refuses(Method::PUT, &one, LIST, faulty).await;
    let nothing: [(Value, &[&str]); 2] = [
        (json!({}), &["$.category", "$.name", "$.policyDefinition"]),
        (json!([]), &["$"]),
    ];
    server.refuses(Method::POST, LIST, LIST, nothing).await;

    server
        .post(&format!("{one}/publish"), json!({}))
        .await
        .expect(200);
    let review = format!("{one}/review");
    let faulty: [(Value, &[&str]); 6] = [
        (json!({}), &["$.rating"]),
        (json!({"rating": 0}), &["$.rating"]),
        (json!({"rating": 6}), &["$.rating"]),
        (json!({"rating": 4.5}), &["$.rating"]),
        (
            json!({"rating": "5", "comment": 5}),
            &["$.comment", "$.rating"],
        ),
        (json!({"rating": 5, "userId": NOBODY}), &["$.userId"]),
    ];
    server.refuses(Method::POST, &review, LIST, faulty).await;
    let faulty: [(Value, &[&str]); 2] = [
        (
            json!({"name": "", "severity": "dire", "description": []}),
            &["$.description", "$.name", "$.severity"],
        ),
        (json!({"category": "data"}), &["$.category"]),
    ];
    let using = format!("{one}/use");
    server.refuses(Method::POST, &using, LIST, faulty).await;
    for route in [LIST, &review, &using] {
        let key = crate::api::BOOTSTRAP_KEY;
        let answer = server.ask(Some(key), Method::POST, route, Some("{")).await;
        answer.expect(400);
    }
}

async fn list_is_filtered_sorted_and_paged(server: Server) {
    for (name, change) in [
        (
            "alpha",
            json!({"description": "50% of it", "complianceFrameworks": ["hipaa", "hitrust"]}),
        ),
        (
            "Beta",
            json!({"category": "operational", "complianceFrameworks": ["hipaa-x", "a\",\"b"]}),
        ),
        (
            "gamma",
            json!({"targetResourceTypes": ["app", "model"], "complianceFrameworks": ["HIPAA"]}),
        ),
    ] {
        let one = server.template(name).await;
        server.put(&one, change).await.expect(200);
    }
    for (query, expected) in [
        ("sort=createdAt:asc", &["alpha", "Beta", "gamma"] as &[&str]),
        ("", &["gamma", "Beta", "alpha"]),
        ("sort=updatedAt:desc", &["gamma", "Beta", "alpha"]),
        ("search=ET", &["Beta"]),
        ("search=0%25", &["alpha"]),
        ("search=_", &[]),
        ("category=operational", &["Beta"]),
        ("category=financial", &[]),
        ("resourceType=model", &["gamma"]),
        ("resourceType=addon", &[]),
        ("framework=hipaa", &["alpha"]),
        ("framework=HIPAA", &["gamma"]),
        ("framework=a%22,%22b", &["Beta"]),
        ("framework=b", &[]),
        ("framework=%25", &[]),
        ("framework=", &[]),
        ("framework=hipaa&search=beta", &[]),
        ("sort=createdAt:asc&limit=1&offset=1", &["Beta"]),
        ("offset=3", &[]),
    ] {
        assert_eq!(server.names(query).await, expected, "{query}");
    }
    let page = format!("{LIST}?verified=false&limit=2");
    let page = server.get(&page).await.expect(200);
    assert_eq!(keys(&page), ["data", "pagination"]);
    assert_eq!(keys(&page["data"][0]), FIELDS);
    assert_eq!(
        page["pagination"],
        json!({"total": 3, "limit": 2, "offset": 0, "hasMore": true})
    );

    // Templates without a rating come last in either direction.
    for (name, rating) in [("alpha", 3), ("gamma", 5)] {
        let query = format!("{LIST}?verified=false&search={name}");
        let found = server.get(&query).await.expect(200);
        let one = path(&text(&found["data"][0]["id"]));
        for (route, body) in [
            ("publish", json!({})),
            ("review", json!({"rating": rating})),
        ] {
            let route = format!("{one}/{route}");
            server.post(&route, body).await.expect(200);
        }
    }
    let best = server.names("sort=averageRating:desc").await;
    assert_eq!(best, ["gamma", "alpha", "Beta"]);
    let worst = server.names("sort=averageRating:asc").await;
    assert_eq!(worst, ["alpha", "gamma", "Beta"]);
}

async fn parameters_that_are_not_valid_are_400(server: Server) {
    for query in [
        "category=data",
        "resourceType=server",
        "verified=yes",
        "limit=0",
        "limit=101",
        "offset=-1",
        "sort=rating:asc",
        "sort=name:up",
        "severity=high",
        "search=a&search=b",
    ] {
        let answer = server.get(&format!("{LIST}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
}

async fn name_is_unique_in_the_organisation(server: Server) {
    let one = server.template("taken").await;
    let other = server.template("free").await;
    let error = server.post(LIST, small("taken")).await.expect(409);
    assert_eq!(code(&error), "duplicate_name");
    assert!(message(&error).contains("\"taken\""), "{error}");
    let rename = json!({"name": "taken"});
    let error = server.put(&other, rename.clone()).await.expect(409);
    assert_eq!(code(&error), "duplicate_name");
    server.put(&one, rename).await.expect(200);
    // Another organisation has names of its own.
    let verified = server.get(&format!("{LIST}?verified=true")).await;
    let theirs = text(&verified.expect(200)["data"][0]["name"]);
    server.template(&theirs).await;
}

async fn published_template_gets_versions(server: Server) {
    let one = server.published("mine").await;
    let versions = format!("{one}/versions");
    assert_eq!(server.get(&versions).await.expect(200), json!([]));
    let mut former = Vec::new();
    for (version, description) in [(2, "second"), (3, "third")] {
        former.push(server.get(&one).await.expect(200));
        let change = json!({"description": description});
        let changed = server.put(&one, change).await.expect(200);
        assert_eq!(changed["version"], version);
        assert_eq!(changed["published"], true);
        assert_eq!(server.get(&versions).await.expect(200), json!(former));
    }
    // Nothing differs: there is no version to make.
    let same = server.get(&one).await.expect(200);
    let again = server.put(&one, json!({"description": "third"})).await;
    assert_eq!(again.expect(200), same);
    assert_eq!(server.get(&versions).await.expect(200), json!(former));
    server.delete(&one).await.expect(204);
    server.get(&versions).await.expect(404);
}

async fn template_is_published_once(server: Server) {
    let one = server.template("mine").await;
    let publish = format!("{one}/publish");
    let (a, b) = tokio::join!(
        server.post(&publish, json!({})),
        server.post(&publish, json!({})),
    );
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let (good, bad) = if a.status == 200 { (a, b) } else { (b, a) };
    assert_eq!(code(&bad.body), "invalid_transition");
    let now = server.get(&one).await.expect(200);
    assert_eq!(
        good.body,
        json!({"id": now["id"], "published": true, "updatedAt": now["updatedAt"]})
    );
    assert_eq!(
        (&now["published"], &now["version"]),
        (&json!(true), &json!(1))
    );
}

async fn template_makes_a_policy(server: Server) {
    let one = path(&server.made(LIST, cardholder()).await);
    let template = server.get(&one).await.expect(200);
    let using = format!("{one}/use");
    let made = server.post(&using, json!({})).await.expect(201);
    let fields = [
        "id",
        "name",
        "description",
        "status",
        "category",
        "severity",
        "rules",
        "organizationId",
        "isActive",
        "createdAt",
        "updatedAt",
    ];
    assert_eq!(keys(&made), fields);
    assert!(text(&made["id"]).starts_with("pol_"));
    assert_eq!(made["name"], template["name"]);
    assert_eq!(made["description"], template["description"]);
    assert_eq!(made["rules"], template["policyDefinition"]["rules"]);
    assert_eq!(made["organizationId"], template["organizationId"]);
    let rest = ["status", "category", "severity", "isActive"].map(|field| made[field].clone());
    assert_eq!(json!(rest), json!(["active", "compliance", "high", true]));
    let policy = format!("/api/v1/governance/policies/{}", text(&made["id"]));
    assert_eq!(server.get(&policy).await.expect(200), made);

    // The name is taken now.
    let error = server.post(&using, json!({})).await.expect(409);
    assert_eq!(code(&error), "duplicate_name");
    let body = json!({"name": "other", "description": "d", "severity": "low"});
    let made = server.post(&using, body).await.expect(201);
    let told = ["name", "description", "severity"].map(|field| made[field].clone());
    assert_eq!(json!(told), json!(["other", "d", "low"]));

    // The severity of the definition stands where the body names none.
    let change = json!({"category": "operational", "policyDefinition": {
        "rules": [{"field": "owner", "operator": "exists"}],
        "severity": "medium",
    }});
    server.put(&one, change).await.expect(200);
    let made = server
        .post(&using, json!({"name": "third"}))
        .await
        .expect(201);
    assert_eq!(made["severity"], "medium");
    assert_eq!(made["category"], "operational");
    // The policies that were there are as they were.
    assert_eq!(
        server.get(&policy).await.expect(200)["rules"],
        template["policyDefinition"]["rules"]
    );
}

async fn template_in_use_is_not_deleted(server: Server) {
    let one = server.template("mine").await;
    let using = format!("{one}/use");
    let mut policies = Vec::new();
    for name in ["first", "second"] {
        let made = server.post(&using, json!({"name": name})).await;
        let id = text(&made.expect(201)["id"]);
        policies.push(format!("/api/v1/governance/policies/{id}"));
    }
    server
        .post(&format!("{one}/publish"), json!({}))
        .await
        .expect(200);
    let error = server.delete(&one).await.expect(409);
    assert_eq!(code(&error), "template_in_use");
    assert_eq!(
        message(&error),
        "Cannot delete template: 2 policies were created from it"
    );
    server.delete(&policies[0]).await.expect(204);
    let error = server.delete(&one).await.expect(409);
    assert!(message(&error).ends_with("1 policy was created from it"));
    server.delete(&policies[1]).await.expect(204);
    server.delete(&one).await.expect(204);

    // One that is not published goes; its policies stay.
    let draft = server.template("draft").await;
    let made = server.post(&format!("{draft}/use"), json!({})).await;
    let policy = text(&made.expect(201)["id"]);
    server.delete(&draft).await.expect(204);
    let policy = format!("/api/v1/governance/policies/{policy}");
    server.get(&policy).await.expect(200);
}

async fn reviews_make_the_average(server: Server) {
    let one = server.template("mine").await;
    let review = format!("{one}/review");
    let error = server.post(&review, json!({"rating": 5})).await.expect(409);
    assert_eq!(code(&error), "template_not_published");
    server
        .post(&format!("{one}/publish"), json!({}))
        .await
        .expect(200);
    let ws = server.workspace().await;
    let mut others = Vec::new();
    for name in ["a", "b"] {
        let email = format!("{name}@example.com");
        others.push(server.joined(&ws, &email, crate::api::ADMIN).await);
    }
    let owner = server.owner_id().await;
    server
        .post(&review, json!({"rating": 5, "comment": "good"}))
        .await
        .expect(200);
    for ((_, key), rating) in others.iter().zip([5, 4]) {
        let body = json!({"rating": rating});
        server
            .by(key, Method::POST, &review, body)
            .await
            .expect(200);
    }
    let now = server.get(&one).await.expect(200);
    let users = [json!(owner), json!(others[0].0), json!(others[1].0)];
    assert_eq!(column(&now["reviews"], "userId"), users.each_ref());
    assert_eq!(
        column(&now["reviews"], "comment"),
        [&json!("good"), &json!(""), &json!("")]
    );
    assert_eq!(now["averageRating"], 4.7);

    // One review of each account: a second one takes the place of the first.
    let again = server.post(&review, json!({"rating": 1})).await.expect(200);
    assert_eq!(
        column(&again["reviews"], "userId"),
        [&users[1], &users[2], &users[0]]
    );
    assert_eq!(again["averageRating"].as_f64(), Some(3.3));
    let now = server.get(&one).await.expect(200);
    for field in ["id", "reviews", "averageRating", "updatedAt"] {
        assert_eq!(now[field], again[field], "{field}");
    }
    // They are of the template, not of one version; and they do not make one.
    assert_eq!(now["version"], 1);
    let changed = server.put(&one, json!({"tags": ["x"]})).await.expect(200);
    assert_eq!(changed["reviews"], now["reviews"]);
    assert_eq!(changed["averageRating"], now["averageRating"]);
    let listed = server.get(&format!("{LIST}?verified=false")).await;
    assert_eq!(listed.expect(200)["data"], json!([changed]));
}

async fn packs_come_with_syncguard(server: Server) {
    let all = server.get(&format!("{LIST}?limit=100&verified=true")).await;
    let all = all.expect(200);
    let mut found = 0;
    for framework in ["gdpr", "hipaa", "pci-dss", "soc2", "iso27001"] {
        let query = format!("{LIST}?limit=100&verified=true&framework={framework}");
        let listed = server.get(&query).await.expect(200);
        let listed = listed["data"].as_array().expect("a list").clone();
        assert!(listed.len() >= 7, "{framework}");
        found += listed.len();
    }
    assert_eq!(all["pagination"]["total"], found);
    let one = &all["data"][0];
    assert_eq!(keys(one), FIELDS);
    for field in ["isPublic", "isVerified", "published"] {
        assert_eq!(one[field], true, "{field}");
    }
    assert_eq!(
        one["organizationId"],
        format!("org_{}", "0".repeat(32)).as_str()
    );

    // They belong to syncguard: they are used and reviewed, and not changed.
    let path = path(&text(&one["id"]));
    for (method, route, body) in [
        (Method::PUT, path.clone(), json!({"description": "mine"})),
        (Method::DELETE, path.clone(), json!({})),
        (Method::POST, format!("{path}/publish"), json!({})),
    ] {
        let answer = server.as_owner(method, &route, body).await;
        assert!(message(&answer.expect(403)).contains("another organisation"));
    }
    let review = json!({"rating": 4, "comment": "fine"});
    let reviewed = server.post(&format!("{path}/review"), review).await;
    assert_eq!(reviewed.expect(200)["averageRating"].as_f64(), Some(4.0));
    let policy = server.post(&format!("{path}/use"), json!({})).await;
    let policy = policy.expect(201);
    assert_eq!(policy["severity"], one["policyDefinition"]["severity"]);
    assert_ne!(policy["organizationId"], one["organizationId"]);

    let hipaa = format!("{LIST}?framework=hipaa&resourceType=workflow");
    let hipaa = server.get(&hipaa).await.expect(200);
    let rules = &hipaa["data"][0]["policyDefinition"]["rules"];
    let expected = json!([{"field": "encryption.inTransit", "operator": "equals", "value": true}]);
    assert_eq!(rules, &expected);
}

async fn templates_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let one = server.template("mine").await;
    let requests = [
        (Method::GET, LIST.to_owned(), json!({}), false),
        (Method::GET, one.clone(), json!({}), false),
        (Method::GET, format!("{one}/versions"), json!({}), false),
        (Method::POST, LIST.to_owned(), small("other"), true),
        (Method::PUT, one.clone(), json!({"tags": ["x"]}), true),
        (Method::POST, format!("{one}/use"), json!({}), true),
        (Method::POST, format!("{one}/publish"), json!({}), true),
        (
            Method::POST,
            format!("{one}/review"),
            json!({"rating": 1}),
            true,
        ),
        (Method::DELETE, one.clone(), json!({}), true),
    ];
    let member = server.member(&ws, "m@example.com", MEMBER).await;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["governance:read"])).await;
    let other = server.key(&owner, json!(["sources:read"])).await;
    let (_, stranger) = server.account("s@example.com", json!(["*"])).await;
    for (method, path, body, writes) in requests {
        let text = body.to_string();
        let ask = async |key: Option<&str>| {
            let answer = server.ask(key, method.clone(), &path, Some(&text)).await;
            answer.status
        };
        assert_eq!(ask(None).await, 401, "{method} {path}");
        assert_eq!(ask(Some(&stranger)).await, 403, "{method} {path}");
        assert_eq!(ask(Some(&other)).await, 403, "{method} {path}");
        let expected = if writes { 403 } else { 200 };
        assert_eq!(ask(Some(&member)).await, expected, "{method} {path}");
        assert_eq!(ask(Some(&reader)).await, expected, "{method} {path}");
    }
    assert_eq!(server.get(&one).await.expect(200)["tags"], json!([]));
}

async fn template_that_is_not_there_is_404(server: Server) {
    for id in [nobody(), NOBODY.to_owned(), "tmpl_abc123".to_owned()] {
        let one = path(&id);
        for (method, route, body) in [
            (Method::GET, one.clone(), json!({})),
            (Method::GET, format!("{one}/versions"), json!({})),
            (Method::PUT, one.clone(), json!({"name": "x"})),
            (Method::DELETE, one.clone(), json!({})),
            (Method::POST, format!("{one}/use"), json!({})),
            (Method::POST, format!("{one}/publish"), json!({})),
            (Method::POST, format!("{one}/review"), json!({"rating": 1})),
        ] {
            let answer = server.as_owner(method.clone(), &route, body).await;
            assert_eq!(answer.status, 404, "{method} {route}: {}", answer.body);
            assert_eq!(code(&answer.body), "not_found");
        }
    }
}

async fn template_that_was_changed_meanwhile_is_412(server: Server) {
    let one = server.template("mine").await;
    server.heeds_if_match(&one, json!({"tags": ["x"]})).await;
}

async fn changes_are_told_in_the_audit_log(server: Server) {
    let one = server.published("mine").await;
    server.put(&one, json!({"tags": ["x"]})).await.expect(200);
    for rating in [3, 4] {
        let review = json!({"rating": rating});
        server
            .post(&format!("{one}/review"), review)
            .await
            .expect(200);
    }
    server.delete(&one).await.expect(204);
    let path = "/api/v1/audit?object_kind=policy_template&limit=100";
    let lines = server.get(path).await.expect(200);
    let lines = column(&lines, "line").into_iter();
    let mut actions: Vec<_> = lines.map(|line| text(&line["action"])).collect();
    actions.sort_unstable();
    let verbs = ["create", "delete", "publish", "review", "review", "update"];
    let expected = verbs.map(|verb| format!("policy_template.{verb}"));
    assert_eq!(actions, expected);
}

/// What another organisation has is seen if it is published and public, and never changed.
#[tokio::test]
async fn templates_of_another_organisation() {
    let server = Server::start().await;
    let store = server.folder.path().join("data/syncguard.db");
    let mut store = SqliteConnection::connect(&format!("sqlite://{}", store.display()))
        .await
        .expect("the store");
    let organization = "X'000000000000000000000000000000aa'";
    let statement =
        format!("INSERT INTO organizations (id, is_own, name) VALUES ({organization}, 0, 'other')");
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut store)
        .await
        .expect("an organisation");
    let id = |number: u8| format!("{number:032x}");
    for (number, is_public, published) in [(1, 1, 1), (2, 1, 0), (3, 0, 1), (4, 0, 0)] {
        let id = id(number);
        let statement = format!(
            "INSERT INTO compliance_templates (id, organization_id, name, description, category,
                 definition, target_resource_types, frameworks, tags, is_public, is_verified,
                 published, version, created_at, updated_at)
             VALUES (X'{id}', {organization}, 'theirs {number}', '', 'security',
                 '{{\"rules\":[]}}', '[]', '[]', '[]', {is_public}, 0, {published}, 1,
                 '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00')"
        );
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut store)
            .await
            .expect("a template");
    }
    store.close().await.expect("an end");
    assert_eq!(server.names("").await, ["theirs 1"]);
    for number in 1..=4 {
        let one = path(&format!("tmpl_{}", id(number)));
        let sees = number == 1;
        let before = server.get(&one).await;
        assert_eq!(before.status, if sees { 200 } else { 404 }, "{one}");
        for (method, route, body, permitted) in [
            (Method::PUT, one.clone(), json!({"name": "mine"}), 403),
            (Method::DELETE, one.clone(), json!({}), 403),
            (Method::POST, format!("{one}/publish"), json!({}), 403),
            (Method::GET, format!("{one}/versions"), json!({}), 200),
            (Method::POST, format!("{one}/use"), json!({}), 201),
        ] {
            let answer = server.as_owner(method.clone(), &route, body).await;
            let expected = if sees { permitted } else { 404 };
            assert_eq!(answer.status, expected, "{method} {route}");
        }
        let now = server.get(&one).await;
        assert_eq!(now.body, before.body, "{one}");
        let review = json!({"rating": 2});
        let reviewed = server.post(&format!("{one}/review"), review).await;
        assert_eq!(reviewed.status, if sees { 200 } else { 404 }, "{one}");
    }
}
