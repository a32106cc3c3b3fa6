//! Tickets and prepared statements in other hands, and in other circumstances.

use arrow_flight::sql::{CommandPreparedStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, Ticket};
use bytes::Bytes;
use chrono::TimeDelta;
use prost::Message;
use serde_json::json;
use tonic::{Code, Request};

use super::{ALL, World, client, fetch, flight, refusal, texts, ticket};
use crate::api::fixtures::equals;
use crate::api::{MEMBER, text};

/// A ticket for a handle of a statement.
fn statement(statement_handle: Bytes) -> Ticket {
    let ticket = TicketStatementQuery { statement_handle };
    Ticket::new(ticket.as_any().encode_to_vec())
}

#[track_caller]
fn handle(ticket: &Ticket) -> Bytes {
    let any = arrow_flight::sql::Any::decode(&*ticket.ticket).expect("a message");
    let ticket: Option<TicketStatementQuery> = any.unpack().expect("a message");
    ticket.expect("a ticket").statement_handle
}

#[tokio::test]
async fn ticket_that_is_not_ones_own_looks_like_garbage() {
    let world = World::new().await;
    let server = &world.server;
    let (_, other) = server.joined(&world.ws, "ben@example.com", MEMBER).await;
    let mut member = world.member().await;
    let info = flight(&mut member, ALL).await.expect("a flight");
    let good = ticket(&info);
    let mut forged = handle(&good).to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let mut unsigned = handle(&good).to_vec();
    unsigned[..32].fill(0);
    let mut other = client(server, &other).await;
    let mut refused = vec![
        fetch(&mut other, good.clone())
            .await
            .expect_err("another's"),
    ];
    let garbage = [&b""[..], b"x", &[0; 32], &[0; 64], b"{}"];
    let garbage = garbage.map(Bytes::from_static);
    for handle in garbage.into_iter().chain([forged.into(), unsigned.into()]) {
        refused.push(
            fetch(&mut member, statement(handle))
                .await
                .expect_err("garbage"),
        );
    }
    assert!(fetch(&mut member, good.clone()).await.is_ok());
    server.pass(TimeDelta::minutes(11));
    refused.push(fetch(&mut member, good).await.expect_err("too old"));
    for status in refused {
        assert_eq!(status.code(), Code::NotFound);
        assert!(
            status.message().starts_with("there is no such ticket"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn prepared_statement_of_somebody_else_is_not_found() {
    let world = World::new().await;
    let (_, other) = world
        .server
        .joined(&world.ws, "ben@example.com", MEMBER)
        .await;
    let mut member = world.member().await;
    let info = flight(&mut member, ALL).await.expect("a flight");
    // A ticket is no handle, either.
    let handle = handle(&ticket(&info));
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle,
    };
    let mut refused = Vec::new();
    let as_ticket = Ticket::new(command.as_any().encode_to_vec());
    refused.push(fetch(&mut member, as_ticket).await.expect_err("a ticket"));
    let mut prepared = member.prepare(ALL.into(), None).await.expect("a statement");
    let asked = prepared
        .execute()
        .await
        .expect("a flight")
        .flight_descriptor;
    let asked = asked.expect("what was asked");
    let mut other = client(&world.server, &other).await;
    let mut request = Request::new(FlightDescriptor::new_cmd(asked.cmd.clone()));
    let token = format!("Bearer {}", other.token().expect("a token"));
    let token = token.parse().expect("a header");
    request.metadata_mut().insert("authorization", token);
    let answer = other.inner_mut().get_flight_info(request).await;
    refused.push(answer.expect_err("another's"));
    refused.push(
        fetch(&mut other, Ticket::new(asked.cmd.clone()))
            .await
            .expect_err("another's"),
    );
    for status in refused {
        assert_eq!(status.code(), Code::NotFound);
        let wanted = "there is no such prepared statement";
        assert!(status.message().starts_with(wanted), "{status}");
    }
    // Its owner may run it without asking for a flight first.
    let batches = fetch(&mut member, Ticket::new(asked.cmd)).await;
    assert_eq!(texts(&batches.expect("rows"), 0), ["Bo", "Di"]);
}

#[tokio::test]
async fn key_that_was_revoked_meanwhile_opens_nothing() {
    let world = World::new().await;
    let keys = format!("/api/v1/accounts/{}/keys", world.account);
    let made = json!({"name": "short-lived", "scopes": ["*"]});
    let made = world.server.post(&keys, made).await.expect(201);
    let mut member = client(&world.server, &text(&made["key"])).await;
    let info = flight(&mut member, ALL).await.expect("a flight");
    let mut prepared = member.prepare(ALL.into(), None).await.expect("a statement");
    let revoked = format!("{keys}/{}", text(&made["id"]));
    world.server.delete(&revoked).await.expect(204);
    let refused = [
        fetch(&mut member, ticket(&info))
            .await
            .expect_err("revoked"),
        refusal(prepared.execute().await.expect_err("revoked")),
        flight(&mut member, ALL).await.expect_err("revoked"),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    // With another key of the account the ticket is as good as before.
    let batches = fetch(&mut world.member().await, ticket(&info)).await;
    assert_eq!(texts(&batches.expect("rows"), 0), ["Bo", "Di"]);
}

#[tokio::test]
async fn ticket_obeys_the_policies_of_the_moment() {
    let world = World::new().await;
    let mut member = world.member().await;
    let info = flight(&mut member, ALL).await.expect("a flight");
    let mut prepared = member.prepare(ALL.into(), None).await.expect("a statement");
    let narrower = json!({"filter_tree": equals("name", "Di")});
    let subset = format!("{}/subsets/{}", world.ws, world.subset);
    world.server.put(&subset, narrower).await.expect(200);
    let batches = fetch(&mut member, ticket(&info)).await.expect("rows");
    assert_eq!(texts(&batches, 0), ["Di"]);
    let info = prepared.execute().await.expect("a flight");
    let batches = fetch(&mut member, ticket(&info)).await.expect("rows");
    assert_eq!(texts(&batches, 0), ["Di"]);
}

#[tokio::test]
async fn member_who_was_removed_meanwhile_finds_nothing() {
    let world = World::new().await;
    let mut member = world.member().await;
    let info = flight(&mut member, ALL).await.expect("a flight");
    let mut prepared = member.prepare(ALL.into(), None).await.expect("a statement");
    let membership = format!("{}/members/{}", world.ws, world.account);
    world.server.delete(&membership).await.expect(204);
    let refused = [
        fetch(&mut member, ticket(&info))
            .await
            .expect_err("removed"),
        refusal(prepared.execute().await.expect_err("removed")),
        flight(&mut member, ALL).await.expect_err("removed"),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::NotFound, "{status}");
    }
}

#[tokio::test]
async fn ticket_whose_columns_changed_is_refused() {
    let world = World::new().await;
    let mut member = world.member().await;
    let sql = "SELECT * FROM customers";
    let info = flight(&mut member, sql).await.expect("a flight");
    let models = world.server.get(&format!("{}/models", world.ws)).await;
    let model = models.expect(200)[0].clone();
    let changed = json!({
        "name": "customers",
        "source_id": model["source_id"],
        "sql": "SELECT id, country, name, consent FROM files",
    });
    let path = format!("{}/models/{}", world.ws, text(&model["id"]));
    world.server.put(&path, changed).await.expect(200);
    let status = fetch(&mut member, ticket(&info))
        .await
        .expect_err("changed");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
}
