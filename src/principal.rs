//! Who asks, and what they may do: accounts, API keys and their scopes, the permission catalog
//! and the system roles of seed 003.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::{Uuid, uuid};

/// A person or a program that holds API keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    /// Identifier.
    pub id: Uuid,
    /// Unique e-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Picture.
    pub avatar_url: Option<String>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// An API key as the store knows it: the key itself is shown once and kept only as a digest.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    pub expires_at: Option<DateTime<Utc>>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
}

/// Owner: everything.
pub const OWNER: Uuid = uuid!("00000000-0000-0000-0000-000000000001");
/// Admin: everything except billing and handing over ownership.
pub const ADMIN: Uuid = uuid!("00000000-0000-0000-0000-000000000002");
/// Member: standard access, no workspace settings and no policies.
pub const MEMBER: Uuid = uuid!("00000000-0000-0000-0000-000000000003");

/// The permission catalog of seed 003: category, and the actions of that category.
pub const PERMISSIONS: [(&str, &[&str]); 13] = [
    ("sources", &["read", "write", "delete"]),
    ("models", &["read", "write", "delete"]),
    ("destinations", &["read", "write", "delete"]),
    ("syncs", &["read", "write", "delete", "trigger"]),
    ("audiences", &["read", "write", "delete"]),
    ("traits", &["read", "write", "delete"]),
    ("identity_graphs", &["read", "write", "delete", "trigger"]),
    ("journeys", &["read", "write", "delete", "activate"]),
    ("events", &["read", "write", "delete"]),
    ("loaders", &["read", "write", "delete", "trigger"]),
    ("governance", &["read", "write"]),
    ("insights", &["read"]),
    ("workspace", &["read", "write", "members"]),
];

/// Whether a role grants a permission such as `syncs.trigger`. An unknown role or permission
/// grants nothing.
pub fn role_grants(role_id: Uuid, permission: &str) -> bool {
    let Some((category, action)) = permission.split_once('.') else {
        return false;
    };
    let known = PERMISSIONS
        .iter()
        .any(|(c, actions)| *c == category && actions.contains(&action));
    known
        && match role_id {
            OWNER | ADMIN => true,
            MEMBER => match category {
                "workspace" | "governance" => action == "read",
                _ => true,
            },
            _ => false,
        }
}

/// A caller who was authenticated: an account through one of its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The account.
    pub account: Account,
    /// The key that was used.
    pub key_id: Uuid,
    /// The key's scopes.
    pub scopes: Vec<String>,
}

impl Principal {
    /// Whether the key's scopes cover a permission. The permission `syncs.trigger` is the scope
    /// `syncs:trigger`; `*` covers all.
    pub fn in_scope(&self, permission: &str) -> bool {
        let wanted = permission.replacen('.', ":", 1);
        self.scopes
            .iter()
            .any(|scope| scope == "*" || *scope == wanted)
    }
}

/// Who changes something, when, and by which request: what the audit log tells of every change.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// The account.
    pub account_id: Uuid,
    /// The key it used; `None` where a process of ours acts for it.
    pub key_id: Option<Uuid>,
    /// The request, as its answer names it.
    pub request_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
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
    matches!(scope, "*" | "governance:review")
        || scope.split_once(':').is_some_and(|(category, action)| {
            PERMISSIONS
                .iter()
                .any(|(c, actions)| *c == category && actions.contains(&action))
        })
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
