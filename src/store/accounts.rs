//! Accounts and their API keys. Of a key the store holds the public part, a digest, and what the
//! PostgreSQL protocol checks it by.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::{is_dangling, is_duplicate};
use super::{Store, StoreError, columns, object, objects, same, touched, verifiers, workspaces};
use crate::audit::Event;
use crate::catalog::Workspace;
use crate::principal::{Account, Act, ApiKey, KeyText, Verifier};

/// A key as it is found by its public part: what the presented key is checked against.
#[derive(Clone)]
pub struct StoredKey {
    /// The key.
    pub key: ApiKey,
    /// SHA-256 of the whole key, 32 bytes.
    pub digest: Vec<u8>,
    /// The account it speaks for.
    pub account: Account,
}

impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKey")
            .field("key", &self.key.id)
            .finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: Uuid,
    email: String,
    name: String,
    avatar_url: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Account, StoreError> {
        let AccountRow {
            id,
            email,
            name,
            avatar_url,
            created_at,
            updated_at,
        } = row;
        Ok(Account {
            id,
            email,
            name,
            avatar_url,
            created_at,
            updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    account_id: Uuid,
    name: String,
    scopes: String,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            id: row.id,
            account_id: row.account_id,
            name: row.name,
            scopes: columns::from_json(&row.scopes, "api_keys.scopes")?,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct StoredKeyRow {
    #[sqlx(flatten)]
    key: KeyRow,
    digest: Vec<u8>,
    email: String,
    account_name: String,
    avatar_url: Option<String>,
    account_created_at: DateTime<Utc>,
    account_updated_at: DateTime<Utc>,
}

impl TryFrom<StoredKeyRow> for StoredKey {
    type Error = StoreError;

    fn try_from(row: StoredKeyRow) -> Result<StoredKey, StoreError> {
        let account = Account {
            id: row.key.account_id,
            email: row.email,
            name: row.account_name,
            avatar_url: row.avatar_url,
            created_at: row.account_created_at,
            updated_at: row.account_updated_at,
        };
        Ok(StoredKey {
            key: row.key.try_into()?,
            digest: row.digest,
            account,
        })
    }
}

const SELECT: &str =
    "SELECT id, email, name, avatar_url, created_at, updated_at FROM accounts WHERE id = $1";

impl Store {
    /// Makes the first account with its key, and a workspace that it owns at revision 1. Where
    /// there is an account already, nothing happens and the answer is `false`; of several
    /// processes that try at once, one succeeds.
    pub async fn bootstrap(
        &self,
        account: &Account,
        key: &ApiKey,
        text: &KeyText,
        workspace: &Workspace,
    ) -> Result<bool, StoreError> {
        let verifier = self.verifier(key, text).await?;
        let mut tx = self.write().await?;
        // Whoever comes second waits here until the first has committed, and then sees its account.
        execute!(
            tx,
            "INSERT INTO bootstrap (id, created_at) VALUES (1, $1) ON CONFLICT DO NOTHING",
            columns::time(account.created_at),
        )?;
        let accounts = optional!(tx, (Uuid,), "SELECT id FROM accounts LIMIT 1")?;
        if accounts.is_some() {
            return Ok(false);
        }
        let act = Act::on_behalf_of(account.id, account.created_at);
        insert_account(&mut tx, account, &act).await?;
        insert_key(&mut tx, key, text, &verifier, &act).await?;
        workspaces::insert(&mut tx, workspace, &act).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether there is an account.
    pub async fn has_accounts(&self) -> Result<bool, StoreError> {
        Ok(optional!(self, (Uuid,), "SELECT id FROM accounts LIMIT 1")?.is_some())
    }

    /// Every account.
    pub async fn list_accounts(&self) -> Result<Vec<Account>, StoreError> {
        objects(all!(
            self,
            AccountRow,
            "SELECT id, email, name, avatar_url, created_at, updated_at
             FROM accounts ORDER BY created_at, id",
        ))
    }

    /// One account.
    pub async fn get_account(&self, id: Uuid) -> Result<Account, StoreError> {
        object(optional!(self, AccountRow, SELECT, id), "account")
    }

    /// Adds an account; the e-mail address, in whatever case, must be new.
    pub async fn insert_account(&self, account: &Account, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        insert_account(&mut tx, account, act).await?;
        tx.commit().await
    }

    /// Saves an account's address, name and picture.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_account(
        &self,
        before: &Account,
        account: &Account,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // Locks the row, so that what is compared stays as it is.
        execute!(
            tx,
            "UPDATE accounts SET name = name WHERE id = $1",
            account.id
        )?;
        let now = optional!(tx, AccountRow, SELECT, account.id);
        same(&object::<_, Account>(now, "account")?, before)?;
        let saved = execute!(
            tx,
            "UPDATE accounts SET email = $2, name = $3, avatar_url = $4, updated_at = $5
             WHERE id = $1",
            account.id,
            &account.email,
            &account.name,
            &account.avatar_url,
            columns::time(account.updated_at),
        );
        touched(saved.map_err(address_taken)?, "account")?;
        let event = Event::of("account", Some(account.id), Some(before), Some(account));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// The keys of an account.
    pub async fn list_keys(&self, account_id: Uuid) -> Result<Vec<ApiKey>, StoreError> {
        objects(all!(
            self,
            KeyRow,
            "SELECT id, account_id, name, scopes, expires_at, last_used_at, created_at
             FROM api_keys WHERE account_id = $1 ORDER BY created_at, id",
            account_id,
        ))
    }

    /// Adds a key. Its text is not kept: only what finds it, and what it is checked by.
    pub async fn insert_key(
        &self,
        key: &ApiKey,
        text: &KeyText,
        act: &Act,
    ) -> Result<(), StoreError> {
        // Slow by intent, and so done before anybody has to wait for the transaction.
        let verifier = self.verifier(key, text).await?;
        let mut tx = self.write().await?;
        insert_key(&mut tx, key, text, &verifier, act).await?;
        tx.commit().await
    }

    /// Revokes a key: the next request that presents it is refused.
    pub async fn delete_key(
        &self,
        account_id: Uuid,
        key_id: Uuid,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let deleted = optional!(
            tx,
            KeyRow,
            "DELETE FROM api_keys WHERE account_id = $1 AND id = $2
             RETURNING id, account_id, name, scopes, expires_at, last_used_at, created_at",
            account_id,
            key_id,
        );
        let key: ApiKey = object(deleted, "key")?;
        let event = Event::of("api_key", Some(key_id), Some(&key), None);
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Notes that a key was used, unless a use was noted after `since`: of many requests that come
    /// at once, one writes.
    pub async fn touch_key(
        &self,
        key_id: Uuid,
        now: DateTime<Utc>,
        since: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE api_keys SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)",
            key_id,
            columns::time(now),
            columns::time(since),
        )?;
        Ok(())
    }

    /// The key with a public part. Whether it has expired is for the caller to judge.
    pub async fn find_key(&self, public_id: &str) -> Result<Option<StoredKey>, StoreError> {
        let row = optional!(
            self,
            StoredKeyRow,
            "SELECT k.id, k.account_id, k.name, k.scopes, k.expires_at, k.last_used_at,
                    k.created_at, k.digest,
                    a.email, a.name AS account_name, a.avatar_url,
                    a.created_at AS account_created_at, a.updated_at AS account_updated_at
             FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE k.public_id = $1",
            public_id,
        )?;
        row.map(StoredKey::try_from).transpose()
    }
}

async fn insert_account(tx: &mut Tx, account: &Account, act: &Act) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO accounts (id, email, name, avatar_url, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        account.id,
        &account.email,
        &account.name,
        &account.avatar_url,
        columns::time(account.created_at),
        columns::time(account.updated_at),
    )
    .map_err(address_taken)?;
    let event = Event::of("account", Some(account.id), None, Some(account));
    audit::append(tx, None, act, &event).await
}

async fn insert_key(
    tx: &mut Tx,
    key: &ApiKey,
    text: &KeyText,
    verifier: &Verifier,
    act: &Act,
) -> Result<(), StoreError> {
    let (public_id, digest) = (text.public_id(), text.digest());
    let scopes = columns::json(&key.scopes)?;
    execute!(
        tx,
        "INSERT INTO api_keys
             (id, account_id, public_id, digest, name, scopes, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        key.id,
        key.account_id,
        &public_id,
        digest.as_slice(),
        &key.name,
        &scopes,
        key.expires_at.map(columns::time),
        columns::time(key.created_at),
    )
    .map_err(|error| {
        if is_duplicate(&error) {
            StoreError::Conflict("there is already such a key; make another".into())
        } else if is_dangling(&error) {
            StoreError::NotFound("account")
        } else {
            error.into()
        }
    })?;
    verifiers::insert(tx, key.id, verifier).await?;
    let event = Event::of("api_key", Some(key.id), None, Some(key));
    audit::append(tx, None, act, &event).await
}

fn address_taken(error: sqlx::Error) -> StoreError {
    if is_duplicate(&error) {
        StoreError::Conflict("there is already an account with this e-mail address".into())
    } else {
        error.into()
    }
}
