//! A planted number, looked for at every exit: destinations, answers, errors, metrics, logs at
//! their most talkative, the audit log, and the bytes of the store's own files.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use super::{ALERT, BLOCK, CARDS, LOG, card, forbid, spaced, tells, violations};
use crate::receiver::Receiver;
use crate::rig::{Client, KEY, Process, text};
use crate::support::temporary_folder;

#[track_caller]
fn assert_clean(exit: &str, text: &str) {
    if let Some(line) = text.lines().find(|line| tells(line)) {
        panic!("{exit} tells the number: {line}");
    }
}

/// A request whose answer, whatever it is, must be clean.
async fn ask(client: &Client, method: Method, path: &str, body: Value) -> (u16, Value) {
    let body = (!body.is_null()).then_some(body);
    let (status, answer) = client.ask(method, path, body).await;
    assert_clean(path, &answer.to_string());
    (status, answer)
}

/// The files beneath a folder but for those that sources read.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("data/files") => {}
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// People whose number is in a note, in a key, or what they are known by.
fn people() -> String {
    let lines = [
        json!({"id": "a-1", "note": {"said": "nothing", "more": {}}}),
        json!({"id": "a-2", "note": {"said": format!("card {}", spaced()), "more": {}}}),
        json!({"id": card(), "note": {"said": "nothing", "more": {}}}),
        json!({"id": "a-4", "note": {"said": "nothing", "more": {"x": card()}}}),
    ];
    lines.map(|line| format!("{line}\n")).concat()
}

#[tokio::test]
async fn a_number_that_is_withheld_comes_out_nowhere() {
    let (_guard, folder) = temporary_folder();
    std::fs::create_dir_all(folder.join("data/files")).unwrap();
    let environment = [
        ("SYNCGUARD_LOG", "trace"),
        ("SYNCGUARD_RETRY_ATTEMPTS", "2"),
        ("SYNCGUARD_RETRY_BASE_MS", "1"),
    ];
    let mut process = Process::serve(&folder, &environment);
    let client = process.client(KEY).await;
    std::fs::write(folder.join("data/files/people.ndjson"), people()).unwrap();
    let source = client
        .source("files", json!({"path": "people.ndjson"}))
        .await;
    let query = json!({"table": "files", "primary_key": ["id"]});
    let model = client.model(&source, query).await;
    for action in [BLOCK, ALERT, LOG] {
        forbid(&client, CARDS, action, json!({})).await;
    }
    let named = "columns: id\nmatch: /a-[0-9]/";
    forbid(&client, named, LOG, json!({})).await;

    let receiver = Receiver::accepting().await;
    let config = json!({"url": receiver.url(), "batch_size": 2});
    let destination = client.destination("webhook", config).await;
    let sync = client.sync(&model, &destination, json!({})).await;
    let run = client.run_of(&sync).await;
    assert_eq!(
        (&run["delivered"], &run["withheld"]),
        (&json!(1), &json!(3)),
        "{run:#}"
    );
    assert_clean("a run", &run.to_string());
    let uploaded = client.upload(&sync, "", &[], people()).await.unwrap();
    assert_clean("a receipt", &uploaded.body.to_string());
    // A destination that cannot be reached.
    let config = json!({"url": "http://127.0.0.1:9/"});
    let nowhere = client.destination("webhook", config).await;
    let failing = client.sync(&model, &nowhere, json!({})).await;
    let run = client.run_of(&failing).await;
    assert_clean("a failed run", &run.to_string());

    let me = client.get("/api/v1/me").await;
    let workspace = text(&me["workspaces"][0]["id"]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let path = format!("models/{model}/guard?destination_type=webhook");
    let keyed = format!(
        "{}{{\"id\": \"b\", \"{}\": 1}}\n{{\"id\": \"c\", \"note\": {{\"more\": {{\"{}\": {{\"x\": \"{1}\"}}}}}}}}\n",
        people(),
        card(),
        spaced()
    );
    for (media_type, body) in [
        ("application/x-ndjson", keyed.clone()),
        (
            "application/x-ndjson",
            format!("{keyed}{{\"id\": \"{}", card()),
        ),
        (
            "application/json",
            format!("[{{\"id\": \"{}\"}}, {{\"id\": 7, ]", card()),
        ),
        (
            "text/csv",
            format!("id,note\n{},x\nb,{}\n", card(), spaced()),
        ),
        ("text/csv", format!("id,note\nb,{},too many\n", spaced())),
    ] {
        let sent = http
            .post(client.url(&format!("/api/v1/workspaces/{workspace}/{path}")))
            .bearer_auth(KEY)
            .header("content-type", media_type)
            .body(body)
            .send()
            .await
            .unwrap();
        for (name, value) in sent.headers() {
            assert_clean(name.as_str(), value.to_str().unwrap());
        }
        // It may break off.
        let answer = sent.bytes().await.unwrap_or_default();
        assert_clean(media_type, &String::from_utf8_lossy(&answer));
    }
    let name = text(&client.get(&format!("models/{model}")).await["name"]);
    for sql in [
        "SELECT * FROM m",
        "SELECT count(*), max(id), min(id) FROM m",
        "SELECT CAST(id AS BIGINT) FROM m WHERE id NOT LIKE 'a%'",
        "SELECT id FROM m WHERE arrow_cast(id, 'Int8') > 0",
        "EXPLAIN SELECT id FROM m",
        "EXPLAIN ANALYZE SELECT id FROM m",
    ] {
        let sql = sql.replace(" m", &format!(" \"{name}\""));
        ask(&client, Method::POST, "query", json!({"sql": sql})).await;
    }
    let preview = json!({"model_id": model, "destination_type": "webhook"});
    let (status, _) = ask(&client, Method::POST, "preview", preview).await;
    assert_eq!(status, 200);
    let record = json!({"id": card(), "note": {"said": spaced(), "more": {"x": card()}}});
    let explain = json!({"model_id": model, "destination_type": "webhook", "records": [record]});
    ask(&client, Method::POST, "explain", explain).await;
    let found = violations(&client, "violations").await;
    assert!(found.len() > 10, "{found:#?}");
    let told = Value::from(found).to_string();
    assert!(told.contains("id=sha256:"), "{told}");
    // What the expression of a policy matches in a key is told no more.
    assert!(!told.contains("id=a-"), "{told}");
    assert!(!violations(&client, "alerts").await.is_empty());
    for path in [
        "audit?limit=500",
        "syncs",
        "models",
        "sources",
        "destinations",
        &format!("syncs/{sync}/runs"),
        &format!("syncs/{failing}/runs"),
        "/api/v1/me",
        "/api/v1/audit",
        "/metrics",
        "/readyz",
    ] {
        ask(&client, Method::GET, path, Value::Null).await;
    }
    for delivery in receiver.requests() {
        assert_clean("a delivery", &String::from_utf8_lossy(&delivery.body));
        for (name, value) in &delivery.headers {
            assert_clean(name.as_str(), value.to_str().unwrap());
        }
    }
    let look = |when: &str| {
        let all = files(&folder);
        assert!(
            all.iter().any(|path| path.ends_with("syncguard.db")),
            "{all:?}"
        );
        for path in all {
            let bytes = std::fs::read(&path).unwrap();
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            let lossy = String::from_utf8_lossy(&bytes);
            assert!(
                !tells(&text) && !tells(&lossy),
                "{when}: {}",
                path.display()
            );
        }
    };
    // The write-ahead log is gone when the program is.
    look("while it runs");
    process.terminate();
    assert!(process.exited().await.success());
    look("after its end");
    let log = process.log();
    assert!(["TRACE", "DEBUG"].iter().any(|level| log.contains(level)));
    assert_clean("the log", &log);
}
