//! Rows of many types, and what of them a client is to show.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, Days, NaiveDate, TimeDelta};
use parquet::arrow::ArrowWriter;

/// The text that clients look for; no mark is in it.
const NAME: &str = "O'Neil \"Ace\" \\ ünï 漢字,\n2nd\tline";
const ROWS: i64 = 2_000;
/// 2024-01-01, in microseconds.
const NEW_YEAR: i64 = 1_704_067_200_000_000;

/// A column: its name, its type in PostgreSQL and in Arrow as Flight tells it, and how its texts
/// are compared.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) pg: &'static str,
    pub(super) arrow: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// As it is.
    Text,
    Boolean,
    Single,
    Double,
    Moment,
}

pub(super) const COLUMNS: [Column; 12] = [
    column("id", "int8", "int64", Kind::Text),
    column("small", "int2", "int16", Kind::Text),
    column("number", "int4", "int32", Kind::Text),
    column("price", "numeric", "decimal128(12, 2)", Kind::Text),
    column("ratio", "float8", "double", Kind::Double),
    column("single", "float4", "float", Kind::Single),
    column("ok", "bool", "bool", Kind::Boolean),
    column("Full Name", "text", "string", Kind::Text),
    column("day", "date", "date32[day]", Kind::Text),
    column("moment", "timestamp", "timestamp[us]", Kind::Moment),
    column(
        "instant",
        "timestamptz",
        "timestamp[us, tz=UTC]",
        Kind::Moment,
    ),
    column("region", "text", "string", Kind::Text),
];

const fn column(name: &'static str, pg: &'static str, arrow: &'static str, kind: Kind) -> Column {
    Column {
        name,
        pg,
        arrow,
        kind,
    }
}

impl Column {
    /// A value's text, the same however a client writes it.
    pub(super) fn canonical(&self, text: &str) -> String {
        let number = || -> f64 { text.parse().unwrap_or_else(|_| panic!("{text}: no number")) };
        match self.kind {
            Kind::Text => text.to_owned(),
            Kind::Boolean => match text {
                "t" => "true".to_owned(),
                "f" => "false".to_owned(),
                other => other.to_owned(),
            },
            Kind::Single => format!("{:?}", number() as f32),
            Kind::Double => format!("{:?}", number()),
            Kind::Moment => moment(text),
        }
    }
}

/// `2024-01-31 09:30:00.5`, without a zone, which is UTC.
fn moment(text: &str) -> String {
    let text = text.replace('T', " ");
    let zones = ["Z", "+00:00", "+00"];
    let bare = zones.iter().find_map(|zone| text.strip_suffix(zone));
    let mut text = bare.unwrap_or(&text).to_owned();
    if text.len() == "2024-01-31 09:30".len() {
        text.push_str(":00");
    }
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) id: i64,
    small: Option<i16>,
    number: Option<i32>,
    /// In hundredths.
    price: Option<i128>,
    ratio: Option<f64>,
    single: Option<f32>,
    ok: Option<bool>,
    name: Option<String>,
    day: Option<NaiveDate>,
    /// In microseconds since 1970, as is `instant`.
    moment: Option<i64>,
    instant: Option<i64>,
    pub(super) region: Option<&'static str>,
}

/// What stands in rows of a region, and nowhere else.
pub(super) fn mark(region: Option<&str>) -> String {
    format!("mark-of-{}", region.unwrap_or("nowhere"))
}

/// Every row: half of them of the regions `north` and `south`, the others of `east` and none.
pub(super) fn rows() -> Vec<Row> {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day);
    let mut rows: Vec<Row> = (1..=ROWS).map(row).collect();
    for (row, region) in rows.iter_mut().zip(REGIONS) {
        // Awkward, and in each region.
        *row = Row {
            id: 9_007_199_254_740_992 + row.id,
            small: Some(i16::MIN),
            number: Some(i32::MIN),
            price: Some(-999_999_999_999),
            ratio: Some(5e-324),
            single: Some(f32::MAX),
            name: Some(format!("NULL\r\n\\N {}", mark(region))),
            day: day(1, 1, 1),
            moment: Some(-2_208_988_800_000_000),
            region,
            ..Row::default()
        };
    }
    for (row, region) in rows.iter_mut().skip(REGIONS.len()).zip(REGIONS) {
        row.small = Some(i16::MAX);
        row.number = Some(i32::MAX);
        row.price = Some(999_999_999_999);
        row.ratio = Some(-1e300);
        row.single = Some(1e-45);
        row.name = Some(format!("{}€🦀", mark(region)));
        row.day = day(9999, 12, 31);
        row.instant = Some(7_258_118_400_000_001);
        row.region = region;
    }
    rows
}

const REGIONS: [Option<&str>; 4] = [Some("north"), Some("south"), Some("east"), None];

fn row(id: i64) -> Row {
    let at = id as usize;
    let region = REGIONS[at % 4];
    let marked = |text: &str| Some(format!("{text}{}", mark(region)));
    // Its own number of each turns in every column, so that they do not go together.
    Row {
        id,
        small: [None, Some(-1), Some(id as i16)][at % 3],
        number: (!at.is_multiple_of(13)).then_some((at % 11) as i32),
        price: [Some(i128::from(id) * 37 - 25_000), Some(0), None][at % 7 % 3],
        ratio: [Some(id as f64 / 700.0), Some(-0.0), None][at % 5 % 3],
        single: [Some(id as f32 / 3.0), None][at % 11 % 2],
        ok: [Some(true), Some(false), None][at % 3],
        name: match at % 9 {
            0 => None,
            1 => Some(String::new()),
            2 | 3 => Some(NAME.to_owned()),
            4 => marked("'; DROP TABLE kinds; -- "),
            5 => marked("\"quoted\", \\.\n"),
            _ => marked(" "),
        },
        day: match at % 17 {
            0 => None,
            n if n % 4 == 1 => NaiveDate::from_ymd_opt(2024, 2, 29),
            _ => NaiveDate::from_ymd_opt(1970, 1, 1).map(|day| day + Days::new(id as u64 * 9)),
        },
        moment: (!at.is_multiple_of(6)).then_some(NEW_YEAR - id * 86_399_999_999),
        instant: (!at.is_multiple_of(5)).then_some(NEW_YEAR + id * 14_399_999_000),
        region,
    }
}

/// The rows as a Parquet file.
pub(super) fn parquet(rows: &[Row]) -> Vec<u8> {
    fn each<T, A: FromIterator<T> + arrow::array::Array + 'static>(
        rows: &[Row],
        value: impl Fn(&Row) -> T,
    ) -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<A>())
    }
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let prices = Decimal128Array::from_iter(rows.iter().map(|row| row.price));
    let instants = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.instant));
    let columns: [ArrayRef; 12] = [
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
        each::<_, Int16Array>(rows, |row| row.small),
        each::<_, Int32Array>(rows, |row| row.number),
        Arc::new(prices.with_precision_and_scale(12, 2).unwrap()),
        each::<_, Float64Array>(rows, |row| row.ratio),
        each::<_, Float32Array>(rows, |row| row.single),
        each::<_, BooleanArray>(rows, |row| row.ok),
        each::<_, StringArray>(rows, |row| row.name.clone()),
        each::<_, Date32Array>(rows, |row| {
            row.day.map(|day| (day - epoch).num_days() as i32)
        }),
        each::<_, TimestampMicrosecondArray>(rows, |row| row.moment),
        Arc::new(instants.with_timezone("UTC")),
        each::<_, StringArray>(rows, |row| row.region),
    ];
    let named = COLUMNS.iter().zip(columns);
    let named = named.map(|(column, values)| (column.name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

impl Row {
    /// Its values as canonical texts.
    pub(super) fn texts(&self) -> Vec<Option<String>> {
        let time = |micros: Option<i64>| {
            let micros = DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros?);
            Some(moment(&micros.format("%Y-%m-%d %H:%M:%S%.6f").to_string()))
        };
        let price = |cents: i128| {
            let sign = if cents < 0 { "-" } else { "" };
            let cents = cents.unsigned_abs();
            format!("{sign}{}.{:02}", cents / 100, cents % 100)
        };
        vec![
            Some(self.id.to_string()),
            self.small.map(|number| number.to_string()),
            self.number.map(|number| number.to_string()),
            self.price.map(price),
            self.ratio.map(|number| format!("{number:?}")),
            self.single.map(|number| format!("{number:?}")),
            self.ok.map(|ok| ok.to_string()),
            self.name.clone(),
            self.day.map(|day| day.format("%Y-%m-%d").to_string()),
            time(self.moment),
            time(self.instant),
            self.region.map(str::to_owned),
        ]
    }

    /// Whether it is found by a client's condition of that name.
    pub(super) fn is_found(&self, condition: &str) -> bool {
        let june = NEW_YEAR + TimeDelta::days(152).num_microseconds().unwrap();
        match condition {
            "int" => self.number == Some(7),
            "text" => self.name.as_deref() == Some(NAME),
            "float" => self.ratio.is_some_and(|ratio| ratio < 0.5),
            "date" => self.day == NaiveDate::from_ymd_opt(2024, 2, 29),
            "moment" => self.instant.is_some_and(|instant| instant >= june),
            "bool" => self.ok == Some(true),
            // Nothing equals NULL.
            "null" => false,
            other => panic!("no condition is called {other}"),
        }
    }
}
