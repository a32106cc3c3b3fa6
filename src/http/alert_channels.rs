//! `/workspaces/{id}/alert_channels`: who is told of what content policies found.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use url::Url;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::catalog::{AlertChannel, ChannelType, REDACTED};

/// The alert channels of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/alert_channels", tag = "alert-channels",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<AlertChannel>)),
)]
pub(crate) async fn list_alert_channels(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<AlertChannel>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let channels = api.store.list_alert_channels(member.workspace_id).await?;
    Ok(Json(channels))
}

/// One alert channel; secrets are not read back.
#[utoipa::path(
    get, path = "/workspaces/{id}/alert_channels/{channelId}", tag = "alert-channels",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = AlertChannel, headers(("ETag")))),
)]
pub(crate) async fn get_alert_channel(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, channel_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<AlertChannel>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let channel = api
        .store
        .get_alert_channel(member.workspace_id, channel_id)
        .await?;
    Ok(Object::ok(channel))
}

/// A new alert channel. Its address is checked now, and again whenever it is told something.
#[utoipa::path(
    post, path = "/workspaces/{id}/alert_channels", tag = "alert-channels",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewAlertChannel"),
    responses((status = 201, body = AlertChannel, headers(("ETag")))),
)]
pub(crate) async fn create_alert_channel(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<AlertChannel>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let written = Written::read(&api, None, body).await?;
    let channel = AlertChannel {
        id: (api.new_id)(),
        workspace_id: member.workspace_id,
        name: written.name,
        channel_type: written.channel_type,
        url: written.url,
        secret: written.secret,
        enabled: written.enabled,
        created_at: member.act.at,
        updated_at: member.act.at,
    };
    api.store
        .insert_alert_channel(&channel, &member.act)
        .await?;
    Ok(Object::created(channel))
}

/// Replaces an alert channel, all but its type. A channel that is disabled forgets what it was
/// still to be told.
#[utoipa::path(
    put, path = "/workspaces/{id}/alert_channels/{channelId}", tag = "alert-channels",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/AlertChannelBody"),
    responses((status = 200, body = AlertChannel, headers(("ETag")))),
)]
pub(crate) async fn update_alert_channel(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, channel_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<AlertChannel>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = api
        .store
        .get_alert_channel(member.workspace_id, channel_id)
        .await?;
    if_match.check(&before)?;
    let written = Written::read(&api, Some(&before), body).await?;
    let channel = AlertChannel {
        name: written.name,
        url: written.url,
        secret: written.secret,
        enabled: written.enabled,
        updated_at: member.act.at,
        ..before.clone()
    };
    api.store
        .update_alert_channel(&before, &channel, &member.act)
        .await?;
    Ok(Object::ok(channel))
}

/// Removes an alert channel, with all that it was still to be told.
#[utoipa::path(
    delete, path = "/workspaces/{id}/alert_channels/{channelId}", tag = "alert-channels",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_alert_channel(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, channel_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = api
        .store
        .get_alert_channel(member.workspace_id, channel_id)
        .await?;
    if_match.check(&before)?;
    api.store.delete_alert_channel(&before, &member.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

struct Written {
    name: String,
    channel_type: ChannelType,
    url: String,
    secret: Option<String>,
    enabled: bool,
}

impl Written {
    async fn read(
        api: &Api,
        before: Option<&AlertChannel>,
        body: Body,
    ) -> Result<Written, ApiError> {
        let mut fields = Fields::read(body).await?;
        let name = fields.name("name");
        let was = before.map(|before| before.channel_type);
        if was.is_none() && !fields.gives("type") {
            fields.fault("$.type", "missing; expected webhook or slack");
        }
        let sent: Option<ChannelType> = fields.typed("type", "webhook or slack");
        if sent.is_some() && was.is_some() && sent != was {
            let message = "the type of a channel does not change: create another";
            fields.fault("$.type", message);
        }
        if !fields.gives("url") {
            fields.fault("$.url", "missing; expected a URL");
        }
        let sent_url = fields.text("url").unwrap_or_default();
        let sent_secret = fields.text("secret");
        let enabled = fields.switch("enabled").unwrap_or(true);

        let url = match before {
            Some(before) if sent_url == before.shown_url() => before.url.clone(),
            _ => sent_url,
        };
        // Whoever may change the URL may not thereby have a host signed for with a key that they
        // cannot read.
        let stays = before.filter(|before| origin(&before.url) == origin(&url));
        let secret = match (sent_secret, stays) {
            (Some(sent), Some(before)) if sent == REDACTED => before.secret.clone(),
            (sent, _) => sent,
        };
        let redacted = [
            ("$.url", Some(url.as_str())),
            ("$.secret", secret.as_deref()),
        ];
        for (path, value) in redacted {
            if value.is_some_and(|value| value.contains(REDACTED)) {
                let message = format!(
                    "{REDACTED} stands for a secret that is stored; it is kept while nothing \
                     around it changes: write the secret itself"
                );
                fields.fault(path, message);
            }
        }
        let channel_type = was.or(sent).unwrap_or(ChannelType::Webhook);
        let faults = api
            .sinks
            .check_channel(channel_type, &url, secret.as_deref())
            .await;
        for fault in faults {
            fields.fault_once(&fault.path, &fault.message);
        }
        fields.finish()?;
        Ok(Written {
            name,
            channel_type,
            url,
            secret,
            enabled,
        })
    }
}

fn origin(url: &str) -> Option<url::Origin> {
    Url::parse(url).ok().map(|url| url.origin())
}
