//! `/workspaces/{id}/groups`, their members, and the access policies assigned to them.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{column, equals, is_id, is_time, keys, message, revision};
use super::{ADMIN, MEMBER, NOBODY, Server, text};

on_both_stores!(
    group_comes_changes_and_goes,
    group_name_is_unique_in_its_workspace,
    every_fault_of_a_group_is_told,
    group_that_was_changed_meanwhile_is_412,
    groups_are_for_those_who_govern,
    what_is_not_there_is_404,
    members_of_a_group_come_and_go,
    every_fault_of_a_group_member_is_told,
    who_leaves_the_workspace_leaves_its_groups,
    access_policies_of_a_group_are_replaced_at_once,
    every_fault_of_a_replacement_is_told,
    replacements_at_the_same_time_do_not_mix,
);

async fn group_comes_changes_and_goes(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/groups");
    assert_eq!(server.get(&list).await.expect(200), json!([]));
    let role = server.role(&ws, "data_analyst", &["sources.read"]).await;
    let wanted = json!({
        "name": "Marketing Team",
        "description": "Marketing department members",
        "role_id": role,
    });
    let made = server.post(&list, wanted.clone()).await.expect(201);
    let fields = [
        "id",
        "workspace_id",
        "name",
        "description",
        "role_id",
        "role_name",
        "member_count",
        "created_at",
        "updated_at",
    ];
    assert_eq!(keys(&made), fields);
    for (key, value) in wanted.as_object().expect("an object") {
        assert_eq!(&made[key], value, "{key}");
    }
    assert!(is_id(&made["id"]) && is_time(&made["created_at"]) && is_time(&made["updated_at"]));
    assert_eq!(json!(ws.rsplit('/').next()), made["workspace_id"]);
    assert_eq!(made["role_name"], "data_analyst");
    assert_eq!(made["member_count"], json!(0));
    let one = format!("{list}/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.expect(200), made);
    let bare = server.post(&list, json!({"name": "bare"})).await;
    let bare = bare.expect(201);
    assert_eq!(
        (&bare["description"], &bare["role_id"], &bare["role_name"]),
        (&json!(""), &Value::Null, &Value::Null)
    );
    let both = json!([made, bare]);
    assert_eq!(server.get(&list).await.expect(200), both);

    // Names of roles are those of now, of system roles, too.
    let renamed = json!({"name": "analyst"});
    server
        .put(&format!("{ws}/roles/{role}"), renamed)
        .await
        .expect(200);
    assert_eq!(server.get(&one).await.expect(200)["role_name"], "analyst");
    let changed = server
        .put(&one, json!({"role_id": ADMIN, "name": "M"}))
        .await;
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["role_id"], &changed["role_name"], &changed["name"]),
        (&json!(ADMIN), &json!("admin"), &json!("M"))
    );
    assert_eq!(changed["description"], wanted["description"]);
    assert_eq!(changed["created_at"], made["created_at"]);
    let roleless = server.put(&one, json!({"role_id": null})).await.expect(200);
    assert_eq!(
        (&roleless["role_id"], &roleless["role_name"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(server.get(&one).await.expect(200), roleless);

    let answer = server.delete(&one).await;
    revision(&answer);
    answer.expect(204);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        server.as_owner(method, &one, json!({})).await.expect(404);
    }
    assert_eq!(server.get(&list).await.expect(200), json!([bare]));
}

async fn group_name_is_unique_in_its_workspace(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/groups");
    server.group(&ws, "first", None).await;
    let second = server.group(&ws, "second", None).await;
    let taken = json!({"name": "first"});
    let error = server.post(&list, taken.clone()).await.expect(409);
    assert!(message(&error).contains("\"first\""), "{error}");
    server
        .put(&format!("{list}/{second}"), taken)
        .await
        .expect(409);
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let other = format!("/api/v1/workspaces/{other}");
    server.group(&other, "first", None).await;
}

async fn every_fault_of_a_group_is_told(server: Server) {
    let ws = server.workspace().await;
    let list = format!("{ws}/groups");
    let group = server.group(&ws, "mine", Some(MEMBER)).await;
    let faulty: [(Value, &[&str]); 5] = [
        (json!({"name": null}), &["$.name"]),
        (
            json!({"name": "", "description": {}, "role_id": "member"}),
            &["$.description", "$.name", "$.role_id"],
        ),
        (json!({"name": "x", "role_id": NOBODY}), &["$.role_id"]),
        (json!({"name": "x", "role_id": 3}), &["$.role_id"]),
        (
            json!({"name": "x", "member_count": 7, "role_name": "owner"}),
            &["$.member_count", "$.role_name"],
        ),
    ];
    server
        .refuses(Method::POST, &list, &list, faulty.clone())
        .await;
    let one = format!("{list}/{group}");
    server.refuses(Method::PUT, &one, &list, faulty).await;
}

async fn group_that_was_changed_meanwhile_is_412(server: Server) {
    let ws = server.workspace().await;
    let group = server.group(&ws, "mine", None).await;
    let path = format!("{ws}/groups/{group}");
    server.heeds_if_match(&path, json!({"name": "other"})).await;
}

async fn groups_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let group = server.group(&ws, "mine", None).await;
    let (inside, _) = server.joined(&ws, "in@example.com", MEMBER).await;
    let (outside, _) = server.joined(&ws, "out@example.com", MEMBER).await;
    server.enroll(&ws, &group, &inside).await;
    let list = format!("{ws}/groups");
    let one = format!("{list}/{group}");
    let (members, subsets) = (format!("{one}/members"), format!("{one}/subsets"));
    let member = format!("{members}/{inside}");
    let writes = [
        (Method::POST, list.as_str(), json!({"name": "new"})),
        (Method::PUT, one.as_str(), json!({"name": "other"})),
        (Method::DELETE, one.as_str(), json!({})),
        (
            Method::POST,
            members.as_str(),
            json!({"account_id": outside}),
        ),
        (Method::DELETE, member.as_str(), json!({})),
        (Method::PUT, subsets.as_str(), json!({"subset_ids": []})),
    ];
    let reads = [
        list.as_str(),
        one.as_str(),
        members.as_str(),
        subsets.as_str(),
    ];
    server.is_governed(&ws, &reads, &writes).await;
}

async fn what_is_not_there_is_404(server: Server) {
    let ws = server.workspace().await;
    let group = server.group(&ws, "mine", None).await;
    let none = format!("{ws}/groups/{NOBODY}");
    let owner_id = server.owner_id().await;
    let member = json!({"account_id": owner_id});
    let requests = [
        (Method::GET, none.clone(), json!({})),
        (Method::PUT, none.clone(), json!({"name": "x"})),
        (Method::DELETE, none.clone(), json!({})),
        (Method::GET, format!("{none}/members"), json!({})),
        (Method::POST, format!("{none}/members"), member),
        (
            Method::DELETE,
            format!("{none}/members/{owner_id}"),
            json!({}),
        ),
        (Method::GET, format!("{none}/subsets"), json!({})),
        (
            Method::PUT,
            format!("{none}/subsets"),
            json!({"subset_ids": []}),
        ),
        (
            Method::DELETE,
            format!("{ws}/groups/{group}/members/{NOBODY}"),
            json!({}),
        ),
    ];
    server.knows_none_of(&requests).await;
    // A member of the workspace who is not in the group.
    let absent = format!("{ws}/groups/{group}/members/{owner_id}");
    server.delete(&absent).await.expect(404);
}

async fn members_of_a_group_come_and_go(server: Server) {
    let ws = server.workspace().await;
    let account =
        json!({"email": "ada@example.com", "name": "Ada", "avatar_url": "https://a.example/x.png"});
    let ada = server.made("/api/v1/accounts", account).await;
    let member = json!({"account_id": ada, "role_id": MEMBER});
    server
        .post(&format!("{ws}/members"), member)
        .await
        .expect(201);
    let (bo, _) = server.joined(&ws, "bo@example.com", MEMBER).await;
    let group = server.group(&ws, "mine", None).await;
    let one = format!("{ws}/groups/{group}");
    let members = format!("{one}/members");
    assert_eq!(server.get(&members).await.expect(200), json!([]));
    let made = server
        .post(&members, json!({"account_id": ada}))
        .await
        .expect(201);
    let fields = [
        "group_id",
        "account_id",
        "email",
        "name",
        "avatar_url",
        "created_at",
    ];
    assert_eq!(keys(&made), fields);
    for (key, value) in [
        ("group_id", json!(group)),
        ("account_id", json!(ada)),
        ("email", json!("ada@example.com")),
        ("name", json!("Ada")),
        ("avatar_url", json!("https://a.example/x.png")),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert!(is_time(&made["created_at"]));
    let error = server
        .post(&members, json!({"account_id": ada}))
        .await
        .expect(409);
    assert!(message(&error).contains("already"), "{error}");
    let second = server
        .post(&members, json!({"account_id": bo}))
        .await
        .expect(201);
    assert_eq!(second["avatar_url"], Value::Null);
    let both = json!([made, second]);
    assert_eq!(server.get(&members).await.expect(200), both);
    assert_eq!(server.get(&one).await.expect(200)["member_count"], json!(2));

    let ada = format!("{members}/{ada}");
    server.delete(&ada).await.expect(204);
    server.delete(&ada).await.expect(404);
    assert_eq!(server.get(&members).await.expect(200), json!([second]));
    let listed = server.get(&format!("{ws}/groups")).await.expect(200);
    assert_eq!(listed[0]["member_count"], json!(1));
    // A group with members can be deleted; they stay in the workspace.
    server.delete(&one).await.expect(204);
    server.get(&members).await.expect(404);
    server.get(&format!("{ws}/members/{bo}")).await.expect(200);
}

async fn every_fault_of_a_group_member_is_told(server: Server) {
    let ws = server.workspace().await;
    let group = server.group(&ws, "mine", None).await;
    let members = format!("{ws}/groups/{group}/members");
    // Known to the organisation, but no member of the workspace.
    let (outsider, _) = server.account("out@example.com", json!(["*"])).await;
    let faulty: [(Value, &[&str]); 6] = [
        (json!({}), &["$.account_id"]),
        (json!({"account_id": null}), &["$.account_id"]),
        (json!({"account_id": 7}), &["$.account_id"]),
        (json!({"account_id": NOBODY}), &["$.account_id"]),
        (json!({"account_id": outsider}), &["$.account_id"]),
        (
            json!({"account_id": "x", "email": "out@example.com"}),
            &["$.account_id", "$.email"],
        ),
    ];
    server
        .refuses(Method::POST, &members, &members, faulty)
        .await;
}

async fn who_leaves_the_workspace_leaves_its_groups(server: Server) {
    let ws = server.workspace().await;
    let (account_id, key) = server.joined(&ws, "m@example.com", MEMBER).await;
    let role = server.role(&ws, "more", &["governance.write"]).await;
    let group = server.group(&ws, "mine", Some(&role)).await;
    server.enroll(&ws, &group, &account_id).await;
    let held = server.permissions(&ws, &key).await;
    assert!(held.contains(&"governance.write".into()));
    server
        .delete(&format!("{ws}/members/{account_id}"))
        .await
        .expect(204);
    let one = server.get(&format!("{ws}/groups/{group}")).await;
    assert_eq!(one.expect(200)["member_count"], json!(0));
    // Whoever comes back begins anew.
    let member = json!({"account_id": account_id, "role_id": MEMBER});
    server
        .post(&format!("{ws}/members"), member)
        .await
        .expect(201);
    let held = server.permissions(&ws, &key).await;
    assert!(!held.contains(&"governance.write".into()));
}

/// A workspace with a group and four access policies.
async fn with_subsets(server: &Server) -> (String, String, [String; 4]) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let category = server.category(&ws, "Region", "deny").await;
    let group = server.group(&ws, "mine", None).await;
    let mut subsets = Vec::new();
    for country in ["US", "FR", "DE", "IT"] {
        let tree = equals("country", country);
        let model = Some(catalog.model.as_str());
        subsets.push(server.subset(&ws, &category, model, country, tree).await);
    }
    let subsets = subsets.try_into().expect("four");
    (ws, group, subsets)
}

async fn access_policies_of_a_group_are_replaced_at_once(server: Server) {
    let (ws, group, [us, fr, de, _]) = with_subsets(&server).await;
    let path = format!("{ws}/groups/{group}/subsets");
    assert_eq!(server.get(&path).await.expect(200), json!([]));
    let whole = async |id: &str| server.get(&format!("{ws}/subsets/{id}")).await.expect(200);
    let assignments = async |id: &str| {
        let path = format!("{ws}/subsets/{id}/assignments");
        server.get(&path).await.expect(200)
    };
    // A policy that comes twice is assigned once.
    let answer = server.put(&path, json!({"subset_ids": [fr, us, fr]})).await;
    let first = revision(&answer);
    let both = json!([whole(&us).await, whole(&fr).await]);
    assert_eq!(answer.expect(200), both);
    assert_eq!(server.get(&path).await.expect(200), both);
    let kept = assignments(&fr).await;
    assert_eq!(kept.as_array().map(Vec::len), Some(1));

    // One goes, one stays as it is, one comes, all in one revision.
    let answer = server.put(&path, json!({"subset_ids": [de, fr]})).await;
    assert_eq!(revision(&answer), first + 1);
    let both = json!([whole(&fr).await, whole(&de).await]);
    assert_eq!(answer.expect(200), both);
    assert_eq!(assignments(&fr).await, kept);
    assert_eq!(assignments(&us).await, json!([]));
    let made = server
        .get(&format!("{ws}/revisions/{}", first + 1))
        .await
        .expect(200);
    assert_eq!(made["changes"].as_array().map(Vec::len), Some(2));

    // The same set is no change.
    let answer = server.put(&path, json!({"subset_ids": [fr, de]})).await;
    assert_eq!(revision(&answer), first + 1);
    assert_eq!(answer.expect(200), both);
    let answer = server.put(&path, json!({"subset_ids": []})).await;
    assert_eq!(revision(&answer), first + 2);
    assert_eq!(answer.expect(200), json!([]));
    assert_eq!(server.get(&path).await.expect(200), json!([]));
}

async fn every_fault_of_a_replacement_is_told(server: Server) {
    let (ws, group, [us, fr, ..]) = with_subsets(&server).await;
    let path = format!("{ws}/groups/{group}/subsets");
    server
        .put(&path, json!({"subset_ids": [us]}))
        .await
        .expect(200);
    let faulty: [(Value, &[&str]); 5] = [
        (json!({}), &["$.subset_ids"]),
        (json!({"subset_ids": null}), &["$.subset_ids"]),
        (json!({"subset_ids": fr}), &["$.subset_ids"]),
        (
            json!({"subset_ids": [7, fr, NOBODY, "x"]}),
            &["$.subset_ids[0]", "$.subset_ids[2]", "$.subset_ids[3]"],
        ),
        (json!({"subset_ids": [fr], "subsets": [fr]}), &["$.subsets"]),
    ];
    server.refuses(Method::PUT, &path, &path, faulty).await;
}

async fn replacements_at_the_same_time_do_not_mix(server: Server) {
    let (ws, group, [us, fr, de, it]) = with_subsets(&server).await;
    let path = format!("{ws}/groups/{group}/subsets");
    let sets = [
        vec![us.clone(), fr.clone()],
        vec![de, it],
        vec![us],
        vec![fr],
    ];
    let bodies = (0..12).map(|i| json!({"subset_ids": sets[i % sets.len()]}));
    let answers = join_all(bodies.map(|body| server.put(&path, body))).await;
    let mut accepted = BTreeSet::new();
    for answer in answers {
        match answer.status {
            200 => {
                let ids = column(&answer.body, "id").into_iter().map(text);
                accepted.insert(ids.collect::<BTreeSet<_>>());
            }
            // Somebody else was faster: nothing was done.
            409 => drop(answer.expect(409)),
            status => panic!("{status}: {:#}", answer.body),
        }
    }
    let wanted: BTreeSet<BTreeSet<String>> = sets
        .into_iter()
        .map(|set| set.into_iter().collect())
        .collect();
    assert!(!accepted.is_empty() && accepted.is_subset(&wanted));
    let now = server.get(&path).await.expect(200);
    let now: BTreeSet<_> = column(&now, "id").into_iter().map(text).collect();
    assert!(accepted.contains(&now), "{now:?} was never asked for");
}
