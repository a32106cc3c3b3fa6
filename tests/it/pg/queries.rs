//! Statements as text, and what they answer.

use std::time::Duration;

use futures::TryStreamExt;
use syncguard::config::Queries;

use super::*;

#[tokio::test]
async fn answers_hold_the_rows_of_the_asker_and_no_others() {
    let (server, key) = started().await;
    let (user, member, _, _) = restricted(&server).await;
    let query = "SELECT name FROM customers ORDER BY id";
    let owner = connect(&server, OWNER, &key).await.unwrap();
    assert_eq!(column(&owner, query).await, ["Ada", "Bo", "Cy", "Di", "Ed"]);
    let member = connect(&server, user, &member).await.unwrap();
    assert_eq!(column(&member, query).await, ["Bo", "Di"]);
    let copied = copied(
        &member,
        "COPY (SELECT id FROM customers ORDER BY id) TO STDOUT",
    )
    .await;
    assert_eq!(copied, "2\n4\n");
    for statement in [
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id",
    ] {
        assert_eq!(code(&member, statement).await, "");
    }
    assert_eq!(column(&member, "FETCH ALL FROM c").await, ["2", "4"]);
}

async fn copied(client: &Client, text: &str) -> String {
    let stream = client.copy_out(text).await.unwrap();
    let parts: Vec<_> = stream.try_collect().await.unwrap();
    String::from_utf8(parts.concat()).unwrap()
}

#[tokio::test]
async fn several_statements_are_answered_until_one_fails() {
    let (_server, client) = connected().await;
    let (rows, done) = simple(&client, "SELECT 1; SHOW server_encoding;; SELECT 2")
        .await
        .unwrap();
    let cells: Vec<_> = rows.into_iter().flatten().flatten().collect();
    assert_eq!((cells.join(" ").as_str(), done), ("1 UTF8 2", 3));
    assert_eq!(
        code(&client, "SELECT 1; SELECT nothing; SELECT 2").await,
        "42703"
    );
    // That there was nothing to do is an answer, too.
    assert_eq!(simple(&client, " ; ").await.unwrap(), (vec![], 1));
}

#[tokio::test]
async fn faults_have_the_codes_that_clients_know() {
    let (_server, client) = connected().await;
    for (text, expected) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nothing", "42P01"),
        ("SELECT nothing FROM customers", "42703"),
        ("SELECT nothing(1)", "42883"),
        ("SELECT 1/0", "22012"),
        ("SELECT CAST('x' AS int)", "22P02"),
        ("INSERT INTO customers (id) VALUES (6)", "42501"),
        ("DROP TABLE customers", "42501"),
        ("COPY customers TO '/tmp/customers'", "42501"),
        ("COPY customers FROM STDIN", "42501"),
        ("COPY customers TO PROGRAM 'cat'", "42501"),
        ("LISTEN customers", "0A000"),
        ("FETCH ALL FROM nothing", "34000"),
        ("CLOSE nothing", "34000"),
        ("EXECUTE nothing", "26000"),
        ("DEALLOCATE nothing", "26000"),
    ] {
        assert_eq!(code(&client, text).await, expected, "{text}");
    }
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn tables_and_queries_are_copied_out() {
    let (_server, client) = connected().await;
    let text = "COPY customers (id, country) TO STDOUT";
    assert_eq!(
        copied(&client, text).await,
        "1\tDE\n2\tUS\n3\tFR\n4\tUS\n5\t\\N\n"
    );
    let text = "COPY (SELECT id, country FROM customers WHERE id > 3 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)";
    assert_eq!(copied(&client, text).await, "id,country\n4,US\n5,\n");
    let stream = client
        .copy_out("COPY customers TO STDOUT (FORMAT binary)")
        .await;
    let parts: Vec<_> = stream.unwrap().try_collect().await.unwrap();
    assert!(parts.concat().starts_with(b"PGCOPY\n\xff\r\n\0"));
    let error = client.copy_out("COPY (SELECT 1/0) TO STDOUT").await;
    let code = match error {
        Err(error) => code_of(&error),
        Ok(stream) => code_of(&stream.try_collect::<Vec<_>>().await.unwrap_err()),
    };
    assert_eq!(code, "22012");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
}

/// Computes for long, unless somebody ends it; what it holds grows until it may hold no more.
const LONG: &str = "SELECT count(*) FROM customers a, customers b, customers c, customers d, \
    customers e, customers f, customers g, customers h, customers i, customers j, customers k, \
    customers l, customers m, customers n WHERE a.id + b.id + c.id + d.id + e.id + f.id + g.id \
    + h.id + i.id + j.id + k.id + l.id + m.id + n.id < 0";

#[tokio::test]
async fn statement_at_work_is_cancelled_by_who_knows_its_secret() {
    let (_server, client) = connected().await;
    let cancel = client.cancel_token();
    let query = client.simple_query(LONG);
    tokio::pin!(query);
    let error = loop {
        // One that comes before the statement has begun is of no effect.
        tokio::select! {
            ended = &mut query => break ended.unwrap_err(),
            sent = cancel.cancel_query(NoTls) => sent.unwrap(),
        }
    };
    assert_eq!(code_of(&error), "57014");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
    cancel.cancel_query(NoTls).await.unwrap();
    assert_eq!(column(&client, "SELECT 2").await, ["2"]);
}

/// 78 MB of rows, more than sockets hold: it is open as long as its client does not read.
const WIDE: &str = "SELECT repeat('x', 1000) FROM customers a, customers b, customers c, \
    customers d, customers e, customers f, customers g";

#[tokio::test]
async fn queries_of_clients_that_have_left_come_to_an_end() {
    let (server, key) = started().await;
    let mut left = Vec::new();
    for _ in 0..Queries::default().queries_per_account {
        let config = config(&server, OWNER, &key);
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        // As long as it is there and not read, the connection does not read either.
        let answer = client.simple_query_raw(WIDE).await.unwrap();
        left.push((client, connection, answer));
    }
    let client = connect(&server, OWNER, &key).await.unwrap();
    let becomes = async |expected: &str| {
        let becoming =
            async { while code(&client, "SELECT count(*) FROM customers").await != expected {} };
        let became = tokio::time::timeout(Duration::from_secs(30), becoming).await;
        became.unwrap_or_else(|_| panic!("it never becomes {expected:?}"));
    };
    becomes("53300").await;
    for (client, connection, answer) in left {
        drop((client, answer));
        connection.abort();
    }
    becomes("").await;
}
