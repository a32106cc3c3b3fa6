//! Parameters in the forms that clients send them in.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Decimal128Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::ScalarValue;

use super::super::parameters::parameter;
use super::super::rows::Format;
use super::super::types::{self, pg_type};
use super::{samples, sent, texts};
use crate::guard::session::FaultKind;

#[test]
fn what_is_sent_is_taken_as_a_parameter() {
    for column in samples() {
        let data_type = column.data_type();
        let oid = pg_type(data_type).oid;
        let binary = sent(&column, Format::Binary);
        for (text, bytes) in texts(&column).into_iter().zip(binary) {
            let taken = |oid, format, bytes| {
                parameter(oid, Some(data_type), format, bytes)
                    .unwrap_or_else(|fault| panic!("{data_type} {text:?} {format:?}: {fault}"))
            };
            // PostgreSQL holds more than Arrow's microseconds and nanoseconds do.
            let is_beyond = |text: &String| text.starts_with("294276") || text.contains("2562047");
            if text.as_ref().is_some_and(is_beyond) {
                continue;
            }
            let of_binary = taken(oid, Format::Binary, bytes.as_deref());
            let of_text = taken(0, Format::Text, text.as_deref().map(str::as_bytes));
            assert_eq!(of_text, of_binary, "{text:?}");
            let again = of_text.to_array().expect("array");
            assert_eq!(texts(&again), std::slice::from_ref(&text), "{data_type}");
        }
    }
}

#[test]
fn parameters_are_taken_in_the_ways_that_drivers_send_them() {
    let utf8 = |text: &str| ScalarValue::Utf8(Some(text.into()));
    let moment = |micros| ScalarValue::TimestampMicrosecond(Some(micros), None);
    let zoned = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    let decimal = |value, scale| ScalarValue::Decimal128(Some(value), 38, scale);
    let interval = |months, days, nanos| {
        let value = IntervalMonthDayNanoType::make_value(months, days, nanos);
        ScalarValue::IntervalMonthDayNano(Some(value))
    };
    let cases = [
        (types::BOOL, "TRUE", ScalarValue::Boolean(Some(true))),
        (types::BOOL, " of ", ScalarValue::Boolean(Some(false))),
        (types::INT4, " +7 ", ScalarValue::Int32(Some(7))),
        (
            types::FLOAT8,
            "-inf",
            ScalarValue::Float64(Some(f64::NEG_INFINITY)),
        ),
        (types::NUMERIC, "1.50", decimal(150, 2)),
        (types::NUMERIC, "-1.5e3", decimal(-1_500, 0)),
        (types::NUMERIC, ".5", decimal(5, 1)),
        (
            types::BYTEA,
            "\\x00fF",
            ScalarValue::Binary(Some(vec![0, 255])),
        ),
        (
            types::BYTEA,
            "a\\\\\\001",
            ScalarValue::Binary(Some(b"a\\\x01".to_vec())),
        ),
        (
            types::UUID,
            "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
            utf8("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        (
            types::DATE,
            "2024-01-02 +01",
            ScalarValue::Date32(Some(19_724)),
        ),
        (
            types::TIME,
            "04:05:06.5+01",
            ScalarValue::Time64Microsecond(Some(14_706_500_000)),
        ),
        (
            types::TIMESTAMP,
            "2024-01-02",
            moment(1_704_153_600_000_000),
        ),
        (
            types::TIMESTAMP,
            "2024-01-02T03:04:05.1234565+02",
            moment(1_704_164_645_123_456),
        ),
        (
            types::TIMESTAMPTZ,
            "2024-01-02 03:04:05+05:30",
            zoned(1_704_144_845_000_000),
        ),
        (
            types::TIMESTAMPTZ,
            "2024-01-02 03:04:05Z",
            zoned(1_704_164_645_000_000),
        ),
        (
            types::INTERVAL,
            "-1 day, 23:59:59",
            interval(0, -1, 86_399_000_000_000),
        ),
        (
            types::INTERVAL,
            "1 years 2 mons 0 days 0 hours -1.5 secs",
            interval(14, 0, -1_500_000_000),
        ),
        (
            types::INTERVAL,
            "@ 1w 2 hours ago",
            interval(0, -7, -7_200_000_000_000),
        ),
        (types::JSONB, "{}", utf8("{}")),
        (0, "as it is", utf8("as it is")),
    ];
    for (oid, text, value) in cases {
        let taken = parameter(oid, None, Format::Text, Some(text.as_bytes()));
        assert_eq!(taken, Ok(value), "{text}");
    }
    let wanted = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let taken = parameter(0, Some(&wanted), Format::Text, None);
    assert_eq!(taken, Ok(ScalarValue::TimestampMicrosecond(None, None)));
    let numerics =
        parameter(1231, None, Format::Text, Some(b" { 1.5 , NULL, 2 } ")).expect("array");
    let ScalarValue::List(list) = &numerics else {
        panic!("{numerics:?} is no list")
    };
    let items = list.value(0);
    let items: Vec<_> = items.as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(items, [Some(15), None, Some(20)]);
}

#[test]
fn malformed_parameters_are_refused_without_being_quoted() {
    let texts = [
        (types::BOOL, "7731"),
        (types::BOOL, ""),
        (types::INT2, "77310"),
        (types::INT4, "7731x"),
        (types::FLOAT4, "7731e99"),
        (types::FLOAT8, "7731e999"),
        (types::NUMERIC, "NaN"),
        (types::NUMERIC, "7731e200"),
        (types::NUMERIC, "."),
        (types::BYTEA, "\\x7731a"),
        (types::UUID, "7731"),
        (types::DATE, "7731-02-30"),
        (types::DATE, "infinity"),
        (types::DATE, "0000-01-01"),
        (types::TIME, "77:31"),
        (types::TIMESTAMP, "7731-01-01 25:00"),
        (types::TIMESTAMPTZ, "7731-01-01 00:00:00+99"),
        (types::INTERVAL, "7731 parsecs"),
        (types::INTERVAL, "7731"),
        (types::INTERVAL, "7731.5 days"),
        (types::TEXT, "7731\0"),
        (1007, "{7731"),
        (1007, "{7731,}"),
        (1007, "{{7731}}"),
        (1009, "{\"7731}"),
        (600, "(7731,7731)"),
    ];
    for (oid, text) in texts {
        let fault = parameter(oid, None, Format::Text, Some(text.as_bytes())).expect_err(text);
        assert_eq!(fault.kind, FaultKind::Parameters, "{text}");
        assert!(!fault.message.contains("7731"), "{fault}");
    }
    for oid in [
        16, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 1007,
    ] {
        for bytes in [&[][..], &[0xff; 3], &[0xff; 33]] {
            let fault = parameter(oid, None, Format::Binary, Some(bytes)).expect_err("malformed");
            assert_eq!(fault.kind, FaultKind::Parameters, "{oid}");
        }
    }
    // An array that says it has two thousand million items.
    let long = [&[0_u8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23][..], &[0x7f; 8]].concat();
    parameter(1007, None, Format::Binary, Some(&long)).expect_err("too long");
}
