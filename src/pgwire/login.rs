//! Who is let in: an account, by any of its keys, into a workspace that it is a member of.
//!
//! Whether an address belongs to an account is told to nobody: for one that belongs to none the
//! messages, their order and the work are the same, and the password is wrong.

use bytes::Bytes;
use pgwire::messages::startup::Authentication;

use super::Door;
use super::fault::{Fault, Trouble, encode};
use super::link::{Frame, Link};
use super::message::Fields;
use super::scram::{Exchange, MECHANISM};
use super::startup::MOST;
use crate::catalog::Workspace;
use crate::principal::Principal;
use crate::query::QueryError;
use crate::store::Candidates;

/// Keys of one account that a password is compared with, the newest first.
const KEYS: u32 = 100;
/// The database that clients name who are told of none and go to one that is always there.
const USUAL: &str = "postgres";

/// Lets somebody in who proves to hold a key of the account with the address `user`. That the
/// login is complete is left to be said.
pub(super) async fn log_in(
    door: &Door,
    link: &mut Link,
    user: &str,
    database: Option<&str>,
) -> Result<(Principal, Workspace), Trouble> {
    let now = (door.clock)();
    let secret = door.store.salt_secret().await?;
    let found = door.store.candidates(user, KEYS, now).await?;
    // Both are computed, whoever it is.
    let salt_of_stranger = secret.of_stranger(user);
    let salt_of_account = found
        .as_ref()
        .map(|found| secret.of_account(found.account.id));
    let salt = salt_of_account.unwrap_or(salt_of_stranger);

    let mechanisms = Authentication::SASL(vec![MECHANISM.to_owned()]);
    encode(&mechanisms, &mut link.out);
    link.flush().await?;
    let mut first = Fields(response(link).await?);
    if first.text()? != MECHANISM {
        let message = format!("unknown SASL mechanism: expected {MECHANISM}");
        return Err(Fault::protocol(message).into());
    }
    let message = first.value()?.unwrap_or_default();
    first.end()?;
    let exchange = Exchange::begin(&message, &salt, rand::random())?;
    let server_first = Bytes::from(exchange.server_first.clone());
    encode(&Authentication::SASLContinue(server_first), &mut link.out);
    link.flush().await?;
    let proven = exchange.finish(&response(link).await?)?;

    // As many comparisons for an account with one key, or for none, as for one with all of them.
    let mock = secret.mock();
    let (account, mut keys) = match found {
        Some(Candidates { account, keys }) => (Some(account), keys.into_iter()),
        None => (None, Vec::new().into_iter()),
    };
    let mut fitting = None;
    for _ in 0..KEYS {
        let candidate = keys.next();
        let verifier = candidate.as_ref().map_or(&mock, |(_, verifier)| verifier);
        if proven.fits(verifier) && fitting.is_none() {
            fitting = candidate;
        }
    }
    let (Some(account), Some((key, verifier))) = (account, fitting) else {
        let message = format!("password authentication failed for user \"{user}\"");
        return Err(Fault::fatal("28P01", message).into());
    };
    let server_final = Bytes::from(proven.server_final(&verifier));
    encode(&Authentication::SASLFinal(server_final), &mut link.out);
    let principal = door.store.admit(account, key, now).await?;
    let workspace = workspace(door, &principal, user, database).await?;
    Ok((principal, workspace))
}

/// The workspace of the database's name. Where none is named, or the user's own name or the usual
/// one is, as clients do who are told of none, it is the account's only one.
async fn workspace(
    door: &Door,
    principal: &Principal,
    user: &str,
    database: Option<&str>,
) -> Result<Workspace, Trouble> {
    let named = database.filter(|name| *name != user);
    let account_id = principal.account.id;
    let found = match door.querier.workspace(account_id, named).await {
        Err(QueryError::NoWorkspace) if named == Some(USUAL) => {
            door.querier.workspace(account_id, None).await
        }
        found => found,
    };
    match found {
        Ok(workspace) => Ok(workspace),
        Err(QueryError::NoWorkspace) => {
            let message = match named {
                Some(name) => format!("database \"{name}\" does not exist"),
                None => {
                    "name a workspace as the database: this account has none, or several".to_owned()
                }
            };
            Err(Fault::fatal("3D000", message).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The client's next message of the exchange.
async fn response(link: &mut Link) -> Result<Bytes, Trouble> {
    match link.frame(MOST).await? {
        Some(Frame { tag: b'p', body }) => Ok(body),
        Some(_) => Err(Fault::protocol("expected a message of the password exchange").into()),
        None => Err(Trouble::Gone),
    }
}
