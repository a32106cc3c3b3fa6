//! What the statements of a session do.

use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::response::CommandComplete;
use tokio_util::sync::CancellationToken;

use super::catalog::Catalog;
use super::connection::{Connection, State};
use super::copy::{CopyOptions, CopyWriter};
use super::fault::{Fault, Trouble, encode, warn};
use super::portals::{
    Portal, Rows, Writer, attend, describe, formats, no_cursor, not_too_wide, send, texts,
};
use super::rows::RowWriter;
use super::settings::Settings;
use super::statement::{Command, CopyOut, Query};
use crate::guard::session::Extras;
use crate::policy::Revision;
use crate::query::{Asker, Description, Querier};

/// Savepoints of one transaction.
const SAVEPOINTS: usize = 1000;
/// The columns of `SHOW ALL`.
const SHOW_ALL: [&str; 2] = ["name", "setting"];

/// How a statement came, and so how its rows go.
#[derive(Clone, Copy)]
pub(super) enum Manner<'a> {
    /// As text, with a description before them.
    Simple,
    /// In these formats; whoever wants a description asks for it.
    Extended(&'a [i16]),
}

impl Connection {
    /// Does what a statement asks for and tells the client that it is done.
    pub(super) async fn run(
        &mut self,
        command: &Command,
        values: &[ScalarValue],
        manner: Manner<'_>,
        token: &CancellationToken,
    ) -> Result<(), Trouble> {
        if let Some(mut rows) = self.rows(command, values, token).await? {
            let sent = self.send(&mut rows, manner, &[], token, None).await?;
            self.complete(self.tag(command, sent));
            return Ok(());
        }
        let tag = match command {
            Command::CopyOut(copy) => self.copy_out(copy, token).await?,
            Command::Fetch {
                name,
                rows,
                is_move,
            } => {
                let manner = (!is_move).then_some(manner);
                self.fetch(name, *rows, manner, token).await?
            }
            Command::Declare {
                name,
                is_held,
                is_binary,
                query,
            } => {
                if self.state == State::Idle && !self.is_batch && !is_held {
                    let message = "DECLARE CURSOR can only be used in transaction blocks";
                    return Err(Fault::new("25P01", message).into());
                }
                let rows = self.open(query, &[], token).await?;
                let portal = Portal {
                    command: None,
                    values: Vec::new(),
                    codes: if *is_binary { vec![1] } else { Vec::new() },
                    told: None,
                    rows: Some(rows),
                    is_held: *is_held,
                    is_fresh: true,
                    bytes: 0,
                };
                self.portals.add(name, portal)?;
                "DECLARE CURSOR".to_owned()
            }
            command => self.act(command)?,
        };
        self.complete(tag);
        Ok(())
    }

    /// What tells the client that a statement with rows is done.
    pub(super) fn tag(&self, command: &Command, sent: u64) -> String {
        let query = match command {
            Command::Show(_) | Command::ShowAll => return "SHOW".to_owned(),
            Command::Execute { name, .. } => self.prepared.query(name).ok(),
            Command::Query(query) => Some(query),
            _ => None,
        };
        match query {
            Some(query) if query.is_explain => "EXPLAIN".to_owned(),
            _ => format!("SELECT {sent}"),
        }
    }

    pub(super) fn complete(&mut self, tag: String) {
        encode(&CommandComplete::new(tag), &mut self.link.out);
    }

    /// The rows that a statement answers with, if it is one that does.
    pub(super) async fn rows(
        &mut self,
        command: &Command,
        values: &[ScalarValue],
        token: &CancellationToken,
    ) -> Result<Option<Rows>, Trouble> {
        let rows = match command {
            Command::Query(query) => self.open(query, values, token).await?,
            Command::Execute { name, values } => {
                let query = self.prepared.query(name)?.clone();
                self.open(&query, values, token).await?
            }
            Command::Show(name) => {
                let value = self.settings.get(name)?;
                Rows::texts(&[Settings::name(name)?], &[vec![value]])?
            }
            Command::ShowAll => {
                let all = self.settings.all().into_iter();
                let all: Vec<_> = all
                    .map(|(name, value)| vec![name.to_owned(), value])
                    .collect();
                Rows::texts(&SHOW_ALL, &all)?
            }
            _ => return Ok(None),
        };
        Ok(Some(rows))
    }

    /// The columns of the rows that a statement would answer with, which is not run for that.
    pub(super) async fn columns(
        &mut self,
        command: &Command,
        token: &CancellationToken,
    ) -> Result<Option<SchemaRef>, Trouble> {
        Ok(match command {
            Command::Query(query) => Some(self.plan(query, token).await?.schema),
            Command::Execute { name, .. } => {
                let query = self.prepared.query(name)?.clone();
                Some(self.plan(&query, token).await?.schema)
            }
            Command::Show(name) => Some(texts(&[Settings::name(name)?])),
            Command::ShowAll => Some(texts(&SHOW_ALL)),
            Command::Fetch { name, is_move, .. } if !is_move => Some(self.portals.columns(name)?),
            _ => None,
        })
    }

    /// Begins to answer a query.
    async fn open(
        &mut self,
        query: &Query,
        values: &[ScalarValue],
        token: &CancellationToken,
    ) -> Result<Rows, Trouble> {
        let (querier, asker) = (&self.door.querier, &self.asker);
        let opening = async {
            let (text, extras) = prepare(querier, asker, &self.catalog, query).await?;
            Ok::<_, Trouble>(querier.run(asker, &text, values, &extras).await?)
        };
        let answer = attend(&mut self.link, token, opening).await??;
        not_too_wide(&answer.schema)?;
        Ok(Rows::of(answer))
    }

    /// What a query takes and gives.
    pub(super) async fn plan(
        &mut self,
        query: &Query,
        token: &CancellationToken,
    ) -> Result<Description, Trouble> {
        let (querier, asker) = (&self.door.querier, &self.asker);
        let planning = async {
            let (text, extras) = prepare(querier, asker, &self.catalog, query).await?;
            Ok::<_, Trouble>(querier.describe(asker, &text, &extras).await?)
        };
        attend(&mut self.link, token, planning).await?
    }

    /// Refuses to release rows of a revision, which were held back, after policies or permissions
    /// have changed.
    pub(super) async fn still(
        &mut self,
        revision: Option<Revision>,
        token: &CancellationToken,
    ) -> Result<(), Trouble> {
        let Some(revision) = revision else {
            return Ok(());
        };
        let asking = self.door.querier.still(&self.asker, revision);
        Ok(attend(&mut self.link, token, asking).await??)
    }

    /// Sends rows, at most so many. `own` are the formats of a cursor that has its own.
    pub(super) async fn send(
        &mut self,
        rows: &mut Rows,
        manner: Manner<'_>,
        own: &[i16],
        token: &CancellationToken,
        most: Option<u64>,
    ) -> Result<u64, Trouble> {
        let codes = match manner {
            Manner::Extended(codes) if own.is_empty() => codes,
            Manner::Extended(_) | Manner::Simple => own,
        };
        let formats = formats(codes, rows.schema.fields().len())?;
        let mut writer = Writer::Rows(RowWriter::new(&rows.schema, &formats)?);
        if matches!(manner, Manner::Simple) {
            describe(&rows.schema, &formats, &mut self.link.out)?;
        }
        send(&mut self.link, token, rows, &mut writer, most).await
    }

    async fn copy_out(
        &mut self,
        copy: &CopyOut,
        token: &CancellationToken,
    ) -> Result<String, Trouble> {
        let options = CopyOptions::of(&copy.options, &copy.legacy)?;
        let mut rows = self.open(&copy.query, &[], token).await?;
        let mut writer = CopyWriter::new(&rows.schema, &options)?;
        let format = writer.overall_format();
        let columns = rows.schema.fields().len();
        let response = CopyOutResponse::new(
            format,
            i16::try_from(columns).unwrap_or(i16::MAX),
            vec![i16::from(format); columns],
        );
        encode(&response, &mut self.link.out);
        writer.start(&mut self.link.out);
        let mut writer = Writer::Copy(writer);
        let sent = send(&mut self.link, token, &mut rows, &mut writer, None).await?;
        if let Writer::Copy(mut writer) = writer {
            writer.finish(&mut self.link.out);
        }
        encode(&CopyDone::new(), &mut self.link.out);
        Ok(format!("COPY {sent}"))
    }

    /// Sends rows of a cursor, or without a manner passes over them. If that fails, the cursor is
    /// gone.
    async fn fetch(
        &mut self,
        name: &str,
        most: Option<u64>,
        manner: Option<Manner<'_>>,
        token: &CancellationToken,
    ) -> Result<String, Trouble> {
        let mut portal = self.portals.take(name).ok_or_else(|| no_cursor(name))?;
        let rows = portal.rows.as_mut().ok_or_else(|| no_cursor(name))?;
        self.still(rows.revision, token).await?;
        let tag = match manner {
            Some(manner) => {
                let sent = self.send(rows, manner, &portal.codes, token, most).await?;
                format!("FETCH {sent}")
            }
            None => {
                let mut writer = Writer::Nothing;
                let passed = send(&mut self.link, token, rows, &mut writer, most).await?;
                format!("MOVE {passed}")
            }
        };
        self.portals.put_back(name, portal);
        Ok(tag)
    }

    /// Does what takes no query, and answers the tag that tells of it.
    fn act(&mut self, command: &Command) -> Result<String, Fault> {
        let tag = match command {
            Command::Begin(tag) => {
                if self.state == State::Open {
                    let message = "there is already a transaction in progress";
                    warn("25001", message, &mut self.link.out);
                }
                self.state = State::Open;
                tag
            }
            Command::Commit | Command::Rollback => {
                let is_committed =
                    matches!(command, Command::Commit) && self.state != State::Failed;
                if self.state == State::Idle {
                    let message = "there is no transaction in progress";
                    warn("25P01", message, &mut self.link.out);
                }
                self.portals.end_transaction(is_committed);
                self.savepoints.clear();
                self.state = State::Idle;
                if is_committed { "COMMIT" } else { "ROLLBACK" }
            }
            Command::Savepoint(name) => {
                self.in_transaction("SAVEPOINT")?;
                if self.savepoints.len() >= SAVEPOINTS {
                    let message = format!("more than {SAVEPOINTS} savepoints: release some");
                    return Err(Fault::new("54000", message));
                }
                self.savepoints.push(name.clone());
                "SAVEPOINT"
            }
            Command::Release(name) => {
                self.in_transaction("RELEASE SAVEPOINT")?;
                let at = self.savepoint(name)?;
                self.savepoints.truncate(at);
                "RELEASE"
            }
            Command::RollbackTo(name) => {
                self.in_transaction("ROLLBACK TO SAVEPOINT")?;
                let at = self.savepoint(name)?;
                self.savepoints.truncate(at + 1);
                self.state = State::Open;
                "ROLLBACK"
            }
            Command::Set { name, value, tag } => {
                self.settings.set(name, value.clone(), &mut self.link.out)?;
                tag
            }
            Command::ResetAll => {
                self.settings.reset(&mut self.link.out);
                "RESET"
            }
            Command::Inert(tag) => tag,
            Command::Close(Some(name)) => {
                if !self.portals.close(name) {
                    return Err(no_cursor(name));
                }
                "CLOSE CURSOR"
            }
            Command::Close(None) => {
                self.portals.close_all();
                "CLOSE CURSOR ALL"
            }
            Command::Prepare { name, query } => {
                let command = Command::Query(query.clone());
                self.prepared.add(name, Some(command), 0, Vec::new())?;
                "PREPARE"
            }
            Command::Deallocate(Some(name)) => {
                if !self.prepared.forget(name) {
                    return Err(super::extended::no_statement(name));
                }
                "DEALLOCATE"
            }
            Command::Deallocate(None) => {
                self.prepared.forget_all();
                "DEALLOCATE ALL"
            }
            Command::DiscardAll => {
                if self.state != State::Idle || self.is_batch {
                    let message = "DISCARD ALL cannot run inside a transaction block";
                    return Err(Fault::new("25001", message));
                }
                self.portals.close_all();
                self.prepared.forget_all();
                self.settings.reset(&mut self.link.out);
                "DISCARD ALL"
            }
            Command::Query(_)
            | Command::CopyOut(_)
            | Command::Show(_)
            | Command::ShowAll
            | Command::Declare { .. }
            | Command::Fetch { .. }
            | Command::Execute { .. } => return Err(Fault::internal()),
        };
        Ok(tag.to_owned())
    }

    fn in_transaction(&self, what: &str) -> Result<(), Fault> {
        if self.state != State::Idle {
            return Ok(());
        }
        let message = format!("{what} can only be used in transaction blocks");
        Err(Fault::new("25P01", message))
    }

    /// The place of the latest savepoint of a name.
    fn savepoint(&self, name: &str) -> Result<usize, Fault> {
        let at = self.savepoints.iter().rposition(|own| own == name);
        at.ok_or_else(|| Fault::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }
}

/// The text of a query as the engine takes it, and what it needs to know of the catalogs.
async fn prepare(
    querier: &Querier,
    asker: &Asker,
    catalog: &Catalog,
    query: &Query,
) -> Result<(String, Extras), Trouble> {
    let own = query.statement()?;
    let mut statement = own.clone();
    if !catalog.prepare(&mut statement) {
        return Ok((query.text.clone(), Extras::default()));
    }
    // What is printed is not always what was read, so that only what has changed is.
    let text = match statement == own {
        true => query.text.clone(),
        false => statement.to_string(),
    };
    let extras = catalog.extras(&querier.models(asker).await?)?;
    Ok((text, extras))
}
