//! Where alerts of content policies go.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{REDACTED, redacted_url};

/// What a channel speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelType {
    /// Standard Webhooks.
    Webhook,
    /// An incoming webhook as Slack has it.
    Slack,
}

/// A place that is told of alerts. In JSON its secrets are `********`.
#[derive(Clone, PartialEq)]
pub struct AlertChannel {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name.
    pub name: String,
    /// What it speaks.
    pub channel_type: ChannelType,
    /// Where messages are posted.
    pub url: String,
    /// The key that messages to a webhook are signed with: `whsec_` and base64.
    pub secret: Option<String>,
    /// Whether messages are sent.
    pub enabled: bool,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// A channel as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertChannel)]
struct ShownChannel<'a> {
    /// Identifier.
    id: Uuid,
    /// The workspace it belongs to.
    workspace_id: Uuid,
    /// Display name.
    name: &'a str,
    /// What it speaks.
    r#type: ChannelType,
    /// Where messages are posted. Values in its query are written and never read back; nor is the
    /// path of a `slack` channel, which is a secret itself.
    url: String,
    /// The key that messages to a webhook are signed with. It is written and never read back.
    #[schema(required)]
    secret: Option<&'static str>,
    /// Whether messages are sent.
    enabled: bool,
    /// Creation time.
    created_at: DateTime<Utc>,
    /// Last change.
    updated_at: DateTime<Utc>,
}

impl AlertChannel {
    /// The URL as its reader may see it.
    pub fn shown_url(&self) -> String {
        match self.channel_type {
            ChannelType::Webhook => redacted_url(&self.url),
            ChannelType::Slack => match url::Url::parse(&self.url) {
                Ok(url) => {
                    let origin = url.origin().ascii_serialization();
                    format!("{origin}/{REDACTED}")
                }
                Err(_) => REDACTED.into(),
            },
        }
    }
}

impl Serialize for AlertChannel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = ShownChannel {
            id: self.id,
            workspace_id: self.workspace_id,
            name: &self.name,
            r#type: self.channel_type,
            url: self.shown_url(),
            secret: self.secret.as_ref().map(|_| REDACTED),
            enabled: self.enabled,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        shown.serialize(serializer)
    }
}

impl std::fmt::Debug for AlertChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("AlertChannel");
        shown.field("id", &self.id).field("url", &self.shown_url());
        shown.finish_non_exhaustive()
    }
}

impl ToSchema for AlertChannel {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ShownChannel::schemas(schemas);
    }
}

impl PartialSchema for AlertChannel {
    fn schema() -> RefOr<Schema> {
        ShownChannel::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_channel_is_shown() {
        let channel = |channel_type, url: &str| AlertChannel {
            id: Uuid::nil(),
            workspace_id: Uuid::nil(),
            name: "ops".into(),
            channel_type,
            url: url.into(),
            secret: Some("whsec_dGVsbC1ub2JvZHk=".into()),
            enabled: true,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        for (channel, url) in [
            (
                channel(
                    ChannelType::Slack,
                    "https://hooks.example.com/services/tell/nobody",
                ),
                "https://hooks.example.com/********",
            ),
            (
                channel(ChannelType::Webhook, "https://example.com/hook?key=nobody"),
                "https://example.com/hook?********",
            ),
        ] {
            let shown = serde_json::to_string(&channel).unwrap() + &format!("{channel:?}");
            assert!(shown.contains(url), "{shown}");
            assert!(
                !shown.contains("nobody") && !shown.contains("dGVsbC"),
                "{shown}"
            );
        }
    }
}
