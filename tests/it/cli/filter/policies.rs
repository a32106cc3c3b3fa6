//! Which policies apply, and what types the columns have that they read.

use arrow::ipc::reader::StreamReader;

use super::{PACK, Place, RECORDS, as_arrow, as_parquet, batch, condition, ids, ndjson, pack};

fn cases(schema: &str) -> String {
    format!(
        "version: 1\nnow: 2026-01-01T00:00:00Z\nschema: {{{schema}}}\n\
         cases: [{{name: a, destination_type: webhook, record: {{}}}}]\n"
    )
}

#[test]
fn no_policy_is_an_error_unless_that_is_meant() {
    let place = Place::new();
    let input = ndjson(&RECORDS);
    place
        .filter("--destination nowhere", &input)
        .refuses(&["no policy of these packs governs", "--allow-unguarded"]);
    let done = place
        .filter("--destination nowhere --allow-unguarded", &input)
        .exits(0);
    assert_eq!(done.out, input);
    let arrow = as_arrow(&batch());
    let done = place
        .filter(
            "--destination nowhere --allow-unguarded --format arrow",
            &arrow,
        )
        .exits(0);
    let reader = StreamReader::try_new(done.out.as_slice(), None).unwrap();
    assert_eq!(ids(reader.map(Result::unwrap)), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_model_says_which_policies_apply() {
    let place = Place::new();
    let input = ndjson(&RECORDS);
    // Without it, it cannot be told whether the policies of a model apply.
    place.filter("--destination webhook", &input).refuses(&[
        "\"with consent\"",
        "\"customers\"",
        "--model",
    ]);
    // No policy for files names a model.
    let done = place.filter("--destination file", &input).exits(0);
    assert_eq!(done.out, ndjson(&[RECORDS[0], RECORDS[3], RECORDS[5]]));
    let done = place
        .filter("--destination webhook --model visits", &input)
        .exits(0);
    assert_eq!(done.out, ndjson(&[RECORDS[0], RECORDS[3], RECORDS[5]]));
}

#[test]
fn a_column_that_a_policy_reads_and_nobody_has_is_an_error() {
    let place = Place::new();
    let named = ["\"with consent\"", "\"consent\""];
    place.write("types.yaml", b"country: string");
    place
        .customers("--schema types.yaml", &ndjson(&RECORDS))
        .refuses(&named)
        .refuses(&["rules/pack.yaml: $.policies[1].filter_tree"]);
    let narrow = batch().project(&[0, 1]).unwrap();
    place
        .customers("--format arrow", &as_arrow(&narrow))
        .refuses(&named);
    place
        .customers("--format parquet", &as_parquet(&narrow))
        .refuses(&named);
    place
        .customers("--format csv", b"id,country\n1,FR\n")
        .refuses(&["\"consent\""]);
    // An object without the key has NULL there.
    let done = place
        .customers("", &ndjson(&[r#"{"country":"FR"}"#]))
        .exits(0);
    assert_eq!(done.text(), "");
}

#[test]
fn types_come_from_the_flag_else_from_the_cases_else_from_the_conditions() {
    let low = pack("low", &condition("n", "operator: less_than, value: 5"));
    let nothing = pack("there", &condition("n", "operator: is_not_null"));
    let text = b"{\"n\":\"4\"}\n";
    let number = b"{\"n\":4}\n";
    let (two, three) = (cases("n: string, other: date"), cases("n: number"));
    // The conditions ask for a number, and text is none.
    let place = Place::with(&[("rules/a.yaml", &low)]);
    place.filter("--destination webhook", number).exits(0);
    place
        .filter("--destination webhook", text)
        .refuses(&["line 1: "]);
    // Text has no order.
    let place = Place::with(&[("rules/a.yaml", &low), ("rules/a.cases.yaml", &two)]);
    place
        .filter("--destination webhook", text)
        .refuses(&["rules/a.yaml: $.policies[0].filter_tree", "less_than"]);
    // The cases of a pack whose policies do not apply say nothing.
    let elsewhere = low.replace("webhook", "file");
    let place = Place::with(&[
        ("rules/a.yaml", &low),
        ("rules/b.yaml", &elsewhere),
        ("rules/b.cases.yaml", &two),
    ]);
    place.filter("--destination webhook", number).exits(0);
    // Neither do those of another model.
    let other = two.replace("schema:", "model: orders\nschema:");
    let place = Place::with(&[("rules/a.yaml", &low), ("rules/a.cases.yaml", &other)]);
    place
        .filter("--destination webhook --model customers", number)
        .exits(0);
    // Two that contradict each other.
    let place = Place::with(&[
        ("rules/a.yaml", &low),
        ("rules/a.cases.yaml", &three),
        ("rules/b.yaml", &nothing),
        ("rules/b.cases.yaml", &two),
        ("types.json", r#"{"n": "integer"}"#),
    ]);
    place.filter("--destination webhook", number).refuses(&[
        "\"n\"",
        "rules/a.cases.yaml",
        "rules/b.cases.yaml",
        "--schema",
    ]);
    place
        .filter("--destination webhook --schema types.json", number)
        .exits(0);
    // Nothing tells.
    let place = Place::with(&[
        ("rules/a.yaml", &nothing),
        ("types.yaml", "n: integer"),
        ("wrong.yaml", "n: int"),
    ]);
    place.filter("--destination webhook", number).refuses(&[
        "\"n\"",
        "rules/a.yaml: $.policies[0].filter_tree",
        "--schema",
    ]);
    place
        .filter("--destination webhook --schema types.yaml", number)
        .exits(0);
    place
        .filter("--destination webhook --schema wrong.yaml", number)
        .refuses(&["wrong.yaml", "$.n"]);
    place
        .filter(
            "--destination webhook --format arrow --schema types.yaml",
            b"",
        )
        .refuses(&["--schema"]);
}

#[test]
fn a_dotted_column_leads_into_objects() {
    let tree = condition("address.country", "operator: not_in, value: [DE]");
    let place = Place::with(&[("rules/a.yaml", &pack("abroad", &tree))]);
    let records = [
        r#"{"address":{"country":"FR","city":"Paris"}}"#,
        r#"{"address":{"country":"DE"}}"#,
        r#"{"address":{}}"#,
        r#"{"address":null}"#,
        "{}",
    ];
    let done = place
        .filter("--destination webhook", &ndjson(&records))
        .exits(0);
    assert_eq!(done.out, ndjson(&records[..1]));
    let done = place
        .filter(
            "--destination webhook --format csv",
            b"address.country\nDE\nFR\n",
        )
        .exits(0);
    assert_eq!(done.text(), "address.country\nFR\n");
}

#[test]
fn relative_conditions_count_from_now() {
    let tree = condition(
        "seen",
        "operator: within_last, value: {value: 7, unit: days}",
    );
    let place = Place::with(&[("rules/a.yaml", &pack("recent", &tree))]);
    let records = [
        r#"{"seen":"2026-01-01T00:00:00Z"}"#,
        r#"{"seen":"2026-02-01T00:00:00Z"}"#,
    ];
    for (now, passing) in [
        (" --now 2026-01-03T00:00:00Z", &records[..1]),
        (" --now 2026-02-03T00:00:00Z", &records[1..]),
        (" --now 2036-01-01T00:00:00Z", &[]),
    ] {
        let done = place
            .filter(&format!("--destination webhook{now}"), &ndjson(&records))
            .exits(0);
        let expected = match passing {
            [] => Vec::new(),
            some => ndjson(some),
        };
        assert_eq!(done.out, expected, "{now}");
    }
}

#[test]
fn packs_that_cannot_be_used_are_errors() {
    let place = Place::with(&[
        ("rules/pack.yaml", PACK),
        ("broken/a.yaml", "version: 2\npolicies: []"),
        ("empty/a.txt", ""),
    ]);
    let input = ndjson(&RECORDS);
    for (rules, telling) in [
        ("--rules nowhere", &["nowhere"][..]),
        ("--rules empty", &["empty"]),
        (
            "--rules rules --rules broken",
            &["broken/a.yaml", "$.version", "$.policies"],
        ),
    ] {
        place.customers(rules, &input).refuses(telling);
    }
    // Several are joined.
    let tree = condition("id", "operator: less_than, value: 5");
    place.write("more/b.yaml", pack("few", &tree).as_bytes());
    let done = place
        .customers("--rules more/b.yaml --rules rules", &input)
        .exits(0);
    assert_eq!(done.out, ndjson(&[RECORDS[0]]));
}
