//! What texts are taken for.

use super::*;

/// What a text asks for, in short: the tag or the code of the fault.
fn short(text: &str) -> String {
    match commands(text) {
        Ok(commands) => commands.iter().map(one).collect::<Vec<_>>().join("; "),
        Err(fault) => fault.code.to_owned(),
    }
}

fn one(command: &Command) -> String {
    match command {
        Command::Query(query) => format!("query {}", query.text),
        Command::CopyOut(copy) => format!("copy {}", copy.query.text),
        Command::Set { name, value, tag } => format!("{tag} {name}={value:?}"),
        Command::Declare { query, .. } => format!("declare {}", query.text),
        Command::Prepare { query, .. } => format!("prepare {}", query.text),
        command => format!("{command:?}"),
    }
}

#[test]
fn statements_that_clients_send_are_understood() {
    let cases = [
        ("", ""),
        (" ; ;", ""),
        ("select 1;select 2", "query select 1; query select 2"),
        ("(SELECT 1)", "query (SELECT 1)"),
        ("begin", "Begin(\"BEGIN\")"),
        (
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "Begin(\"BEGIN\")",
        ),
        (
            "start transaction read write",
            "Begin(\"START TRANSACTION\")",
        ),
        ("END", "Commit"),
        ("ABORT WORK", "Rollback"),
        ("ROLLBACK TO SAVEPOINT a", "RollbackTo(\"a\")"),
        ("SAVEPOINT \"A b\"", "Savepoint(\"A b\")"),
        (
            "SET extra_float_digits = 3",
            "SET extra_float_digits=Some(\"3\")",
        ),
        (
            "SET SESSION DateStyle TO 'ISO', DMY",
            "SET datestyle=Some(\"ISO, DMY\")",
        ),
        (
            "SET statement_timeout TO -1",
            "SET statement_timeout=Some(\"-1\")",
        ),
        ("set local time zone 'UTC'", "SET timezone=Some(\"UTC\")"),
        (
            "SET application_name TO DEFAULT",
            "SET application_name=None",
        ),
        ("SET NAMES 'UTF8'", "SET client_encoding=Some(\"UTF8\")"),
        ("RESET search_path", "RESET search_path=None"),
        ("RESET ALL", "ResetAll"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "Inert(\"SET\")",
        ),
        (
            "SHOW TRANSACTION ISOLATION LEVEL",
            "Show(\"transaction_isolation\")",
        ),
        ("show all", "ShowAll"),
        ("DISCARD ALL", "DiscardAll"),
        ("UNLISTEN *", "Inert(\"UNLISTEN\")"),
        ("CLOSE ALL", "Close(None)"),
        ("DEALLOCATE PREPARE \"_x\"", "Deallocate(Some(\"_x\"))"),
        (
            "DECLARE \"c\" NO SCROLL CURSOR WITHOUT HOLD FOR select a from t",
            "declare  select a from t",
        ),
        (
            "FETCH FORWARD 100 FROM \"c\"",
            "Fetch { name: \"c\", rows: Some(100), is_move: false }",
        ),
        (
            "FETCH c",
            "Fetch { name: \"c\", rows: Some(1), is_move: false }",
        ),
        (
            "fetch all in c",
            "Fetch { name: \"c\", rows: None, is_move: false }",
        ),
        (
            "MOVE 3 c",
            "Fetch { name: \"c\", rows: Some(3), is_move: true }",
        ),
        (
            "PREPARE p (int, text) AS SELECT $1, $2",
            "prepare  SELECT $1, $2",
        ),
        (
            "EXECUTE p (1, -2, 'x', NULL, true, '7'::int, 1.5)",
            "Execute { name: \"p\", values: [Int64(1), Int64(-2), Utf8(\"x\"), NULL, \
             Boolean(true), Utf8(\"7\"), Utf8(\"1.5\")] }",
        ),
        ("COPY t TO STDOUT", "copy SELECT * FROM t"),
        (
            "COPY \"T\" (a, \"B\") TO STDOUT WITH BINARY",
            "copy SELECT a, \"B\" FROM \"T\"",
        ),
        (
            "COPY (SELECT 1) TO STDOUT (FORMAT csv, HEADER)",
            "copy SELECT 1",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(short(text), expected, "{text}");
    }
}

#[test]
fn everything_else_is_refused() {
    let cases = [
        ("INSERT INTO t VALUES (1)", "42501"),
        ("SELECT 1; DROP TABLE t", "42501"),
        ("CREATE TABLE t (a int)", "42501"),
        ("COPY t FROM STDIN", "42501"),
        ("COPY t FROM '/etc/passwd'", "42501"),
        ("COPY t TO '/tmp/x'", "42501"),
        ("COPY t TO PROGRAM 'sh'", "42501"),
        ("COPY (DELETE FROM t RETURNING *) TO STDOUT", "42501"),
        ("DECLARE c CURSOR FOR DELETE FROM t", "42501"),
        ("PREPARE p AS INSERT INTO t VALUES (1)", "42501"),
        ("PREPARE TRANSACTION 'x'", "42501"),
        ("COMMIT PREPARED 'x'", "42501"),
        ("SET ROLE admin", "42501"),
        ("SET SESSION AUTHORIZATION admin", "42501"),
        ("LISTEN x", "0A000"),
        ("COMMIT AND CHAIN", "0A000"),
        ("EXECUTE p (now())", "0A000"),
        ("FETCH PRIOR FROM c", "55000"),
        ("FETCH -1 FROM c", "55000"),
        ("SELECT 1 SELECT 2", "42601"),
        ("BEGIN nonsense", "42601"),
        ("SELECT 'open", "42601"),
        ("CALL p()", "42501"),
        ("SELEC 1", "42601"),
    ];
    for (text, code) in cases {
        assert_eq!(short(text), code, "{text}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(short(&deep), "54001");
    assert_eq!(short(&"SELECT 1;".repeat(1001)), "54001");
}

#[test]
fn queries_keep_their_very_text() {
    let tricky =
        "select  '\\'' OR 1=1 --', E'\\'é\n', - -4, $$a;(b$$, \"é\"\"(\" /* ; ( */, 'ü' || (1)";
    let around = [
        ("", "", "query "),
        (
            "select 'é;ñ\n',1;\r\n",
            ";;",
            "query select 'é;ñ\n',1; query \r\n",
        ),
        ("DECLARE \"é\" CURSOR FOR ", "", "declare  "),
        ("PREPARE é (int) AS ", " ;", "prepare  "),
        ("COPY (", ") TO STDOUT", "copy "),
        (
            "/* é ( */ COPY /* ( */ (",
            ") TO STDOUT (FORMAT csv)",
            "copy ",
        ),
    ];
    for (before, after, kind) in around {
        let text = format!("{before}{tricky}{after}");
        assert_eq!(short(&text), format!("{kind}{tricky}"), "{text}");
    }
    let text = "COPY \"a\"\"\"\"b\" (\"c\"\"\") TO STDOUT";
    let expected = "copy SELECT \"c\"\"\" FROM \"a\"\"\"\"b\"";
    assert_eq!(short(text), expected);
}
