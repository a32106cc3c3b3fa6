//! The control plane with little and with much in its store: reading under load, and publishing.
//!
//! `cargo bench --profile dev --bench control_plane`; for PostgreSQL as well, `-- --postgres URL`
//! with the URL of a database of somebody who may create databases, or SYNCGUARD_TEST_POSTGRES.
//!
//! Under load the server is a process of its own, wired and logging as `syncguard serve` is, with
//! its log thrown away. The client runs on the same cores. Each of its connections sends the next
//! request once the last is answered, so that more speed means more load, not idle time. An
//! "empty" store holds what the requests ask for and nothing else; the caller is the same in both.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema};
use chrono::{SubsecRound, Utc};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use syncguard::app::{App, Listeners};
use syncguard::catalog::{Model, ModelQuery, Source, SourceType, Workspace};
use syncguard::config::Settings;
use syncguard::guard::Registry;
use syncguard::policy::{Change, DestinationPolicy, Edit, FilterDocument};
use syncguard::principal::{Account, Act, ApiKey, Group, KeyText, MEMBER, Permissions, Role};
use syncguard::publish::Publisher;
use syncguard::store::Store;
use syncguard::telemetry;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

/// Connections of the client, each with one request under way.
const CONNECTIONS: usize = 16;
/// How long one measurement under load takes.
const SPAN: Duration = Duration::from_secs(3);
/// Measurements of each store and request, taken in turns.
const ROUNDS: usize = 7;
/// How often a publication is measured.
const PUBLICATIONS: usize = 20;
const MODELS: usize = 20;

/// How much is in a store.
struct Size {
    roles: usize,
    groups: usize,
    policies: usize,
    accounts: usize,
}

const EMPTY: Size = Size {
    roles: 3,
    groups: 3,
    policies: 1,
    accounts: 1,
};
const FULL: Size = Size {
    roles: 1_000,
    groups: 1_000,
    policies: 10_000,
    accounts: 10_000,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes this, and wants to know only that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if let [serve, folder] = &arguments[..]
        && serve == "--serve"
    {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().build().unwrap();
        return runtime.block_on(serve_from(Path::new(folder)));
    }
    let flag = arguments.iter().position(|a| a == "--postgres");
    let postgres = match flag {
        Some(flag) => Some(arguments[flag + 1].clone()),
        None => std::env::var("SYNCGUARD_TEST_POSTGRES").ok(),
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let databases = [Some(Database::Sqlite), postgres.map(Database::Postgres)];
        for database in databases.into_iter().flatten() {
            measure_load(&database).await;
            measure_publishing(&database).await;
        }
    });
}

// The databases.

enum Database {
    Sqlite,
    /// The URL of a database on the server.
    Postgres(String),
}

impl Database {
    fn name(&self) -> &'static str {
        match self {
            Database::Sqlite => "SQLite",
            Database::Postgres(_) => "PostgreSQL",
        }
    }

    /// The URL of a store that does not exist yet.
    async fn fresh(&self, folder: &Path) -> String {
        let Database::Postgres(server) = self else {
            return sqlite(folder);
        };
        let name = format!("syncguard_bench_{}", Uuid::now_v7().simple());
        run_sql(server, format!("CREATE DATABASE {name}")).await;
        let mut url = Url::parse(server).unwrap();
        url.set_path(&name);
        url.into()
    }

    /// Removes a store again; that of SQLite goes with its folder.
    async fn remove(&self, url: &str) {
        if let Database::Postgres(server) = self {
            let url = Url::parse(url).unwrap();
            let name = url.path().trim_start_matches('/');
            run_sql(server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("syncguard.db").display())
}

async fn run_sql(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let statement = sqlx::query(AssertSqlSafe(statement));
    statement.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

// What is in a store.

struct Seeded {
    folder: TempDir,
    url: String,
    workspace_id: Uuid,
    /// Of a member in three groups.
    key: String,
    /// The policy in the middle.
    policy_id: Uuid,
}

async fn seed(database: &Database, size: &Size) -> Seeded {
    let started = Instant::now();
    // Tens of thousands of small transactions: in memory, where that can be had (some 200 MB of it),
    // none of them waits for a disk. What is measured lies on the disk.
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let memory = memory.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut url = database.fresh(memory.path()).await;
    let store = Store::open(&url).await.unwrap();
    let (workspace_id, act) = begin(&store).await;
    let models = add_models(&store, workspace_id, &act).await;
    let policies = add_policies(&store, workspace_id, &act, &models, 0..size.policies).await;
    let key = add_people(&store, workspace_id, &act, size).await;
    store.close().await;
    match database {
        Database::Sqlite => {
            let file = "syncguard.db";
            std::fs::copy(memory.path().join(file), folder.path().join(file)).unwrap();
            url = sqlite(folder.path());
        }
        // It would come by itself, in the midst of the measurement.
        Database::Postgres(_) => run_sql(&url, "VACUUM ANALYZE".to_owned()).await,
    }
    println!(
        "{}: {} policies, {} roles, {} groups, {} accounts in {:.0} s",
        database.name(),
        size.policies,
        size.roles,
        size.groups,
        size.accounts,
        started.elapsed().as_secs_f64(),
    );
    Seeded {
        folder,
        url,
        workspace_id,
        key,
        policy_id: policies[policies.len() / 2],
    }
}

/// Makes a workspace with its owner.
async fn begin(store: &Store) -> (Uuid, Act) {
    let now = Utc::now().trunc_subsecs(6);
    let owner_id = Uuid::now_v7();
    let act = Act::on_behalf_of(owner_id, now);
    let workspace = Workspace {
        id: Uuid::now_v7(),
        name: "bench".to_owned(),
        require_destination_policy: false,
        created_at: now,
        updated_at: now,
    };
    let owner = account(owner_id, "owner", &act);
    let text = KeyText::from_random([1; 8], [1; 32]);
    let key = key(owner_id, &act);
    let made = store.bootstrap(&owner, &key, &text, &workspace);
    assert!(made.await.unwrap(), "the store is not empty");
    (workspace.id, act)
}

fn account(id: Uuid, name: &str, act: &Act) -> Account {
    Account {
        id,
        email: format!("{name}@example.com"),
        name: name.to_owned(),
        avatar_url: None,
        created_at: act.at,
        updated_at: act.at,
    }
}

fn key(account_id: Uuid, act: &Act) -> ApiKey {
    ApiKey {
        id: Uuid::now_v7(),
        account_id,
        name: "bench".to_owned(),
        scopes: vec!["*".to_owned()],
        expires_at: None,
        last_used_at: None,
        created_at: act.at,
    }
}

/// Adds models that all have the same columns.
async fn add_models(store: &Store, workspace_id: Uuid, act: &Act) -> Vec<Uuid> {
    let source = Source {
        id: Uuid::now_v7(),
        workspace_id,
        name: "warehouse".to_owned(),
        source_type: SourceType::Files,
        config: Map::from_iter([("path".to_owned(), json!("customers.parquet"))]),
        created_at: act.at,
        updated_at: act.at,
    };
    store.insert_source(&source, act).await.unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("country", DataType::Utf8, true),
        Field::new("consent", DataType::Boolean, true),
        Field::new("score", DataType::Int64, true),
    ]));
    let ids: Vec<Uuid> = (0..MODELS).map(|_| Uuid::now_v7()).collect();
    let models = ids.iter().enumerate().map(|(number, id)| Model {
        id: *id,
        workspace_id,
        name: format!("customers {number}"),
        source_id: source.id,
        query: ModelQuery::Table("customers".to_owned()),
        primary_key: vec!["id".to_owned()],
        schema: schema.clone(),
        created_at: act.at,
        updated_at: act.at,
    });
    let changes: Vec<_> = models
        .map(|model| Change::Model(Edit::create(model)))
        .collect();
    commit(store, workspace_id, act, &changes).await;
    ids
}

async fn add_policies(
    store: &Store,
    workspace_id: Uuid,
    act: &Act,
    models: &[Uuid],
    numbers: Range<usize>,
) -> Vec<Uuid> {
    let mut ids = Vec::new();
    let mut changes = Vec::new();
    for number in numbers {
        let model_id = models[number % models.len()];
        let policy = policy(workspace_id, Some(model_id), number, act);
        ids.push(policy.id);
        changes.push(Change::DestinationPolicy(Edit::create(policy)));
    }
    for changes in changes.chunks(1_000) {
        commit(store, workspace_id, act, changes).await;
    }
    ids
}

async fn commit(store: &Store, workspace_id: Uuid, act: &Act, changes: &[Change]) {
    let revision = store.revision(workspace_id).await.unwrap();
    let committed = store.commit(workspace_id, changes, revision, act);
    committed.await.unwrap();
}

fn policy(
    workspace_id: Uuid,
    parent_model_id: Option<Uuid>,
    number: usize,
    act: &Act,
) -> DestinationPolicy {
    let condition = |column: &str, operator: &str| {
        json!({"type": "condition", "condition_type": "property",
               "column": column, "operator": operator})
    };
    let mut country = condition("country", "not_in");
    country["value"] = json!(["DE", "FR", "IT", "ES", "NL", "BE", "AT", "SE", "DK", "FI"]);
    let mut score = condition("score", "less_than");
    score["value"] = json!(number);
    let document = json!({"type": "and",
                          "children": [country, condition("consent", "is_true"), score]});
    DestinationPolicy {
        id: Uuid::now_v7(),
        workspace_id,
        parent_model_id,
        destination_type: "webhook".to_owned(),
        name: format!("policy {number}"),
        description: "Of middling length, as people write them.".to_owned(),
        filter_tree: FilterDocument::parse(document).unwrap(),
        enabled: true,
        created_by: act.account_id,
        created_at: act.at,
        updated_at: act.at,
    }
}

/// Adds roles, groups that have them, and members in the groups; answers the key of the member in
/// the middle, who is in three groups.
async fn add_people(store: &Store, workspace_id: Uuid, act: &Act, size: &Size) -> String {
    let mut roles = Vec::new();
    for number in 0..size.roles {
        let role = Role {
            id: Uuid::now_v7(),
            workspace_id: Some(workspace_id),
            name: format!("role {number}"),
            description: String::new(),
            is_system: false,
            permissions: Permissions::where_(|_, action| action == "read"),
            created_at: act.at,
            updated_at: act.at,
        };
        store.insert_role(workspace_id, &role, act).await.unwrap();
        roles.push(role.id);
    }
    let mut groups = Vec::new();
    for number in 0..size.groups {
        let group = Group {
            id: Uuid::now_v7(),
            workspace_id,
            name: format!("group {number}"),
            description: String::new(),
            role_id: Some(roles[number % roles.len()]),
            role_name: None,
            member_count: 0,
            created_at: act.at,
            updated_at: act.at,
        };
        groups.push(store.insert_group(&group, act).await.unwrap());
    }
    let text = KeyText::from_random([2; 8], [2; 32]);
    for number in 0..size.accounts {
        let account = account(Uuid::now_v7(), &format!("member{number}"), act);
        store.insert_account(&account, act).await.unwrap();
        let member = store.insert_member(workspace_id, account.id, MEMBER, act);
        member.await.unwrap();
        let is_caller = number == size.accounts / 2;
        for place in 0..if is_caller { 3 } else { 1 } {
            let group = &groups[(number + place) % groups.len()];
            let placed = store.insert_group_member(group, account.id, act);
            placed.await.unwrap();
        }
        if is_caller {
            let key = key(account.id, act);
            let kept = store.insert_key(&key, &text, act);
            kept.await.unwrap();
        }
    }
    text.expose().to_owned()
}

// The server, in a process of its own.

async fn serve_from(folder: &Path) {
    telemetry::start();
    let settings = Settings {
        data_dir: Some(folder.to_owned()),
        store: Some(std::env::var("SYNCGUARD_STORE").unwrap()),
        requests_per_second: Some(1_000_000),
        ..Settings::default()
    };
    let app = App::open(settings.into_config().unwrap(), Arc::new(Utc::now));
    let app = app.await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    std::thread::spawn(move || {
        // The client lets go of the other end when it is done, and when it dies.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.cancel();
    });
    app.serve(Listeners::http(listener), shutdown)
        .await
        .unwrap();
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(seeded: &Seeded) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--serve")
            .arg(seeded.folder.path())
            .env("SYNCGUARD_STORE", &seeded.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        answers.read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the server did not start");
        Server {
            child,
            address: address.trim().parse().unwrap(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

// The client.

/// What a measurement under load found.
struct Load {
    per_second: f64,
    /// Times of requests that half of them, and 99 of 100, did not exceed, in milliseconds.
    p50: f64,
    p99: f64,
}

async fn load(address: SocketAddr, request: &Arc<[u8]>) -> Load {
    let started = Instant::now();
    let until = started + SPAN;
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(ask_until(address, Arc::clone(request), until)))
        .collect();
    let mut times = Vec::new();
    for connection in connections {
        times.extend(connection.await.unwrap());
    }
    let elapsed = started.elapsed();
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    Load {
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        p50: at(50),
        p99: at(99),
    }
}

/// Asks again and again, and tells how long each answer took.
async fn ask_until(address: SocketAddr, request: Arc<[u8]>, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut times = Vec::with_capacity(1 << 16);
    loop {
        let started = Instant::now();
        if started >= until {
            return times;
        }
        ask(&mut stream, &request, &mut buffer).await;
        times.push(started.elapsed());
    }
}

/// Asks once; answers where the body lies in the buffer. Any status but 200 is a failure.
async fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Range<usize> {
    stream.write_all(request).await.unwrap();
    let mut read = 0;
    let mut body: Option<Range<usize>> = None;
    loop {
        let more = stream.read(&mut buffer[read..]).await.unwrap();
        assert!(more > 0, "the server hung up, or an answer is too long");
        read += more;
        if body.is_none() {
            body = body_of(&buffer[..read]);
        }
        if let Some(body) = body.take_if(|body| body.end <= read) {
            return body;
        }
    }
}

/// Where the body of an answer lies, once its head is there.
fn body_of(read: &[u8]) -> Option<Range<usize>> {
    let start = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&read[..start]).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    Some(start..start + length)
}

fn request(seeded: &Seeded, path: &str) -> Arc<[u8]> {
    let (workspace_id, key) = (seeded.workspace_id, &seeded.key);
    let request = format!(
        "GET /api/v1/workspaces/{workspace_id}/{path} HTTP/1.1\r\n\
         host: localhost\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    request.into_bytes().into()
}

async fn answer(address: SocketAddr, request: &[u8]) -> Value {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut buffer = vec![0; 1 << 16];
    let body = ask(&mut stream, request, &mut buffer).await;
    serde_json::from_slice(&buffer[body]).unwrap()
}

async fn measure_load(database: &Database) {
    let stores = [seed(database, &EMPTY).await, seed(database, &FULL).await];
    {
        let servers = stores.each_ref().map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let policies = stores.each_ref().map(|store| {
            let path = format!("destination-rules/{}", store.policy_id);
            request(store, &path)
        });
        let permissions = stores
            .each_ref()
            .map(|store| request(store, "permissions/me"));
        for (number, store) in stores.iter().enumerate() {
            let found = answer(addresses[number], &policies[number]).await;
            assert_eq!(found["id"], json!(store.policy_id));
            let found = answer(addresses[number], &permissions[number]).await;
            assert!(found.as_array().is_some_and(|found| !found.is_empty()));
        }
        println!("{}, {CONNECTIONS} connections:", database.name());
        compare("a policy", addresses, &policies).await;
        compare("permissions/me", addresses, &permissions).await;
    }
    for store in &stores {
        database.remove(&store.url).await;
    }
}

/// Measures a request of the empty store and of the full one in turns, and tells the medians.
async fn compare(what: &str, addresses: [SocketAddr; 2], requests: &[Arc<[u8]>; 2]) {
    let mut loads = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        // Neither is always the first.
        for store in [round % 2, 1 - round % 2] {
            let load = load(addresses[store], &requests[store]).await;
            if round > 0 {
                loads[store].push(load);
            }
        }
    }
    for (store, loads) in ["empty", "full"].iter().zip(&loads) {
        println!(
            "  {what:<15} {store:<6} {:>7.0} requests/s   p50 {:.2} ms   p99 {:.2} ms",
            median(loads.iter().map(|load| load.per_second)),
            median(loads.iter().map(|load| load.p50)),
            median(loads.iter().map(|load| load.p99)),
        );
    }
    let pairs = || loads[0].iter().zip(&loads[1]);
    println!(
        "  {what:<15} full / empty, median of {ROUNDS} pairs: requests/s {:.2}, p99 {:.2}",
        median(pairs().map(|(empty, full)| full.per_second / empty.per_second)),
        median(pairs().map(|(empty, full)| full.p99 / empty.p99)),
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// Publishing.

async fn measure_publishing(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let url = database.fresh(folder.path()).await;
    let store = Store::open(&url).await.unwrap();
    // As another process on the same database has them.
    let other = Store::open(&url).await.unwrap();
    let registry = Registry::default();
    let (workspace_id, act) = begin(&store).await;
    let models = add_models(&store, workspace_id, &act).await;
    let publisher = Publisher::new(store.clone(), Arc::new(Registry::default()));
    println!(
        "{}, publishing one more policy, medians of {PUBLICATIONS} in ms:",
        database.name()
    );
    let mut there = 0;
    for size in [10, 1_000, 10_000] {
        add_policies(&store, workspace_id, &act, &models, there..size).await;
        there = size;
        let started = Instant::now();
        let anew = Registry::default();
        other.policies_in_force(&anew, workspace_id).await.unwrap();
        let loaded = started.elapsed().as_secs_f64() * 1e3;
        for (of, parent) in [("one model", Some(models[0])), ("every model", None)] {
            let (mut published, mut learnt) = (Vec::new(), Vec::new());
            for number in 0..=PUBLICATIONS {
                let edit = Edit::create(policy(workspace_id, parent, size, &act));
                let made = edit.after.clone().unwrap();
                let started = Instant::now();
                let change = [Change::DestinationPolicy(edit)];
                let done = publisher.publish(workspace_id, &change, &act);
                done.await.unwrap();
                let publishing = started.elapsed();
                let started = Instant::now();
                let now = other.policies_in_force(&registry, workspace_id);
                let now = now.await.unwrap();
                let learning = started.elapsed();
                assert_eq!(now.destination_policies.len(), size + 1);
                let change = [Change::DestinationPolicy(Edit::delete(made))];
                let undone = publisher.publish(workspace_id, &change, &act);
                undone.await.unwrap();
                let now = other.policies_in_force(&registry, workspace_id);
                now.await.unwrap();
                if number > 0 {
                    published.push(publishing.as_secs_f64() * 1e3);
                    learnt.push(learning.as_secs_f64() * 1e3);
                }
            }
            println!(
                "  beside {size:>6}, of {of:<11}  published {:>7.2}   learnt elsewhere {:>6.2}",
                median(published.into_iter()),
                median(learnt.into_iter()),
            );
        }
        println!("  beside {size:>6}, a new process loads all in {loaded:.2}");
    }
    store.close().await;
    other.close().await;
    database.remove(&url).await;
}
