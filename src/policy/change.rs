//! Changes to what guards are compiled from: what a revision consists of, and how it is undone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    AccessCategory, AccessPolicy, Assignment, ContentPolicy, DestinationPolicy, PolicySet, Revision,
};
use crate::catalog::Model;

/// One object created, replaced or deleted. At least one side is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit<T> {
    /// The object as it was; `None` where it is created.
    pub before: Option<Arc<T>>,
    /// The object as it will be; `None` where it is deleted.
    pub after: Option<Arc<T>>,
}

impl<T> Edit<T> {
    /// A new object.
    pub fn create(after: T) -> Self {
        Edit {
            before: None,
            after: Some(Arc::new(after)),
        }
    }

    /// An object in place of the one with its id.
    pub fn update(before: Arc<T>, after: T) -> Self {
        Edit {
            before: Some(before),
            after: Some(Arc::new(after)),
        }
    }

    /// An object's end.
    pub fn delete(before: Arc<T>) -> Self {
        Edit {
            before: Some(before),
            after: None,
        }
    }

    /// The object after the edit or, where it is deleted, before.
    pub fn object(&self) -> Option<&Arc<T>> {
        self.after.as_ref().or(self.before.as_ref())
    }

    fn inverse(self) -> Self {
        Edit {
            before: self.after,
            after: self.before,
        }
    }
}

/// A change to what guards are compiled from. The changes that are committed together make one
/// revision.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A destination policy.
    DestinationPolicy(Edit<DestinationPolicy>),
    /// A category of access policies.
    AccessCategory(Edit<AccessCategory>),
    /// An access policy.
    AccessPolicy(Edit<AccessPolicy>),
    /// An access policy's place with a group.
    Assignment(Edit<Assignment>),
    /// The workspace's demand for a destination policy.
    RequireDestinationPolicy {
        /// As it was.
        before: bool,
        /// As it will be.
        after: bool,
    },
    /// A model: its query, or the columns that policies are compiled against.
    Model(Edit<Model>),
    /// A content policy, be it of this workspace or of the organisation. It makes a revision of
    /// every workspace that it is for, and no workspace's restoration undoes it.
    ContentPolicy(Edit<ContentPolicy>),
}

impl Change {
    /// The kind of its object, as revisions and the audit log name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Change::DestinationPolicy(_) => "destination_policy",
            Change::AccessCategory(_) => "access_category",
            Change::AccessPolicy(_) => "access_policy",
            Change::Assignment(_) => "access_policy_assignment",
            Change::RequireDestinationPolicy { .. } => "workspace",
            Change::Model(_) => "model",
            Change::ContentPolicy(_) => "content_policy",
        }
    }

    /// The id of its object; a workspace's own setting has none.
    pub fn object_id(&self) -> Option<Uuid> {
        match self {
            Change::DestinationPolicy(edit) => edit.object().map(|object| object.id),
            Change::AccessCategory(edit) => edit.object().map(|object| object.id),
            Change::AccessPolicy(edit) => edit.object().map(|object| object.id),
            Change::Assignment(edit) => edit.object().map(|object| object.id),
            Change::RequireDestinationPolicy { .. } => None,
            Change::Model(edit) => edit.object().map(|object| object.id),
            Change::ContentPolicy(edit) => edit.object().map(|object| object.id),
        }
    }

    /// Its object before and after, as callers of the API see it; of a category also what it
    /// remembers, if anything.
    pub fn sides(&self) -> (Option<Value>, Option<Value>) {
        fn sides<T>(edit: &Edit<T>, shown: impl Fn(&T) -> Value) -> (Option<Value>, Option<Value>) {
            let shown = |object: &Option<Arc<T>>| object.as_deref().map(&shown);
            (shown(&edit.before), shown(&edit.after))
        }
        match self {
            Change::DestinationPolicy(edit) => sides(edit, |object| json!(object)),
            Change::AccessCategory(edit) => sides(edit, category_document),
            Change::AccessPolicy(edit) => sides(edit, |object| json!(object)),
            Change::Assignment(edit) => sides(edit, |object| json!(object)),
            Change::RequireDestinationPolicy { before, after } => {
                let shown = |on: &bool| Some(json!({"require_destination_policy": on}));
                (shown(before), shown(after))
            }
            Change::Model(edit) => sides(edit, |model| json!(model)),
            Change::ContentPolicy(edit) => sides(edit, |object| json!(object)),
        }
    }

    /// The change as a revision keeps it: `{"kind", "id", "before", "after"}`.
    pub fn document(&self) -> Value {
        let (before, after) = self.sides();
        json!({"kind": self.kind(), "id": self.object_id(), "before": before, "after": after})
    }

    /// A change of a policy set from a revision's document. `None` for what is no part of the
    /// policy set: models, members and groups.
    ///
    /// Errors: a document that this version does not understand.
    pub fn from_document(document: &Value) -> Result<Option<Change>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Sides<T> {
            before: Option<T>,
            after: Option<T>,
        }
        fn edit<T: DeserializeOwned>(document: &Value) -> Result<Edit<T>, serde_json::Error> {
            let sides: Sides<T> = Sides::deserialize(document)?;
            Ok(Edit {
                before: sides.before.map(Arc::new),
                after: sides.after.map(Arc::new),
            })
        }
        #[derive(Deserialize)]
        struct Demand {
            require_destination_policy: bool,
        }
        let kind = document.get("kind").and_then(Value::as_str);
        Ok(Some(match kind {
            Some("destination_policy") => Change::DestinationPolicy(edit(document)?),
            Some("access_category") => Change::AccessCategory(edit(document)?),
            Some("access_policy") => Change::AccessPolicy(edit(document)?),
            Some("access_policy_assignment") => Change::Assignment(edit(document)?),
            Some("content_policy") => Change::ContentPolicy(edit(document)?),
            Some("workspace") => match Sides::<Demand>::deserialize(document)? {
                Sides {
                    before: Some(before),
                    after: Some(after),
                } => Change::RequireDestinationPolicy {
                    before: before.require_destination_policy,
                    after: after.require_destination_policy,
                },
                _ => return Ok(None),
            },
            Some(_) => return Ok(None),
            None => return Err(serde::de::Error::missing_field("kind")),
        }))
    }

    fn inverse(self) -> Change {
        match self {
            Change::DestinationPolicy(edit) => Change::DestinationPolicy(edit.inverse()),
            Change::AccessCategory(edit) => Change::AccessCategory(edit.inverse()),
            Change::AccessPolicy(edit) => Change::AccessPolicy(edit.inverse()),
            Change::Assignment(edit) => Change::Assignment(edit.inverse()),
            Change::RequireDestinationPolicy { before, after } => {
                Change::RequireDestinationPolicy {
                    before: after,
                    after: before,
                }
            }
            Change::Model(edit) => Change::Model(edit.inverse()),
            Change::ContentPolicy(edit) => Change::ContentPolicy(edit.inverse()),
        }
    }
}

fn category_document(category: &AccessCategory) -> Value {
    let mut document = json!(category);
    if let Value::Object(fields) = &mut document
        && !category.once_covered.is_empty()
    {
        fields.insert("once_covered".to_owned(), json!(category.once_covered));
    }
    document
}

impl PolicySet {
    /// The set after changes, which make a revision together. It shares with this one what they
    /// leave alone.
    pub fn with(&self, changes: &[Change], revision: Revision) -> PolicySet {
        fn put<T>(objects: &mut BTreeMap<Uuid, Arc<T>>, id: Option<Uuid>, edit: &Edit<T>) {
            match (id, &edit.after) {
                (Some(id), Some(after)) => objects.insert(id, Arc::clone(after)),
                (Some(id), None) => objects.remove(&id),
                (None, _) => None,
            };
        }
        let mut set = self.clone();
        set.revision = revision;
        for change in changes {
            let id = change.object_id();
            match change {
                Change::DestinationPolicy(edit) => put(&mut set.destination_policies, id, edit),
                Change::AccessCategory(edit) => put(&mut set.access_categories, id, edit),
                Change::AccessPolicy(edit) => put(&mut set.access_policies, id, edit),
                Change::Assignment(edit) => put(&mut set.assignments, id, edit),
                Change::RequireDestinationPolicy { after, .. } => {
                    set.require_destination_policy = *after;
                }
                Change::Model(_) => {}
                Change::ContentPolicy(edit) => put(&mut set.content_policies, id, edit),
            }
        }
        set
    }

    /// Whether the objects that changes begin from are those of this set.
    pub fn is_before(&self, changes: &[Change]) -> bool {
        fn same<T: PartialEq>(
            objects: &BTreeMap<Uuid, Arc<T>>,
            id: Option<Uuid>,
            edit: &Edit<T>,
        ) -> bool {
            id.and_then(|id| objects.get(&id)) == edit.before.as_ref()
        }
        changes.iter().all(|change| {
            let id = change.object_id();
            match change {
                Change::DestinationPolicy(edit) => same(&self.destination_policies, id, edit),
                Change::AccessCategory(edit) => same(&self.access_categories, id, edit),
                Change::AccessPolicy(edit) => same(&self.access_policies, id, edit),
                Change::Assignment(edit) => same(&self.assignments, id, edit),
                Change::RequireDestinationPolicy { before, .. } => {
                    self.require_destination_policy == *before
                }
                Change::Model(_) => true,
                Change::ContentPolicy(edit) => same(&self.content_policies, id, edit),
            }
        })
    }

    /// The changes that lead from this set to another of the same workspace, but for content
    /// policies, which are not the workspace's alone: categories before
    /// the policies in them, and those before their assignments; what goes, the other way round.
    /// A category that policies move out of goes after they have.
    pub fn changes_to(&self, other: &PolicySet) -> Vec<Change> {
        fn edits<T: PartialEq>(
            from: &BTreeMap<Uuid, Arc<T>>,
            to: &BTreeMap<Uuid, Arc<T>>,
            change: fn(Edit<T>) -> Change,
        ) -> (Vec<Change>, Vec<Change>) {
            let gone = from.iter().filter(|(id, _)| !to.contains_key(id));
            let gone = gone.map(|(_, before)| change(Edit::delete(Arc::clone(before))));
            let put = to.iter().filter_map(|(id, after)| match from.get(id) {
                Some(before) if before == after => None,
                before => Some(change(Edit {
                    before: before.cloned(),
                    after: Some(Arc::clone(after)),
                })),
            });
            (gone.collect(), put.collect())
        }
        let categories = edits(
            &self.access_categories,
            &other.access_categories,
            Change::AccessCategory,
        );
        let policies = edits(
            &self.access_policies,
            &other.access_policies,
            Change::AccessPolicy,
        );
        let assignments = edits(&self.assignments, &other.assignments, Change::Assignment);
        let destination = edits(
            &self.destination_policies,
            &other.destination_policies,
            Change::DestinationPolicy,
        );
        let stay = self.access_policies.values();
        let stay = stay.filter(|policy| other.access_policies.contains_key(&policy.id));
        let left: BTreeSet<Uuid> = stay.map(|policy| policy.category_id).collect();
        let (left, empty) = categories
            .0
            .into_iter()
            .partition(|gone| gone.object_id().is_some_and(|id| left.contains(&id)));
        let gone = [assignments.0, policies.0, empty, destination.0];
        let put = [categories.1, policies.1, left, assignments.1, destination.1];
        let mut changes: Vec<_> = gone.into_iter().chain(put).flatten().collect();
        if self.require_destination_policy != other.require_destination_policy {
            changes.push(Change::RequireDestinationPolicy {
                before: self.require_destination_policy,
                after: other.require_destination_policy,
            });
        }
        changes
    }

    /// The set before changes that led to it, given in the order they were made.
    pub fn without(&self, changes: Vec<Change>, revision: Revision) -> PolicySet {
        let undone: Vec<_> = changes.into_iter().rev().map(Change::inverse).collect();
        self.with(&undone, revision)
    }
}
