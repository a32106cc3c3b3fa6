//! Lists of 100,000 policy instances through the HTTP API, by every filter and in every order,
//! from the first page to the last; and the figures over them.
//!
//! `cargo bench --profile dev --bench governance`; SYNCGUARD_BENCH_INSTANCES for another number of
//! them. It starts a PostgreSQL of its own (`scripts/test --postgres-only`), and measures on
//! SQLite first.
//!
//! Client and server share the machine, and one request is under way at a time. Half of the
//! instances are of one policy and six in ten are approved: what is measured is not only what a
//! filter leaves few of. "p99" is over all orders and pages of a filter; "worst" names the slowest
//! of them by its median.

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

use chrono::Utc;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use syncguard::app::{App, Listeners};
use syncguard::config::Config;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];
const KEY: &str = "sgk_bench_0123456789abcdef0123456789abcdef";
const POLICIES: usize = 100;
const SOLUTIONS: usize = 20;
const FIELDS: [&str; 8] = [
    "createdAt",
    "updatedAt",
    "submittedAt",
    "reviewedAt",
    "status",
    "resourceType",
    "resourceId",
    "policyId",
];
/// Requests of each page, and of each figure.
const REPEATS: usize = 10;
const FIGURES: usize = 200;

#[tokio::main]
async fn main() {
    // `cargo test --benches` passes this, and wants to know only that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let instances = std::env::var("SYNCGUARD_BENCH_INSTANCES");
    let instances: usize = instances.map_or(100_000, |count| count.parse().unwrap());
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    println!("{instances} instances; milliseconds");
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    measure("SQLite", &url, instances).await;
    let postgres = Postgres::start();
    measure("PostgreSQL", &postgres.url, instances).await;
}

async fn measure(database: &str, url: &str, instances: usize) {
    let server = Server::start(url).await;
    let town = Town::fill(&server, url, instances).await;
    for (caller, key) in [("everything", KEY), ("one workspace", &town.key)] {
        println!("{database}, seen by somebody of {caller}:");
        for (what, filter) in &town.filters {
            let list = server.list(key, filter, "createdAt:desc", 0).await;
            let total = list["pagination"]["total"].as_u64().unwrap();
            let mut all = Vec::new();
            let mut worst = (Duration::ZERO, String::new());
            for field in FIELDS {
                for direction in ["asc", "desc"] {
                    let mut offsets = vec![0, total / 4, total / 2, total.saturating_sub(20)];
                    offsets.dedup();
                    for offset in offsets {
                        let sort = format!("{field}:{direction}");
                        let mut times = Vec::new();
                        // The first one has its statements prepared.
                        for _ in 0..=REPEATS {
                            let started = Instant::now();
                            server.list(key, filter, &sort, offset).await;
                            times.push(started.elapsed());
                        }
                        let mut times = times.split_off(1);
                        times.sort();
                        let median = times[times.len() / 2];
                        if median > worst.0 {
                            worst = (median, format!("{sort} from {offset}"));
                        }
                        all.extend(times);
                    }
                }
            }
            println!(
                "  {what:<32} {total:>6}   {}   worst {:6.2} {}",
                Spread::of(all),
                ms(worst.0),
                worst.1
            );
        }
    }
    for path in ["/governance/metrics", "/governance/compliance/dashboard"] {
        let mut times = Vec::new();
        for _ in 0..FIGURES {
            let started = Instant::now();
            server.ask(KEY, Method::GET, path, Value::Null).await;
            times.push(started.elapsed());
        }
        println!("  {database}, {path}: {}", Spread::of(times));
    }
    server.stop.cancel();
}

/// Milliseconds that are not exceeded by half of the requests, and by 99 of 100.
struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut times: Vec<Duration>) -> Spread {
        times.sort();
        Spread(times)
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| ms(self.0[((self.0.len() - 1) as f64 * share) as usize]);
        write!(f, "p50 {:6.2}   p99 {:6.2}", at(0.5), at(0.99))
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

// What is in the store.

/// What there is to ask for.
struct Town {
    /// Of somebody who governs the second workspace alone.
    key: String,
    /// What each filter is, and its parameters.
    filters: Vec<(&'static str, String)>,
}

impl Town {
    async fn fill(server: &Server, url: &str, instances: usize) -> Town {
        let started = Instant::now();
        let mut policies = Vec::new();
        for number in 0..POLICIES {
            let policy = json!({
                "name": format!("policy {number}"),
                "category": "security",
                "severity": SEVERITIES[number % 4],
                "rules": [{"field": "encryption.enabled", "operator": "equals", "value": true}],
            });
            policies.push(server.made("/governance/policies", policy).await);
        }
        let workspace = server.made("/workspaces", json!({"name": "second"})).await;
        let account = json!({"email": "officer@example.com", "name": "Officer"});
        let account = server.made("/accounts", account).await;
        let owner = "00000000-0000-0000-0000-000000000001";
        let member = json!({"account_id": account, "role_id": owner});
        let members = format!("/workspaces/{workspace}/members");
        server.ask(KEY, Method::POST, &members, member).await;
        let key = json!({"name": "bench", "scopes": ["*"]});
        let keys = format!("/accounts/{account}/keys");
        let key = server.ask(KEY, Method::POST, &keys, key).await;
        let workspace_id = Uuid::try_parse(&workspace).unwrap();
        insert_instances(url, workspace_id, instances).await;
        for number in 0..SOLUTIONS {
            let solution = json!({
                "name": format!("solution {number}"),
                "policies": policies[number..number + 3],
                "models": [format!("resource {number}")],
            });
            let solution = server.made("/governance/solutions", solution).await;
            for _ in 0..3 {
                let snapshot = json!({"solutionId": solution});
                server.made("/governance/snapshots", snapshot).await;
            }
        }
        println!("filled in {:.0} s", started.elapsed().as_secs_f64());
        let (large, small) = (&policies[0], &policies[1]);
        let filters = vec![
            ("no filter", String::new()),
            ("a policy of half", format!("policyId={large}")),
            ("a policy of few", format!("policyId={small}")),
            ("approved", "status=approved".to_owned()),
            ("submitted", "status=submitted".to_owned()),
            ("of models", "resourceType=model".to_owned()),
            ("a resource", "resourceId=resource 77".to_owned()),
            (
                "a policy of half, approved",
                format!("policyId={large}&status=approved"),
            ),
            (
                "a policy of few, denied",
                format!("policyId={small}&status=denied"),
            ),
            (
                "denied models",
                "status=denied&resourceType=model".to_owned(),
            ),
            (
                "denied models of a policy",
                format!("policyId={large}&status=denied&resourceType=model"),
            ),
            (
                "a resource, with everything",
                format!("policyId={large}&status=approved&resourceType=app&resourceId=resource 77"),
            ),
        ];
        let key = key["key"].as_str().unwrap().to_owned();
        Town { key, filters }
    }
}

/// Instances as SQL makes them: the odd ones are of the first policy, each on a resource of its own;
/// of the others, every policy is on the same few resources.
async fn insert_instances(url: &str, workspace_id: Uuid, count: usize) {
    let workspace = workspace_id.simple();
    let on_sqlite = url.starts_with("sqlite:");
    let (numbers, id, realm, nil, no, time): (_, _, _, _, _, fn(&str) -> String) = match on_sqlite {
        true => (
            format!(
                "(WITH RECURSIVE n(i) AS (
                      SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1
                  ) SELECT i FROM n)"
            ),
            "randomblob(16)",
            format!("X'{workspace}'"),
            "zeroblob(16)".to_owned(),
            "0",
            |seconds| {
                let time = format!("1750000000 + {seconds}");
                format!("strftime('%Y-%m-%dT%H:%M:%S', {time}, 'unixepoch') || '+00:00'")
            },
        ),
        false => (
            format!("(SELECT i FROM generate_series(0, {count} - 1) i)"),
            "gen_random_uuid()",
            format!("'{workspace}'::uuid"),
            format!("'{}'::uuid", Uuid::nil()),
            "FALSE",
            |seconds| format!("to_timestamp(1750000000 + {seconds})"),
        ),
    };
    let rule = json!({"field": "encryption.enabled", "operator": "equals", "passed": true,
                      "actual": true});
    let result = json!({"compliant": true, "checks": 5, "passed": 5, "failed": 0,
                        "rules": vec![rule; 5]});
    let insert = format!(
        "INSERT INTO compliance_instances (id, policy_id, resource_type, resource_id, workspace_id,
             realm, status, result, submitted_at, reviewed_at, conditions, is_held, created_at,
             updated_at)
         SELECT {id}, p.id,
             CASE i / 3 % 8 WHEN 1 THEN 'model' WHEN 2 THEN 'addon' WHEN 3 THEN 'workflow'
                        ELSE 'app' END,
             'resource ' || CASE i % 2 WHEN 1 THEN i ELSE i / 2 / {others} END,
             CASE WHEN i % 3 > 0 THEN {realm} END,
             CASE WHEN i % 3 > 0 THEN {realm} ELSE {nil} END,
             CASE WHEN i / 2 % 10 < 6 THEN 'approved' WHEN i / 2 % 10 = 6 THEN 'submitted'
                  WHEN i / 2 % 10 = 7 THEN 'denied' ELSE 'pending' END,
             CASE WHEN i / 2 % 10 < 8 THEN '{result}' END,
             CASE WHEN i / 2 % 10 < 8 THEN {submitted} END,
             CASE WHEN i / 2 % 10 < 6 OR i / 2 % 10 = 7 THEN {reviewed} END,
             '[]', {no}, {created}, {updated}
         FROM {numbers} numbers
         JOIN compliance_policies p
           ON p.name = 'policy ' || CASE i % 2 WHEN 1 THEN 0 ELSE 1 + i / 2 % {others} END",
        others = POLICIES - 1,
        submitted = time("(i * 7919) % 100003"),
        reviewed = time("(i * 12289) % 100003"),
        created = time("i"),
        updated = time("(i * 31) % 100003"),
    );
    if on_sqlite {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        connection.execute(AssertSqlSafe(insert)).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        // Otherwise a vacuum so soon afterwards does not yet know the rows for committed.
        let awaited = "SET synchronous_commit = on";
        connection.execute(awaited).await.unwrap();
        connection.execute(AssertSqlSafe(insert)).await.unwrap();
        // It would come by itself, in the midst of the measurement.
        connection.execute("VACUUM ANALYZE").await.unwrap();
        connection.close().await.unwrap();
    }
}

// The server.

struct Server {
    http: reqwest::Client,
    base: String,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Server {
    async fn start(url: &str) -> Server {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::in_data_dir(data.path()).unwrap();
        config.bootstrap_key = Some(KEY.into());
        config.store_url = url.to_owned().into();
        config.requests_per_second = 1_000_000;
        let app = App::open(config, Arc::new(Utc::now)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            base: format!("http://{}/api/v1", listener.local_addr().unwrap()),
            stop: CancellationToken::new(),
            _data: data,
        };
        tokio::spawn(app.serve(Listeners::http(listener), server.stop.clone()));
        server
    }

    async fn ask(&self, key: &str, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.base);
        let request = self.http.request(method, url).bearer_auth(key);
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

    /// A new object; answers its id.
    async fn made(&self, path: &str, body: Value) -> String {
        let made = self.ask(KEY, Method::POST, path, body).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn list(&self, key: &str, filter: &str, sort: &str, offset: u64) -> Value {
        let path = format!("/governance/instances?{filter}&sort={sort}&offset={offset}");
        let path = path.replace("?&", "?").replace(' ', "%20");
        self.ask(key, Method::GET, &path, Value::Null).await
    }
}

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
