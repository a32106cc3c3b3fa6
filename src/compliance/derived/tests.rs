use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use uuid::Uuid;

use super::*;
use crate::catalog::{Environment, MappedColumn, ModelQuery, RateLimit, SourceType, SyncMode};
use crate::compliance::{Fact, Origin, ResourceType};
use crate::policy::{AccessCategory, AccessPolicy, FilterDocument, Scope, Unassigned};

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("a time")
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn workspace() -> Workspace {
    Workspace {
        id: id(1),
        name: "main".to_owned(),
        require_destination_policy: false,
        created_at: time(0),
        updated_at: time(0),
    }
}

fn a_model() -> Model {
    let columns = ["id", "name", "country"].map(|name| Field::new(name, DataType::Utf8, true));
    Model {
        id: id(2),
        workspace_id: id(1),
        name: "customers".to_owned(),
        source_id: id(3),
        query: ModelQuery::Sql("SELECT secret".to_owned()),
        primary_key: vec!["id".to_owned()],
        schema: Arc::new(Schema::new(columns.to_vec())),
        created_at: time(1),
        updated_at: time(2),
    }
}

fn a_destination(kind: &str, config: Value) -> Destination {
    Destination {
        id: id(4),
        workspace_id: id(1),
        name: "out".to_owned(),
        destination_type: kind.to_owned(),
        config: config.as_object().cloned().expect("an object"),
        rate_limit: RateLimit::default(),
        created_at: time(1),
        updated_at: time(2),
    }
}

fn a_sync() -> Sync {
    Sync {
        id: id(5),
        workspace_id: id(1),
        name: "daily".to_owned(),
        model_id: id(2),
        destination_id: id(4),
        mode: SyncMode::Upsert,
        mapping: None,
        environment: Environment::Staging,
        schedule: None,
        enabled: true,
        owner_id: id(6),
        created_at: time(1),
        updated_at: time(2),
    }
}

fn tree(column: &str) -> FilterDocument {
    let tree = json!({
        "type": "condition", "condition_type": "property",
        "column": column, "operator": "equals", "value": "x",
    });
    FilterDocument::parse(tree).expect("a tree")
}

/// Destination policies as (model, destination type, column, enabled).
fn policies(rows: &[(Option<Uuid>, &str, &str, bool)]) -> PolicySet {
    let policies = rows.iter().zip(10..).map(|(row, number)| {
        let policy = DestinationPolicy {
            id: id(number),
            workspace_id: id(1),
            parent_model_id: row.0,
            destination_type: row.1.to_owned(),
            name: String::new(),
            description: String::new(),
            filter_tree: tree(row.2),
            enabled: row.3,
            created_by: id(6),
            created_at: time(0),
            updated_at: time(0),
        };
        (policy.id, Arc::new(policy))
    });
    PolicySet {
        workspace_id: id(1),
        revision: 1,
        require_destination_policy: true,
        destination_policies: policies.collect(),
        access_categories: BTreeMap::new(),
        access_policies: BTreeMap::new(),
        assignments: BTreeMap::new(),
        content_policies: BTreeMap::new(),
    }
}

fn leg(encrypted: bool, verified: bool) -> Transport {
    Transport {
        hosts: vec!["example.com".to_owned()],
        encrypted,
        verified,
    }
}

/// The value of a fact; null where there is none.
fn value(facts: &Facts, path: &str) -> Value {
    let fact = facts.get(path);
    assert!(fact.is_none_or(|fact| fact.origin == Origin::Catalog));
    fact.map_or(Value::Null, |fact| fact.value.clone())
}

fn values<const N: usize>(facts: &Facts, paths: [&str; N]) -> Value {
    paths.map(|path| value(facts, path)).to_vec().into()
}

#[test]
fn every_object_tells_what_it_is() {
    let (workspace, policies, model) = (workspace(), policies(&[]), a_model());
    let a_source = Source {
        id: id(3),
        workspace_id: id(1),
        name: "warehouse".to_owned(),
        source_type: SourceType::Files,
        config: serde_json::Map::new(),
        created_at: time(1),
        updated_at: time(2),
    };
    let (a_sync, file) = (a_sync(), a_destination("file", json!({"path": "x"})));
    let way = Way {
        sync: &a_sync,
        model: &model,
        destination: &file,
        legs: [None, None],
        owner: None,
        last_run: None,
    };
    for (facts, name, kind) in [
        (source(&workspace, &a_source, None), "warehouse", "files"),
        (
            destination(&workspace, &policies, &file, None),
            "out",
            "file",
        ),
        (
            super::model(&workspace, &policies, &model, Vec::new()),
            "customers",
            "model",
        ),
        (sync(&workspace, &policies, &way), "daily", "sync"),
    ] {
        let paths = [
            "name",
            "type",
            "workspace",
            "accessControl.rbac",
            "createdAt",
            "updatedAt",
        ];
        let expected = json!([
            name,
            kind,
            "main",
            true,
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:00:02Z",
        ]);
        assert_eq!(values(&facts, paths), expected);
        assert!(facts.0.keys().all(|path| !path.starts_with("tls.")));
        assert_eq!(facts.get("encryption.inTransit"), None);
        assert_eq!(facts.get("host"), None);
    }
}

#[test]
fn way_is_as_safe_as_its_weakest_leg() {
    let (workspace, policies, model) = (workspace(), policies(&[]), a_model());
    let (a_sync, destination) = (a_sync(), a_destination("webhook", json!({})));
    let (plain, encrypted, verified) = (leg(false, false), leg(true, false), leg(true, true));
    let none = json!([null, null, null, null]);
    let open = json!([false, false, null, null]);
    let unverified = json!([true, true, "1.2", false]);
    let safe = json!([true, true, "1.2", true]);
    for (from, to, expected) in [
        (None, None, &none),
        (None, Some(&plain), &open),
        (None, Some(&verified), &safe),
        (Some(&encrypted), None, &unverified),
        (Some(&encrypted), Some(&verified), &unverified),
        (Some(&verified), Some(&verified), &safe),
        (Some(&verified), Some(&plain), &open),
        (Some(&plain), Some(&verified), &open),
        (Some(&plain), None, &open),
    ] {
        let way = Way {
            sync: &a_sync,
            model: &model,
            destination: &destination,
            legs: [from, to],
            owner: Some("a@example.com"),
            last_run: None,
        };
        let facts = sync(&workspace, &policies, &way);
        let paths = [
            "tls.enabled",
            "encryption.inTransit",
            "tls.minVersion",
            "tls.verified",
        ];
        assert_eq!(values(&facts, paths), *expected, "{from:?} {to:?}");
        assert_eq!(value(&facts, "owner"), "a@example.com");
    }
}

#[test]
fn destination_tells_its_limits_and_signature_and_no_secret() {
    let (workspace, policies) = (workspace(), policies(&[(None, "webhook", "id", true)]));
    let limit = |requests_per_second, rows_per_second| RateLimit {
        requests_per_second,
        rows_per_second,
    };
    let signed = json!({"url": "https://u:hunter2@x", "secret": "hunter2"});
    for (kind, config, rate_limit, expected) in [
        (
            "webhook",
            &signed,
            limit(None, None),
            json!([false, null, null, true, 1]),
        ),
        (
            "webhook",
            &json!({}),
            limit(Some(5), None),
            json!([true, 5, null, false, 1]),
        ),
        (
            "webhook",
            &json!({"secret": null}),
            limit(None, Some(7)),
            json!([true, null, 7, false, 1]),
        ),
        (
            "crm",
            &json!({"secret": ""}),
            limit(Some(1), Some(2)),
            json!([true, 1, 2, false, 0]),
        ),
        (
            "file",
            &signed,
            limit(None, None),
            json!([false, null, null, null, 0]),
        ),
        (
            "postgres",
            &signed,
            limit(None, None),
            json!([false, null, null, null, 0]),
        ),
    ] {
        let object = Destination {
            rate_limit,
            ..a_destination(kind, config.clone())
        };
        let facts = destination(&workspace, &policies, &object, Some(&leg(true, true)));
        let paths = [
            "rateLimit.enabled",
            "rateLimit.requestsPerSecond",
            "rateLimit.rowsPerSecond",
            "signature.enabled",
            "destinationPolicies.count",
        ];
        assert_eq!(values(&facts, paths), expected, "{kind} {config}");
        assert_eq!(value(&facts, "host"), "example.com");
        assert_eq!(value(&facts, "destinationPolicies.required"), true);
        assert!(!json!(facts).to_string().contains("hunter2"));
    }
}

#[test]
fn hosts_are_names_only() {
    let hosts = |hosts: &[&str]| {
        let mut facts = Facts::default();
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let leg = Transport {
            hosts,
            ..leg(true, true)
        };
        super::hosts(&mut facts, Some(&leg));
        value(&facts, "host")
    };
    assert_eq!(hosts(&[]), Value::Null);
    assert_eq!(hosts(&["a"]), "a");
    assert_eq!(hosts(&["a", "b"]), json!(["a", "b"]));
    assert_eq!(hosts(&["word@a"]), Value::Null);
}

#[test]
fn model_tells_the_policies_that_cover_it() {
    let (workspace, model, other) = (workspace(), a_model(), Some(id(99)));
    let this = Some(model.id);
    for (rows, count, types) in [
        (&[][..], 0, json!([])),
        (&[(this, "file", "id", true)][..], 1, json!(["file"])),
        (&[(this, "file", "id", false)][..], 0, json!([])),
        (&[(other, "file", "id", true)][..], 0, json!([])),
        (&[(None, "file", "country", true)][..], 1, json!(["file"])),
        (&[(None, "file", "absent", true)][..], 0, json!([])),
        (
            &[
                (this, "webhook", "id", true),
                (None, "file", "name", true),
                (None, "webhook", "name", true),
            ][..],
            3,
            json!(["file", "webhook"]),
        ),
    ] {
        let personal = vec!["name".to_owned()];
        let facts = super::model(&workspace, &policies(rows), &model, personal);
        let paths = [
            "destinationPolicies.count",
            "destinationPolicies.destinationTypes",
        ];
        assert_eq!(values(&facts, paths), json!([count, types]), "{rows:?}");
        let paths = [
            "columns",
            "columnCount",
            "personalData.columns",
            "primaryKey",
        ];
        let expected = json!([["id", "name", "country"], 3, ["name"], ["id"]]);
        assert_eq!(values(&facts, paths), expected);
        assert!(!json!(facts).to_string().contains("SELECT"));
    }
}

#[test]
fn rows_are_controlled_by_a_policy_that_is_there_or_was() {
    let (workspace, model) = (workspace(), a_model());
    let category = |once_covered: Vec<Scope>| AccessCategory {
        id: id(20),
        workspace_id: id(1),
        name: "region".to_owned(),
        description: String::new(),
        unassigned: Unassigned::Deny,
        once_covered: BTreeSet::from_iter(once_covered),
        created_at: time(0),
        updated_at: time(0),
    };
    let policy = |parent_model_id, column| AccessPolicy {
        id: id(21),
        category_id: id(20),
        workspace_id: id(1),
        parent_model_id,
        name: "EU".to_owned(),
        description: String::new(),
        filter_tree: tree(column),
        created_by: id(6),
        created_at: time(0),
        updated_at: time(0),
    };
    for (once_covered, policy, count, covered) in [
        (vec![], None, 0, false),
        (vec![], Some(policy(Some(model.id), "id")), 1, true),
        (vec![], Some(policy(None, "country")), 1, true),
        (vec![], Some(policy(None, "absent")), 0, false),
        (vec![], Some(policy(Some(id(99)), "id")), 0, false),
        (vec![Scope::model(model.id)], None, 0, true),
        (vec![Scope::model(id(99))], None, 0, false),
    ] {
        let mut policies = policies(&[]);
        let category = category(once_covered);
        policies
            .access_categories
            .insert(category.id, category.into());
        if let Some(policy) = policy {
            policies.access_policies.insert(policy.id, policy.into());
        }
        let facts = super::model(&workspace, &policies, &model, Vec::new());
        let paths = ["accessPolicies.count", "accessControl.rowLevel"];
        assert_eq!(values(&facts, paths), json!([count, covered]));
    }
}

#[test]
fn sync_tells_its_settings_its_columns_and_its_last_run() {
    let (workspace, model) = (workspace(), a_model());
    let rows = [
        (Some(model.id), "webhook", "id", true),
        (Some(model.id), "file", "id", true),
        (None, "webhook", "absent", true),
    ];
    let policies = policies(&rows);
    let destination = a_destination("webhook", json!({}));
    let mapped = |from: &str, to: &str| MappedColumn {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let mapping = vec![mapped("name", "a"), mapped("id", "b"), mapped("name", "c")];
    let run = LastRun {
        status: RunStatus::Succeeded,
        at: time(9),
        withheld: 3,
    };
    let paths = [
        "environment",
        "mode",
        "enabled",
        "schedule",
        "columns",
        "lastRun.status",
        "lastRun.at",
        "lastRun.withheld",
        "destinationPolicies.count",
        "accessControl.rowLevel",
    ];
    let all = json!(["id", "name", "country"]);
    for (mapping, schedule, last_run, expected) in [
        (
            None,
            None,
            None,
            json!([
                "staging", "upsert", true, null, all, null, null, null, 1, false
            ]),
        ),
        (
            Some(mapping),
            Some("0 * * * *".to_owned()),
            Some(&run),
            json!([
                "staging",
                "upsert",
                true,
                "0 * * * *",
                ["name", "id"],
                "succeeded",
                "1970-01-01T00:00:09Z",
                3,
                1,
                false,
            ]),
        ),
    ] {
        let a_sync = Sync {
            mapping,
            schedule,
            ..a_sync()
        };
        let way = Way {
            sync: &a_sync,
            model: &model,
            destination: &destination,
            legs: [None, None],
            owner: None,
            last_run,
        };
        let facts = sync(&workspace, &policies, &way);
        assert_eq!(values(&facts, paths), expected);
    }
}

#[test]
fn what_the_catalog_tells_is_never_declared() {
    let declared = |paths: &[&str]| {
        let fact = |path: &&str| {
            let fact = Fact {
                origin: Origin::Declared,
                ..Fact::of_catalog("declared")
            };
            ((*path).to_owned(), fact)
        };
        Facts(paths.iter().map(fact).collect())
    };
    let (workspace, policies) = (workspace(), policies(&[]));
    let webhook = a_destination("webhook", json!({}));
    let file = a_destination("file", json!({}));
    let plain = leg(false, false);
    let to_webhook = destination(&workspace, &policies, &webhook, Some(&plain));
    let to_file = destination(&workspace, &policies, &file, None);
    let model = super::model(&workspace, &policies, &a_model(), Vec::new());
    let outside = Facts::default();
    let (app, workflow) = (ResourceType::App, ResourceType::Workflow);
    for (facts, kind, path, told) in [
        (&to_webhook, app, "name", true),
        (&to_webhook, app, "names", false),
        (&to_webhook, app, "tls.enabled", true),
        // It is known that there is no TLS.
        (&to_webhook, app, "tls.minVersion", true),
        (&to_webhook, app, "tls", true),
        (&to_webhook, app, "tlsVersion", false),
        (&to_webhook, app, "encryption.inTransit", true),
        (&to_webhook, app, "encryption.atRest", false),
        (&to_webhook, app, "accessControl.rbac", true),
        (&to_webhook, app, "accessControl.mfa", false),
        (&to_webhook, app, "rateLimit.rowsPerSecond", true),
        (&to_file, app, "tls.minVersion", false),
        (&to_file, app, "rateLimit.burst", true),
        (&model, ResourceType::Model, "personalData.columns", true),
        (&model, ResourceType::Model, "personalData.reviewed", false),
        (&model, ResourceType::Model, "source.name", true),
        (&model, workflow, "lastRun.status", true),
        (&model, workflow, "destination.encryption.atRest", true),
        (&outside, app, "name", false),
        (&outside, app, "rateLimit.enabled", false),
        (&outside, workflow, "source.tls.enabled", false),
    ] {
        assert_eq!(facts.tells(kind, path), told, "{kind:?} {path}");
        let mut with = facts.clone();
        with.declare(kind, declared(&[path]));
        let is_declared = with
            .get(path)
            .is_some_and(|it| it.origin == Origin::Declared);
        assert_eq!(is_declared, !told, "{kind:?} {path}");
        assert_eq!(with.tells(kind, path), told, "{kind:?} {path}");
    }
    // Whoever declares a type makes no object of the catalog of it.
    let mut outside = outside;
    outside.declare(app, declared(&["type", "rateLimit.enabled"]));
    assert!(!outside.tells(app, "type") && !outside.tells(app, "rateLimit.enabled"));
}

#[test]
fn what_is_known_of_a_part_stands_below_its_name() {
    let mut facts = Facts::default();
    facts.tell("name", "whole");
    let mut part = Facts::default();
    part.tell("tls.enabled", true);
    facts.within("destination", part);
    assert_eq!(value(&facts, "destination.tls.enabled"), true);
    assert_eq!(value(&facts, "tls.enabled"), Value::Null);
    assert_eq!(value(&facts, "name"), "whole");
}
