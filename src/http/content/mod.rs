//! `/policy`: content policies, as seeds 001 and 002 have them.

pub(crate) mod envelope;
pub(crate) mod policies;
pub(crate) mod scope;
pub(crate) mod violations;
