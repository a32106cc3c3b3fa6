//! The rows of `pg_catalog`.

use super::builtin::{
    BTREE, BaseType, CATALOGS, COLLATION, DATABASE, HEAP, INFORMATION_SCHEMA, KEYWORDS, OWNER,
    OWNER_NAME, PG_CATALOG, PUBLIC, ROLE, SETTINGS, TYPES, type_of,
};
use super::columns::{Cell, Row};
use super::relations::{Column, Key, Relation};

/// Who looks, and at what.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The workspace, which is the database.
    pub(super) workspace: &'a str,
    /// The account that is connected, which is a role.
    pub(super) user: &'a str,
    /// Its models.
    pub(super) relations: &'a [Relation],
}

/// The rows of a table.
pub(super) fn rows(table: &str, view: View<'_>) -> Vec<Row> {
    match table {
        "pg_am" => vec![
            access_method(HEAP, "heap", "heap_tableam_handler", 't'),
            access_method(BTREE, "btree", "bthandler", 'i'),
        ],
        "pg_attribute" => view.relations.iter().flat_map(attributes).collect(),
        "pg_class" => view.relations.iter().flat_map(classes).collect(),
        "pg_constraint" => view.relations.iter().filter_map(constraint).collect(),
        "pg_database" => vec![database(view.workspace)],
        "pg_get_keywords" => KEYWORDS.iter().map(|word| keyword(word)).collect(),
        "pg_index" => view.relations.iter().filter_map(index).collect(),
        "pg_indexes" => view.relations.iter().filter_map(index_text).collect(),
        "pg_language" => [(12, "internal"), (13, "c"), (14, "sql")]
            .into_iter()
            .map(|(oid, name)| {
                vec![
                    ("oid", oid.into()),
                    ("lanname", name.into()),
                    ("lanowner", OWNER.into()),
                    ("lanpltrusted", (oid == 14).into()),
                ]
            })
            .collect(),
        "pg_namespace" => [
            (PG_CATALOG, "pg_catalog"),
            (INFORMATION_SCHEMA, "information_schema"),
            (PUBLIC, "public"),
        ]
        .into_iter()
        .map(|(oid, name)| {
            vec![
                ("oid", oid.into()),
                ("nspname", name.into()),
                ("nspowner", OWNER.into()),
            ]
        })
        .collect(),
        "pg_proc" => functions(),
        "pg_roles" => roles(view.user),
        "pg_settings" => settings(view.user),
        "pg_tables" => view
            .relations
            .iter()
            .map(|relation| {
                vec![
                    ("schemaname", "public".into()),
                    ("tablename", relation.name.as_str().into()),
                    ("tableowner", OWNER_NAME.into()),
                    ("hasindexes", relation.key.is_some().into()),
                ]
            })
            .collect(),
        "pg_tablespace" => vec![vec![
            ("oid", 1663.into()),
            ("spcname", "pg_default".into()),
            ("spcowner", OWNER.into()),
        ]],
        "pg_type" => TYPES
            .iter()
            .flat_map(|base| [Some(base_type(base)), array_type(base)])
            .flatten()
            .collect(),
        "pg_user" => vec![vec![
            ("usename", view.user.into()),
            ("usesysid", ROLE.into()),
        ]],
        _ => Vec::new(),
    }
}

fn access_method(oid: i32, name: &str, handler: &str, kind: char) -> Row {
    vec![
        ("oid", oid.into()),
        ("amname", name.into()),
        ("amhandler", handler.into()),
        ("amtype", kind.into()),
    ]
}

fn database(workspace: &str) -> Row {
    vec![
        ("oid", DATABASE.into()),
        ("datname", workspace.into()),
        ("datdba", OWNER.into()),
        ("encoding", 6.into()),
        ("datlocprovider", 'c'.into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", 1663.into()),
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
    ]
}

fn keyword(word: &str) -> Row {
    vec![
        ("word", word.into()),
        ("catcode", 'R'.into()),
        ("catdesc", "reserved".into()),
        ("baredesc", "requires AS".into()),
    ]
}

fn roles(user: &str) -> Vec<Row> {
    let role = |oid: i32, name: &str, can_login: bool| -> Row {
        vec![
            ("oid", oid.into()),
            ("rolname", name.into()),
            ("rolinherit", true.into()),
            ("rolcanlogin", can_login.into()),
            ("rolconnlimit", (-1).into()),
            ("rolpassword", "********".into()),
        ]
    };
    let owner = (user != OWNER_NAME).then(|| role(OWNER, OWNER_NAME, false));
    owner.into_iter().chain([role(ROLE, user, true)]).collect()
}

fn settings(user: &str) -> Vec<Row> {
    SETTINGS
        .iter()
        .copied()
        .chain([("session_authorization", user)])
        .map(|(name, setting)| {
            vec![
                ("name", name.into()),
                ("setting", setting.into()),
                ("category", "Preset Options".into()),
                ("short_desc", "".into()),
                ("context", "internal".into()),
                ("vartype", "string".into()),
                ("source", "default".into()),
                ("boot_val", setting.into()),
                ("reset_val", setting.into()),
            ]
        })
        .collect()
}

fn class(oid: i32, name: &str, kind: char, columns: usize) -> Row {
    vec![
        ("oid", oid.into()),
        ("relname", name.into()),
        ("relnamespace", PUBLIC.into()),
        ("relowner", OWNER.into()),
        ("relfilenode", oid.into()),
        // How many rows there are, hidden ones among them, is nothing to be told.
        ("reltuples", (-1).into()),
        ("relpersistence", 'p'.into()),
        ("relkind", kind.into()),
        (
            "relnatts",
            i16::try_from(columns).unwrap_or(i16::MAX).into(),
        ),
        ("relispopulated", true.into()),
    ]
}

fn classes(relation: &Relation) -> Vec<Row> {
    let mut table = class(relation.oid, &relation.name, 'r', relation.columns.len());
    table.extend([
        ("relam", HEAP.into()),
        ("relhasindex", relation.key.is_some().into()),
        ("relreplident", 'd'.into()),
    ]);
    let index = relation.key.as_ref().map(|key| {
        let mut index = class(key.index, &key.name, 'i', key.numbers.len());
        index.extend([("relam", BTREE.into()), ("relreplident", 'n'.into())]);
        index
    });
    [table].into_iter().chain(index).collect()
}

fn attribute(of: i32, number: i16, column: &Column) -> Row {
    let base = type_of(column.type_oid);
    vec![
        ("attrelid", of.into()),
        ("attname", column.name.as_str().into()),
        ("atttypid", column.type_oid.into()),
        ("attstattarget", (-1).into()),
        ("attlen", column.len.into()),
        ("attnum", number.into()),
        (
            "attndims",
            i32::from(base.is_some_and(|(_, array)| array)).into(),
        ),
        ("attcacheoff", (-1).into()),
        ("atttypmod", column.modifier.into()),
        ("attbyval", is_by_value(column.len).into()),
        ("attalign", alignment(column.len).into()),
        ("attstorage", storage(column.len).into()),
        ("attnotnull", column.not_null.into()),
        ("attislocal", true.into()),
        ("attcollation", collation(base.map(|(base, _)| base)).into()),
    ]
}

fn attributes(relation: &Relation) -> Vec<Row> {
    let own = relation
        .columns
        .iter()
        .map(|column| attribute(relation.oid, column.number, column));
    let indexed = relation.key.iter().flat_map(|key| {
        (1_i16..)
            .zip(relation.key_columns())
            .map(|(number, column)| attribute(key.index, number, column))
    });
    own.chain(indexed).collect()
}

fn numbers(key: &Key) -> Cell {
    Cell::Ints(
        key.numbers
            .iter()
            .map(|number| i64::from(*number))
            .collect(),
    )
}

fn constraint(relation: &Relation) -> Option<Row> {
    let key = relation.key.as_ref()?;
    Some(vec![
        ("oid", key.constraint.into()),
        ("conname", key.name.as_str().into()),
        ("connamespace", PUBLIC.into()),
        ("contype", 'p'.into()),
        ("convalidated", true.into()),
        ("conrelid", relation.oid.into()),
        ("conindid", key.index.into()),
        ("confupdtype", ' '.into()),
        ("confdeltype", ' '.into()),
        ("confmatchtype", ' '.into()),
        ("conislocal", true.into()),
        ("connoinherit", true.into()),
        ("conkey", numbers(key)),
    ])
}

fn index(relation: &Relation) -> Option<Row> {
    let key = relation.key.as_ref()?;
    let count = i16::try_from(key.numbers.len()).unwrap_or(i16::MAX);
    let zeros: Vec<i64> = key.numbers.iter().map(|_| 0).collect();
    let collations: Vec<i64> = relation
        .key_columns()
        .map(|column| collation(type_of(column.type_oid).map(|(base, _)| base)).into())
        .collect();
    Some(vec![
        ("indexrelid", key.index.into()),
        ("indrelid", relation.oid.into()),
        ("indnatts", count.into()),
        ("indnkeyatts", count.into()),
        ("indisunique", true.into()),
        ("indisprimary", true.into()),
        ("indimmediate", true.into()),
        ("indisvalid", true.into()),
        ("indisready", true.into()),
        ("indislive", true.into()),
        ("indkey", numbers(key)),
        ("indcollation", collations.into()),
        ("indclass", zeros.clone().into()),
        ("indoption", zeros.into()),
    ])
}

fn index_text(relation: &Relation) -> Option<Row> {
    let key = relation.key.as_ref()?;
    Some(vec![
        ("schemaname", "public".into()),
        ("tablename", relation.name.as_str().into()),
        ("indexname", key.name.as_str().into()),
        ("indexdef", relation.index_definition()?.into()),
    ])
}

/// The functions that read and write values, which types are described by.
const TYPE_FUNCTIONS: [&str; 4] = ["in", "out", "recv", "send"];

/// The id of a function that reads or writes values of a type; 0 where there is no such function.
pub(super) fn function_oid(name: &str) -> i32 {
    function_names()
        .position(|function| function == name)
        .and_then(|position| i32::try_from(position).ok())
        .map_or(0, |position| 9_000 + position)
}

fn function_names() -> impl Iterator<Item = String> {
    TYPES
        .iter()
        .map(|base| base.functions)
        .chain(["array_"])
        .flat_map(|start| {
            TYPE_FUNCTIONS
                .iter()
                .map(move |end| format!("{start}{end}"))
        })
}

fn functions() -> Vec<Row> {
    function_names()
        .map(|name| {
            vec![
                ("oid", function_oid(&name).into()),
                ("proname", name.as_str().into()),
                ("pronamespace", PG_CATALOG.into()),
                ("proowner", OWNER.into()),
                ("prolang", 12.into()),
                ("procost", 1.into()),
                ("prokind", 'f'.into()),
                ("proisstrict", true.into()),
                ("provolatile", 'i'.into()),
                ("proparallel", 's'.into()),
                ("pronargs", 1_i16.into()),
                ("proargtypes", vec![2275].into()),
                ("prosrc", name.into()),
            ]
        })
        .collect()
}

fn base_type(base: &BaseType) -> Row {
    let element = match base.name {
        "int2vector" => 21,
        "oidvector" => 26,
        _ => 0,
    };
    let mut row = vec![
        ("oid", base.oid.into()),
        ("typname", base.name.into()),
        ("typlen", base.len.into()),
        ("typbyval", is_by_value(base.len).into()),
        (
            "typtype",
            if base.category == 'P' { 'p' } else { 'b' }.into(),
        ),
        ("typcategory", base.category.into()),
        (
            "typispreferred",
            matches!(base.oid, 16 | 25 | 26 | 701 | 1184 | 1186).into(),
        ),
        ("typelem", element.into()),
        ("typarray", base.array.into()),
        ("typalign", alignment(base.len).into()),
        ("typstorage", storage(base.len).into()),
        ("typcollation", collation(Some(base)).into()),
    ];
    row.extend(any_type(base.functions));
    row
}

fn array_type(base: &BaseType) -> Option<Row> {
    if base.array == 0 {
        return None;
    }
    let mut row = vec![
        ("oid", base.array.into()),
        ("typname", format!("_{}", base.name).into()),
        ("typlen", (-1).into()),
        ("typtype", 'b'.into()),
        ("typcategory", 'A'.into()),
        ("typsubscript", "array_subscript_handler".into()),
        ("typelem", base.oid.into()),
        ("typalign", 'i'.into()),
        ("typstorage", 'x'.into()),
        ("typcollation", collation(Some(base)).into()),
    ];
    row.extend(any_type("array_"));
    Some(row)
}

/// What all types have. A function that is not there is called `-`.
fn any_type(functions: &str) -> Row {
    let columns = ["typinput", "typoutput", "typreceive", "typsend"];
    let named = columns
        .into_iter()
        .zip(TYPE_FUNCTIONS)
        .map(|(column, end)| (column, Cell::from(format!("{functions}{end}"))));
    [
        ("typnamespace", PG_CATALOG.into()),
        ("typowner", OWNER.into()),
        ("typisdefined", true.into()),
        ("typdelim", ','.into()),
        ("typtypmod", (-1).into()),
        ("typmodin", "-".into()),
        ("typmodout", "-".into()),
        ("typanalyze", "-".into()),
    ]
    .into_iter()
    .chain(named)
    .collect()
}

fn is_by_value(len: i16) -> bool {
    matches!(len, 1 | 2 | 4 | 8)
}

fn alignment(len: i16) -> char {
    match len {
        1 | -2 => 'c',
        2 => 's',
        8 | 16 => 'd',
        _ => 'i',
    }
}

fn storage(len: i16) -> char {
    if len == -1 { 'x' } else { 'p' }
}

fn collation(base: Option<&BaseType>) -> i32 {
    match base {
        Some(base) if base.category == 'S' => COLLATION,
        _ => 0,
    }
}

/// The id of a catalog's table by its name.
pub(super) fn catalog_oid(name: &str) -> Option<i32> {
    CATALOGS
        .iter()
        .find(|(catalog, _)| *catalog == name)
        .map(|(_, oid)| *oid)
        .or_else(|| {
            // The others have ids of ours: nothing is compared with them.
            super::tables::PG_CATALOG
                .iter()
                .position(|table| table.name == name)
                .and_then(|position| i32::try_from(position).ok())
                .map(|position| 12_000 + position)
        })
}

/// The name of a catalog's table by its id.
pub(super) fn catalog_name(oid: i32) -> Option<&'static str> {
    super::tables::PG_CATALOG
        .iter()
        .map(|table| table.name)
        .find(|name| catalog_oid(name) == Some(oid))
}
