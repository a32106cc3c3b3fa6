//! The forms of an answer: which is chosen, and what each looks like.

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use serde_json::{Value, json};

use super::super::fixtures::{House, keys, message};
use super::super::{BOOTSTRAP_KEY, Server};
use super::code;

on_both_stores!(every_form_has_the_same_rows);

const FORMS: [(&str, &str); 5] = [
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("csv", "text/csv"),
    ("arrow", "application/vnd.apache.arrow.stream"),
    ("parquet", "application/vnd.apache.parquet"),
];

/// What was answered, as it came.
struct Came {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Came {
    fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[track_caller]
    fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
    }
}

impl Server {
    async fn asked(&self, key: &str, path: &str, sql: &str, headers: &[(&str, &str)]) -> Came {
        let mut request = self
            .request(Method::POST, path)
            .bearer_auth(key)
            .body(json!({"sql": sql}).to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        Came {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("a whole body").to_vec(),
        }
    }
}

fn ids_of(batches: impl IntoIterator<Item = RecordBatch>) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in batches {
        let column = batch.column(0).as_any().downcast_ref::<Int64Array>();
        ids.extend(column.expect("ids").values());
    }
    ids
}

/// The ids of an answer, in whatever form.
fn ids(form: &str, body: &[u8]) -> Vec<i64> {
    let text = String::from_utf8_lossy(body);
    let number = |value: &Value| value.as_i64().expect("a number");
    match form {
        "json" => {
            let table: Value = serde_json::from_str(&text).expect("a table");
            assert_eq!(keys(&table), ["columns", "rows"]);
            let rows = table["rows"].as_array().expect("rows");
            rows.iter().map(|row| number(&row[0])).collect()
        }
        "ndjson" => text
            .lines()
            .map(|line| {
                let record: Value = serde_json::from_str(line).expect("a record");
                assert_eq!(keys(&record), ["id", "country"]);
                number(&record["id"])
            })
            .collect(),
        "csv" => {
            let mut lines = text.lines();
            assert_eq!(lines.next(), Some("id,country"));
            let id = |line: &str| line.split(',').next().and_then(|id| id.parse().ok());
            lines.map(|line| id(line).expect("an id")).collect()
        }
        "arrow" => {
            let reader = StreamReader::try_new(body, None).expect("a stream");
            ids_of(reader.map(Result::unwrap))
        }
        "parquet" => {
            let file = bytes::Bytes::copy_from_slice(body);
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a file");
            ids_of(reader.build().unwrap().map(Result::unwrap))
        }
        other => panic!("{other}"),
    }
}

async fn every_form_has_the_same_rows(server: Server) {
    let house = House::of(&server).await;
    let path = format!("{}/query", house.ws);
    let all = "SELECT id, country FROM customers ORDER BY id";
    let none = "SELECT id, country FROM customers WHERE id < 0";
    for (form, media_type) in FORMS {
        for (key, sql, expected) in [
            (BOOTSTRAP_KEY, all, vec![1, 2, 3, 4, 5]),
            (house.analyst.1.as_str(), all, vec![2, 4]),
            (BOOTSTRAP_KEY, none, vec![]),
        ] {
            let accepted = server
                .asked(key, &path, sql, &[("accept", media_type)])
                .await;
            let text = String::from_utf8_lossy(&accepted.body);
            assert_eq!(accepted.status, 200, "{form}: {text}");
            assert_eq!(accepted.header(CONTENT_TYPE), Some(media_type));
            assert_eq!(accepted.header(CACHE_CONTROL), Some("private, no-cache"));
            assert_eq!(
                accepted.header(VARY),
                Some("Accept, Authorization, X-API-Key")
            );
            assert!(accepted.header("syncguard-policy-revision").is_some());
            assert_eq!(ids(form, &accepted.body), expected, "{form}");
            // What is named comes before what is accepted.
            let named = format!("{path}?format={form}");
            let named = server
                .asked(key, &named, sql, &[("accept", "text/html")])
                .await;
            assert_eq!(named.header(CONTENT_TYPE), Some(media_type));
            assert_eq!(ids(form, &named.body), expected, "{form}");
        }
    }
}

#[tokio::test]
async fn values_keep_what_they_are() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let sql = "SELECT 9007199254740993 AS big, CAST('NaN' AS DOUBLE PRECISION) AS nan, \
               CAST('1.50' AS DECIMAL(10, 2)) AS price, DATE '2026-01-31' AS day, NULL AS nothing, \
               TRUE AS yes, 'a\"\n' AS \"T\", 1.5 AS half";
    let came = server
        .asked(BOOTSTRAP_KEY, &format!("{ws}/query"), sql, &[])
        .await;
    let text = String::from_utf8_lossy(&came.body);
    assert_eq!(came.status, 200, "{text}");
    let rows =
        "\"rows\":[[9007199254740993,null,1.50,\"2026-01-31\",null,true,\"a\\\"\\n\",1.5]]}\n";
    assert!(text.ends_with(rows), "{text}");
    let columns = json!([
        {"name": "big", "type": "Int64"},
        {"name": "nan", "type": "Float64"},
        {"name": "price", "type": "Decimal128(10, 2)"},
        {"name": "day", "type": "Date32"},
        {"name": "nothing", "type": "Null"},
        {"name": "yes", "type": "Boolean"},
        {"name": "T", "type": "Utf8"},
        {"name": "half", "type": "Float64"},
    ]);
    assert_eq!(came.json()["columns"], columns);
}

#[tokio::test]
async fn columns_are_told_as_models_tell_them() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let path = format!("{}/models/{}", house.ws, house.catalog.model);
    let model = server.get(&path).await.expect(200);
    let query = format!("{}/query", house.ws);
    let came = server
        .asked(BOOTSTRAP_KEY, &query, "SELECT * FROM customers", &[])
        .await;
    let expected: Vec<Value> = model["schema"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| json!({"name": column["name"], "type": column["type"]}))
        .collect();
    assert_eq!(came.json()["columns"], json!(expected));
}

#[tokio::test]
async fn what_is_not_there_is_not_answered() {
    let server = Server::start().await;
    let ws = server.workspace().await;
    let path = format!("{ws}/query");
    let ask = async |path: &str, sql: &str, accept: &str| {
        let accept = [(ACCEPT.as_str(), accept)];
        server.asked(BOOTSTRAP_KEY, path, sql, &accept).await
    };
    for accept in ["text/html", "application/json;q=0", "image/*"] {
        let came = ask(&path, "SELECT 1 AS one", accept).await;
        assert_eq!(came.status, 406, "{accept}");
        let error = came.json();
        assert_eq!(code(&error), "not_acceptable");
        for (_, media_type) in FORMS {
            assert!(message(&error).contains(media_type), "{error}");
        }
    }
    let came = ask(&format!("{path}?format=xlsx"), "SELECT 1 AS one", "*/*").await;
    assert_eq!(came.status, 400);
    assert!(message(&came.json()).contains("parquet"));
}

#[tokio::test]
async fn a_name_that_comes_twice_takes_a_form_that_can_have_it() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let twice = "SELECT a.id, b.id FROM customers a JOIN customers b ON a.id = b.id";
    let once = "SELECT a.id, b.id AS other FROM customers a JOIN customers b ON a.id = b.id";
    let ask = async |form: &str, sql: &str| {
        let path = format!("{}/query?format={form}", house.ws);
        server.asked(BOOTSTRAP_KEY, &path, sql, &[]).await
    };
    for form in ["json", "csv", "arrow"] {
        assert_eq!(ask(form, twice).await.status, 200, "{form}");
    }
    let table = ask("json", twice).await.json();
    assert_eq!(table["columns"][0], table["columns"][1]);
    // Records cannot have a key twice.
    for form in ["ndjson", "parquet"] {
        let came = ask(form, twice).await;
        assert_eq!(came.status, 422, "{form}");
        let error = came.json();
        assert_eq!(code(&error), "not_representable");
        assert!(message(&error).contains("`id`") && message(&error).contains("alias"));
        assert_eq!(ask(form, once).await.status, 200, "{form}");
    }
}

#[tokio::test]
async fn an_answer_that_the_caller_has_is_not_sent_again() {
    let server = Server::start().await;
    let house = House::of(&server).await;
    let path = format!("{}/query", house.ws);
    let ask = async |sql: &str, headers: &[(&str, &str)]| {
        server.asked(BOOTSTRAP_KEY, &path, sql, headers).await
    };
    let sql = "SELECT 1 AS one";
    let first = ask(sql, &[]).await;
    let tag = first.header(ETAG).expect("an ETag").to_owned();
    let weak = format!("W/{tag}, \"other\"");
    for sent in ["*", &tag, &weak] {
        let again = ask(sql, &[(IF_NONE_MATCH.as_str(), sent)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{sent}");
        assert_eq!(again.header(ETAG), Some(tag.as_str()));
        assert!(again.header("syncguard-policy-revision").is_some());
    }
    let other = ask(sql, &[(IF_NONE_MATCH.as_str(), "\"other\"")]).await;
    assert_eq!((other.status, other.body), (200, first.body));
    // Another form, another statement, another revision: another answer.
    let known = (IF_NONE_MATCH.as_str(), tag.as_str());
    let csv = ask(sql, &[known, ("accept", "text/csv")]).await;
    assert_eq!(csv.status, 200);
    assert_ne!(csv.header(ETAG), Some(tag.as_str()));
    assert_eq!(ask("SELECT 2 AS one", &[known]).await.status, 200);
    server.category(&house.ws, "Brand", "allow").await;
    assert_eq!(ask(sql, &[known]).await.status, 200);
    let faulty = ask(sql, &[(IF_NONE_MATCH.as_str(), "unquoted")]).await;
    assert_eq!(faulty.status, 400);
    // What changes by itself has none.
    let came = ask("SELECT now() AS now", &[]).await;
    assert_eq!((came.status, came.header(ETAG)), (200, None));
}
