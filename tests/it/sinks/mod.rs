//! What destinations receive, and what becomes of the records they refuse.

mod file;
mod postgres;
mod webhook;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::DateTime;
use serde_json::{Map, Value, json};
use syncguard::catalog::{Destination, RateLimit, SyncMode};
use syncguard::guard::{Guard, Guarded};
use syncguard::reach::Reach;
use syncguard::sink::{Opening, Sink, SinkError, Sinks, Written};
use syncguard::wire::json::records_to_batch;
use uuid::Uuid;

use crate::support::temporary_folder;

const RUN: Uuid = Uuid::from_u128(1);

fn loopback() -> Vec<ipnet::IpNet> {
    ["127.0.0.0/8", "::1/128"]
        .map(|net| net.parse().unwrap())
        .to_vec()
}

/// Sinks that may reach loopback and one folder.
fn sinks(root: &Path) -> Sinks {
    Sinks::new(Reach::new(vec![root.to_owned()], loopback())).unwrap()
}

fn nowhere() -> PathBuf {
    PathBuf::from("/nonexistent")
}

fn destination(kind: &str, config: Value) -> Destination {
    let now = DateTime::UNIX_EPOCH;
    Destination {
        id: Uuid::now_v7(),
        workspace_id: Uuid::from_u128(7),
        name: "there".into(),
        destination_type: kind.into(),
        config: config.as_object().unwrap().clone(),
        rate_limit: RateLimit::default(),
        created_at: now,
        updated_at: now,
    }
}

fn schema(columns: &[(&str, &str)]) -> SchemaRef {
    let field =
        |(name, kind): &(&str, &str)| Field::new(*name, kind.parse::<DataType>().unwrap(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn people() -> SchemaRef {
    schema(&[("id", "Int64"), ("name", "Utf8")])
}

/// Records that no policy withholds.
fn guarded(schema: &SchemaRef, records: Value) -> Guarded {
    let records: Vec<Map<String, Value>> = serde_json::from_value(records).unwrap();
    let batch = records_to_batch(schema, &records).unwrap();
    let guard = Guard::compile(schema, &[], DateTime::UNIX_EPOCH, 1).unwrap();
    guard
        .apply(&batch, syncguard::guard::Leaving::All)
        .unwrap()
        .guarded()
        .clone()
}

fn numbered(ids: std::ops::Range<i64>) -> Guarded {
    let records: Vec<_> = ids
        .map(|id| json!({"id": id, "name": format!("n{id}")}))
        .collect();
    guarded(&people(), Value::from(records))
}

async fn opened_for(
    sinks: &Sinks,
    destination: &Destination,
    run_id: Uuid,
    schema: &SchemaRef,
) -> Result<Box<dyn Sink>, SinkError> {
    let key = ["id".to_owned()];
    let opening = Opening {
        run_id,
        schema: schema.clone(),
        primary_key: &key,
        mode: SyncMode::Full,
    };
    sinks.open(destination, opening).await
}

fn retry(written: &Written) -> (usize, Option<Duration>) {
    match &written.stopped {
        Some(SinkError::Retry { after, .. }) => (written.settled, *after),
        other => panic!("expected a retry, not {other:?}"),
    }
}

fn fatal(written: &Written) -> String {
    match &written.stopped {
        Some(SinkError::Fatal { what }) => what.clone(),
        other => panic!("expected an end, not {other:?}"),
    }
}

#[tokio::test]
async fn configurations_are_judged_before_they_are_saved() {
    let (_folder, root) = temporary_folder();
    let sinks = sinks(&root);
    let cases: Vec<(String, Value, Vec<String>)> =
        serde_json::from_str(include_str!("../../../fixtures/sink/configs.json")).unwrap();
    for (kind, config, paths) in cases {
        let faults = sinks.check_config(&kind, config.as_object().unwrap()).await;
        let found: Vec<_> = faults.iter().map(|fault| fault.path.clone()).collect();
        assert_eq!(found, paths, "{kind} {config}: {faults:?}");
        assert!(!format!("{faults:?}").contains("hunter2"), "{faults:?}");
        if !paths.is_empty() {
            let there = destination(&kind, config);
            let opened = opened_for(&sinks, &there, RUN, &people()).await.map(drop);
            match opened {
                Err(error) => assert!(!format!("{error:?}").contains("hunter2"), "{error:?}"),
                // Names are looked up again when they are used.
                Ok(()) => assert_eq!(paths, ["$.config.url"], "{:?}", there.config),
            }
        }
    }
}

#[tokio::test]
async fn two_columns_of_one_name_are_refused() {
    let (_folder, root) = temporary_folder();
    let twice = schema(&[("id", "Int64"), ("id", "Utf8")]);
    let there = destination("file", json!({"path": "a.csv"}));
    let refused = opened_for(&sinks(&root), &there, RUN, &twice).await.err();
    assert!(matches!(refused, Some(SinkError::Config(_))), "{refused:?}");
}
