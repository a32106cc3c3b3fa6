//! `syncguard demo`: the main job on a warehouse made on the spot.

mod receiver;
mod warehouse;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use arrow::json::LineDelimitedWriter;
use chrono::Utc;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::receiver::Receiver;
use crate::app::App;
use crate::catalog::{
    Destination, Environment, Model, ModelQuery, RateLimit, Run, RunStatus, Source, SourceType,
    Sync, SyncMode, Workspace,
};
use crate::config::Settings;
use crate::guard::Explanation;
use crate::http::Api;
use crate::policy::{Change, Edit, pack};
use crate::principal::Act;
use crate::source;

/// The policy pack, as it is in the project.
const PACK: &str = include_str!("../../../rules/gdpr.yaml");
/// The kind of destination that the pack restricts.
const DESTINATION_TYPE: &str = "facebook_ads";
/// Left in the demo's folder, so that only a folder that a demo made is ever emptied.
const MARKER: &str = ".syncguard-demo";
/// How many withheld records are explained.
const SAMPLES: usize = 3;

/// Syncs 150,000 customers to an ad platform on loopback, through the GDPR policies.
#[derive(clap::Args)]
pub struct Demo {
    /// Folder for the warehouse and the store; a folder of an earlier demo is made anew
    #[arg(long, value_name = "DIR", default_value = "syncguard-demo")]
    dir: PathBuf,
}

/// What the demo found out.
struct Report {
    run: Run,
    policies: Vec<(Uuid, String)>,
    received: u64,
    received_without_consent: u64,
    received_nations: Vec<String>,
    seconds: f64,
    samples: Vec<(Map<String, Value>, Explanation)>,
    workspace_id: Uuid,
    model_id: Uuid,
    data_dir: PathBuf,
    key: String,
}

impl Demo {
    /// Makes the warehouse, runs the sync, and prints what became of the records.
    pub async fn run(self) -> anyhow::Result<()> {
        let dir = fresh_folder(&self.dir)?;
        let files = dir.join("files");
        std::fs::create_dir_all(&files)?;
        say("Making a warehouse of customers ...");
        let customers = warehouse::write(&files.join("customers.parquet"))?;

        let settings = Settings {
            data_dir: Some(dir.clone()),
            allow_private_addresses: Some(vec!["127.0.0.1".to_owned()]),
            ..Settings::default()
        };
        let app = App::open(settings.into_config()?, Arc::new(Utc::now)).await?;
        let key = match &app.bootstrap {
            Some(key) => key.expose_secret().to_owned(),
            None => String::new(),
        };
        let receiver = Receiver::start().await?;
        let report = sync(app.api(), &receiver, customers, dir, key).await?;
        app.api().store.close().await;

        let out = if std::io::stdout().is_terminal() {
            report.as_text()?
        } else {
            serde_json::to_string_pretty(&report.as_json())? + "\n"
        };
        std::io::stdout().write_all(out.as_bytes())?;
        report.check()
    }
}

#[expect(
    clippy::print_stderr,
    reason = "progress for whoever watches; the result is on standard output"
)]
fn say(what: &str) {
    eprintln!("{what}");
}

/// An empty folder that bears the marker, as an absolute path.
fn fresh_folder(dir: &Path) -> anyhow::Result<PathBuf> {
    if dir.exists() {
        let empty = std::fs::read_dir(dir)?.next().is_none();
        if !empty && !dir.join(MARKER).is_file() {
            bail!(
                "{} exists and no demo made it: choose another --dir",
                dir.display()
            );
        }
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    std::fs::write(dir.join(MARKER), "made by syncguard demo\n")?;
    Ok(dir.canonicalize()?)
}

/// Everything the demo saved, ready to run.
struct Ready {
    workspace: Workspace,
    source: Source,
    model: Model,
    sync: Sync,
    policies: Vec<(Uuid, String)>,
}

async fn prepare(api: &Api, receiver: &Receiver) -> anyhow::Result<Ready> {
    let now = (api.clock)();
    let owner = api
        .store
        .list_accounts()
        .await?
        .pop()
        .context("the store has no account")?;
    let act = Act::on_behalf_of(owner.id, now);
    let workspaces = api.store.list_workspaces(owner.id).await?;
    let workspace = workspaces
        .into_iter()
        .next()
        .context("the store has no workspace")?;
    let source = Source {
        id: Uuid::now_v7(),
        workspace_id: workspace.id,
        name: "warehouse".to_owned(),
        source_type: SourceType::Files,
        config: object(json!({"path": "customers.parquet"})),
        created_at: now,
        updated_at: now,
    };
    api.store.insert_source(&source, &act).await?;
    let query = ModelQuery::Table("customers".to_owned());
    let primary_key = vec!["customer_id".to_owned()];
    let opened = source::open(&source, &query, &primary_key, &api.reach).await?;
    let model = Model {
        id: Uuid::now_v7(),
        workspace_id: workspace.id,
        name: "customers".to_owned(),
        source_id: source.id,
        query,
        primary_key,
        schema: opened.schema(),
        created_at: now,
        updated_at: now,
    };
    let change = Change::Model(Edit::create(model.clone()));
    api.publisher.publish(workspace.id, &[change], &act).await?;
    let destination = Destination {
        id: Uuid::now_v7(),
        workspace_id: workspace.id,
        name: "ad platform".to_owned(),
        destination_type: DESTINATION_TYPE.to_owned(),
        config: object(json!({"url": receiver.url, "batch_size": 1000})),
        rate_limit: RateLimit::default(),
        created_at: now,
        updated_at: now,
    };
    api.store.insert_destination(&destination, &act).await?;
    let sync = Sync {
        id: Uuid::now_v7(),
        workspace_id: workspace.id,
        name: "customers to the ad platform".to_owned(),
        model_id: model.id,
        destination_id: destination.id,
        mode: SyncMode::Full,
        mapping: None,
        environment: Environment::Development,
        schedule: None,
        enabled: true,
        owner_id: owner.id,
        created_at: now,
        updated_at: now,
    };
    api.store.insert_sync(&sync, &act).await?;
    let pack =
        pack::parse(PACK).map_err(|faults| anyhow::anyhow!("rules/gdpr.yaml: {faults:?}"))?;
    let (applied, _) = api
        .publisher
        .apply_pack(workspace.id, &pack, false, None, &act, api.new_id)
        .await?;
    let policies = applied
        .differences
        .iter()
        .filter_map(|difference| difference.edit.object())
        .map(|policy| (policy.id, policy.name.clone()))
        .collect();
    Ok(Ready {
        workspace,
        source,
        model,
        sync,
        policies,
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

async fn sync(
    api: &Api,
    receiver: &Receiver,
    customers: u64,
    data_dir: PathBuf,
    key: String,
) -> anyhow::Result<Report> {
    let ready = prepare(api, receiver).await?;
    let (workspace_id, model) = (ready.workspace.id, &ready.model);
    let started = Instant::now();
    let act = Act::on_behalf_of(ready.sync.owner_id, (api.clock)());
    let run = api
        .runner
        .trigger(workspace_id, ready.sync.id, &act)
        .await?;
    let done = CancellationToken::new();
    let worker = tokio::spawn({
        let (runner, done) = (api.runner.clone(), done.clone());
        async move { runner.work(done).await }
    });
    let bar = ProgressBar::new(customers).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} records  {per_sec}  {elapsed}",
    )?);
    let run = loop {
        let run = api.store.get_run(workspace_id, run.id).await?;
        bar.set_position(run.counts.read);
        if run.status.is_final() {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let seconds = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    done.cancel();
    worker.await?;
    let samples = samples(api, &ready, &act).await?;
    Ok(Report {
        policies: ready.policies,
        received: receiver.records(),
        received_without_consent: receiver.without_consent(),
        received_nations: receiver.nations(),
        seconds,
        samples,
        workspace_id,
        model_id: model.id,
        data_dir,
        key,
        run,
    })
}

/// The first records of the model that are withheld, each for another reason.
async fn samples(
    api: &Api,
    ready: &Ready,
    act: &Act,
) -> anyhow::Result<Vec<(Map<String, Value>, Explanation)>> {
    let model = &ready.model;
    let opened = source::open(&ready.source, &model.query, &model.primary_key, &api.reach).await?;
    let batch = opened
        .read(None, 0, 500)
        .await?
        .next()
        .await
        .context("the model is empty")??;
    let mut lines = LineDelimitedWriter::new(Vec::new());
    lines.write(&batch)?;
    lines.finish()?;
    let text = String::from_utf8(lines.into_inner())?;
    let records = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<_>, _>>()?;
    let explained = api
        .inspector
        .explain(
            model.workspace_id,
            model.id,
            Some(DESTINATION_TYPE),
            act.account_id,
            &records,
            act,
        )
        .await?;
    let mut samples: Vec<(Map<String, Value>, Explanation)> = Vec::new();
    for (record, explanation) in records.into_iter().zip(explained) {
        let new = samples
            .iter()
            .all(|(_, known)| known.withheld_by != explanation.withheld_by);
        if !explanation.passes && new && samples.len() < SAMPLES {
            samples.push((record, explanation));
        }
    }
    Ok(samples)
}

impl Report {
    /// The store and the receiver must tell the same.
    fn check(&self) -> anyhow::Result<()> {
        let counts = &self.run.counts;
        let error = self.run.error.as_deref().unwrap_or("no reason given");
        ensure!(
            self.run.status == RunStatus::Succeeded,
            "the run did not succeed: {error}"
        );
        ensure!(counts.balanced(), "the counts do not add up");
        ensure!(
            counts.delivered == self.received,
            "the store counts {} delivered, the receiver {}",
            counts.delivered,
            self.received
        );
        ensure!(
            self.received_without_consent == 0,
            "records without consent arrived"
        );
        Ok(())
    }

    fn policy_name(&self, id: Option<Uuid>) -> &str {
        let known = self.policies.iter().find(|(known, _)| Some(*known) == id);
        known.map_or("unknown policy", |(_, name)| name.as_str())
    }

    fn as_json(&self) -> Value {
        let counts = &self.run.counts;
        json!({
            "status": self.run.status,
            "read": counts.read,
            "delivered": counts.delivered,
            "withheld": counts.withheld,
            "withheld_by": self.run.withheld_by.iter().map(|by| json!({
                "policy": self.policy_name(by.policy_id),
                "policy_id": by.policy_id,
                "count": by.count,
            })).collect::<Vec<_>>(),
            "rejected": counts.rejected,
            "invalid": counts.invalid,
            "failed": counts.failed,
            "received": self.received,
            "received_without_consent": self.received_without_consent,
            "received_nations": self.received_nations,
            "records_per_second": (counts.read as f64 / self.seconds).round(),
            "policy_revision": self.run.policy_revision,
            "samples": self.samples.iter().map(|(record, explanation)| json!({
                "record": record,
                "withheld_by": explanation.withheld_by,
            })).collect::<Vec<_>>(),
            "workspace_id": self.workspace_id,
            "model_id": self.model_id,
            "run_id": self.run.id,
            "data_dir": self.data_dir,
            "api_key": self.key,
        })
    }

    fn as_text(&self) -> Result<String, std::fmt::Error> {
        let counts = &self.run.counts;
        let mut out = String::new();
        let rate = counts.read as f64 / self.seconds;
        writeln!(
            out,
            "\nA sync of customers to an ad platform, through the GDPR policies"
        )?;
        writeln!(out, "  read       {:>9}", counts.read)?;
        writeln!(
            out,
            "  delivered  {:>9}   (the receiver counted {})",
            counts.delivered, self.received
        )?;
        writeln!(out, "  withheld   {:>9}   by policy:", counts.withheld)?;
        for by in &self.run.withheld_by {
            writeln!(
                out,
                "             {:>9}   {}",
                by.count,
                self.policy_name(by.policy_id)
            )?;
        }
        writeln!(
            out,
            "             a record that several policies withhold is counted under each"
        )?;
        for (name, count) in [
            ("rejected", counts.rejected),
            ("invalid", counts.invalid),
            ("failed", counts.failed),
        ] {
            writeln!(out, "  {name:<10} {count:>9}")?;
        }
        writeln!(
            out,
            "  rate       {rate:>9.0}   records a second, in {:.1} s",
            self.seconds
        )?;
        writeln!(
            out,
            "  revision   {:>9}   of the policies",
            self.run.policy_revision.unwrap_or(0)
        )?;
        writeln!(out, "\nWhy {} of them were withheld", self.samples.len())?;
        for (record, explanation) in &self.samples {
            let shown: Vec<_> = ["customer_id", "nation", "consent"]
                .into_iter()
                .map(|column| format!("{column} {}", record.get(column).unwrap_or(&Value::Null)))
                .collect();
            writeln!(out, "  {}", shown.join(", "))?;
            for policy in &explanation.withheld_by {
                for condition in &policy.conditions {
                    let outcome = match condition.outcome {
                        crate::guard::explain::Outcome::Null => "cannot be told (NULL)",
                        _ => "does not hold",
                    };
                    let (column, operator) = (&condition.column, condition.operator);
                    writeln!(out, "    {}: {column} {operator} {outcome}", policy.name)?;
                }
            }
        }
        let (data_dir, workspace) = (self.data_dir.display(), self.workspace_id);
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "syncguard".to_owned());
        writeln!(
            out,
            "\nGo on with the same data: start the server in one terminal,"
        )?;
        writeln!(out, "  {program} serve --data-dir '{data_dir}'")?;
        writeln!(out, "and ask it in another:")?;
        writeln!(out, "  KEY='{}'", self.key)?;
        writeln!(
            out,
            "  API=http://127.0.0.1:8080/api/v1/workspaces/{workspace}"
        )?;
        writeln!(
            out,
            "  curl -H \"Authorization: Bearer $KEY\" $API/runs/{}",
            self.run.id
        )?;
        writeln!(
            out,
            "  curl -H \"Authorization: Bearer $KEY\" $API/destination-rules"
        )?;
        writeln!(
            out,
            "  curl -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' $API/preview \\\n    -d '{{\"model_id\": \"{}\", \"destination_type\": \"{DESTINATION_TYPE}\"}}'",
            self.model_id
        )?;
        Ok(out)
    }
}
