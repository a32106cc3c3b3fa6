//! Where records stand in a body, what becomes of it without some of them, and which bodies are
//! refused.

use std::io::{Read, Write};

use reqwest::Method;
use serde_json::json;

use super::{ADA, BO, CY, House, JSON, NDJSON, body_records, told};

const CSV: &str = "text/csv";
const FORM: &str = "application/x-www-form-urlencoded";

/// Checks an array of records, whatever stands between them.
#[track_caller]
fn is_array_of(text: &str, records: &[&str]) {
    let inside = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let mut rest = inside.unwrap_or_else(|| panic!("no array: {text}"));
    for (i, record) in records.iter().enumerate() {
        let blank = |c: char| c.is_ascii_whitespace();
        rest = rest.trim_start_matches(blank);
        if i > 0 {
            rest = rest.strip_prefix(',').expect("a comma");
            rest = rest.trim_start_matches(blank);
        }
        rest = rest
            .strip_prefix(record)
            .unwrap_or_else(|| panic!("{record} is not there: {text}"));
    }
    assert_eq!(rest.trim(), "", "{text}");
}

#[tokio::test]
async fn a_body_of_records_goes_on_without_the_forbidden_ones() {
    for (content_type, sent, expected) in [
        (
            NDJSON,
            format!("{ADA}\n{BO}\n{CY}\n"),
            format!("{BO}\n{CY}\n"),
        ),
        (
            CSV,
            "id,country,x\n1,DE,\"a,b\"\n2,\"US\",\"c\"\"d\"\n3,FR,e\n".to_owned(),
            "id,country,x\n2,\"US\",\"c\"\"d\"\n3,FR,e\n".to_owned(),
        ),
    ] {
        let house = House::new(body_records()).await;
        let answer = house.send(content_type, sent).await;
        assert_eq!(told(&answer), ["3", "2", "1", "true"].map(Some));
        assert_eq!(house.seen().body, expected);
    }
    let house = House::new(body_records()).await;
    let answer = house.send(JSON, format!("[{BO} , {ADA},\n{CY}]")).await;
    assert_eq!(told(&answer), ["3", "2", "1", "true"].map(Some));
    let seen = house.seen();
    is_array_of(str::from_utf8(&seen.body).expect("text"), &[BO, CY]);
}

#[tokio::test]
async fn around_records_at_a_pointer_every_byte_stays() {
    let house = House::new(json!({"pointer": "/a~1b/1/rows"})).await;
    let before = " {\"z\": 1.0e5,\t\"a/b\": [[{\"id\":9,\"country\":\"DE\"}], {\"rows\"\n: ";
    let after = ", \"more\": \"\\u00e9\"}] ,\"b\":{} }\n";
    let body = format!("{before}[{ADA},{BO},{CY}]{after}");
    let answer = house.send("application/vnd.api+json", body).await;
    assert_eq!(told(&answer), ["3", "2", "1", "true"].map(Some));
    let seen = house.seen();
    let text = str::from_utf8(&seen.body).expect("text");
    let inside = text
        .strip_prefix(before)
        .and_then(|text| text.strip_suffix(after));
    is_array_of(inside.expect("the same around"), &[BO, CY]);
}

#[tokio::test]
async fn of_a_form_only_the_field_with_the_records_changes() {
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    for (records, before, after) in [
        (json!({"form_field": "pay load"}), "", ""),
        (
            json!({"form_field": "pay load", "pointer": "/data"}),
            "{\"schema\": [], \"data\": ",
            ", \"s\": \"ü&=+\"}",
        ),
    ] {
        let house = House::new(records).await;
        let field = encoded(&format!("{before}[{ADA},{BO},{CY}]{after}"));
        let answer = house
            .send(
                FORM,
                format!("a=%41+b&pay+load={field}&&access_token=t%2e&a=2"),
            )
            .await;
        assert_eq!(told(&answer), ["3", "2", "1", "true"].map(Some));
        let seen = house.seen();
        let text = str::from_utf8(&seen.body).expect("text");
        let field = text
            .strip_prefix("a=%41+b&pay+load=")
            .and_then(|text| text.strip_suffix("&&access_token=t%2e&a=2"));
        let field = format!("f={}", field.expect("the other fields as they were"));
        let (_, field) = url::form_urlencoded::parse(field.as_bytes())
            .next()
            .expect("the field");
        let inside = field
            .strip_prefix(before)
            .and_then(|text| text.strip_suffix(after));
        is_array_of(inside.expect("the same around"), &[BO, CY]);
    }
}

#[tokio::test]
async fn a_single_object_is_one_record() {
    for (records, content_type, prefix) in [
        (body_records(), JSON, ""),
        (json!({"form_field": "f"}), FORM, "f="),
    ] {
        let house = House::new(records).await;
        let sent = |record: &str| match prefix {
            "" => format!(" {record}\n"),
            _ => {
                let text: String =
                    url::form_urlencoded::byte_serialize(record.as_bytes()).collect();
                format!("{prefix}{text}")
            }
        };
        let answer = house.send(content_type, sent(BO)).await;
        assert_eq!(told(&answer), ["1", "1", "0", "true"].map(Some));
        assert_eq!(house.seen().body, sent(BO));
        let answer = house.send(content_type, sent(ADA)).await;
        assert_eq!(told(&answer), ["1", "0", "1", "false"].map(Some));
        let two = sent(&format!("{BO},{BO}"));
        house.send(content_type, two).await.expect(400);
        assert_eq!(house.receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_body_from_which_nothing_is_withheld_is_the_same() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    write!(encoder, "[{BO},\n{CY} ]").expect("gzip");
    let zipped = encoder.finish().expect("gzip");
    let plain = format!("[ {BO},\n{CY} ]").into_bytes();
    for (body, coding) in [
        (plain, "identity"),
        (zipped, "gzip"),
        (b" [ ]".to_vec(), "identity"),
    ] {
        let house = House::new(body_records()).await;
        let request = house
            .request(Method::PATCH, "/in")
            .header("content-type", "application/json; charset=utf-8")
            .header("content-encoding", coding)
            .header("content-md5", "theirs")
            .body(body.clone());
        let answer = house.server.send(request).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert_eq!(answer.header("syncguard-withheld"), Some("0"));
        let seen = house.seen();
        assert_eq!(seen.body, body);
        assert_eq!(seen.headers["content-md5"], "theirs");
        assert_eq!(seen.headers["content-encoding"], coding);
    }
}

#[tokio::test]
async fn a_compressed_body_is_compressed_again() {
    let house = House::new(body_records()).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write!(encoder, "{ADA}\n{BO}\n").expect("gzip");
    let request = house
        .request(Method::POST, "/in")
        .header("content-type", NDJSON)
        .header("content-encoding", "gzip")
        .header("content-digest", "old")
        .body(encoder.finish().expect("gzip"));
    let answer = house.server.send(request).await;
    assert_eq!(told(&answer), ["2", "1", "1", "true"].map(Some));
    let seen = house.seen();
    assert_eq!(seen.headers["content-encoding"], "gzip");
    assert!(!seen.headers.contains_key("content-digest"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(seen.body.as_ref())
        .read_to_string(&mut text)
        .expect("gzip");
    assert_eq!(text, format!("{BO}\n"));
}

#[tokio::test]
async fn a_body_without_the_columns_of_the_policies_is_refused() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (records, content_type, body, status) in [
        // Hashed columns, columns elsewhere, and records that are no objects.
        (
            body_records(),
            JSON,
            format!("[{{\"country_sha256\": \"{hash}\"}}]"),
            422,
        ),
        (
            body_records(),
            NDJSON,
            "{\"properties\": {\"country\": \"US\"}}\n".to_owned(),
            422,
        ),
        (
            body_records(),
            CSV,
            format!("id,country_sha256\n1,{hash}\n"),
            422,
        ),
        (
            json!({"pointer": "/payload/data"}),
            JSON,
            format!("{{\"payload\": {{\"schema\": [\"COUNTRY\"], \"data\": [[\"{hash}\"]]}}}}"),
            400,
        ),
    ] {
        let house = House::new(records).await;
        let answer = house.send(content_type, body).await;
        let error = answer.expect(status);
        if status == 422 {
            assert!(error.to_string().contains("country"), "{error}");
        }
        assert!(!error.to_string().contains(hash), "{error}");
        house.saw_nothing();
    }
}

#[tokio::test]
async fn a_column_that_some_records_lack_is_null_there() {
    let house = House::new(body_records()).await;
    let answer = house.send(NDJSON, format!("{{\"id\": 7}}\n{BO}\n")).await;
    assert_eq!(told(&answer), ["2", "1", "1", "true"].map(Some));
    assert_eq!(house.seen().body, format!("{BO}\n"));
    // One record that has it, if only as null, shows that these are the records meant.
    let house = House::new(body_records()).await;
    let body = "{\"id\": 7}\n{\"c\\u006funtry\": null}\n";
    let answer = house.send(NDJSON, body).await;
    assert_eq!(told(&answer), ["2", "0", "2", "false"].map(Some));
}

#[tokio::test]
async fn nothing_of_a_refused_body_goes_on() {
    let pointer = json!({"pointer": "/users"});
    let form = json!({"form_field": "p"});
    for (records, content_type, body, status) in [
        (body_records(), NDJSON, format!("{BO}\n{BO}{BO}\n"), 400),
        (
            body_records(),
            NDJSON,
            format!("{BO}\n{{\"id\": 1, \"id\": 2}}\n"),
            400,
        ),
        (
            body_records(),
            NDJSON,
            format!("{BO}\n{{\"Country\": \"US\"}}\n"),
            400,
        ),
        (body_records(), JSON, format!("[{BO}"), 400),
        (body_records(), JSON, format!("[{BO}] x"), 400),
        (body_records(), JSON, "1".to_owned(), 400),
        (body_records(), "text/plain", format!("[{BO}]"), 415),
        (body_records(), FORM, format!("[{BO}]"), 415),
        (pointer.clone(), JSON, format!("[{BO}]"), 400),
        (pointer.clone(), JSON, format!("{{\"users\": {BO}}}"), 400),
        (
            pointer.clone(),
            JSON,
            format!("{{\"users\": [], \"users\": [{BO}]}}"),
            400,
        ),
        (
            pointer.clone(),
            NDJSON,
            format!("{{\"users\": [{BO}]}}"),
            415,
        ),
        (
            pointer,
            "application/json; charset=utf-16",
            format!("{{\"users\": [{BO}]}}"),
            415,
        ),
        (form.clone(), FORM, "q=1".to_owned(), 400),
        (form.clone(), FORM, "p=%5B%5D&p=%5B%5D".to_owned(), 400),
        (form.clone(), FORM, "p=%5B%5D&p%5B0%5D=1".to_owned(), 400),
        (form.clone(), FORM, "p=%5B%5D&P=%5B%5D".to_owned(), 400),
        (
            form,
            "multipart/form-data; boundary=x",
            "p=%5B%5D".to_owned(),
            415,
        ),
    ] {
        let house = House::new(records).await;
        let answer = house.send(content_type, body.clone()).await;
        assert_eq!(
            answer.status, status,
            "{content_type} {body}: {:?}",
            answer.body
        );
        answer.expect(status);
        house.saw_nothing();
    }
    let house = House::new(body_records()).await;
    for coding in ["br", "gzip, gzip", "deflate"] {
        let request = house
            .request(Method::POST, "/in")
            .header("content-type", NDJSON)
            .header("content-encoding", coding)
            .body(format!("{BO}\n"));
        house.server.send(request).await.expect(415);
    }
    let request = house.request(Method::POST, "/in");
    let request = request
        .header("content-type", JSON)
        .header("content-type", NDJSON);
    let request = request.body(format!("{BO}\n"));
    house.server.send(request).await.expect(415);
    house.saw_nothing();
}
