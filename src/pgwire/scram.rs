//! The messages of SCRAM-SHA-256 as the server reads and writes them. Pure: what is random, and
//! what a proof is checked against, are given.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::Fault;
use crate::principal::{ITERATIONS, Verifier};

/// The mechanism that is offered. Channel binding is not.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// An exchange of which the client's first message was read, and the server's is written.
#[derive(Debug)]
pub(super) struct Exchange {
    /// What comes before the client's message proper; it must come again in its last one.
    header: String,
    client_first: String,
    /// The server's first message.
    pub(super) server_first: String,
    nonce: String,
}

/// The client's last message.
#[derive(Debug)]
pub(super) struct Proven {
    auth_message: String,
    proof: [u8; 32],
}

impl Exchange {
    /// Reads the client's first message and answers it with a salt. `random` is used once.
    pub(super) fn begin(message: &[u8], salt: &[u8], random: [u8; 18]) -> Result<Exchange, Fault> {
        let message = std::str::from_utf8(message).map_err(|_| malformed())?;
        let mut parts = message.splitn(3, ',');
        let (flag, name) = (parts.next(), parts.next());
        // The account is told by the startup message, and by nothing here.
        let (Some(flag @ ("n" | "y")), Some("")) = (flag, name) else {
            return Err(malformed());
        };
        let client_first = parts.next().ok_or_else(malformed)?;
        let mut attributes = client_first.split(',');
        let user = attributes.next().unwrap_or_default();
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce
            .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()));
        let (true, Some(nonce)) = (user.starts_with("n="), nonce) else {
            return Err(malformed());
        };
        let nonce = format!("{nonce}{}", STANDARD.encode(random));
        let salt = STANDARD.encode(salt);
        Ok(Exchange {
            header: STANDARD.encode(format!("{flag},,")),
            client_first: client_first.to_owned(),
            server_first: format!("r={nonce},s={salt},i={ITERATIONS}"),
            nonce,
        })
    }

    /// Reads the client's last message.
    pub(super) fn finish(self, message: &[u8]) -> Result<Proven, Fault> {
        let message = std::str::from_utf8(message).map_err(|_| malformed())?;
        let (bare, proof) = message.rsplit_once(",p=").ok_or_else(malformed)?;
        let mut attributes = bare.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        if binding != Some(&self.header) || nonce != Some(&self.nonce) {
            return Err(malformed());
        }
        let proof = STANDARD.decode(proof).map_err(|_| malformed())?;
        Ok(Proven {
            auth_message: format!("{},{},{bare}", self.client_first, self.server_first),
            proof: proof.try_into().map_err(|_| malformed())?,
        })
    }
}

impl Proven {
    /// Whether the client knows what a verifier was made of.
    pub(super) fn fits(&self, verifier: &Verifier) -> bool {
        verifier.accepts(&self.auth_message, &self.proof)
    }

    /// The server's last message.
    pub(super) fn server_final(&self, verifier: &Verifier) -> String {
        let signature = verifier.signature(&self.auth_message);
        format!("v={}", STANDARD.encode(signature))
    }
}

fn malformed() -> Fault {
    Fault::protocol("malformed SCRAM message: expected SCRAM-SHA-256 without channel binding")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    const SALT: &[u8] = b"0123456789abcdef";
    const FIRST: &[u8] = b"n,,n=,r=client";

    /// The last message of a client who knows a password, made without the code under test but
    /// for the key derivation.
    fn last(exchange: &Exchange, header: &str, password: &str) -> String {
        let nonce = exchange.nonce.as_str();
        let bare = format!("c={},r={nonce}", STANDARD.encode(header));
        let message = format!("n=,r=client,{},{bare}", exchange.server_first);
        let hmac = |key: &[u8], text: &[u8]| -> Vec<u8> {
            use hmac::{Hmac, KeyInit, Mac};
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        };
        let mut salted = hmac(password.as_bytes(), &[SALT, &[0, 0, 0, 1]].concat());
        let mut last = salted.clone();
        for _ in 1..ITERATIONS {
            last = hmac(password.as_bytes(), &last);
            salted.iter_mut().zip(&last).for_each(|(a, b)| *a ^= b);
        }
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        format!("{bare},p={}", STANDARD.encode(proof))
    }

    #[test]
    fn only_the_right_password_fits() {
        let verifier = Verifier::of("secret", SALT, ITERATIONS);
        for (password, fits) in [("secret", true), ("Secret", false), ("", false)] {
            let exchange = Exchange::begin(FIRST, SALT, [7; 18]).expect("well-formed");
            assert!(exchange.server_first.starts_with("r=client"));
            assert!(exchange.server_first.ends_with(",i=4096"));
            let last = last(&exchange, "n,,", password);
            let proven = exchange.finish(last.as_bytes()).expect("well-formed");
            assert_eq!(proven.fits(&verifier), fits, "{password:?}");
            assert!(proven.server_final(&verifier).starts_with("v="));
        }
    }

    #[test]
    fn malformed_first_messages_are_refused() {
        for message in [
            "",
            "n,,",
            "n,,n=",
            "n,,n=,r=",
            "n,,r=client,n=",
            "n,a=admin,n=,r=client",
            "p=tls-server-end-point,,n=,r=client",
            "x,,n=,r=client",
            "n,,m=ext,n=,r=client",
            "n,,n=,r=cli\u{7f}ent",
        ] {
            assert!(
                Exchange::begin(message.as_bytes(), SALT, [7; 18]).is_err(),
                "{message:?}"
            );
        }
        assert!(Exchange::begin(b"n,,n=,r=\xff", SALT, [7; 18]).is_err());
        assert!(Exchange::begin(b"y,,n=,r=client", SALT, [7; 18]).is_ok());
    }

    #[test]
    fn last_messages_of_other_exchanges_are_refused() {
        let exchange = || Exchange::begin(FIRST, SALT, [7; 18]).expect("well-formed");
        let good = last(&exchange(), "n,,", "secret");
        assert!(exchange().finish(good.as_bytes()).is_ok());
        let other = Exchange::begin(FIRST, SALT, [8; 18]).expect("well-formed");
        for message in [
            last(&exchange(), "y,,", "secret"),
            last(&other, "n,,", "secret"),
            good.replace(",p=", ",x="),
            good[..good.len() - 4].to_owned(),
            String::new(),
        ] {
            assert!(exchange().finish(message.as_bytes()).is_err(), "{message}");
        }
    }
}
