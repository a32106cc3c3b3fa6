//! What PostgreSQL 15 itself brings: its types, the ids of its catalogs, its settings.

/// The version that is spoken.
pub(super) const VERSION: &str = "15.0";
/// Ids of the schemas.
pub(super) const PG_CATALOG: i32 = 11;
/// The schema of models.
pub(super) const PUBLIC: i32 = 2200;
/// The schema of the standard's views.
pub(super) const INFORMATION_SCHEMA: i32 = 13_000;
/// The only database.
pub(super) const DATABASE: i32 = 5;
/// The role that owns everything.
pub(super) const OWNER: i32 = 10;
/// Its name.
pub(super) const OWNER_NAME: &str = "syncguard";
/// The role of whoever is connected.
pub(super) const ROLE: i32 = 16_384;
/// The access methods.
pub(super) const HEAP: i32 = 2;
/// What primary keys are said to be indexed with.
pub(super) const BTREE: i32 = 403;
/// The default collation.
pub(super) const COLLATION: i32 = 100;
/// Ids below are those of PostgreSQL's own objects.
pub(super) const FIRST_MODEL: i32 = 20_000;

/// A type as `pg_type` describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaseType {
    /// Its id.
    pub(super) oid: i32,
    /// `typname`.
    pub(super) name: &'static str,
    /// What `format_type` calls it.
    pub(super) title: &'static str,
    /// `typlen`.
    pub(super) len: i16,
    /// `typcategory`.
    pub(super) category: char,
    /// The id of its array type; 0 if there is none.
    pub(super) array: i32,
    /// What the names of its functions start with: `bool` of `boolin`, `json_` of `json_in`.
    pub(super) functions: &'static str,
}

const fn base(
    oid: i32,
    name: &'static str,
    title: &'static str,
    len: i16,
    category: char,
    array: i32,
    functions: &'static str,
) -> BaseType {
    BaseType {
        oid,
        name,
        title,
        len,
        category,
        array,
        functions,
    }
}

/// The types that columns of models and of catalogs have, or that clients ask for.
pub(super) const TYPES: &[BaseType] = &[
    base(16, "bool", "boolean", 1, 'B', 1000, "bool"),
    base(17, "bytea", "bytea", -1, 'U', 1001, "bytea"),
    base(18, "char", "\"char\"", 1, 'Z', 1002, "char"),
    base(19, "name", "name", 64, 'S', 1003, "name"),
    base(20, "int8", "bigint", 8, 'N', 1016, "int8"),
    base(21, "int2", "smallint", 2, 'N', 1005, "int2"),
    base(22, "int2vector", "int2vector", -1, 'A', 1006, "int2vector"),
    base(23, "int4", "integer", 4, 'N', 1007, "int4"),
    base(24, "regproc", "regproc", 4, 'N', 1008, "regproc"),
    base(25, "text", "text", -1, 'S', 1009, "text"),
    base(26, "oid", "oid", 4, 'N', 1028, "oid"),
    base(27, "tid", "tid", 6, 'U', 1010, "tid"),
    base(28, "xid", "xid", 4, 'U', 1011, "xid"),
    base(29, "cid", "cid", 4, 'U', 1012, "cid"),
    base(30, "oidvector", "oidvector", -1, 'A', 1013, "oidvector"),
    base(114, "json", "json", -1, 'U', 199, "json_"),
    base(
        194,
        "pg_node_tree",
        "pg_node_tree",
        -1,
        'Z',
        0,
        "pg_node_tree_",
    ),
    base(700, "float4", "real", 4, 'N', 1021, "float4"),
    base(701, "float8", "double precision", 8, 'N', 1022, "float8"),
    base(705, "unknown", "unknown", -2, 'X', 0, "unknown"),
    base(1033, "aclitem", "aclitem", 12, 'U', 1034, "aclitem"),
    base(1042, "bpchar", "character", -1, 'S', 1014, "bpchar"),
    base(
        1043,
        "varchar",
        "character varying",
        -1,
        'S',
        1015,
        "varchar",
    ),
    base(1082, "date", "date", 4, 'D', 1182, "date_"),
    base(
        1083,
        "time",
        "time without time zone",
        8,
        'D',
        1183,
        "time_",
    ),
    base(
        1114,
        "timestamp",
        "timestamp without time zone",
        8,
        'D',
        1115,
        "timestamp_",
    ),
    base(
        1184,
        "timestamptz",
        "timestamp with time zone",
        8,
        'D',
        1185,
        "timestamptz_",
    ),
    base(1186, "interval", "interval", 16, 'T', 1187, "interval_"),
    base(
        1266,
        "timetz",
        "time with time zone",
        12,
        'D',
        1270,
        "timetz_",
    ),
    base(1700, "numeric", "numeric", -1, 'N', 1231, "numeric_"),
    base(
        2202,
        "regprocedure",
        "regprocedure",
        4,
        'N',
        2207,
        "regprocedure",
    ),
    base(2205, "regclass", "regclass", 4, 'N', 2210, "regclass"),
    base(2206, "regtype", "regtype", 4, 'N', 2211, "regtype"),
    base(2249, "record", "record", -1, 'P', 2287, "record_"),
    base(2275, "cstring", "cstring", -2, 'P', 1263, "cstring_"),
    base(2278, "void", "void", 4, 'P', 0, "void_"),
    base(2950, "uuid", "uuid", 16, 'U', 2951, "uuid_"),
    base(3802, "jsonb", "jsonb", -1, 'U', 3807, "jsonb_"),
    base(
        4089,
        "regnamespace",
        "regnamespace",
        4,
        'N',
        4090,
        "regnamespace",
    ),
    base(4096, "regrole", "regrole", 4, 'N', 4097, "regrole"),
];

/// Names that types go by besides `typname` and title.
const SYNONYMS: &[(&str, i32)] = &[
    ("int", 23),
    ("decimal", 1700),
    ("float", 701),
    ("time", 1083),
    ("timestamp", 1114),
];

/// A type and whether an array of it is meant.
pub(super) fn type_of(oid: i32) -> Option<(&'static BaseType, bool)> {
    if oid == 0 {
        return None;
    }
    TYPES
        .iter()
        .find(|base| base.oid == oid || base.array == oid)
        .map(|base| (base, base.oid != oid))
}

/// The id of a type by one of its names, such as `int4`, `pg_catalog.int4`, `integer` or `_int4`.
pub(super) fn type_named(name: &str) -> Option<i32> {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let (name, array) = match name.strip_suffix("[]") {
        Some(item) => (item, true),
        None => match name.strip_prefix('_') {
            Some(item) => (item, true),
            None => (name, false),
        },
    };
    // A modifier, as in `numeric(10,2)`, makes no other type.
    let name = name.split_once('(').map_or(name, |(name, _)| name).trim();
    let bare = name.trim_matches('"');
    let oid = TYPES
        .iter()
        .find(|base| base.name == bare || base.title == name)
        .map(|base| base.oid)
        .or_else(|| {
            SYNONYMS
                .iter()
                .find(|(synonym, _)| *synonym == bare)
                .map(|(_, oid)| *oid)
        })?;
    if !array {
        return Some(oid);
    }
    type_of(oid)
        .map(|(base, _)| base.array)
        .filter(|array| *array != 0)
}

/// What `format_type` says of a type and its modifier.
pub(super) fn type_title(oid: i32, modifier: Option<i32>) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    let Some((base, array)) = type_of(oid) else {
        return "???".to_owned();
    };
    let suffix = if array { "[]" } else { "" };
    match modifier {
        Some(modifier) if modifier >= 4 && base.oid == 1700 => {
            let (precision, scale) = numeric_modifier(modifier);
            format!("numeric({precision},{scale}){suffix}")
        }
        _ => format!("{}{suffix}", base.title),
    }
}

/// Precision and scale that a modifier of `numeric` stands for.
pub(super) fn numeric_modifier(modifier: i32) -> (i32, i32) {
    let modifier = modifier.saturating_sub(4);
    ((modifier >> 16) & 0xffff, modifier & 0x7ff)
}

/// Catalogs by the ids that PostgreSQL gives them, since clients compare with
/// `'pg_class'::regclass`.
pub(super) const CATALOGS: &[(&str, i32)] = &[
    ("pg_aggregate", 2600),
    ("pg_am", 2601),
    ("pg_attrdef", 2604),
    ("pg_attribute", 1249),
    ("pg_auth_members", 1261),
    ("pg_authid", 1260),
    ("pg_cast", 2605),
    ("pg_class", 1259),
    ("pg_collation", 3456),
    ("pg_constraint", 2606),
    ("pg_conversion", 2607),
    ("pg_database", 1262),
    ("pg_default_acl", 826),
    ("pg_depend", 2608),
    ("pg_description", 2609),
    ("pg_enum", 3501),
    ("pg_event_trigger", 3466),
    ("pg_extension", 3079),
    ("pg_foreign_data_wrapper", 2328),
    ("pg_foreign_server", 1417),
    ("pg_foreign_table", 3118),
    ("pg_index", 2610),
    ("pg_inherits", 2611),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_opclass", 2616),
    ("pg_operator", 2617),
    ("pg_opfamily", 2753),
    ("pg_partitioned_table", 3350),
    ("pg_policy", 3256),
    ("pg_proc", 1255),
    ("pg_publication", 6104),
    ("pg_publication_rel", 6106),
    ("pg_range", 3541),
    ("pg_rewrite", 2618),
    ("pg_sequence", 2224),
    ("pg_shdescription", 2396),
    ("pg_statistic_ext", 3381),
    ("pg_subscription", 6100),
    ("pg_tablespace", 1213),
    ("pg_trigger", 2620),
    ("pg_ts_config", 3602),
    ("pg_ts_dict", 3600),
    ("pg_type", 1247),
    ("pg_user_mapping", 1418),
];

/// The settings that clients look up, and what they are.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("block_size", "8192"),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("server_version", VERSION),
    ("server_version_num", "150000"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
];

/// Words that PostgreSQL reserves and standard SQL does not, which is what drivers ask for.
pub(super) const KEYWORDS: &[&str] = &[
    "analyse",
    "analyze",
    "asc",
    "concurrently",
    "deferrable",
    "desc",
    "do",
    "freeze",
    "ilike",
    "initially",
    "isnull",
    "limit",
    "notnull",
    "offset",
    "placing",
    "returning",
    "variadic",
    "verbose",
];
