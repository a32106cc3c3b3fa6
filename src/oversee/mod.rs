//! Compliance as it is used: facts learnt and policies evaluated at the moment of asking, the
//! admission check before a sync, reviews, solutions with their snapshots.
//!
//! `facts` learns what is known of a resource; `check` evaluates the policies that instances bind
//! to it, and `admission` does so for the resources of a sync; `solution` puts the checks of a
//! solution together, `snapshot` keeps what they came to, and `clockwork` takes those snapshots
//! that nobody asks for.

mod admission;
mod check;
mod clockwork;
mod facts;
mod snapshot;
mod solution;

use crate::compliance::Enforcement;
use crate::store::Store;

pub use clockwork::Clock;

/// Oversees compliance. Cheap to clone.
#[derive(Clone)]
pub struct Overseer {
    store: Store,
    enforcement: Enforcement,
}

impl Overseer {
    /// An overseer over a store, and the table that tells what blocks.
    pub fn new(store: Store, enforcement: Enforcement) -> Overseer {
        Overseer { store, enforcement }
    }
}
