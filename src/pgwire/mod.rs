//! The PostgreSQL door: the wire protocol, translated into queries.
//!
//! A client connects (`startup`), shows who it is (`login`, `scram`), and has a `connection` of
//! its own, which one task serves and which nothing is shared with but the means to give a
//! statement up (`cancel`). `link` cuts its bytes into messages and `message` reads them;
//! `statement` tells what a text asks for; `execute` does what is no query, `portals` holds the
//! answers that a client takes piece by piece, and `extended` is the protocol's way of preparing
//! them. `types`, `rows`, `copy` and `parameters` write and read values, `catalog` answers what
//! clients ask about the tables, `settings` knows what they may set, `fault` how to tell them what
//! went wrong, and `seats` counts them.

mod binary;
mod cancel;
mod catalog;
mod column;
mod connection;
mod copy;
mod execute;
mod extended;
mod fault;
mod link;
mod login;
mod message;
mod moments;
mod parameters;
mod portals;
mod rows;
mod scram;
mod seats;
mod settings;
mod startup;
mod statement;
mod text;
mod types;
mod words;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::cancel::Statements;
use self::connection::Connection;
use self::fault::{Fault, Trouble};
use self::link::Link;
use self::seats::{Seat, Seats, neighbourhood};
use self::startup::{Stranger, Wish};
use crate::query::{Clock, Querier};
use crate::store::Store;

/// Connections at once.
const CONNECTIONS: usize = 1000;
/// Of these, connections of clients who have not shown who they are yet.
const STRANGERS: usize = 200;
/// Of these, at one address.
const STRANGERS_OF_ADDRESS: usize = 20;
/// Of these, on this machine, where a proxy may be.
const STRANGERS_OF_LOOPBACK: usize = 100;
/// Connections of one account.
const CONNECTIONS_OF_ACCOUNT: usize = 100;
/// How long a client may take to show who it is.
const LOGIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long statements at work may take to end after the shutdown was asked for.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);
/// Pause after an accept error that concerns the whole process, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections work with; cheap to clone.
#[derive(Clone)]
pub struct Door {
    /// Where accounts and keys are.
    pub store: Store,
    /// Answers queries.
    pub querier: Querier,
    /// The time.
    pub clock: Clock,
    /// What clients who ask for TLS get; without it they are told that there is none.
    pub tls: Option<Arc<TlsAcceptor>>,
}

/// Serves connections until `shutdown`; then no new one is taken and open ones end after the
/// statement they are at.
pub async fn serve(listener: TcpListener, door: Door, shutdown: CancellationToken) {
    let house = House {
        door,
        statements: Statements::default(),
        connections: Arc::new(Semaphore::new(CONNECTIONS)),
        strangers: Arc::new(Semaphore::new(STRANGERS)),
        addresses: Seats::default(),
        accounts: Seats::default(),
        shutdown: shutdown.clone(),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => drop(connections.spawn(house.clone().receive(socket, peer))),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_PATIENCE, ended).await.is_err() {
        tracing::warn!("some statements did not end in time and are cut off");
        connections.shutdown().await;
    }
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// What all connections share.
#[derive(Clone)]
struct House {
    door: Door,
    statements: Statements,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// Those who have not shown who they are yet.
    addresses: Seats<IpAddr>,
    accounts: Seats<Uuid>,
    shutdown: CancellationToken,
}

impl House {
    /// Serves somebody who has connected.
    async fn receive(self, socket: TcpStream, peer: SocketAddr) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let address = neighbourhood(peer.ip());
        let most = match address.is_loopback() {
            true => STRANGERS_OF_LOOPBACK,
            false => STRANGERS_OF_ADDRESS,
        };
        let seat = self.addresses.take(address, most);
        let places = (&self.connections, &self.strangers);
        let (Some(seat), Some(place), Some(stranger)) = (seat, free(places.0), free(places.1))
        else {
            let fault = Fault::fatal("53300", "too many connections: try again later");
            return Link::new(Box::new(socket)).end(Some(fault)).await;
        };
        let entering = tokio::time::timeout(LOGIN_PATIENCE, self.enter(socket, peer));
        let entered = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return,
            entered = entering => entered,
        };
        drop((stranger, seat));
        // Whoever took too long is hung up on.
        if let Ok(Some((connection, settings, seat))) = entered {
            connection.serve(settings, self.shutdown).await;
            drop(seat);
        }
        drop(place);
    }

    /// Lets somebody in, if that is what they want and may.
    async fn enter(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<(Connection, BTreeMap<String, String>, Seat<Uuid>)> {
        let tls = self.door.tls.as_deref();
        let stranger = match startup::hear(socket, peer, tls).await? {
            Wish::Cancel { number, secret } => {
                self.statements.cancel(number, &secret);
                return None;
            }
            Wish::Enter(stranger) => stranger,
        };
        let Stranger {
            mut link,
            user,
            database,
            settings,
        } = stranger;
        match login::log_in(&self.door, &mut link, &user, database.as_deref()).await {
            Ok((principal, workspace)) => {
                let account_id = principal.account.id;
                let Some(seat) = self.accounts.take(account_id, CONNECTIONS_OF_ACCOUNT) else {
                    let message = "too many connections of this account: close some";
                    link.end(Some(Fault::fatal("53300", message))).await;
                    return None;
                };
                let place = self.statements.enter();
                let door = self.door.clone();
                let connection = Connection::new(door, link, principal, workspace, place);
                Some((connection, settings, seat))
            }
            Err(Trouble::Gone) => None,
            Err(Trouble::Fault(fault)) => {
                let is_fatal = true;
                link.end(Some(Fault { is_fatal, ..fault })).await;
                None
            }
        }
    }
}

fn free(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).try_acquire_owned().ok()
}

#[cfg(test)]
mod tests;
