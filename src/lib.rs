//! syncguard: the gate between a company's warehouse and everything downstream.
//!
//! Records leave only through a guard that was compiled from policies, and every decision can be
//! explained afterwards.
//!
//! # The map
//!
//! Imports only ever point down; neighbours on one floor do not import each other. A test
//! (`tests/architecture.rs`) holds this table.
//!
//! | floor | modules | what they are |
//! | --- | --- | --- |
//! | 7, entrance | [`cli`] | the commands: they open the app, and the doors it has |
//! | 6, roof | [`app`] | the one file that names concrete types and wires them |
//! | 5, doors | [`http`], [`pgwire`], [`flight`] | each translates a protocol into use cases, nothing more |
//! | 4, use cases | [`publish`], [`sync`], [`proxy`], [`query`], [`inspect`], [`oversee`], [`alert`], [`conformance`] | a policy change; a run or an upload; a stream on its way through; SQL as a principal; a look without sending; compliance; telling of what content policies found; packs against their cases |
//! | 3, outside world | [`store`], [`source`], [`sink`], [`judge`] | control data; models opened for reading; destinations opened for writing; who judges what no detector covers |
//! | 2½, formats | [`wire`] | records as bytes: NDJSON, JSON, CSV, Arrow, Parquet; [`wire::stream`] takes them through a guard |
//! | 2, judgement | [`guard`] | compile, apply, explain; the policies in force |
//! | 1, words | [`catalog`], [`principal`], [`audit`]; above them [`policy`], and [`compliance`] | plain data: no I/O, no clock |
//! | 0, ground | [`config`], [`telemetry`], [`reach`] | settings; logs and metrics; what may be touched on this machine and its network |
//!
//! Three walks through the house:
//! - **Sync**: a door queues a run → [`sync`] takes it, asks whether [`compliance`] lets it run,
//!   opens the [`source`], and for each batch asks the [`store`] where the account stands that it
//!   runs as and for the policies of that very revision, and the [`guard::Registry`] for their
//!   guard → applies it → gives what passed, as [`guard::Guarded`], to the [`sink`] → checkpoints
//!   with counts and revision. An upload is the same with the body of a request, read by [`wire`],
//!   in place of the source.
//! - **Stream**: a door hands a body on to [`proxy`] → [`wire::stream`] frames and validates its
//!   records and reads the columns that policies read → for each batch the guard of the revision
//!   that is committed now makes a [`guard::Judgement`] → which alone releases the bytes of the
//!   records that pass.
//! - **Query**: a door turns a credential into a principal → [`query`] opens a
//!   [`guard::session::Session`] whose only tables are the models that the principal may read,
//!   each behind its guard → plans the statement, runs it, and asks before each batch of the
//!   answer whether the policies and the principal's standing are still those → the door writes
//!   the rows down in its protocol.
//! - **Policy change**: a door parses the document → [`publish`] compiles it against every model
//!   it governs → [`store`] commits the next revision with its line of the [`audit`] log → the
//!   registry swaps.
//!
//! # Invariants
//!
//! 1. Unguarded data has no exit: a sink and the answer to a query take [`guard::Guarded`], and
//!    a stream gives its bytes for a [`guard::Judgement`], which only [`guard`] makes.
//! 2. Fail closed: a missing column, a value of another type, a predicate that is NULL, a policy
//!    that does not compile, a store that cannot be read: withheld, or refused with an error.
//! 3. Compile, commit, swap: what does not compile is refused with every error at once, and
//!    memory is never ahead of the store.
//! 4. One batch, one revision: the committed revision is asked for before each batch, and also
//!    before a delivery is repeated; a store that cannot be asked releases nothing.
//! 5. `now` is pinned for a run; time and randomness enter as values.
//! 6. The user's predicate never sees a row that a policy hides: a query's tables are guarded
//!    inside their own scan, and no plan, statistic, count or error tells of what lies below.
//! 7. Row values appear in no log, error, metric or panic. Counts, ids and column names may.
//! 8. Nobody passes on a permission that they, or the key they use, do not hold.
//! 9. Every change to control data is a line of the hash-chained audit log, in the transaction
//!    that makes it.
//! 10. Nothing accepted is lost: every record read ends in exactly one of delivered, withheld,
//!     rejected, invalid and failed, and the five add up to what was read.

pub mod alert;
pub mod app;
pub mod audit;
pub mod catalog;
pub mod cli;
pub mod compliance;
pub mod config;
pub mod conformance;
pub mod flight;
pub mod guard;
pub mod http;
pub mod inspect;
pub mod judge;
pub mod oversee;
pub mod pgwire;
pub mod policy;
pub mod principal;
pub mod proxy;
pub mod publish;
pub mod query;
pub mod reach;
pub mod sink;
pub mod source;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod wire;
