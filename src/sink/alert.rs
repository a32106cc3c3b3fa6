//! Alerts of content policies, told by HTTP: Standard Webhooks, or what Slack takes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::signature::{Secret, sign};
use super::webhook::{check_literal, checked_url, drain, pause, unsent};
use super::{SinkError, Sinks};
use crate::catalog::{AlertChannel, ChannelType};
use crate::policy::Fault;

/// From the first byte sent to the last byte received.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause that a channel can ask for.
const MOST_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// An alert as it is told.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The same however often it is sent, and no other's.
    pub id: &'a str,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The alert as the API shows it.
    pub alert: &'a Value,
}

impl Message<'_> {
    fn body(&self, channel_type: ChannelType) -> Vec<u8> {
        let body = match channel_type {
            ChannelType::Webhook => json!({
                "type": "content_policy.alert",
                "timestamp": self.at,
                "data": self.alert,
            }),
            ChannelType::Slack => {
                let text = self.alert.get("explanation").and_then(Value::as_str);
                json!({"text": unmarked(text.unwrap_or_default())})
            }
        };
        body.to_string().into_bytes()
    }
}

/// A text in one line, in which neither Slack nor what takes messages as Slack does finds mark-up:
/// names that people give must call nobody, and lead nowhere.
fn unmarked(text: &str) -> String {
    let mut unmarked = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => unmarked.push_str("&amp;"),
            '<' => unmarked.push_str("&lt;"),
            '>' => unmarked.push_str("&gt;"),
            // Nothing that can be seen parts the mark from the name.
            '@' => unmarked.push_str("@\u{200b}"),
            '[' => unmarked.push('('),
            ']' => unmarked.push(')'),
            '\u{2028}' | '\u{2029}' => unmarked.push(' '),
            c if c.is_control() => unmarked.push(' '),
            c => unmarked.push(c),
        }
    }
    unmarked
}

impl Sinks {
    /// Judges a channel before it is saved: its URL, whether that is within reach now, and its
    /// secret. Paths are `$.url` and `$.secret`.
    pub async fn check_channel(
        &self,
        channel_type: ChannelType,
        url: &str,
        secret: Option<&str>,
    ) -> Vec<Fault> {
        let mut faults = Vec::new();
        match self.within_reach(url).await {
            Ok(()) => {}
            Err(message) => faults.push(Fault::new("$.url", message)),
        }
        let key = secret.map(|text| {
            text.strip_prefix("whsec_")
                .and_then(|_| Secret::parse(text))
        });
        match (channel_type, key) {
            (_, None) | (ChannelType::Webhook, Some(Some(_))) => {}
            (ChannelType::Webhook, Some(None)) => {
                let message = "expected `whsec_` and a key in base64";
                faults.push(Fault::new("$.secret", message));
            }
            (ChannelType::Slack, Some(_)) => {
                let message = "messages to `slack` are not signed: its URL is its secret";
                faults.push(Fault::new("$.secret", message));
            }
        }
        faults
    }

    async fn within_reach(&self, text: &str) -> Result<(), String> {
        let url = checked_url(text)?;
        let port = url.port_or_known_default().unwrap_or(443);
        let host = url.host_str().unwrap_or_default();
        let resolved = self.shared.reach.resolve(host, port).await;
        resolved.map(drop).map_err(|error| error.to_string())
    }

    /// Tells a channel of an alert: one attempt.
    ///
    /// # Errors
    /// `Retry` if it may work later; `Config` and `Forbidden` if the channel has to be changed
    /// first, `Fatal` if it does not take the message.
    pub async fn tell(
        &self,
        channel: &AlertChannel,
        message: &Message<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), SinkError> {
        let url = checked_url(&channel.url).map_err(|fault| SinkError::Config(fault.into()))?;
        check_literal(&self.shared.reach, &url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = self.request(channel, url, message, now)?;
        let response = request.send().await;
        let response = response.map_err(|error| unsent(&host, &error))?;
        let outcome = judged(&host, &response, now);
        drain(response).await;
        outcome
    }

    fn request(
        &self,
        channel: &AlertChannel,
        url: Url,
        message: &Message<'_>,
        now: DateTime<Utc>,
    ) -> Result<reqwest::RequestBuilder, SinkError> {
        let body = message.body(channel.channel_type);
        let mut request = self
            .shared
            .http
            .post(url)
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/json");
        if channel.channel_type == ChannelType::Webhook {
            let timestamp = u64::try_from(now.timestamp()).unwrap_or_default();
            request = request
                .header("webhook-id", message.id)
                .header("webhook-timestamp", timestamp);
            if let Some(secret) = &channel.secret {
                let broken = || SinkError::Config("the secret of the channel is no key".into());
                let secret = Secret::parse(secret).ok_or_else(broken)?;
                let signature = sign(message.id, timestamp, &body, &secret);
                request = request.header("webhook-signature", signature);
            }
        }
        Ok(request.body(body))
    }
}

fn judged(host: &str, response: &Response, now: DateTime<Utc>) -> Result<(), SinkError> {
    let status = response.status();
    let answered = |what: &str| format!("`{host}` answered HTTP {}{what}", status.as_u16());
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(SinkError::Retry {
            what: answered(""),
            after: asked(response.headers(), now),
        }),
        _ if status.is_server_error() => Err(SinkError::Retry {
            what: answered(""),
            after: asked(response.headers(), now),
        }),
        _ if status.is_redirection() => Err(SinkError::fatal(answered(
            ", which is not followed: put the final URL into `url`",
        ))),
        _ => Err(SinkError::fatal(answered(": it does not take the message"))),
    }
}

/// The pause that an answer asks for.
fn asked(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    pause(value, now, MOST_PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_is_given_text_without_mark_up() {
        let alert = json!({"explanation": "Policy \"<!channel> & co\" found a value"});
        let message = Message {
            id: "sga_1",
            at: DateTime::UNIX_EPOCH,
            alert: &alert,
        };
        let body: Value = serde_json::from_slice(&message.body(ChannelType::Slack)).unwrap();
        let text = "Policy \"&lt;!channel&gt; &amp; co\" found a value";
        assert_eq!(body, json!({"text": text}));
        assert_eq!(
            unmarked("@all [look](https://example.com)\r\nnow"),
            "@\u{200b}all (look)(https://example.com)  now"
        );
        let body: Value = serde_json::from_slice(&message.body(ChannelType::Webhook)).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "content_policy.alert",
                "timestamp": "1970-01-01T00:00:00Z",
                "data": alert,
            })
        );
    }
}
