//! What solutions are checked on: the resources of the catalog, and the policies that are bound
//! to them.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::database::Db;
use super::super::{Store, StoreError, columns};
use super::listing::Listing;
use crate::compliance::{Binding, Landscape, PolicyId, Resource, ResourceType};

/// How many values a statement names at most.
const AT_ONCE: usize = 500;

#[derive(sqlx::FromRow)]
struct BindingRow {
    policy_id: Uuid,
    resource_type: String,
    resource_id: String,
    is_held: bool,
}

impl TryFrom<BindingRow> for Binding {
    type Error = StoreError;

    fn try_from(row: BindingRow) -> Result<Binding, StoreError> {
        let resource_type = ResourceType::of(&row.resource_type)
            .ok_or_else(|| columns::unreadable("compliance_instances.resource_type"))?;
        Ok(Binding {
            policy_id: PolicyId(row.policy_id),
            resource: Resource {
                resource_type,
                id: row.resource_id,
            },
            is_held: row.is_held,
        })
    }
}

impl Store {
    /// The resources of the catalog in all workspaces, and what belongs to each model.
    pub async fn landscape(&self) -> Result<Landscape, StoreError> {
        use ResourceType::{Addon, App, Model, Workflow};
        let mut tx = self.snapshot().await?;
        let mut landscape = Landscape::default();
        for (id, workspace_id) in all!(tx, (Uuid, Uuid), "SELECT id, workspace_id FROM sources")? {
            landscape.add(Addon, id, workspace_id);
        }
        for (id, workspace_id) in all!(
            tx,
            (Uuid, Uuid),
            "SELECT id, workspace_id FROM destinations"
        )? {
            landscape.add(App, id, workspace_id);
        }
        for (id, workspace_id, source_id) in all!(
            tx,
            (Uuid, Uuid, Uuid),
            "SELECT id, workspace_id, source_id FROM models"
        )? {
            landscape.add(Model, id, workspace_id);
            landscape.bring(id, Addon, source_id);
        }
        for (id, workspace_id, model_id, destination_id) in all!(
            tx,
            (Uuid, Uuid, Uuid, Uuid),
            "SELECT id, workspace_id, model_id, destination_id FROM syncs"
        )? {
            landscape.add(Workflow, id, workspace_id);
            landscape.bring(model_id, Workflow, id);
            landscape.bring(model_id, App, destination_id);
        }
        Ok(landscape)
    }

    /// The policies that instances bind to these resources.
    pub async fn bindings_on(
        &self,
        resources: &BTreeSet<Resource>,
    ) -> Result<Vec<Binding>, StoreError> {
        let mut bindings = Vec::new();
        for resource_type in ResourceType::ALL {
            let ids = resources
                .iter()
                .filter(|resource| resource.resource_type == resource_type);
            let ids: Vec<&str> = ids.map(|resource| resource.id.as_str()).collect();
            for ids in ids.chunks(AT_ONCE) {
                let mut listing = Listing::new();
                listing.equals("resource_type", Some(resource_type.as_str()));
                listing.is_one_of("resource_id", ids.to_vec());
                bindings.extend(self.bindings(listing).await?);
            }
        }
        Ok(bindings)
    }

    /// What instances bind these policies to.
    pub async fn bindings_of(
        &self,
        policies: &BTreeSet<PolicyId>,
    ) -> Result<Vec<Binding>, StoreError> {
        let ids: Vec<Uuid> = policies.iter().map(|id| id.0).collect();
        let mut bindings = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let mut listing = Listing::new();
            listing.is_one_of("policy_id", ids.to_vec());
            bindings.extend(self.bindings(listing).await?);
        }
        Ok(bindings)
    }

    async fn bindings(&self, listing: Listing) -> Result<Vec<Binding>, StoreError> {
        let rows: Vec<BindingRow> = listing
            .all(
                self,
                "policy_id, resource_type, resource_id, is_held",
                "compliance_instances",
                "resource_type, resource_id, policy_id",
            )
            .await?;
        rows.into_iter().map(Binding::try_from).collect()
    }
}
