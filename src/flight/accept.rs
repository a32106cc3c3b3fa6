//! The accept loop. It outlives every error of a single connection, and no connection waits for
//! the handshake of another. Whoever has not authenticated shares few places with their like, so that
//! strangers cannot shut out those who have.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// Connections that may be open at once; further ones are refused.
const CONNECTIONS: usize = 1024;
/// Of these, connections on which nobody has authenticated yet; further ones are refused.
const STRANGERS: usize = 256;
/// How long the TLS handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection stays open on which nobody has authenticated.
const STRANGER_PATIENCE: Duration = Duration::from_secs(60);
/// Pause after an accept error that concerns the whole process, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `shutdown` and hands them on when they are ready to be served.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<TlsAcceptor>>,
    sockets: mpsc::Sender<Socket>,
    shutdown: CancellationToken,
) {
    let places = Places::new(CONNECTIONS, STRANGERS);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match places.enter() {
                Some(place) => {
                    tokio::spawn(open(stream, place, tls.clone(), sockets.clone()));
                }
                None => tracing::debug!("no room for one more connection"),
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections at the moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Room for connections.
struct Places {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// The room that a connection takes until it is dropped.
struct Place {
    _any: OwnedSemaphorePermit,
    stranger: OwnedSemaphorePermit,
}

impl Places {
    fn new(all: usize, strangers: usize) -> Places {
        Places {
            all: Arc::new(Semaphore::new(all)),
            strangers: Arc::new(Semaphore::new(strangers)),
        }
    }

    /// Room for one more stranger, if there is any.
    fn enter(&self) -> Option<Place> {
        Some(Place {
            _any: Arc::clone(&self.all).try_acquire_owned().ok()?,
            stranger: Arc::clone(&self.strangers).try_acquire_owned().ok()?,
        })
    }
}

async fn open(
    stream: TcpStream,
    place: Place,
    tls: Option<Arc<TlsAcceptor>>,
    sockets: mpsc::Sender<Socket>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let opening = async {
        let stream: Box<dyn Duplex> = match tls {
            Some(tls) => Box::new(tls.accept(stream).await?),
            None => Box::new(stream),
        };
        Ok::<_, Error>(stream)
    };
    match tokio::time::timeout(HANDSHAKE_PATIENCE, opening).await {
        Ok(Ok(stream)) => {
            let Place { _any, stranger } = place;
            let socket = Socket {
                stream,
                known: Known::of(stranger),
                stranger: Some(Box::pin(tokio::time::sleep(STRANGER_PATIENCE))),
                _any,
            };
            // Where nobody takes it any more, the server is about to end.
            let _ = sockets.send(socket).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

fn is_of_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Whether somebody has authenticated on a connection; its calls share it.
#[derive(Clone, Debug)]
pub(super) struct Known(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Known {
    /// Nobody has: the connection takes the place of a stranger.
    fn of(stranger: OwnedSemaphorePermit) -> Known {
        Known(Arc::new(Mutex::new(Some(stranger))))
    }

    /// Somebody has, and makes room for another stranger.
    pub(super) fn set(&self) {
        *self.place() = None;
    }

    fn is_set(&self) -> bool {
        self.place().is_none()
    }

    fn place(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, encrypted or not. It breaks when nobody authenticates on it for a while.
pub(super) struct Socket {
    stream: Box<dyn Duplex>,
    known: Known,
    /// When the patience with a stranger ends; `None` once somebody has authenticated.
    stranger: Option<Pin<Box<Sleep>>>,
    _any: OwnedSemaphorePermit,
}

impl Connected for Socket {
    type ConnectInfo = Known;

    fn connect_info(&self) -> Known {
        self.known.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.known.is_set() {
            self.stranger = None;
        }
        if let Some(stranger) = &mut self.stranger
            && stranger.as_mut().poll(cx).is_ready()
        {
            let what = "nobody authenticated on the connection";
            return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, what)));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_room_for_those_who_have_authenticated() {
        let places = Places::new(3, 2);
        let known = |place: Place| (Known::of(place.stranger), place._any);
        let (first, _first) = known(places.enter().expect("room"));
        let second = places.enter().expect("room");
        assert!(places.enter().is_none(), "a third stranger");
        first.set();
        assert!(first.is_set());
        let third = places.enter().expect("the place that the first has left");
        drop(second);
        let (third, _third) = known(third);
        third.set();
        let last = places.enter().expect("room");
        let (last, _last) = known(last);
        last.set();
        assert!(places.enter().is_none(), "a fourth connection");
        drop(_first);
        assert!(places.enter().is_some());
    }
}
