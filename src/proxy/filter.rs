//! Filter: the records of a stream come back, in its format, without those that policies withhold.

use std::time::Duration;

use arrow::datatypes::Schema;
use bytes::Bytes;
use serde_json::json;

use super::{Proxy, ProxyError, Subject};
use crate::audit::Event;
use crate::guard::Gathered;
use crate::policy::Revision;
use crate::principal::Act;
use crate::telemetry;
use crate::wire::Format;
use crate::wire::stream::coding::{Coding, Encoder, Expansion};
use crate::wire::stream::feed::{Body, Feed, Filled};
use crate::wire::stream::pass::{Passed, Tally, pass};
use crate::wire::stream::{self, Limits, Next, OnInvalid, Records, StreamError, Wanted};

/// How long records wait for others to be judged with.
const PATIENCE: Duration = Duration::from_millis(5);

/// How the bytes of a stream are to be read; those that come back are written alike.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The format of its records.
    pub format: Format,
    /// How it is compressed.
    pub coding: Coding,
    /// What happens at a record that is not well-formed.
    pub on_invalid: OnInvalid,
    /// What its records may ask of us.
    pub limits: Limits,
    /// What its bytes may become.
    pub expansion: Expansion,
}

/// A stream on its way through the guard. It goes on only when it is asked to, so whoever takes
/// what comes out slowly slows its sender down.
///
/// [`Filter::fill`] waits for records and [`Filter::pass`] judges them, in turn. After an error
/// nothing more comes. What became of the records is on record at the end, and also if it is
/// dropped before.
pub struct Filter {
    proxy: Proxy,
    subject: Subject,
    act: Act,
    format: Format,
    feed: Feed,
    /// Away while they are at work, and after a failure.
    work: Option<Work>,
    filled: Filled,
    /// Whether there is nothing to judge before more bytes come.
    hungry: bool,
    ended: bool,
    recorded: bool,
    tally: Tally,
    /// The revision that judged the first batch.
    first_revision: Option<Revision>,
}

/// What goes to another thread for each batch.
struct Work {
    records: Box<dyn Records>,
    gathered: Gathered,
    /// `None` where nothing is compressed.
    encoder: Option<Encoder>,
    /// Bytes that came out last: so many will do for the next.
    expected: usize,
}

impl Proxy {
    /// Takes a stream through the guard, for whoever acts.
    ///
    /// Errors: the coding cannot be read or written.
    pub fn filter(
        &self,
        subject: Subject,
        act: Act,
        body: Body,
        reading: Reading,
    ) -> Result<Filter, ProxyError> {
        let Reading { format, coding, .. } = reading;
        let encoder = match coding {
            Coding::Identity => None,
            coding => Some(Encoder::new(coding)?),
        };
        Ok(Filter {
            proxy: self.clone(),
            subject,
            act,
            format,
            feed: Feed::new(body, coding, reading.expansion)?,
            work: Some(Work {
                records: stream::open(format, reading.limits, reading.on_invalid),
                gathered: Gathered::default(),
                encoder,
                expected: 0,
            }),
            filled: Filled::Pause,
            hungry: true,
            ended: false,
            recorded: false,
            tally: Tally::default(),
            first_revision: None,
        })
    }
}

impl Filter {
    /// What became of the records so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether all of the body has come.
    pub fn has_all(&self) -> bool {
        self.filled == Filled::End
    }

    /// Requires that what was let pass so far may still leave, by the policies that are committed
    /// now.
    pub async fn still_holds(&mut self) -> Result<(), ProxyError> {
        let Some(revision) = self.first_revision else {
            return Ok(());
        };
        let workspace_id = self.subject.model.workspace_id;
        let (store, registry) = (&self.proxy.store, &self.proxy.registry);
        let policies = store.policies_in_force(registry, workspace_id).await?;
        match policies.revision == revision && self.tally.revision == Some(revision) {
            true => Ok(()),
            false => Err(ProxyError::Changed),
        }
    }

    /// Waits until there is something to judge.
    pub async fn fill(&mut self) -> Result<(), ProxyError> {
        if !self.hungry || self.ended {
            return Ok(());
        }
        let work = self.work.as_mut().ok_or(ProxyError::Internal)?;
        self.filled = self
            .feed
            .fill(work.records.as_mut(), Some(PATIENCE))
            .await?;
        self.hungry = false;
        Ok(())
    }

    /// Judges the next batch by the policies that are committed now, and answers what comes out:
    /// nothing, maybe, if everything is withheld or more bytes must come. `None` at the end.
    pub async fn pass(&mut self) -> Result<Option<Bytes>, ProxyError> {
        if self.ended {
            return Ok(None);
        }
        let mut work = self.work.take().ok_or(ProxyError::Internal)?;
        let columns = work.records.columns();
        let guard = self.proxy.guard(&self.subject, &columns).await?;
        // A Parquet file is written row group by row group: what an earlier revision let pass may
        // not have left yet.
        let judged_by = self
            .tally
            .revision
            .filter(|_| self.format == Format::Parquet);
        if judged_by.is_some_and(|revision| Some(revision) != guard.as_ref().map(|g| g.revision()))
        {
            return Err(ProxyError::Changed);
        }
        let revision = guard.as_ref().map(|guard| guard.revision());
        let flush = self.filled == Filled::Pause;
        let subject = self.subject.clone();
        let at_work = tokio::task::spawn_blocking(move || {
            let mut out = Vec::with_capacity(work.expected);
            let passed = match guard {
                Some(guard) => {
                    let Work {
                        records, gathered, ..
                    } = &mut work;
                    pass(records.as_mut(), &guard, gathered, flush, &mut out)?
                }
                None => columns_are_to_come(work.records.as_mut(), flush)?,
            };
            work.expected = out.len();
            if let Some(encoder) = &mut work.encoder {
                let plain = std::mem::take(&mut out);
                if !plain.is_empty() {
                    encoder.encode(&plain, &mut out)?;
                }
                if matches!(passed, Passed::End) {
                    encoder.finish(&mut out)?;
                }
            }
            let found = match &passed {
                Passed::Batch { judgement, .. } => {
                    subject.sightings(work.records.as_ref(), judgement)
                }
                Passed::Hungry | Passed::End => Vec::new(),
            };
            Ok::<_, StreamError>((work, passed, found, out))
        });
        // Hostile bytes may make a decoder panic: that ends this stream and nothing else.
        let (work, passed, found, out) = at_work.await.map_err(|_| ProxyError::Internal)??;
        if let Some(revision) = revision.filter(|_| self.proxy.registry.judges()) {
            // To judge took long.
            let workspace_id = self.subject.model.workspace_id;
            let (store, registry) = (&self.proxy.store, &self.proxy.registry);
            let policies = store.policies_in_force(registry, workspace_id).await?;
            if policies.revision != revision {
                return Err(ProxyError::Changed);
            }
        }
        if !found.is_empty() {
            let passage = self.subject.passage();
            let store = &self.proxy.store;
            store
                .record_sightings(&passage, &found, (self.proxy.clock)())
                .await?;
        }
        match passed {
            Passed::Batch { judgement, invalid } => {
                let before = (self.tally.allowed, self.tally.withheld);
                self.tally.enter(&judgement, &invalid);
                self.first_revision = self.first_revision.or(self.tally.revision);
                self.count("allowed", self.tally.allowed - before.0);
                self.count("withheld", self.tally.withheld - before.1);
                self.count("invalid", invalid.len() as u64);
            }
            Passed::Hungry if self.has_all() => {
                let what = "the stream ends in the middle of its records".to_owned();
                return Err(StreamError::Malformed { what }.into());
            }
            Passed::Hungry => self.hungry = true,
            Passed::End => {
                self.tally.revision = self.tally.revision.or(revision);
                let event = self.event(true);
                let workspace_id = Some(self.subject.model.workspace_id);
                let store = &self.proxy.store;
                store.record(workspace_id, &self.act, &event).await?;
                self.recorded = true;
                self.ended = true;
            }
        }
        self.work = Some(work);
        Ok(Some(out.into()))
    }

    fn count(&self, outcome: &'static str, rows: u64) {
        if rows > 0 {
            metrics::counter!(
                telemetry::ROWS_TOTAL,
                telemetry::OUTCOME => outcome,
                telemetry::DESTINATION_TYPE => self.subject.destination_type.clone()
            )
            .increment(rows);
        }
    }

    /// What the audit log tells of the stream.
    fn event(&self, complete: bool) -> Event {
        let summary = json!({
            "destination_type": self.subject.destination_type,
            "passage_id": self.subject.passage_id,
            "format": self.format.name(),
            "complete": complete,
            "read": self.tally.read,
            "allowed": self.tally.allowed,
            "withheld": self.tally.withheld,
            "invalid": self.tally.invalid,
            "withheld_by": self.tally.withheld_by,
        });
        let model_id = Some(self.subject.model.id);
        Event {
            action: "model.guard".into(),
            revision: self.tally.revision,
            ..Event::of("model", model_id, None, Some(&summary))
        }
    }
}

impl Drop for Filter {
    /// A stream that broke off, on either side, has let records pass too.
    fn drop(&mut self) {
        if self.recorded || self.tally.read == 0 {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (store, act, event) = (
            self.proxy.store.clone(),
            self.act.clone(),
            self.event(false),
        );
        let workspace_id = Some(self.subject.model.workspace_id);
        runtime.spawn(async move {
            if let Err(error) = store.record(workspace_id, &act, &event).await {
                tracing::error!(%error, "a stream that broke off is not in the audit log");
            }
        });
    }
}

/// Goes on with records whose columns are not known yet. None of them can be judged.
fn columns_are_to_come(records: &mut dyn Records, flush: bool) -> Result<Passed, StreamError> {
    let wanted = Wanted {
        schema: Schema::empty().into(),
        only: false,
    };
    match records.next(&wanted, flush)? {
        Next::Hungry => Ok(Passed::Hungry),
        Next::Batch(_) | Next::End => Err(StreamError::Malformed {
            what: "the stream ends before its columns are known".to_owned(),
        }),
    }
}
