//! How many queries each account has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::QueryError;

/// Counts the open queries of each account; shared by all doors.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Arc<Mutex<HashMap<Uuid, u32>>>);

/// One open query; dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    account_id: Uuid,
}

impl Slots {
    /// Room for one more query of an account, of which `most` may be open.
    pub(super) fn enter(&self, account_id: Uuid, most: u32) -> Result<Slot, QueryError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(account_id).or_default();
        if *count >= most {
            return Err(QueryError::Busy(most));
        }
        *count += 1;
        Ok(Slot {
            slots: self.clone(),
            account_id,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.account_id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.account_id);
            }
        }
    }
}
