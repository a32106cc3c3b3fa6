//! What the server is and can, in the words of Flight SQL.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetSqlInfo, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo, SqlNullOrdering,
    SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
};

/// Everything of a set of alternatives, as a bit mask: so many of them.
const fn all(alternatives: u32) -> i32 {
    (1 << alternatives) - 1
}

/// What is known of the server, or the parts that are asked for.
pub(super) fn sql_info(query: CommandGetSqlInfo) -> Result<RecordBatch> {
    let mut known = SqlInfoDataBuilder::new();
    let texts = [
        (SqlInfo::FlightSqlServerName, "syncguard"),
        (SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION")),
        (SqlInfo::FlightSqlServerArrowVersion, "1.5"),
        (SqlInfo::SqlIdentifierQuoteChar, "\""),
        (SqlInfo::SqlSearchStringEscape, "\\"),
        (SqlInfo::SqlExtraNameCharacters, ""),
        (SqlInfo::SqlCatalogTerm, "workspace"),
        (SqlInfo::SqlSchemaTerm, "schema"),
        (SqlInfo::SqlProcedureTerm, ""),
    ];
    for (name, text) in texts {
        known.append(name, text);
    }
    let yes_or_no = [
        (SqlInfo::FlightSqlServerReadOnly, true),
        (SqlInfo::FlightSqlServerSql, true),
        (SqlInfo::FlightSqlServerSubstrait, false),
        (SqlInfo::FlightSqlServerCancel, false),
        (SqlInfo::FlightSqlServerBulkIngestion, false),
        (SqlInfo::FlightSqlServerIngestTransactionsSupported, false),
        (SqlInfo::SqlDdlCatalog, false),
        (SqlInfo::SqlDdlSchema, false),
        (SqlInfo::SqlDdlTable, false),
        (SqlInfo::SqlAllTablesAreSelectable, true),
        (SqlInfo::SqlSupportsColumnAliasing, true),
        (SqlInfo::SqlNullPlusNullIsNull, true),
        (SqlInfo::SqlSupportsTableCorrelationNames, true),
        (SqlInfo::SqlSupportsDifferentTableCorrelationNames, false),
        (SqlInfo::SqlSupportsExpressionsInOrderBy, true),
        (SqlInfo::SqlSupportsOrderByUnrelated, true),
        (SqlInfo::SqlSupportsLikeEscapeClause, true),
        (SqlInfo::SqlSupportsNonNullableColumns, false),
        (SqlInfo::SqlSupportsIntegrityEnhancementFacility, false),
        (SqlInfo::SqlCatalogAtStart, true),
        (SqlInfo::SqlSelectForUpdateSupported, false),
        (SqlInfo::SqlStoredProceduresSupported, false),
        (SqlInfo::SqlCorrelatedSubqueriesSupported, true),
    ];
    for (name, answer) in yes_or_no {
        known.append(name, answer);
    }
    let numbers = [
        (
            SqlInfo::FlightSqlServerTransaction,
            SqlSupportedTransaction::None as i32,
        ),
        (SqlInfo::FlightSqlServerStatementTimeout, 0),
        (SqlInfo::FlightSqlServerTransactionTimeout, 0),
        (
            SqlInfo::SqlIdentifierCase,
            SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
        ),
        (
            SqlInfo::SqlQuotedIdentifierCase,
            SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32,
        ),
        (
            SqlInfo::SqlNullOrdering,
            SqlNullOrdering::SqlNullsSortedHigh as i32,
        ),
        (
            SqlInfo::SqlOuterJoinsSupportLevel,
            1 << SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
        ),
        (SqlInfo::SqlSupportedGroupBy, all(2)),
        (SqlInfo::SqlSupportedSubqueries, all(3)),
        (SqlInfo::SqlSupportedUnions, all(2)),
    ];
    for (name, number) in numbers {
        known.append(name, number);
    }
    query.into_builder(&known.build()?).build()
}

/// A type as SQL has it: its name, its number in XDBC, its size, the radix of that, and whether
/// its literals are quoted.
type SqlType = (&'static str, XdbcDataType, Option<i32>, Option<i32>, bool);

const TYPES: [SqlType; 12] = [
    ("boolean", XdbcDataType::XdbcBit, Some(1), None, false),
    (
        "smallint",
        XdbcDataType::XdbcSmallint,
        Some(16),
        Some(2),
        false,
    ),
    (
        "integer",
        XdbcDataType::XdbcInteger,
        Some(32),
        Some(2),
        false,
    ),
    ("bigint", XdbcDataType::XdbcBigint, Some(64), Some(2), false),
    ("real", XdbcDataType::XdbcReal, Some(24), Some(2), false),
    ("double", XdbcDataType::XdbcDouble, Some(53), Some(2), false),
    (
        "decimal",
        XdbcDataType::XdbcDecimal,
        Some(76),
        Some(10),
        false,
    ),
    ("varchar", XdbcDataType::XdbcVarchar, None, None, true),
    ("bytea", XdbcDataType::XdbcVarbinary, None, None, true),
    ("date", XdbcDataType::XdbcDate, Some(10), None, true),
    ("time", XdbcDataType::XdbcTime, Some(18), None, true),
    (
        "timestamp",
        XdbcDataType::XdbcTimestamp,
        Some(29),
        None,
        true,
    ),
];

/// The types of SQL, or the one that is asked for.
pub(super) fn type_info(query: CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    let mut known = XdbcTypeInfoDataBuilder::new();
    for (name, data_type, column_size, num_prec_radix, quoted) in TYPES {
        let quote = quoted.then(|| "'".to_owned());
        let precise = matches!(data_type, XdbcDataType::XdbcDecimal);
        known.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type,
            column_size,
            literal_prefix: quote.clone(),
            literal_suffix: quote,
            create_params: precise.then(|| vec!["precision".to_owned(), "scale".to_owned()]),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: matches!(data_type, XdbcDataType::XdbcVarchar),
            searchable: Searchable::Full,
            unsigned_attribute: num_prec_radix.map(|_| false),
            fixed_prec_scale: false,
            auto_increment: num_prec_radix.map(|_| false),
            local_type_name: Some(name.to_owned()),
            minimum_scale: precise.then_some(0),
            maximum_scale: precise.then_some(76),
            sql_data_type: data_type,
            datetime_subcode: None,
            num_prec_radix,
            interval_precision: None,
        });
    }
    query.into_builder(&known.build()?).build()
}

/// The columns of [`type_info`].
pub(super) fn type_info_schema() -> SchemaRef {
    XdbcTypeInfoDataBuilder::new().schema()
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::{Int32Type, UInt32Type};

    use super::*;

    #[test]
    fn what_is_asked_for_is_told_and_nothing_else() {
        let all = sql_info(CommandGetSqlInfo { info: vec![] }).expect("a batch");
        assert_eq!(all.num_rows(), 42);
        let name = SqlInfo::FlightSqlServerName as u32;
        let info = vec![name, 4_000_000];
        let one = sql_info(CommandGetSqlInfo { info }).expect("a batch");
        let names = one.column(0).as_primitive::<UInt32Type>();
        assert_eq!(names.values().as_ref(), [name]);
        let value = one.column(1).as_union().value(0);
        assert_eq!(
            value.as_string::<i32>(),
            &StringArray::from(vec!["syncguard"])
        );
    }

    #[test]
    fn types_are_told_by_their_number() {
        let all = type_info(CommandGetXdbcTypeInfo { data_type: None }).expect("a batch");
        assert_eq!(all.num_rows(), TYPES.len());
        assert_eq!(all.schema(), type_info_schema());
        let data_type = Some(XdbcDataType::XdbcBigint as i32);
        let one = type_info(CommandGetXdbcTypeInfo { data_type }).expect("a batch");
        assert_eq!(one.column(0).as_string::<i32>().value(0), "bigint");
        assert_eq!(
            one.column(1).as_primitive::<Int32Type>().values().as_ref(),
            [-5]
        );
    }
}
