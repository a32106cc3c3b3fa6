//! Configurations as they are sent: secrets that the sender left as they were shown are kept,
//! but only for the place they were written for.

use serde_json::{Map, Value};

use super::body::Fields;
use crate::catalog::{REDACTED, merged_config};

/// The configuration to store, from the one that is stored and the one that was sent.
///
/// Whoever may change a URL may not thereby send a secret they cannot read to another host.
pub(crate) fn written_config(
    fields: &mut Fields,
    stored: Option<&Map<String, Value>>,
    sent: Map<String, Value>,
) -> Map<String, Value> {
    let empty = Map::new();
    let stored = stored.unwrap_or(&empty);
    let merged = merged_config(stored, sent.clone());
    let moved = origin(stored) != origin(&merged);
    for (key, value) in &merged {
        let kept = sent.get(key) != Some(value);
        if (kept && moved) || shows_redacted(value) {
            let message = format!(
                "{REDACTED} stands for a secret that is stored; it is kept while nothing around \
                 it changes: write the secret itself"
            );
            fields.fault(&format!("$.config.{key}"), message);
        }
    }
    merged
}

fn origin(config: &Map<String, Value>) -> Option<url::Origin> {
    let url = url::Url::parse(config.get("url")?.as_str()?).ok()?;
    // A database URL has an opaque origin, which equals nothing: take its authority.
    match url.origin() {
        url::Origin::Opaque(_) => Some(url::Origin::Tuple(
            url.scheme().to_owned(),
            url::Host::Domain(url.host_str().unwrap_or_default().to_owned()),
            url.port().unwrap_or_default(),
        )),
        origin => Some(origin),
    }
}

fn shows_redacted(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(REDACTED),
        Value::Object(object) => object.values().any(shows_redacted),
        Value::Array(items) => items.iter().any(shows_redacted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;

    async fn check(stored: Value, sent: Value) -> Result<Value, ()> {
        let mut fields = Fields::read(Body::from("{}")).await.expect("an object");
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let merged = written_config(&mut fields, Some(&object(stored)), object(sent));
        fields.finish().map(|()| merged.into()).map_err(|_| ())
    }

    #[tokio::test]
    async fn a_secret_stays_with_its_host() {
        let stored = json!({"url": "https://a.example/in", "secret": "s", "batch_size": 5});
        let same = json!({"url": "https://a.example/other", "secret": REDACTED});
        let kept = json!({"url": "https://a.example/other", "secret": "s"});
        assert_eq!(check(stored.clone(), same).await, Ok(kept));
        let moved = json!({"url": "https://b.example/in", "secret": REDACTED});
        assert_eq!(check(stored.clone(), moved).await, Err(()));
        let rewritten = json!({"url": "https://b.example/in", "secret": "t"});
        assert_eq!(check(stored, rewritten.clone()).await, Ok(rewritten));
    }

    #[tokio::test]
    async fn a_password_in_a_url_stays_with_the_whole_url() {
        let stored = json!({"url": "postgres://u:p@h/d"});
        let shown = json!({"url": format!("postgres://u:{REDACTED}@h/d")});
        assert_eq!(check(stored.clone(), shown).await, Ok(stored.clone()));
        let moved = json!({"url": format!("postgres://u:{REDACTED}@elsewhere/d")});
        assert_eq!(check(stored, moved).await, Err(()));
    }

    #[tokio::test]
    async fn headers_are_written_together() {
        let stored = json!({"url": "https://a.example", "headers": {"x": "1"}});
        let shown = json!({"url": "https://a.example", "headers": {"x": REDACTED}});
        assert_eq!(check(stored.clone(), shown).await, Ok(stored.clone()));
        let more = json!({"url": "https://a.example", "headers": {"x": REDACTED, "y": "2"}});
        assert_eq!(check(stored, more).await, Err(()));
    }
}
