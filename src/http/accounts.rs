//! `/accounts` and their keys.
//!
//! Everybody sees their own account. Seeing and making others takes the owner role in a
//! workspace; acting for one takes it in every workspace that account belongs to.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use super::idempotency::Stored;
use crate::principal::{Account, ApiKey, is_scope};

/// Every account.
#[utoipa::path(
    get, path = "/accounts", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    responses((status = 200, body = Vec<Account>)),
)]
pub(crate) async fn list_accounts(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Vec<Account>>, ApiError> {
    caller.owner_somewhere(&api).await?;
    Ok(Json(api.store.list_accounts().await?))
}

/// One account.
#[utoipa::path(
    get, path = "/accounts/{id}", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    responses((status = 200, body = Account, headers(("ETag")))),
)]
pub(crate) async fn get_account(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Object<Account>, ApiError> {
    if id != caller.principal.account.id {
        caller.owner_somewhere(&api).await?;
    }
    Ok(Object::ok(api.store.get_account(id).await?))
}

/// A new account; it is a member of nothing and has no key.
#[utoipa::path(
    post, path = "/accounts", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    request_body = ref("#/components/schemas/AccountBody"),
    responses((status = 201, body = Account, headers(("ETag")))),
)]
pub(crate) async fn create_account(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Object<Account>, ApiError> {
    caller.owner_somewhere(&api).await?;
    let written = Written::read(body).await?;
    let act = caller.act(&api);
    let account = Account {
        id: (api.new_id)(),
        email: written.email,
        name: written.name,
        avatar_url: written.avatar_url,
        created_at: act.at,
        updated_at: act.at,
    };
    api.store.insert_account(&account, &act).await?;
    Ok(Object::created(account))
}

/// Replaces what an account says of itself.
#[utoipa::path(
    put, path = "/accounts/{id}", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/AccountBody"),
    responses((status = 200, body = Account, headers(("ETag")))),
)]
pub(crate) async fn update_account(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Account>, ApiError> {
    caller.governs(&api, id).await?;
    let written = Written::read(body).await?;
    let before = api.store.get_account(id).await?;
    if_match.check(&before)?;
    let act = caller.act(&api);
    let account = Account {
        email: written.email,
        name: written.name,
        avatar_url: written.avatar_url,
        updated_at: act.at,
        ..before.clone()
    };
    api.store.update_account(&before, &account, &act).await?;
    Ok(Object::ok(account))
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
#[utoipa::path(
    get, path = "/accounts/{id}/keys", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    responses((status = 200, body = Vec<ApiKey>)),
)]
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

/// A new key, with the text that is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[serde(flatten)]
    about: ApiKey,
    /// The key itself. It is not here where the answer is a repeated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<String>,
}

/// A new key, shown in this answer and never again, not even where the request is repeated. It
/// can have no scope that the key in use lacks.
#[utoipa::path(
    post, path = "/accounts/{id}/keys", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    request_body = ref("#/components/schemas/NewKey"),
    responses((status = 201, body = CreatedKey)),
)]
pub(crate) async fn create_key(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<(StatusCode, Extension<Stored>, Json<CreatedKey>), ApiError> {
    caller.governs(&api, id).await?;
    let act = caller.act(&api);
    let now = act.at;
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
        fields.fault_once(&format!("$.scopes[{i}]"), &message);
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
        last_used_at: None,
        created_at: now,
    };
    api.store.insert_key(&key, &text, &act).await?;
    let stored = Stored(json!(key));
    let created = CreatedKey {
        about: key,
        key: Some(text.expose().to_owned()),
    };
    Ok((StatusCode::CREATED, Extension(stored), Json(created)))
}

/// Ends a key at once.
#[utoipa::path(
    delete, path = "/accounts/{id}/keys/{keyId}", tag = "accounts",
    extensions(("x-permission" = json!("workspace.members"))),
    responses((status = 204)),
)]
pub(crate) async fn delete_key(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, key_id)): Ids<(Uuid, Uuid)>,
) -> Result<StatusCode, ApiError> {
    caller.governs(&api, id).await?;
    api.store.delete_key(id, key_id, &caller.act(&api)).await?;
    Ok(StatusCode::NO_CONTENT)
}
