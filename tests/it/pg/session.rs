//! What a session keeps: settings, transactions, cursors.

use super::*;

#[tokio::test]
async fn transactions_are_tracked() {
    let (_server, client) = connected().await;
    // Each statement with the code that it is answered with, one after the other.
    let script = [
        ("BEGIN", ""),
        ("BEGIN", ""),
        ("SAVEPOINT a", ""),
        ("SELECT nothing", "42703"),
        ("SELECT 1", "25P02"),
        ("SHOW search_path", "25P02"),
        ("SAVEPOINT b", "25P02"),
        ("ROLLBACK TO a", ""),
        ("SELECT 1", ""),
        ("RELEASE a", ""),
        ("ROLLBACK TO a", "3B001"),
        ("COMMIT", ""),
        ("SELECT 1", ""),
        ("COMMIT", ""),
        ("ROLLBACK", ""),
        ("SAVEPOINT a", "25P01"),
        ("DECLARE c CURSOR FOR SELECT 1", "25P01"),
        (
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            "",
        ),
        ("DISCARD ALL", "25001"),
        ("END", ""),
        ("DISCARD ALL", ""),
    ];
    for (n, (text, expected)) in script.into_iter().enumerate() {
        assert_eq!(code(&client, text).await, expected, "{n}: {text}");
    }
}

#[tokio::test]
async fn cursors_end_with_their_transaction_unless_they_are_held() {
    let (_server, client) = connected().await;
    let ids = "SELECT id FROM customers ORDER BY id";
    let declare = |name: &str, hold: &str| format!("DECLARE {name} CURSOR {hold} FOR {ids}");
    for statement in ["BEGIN", &declare("a", ""), &declare("b", "WITH HOLD")] {
        assert_eq!(code(&client, statement).await, "", "{statement}");
    }
    assert_eq!(column(&client, "FETCH a").await, ["1"]);
    assert_eq!(column(&client, "FETCH FORWARD 2 FROM a").await, ["2", "3"]);
    assert_eq!(column(&client, "FETCH 0 FROM a").await, [""; 0]);
    assert_eq!(code(&client, "MOVE 1 IN a").await, "");
    assert_eq!(column(&client, "FETCH ALL a").await, ["5"]);
    assert_eq!(column(&client, "FETCH a").await, [""; 0]);
    assert_eq!(column(&client, "FETCH NEXT FROM b").await, ["1"]);
    assert_eq!(code(&client, "COMMIT").await, "");
    assert_eq!(code(&client, "FETCH a").await, "34000");
    assert_eq!(
        column(&client, "FETCH ALL FROM b").await,
        ["2", "3", "4", "5"]
    );
    assert_eq!(code(&client, "CLOSE b").await, "");
    for statement in ["BEGIN", &declare("d", "WITH HOLD")] {
        assert_eq!(code(&client, statement).await, "");
    }
    assert_eq!(code(&client, &declare("d", "")).await, "42P03");
    assert_eq!(code(&client, "ROLLBACK").await, "");
    assert_eq!(code(&client, "FETCH d").await, "34000");
    let several = format!("{}; FETCH 2 FROM f", declare("f", ""));
    assert_eq!(column(&client, &several).await, ["1", "2"]);
    assert_eq!(code(&client, "FETCH f").await, "34000");
}

#[tokio::test]
async fn settings_are_inert_or_refused() {
    let (_server, client) = connected().await;
    for (text, expected) in [
        ("SET application_name TO 'a b'", ""),
        ("SET extra_float_digits = 3", ""),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", ""),
        ("SET TIME ZONE 'Europe/Berlin'", ""),
        ("SET client_encoding TO 'LATIN1'", "0A000"),
        ("SET DateStyle TO 'German'", "0A000"),
        ("SET standard_conforming_strings = off", "0A000"),
        ("SET row_security = off", "0A000"),
        ("SET is_superuser = on", "55P02"),
        ("SET datafusion.execution.batch_size = 1", "42704"),
        ("SET ROLE admin", "42501"),
        ("SET SESSION AUTHORIZATION admin", "42501"),
        ("SHOW nothing", "42704"),
        ("UNLISTEN *", ""),
    ] {
        assert_eq!(code(&client, text).await, expected, "{text}");
    }
    for (name, expected) in [
        ("application_name", "a b"),
        ("TimeZone", "Europe/Berlin"),
        ("DateStyle", "ISO, MDY"),
        ("is_superuser", "off"),
        ("server_version", "15.0 (syncguard)"),
        ("session_authorization", OWNER),
        ("TRANSACTION ISOLATION LEVEL", "read committed"),
    ] {
        let shown = column(&client, &format!("SHOW {name}")).await;
        assert_eq!(shown, [expected], "{name}");
    }
    assert_eq!(code(&client, "RESET ALL").await, "");
    assert_eq!(column(&client, "SHOW application_name").await, [""]);
    let all = column(&client, "SHOW ALL").await;
    assert!(all.contains(&"search_path".to_owned()) && all.len() > 30);
}

#[tokio::test]
async fn sessions_share_nothing() {
    let (server, key) = started().await;
    let first = connect(&server, OWNER, &key).await.unwrap();
    let second = connect(&server, OWNER, &key).await.unwrap();
    for statement in [
        "SET application_name TO 'mine'",
        "PREPARE p AS SELECT 1",
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT 1",
    ] {
        assert_eq!(code(&first, statement).await, "");
    }
    assert_eq!(column(&second, "SHOW application_name").await, [""]);
    assert_eq!(code(&second, "EXECUTE p").await, "26000");
    assert_eq!(code(&second, "FETCH c").await, "34000");
    assert_eq!(column(&first, "FETCH c").await, ["1"]);
}
