//! The catalog: what is read (sources, models), where it goes (destinations), and what binds
//! the two (syncs, runs). Plain data as the API shows it; secrets never leave through it.

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

mod alert;

pub use alert::{AlertChannel, ChannelType};

/// An isolated tenant: an id of another workspace does not exist here.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Workspace {
    /// Identifier.
    pub id: Uuid,
    /// Display name, unique in the organisation.
    pub name: String,
    /// Where set, a (model, destination type) without a destination policy sends nothing.
    pub require_destination_policy: bool,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// The kind of a warehouse connection, with the `config` keys it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceType {
    /// Files in a folder: `path`, `format`.
    Files,
    /// A SQLite database file: `path`.
    Sqlite,
    /// A PostgreSQL database: `url`.
    Postgres,
}

/// A warehouse connection. In JSON its secrets are `********`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Source {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub source_type: SourceType,
    /// How to reach it. Secrets in it are written and never read back.
    #[serde(serialize_with = "serialize_redacted")]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// A query or table in a source: the records that syncs send.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name; also the table name in queries.
    pub name: String,
    /// The source it reads.
    pub source_id: Uuid,
    /// What it selects there.
    pub query: ModelQuery,
    /// The columns that identify a record, in order; may be empty.
    pub primary_key: Vec<String>,
    /// The columns found when the model was last saved.
    pub schema: SchemaRef,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// A model as the API shows it.
#[derive(Serialize, ToSchema)]
struct ShownModel<'a> {
    /// Identifier.
    id: Uuid,
    /// The workspace it belongs to.
    workspace_id: Uuid,
    /// Display name; also the table name in queries.
    name: &'a str,
    /// The source it reads.
    source_id: Uuid,
    /// The table that it selects; either this or `sql` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    table: Option<&'a str>,
    /// The query whose result it selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sql: Option<&'a str>,
    /// The columns that identify a record, in order; may be empty.
    primary_key: &'a [String],
    /// The columns found when the model was last saved.
    schema: Vec<ShownColumn<'a>>,
    /// Creation time.
    created_at: DateTime<Utc>,
    /// Last change.
    updated_at: DateTime<Utc>,
}

/// A column of a model.
#[derive(Serialize, ToSchema)]
#[schema(as = Column)]
struct ShownColumn<'a> {
    /// Its name.
    name: &'a str,
    /// Its Arrow type, such as `Int64` or `Utf8`.
    r#type: String,
    /// Whether it may be NULL.
    nullable: bool,
}

impl ToSchema for Model {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ShownModel::schemas(schemas);
    }
}

impl PartialSchema for Model {
    fn schema() -> RefOr<Schema> {
        ShownModel::schema()
    }
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|field| ShownColumn {
                name: field.name(),
                r#type: field.data_type().to_string(),
                nullable: field.is_nullable(),
            })
            .collect();
        let (table, sql) = match &self.query {
            ModelQuery::Table(table) => (Some(table.as_str()), None),
            ModelQuery::Sql(sql) => (None, Some(sql.as_str())),
        };
        let shown = ShownModel {
            id: self.id,
            workspace_id: self.workspace_id,
            name: &self.name,
            source_id: self.source_id,
            table,
            sql,
            primary_key: &self.primary_key,
            schema: columns,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        shown.serialize(serializer)
    }
}

/// What a model selects: a whole table, or the result of a SQL query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelQuery {
    /// A table by name, optionally `schema.table`. A `files` source is one table: its own files.
    Table(String),
    /// One SELECT statement in the source's own dialect. Over a `files` source the files are the
    /// table `files`.
    Sql(String),
}

/// A place to send records to. In JSON its secrets are `********`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Destination {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name.
    pub name: String,
    /// Its kind, which is what destination policies name. `file` and `postgres` are written as
    /// such; `webhook`, and every other kind (`facebook_ads`, ...), by HTTP to the connector at
    /// `config.url`.
    #[serde(rename = "type")]
    pub destination_type: String,
    /// How to reach it. Secrets in it are written and never read back.
    #[serde(serialize_with = "serialize_redacted")]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// How fast it may be written to.
    pub rate_limit: RateLimit,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// How bytes travel between us and a source or destination on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The machines, by name or address; none if they are not certain.
    pub hosts: Vec<String>,
    /// Whether every connection is encrypted, whatever the other side would rather have. It is
    /// TLS 1.2 or later then: no client of ours speaks anything older.
    pub encrypted: bool,
    /// Whether the other side also has to show a certificate that an authority signed for it.
    pub verified: bool,
}

impl Transport {
    /// The same, without hosts unless the URL that named them can be read in one way only. Where a
    /// password holds `@`, `/`, `?` or `#` as they are, a piece of it stands where a host would.
    pub(crate) fn named_by(mut self, url: &str) -> Transport {
        let parts = url.split_once("://").map_or(url, |(_, parts)| parts);
        let parts = parts.split(['?', '#']).next().unwrap_or_default();
        let path = parts.split_once(['/', '\\']).map(|(_, path)| path);
        if url.matches('@').count() > 1 || path.is_some_and(|path| path.contains('@')) {
            self.hosts.clear();
        }
        self
    }
}

/// Upper bounds on the pace of a destination; absent means unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests (batches) a second, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub requests_per_second: Option<u32>,
    /// Records a second, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub rows_per_second: Option<u32>,
}

/// What a sync does with records that the destination already holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Every record is sent in every run.
    #[default]
    Full,
    /// Records are written over those with the same primary key.
    Upsert,
    /// The destination holds afterwards what the run delivered, and nothing else.
    Mirror,
}

/// How much is at stake when a sync runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Trials.
    Development,
    /// Rehearsals.
    Staging,
    /// The real thing; the default, because it is the strictest.
    #[default]
    Production,
}

/// One column of the destination and the model's column that fills it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MappedColumn {
    /// Column of the model.
    pub from: String,
    /// Name at the destination.
    pub to: String,
}

/// A model bound to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Sync {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name.
    pub name: String,
    /// The model that is read.
    pub model_id: Uuid,
    /// The destination that is written.
    pub destination_id: Uuid,
    /// What happens to records the destination already holds.
    pub mode: SyncMode,
    /// Columns to send, in order; `None` sends all under their own names.
    #[schema(required)]
    pub mapping: Option<Vec<MappedColumn>>,
    /// How much is at stake.
    pub environment: Environment,
    /// Cron expression (five fields, UTC), or `None`: only when triggered.
    #[schema(required)]
    pub schedule: Option<String>,
    /// Disabled syncs are neither scheduled nor triggered.
    pub enabled: bool,
    /// The account it runs as when the schedule starts it.
    pub owner_id: Uuid,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for a worker.
    Queued,
    /// A worker has it, or will take it up again where it stopped.
    Running,
    /// Every record has its outcome.
    Succeeded,
    /// A fault ended it; `error` says which.
    Failed,
    /// Policy does not let it run; `error` says why. Nothing was sent after that was known.
    Blocked,
    /// Somebody stopped it.
    Cancelled,
}

impl RunStatus {
    /// The name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Queued => "queued",
            RunStatus::Running => "running",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Failed => "failed",
            RunStatus::Blocked => "blocked",
            RunStatus::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to the run.
    pub fn is_final(self) -> bool {
        !matches!(self, RunStatus::Queued | RunStatus::Running)
    }
}

/// Where the records of a run come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOrigin {
    /// The model, which a worker reads.
    #[default]
    Trigger,
    /// The body of a request.
    Upload,
}

/// What became of the records of a run. Every record read is in exactly one of the other five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Records read whose outcome is known.
    pub read: u64,
    /// Confirmed by the destination.
    pub delivered: u64,
    /// Held back by policy.
    pub withheld: u64,
    /// Refused by the destination.
    pub rejected: u64,
    /// Not a well-formed record.
    pub invalid: u64,
    /// Lost to a fault, after every retry.
    pub failed: u64,
}

impl Counts {
    /// The invariant of every run: `read = delivered + withheld + rejected + invalid + failed`.
    pub fn balanced(&self) -> bool {
        self.read == self.delivered + self.withheld + self.rejected + self.invalid + self.failed
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.read += other.read;
        self.delivered += other.delivered;
        self.withheld += other.withheld;
        self.rejected += other.rejected;
        self.invalid += other.invalid;
        self.failed += other.failed;
    }
}

/// What a policy restricts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Which records may be sent to a destination type.
    Destination,
    /// Which records a principal may see.
    Access,
    /// What no record may contain.
    Content,
    /// A filter tree that is being tried and is not saved.
    Draft,
}

/// How many records one policy withheld. A record that several policies withhold is counted
/// under each of them, so these may add up to more than `withheld`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WithheldBy {
    /// The policy; `None` for a draft that is only being previewed.
    #[schema(required)]
    pub policy_id: Option<Uuid>,
    /// Its kind.
    pub kind: PolicyKind,
    /// Records it withheld.
    pub count: u64,
}

/// How far a run has come in its model: where it resumes after a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Records of the model, in the order they are read, whose outcome is known.
    pub rows: u64,
    /// Digest of the last of those records: whoever resumes compares it, to notice that the
    /// model changed in between. `None` at the start.
    pub last_row: Option<String>,
}

/// All that a run knows of itself at a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How far it has come.
    pub checkpoint: Checkpoint,
    /// What became of the records so far.
    pub counts: Counts,
    /// What each policy withheld so far.
    pub withheld_by: Vec<WithheldBy>,
    /// Every revision that judged a batch, ascending.
    pub policy_revisions: Vec<u64>,
}

/// One execution of a sync.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Run {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// The sync that ran.
    pub sync_id: Uuid,
    /// The account it runs as.
    pub account_id: Uuid,
    /// Where its records come from.
    pub origin: RunOrigin,
    /// Where it stands.
    pub status: RunStatus,
    /// What became of the records.
    #[serde(flatten)]
    pub counts: Counts,
    /// What each policy withheld.
    pub withheld_by: Vec<WithheldBy>,
    /// The revision that judged the last batch; `None` before the first.
    #[schema(required)]
    pub policy_revision: Option<u64>,
    /// Every revision that judged a batch, ascending.
    pub policy_revisions: Vec<u64>,
    /// When a worker first took it.
    #[schema(required)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// What ended it, for its reader; no row values.
    #[schema(required)]
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// What stands in for a secret when a configuration is read back.
pub const REDACTED: &str = "********";

/// A configuration as its reader may see it: secrets are written and never read back.
///
/// `secret`, `password` and `token` become [`REDACTED`]; so do the values of `headers`, and the
/// password within a `url`.
pub fn redacted_config(config: &Map<String, Value>) -> Map<String, Value> {
    config
        .iter()
        .map(|(key, value)| (key.clone(), redacted(key, value)))
        .collect()
}

fn serialize_redacted<S: Serializer>(
    config: &Map<String, Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    redacted_config(config).serialize(serializer)
}

fn redacted(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("secret" | "password" | "token", Value::String(_)) => Value::String(REDACTED.into()),
        ("headers", Value::Object(headers)) => Value::Object(
            headers
                .keys()
                .map(|name| (name.clone(), REDACTED.into()))
                .collect(),
        ),
        ("url", Value::String(text)) => Value::String(redacted_url(text)),
        _ => value.clone(),
    }
}

/// A URL without its password and without query values, any of which may be a secret.
pub fn redacted_url(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return REDACTED.into();
    };
    if url.password().is_some() && url.set_password(Some(REDACTED)).is_err() {
        return REDACTED.into();
    }
    if url.query().is_some() {
        url.set_query(Some(REDACTED));
    }
    url.into()
}

/// A configuration as it is to be stored: where a reader sends back what [`redacted_config`]
/// showed, the secret that was stored before stays.
pub fn merged_config(stored: &Map<String, Value>, sent: Map<String, Value>) -> Map<String, Value> {
    sent.into_iter()
        .map(|(key, value)| match stored.get(&key) {
            Some(old) if value != *old && value == redacted(&key, old) => (key, old.clone()),
            _ => (key, value),
        })
        .collect()
}
