//! Parts of lists: which of many objects are wanted, and in which order.

use uuid::Uuid;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Most objects, 1 to 100.
    pub limit: u32,
    /// How many to leave out before the first.
    pub offset: u64,
    /// Their order.
    pub sort: Sort,
}

/// The order of a list. Objects that are alike in the field follow their ids, so that no object
/// is on two pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field as the API names it: one of those that the list can be sorted by.
    pub field: &'static str,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// A part of a list, and how long the whole is.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The objects of the page.
    pub data: Vec<T>,
    /// How many objects there are in all.
    pub total: u64,
}

/// Whose resources a caller may know of, or change. Everybody who may read governance at all may know
/// of resources outside the catalog, which are the organisation's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purview {
    /// All of the organisation's.
    Everything,
    /// Those of these workspaces.
    Workspaces(Vec<Uuid>),
}

impl Purview {
    /// Whether what concerns a resource may be changed; `None` is the workspace of one outside.
    pub fn governs(&self, workspace_id: Option<Uuid>) -> bool {
        workspace_id.is_some_and(|id| self.covers(Some(id))) || *self == Purview::Everything
    }

    /// Whether it covers a workspace; `None` is that of a resource outside.
    pub fn covers(&self, workspace_id: Option<Uuid>) -> bool {
        match (self, workspace_id) {
            (Purview::Everything, _) | (_, None) => true,
            (Purview::Workspaces(ids), Some(id)) => ids.contains(&id),
        }
    }
}
