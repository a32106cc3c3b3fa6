//! Access policies that decide: who sees, counts and sends which rows, and from when on.
//!
//! Of the customers, 2 and 4 are in the US, 3 in France, 1 in Germany; of 5 nothing is known. 1,
//! 2 and 5 consent.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{equals, message};
use super::{ADMIN, Catalog, MEMBER, Server, not_in, text};

on_both_stores!(
    category_decides_about_who_has_no_policy_of_it,
    policies_of_a_category_open_and_categories_close,
    owners_and_admins_are_restricted_by_a_policy_of_theirs_only,
    policy_of_no_model_covers_those_with_its_columns,
    policy_of_another_model_opens_nothing_here,
    run_of_a_member_sends_their_rows_and_names_the_category,
    next_run_knows_what_was_taken_away,
    last_policy_taken_away_closes_the_model,
    restoration_closes_what_it_leaves_without_a_policy,
    preview_counts_what_the_caller_may_see,
    run_of_who_has_left_is_blocked,
);

const EVERYTHING: [u64; 5] = [1, 2, 3, 4, 5];
const NOTHING: [u64; 0] = [];

fn consents() -> Value {
    json!({
        "type": "condition",
        "condition_type": "property",
        "column": "consent",
        "operator": "is_true",
    })
}

/// A catalog whose only restrictions are access policies.
async fn open_catalog(server: &Server) -> (String, Catalog) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    server
        .delete(&format!("{ws}/destination-rules/{}", catalog.policy))
        .await
        .expect(204);
    (ws, catalog)
}

async fn category_decides_about_who_has_no_policy_of_it(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let model = catalog.model.as_str();
    let (account_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let seen = async || server.seen(&ws, model, &account_id).await;
    let category = server.category(&ws, "Region", "deny").await;
    // A category without policies covers nothing.
    assert_eq!(seen().await, EVERYTHING);
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, Some(model), "US", tree).await;
    assert_eq!(seen().await, NOTHING);
    let path = format!("{ws}/subset-categories/{category}");
    let unassigned = async |decision: &str| {
        let body = json!({"unassigned": decision});
        server.put(&path, body).await.expect(200);
    };
    unassigned("allow").await;
    assert_eq!(seen().await, EVERYTHING);
    // Who has a policy is bound by it, whatever is decided about the others.
    let group = server.group(&ws, "US", None).await;
    server.assign(&ws, &subset, &group).await;
    assert_eq!(seen().await, EVERYTHING);
    server.enroll(&ws, &group, &account_id).await;
    assert_eq!(seen().await, [2, 4]);
    unassigned("deny").await;
    assert_eq!(seen().await, [2, 4]);
}

async fn policies_of_a_category_open_and_categories_close(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let model = Some(catalog.model.as_str());
    let (account_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let seen = async || server.seen(&ws, &catalog.model, &account_id).await;
    let region = server.category(&ws, "Region", "deny").await;
    let us = server
        .subset(&ws, &region, model, "US", equals("country", "US"))
        .await;
    let fr = server
        .subset(&ws, &region, model, "FR", equals("country", "FR"))
        .await;
    let first = server.group(&ws, "first", None).await;
    let second = server.group(&ws, "second", None).await;
    server.assign(&ws, &us, &first).await;
    server.assign(&ws, &fr, &second).await;
    server.enroll(&ws, &first, &account_id).await;
    assert_eq!(seen().await, [2, 4]);
    server.enroll(&ws, &second, &account_id).await;
    assert_eq!(seen().await, [2, 3, 4]);
    // Another category never widens.
    let consent = server.category(&ws, "Consent", "deny").await;
    let given = server
        .subset(&ws, &consent, model, "given", consents())
        .await;
    assert_eq!(seen().await, NOTHING);
    server.assign(&ws, &given, &second).await;
    assert_eq!(seen().await, [2]);
    // The explanation names both categories that withhold a record.
    let body = json!({
        "model_id": catalog.model,
        "account_id": account_id,
        "records": [{"id": 1, "name": "Ada", "country": "DE", "consent": false}],
    });
    let explained = server
        .post(&format!("{ws}/explain"), body)
        .await
        .expect(200);
    let by: Vec<_> = explained[0]["withheld_by"]
        .as_array()
        .expect("categories")
        .iter()
        .map(|by| json!([by["policy_id"], by["kind"], by["name"]]))
        .collect();
    let expected = [
        json!([region, "access", "Region"]),
        json!([consent, "access", "Consent"]),
    ];
    assert_eq!(by, expected);
    // A policy that is changed decides anew.
    let everything = json!({"filter_tree": not_in("country", ["XX"])});
    server
        .put(&format!("{ws}/subsets/{us}"), everything)
        .await
        .expect(200);
    assert_eq!(seen().await, [1, 2]);
}

async fn owners_and_admins_are_restricted_by_a_policy_of_theirs_only(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let model = catalog.model.as_str();
    let (admin_id, _) = server.joined(&ws, "a@example.com", ADMIN).await;
    // All permissions do not open rows: that takes the role itself.
    let owners = server.group(&ws, "owners", Some(super::OWNER)).await;
    let (member_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    server.enroll(&ws, &owners, &member_id).await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server.subset(&ws, &category, Some(model), "US", tree).await;
    let owner_id = server.owner_id().await;
    assert_eq!(server.seen(&ws, model, &owner_id).await, EVERYTHING);
    assert_eq!(server.seen(&ws, model, &member_id).await, NOTHING);
    let group = server.group(&ws, "US", None).await;
    server.enroll(&ws, &group, &admin_id).await;
    assert_eq!(server.seen(&ws, model, &admin_id).await, EVERYTHING);
    let assignment = server.assign(&ws, &subset, &group).await;
    assert_eq!(server.seen(&ws, model, &admin_id).await, [2, 4]);
    assert_eq!(server.seen(&ws, model, &owner_id).await, EVERYTHING);
    let path = format!("{ws}/subsets/{subset}/assignments/{assignment}");
    server.delete(&path).await.expect(204);
    assert_eq!(server.seen(&ws, model, &admin_id).await, EVERYTHING);
    // Who is an admin no more is restricted like everybody.
    let path = format!("{ws}/members/{admin_id}");
    server
        .put(&path, json!({"role_id": MEMBER}))
        .await
        .expect(200);
    assert_eq!(server.seen(&ws, model, &admin_id).await, NOTHING);
}

async fn policy_of_no_model_covers_those_with_its_columns(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let names = json!({
        "name": "names",
        "source_id": catalog.source,
        "sql": "SELECT id, name FROM files",
    });
    let names = server.made(&format!("{ws}/models"), names).await;
    let (account_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let category = server.category(&ws, "Region", "deny").await;
    let tree = equals("country", "US");
    server.subset(&ws, &category, None, "US", tree).await;
    assert_eq!(server.seen(&ws, &catalog.model, &account_id).await, NOTHING);
    let passes = async || {
        let body = json!({
            "model_id": names,
            "account_id": account_id,
            "records": [{"id": 1, "name": "Ada"}],
        });
        let explained = server.post(&format!("{ws}/explain"), body).await;
        explained.expect(200)[0]["passes"].clone()
    };
    assert_eq!(passes().await, true);
    let tree = equals("name", "Bo");
    server.subset(&ws, &category, None, "Bo", tree).await;
    assert_eq!(passes().await, false);
}

async fn policy_of_another_model_opens_nothing_here(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let second = json!({
        "name": "second", "source_id": catalog.source, "table": "files", "primary_key": ["id"],
    });
    let second = server.made(&format!("{ws}/models"), second).await;
    let (account_id, _) = server.joined(&ws, "m@example.com", MEMBER).await;
    let group = server.group(&ws, "US", None).await;
    server.enroll(&ws, &group, &account_id).await;
    // Also where who has no policy at all sees everything.
    let category = server.category(&ws, "Region", "allow").await;
    let here = Some(catalog.model.as_str());
    let us = server
        .subset(&ws, &category, here, "US", equals("country", "US"))
        .await;
    let there = Some(second.as_str());
    server
        .subset(&ws, &category, there, "FR", equals("country", "FR"))
        .await;
    assert_eq!(server.seen(&ws, &second, &account_id).await, EVERYTHING);
    server.assign(&ws, &us, &group).await;
    assert_eq!(server.seen(&ws, &catalog.model, &account_id).await, [2, 4]);
    assert_eq!(server.seen(&ws, &second, &account_id).await, NOTHING);
}

/// A member in a group whose policy opens the US: account, key, category, policy, group.
async fn american(server: &Server, ws: &str, model: &str) -> [String; 5] {
    let (account_id, key) = server.joined(ws, "us@example.com", MEMBER).await;
    let category = server.category(ws, "Region", "deny").await;
    let tree = equals("country", "US");
    let subset = server.subset(ws, &category, Some(model), "US", tree).await;
    let group = server.group(ws, "US", None).await;
    server.assign(ws, &subset, &group).await;
    server.enroll(ws, &group, &account_id).await;
    [account_id, key, category, subset, group]
}

#[track_caller]
fn assert_counts(run: &Value, delivered: u64, withheld: u64) {
    assert_eq!(run["status"], "succeeded", "{run:#}");
    let counts = [&run["delivered"], &run["withheld"]];
    assert_eq!(counts, [&json!(delivered), &json!(withheld)], "{run:#}");
    assert_eq!(run["read"], json!(delivered + withheld));
}

async fn run_of_a_member_sends_their_rows_and_names_the_category(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let [account_id, key, category, ..] = american(&server, &ws, &catalog.model).await;
    let run = server.ran(&key, &ws, &catalog.sync).await;
    assert_counts(&run, 2, 3);
    assert_eq!(run["account_id"], json!(account_id));
    let by = json!([{"policy_id": category, "kind": "access", "count": 3}]);
    assert_eq!(run["withheld_by"], by);
    assert_eq!(server.sent(&catalog.model), [2, 4]);
    // The owner's run of the same sync sends everything.
    let run = server.ran(super::BOOTSTRAP_KEY, &ws, &catalog.sync).await;
    assert_counts(&run, 5, 0);
    assert_eq!(server.sent(&catalog.model), EVERYTHING);
    // Somebody who sees nothing sends nothing.
    let (_, blind) = server.joined(&ws, "b@example.com", MEMBER).await;
    let run = server.ran(&blind, &ws, &catalog.sync).await;
    assert_counts(&run, 0, 5);
    assert_eq!(server.sent(&catalog.model), NOTHING);
    // A destination policy is asked besides.
    let rule = json!({
        "name": "no Bo",
        "parent_model_id": catalog.model,
        "destination_type": "file",
        "filter_tree": not_in("name", ["Bo"]),
    });
    let rule = server.made(&format!("{ws}/destination-rules"), rule).await;
    let run = server.ran(&key, &ws, &catalog.sync).await;
    assert_counts(&run, 1, 4);
    assert_eq!(server.sent(&catalog.model), [4]);
    let by = run["withheld_by"].as_array().expect("policies");
    for expected in [
        json!({"policy_id": category, "kind": "access", "count": 3}),
        json!({"policy_id": rule, "kind": "destination", "count": 1}),
    ] {
        assert!(by.contains(&expected), "{by:?}");
    }
}

async fn next_run_knows_what_was_taken_away(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let [account_id, key, category, subset, group] = american(&server, &ws, &catalog.model).await;
    let all = async |expected: &[u64]| {
        let run = server.ran(&key, &ws, &catalog.sync).await;
        let count = expected.len() as u64;
        assert_counts(&run, count, 5 - count);
        assert_eq!(server.sent(&catalog.model), expected);
        assert_eq!(
            server.seen(&ws, &catalog.model, &account_id).await,
            expected
        );
    };
    all(&[2, 4]).await;
    let member = format!("{ws}/groups/{group}/members/{account_id}");
    server.delete(&member).await.expect(204);
    all(&NOTHING).await;
    server.enroll(&ws, &group, &account_id).await;
    all(&[2, 4]).await;
    let assignments = format!("{ws}/subsets/{subset}/assignments");
    let assigned = server.get(&assignments).await.expect(200);
    let assigned = format!("{assignments}/{}", text(&assigned[0]["id"]));
    server.delete(&assigned).await.expect(204);
    all(&NOTHING).await;
    let subsets = format!("{ws}/groups/{group}/subsets");
    let both = json!({"subset_ids": [subset]});
    server.put(&subsets, both).await.expect(200);
    all(&[2, 4]).await;
    server
        .put(&subsets, json!({"subset_ids": []}))
        .await
        .expect(200);
    all(&NOTHING).await;
    server.assign(&ws, &subset, &group).await;
    all(&[2, 4]).await;
    server
        .delete(&format!("{ws}/groups/{group}"))
        .await
        .expect(204);
    all(&NOTHING).await;
    // The end of the last policy opens nothing; that of its category does.
    server
        .delete(&format!("{ws}/subsets/{subset}"))
        .await
        .expect(204);
    all(&NOTHING).await;
    server
        .delete(&format!("{ws}/subset-categories/{category}"))
        .await
        .expect(204);
    all(&EVERYTHING).await;
}

async fn last_policy_taken_away_closes_the_model(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let model = catalog.model.as_str();
    let second = json!({"name": "second", "source_id": catalog.source, "table": "files"});
    let second = server.made(&format!("{ws}/models"), second).await;
    let [account_id, _, category, subset, group] = american(&server, &ws, model).await;
    let owner_id = server.owner_id().await;
    let path = format!("{ws}/subset-categories/{category}");
    let one = format!("{ws}/subsets/{subset}");
    let shown = server.get(&path).await;
    let tag = shown.header("etag").map(str::to_owned);
    let shown = shown.expect(200);
    let elsewhere = server.category(&ws, "Brand", "allow").await;
    let narrow = json!({"parent_model_id": second});
    let other_columns = json!({"parent_model_id": null, "filter_tree": equals("shoe", "10")});
    let moved = json!({"category_id": elsewhere, "parent_model_id": null, "filter_tree": equals("shoe", "10")});
    let back = json!({
        "category_id": category,
        "parent_model_id": model,
        "filter_tree": equals("country", "US"),
    });
    for change in [narrow, other_columns, moved] {
        assert_eq!(server.seen(&ws, model, &account_id).await, [2, 4]);
        server.put(&one, change.clone()).await.expect(200);
        assert_eq!(
            server.seen(&ws, model, &account_id).await,
            NOTHING,
            "{change}"
        );
        assert_eq!(server.seen(&ws, model, &owner_id).await, EVERYTHING);
        server.put(&one, back.clone()).await.expect(200);
    }
    let subsets = format!("{ws}/groups/{group}/subsets");
    let none = json!({"subset_ids": []});
    server.put(&subsets, none).await.expect(200);
    server.delete(&one).await.expect(204);
    assert_eq!(server.seen(&ws, model, &account_id).await, NOTHING);
    assert_eq!(server.seen(&ws, model, &owner_id).await, EVERYTHING);
    let effective = format!("{ws}/models/{model}/effective-policy?account_id={account_id}");
    let effective = server.get(&effective).await.expect(200);
    let required = json!([{"category_id": category, "category": "Region", "policies": []}]);
    assert_eq!(
        (&effective["rows"], &effective["requirements"]),
        (&json!("none"), &required)
    );
    // The category looks as before, and is changed as it was read.
    let now = server.get(&path).await;
    assert_eq!(now.header("etag").map(str::to_owned), tag);
    assert_eq!(now.expect(200), shown);
    let rename = json!({"name": "Land"});
    let header = ("if-match", tag.as_deref().expect("an ETag"));
    let renamed = server.with_header(Method::PUT, &path, header, rename).await;
    renamed.expect(200);
    assert_eq!(server.seen(&ws, model, &account_id).await, NOTHING);
    // To allow opens, for good.
    for unassigned in ["allow", "deny"] {
        let change = json!({"unassigned": unassigned});
        server.put(&path, change).await.expect(200);
        assert_eq!(server.seen(&ws, model, &account_id).await, EVERYTHING);
    }
}

async fn restoration_closes_what_it_leaves_without_a_policy(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let model = catalog.model.as_str();
    let list = format!("{ws}/revisions");
    let start = server.get(&list).await.expect(200)[0]["revision"].clone();
    let [account_id, _, category, subset, _] = american(&server, &ws, model).await;
    let seen = async || server.seen(&ws, model, &account_id).await;
    let list = server.get(&list).await.expect(200);
    let made = |id: &str| {
        let made = list.as_array().expect("revisions").iter();
        let mut made = made.filter(|made| made["changes"][0]["id"] == json!(id));
        made.next_back().expect("a revision")["revision"].clone()
    };
    let (bare, full) = (made(&category), list[0]["revision"].clone());
    let restore = async |revision: &Value| {
        let path = format!("{ws}/revisions/{revision}/restore");
        server.post(&path, json!({})).await.expect(200)
    };
    assert_eq!(seen().await, [2, 4]);
    // Then the category had no policy yet.
    let restored = restore(&bare).await;
    assert_eq!(restored["changes"], json!(3));
    let path = format!("{ws}/subsets/{subset}");
    server.get(&path).await.expect(404);
    assert_eq!(seen().await, NOTHING);
    assert_eq!(restore(&bare).await["changes"], json!(0));
    // What it remembers is told of.
    let path = format!("{ws}/revisions/{}", restored["revision"]);
    let revision = server.get(&path).await.expect(200);
    let changes = revision["changes"].as_array().expect("changes");
    let own = changes
        .iter()
        .find(|change| change["id"] == json!(category));
    let scopes = json!([{"parent_model_id": model, "columns": []}]);
    assert_eq!(own.expect("a change")["after"]["once_covered"], scopes);
    let audit = format!("{ws}/audit?object_id={category}");
    let lines = server.get(&audit).await.expect(200).to_string();
    assert!(lines.contains("once_covered"), "{lines}");
    restore(&full).await;
    assert_eq!(seen().await, [2, 4]);
    // Then the category itself was not there.
    restore(&start).await;
    assert_eq!(seen().await, EVERYTHING);
}

async fn preview_counts_what_the_caller_may_see(server: Server) {
    let ws = server.workspace().await;
    let catalog = server.catalog(&ws).await;
    let [_, key, ..] = american(&server, &ws, &catalog.model).await;
    let (_, blind) = server.joined(&ws, "b@example.com", MEMBER).await;
    let path = format!("{ws}/preview");
    let saved = json!({"model_id": catalog.model, "destination_type": "file"});
    let mut draft = saved.clone();
    draft["filter_tree"] = not_in("name", ["Bo", "Ada"]);
    let saved_by =
        |count: u64| json!({"policy_id": catalog.policy, "kind": "destination", "count": count});
    let draft_by = |count: u64| json!({"policy_id": null, "kind": "draft", "count": count});
    for (key, body, counts, by) in [
        (super::BOOTSTRAP_KEY, &saved, [5, 3, 2], vec![saved_by(2)]),
        (key.as_str(), &saved, [2, 2, 0], vec![]),
        (blind.as_str(), &saved, [0, 0, 0], vec![]),
        // The draft alone withholds 1 and 2, of which 1 is withheld already.
        (
            super::BOOTSTRAP_KEY,
            &draft,
            [5, 2, 3],
            vec![draft_by(2), saved_by(2)],
        ),
        (key.as_str(), &draft, [2, 1, 1], vec![draft_by(1)]),
        (blind.as_str(), &draft, [0, 0, 0], vec![]),
    ] {
        let answer = server.by(key, Method::POST, &path, body.clone()).await;
        let preview = answer.expect(200);
        let counted = [&preview["read"], &preview["passing"], &preview["withheld"]];
        assert_eq!(
            counted,
            counts.map(|count| json!(count)).each_ref(),
            "{body}"
        );
        assert_eq!(preview["withheld_by"], json!(by), "{body}");
    }
}

async fn run_of_who_has_left_is_blocked(server: Server) {
    let (ws, catalog) = open_catalog(&server).await;
    let [account_id, key, ..] = american(&server, &ws, &catalog.model).await;
    // Nothing listens there, so the first run goes on trying, and the second waits for it.
    let hook = json!({"name": "hook", "type": "webhook", "config": {"url": "http://127.0.0.1:9/"}});
    let hook = server.made(&format!("{ws}/destinations"), hook).await;
    let sync = json!({"name": "stuck", "model_id": catalog.model, "destination_id": hook});
    let sync = server.made(&format!("{ws}/syncs"), sync).await;
    let trigger = format!("{ws}/syncs/{sync}/trigger");
    let first = server.post(&trigger, json!({})).await.expect(202);
    let second = server.by(&key, Method::POST, &trigger, json!({})).await;
    let second = text(&second.expect(202)["run_id"]);
    let waiting = server.get(&format!("{ws}/runs/{second}")).await;
    assert_eq!(waiting.expect(200)["status"], "queued");
    server
        .delete(&format!("{ws}/members/{account_id}"))
        .await
        .expect(204);
    let cancel = format!("{ws}/runs/{}/cancel", text(&first["run_id"]));
    server.post(&cancel, json!({})).await.expect(200);
    let run = server.finished(&ws, &second).await;
    assert_eq!(run["status"], "blocked", "{run:#}");
    assert!(
        text(&run["error"]).contains("no longer a member"),
        "{run:#}"
    );
    let counts = [&run["read"], &run["delivered"]];
    assert_eq!(counts, [&json!(0), &json!(0)]);
    let answer = server.by(&key, Method::POST, &trigger, json!({})).await;
    assert_eq!(message(&answer.expect(404)), "workspace not found");
}
