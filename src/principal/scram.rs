//! What SCRAM-SHA-256 (RFC 5802, RFC 7677) checks a key by, so that a protocol can ask for a
//! proof of it and never sees the key itself.
//!
//! Nothing is prepared by SASLprep: keys are visible ASCII, which it leaves as it is.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How often the digest is repeated that a client has to compute.
pub const ITERATIONS: u32 = 4096;

/// What a key is checked by. It opens nothing by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verifier {
    /// SHA-256 of the client's key: what a proof is checked against.
    pub stored_key: [u8; 32],
    /// What the server proves with that it knows the key, too.
    pub server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(********)")
    }
}

impl Verifier {
    /// The verifier of a password. This is slow by intent.
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        let salted = pbkdf2(password.as_bytes(), salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        Verifier {
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Whether a proof shows that its maker knows the password; takes the same time whatever the
    /// answer.
    pub fn accepts(&self, auth_message: &str, proof: &[u8; 32]) -> bool {
        let signature = hmac(&self.stored_key, auth_message.as_bytes());
        let mut client_key = [0; 32];
        for ((byte, proof), signature) in client_key.iter_mut().zip(proof).zip(signature) {
            *byte = proof ^ signature;
        }
        Sha256::digest(client_key)
            .as_slice()
            .ct_eq(&self.stored_key)
            .into()
    }

    /// What shows the client that the server knows the password.
    pub fn signature(&self, auth_message: &str) -> [u8; 32] {
        hmac(&self.server_key, auth_message.as_bytes())
    }
}

/// What the salts of a deployment are derived from.
#[derive(Clone, Copy)]
pub struct SaltSecret([u8; 32]);

impl std::fmt::Debug for SaltSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SaltSecret(********)")
    }
}

impl SaltSecret {
    /// The secret that the store keeps.
    pub fn new(secret: [u8; 32]) -> SaltSecret {
        SaltSecret(secret)
    }

    /// The salt of an account: all its keys share it, since a client has to be told the salt
    /// before it can show which of them it has.
    pub fn of_account(&self, id: Uuid) -> [u8; 16] {
        self.derive(&format!("salt of {id}"))
    }

    /// The salt that somebody is told who gives a name that no account has: always the same one,
    /// as that of an account would be.
    pub fn of_stranger(&self, name: &str) -> [u8; 16] {
        self.derive(&format!("salt of nobody called {name}"))
    }

    /// A verifier that no password has.
    pub fn mock(&self) -> Verifier {
        Verifier {
            stored_key: hmac(&self.0, b"stored key of nobody"),
            server_key: hmac(&self.0, b"server key of nobody"),
        }
    }

    fn derive(&self, text: &str) -> [u8; 16] {
        let digest = hmac(&self.0, text.as_bytes());
        digest.first_chunk().copied().unwrap_or_default()
    }
}

/// PBKDF2 with HMAC-SHA-256 and one block of output, which SCRAM calls Hi.
fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = keyed(password);
    let round = |message: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        message.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = round(&[&last]);
        for (sum, byte) in sum.iter_mut().zip(last) {
            *sum ^= byte;
        }
    }
    sum
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("a key of any length")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// The exchange of RFC 7677, section 3.
    const AUTH_MESSAGE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    #[test]
    fn exchange_of_rfc_7677_is_accepted_and_answered() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let proof = STANDARD
            .decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            .expect("base64");
        let mut proof: [u8; 32] = proof.try_into().expect("32 bytes");
        let verifier = Verifier::of("pencil", &salt, ITERATIONS);
        assert!(verifier.accepts(AUTH_MESSAGE, &proof));
        let signature = STANDARD.encode(verifier.signature(AUTH_MESSAGE));
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(!Verifier::of("pencils", &salt, ITERATIONS).accepts(AUTH_MESSAGE, &proof));
        proof[31] ^= 1;
        assert!(!verifier.accepts(AUTH_MESSAGE, &proof));
    }

    #[test]
    fn salts_are_steady_and_told_apart() {
        let secret = SaltSecret::new([1; 32]);
        let account = Uuid::nil();
        assert_eq!(secret.of_account(account), secret.of_account(account));
        let others = [
            secret.of_stranger("ada"),
            secret.of_stranger("bo"),
            secret.of_stranger(&account.to_string()),
            SaltSecret::new([2; 32]).of_account(account),
        ];
        for other in others {
            assert_ne!(secret.of_account(account), other);
        }
        assert!(!format!("{secret:?}{:?}", secret.mock()).contains('1'));
    }
}
