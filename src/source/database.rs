//! What the databases share: the statement that reads a model.

use arrow::datatypes::{Schema, SchemaRef};

use super::SourceError;
use super::rows::Wanted;
use super::statement::{self, Dialect, quoted, quoted_table};
use crate::catalog::ModelQuery;

/// What a model is in its database: something that can stand after FROM, and an order.
#[derive(Debug)]
pub(super) struct Relation {
    dialect: Dialect,
    from: String,
    order: Vec<String>,
}

impl Relation {
    /// A table by its quoted name, or the one SELECT of a SQL model as a subquery.
    pub(super) fn new(
        query: &ModelQuery,
        primary_key: &[String],
        dialect: Dialect,
    ) -> Result<Relation, SourceError> {
        let from = match query {
            ModelQuery::Table(name) if name.contains('\0') => {
                return Err(SourceError::Query(
                    "the table's name contains a NUL character".into(),
                ));
            }
            ModelQuery::Table(name) => quoted_table(name),
            // The line feed ends a comment that the statement may end with.
            ModelQuery::Sql(sql) => {
                let sql = statement::single(sql, dialect).map_err(SourceError::Query)?;
                format!("({sql}\n) AS model")
            }
        };
        Ok(Relation {
            dialect,
            from,
            order: primary_key.to_vec(),
        })
    }

    /// The name of what is read, to stand after FROM.
    pub(super) fn from(&self) -> &str {
        &self.from
    }

    /// The statement that reads all columns, to learn their types.
    pub(super) fn describe(&self) -> String {
        format!("SELECT * FROM {}", self.from)
    }

    /// The statement that reads what is wanted, with the number of records to skip as its one
    /// parameter.
    pub(super) fn select(&self, schema: &Schema, wanted: &Wanted) -> String {
        let names: Vec<_> = wanted
            .columns
            .iter()
            .filter_map(|at| schema.fields().get(*at))
            .map(|field| quoted(field.name()))
            .collect();
        // Where only the rows count, one column that is never read stands for them.
        let columns = if names.is_empty() {
            "NULL".to_owned()
        } else {
            names.join(", ")
        };
        let mut sql = format!("SELECT {columns} FROM {}", self.from);
        if wanted.ordered && !self.order.is_empty() {
            let order: Vec<_> = self.order.iter().map(|name| quoted(name)).collect();
            sql.push_str(" ORDER BY ");
            sql.push_str(&order.join(", "));
        }
        sql.push_str(match self.dialect {
            Dialect::Sqlite => " LIMIT -1 OFFSET ?1",
            Dialect::Postgres => " OFFSET $1::int8",
        });
        sql
    }
}

/// The number of records to skip as the databases take it.
pub(super) fn offset(skip: u64) -> i64 {
    i64::try_from(skip).unwrap_or(i64::MAX)
}

/// The error for a value that does not fit its column.
pub(super) fn misfit(schema: &SchemaRef, at: usize, record: u64, expected: &str) -> SourceError {
    let column = schema
        .fields()
        .get(at)
        .map_or_else(String::new, |field| field.name().clone());
    SourceError::Value {
        record,
        column,
        expected: expected.to_owned(),
    }
}
