//! `/governance/resources`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{column, equals, is_time, keys, message};
use crate::api::{ADMIN, BOOTSTRAP_KEY, MEMBER, NOBODY, Server, text};

on_both_stores!(
    objects_of_the_catalog_tell_their_facts,
    a_change_of_the_url_shows_at_once,
    facts_are_declared_merged_and_removed,
    what_the_catalog_tells_is_not_declared,
    every_fault_of_a_declaration_is_told,
    resources_outside_have_what_is_declared,
    declared_facts_of_parts_show_in_the_whole,
    the_last_run_that_worked_on_records_is_told,
    of_what_is_gone_nothing_is_known,
    resources_of_other_workspaces_are_not_there,
    facts_are_declared_by_those_who_govern,
    no_secret_is_told,
    what_is_no_resource_is_404,
    declarations_at_once_all_count,
    declarations_are_audited,
);

const BASE: &str = "/api/v1/governance/resources";

fn path(kind: &str, id: &str) -> String {
    format!("{BASE}/{kind}/{id}")
}

/// The fact at a field of an answer.
fn fact<'a>(answer: &'a Value, field: &str) -> Option<&'a Value> {
    let mut facts = answer["facts"].as_array().expect("facts").iter();
    facts.find(|fact| fact["field"] == field)
}

/// The value of a fact; null where there is none.
fn value<'a>(answer: &'a Value, field: &str) -> &'a Value {
    fact(answer, field).map_or(&Value::Null, |fact| &fact["value"])
}

#[track_caller]
fn tells<const N: usize>(answer: &Value, expected: [(&str, Value); N]) {
    for (field, expected) in expected {
        assert_eq!(value(answer, field), &expected, "{field}: {answer:#}");
    }
}

impl Server {
    async fn facts(&self, kind: &str, id: &str) -> Value {
        self.get(&path(kind, id)).await.expect(200)
    }

    async fn declare(&self, kind: &str, id: &str, attributes: Value) -> Value {
        let body = json!({"attributes": attributes});
        self.put(&path(kind, id), body).await.expect(200)
    }

    async fn webhook(&self, ws: &str, config: Value) -> String {
        let body = json!({
            "name": "hook",
            "type": "webhook",
            "config": config,
            "rate_limit": {"requests_per_second": 5},
        });
        self.made(&format!("{ws}/destinations"), body).await
    }
}

async fn objects_of_the_catalog_tell_their_facts(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let owner = text(&server.get("/api/v1/me").await.expect(200)["account"]["email"]);
    let name = text(&server.get(&ws).await.expect(200)["name"]);

    let addon = server.facts("addon", &catalog.source).await;
    assert_eq!(keys(&addon), ["resourceType", "resourceId", "facts"]);
    assert_eq!(addon["resourceType"], "addon");
    assert_eq!(addon["resourceId"], json!(catalog.source));
    for fact in addon["facts"].as_array().expect("facts") {
        assert_eq!(keys(fact), ["field", "value", "origin"]);
        assert_eq!(fact["origin"], "catalog");
    }
    let fields = column(&addon["facts"], "field");
    let expected = [
        "accessControl.rbac",
        "createdAt",
        "name",
        "type",
        "updatedAt",
        "workspace",
    ];
    assert_eq!(fields, expected);
    tells(
        &addon,
        [
            ("name", json!("files")),
            ("type", json!("files")),
            ("workspace", json!(name)),
            ("accessControl.rbac", json!(true)),
        ],
    );
    assert!(is_time(value(&addon, "createdAt")));

    let app = server.facts("app", &catalog.destination).await;
    tells(
        &app,
        [
            ("type", json!("file")),
            ("rateLimit.enabled", json!(false)),
            ("rateLimit.requestsPerSecond", Value::Null),
            ("destinationPolicies.count", json!(1)),
            ("destinationPolicies.required", json!(false)),
            ("tls.enabled", Value::Null),
            ("encryption.inTransit", Value::Null),
        ],
    );

    let model = server.facts("model", &catalog.model).await;
    let columns = json!(["id", "name", "country", "consent"]);
    tells(
        &model,
        [
            ("type", json!("model")),
            ("columns", columns.clone()),
            ("columnCount", json!(4)),
            ("personalData.columns", json!([])),
            ("primaryKey", json!(["id"])),
            ("destinationPolicies.count", json!(1)),
            ("destinationPolicies.destinationTypes", json!(["file"])),
            ("accessPolicies.count", json!(0)),
            ("accessControl.rowLevel", json!(false)),
            ("source.type", json!("files")),
        ],
    );

    let workflow = server.facts("workflow", &catalog.sync).await;
    tells(
        &workflow,
        [
            ("type", json!("sync")),
            ("environment", json!("production")),
            ("mode", json!("full")),
            ("enabled", json!(true)),
            ("owner", json!(owner)),
            ("schedule", Value::Null),
            ("columns", columns),
            ("lastRun.status", Value::Null),
            ("destinationPolicies.count", json!(1)),
            ("accessControl.rowLevel", json!(false)),
            ("tls.enabled", Value::Null),
            ("source.name", json!("files")),
            ("model.name", json!("customers")),
            ("destination.name", json!("file")),
            ("destination.type", json!("file")),
        ],
    );

    // A policy without a model covers those with its columns; an access policy controls rows.
    let rule = json!({
        "name": "everywhere",
        "destination_type": "webhook",
        "filter_tree": equals("country", "US"),
    });
    server.made(&format!("{ws}/destination-rules"), rule).await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    server.subset(&ws, &category, None, "US", tree).await;
    let types = json!(["file", "webhook"]);
    tells(
        &server.facts("model", &catalog.model).await,
        [
            ("destinationPolicies.count", json!(2)),
            ("destinationPolicies.destinationTypes", types),
            ("accessPolicies.count", json!(1)),
            ("accessControl.rowLevel", json!(true)),
        ],
    );
    tells(
        &server.facts("workflow", &catalog.sync).await,
        [
            ("destinationPolicies.count", json!(1)),
            ("accessControl.rowLevel", json!(true)),
            ("model.destinationPolicies.count", json!(2)),
        ],
    );
}

async fn a_change_of_the_url_shows_at_once(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let url = |scheme: &str| json!({"url": format!("{scheme}://127.0.0.1:9/in")});
    let hook = server.webhook(&ws, url("http")).await;
    let sync = json!({
        "name": "to the hook",
        "model_id": catalog.model,
        "destination_id": hook,
    });
    let sync = server.made(&format!("{ws}/syncs"), sync).await;
    for (scheme, enabled, version) in [
        ("http", false, Value::Null),
        ("https", true, json!("1.2")),
        ("http", false, Value::Null),
    ] {
        let body = json!({"name": "hook", "config": url(scheme), "rate_limit": null});
        let one = format!("{ws}/destinations/{hook}");
        server.put(&one, body).await.expect(200);
        let expected = || {
            [
                ("tls.enabled", json!(enabled)),
                ("tls.minVersion", version.clone()),
                ("encryption.inTransit", json!(enabled)),
            ]
        };
        let app = server.facts("app", &hook).await;
        tells(&app, expected());
        tells(&app, [("host", json!("127.0.0.1"))]);
        let workflow = server.facts("workflow", &sync).await;
        tells(&workflow, expected());
        tells(&workflow, [("destination.tls.enabled", json!(enabled))]);
    }
}

async fn facts_are_declared_merged_and_removed(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let owner = server.owner_id().await;
    let attributes = json!({
        "encryption": {"atRest": true, "algorithm": "AES-256"},
        "personalData.columns": ["name"],
        "retention": {"days": 30},
    });
    let made = server.declare("addon", &catalog.source, attributes).await;
    assert_eq!(server.facts("addon", &catalog.source).await, made);
    let declared = fact(&made, "encryption.atRest").expect("a fact");
    let expected = ["field", "value", "origin", "declaredBy", "declaredAt"];
    assert_eq!(keys(declared), expected);
    assert_eq!(declared["origin"], "declared");
    assert_eq!(declared["declaredBy"], json!(owner));
    assert!(is_time(&declared["declaredAt"]));
    tells(
        &made,
        [
            ("encryption.atRest", json!(true)),
            ("encryption.algorithm", json!("AES-256")),
            ("personalData.columns", json!(["name"])),
            ("retention.days", json!(30)),
        ],
    );
    let fields: Vec<String> = column(&made["facts"], "field")
        .into_iter()
        .map(text)
        .collect();
    assert!(fields.is_sorted(), "{fields:?}");

    server.pass(chrono::TimeDelta::seconds(5));
    let attributes = json!({"encryption": {"algorithm": null}, "retention.days": 60, "x": 1.50});
    let merged = server.declare("addon", &catalog.source, attributes).await;
    tells(
        &merged,
        [
            ("encryption.atRest", json!(true)),
            ("encryption.algorithm", Value::Null),
            ("personalData.columns", json!(["name"])),
            ("retention.days", json!(60)),
        ],
    );
    assert_eq!(fact(&merged, "encryption.atRest"), Some(declared));
    let (before, after) = (
        fact(&made, "retention.days"),
        fact(&merged, "retention.days"),
    );
    assert_ne!(
        before.map(|fact| &fact["declaredAt"]),
        after.map(|fact| &fact["declaredAt"])
    );

    let nothing = server.declare("addon", &catalog.source, json!({})).await;
    assert_eq!(nothing, merged);
    let attributes =
        json!({"encryption": null, "personalData": null, "retention": null, "x": null});
    let bare = server.declare("addon", &catalog.source, attributes).await;
    assert_eq!(bare["facts"].as_array().map(Vec::len), Some(6));
}

async fn what_the_catalog_tells_is_not_declared(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let hook = json!({"url": "http://127.0.0.1:9/in"});
    let hook = server.webhook(&ws, hook).await;
    let attributes = json!({
        "tls": {"enabled": true, "minVersion": "1.3"},
        "encryption.inTransit": true,
        "encryption.atRest": true,
        "name": "other",
        "rateLimit.rowsPerSecond": 3,
    });
    let refused = server
        .put(&path("app", &hook), json!({"attributes": attributes}))
        .await;
    let expected = [
        "$.attributes.encryption.inTransit",
        "$.attributes.name",
        "$.attributes.rateLimit.rowsPerSecond",
        "$.attributes.tls.enabled",
        "$.attributes.tls.minVersion",
    ];
    let details = refused.body["error"]["details"].to_string();
    assert!(
        details.contains("the catalog tells this itself"),
        "{details}"
    );
    assert_eq!(refused.faults(), expected);
    assert_eq!(
        fact(&server.facts("app", &hook).await, "encryption.atRest"),
        None
    );

    // Nor what it tells of parts, or of a run that has not been.
    let attributes = json!({
        "source.encryption.atRest": true,
        "destination.name": "other",
        "lastRun.status": "succeeded",
        "schedule": "0 * * * *",
    });
    let refused = server
        .put(
            &path("workflow", &catalog.sync),
            json!({"attributes": attributes}),
        )
        .await;
    let expected = [
        "$.attributes.destination.name",
        "$.attributes.lastRun.status",
        "$.attributes.schedule",
        "$.attributes.source.encryption.atRest",
    ];
    assert_eq!(refused.faults(), expected);
}

async fn every_fault_of_a_declaration_is_told(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let one = path("model", &catalog.model);
    let long = "x".repeat(1_001);
    server
        .refuses(
            Method::PUT,
            &one,
            &one,
            [
                (json!({}), &["$.attributes"]),
                (json!({"attributes": null}), &["$.attributes"]),
                (json!({"attributes": [1]}), &["$.attributes"]),
                (json!({"attributes": {}, "facts": {}}), &["$.facts"]),
                (
                    json!({"attributes": {
                        "a b": 1,
                        "columns": [],
                        "list": [{}],
                        "long": long,
                        "x": {"y": 1},
                        "x.y": 2,
                    }, "other": 1}),
                    &[
                        "$.attributes.a b",
                        "$.attributes.columns",
                        "$.attributes.list[0]",
                        "$.attributes.long",
                        "$.attributes.x.y",
                        "$.other",
                    ],
                ),
            ],
        )
        .await;
    for body in ["", "{", "[]x"] {
        let key = server.key(&server.owner_id().await, json!(["*"])).await;
        let answer = server.ask(Some(&key), Method::PUT, &one, Some(body)).await;
        answer.expect(400);
    }
    let many = |prefix: &str, count: usize| {
        let attributes = (0..count).map(|i| (format!("{prefix}{i}"), json!(i)));
        json!({"attributes": Value::Object(attributes.collect())})
    };
    assert_eq!(
        server.put(&one, many("a", 201)).await.faults(),
        ["$.attributes"]
    );
    server.put(&one, many("a", 200)).await.expect(200);
    let full = server.put(&one, many("b", 1)).await.expect(409);
    assert!(message(&full).contains("at most 200"), "{full}");
    server.put(&one, many("a", 200)).await.expect(200);
}

async fn resources_outside_have_what_is_declared(server: Server) {
    for (sent, id) in [
        ("addon_ghi789", "addon_ghi789"),
        ("a%20b%2Fc", "a b/c"),
        ("%C3%A4", "ä"),
    ] {
        let unknown = server.facts("addon", sent).await;
        let expected = json!({"resourceType": "addon", "resourceId": id, "facts": []});
        assert_eq!(unknown, expected);
        let attributes = json!({"name": "cache", "tls": {"enabled": true}, "source.name": "x"});
        let made = server.declare("addon", sent, attributes).await;
        tells(
            &made,
            [
                ("name", json!("cache")),
                ("tls.enabled", json!(true)),
                ("source.name", json!("x")),
            ],
        );
        assert_eq!(made["resourceId"], id);
        assert_eq!(server.facts("addon", sent).await, made);
        // One of another type is another.
        assert_eq!(server.facts("app", sent).await["facts"], json!([]));
    }
    let longest = "x".repeat(200);
    server.facts("model", &longest).await;
    for id in [format!("{longest}x"), "a%0Ab".to_owned(), "a%00".to_owned()] {
        server.get(&path("model", &id)).await.expect(404);
        let body = json!({"attributes": {}});
        server.put(&path("model", &id), body).await.expect(404);
    }
}

async fn declared_facts_of_parts_show_in_the_whole(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let parts = [
        ("addon", &catalog.source, "source"),
        ("model", &catalog.model, "model"),
        ("app", &catalog.destination, "destination"),
    ];
    for (kind, id, part) in parts {
        server.declare(kind, id, json!({"reviewed.by": part})).await;
    }
    let attributes = json!({"reviewed.by": "sync"});
    let whole = server.declare("workflow", &catalog.sync, attributes).await;
    tells(
        &whole,
        [
            ("reviewed.by", json!("sync")),
            ("source.reviewed.by", json!("source")),
            ("model.reviewed.by", json!("model")),
            ("destination.reviewed.by", json!("destination")),
        ],
    );
    let declared = fact(&whole, "source.reviewed.by").expect("a fact");
    assert_eq!(declared["origin"], "declared");
    let model = server.facts("model", &catalog.model).await;
    tells(&model, [("source.reviewed.by", json!("source"))]);
}

async fn the_last_run_that_worked_on_records_is_told(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let trigger = format!("{ws}/syncs/{}/trigger", catalog.sync);
    let run = server.post(&trigger, json!({})).await.expect(202);
    let run = server.finished(&ws, &text(&run["run_id"])).await;
    assert_eq!(run["status"], "succeeded");
    let facts = || {
        [
            ("lastRun.status", run["status"].clone()),
            ("lastRun.at", run["finished_at"].clone()),
            ("lastRun.withheld", run["withheld"].clone()),
        ]
    };
    let workflow = server.facts("workflow", &catalog.sync).await;
    tells(&workflow, facts());

    // One that is blocked before it reads a record changes nothing of that.
    let policy = server.gov_policy("strict", "critical").await;
    server.gov_bind(&policy, "workflow", &catalog.sync).await;
    let blocked = server.ran(BOOTSTRAP_KEY, &ws, &catalog.sync).await;
    assert_eq!(blocked["status"], "blocked");
    let workflow = server.facts("workflow", &catalog.sync).await;
    tells(&workflow, facts());
}

async fn of_what_is_gone_nothing_is_known(server: Server) {
    let ws = server.workspace().await;
    let hook = json!({"url": "https://127.0.0.1:9/in"});
    let hook = server.webhook(&ws, hook).await;
    let attributes = json!({"encryption.atRest": true});
    server.declare("app", &hook, attributes).await;
    let one = format!("{ws}/destinations/{hook}");
    server.delete(&one).await.expect(204);
    server.get(&path("app", &hook)).await.expect(404);
    let body = json!({"attributes": {"x": 1}});
    server.put(&path("app", &hook), body).await.expect(404);
}

async fn resources_of_other_workspaces_are_not_there(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let other = json!({"name": "other"});
    let other = server.made("/api/v1/workspaces", other).await;
    let other = format!("/api/v1/workspaces/{other}");
    let own = server.catalog(&other).await;
    let (_, key) = server.joined(&other, "other@example.com", ADMIN).await;
    let ask = async |kind: &str, id: &str| {
        let path = path(kind, id);
        server.ask(Some(&key), Method::GET, &path, None).await
    };
    for (kind, theirs, own) in [
        ("addon", &catalog.source, &own.source),
        ("app", &catalog.destination, &own.destination),
        ("workflow", &catalog.sync, &own.sync),
        ("model", &catalog.model, &own.model),
    ] {
        let unknown = ask(kind, NOBODY).await.expect(404);
        assert_eq!(ask(kind, theirs).await.expect(404), unknown);
        assert_eq!(ask(kind, own).await.expect(200)["resourceId"], json!(own));
        // An object is a resource of its own type only.
        let wrong = if kind == "app" { "addon" } else { "app" };
        ask(wrong, own).await.expect(404);
        // To declare is for those who govern the organisation, even of what is one's own.
        let body = json!({"attributes": {"x": 1}});
        for id in [theirs, own] {
            let path = path(kind, id);
            let answer = server.by(&key, Method::PUT, &path, body.clone()).await;
            answer.expect(403);
        }
    }
    ask("addon", "outside").await.expect(200);
}

async fn facts_are_declared_by_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let one = path("model", &catalog.model);
    let body = json!({"attributes": {"x": 1}});
    let (_, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    let member = server.member(&ws, "member@example.com", MEMBER).await;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["governance:read"])).await;
    let writer = server.key(&owner, json!(["governance:write"])).await;
    for (key, read, write) in [
        (None, 401, 401),
        (Some("sgk_0000000000000000_00"), 401, 401),
        (Some(stranger.as_str()), 403, 403),
        (Some(member.as_str()), 200, 403),
        (Some(reader.as_str()), 200, 403),
        (Some(writer.as_str()), 403, 200),
    ] {
        let got = server.ask(key, Method::GET, &one, None).await;
        assert_eq!(got.status, read, "{key:?}");
        let text = body.to_string();
        let put = server.ask(key, Method::PUT, &one, Some(&text)).await;
        assert_eq!(put.status, write, "{key:?}");
    }
}

async fn no_secret_is_told(server: Server) {
    let ws = server.workspace().await;
    let config = json!({
        "url": "https://127.0.0.1:9/hunter2?key=hunter2",
        "secret": "hunter2",
        "headers": {"authorization": "hunter2"},
    });
    let hook = server.webhook(&ws, config).await;
    let database = "postgres://hunter2user:hunter2@127.0.0.1:9/hunter2db?sslmode=require";
    let config = json!({"url": database, "table": "t"});
    let body = json!({"name": "table", "type": "postgres", "config": config});
    let table = server.made(&format!("{ws}/destinations"), body).await;
    let body = json!({"name": "db", "type": "postgres", "config": {"url": database}});
    let source = server.made(&format!("{ws}/sources"), body).await;
    for (kind, id, verified) in [
        ("app", hook, true),
        ("app", table, true),
        ("addon", source, false),
    ] {
        let facts = server.facts(kind, &id).await;
        assert!(!facts.to_string().contains("hunter2"), "{facts:#}");
        tells(
            &facts,
            [
                ("host", json!("127.0.0.1")),
                ("tls.enabled", json!(true)),
                ("tls.minVersion", json!("1.2")),
                ("tls.verified", json!(verified)),
            ],
        );
    }
}

async fn what_is_no_resource_is_404(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let body = json!({"attributes": {}});
    for one in [
        path("models", &catalog.model),
        path("Model", &catalog.model),
        path("source", &catalog.source),
        path("model", &catalog.source),
        path("model", NOBODY),
        path("model", &NOBODY.to_uppercase()),
    ] {
        server.get(&one).await.expect(404);
        server.put(&one, body.clone()).await.expect(404);
    }
    // One object has one id, however it is written.
    let bare = catalog.model.replace('-', "").to_uppercase();
    let same = server.facts("model", &bare).await;
    assert_eq!(same["resourceId"], json!(catalog.model));
}

async fn declarations_at_once_all_count(server: Server) {
    let declare = async |i: usize| {
        let attributes = json!({format!("a{i}"): i});
        server.declare("app", "outside", attributes).await;
    };
    futures::future::join_all((0..12).map(declare)).await;
    let facts = server.facts("app", "outside").await;
    assert_eq!(facts["facts"].as_array().map(Vec::len), Some(12));
}

async fn declarations_are_audited(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    server
        .declare("model", &catalog.model, json!({"x": 1}))
        .await;
    server
        .declare("model", &catalog.model, json!({"x": 2}))
        .await;
    // What changes nothing leaves no line.
    server.declare("model", &catalog.model, json!({})).await;
    let lines = server
        .get(&format!("{ws}/audit?action=resource.declare"))
        .await
        .expect(200);
    let lines = lines.as_array().expect("lines");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in lines {
        let line = &line["line"];
        assert_eq!(line["object_kind"], "resource");
        assert_eq!(line["object_id"], json!(catalog.model));
        assert_eq!(line["after"]["resourceType"], "model");
        let (before, after) = (&line["before"]["facts"], &line["after"]["facts"]);
        let before = before["x"]["value"].as_u64().unwrap_or(0);
        assert_eq!(after["x"]["value"].as_u64(), Some(before + 1));
    }
}
