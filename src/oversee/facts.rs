//! What is known of a resource: its declared facts, and above them what the catalog tells.
//!
//! Everything is read anew for each call; what a call needs of a workspace is read once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Overseer;
use crate::catalog::{Destination, Model, Source, Sync, Transport, Workspace};
use crate::compliance::{Facts, LastRun, Located, Resource, ResourceType, Way, derived};
use crate::guard::detect::personal_columns;
use crate::policy::PolicySet;
use crate::store::{Store, StoreError};
use crate::{sink, source};

/// Most resources of a workspace that are read one by one; for more its lists are.
const FEW: usize = 16;

impl Overseer {
    /// What is known of a resource now. Of one that is gone from the catalog nothing is.
    pub async fn facts(&self, located: &Located) -> Result<Facts, StoreError> {
        let facts = self.facts_of(std::slice::from_ref(located)).await?;
        Ok(facts.into_iter().next().unwrap_or_default())
    }

    /// What is known of each resource now, in their order.
    pub async fn facts_of(&self, located: &[Located]) -> Result<Vec<Facts>, StoreError> {
        let mut within: BTreeMap<Uuid, BTreeSet<&Resource>> = BTreeMap::new();
        for located in located {
            if let Some(workspace_id) = located.workspace_id {
                let wanted = within.entry(workspace_id).or_default();
                wanted.insert(&located.resource);
            }
        }
        let mut known = HashMap::new();
        for (workspace_id, wanted) in within {
            match Known::read(&self.store, workspace_id, &wanted).await {
                Ok(read) => {
                    known.insert(workspace_id, read);
                }
                Err(StoreError::NotFound("workspace")) => {}
                Err(error) => return Err(error),
            }
        }
        let mut facts = Vec::with_capacity(located.len());
        for located in located {
            let resource = &located.resource;
            facts.push(match (located.workspace_id, resource.catalog_id()) {
                (Some(workspace_id), _) => {
                    let known = known.get(&workspace_id);
                    known.and_then(|it| it.facts(resource)).unwrap_or_default()
                }
                // Outside the catalog there is only what was declared.
                (None, None) => self.store.declared_facts(resource).await?,
                (None, Some(_)) => Facts::default(),
            });
        }
        Ok(facts)
    }
}

/// What was read of a workspace.
struct Known {
    workspace: Workspace,
    policies: PolicySet,
    sources: HashMap<Uuid, Source>,
    models: HashMap<Uuid, Model>,
    destinations: HashMap<Uuid, Destination>,
    syncs: HashMap<Uuid, Sync>,
    /// E-mail addresses of accounts.
    owners: HashMap<Uuid, String>,
    last_runs: HashMap<Uuid, LastRun>,
    declared: HashMap<Resource, Facts>,
}

impl Known {
    /// Reads what the facts of resources of a workspace follow from.
    ///
    /// Errors: not found, if the workspace is gone; an object that is gone is left out.
    async fn read(
        store: &Store,
        workspace_id: Uuid,
        wanted: &BTreeSet<&Resource>,
    ) -> Result<Known, StoreError> {
        let mut known = Known {
            workspace: store.get_workspace(workspace_id).await?,
            policies: store.policy_set(workspace_id).await?,
            sources: HashMap::new(),
            models: HashMap::new(),
            destinations: HashMap::new(),
            syncs: HashMap::new(),
            owners: HashMap::new(),
            last_runs: HashMap::new(),
            declared: HashMap::new(),
        };
        match wanted.len() > FEW {
            true => known.read_all(store).await?,
            false => known.read_wanted(store, wanted).await?,
        }
        Ok(known)
    }

    async fn read_all(&mut self, store: &Store) -> Result<(), StoreError> {
        let id = self.workspace.id;
        let sources = store.list_sources(id).await?;
        self.sources = sources.into_iter().map(|it| (it.id, it)).collect();
        let models = store.list_models(id).await?;
        self.models = models.into_iter().map(|it| (it.id, it)).collect();
        let destinations = store.list_destinations(id).await?;
        self.destinations = destinations.into_iter().map(|it| (it.id, it)).collect();
        let syncs = store.list_syncs(id).await?;
        self.syncs = syncs.into_iter().map(|it| (it.id, it)).collect();
        let accounts = store.list_accounts().await?;
        self.owners = accounts.into_iter().map(|it| (it.id, it.email)).collect();
        self.last_runs = store.last_runs(id).await?;
        self.declared = store.declared_in(id).await?;
        Ok(())
    }

    async fn read_wanted(
        &mut self,
        store: &Store,
        wanted: &BTreeSet<&Resource>,
    ) -> Result<(), StoreError> {
        let workspace_id = self.workspace.id;
        let ids = |kind: ResourceType| -> BTreeSet<Uuid> {
            let of_kind = wanted.iter().filter(|it| it.resource_type == kind);
            of_kind.filter_map(|it| it.catalog_id()).collect()
        };
        let mut models = ids(ResourceType::Model);
        let mut destinations = ids(ResourceType::App);
        let mut sources = ids(ResourceType::Addon);
        for id in ids(ResourceType::Workflow) {
            let Some(sync) = found(store.get_sync(workspace_id, id).await)? else {
                continue;
            };
            if let Some(run) = store.last_run(workspace_id, id).await? {
                self.last_runs.insert(id, run);
            }
            if !self.owners.contains_key(&sync.owner_id)
                && let Some(owner) = found(store.get_account(sync.owner_id).await)?
            {
                self.owners.insert(owner.id, owner.email);
            }
            models.insert(sync.model_id);
            destinations.insert(sync.destination_id);
            self.declared_of(store, ResourceType::Workflow, id).await?;
            self.syncs.insert(id, sync);
        }
        for id in models {
            if let Some(model) = found(store.get_model(workspace_id, id).await)? {
                sources.insert(model.source_id);
                self.declared_of(store, ResourceType::Model, id).await?;
                self.models.insert(id, model);
            }
        }
        for id in sources {
            if let Some(source) = found(store.get_source(workspace_id, id).await)? {
                self.declared_of(store, ResourceType::Addon, id).await?;
                self.sources.insert(id, source);
            }
        }
        for id in destinations {
            if let Some(destination) = found(store.get_destination(workspace_id, id).await)? {
                self.declared_of(store, ResourceType::App, id).await?;
                self.destinations.insert(id, destination);
            }
        }
        Ok(())
    }

    async fn declared_of(
        &mut self,
        store: &Store,
        kind: ResourceType,
        id: Uuid,
    ) -> Result<(), StoreError> {
        let resource = of_catalog(kind, id);
        let declared = store.declared_facts(&resource).await?;
        self.declared.insert(resource, declared);
        Ok(())
    }

    /// What is known of a resource and of its parts; `None` if it is gone.
    fn facts(&self, resource: &Resource) -> Option<Facts> {
        let mut facts = self.own(resource)?;
        let id = resource.catalog_id()?;
        match resource.resource_type {
            ResourceType::Addon | ResourceType::App => {}
            ResourceType::Model => {
                let source_id = self.models.get(&id)?.source_id;
                let source = of_catalog(ResourceType::Addon, source_id);
                facts.within("source", self.own(&source)?);
            }
            ResourceType::Workflow => {
                let sync = self.syncs.get(&id)?;
                let source_id = self.models.get(&sync.model_id)?.source_id;
                for (part, kind, id) in [
                    ("source", ResourceType::Addon, source_id),
                    ("model", ResourceType::Model, sync.model_id),
                    ("destination", ResourceType::App, sync.destination_id),
                ] {
                    facts.within(part, self.own(&of_catalog(kind, id))?);
                }
            }
        }
        Some(facts)
    }

    /// What is known of a resource without its parts.
    fn own(&self, resource: &Resource) -> Option<Facts> {
        let (workspace, policies) = (&self.workspace, &self.policies);
        let id = resource.catalog_id()?;
        let mut facts = match resource.resource_type {
            ResourceType::Addon => {
                let source = self.sources.get(&id)?;
                let transport = source::transport(source);
                derived::source(workspace, source, transport.as_ref())
            }
            ResourceType::App => {
                let destination = self.destinations.get(&id)?;
                let transport = sink::transport(destination);
                derived::destination(workspace, policies, destination, transport.as_ref())
            }
            ResourceType::Model => {
                let model = self.models.get(&id)?;
                let personal = personal_columns(&model.schema);
                derived::model(workspace, policies, model, personal)
            }
            ResourceType::Workflow => self.own_of_sync(id)?,
        };
        let declared = self.declared.get(resource).cloned();
        facts.declare(resource.resource_type, declared.unwrap_or_default());
        Some(facts)
    }

    fn own_of_sync(&self, id: Uuid) -> Option<Facts> {
        let sync = self.syncs.get(&id)?;
        let model = self.models.get(&sync.model_id)?;
        let destination = self.destinations.get(&sync.destination_id)?;
        let legs: [Option<Transport>; 2] = [
            source::transport(self.sources.get(&model.source_id)?),
            sink::transport(destination),
        ];
        let way = Way {
            sync,
            model,
            destination,
            legs: legs.each_ref().map(Option::as_ref),
            owner: self.owners.get(&sync.owner_id).map(String::as_str),
            last_run: self.last_runs.get(&id),
        };
        Some(derived::sync(&self.workspace, &self.policies, &way))
    }
}

fn of_catalog(resource_type: ResourceType, id: Uuid) -> Resource {
    Resource {
        resource_type,
        id: id.to_string(),
    }
}

/// An object, if it is still there.
fn found<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(object) => Ok(Some(object)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::{RateLimit, SourceType};

    fn config(config: &Value) -> serde_json::Map<String, Value> {
        config.as_object().cloned().expect("an object")
    }

    fn to(kind: &str, url: &str) -> Option<Transport> {
        let destination = Destination {
            id: Uuid::nil(),
            workspace_id: Uuid::nil(),
            name: String::new(),
            destination_type: kind.to_owned(),
            config: config(&json!({"url": url, "table": "t"})),
            rate_limit: RateLimit::default(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        sink::transport(&destination)
    }

    fn from(source_type: SourceType, url: &str) -> Option<Transport> {
        let source = Source {
            id: Uuid::nil(),
            workspace_id: Uuid::nil(),
            name: String::new(),
            source_type,
            config: config(&json!({"url": url})),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        source::transport(&source)
    }

    /// What a transport comes to: nothing, plain, encrypted, verified.
    fn shown(transport: Option<Transport>) -> &'static str {
        match transport {
            None => "none",
            Some(it) if !it.encrypted && !it.verified => "plain",
            Some(it) if it.encrypted && !it.verified => "encrypted",
            Some(it) if it.encrypted => "verified",
            Some(_) => "verified but plain",
        }
    }

    #[test]
    fn destination_is_encrypted_only_where_that_is_certain() {
        for (kind, url, expected) in [
            ("webhook", "https://example.com/in", "verified"),
            ("webhook", "HTTPS://example.com/in", "verified"),
            ("facebook_ads", "https://example.com:80/", "verified"),
            ("webhook", "http://example.com:443/", "plain"),
            ("webhook", "http://example.com/https://", "plain"),
            ("webhook", "https://u:p@example.com/", "plain"),
            ("webhook", "nonsense", "plain"),
            ("file", "https://example.com", "none"),
            ("postgres", "postgres://u:p@h/d?sslmode=require", "verified"),
            ("postgres", "postgresql://h/d?sslmode=require", "verified"),
            ("postgres", "postgres://u:p@h/d?sslmode=prefer", "plain"),
            ("postgres", "postgres://u:p@h/d?sslmode=disable", "plain"),
            ("postgres", "postgres://u:p@h/d", "plain"),
            // The client knows no such mode, and the last one counts.
            ("postgres", "postgres://h/d?sslmode=verify-full", "plain"),
            (
                "postgres",
                "postgres://h/d?sslmode=require&sslmode=disable",
                "plain",
            ),
            (
                "postgres",
                "postgres://h/d?sslmode=disable&sslmode=require",
                "verified",
            ),
            // What another reader of URLs takes for the mode is a name or a fragment.
            ("postgres", "postgres://u?sslmode=require&x=@h/d", "plain"),
            (
                "postgres",
                "postgres://h/d?sslmode=require&application_name=x#&sslmode=disable",
                "plain",
            ),
        ] {
            assert_eq!(shown(to(kind, url)), expected, "{kind} {url}");
        }
        let hosts = |transport: Option<Transport>| transport.map(|it| it.hosts);
        let several = to("postgres", "postgres://u:p@a:1,b:2/d");
        assert_eq!(hosts(several), Some(vec!["a".to_owned(), "b".to_owned()]));
        let one = to("webhook", "https://example.com:8443/in?token=t");
        assert_eq!(hosts(one), Some(vec!["example.com".to_owned()]));
    }

    #[test]
    fn hosts_are_told_only_where_they_are_certain() {
        for (kind, url, expected) in [
            ("webhook", "https://example.com/in", "example.com"),
            (
                "webhook",
                "https://example.com/in?to=a@example.org",
                "example.com",
            ),
            ("webhook", "https://word/rest@example.com/", ""),
            ("webhook", "https://word\\rest@example.com/", ""),
            ("webhook", "https://example.com/@name", ""),
            ("postgres", "postgres://h/d", "h"),
            ("postgres", "postgres://u:p@h/d?sslmode=require", "h"),
            ("postgres", "postgres://u:w%40rd%2F@h/d", "h"),
            ("postgres", "postgres://u:w@rd/rest@h/d", ""),
            ("postgres", "postgres://u:w@rd?rest@h/d", ""),
            ("postgres", "postgres://u:w@rd#rest@h/d", ""),
            ("postgres", "postgres://u:w@rd@h/d", ""),
            ("postgres", "postgres://u:1/rest@h/d", ""),
        ] {
            let hosts: Vec<&str> = [expected].into_iter().filter(|it| !it.is_empty()).collect();
            let told = |transport: Option<Transport>| transport.map(|it| it.hosts);
            let to = told(to(kind, url)).expect("a machine");
            assert_eq!(to, hosts, "{kind} {url}");
            if kind == "postgres" {
                let from = told(from(SourceType::Postgres, url)).expect("a machine");
                assert_eq!(from, hosts, "from {url}");
            }
        }
    }

    #[test]
    fn source_is_encrypted_only_where_that_is_certain() {
        for (kind, url, expected) in [
            (SourceType::Files, "https://example.com", "none"),
            (SourceType::Sqlite, "", "none"),
            (SourceType::Postgres, "postgres://h/d", "plain"),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=prefer",
                "plain",
            ),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=disable",
                "plain",
            ),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=require",
                "encrypted",
            ),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=verify-ca",
                "verified",
            ),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=verify-full",
                "verified",
            ),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=verify-full&sslmode=disable",
                "plain",
            ),
            (
                SourceType::Postgres,
                "postgres://h/d?sslmode=other",
                "plain",
            ),
            (SourceType::Postgres, "", "plain"),
        ] {
            assert_eq!(shown(from(kind, url)), expected, "{kind:?} {url}");
        }
    }
}
