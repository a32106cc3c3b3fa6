//! What a client is told of an answer before it comes, and the answer itself.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{
    FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tonic::{Response, Status};

use super::status::{internal, query_fault};
use crate::guard::Guarded;
use crate::query::Answer;
use crate::wire;

/// Messages that carry rows.
pub(super) type Rows = BoxStream<'static, Result<FlightData, Status>>;

/// The header of an answer that tells which revision of the policies it obeys.
const REVISION: &str = "syncguard-policy-revision";

/// Columns as clients are told of them: any may be NULL, since whether one can be may depend on
/// the values of parameters, and none says more of itself than its name and type.
fn told(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Fields = fields
        .map(|field| Field::new(field.name(), field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Columns as they are sent: dictionaries are resolved, since few clients know them.
pub(super) fn sent(schema: &Schema) -> SchemaRef {
    let told = told(schema);
    let encoder = FlightDataEncoderBuilder::new()
        .with_schema(Arc::clone(&told))
        .build(stream::empty());
    encoder.known_schema().unwrap_or(told)
}

/// A digest of the names and types of columns, in hexadecimal.
pub(super) fn digest(schema: &Schema) -> String {
    let mut digest = Sha256::new();
    for field in schema.fields() {
        for text in [field.name(), &field.data_type().to_string()] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
    }
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A schema as a message of its own.
pub(super) fn schema_message(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|_| internal(&"a schema cannot be encoded"))?;
    Ok(bytes)
}

/// The columns of parameters of known and unknown types; nothing if there is none.
pub(super) fn parameters_message(types: &[Option<DataType>]) -> Result<Bytes, Status> {
    if types.is_empty() {
        return Ok(Bytes::new());
    }
    let fields = (1..).zip(types).map(|(number, known)| {
        let data_type = known.clone().unwrap_or(DataType::Null);
        Field::new(format!("${number}"), data_type, true)
    });
    schema_message(&Schema::new(fields.collect::<Fields>()))
}

/// Where rows are to be had: here, for a ticket. Without a schema it comes with the rows.
pub(super) fn flight(
    schema: Option<&Schema>,
    ticket: Bytes,
    asked: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    let mut info = FlightInfo::new()
        .with_endpoint(endpoint)
        .with_descriptor(asked);
    if let Some(schema) = schema {
        info.schema = schema_message(schema)?;
    }
    Ok(Response::new(info))
}

/// The rows of an answer.
pub(super) fn answer(answer: Answer) -> Result<Response<Rows>, Status> {
    let revision = answer.revision.to_string();
    let schema = told(&answer.schema);
    let columns = Arc::clone(&schema);
    let batches = answer.batches.map(move |rows| match rows {
        Ok(rows) => batch(&columns, &rows),
        Err(error) => Err(query_fault(&error).into()),
    });
    let mut response = encoded(schema, batches);
    if let Ok(revision) = revision.parse() {
        response.metadata_mut().insert(REVISION, revision);
    }
    Ok(response)
}

/// Rows without the values of others, with which they may share a store.
fn batch(schema: &SchemaRef, rows: &Guarded) -> Result<RecordBatch, FlightError> {
    let rows = wire::compact_batch(rows.batch())?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let columns = rows.columns().to_vec();
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// Rows that describe the database.
pub(super) fn described(batch: Result<RecordBatch, FlightError>) -> Result<Response<Rows>, Status> {
    let batch = batch.map_err(failed)?;
    Ok(encoded(batch.schema(), stream::iter([Ok(batch)])))
}

fn encoded<S>(schema: SchemaRef, batches: S) -> Response<Rows>
where
    S: futures::Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
{
    let encoder = FlightDataEncoderBuilder::new().with_schema(schema);
    Response::new(encoder.build(batches).map_err(failed).boxed())
}

/// Errors of the encoder may quote values.
fn failed(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        _ => internal(&"rows cannot be encoded"),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, StringArray};
    use arrow::datatypes::Int8Type;
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn columns_are_sent_as_they_are_told_of() {
        let dictionary: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
        let batch =
            RecordBatch::try_from_iter([("d", Arc::new(dictionary) as _)]).expect("a batch");
        let schema = told(&batch.schema());
        assert!(schema.field(0).is_nullable());
        let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
        let batches = stream::iter([Ok(batch.expect("a batch"))]);
        let messages = encoded(Arc::clone(&schema), batches).into_inner();
        let messages = messages.map_err(FlightError::from);
        let received = FlightRecordBatchStream::new_from_flight_data(messages);
        let received: Vec<_> = block_on(received.try_collect()).expect("rows");
        assert_eq!(received[0].schema(), sent(&schema));
        let wanted: StringArray = ["x", "y", "x"].into_iter().map(Some).collect();
        assert_eq!(
            received[0].column(0).as_ref(),
            &wanted as &dyn arrow::array::Array
        );
    }

    #[test]
    fn digest_tells_names_and_types_apart() {
        let schema = |name: &str, data_type| Schema::new(vec![Field::new(name, data_type, true)]);
        let one = digest(&schema("a", DataType::Int64));
        assert_eq!(one, digest(&schema("a", DataType::Int64)));
        assert_ne!(one, digest(&schema("b", DataType::Int64)));
        assert_ne!(one, digest(&schema("a", DataType::Int32)));
    }
}
