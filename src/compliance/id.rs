//! Identifiers as the API shows them: a prefix that tells what they name, and a UUID's 32 digits.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// A text that is no identifier of the kind that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} and 32 hexadecimal digits")]
pub struct NoId(&'static str);

/// A UUID's 32 digits, in small letters.
fn digits(text: &str) -> Option<Uuid> {
    let plain = text.len() == 32 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    Uuid::try_parse(text).ok().filter(|_| plain)
}

macro_rules! ids {
    ($($(#[$about:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.simple())
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }

        impl FromStr for $name {
            type Err = NoId;

            fn from_str(text: &str) -> Result<Self, NoId> {
                let id = text.strip_prefix($prefix).and_then(digits);
                id.map($name).ok_or(NoId($prefix))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let pattern = concat!("^", $prefix, "[0-9a-f]{32}$");
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
                RefOr::T(text.into())
            }
        }
    )*};
}

ids! {
    /// The organisation.
    OrganizationId, "org_";
    /// A policy.
    PolicyId, "pol_";
    /// A policy instance.
    InstanceId, "pinst_";
    /// A solution.
    SolutionId, "sol_";
    /// A compliance snapshot.
    SnapshotId, "snap_";
    /// An attestation.
    AttestationId, "att_";
    /// A policy template.
    TemplateId, "tmpl_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = PolicyId(Uuid::from_u128(7));
        assert_eq!(id.to_string(), "pol_00000000000000000000000000000007");
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            "",
            "pol_",
            "pol_abc123",
            "sol_00000000000000000000000000000007",
            "00000000000000000000000000000007",
            "pol_0000000000000000000000000000000F",
            "pol_00000000-0000-0000-0000-000000000007",
        ] {
            assert!(other.parse::<PolicyId>().is_err(), "{other}");
        }
    }
}
