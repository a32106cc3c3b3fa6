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
    /// The table's name as the model gives it; `None` for a SQL model.
    table: Option<String>,
    order: Vec<String>,
}

impl Relation {
    /// A table by its quoted name, or the one SELECT of a SQL model as a subquery.
    pub(super) fn new(
        query: &ModelQuery,
        primary_key: &[String],
        dialect: Dialect,
    ) -> Result<Relation, SourceError> {
        let table = match query {
            ModelQuery::Table(name) => Some(name.clone()),
            ModelQuery::Sql(_) => None,
        };
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
            table,
            order: primary_key.to_vec(),
        })
    }

    /// The name of what is read, to stand after FROM.
    pub(super) fn from(&self) -> &str {
        &self.from
    }

    /// The table's name, unless the model is SQL.
    pub(super) fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The statement that reads all columns, to learn their types.
    pub(super) fn describe(&self) -> String {
        format!("SELECT * FROM {}", self.from)
    }

    /// The statement that reads what is wanted, where all of `conditions` are true. The number of
    /// records to skip is its first parameter; the conditions' begin with the second.
    pub(super) fn select(&self, schema: &Schema, wanted: &Wanted, conditions: &[String]) -> String {
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
        if !conditions.is_empty() {
            // Which index SQLite would take, and so the order of the rows, depends on how common
            // values are, hidden rows included. The key that orders the table is still used.
            if matches!(self.dialect, Dialect::Sqlite) {
                sql.push_str(" NOT INDEXED");
            }
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.join(" AND "));
        }
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

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn conditions_stand_beside_the_model() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("a \"b\"", DataType::Int64, true),
        ]);
        let wanted = |columns: &[usize], ordered| Wanted {
            marked: false,
            columns: columns.to_vec(),
            ordered,
            skip: 0,
            batch_rows: 10,
            conditions: Vec::new(),
        };
        let table = ModelQuery::Table("s.t".into());
        let sql = ModelQuery::Sql("SELECT 1 AS id -- one".into());
        let key = ["id".to_owned()];
        for (query, dialect, wanted, conditions, expected) in [
            (
                &table,
                Dialect::Postgres,
                wanted(&[1], false),
                &["\"id\" = $2::int8"][..],
                r#"SELECT "a ""b""" FROM "s"."t" WHERE "id" = $2::int8 OFFSET $1::int8"#,
            ),
            (
                &table,
                Dialect::Sqlite,
                wanted(&[], true),
                &["\"id\" = ?2", "\"id\" < ?3"],
                r#"SELECT NULL FROM "s"."t" NOT INDEXED WHERE "id" = ?2 AND "id" < ?3 ORDER BY "id" LIMIT -1 OFFSET ?1"#,
            ),
            (
                &sql,
                Dialect::Postgres,
                wanted(&[0], false),
                &["\"id\" = $2::int8"],
                "SELECT \"id\" FROM (SELECT 1 AS id -- one\n) AS model WHERE \"id\" = $2::int8 OFFSET $1::int8",
            ),
        ] {
            let relation = Relation::new(query, &key, dialect).expect("a good query");
            let conditions: Vec<_> = conditions.iter().map(ToString::to_string).collect();
            assert_eq!(relation.select(&schema, &wanted, &conditions), expected);
        }
    }
}
