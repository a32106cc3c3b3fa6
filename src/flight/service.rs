//! The calls of Flight SQL.

use arrow::datatypes::Schema;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::metadata::SqlInfoDataBuilder;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionCreatePreparedSubstraitPlanRequest,
    ActionEndSavepointRequest, ActionEndTransactionRequest, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementIngest, CommandStatementQuery, CommandStatementSubstraitPlan,
    CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo,
    TicketStatementQuery,
};
use arrow_flight::{
    Action, CancelFlightInfoResult, CancelStatus, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, Ticket,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use prost::Message;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Extensions, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::caller::Caller;
use super::rows::{self, Rows};
use super::status::{internal, query_fault, stranger};
use super::token::{Seal, Statement};
use super::{Door, info, listing, parameters};
use crate::catalog::{Model, Workspace};
use crate::guard::session::Extras;
use crate::query::{Asker, Description};

const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
const READ_ONLY: &str = "only SELECT statements are accepted: nothing can be written here";
const NO_TRANSACTIONS: &str =
    "there are no transactions: each statement reads what is there when it runs, so use autocommit";
const NO_SUBSTRAIT: &str = "Substrait plans are not read: send SQL";
/// Most bytes of a name or a pattern, and most things that may be asked for in one list.
const NAME_BYTES: usize = 1024;
const LIST_LENGTH: usize = 1024;

type Found<T> = Result<Response<T>, Status>;

/// Answers calls. It remembers nothing of them.
pub(super) struct Service {
    door: Door,
    seal: Seal,
}

impl Service {
    /// A service whose tickets are authenticated with a random key.
    pub(super) fn new(door: Door, key: [u8; 32]) -> Service {
        Service {
            door,
            seal: Seal::new(key),
        }
    }

    fn asker(&self, caller: Caller, workspace_id: Uuid) -> Asker {
        Asker {
            principal: caller.principal,
            workspace_id,
            request_id: None,
            evaluate_as: None,
        }
    }

    /// The workspace that a call is about.
    async fn workspace(&self, caller: &Caller) -> Result<Workspace, Status> {
        let account_id = caller.principal.account.id;
        let name = caller.workspace.as_deref();
        let found = self.door.querier.workspace(account_id, name).await;
        found.map_err(|error| query_fault(&error))
    }

    /// The name of the workspace that a call is about, and the models that the caller may query.
    async fn models(&self, extensions: &Extensions) -> Result<(String, Vec<Model>), Status> {
        let caller = caller(extensions)?;
        let workspace = self.workspace(&caller).await?;
        let asker = self.asker(caller, workspace.id);
        let models = self.door.querier.models(&asker).await;
        let models = models.map_err(|error| query_fault(&error))?;
        Ok((workspace.name, models))
    }

    /// The name of the workspace that a call is about.
    async fn catalog(&self, extensions: &Extensions) -> Result<String, Status> {
        let (name, _) = self.models(extensions).await?;
        Ok(name)
    }

    async fn describe(&self, caller: Caller, statement: &Statement) -> Result<Description, Status> {
        let asker = self.asker(caller, statement.workspace_id);
        let (querier, extras) = (&self.door.querier, Extras::default());
        let described = querier.describe(&asker, &statement.sql, &extras).await;
        described.map_err(|error| query_fault(&error))
    }

    /// Where the answer to a statement is to be had: for a ticket, which its caller alone can use.
    async fn flight(
        &self,
        caller: Caller,
        statement: Statement,
        asked: FlightDescriptor,
    ) -> Found<FlightInfo> {
        let description = self.describe(caller, &statement).await?;
        let schema = rows::sent(&description.schema);
        // Where the text leaves the type of a parameter open, its value may decide on columns.
        let settled = description.parameters.iter().all(Option::is_some);
        let schema = settled.then_some(schema);
        let columns = schema.as_deref().map(rows::digest);
        let now = (self.door.clock)();
        let statement_handle = self.seal.ticket(statement, columns, now)?;
        let ticket = TicketStatementQuery { statement_handle };
        rows::flight(schema.as_deref(), packed(&ticket), asked)
    }

    /// Runs a statement, as if it came now and for the first time.
    async fn run(
        &self,
        caller: Caller,
        statement: &Statement,
        columns: Option<&str>,
    ) -> Found<Rows> {
        let asker = self.asker(caller, statement.workspace_id);
        let (values, extras) = (statement.parameters()?, Extras::default());
        let querier = &self.door.querier;
        let answer = querier.run(&asker, &statement.sql, &values, &extras).await;
        let answer = answer.map_err(|error| query_fault(&error))?;
        let schema = rows::sent(&answer.schema);
        if columns.is_some_and(|columns| columns != rows::digest(&schema)) {
            return Err(Status::failed_precondition(
                "the columns of the answer have changed since the query was described: ask for it again",
            ));
        }
        rows::answer(answer)
    }
}

/// Who calls, as it was found when the call was let in.
fn caller(extensions: &Extensions) -> Result<Caller, Status> {
    extensions.get::<Caller>().cloned().ok_or_else(stranger)
}

fn packed<M: ProstMessageExt>(message: &M) -> Bytes {
    message.as_any().encode_to_vec().into()
}

/// Where rows that describe the database are to be had: for the command itself.
fn listed<M: ProstMessageExt>(
    command: &M,
    schema: &Schema,
    request: Request<FlightDescriptor>,
) -> Found<FlightInfo> {
    rows::flight(Some(schema), packed(command), request.into_inner())
}

fn autocommits(transaction_id: Option<&Bytes>) -> Result<(), Status> {
    match transaction_id.is_none_or(Bytes::is_empty) {
        true => Ok(()),
        false => Err(Status::unimplemented(NO_TRANSACTIONS)),
    }
}

fn bounded<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), Status> {
    match names.into_iter().all(|name| name.len() <= NAME_BYTES) {
        true => Ok(()),
        false => Err(Status::invalid_argument(format!(
            "a name or pattern is longer than {NAME_BYTES} bytes"
        ))),
    }
}

fn short(length: usize) -> Result<(), Status> {
    match length <= LIST_LENGTH {
        true => Ok(()),
        false => Err(Status::invalid_argument(format!(
            "more than {LIST_LENGTH} things are asked for at once"
        ))),
    }
}

#[async_trait]
impl FlightSqlService for Service {
    type FlightService = Service;

    /// The key itself is the token for the calls that follow, so that nothing has to be kept.
    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Found<BoxStream<'static, Result<HandshakeResponse, Status>>> {
        let caller = caller(request.extensions())?;
        let token = format!("Bearer {}", caller.key.expose());
        let mut token = AsciiMetadataValue::try_from(token).map_err(|error| internal(&error))?;
        token.set_sensitive(true);
        let greeting = stream::iter([Ok(HandshakeResponse::default())]).boxed();
        let mut response = Response::new(greeting);
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        autocommits(query.transaction_id.as_ref())?;
        let caller = caller(request.extensions())?;
        let workspace = self.workspace(&caller).await?;
        let account_id = caller.principal.account.id;
        let statement = Statement::new(account_id, workspace.id, query.query);
        self.flight(caller, statement, request.into_inner()).await
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        let caller = caller(request.extensions())?;
        let (account_id, now) = (caller.principal.account.id, (self.door.clock)());
        let handle = &ticket.statement_handle;
        let ticket = self.seal.open_ticket(handle, account_id, now)?;
        let columns = ticket.columns.as_deref();
        self.run(caller, &ticket.statement, columns).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        autocommits(query.transaction_id.as_ref())?;
        let caller = caller(request.extensions())?;
        let workspace = self.workspace(&caller).await?;
        let account_id = caller.principal.account.id;
        let statement = Statement::new(account_id, workspace.id, query.query);
        let description = self.describe(caller, &statement).await?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.seal.prepared(statement)?,
            dataset_schema: rows::schema_message(&rows::sent(&description.schema))?,
            parameter_schema: rows::parameters_message(&description.parameters)?,
        })
    }

    /// The handle that is answered holds the values; the one before stays as it was.
    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let account_id = caller(request.extensions())?.principal.account.id;
        let handle = &query.prepared_statement_handle;
        let statement = self.seal.open_prepared(handle, account_id)?;
        let statement = match parameters::read(request.into_inner()).await? {
            Some(row) => statement.with_parameters(&row)?,
            None => statement,
        };
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(self.seal.prepared(statement)?),
        })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        let caller = caller(request.extensions())?;
        let (handle, account_id) = (
            &query.prepared_statement_handle,
            caller.principal.account.id,
        );
        let statement = self.seal.open_prepared(handle, account_id)?;
        self.flight(caller, statement, request.into_inner()).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        let caller = caller(request.extensions())?;
        let account_id = caller.principal.account.id;
        let handle = &query.prepared_statement_handle;
        let statement = self.seal.open_prepared(handle, account_id)?;
        self.run(caller, &statement, None).await
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let account_id = caller(request.extensions())?.principal.account.id;
        let handle = &query.prepared_statement_handle;
        self.seal.open_prepared(handle, account_id).map(|_| ())
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &query.into_builder().schema(), request)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        let catalog = self.catalog(request.extensions()).await?;
        rows::described(listing::catalogs(query, &catalog))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &query.clone().into_builder().schema(), request)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        bounded(query.catalog.iter().chain(&query.db_schema_filter_pattern))?;
        let catalog = self.catalog(request.extensions()).await?;
        rows::described(listing::schemas(query, &catalog))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &query.clone().into_builder().schema(), request)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        let patterns = [
            &query.catalog,
            &query.db_schema_filter_pattern,
            &query.table_name_filter_pattern,
        ];
        bounded(patterns.into_iter().flatten().chain(&query.table_types))?;
        short(query.table_types.len())?;
        let (catalog, models) = self.models(request.extensions()).await?;
        rows::described(listing::tables(query, &catalog, &models))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &query.into_builder().schema(), request)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        caller(request.extensions())?;
        rows::described(listing::table_types(query))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &listing::PRIMARY_KEYS, request)
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        bounded([&query.table])?;
        let (catalog, models) = self.models(request.extensions()).await?;
        rows::described(listing::primary_keys(&query, &catalog, &models))
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &listing::FOREIGN_KEYS, request)
    }

    async fn do_get_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        self.catalog(request.extensions()).await?;
        rows::described(Ok(listing::foreign_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &listing::FOREIGN_KEYS, request)
    }

    async fn do_get_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        self.catalog(request.extensions()).await?;
        rows::described(Ok(listing::foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &listing::FOREIGN_KEYS, request)
    }

    async fn do_get_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        self.catalog(request.extensions()).await?;
        rows::described(Ok(listing::foreign_keys()))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        short(query.info.len())?;
        listed(&query, SqlInfoDataBuilder::schema(), request)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        caller(request.extensions())?;
        short(query.info.len())?;
        rows::described(info::sql_info(query))
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        listed(&query, &info::type_info_schema(), request)
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<Ticket>,
    ) -> Found<Rows> {
        caller(request.extensions())?;
        rows::described(info::type_info(query))
    }

    async fn do_put_statement_update(
        &self,
        _command: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(Status::permission_denied(READ_ONLY))
    }

    async fn do_put_statement_ingest(
        &self,
        _command: CommandStatementIngest,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(Status::permission_denied(READ_ONLY))
    }

    async fn do_put_prepared_statement_update(
        &self,
        _command: CommandPreparedStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(Status::permission_denied(READ_ONLY))
    }

    async fn do_put_substrait_plan(
        &self,
        _command: CommandStatementSubstraitPlan,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(Status::unimplemented(NO_SUBSTRAIT))
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<FlightDescriptor>,
    ) -> Found<FlightInfo> {
        Err(Status::unimplemented(NO_SUBSTRAIT))
    }

    async fn do_action_create_prepared_substrait_plan(
        &self,
        _query: ActionCreatePreparedSubstraitPlanRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        Err(Status::unimplemented(NO_SUBSTRAIT))
    }

    async fn do_action_begin_transaction(
        &self,
        _query: ActionBeginTransactionRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(Status::unimplemented(NO_TRANSACTIONS))
    }

    async fn do_action_end_transaction(
        &self,
        _query: ActionEndTransactionRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Err(Status::unimplemented(NO_TRANSACTIONS))
    }

    async fn do_action_begin_savepoint(
        &self,
        _query: ActionBeginSavepointRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        Err(Status::unimplemented(NO_TRANSACTIONS))
    }

    async fn do_action_end_savepoint(
        &self,
        _query: ActionEndSavepointRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Err(Status::unimplemented(NO_TRANSACTIONS))
    }

    /// A query ends when its call does: there is nothing else that could be cancelled.
    async fn do_action_cancel_query(
        &self,
        _query: ActionCancelQueryRequest,
        _request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        Ok(ActionCancelQueryResult {
            result: CancelStatus::NotCancellable as i32,
        })
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Found<<Self as FlightService>::DoActionStream> {
        if request.get_ref().r#type != CANCEL_FLIGHT_INFO {
            return Err(Status::unimplemented("there is no such action"));
        }
        let answer = CancelFlightInfoResult {
            status: CancelStatus::NotCancellable as i32,
        };
        let answer = arrow_flight::Result {
            body: answer.encode_to_vec().into(),
        };
        Ok(Response::new(stream::iter([Ok(answer)]).boxed()))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
