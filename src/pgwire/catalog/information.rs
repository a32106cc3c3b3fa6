//! The rows of `information_schema`.

use super::builtin::{BaseType, OWNER_NAME, numeric_modifier, type_of};
use super::columns::{Cell, Row};
use super::relations::{Column, Relation};
use super::rows::View;

/// The rows of a table.
pub(super) fn rows(table: &str, view: View<'_>) -> Vec<Row> {
    let workspace = view.workspace;
    let of_table = |relation: &Relation| -> Row {
        vec![
            ("table_catalog", workspace.into()),
            ("table_schema", "public".into()),
            ("table_name", relation.name.as_str().into()),
        ]
    };
    match table {
        "character_sets" => vec![vec![
            ("character_set_name", "UTF8".into()),
            ("character_repertoire", "UCS".into()),
            ("form_of_use", "UTF8".into()),
            ("default_collate_catalog", workspace.into()),
            ("default_collate_schema", "pg_catalog".into()),
            ("default_collate_name", "C".into()),
        ]],
        "column_privileges" => each_column(view, |relation, column| {
            let mut row = of_table(relation);
            row.push(("column_name", column.name.as_str().into()));
            row.extend(may_select(view.user));
            row
        }),
        "columns" => each_column(view, |relation, column| {
            let mut row = of_table(relation);
            row.extend(described(workspace, column));
            row
        }),
        "constraint_column_usage" => each_key_column(view, |relation, _, column| {
            let mut row = of_table(relation);
            row.push(("column_name", column.name.as_str().into()));
            row.extend(of_constraint(workspace, relation));
            row
        }),
        "constraint_table_usage" => with_key(view)
            .map(|relation| {
                let mut row = of_table(relation);
                row.extend(of_constraint(workspace, relation));
                row
            })
            .collect(),
        "enabled_roles" => vec![vec![("role_name", view.user.into())]],
        "information_schema_catalog_name" => vec![vec![("catalog_name", workspace.into())]],
        "key_column_usage" => each_key_column(view, |relation, position, column| {
            let mut row = of_table(relation);
            row.push(("column_name", column.name.as_str().into()));
            row.push(("ordinal_position", position.into()));
            row.extend(of_constraint(workspace, relation));
            row
        }),
        "role_table_grants" | "table_privileges" => view
            .relations
            .iter()
            .map(|relation| {
                let mut row = of_table(relation);
                row.extend(may_select(view.user));
                row.push(("with_hierarchy", "YES".into()));
                row
            })
            .collect(),
        "schemata" => ["information_schema", "pg_catalog", "public"]
            .into_iter()
            .map(|schema| {
                vec![
                    ("catalog_name", workspace.into()),
                    ("schema_name", schema.into()),
                    ("schema_owner", OWNER_NAME.into()),
                ]
            })
            .collect(),
        "table_constraints" => with_key(view)
            .map(|relation| {
                let mut row = of_table(relation);
                row.extend(of_constraint(workspace, relation));
                row.extend([
                    ("constraint_type", "PRIMARY KEY".into()),
                    ("is_deferrable", "NO".into()),
                    ("initially_deferred", "NO".into()),
                    ("enforced", "YES".into()),
                ]);
                row
            })
            .collect(),
        "tables" => view
            .relations
            .iter()
            .map(|relation| {
                let mut row = of_table(relation);
                row.extend([
                    ("table_type", "BASE TABLE".into()),
                    ("is_insertable_into", "NO".into()),
                    ("is_typed", "NO".into()),
                ]);
                row
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn each_column(view: View<'_>, row: impl Fn(&Relation, &Column) -> Row) -> Vec<Row> {
    let mut rows = Vec::new();
    for relation in view.relations {
        rows.extend(relation.columns.iter().map(|column| row(relation, column)));
    }
    rows
}

fn with_key(view: View<'_>) -> impl Iterator<Item = &Relation> {
    view.relations
        .iter()
        .filter(|relation| relation.key.is_some())
}

fn each_key_column(view: View<'_>, row: impl Fn(&Relation, i32, &Column) -> Row) -> Vec<Row> {
    let mut rows = Vec::new();
    for relation in view.relations {
        rows.extend(
            (1_i32..)
                .zip(relation.key_columns())
                .map(|(position, column)| row(relation, position, column)),
        );
    }
    rows
}

fn of_constraint(workspace: &str, relation: &Relation) -> Row {
    let name = relation
        .key
        .as_ref()
        .map_or(Cell::Null, |key| key.name.as_str().into());
    vec![
        ("constraint_catalog", workspace.into()),
        ("constraint_schema", "public".into()),
        ("constraint_name", name),
    ]
}

fn may_select(user: &str) -> Row {
    vec![
        ("grantor", OWNER_NAME.into()),
        ("grantee", user.into()),
        ("privilege_type", "SELECT".into()),
        ("is_grantable", "NO".into()),
    ]
}

fn described(workspace: &str, column: &Column) -> Row {
    let (data_type, udt_name) = match type_of(column.type_oid) {
        Some((base, true)) => ("ARRAY".to_owned(), format!("_{}", base.name)),
        Some((base, false)) => (base.title.to_owned(), base.name.to_owned()),
        None => ("text".to_owned(), "text".to_owned()),
    };
    let scalar = type_of(column.type_oid)
        .filter(|(_, array)| !array)
        .map(|(base, _)| base);
    let (precision, radix, scale) = numeric(scalar, column.modifier);
    vec![
        ("column_name", column.name.as_str().into()),
        ("ordinal_position", column.number.into()),
        (
            "is_nullable",
            if column.not_null { "NO" } else { "YES" }.into(),
        ),
        ("data_type", data_type.into()),
        (
            "character_octet_length",
            scalar
                .filter(|base| base.category == 'S')
                .map(|_| 1_073_741_824)
                .into(),
        ),
        ("numeric_precision", precision.into()),
        ("numeric_precision_radix", radix.into()),
        ("numeric_scale", scale.into()),
        ("datetime_precision", scalar.and_then(datetime).into()),
        ("udt_catalog", workspace.into()),
        ("udt_schema", "pg_catalog".into()),
        ("udt_name", udt_name.into()),
        ("dtd_identifier", column.number.to_string().into()),
        ("is_self_referencing", "NO".into()),
        ("is_identity", "NO".into()),
        ("identity_cycle", "NO".into()),
        ("is_generated", "NEVER".into()),
        ("is_updatable", "NO".into()),
    ]
}

fn numeric(base: Option<&BaseType>, modifier: i32) -> (Option<i32>, Option<i32>, Option<i32>) {
    match base.map(|base| base.oid) {
        Some(21) => (Some(16), Some(2), Some(0)),
        Some(23) => (Some(32), Some(2), Some(0)),
        Some(20) => (Some(64), Some(2), Some(0)),
        Some(700) => (Some(24), Some(2), None),
        Some(701) => (Some(53), Some(2), None),
        Some(1700) if modifier >= 4 => {
            let (precision, scale) = numeric_modifier(modifier);
            (Some(precision), Some(10), Some(scale))
        }
        Some(1700) => (None, Some(10), None),
        _ => (None, None, None),
    }
}

fn datetime(base: &BaseType) -> Option<i32> {
    match base.oid {
        1082 => Some(0),
        1083 | 1114 | 1184 | 1186 | 1266 => Some(6),
        _ => None,
    }
}
