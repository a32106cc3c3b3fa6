//! API keys: their text, what the store knows of them, and what they may be used for.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Permissions;

/// An API key as the store knows it: the key itself is shown once and kept only as a digest.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Identifier.
    pub id: Uuid,
    /// The account it speaks for.
    pub account_id: Uuid,
    /// Display name.
    pub name: String,
    /// What it may be used for; `*` for everything its account may do.
    pub scopes: Vec<String>,
    /// When it stops working.
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute; `None` if it never was.
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
}

/// The text of an API key, `sgk_<public id>_<secret>`. A bootstrap key may have any other form.
///
/// It is compared and stored as a digest, found by its public id, and shown once.
#[derive(Clone)]
pub struct KeyText(String);

impl KeyText {
    /// Whether a text can be a key: 1 to 200 visible ASCII characters.
    pub fn is_valid(text: &str) -> bool {
        (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// A key as a caller or an operator gave it; `None` if it can be none.
    pub fn new(text: &str) -> Option<KeyText> {
        KeyText::is_valid(text).then(|| KeyText(text.to_owned()))
    }

    /// A new key from random bytes: 8 become the public id, 32 the secret.
    pub fn from_random(public: [u8; 8], secret: [u8; 32]) -> KeyText {
        KeyText(format!("sgk_{}_{}", hex(&public), hex(&secret)))
    }

    /// What the store finds the key by. It tells nothing of the secret: for a key of another
    /// form it is a digest of its own.
    pub fn public_id(&self) -> String {
        let parts = self
            .0
            .strip_prefix("sgk_")
            .and_then(|rest| rest.split_once('_'));
        match parts {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => id.to_owned(),
            _ => {
                let digest = Sha256::digest(format!("syncguard public id\n{}", self.0));
                hex(digest.get(..8).unwrap_or_default())
            }
        }
    }

    /// SHA-256 of the whole key. Keys are random, so that a slow digest would protect nothing.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// Whether the key has a digest; takes the same time whatever the answer.
    pub fn matches(&self, digest: &[u8]) -> bool {
        self.digest().as_slice().ct_eq(digest).into()
    }

    /// The key itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText(********)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a key may have a scope: `*`, `governance:review`, or a permission of the catalog with
/// a colon, such as `syncs:trigger`.
pub fn is_scope(scope: &str) -> bool {
    matches!(scope, "*" | "governance:review") || permission_of(scope).is_some()
}

/// The permissions that scopes cover; `*` covers all.
pub(super) fn in_scope(scopes: &[String]) -> Permissions {
    scopes.iter().fold(Permissions::NONE, |set, scope| {
        set | match scope.as_str() {
            "*" => Permissions::ALL,
            scope => permission_of(scope).unwrap_or_default(),
        }
    })
}

/// The permission `syncs.trigger` is the scope `syncs:trigger`.
fn permission_of(scope: &str) -> Option<Permissions> {
    let (category, action) = scope.split_once(':')?;
    Permissions::of(&format!("{category}.{action}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_public_id_and_told_by_its_digest() {
        let key = KeyText::from_random([7; 8], [9; 32]);
        assert_eq!(key.public_id(), "0707070707070707");
        let same = KeyText::new(key.expose()).expect("a key");
        assert!(same.matches(&key.digest()));
        let other = KeyText::from_random([7; 8], [8; 32]);
        assert_eq!(other.public_id(), key.public_id());
        assert!(!other.matches(&key.digest()));
        assert!(!key.matches(&[]));
        assert!(!format!("{key:?}").contains("0909"));
    }

    #[test]
    fn a_bootstrap_key_of_any_form_has_a_public_id_that_tells_nothing() {
        for text in ["secret", "sgk_", "sgk_only", "sgk__x", "sgk_x_"] {
            let id = KeyText::new(text).expect("a key").public_id();
            assert_eq!(id.len(), 16, "{text}");
            assert!(!id.contains(text), "{text}");
        }
        assert!(KeyText::new("").is_none() && KeyText::new("two words").is_none());
    }

    #[test]
    fn scopes_are_permissions_with_a_colon() {
        for good in ["*", "syncs:trigger", "governance:review"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in [
            "",
            "syncs",
            "syncs.trigger",
            "syncs:fly",
            "**",
            "governance:*",
        ] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
