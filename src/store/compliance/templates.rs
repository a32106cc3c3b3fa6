//! Policy templates, with their reviews and earlier versions.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::audit;
use super::super::database::{Db, Tx};
use super::super::error::is_duplicate;
use super::super::{Store, StoreError, columns, object, objects, touched};
use super::listing::{Listing, Sorts};
use crate::audit::Event;
use crate::compliance::{
    Listed, OrganizationId, Page, ResourceType, Review, Template, TemplateCategory, TemplateId,
};
use crate::principal::Act;

/// Which templates are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateFilter {
    /// In the name or the description.
    pub search: Option<String>,
    /// What they are about.
    pub category: Option<TemplateCategory>,
    /// What their policies are for.
    pub resource_type: Option<ResourceType>,
    /// Whether they came with syncguard.
    pub verified: Option<bool>,
    /// A framework such as `hipaa`.
    pub framework: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct TemplateRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    description: String,
    category: String,
    definition: String,
    target_resource_types: String,
    frameworks: String,
    tags: String,
    is_public: bool,
    is_verified: bool,
    published: bool,
    version: i64,
    average_rating: Option<f64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Without its reviews.
impl TryFrom<TemplateRow> for Template {
    type Error = StoreError;

    fn try_from(row: TemplateRow) -> Result<Template, StoreError> {
        let column = "compliance_templates.version";
        let version = columns::from_count(row.version, column)?;
        Ok(Template {
            id: TemplateId(row.id),
            name: row.name,
            description: row.description,
            category: columns::from_word(&row.category, "compliance_templates.category")?,
            policy_definition: columns::from_json(
                &row.definition,
                "compliance_templates.definition",
            )?,
            target_resource_types: columns::from_json(
                &row.target_resource_types,
                "compliance_templates.target_resource_types",
            )?,
            compliance_frameworks: columns::from_json(
                &row.frameworks,
                "compliance_templates.frameworks",
            )?,
            tags: columns::from_json(&row.tags, "compliance_templates.tags")?,
            is_public: row.is_public,
            is_verified: row.is_verified,
            published: row.published,
            version: u32::try_from(version).map_err(|_| columns::unreadable(column))?,
            organization_id: OrganizationId(row.organization_id),
            reviews: Vec::new(),
            average_rating: row.average_rating,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct ReviewRow {
    template_id: Uuid,
    account_id: Uuid,
    rating: i64,
    comment: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<ReviewRow> for Review {
    type Error = StoreError;

    fn try_from(row: ReviewRow) -> Result<Review, StoreError> {
        let column = "compliance_template_reviews.rating";
        Ok(Review {
            user_id: row.account_id,
            rating: u8::try_from(row.rating).map_err(|_| columns::unreadable(column))?,
            comment: row.comment,
            created_at: row.created_at,
        })
    }
}

pub(super) const COLUMNS: &str = "id, organization_id, name, description, category, definition, \
     target_resource_types, frameworks, tags, is_public, is_verified, published, version, \
     average_rating, created_at, updated_at";

const SELECT: &str = "SELECT id, organization_id, name, description, category, definition, \
     target_resource_types, frameworks, tags, is_public, is_verified, published, version, \
     average_rating, created_at, updated_at FROM compliance_templates WHERE id = $1";

const SORTS: Sorts = &[
    ("createdAt", "created_at"),
    ("updatedAt", "updated_at"),
    ("name", "name"),
    ("category", "category"),
    ("averageRating", "average_rating"),
];

/// An organisation's own templates, and those that others have published for everybody.
const VISIBLE: &str = "organization_id = {} OR (published AND is_public)";

impl Store {
    /// A part of the templates that an organisation may see: its own, and those that others have
    /// published for everybody.
    pub async fn list_templates(
        &self,
        organization_id: OrganizationId,
        filter: &TemplateFilter,
        page: Page,
    ) -> Result<Listed<Template>, StoreError> {
        let mut listing = Listing::new();
        listing.holds(VISIBLE, vec![organization_id.0.into()]);
        listing.mentions(&["name", "description"], filter.search.as_deref());
        let category = filter.category.map(columns::word).transpose()?;
        listing.equals("category", category);
        listing.equals("is_verified", filter.verified);
        // The databases have no way in common to look into a list.
        let (targets, frameworks) = match self.executor() {
            Db::Sqlite(_) => (
                "{} IN (SELECT value FROM json_each(target_resource_types))",
                "{} IN (SELECT value FROM json_each(frameworks))",
            ),
            Db::Postgres(_) => (
                "{} IN (SELECT jsonb_array_elements_text(target_resource_types::jsonb))",
                "{} IN (SELECT jsonb_array_elements_text(frameworks::jsonb))",
            ),
        };
        if let Some(resource_type) = filter.resource_type {
            listing.holds(targets, vec![resource_type.as_str().into()]);
        }
        if let Some(framework) = filter.framework.as_deref() {
            listing.holds(frameworks, vec![framework.into()]);
        }
        let rows: Listed<TemplateRow> = listing
            .page(self, COLUMNS, "compliance_templates", SORTS, "id", page)
            .await?;
        let mut data = objects(Ok(rows.data))?;
        self.add_reviews(&mut data).await?;
        let total = rows.total;
        Ok(Listed { data, total })
    }

    /// One template that an organisation may see.
    pub async fn get_template(
        &self,
        organization_id: OrganizationId,
        id: TemplateId,
    ) -> Result<Template, StoreError> {
        let mut template = object(optional!(self, TemplateRow, SELECT, id.0), "template")?;
        if !is_visible(&template, organization_id) {
            return Err(StoreError::NotFound("template"));
        }
        self.add_reviews(std::slice::from_mut(&mut template))
            .await?;
        Ok(template)
    }

    /// What a template was before each change since it was published, oldest first. Of another
    /// organisation's: as far as that was for everybody.
    pub async fn template_versions(
        &self,
        organization_id: OrganizationId,
        template: &Template,
    ) -> Result<Vec<Template>, StoreError> {
        let documents = all!(
            self,
            (String,),
            "SELECT document FROM compliance_template_versions
             WHERE template_id = $1 ORDER BY version",
            template.id.0,
        )?;
        let mut versions = Vec::with_capacity(documents.len());
        for (document,) in documents {
            let column = "compliance_template_versions.document";
            let version: Template = columns::from_json(&document, column)?;
            if is_visible(&version, organization_id) {
                versions.push(version);
            }
        }
        Ok(versions)
    }

    /// Adds a template.
    ///
    /// Errors: `duplicate_name`.
    pub async fn insert_template(&self, template: &Template, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        insert(&mut tx, template).await?;
        let id = Some(template.id.0);
        let event = Event::of("policy_template", id, None, Some(template));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Replaces a template, and answers it as it is now. If it is published, this makes its next
    /// version, and the one before is kept. Nothing happens where nothing differs.
    ///
    /// Errors: `duplicate_name`; stale, if it is no longer as it was `before`.
    pub async fn update_template(
        &self,
        before: &Template,
        template: &Template,
        act: &Act,
    ) -> Result<Template, StoreError> {
        let mut tx = self.govern().await?;
        let now = hold(&mut tx, before.id).await?;
        let as_read = now.version == before.version && now.published == before.published;
        if !as_read || !says_the_same(&now, before) {
            return Err(StoreError::Stale);
        }
        if says_the_same(&now, template) {
            return Ok(now);
        }
        let after = replace(&mut tx, &now, template).await?;
        let id = Some(after.id.0);
        let event = Event::of("policy_template", id, Some(&now), Some(&after));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Deletes a template.
    ///
    /// Errors: `template_in_use`, if it is published and policies were made from it.
    pub async fn delete_template(&self, read: &Template, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        let id = read.id;
        let before = hold(&mut tx, id).await?;
        let as_read = before.version == read.version && before.published == read.published;
        if !as_read || !says_the_same(&before, read) {
            return Err(StoreError::Stale);
        }
        let count = optional!(
            tx,
            (i64,),
            "SELECT count(*) FROM compliance_policies WHERE template_id = $1",
            id.0,
        )?;
        let count = count.map_or(0, |(count,)| count);
        if before.published && count > 0 {
            let were = match count {
                1 => "1 policy was".to_owned(),
                _ => format!("{count} policies were"),
            };
            return Err(StoreError::Refused {
                code: "template_in_use",
                message: format!("Cannot delete template: {were} created from it"),
            });
        }
        let deleted = execute!(tx, "DELETE FROM compliance_templates WHERE id = $1", id.0)?;
        touched(deleted, "template")?;
        let event = Event::of("policy_template", Some(id.0), Some(&before), None);
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Publishes a template, and answers it as it is now.
    ///
    /// Errors: `invalid_transition`, if it is published already.
    pub async fn publish_template(
        &self,
        id: TemplateId,
        act: &Act,
    ) -> Result<Template, StoreError> {
        let mut tx = self.govern().await?;
        let before = hold(&mut tx, id).await?;
        let mut after = before.clone();
        after.published = true;
        after.updated_at = columns::time(act.at);
        let published = execute!(
            tx,
            "UPDATE compliance_templates SET published = TRUE, updated_at = $2
             WHERE id = $1 AND NOT published",
            id.0,
            after.updated_at,
        )?;
        if published == 0 {
            return Err(StoreError::Refused {
                code: "invalid_transition",
                message: "Cannot publish template: it is published already".to_owned(),
            });
        }
        let mut event = Event::of("policy_template", Some(id.0), Some(&before), Some(&after));
        event.action = "policy_template.publish".to_owned();
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Adds an account's review of a template, in place of an earlier one, and answers the
    /// template as it is now.
    ///
    /// Errors: `template_not_published`.
    pub async fn review_template(
        &self,
        id: TemplateId,
        review: &Review,
        act: &Act,
    ) -> Result<Template, StoreError> {
        let mut tx = self.govern().await?;
        let mut template = hold(&mut tx, id).await?;
        if !template.published {
            return Err(StoreError::Refused {
                code: "template_not_published",
                message: "Cannot review template: it is not published".to_owned(),
            });
        }
        let same_account = |earlier: &Review| earlier.user_id == review.user_id;
        let earlier = template.reviews.iter().position(same_account);
        let earlier = earlier.map(|place| template.reviews.remove(place));
        template.reviews.push(review.clone());
        template
            .reviews
            .sort_by_key(|review| (review.created_at, review.user_id));
        template.average_rating = average(&template.reviews);
        template.updated_at = columns::time(act.at);
        execute!(
            tx,
            "INSERT INTO compliance_template_reviews
                 (template_id, account_id, rating, comment, created_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (template_id, account_id) DO UPDATE
             SET rating = excluded.rating, comment = excluded.comment,
                 created_at = excluded.created_at",
            id.0,
            review.user_id,
            i64::from(review.rating),
            &review.comment,
            columns::time(review.created_at),
        )?;
        execute!(
            tx,
            "UPDATE compliance_templates SET average_rating = $2, updated_at = $3 WHERE id = $1",
            id.0,
            template.average_rating,
            template.updated_at,
        )?;
        let id = Some(id.0);
        let mut event = Event::of("policy_template", id, earlier.as_ref(), Some(review));
        event.action = "policy_template.review".to_owned();
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await?;
        Ok(template)
    }

    /// Adds to templates what was said of them, oldest first.
    async fn add_reviews(&self, templates: &mut [Template]) -> Result<(), StoreError> {
        let mut listing = Listing::new();
        listing.is_one_of("template_id", templates.iter().map(|one| one.id.0));
        let rows: Vec<ReviewRow> = listing
            .all(
                self,
                "template_id, account_id, rating, comment, created_at",
                "compliance_template_reviews",
                "created_at, account_id",
            )
            .await?;
        let mut reviews: HashMap<Uuid, Vec<Review>> = HashMap::new();
        for row in rows {
            let of_template = reviews.entry(row.template_id).or_default();
            of_template.push(row.try_into()?);
        }
        for template in templates {
            template.reviews = reviews.remove(&template.id.0).unwrap_or_default();
        }
        Ok(())
    }
}

fn is_visible(template: &Template, organization_id: OrganizationId) -> bool {
    template.organization_id == organization_id || (template.published && template.is_public)
}

/// Whether two states of a template have the same document: everything that its organisation
/// writes.
pub(super) fn says_the_same(one: &Template, other: &Template) -> bool {
    one.name == other.name
        && one.description == other.description
        && one.category == other.category
        && one.policy_definition == other.policy_definition
        && one.target_resource_types == other.target_resource_types
        && one.compliance_frameworks == other.compliance_frameworks
        && one.tags == other.tags
        && one.is_public == other.is_public
}

/// The mean of the ratings, rounded to one decimal; `None` without one.
fn average(reviews: &[Review]) -> Option<f64> {
    let count = u32::try_from(reviews.len()).ok().filter(|n| *n > 0)?;
    let sum: u32 = reviews.iter().map(|review| u32::from(review.rating)).sum();
    Some((f64::from(sum) * 10.0 / f64::from(count)).round() / 10.0)
}

/// A template with its reviews, as it is until the end of the transaction: whoever else would
/// change it waits.
pub(super) async fn hold(tx: &mut Tx, id: TemplateId) -> Result<Template, StoreError> {
    let held = execute!(
        tx,
        "UPDATE compliance_templates SET version = version WHERE id = $1",
        id.0,
    )?;
    touched(held, "template")?;
    let mut template: Template = object(optional!(tx, TemplateRow, SELECT, id.0), "template")?;
    template.reviews = objects(all!(
        tx,
        ReviewRow,
        "SELECT template_id, account_id, rating, comment, created_at
         FROM compliance_template_reviews WHERE template_id = $1
         ORDER BY created_at, account_id",
        id.0,
    ))?;
    Ok(template)
}

/// Adds a template, unless one with its id is there.
pub(super) async fn insert(tx: &mut Tx, template: &Template) -> Result<(), StoreError> {
    let category = columns::word(template.category)?;
    let definition = columns::json(&template.policy_definition)?;
    let targets = columns::json(&template.target_resource_types)?;
    let frameworks = columns::json(&template.compliance_frameworks)?;
    let tags = columns::json(&template.tags)?;
    execute!(
        tx,
        "INSERT INTO compliance_templates (id, organization_id, name, description, category,
             definition, target_resource_types, frameworks, tags, is_public, is_verified,
             published, version, average_rating, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (id) DO NOTHING",
        template.id.0,
        template.organization_id.0,
        &template.name,
        &template.description,
        &category,
        &definition,
        &targets,
        &frameworks,
        &tags,
        template.is_public,
        template.is_verified,
        template.published,
        i64::from(template.version),
        template.average_rating,
        columns::time(template.created_at),
        columns::time(template.updated_at),
    )
    .map_err(|error| not_saved(error, &template.name))?;
    Ok(())
}

/// Puts the document of `template` in the place of the one that is there `now`, as the next
/// version if it is published. Answers the template as it is afterwards.
pub(super) async fn replace(
    tx: &mut Tx,
    now: &Template,
    template: &Template,
) -> Result<Template, StoreError> {
    let mut after = Template {
        version: now.version,
        published: now.published,
        reviews: now.reviews.clone(),
        average_rating: now.average_rating,
        created_at: now.created_at,
        updated_at: columns::time(template.updated_at),
        ..template.clone()
    };
    if now.published {
        let document = columns::json(now)?;
        execute!(
            tx,
            "INSERT INTO compliance_template_versions (template_id, version, document)
             VALUES ($1, $2, $3)",
            now.id.0,
            i64::from(now.version),
            &document,
        )?;
        after.version = now.version.saturating_add(1);
    }
    let category = columns::word(after.category)?;
    let definition = columns::json(&after.policy_definition)?;
    let targets = columns::json(&after.target_resource_types)?;
    let frameworks = columns::json(&after.compliance_frameworks)?;
    let tags = columns::json(&after.tags)?;
    execute!(
        tx,
        "UPDATE compliance_templates SET name = $2, description = $3, category = $4,
             definition = $5, target_resource_types = $6, frameworks = $7, tags = $8,
             is_public = $9, version = $10, updated_at = $11
         WHERE id = $1",
        after.id.0,
        &after.name,
        &after.description,
        &category,
        &definition,
        &targets,
        &frameworks,
        &tags,
        after.is_public,
        i64::from(after.version),
        after.updated_at,
    )
    .map_err(|error| not_saved(error, &after.name))?;
    Ok(after)
}

fn not_saved(error: sqlx::Error, name: &str) -> StoreError {
    match is_duplicate(&error) {
        true => StoreError::Refused {
            code: "duplicate_name",
            message: format!("there is already a template named {name:?}; choose another"),
        },
        false => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_has_one_decimal() {
        let reviews = |ratings: &[u8]| -> Vec<Review> {
            let of = |rating: &u8| Review {
                user_id: Uuid::nil(),
                rating: *rating,
                comment: String::new(),
                created_at: DateTime::UNIX_EPOCH,
            };
            ratings.iter().map(of).collect()
        };
        let cases: [(&[u8], Option<f64>); 6] = [
            (&[], None),
            (&[5], Some(5.0)),
            (&[5, 4], Some(4.5)),
            (&[5, 5, 4], Some(4.7)),
            (&[1, 1, 2], Some(1.3)),
            (&[1, 1, 1, 2], Some(1.3)),
        ];
        for (ratings, expected) in cases {
            assert_eq!(average(&reviews(ratings)), expected, "{ratings:?}");
        }
    }
}
