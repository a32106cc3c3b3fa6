//! Who calls: every call is authenticated here, and none is remembered for the next.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use tonic::Status;

use super::Door;
use super::accept::Known;
use super::status::{store_fault, stranger};
use crate::principal::{KeyText, Principal};

/// The headers that name a workspace; the first that is there counts.
const WORKSPACE: [&str; 2] = ["x-syncguard-workspace", "database"];
/// Decodes with and without padding: some drivers leave it out.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// How long the values of parameters may take to arrive.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(30);

/// A caller with a working API key.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// The key that was presented.
    pub(super) key: KeyText,
    /// The workspace that is asked for, by its name.
    pub(super) workspace: Option<String>,
}

/// Lets a call pass if its key works; whoever answers it finds the [`Caller`].
pub(super) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let caller = match authenticate(&door, request.headers()).await {
        Ok(caller) => caller,
        Err(status) => return status.into_http(),
    };
    if let Some(known) = request.extensions().get::<Known>() {
        known.set();
    }
    let uploads = request.uri().path().ends_with("/DoPut");
    request.extensions_mut().insert(caller);
    let answer = next.run(request);
    if !uploads {
        return answer.await;
    }
    match tokio::time::timeout(UPLOAD_PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Status::deadline_exceeded("what was put did not arrive in time").into_http(),
    }
}

/// Errors: the same whether there is no key, or an unknown, wrong, revoked or expired one, or one
/// of another account than the name that comes with it.
async fn authenticate(door: &Door, headers: &HeaderMap) -> Result<Caller, Status> {
    let (email, key) = presented(headers).ok_or_else(stranger)?;
    let found = door.store.authenticate(&key, (door.clock)()).await;
    let principal = found
        .map_err(|error| store_fault(&error))?
        .filter(|found| {
            email
                .as_ref()
                .is_none_or(|email| *email == found.account.email)
        })
        .ok_or_else(stranger)?;
    let workspace = WORKSPACE.iter().find_map(|name| headers.get(*name));
    Ok(Caller {
        principal,
        key,
        workspace: workspace.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()),
    })
}

/// The key of a call, and the e-mail address if there is one: `Bearer KEY`, or `Basic` of both.
fn presented(headers: &HeaderMap) -> Option<(Option<String>, KeyText)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((None, KeyText::new(credentials)?));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASIC.decode(credentials).ok()?).ok()?;
    let (email, key) = text.split_once(':')?;
    Some((Some(email.to_owned()), KeyText::new(key)?))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).expect("a header");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn key_is_presented_as_bearer_or_with_an_email() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let bare = |text: &str| format!("Basic {}", STANDARD_NO_PAD.encode(text));
        type Presented<'a> = Option<(Option<&'a str>, &'a str)>;
        let cases: [(String, Presented<'_>); 12] = [
            ("Bearer sgk_a_b".into(), Some((None, "sgk_a_b"))),
            ("bearer  sgk_a_b ".into(), Some((None, "sgk_a_b"))),
            (basic("a@b.c:sgk_a_b"), Some((Some("a@b.c"), "sgk_a_b"))),
            (
                basic(":key:with:colons"),
                Some((Some(""), "key:with:colons")),
            ),
            (bare("a@b.c:sgk_a_b"), Some((Some("a@b.c"), "sgk_a_b"))),
            (bare("a@b.c:sgk_a_bc"), Some((Some("a@b.c"), "sgk_a_bc"))),
            (bare("a@b.c:sgk_a_bcd"), Some((Some("a@b.c"), "sgk_a_bcd"))),
            (basic("a@b.c"), None),
            (basic("a@b.c:"), None),
            ("Basic *".into(), None),
            ("Digest sgk_a_b".into(), None),
            ("sgk_a_b".into(), None),
        ];
        for (given, wanted) in cases {
            let found = presented(&headers(&given));
            let found = found.map(|(email, key)| (email, key.expose().to_owned()));
            let wanted = wanted.map(|(email, key)| (email.map(str::to_owned), key.to_owned()));
            assert_eq!(found, wanted, "{given}");
        }
        assert!(presented(&HeaderMap::new()).is_none());
    }
}
