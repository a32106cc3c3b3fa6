//! What the store promises, checked alike on SQLite and PostgreSQL.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use syncguard::catalog::{
    Checkpoint, Counts, Destination, Environment, MappedColumn, Model, ModelQuery, PolicyKind,
    Progress, RateLimit, Run, RunOrigin, RunStatus, Source, SourceType, Sync, SyncMode, WithheldBy,
    Workspace,
};
use syncguard::policy::{Change, DestinationPolicy, Edit, FilterDocument, PolicySet};
use syncguard::principal::{ADMIN, Account, Act, ApiKey, Group, KeyText, MEMBER, Member, OWNER};
use syncguard::store::{Store, StoreError};
use uuid::Uuid;

use crate::support::{fresh_postgres, temporary_folder};

macro_rules! on_both_databases {
    ($($check:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let (_folder, path) = crate::support::temporary_folder();
                let url = format!("sqlite:{}", path.join("store.db").display());
                super::$check(crate::store_suite::House::at(&url).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let url = crate::support::fresh_postgres().await;
                super::$check(crate::store_suite::House::at(&url).await).await;
            })*
        }
    };
}

mod access;
mod accounts;
mod alert_delivery;
mod alerts;
mod attestations;
mod audit;
mod catalog;
mod compliance_history;
mod compliance_instances;
mod compliance_policies;
mod compliance_templates;
mod content_policies;
mod groups;
mod idempotency;
mod in_force;
mod members;
mod policies;
mod resources;
mod revisions;
mod roles;
mod runs;
mod schedules;
mod sightings;
mod snapshots;
mod solutions;
mod uploads;
mod verifiers;

#[tokio::test]
async fn password_of_the_store_is_in_no_error() {
    for url in [
        "postgres://somebody:hunter2@127.0.0.1:1/nothing",
        "postgres://somebody:hunter2@127.0.0.1:port/nothing",
        "mysql://somebody:hunter2@127.0.0.1/nothing",
        "sqlite:/no/such/folder/hunter2.db",
    ] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn file_of_the_store_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = temporary_folder();
    let path = path.join("store.db");
    let store = Store::open(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    store.ping().await.unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A store with an owner, a workspace, and one object of each kind.
struct House {
    store: Store,
    url: String,
    account: Account,
    workspace: Workspace,
    source: Source,
    model: Model,
    destination: Destination,
    sync: Sync,
}

impl House {
    async fn at(url: &str) -> House {
        let store = Store::open(url).await.unwrap();
        let account = account("owner@example.com");
        let workspace = workspace("default");
        let key = key(&account);
        assert!(
            store
                .bootstrap(&account, &key, &key_text("first"), &workspace)
                .await
                .unwrap()
        );
        let source = source(workspace.id, "warehouse");
        let model = model(workspace.id, &source, "customers");
        let destination = destination(workspace.id, "ads");
        let sync = sync(&account, &model, &destination, "customers to ads");
        let act = Act::on_behalf_of(account.id, at(0));
        store.insert_source(&source, &act).await.unwrap();
        store.insert_destination(&destination, &act).await.unwrap();
        let house = House {
            store,
            url: url.to_owned(),
            account,
            workspace,
            source,
            model: model.clone(),
            destination,
            sync,
        };
        house
            .commit(Change::Model(Edit::create(model)), 1)
            .await
            .unwrap();
        house.store.insert_sync(&house.sync, &act).await.unwrap();
        house
    }

    /// Another workspace of the same owner, empty.
    async fn other_workspace(&self) -> Workspace {
        let other = workspace("other");
        self.store
            .insert_workspace(&other, &self.act(0))
            .await
            .unwrap();
        other
    }

    /// The owner at a time.
    fn act(&self, second: i64) -> Act {
        Act::on_behalf_of(self.account.id, at(second))
    }

    async fn commit(&self, change: Change, expected: u64) -> Result<u64, StoreError> {
        self.commit_all(&[change], expected).await
    }

    async fn commit_all(&self, changes: &[Change], expected: u64) -> Result<u64, StoreError> {
        let act = self.act(5);
        self.store
            .commit(self.workspace.id, changes, expected, &act)
            .await
    }

    /// Commits changes on top of whatever is there.
    async fn publish(&self, changes: &[Change]) -> u64 {
        let expected = self.revision().await;
        self.commit_all(changes, expected).await.unwrap()
    }

    async fn revision(&self) -> u64 {
        self.store.revision(self.workspace.id).await.unwrap()
    }

    async fn policies(&self) -> PolicySet {
        self.store.policy_set(self.workspace.id).await.unwrap()
    }

    /// A new account that joins the workspace.
    async fn join(&self, email: &str, role_id: Uuid) -> Member {
        let (account, act) = (account(email), self.act(1));
        self.store.insert_account(&account, &act).await.unwrap();
        self.store
            .insert_member(self.workspace.id, account.id, role_id, &act)
            .await
            .unwrap()
    }

    /// A new group.
    async fn group(&self, name: &str, role_id: Option<Uuid>) -> Group {
        let group = group(self.workspace.id, name, role_id);
        self.store.insert_group(&group, &self.act(1)).await.unwrap()
    }

    /// Puts an account into a group.
    async fn put_into(&self, group: &Group, account_id: Uuid) {
        self.store
            .insert_group_member(group, account_id, &self.act(2))
            .await
            .unwrap();
    }

    async fn queue(&self, sync: &Sync, second: i64) -> Run {
        let run = queued(sync, second);
        self.store
            .insert_run(&run, &self.act(second))
            .await
            .unwrap();
        run
    }

    async fn run(&self, id: Uuid) -> Run {
        self.store.get_run(self.workspace.id, id).await.unwrap()
    }
}

/// Runs a statement past the store.
async fn raw(house: &House, sql: &str) -> Result<u64, sqlx::Error> {
    let sql = AssertSqlSafe(sql.to_owned());
    if house.url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(&house.url).await?;
        let done = sqlx::query(sql).execute(&mut connection).await;
        connection.close().await?;
        done.map(|done| done.rows_affected())
    } else {
        let mut connection = PgConnection::connect(&house.url).await?;
        let done = sqlx::query(sql).execute(&mut connection).await;
        connection.close().await?;
        done.map(|done| done.rows_affected())
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000 + second, 123_456_000).unwrap()
}

fn account(email: &str) -> Account {
    Account {
        id: Uuid::now_v7(),
        email: email.to_owned(),
        name: "Owner".to_owned(),
        avatar_url: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// The text of a key, which is found by `id`.
fn key_text(id: &str) -> KeyText {
    KeyText::new(&format!("sgk_{id}_secret")).unwrap()
}

fn key(account: &Account) -> ApiKey {
    ApiKey {
        id: Uuid::now_v7(),
        account_id: account.id,
        name: "bootstrap".to_owned(),
        scopes: vec!["*".to_owned()],
        expires_at: Some(at(1000)),
        last_used_at: None,
        created_at: at(0),
    }
}

fn workspace(name: &str) -> Workspace {
    Workspace {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        require_destination_policy: false,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn group(workspace_id: Uuid, name: &str, role_id: Option<Uuid>) -> Group {
    Group {
        id: Uuid::now_v7(),
        workspace_id,
        name: name.to_owned(),
        description: format!("Those of {name}"),
        role_id,
        role_name: None,
        member_count: 0,
        created_at: at(1),
        updated_at: at(1),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn source(workspace_id: Uuid, name: &str) -> Source {
    Source {
        id: Uuid::now_v7(),
        workspace_id,
        name: name.to_owned(),
        source_type: SourceType::Postgres,
        config: object(json!({"url": "postgres://u:p@db.example.com/w", "z": 1, "a": [null]})),
        created_at: at(0),
        updated_at: at(0),
    }
}

fn model(workspace_id: Uuid, source: &Source, name: &str) -> Model {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
    let address = Fields::from(vec![Field::new("city", DataType::Utf8, true)]);
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("balance", DataType::Decimal128(38, 10), true),
        Field::new("seen", zoned, true),
        Field::new("address", DataType::Struct(address), true),
        Field::new_list("tags", Field::new("item", DataType::Utf8View, true), true),
    ]);
    Model {
        id: Uuid::now_v7(),
        workspace_id,
        name: name.to_owned(),
        source_id: source.id,
        query: ModelQuery::Sql("SELECT * FROM customers".to_owned()),
        primary_key: vec!["id".to_owned()],
        schema: Arc::new(schema),
        created_at: at(0),
        updated_at: at(0),
    }
}

fn destination(workspace_id: Uuid, name: &str) -> Destination {
    Destination {
        id: Uuid::now_v7(),
        workspace_id,
        name: name.to_owned(),
        destination_type: "facebook_ads".to_owned(),
        config: object(json!({"url": "https://example.com/", "secret": "whsec_x"})),
        rate_limit: RateLimit {
            requests_per_second: Some(5),
            rows_per_second: None,
        },
        created_at: at(0),
        updated_at: at(0),
    }
}

fn sync(account: &Account, model: &Model, destination: &Destination, name: &str) -> Sync {
    Sync {
        id: Uuid::now_v7(),
        workspace_id: model.workspace_id,
        name: name.to_owned(),
        model_id: model.id,
        destination_id: destination.id,
        mode: SyncMode::Upsert,
        mapping: Some(vec![MappedColumn {
            from: "id".to_owned(),
            to: "key".to_owned(),
        }]),
        environment: Environment::Staging,
        schedule: Some("0 * * * *".to_owned()),
        enabled: true,
        owner_id: account.id,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn policy(house: &House, name: &str) -> DestinationPolicy {
    let tree = json!({
        "type": "condition", "condition_type": "property",
        "column": "id", "operator": "less_than", "value": 9007199254740993_u64,
    });
    DestinationPolicy {
        id: Uuid::now_v7(),
        workspace_id: house.workspace.id,
        parent_model_id: Some(house.model.id),
        destination_type: "facebook_ads".to_owned(),
        name: name.to_owned(),
        description: "None of the late ones".to_owned(),
        filter_tree: FilterDocument::parse(tree).unwrap(),
        enabled: true,
        created_by: house.account.id,
        created_at: at(1),
        updated_at: at(1),
    }
}

fn create(policy: &DestinationPolicy) -> Change {
    Change::DestinationPolicy(Edit::create(policy.clone()))
}

fn delete(policy: &DestinationPolicy) -> Change {
    Change::DestinationPolicy(Edit::delete(Arc::new(policy.clone())))
}

fn queued(sync: &Sync, second: i64) -> Run {
    Run {
        id: Uuid::now_v7(),
        workspace_id: sync.workspace_id,
        sync_id: sync.id,
        account_id: sync.owner_id,
        origin: RunOrigin::Trigger,
        status: RunStatus::Queued,
        counts: Counts::default(),
        withheld_by: Vec::new(),
        policy_revision: None,
        policy_revisions: Vec::new(),
        started_at: None,
        finished_at: None,
        error: None,
        created_at: at(second),
        updated_at: at(second),
    }
}

fn progress(rows: u64) -> Progress {
    let withheld_by = vec![WithheldBy {
        policy_id: Some(Uuid::nil()),
        kind: PolicyKind::Destination,
        count: 2,
    }];
    Progress {
        checkpoint: Checkpoint {
            rows,
            last_row: Some("digest".to_owned()),
        },
        counts: Counts {
            read: rows,
            delivered: rows - 3,
            withheld: 2,
            rejected: 1,
            ..Counts::default()
        },
        withheld_by,
        policy_revisions: vec![2, 3],
    }
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(result: Result<T, StoreError>, what: &str) {
    match result {
        Err(StoreError::NotFound(missing)) if missing == what => {}
        other => panic!("expected that no {what} is found, got {other:?}"),
    }
}

#[track_caller]
fn assert_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>, because: &str) {
    match result {
        Err(StoreError::Conflict(message)) if message.contains(because) => {}
        other => panic!("expected a conflict about {because}, got {other:?}"),
    }
}

#[track_caller]
fn assert_stale<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Stale)), "{result:?}");
}

#[track_caller]
fn assert_lease_lost<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::LeaseLost)), "{result:?}");
}
