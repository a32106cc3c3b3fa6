//! `COPY (query) TO STDOUT`: its options, and the rows as they ask for them.
//!
//! Each row is a message of its own, in binary after the header in the same one, as PostgreSQL
//! sends them: a client may join messages as it likes, but some take one for a row.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::{BufMut, BytesMut};
use datafusion::sql::sqlparser::ast::{CopyLegacyCsvOption, CopyLegacyOption, CopyOption, Ident};

use super::binary;
use super::rows::{NamedColumn, check, close, columns, field_count};
use crate::guard::session::{FaultKind, QueryFault};
use crate::wire::postgres::push_copied;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Text,
    Csv,
    Binary,
}

/// How rows are to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopyOptions {
    layout: Layout,
    delimiter: u8,
    null: String,
    header: bool,
    quote: u8,
    escape: u8,
    force_quote: Vec<String>,
}

/// What a statement says, before it is known whether that goes together.
#[derive(Default)]
struct Said {
    layout: Option<Layout>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<u8>,
    escape: Option<u8>,
    force_quote: Option<Vec<String>>,
    encoding: Option<()>,
}

fn refused(message: impl Into<String>) -> QueryFault {
    QueryFault::new(FaultKind::Syntax, message)
}

fn unsupported(option: &str) -> QueryFault {
    QueryFault::new(
        FaultKind::Unsupported,
        format!(
            "COPY has no option {option} here: there are FORMAT, DELIMITER, NULL, HEADER, QUOTE, ESCAPE, FORCE_QUOTE and ENCODING"
        ),
    )
}

/// Notes an option, which may be said once.
fn say<T>(slot: &mut Option<T>, value: T, option: &str) -> Result<(), QueryFault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(refused(format!("COPY's option {option} is given twice"))),
    }
}

fn one_byte(character: char, option: &str) -> Result<u8, QueryFault> {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() && byte != 0 => Ok(byte),
        _ => Err(refused(format!(
            "COPY's {option} must be one ASCII character"
        ))),
    }
}

/// A name as PostgreSQL takes it: in lower case unless it is quoted.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    }
}

impl Said {
    fn option(&mut self, option: &CopyOption) -> Result<(), QueryFault> {
        match option {
            CopyOption::Format(name) => {
                let layout = match folded(name).as_str() {
                    "text" => Layout::Text,
                    "csv" => Layout::Csv,
                    "binary" => Layout::Binary,
                    _ => {
                        return Err(refused("COPY's FORMAT is one of text, csv and binary"));
                    }
                };
                say(&mut self.layout, layout, "FORMAT")
            }
            CopyOption::Delimiter(character) => {
                let byte = one_byte(*character, "DELIMITER")?;
                say(&mut self.delimiter, byte, "DELIMITER")
            }
            CopyOption::Null(text) => say(&mut self.null, text.clone(), "NULL"),
            CopyOption::Header(header) => say(&mut self.header, *header, "HEADER"),
            CopyOption::Quote(character) => {
                let byte = one_byte(*character, "QUOTE")?;
                say(&mut self.quote, byte, "QUOTE")
            }
            CopyOption::Escape(character) => {
                let byte = one_byte(*character, "ESCAPE")?;
                say(&mut self.escape, byte, "ESCAPE")
            }
            CopyOption::ForceQuote(names) => {
                let names = names.iter().map(folded).collect();
                say(&mut self.force_quote, names, "FORCE_QUOTE")
            }
            CopyOption::Encoding(name) => {
                let name = name.to_ascii_lowercase();
                if !matches!(name.as_str(), "utf8" | "utf-8" | "utf_8" | "unicode") {
                    return Err(QueryFault::new(
                        FaultKind::Unsupported,
                        "COPY's ENCODING can only be 'UTF8'",
                    ));
                }
                say(&mut self.encoding, (), "ENCODING")
            }
            CopyOption::Freeze(_) => Err(unsupported("FREEZE")),
            CopyOption::ForceNotNull(_) => Err(unsupported("FORCE_NOT_NULL")),
            CopyOption::ForceNull(_) => Err(unsupported("FORCE_NULL")),
        }
    }

    fn legacy(&mut self, option: &CopyLegacyOption) -> Result<(), QueryFault> {
        match option {
            CopyLegacyOption::Binary => say(&mut self.layout, Layout::Binary, "FORMAT"),
            CopyLegacyOption::Delimiter(character) => {
                self.option(&CopyOption::Delimiter(*character))
            }
            CopyLegacyOption::Null(text) => self.option(&CopyOption::Null(text.clone())),
            CopyLegacyOption::Header => self.option(&CopyOption::Header(true)),
            CopyLegacyOption::Csv(options) => {
                say(&mut self.layout, Layout::Csv, "FORMAT")?;
                for option in options {
                    self.option(&match option {
                        CopyLegacyCsvOption::Header => CopyOption::Header(true),
                        CopyLegacyCsvOption::Quote(character) => CopyOption::Quote(*character),
                        CopyLegacyCsvOption::Escape(character) => CopyOption::Escape(*character),
                        CopyLegacyCsvOption::ForceQuote(names) => {
                            CopyOption::ForceQuote(names.clone())
                        }
                        CopyLegacyCsvOption::ForceNotNull(names) => {
                            CopyOption::ForceNotNull(names.clone())
                        }
                    })?;
                }
                Ok(())
            }
            // Of another database; their text may hold credentials.
            _ => Err(unsupported("of that name")),
        }
    }

    /// The options, if they go together as PostgreSQL sees it.
    fn settled(self) -> Result<CopyOptions, QueryFault> {
        let layout = self.layout.unwrap_or(Layout::Text);
        if layout == Layout::Binary {
            let misplaced = [
                (self.delimiter.is_some(), "DELIMITER"),
                (self.null.is_some(), "NULL"),
                (self.header == Some(true), "HEADER"),
            ];
            if let Some((_, option)) = misplaced.iter().find(|(is_said, _)| *is_said) {
                return Err(refused(format!("COPY in binary has no {option}")));
            }
        }
        if layout != Layout::Csv {
            let misplaced = [
                (self.quote.is_some(), "QUOTE"),
                (self.escape.is_some(), "ESCAPE"),
                (self.force_quote.is_some(), "FORCE_QUOTE"),
            ];
            if let Some((_, option)) = misplaced.iter().find(|(is_said, _)| *is_said) {
                return Err(refused(format!(
                    "COPY's option {option} is for FORMAT csv alone"
                )));
            }
        }
        let is_csv = layout == Layout::Csv;
        let delimiter = self.delimiter.unwrap_or(if is_csv { b',' } else { b'\t' });
        let quote = self.quote.unwrap_or(b'"');
        let default_null = if is_csv { "" } else { "\\N" };
        let null = self.null.unwrap_or_else(|| default_null.to_owned());
        if matches!(delimiter, b'\n' | b'\r') {
            return Err(refused("COPY's DELIMITER cannot end a line"));
        }
        // Each of these means something after a backslash.
        let is_taken = matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') && !is_csv;
        if is_taken {
            return Err(refused(
                "COPY's DELIMITER cannot be a backslash, a point, a digit or a small letter, other than in csv",
            ));
        }
        if null.contains(['\n', '\r', '\0']) {
            return Err(refused("COPY's NULL cannot hold the end of a line"));
        }
        if is_csv && delimiter == quote {
            return Err(refused("COPY's DELIMITER and QUOTE must differ"));
        }
        if null.bytes().any(|byte| byte == delimiter) {
            return Err(refused("COPY's DELIMITER must not appear in NULL"));
        }
        if is_csv && null.bytes().any(|byte| byte == quote) {
            return Err(refused("COPY's QUOTE must not appear in NULL"));
        }
        Ok(CopyOptions {
            layout,
            delimiter,
            null,
            header: self.header.unwrap_or(false),
            quote,
            escape: self.escape.unwrap_or(quote),
            force_quote: self.force_quote.unwrap_or_default(),
        })
    }
}

impl CopyOptions {
    /// The options of a statement, in either of the ways to write them.
    ///
    /// # Errors
    /// `Syntax` where one is wrong or does not go with another; `Unsupported`.
    pub(super) fn of(
        options: &[CopyOption],
        legacy: &[CopyLegacyOption],
    ) -> Result<CopyOptions, QueryFault> {
        let mut said = Said::default();
        for option in options {
            said.option(option)?;
        }
        for option in legacy {
            said.legacy(option)?;
        }
        said.settled()
    }
}

/// Writes the rows of one answer.
#[derive(Debug)]
pub(super) struct CopyWriter {
    schema: SchemaRef,
    options: CopyOptions,
    /// Which columns are always quoted.
    quoted: Vec<bool>,
    /// Whether the header of the binary form is still to be written, at the start of the next
    /// message.
    owes_header: bool,
    field_count: i16,
    text: String,
}

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl CopyWriter {
    /// A writer for rows of a schema.
    ///
    /// # Errors
    /// `Unsupported` if values of a column have no form; `UndefinedColumn` if one is to be quoted
    /// that is not there.
    pub(super) fn new(schema: &Schema, options: &CopyOptions) -> Result<CopyWriter, QueryFault> {
        check(schema)?;
        let is_column = |name: &String| schema.fields().iter().any(|field| field.name() == name);
        if let Some(name) = options.force_quote.iter().find(|name| !is_column(name)) {
            return Err(QueryFault::new(
                FaultKind::UndefinedColumn,
                format!("COPY's FORCE_QUOTE names the column \"{name}\", which is not copied"),
            ));
        }
        let fields = schema.fields().iter();
        Ok(CopyWriter {
            quoted: fields
                .map(|field| options.force_quote.contains(field.name()))
                .collect(),
            schema: schema.clone().into(),
            options: options.clone(),
            owes_header: false,
            field_count: field_count(schema.fields().len())?,
            text: String::new(),
        })
    }

    /// The format as `CopyOutResponse` tells it, of the whole and of each column.
    pub(super) fn overall_format(&self) -> i8 {
        (self.options.layout == Layout::Binary).into()
    }

    /// Begins, once.
    pub(super) fn start(&mut self, out: &mut BytesMut) {
        if self.options.layout == Layout::Binary {
            self.owes_header = true;
            return;
        }
        if !self.options.header {
            return;
        }
        let start = open(out);
        let is_only = self.schema.fields().len() == 1;
        for (index, field) in self.schema.fields().iter().enumerate() {
            if index > 0 {
                out.put_u8(self.options.delimiter);
            }
            self.options.put(field.name(), false, is_only, out);
        }
        out.put_u8(b'\n');
        // Names come from the text of a statement, which is not that long.
        let _ = close(out, start);
    }

    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// `Computation` if PostgreSQL cannot hold a value. What was appended then are the whole
    /// messages of the rows before.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        out: &mut BytesMut,
    ) -> Result<(), QueryFault> {
        let schema = self.schema.clone();
        let columns = columns(&schema, batch, 0..batch.num_rows())?;
        for row in 0..batch.num_rows() {
            let start = open(out);
            let written = match self.options.layout {
                Layout::Binary => self.put_binary(&columns, row, out),
                Layout::Text | Layout::Csv => self.put_line(&columns, row, out),
            };
            if let Err(fault) = written.and_then(|()| close(out, start)) {
                out.truncate(start);
                return Err(fault);
            }
            self.owes_header = false;
        }
        Ok(())
    }

    /// Ends, once.
    pub(super) fn finish(&mut self, out: &mut BytesMut) {
        if self.options.layout != Layout::Binary {
            return;
        }
        let start = open(out);
        self.put_header(out);
        self.owes_header = false;
        out.put_i16(-1);
        let _ = close(out, start);
    }

    fn put_header(&self, out: &mut BytesMut) {
        if self.owes_header {
            out.put_slice(SIGNATURE);
            // No flags, and no extension.
            out.put_i32(0);
            out.put_i32(0);
        }
    }

    fn put_binary(
        &self,
        columns: &[NamedColumn<'_>],
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), QueryFault> {
        self.put_header(out);
        out.put_i16(self.field_count);
        columns
            .iter()
            .try_for_each(|column| column.put_sized(row, binary::put, out))
    }

    fn put_line(
        &mut self,
        columns: &[NamedColumn<'_>],
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), QueryFault> {
        let is_only = columns.len() == 1;
        for (index, (column, quoted)) in columns.iter().zip(&self.quoted).enumerate() {
            if index > 0 {
                out.put_u8(self.options.delimiter);
            }
            if column.column.is_null(row) {
                out.put_slice(self.options.null.as_bytes());
                continue;
            }
            self.text.clear();
            column.put_text(row, &mut self.text)?;
            self.options.put(&self.text, *quoted, is_only, out);
        }
        out.put_u8(b'\n');
        Ok(())
    }
}

impl CopyOptions {
    /// Appends a field that is not NULL.
    fn put(&self, text: &str, quoted: bool, is_only: bool, out: &mut BytesMut) {
        if self.layout != Layout::Csv {
            push_copied(out, text, self.delimiter);
            return;
        }
        let is_special = |byte: u8| {
            matches!(byte, b'\n' | b'\r') || byte == self.delimiter || byte == self.quote
        };
        // Alone in a line, a backslash and a point end the data.
        let quoted = quoted
            || text == self.null
            || (is_only && text == "\\.")
            || text.bytes().any(is_special);
        if !quoted {
            out.put_slice(text.as_bytes());
            return;
        }
        out.put_u8(self.quote);
        for byte in text.bytes() {
            if byte == self.quote || byte == self.escape {
                out.put_u8(self.escape);
            }
            out.put_u8(byte);
        }
        out.put_u8(self.quote);
    }
}

/// Begins a message, and tells where.
fn open(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_u8(b'd');
    out.put_i32(0);
    start
}
