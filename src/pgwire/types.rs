//! PostgreSQL's types for Arrow's, by the numbers that its catalog gives them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

/// A type as PostgreSQL describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PgType {
    /// Its number in `pg_type`.
    pub(super) oid: u32,
    /// Bytes of its values; -1 where they differ in length.
    pub(super) len: i16,
}

pub(super) const BOOL: u32 = 16;
pub(super) const BYTEA: u32 = 17;
pub(super) const CHAR: u32 = 18;
pub(super) const NAME: u32 = 19;
pub(super) const INT8: u32 = 20;
pub(super) const INT2: u32 = 21;
pub(super) const INT4: u32 = 23;
pub(super) const TEXT: u32 = 25;
pub(super) const OID: u32 = 26;
pub(super) const JSON: u32 = 114;
pub(super) const FLOAT4: u32 = 700;
pub(super) const FLOAT8: u32 = 701;
pub(super) const UNKNOWN: u32 = 705;
pub(super) const BPCHAR: u32 = 1042;
pub(super) const VARCHAR: u32 = 1043;
pub(super) const DATE: u32 = 1082;
pub(super) const TIME: u32 = 1083;
pub(super) const TIMESTAMP: u32 = 1114;
pub(super) const TIMESTAMPTZ: u32 = 1184;
pub(super) const INTERVAL: u32 = 1186;
pub(super) const NUMERIC: u32 = 1700;
pub(super) const UUID: u32 = 2950;
pub(super) const JSONB: u32 = 3802;

/// A type: its number, the length of its values, the number of arrays of it, and its name and
/// that of arrays of it as `format_type` writes them.
type Row = (u32, i16, u32, &'static str, &'static str);

const TYPES: &[Row] = &[
    (BOOL, 1, 1000, "boolean", "boolean[]"),
    (BYTEA, -1, 1001, "bytea", "bytea[]"),
    (CHAR, 1, 1002, "\"char\"", "\"char\"[]"),
    (NAME, 64, 1003, "name", "name[]"),
    (INT8, 8, 1016, "bigint", "bigint[]"),
    (INT2, 2, 1005, "smallint", "smallint[]"),
    (INT4, 4, 1007, "integer", "integer[]"),
    (TEXT, -1, 1009, "text", "text[]"),
    (OID, 4, 1028, "oid", "oid[]"),
    (JSON, -1, 199, "json", "json[]"),
    (FLOAT4, 4, 1021, "real", "real[]"),
    (FLOAT8, 8, 1022, "double precision", "double precision[]"),
    (BPCHAR, -1, 1014, "character", "character[]"),
    (
        VARCHAR,
        -1,
        1015,
        "character varying",
        "character varying[]",
    ),
    (DATE, 4, 1182, "date", "date[]"),
    (
        TIME,
        8,
        1183,
        "time without time zone",
        "time without time zone[]",
    ),
    (
        TIMESTAMP,
        8,
        1115,
        "timestamp without time zone",
        "timestamp without time zone[]",
    ),
    (
        TIMESTAMPTZ,
        8,
        1185,
        "timestamp with time zone",
        "timestamp with time zone[]",
    ),
    (INTERVAL, 16, 1187, "interval", "interval[]"),
    (NUMERIC, -1, 1231, "numeric", "numeric[]"),
    (UUID, 16, 2951, "uuid", "uuid[]"),
    (JSONB, -1, 3807, "jsonb", "jsonb[]"),
];

/// The type that values of an Arrow type are sent as. What PostgreSQL has no type for (structs,
/// maps, lists of lists) is JSON.
pub(super) fn pg_type(data_type: &DataType) -> PgType {
    if let Some(item) = array_item(data_type) {
        let item = pg_type(item).oid;
        let array = TYPES.iter().find(|row| row.0 == item).map(|row| row.2);
        return PgType {
            oid: array.unwrap_or(JSON),
            len: -1,
        };
    }
    let oid = match data_type {
        DataType::Dictionary(_, value) => return pg_type(value),
        DataType::RunEndEncoded(_, value) => return pg_type(value.data_type()),
        DataType::Boolean => BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => INT2,
        DataType::Int32 | DataType::UInt16 => INT4,
        DataType::Int64 | DataType::UInt32 => INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => NUMERIC,
        DataType::Float16 | DataType::Float32 => FLOAT4,
        DataType::Float64 => FLOAT8,
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TEXT,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => BYTEA,
        DataType::Date32 | DataType::Date64 => DATE,
        DataType::Time32(_) | DataType::Time64(_) => TIME,
        DataType::Timestamp(_, None) => TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => INTERVAL,
        _ => JSON,
    };
    PgType {
        oid,
        len: length(oid),
    }
}

/// What PostgreSQL calls the type modifier: the precision and scale of a numeric, or of the items
/// of an array of them; -1 for any other.
pub(super) fn modifier(data_type: &DataType) -> i32 {
    let (precision, scale) = match array_item(data_type).unwrap_or(data_type) {
        DataType::Dictionary(_, value) => return modifier(value),
        DataType::RunEndEncoded(_, value) => return modifier(value.data_type()),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => return -1,
    };
    // A negative scale has eleven bits.
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

fn length(oid: u32) -> i16 {
    TYPES
        .iter()
        .find(|row| row.0 == oid)
        .map_or(-1, |row| row.1)
}

/// The type of the items of a list that is sent as an array. Lists of lists are none: they may be
/// ragged, which arrays cannot be.
pub(super) fn array_item(data_type: &DataType) -> Option<&DataType> {
    let item = match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => item.data_type(),
        _ => return None,
    };
    let mut value = item;
    loop {
        value = match value {
            DataType::Dictionary(_, value) => value,
            DataType::RunEndEncoded(_, value) => value.data_type(),
            _ => break,
        };
    }
    (!value.is_nested()).then_some(item)
}

/// What a parameter is that is declared with an OID; `None` for one that says nothing of it, and
/// for types that parameters cannot have.
pub(super) fn data_type(oid: u32) -> Option<DataType> {
    Some(match oid {
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 | OID => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        // Each value brings the scale that it has; this is for a plan without one.
        NUMERIC => DataType::Decimal128(38, 10),
        TEXT | VARCHAR | BPCHAR | NAME | CHAR | UUID | JSON | JSONB => DataType::Utf8,
        BYTEA => DataType::Binary,
        DATE => DataType::Date32,
        TIME => DataType::Time64(TimeUnit::Microsecond),
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => {
            let item = data_type(item_of(oid)?)?;
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
    })
}

/// The type of an array's items.
pub(super) fn item_of(array: u32) -> Option<u32> {
    TYPES.iter().find(|row| row.2 == array).map(|row| row.0)
}

/// The name of a type as PostgreSQL shows it, without length or precision; `???` for one that it
/// does not have.
pub(super) fn name(oid: u32) -> &'static str {
    TYPES
        .iter()
        .find_map(|row| match oid {
            _ if row.0 == oid => Some(row.3),
            _ if row.2 == oid => Some(row.4),
            _ => None,
        })
        .unwrap_or(if oid == UNKNOWN { "unknown" } else { "???" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_tell_their_precision_and_scale() {
        let of = |precision, scale| DataType::Decimal128(precision, scale);
        let cases = [
            (of(10, 2), 655_366),
            (of(38, 0), 2_490_372),
            (of(5, -2), (5 << 16 | 2046) + 4),
            (DataType::new_list(of(10, 2), true), 655_366),
            (DataType::UInt64, -1),
            (DataType::Utf8, -1),
        ];
        for (data_type, expected) in cases {
            assert_eq!(modifier(&data_type), expected, "{data_type}");
        }
    }
}
