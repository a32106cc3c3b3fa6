//! `/workspaces/{id}/subsets`: access policies and their assignments.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{condition, equals, is_id, is_time, keys, message, revision};
use super::{MEMBER, NOBODY, Server, not_in, text};

on_both_stores!(
    subset_comes_changes_and_goes,
    subset_name_is_unique_in_its_category,
    every_fault_of_a_subset_is_told,
    subset_is_compiled_against_every_model_it_covers,
    subset_that_was_changed_meanwhile_is_412,
    subsets_are_for_those_who_govern,
    what_is_not_there_is_404,
    assignments_come_and_go,
    assignment_is_made_once,
    every_fault_of_an_assignment_is_told,
    own_subsets_are_those_of_ones_groups,
);

const FIELDS: [&str; 10] = [
    "id",
    "category_id",
    "workspace_id",
    "parent_model_id",
    "name",
    "description",
    "filter_tree",
    "created_by",
    "created_at",
    "updated_at",
];

async fn subset_comes_changes_and_goes(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let category = server.category(&ws, "Region", "deny").await;
    let list = format!("{ws}/subsets");
    assert_eq!(server.get(&list).await.expect(200), json!([]));
    let wanted = json!({
        "name": "US Region",
        "description": "Only US customer records",
        "category_id": category,
        "parent_model_id": catalog.model,
        "filter_tree": equals("country", "US"),
    });
    let answer = server.post(&list, wanted.clone()).await;
    let first = revision(&answer);
    let made = answer.expect(201);
    assert_eq!(keys(&made), FIELDS);
    for (key, value) in wanted.as_object().expect("an object") {
        assert_eq!(&made[key], value, "{key}");
    }
    assert!(is_id(&made["id"]) && is_time(&made["created_at"]) && is_time(&made["updated_at"]));
    assert_eq!(json!(ws.rsplit('/').next()), made["workspace_id"]);
    assert_eq!(made["created_by"], json!(server.owner_id().await));
    let one = format!("{list}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    let bare =
        json!({"name": "bare", "category_id": category, "filter_tree": equals("country", "FR")});
    let bare = server.post(&list, bare).await.expect(201);
    assert_eq!(
        (&bare["description"], &bare["parent_model_id"]),
        (&json!(""), &Value::Null)
    );
    let both = json!([made, bare]);
    assert_eq!(server.get(&list).await.expect(200), both);

    // What a change does not name stays; who changes it does not become its author.
    let (_, admin) = server.joined(&ws, "a@example.com", super::ADMIN).await;
    let rename = json!({"name": "America"});
    let renamed = server.by(&admin, Method::PUT, &one, rename).await;
    let renamed = renamed.expect(200);
    let mut expected = made.clone();
    expected["name"] = json!("America");
    expected["updated_at"] = renamed["updated_at"].clone();
    assert_eq!(renamed, expected);
    let brand = server.category(&ws, "Brand", "allow").await;
    let change = json!({
        "category_id": brand,
        "parent_model_id": null,
        "description": null,
        "filter_tree": not_in("country", ["DE", "FR"]),
    });
    let answer = server.put(&one, change.clone()).await;
    assert!(revision(&answer) > first);
    let changed = answer.expect(200);
    assert_eq!(changed["category_id"], change["category_id"]);
    assert_eq!(changed["filter_tree"], change["filter_tree"]);
    assert_eq!(
        (&changed["parent_model_id"], &changed["description"]),
        (&Value::Null, &json!(""))
    );
    assert_eq!(server.get(&one).await.expect(200), changed);

    server.delete(&one).await.expect(204);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        server.as_owner(method, &one, json!({})).await.expect(404);
    }
    assert_eq!(server.get(&list).await.expect(200), json!([bare]));
}

async fn subset_name_is_unique_in_its_category(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/subsets");
    let region = server.category(&ws, "Region", "deny").await;
    let brand = server.category(&ws, "Brand", "deny").await;
    let tree = equals("country", "US");
    server.subset(&ws, &region, None, "US", tree.clone()).await;
    let second = server.subset(&ws, &region, None, "FR", tree.clone()).await;
    let elsewhere = server.subset(&ws, &brand, None, "US", tree.clone()).await;
    let taken = json!({"name": "US", "category_id": region, "filter_tree": tree});
    let error = server.post(&list, taken).await.expect(409);
    assert!(message(&error).contains("\"US\""), "{error}");
    let rename = json!({"name": "US"});
    let answer = server.put(&format!("{list}/{second}"), rename).await;
    answer.expect(409);
    let moved = json!({"category_id": region});
    let answer = server.put(&format!("{list}/{elsewhere}"), moved).await;
    answer.expect(409);
}

async fn every_fault_of_a_subset_is_told(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let category = server.category(&ws, "Region", "deny").await;
    let model = Some(catalog.model.as_str());
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, model, "US", tree).await;
    let list = format!("{ws}/subsets");
    let good = json!({
        "name": "x",
        "category_id": category,
        "parent_model_id": catalog.model,
        "filter_tree": equals("country", "US"),
    });
    let with = |change: Value| {
        let mut body = good.clone();
        for (key, value) in change.as_object().expect("an object") {
            body[key] = value.clone();
        }
        body
    };
    let faulty: [(Value, &[&str]); 11] = [
        (
            with(json!({"name": null, "category_id": null, "filter_tree": null})),
            &["$.category_id", "$.filter_tree", "$.name"],
        ),
        (with(json!({"category_id": NOBODY})), &["$.category_id"]),
        (with(json!({"category_id": "Region"})), &["$.category_id"]),
        (
            with(json!({"parent_model_id": NOBODY, "description": 7})),
            &["$.description", "$.parent_model_id"],
        ),
        (
            with(json!({"parent_model_id": [], "category_id": 7})),
            &["$.category_id", "$.parent_model_id"],
        ),
        (
            with(json!({"filter_tree": "country = 'US'"})),
            &["$.filter_tree"],
        ),
        (
            with(json!({"filter_tree": {"type": "and", "children": []}})),
            &["$.filter_tree.children"],
        ),
        (
            with(json!({"filter_tree": {"type": "or", "children": [
                {"type": "perhaps"},
                condition("country", "is", json!("US")),
                condition("", "equals", json!([])),
            ]}})),
            &[
                "$.filter_tree.children[0].type",
                "$.filter_tree.children[1].operator",
                "$.filter_tree.children[2].column",
                "$.filter_tree.children[2].value",
            ],
        ),
        (
            with(json!({"filter_tree": equals("land", "US")})),
            &["$.filter_tree.column"],
        ),
        (
            with(json!({"filter_tree": {"type": "and", "children": [
                equals("id", "seven"),
                condition("country", "greater_than", json!(7)),
            ]}})),
            &[
                "$.filter_tree.children[0].value",
                "$.filter_tree.children[1].operator",
            ],
        ),
        (
            with(json!({"enabled": true, "created_by": NOBODY})),
            &["$.created_by", "$.enabled"],
        ),
    ];
    server
        .refuses(Method::POST, &list, &list, faulty.clone())
        .await;
    let one = format!("{list}/{subset}");
    server.refuses(Method::PUT, &one, &list, faulty).await;
    let nothing: [(Value, &[&str]); 1] =
        [(json!({}), &["$.category_id", "$.filter_tree", "$.name"])];
    server.refuses(Method::POST, &list, &list, nothing).await;
}

async fn subset_is_compiled_against_every_model_it_covers(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let numbers = json!({
        "name": "numbers",
        "source_id": catalog.source,
        "sql": "SELECT id, 7 AS country FROM files",
    });
    let numbers = server.made(&format!("{ws}/models"), numbers).await;
    let category = server.category(&ws, "Region", "deny").await;
    let list = format!("{ws}/subsets");
    let body = |parent: Option<&str>, tree: Value| json!({"name": "US", "category_id": category, "parent_model_id": parent, "filter_tree": tree});
    // Of both models that have the column only one has texts in it.
    let answer = server
        .post(&list, body(None, equals("country", "US")))
        .await;
    let error = answer.body.clone();
    assert_eq!(answer.faults(), ["$.filter_tree.value"]);
    assert!(error.to_string().contains("numbers"), "{error}");
    let both = json!({"type": "and", "children": [equals("country", "US"), equals("name", "Bo")]});
    // With a column that the other one lacks it does not cover that one.
    server.post(&list, body(None, both)).await.expect(201);
    let us = server.get(&list).await.expect(200);
    let one = format!("{list}/{}", text(&us[0]["id"]));
    let narrower = json!({"parent_model_id": numbers});
    let answer = server.put(&one, narrower).await;
    let paths = [
        "$.filter_tree.children[0].value",
        "$.filter_tree.children[1].column",
    ];
    assert_eq!(answer.faults(), paths);
    // What covers no model yet is fine, and is compiled when a model comes that it covers.
    let change = json!({"filter_tree": equals("shoe_size", "10")});
    server.put(&one, change).await.expect(200);
    let shoes = json!({
        "name": "shoes",
        "source_id": catalog.source,
        "sql": "SELECT id, 7 AS shoe_size FROM files",
    });
    let answer = server.post(&format!("{ws}/models"), shoes).await;
    let error = answer.body.clone();
    assert_eq!(answer.faults(), ["$"]);
    assert!(error.to_string().contains("shoes"), "{error}");
    assert_eq!(error["error"]["details"][0]["policy_id"], us[0]["id"]);
}

async fn subset_that_was_changed_meanwhile_is_412(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, None, "US", tree).await;
    let path = format!("{ws}/subsets/{subset}");
    let change = json!({"filter_tree": equals("country", "FR")});
    server.heeds_if_match(&path, change).await;
}

async fn subsets_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server
        .subset(&ws, &category, None, "US", tree.clone())
        .await;
    let group = server.group(&ws, "mine", None).await;
    let other = server.group(&ws, "other", None).await;
    let assignment = server.assign(&ws, &subset, &group).await;
    let list = format!("{ws}/subsets");
    let one = format!("{list}/{subset}");
    let assignments = format!("{one}/assignments");
    let assigned = format!("{assignments}/{assignment}");
    let new = json!({"name": "new", "category_id": category, "filter_tree": tree});
    let writes = [
        (Method::POST, list.as_str(), new),
        (Method::PUT, one.as_str(), json!({"name": "other"})),
        (Method::DELETE, one.as_str(), json!({})),
        (
            Method::POST,
            assignments.as_str(),
            json!({"group_id": other}),
        ),
        (Method::DELETE, assigned.as_str(), json!({})),
    ];
    let reads = [list.as_str(), one.as_str(), assignments.as_str()];
    server.is_governed(&ws, &reads, &writes).await;
}

async fn what_is_not_there_is_404(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server
        .subset(&ws, &category, None, "US", tree.clone())
        .await;
    let second = server.subset(&ws, &category, None, "FR", tree).await;
    let group = server.group(&ws, "mine", None).await;
    let assignment = server.assign(&ws, &second, &group).await;
    let none = format!("{ws}/subsets/{NOBODY}");
    let to = json!({"group_id": group});
    let requests = [
        (Method::GET, none.clone(), json!({})),
        (Method::PUT, none.clone(), json!({"name": "x"})),
        (Method::DELETE, none.clone(), json!({})),
        (Method::GET, format!("{none}/assignments"), json!({})),
        (Method::POST, format!("{none}/assignments"), to),
        (
            Method::DELETE,
            format!("{none}/assignments/{assignment}"),
            json!({}),
        ),
        (
            Method::DELETE,
            format!("{ws}/subsets/{subset}/assignments/{NOBODY}"),
            json!({}),
        ),
    ];
    server.knows_none_of(&requests).await;
    // An assignment is found with its own policy only.
    let path = format!("{ws}/subsets/{subset}/assignments/{assignment}");
    server.delete(&path).await.expect(404);
    let path = format!("{ws}/subsets/{second}/assignments/{assignment}");
    server.delete(&path).await.expect(204);
}

async fn assignments_come_and_go(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, None, "US", tree).await;
    let group = server.group(&ws, "mine", None).await;
    let other = server.group(&ws, "other", None).await;
    let list = format!("{ws}/subsets/{subset}/assignments");
    assert_eq!(server.get(&list).await.expect(200), json!([]));
    let answer = server.post(&list, json!({"group_id": group})).await;
    let first = revision(&answer);
    let made = answer.expect(201);
    let fields = ["id", "workspace_id", "subset_id", "group_id", "created_at"];
    assert_eq!(keys(&made), fields);
    assert!(is_id(&made["id"]) && is_time(&made["created_at"]));
    assert_eq!(json!(ws.rsplit('/').next()), made["workspace_id"]);
    assert_eq!(
        (&made["subset_id"], &made["group_id"]),
        (&json!(subset), &json!(group))
    );
    let second = server.post(&list, json!({"group_id": other})).await;
    let second = second.expect(201);
    let both = json!([made, second]);
    assert_eq!(server.get(&list).await.expect(200), both);

    // A policy that a group has is not deleted.
    let one = format!("{ws}/subsets/{subset}");
    let error = server.delete(&one).await.expect(409);
    assert!(message(&error).contains("in use"), "{error}");
    let answer = server
        .delete(&format!("{list}/{}", text(&made["id"])))
        .await;
    assert_eq!(revision(&answer), first + 2);
    answer.expect(204);
    assert_eq!(server.get(&list).await.expect(200), json!([second]));
    // With a group go its assignments.
    server
        .delete(&format!("{ws}/groups/{other}"))
        .await
        .expect(204);
    assert_eq!(server.get(&list).await.expect(200), json!([]));
    server.delete(&one).await.expect(204);
}

async fn assignment_is_made_once(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, None, "US", tree).await;
    let group = server.group(&ws, "mine", None).await;
    let list = format!("{ws}/subsets/{subset}/assignments");
    let body = json!({"group_id": group});
    let attempts = (0..6).map(|_| server.post(&list, body.clone()));
    let mut statuses: Vec<_> = join_all(attempts)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    let error = server.post(&list, body).await.expect(409);
    assert!(message(&error).contains("already"), "{error}");
    let now = server.get(&list).await.expect(200);
    assert_eq!(now.as_array().map(Vec::len), Some(1));
}

async fn every_fault_of_an_assignment_is_told(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, None, "US", tree).await;
    let list = format!("{ws}/subsets/{subset}/assignments");
    let faulty: [(Value, &[&str]); 4] = [
        (json!({}), &["$.group_id"]),
        (json!({"group_id": NOBODY}), &["$.group_id"]),
        (json!({"group_id": ["x"]}), &["$.group_id"]),
        (
            json!({"group_id": null, "subset_id": subset}),
            &["$.group_id", "$.subset_id"],
        ),
    ];
    server.refuses(Method::POST, &list, &list, faulty).await;
}

async fn own_subsets_are_those_of_ones_groups(server: Server) {
    let ws = server.workspace().await;
    let category = server.category(&ws, "Region", "deny").await;
    let mut subsets = Vec::new();
    for country in ["US", "FR", "DE"] {
        let tree = equals("country", country);
        subsets.push(server.subset(&ws, &category, None, country, tree).await);
    }
    // It takes no permission to see one's own.
    let nothing = server.role(&ws, "nothing", &[]).await;
    let (account_id, key) = server.joined(&ws, "m@example.com", &nothing).await;
    let path = format!("{ws}/subsets/me");
    let mine = async || {
        let answer = server.ask(Some(&key), Method::GET, &path, None).await;
        answer.expect(200)
    };
    let list = format!("{ws}/subsets");
    server
        .ask(Some(&key), Method::GET, &list, None)
        .await
        .expect(403);
    assert_eq!(mine().await, json!([]));
    let groups = [
        server.group(&ws, "one", None).await,
        server.group(&ws, "two", None).await,
        server.group(&ws, "not mine", None).await,
    ];
    for group in &groups[..2] {
        server.enroll(&ws, group, &account_id).await;
    }
    server.assign(&ws, &subsets[1], &groups[1]).await;
    server.assign(&ws, &subsets[0], &groups[0]).await;
    server.assign(&ws, &subsets[0], &groups[1]).await;
    server.assign(&ws, &subsets[2], &groups[2]).await;
    let whole = server.get(&list).await.expect(200);
    // By age, each once.
    assert_eq!(mine().await, json!([whole[0], whole[1]]));
    let scopes = json!(["insights:read"]);
    let limited = server.key(&account_id, scopes).await;
    let answer = server.ask(Some(&limited), Method::GET, &path, None).await;
    assert_eq!(answer.expect(200), json!([whole[0], whole[1]]));
    server
        .delete(&format!("{ws}/groups/{}", groups[0]))
        .await
        .expect(204);
    assert_eq!(mine().await, json!([whole[0], whole[1]]));
    let member = format!("{ws}/groups/{}/members/{account_id}", groups[1]);
    server.delete(&member).await.expect(204);
    assert_eq!(mine().await, json!([]));
    // The owner is in no group.
    assert_eq!(server.get(&path).await.expect(200), json!([]));
    let (_, stranger) = server.account("s@example.com", json!(["*"])).await;
    let answer = server.ask(Some(&stranger), Method::GET, &path, None).await;
    answer.expect(404);
    server.ask(None, Method::GET, &path, None).await.expect(401);
    let (_, outsider) = server.joined(&ws, "o@example.com", MEMBER).await;
    let answer = server.ask(Some(&outsider), Method::GET, &path, None).await;
    assert_eq!(answer.expect(200), json!([]));
}
