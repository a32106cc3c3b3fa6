//! Bytes from a body that comes piece by piece, decoded, into the space of the records.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::coding::{Coding, Decoder, Expansion};
use super::{Records, StreamError};

/// A body as it comes in. An error is the last item; a body that ends without one is complete.
pub type Body = BoxStream<'static, Result<Bytes, StreamError>>;

/// Why [`Feed::fill`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// The records have no more space.
    Full,
    /// Nothing came for a while, and something had come before.
    Pause,
    /// The body ended, and the records know it.
    End,
}

/// A body on its way into [`Records`].
pub struct Feed {
    body: Body,
    decoder: Decoder,
    /// What came last and has not been taken yet.
    rest: Bytes,
    /// Whether anything was put into the records since they were last asked for a batch.
    fresh: bool,
    ended: bool,
}

impl Feed {
    /// A body that is compressed in a way, within bounds.
    pub fn new(body: Body, coding: Coding, bounds: Expansion) -> Result<Feed, StreamError> {
        Ok(Feed {
            body,
            decoder: Decoder::new(coding, bounds)?,
            rest: Bytes::new(),
            fresh: false,
            ended: false,
        })
    }

    /// Fills the space of the records. With `patience` it does not wait longer than that for the
    /// next piece once it has put something there.
    ///
    /// Errors: those of the body, of the coding and of the records.
    pub async fn fill(
        &mut self,
        records: &mut dyn Records,
        patience: Option<Duration>,
    ) -> Result<Filled, StreamError> {
        loop {
            if self.ended {
                return Ok(Filled::End);
            }
            let space = records.space();
            if space.is_empty() {
                self.fresh = false;
                return Ok(Filled::Full);
            }
            // A decoder may hold back output although it has taken all input.
            let (taken, made) = self.decoder.decode(&self.rest, space)?;
            bytes::Buf::advance(&mut self.rest, taken);
            if made > 0 {
                records.filled(made)?;
                self.fresh = true;
            }
            if taken > 0 || made > 0 {
                continue;
            }
            let next = self.body.next();
            let next = match patience.filter(|_| self.fresh) {
                None => next.await,
                Some(patience) => match tokio::time::timeout(patience, next).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.fresh = false;
                        return Ok(Filled::Pause);
                    }
                },
            };
            match next {
                Some(piece) => self.rest = piece?,
                None => {
                    self.decoder.finish()?;
                    records.end()?;
                    self.ended = true;
                }
            }
        }
    }
}
