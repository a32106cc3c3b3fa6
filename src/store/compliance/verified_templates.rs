//! The templates that came with syncguard.

use std::collections::HashMap;

use super::super::database::Db;
use super::super::{Store, StoreError, objects};
use super::listing::Listing;
use super::templates::{COLUMNS, TemplateRow, hold, insert, replace, says_the_same};
use crate::compliance::{Template, TemplateId};

impl Store {
    /// Makes the templates that came with syncguard those that are given: new ones are added,
    /// changed ones become their next version, and those that are no longer given are no longer
    /// published. Reviews stay. They are part of the program, as system roles are: no line of the
    /// audit log tells of it.
    pub async fn keep_verified_templates(&self, templates: &[Template]) -> Result<(), StoreError> {
        let mut listing = Listing::new();
        listing.equals("is_verified", Some(true));
        let kept: Result<Vec<TemplateRow>, _> = listing
            .all(self, COLUMNS, "compliance_templates", "id")
            .await;
        let kept: Vec<Template> = objects(Ok(kept?))?;
        let kept: HashMap<_, _> = kept.iter().map(|kept| (kept.id, kept)).collect();
        let is_kept = |template: &&Template| {
            let kept = kept.get(&template.id);
            kept.is_some_and(|kept| kept.published && says_the_same(kept, template))
        };
        let given = |id: &TemplateId| templates.iter().any(|template| template.id == *id);
        let retired = kept.values().filter(|kept| kept.published);
        let retired: Vec<_> = retired.filter(|kept| !given(&kept.id)).collect();
        if templates.iter().all(|template| is_kept(&template)) && retired.is_empty() {
            return Ok(());
        }
        let mut tx = self.govern().await?;
        for template in templates.iter().filter(|template| !is_kept(template)) {
            if !kept.contains_key(&template.id) {
                // Another process may start at the same time.
                insert(&mut tx, template).await?;
            }
            execute!(
                tx,
                "UPDATE compliance_templates SET published = TRUE WHERE id = $1",
                template.id.0,
            )?;
            let now = hold(&mut tx, template.id).await?;
            if !says_the_same(&now, template) {
                replace(&mut tx, &now, template).await?;
            }
        }
        for template in retired {
            execute!(
                tx,
                "UPDATE compliance_templates SET published = FALSE WHERE id = $1",
                template.id.0,
            )?;
        }
        tx.commit().await
    }
}
