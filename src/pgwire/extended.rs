//! The extended protocol: statements that are prepared, bound to values, described and executed
//! by messages of their own. Nothing is planned ahead: what is prepared is a text, and it is
//! planned anew whenever it is described or executed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::EmptyQueryResponse;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::execute::Manner;
use super::fault::{Fault, Trouble, encode};
use super::message::{Bind, Request, Target};
use super::parameters::parameter;
use super::portals::{Portal, describe, formats, no_cursor, same_columns};
use super::statement::{Command, Query, commands};
use super::types::pg_type;
use crate::query::Description;

/// Prepared statements of one connection.
const MOST: usize = 1000;
/// Bytes of their texts, and of what else is kept of them.
const MOST_BYTES: usize = 16 << 20;
/// The type of a parameter that the text says nothing of: text.
const TEXT: u32 = 25;

/// A prepared statement.
#[derive(Clone)]
struct Statement {
    /// What it asks for; nothing, if its text is empty.
    command: Option<Arc<Command>>,
    /// The types of its parameters as the client gave them; 0 for those it leaves open.
    types: Vec<u32>,
    /// What it took and gave when the client asked last.
    described: Option<Description>,
    /// What it holds.
    bytes: usize,
}

/// The prepared statements of a connection.
#[derive(Default)]
pub(super) struct Prepared {
    statements: HashMap<String, Statement>,
    bytes: usize,
}

impl Prepared {
    /// Adds a statement, read from a text of so many bytes. The one without a name is replaced.
    pub(super) fn add(
        &mut self,
        name: &str,
        command: Option<Command>,
        text: usize,
        types: Vec<u32>,
    ) -> Result<(), Fault> {
        if name.is_empty() {
            self.forget(name);
        }
        if self.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Fault::new("42P05", message));
        }
        let command = command.map(Arc::new);
        let held = command.as_ref().map_or(0, |command| command.bytes(text));
        let bytes = held + name.len() + types.len() * 4;
        if self.statements.len() >= MOST || self.bytes + bytes > MOST_BYTES {
            let message = format!(
                "prepared statements are more than {MOST} or {MOST_BYTES} bytes: deallocate some"
            );
            return Err(Fault::new("54000", message));
        }
        self.bytes += bytes;
        let statement = Statement {
            command,
            types,
            described: None,
            bytes,
        };
        self.statements.insert(name.to_owned(), statement);
        Ok(())
    }

    /// The query of a prepared statement.
    pub(super) fn query(&self, name: &str) -> Result<&Query, Fault> {
        match self.get(name)?.command.as_deref() {
            Some(Command::Query(query)) => Ok(query),
            _ => Err(Fault::unsupported(format!(
                "prepared statement \"{name}\" is no query, which is all that EXECUTE runs"
            ))),
        }
    }

    /// Forgets a statement. Whether there was one is told.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let forgotten = self.statements.remove(name);
        self.bytes -= forgotten.as_ref().map_or(0, |statement| statement.bytes);
        forgotten.is_some()
    }

    pub(super) fn forget_all(&mut self) {
        *self = Prepared::default();
    }

    fn get(&self, name: &str) -> Result<&Statement, Fault> {
        self.statements.get(name).ok_or_else(|| no_statement(name))
    }
}

/// What is said of a prepared statement that is not there.
pub(super) fn no_statement(name: &str) -> Fault {
    let message = format!("prepared statement \"{name}\" does not exist");
    Fault::new("26000", message)
}

impl Statement {
    /// How many parameters it takes.
    fn parameters(&self) -> usize {
        let told = self.described.as_ref();
        self.types
            .len()
            .max(told.map_or(0, |told| told.parameters.len()))
    }

    /// The type that its text asks for.
    fn wanted(&self, n: usize) -> Option<&DataType> {
        self.described.as_ref()?.parameters.get(n)?.as_ref()
    }

    /// The type that the client gave, or 0.
    fn given(&self, n: usize) -> u32 {
        self.types.get(n).copied().unwrap_or(0)
    }
}

impl Connection {
    /// Answers a message of the extended protocol.
    pub(super) async fn extended(&mut self, request: Request) -> Result<(), Trouble> {
        match request {
            Request::Parse { name, text, types } => Ok(self.parse(&name, &text, types)?),
            Request::Bind(bind) => self.bind(bind).await,
            Request::Describe(Target::Statement, name) => self.describe_statement(&name).await,
            Request::Describe(Target::Portal, name) => self.describe_portal(&name).await,
            Request::Execute { portal, most } => self.execute(&portal, most).await,
            Request::Close(target, name) => {
                match target {
                    Target::Statement => self.prepared.forget(&name),
                    Target::Portal => self.portals.close(&name),
                };
                encode(&CloseComplete::new(), &mut self.link.out);
                Ok(())
            }
            Request::Query(_)
            | Request::Flush
            | Request::Sync
            | Request::Terminate
            | Request::Copy => Err(Fault::internal().into()),
        }
    }

    fn parse(&mut self, name: &str, text: &str, types: Vec<u32>) -> Result<(), Fault> {
        self.not_too_long(text)?;
        let mut commands = commands(text)?;
        if commands.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Fault::syntax(message));
        }
        let command = commands.pop();
        self.is_possible(command.as_ref())?;
        self.prepared.add(name, command, text.len(), types)?;
        encode(&ParseComplete::new(), &mut self.link.out);
        Ok(())
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Trouble> {
        let mut statement = self.prepared.get(&bind.statement)?.clone();
        self.is_possible(statement.command.as_deref())?;
        let given = bind.values.len();
        let is_open = (0..given).any(|n| statement.given(n) == 0);
        if is_open && statement.described.is_none() {
            let token = self.begin();
            statement = self.described(&bind.statement, &token).await?;
        }
        let taken = statement.parameters();
        if taken != given {
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{}\" requires {taken}",
                bind.statement
            );
            return Err(Fault::new("08P01", message).into());
        }
        let formats = formats(&bind.formats, given)?;
        let values = bind.values.iter().zip(formats).enumerate();
        let values: Vec<ScalarValue> = values
            .map(|(n, (value, format))| {
                let (oid, wanted) = (statement.given(n), statement.wanted(n));
                parameter(oid, wanted, format, value.as_deref())
            })
            .collect::<Result<_, _>>()?;
        let held: usize = values.iter().map(ScalarValue::size).sum();
        let portal = Portal {
            bytes: held + statement.bytes + bind.results.len() * 2,
            command: statement.command,
            values,
            codes: bind.results,
            told: statement.described.map(|told| told.schema),
            rows: None,
            is_held: false,
            is_fresh: true,
        };
        self.portals.add(&bind.portal, portal)?;
        encode(&BindComplete::new(), &mut self.link.out);
        Ok(())
    }

    /// A prepared statement with what it takes and gives now.
    async fn described(
        &mut self,
        name: &str,
        token: &CancellationToken,
    ) -> Result<Statement, Trouble> {
        let mut statement = self.prepared.get(name)?.clone();
        if let Some(Command::Query(query)) = statement.command.as_deref() {
            statement.described = Some(self.plan(query, token).await?);
            let kept = self.prepared.statements.get_mut(name);
            if let Some(kept) = kept {
                kept.described.clone_from(&statement.described);
            }
        }
        Ok(statement)
    }

    async fn describe_statement(&mut self, name: &str) -> Result<(), Trouble> {
        let command = self.prepared.get(name)?.command.clone();
        self.is_possible(command.as_deref())?;
        let token = self.begin();
        let statement = self.described(name, &token).await?;
        let types = (0..statement.parameters()).map(|n| match statement.given(n) {
            0 => statement
                .wanted(n)
                .map_or(TEXT, |wanted| pg_type(wanted).oid),
            given => given,
        });
        let types = ParameterDescription::new(types.collect());
        let columns = match (statement.described, command) {
            (Some(described), _) => Some(described.schema),
            (None, Some(command)) => self.columns(&command, &token).await?,
            (None, None) => None,
        };
        let out = &mut self.link.out;
        encode(&types, out);
        match columns {
            // The formats are not known before it is bound.
            Some(columns) => describe(&columns, &formats(&[], columns.fields().len())?, out)?,
            None => encode(&NoData::new(), out),
        }
        Ok(())
    }

    /// Refuses portals in a transaction that has failed, but for those that end it or are empty.
    fn is_portal_possible(&self, portal: &Portal) -> Result<(), Fault> {
        match (&portal.command, &portal.rows) {
            (None, Some(_)) => self.is_alive(),
            (command, _) => self.is_possible(command.as_deref()),
        }
    }

    async fn describe_portal(&mut self, name: &str) -> Result<(), Trouble> {
        let mut portal = self.portals.take(name).ok_or_else(|| no_cursor(name))?;
        self.is_portal_possible(&portal)?;
        let token = self.begin();
        let columns = match (&portal.rows, &portal.told, &portal.command) {
            (Some(rows), ..) => Some(Arc::clone(&rows.schema)),
            (None, Some(told), _) => Some(Arc::clone(told)),
            (None, None, Some(command)) => self.columns(command, &token).await?,
            (None, None, None) => None,
        };
        let out = &mut self.link.out;
        match &columns {
            Some(columns) => {
                let formats = formats(&portal.codes, columns.fields().len())?;
                describe(columns, &formats, out)?;
            }
            None => encode(&NoData::new(), out),
        }
        portal.told = columns;
        self.portals.put_back(name, portal);
        Ok(())
    }

    /// Runs a portal, or goes on with it: at most so many rows, or with 0 all of them.
    async fn execute(&mut self, name: &str, most: u32) -> Result<(), Trouble> {
        let mut portal = self.portals.take(name).ok_or_else(|| no_cursor(name))?;
        self.is_portal_possible(&portal)?;
        let token = self.begin();
        let mut rows = match (portal.rows.take(), portal.command.as_deref()) {
            (Some(rows), _) => {
                self.still(rows.revision, &token).await?;
                rows
            }
            (None, Some(command)) => match self.rows(command, &portal.values, &token).await? {
                Some(rows) => rows,
                None => {
                    let manner = Manner::Extended(&portal.codes);
                    return self.run(command, &[], manner, &token).await;
                }
            },
            (None, None) => {
                encode(&EmptyQueryResponse::new(), &mut self.link.out);
                self.portals.put_back(name, portal);
                return Ok(());
            }
        };
        let told = portal.told.get_or_insert_with(|| Arc::clone(&rows.schema));
        if !same_columns(told, &rows.schema) {
            let message = "cached plan must not change result type";
            return Err(Fault::unsupported(message).into());
        }
        let wanted = (most > 0).then_some(u64::from(most));
        let manner = Manner::Extended(&portal.codes);
        let sent = self.send(&mut rows, manner, &[], &token, wanted).await?;
        if wanted == Some(sent) {
            encode(&PortalSuspended::new(), &mut self.link.out);
        } else {
            let tag = match portal.command.as_deref() {
                Some(command) => self.tag(command, sent),
                None => format!("SELECT {sent}"),
            };
            self.complete(tag);
        }
        portal.rows = Some(rows);
        self.portals.put_back(name, portal);
        Ok(())
    }
}
