//! `/workspaces/{id}/revisions`: what was changed, by whom, and the way back.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{column, equals, is_time, keys, message, revision};
use super::{ADMIN, MEMBER, NOBODY, Server, not_in, text};

on_both_stores!(
    each_change_makes_a_revision_that_tells_of_it,
    revisions_come_in_pages_newest_first,
    every_fault_of_a_page_is_told,
    revisions_are_for_those_who_govern,
    revision_that_is_not_there_is_404,
    restored_policies_are_those_of_then_and_govern,
    members_groups_and_roles_stay_when_policies_come_back,
    assignments_of_a_group_that_is_no_more_are_left_out,
    policy_that_does_not_compile_any_more_is_not_restored,
    restoring_at_the_same_time_mixes_nothing,
);

/// The newest revision of a workspace.
async fn newest(server: &Server, ws: &str) -> u64 {
    let newest = server.get(&format!("{ws}/revisions?limit=1")).await;
    newest.expect(200)[0]["revision"]
        .as_u64()
        .expect("a number")
}

async fn each_change_makes_a_revision_that_tells_of_it(server: Server) {
    let ws = server.workspace().await;
    let owner_id = server.owner_id().await;
    let list = format!("{ws}/revisions");
    let first = server.get(&list).await.expect(200);
    assert_eq!(first.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&first[0]["revision"], &first[0]["changes"]),
        (&json!(1), &json!([]))
    );
    let (admin_id, admin) = server.joined(&ws, "a@example.com", ADMIN).await;
    let categories = format!("{ws}/subset-categories");
    let category = json!({"name": "Region"});
    let answer = server.by(&admin, Method::POST, &categories, category).await;
    let made = revision(&answer);
    let category = answer.expect(201);
    let one = format!("{categories}/{}", text(&category["id"]));
    let changed = server.put(&one, json!({"name": "Land"})).await.expect(200);
    server.delete(&one).await.expect(204);
    let (member_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let listed = server.get(&list).await.expect(200);
    let fields = ["revision", "author_id", "created_at", "changes"];
    let change = |before: &Value, after: &Value| json!([{"kind": "access_category", "id": category["id"], "before": before, "after": after}]);
    for (entry, number, author, changes) in [
        (&listed[3], made, &admin_id, change(&Value::Null, &category)),
        (&listed[2], made + 1, &owner_id, change(&category, &changed)),
        (
            &listed[1],
            made + 2,
            &owner_id,
            change(&changed, &Value::Null),
        ),
    ] {
        assert_eq!(keys(entry), fields);
        assert_eq!(entry["revision"], json!(number));
        assert_eq!(entry["author_id"], json!(author));
        assert!(is_time(&entry["created_at"]));
        assert_eq!(entry["changes"], changes);
        let path = format!("{list}/{number}");
        assert_eq!(&server.get(&path).await.expect(200), entry);
    }
    assert_eq!(listed[3]["created_at"], category["created_at"]);
    let joined = &listed[0]["changes"][0];
    assert_eq!(
        (&joined["kind"], &joined["id"]),
        (&json!("member"), &json!(member_id))
    );
    // What is refused makes none.
    server
        .post(&categories, json!({"name": ""}))
        .await
        .expect(422);
    server.delete(&one).await.expect(404);
    assert_eq!(server.get(&list).await.expect(200), listed);
}

async fn revisions_come_in_pages_newest_first(server: Server) {
    let ws = server.workspace().await;
    for i in 0..60 {
        server.category(&ws, &format!("c{i}"), "deny").await;
    }
    let list = format!("{ws}/revisions");
    let page = async |query: &str| {
        let page = server.get(&format!("{list}{query}")).await.expect(200);
        let numbers = column(&page, "revision").into_iter();
        numbers
            .map(|number| number.as_u64().expect("a number"))
            .collect::<Vec<_>>()
    };
    let all: Vec<u64> = (1..=61).rev().collect();
    assert_eq!(page("").await, all[..50]);
    assert_eq!(page("?limit=200").await, all);
    assert_eq!(page("?limit=1").await, [61]);
    assert_eq!(page("?before=12&limit=3").await, [11, 10, 9]);
    assert_eq!(page("?before=3").await, [2, 1]);
    assert!(page("?before=1").await.is_empty());
    assert_eq!(page("?before=9000000000&limit=2").await, [61, 60]);
}

async fn every_fault_of_a_page_is_told(server: Server) {
    let ws = server.workspace().await;
    for (query, place) in [
        ("limit=0", "$query.limit"),
        ("limit=201", "$query.limit"),
        ("limit=x", "$query.limit"),
        ("before=-1", "$query.before"),
        ("before=x", "$query.before"),
        ("after=1", "$query.after"),
        ("limit=1&limit=2", "$query.limit"),
    ] {
        let answer = server.get(&format!("{ws}/revisions?{query}")).await;
        assert_eq!(answer.faults(), [place], "{query}");
    }
}

async fn revisions_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let (list, one) = (format!("{ws}/revisions"), format!("{ws}/revisions/1"));
    let restore = format!("{one}/restore");
    let writes = [(Method::POST, restore.as_str(), json!({}))];
    server.is_governed(&ws, &[&list, &one], &writes).await;
}

async fn revision_that_is_not_there_is_404(server: Server) {
    let ws = server.workspace().await;
    let there = newest(&server, &ws).await;
    for number in ["0", "2", "4000000000", "18446744073709551616", "x", NOBODY] {
        let path = format!("{ws}/revisions/{number}");
        server.get(&path).await.expect(404);
        let restored = server.post(&format!("{path}/restore"), json!({})).await;
        restored.expect(404);
    }
    assert_eq!(newest(&server, &ws).await, there);
}

/// Everything that a restoration brings back.
async fn policies(server: &Server, ws: &str) -> Value {
    let mut all = Vec::new();
    for list in ["destination-rules", "subset-categories", "subsets"] {
        all.push(server.get(&format!("{ws}/{list}")).await.expect(200));
    }
    let subsets = all[2].clone();
    for id in column(&subsets, "id") {
        let path = format!("{ws}/subsets/{}/assignments", text(id));
        all.push(server.get(&path).await.expect(200));
    }
    let workspace = server.get(ws).await.expect(200);
    all.push(workspace["require_destination_policy"].clone());
    json!(all)
}

/// A workspace with a policy of each kind: its path, its model, a member who sees the US, the
/// category, the access policy, the group and the destination policy.
async fn governed(server: &Server) -> (String, String, [String; 5]) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let (member, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let category = server.category(&ws, "Region", "deny").await;
    let model = Some(catalog.model.as_str());
    let subset = server
        .subset(&ws, &category, model, "US", equals("country", "US"))
        .await;
    let group = server.group(&ws, "US", None).await;
    server.assign(&ws, &subset, &group).await;
    server.enroll(&ws, &group, &member).await;
    let ids = [member, category, subset, group, catalog.policy];
    (ws, catalog.model, ids)
}

async fn restored_policies_are_those_of_then_and_govern(server: Server) {
    let (ws, model, [member, category, subset, group, policy]) = governed(&server).await;
    let then = newest(&server, &ws).await;
    let before = policies(&server, &ws).await;
    assert_eq!(server.seen(&ws, &model, &member).await, [2, 4]);

    // Seven objects change, some of them more than once.
    let subsets = format!("{ws}/groups/{group}/subsets");
    server
        .put(&subsets, json!({"subset_ids": []}))
        .await
        .expect(200);
    let one = format!("{ws}/subsets/{subset}");
    for country in ["FR", "DE"] {
        let change = json!({"filter_tree": equals("country", country), "name": country});
        server.put(&one, change).await.expect(200);
    }
    let change = json!({"name": "Land", "unassigned": "allow"});
    let path = format!("{ws}/subset-categories/{category}");
    server.put(&path, change).await.expect(200);
    let extra = server.category(&ws, "Region", "deny").await;
    let model_id = Some(model.as_str());
    server
        .subset(&ws, &extra, model_id, "US", equals("name", "Bo"))
        .await;
    server
        .delete(&format!("{ws}/destination-rules/{policy}"))
        .await
        .expect(204);
    let current = server.get(&ws).await.expect(200);
    let demand = json!({"name": current["name"], "require_destination_policy": true});
    server.put(&ws, demand).await.expect(200);
    assert_eq!(server.seen(&ws, &model, &member).await, [0; 0]);
    let changed = newest(&server, &ws).await;

    let path = format!("{ws}/revisions/{then}/restore");
    let answer = server.post(&path, json!({})).await;
    assert_eq!(revision(&answer), changed + 1);
    let expected = json!({"revision": changed + 1, "restored": then, "changes": 7, "left_out": 0});
    let restored = answer.expect(200);
    assert_eq!(
        keys(&restored),
        ["revision", "restored", "changes", "left_out"]
    );
    assert_eq!(restored, expected);
    assert_eq!(policies(&server, &ws).await, before);
    assert_eq!(server.seen(&ws, &model, &member).await, [2, 4]);
    let body = json!({
        "model_id": model,
        "destination_type": "file",
        "records": [{"id": 1, "country": "DE"}, {"id": 2, "country": "US"}],
    });
    let explained = server
        .post(&format!("{ws}/explain"), body)
        .await
        .expect(200);
    assert_eq!(column(&explained, "passes"), [&json!(false), &json!(true)]);
    let made = server
        .get(&format!("{ws}/revisions/{}", changed + 1))
        .await
        .expect(200);
    assert_eq!(made["author_id"], json!(server.owner_id().await));
    assert_eq!(made["changes"].as_array().map(Vec::len), Some(7));

    // Nothing to do makes nothing; and there is a way forward again.
    let expected = json!({"revision": changed + 1, "restored": then, "changes": 0, "left_out": 0});
    assert_eq!(server.post(&path, json!({})).await.expect(200), expected);
    let forward = format!("{ws}/revisions/{changed}/restore");
    let restored = server.post(&forward, json!({})).await.expect(200);
    assert_eq!(restored["changes"], json!(7));
    assert_eq!(server.seen(&ws, &model, &member).await, [0; 0]);
    // To the very beginning, and what is restored can be changed like everything.
    let start = format!("{ws}/revisions/1/restore");
    server.post(&start, json!({})).await.expect(200);
    assert_eq!(
        server.get(&format!("{ws}/subsets")).await.expect(200),
        json!([])
    );
    assert_eq!(server.seen(&ws, &model, &member).await, [1, 2, 3, 4, 5]);
    server.post(&path, json!({})).await.expect(200);
    assert_eq!(policies(&server, &ws).await, before);
    server
        .put(&one, json!({"name": "America"}))
        .await
        .expect(200);
}

async fn members_groups_and_roles_stay_when_policies_come_back(server: Server) {
    let (ws, model, [member, _, subset, group, _]) = governed(&server).await;
    let then = newest(&server, &ws).await;
    let late_group = server.group(&ws, "late", None).await;
    let (late, _) = server.joined(&ws, "late@example.com", MEMBER).await;
    server.role(&ws, "late", &["sources.read"]).await;
    server.enroll(&ws, &group, &late).await;
    server.assign(&ws, &subset, &late_group).await;
    server
        .delete(&format!("{ws}/groups/{group}/members/{member}"))
        .await
        .expect(204);
    let mut before = Vec::new();
    let lists = [
        "members",
        "groups",
        "roles",
        "models",
        "syncs",
        "destinations",
    ];
    for list in lists {
        before.push(server.get(&format!("{ws}/{list}")).await.expect(200));
    }
    let members = format!("{ws}/groups/{group}/members");
    let in_group = server.get(&members).await.expect(200);

    let path = format!("{ws}/revisions/{then}/restore");
    let restored = server.post(&path, json!({})).await.expect(200);
    // Of all this only the late assignment is a matter of policy.
    assert_eq!(restored["changes"], json!(1));
    for (list, before) in lists.iter().zip(before) {
        let now = server.get(&format!("{ws}/{list}")).await.expect(200);
        assert_eq!(now, before, "{list}");
    }
    assert_eq!(server.get(&members).await.expect(200), in_group);
    assert_eq!(server.seen(&ws, &model, &late).await, [2, 4]);
    assert_eq!(server.seen(&ws, &model, &member).await, [0; 0]);
}

async fn assignments_of_a_group_that_is_no_more_are_left_out(server: Server) {
    let (ws, model, [member, _, subset, group, policy]) = governed(&server).await;
    let second = server.group(&ws, "second", None).await;
    server.assign(&ws, &subset, &second).await;
    let then = newest(&server, &ws).await;
    server
        .delete(&format!("{ws}/groups/{group}"))
        .await
        .expect(204);
    server
        .delete(&format!("{ws}/destination-rules/{policy}"))
        .await
        .expect(204);
    let path = format!("{ws}/revisions/{then}/restore");
    let restored = server.post(&path, json!({})).await.expect(200);
    assert_eq!(
        (&restored["changes"], &restored["left_out"]),
        (&json!(1), &json!(1))
    );
    server
        .get(&format!("{ws}/groups/{group}"))
        .await
        .expect(404);
    let assignments = format!("{ws}/subsets/{subset}/assignments");
    let assignments = server.get(&assignments).await.expect(200);
    assert_eq!(column(&assignments, "group_id"), [&json!(second)]);
    assert_eq!(server.seen(&ws, &model, &member).await, [0; 0]);
}

async fn policy_that_does_not_compile_any_more_is_not_restored(server: Server) {
    let (ws, model, [_, _, subset, group, policy]) = governed(&server).await;
    let then = newest(&server, &ws).await;
    server
        .delete(&format!("{ws}/groups/{group}"))
        .await
        .expect(204);
    server
        .delete(&format!("{ws}/subsets/{subset}"))
        .await
        .expect(204);
    server
        .delete(&format!("{ws}/destination-rules/{policy}"))
        .await
        .expect(204);
    let path = format!("{ws}/models/{model}");
    let current = server.get(&path).await.expect(200);
    let narrower = json!({
        "name": "customers",
        "source_id": current["source_id"],
        "sql": "SELECT id, name FROM files",
        "primary_key": ["id"],
    });
    server.put(&path, narrower).await.expect(200);
    let before = policies(&server, &ws).await;
    let there = newest(&server, &ws).await;
    let path = format!("{ws}/revisions/{then}/restore");
    let error = server.post(&path, json!({})).await.expect(422);
    let details = error["error"]["details"].as_array().expect("details");
    let named: Vec<_> = details.iter().map(|fault| &fault["policy_id"]).collect();
    assert_eq!(named.len(), 2, "{error:#}");
    assert!(named.contains(&&json!(subset)) && named.contains(&&json!(policy)));
    assert_eq!(message(&error), "the request is not valid: see details");
    assert_eq!(policies(&server, &ws).await, before);
    assert_eq!(newest(&server, &ws).await, there);
}

async fn restoring_at_the_same_time_mixes_nothing(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let mut states = Vec::new();
    for country in ["US", "FR"] {
        for list in ["destination-rules", "subset-categories"] {
            let all = server.get(&format!("{ws}/{list}")).await.expect(200);
            for id in column(&all, "id") {
                server
                    .delete(&format!("{ws}/{list}/{}", text(id)))
                    .await
                    .expect(204);
            }
        }
        server.category(&ws, country, "deny").await;
        let rule = json!({
            "name": country,
            "parent_model_id": catalog.model,
            "destination_type": "file",
            "filter_tree": not_in("country", [country]),
        });
        server.made(&format!("{ws}/destination-rules"), rule).await;
        states.push((newest(&server, &ws).await, policies(&server, &ws).await));
    }
    let restores = (0..8).map(|i| {
        let revision = states[i % 2].0;
        let path = format!("{ws}/revisions/{revision}/restore");
        let server = &server;
        async move { server.post(&path, json!({})).await }
    });
    for answer in futures::future::join_all(restores).await {
        assert!([200, 409].contains(&answer.status), "{:#}", answer.body);
    }
    let now = policies(&server, &ws).await;
    assert!(
        states.iter().any(|(_, policies)| *policies == now),
        "{now:#}"
    );
}
