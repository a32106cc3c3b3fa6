//! `/accounts` and their keys.
//!
//! Everybody sees their own account. Seeing and making others takes the owner role in a
//! workspace; acting for one takes it in every workspace that account belongs to.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use crate::principal::{Account, ApiKey, is_scope};

/// Every account.
pub(crate) async fn list_accounts(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Vec<Account>>, ApiError> {
    caller.owner_somewhere(&api).await?;
    Ok(Json(api.store.list_accounts().await?))
}

/// One account.
pub(crate) async fn get_account(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Account>, ApiError> {
    if id != caller.principal.account.id {
        caller.owner_somewhere(&api).await?;
    }
    Ok(Json(api.store.get_account(id).await?))
}

/// A new account; it is a member of nothing and has no key.
pub(crate) async fn create_account(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    caller.owner_somewhere(&api).await?;
    let written = Written::read(body).await?;
    let now = (api.clock)();
    let account = Account {
        id: (api.new_id)(),
        email: written.email,
        name: written.name,
        avatar_url: written.avatar_url,
        created_at: now,
        updated_at: now,
    };
    api.store.insert_account(&account).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

/// Replaces what an account says of itself.
pub(crate) async fn update_account(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Account>, ApiError> {
    caller.governs(&api, id).await?;
    let written = Written::read(body).await?;
    let account = Account {
        email: written.email,
        name: written.name,
        avatar_url: written.avatar_url,
        updated_at: (api.clock)(),
        ..api.store.get_account(id).await?
    };
    api.store.update_account(&account).await?;
    Ok(Json(account))
}

struct Written {
    email: String,
    name: String,
    avatar_url: Option<String>,
}

impl Written {
    async fn read(body: Body) -> Result<Written, ApiError> {
        let mut fields = Fields::read(body).await?;
        let email = fields.name("email");
        let plausible = email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
        if !email.is_empty() && (!plausible || email.contains(char::is_whitespace)) {
            fields.fault("$.email", "expected an e-mail address");
        }
        let name = fields.name("name");
        let avatar_url = fields.text("avatar_url");
        let is_web = |text: &str| {
            text.len() <= 2000
                && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if avatar_url.as_deref().is_some_and(|text| !is_web(text)) {
            fields.fault("$.avatar_url", "expected an http or https URL");
        }
        fields.finish()?;
        Ok(Written {
            email,
            name,
            avatar_url,
        })
    }
}

/// The keys of an account, without what opens anything.
pub(crate) async fn list_keys(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<ApiKey>>, ApiError> {
    if id != caller.principal.account.id {
        caller.governs(&api, id).await?;
    }
    Ok(Json(api.store.list_keys(id).await?))
}

/// A new key, shown in this answer and never again. It can have no scope that the key in use
/// lacks.
pub(crate) async fn create_key(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.governs(&api, id).await?;
    let now = (api.clock)();
    let mut fields = Fields::read(body).await?;
    let name = fields.name("name");
    let scopes = match fields.texts("scopes") {
        Some(scopes) if !scopes.is_empty() => scopes,
        _ => {
            fields.fault(
                "$.scopes",
                "expected a non-empty array such as [\"governance:read\"]",
            );
            Vec::new()
        }
    };
    for (i, scope) in scopes
        .iter()
        .enumerate()
        .filter(|(_, scope)| !is_scope(scope))
    {
        let message = format!("{scope:?} is no scope; expected * or one such as syncs:trigger");
        fields.fault(&format!("$.scopes[{i}]"), message);
    }
    let expires_at = fields.time("expires_at");
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        fields.fault("$.expires_at", "expected a time to come");
    }
    fields.finish()?;
    let held = &caller.principal.scopes;
    let held = |scope: &String| held.iter().any(|own| own == "*" || own == scope);
    if let Some(scope) = scopes.iter().find(|scope| !held(scope)) {
        let message = format!("your API key lacks the scope {scope} and cannot pass it on");
        return Err(ApiError::forbidden(message));
    }
    let text = (api.new_key)();
    let key = ApiKey {
        id: (api.new_id)(),
        account_id: id,
        name,
        scopes,
        expires_at,
        created_at: now,
    };
    api.store
        .insert_key(&key, &text.public_id(), &text.digest())
        .await?;
    let mut shown = json!(key);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("key".into(), text.expose().into());
    }
    Ok((StatusCode::CREATED, Json(shown)))
}

/// Ends a key at once.
pub(crate) async fn delete_key(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, key_id)): Ids<(Uuid, Uuid)>,
) -> Result<StatusCode, ApiError> {
    caller.governs(&api, id).await?;
    api.store.delete_key(id, key_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
