//! Whether a sync may run at all: the check of its source, model, destination and itself.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Overseer;
use crate::compliance::{Admission, Located, Resource, ResourceType};
use crate::store::StoreError;

impl Overseer {
    /// Checks the four resources of a sync in its environment, as they are now.
    ///
    /// Errors: not found, if the sync or its model is not there.
    pub async fn admit(
        &self,
        workspace_id: Uuid,
        sync_id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Admission, StoreError> {
        let sync = self.store.get_sync(workspace_id, sync_id).await?;
        let model = self.store.get_model(workspace_id, sync.model_id).await?;
        let resources = [
            (ResourceType::Addon, model.source_id),
            (ResourceType::Model, model.id),
            (ResourceType::App, sync.destination_id),
            (ResourceType::Workflow, sync.id),
        ];
        let mut bound = Vec::with_capacity(resources.len());
        for (resource_type, id) in resources {
            let resource = Resource::new(resource_type, &id.to_string());
            let instances = self.store.instances_of_resource(&resource).await?;
            let workspace_id = Some(workspace_id);
            let located = Located {
                resource,
                workspace_id,
            };
            bound.push((located, instances));
        }
        let instances = bound.iter().flat_map(|(_, instances)| instances);
        let policies = self.in_force(instances).await?;
        let mut checks = Vec::with_capacity(bound.len());
        for (located, instances) in &bound {
            let environment = Some(sync.environment);
            let check = self.judge(located, instances, &policies, environment, now);
            checks.push(check.await?);
        }
        Ok(Admission::of(checks))
    }
}
