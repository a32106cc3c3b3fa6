//! `syncguard plan`, `apply` and `export`, against a server.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Done, syncguard};
use crate::rig::{Client, KEY, Rig, assert_ended, condition, text};
use crate::support::temporary_folder;
use crate::sync_runs::{not_from, passing, people};

const COUNT: u64 = 1000;

/// A server with a model of people and a sync that writes them to a file; and a folder for packs.
struct World {
    rig: Rig,
    model: String,
    sync: String,
    packs: PathBuf,
    _folder: TempDir,
}

impl World {
    async fn new() -> World {
        let rig = Rig::start(|_| {}).await;
        rig.write("people.csv", &people(COUNT));
        let client = &rig.client;
        let source = client.source("files", json!({"path": "people.csv"})).await;
        let query = json!({"name": "people", "table": "files", "primary_key": ["id"]});
        let model = client.model(&source, query).await;
        let to = client
            .destination("file", json!({"path": "out.ndjson"}))
            .await;
        let sync = client.sync(&model, &to, json!({})).await;
        let (guard, packs) = temporary_folder();
        World {
            rig,
            model,
            sync,
            packs,
            _folder: guard,
        }
    }

    fn client(&self) -> &Client {
        &self.rig.client
    }

    /// Runs a command with the packs of the folder.
    fn run(&self, arguments: &[&str]) -> Done {
        let packs = self.packs.to_str().unwrap();
        let mut arguments = arguments.to_vec();
        arguments.push(packs);
        self.ask(&arguments)
    }

    /// Runs a command without packs.
    fn ask(&self, arguments: &[&str]) -> Done {
        let server = self.client().url("");
        syncguard(
            arguments,
            &[("SYNCGUARD_SERVER", &server), ("SYNCGUARD_API_KEY", KEY)],
        )
    }

    /// Writes a pack. JSON is YAML, too.
    fn write(&self, file: &str, policies: Value) {
        let pack = json!({"version": 1, "policies": policies});
        std::fs::write(self.packs.join(file), pack.to_string()).unwrap();
    }

    async fn rules(&self) -> Vec<Value> {
        let rules = self.client().get("destination-rules").await;
        rules.as_array().unwrap().clone()
    }
}

/// What a plan says of the one destination it bears on.
#[track_caller]
fn impact(plan: &Value) -> (u64, u64) {
    let impact = plan["impact"].as_array().unwrap();
    assert_eq!(impact.len(), 1, "{plan:#}");
    assert_eq!(impact[0]["read"], COUNT, "{plan:#}");
    let count = |name: &str| impact[0][name].as_u64().unwrap();
    (count("newly_withheld"), count("newly_released"))
}

#[track_caller]
fn actions(plan: &Value) -> Vec<(String, String)> {
    let changes = plan["changes"].as_array().unwrap();
    let mut actions: Vec<_> = changes
        .iter()
        .map(|change| (text(&change["action"]), text(&change["destination_type"])))
        .collect();
    actions.sort();
    actions
}

fn pair(action: &str, destination_type: &str) -> (String, String) {
    (action.to_owned(), destination_type.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_counts_what_a_run_then_withholds() {
    let world = World::new().await;
    let client = world.client();
    let policy = |tree: Value| json!([{"name": "not from there", "destination_types": ["file", "webhook"], "filter_tree": tree}]);
    let withheld = |run: &Value| run["withheld"].as_u64().unwrap();
    assert_eq!(withheld(&client.run_of(&world.sync).await), 0);

    world.write("a.yaml", policy(not_from("DE")));
    let plan = world.run(&["plan"]).exits(2).json();
    assert_eq!(
        actions(&plan),
        [pair("create", "file"), pair("create", "webhook")]
    );
    let (newly_withheld, newly_released) = impact(&plan);
    assert_eq!(newly_withheld, COUNT - passing(COUNT, &["DE"]).len() as u64);
    assert_eq!(newly_released, 0);
    assert!(world.rules().await.is_empty(), "a plan changes nothing");

    let applied = world.run(&["apply"]).exits(0).json();
    let revision = plan["policy_revision"].as_u64().unwrap() + 1;
    // Two policies, one revision.
    assert_eq!(applied["policy_revision"], revision);
    assert_eq!(applied["impact"], plan["impact"]);
    assert_eq!(world.rules().await.len(), 2);
    let run = client.run_of(&world.sync).await;
    assert_eq!(withheld(&run), newly_withheld, "{run:#}");
    assert_eq!(run["policy_revision"], revision);

    let nothing = world.run(&["plan"]).exits(0).json();
    assert_eq!(
        (&nothing["changes"], &nothing["impact"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(
        world.run(&["apply"]).exits(0).json()["policy_revision"],
        revision
    );

    // Some are released and others withheld instead.
    world.write("a.yaml", policy(not_from("FR")));
    let plan = world.run(&["plan"]).exits(2).json();
    assert_eq!(
        actions(&plan),
        [pair("update", "file"), pair("update", "webhook")]
    );
    assert_eq!(plan["changes"][0]["before"]["filter_tree"], not_from("DE"));
    assert_eq!(plan["changes"][0]["after"]["filter_tree"], not_from("FR"));
    let (more, less) = impact(&plan);
    assert!(more > 0 && less > 0, "{plan:#}");
    world.run(&["apply"]).exits(0);
    let before = withheld(&run);
    let run = client.run_of(&world.sync).await;
    assert_eq!(withheld(&run), before + more - less);
    let delivered = passing(COUNT, &["FR"]).len();
    assert_ended(
        &run,
        "succeeded",
        json!({"read": COUNT, "delivered": delivered, "withheld": COUNT - delivered as u64}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_people_names_what_changes() {
    let world = World::new().await;
    world.write(
        "a.yaml",
        json!([{"name": "no Germans", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    let shown = world.run(&["plan", "--format", "text"]).exits(2);
    for part in [
        "create  no Germans, for file\n",
        "newly withheld",
        ", people\n",
    ] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }
    let applied = world.run(&["apply", "--format", "text"]).exits(0);
    assert!(
        applied.out.contains("Applied as revision "),
        "{}",
        applied.out
    );
    world.write(
        "a.yaml",
        json!([{"name": "no Germans", "destination_type": "file", "filter_tree": not_from("DE"), "enabled": false}]),
    );
    let shown = world.run(&["plan", "--format", "text"]).exits(2);
    for part in [
        "update  no Germans, for file\n",
        "- enabled: true\n",
        "+ enabled: false\n",
    ] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }
    assert!(!shown.out.contains("filter_tree"), "{}", shown.out);
    world.run(&["apply"]).exits(0);
    let shown = world.run(&["plan", "--format", "text"]).exits(0);
    assert!(shown.out.contains("Nothing to change"), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_pack_names_is_left_alone_unless_it_is_pruned() {
    let world = World::new().await;
    let client = world.client();
    let by_hand = client.policy(&world.model, "file", not_from("FR")).await;
    world.write(
        "a.yaml",
        json!([{"name": "no Poles", "destination_type": "file", "filter_tree": not_from("PL")}]),
    );
    assert_eq!(
        actions(&world.run(&["plan"]).exits(2).json()),
        [pair("create", "file")]
    );
    world.run(&["apply"]).exits(0);
    assert_eq!(world.rules().await.len(), 2);
    world.run(&["plan"]).exits(0);

    let plan = world.run(&["plan", "--prune"]).exits(2).json();
    assert_eq!(actions(&plan), [pair("delete", "file")]);
    let both = passing(COUNT, &["FR", "PL"]).len();
    let released = passing(COUNT, &["PL"]).len() - both;
    assert_eq!(impact(&plan), (0, released as u64));
    world.run(&["apply", "--prune"]).exits(0);
    let rules = world.rules().await;
    assert!(rules.len() == 1 && rules[0]["id"] != by_hand, "{rules:#?}");
    world.run(&["plan", "--prune"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_policy_is_required_the_first_one_releases() {
    let world = World::new().await;
    world.client().require_policies().await;
    world.write(
        "a.yaml",
        json!([{"name": "no Germans", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    let plan = world.run(&["plan"]).exits(2).json();
    assert_eq!(impact(&plan), (0, passing(COUNT, &["DE"]).len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_read_is_said_to_be_unknown() {
    let world = World::new().await;
    std::fs::remove_file(world.rig.files().join("people.csv")).unwrap();
    world.write(
        "a.yaml",
        json!([{"name": "no Germans", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    let plan = world.run(&["plan"]).exits(2).json();
    assert!(plan["impact"][0]["error"].is_string(), "{plan:#}");
    assert!(plan["impact"][0].get("read").is_none(), "{plan:#}");
    let shown = world.run(&["plan", "--format", "text"]).exits(2);
    assert!(shown.out.contains("unknown"), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_named_with_its_file_and_nothing_is_applied() {
    let world = World::new().await;
    world.write(
        "a.yaml",
        json!([{"name": "good", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    world.write(
        "b.yaml",
        json!([
            {"name": "fine", "destination_type": "file", "filter_tree": not_from("DE")},
            {"name": "bad", "model": "people", "destination_types": ["file", "webhook"],
             "filter_tree": {"type": "and", "children": [condition("land", "is_null", json!(null)), condition("country", "equals", json!(7))]}},
        ]),
    );
    for command in ["plan", "apply"] {
        let done = world.run(&[command]).exits(1);
        for path in ["children[0].column: ", "children[1].value: "] {
            let place = format!("b.yaml: $.policies[1].filter_tree.{path}");
            assert_eq!(done.err.matches(&place).count(), 1, "{place}\n{}", done.err);
        }
    }
    world.write(
        "b.yaml",
        json!([
            {"name": "good", "destination_type": "file", "filter_tree": not_from("DE")},
            {"name": "x", "destination_type": "No Type", "filter_tree": not_from("DE")},
        ]),
    );
    let done = world.run(&["apply"]).exits(1);
    assert!(
        done.err.contains("b.yaml: $.policies[0].name: "),
        "{}",
        done.err
    );
    world.write(
        "b.yaml",
        json!([{"name": "x", "model": "nowhere", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    let done = world.run(&["apply"]).exits(1);
    assert!(
        done.err.contains("b.yaml: $.policies[0].model: "),
        "{}",
        done.err
    );
    // A pack that is none does not reach the server.
    std::fs::write(world.packs.join("b.yaml"), "version: 2").unwrap();
    let done = world.run(&["apply"]).exits(1);
    assert!(done.err.contains("b.yaml: $.version: "), "{}", done.err);
    assert!(world.rules().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_moved_on_is_not_changed() {
    let world = World::new().await;
    world.write(
        "a.yaml",
        json!([{"name": "no Germans", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    let revision = world.run(&["plan"]).exits(2).json()["policy_revision"]
        .as_u64()
        .unwrap();
    let expected = revision.to_string();
    let by_hand = world
        .client()
        .policy(&world.model, "file", not_from("FR"))
        .await;
    let done = world
        .run(&["apply", "--expected-revision", &expected])
        .exits(1);
    let told = format!(
        "409 Conflict: the workspace is at revision {}",
        revision + 1
    );
    assert!(done.err.contains(&told), "{}", done.err);
    let rules = world.rules().await;
    assert!(rules.len() == 1 && rules[0]["id"] == by_hand, "{rules:#?}");
    let expected = (revision + 1).to_string();
    let done = world
        .run(&["apply", "--expected-revision", &expected])
        .exits(0);
    assert_eq!(done.json()["policy_revision"], revision + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_and_applied_elsewhere_leaves_nothing_to_change() {
    let here = World::new().await;
    let names = json!([
        "NO",
        "yes",
        "01",
        "1e3",
        "a: b # c",
        " x ",
        "line\nline",
        "\"'\\",
        "é"
    ]);
    let tricky = |column: &str| {
        json!({"type": "or", "children": [
            condition("country", "not_in", names.clone()),
            condition(column, "in", json!([1, 9007199254740993u64])),
        ]})
    };
    let mut rule =
        json!({"name": "off", "description": "# not\na: comment\n", "destination_type": "file"});
    rule["filter_tree"] = tricky("id");
    rule["parent_model_id"] = json!(here.model);
    here.client().make("destination-rules", rule.clone()).await;
    let other = json!({"name": "true", "destination_type": "webhook", "filter_tree": not_from("DE"), "enabled": false});
    here.client().make("destination-rules", other).await;
    rule["destination_type"] = json!("facebook_ads");
    here.client().make("destination-rules", rule).await;

    let there = World::new().await;
    let file = there.packs.join("exported.yaml");
    here.ask(&["export", "--output", file.to_str().unwrap()])
        .exits(0);
    let exported = std::fs::read_to_string(&file).unwrap();
    assert_eq!(here.ask(&["export"]).exits(0).out, exported);
    // What differs in its destination type alone is one policy.
    assert_eq!(exported.matches("- name: ").count(), 2, "{exported}");
    let applied = there.run(&["apply"]).exits(0).json();
    assert_eq!(
        applied["changes"].as_array().map(Vec::len),
        Some(3),
        "{applied:#}"
    );
    there.run(&["plan", "--prune"]).exits(0);
    assert_eq!(there.ask(&["export"]).exits(0).out, exported);
    // Nor does it change anything where it came from.
    here.ask(&["plan", "--prune", file.to_str().unwrap()])
        .exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_pack_is_not_exported() {
    let world = World::new().await;
    assert!(
        world
            .ask(&["export"])
            .exits(1)
            .err
            .contains("no destination policy")
    );
    let digits: Value = serde_json::from_str("0.1234567890123456789").unwrap();
    let body = json!({"name": "a", "destination_type": "file", "filter_tree": condition("balance", "equals", digits)});
    world.client().make("destination-rules", body).await;
    let done = world.ask(&["export"]).exits(1);
    assert!(
        done.err.contains("$.policies[0].filter_tree.value: "),
        "{}",
        done.err
    );
    assert!(done.out.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_is_chosen_by_name_or_id_and_nothing_works_without_a_key() {
    let world = World::new().await;
    let client = world.client();
    let (status, other) = client
        .ask(
            Method::POST,
            "/api/v1/workspaces",
            Some(json!({"name": "other"})),
        )
        .await;
    assert_eq!(status, 201, "{other:#}");
    world.write(
        "a.yaml",
        json!([{"name": "no Germans", "destination_type": "file", "filter_tree": not_from("DE")}]),
    );
    world.run(&["apply", "--workspace", "other"]).exits(0);
    assert!(world.rules().await.is_empty());
    world
        .run(&["plan", "--workspace", &text(&other["id"])])
        .exits(0);
    let plan = world.run(&["plan"]).exits(2).json();
    assert_eq!(actions(&plan), [pair("create", "file")]);

    let missing = world.run(&["plan", "--workspace", "missing"]).exits(1);
    assert!(
        missing.err.contains("no workspace named \"missing\""),
        "{}",
        missing.err
    );
    let packs = world.packs.to_str().unwrap();
    let server = client.url("");
    let keyless = syncguard(["plan", "--server", &server, packs], &[]).exits(1);
    assert!(keyless.err.contains("SYNCGUARD_API_KEY"), "{}", keyless.err);
    let wrong = [("SYNCGUARD_API_KEY", "sgk_wrong_0123456789abcdef")];
    let wrong = syncguard(["plan", "--server", &server, packs], &wrong).exits(1);
    assert!(
        wrong.err.contains("401") && !wrong.err.contains("sgk_"),
        "{}",
        wrong.err
    );
    let key = [("SYNCGUARD_API_KEY", KEY)];
    for server in ["http://127.0.0.1:1", "nonsense", "ftp://127.0.0.1"] {
        let nobody = syncguard(["plan", "--server", server, packs], &key).exits(1);
        assert!(!nobody.err.is_empty() && nobody.out.is_empty());
    }
}
