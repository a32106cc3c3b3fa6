//! psql, as people type into it.

use serde_json::json;

use super::kinds::COLUMNS;
use super::world::{Analyst, World};
use crate::support::temporary_folder;

/// How psql ended, and what it wrote.
struct Said {
    code: Option<i32>,
    rows: String,
    errors: String,
}

impl Said {
    /// Its lines, if it went well.
    #[track_caller]
    fn lines(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(0), "{}", self.errors);
        assert_eq!(self.errors, "");
        self.rows.lines().collect()
    }
}

/// psql without headers and alignment.
async fn psql(world: &World, analyst: &Analyst, arguments: &[&str], input: &str) -> Said {
    let program = [&["psql", "--no-psqlrc", "-A", "-t", "-q"], arguments].concat();
    let output = world.output(analyst, &program, input).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said {
        code: output.status.code(),
        rows: text(output.stdout),
        errors: text(output.stderr),
    }
}

async fn commands(world: &World, analyst: &Analyst, commands: &[&str]) -> Said {
    let arguments: Vec<_> = commands
        .iter()
        .flat_map(|command| ["-c", command])
        .collect();
    psql(world, analyst, &arguments, "").await
}

/// The first two fields of lines.
fn pairs<'a>(lines: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let pair = |line: &&'a str| {
        let mut fields = line.split('|');
        (fields.next().unwrap_or(""), fields.next().unwrap_or(""))
    };
    lines.iter().map(pair).collect()
}

const ALL: &str = "SELECT * FROM kinds ORDER BY id";
const NULL: &str = "null=(null)";

/// Fields in the order of rows, where [`NULL`] says what NULL is.
fn rows<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<Vec<Option<String>>> {
    let fields: Vec<_> = fields
        .map(|field| (field != "(null)").then(|| field.to_owned()))
        .collect();
    fields.chunks(COLUMNS.len()).map(<[_]>::to_vec).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_sees_what_its_user_may_see() {
    let world = World::new().await;
    for analyst in world.analysts() {
        let who = format!("psql as {}", analyst.email);
        // Zero bytes between fields and rows: no value has one.
        for more in [&[][..], &["-v", "FETCH_COUNT=37"]] {
            let arguments = ["-z", "-0", "-P", NULL, "-c", ALL];
            let said = psql(&world, analyst, &[more, &arguments].concat(), "").await;
            assert_eq!(said.code, Some(0), "{who}: {}", said.errors);
            let fields = said.rows.split_terminator('\0');
            world.check_rows(analyst, &format!("{who}, {more:?}"), &rows(fields));
        }
        let said = commands(&world, analyst, &["SELECT count(*) FROM kinds"]).await;
        let count = world.seen_by(analyst).len();
        assert_eq!(said.lines(), [count.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_what_its_user_may_see() {
    let world = World::new().await;
    let (_folder, folder) = temporary_folder();
    let file = folder.join("rows.csv");
    for analyst in world.analysts() {
        let who = format!("psql as {}", analyst.email);
        let copy = format!("\\copy ({ALL}) TO '{}' WITH CSV", file.display());
        let said = commands(&world, analyst, &[&copy]).await;
        assert!(said.lines().is_empty(), "{who}: {}", said.rows);
        let written = std::fs::read_to_string(&file).expect("the file");
        world.check_rows(analyst, &format!("{who}: \\copy"), &csv(&written));

        let copy = format!("COPY ({ALL}) TO STDOUT");
        let said = commands(&world, analyst, &[&copy]).await;
        assert_eq!(said.code, Some(0), "{who}: {}", said.errors);
        world.check_rows(analyst, &format!("{who}: COPY"), &copied(&said.rows));
    }
}

/// The fields of PostgreSQL's CSV, in which NULL is nothing and an empty text is quoted.
fn csv(text: &str) -> Vec<Vec<Option<String>>> {
    let mut fields = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            loop {
                let (part, after) = quoted.split_once('"').expect("a closing quote");
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            fields.push(Some(field));
        } else {
            let end = rest.find([',', '\n']).expect("an end of the line");
            let (field, after) = rest.split_at(end);
            fields.push((!field.is_empty()).then(|| field.to_owned()));
            rest = after;
        }
        rest = &rest[1..];
    }
    fields.chunks(COLUMNS.len()).map(<[_]>::to_vec).collect()
}

/// The fields of PostgreSQL's text format.
fn copied(text: &str) -> Vec<Vec<Option<String>>> {
    let field = |field: &str| {
        let mut value = String::new();
        let mut characters = field.chars();
        while let Some(character) = characters.next() {
            value.push(match character {
                '\\' => match characters.next().expect("what is escaped") {
                    'N' => return None,
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                },
                other => other,
            });
        }
        Some(value)
    };
    let lines = text.split_terminator('\n');
    lines
        .map(|line| line.split('\t').map(field).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes_the_models() {
    let world = World::new().await;
    let types = [
        "bigint",
        "smallint",
        "integer",
        "numeric(12,2)",
        "double precision",
        "real",
        "boolean",
        "text",
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
        "text",
    ];
    let kinds: Vec<_> = COLUMNS
        .iter()
        .map(|column| column.name)
        .zip(types)
        .collect();
    let customers = [
        ("id", "bigint"),
        ("name", "text"),
        ("country", "text"),
        ("consent", "boolean"),
    ];
    let tables = [("public", "customers"), ("public", "kinds")];
    for analyst in world.analysts() {
        for list in ["\\dt", "\\d"] {
            let said = commands(&world, analyst, &[list]).await;
            assert_eq!(pairs(&said.lines()), tables, "{list}");
        }
        let said = commands(&world, analyst, &["\\d customers"]).await;
        assert_eq!(pairs(&said.lines()), customers);
        for described in ["\\d kinds", "\\d public.kinds", "\\d+ kinds"] {
            let said = commands(&world, analyst, &[described]).await;
            let lines = said.lines();
            assert_eq!(pairs(&lines[..COLUMNS.len()]), kinds, "{described}");
        }
        let said = commands(&world, analyst, &["\\dn"]).await;
        assert!(pairs(&said.lines()).iter().any(|pair| pair.0 == "public"));
        let said = commands(&world, analyst, &["\\l"]).await;
        assert_eq!(pairs(&said.lines())[0].0, "default");
        let said = psql(&world, analyst, &[], &format!("{ALL} \\gdesc\n")).await;
        assert_eq!(pairs(&said.lines()), kinds, "\\gdesc");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_ends_as_people_expect() {
    let world = World::new().await;
    let analyst = &world.north;
    let said = commands(&world, analyst, &["SELECT 1; SELECT 'two'"]).await;
    assert_eq!(said.lines(), ["1", "two"]);
    let said = commands(&world, analyst, &["SELECT 1", "SELECT 'two'"]).await;
    assert_eq!(said.lines(), ["1", "two"]);

    for (statements, done) in [
        (&["SELECT 1; SELECT * FROM nothing; SELECT 2"][..], "1\n"),
        (&["SELECT 1", "SELECT * FROM nothing"], "1\n"),
        (&["SELECT 1 / (id - id) FROM kinds"], ""),
        (&["SELECT CAST(\"Full Name\" AS BIGINT) FROM kinds"], ""),
        (&["DROP TABLE kinds"], ""),
        (&["COPY kinds TO '/tmp/kinds.csv'"], ""),
        (&["COPY (SELECT 1) TO PROGRAM 'cat'"], ""),
    ] {
        let said = commands(&world, analyst, statements).await;
        assert_eq!(said.code, Some(1), "{statements:?}: {}", said.rows);
        assert_eq!(said.rows, done, "{statements:?}");
        assert!(said.errors.starts_with("ERROR:  "), "{}", said.errors);
        assert_eq!(said.errors.matches("ERROR").count(), 1, "{}", said.errors);
    }

    // A script goes on after a fault, or does not.
    let script = "SELECT 1;\nSELECT * FROM nothing;\nSELECT 2;\n";
    let said = psql(&world, analyst, &[], script).await;
    assert_eq!((said.code, said.rows.as_str()), (Some(0), "1\n2\n"));
    let said = psql(&world, analyst, &["-v", "ON_ERROR_STOP=1"], script).await;
    assert_eq!((said.code, said.rows.as_str()), (Some(3), "1\n"));

    let said = psql(&world, analyst, &["-l"], "").await;
    assert_eq!(pairs(&said.lines())[0].0, "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_is_told_alike_of_a_wrong_key_and_an_unknown_user() {
    let world = World::new().await;
    let mut told = Vec::new();
    for (user, key) in [
        (&world.north.email, &world.south.key),
        (&"stranger@example.com".to_owned(), &world.south.key),
        (&world.north.email, &"secret".to_owned()),
    ] {
        let stranger = Analyst::known_as(user, key);
        let said = commands(&world, &stranger, &["SELECT 1"]).await;
        assert_eq!(said.code, Some(2), "{}", said.rows);
        told.push(json!([
            said.rows,
            said.errors.replace(user.as_str(), "USER")
        ]));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
}
