//! Query parameters, taken apart one by one so that every fault is reported at once.

use std::collections::BTreeMap;

use super::error::ApiError;
use crate::policy::Fault;

/// The parameters of a query, with the faults found so far.
pub(crate) struct Query {
    left: BTreeMap<String, String>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Query {
    /// Reads the text after the `?`.
    pub(crate) fn read(query: &str) -> Query {
        let mut left = BTreeMap::new();
        let mut faults = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let path = format!("$query.{name}");
            if left.insert(name.into_owned(), value.into_owned()).is_some() {
                faults.push(Fault::new(path, "the parameter comes twice"));
            }
        }
        Query {
            left,
            known: Vec::new(),
            faults,
        }
    }

    /// A parameter that may be absent; `parse` answers `None` where it is not what is expected.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.known.push(name);
        let text = self.left.remove(name)?;
        let value = parse(&text);
        if value.is_none() {
            let message = format!("expected {expected}");
            self.faults
                .push(Fault::new(format!("$query.{name}"), message));
        }
        value
    }

    /// A parameter that must be there. Answers a stand-in where it is not or is faulty: nothing
    /// may be done with it before [`Query::finish`] has agreed.
    pub(crate) fn require<T: Default>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        if !self.left.contains_key(name) {
            let message = format!("missing; expected {expected}");
            self.faults
                .push(Fault::new(format!("$query.{name}"), message));
        }
        self.take(name, expected, parse).unwrap_or_default()
    }

    /// Refuses unknown parameters, and everything if there was any fault.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        let expected = self.known.join(", ");
        for name in self.left.keys() {
            let message = format!("unknown parameter; expected {expected}");
            self.faults
                .push(Fault::new(format!("$query.{name}"), message));
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.faults))
        }
    }
}
