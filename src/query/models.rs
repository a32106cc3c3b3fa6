//! The models of a workspace as the tables of one session.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::authority::Authority;
use super::{Clock, Querier, QueryError};
use crate::catalog::{Model, Source};
use crate::guard::registry::NoGuard;
use crate::guard::session::{BoxError, Tables};
use crate::guard::sighting::Witness;
use crate::guard::table::{GuardedTable, Watch};
use crate::guard::{Guard, Registry};
use crate::policy::content::{Passage, Via};
use crate::principal::Standing;
use crate::reach::Reach;
use crate::source::{self, OpenModel, SourceError};
use crate::store::{Store, StoreError};

/// The models that one principal may read, found as a statement names them.
pub(super) struct Models {
    store: Store,
    registry: Arc<Registry>,
    reach: Reach,
    authority: Arc<Authority>,
    clock: Clock,
    /// The query, as violations name it.
    passage_id: Uuid,
    /// What digests of keys are salted with: nobody is shown it.
    salt: Uuid,
    witness: Witness,
    /// Those that were named; a statement may name one twice.
    found: Mutex<HashMap<String, Arc<ModelRows>>>,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Models")
    }
}

impl Models {
    pub(super) fn new(querier: &Querier, authority: Arc<Authority>) -> Models {
        Models {
            store: querier.store.clone(),
            registry: Arc::clone(&querier.registry),
            reach: querier.reach.clone(),
            authority,
            clock: Arc::clone(&querier.clock),
            passage_id: Uuid::now_v7(),
            salt: Uuid::now_v7(),
            witness: Witness::default(),
            found: Mutex::default(),
        }
    }

    /// Puts on record what content policies found in the models since this was last done: before
    /// anything leaves that follows from what was read.
    pub(super) async fn record_findings(&self) -> Result<(), QueryError> {
        for (model_id, sightings) in self.witness.take() {
            let source_id = {
                let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                let mut models = found.values().map(|rows| &rows.model);
                models
                    .find(|model| model.id == model_id)
                    .map(|model| model.source_id)
            };
            let passage = Passage {
                id: self.passage_id,
                via: Via::Query,
                workspace_id: self.authority.seen.workspace_id,
                source_id: source_id.ok_or(QueryError::Internal)?,
                model_id,
                run_id: None,
                account_id: self.authority.own.account_id,
            };
            self.store
                .record_sightings(&passage, &sightings, (self.clock)())
                .await?;
        }
        Ok(())
    }

    /// A model that the statement has named.
    pub(super) fn named(&self, name: &str) -> Option<Arc<ModelRows>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(name).cloned()
    }

    /// What stays the same as long as the rows of a model that the principal sees do; `None`
    /// where that is not known.
    pub(super) async fn fingerprint(
        &self,
        rows: &ModelRows,
    ) -> Result<Option<Vec<u8>>, QueryError> {
        let guard = self.guard(rows, &self.authority.seen)?;
        // A file changes with the rows that are hidden in it, too.
        if !guard.requires_nothing() {
            return Ok(guard.withholds_all().then(Vec::new));
        }
        // Whatever keeps it from being opened comes up where it is read.
        let opened = rows.open().await;
        Ok(opened.ok().and_then(OpenModel::fingerprint))
    }

    fn guard(&self, rows: &ModelRows, standing: &Standing) -> Result<Arc<Guard>, QueryError> {
        let guard = self.registry.guard(
            &self.authority.policies,
            &rows.model,
            &rows.schema,
            None,
            standing,
            self.authority.at,
        );
        guard.map_err(|error| QueryError::Refused {
            model: rows.model.name.clone(),
            faults: match error {
                NoGuard::Refused(faults) => faults,
                NoGuard::Content(_)
                | NoGuard::NeedsJudge(_)
                | NoGuard::NoDestinationPolicy { .. } => {
                    tracing::warn!(%error, model_id = %rows.model.id, "there is no guard");
                    Vec::new()
                }
            },
        })
    }

    async fn rows(&self, name: &str) -> Result<Option<Arc<ModelRows>>, StoreError> {
        if let Some(rows) = self.named(name) {
            return Ok(Some(rows));
        }
        let workspace_id = self.authority.seen.workspace_id;
        let Some(model) = self.store.find_model(workspace_id, name).await? else {
            return Ok(None);
        };
        let source = self.store.get_source(workspace_id, model.source_id).await?;
        let rows = Arc::new(ModelRows::new(model, source, self.reach.clone()));
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::clone(
            found.entry(name.to_owned()).or_insert(rows),
        )))
    }
}

#[async_trait]
impl Tables for Models {
    async fn table(&self, name: &str) -> Result<Option<GuardedTable>, BoxError> {
        let Some(rows) = self.rows(name).await.map_err(QueryError::from)? else {
            return Ok(None);
        };
        if self.authority.evaluates_as_another()
            && !self.guard(&rows, &self.authority.own)?.filters_nothing()
        {
            let message = "evaluating as another account takes an account that sees every row of the model itself";
            return Err(Box::new(QueryError::Forbidden(message.to_owned())));
        }
        let guard = self.guard(&rows, &self.authority.seen)?;
        let watch = Watch {
            witness: self.witness.clone(),
            model_id: rows.model.id,
            primary_key: rows.model.primary_key.clone(),
            salt: self.salt,
        };
        let table: Arc<dyn TableProvider> = rows;
        Ok(Some(GuardedTable::new(name, table, guard).watched(watch)))
    }
}

/// The rows of a model, unguarded: opened when they are first read.
#[derive(Debug)]
pub(super) struct ModelRows {
    model: Model,
    source: Source,
    reach: Reach,
    schema: SchemaRef,
    opened: OnceCell<OpenModel>,
}

impl ModelRows {
    fn new(model: Model, source: Source, reach: Reach) -> ModelRows {
        // What a source promises of NULLs may have changed since the model was saved.
        let fields = model.schema.fields().iter();
        let fields: Vec<Field> = fields
            .map(|field| Field::new(field.name(), field.data_type().clone(), true))
            .collect();
        ModelRows {
            model,
            source,
            reach,
            schema: Arc::new(Schema::new(fields)),
            opened: OnceCell::new(),
        }
    }

    /// The model, opened for reading.
    ///
    /// Errors: it cannot be opened, or has other columns than when it was saved.
    pub(super) async fn open(&self) -> Result<&OpenModel, SourceError> {
        self.opened
            .get_or_try_init(|| async {
                let opened = source::open(
                    &self.source,
                    &self.model.query,
                    &self.model.primary_key,
                    &self.reach,
                )
                .await?;
                let now = opened.schema();
                let same = now.fields().len() == self.schema.fields().len()
                    && now
                        .fields()
                        .iter()
                        .zip(self.schema.fields())
                        .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
                match same {
                    true => Ok(opened),
                    false => Err(SourceError::Failed(
                        "the model has other columns than when it was saved: save it again".into(),
                    )),
                }
            })
            .await
    }
}

#[async_trait]
impl TableProvider for ModelRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let opened = self
            .open()
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let table = opened.marking_table();
        table.scan(state, projection, filters, limit).await
    }
}
