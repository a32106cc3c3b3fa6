//! The Flight SQL door, asked over loopback by a client of Arrow's own.

mod tickets;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionCancelQueryRequest, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetPrimaryKeys,
    CommandGetTables, CommandGetXdbcTypeInfo, ProstMessageExt, SqlInfo,
};
use arrow_flight::{
    Action, CancelFlightInfoResult, CancelStatus, FlightInfo, HandshakeRequest, Ticket,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::{TryStreamExt, stream};
use prost::Message;
use serde_json::json;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::api::fixtures::equals;
use crate::api::{MEMBER, Server, text};

pub(crate) type Client = FlightSqlServiceClient<Channel>;

const ALL: &str = "SELECT name FROM customers ORDER BY id";

async fn channel(server: &Server) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.flight));
    let endpoint = endpoint.expect("an address");
    endpoint.connect().await.expect("a connection")
}

/// A client that presents a key.
pub(crate) async fn client(server: &Server, key: &str) -> Client {
    let mut client = Client::new(channel(server).await);
    client.set_token(key.to_owned());
    client
}

#[track_caller]
fn refusal(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("no answer of the server: {other}"),
    }
}

#[track_caller]
fn ticket(info: &FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1);
    info.endpoint[0].ticket.clone().expect("a ticket")
}

async fn fetch(client: &mut Client, ticket: Ticket) -> Result<Vec<RecordBatch>, Status> {
    let rows = client.do_get(ticket).await.map_err(refusal)?;
    rows.try_collect().await.map_err(refusal)
}

async fn flight(client: &mut Client, sql: &str) -> Result<FlightInfo, Status> {
    client.execute(sql.to_owned(), None).await.map_err(refusal)
}

/// The first column of an answer, as text.
pub(crate) async fn ask(client: &mut Client, sql: &str) -> Result<Vec<String>, Status> {
    let info = flight(client, sql).await?;
    let schema = info.clone().try_decode_schema().expect("a schema");
    let batches = fetch(client, ticket(&info)).await?;
    for batch in &batches {
        assert_eq!(batch.schema().as_ref(), &schema);
    }
    Ok(texts(&batches, 0))
}

fn texts(batches: &[RecordBatch], column: usize) -> Vec<String> {
    let columns = batches.iter().map(|batch| {
        let column = cast(batch.column(column), &DataType::Utf8).expect("text");
        let column = column.as_string::<i32>();
        column
            .iter()
            .map(|text| text.unwrap_or("NULL").to_owned())
            .collect::<Vec<_>>()
    });
    columns.collect::<Vec<_>>().concat()
}

/// A workspace with the model `customers`, of which a member sees those of the United States.
struct World {
    server: Server,
    ws: String,
    subset: String,
    account: String,
    key: String,
}

impl World {
    async fn new() -> World {
        let server = Server::start().await;
        let ws = server.workspace().await;
        let model = server.catalog(&ws).await.model;
        let category = server.category(&ws, "Region", "deny").await;
        let tree = equals("country", "US");
        let subset = server
            .subset(&ws, &category, Some(&model), "US", tree)
            .await;
        let group = server.group(&ws, "Sales", None).await;
        server.assign(&ws, &subset, &group).await;
        let (account, key) = server.joined(&ws, "ann@example.com", MEMBER).await;
        server.enroll(&ws, &group, &account).await;
        World {
            server,
            ws,
            subset,
            account,
            key,
        }
    }

    async fn member(&self) -> Client {
        client(&self.server, &self.key).await
    }
}

#[tokio::test]
async fn handshake_answers_the_key_as_token() {
    let world = World::new().await;
    let mut client = Client::new(channel(&world.server).await);
    client
        .handshake("ann@example.com", &world.key)
        .await
        .expect("a handshake");
    assert_eq!(client.token(), Some(&world.key));
    assert_eq!(ask(&mut client, ALL).await.expect("rows"), ["Bo", "Di"]);
}

#[tokio::test]
async fn query_gives_the_rows_of_its_caller() {
    let world = World::new().await;
    let owner = world.server.owner_id().await;
    let owner = world.server.key(&owner, json!(["*"])).await;
    let mut owner = client(&world.server, &owner).await;
    let everyone = ["Ada", "Bo", "Cy", "Di", "Ed"];
    assert_eq!(ask(&mut owner, ALL).await.expect("rows"), everyone);
    let mut member = world.member().await;
    for sql in [
        ALL,
        "SELECT name FROM public.customers ORDER BY id",
        "SELECT name FROM \"default\".public.customers ORDER BY id",
    ] {
        assert_eq!(
            ask(&mut member, sql).await.expect("rows"),
            ["Bo", "Di"],
            "{sql}"
        );
    }
    let count = ask(&mut member, "SELECT count(*) FROM customers").await;
    assert_eq!(count.expect("rows"), ["2"]);
    let nothing = ask(&mut member, "SELECT id FROM customers WHERE country = 'DE'").await;
    assert!(nothing.expect("no rows").is_empty());
}

#[tokio::test]
async fn answer_tells_the_revision_of_its_policies() {
    let world = World::new().await;
    let mut client = world.member().await;
    let info = flight(&mut client, ALL).await.expect("a flight");
    let rows = client.do_get(ticket(&info)).await.expect("rows");
    let revision = rows.headers().get("syncguard-policy-revision");
    let revision: u64 = revision
        .and_then(|revision| revision.to_str().ok()?.parse().ok())
        .expect("a revision");
    assert!(revision > 0);
}

#[tokio::test]
async fn faults_have_their_codes_and_quote_no_value() {
    let world = World::new().await;
    let mut client = world.member().await;
    let cases = [
        ("SELEC 1", Code::InvalidArgument),
        ("SELECT nothing FROM customers", Code::InvalidArgument),
        ("SELECT 1 FROM orders", Code::NotFound),
        ("DELETE FROM customers", Code::PermissionDenied),
        ("SELECT 1 / (id - id) FROM customers", Code::InvalidArgument),
        (
            "SELECT CAST(name AS BIGINT) FROM customers",
            Code::InvalidArgument,
        ),
    ];
    for (sql, code) in cases {
        let status = ask(&mut client, sql).await.expect_err(sql);
        assert_eq!(status.code(), code, "{sql}: {status}");
        assert!(!status.message().contains("Bo"), "{status}");
    }
}

fn row(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("0", column)]).expect("a batch")
}

fn word(word: &str) -> RecordBatch {
    row(Arc::new(StringArray::from(vec![word])))
}

#[tokio::test]
async fn prepared_statement_takes_parameters() {
    let world = World::new().await;
    let mut client = world.member().await;
    let sql = "SELECT name FROM customers WHERE country = $1 AND id > 0 ORDER BY id";
    let mut prepared = client.prepare(sql.into(), None).await.expect("a statement");
    let parameters = prepared.parameter_schema().expect("parameters");
    assert_eq!(parameters.fields().len(), 1);
    assert_eq!(parameters.field(0).name(), "$1");
    let columns = prepared.dataset_schema().expect("columns").clone();
    assert_eq!(columns.field(0).name(), "name");
    for (country, wanted) in [
        ("US", vec!["Bo", "Di"]),
        ("DE", vec![]),
        ("US", vec!["Bo", "Di"]),
    ] {
        prepared.set_parameters(word(country)).expect("set");
        let info = prepared.execute().await.expect("a flight");
        let schema = info.clone().try_decode_schema().expect("a schema");
        assert_eq!(schema, columns);
        let batches = fetch(&mut client, ticket(&info)).await.expect("rows");
        assert_eq!(texts(&batches, 0), wanted, "{country}");
    }
    let two: ArrayRef = Arc::new(StringArray::from(vec!["US", "DE"]));
    prepared.set_parameters(row(two)).expect("set");
    let status = refusal(prepared.execute().await.expect_err("two rows"));
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("exactly one"), "{status}");
    prepared.close().await.expect("closed");
}

#[tokio::test]
async fn parameters_that_are_missing_or_do_not_fit_are_refused() {
    let world = World::new().await;
    let mut client = world.member().await;
    let sql = "SELECT name FROM customers WHERE id = $1";
    let mut prepared = client.prepare(sql.into(), None).await.expect("a statement");
    let info = prepared.execute().await.expect("a flight");
    let status = fetch(&mut client, ticket(&info))
        .await
        .expect_err("no value");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    prepared.set_parameters(word("seven")).expect("set");
    let info = prepared.execute().await.expect("a flight");
    let status = fetch(&mut client, ticket(&info))
        .await
        .expect_err("no number");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(!status.message().contains("seven"), "{status}");
    let two: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    prepared.set_parameters(row(two)).expect("set");
    let info = prepared.execute().await.expect("a flight");
    let batches = fetch(&mut client, ticket(&info)).await.expect("rows");
    assert_eq!(texts(&batches, 0), ["Bo"]);
}

#[tokio::test]
async fn listing_hides_what_the_caller_may_not_read() {
    let world = World::new().await;
    let server = &world.server;
    let other = json!({"name": "second"});
    let other = server.post("/api/v1/workspaces", other).await.expect(201);
    let other = format!("/api/v1/workspaces/{}", text(&other["id"]));
    server.catalog(&other).await;
    let all = || CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let mut member = world.member().await;
    let info = member.get_tables(all()).await.expect("a flight");
    let tables = fetch(&mut member, ticket(&info)).await.expect("tables");
    assert_eq!(texts(&tables, 0), ["default"]);
    assert_eq!(texts(&tables, 1), ["public"]);
    assert_eq!(texts(&tables, 2), ["customers"]);
    assert_eq!(tables[0].num_columns(), 5);

    // The owner of both has to say which is meant.
    let owner = server.owner_id().await;
    let owner = server.key(&owner, json!(["*"])).await;
    let mut owner = client(server, &owner).await;
    let info = owner.get_tables(all()).await.expect("a flight");
    let status = fetch(&mut owner, ticket(&info)).await.expect_err("two");
    assert_eq!(status.code(), Code::NotFound);
    owner.set_header("database", "second");
    let tables = fetch(&mut owner, ticket(&info)).await.expect("tables");
    assert_eq!(texts(&tables, 0), ["second"]);

    // Somebody else's workspace is like one that is not there.
    let mut refused = Vec::new();
    for name in ["second", "third"] {
        let mut member = world.member().await;
        member.set_header("x-syncguard-workspace", name);
        let info = member.get_tables(all()).await.expect("a flight");
        let status = fetch(&mut member, ticket(&info)).await.expect_err(name);
        refused.push((status.code(), status.message().to_owned()));
        let status = flight(&mut member, ALL).await.expect_err(name);
        refused.push((status.code(), status.message().to_owned()));
    }
    refused.dedup();
    assert_eq!(refused.len(), 1, "{refused:?}");

    let limited = server.key(&world.account, json!(["sources:read"])).await;
    let mut limited = client(server, &limited).await;
    let info = limited.get_tables(all()).await.expect("a flight");
    let status = fetch(&mut limited, ticket(&info)).await.expect_err("scope");
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = flight(&mut limited, ALL).await.expect_err("scope");
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn database_describes_itself() {
    let world = World::new().await;
    let mut client = world.member().await;
    let schemas = CommandGetDbSchemas {
        catalog: Some("default".into()),
        db_schema_filter_pattern: Some("pub%".into()),
    };
    let keys = CommandGetPrimaryKeys {
        table: "customers".into(),
        ..CommandGetPrimaryKeys::default()
    };
    let exported = CommandGetExportedKeys {
        table: "customers".into(),
        ..CommandGetExportedKeys::default()
    };
    let name = vec![SqlInfo::FlightSqlServerName];
    let types = CommandGetXdbcTypeInfo { data_type: None };
    let flights = [
        (client.get_catalogs().await, 0, Some(vec!["default"])),
        (
            client.get_db_schemas(schemas).await,
            1,
            Some(vec!["public"]),
        ),
        (client.get_table_types().await, 0, Some(vec!["TABLE"])),
        (client.get_primary_keys(keys).await, 3, Some(vec!["id"])),
        (client.get_exported_keys(exported).await, 0, Some(vec![])),
        (client.get_sql_info(name).await, 0, Some(vec!["0"])),
        (client.get_xdbc_type_info(types).await, 0, None),
    ];
    for (info, column, wanted) in flights {
        let info = info.expect("a flight");
        let schema = info.clone().try_decode_schema().expect("a schema");
        let batches = fetch(&mut client, ticket(&info)).await.expect("rows");
        for batch in &batches {
            assert_eq!(batch.schema().as_ref(), &schema);
        }
        if let Some(wanted) = wanted {
            assert_eq!(texts(&batches, column), wanted, "{schema}");
        }
    }
}

#[tokio::test]
async fn wrong_credentials_look_alike() {
    let world = World::new().await;
    let server = &world.server;
    let expired = json!({"name": "old", "scopes": ["*"], "expires_at": crate::api::in_an_hour()});
    let keys = format!("/api/v1/accounts/{}/keys", world.account);
    let expired = text(&server.post(&keys, expired).await.expect(201)["key"]);
    server.pass(TimeDelta::hours(2));
    let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
    let wrong = format!("{}0", world.key);
    let given = [
        None,
        Some("Bearer sgk_0000000000000000_00".to_owned()),
        Some(format!("Bearer {wrong}")),
        Some(format!("Bearer {expired}")),
        Some(format!("Digest {}", world.key)),
        Some(basic(format!("ann@example.com:{wrong}"))),
        Some(basic(format!("owner@localhost:{}", world.key))),
        Some(basic(format!("nobody@example.com:{}", world.key))),
        Some("Basic !".to_owned()),
    ];
    let mut plain = FlightServiceClient::new(channel(server).await);
    let mut seen = Vec::new();
    for authorization in given {
        let mut handshake = Request::new(stream::iter([HandshakeRequest::default()]));
        let mut actions = Request::new(arrow_flight::Empty::default());
        if let Some(authorization) = authorization {
            let value: tonic::metadata::AsciiMetadataValue = authorization.parse().expect("value");
            handshake
                .metadata_mut()
                .insert("authorization", value.clone());
            actions.metadata_mut().insert("authorization", value);
        }
        let refused = [
            plain.handshake(handshake).await.expect_err("wrong"),
            plain.list_actions(actions).await.expect_err("wrong"),
        ];
        for status in refused {
            assert_eq!(status.code(), Code::Unauthenticated);
            let mut headers = status.metadata().clone().into_headers();
            headers.remove("date");
            seen.push((status.message().to_owned(), headers));
        }
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    // The right ones work with every call, too.
    let mut actions = Request::new(arrow_flight::Empty::default());
    let right = basic(format!("ann@example.com:{}", world.key));
    let right = right.parse().expect("a header");
    actions.metadata_mut().insert("authorization", right);
    plain.list_actions(actions).await.expect("actions");
}

#[tokio::test]
async fn writing_and_transactions_are_refused() {
    let world = World::new().await;
    let mut client = world.member().await;
    let update = "DELETE FROM customers".to_owned();
    let status = refusal(client.execute_update(update, None).await.expect_err("no"));
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = refusal(client.begin_transaction().await.expect_err("no"));
    assert_eq!(status.code(), Code::Unimplemented);
    let status = client
        .execute(ALL.into(), Some(Bytes::from_static(b"tx")))
        .await;
    assert_eq!(refusal(status.expect_err("no")).code(), Code::Unimplemented);
}

#[tokio::test]
async fn query_is_told_to_be_not_cancellable() {
    let world = World::new().await;
    let mut client = world.member().await;
    let command = ActionCancelQueryRequest::default();
    let actions = [
        ("CancelQuery", command.as_any().encode_to_vec()),
        ("CancelFlightInfo", Vec::new()),
    ];
    for (name, body) in actions {
        let action = Action {
            r#type: name.to_owned(),
            body: body.into(),
        };
        let answer = client.do_action(action).await.expect("an answer");
        let answer: Vec<_> = answer.try_collect().await.expect("an answer");
        assert_eq!(answer.len(), 1, "{name}");
        if name == "CancelFlightInfo" {
            let result = CancelFlightInfoResult::decode(&*answer[0].body).expect("a result");
            assert_eq!(result.status, CancelStatus::NotCancellable as i32);
        }
    }
}

#[tokio::test]
async fn silent_connections_hold_nobody_up() {
    let world = World::new().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let stream = tokio::net::TcpStream::connect(world.server.flight).await;
        silent.push(stream.expect("a connection"));
    }
    let mut client = world.member().await;
    assert_eq!(ask(&mut client, ALL).await.expect("rows"), ["Bo", "Di"]);
}
