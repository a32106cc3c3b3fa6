//! The judge of what no detector covers, against a fake on loopback that answers as an
//! OpenAI-compatible API does.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::datasource::MemTable;
use futures::TryStreamExt;
use serde_json::{Value, json};
use syncguard::catalog::Model;
use syncguard::config;
use syncguard::guard::registry::NoGuard;
use syncguard::guard::session::{Bounds, BoxError, Extras, Session, Tables};
use syncguard::guard::sighting::Witness;
use syncguard::guard::table::{GuardedTable, Watch};
use syncguard::guard::{Findings, Gathered, Guard, Guarded, Judge, Leaving, Registry};
use syncguard::judge::ModelJudge;
use syncguard::policy::content::{Action, ContentPolicy, Risk};
use syncguard::principal::MEMBER;
use syncguard::wire::Format;
use syncguard::wire::stream::pass::{Passed, pass};
use syncguard::wire::stream::{Limits, OnInvalid, open};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::access::house::{House, model, now};

const COMPLAINTS: &str = "Do not share customer complaints.";
const KEY: &str = "a-made-up-key-for-the-judge";
const LONG: Duration = Duration::from_secs(60);

/// What the fake answers with.
#[derive(Clone, Debug)]
enum Says {
    /// Whether "complaint" stands in each record.
    Verdicts,
    /// This text.
    Text(&'static str),
    /// This body.
    Body(&'static str),
    Status(StatusCode),
    Redirect,
    /// Nothing, ever.
    Nothing,
}

/// A request as it came.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    authorization: String,
    body: Value,
    records: Vec<Value>,
}

#[derive(Clone)]
struct Fake {
    url: String,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    async fn start(says: Says) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Fake {
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
            says: Arc::new(Mutex::new(says)),
            asked: Arc::default(),
        };
        let answering = fake.clone();
        let answer = move |request: Request| {
            let fake = answering.clone();
            async move { fake.answer(request).await }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        fake
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let records = body["messages"][1]["content"].as_str().unwrap();
        let records: Vec<Value> = serde_json::from_str(records).unwrap();
        let authorization = parts.headers.get("authorization");
        self.asked.lock().unwrap().push(Asked {
            path: parts.uri.path().to_owned(),
            authorization: authorization
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default(),
            body,
            records: records.clone(),
        });
        let content = |text: &str| {
            let message = json!({"role": "assistant", "content": text});
            let choices = json!([{"index": 0, "finish_reason": "stop", "message": message}]);
            axum::Json(json!({"object": "chat.completion", "choices": choices})).into_response()
        };
        let says = self.says.lock().unwrap().clone();
        match says {
            Says::Verdicts => {
                let violations = records
                    .iter()
                    .map(|it| it.to_string().contains("complaint"));
                let violations: Vec<bool> = violations.collect();
                content(&json!({"violations": violations}).to_string())
            }
            Says::Text(text) => content(text),
            Says::Body(body) => body.into_response(),
            Says::Status(status) => (status, "out of order").into_response(),
            Says::Redirect => {
                let to = [("location", "/v1/other")];
                (StatusCode::TEMPORARY_REDIRECT, to).into_response()
            }
            Says::Nothing => std::future::pending().await,
        }
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn judge(&self, timeout: Duration) -> Arc<dyn Judge> {
        self.judge_at(timeout, Arc::new(now))
    }

    fn judge_at(
        &self,
        timeout: Duration,
        clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    ) -> Arc<dyn Judge> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = config::Judge {
            url: self.url.clone(),
            model: "small".to_owned(),
            key: Some(KEY.into()),
            timeout,
        };
        Arc::new(ModelJudge::new(&settings, Handle::current(), clock).unwrap())
    }
}

fn policy(number: u128, action: Action, content: &str) -> ContentPolicy {
    ContentPolicy {
        id: Uuid::from_u128(number),
        workspace_id: None,
        source_id: None,
        name: format!("policy {number}"),
        content: content.to_owned(),
        risk: Risk::High,
        action,
        created_by: Uuid::nil(),
        created_at: now(),
        updated_by: Uuid::nil(),
        updated_at: now(),
    }
}

/// Records with their numbers as ids.
fn rows(notes: &[&str]) -> RecordBatch {
    let ids = Int64Array::from_iter_values(1..=notes.len() as i64);
    let mails = notes.iter().map(|_| "nobody");
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as _),
        ("mail", Arc::new(StringArray::from_iter_values(mails)) as _),
        ("note", Arc::new(StringArray::from_iter_values(notes)) as _),
    ])
    .unwrap()
}

fn guard(judge: Option<Arc<dyn Judge>>, policies: &[(Action, &str)]) -> Arc<Guard> {
    guarded(judge, policies).expect("the policies compile")
}

fn guarded(
    judge: Option<Arc<dyn Judge>>,
    policies: &[(Action, &str)],
) -> Result<Arc<Guard>, NoGuard> {
    let mut house = House::new();
    for ((action, content), number) in policies.iter().zip(1..) {
        let policy = Arc::new(policy(number, *action, content));
        house.policies.content_policies.insert(policy.id, policy);
    }
    let schema = rows(&[]).schema();
    let model = Model {
        schema: Arc::clone(&schema),
        ..model()
    };
    let standing = house.principal(MEMBER, &[]);
    let registry = Registry::default().with_judge(judge.clone());
    assert_eq!(registry.judges(), judge.is_some());
    registry.guard(&house.policies, &model, &schema, None, &standing, now())
}

/// The ids that pass, and what was found.
async fn judged(guard: &Arc<Guard>, notes: &[&str]) -> (Vec<i64>, Vec<Findings>) {
    let (guard, batch) = (Arc::clone(guard), rows(notes));
    let judged = tokio::task::spawn_blocking(move || {
        let verdict = guard.apply(&batch, Leaving::All).unwrap();
        let ids = verdict.guarded().batch().column(0);
        let ids = ids.as_primitive::<Int64Type>().values().to_vec();
        (ids, verdict.findings().to_vec())
    });
    judged.await.unwrap()
}

/// The rows and the detectors of findings.
fn seen(findings: &[Findings]) -> Vec<(usize, &str)> {
    let all = findings.iter().flat_map(|found| &found.seen);
    all.inspect(|finding| assert!(finding.column.is_empty() && finding.shape.is_empty()))
        .map(|finding| (finding.row, finding.detector))
        .collect()
}

/// What comes out of a stream of records as lines of JSON.
async fn streamed(guard: &Arc<Guard>, lines: &str) -> String {
    let (guard, lines) = (Arc::clone(guard), lines.to_owned());
    let through = tokio::task::spawn_blocking(move || {
        let mut records = open(Format::Ndjson, Limits::default(), OnInvalid::Abort);
        let space = records.space();
        space[..lines.len()].copy_from_slice(lines.as_bytes());
        records.filled(lines.len()).unwrap();
        records.end().unwrap();
        let (mut gathered, mut out) = (Gathered::default(), Vec::new());
        loop {
            match pass(&mut *records, &guard, &mut gathered, false, &mut out).unwrap() {
                Passed::Batch { .. } => {}
                Passed::Hungry => panic!("the stream has ended"),
                Passed::End => return String::from_utf8(out).unwrap(),
            }
        }
    });
    through.await.unwrap()
}

#[derive(Debug)]
struct Shop(GuardedTable);

#[async_trait]
impl Tables for Shop {
    async fn table(&self, _: &str) -> Result<Option<GuardedTable>, BoxError> {
        Ok(Some(self.0.clone()))
    }
}

/// The ids that a query sees, on a thread with a runtime of its own.
async fn queried(guard: &Arc<Guard>, notes: &[&str]) -> Vec<i64> {
    let batch = rows(notes);
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    let table = GuardedTable::new("notes", Arc::new(table), Arc::clone(guard));
    let watch = Watch {
        witness: Witness::default(),
        model_id: Uuid::nil(),
        primary_key: vec!["id".to_owned()],
        salt: Uuid::nil(),
    };
    let shop = Arc::new(Shop(table.watched(watch)));
    let asked = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let bounds = Bounds {
                memory_bytes: 64 << 20,
                text_bytes: 1 << 10,
                plan_nodes: 1_000,
                batch_rows: 1_000,
            };
            let extras = Extras::default();
            let session = Session::open("shop", shop, &extras, bounds, 7, now()).unwrap();
            // The query itself does not read the texts.
            let plan = session.plan("SELECT id FROM notes ORDER BY id").await;
            let plan = plan.unwrap().bind(&[]).unwrap();
            let batches: Vec<Guarded> = plan.run().await.unwrap().try_collect().await.unwrap();
            let ids = batches.iter().flat_map(|batch| {
                let ids = batch.batch().column(0).as_primitive::<Int64Type>();
                ids.values().to_vec()
            });
            ids.collect()
        })
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_withholds_what_it_says_and_is_asked_once() {
    let fake = Fake::start(Says::Verdicts).await;
    let guard = guard(Some(fake.judge(LONG)), &[(Action::Block, COMPLAINTS)]);
    assert!(guard.detects());
    let notes = ["all is well", "a complaint about soup", "thanks"];
    let lines: Vec<String> = notes
        .iter()
        .zip(1..)
        .map(|(note, id)| format!("{{\"id\": {id}, \"mail\": \"nobody\", \"note\": \"{note}\"}}\n"))
        .collect();
    let left = [lines[0].as_str(), lines[2].as_str()].concat();
    assert_eq!(streamed(&guard, &lines.concat()).await, left);
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    let asked = &asked[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.authorization, format!("Bearer {KEY}"));
    assert_eq!(asked.body["model"], "small");
    assert_eq!(asked.body["temperature"], 0);
    assert_eq!(asked.body["response_format"]["type"], "json_object");
    let task = asked.body["messages"][0]["content"].as_str().unwrap();
    assert!(task.contains("customer complaints") && task.contains(COMPLAINTS));
    // Records are data: none of them stands where instructions do.
    assert!(!task.contains("soup"));
    assert_eq!(
        asked.records[1],
        json!({"mail": "nobody", "note": "a complaint about soup"})
    );

    assert_eq!(streamed(&guard, &lines.concat()).await, left);
    assert_eq!(queried(&guard, &notes).await, [1, 3]);
    let (ids, findings) = judged(&guard, &notes).await;
    assert_eq!(ids, [1, 3]);
    assert_eq!(seen(&findings), [(1, "judge")]);
    assert_eq!(fake.asked().len(), 1);

    assert_eq!(queried(&guard, &["new", "thanks"]).await, [1, 2]);
    let asked = fake.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].records, [json!({"mail": "nobody", "note": "new"})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_verdict_a_policy_that_blocks_withholds() {
    for says in [
        Says::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Says::Status(StatusCode::CREATED),
        Says::Redirect,
        Says::Nothing,
        Says::Body("no JSON"),
        Says::Body("{\"choices\": []}"),
        Says::Body("{\"choices\": [{\"message\": {\"content\": null}}]}"),
        Says::Text("I see no violation."),
        Says::Text("```json\n{\"violations\": [false, false]}\n```"),
        Says::Text("{\"violations\": [false]}"),
        Says::Text("{\"violations\": [false, false, false]}"),
        Says::Text("{\"violations\": [0, 0]}"),
        Says::Text("{\"violations\": [false, null]}"),
        Says::Text("{\"violations\": [false, false], \"why\": \"none\"}"),
        Says::Text("[false, false]"),
    ] {
        let timeout = match says {
            Says::Nothing => Duration::from_millis(50),
            _ => LONG,
        };
        let fake = Fake::start(says.clone()).await;
        let judge = fake.judge(timeout);
        let strict = guard(Some(Arc::clone(&judge)), &[(Action::Block, COMPLAINTS)]);
        let (ids, findings) = judged(&strict, &["a", "b"]).await;
        assert!(ids.is_empty(), "{says:?}");
        let unavailable = "judge_unavailable";
        assert_eq!(seen(&findings), [(0, unavailable), (1, unavailable)]);
        for action in [Action::Alert, Action::Log] {
            let loose = guard(Some(Arc::clone(&judge)), &[(action, COMPLAINTS)]);
            let (ids, findings) = judged(&loose, &["a", "b"]).await;
            assert_eq!(ids, [1, 2], "{says:?}");
            assert!(findings.is_empty(), "{says:?}");
        }
        // A failure is not remembered.
        assert_eq!(fake.asked().len(), 3, "{says:?}");
        fake.say(Says::Verdicts);
        if timeout == LONG {
            assert_eq!(judged(&strict, &["a", "b"]).await.0, [1, 2], "{says:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_failures_in_a_row_it_rests() {
    let fake = Fake::start(Says::Status(StatusCode::BAD_GATEWAY)).await;
    let time = Arc::new(Mutex::new(now()));
    let clock = Arc::clone(&time);
    let judge = fake.judge_at(LONG, Arc::new(move || *clock.lock().unwrap()));
    let guard = guard(Some(judge), &[(Action::Block, COMPLAINTS)]);
    for _ in 0..8 {
        assert!(judged(&guard, &["a"]).await.0.is_empty());
    }
    assert_eq!(fake.asked().len(), 5);
    fake.say(Says::Verdicts);
    assert!(judged(&guard, &["a"]).await.0.is_empty());
    assert_eq!(fake.asked().len(), 5);
    *time.lock().unwrap() += TimeDelta::seconds(10);
    assert_eq!(judged(&guard, &["a"]).await.0, [1]);
    assert_eq!(fake.asked().len(), 6);
}

#[test]
fn what_only_a_judge_can_withhold_is_not_let_pass_without_one() {
    let refused = guarded(None, &[(Action::Block, COMPLAINTS)]).unwrap_err();
    assert_eq!(refused, NoGuard::NeedsJudge("policy 1".into()));
    let partly = "Do not share e-mail addresses or customer complaints.";
    assert!(guard(None, &[(Action::Block, partly)]).detects());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_open_and_covered_by_no_detector_is_asked() {
    let fake = Fake::start(Says::Verdicts).await;
    // Off by default, and a policy that no detector covers finds nothing.
    let off = guard(None, &[(Action::Alert, COMPLAINTS)]);
    assert!(!off.detects());
    assert_eq!(judged(&off, &["a complaint"]).await.0, [1]);

    let judge = fake.judge(LONG);
    let detected = "Do not share e-mail addresses.";
    let covered = guard(Some(Arc::clone(&judge)), &[(Action::Block, detected)]);
    assert_eq!(judged(&covered, &["a complaint"]).await.0, [1]);
    assert!(fake.asked().is_empty());

    let policies = [
        (Action::Alert, COMPLAINTS),
        (Action::Block, detected),
        (Action::Block, COMPLAINTS),
    ];
    let several = guard(Some(Arc::clone(&judge)), &policies);
    let notes = ["write to ann@example.org", "a complaint", "", "fine"];
    let (ids, findings) = judged(&several, &notes).await;
    assert_eq!(ids, [3, 4]);
    assert_eq!(findings.len(), 2);
    // The record with the address is nobody's business, and the second is withheld before the
    // policy that only alerts asks.
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].records.len(), 3);
    assert!(!json!(asked[0].records).to_string().contains("ann@"));

    // Where a policy names columns, no others are read.
    let content = "Do not share passwords or customer complaints.\ncolumns: mail";
    let narrow = guard(Some(judge), &[(Action::Block, content)]);
    assert_eq!(judged(&narrow, &["a complaint"]).await.0, [1]);
    let asked = fake.asked();
    assert_eq!(asked[1].records, [json!({"mail": "nobody"})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_bounded_and_long_records_are_not_decided() {
    let fake = Fake::start(Says::Verdicts).await;
    let guard = guard(Some(fake.judge(LONG)), &[(Action::Block, COMPLAINTS)]);
    let notes: Vec<String> = (0..45).map(|number| format!("note {number}")).collect();
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    assert_eq!(judged(&guard, &notes).await.0.len(), 45);
    let sizes: Vec<usize> = fake.asked().iter().map(|it| it.records.len()).collect();
    assert_eq!(sizes, [20, 20, 5]);

    let long = "x".repeat(8 << 10);
    let (ids, findings) = judged(&guard, &["short", &long]).await;
    assert_eq!(ids, [1]);
    assert_eq!(seen(&findings), [(1, "judge_unavailable")]);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_the_key_nor_a_record_is_logged() {
    let fake = Fake::start(Says::Text("it says tell-nobody")).await;
    let judge = fake.judge(LONG);
    let shown = format!("{judge:?}");
    assert!(!shown.contains(KEY), "{shown}");
    let guard = guard(Some(judge), &[(Action::Alert, COMPLAINTS)]);
    let logs = Logs::default();
    let kept = logs.clone();
    let batch = rows(&["tell-nobody"]);
    let judged = tokio::task::spawn_blocking(move || {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || logs.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            guard
                .apply(&batch, Leaving::All)
                .unwrap()
                .guarded()
                .num_rows()
        })
    });
    assert_eq!(judged.await.unwrap(), 1);
    let logged = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("has not decided"), "{logged}");
    assert!(!logged.contains(KEY), "{logged}");
    assert!(!logged.contains("tell-nobody"), "{logged}");
}
