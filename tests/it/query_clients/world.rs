//! A workspace with rows of many types, three analysts who see different ones, and their clients.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::kinds::{self, COLUMNS, Row, mark};
use crate::api::fixtures::{condition, equals};
use crate::api::{MEMBER, Server, text};
use crate::programs::{python, run};
use crate::support::repository_file;

/// Seconds after which a client is stuck.
const PATIENCE: &str = "120";
const REGIONS: [Option<&str>; 4] = [Some("north"), Some("south"), Some("east"), None];

pub(super) struct World {
    pub(super) server: Server,
    /// Where queries are posted.
    url: String,
    pub(super) rows: Vec<Row>,
    pub(super) north: Analyst,
    pub(super) south: Analyst,
    /// Nothing is assigned to them.
    pub(super) nobody: Analyst,
}

pub(super) struct Analyst {
    pub(super) email: String,
    pub(super) key: String,
    regions: &'static [&'static str],
}

impl World {
    pub(super) async fn new() -> World {
        // Answers of many batches, so that clients meet their borders.
        let server = Server::start_with(|config| config.batch_rows = 100).await;
        let ws = server.workspace().await;
        let customers = server.catalog(&ws).await.model;
        let rows = kinds::rows();
        let file = server.folder.path().join("data/files/kinds.parquet");
        std::fs::write(file, kinds::parquet(&rows)).expect("the file can be written");
        let source = json!({"name": "kinds", "type": "files", "config": {"path": "kinds.parquet"}});
        let source = server.made(&format!("{ws}/sources"), source).await;
        let model = json!({
            "name": "kinds",
            "source_id": source,
            "table": "files",
            "primary_key": ["id"],
        });
        let model = server.made(&format!("{ws}/models"), model).await;
        let category = server.category(&ws, "Region", "deny").await;
        let mut analysts = Vec::new();
        for (name, regions, country) in [
            ("north", &["north"][..], "US"),
            ("south", &["south", "east"][..], "FR"),
        ] {
            let group = server.group(&ws, name, None).await;
            let trees = [
                (&model, condition("region", "in", json!(regions))),
                (&customers, equals("country", country)),
            ];
            for (number, (model, tree)) in trees.into_iter().enumerate() {
                let title = format!("{name} {number}");
                let subset = server
                    .subset(&ws, &category, Some(model), &title, tree)
                    .await;
                server.assign(&ws, &subset, &group).await;
            }
            let analyst = analyst(&server, &ws, name, regions).await;
            server.enroll(&ws, &group, &analyst.0).await;
            analysts.push(analyst.1);
        }
        let south = analysts.pop().expect("two analysts");
        let north = analysts.pop().expect("two analysts");
        let (_, nobody) = analyst(&server, &ws, "nobody", &[]).await;
        World {
            url: format!("{}{ws}/query", server.base),
            server,
            rows,
            north,
            south,
            nobody,
        }
    }

    pub(super) fn analysts(&self) -> [&Analyst; 3] {
        [&self.north, &self.south, &self.nobody]
    }

    /// The rows that an analyst sees, in the order of their ids.
    pub(super) fn seen_by(&self, analyst: &Analyst) -> Vec<&Row> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|row| {
                row.region
                    .is_some_and(|region| analyst.regions.contains(&region))
            })
            .collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// Runs a program as an analyst, with `input` for it to read. Nothing that it tells has a
    /// mark of rows that they do not see.
    pub(super) async fn output(&self, analyst: &Analyst, program: &[&str], input: &str) -> Output {
        let mut command = Command::new("timeout");
        command
            .arg(PATIENCE)
            .args(program)
            .env("PGHOST", self.server.pg.ip().to_string())
            .env("PGPORT", self.server.pg.port().to_string())
            .env("PGUSER", &analyst.email)
            .env("PGPASSWORD", &analyst.key)
            .env("PGDATABASE", "default")
            .env("PGCONNECT_TIMEOUT", "60")
            .env("SYNCGUARD_URL", &self.url)
            .env("SYNCGUARD_FLIGHT", format!("grpc://{}", self.server.flight))
            .env("SYNCGUARD_EMAIL", &analyst.email)
            .env("SYNCGUARD_API_KEY", &analyst.key)
            .env("SYNCGUARD_OTHER_KEY", &self.south.key)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Some write in the language of their user.
            .env("LC_ALL", "C.UTF-8");
        for name in [
            "PGSSLMODE",
            "PGOPTIONS",
            "PGSERVICE",
            "PGTZ",
            "PGCLIENTENCODING",
        ] {
            command.env_remove(name);
        }
        let output = run(command, input.as_bytes().to_vec()).await;
        for told in [&output.stdout, &output.stderr] {
            let told = String::from_utf8_lossy(told);
            for region in REGIONS {
                let is_seen = region.is_some_and(|region| analyst.regions.contains(&region));
                assert!(
                    is_seen || !told.contains(&mark(region)),
                    "{program:?} tells {} of rows of {region:?}",
                    analyst.email
                );
            }
        }
        output
    }

    /// What a client tells, which is one JSON document. Its `rows` are all that the analyst sees,
    /// each time, and what it `found` is right.
    pub(super) async fn told(&self, analyst: &Analyst, program: &[&str]) -> Value {
        let output = self.output(analyst, program, "").await;
        let errors = String::from_utf8_lossy(&output.stderr);
        let who = format!("{} as {}", program.join(" "), analyst.email);
        assert!(output.status.success(), "{who}: {errors}");
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{who}: {error}: {errors}"));
        let each = |name: &str| told[name].as_object().cloned().unwrap_or_default();
        for (way, rows) in each("rows") {
            self.check_rows(analyst, &format!("{who}: {way}"), &texts(&rows));
        }
        for (condition, ids) in each("found") {
            let name = condition.split(':').next().expect("a name");
            let expected = self.seen_by(analyst).into_iter();
            let expected = expected.filter(|row| row.is_found(name));
            let expected = json!(expected.map(|row| row.id).collect::<Vec<_>>());
            assert_eq!(ids, expected, "{who}: {condition}");
        }
        told
    }

    /// What a script of `tests/clients` tells each of the analysts.
    pub(super) async fn told_to_each(&self, script: &[&str]) -> [Value; 3] {
        let script = command(script);
        let script: Vec<&str> = script.iter().map(String::as_str).collect();
        let mut told = Vec::new();
        for analyst in self.analysts() {
            told.push(self.told(analyst, &script).await);
        }
        <[Value; 3]>::try_from(told).expect("one for each")
    }

    /// Checks that rows, which are texts, are those that an analyst sees.
    #[track_caller]
    pub(super) fn check_rows(&self, analyst: &Analyst, who: &str, rows: &[Vec<Option<String>>]) {
        let expected: Vec<_> = self.seen_by(analyst).into_iter().map(Row::texts).collect();
        for (number, (row, expected)) in rows.iter().zip(&expected).enumerate() {
            assert_eq!(row.len(), COLUMNS.len(), "{who}");
            let row = COLUMNS.iter().zip(row);
            let row = row.map(|(column, text)| text.as_ref().map(|text| column.canonical(text)));
            assert_eq!(&row.collect::<Vec<_>>(), expected, "{who}: row {number}");
        }
        assert_eq!(rows.len(), expected.len(), "{who}: number of rows");
    }
}

impl Analyst {
    /// Somebody who sees nothing, whoever they say that they are.
    pub(super) fn known_as(email: &str, key: &str) -> Analyst {
        Analyst {
            email: email.to_owned(),
            key: key.to_owned(),
            regions: &[],
        }
    }
}

async fn analyst(
    server: &Server,
    ws: &str,
    name: &str,
    regions: &'static [&'static str],
) -> (String, Analyst) {
    let email = format!("{name}@example.com");
    let (account, key) = server.joined(ws, &email, MEMBER).await;
    let analyst = Analyst {
        email,
        key,
        regions,
    };
    (account, analyst)
}

/// How a script of `tests/clients` is run.
pub(super) fn command(script: &[&str]) -> Vec<String> {
    let file = repository_file("tests/clients").join(script[0]);
    let mut command = match script[0].ends_with(".java") {
        true => {
            let driver = std::env::var("SYNCGUARD_TEST_PGJDBC").expect(
                "this test needs PostgreSQL's JDBC driver: run it with scripts/test, or set SYNCGUARD_TEST_PGJDBC to its file",
            );
            // Drivers tell the server where the virtual machine thinks that it is.
            let zone = "-Duser.timezone=America/New_York";
            ["java", zone, "-Dfile.encoding=UTF-8", "-cp", &driver]
                .map(str::to_owned)
                .to_vec()
        }
        false => vec![python().to_string_lossy().into_owned()],
    };
    command.push(file.to_string_lossy().into_owned());
    command.extend(script[1..].iter().map(|&argument| argument.to_owned()));
    command
}

/// Rows of texts out of a client's JSON.
fn texts(rows: &Value) -> Vec<Vec<Option<String>>> {
    let value = |value: &Value| match value {
        Value::Null => None,
        value => Some(text(value)),
    };
    let row = |row: &Value| row.as_array().expect("a row").iter().map(value).collect();
    rows.as_array().expect("rows").iter().map(row).collect()
}
