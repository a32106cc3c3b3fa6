//! The Flight SQL door: Arrow Flight SQL over gRPC, translated into queries.
//!
//! `accept` takes connections and encrypts them; `caller` authenticates every call anew; `service`
//! answers them, with `listing` and `info` for what describes the database and `rows` for what a
//! query gives; `parameters` reads what is bound to a statement. The server keeps nothing between
//! calls: a ticket or a prepared statement is a `token`, and what it stands for is planned when it
//! is used, with the policies and the caller's permissions of that moment.

mod accept;
mod caller;
mod info;
mod listing;
mod parameters;
mod rows;
mod service;
mod status;
mod token;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use axum::middleware::from_fn_with_state;
use futures::stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::query::{Clock, Querier};
use crate::store::Store;
use service::Service;

/// Most bytes of a message from a client.
const MESSAGE_BYTES: usize = 4 << 20;
/// Most bytes of the headers of a call.
const HEADER_BYTES: u32 = 32 << 10;
/// Calls that a connection may have open at once.
const CALLS: u32 = 128;
/// Calls that a client may take back before they were begun, and errors it may cause, until its
/// connection is closed.
const TAKEN_BACK: usize = 32;
/// How often a connection is asked whether its client is still there, and how long it may take to
/// say so.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long open calls may take to end after the shutdown was asked for.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// What calls work with; cheap to clone.
#[derive(Clone)]
pub struct Door {
    /// Where accounts and keys are.
    pub store: Store,
    /// Answers queries.
    pub querier: Querier,
    /// The time.
    pub clock: Clock,
    /// With it connections are encrypted.
    pub tls: Option<Arc<TlsAcceptor>>,
}

/// Serves calls until `shutdown`; then no new one is taken and open ones end.
pub async fn serve(listener: TcpListener, door: Door, shutdown: CancellationToken) {
    let service = FlightServiceServer::new(Service::new(door.clone(), rand::random()))
        .max_decoding_message_size(MESSAGE_BYTES);
    let tls = door.tls.clone();
    let routes = Routes::new(service)
        .into_axum_router()
        .layer(from_fn_with_state(door, caller::admit));
    let (accepted, sockets) = mpsc::channel(16);
    let sockets = stream::unfold(sockets, |mut sockets| async {
        let socket = sockets.recv().await?;
        Some((Ok::<_, Infallible>(socket), sockets))
    });
    let serving = Server::builder()
        .max_concurrent_streams(CALLS)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(TAKEN_BACK))
        .http2_max_local_error_reset_streams(Some(TAKEN_BACK))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_routes(Routes::from(routes))
        .serve_with_incoming_shutdown(sockets, shutdown.clone().cancelled_owned());
    let accepting = accept::accept(listener, tls, accepted, shutdown.clone());
    let patience = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_PATIENCE).await;
    };
    tokio::select! {
        ((), served) = async { tokio::join!(accepting, serving) } => {
            if let Err(error) = served {
                tracing::error!(%error, "Flight SQL is no longer served");
            }
        }
        () = patience => tracing::warn!("some calls did not end in time and are cut off"),
    }
}
