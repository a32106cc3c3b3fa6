//! One connection: its client's messages, one after the other, and its state.

use std::collections::BTreeMap;
use std::time::Duration;

use pgwire::messages::response::{EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, SecretKey};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Door;
use super::cancel::Place;
use super::catalog::Catalog;
use super::execute::Manner;
use super::extended::Prepared;
use super::fault::{Fault, Trouble, encode};
use super::link::{Frame, Link};
use super::message::Request;
use super::portals::Portals;
use super::settings::{Settings, of_options};
use super::statement::{Command, commands};
use crate::catalog::Workspace;
use crate::principal::Principal;
use crate::query::Asker;

/// Bytes of a message besides the text of a statement: for the values of its parameters.
const MOST_BESIDES: usize = 1 << 20;
/// How long a client may leave a query open without asking for more of it.
const HOLDING_PATIENCE: Duration = Duration::from_secs(600);
/// How long a client may say nothing.
const IDLE_PATIENCE: Duration = Duration::from_secs(3600);
/// How often it is looked whether the key of a connection still works.
const LOOKS: Duration = Duration::from_secs(60);

/// Where a connection stands in a transaction. Nothing is ever written, so that this is all
/// there is of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In none.
    Idle,
    /// In one that the client has begun.
    Open,
    /// In one in which something went wrong.
    Failed,
}

/// A connection of a client who was let in.
pub(super) struct Connection {
    pub(super) door: Door,
    pub(super) link: Link,
    pub(super) asker: Asker,
    pub(super) catalog: Catalog,
    place: Place,
    pub(super) settings: Settings,
    pub(super) state: State,
    /// Whether several statements came at once, which are a transaction of their own.
    pub(super) is_batch: bool,
    pub(super) savepoints: Vec<String>,
    pub(super) prepared: Prepared,
    pub(super) portals: Portals,
    /// Whether something went wrong, so that messages are passed over until the next Sync.
    is_skipping: bool,
}

impl Connection {
    /// The connection of a principal to a workspace.
    pub(super) fn new(
        door: Door,
        link: Link,
        principal: Principal,
        workspace: Workspace,
        place: Place,
    ) -> Connection {
        let user = principal.account.email.as_str();
        Connection {
            catalog: Catalog::new(&workspace.name, user),
            settings: Settings::new(user),
            asker: Asker {
                principal,
                workspace_id: workspace.id,
                request_id: None,
                evaluate_as: None,
            },
            door,
            link,
            place,
            state: State::Idle,
            is_batch: false,
            savepoints: Vec::new(),
            prepared: Prepared::default(),
            portals: Portals::default(),
            is_skipping: false,
        }
    }

    /// Serves the client until it leaves, something goes wrong that ends the connection, or
    /// `shutdown`.
    pub(super) async fn serve(
        mut self,
        settings: BTreeMap<String, String>,
        shutdown: CancellationToken,
    ) {
        let ended = match self.welcome(settings) {
            Ok(()) => self.converse(&shutdown).await,
            Err(fault) => Err(fault.into()),
        };
        // Queries that are still open end before anybody is waited for.
        let Connection { link, .. } = self;
        match ended {
            Ok(()) => link.end(None).await,
            Err(Trouble::Fault(fault)) => {
                let is_fatal = true;
                link.end(Some(Fault { is_fatal, ..fault })).await;
            }
            Err(Trouble::Gone) => {}
        }
    }

    /// Takes the settings that came with the client, and tells it that it is let in.
    fn welcome(&mut self, mut given: BTreeMap<String, String>) -> Result<(), Fault> {
        let options = given.remove("options").unwrap_or_default();
        // All of them are told below.
        let mut untold = bytes::BytesMut::new();
        for (name, value) in of_options(&options)?.into_iter().chain(given) {
            self.settings.set(&name, Some(value), &mut untold)?;
        }
        let out = &mut self.link.out;
        encode(&Authentication::Ok, out);
        self.settings.report(out);
        let secret = SecretKey::I32(i32::from_be_bytes(self.place.secret));
        let number = self.place.number.cast_signed();
        encode(&BackendKeyData::new(number, secret), out);
        self.ready();
        Ok(())
    }

    async fn converse(&mut self, shutdown: &CancellationToken) -> Result<(), Trouble> {
        self.link.flush().await?;
        let text = usize::try_from(self.door.querier.text_bytes()).unwrap_or(usize::MAX);
        let most = text.saturating_add(MOST_BESIDES);
        let mut looks = tokio::time::interval(LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once, when the key was just looked at.
        looks.tick().await;
        loop {
            let (patience, message) = match self.portals.are_open() {
                true => (
                    HOLDING_PATIENCE,
                    "terminating connection: it has left a query open for too long",
                ),
                false => (
                    IDLE_PATIENCE,
                    "terminating connection: it was not used for too long",
                ),
            };
            let mut idle = std::pin::pin!(tokio::time::sleep(patience));
            let frame = loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => {
                        let message = "terminating connection due to administrator command";
                        return Err(Fault::fatal("57P01", message).into());
                    }
                    _ = looks.tick() => self.still_let_in().await?,
                    frame = self.link.frame(most) => break frame?,
                    () = &mut idle => return Err(Fault::fatal("57P05", message).into()),
                }
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            if self.is_skipping && ![b'S', b'X'].contains(&frame.tag) {
                continue;
            }
            if !self.hear(frame).await? {
                return Ok(());
            }
        }
    }

    /// Ends the connection if its key was revoked or has expired.
    async fn still_let_in(&mut self) -> Result<(), Fault> {
        let key_id = self.asker.principal.key_id;
        let now = (self.door.clock)();
        match self.door.store.key_works(key_id, now).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message = "terminating connection: its key was revoked or has expired";
                Err(Fault::fatal("28000", message))
            }
            // Nothing is answered without the store, and it is asked again soon.
            Err(error) => {
                tracing::warn!(%error, "cannot look whether a key still works");
                Ok(())
            }
        }
    }

    /// Answers a message. Whether the client stays is told.
    async fn hear(&mut self, frame: Frame) -> Result<bool, Trouble> {
        let is_simple = frame.tag == b'Q';
        let heard = match Request::read(frame)? {
            Request::Terminate => return Ok(false),
            Request::Sync => {
                self.is_skipping = false;
                return self.settle().await.map(|()| true);
            }
            Request::Flush => return self.link.flush().await.map(|()| true),
            Request::Copy => return Ok(true),
            Request::Query(text) => self.query(text).await,
            request => self.extended(request).await,
        };
        self.is_batch = false;
        self.place.end();
        match heard {
            Ok(()) => {}
            Err(Trouble::Fault(fault)) if !fault.is_fatal => {
                fault.write(&mut self.link.out);
                if self.state == State::Open {
                    self.state = State::Failed;
                }
                self.is_skipping = !is_simple;
            }
            Err(trouble) => return Err(trouble),
        }
        match is_simple {
            true => self.settle().await?,
            false => self.link.flush_if_full().await?,
        }
        Ok(true)
    }

    /// Ends what ends with a message, and is ready for the next.
    async fn settle(&mut self) -> Result<(), Trouble> {
        if self.state == State::Idle {
            self.portals.end_transaction(true);
        }
        self.ready();
        self.link.flush().await
    }

    fn ready(&mut self) {
        let status = match self.state {
            State::Idle => TransactionStatus::Idle,
            State::Open => TransactionStatus::Transaction,
            State::Failed => TransactionStatus::Error,
        };
        encode(&ReadyForQuery::new(status), &mut self.link.out);
    }

    /// Answers the statements of a text, until one fails.
    async fn query(&mut self, text: String) -> Result<(), Trouble> {
        self.portals.close("");
        self.prepared.forget("");
        self.not_too_long(&text)?;
        let commands = commands(&text)?;
        if commands.is_empty() {
            encode(&EmptyQueryResponse::new(), &mut self.link.out);
        }
        self.is_batch = commands.len() > 1;
        let token = self.begin();
        for command in commands {
            self.is_possible(Some(&command))?;
            self.run(&command, &[], Manner::Simple, &token).await?;
        }
        Ok(())
    }

    /// Begins to work on something that the client may give up.
    pub(super) fn begin(&self) -> CancellationToken {
        self.place.begin()
    }

    /// Refuses texts that are longer than any query may be, before they are read.
    pub(super) fn not_too_long(&self, text: &str) -> Result<(), Fault> {
        let most = self.door.querier.text_bytes();
        if text.len() as u64 <= most {
            return Ok(());
        }
        let message = format!("the statement is longer than {most} bytes");
        Err(Fault::new("54001", message))
    }

    /// Refuses whatever does not end a transaction that has failed.
    pub(super) fn is_possible(&self, command: Option<&Command>) -> Result<(), Fault> {
        match command.is_none_or(Command::ends_transaction) {
            true => Ok(()),
            false => self.is_alive(),
        }
    }

    /// Refuses a transaction that has failed.
    pub(super) fn is_alive(&self) -> Result<(), Fault> {
        if self.state != State::Failed {
            return Ok(());
        }
        let message =
            "current transaction is aborted, commands ignored until end of transaction block";
        Err(Fault::new("25P02", message))
    }
}
