//! What queries may ask of the server.

use super::{Settings, bounded};

/// Limits of queries, in plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queries {
    /// Seconds that a query may take, its client's reading included.
    pub query_seconds: u64,
    /// Bytes that the operators of one query may hold.
    pub query_memory_bytes: u64,
    /// Rows of one answer.
    pub query_rows: u64,
    /// Queries that each account may have open at once.
    pub queries_per_account: u32,
    /// Queries that are computed at the same time, each on a thread of its own.
    pub query_threads: u32,
    /// Bytes of the text of a statement.
    pub query_text_bytes: u64,
    /// Operators and expressions of a plan.
    pub query_plan_nodes: u32,
}

impl Default for Queries {
    fn default() -> Self {
        Queries {
            query_seconds: 300,
            query_memory_bytes: 256 << 20,
            query_rows: 10_000_000,
            queries_per_account: 8,
            query_threads: 32,
            query_text_bytes: 256 << 10,
            query_plan_nodes: 5_000,
        }
    }
}

impl Queries {
    /// The limits that are set, and the defaults of the others.
    pub(super) fn of(settings: &Settings, faults: &mut Vec<String>) -> Queries {
        let default = Queries::default();
        Queries {
            query_seconds: bounded(
                "query_seconds",
                settings.query_seconds,
                default.query_seconds,
                1..=86_400,
                faults,
            ),
            query_memory_bytes: bounded(
                "query_memory_bytes",
                settings.query_memory_bytes,
                default.query_memory_bytes,
                1 << 20..=1 << 40,
                faults,
            ),
            query_rows: bounded(
                "query_rows",
                settings.query_rows,
                default.query_rows,
                1..=1 << 50,
                faults,
            ),
            queries_per_account: bounded(
                "queries_per_account",
                settings.queries_per_account,
                default.queries_per_account,
                1..=100_000,
                faults,
            ),
            query_threads: bounded(
                "query_threads",
                settings.query_threads,
                default.query_threads,
                1..=1024,
                faults,
            ),
            query_text_bytes: bounded(
                "query_text_bytes",
                settings.query_text_bytes,
                default.query_text_bytes,
                64..=16 << 20,
                faults,
            ),
            query_plan_nodes: bounded(
                "query_plan_nodes",
                settings.query_plan_nodes,
                default.query_plan_nodes,
                10..=1_000_000,
                faults,
            ),
        }
    }
}
