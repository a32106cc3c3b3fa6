//! The bytes of a connection: whole messages in, buffered messages out.
//!
//! The lengths that a client gives are checked before anything is held for them, and a message
//! is cut out of the stream before it is read, so that none can reach into the next one.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::fault::{Fault, Trouble};

/// Output is sent when it has grown beyond this many bytes.
const FULL: usize = 64 * 1024;
/// Bytes that are read ahead while a statement is at work.
const AHEAD: usize = 64 * 1024;
/// How long a client may take nothing of what is sent to it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A socket, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection.
pub(super) struct Link {
    socket: Box<dyn Socket>,
    input: BytesMut,
    /// What is to be sent.
    pub(super) out: BytesMut,
}

/// A message of a client.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its type.
    pub(super) tag: u8,
    /// What follows its length.
    pub(super) body: Bytes,
}

impl Link {
    /// A connection over a socket from which nothing was read.
    pub(super) fn new(socket: Box<dyn Socket>) -> Link {
        Link {
            socket,
            input: BytesMut::new(),
            out: BytesMut::new(),
        }
    }

    /// The socket, unless bytes were read from it that nobody has asked for.
    pub(super) fn into_socket(self) -> Option<Box<dyn Socket>> {
        self.input.is_empty().then_some(self.socket)
    }

    /// The next message, of at most `most` bytes; `None` where the client has hung up between two
    /// messages. Dropped before it is done, it has lost nothing.
    pub(super) async fn frame(&mut self, most: usize) -> Result<Option<Frame>, Trouble> {
        loop {
            if let Some((tag, rest)) = self.input.split_first()
                && let Some(length) = rest.first_chunk()
            {
                let (tag, length) = (*tag, checked(*length, 4, most)?);
                if self.input.len() > length {
                    let mut frame = self.input.split_to(1 + length);
                    frame.advance(5);
                    let body = frame.freeze();
                    return Ok(Some(Frame { tag, body }));
                }
            }
            if !self.more().await? {
                return match self.input.is_empty() {
                    true => Ok(None),
                    false => Err(Trouble::Gone),
                };
            }
        }
    }

    /// The body of the next message of those that come first and have no type.
    pub(super) async fn first_frame(&mut self, most: usize) -> Result<Option<Bytes>, Trouble> {
        loop {
            if let Some(length) = self.input.first_chunk() {
                let length = checked(*length, 8, most)?;
                if self.input.len() >= length {
                    let mut frame = self.input.split_to(length);
                    frame.advance(4);
                    return Ok(Some(frame.freeze()));
                }
            }
            if !self.more().await? {
                return match self.input.is_empty() {
                    true => Ok(None),
                    false => Err(Trouble::Gone),
                };
            }
        }
    }

    /// Waits until the client has hung up. What it sends meanwhile is kept, up to a bound.
    pub(super) async fn hung_up(&mut self) {
        loop {
            if self.input.len() >= AHEAD {
                return std::future::pending().await;
            }
            if !self.more().await.unwrap_or(false) {
                return;
            }
        }
    }

    /// Whether there was more to be read.
    async fn more(&mut self) -> Result<bool, Trouble> {
        self.input.reserve(4096);
        Ok(self.socket.read_buf(&mut self.input).await? > 0)
    }

    /// Sends what is to be sent, if it has become much.
    pub(super) async fn flush_if_full(&mut self) -> Result<(), Trouble> {
        match self.out.len() < FULL {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    /// Sends what is to be sent.
    pub(super) async fn flush(&mut self) -> Result<(), Trouble> {
        while !self.out.is_empty() {
            let sending = self.socket.write(&self.out);
            let sent = tokio::time::timeout(PATIENCE, sending).await;
            match sent.map_err(|_| Trouble::Gone)?? {
                0 => return Err(Trouble::Gone),
                sent => self.out.advance(sent),
            }
        }
        let flushing = self.socket.flush();
        let flushed = tokio::time::timeout(PATIENCE, flushing).await;
        Ok(flushed.map_err(|_| Trouble::Gone)??)
    }

    /// Tells the client why the connection ends, and ends it.
    pub(super) async fn end(mut self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            fault.write(&mut self.out);
        }
        if self.flush().await.is_ok() {
            let closing = self.socket.shutdown();
            // Whoever does not take notice is hung up on.
            let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
        }
    }
}

/// The length of a message, itself included, if it may have it.
fn checked(length: [u8; 4], least: usize, most: usize) -> Result<usize, Trouble> {
    let length = u32::from_be_bytes(length) as usize;
    if (least..=most).contains(&length) {
        return Ok(length);
    }
    let message = format!("a message of {length} bytes: expected {least} to {most}");
    Err(Fault::protocol(message).into())
}
