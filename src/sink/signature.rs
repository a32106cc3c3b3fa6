//! Signatures as Standard Webhooks has them, and keys by which a repeated delivery is known.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The key that deliveries are signed with.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// The secret of a configuration: `whsec_` and base64, or plain text. `None` if it is empty
    /// or no base64.
    pub(super) fn parse(text: &str) -> Option<Secret> {
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).ok()?,
            None => text.as_bytes().to_vec(),
        };
        (!bytes.is_empty()).then_some(Secret(bytes))
    }
}

/// The value of `webhook-signature` for a body, its id and its time in Unix seconds.
pub(super) fn sign(id: &str, timestamp: u64, body: &[u8], secret: &Secret) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).expect("a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The id of a delivery: the same content at the same place of a run has the same one, and no
/// other has. Without the place, records that are equal by right would look like a repetition.
pub(super) fn delivery_id(run_id: Uuid, place: u64, body: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(run_id.as_bytes())
        .chain_update(place.to_be_bytes())
        .chain_update(body)
        .finalize();
    let mut id = String::from("sgb_");
    for byte in digest.iter().take(16) {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_of_standard_webhooks_is_met() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("secret");
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, &secret),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_plain_secret_signs_as_rfc_2104_says() {
        let secret = Secret::parse(
            "a secret longer than one block of the hash function, which is sixty-four bytes",
        )
        .expect("secret");
        let block = |pad: u8| {
            let mut key = [0_u8; 64];
            for (to, from) in key.iter_mut().zip(Sha256::digest(&secret.0)) {
                *to = from;
            }
            key.map(|byte| byte ^ pad)
        };
        let inner = Sha256::new()
            .chain_update(block(0x36))
            .chain_update("id.7.body")
            .finalize();
        let outer = Sha256::new()
            .chain_update(block(0x5c))
            .chain_update(inner)
            .finalize();
        assert_eq!(
            sign("id", 7, b"body", &secret),
            format!("v1,{}", STANDARD.encode(outer))
        );
    }

    #[test]
    fn a_broken_secret_is_none() {
        for text in ["", "whsec_", "whsec_%%%"] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_same_content_has_the_same_id_within_a_run_only() {
        let (run, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(delivery_id(run, 7, b"x"), delivery_id(run, 7, b"x"));
        assert_ne!(delivery_id(run, 7, b"x"), delivery_id(run, 7, b"y"));
        assert_ne!(delivery_id(run, 7, b"x"), delivery_id(run, 8, b"x"));
        assert_ne!(delivery_id(run, 7, b"x"), delivery_id(other, 7, b"x"));
        assert_eq!(delivery_id(run, 7, b"x").len(), 36);
    }
}
