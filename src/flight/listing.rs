//! The workspace as a database: one catalog, one schema, and a table for each model that the
//! caller may query.

use std::sync::{Arc, LazyLock};

use arrow::array::{Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::Result;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTableTypes,
    CommandGetTables,
};

use super::rows;
use crate::catalog::Model;

const SCHEMA: &str = "public";
const TABLE: &str = "TABLE";

pub(super) fn catalogs(query: CommandGetCatalogs, catalog: &str) -> Result<RecordBatch> {
    let mut builder = query.into_builder();
    builder.append(catalog);
    builder.build()
}

pub(super) fn schemas(query: CommandGetDbSchemas, catalog: &str) -> Result<RecordBatch> {
    let mut builder = query.into_builder();
    builder.append(catalog, SCHEMA);
    builder.build()
}

pub(super) fn tables(
    query: CommandGetTables,
    catalog: &str,
    models: &[Model],
) -> Result<RecordBatch> {
    let mut builder = query.into_builder();
    for model in models {
        let schema = rows::sent(&model.schema);
        builder.append(catalog, SCHEMA, &model.name, TABLE, &schema)?;
    }
    builder.build()
}

pub(super) fn table_types(query: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut builder = query.into_builder();
    builder.append(TABLE);
    builder.build()
}

/// The columns of [`primary_keys`].
pub(super) static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

/// The columns that identify a record of a table. A table that is not there has none.
pub(super) fn primary_keys(
    query: &CommandGetPrimaryKeys,
    catalog: &str,
    models: &[Model],
) -> Result<RecordBatch> {
    let is = |wanted: &Option<String>, name| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let here = is(&query.catalog, catalog) && is(&query.db_schema, SCHEMA);
    let model = models
        .iter()
        .find(|model| here && model.name == query.table);
    let key = model.map_or(&[][..], |model| &model.primary_key);
    let each = |text: &str| StringArray::from(vec![text; key.len()]);
    let numbers = (1..).zip(key).map(|(number, _)| number);
    let columns = vec![
        Arc::new(each(catalog)) as _,
        Arc::new(each(SCHEMA)) as _,
        Arc::new(each(&query.table)) as _,
        Arc::new(StringArray::from_iter_values(key)) as _,
        Arc::new(StringArray::new_null(key.len())) as _,
        Arc::new(Int32Array::from_iter_values(numbers)) as _,
    ];
    Ok(RecordBatch::try_new(Arc::clone(&PRIMARY_KEYS), columns)?)
}

/// The columns of keys that refer to those of another table.
pub(super) static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

/// No model refers to another.
pub(super) fn foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(Arc::clone(&FOREIGN_KEYS))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::ModelQuery;

    fn model(name: &str, primary_key: &[&str]) -> Model {
        Model {
            id: Uuid::nil(),
            workspace_id: Uuid::nil(),
            name: name.to_owned(),
            source_id: Uuid::nil(),
            query: ModelQuery::Table(name.to_owned()),
            primary_key: primary_key
                .iter()
                .map(|&column| column.to_owned())
                .collect(),
            schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)])),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn names(batch: &RecordBatch, column: &str) -> Vec<String> {
        let column = batch.column_by_name(column).expect("a column");
        let column = column.as_string::<i32>();
        column.iter().flatten().map(str::to_owned).collect()
    }

    #[test]
    fn tables_are_filtered() {
        let models = [model("orders", &[]), model("customers", &[])];
        let none: [&str; 0] = [];
        let text = |text: &str| Some(text.to_owned());
        let all = CommandGetTables::default();
        let cases: [(CommandGetTables, &[&str]); 7] = [
            (all.clone(), &["customers", "orders"]),
            (
                CommandGetTables {
                    catalog: text("ws"),
                    ..all.clone()
                },
                &["customers", "orders"],
            ),
            (
                CommandGetTables {
                    catalog: text("other"),
                    ..all.clone()
                },
                &none,
            ),
            (
                CommandGetTables {
                    db_schema_filter_pattern: text("pub%"),
                    ..all.clone()
                },
                &["customers", "orders"],
            ),
            (
                CommandGetTables {
                    table_name_filter_pattern: text("o_ders"),
                    ..all.clone()
                },
                &["orders"],
            ),
            (
                CommandGetTables {
                    table_types: vec!["VIEW".into()],
                    ..all.clone()
                },
                &none,
            ),
            (
                CommandGetTables {
                    table_types: vec!["VIEW".into(), TABLE.into()],
                    include_schema: true,
                    ..all
                },
                &["customers", "orders"],
            ),
        ];
        for (query, wanted) in cases {
            let schema = query.clone().into_builder().schema();
            let found = tables(query.clone(), "ws", &models).expect("a batch");
            assert_eq!(names(&found, "table_name"), wanted, "{query:?}");
            assert_eq!(found.schema(), schema);
        }
    }

    #[test]
    fn keys_of_a_table_come_in_their_order() {
        let models = [model("lines", &["order", "line"])];
        let query = |catalog: Option<&str>, table: &str| CommandGetPrimaryKeys {
            catalog: catalog.map(str::to_owned),
            db_schema: None,
            table: table.to_owned(),
        };
        let found = primary_keys(&query(Some("ws"), "lines"), "ws", &models).expect("a batch");
        assert_eq!(names(&found, "column_name"), ["order", "line"]);
        for other in [query(Some("other"), "lines"), query(None, "orders")] {
            let found = primary_keys(&other, "ws", &models).expect("a batch");
            assert_eq!(found.num_rows(), 0);
        }
        assert_eq!(foreign_keys().num_rows(), 0);
    }
}
