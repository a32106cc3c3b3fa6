//! Planted values and secrets, looked for at every exit: logs at their most talkative, metrics,
//! errors of runs, API answers, and what destinations receive.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::receiver::{Receiver, Reply};
use crate::rig::{Client, KEY, Process, assert_balanced, condition, text};
use crate::support::{fresh_postgres, temporary_folder};

/// Stands in every planted text.
const MARK: &str = "Kq7Zx";
/// A planted number.
const NUMBER: &str = "918273645546372";
/// How many records a file shows of its columns before they are settled.
const SAMPLE: usize = 10_000;

/// The secret of the webhook, in the form that a configuration takes.
fn webhook_secret() -> String {
    format!(
        "whsec_{}",
        STANDARD.encode(format!("webhook {MARK} secret, thirty-two bytes"))
    )
}

/// Everything that must come out nowhere, in the forms that it could come out in.
fn planted() -> Vec<String> {
    let bytes = format!("{:?}", MARK.as_bytes());
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        MARK.to_lowercase(),
        NUMBER.to_owned(),
        bytes.trim_matches(['[', ']']).to_owned(),
        hex,
        webhook_secret()["whsec_".len()..].to_lowercase(),
        KEY.to_lowercase(),
    ]
}

#[track_caller]
fn assert_clean(exit: &str, text: &str) {
    for line in text.lines() {
        let lower = line.to_lowercase();
        for secret in planted() {
            if let Some(at) = lower.find(&secret) {
                let around: String = lower.chars().take(at + 200).collect();
                panic!("{exit} tells {secret}: {around}");
            }
        }
    }
}

/// A record for the line of a CSV file: of those from DE the planted ones are withheld.
fn lines(count: usize) -> Vec<String> {
    let mut lines = vec!["id,name,country,number".to_owned()];
    for id in 1..=count {
        lines.push(match id % 10 {
            0 => format!("{id},withheld {MARK} {id},DE,{NUMBER}"),
            _ => format!("{id},passing {id},FR,{id}"),
        });
    }
    lines
}

/// Lets a PostgreSQL check the password only by name: it trusts everybody.
fn with_password(url: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_password(Some(&format!("password-{MARK}"))).unwrap();
    url.into()
}

/// The program under test and everything that came out of it.
struct Trial {
    process: Process,
    client: Client,
    folder: std::path::PathBuf,
    _guard: tempfile::TempDir,
}

impl Trial {
    async fn start(store: Option<&str>) -> Trial {
        let (guard, folder) = temporary_folder();
        std::fs::create_dir_all(folder.join("data/files")).unwrap();
        let mut environment = vec![
            ("SYNCGUARD_LOG", "trace"),
            ("SYNCGUARD_RETRY_ATTEMPTS", "2"),
            ("SYNCGUARD_RETRY_BASE_MS", "1"),
            ("SYNCGUARD_BATCH_ROWS", "1000"),
        ];
        environment.extend(store.map(|url| ("SYNCGUARD_STORE", url)));
        let mut process = Process::serve(&folder, &environment);
        let client = process.client(KEY).await;
        Trial {
            process,
            client,
            folder,
            _guard: guard,
        }
    }

    fn write(&self, name: &str, lines: &[String]) {
        std::fs::write(
            self.folder.join("data/files").join(name),
            lines.join("\n") + "\n",
        )
        .unwrap();
    }

    /// A request whose answer must be clean.
    async fn ask(&self, status: u16, method: Method, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let (got, answer) = self.client.ask(method, path, body).await;
        assert_eq!(got, status, "{path}: {answer:#}");
        assert_clean(path, &answer.to_string());
        answer
    }

    async fn source(&self, kind: &str, config: Value) -> String {
        self.client.source(kind, config).await
    }

    /// A model over a file; those from DE may not go to webhooks and databases.
    async fn model(&self, source_id: &str, query: Value) -> String {
        let model = self.client.model(source_id, query).await;
        for kind in ["webhook", "postgres"] {
            self.client
                .policy(&model, kind, condition("country", "not_in", json!(["DE"])))
                .await;
        }
        model
    }

    async fn file_model(&self, name: &str, lines: &[String]) -> String {
        self.write(name, lines);
        let source = self.source("files", json!({"path": name})).await;
        self.model(&source, json!({"table": "files", "primary_key": ["id"]}))
            .await
    }

    /// A webhook with a secret wherever one can be.
    async fn webhook(&self, receiver: &Receiver) -> String {
        let config = json!({
            "url": format!("{}?token=query-{MARK}", receiver.url()),
            "secret": webhook_secret(),
            "headers": {"X-Token": format!("header-{MARK}")},
            "batch_size": 100,
        });
        self.client.destination("webhook", config).await
    }

    /// Runs a sync; nothing of its run may tell a value. Answers its error.
    async fn run(&self, status: &str, model: &str, destination: &str) -> String {
        let sync = self.client.sync(model, destination, json!({})).await;
        let run = self.client.run_of(&sync).await;
        assert_eq!(run["status"], status, "{run:#}");
        assert_balanced(&run);
        assert_clean("a run", &run.to_string());
        assert_clean(
            "a sync",
            &self
                .client
                .get(&format!("syncs/{sync}/runs"))
                .await
                .to_string(),
        );
        run["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Looks at what can be read at any time, and at the log.
    async fn look_around(mut self) {
        for kind in [
            "sources",
            "models",
            "destinations",
            "syncs",
            "destination-rules",
        ] {
            let list = self.ask(200, Method::GET, kind, Value::Null).await;
            for object in list.as_array().unwrap() {
                let path = format!("{kind}/{}", text(&object["id"]));
                self.ask(200, Method::GET, &path, Value::Null).await;
            }
        }
        for path in ["/api/v1/me", "/metrics", "/readyz", "/version"] {
            self.ask(200, Method::GET, path, Value::Null).await;
        }
        self.process.terminate();
        assert!(self.process.exited().await.success());
        let log = self.process.log();
        let is_talkative = ["TRACE", "DEBUG"].iter().any(|level| log.contains(level));
        assert!(is_talkative, "the log says too little to tell");
        assert_clean("the log", &log);
    }
}

/// What arrived holds passing records only; the header that is meant for it is its own affair.
fn assert_received_clean(receiver: &Receiver) {
    for delivery in receiver.requests() {
        assert_clean("a body", &String::from_utf8_lossy(&delivery.body));
        for (name, value) in &delivery.headers {
            if name != "x-token" {
                assert_clean(name.as_str(), value.to_str().unwrap());
            }
        }
    }
}

#[tokio::test]
async fn deliveries_and_their_faults_tell_no_value() {
    let store = with_password(&fresh_postgres().await);
    let trial = Trial::start(Some(&store)).await;
    let model = trial.file_model("people.csv", &lines(1200)).await;

    let receiver = Receiver::verifying(&webhook_secret(), |_| Reply::Accept).await;
    let destination = trial.webhook(&receiver).await;
    trial.run("succeeded", &model, &destination).await;
    assert_eq!(receiver.records().len(), 1080);
    assert_received_clean(&receiver);

    // What passes is for the destination alone; it may send it back in its answer.
    let mut echoed = lines(1200);
    for (id, line) in echoed
        .iter_mut()
        .enumerate()
        .skip(1)
        .filter(|(id, _)| id % 10 != 0)
    {
        *line = format!("{id},passing {MARK} {id},FR,{NUMBER}");
    }
    let model = trial.file_model("echoed.csv", &echoed).await;
    for (code, status) in [
        (400, "succeeded"),
        (422, "succeeded"),
        (401, "failed"),
        (404, "failed"),
        (418, "failed"),
        (429, "failed"),
        (500, "failed"),
    ] {
        let receiver = Receiver::start(move |delivery| {
            Reply::Saying(code, String::from_utf8_lossy(&delivery.body).into_owned())
        })
        .await;
        let destination = trial.webhook(&receiver).await;
        let error = trial.run(status, &model, &destination).await;
        assert!(error.contains(&code.to_string()), "{error}");
    }
    let to = format!("http://127.0.0.1:9/?leak={MARK}");
    let receiver = Receiver::start(move |_| Reply::Redirect(to.clone())).await;
    let destination = trial.webhook(&receiver).await;
    trial.run("failed", &model, &destination).await;
    let receiver = Receiver::start(|_| Reply::ResetBefore).await;
    let destination = trial.webhook(&receiver).await;
    trial.run("failed", &model, &destination).await;
    drop(receiver);
    trial.run("failed", &model, &destination).await;

    let body = json!({"model_id": model, "destination_type": "webhook"});
    trial.ask(200, Method::POST, "preview", body).await;
    trial.look_around().await;
}

#[tokio::test]
async fn databases_that_refuse_rows_tell_no_value() {
    let trial = Trial::start(None).await;
    let mut people = lines(200);
    people[71] = format!("71,refused {MARK},FR,{NUMBER}");
    people[72] = format!("72,refused {MARK} at length,FR,5");
    let model = trial.file_model("people.csv", &people).await;
    let url = fresh_postgres().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection
        .execute(
            "CREATE TABLE checked (id BIGINT PRIMARY KEY, name TEXT CHECK (name LIKE 'passing %'), country TEXT, number BIGINT);
             CREATE TABLE narrow (id BIGINT PRIMARY KEY, name VARCHAR(12), country TEXT, number INTEGER);
             CREATE TABLE other (id BIGINT PRIMARY KEY, name BIGINT, country DATE, number BIGINT);
             CREATE TABLE unique_name (id BIGINT PRIMARY KEY, name TEXT, country TEXT UNIQUE, number BIGINT)",
        )
        .await
        .unwrap();
    for table in ["checked", "narrow", "other", "unique_name", "missing"] {
        let config = json!({"url": with_password(&url), "table": table});
        let destination = trial.client.destination("postgres", config).await;
        let sync = trial.client.sync(&model, &destination, json!({})).await;
        let run = trial.client.run_of(&sync).await;
        assert_balanced(&run);
        assert_clean(table, &run.to_string());
        assert!(run["error"].is_string(), "{table}: {run:#}");
        if table == "checked" {
            assert_eq!(run["rejected"], 2, "{run:#}");
            assert_eq!(run["delivered"], 178, "{run:#}");
        }
    }
    trial.look_around().await;
}

#[tokio::test]
async fn sources_that_cannot_be_read_tell_no_value() {
    let trial = Trial::start(None).await;
    let receiver = Receiver::accepting().await;
    let destination = trial.webhook(&receiver).await;

    // A broken record behind those that show the columns: it is the run that finds it.
    for (name, line) in [
        ("cell.csv", format!("{MARK},name,FR,5")),
        ("number.csv", format!("10501,name,FR,{MARK}")),
        ("short.csv", format!("10501,{MARK}")),
        ("long.csv", format!("10501,{MARK},FR,{NUMBER},{MARK}")),
        ("quote.csv", format!("10501,\"{MARK},FR,{NUMBER}")),
    ] {
        let mut lines = lines(SAMPLE + 600);
        lines[SAMPLE + 501] = line;
        let model = trial.file_model(name, &lines).await;
        let error = trial.run("failed", &model, &destination).await;
        assert!(error.contains(name), "{error}");
        // A preview reads fewer columns, and may not notice.
        let body = json!({"model_id": model, "destination_type": "webhook"});
        let (_, answer) = trial.client.ask(Method::POST, "preview", Some(body)).await;
        assert_clean("a preview", &answer.to_string());
    }
    let record =
        |id: usize| json!({"id": id, "name": "passing", "country": "FR", "number": id}).to_string();
    for (name, line) in [
        (
            "cell.ndjson",
            format!("{{\"id\": \"{MARK}\", \"country\": \"FR\"}}"),
        ),
        (
            "broken.ndjson",
            format!("{{\"id\": 5, \"name\": \"{MARK}\", \"country\""),
        ),
        (
            "garbage.ndjson",
            format!("{{\"id\": 5, \"country\": \"FR\"}} {MARK}"),
        ),
    ] {
        let mut lines: Vec<_> = (1..SAMPLE + 600).map(record).collect();
        lines[SAMPLE + 501] = line.clone();
        let model = trial.file_model(name, &lines).await;
        let error = trial.run("failed", &model, &destination).await;
        assert!(error.contains(name), "{error}");
        // Near the beginning it is saving the model that finds it, or else the run.
        lines[3] = line;
        let near = format!("near-{name}");
        trial.write(&near, &lines);
        let source = trial.source("files", json!({"path": near})).await;
        let body = json!({"name": near, "source_id": source, "table": "files"});
        let (_, answer) = trial.client.ask(Method::POST, "models", Some(body)).await;
        assert_clean(name, &answer.to_string());
    }
    let mut early = lines(100);
    early[50] = format!("50,{MARK}");
    trial.write("early.csv", &early);
    let source = trial.source("files", json!({"path": "early.csv"})).await;
    let body = json!({"name": "early", "source_id": source, "table": "files"});
    trial.ask(422, Method::POST, "models", body).await;

    // SQL that fails on a record.
    let mut people = lines(1200);
    people[600] = format!("600,{MARK},FR,{NUMBER}");
    trial.write("people.csv", &people);
    let source = trial.source("files", json!({"path": "people.csv"})).await;
    for sql in [
        "SELECT id, country, CAST(name AS BIGINT) AS name FROM files",
        "SELECT id, country, CAST(number AS SMALLINT) AS number FROM files",
        "SELECT id, country, 1 / (id - 600) AS number FROM files",
        "SELECT id, country, CAST(name AS DATE) AS name FROM files",
    ] {
        let model = trial.model(&source, json!({"sql": sql})).await;
        trial.run("failed", &model, &destination).await;
    }

    let url = with_password(&fresh_postgres().await);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let rows = format!(
        "CREATE TABLE people AS SELECT id, CASE id WHEN 600 THEN 'planted {MARK}' ELSE id::text END AS name,
         'FR'::text AS country, {NUMBER}::int8 AS number FROM generate_series(1, 1200) AS series(id)"
    );
    connection.execute(AssertSqlSafe(rows)).await.unwrap();
    let source = trial.source("postgres", json!({"url": url})).await;
    for sql in [
        "SELECT id, country, name::int8 AS name FROM people",
        "SELECT id, country, number::int2 AS number FROM people",
        "SELECT id, country, name::jsonb AS name FROM people",
    ] {
        let model = trial
            .model(&source, json!({"sql": sql, "primary_key": ["id"]}))
            .await;
        trial.run("failed", &model, &destination).await;
    }

    let path = trial.folder.join("data/files/people.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let rows = format!(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name INTEGER, country TEXT);
         WITH RECURSIVE series(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM series WHERE id < 1200)
         INSERT INTO people SELECT id, CASE id WHEN 600 THEN 'planted {MARK}' ELSE id END, 'FR' FROM series"
    );
    connection.execute(AssertSqlSafe(rows)).await.unwrap();
    connection.close().await.unwrap();
    let source = trial.source("sqlite", json!({"path": "people.db"})).await;
    let model = trial
        .model(&source, json!({"table": "people", "primary_key": ["id"]}))
        .await;
    trial.run("failed", &model, &destination).await;

    assert_received_clean(&receiver);
    trial.look_around().await;
}

#[tokio::test]
async fn requests_that_are_refused_tell_no_secret() {
    let trial = Trial::start(None).await;
    let model = trial.file_model("people.csv", &lines(20)).await;
    let receiver = Receiver::accepting().await;
    let url = receiver.url();
    for (kind, config) in [
        (
            "webhook",
            json!({"url": url, "secret": format!("whsec_{MARK} is no base64")}),
        ),
        ("webhook", json!({"url": url, "secret": [MARK]})),
        (
            "webhook",
            json!({"url": url, "headers": {"X-Token": format!("{MARK}\n")}}),
        ),
        (
            "webhook",
            json!({"url": url, "headers": {"X-Token": [MARK]}}),
        ),
        (
            "webhook",
            json!({"url": format!("http://user:{MARK}@127.0.0.1/")}),
        ),
        (
            "webhook",
            json!({"url": format!("http://10.0.0.1/?token={MARK}")}),
        ),
        (
            "postgres",
            json!({"url": format!("postgres://u:{MARK}@127.0.0.1:x/d"), "table": "t"}),
        ),
        (
            "postgres",
            json!({"url": format!("postgres://u:{MARK}@10.0.0.1/d"), "table": "t"}),
        ),
        (
            "postgres",
            json!({"url": format!("postgres://u:{MARK}@127.0.0.1/d?bad={MARK}"), "table": "t"}),
        ),
    ] {
        let body = json!({"name": "refused", "type": kind, "config": config});
        trial.ask(422, Method::POST, "destinations", body).await;
    }
    for config in [
        json!({"url": format!("postgres://u:{MARK}@127.0.0.1:x/d")}),
        json!({"url": format!("postgres://u:{MARK}@10.0.0.1/d")}),
        json!({"url": format!("postgres://u:{MARK}@127.0.0.1/d?bad={MARK}")}),
    ] {
        let body = json!({"name": "refused", "type": "postgres", "config": config});
        trial.ask(422, Method::POST, "sources", body).await;
    }
    // Nothing listens there: it is saving a model that finds out.
    let config = json!({"url": format!("postgres://u:{MARK}@127.0.0.1:9/d")});
    let source = trial.source("postgres", config).await;
    let body = json!({"name": "unreachable", "source_id": source, "table": "people"});
    trial.ask(503, Method::POST, "models", body).await;

    for record in [
        json!({"id": MARK}),
        json!({"number": MARK}),
        json!({"name": [MARK]}),
        json!({"country": {"in": MARK}}),
    ] {
        let body = json!({"model_id": model, "destination_type": "webhook", "records": [record]});
        trial.ask(422, Method::POST, "explain", body).await;
    }
    let (status, answer) = trial
        .client
        .ask(
            Method::POST,
            "sources",
            Some(json!(format!("{MARK} is no object"))),
        )
        .await;
    assert!((400..500).contains(&status));
    assert_clean("an answer", &answer.to_string());

    let path = trial.client.url("/api/v1/me");
    let anonymous = reqwest::Client::builder().no_proxy().build().unwrap();
    for key in [
        format!("sgk_{MARK}_wrong"),
        format!("{KEY}-{MARK}"),
        MARK.to_owned(),
    ] {
        let answer = anonymous.get(&path).bearer_auth(&key).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_clean("an answer", &answer.text().await.unwrap());
    }
    trial.look_around().await;
}
