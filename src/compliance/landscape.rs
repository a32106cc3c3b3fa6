//! What there is in the catalog, and what belongs to each of its models.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Located, Resource, ResourceType};

/// The resources of the catalog in all workspaces, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Landscape {
    workspaces: BTreeMap<Resource, Uuid>,
    around: BTreeMap<Resource, BTreeSet<Resource>>,
}

impl Landscape {
    /// Adds a resource of a workspace.
    pub fn add(&mut self, resource_type: ResourceType, id: Uuid, workspace_id: Uuid) {
        self.workspaces
            .insert(of_catalog(resource_type, id), workspace_id);
    }

    /// Notes that a model brings a resource with it: its source, a sync of it, the destination of
    /// that.
    pub fn bring(&mut self, model_id: Uuid, resource_type: ResourceType, id: Uuid) {
        self.around
            .entry(of_catalog(ResourceType::Model, model_id))
            .or_default()
            .insert(of_catalog(resource_type, id));
    }

    /// Where a resource belongs. One outside the catalog has no workspace; `None` if its id is a
    /// UUID that nothing of its type bears.
    pub fn locate(&self, resource: &Resource) -> Option<Located> {
        let workspace_id = match resource.catalog_id() {
            Some(_) => Some(*self.workspaces.get(resource)?),
            None => None,
        };
        Some(Located {
            resource: resource.clone(),
            workspace_id,
        })
    }

    /// What a model brings with it.
    pub fn around(&self, model: &Resource) -> impl Iterator<Item = &Resource> {
        self.around.get(model).into_iter().flatten()
    }
}

fn of_catalog(resource_type: ResourceType, id: Uuid) -> Resource {
    Resource {
        resource_type,
        id: id.to_string(),
    }
}
