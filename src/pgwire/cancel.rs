//! Statements that are at work, so that another connection of their client can end them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// The statements at work on all connections.
#[derive(Clone, Default)]
pub(super) struct Statements(Arc<Mutex<HashMap<u32, Entry>>>);

struct Entry {
    secret: [u8; 4],
    /// The statement at work, if one is.
    at_work: Option<CancellationToken>,
}

impl Statements {
    /// A place for a new connection.
    pub(super) fn enter(&self) -> Place {
        let secret: [u8; 4] = rand::random();
        let mut entries = self.entries();
        loop {
            // Some clients take the number for a signed one and expect it to be positive.
            let number = rand::random::<u32>() >> 1;
            if number == 0 || entries.contains_key(&number) {
                continue;
            }
            let at_work = None;
            entries.insert(number, Entry { secret, at_work });
            return Place {
                statements: self.clone(),
                number,
                secret,
            };
        }
    }

    /// Ends the statement at work on a connection, for whoever knows its secret.
    pub(super) fn cancel(&self, number: u32, secret: &[u8]) {
        let entries = self.entries();
        let Some(entry) = entries.get(&number) else {
            return;
        };
        let knows: bool = entry.secret.as_slice().ct_eq(secret).into();
        if let (true, Some(token)) = (knows, &entry.at_work) {
            token.cancel();
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u32, Entry>> {
        // Nothing that is done while it is held leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection; it is given up when the value is dropped.
pub(super) struct Place {
    statements: Statements,
    /// The number of the connection, which PostgreSQL calls a process.
    pub(super) number: u32,
    /// What shows that somebody is its client.
    pub(super) secret: [u8; 4],
}

impl Place {
    /// Begins a statement; the token is cancelled if the client gives it up.
    pub(super) fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        if let Some(entry) = self.statements.entries().get_mut(&self.number) {
            entry.at_work = Some(token.clone());
        }
        token
    }

    /// Ends the statement: whoever wants to cancel it comes too late.
    pub(super) fn end(&self) {
        if let Some(entry) = self.statements.entries().get_mut(&self.number) {
            entry.at_work = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.statements.entries().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_secret_cancels_and_only_what_is_at_work() {
        let statements = Statements::default();
        let (mine, other) = (statements.enter(), statements.enter());
        let (my_token, other_token) = (mine.begin(), other.begin());
        statements.cancel(mine.number, &other.secret.map(|byte| byte ^ 1));
        statements.cancel(mine.number, &[]);
        statements.cancel(0, &mine.secret);
        assert!(!my_token.is_cancelled());
        statements.cancel(mine.number, &mine.secret);
        assert!(my_token.is_cancelled() && !other_token.is_cancelled());
        let next = mine.begin();
        assert!(!next.is_cancelled());
        mine.end();
        statements.cancel(mine.number, &mine.secret);
        assert!(!next.is_cancelled());
        let (number, secret) = (mine.number, mine.secret);
        drop(mine);
        statements.cancel(number, &secret);
        assert_eq!(statements.entries().len(), 1);
    }
}
