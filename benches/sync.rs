//! A whole sync of a million records to a file, guarded and unguarded, in the same run.
//!
//! `cargo bench --profile dev --bench sync`
//!
//! Both syncs read the same Parquet file and write the same Parquet file, because every record
//! passes the policies of the guarded one: what differs is the guard's work.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use chrono::Utc;
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};
use syncguard::app::App;
use syncguard::catalog::{
    Destination, Environment, Model, ModelQuery, RateLimit, Run, RunStatus, Source, SourceType,
    Sync, SyncMode,
};
use syncguard::config::Settings;
use syncguard::http::Api;
use syncguard::policy::{Change, DestinationPolicy, Edit, FilterDocument};
use syncguard::principal::Act;
use syncguard::source;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ROWS: i64 = 1_000_000;
const ROUNDS: usize = 7;

fn warehouse(path: &Path) {
    let countries = ["US", "CA", "JP", "BR", "IN"];
    let mut writer = None;
    for start in (0..ROWS).step_by(8192) {
        let rows = start..(start + 8192).min(ROWS);
        let text = |f: &dyn Fn(i64) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.clone().map(f)))
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(rows.clone()))),
            ("name", text(&|r| format!("Customer {r:09}"))),
            ("email", text(&|r| format!("customer{r}@example.com"))),
            ("country", text(&|r| countries[(r % 5) as usize].to_owned())),
            ("segment", text(&|r| format!("segment-{}", r % 8))),
            (
                "consent",
                Arc::new(BooleanArray::from_iter(rows.clone().map(|_| Some(true)))),
            ),
            (
                "score",
                Arc::new(Int64Array::from_iter_values(
                    rows.clone().map(|r| r * 7919 % 1000),
                )),
            ),
            (
                "comment",
                text(&|r| format!("a remark of customer {r} of middling length")),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let writer = writer.get_or_insert_with(|| {
            let file = std::fs::File::create(path).unwrap();
            ArrowWriter::try_new(file, batch.schema(), None).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

async fn prepare(api: &Api) -> (Uuid, Uuid, Sync) {
    let now = Utc::now();
    let owner = api.store.list_accounts().await.unwrap().remove(0).id;
    let workspace_id = api.store.list_workspaces(owner).await.unwrap().remove(0).id;
    let source = Source {
        id: Uuid::now_v7(),
        workspace_id,
        name: "warehouse".to_owned(),
        source_type: SourceType::Files,
        config: object(json!({"path": "customers.parquet"})),
        created_at: now,
        updated_at: now,
    };
    let act = Act::on_behalf_of(owner, now);
    api.store.insert_source(&source, &act).await.unwrap();
    let query = ModelQuery::Table("customers".to_owned());
    let opened = source::open(&source, &query, &[], &api.reach)
        .await
        .unwrap();
    let model = Model {
        id: Uuid::now_v7(),
        workspace_id,
        name: "customers".to_owned(),
        source_id: source.id,
        query,
        primary_key: Vec::new(),
        schema: opened.schema(),
        created_at: now,
        updated_at: now,
    };
    let changes = [Change::Model(Edit::create(model.clone()))];
    api.publisher
        .publish(workspace_id, &changes, &act)
        .await
        .unwrap();
    let destination = Destination {
        id: Uuid::now_v7(),
        workspace_id,
        name: "file".to_owned(),
        destination_type: "file".to_owned(),
        config: object(json!({"path": "out.parquet"})),
        rate_limit: RateLimit::default(),
        created_at: now,
        updated_at: now,
    };
    api.store
        .insert_destination(&destination, &act)
        .await
        .unwrap();
    let sync = Sync {
        id: Uuid::now_v7(),
        workspace_id,
        name: "copy".to_owned(),
        model_id: model.id,
        destination_id: destination.id,
        mode: SyncMode::Full,
        mapping: None,
        environment: Environment::Production,
        schedule: None,
        enabled: true,
        owner_id: owner,
        created_at: now,
        updated_at: now,
    };
    api.store.insert_sync(&sync, &act).await.unwrap();
    (workspace_id, owner, sync)
}

async fn run(api: &Api, sync: &Sync) -> (Run, Duration) {
    let started = Instant::now();
    let act = Act::on_behalf_of(sync.owner_id, Utc::now());
    let run = api
        .runner
        .trigger(sync.workspace_id, sync.id, &act)
        .await
        .unwrap();
    loop {
        let run = api.store.get_run(sync.workspace_id, run.id).await.unwrap();
        if run.status.is_final() {
            assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.error);
            assert_eq!(run.counts.delivered, ROWS as u64);
            return (run, started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn main() {
    // `cargo test --benches` passes this, and wants to know only that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        data_dir: Some(folder.path().to_owned()),
        ..Settings::default()
    };
    let app = App::open(settings.into_config().unwrap(), Arc::new(Utc::now))
        .await
        .unwrap();
    warehouse(&folder.path().join("files/customers.parquet"));
    let api = app.api();
    let worker = api.runner.clone();
    tokio::spawn(async move { worker.work(CancellationToken::new()).await });
    let (workspace_id, owner, sync) = prepare(api).await;

    let now = Utc::now();
    let condition = |column: &str, operator: &str, value: Value| {
        let mut condition = json!({"type": "condition", "condition_type": "property",
                                   "column": column, "operator": operator});
        if !value.is_null() {
            condition["value"] = value;
        }
        condition
    };
    let eu = json!(["DE", "FR", "IT", "ES", "NL", "BE", "AT", "SE", "DK", "FI"]);
    let documents = [
        condition("country", "not_in", eu),
        condition("consent", "is_true", Value::Null),
        condition("score", "less_than", json!(1000)),
    ];
    let policies = documents.map(|document| DestinationPolicy {
        id: Uuid::now_v7(),
        workspace_id,
        parent_model_id: Some(sync.model_id),
        destination_type: "file".to_owned(),
        name: format!("bench {}", document["column"]),
        description: String::new(),
        filter_tree: FilterDocument::parse(document).unwrap(),
        enabled: true,
        created_by: owner,
        created_at: now,
        updated_at: now,
    });
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let (_, unguarded) = run(api, &sync).await;
        let act = Act::on_behalf_of(owner, now);
        for policy in &policies {
            let change = Change::DestinationPolicy(Edit::create(policy.clone()));
            api.publisher
                .publish(workspace_id, &[change], &act)
                .await
                .unwrap();
        }
        let (_, guarded) = run(api, &sync).await;
        for policy in &policies {
            let change = Change::DestinationPolicy(Edit::delete(Arc::new(policy.clone())));
            api.publisher
                .publish(workspace_id, &[change], &act)
                .await
                .unwrap();
        }
        if round == 0 {
            continue; // warm-up
        }
        let ratio = guarded.as_secs_f64() / unguarded.as_secs_f64();
        let rate = |time: Duration| ROWS as f64 / time.as_secs_f64() / 1e6;
        println!(
            "unguarded {:.2} M rows/s, guarded {:.2} M rows/s, ratio {ratio:.3}",
            rate(unguarded),
            rate(guarded)
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "guarded / unguarded, median of {ROUNDS}: {:.3}",
        ratios[ROUNDS / 2]
    );
}
