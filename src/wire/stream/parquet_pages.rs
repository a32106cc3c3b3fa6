//! What the pages of a Parquet file declare, checked before anything of them is decoded: sizes
//! and counts there may be any number, and the decoder reserves memory for what they say.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::contain::decode;
use super::own_columns::malformed;
use super::thrift::{I32, STOP, STRUCT, Thrift, wrong};
use super::{Limits, StreamError};

/// How many batches' worth of bytes the pages that are open at one time may be, and the rows that
/// lists of one row group may become.
const HELD_BATCHES: u64 = 64;
/// The most rows of one row group: as many as Arrow's own writer makes at most.
pub(super) const MOST_ROWS: u64 = 64 << 20;
/// The most bytes of one page header; it carries the smallest and the largest value.
const MOST_HEADER: u64 = 16 << 20;

const DATA_PAGE: i32 = 0;
const DICTIONARY_PAGE: i32 = 2;
const DATA_PAGE_V2: i32 = 3;
const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
const DELTA_BYTE_ARRAY: i32 = 7;

/// What a row group is, decoded.
pub(super) struct Weight {
    /// Bytes of all its pages.
    pub(super) bytes: u64,
    /// Bytes of one row where a row has one value in every column; texts count as references.
    pub(super) row: u64,
}

/// Looks at every page of a row group.
///
/// Errors: they declare more than the limits allow, or more than there is.
pub(super) fn weigh(
    file: &Arc<File>,
    size: u64,
    group: &RowGroupMetaData,
    number: usize,
    limits: &Limits,
) -> Result<Weight, StreamError> {
    let rows = u64::try_from(group.num_rows())
        .map_err(|_| malformed(format!("row group {number} declares a negative length")))?;
    if rows > MOST_ROWS {
        return Err(StreamError::Limit {
            what: "rows in one row group",
            most: MOST_ROWS,
        });
    }
    let most = HELD_BATCHES * limits.batch_bytes as u64;
    let too_much = || StreamError::Limit {
        what: "bytes in the open pages of one row group",
        most,
    };
    let mut weight = Weight { bytes: 0, row: 0 };
    let mut held = 0u64;
    for column in group.columns() {
        let pages = pages(file, size, column)
            .map_err(|_| malformed(format!("row group {number}: a page header is damaged")))?;
        weight.bytes = weight.bytes.saturating_add(pages.bytes);
        held = held
            .saturating_add(pages.dictionary)
            .saturating_add(pages.largest);
        let width = width(column).max(pages.repeated);
        if column.column_descr().max_rep_level() > 0 {
            // A row may have all of them.
            held = held.saturating_add(pages.values.saturating_mul(width.saturating_add(8)));
        } else if pages.values > rows {
            return Err(malformed(format!(
                "row group {number}: a column declares more values than there are rows"
            )));
        }
        weight.row = weight.row.saturating_add(width);
        if held > most {
            return Err(too_much());
        }
        if pages.counted {
            let name = || format!("row group {number}");
            decode(name, || counts(file, column, rows))?;
        }
    }
    Ok(weight)
}

/// The bytes of a decoded value.
fn width(column: &ColumnChunkMetaData) -> u64 {
    match column.column_type() {
        Type::BOOLEAN => 1,
        Type::FIXED_LEN_BYTE_ARRAY => {
            u64::try_from(column.column_descr().type_length()).unwrap_or(0)
        }
        Type::INT96 | Type::BYTE_ARRAY => 16,
        _ => 8,
    }
}

/// What the pages of a column chunk declare together.
#[derive(Default)]
struct Pages {
    bytes: u64,
    dictionary: u64,
    largest: u64,
    values: u64,
    /// The longest that each value may be where values repeat parts of others.
    repeated: u64,
    /// Whether a page has counts of its own before its values.
    counted: bool,
}

fn pages(file: &File, size: u64, column: &ColumnChunkMetaData) -> std::io::Result<Pages> {
    let start = column
        .dictionary_page_offset()
        .unwrap_or_else(|| column.data_page_offset());
    let start = u64::try_from(start).map_err(|_| wrong())?;
    let length = u64::try_from(column.compressed_size()).map_err(|_| wrong())?;
    if start.checked_add(length).is_none_or(|end| end > size) {
        return Err(wrong());
    }
    let mut from = BufReader::new(file);
    from.seek(SeekFrom::Start(start))?;
    let mut left = length;
    let mut pages = Pages::default();
    while left > 0 {
        let mut header = Thrift::new(&mut from, left.min(MOST_HEADER));
        let before = header.left();
        let page = page_header(&mut header)?;
        left -= before - header.left();
        let stored = u64::try_from(page.compressed).map_err(|_| wrong())?;
        let bytes = u64::try_from(page.uncompressed)
            .map_err(|_| wrong())?
            .max(stored);
        left = left.checked_sub(stored).ok_or_else(wrong)?;
        let values = u64::try_from(page.values).map_err(|_| wrong())?;
        pages.bytes = pages.bytes.saturating_add(bytes);
        match page.kind {
            DICTIONARY_PAGE => {
                let least = match column.column_type() {
                    Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => 1,
                    Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
                    Type::INT64 | Type::DOUBLE => 8,
                    Type::INT96 => 12,
                };
                if values.saturating_mul(least) > bytes {
                    return Err(wrong());
                }
                pages.dictionary = pages.dictionary.saturating_add(bytes);
            }
            DATA_PAGE | DATA_PAGE_V2 => {
                pages.largest = pages.largest.max(bytes);
                pages.values = pages.values.saturating_add(values);
                if page.encoding == DELTA_BYTE_ARRAY {
                    // Each value may repeat the one before it, and be as long as all of the page.
                    pages.repeated = pages.repeated.max(bytes);
                }
                pages.counted |=
                    matches!(page.encoding, DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY);
            }
            _ => {}
        }
        if matches!(column.compression(), Compression::GZIP(_)) {
            // Its decoder does not stop at the size that is declared.
            if page.kind == DATA_PAGE_V2 {
                return Err(wrong());
            }
            inflates_to(&mut (&mut from).take(stored), bytes)?;
        } else {
            from.seek_relative(i64::try_from(stored).map_err(|_| wrong())?)?;
        }
    }
    Ok(pages)
}

/// Errors: a page is more than it declares.
fn inflates_to(page: &mut impl Read, declared: u64) -> std::io::Result<()> {
    let mut decoded = MultiGzDecoder::new(&mut *page).take(declared.saturating_add(1));
    let mut made = 0;
    let mut piece = [0; 16 << 10];
    // What is damaged is noticed when it is decoded.
    while let Ok(read @ 1..) = decoded.read(&mut piece) {
        made += read as u64;
    }
    if made > declared {
        return Err(wrong());
    }
    std::io::copy(page, &mut std::io::sink()).map(drop)
}

struct PageHeader {
    kind: i32,
    uncompressed: i32,
    compressed: i32,
    values: i32,
    encoding: i32,
}

fn page_header<R: Read>(from: &mut Thrift<R>) -> std::io::Result<PageHeader> {
    let (mut kind, mut uncompressed, mut compressed) = (None, None, None);
    let (mut data, mut dictionary, mut data_v2) = (None, None, None);
    let mut last = 0;
    loop {
        match from.field(&mut last)? {
            (_, STOP) => break,
            (1, I32) => kind = Some(from.number()?),
            (2, I32) => uncompressed = Some(from.number()?),
            (3, I32) => compressed = Some(from.number()?),
            (4, I32) => from.skip(I32)?,
            (5, STRUCT) => data = Some(values_header(from, 4, 2)?),
            (6, STRUCT) => from.skip(STRUCT)?,
            (7, STRUCT) => dictionary = Some(values_header(from, 2, 2)?),
            (8, STRUCT) => data_v2 = Some(values_header(from, 6, 4)?),
            (1..=8, _) => return Err(wrong()),
            (_, kind) => from.skip(kind)?,
        }
    }
    let kind = kind.ok_or_else(wrong)?;
    // Headers of a type that the page is not decide nothing.
    let (values, encoding) = match kind {
        DATA_PAGE => data.ok_or_else(wrong)?,
        DICTIONARY_PAGE => dictionary.ok_or_else(wrong)?,
        DATA_PAGE_V2 => data_v2.ok_or_else(wrong)?,
        _ => (0, 0),
    };
    Ok(PageHeader {
        kind,
        uncompressed: uncompressed.ok_or_else(wrong)?,
        compressed: compressed.ok_or_else(wrong)?,
        values,
        encoding,
    })
}

/// The number of values, and their encoding. The first fields, `numbers` of them, are numbers:
/// the decoder takes them for that whatever their type says.
fn values_header<R: Read>(
    from: &mut Thrift<R>,
    numbers: i16,
    encoding_id: i16,
) -> std::io::Result<(i32, i32)> {
    let (mut values, mut encoding) = (None, None);
    let mut last = 0;
    loop {
        match from.field(&mut last)? {
            (_, STOP) => break,
            (1, I32) => values = Some(from.number()?),
            (id, I32) if id == encoding_id => encoding = Some(from.number()?),
            (id, kind) if id <= numbers && kind != I32 => return Err(wrong()),
            // What follows them is a boolean, or statistics where there are four.
            (id, kind) if id == numbers + 1 && numbers != 4 && kind > 2 => return Err(wrong()),
            (_, kind) => from.skip(kind)?,
        }
    }
    Ok((values.ok_or_else(wrong)?, encoding.ok_or_else(wrong)?))
}

/// The counts that delta-encoded texts have before their lengths are those of their pages.
fn counts(file: &Arc<File>, column: &ColumnChunkMetaData, rows: u64) -> std::io::Result<()> {
    let rows = usize::try_from(rows).map_err(|_| wrong())?;
    let mut pages =
        SerializedPageReader::new(file.clone(), column, rows, None).map_err(|_| wrong())?;
    let levels = column.column_descr();
    while let Some(page) = pages.get_next_page().map_err(|_| wrong())? {
        let encoding = page.encoding();
        let (bytes, values, before) = match &page {
            Page::DictionaryPage { .. } => continue,
            Page::DataPage {
                buf,
                num_values,
                def_level_encoding,
                rep_level_encoding,
                ..
            } => {
                let mut before = 0usize;
                for (level, encoding) in [
                    (levels.max_rep_level(), rep_level_encoding),
                    (levels.max_def_level(), def_level_encoding),
                ] {
                    if level > 0 {
                        if *encoding != Encoding::RLE {
                            return Err(wrong());
                        }
                        let length = buf.get(before..).and_then(<[u8]>::first_chunk::<4>);
                        let length = u32::from_le_bytes(*length.ok_or_else(wrong)?) as usize;
                        before = before.saturating_add(length).saturating_add(4);
                    }
                }
                (buf, *num_values, before)
            }
            Page::DataPageV2 {
                buf,
                num_values,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let before = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                let before = usize::try_from(before).map_err(|_| wrong())?;
                (buf, *num_values, before)
            }
        };
        let bytes = bytes.get(before..).ok_or_else(wrong)?;
        match encoding {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                Deltas::read(bytes, values)?;
            }
            Encoding::DELTA_BYTE_ARRAY => {
                let behind = Deltas::read(bytes, values)?.end(bytes)?;
                Deltas::read(bytes.get(behind..).ok_or_else(wrong)?, values)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The head of numbers in the encoding DELTA_BINARY_PACKED.
struct Deltas {
    blocks: u64,
    block: u64,
    count: u64,
    /// Where the first block begins.
    start: usize,
}

impl Deltas {
    /// Errors: there are more of them than values.
    fn read(bytes: &[u8], values: u32) -> std::io::Result<Deltas> {
        let mut from = Thrift::new(bytes, bytes.len() as u64);
        let block = from.varint()?;
        let blocks = from.varint()?;
        let count = from.varint()?;
        from.varint()?;
        if count > u64::from(values) {
            return Err(wrong());
        }
        Ok(Deltas {
            blocks,
            block,
            count,
            start: bytes.len() - usize::try_from(from.left()).map_err(|_| wrong())?,
        })
    }

    /// Where they end.
    fn end(&self, bytes: &[u8]) -> std::io::Result<usize> {
        let each = self.block.checked_div(self.blocks).filter(|each| *each > 0);
        let each = each.ok_or_else(wrong)?;
        let blocks = usize::try_from(self.blocks).map_err(|_| wrong())?;
        // The first number is in the head.
        let mut left = self.count.saturating_sub(1);
        let mut at = self.start;
        while left > 0 {
            let rest = bytes.get(at..).ok_or_else(wrong)?;
            let mut from = Thrift::new(rest, rest.len() as u64);
            from.varint()?;
            at = bytes.len() - usize::try_from(from.left()).map_err(|_| wrong())?;
            let end = at.checked_add(blocks).ok_or_else(wrong)?;
            let widths = bytes.get(at..end).ok_or_else(wrong)?;
            at = end;
            for bits in widths {
                if left == 0 {
                    break;
                }
                let taken = u64::from(*bits).saturating_mul(each) / 8;
                at = at.saturating_add(usize::try_from(taken).map_err(|_| wrong())?);
                left = left.saturating_sub(each);
            }
        }
        Ok(at)
    }
}
