//! A point look-up and an aggregate over a million rows, with more and more access policies in
//! the workspace: through the server, beside the same query of DataFusion with the filter written
//! into the SQL, and beside PostgreSQL with row-level security.
//!
//! `cargo bench --profile dev --bench query`; SYNCGUARD_BENCH_ROWS for another number of rows. It
//! starts a PostgreSQL of its own (`scripts/test --postgres-only`).
//!
//! Each policy opens one of 2,000 countries. "one" means that one of the policies is the caller's,
//! "all" that all are. Every query is planned anew, also that of DataFusion alone; PostgreSQL's
//! look-up is prepared. All of them use one core for a query; client and servers share the machine.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use chrono::Utc;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use reqwest::Method;
use serde_json::{Value, json};
use syncguard::app::{App, Listeners};
use syncguard::config::Config;
use tokio::net::TcpListener;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

const KEY: &str = "bench-key";
const COUNTRIES: usize = 2_000;
const POLICIES: [usize; 4] = [1, 10, 100, 1_000];
/// Look-ups and aggregates of each measurement.
const LOOK_UPS: usize = 300;
const AGGREGATES: usize = 9;
const LOOK_UP: &str = "SELECT id, country, amount FROM events WHERE id = $1";
const AGGREGATE: &str =
    "SELECT country, count(*) AS n, sum(amount) AS total FROM events GROUP BY country";

#[tokio::main]
async fn main() {
    // `cargo test --benches` passes this, and wants to know only that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows = std::env::var("SYNCGUARD_BENCH_ROWS");
    let rows: i64 = rows.map_or(1_000_000, |rows| rows.parse().unwrap());
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir_all(&files).unwrap();
    write_events(&files.join("events.parquet"), rows);
    let server = Postgres::start();
    let postgres = rls(&server.url, rows).await;
    println!("{rows} rows; milliseconds: p50 / p99 of look-ups, median of aggregates");
    for policies in POLICIES {
        for all in [false, true] {
            let assigned = if all { policies } else { 1 };
            let ours = Ours::start(folder.path(), policies, assigned).await;
            let label = format!(
                "{policies:>4} policies, {}",
                if all { "all" } else { "one" }
            );
            let look_up = ours.look_ups(rows, assigned).await;
            let aggregate = ours.aggregates(assigned).await;
            println!("{label}: through HTTP       {look_up}  {aggregate:7.2}");
            let (look_up, aggregate) = datafusion(&files, rows, assigned).await;
            println!("{label}: DataFusion alone   {look_up}  {aggregate:7.2}");
            let (look_up, aggregate) = postgres.measure(rows, policies, assigned).await;
            println!("{label}: row-level security {look_up}  {aggregate:7.2}");
            if policies == POLICIES[0] && !all {
                ours.connections().await;
            }
            ours.stop.cancel();
        }
    }
}

/// Milliseconds that are not exceeded by half of the look-ups, and by 99 of 100.
struct Spread(Vec<Duration>);

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = |share: f64| ms(sorted[((sorted.len() - 1) as f64 * share) as usize]);
        write!(f, "{:7.2} / {:7.2}", at(0.5), at(0.99))
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    ms(times[times.len() / 2])
}

fn country(number: usize) -> String {
    format!("C{number:04}")
}

/// The id of a row of one of the first `assigned` countries, so that it is seen.
fn seen_id(turn: usize, rows: i64, assigned: usize) -> i64 {
    let round = (turn as i64 * 7_919) % (rows / COUNTRIES as i64);
    round * COUNTRIES as i64 + (turn % assigned) as i64
}

/// Ids ascend and countries take turns, so that every row group has rows of all.
fn write_events(path: &Path, rows: i64) {
    let mut writer = None;
    for start in (0..rows).step_by(65_536) {
        let ids: Vec<i64> = (start..(start + 65_536).min(rows)).collect();
        let countries = ids.iter().map(|id| country(*id as usize % COUNTRIES));
        let amounts = ids.iter().map(|id| (id % 10_007) as f64 / 7.0);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(ids.clone())) as _),
            (
                "country",
                Arc::new(StringArray::from_iter_values(countries)) as _,
            ),
            (
                "amount",
                Arc::new(Float64Array::from_iter_values(amounts)) as _,
            ),
        ])
        .unwrap();
        let writer = writer.get_or_insert_with(|| {
            let properties = parquet::file::properties::WriterProperties::builder()
                .set_max_row_group_row_count(Some(65_536))
                .build();
            let file = std::fs::File::create(path).unwrap();
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}

// The server.

struct Ours {
    http: reqwest::Client,
    base: String,
    pg: std::net::SocketAddr,
    stop: CancellationToken,
    workspace: String,
    key: String,
    _data: tempfile::TempDir,
}

impl Ours {
    /// A server with a workspace in which `policies` policies each open a country, the first
    /// `assigned` of them to the caller.
    async fn start(folder: &Path, policies: usize, assigned: usize) -> Ours {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::in_data_dir(data.path()).unwrap();
        config.bootstrap_key = Some(KEY.into());
        config.file_roots = vec![folder.join("files")];
        config.requests_per_second = 1_000_000;
        let app = App::open(config, Arc::new(Utc::now)).await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pg = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ours = Ours {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            base: format!("http://{}/api/v1", http.local_addr().unwrap()),
            pg: pg.local_addr().unwrap(),
            stop: CancellationToken::new(),
            workspace: String::new(),
            key: KEY.to_owned(),
            _data: data,
        };
        let mut listeners = Listeners::http(http);
        listeners.pg = Some(pg);
        tokio::spawn(app.serve(listeners, ours.stop.clone()));
        let me = ours.ask(Method::GET, "/me", Value::Null).await;
        let workspaces = ours.ask(Method::GET, "/workspaces", Value::Null).await;
        assert!(me.is_object());
        let ws = format!("/workspaces/{}", id(&workspaces[0]));
        let source = json!({"name": "files", "type": "files",
                            "config": {"path": "events.parquet"}});
        let source = ours
            .ask(Method::POST, &format!("{ws}/sources"), source)
            .await;
        let model = json!({"name": "events", "source_id": source["id"], "table": "events",
                           "primary_key": ["id"]});
        ours.ask(Method::POST, &format!("{ws}/models"), model).await;
        let category = json!({"name": "countries"});
        let category = ours
            .ask(Method::POST, &format!("{ws}/subset-categories"), category)
            .await;
        let roles = ours
            .ask(Method::GET, &format!("{ws}/roles"), Value::Null)
            .await;
        let member = roles.as_array().unwrap().iter();
        let member = id(member
            .clone()
            .find(|role| role["name"] == "member")
            .unwrap());
        let account = json!({"email": "analyst@example.com", "name": "Analyst"});
        let account = id(&ours.ask(Method::POST, "/accounts", account).await);
        let membership = json!({"account_id": account, "role_id": member});
        ours.ask(Method::POST, &format!("{ws}/members"), membership)
            .await;
        let group = ours
            .ask(
                Method::POST,
                &format!("{ws}/groups"),
                json!({"name": "analysts"}),
            )
            .await;
        let joined = json!({"account_id": account});
        let path = format!("{ws}/groups/{}/members", id(&group));
        ours.ask(Method::POST, &path, joined).await;
        for number in 0..policies {
            let subset = json!({
                "name": country(number), "category_id": category["id"],
                "filter_tree": {"type": "condition", "condition_type": "property",
                                "column": "country", "operator": "equals",
                                "value": country(number)},
            });
            let subset = ours
                .ask(Method::POST, &format!("{ws}/subsets"), subset)
                .await;
            if number < assigned {
                let path = format!("{ws}/subsets/{}/assignments", id(&subset));
                ours.ask(Method::POST, &path, json!({"group_id": group["id"]}))
                    .await;
            }
        }
        let keys = json!({"name": "bench", "scopes": ["*"]});
        let key = ours
            .ask(Method::POST, &format!("/accounts/{account}/keys"), keys)
            .await;
        ours.key = key["key"].as_str().unwrap().to_owned();
        ours.workspace = ws;
        ours
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key);
        let request = match body {
            Value::Null => request,
            body => request.json(&body),
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    async fn query(&self, body: Value) -> (Duration, Value) {
        let started = Instant::now();
        let path = format!("{}/query", self.workspace);
        let answer = self.ask(Method::POST, &path, body).await;
        (started.elapsed(), answer)
    }

    async fn look_ups(&self, rows: i64, assigned: usize) -> Spread {
        let mut times = Vec::new();
        for turn in 0..LOOK_UPS + 20 {
            let id = seen_id(turn, rows, assigned);
            let (time, answer) = self.query(json!({"sql": LOOK_UP, "params": [id]})).await;
            assert_eq!(answer["rows"].as_array().unwrap().len(), 1, "{answer}");
            times.push(time);
        }
        // The first ones compile the guard.
        Spread(times.split_off(20))
    }

    async fn aggregates(&self, assigned: usize) -> f64 {
        let mut times = Vec::new();
        for _ in 0..AGGREGATES {
            let (time, answer) = self.query(json!({"sql": AGGREGATE})).await;
            assert_eq!(answer["rows"].as_array().unwrap().len(), assigned);
            times.push(time);
        }
        median(times)
    }

    /// What a new connection costs, with its first query over what it costs on an open one.
    async fn connections(&self) {
        let mut pg = Vec::new();
        for _ in 0..50 {
            let started = Instant::now();
            let config = format!(
                "host={} port={} user=analyst@example.com password={} dbname=default",
                self.pg.ip(),
                self.pg.port(),
                self.key
            );
            let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
            pg.push(started.elapsed());
            let running = tokio::spawn(connection);
            drop(client);
            running.await.unwrap().unwrap();
        }
        println!("a new PostgreSQL connection: {}", Spread(pg));
        let mut http = Vec::new();
        for _ in 0..50 {
            let started = Instant::now();
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = format!("{}/me", self.base);
            client
                .get(url)
                .bearer_auth(&self.key)
                .send()
                .await
                .unwrap()
                .error_for_status()
                .unwrap();
            http.push(started.elapsed());
        }
        println!(
            "a new HTTP connection with its first request: {}",
            Spread(http)
        );
    }
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

// DataFusion alone.

async fn datafusion(files: &Path, rows: i64, assigned: usize) -> (Spread, f64) {
    let config = SessionConfig::new().with_target_partitions(1);
    let context = SessionContext::new_with_config(config);
    let path = files.join("events.parquet");
    let options = ParquetReadOptions::default();
    context
        .register_parquet("events", path.to_str().unwrap(), options)
        .await
        .unwrap();
    let allowed: Vec<String> = (0..assigned)
        .map(|number| format!("'{}'", country(number)))
        .collect();
    let filter = format!("country IN ({})", allowed.join(", "));
    let mut times = Vec::new();
    for turn in 0..LOOK_UPS + 20 {
        let id = seen_id(turn, rows, assigned);
        let sql = format!("SELECT id, country, amount FROM events WHERE id = {id} AND {filter}");
        let started = Instant::now();
        let found = context.sql(&sql).await.unwrap().collect().await.unwrap();
        times.push(started.elapsed());
        assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    }
    let look_ups = Spread(times.split_off(20));
    let sql = AGGREGATE.replace("GROUP BY", &format!("WHERE {filter} GROUP BY"));
    let mut times = Vec::new();
    for _ in 0..AGGREGATES {
        let started = Instant::now();
        let found = context.sql(&sql).await.unwrap().collect().await.unwrap();
        times.push(started.elapsed());
        let groups: usize = found.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(groups, assigned);
    }
    (look_ups, median(times))
}

// PostgreSQL with row-level security.

/// A server that ends with the value.
struct Postgres {
    child: Child,
    url: String,
}

impl Postgres {
    fn start() -> Postgres {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test");
        let mut child = Command::new(script)
            .arg("--postgres-only")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Postgres {
            child,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
    }
}

struct RowSecurity {
    client: tokio_postgres::Client,
}

async fn rls(url: &str, rows: i64) -> RowSecurity {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = format!(
        "CREATE TABLE events (id bigint PRIMARY KEY, country text, amount float8);
         INSERT INTO events SELECT n, 'C' || lpad((n % {COUNTRIES})::text, 4, '0'),
             (n % 10007) / 7.0 FROM generate_series(0, {rows} - 1) n;
         ALTER TABLE events ENABLE ROW LEVEL SECURITY;
         CREATE ROLE analyst; GRANT SELECT ON events TO analyst;
         CREATE ROLE someone_else;
         SET max_parallel_workers_per_gather = 0;
         VACUUM ANALYZE events;"
    );
    for statement in sql.split_inclusive(';').filter(|s| !s.trim().is_empty()) {
        client.batch_execute(statement).await.unwrap();
    }
    RowSecurity { client }
}

impl RowSecurity {
    async fn measure(&self, rows: i64, policies: usize, assigned: usize) -> (Spread, f64) {
        let mut sql = String::from("RESET ROLE;");
        for number in 0..*POLICIES.last().unwrap() {
            sql.push_str(&format!("DROP POLICY IF EXISTS p{number} ON events;"));
        }
        for number in 0..policies {
            let role = if number < assigned {
                "analyst"
            } else {
                "someone_else"
            };
            let country = country(number);
            sql.push_str(&format!(
                "CREATE POLICY p{number} ON events TO {role} USING (country = '{country}');"
            ));
        }
        sql.push_str("SET ROLE analyst;");
        self.client.batch_execute(&sql).await.unwrap();
        let prepared = self.client.prepare(LOOK_UP).await.unwrap();
        let mut times = Vec::new();
        for turn in 0..LOOK_UPS + 20 {
            let id = seen_id(turn, rows, assigned);
            let started = Instant::now();
            let found = self.client.query(&prepared, &[&id]).await.unwrap();
            times.push(started.elapsed());
            assert_eq!(found.len(), 1);
        }
        let look_ups = Spread(times.split_off(20));
        let mut times = Vec::new();
        for _ in 0..AGGREGATES {
            let started = Instant::now();
            let found = self.client.query(AGGREGATE, &[]).await.unwrap();
            times.push(started.elapsed());
            assert_eq!(found.len(), assigned);
        }
        (look_ups, median(times))
    }
}
