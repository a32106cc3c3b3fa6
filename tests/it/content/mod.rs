//! Content policies from end to end: what they find is withheld at every exit, or on record
//! before it leaves, and is told nowhere.

mod differential;
mod inspected;
mod leak;
mod named;
mod queries;
mod streamed;
mod syncs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Client, text};

/// What forbids payment cards.
pub(crate) const CARDS: &str = "Do not allow sharing of payment card numbers.";
/// What forbids addresses.
pub(crate) const EMAILS: &str = "Do not allow sharing of e-mail addresses.";

const LOG: u8 = 0;
const ALERT: u8 = 1;
const BLOCK: u8 = 2;

/// A number that no bank gave anybody: the issuer's digits, a rising row, and Luhn's check digit.
pub(crate) fn card() -> String {
    let digits = "400123456789012";
    let doubled = |(place, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap() * if place % 2 == 0 { 2 } else { 1 };
        digit / 10 + digit % 10
    };
    let sum: u32 = digits.chars().rev().enumerate().map(doubled).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// The number in groups of four.
pub(crate) fn spaced() -> String {
    let number = card();
    let groups: Vec<&str> = (0..4)
        .map(|group| &number[4 * group..4 * group + 4])
        .collect();
    groups.join(" ")
}

/// Whether a text has the number in it, in any of the ways that it is planted in.
pub(crate) fn tells(text: &str) -> bool {
    let number = card();
    let hex = |text: &str| -> String { text.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let bare: String = text.chars().filter(|c| !" -".contains(*c)).collect();
    let lower = text.to_lowercase();
    bare.contains(&number)
        || [hex(&number), hex(&spaced())]
            .iter()
            .any(|hex| lower.contains(hex))
        || lower.contains(&format!("\\u00{:02x}", number.as_bytes()[0]))
}

/// The body of a policy of the organisation, with what else it has.
pub(crate) fn body(me: &Value, content: &str, action: u8, more: Value) -> Value {
    let mut body = json!({
        "orgId": me["organization_id"], "name": format!("content {}", uuid::Uuid::now_v7()),
        "content": content, "riskType": "HIGH", "actionType": action,
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

/// Makes a policy; answers its id.
pub(crate) async fn forbid(client: &Client, content: &str, action: u8, more: Value) -> String {
    let me = client.get("/api/v1/me").await;
    let body = body(&me, content, action, more);
    let (status, answer) = client.ask(Method::POST, "/policy", Some(body)).await;
    assert!([200, 201].contains(&status), "{answer:#}");
    text(&answer["policy"]["id"])
}

/// What the policies found, as the API tells it.
pub(crate) async fn violations(client: &Client, kind: &str) -> Vec<Value> {
    let me = client.get("/api/v1/me").await;
    let org = text(&me["organization_id"]);
    let answer = client
        .get(&format!("/policy/{kind}?orgId={org}&take=100"))
        .await;
    assert!(!tells(&answer.to_string()), "{answer:#}");
    answer[kind].as_array().unwrap().clone()
}
