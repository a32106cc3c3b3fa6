//! How a connection begins: encryption, and what the client says of itself.
//!
//! Nobody has shown who they are yet, so everything is bounded: the size of a message, how often
//! encryption may be asked for, and, by whoever calls, the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use pgwire::messages::startup::NegotiateProtocolVersion;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::fault::{Fault, Trouble, encode};
use super::link::Link;
use super::message::Fields;

/// Bytes of a message of somebody who was not let in yet.
pub(super) const MOST: usize = 16 * 1024;

/// How long somebody may say nothing at all.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// The protocol that is spoken: 3.0.
const VERSION: u32 = 3 << 16;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// How clients name the protocol in the handshake of a connection that begins with TLS.
const ALPN: &[u8] = b"postgresql";
/// The first byte of a TLS handshake; no message of the protocol begins with it.
const HANDSHAKE: u8 = 0x16;

/// What somebody who connects wants.
pub(super) enum Wish {
    /// To end the statement at work on another connection.
    Cancel { number: u32, secret: Vec<u8> },
    /// To be let in.
    Enter(Stranger),
}

/// Somebody who wants to be let in.
pub(super) struct Stranger {
    /// The connection.
    pub(super) link: Link,
    /// The name.
    pub(super) user: String,
    /// The database, if it is named.
    pub(super) database: Option<String>,
    /// Settings for the session, as they came.
    pub(super) settings: BTreeMap<String, String>,
}

/// Hears what somebody wants who connects; `None` where nothing came that could be answered.
pub(super) async fn hear(
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<&TlsAcceptor>,
) -> Option<Wish> {
    let mut first = [0];
    // The byte stays where it is: it belongs to the handshake, or to the first message.
    let peeking = tokio::time::timeout(FIRST_PATIENCE, socket.peek(&mut first));
    let peeked = peeking.await.ok()?.ok()?;
    let begins_with_tls = peeked == 1 && first == [HANDSHAKE];
    let (mut link, is_encrypted) = match (begins_with_tls, tls) {
        (false, _) => (Link::new(Box::new(socket)), false),
        (true, None) => return None,
        (true, Some(tls)) => {
            let stream = tls.accept(socket).await.ok()?;
            // Whoever asks for no protocol may be led here by somebody who means another one.
            if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
                return None;
            }
            (Link::new(Box::new(stream)), true)
        }
    };
    let mut greeting = Greeting {
        tls,
        must_encrypt: tls.is_some() && !peer.ip().to_canonical().is_loopback(),
        is_encrypted,
        asked_for_tls: begins_with_tls,
        asked_for_gss: false,
    };
    loop {
        link = match greeting.step(link).await {
            Step::Next(link) => link,
            Step::Heard(wish) => return Some(wish),
            Step::Ended => return None,
        };
    }
}

struct Greeting<'a> {
    tls: Option<&'a TlsAcceptor>,
    must_encrypt: bool,
    is_encrypted: bool,
    asked_for_tls: bool,
    asked_for_gss: bool,
}

enum Step {
    Next(Link),
    Heard(Wish),
    Ended,
}

impl Greeting<'_> {
    async fn step(&mut self, mut link: Link) -> Step {
        let body = match link.first_frame(MOST).await {
            Ok(Some(body)) => body,
            Ok(None) | Err(Trouble::Gone) => return Step::Ended,
            Err(Trouble::Fault(fault)) => return refuse(link, fault).await,
        };
        let mut fields = Fields(body);
        let code = fields.u32();
        match code {
            Ok(SSL) if !self.asked_for_tls && fields.end().is_ok() => self.encrypt(link).await,
            Ok(GSS) if !self.asked_for_gss && fields.end().is_ok() => {
                self.asked_for_gss = true;
                link.out.extend_from_slice(b"N");
                match link.flush().await {
                    Ok(()) => Step::Next(link),
                    Err(_) => Step::Ended,
                }
            }
            Ok(CANCEL) => match fields.u32() {
                Ok(number) => {
                    let secret = fields.rest().to_vec();
                    Step::Heard(Wish::Cancel { number, secret })
                }
                Err(fault) => refuse(link, fault).await,
            },
            Ok(version) if version >> 16 == 3 => match self.introduced(version, fields, link).await
            {
                Ok(wish) => Step::Heard(wish),
                Err(Some((link, fault))) => refuse(link, fault).await,
                Err(None) => Step::Ended,
            },
            Ok(version) if ![SSL, GSS].contains(&version) => {
                let (major, minor) = (version >> 16, version & 0xffff);
                let message = format!("protocol {major}.{minor} is not spoken here: expected 3.0");
                refuse(link, Fault::fatal("0A000", message)).await
            }
            _ => refuse(link, Fault::protocol("unexpected request for encryption")).await,
        }
    }

    async fn encrypt(&mut self, mut link: Link) -> Step {
        self.asked_for_tls = true;
        let answer = if self.tls.is_some() { b"S" } else { b"N" };
        link.out.extend_from_slice(answer);
        if link.flush().await.is_err() {
            return Step::Ended;
        }
        // What came before the handshake would be taken for encrypted although anybody on the
        // way can have written it.
        let Some(socket) = link.into_socket() else {
            return Step::Ended;
        };
        let Some(tls) = self.tls else {
            return Step::Next(Link::new(socket));
        };
        match tls.accept(socket).await {
            // Older clients name none; one that names another is in the wrong place.
            Ok(stream)
                if stream
                    .get_ref()
                    .1
                    .alpn_protocol()
                    .is_none_or(|name| name == ALPN) =>
            {
                self.is_encrypted = true;
                Step::Next(Link::new(Box::new(stream)))
            }
            _ => Step::Ended,
        }
    }

    async fn introduced(
        &self,
        version: u32,
        fields: Fields,
        mut link: Link,
    ) -> Result<Wish, Option<(Link, Fault)>> {
        if self.must_encrypt && !self.is_encrypted {
            let message = "connections from another machine must be encrypted: use sslmode=require";
            return Err(Some((link, Fault::fatal("28000", message))));
        }
        let mut parameters = match parameters(fields) {
            Ok(parameters) => parameters,
            Err(fault) => return Err(Some((link, fault))),
        };
        let unknown: Vec<String> = parameters
            .extract_if(.., |name, _| name.starts_with("_pq_."))
            .map(|(name, _)| name)
            .collect();
        if version != VERSION || !unknown.is_empty() {
            negotiate(unknown, &mut link.out);
        }
        let replicates = parameters.remove("replication").is_some_and(|value| {
            !["false", "off", "no", "0"].contains(&value.to_ascii_lowercase().as_str())
        });
        if replicates {
            let fault = Fault::fatal("0A000", "there is no replication here");
            return Err(Some((link, fault)));
        }
        let Some(user) = parameters.remove("user").filter(|user| !user.is_empty()) else {
            let fault = Fault::fatal(
                "28000",
                "no user name: give the e-mail address of an account",
            );
            return Err(Some((link, fault)));
        };
        let database = parameters.remove("database");
        Ok(Wish::Enter(Stranger {
            link,
            user,
            database: database.filter(|name| !name.is_empty()),
            settings: parameters,
        }))
    }
}

/// Names and values until an empty name.
fn parameters(mut fields: Fields) -> Result<BTreeMap<String, String>, Fault> {
    let mut parameters = BTreeMap::new();
    loop {
        let name = fields.text()?;
        if name.is_empty() {
            break;
        }
        parameters.insert(name, fields.text()?);
    }
    fields.end()?;
    Ok(parameters)
}

/// Tells a client who wants a newer protocol, or something besides, what it gets.
fn negotiate(unknown: Vec<String>, out: &mut BytesMut) {
    encode(
        &NegotiateProtocolVersion::new(VERSION.cast_signed(), unknown),
        out,
    );
}

async fn refuse(link: Link, fault: Fault) -> Step {
    link.end(Some(fault)).await;
    Step::Ended
}
