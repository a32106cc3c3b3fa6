//! What streams of records may ask of the server.

use super::{Settings, bounded};

/// Limits of record streams, in plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Bytes of the body of one stream, as they are sent.
    pub stream_body_bytes: u64,
    /// Bytes of one stream after decompression.
    pub stream_decoded_bytes: u64,
    /// Decompressed bytes for each byte that is sent.
    pub stream_ratio: u64,
    /// Bytes of one batch of an Arrow or Parquet stream, decoded.
    pub record_batch_bytes: u64,
    /// Bytes of one record of a text stream.
    pub record_bytes: u64,
    /// How deep arrays and objects nest in a record.
    pub record_nesting: u32,
    /// Keys of an object, or columns of a header or a schema.
    pub record_columns: u32,
    /// Bytes of a body that is held in memory as a whole.
    pub whole_body_bytes: u64,
    /// Seconds that the head of a request may take, and that a connection may be idle.
    pub header_seconds: u64,
    /// Seconds of the longest wait for the next bytes of a body, and for the reader of an
    /// answer to take some.
    pub idle_seconds: u64,
    /// Bytes per second that a body must come with, on average over the time spent waiting for
    /// it; 0 for no such limit.
    pub least_bytes_per_second: u64,
    /// Streams that each API key may have at once.
    pub streams_per_key: u32,
    /// Records per second that each API key may send; 0 for no such limit.
    pub rows_per_second: u32,
}

impl Default for Streams {
    fn default() -> Self {
        Streams {
            stream_body_bytes: 1 << 40,
            stream_decoded_bytes: 1 << 40,
            stream_ratio: 1_000,
            record_batch_bytes: 64 << 20,
            record_bytes: 16 << 20,
            record_nesting: 64,
            record_columns: 2_000,
            whole_body_bytes: 16 << 20,
            header_seconds: 10,
            idle_seconds: 30,
            least_bytes_per_second: 100,
            streams_per_key: 32,
            rows_per_second: 0,
        }
    }
}

impl Streams {
    /// The limits that are set, and the defaults of the others.
    pub(super) fn of(settings: &Settings, faults: &mut Vec<String>) -> Streams {
        let default = Streams::default();
        Streams {
            stream_body_bytes: bounded(
                "stream_body_bytes",
                settings.stream_body_bytes,
                default.stream_body_bytes,
                1..=1 << 50,
                faults,
            ),
            stream_decoded_bytes: bounded(
                "stream_decoded_bytes",
                settings.stream_decoded_bytes,
                default.stream_decoded_bytes,
                1..=1 << 50,
                faults,
            ),
            stream_ratio: bounded(
                "stream_ratio",
                settings.stream_ratio,
                default.stream_ratio,
                1..=1_000_000,
                faults,
            ),
            record_batch_bytes: bounded(
                "record_batch_bytes",
                settings.record_batch_bytes,
                default.record_batch_bytes,
                1024..=1 << 40,
                faults,
            ),
            record_bytes: bounded(
                "record_bytes",
                settings.record_bytes,
                default.record_bytes,
                64..=1 << 30,
                faults,
            ),
            record_nesting: bounded(
                "record_nesting",
                settings.record_nesting,
                default.record_nesting,
                1..=512,
                faults,
            ),
            record_columns: bounded(
                "record_columns",
                settings.record_columns,
                default.record_columns,
                1..=100_000,
                faults,
            ),
            whole_body_bytes: bounded(
                "whole_body_bytes",
                settings.whole_body_bytes,
                default.whole_body_bytes,
                1..=1 << 32,
                faults,
            ),
            header_seconds: bounded(
                "header_seconds",
                settings.header_seconds,
                default.header_seconds,
                1..=3600,
                faults,
            ),
            idle_seconds: bounded(
                "idle_seconds",
                settings.idle_seconds,
                default.idle_seconds,
                1..=86_400,
                faults,
            ),
            least_bytes_per_second: bounded(
                "least_bytes_per_second",
                settings.least_bytes_per_second,
                default.least_bytes_per_second,
                0..=1 << 30,
                faults,
            ),
            streams_per_key: bounded(
                "streams_per_key",
                settings.streams_per_key,
                default.streams_per_key,
                1..=100_000,
                faults,
            ),
            rows_per_second: bounded(
                "rows_per_second",
                settings.rows_per_second,
                default.rows_per_second,
                0..=1_000_000_000,
                faults,
            ),
        }
    }
}
