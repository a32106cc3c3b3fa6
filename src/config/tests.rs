//! Tests of the settings.

use super::*;

fn faults(result: Result<Config, ConfigError>) -> Vec<String> {
    result.expect_err("the settings should be refused").faults
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("the file can be written");
    file
}

#[test]
fn defaults_are_valid() {
    let config = Config::in_data_dir("/data").expect("defaults");
    assert_eq!(
        config.store_url.expose_secret(),
        "sqlite:///data/syncguard.db"
    );
    assert_eq!(config.file_roots, [PathBuf::from("/data/files")]);
    assert!(config.store_is_embedded());
}

#[test]
fn every_fault_is_reported_at_once() {
    let settings = Settings {
        listen: Some("nowhere".into()),
        store: Some("mysql://x".into()),
        allow_private_addresses: Some(vec!["10.0.0.0/8".into(), "ten".into()]),
        requests_per_second: Some(0),
        batch_rows: Some(0),
        ..Settings::default()
    };
    let faults = faults(settings.into_config());
    let keys: Vec<_> = faults.iter().filter_map(|f| f.split(':').next()).collect();
    assert_eq!(
        keys,
        [
            "listen",
            "store",
            "allow_private_addresses",
            "requests_per_second",
            "batch_rows"
        ]
    );
}

#[test]
fn flags_go_before_the_file() {
    let file = file("listen = \"0.0.0.0:1\"\nbatch_rows = 7\nfile_roots = [\"/tmp\"]\n");
    let flags = Settings {
        listen: Some("127.0.0.1:2".into()),
        ..Settings::default()
    };
    let config = flags
        .over_file(file.path())
        .expect("a good file")
        .into_config()
        .expect("valid");
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.batch_rows, 7);
    assert_eq!(config.file_roots, [PathBuf::from("/tmp")]);
}

#[test]
fn an_unknown_key_is_refused() {
    let file = file("listne = \"0.0.0.0:1\"\n");
    let error = Settings::default()
        .over_file(file.path())
        .err()
        .expect("an unknown key");
    assert!(error.to_string().contains("unknown key listne"), "{error}");
}

#[test]
fn a_broken_file_does_not_show_its_secrets() {
    for text in [
        "bootstrap_key = \"tell-nobody\" x\n",
        "bootstrap_key = [\"tell-nobody\"]\n",
    ] {
        let file = file(text);
        let error = Settings::default()
            .over_file(file.path())
            .err()
            .expect("a broken file");
        assert!(!error.to_string().contains("tell-nobody"), "{error}");
    }
}

#[test]
fn a_single_address_is_a_range_of_one() {
    assert_eq!(parse_addresses("127.0.0.1"), "127.0.0.1/32".parse().ok());
    assert_eq!(parse_addresses("::1"), "::1/128".parse().ok());
    assert_eq!(parse_addresses("127.0.0.1/33"), None);
}

#[test]
fn a_configuration_in_a_log_shows_no_secret() {
    let settings = Settings {
        store: Some("postgres://u:tell-nobody@h/d".into()),
        bootstrap_key: Some("tell-nobody".into()),
        ..Settings::default()
    };
    let config = settings.into_config().expect("valid");
    assert!(!format!("{config:?}").contains("tell-nobody"));
}

#[test]
fn limits_of_streams_are_bounded_and_have_defaults() {
    let config = Config::in_data_dir("/data").expect("defaults");
    assert_eq!(config.streams, Streams::default());
    let settings = Settings {
        record_bytes: Some(0),
        stream_ratio: Some(0),
        idle_seconds: Some(0),
        rows_per_second: Some(0),
        least_bytes_per_second: Some(0),
        ..Settings::default()
    };
    let faults = faults(settings.into_config());
    let keys: Vec<_> = faults.iter().filter_map(|f| f.split(':').next()).collect();
    assert_eq!(keys, ["stream_ratio", "record_bytes", "idle_seconds"]);
    let file = file("record_bytes = 100\nstreams_per_key = 2\n");
    let config = Settings::default()
        .over_file(file.path())
        .expect("a good file")
        .into_config()
        .expect("valid");
    assert_eq!(config.streams.record_bytes, 100);
    assert_eq!(config.streams.streams_per_key, 2);
}

#[test]
fn blank_blocks_are_the_default_and_an_empty_list_blocks_nothing() {
    let blocks = |settings: Settings| settings.into_config().expect("valid").compliance.blocks;
    let pairs = |pairs: &[(&str, &str)]| -> std::collections::BTreeSet<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(environment, severity)| ((*environment).to_owned(), (*severity).to_owned()))
            .collect()
    };
    let default = pairs(&[("production", "critical"), ("production", "high")]);
    let given = |texts: &[&str]| Settings {
        compliance_blocks: Some(texts.iter().map(|text| (*text).to_owned()).collect()),
        ..Settings::default()
    };
    for blank in [given(&[""]), given(&[" "]), given(&["", " ", ""])] {
        assert_eq!(blocks(blank), default);
    }
    assert_eq!(blocks(Settings::default()), default);
    assert_eq!(
        blocks(given(&["", "staging:low"])),
        pairs(&[("staging", "low")])
    );
    for (text, expected) in [
        ("", default),
        ("compliance_blocks = []\n", pairs(&[])),
        (
            "compliance_blocks = [\"staging:low\"]\n",
            pairs(&[("staging", "low")]),
        ),
    ] {
        let file = file(text);
        // What is blank does not go before the file.
        for flags in [Settings::default(), given(&[""])] {
            let merged = flags.over_file(file.path()).expect("a good file");
            assert_eq!(blocks(merged), expected, "{text}");
        }
    }
}

#[test]
fn a_judge_is_named_in_full_or_not_at_all() {
    let settings = |url: &str, model: &str, key: &str| Settings {
        judge_url: Some(url.to_owned()),
        judge_model: Some(model.to_owned()),
        judge_key: Some(key.to_owned()),
        ..Settings::default()
    };
    let good = settings("https://api.example.com/v1/", "small", "tell-nobody");
    let config = good.clone().into_config().expect("valid");
    let judge = config.judge.as_ref().expect("a judge");
    assert_eq!(judge.url, "https://api.example.com/v1");
    assert_eq!(judge.model, "small");
    assert_eq!(judge.timeout, Duration::from_secs(10));
    assert!(!format!("{config:?}").contains("tell-nobody"));

    // What is passed on unset says nothing.
    let config = settings("", " ", "").into_config().expect("valid");
    assert!(config.judge.is_none());
    assert!(
        Config::in_data_dir("/data")
            .expect("defaults")
            .judge
            .is_none()
    );
    let file = file("judge_url = \"http://127.0.0.1:1/v1\"\njudge_model = \"small\"\n");
    let merged = settings("", "", "").over_file(file.path()).expect("good");
    let judge = merged.into_config().expect("valid").judge;
    assert!(judge.is_some_and(|judge| judge.key.is_none()));

    for (url, model, key, part) in [
        ("https://api.example.com/v1", "", "", "judge_model"),
        ("", "small", "", "judge_url"),
        ("", "", "tell-nobody", "judge_url"),
        ("api.example.com", "small", "", "judge_url"),
        ("ftp://api.example.com", "small", "", "judge_url"),
        (
            "https://u:tell-nobody@example.com",
            "small",
            "",
            "judge_url",
        ),
        (
            "https://example.com/v1?x=tell-nobody",
            "small",
            "",
            "judge_url",
        ),
        (
            "https://example.com/v1",
            "small",
            "tell-nobody \u{e9}",
            "SYNCGUARD_JUDGE_KEY",
        ),
    ] {
        let faults = faults(settings(url, model, key).into_config());
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(part), "{faults:?}");
        assert!(!faults[0].contains("tell-nobody"), "{faults:?}");
    }
    let slow = Settings {
        judge_timeout_seconds: Some(0),
        ..good
    };
    assert!(faults(slow.into_config())[0].starts_with("judge_timeout_seconds"));
}
