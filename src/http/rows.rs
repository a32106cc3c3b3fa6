//! `/workspaces/{id}/models/{modelId}/rows`: the rows of a model that the caller may see.

use std::fmt::Write;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Version};
use axum::response::Response;
use uuid::Uuid;

use super::Api;
use super::answer::{self, Asked, Table, Wanted};
use super::auth::{Caller, Ids};
use super::error::ApiError;
use super::models::names;
use super::query::Query;
use super::query_error::Places;
use crate::catalog::Model;
use crate::policy::Fault;
use crate::query::PERMISSION;

/// Rows of an answer: without a limit, and at most.
const DEFAULT_LIMIT: u64 = 100;
const MOST: u64 = 10_000;
/// Rows that may be passed over.
const MOST_OFFSET: u64 = 1_000_000_000_000;

/// The rows of a model that the caller may see, in the order of its primary key if it has one.
///
/// Another account's rows are asked for with `account_id`. That takes `governance.read` and an
/// account that sees every row itself, and the audit log names both.
#[utoipa::path(
    get, path = "/workspaces/{id}/models/{modelId}/rows", tag = "queries",
    extensions(("x-permission" = json!("models.read"))),
    params(
        ("columns" = Option<String>, Query),
        ("limit" = Option<u64>, Query),
        ("offset" = Option<u64>, Query),
        ("account_id" = Option<String>, Query),
        ("format" = Option<String>, Query),
        ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (
            status = 200,
            content(
                (inline(Table) = "application/json"),
                (String = "application/x-ndjson"),
                (String = "text/csv"),
                (String = "application/vnd.apache.arrow.stream"),
                (String = "application/vnd.apache.parquet"),
            ),
            headers(("ETag"), ("Syncguard-Policy-Revision")),
        ),
        (status = 304, headers(("ETag"), ("Syncguard-Policy-Revision"))),
    ),
)]
pub(crate) async fn list_rows(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, model_id)): Ids<(Uuid, Uuid)>,
    RawQuery(query): RawQuery,
    version: Version,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let member = caller.member(&api, id, PERMISSION).await?;
    let model = api.store.get_model(member.workspace_id, model_id).await?;
    let mut query = Query::read(query.as_deref().unwrap_or_default());
    let columns = query.take("columns", "names of columns", |text| {
        Some(text.split(',').map(str::to_owned).collect::<Vec<_>>())
    });
    let limit = query.take("limit", "a whole number from 1 to 10000", |text| {
        text.parse().ok().filter(|limit| (1..=MOST).contains(limit))
    });
    let offset = query.take("offset", "a whole number from 0 to 10^12", |text| {
        text.parse().ok().filter(|offset| *offset <= MOST_OFFSET)
    });
    let account_id = query.take("account_id", "a UUID", |text| Uuid::try_parse(text).ok());
    let format = answer::format_parameter(&mut query);
    query.finish()?;
    let columns = columns.unwrap_or_default();
    check_columns(&model, &columns)?;
    let wanted = Wanted::read(format.as_deref(), &headers, version)?;
    let sql = statement(
        &model,
        &columns,
        limit.unwrap_or(DEFAULT_LIMIT),
        offset.unwrap_or(0),
    );
    let asked = Asked {
        asker: answer::asker(&caller, &member, account_id),
        sql,
        parameters: Vec::new(),
        places: Places::QUERY,
    };
    answer::respond(api.querier.clone(), asked, &wanted).await
}

fn check_columns(model: &Model, columns: &[String]) -> Result<(), ApiError> {
    let mut faults = Vec::new();
    let mut fault = |message: String| faults.push(Fault::new("$query.columns", message));
    for (i, column) in columns.iter().enumerate() {
        if model.schema.column_with_name(column).is_none() {
            let names = names(&model.schema);
            fault(format!("there is no column {column:?}: {names}"));
        } else if columns.iter().take(i).any(|earlier| earlier == column) {
            fault(format!("the column {column:?} comes twice"));
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid(faults)),
    }
}

/// The statement that selects rows of a model; without columns, all of them.
fn statement(model: &Model, columns: &[String], limit: u64, offset: u64) -> String {
    let list = |names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        names.join(", ")
    };
    let selected = match columns {
        [] => "*".to_owned(),
        columns => list(columns),
    };
    let mut sql = format!("SELECT {selected} FROM public.{}", quoted(&model.name));
    // To write to a text cannot fail.
    if !model.primary_key.is_empty() {
        let _ = write!(sql, " ORDER BY {}", list(&model.primary_key));
    }
    let _ = write!(sql, " LIMIT {limit}");
    if offset > 0 {
        let _ = write!(sql, " OFFSET {offset}");
    }
    sql
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use chrono::DateTime;

    use super::*;
    use crate::catalog::ModelQuery;

    #[test]
    fn names_stay_names() {
        let mut model = Model {
            id: Uuid::nil(),
            workspace_id: Uuid::nil(),
            name: "x\"; DROP TABLE y; --".into(),
            source_id: Uuid::nil(),
            query: ModelQuery::Table("t".into()),
            primary_key: Vec::new(),
            schema: Arc::new(Schema::empty()),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            statement(&model, &[], 100, 0),
            "SELECT * FROM public.\"x\"\"; DROP TABLE y; --\" LIMIT 100"
        );
        model.name = "Orders".into();
        model.primary_key = vec!["Id".into(), "line".into()];
        let columns = ["a b".to_owned(), "\"".to_owned()];
        assert_eq!(
            statement(&model, &columns, 7, 5),
            "SELECT \"a b\", \"\"\"\" FROM public.\"Orders\" ORDER BY \"Id\", \"line\" LIMIT 7 OFFSET 5"
        );
    }
}
