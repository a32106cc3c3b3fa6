//! `syncguard audit verify`, as it is called: on a store that is in use, on one that was tampered
//! with, and on exports.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use syncguard::audit::{Chain, Event};
use syncguard::principal::Act;
use syncguard::store::{AuditFilter, Store};
use uuid::Uuid;

use crate::support::temporary_folder;

const WORKSPACE: Uuid = Uuid::from_u128(5);

/// A store in a data directory with a chain of four lines, and its export.
async fn store(data_dir: &Path) -> (Store, Vec<String>) {
    let url = format!("sqlite://{}", data_dir.join("syncguard.db").display());
    let store = Store::open(&url).await.unwrap();
    for second in 0..4 {
        let act = Act {
            account_id: Uuid::from_u128(1),
            key_id: None,
            request_id: Some(format!("r{second}")),
            at: chrono::DateTime::from_timestamp(1_000_000_000 + second, 0).unwrap(),
        };
        let event = Event {
            action: "probe.update".to_owned(),
            object_kind: "probe",
            object_id: None,
            revision: None,
            before: None,
            after: Some(json!({"name": "tell-nobody"})),
        };
        store.record(Some(WORKSPACE), &act, &event).await.unwrap();
        store.record(None, &act, &event).await.unwrap();
    }
    let all = AuditFilter::default();
    let links = store
        .list_audit(Some(WORKSPACE), &all, 0, 10)
        .await
        .unwrap();
    let export = |(_, link)| serde_json::to_string(&link).unwrap();
    (store, links.into_iter().map(export).collect())
}

fn verify(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncguard"))
        .args(["audit", "verify"])
        .args(arguments)
        .env_remove("SYNCGUARD_CONFIG")
        .env_remove("SYNCGUARD_STORE")
        .env("SYNCGUARD_DATA_DIR", data_dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What was printed, if the exit code is as expected.
#[track_caller]
fn outcome(output: &Output, code: i32) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(!errors.contains("tell-nobody"), "{errors}");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(!out.contains("tell-nobody"), "{out}");
    let outcome: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(outcome["ok"], code == 0, "{outcome:#}");
    outcome
}

fn hash_of(exported: &str) -> String {
    let link: Value = serde_json::from_str(exported).unwrap();
    link["hash"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn store_in_use_is_whole_until_a_line_is_changed() {
    let (_guard, folder) = temporary_folder();
    let (store, lines) = store(&folder).await;
    let found = outcome(&verify(&folder, &[]), 0);
    let chains = found["chains"].as_array().unwrap();
    assert_eq!(chains.len(), 2);
    assert_eq!(chains[0]["chain"], "organisation");
    assert_eq!(chains[1]["chain"], Chain::Workspace(WORKSPACE).to_string());
    assert_eq!(chains[1]["lines"], 4);
    assert_eq!(chains[1]["head"], hash_of(&lines[3]));

    let noted = hash_of(&lines[1]);
    outcome(&verify(&folder, &["--head", &noted.to_uppercase()]), 0);
    let unknown = "0".repeat(64);
    let found = outcome(&verify(&folder, &["--head", &noted, "--head", &unknown]), 1);
    assert_eq!(found["heads_not_found"], json!([unknown]));

    let url = format!("sqlite://{}", folder.join("syncguard.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let change = format!(
        "UPDATE audit_lines SET line = replace(line, 'r2', 'r7')
         WHERE chain = '{}' AND seq = 3",
        Chain::Workspace(WORKSPACE)
    );
    let change = || sqlx::query(AssertSqlSafe(change.clone()));
    let refused = change().execute(&mut connection).await;
    assert!(refused.is_err());
    connection
        .execute("DROP TRIGGER audit_lines_not_changed")
        .await
        .unwrap();
    let changed = change().execute(&mut connection).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let found = outcome(&verify(&folder, &[]), 1);
    assert_eq!(found["chains"][0]["ok"], true);
    let broken = found["chains"][1]["broken"].as_array().unwrap();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0]["seq"], 3);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_end_with_the_head_set_back_is_found_by_a_noted_hash_only() {
    let (_guard, folder) = temporary_folder();
    let (store, lines) = store(&folder).await;
    store.close().await;
    let url = format!("sqlite://{}", folder.join("syncguard.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for change in [
        "DROP TRIGGER audit_lines_not_removed",
        "DELETE FROM audit_lines WHERE seq = 4",
    ] {
        connection.execute(change).await.unwrap();
    }
    let found = outcome(&verify(&folder, &[]), 1);
    for chain in found["chains"].as_array().unwrap() {
        assert_eq!(chain["broken"][0]["seq"], 4, "{chain:#}");
    }
    connection
        .execute(
            "UPDATE audit_heads SET seq = 3,
                 hash = (SELECT l.hash FROM audit_lines l
                         WHERE l.chain = audit_heads.chain AND l.seq = 3)",
        )
        .await
        .unwrap();
    outcome(&verify(&folder, &[]), 0);
    outcome(&verify(&folder, &["--head", &hash_of(&lines[3])]), 1);
    outcome(&verify(&folder, &["--head", &hash_of(&lines[2])]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_verified_without_the_store() {
    let (_guard, folder) = temporary_folder();
    let (store, lines) = store(&folder).await;
    store.close().await;
    let elsewhere = folder.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let file = elsewhere.join("export.ndjson");
    let verify_lines = |lines: &[&str], arguments: &[&str]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, text).unwrap();
        let mut all = vec![file.to_str().unwrap()];
        all.extend(arguments);
        verify(&elsewhere, &all)
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| lines[at].as_str());
    let head = hash_of(d);
    let found = outcome(&verify_lines(&[a, b, c, d], &["--head", &head]), 0);
    assert_eq!(
        found["chains"][0]["chain"],
        Chain::Workspace(WORKSPACE).to_string()
    );
    assert_eq!(found["chains"][0]["head"], head);
    let changed = b.replace("\"r1\"", "\"r9\"");
    for (lines, place) in [
        (vec![a, changed.as_str(), c, d], 2),
        (vec![a, c, d], 2),
        (vec![b, c, d], 1),
        (vec![a, c, b, d], 2),
        (vec![a, b, b, c, d], 2),
        (vec![a, b, "{}", d], 3),
        (vec![a, b, "", c, d], 3),
    ] {
        let found = outcome(&verify_lines(&lines, &[]), 1);
        assert_eq!(found["chains"][0]["broken"][0]["seq"], place, "{found:#}");
    }
    // Only a noted hash tells that the end is missing.
    outcome(&verify_lines(&[a, b, c], &[]), 0);
    outcome(&verify_lines(&[a, b, c], &["--head", &head]), 1);
    // What is no export is no whole one.
    for arguments in [
        vec!["no-such-file"],
        vec!["-"],
        vec!["--head", "abc"],
        vec!["--store", "mysql://h/d"],
    ] {
        let output = verify(&elsewhere, &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_is_not_there_is_not_made() {
    let (_guard, folder) = temporary_folder();
    let output = verify(&folder, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--data-dir"));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
