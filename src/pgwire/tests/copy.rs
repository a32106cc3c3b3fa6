//! COPY's options and rows, next to those of a PostgreSQL server.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::{Buf, BytesMut};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::{SinkExt, StreamExt};

use super::super::copy::{CopyOptions, CopyWriter};
use super::{server, words};
use crate::guard::session::QueryFault;

fn copy_options(options: &str) -> Result<CopyOptions, String> {
    let sql = format!("COPY (SELECT 1 AS c, 2 AS d) TO STDOUT {options}");
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql).map_err(|e| e.to_string())?;
    match statements.as_slice() {
        [
            Statement::Copy {
                options,
                legacy_options,
                ..
            },
        ] => CopyOptions::of(options, legacy_options).map_err(|fault| fault.message),
        _ => Err("no COPY".into()),
    }
}

const COPIES: &[&str] = &[
    "",
    "(FORMAT text)",
    "(FORMAT 'csv')",
    "(FORMAT CSV)",
    "(FORMAT \"CSV\")",
    "(FORMAT binary)",
    "(FORMAT parquet)",
    "WITH BINARY",
    "CSV",
    "CSV HEADER",
    "WITH DELIMITER ';' CSV HEADER",
    "(FORMAT csv, HEADER)",
    "(HEADER true)",
    "(FORMAT csv, HEADER false)",
    "(FORMAT binary, HEADER)",
    "(FORMAT binary, HEADER false)",
    "(FORMAT binary, NULL 'x')",
    "(FORMAT binary, DELIMITER ',')",
    "(DELIMITER '|')",
    "(DELIMITER 'a')",
    "(DELIMITER '.')",
    "(DELIMITER 'A')",
    "(DELIMITER E'\\n')",
    "(FORMAT csv, DELIMITER 'a')",
    "(NULL 'a|b')",
    "(NULL 'a|b', DELIMITER '|')",
    "(NULL E'a\\nb')",
    "(FORMAT csv, NULL 'NULL')",
    "(FORMAT csv, NULL '\"')",
    "(QUOTE '''')",
    "(FORMAT csv, QUOTE '''')",
    "(FORMAT csv, ESCAPE '\\')",
    "(ESCAPE '\\')",
    "(FORMAT csv, QUOTE ',')",
    "(FORMAT csv, QUOTE '~', ESCAPE '^', DELIMITER ';', NULL 'nil', HEADER)",
    "(FORMAT csv, FORCE_QUOTE (c))",
    "(FORCE_QUOTE (c))",
    "(FORMAT csv, FORCE_QUOTE (z))",
    "(FORMAT text, FORMAT csv)",
    "(HEADER, HEADER)",
    "(ENCODING 'UTF8')",
    "(ENCODING 'klingon')",
    "(FORMAT csv, FORCE_NOT_NULL (c))",
    "(FORMAT csv, FORCE_NULL (c))",
];

#[tokio::test]
async fn rows_are_copied_as_a_server_copies_them() {
    let client = server().await;
    let texts: Vec<Option<&str>> = words().into_iter().map(Some).chain([None]).collect();
    let numbers: Int32Array = (0..)
        .take(texts.len())
        .map(|n| (n % 3 > 0).then_some(n))
        .collect();
    let schema = Schema::new(vec![
        Field::new("c", DataType::Utf8, true),
        Field::new("d", DataType::Int32, true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(texts)), Arc::new(numbers)];
    let both = RecordBatch::try_new(Arc::new(schema), columns).expect("batch");
    client
        .batch_execute("CREATE TEMP TABLE copied (c text, d int)")
        .await
        .expect("table");
    let none = both.slice(0, 0);
    let one = both.project(&[0]).expect("a column");
    let mut refused = 0;
    for (batch, list) in [(&both, "c, d"), (&none, "c, d"), (&one, "c")] {
        for options in COPIES {
            client
                .batch_execute("TRUNCATE copied")
                .await
                .expect("emptied");
            if batch.num_rows() > 0 {
                let ours = copied(batch, &copy_options("").expect("options")).expect("rows");
                let sink = client
                    .copy_in(&format!("COPY copied ({list}) FROM STDIN"))
                    .await;
                let mut sink = std::pin::pin!(sink.expect("copy"));
                for message in ours {
                    sink.send(message).await.expect("row");
                }
                sink.finish().await.expect("rows");
            }
            let sql = format!("COPY copied ({list}) TO STDOUT {options}");
            let ours = copy_options(options)
                .and_then(|options| copied(batch, &options).map_err(|fault| fault.message));
            let theirs = match client.copy_out(&sql).await {
                Ok(stream) => {
                    let messages: Vec<_> = std::pin::pin!(stream).collect().await;
                    Ok(messages
                        .into_iter()
                        .map(|m| m.expect("message"))
                        .collect::<Vec<_>>())
                }
                Err(error) => Err(error.to_string()),
            };
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{options}"),
                (Err(_), Err(_)) => refused += 1,
                (ours, theirs) => panic!("{options}: ours {ours:?}, theirs {theirs:?}"),
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

/// The payloads of the messages.
fn copied(batch: &RecordBatch, options: &CopyOptions) -> Result<Vec<bytes::Bytes>, QueryFault> {
    let mut out = BytesMut::new();
    let mut writer = CopyWriter::new(batch.schema_ref(), options)?;
    writer.start(&mut out);
    let half = batch.num_rows() / 2;
    writer.write(&batch.slice(0, half), &mut out)?;
    writer.write(&batch.slice(half, batch.num_rows() - half), &mut out)?;
    writer.finish(&mut out);
    let mut messages = Vec::new();
    while out.has_remaining() {
        assert_eq!(out.get_u8(), b'd');
        let length = usize::try_from(out.get_i32()).expect("length") - 4;
        messages.push(out.split_to(length).freeze());
    }
    Ok(messages)
}
