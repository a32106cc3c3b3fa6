//! What all lists of `/governance` share: filters, paging and sorting in the query, and the
//! envelope `{data, pagination}`.

use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::error::ApiError;
use super::super::query::Query;
use crate::compliance::{Listed, Page, Sort};

/// Objects that a page has where the caller does not say.
const LIMIT: u32 = 20;
/// Most objects of a page.
const MOST: u32 = 100;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Paged<T> {
    /// The objects of the page.
    data: Vec<T>,
    /// Where the page is in the list.
    pagination: Pagination,
}

/// Where a page is in its list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    /// How many objects there are in all.
    total: u64,
    /// Most objects of this page.
    limit: u32,
    /// How many were left out before the first.
    offset: u64,
    /// Whether more follow.
    has_more: bool,
}

impl<T> Paged<T> {
    pub(crate) fn new(page: Page, listed: Listed<T>) -> Paged<T> {
        let shown = page.offset.saturating_add(listed.data.len() as u64);
        Paged {
            pagination: Pagination {
                total: listed.total,
                limit: page.limit,
                offset: page.offset,
                has_more: shown < listed.total && !listed.data.is_empty(),
            },
            data: listed.data,
        }
    }
}

/// The parameters of a list.
pub(crate) struct ListQuery(Query);

impl ListQuery {
    /// Reads the text after the `?`, if there is one.
    pub(crate) fn read(query: Option<&str>) -> ListQuery {
        ListQuery(Query::read(query.unwrap_or_default()))
    }

    /// A text that is looked for.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let expected = "a text without NUL characters";
        self.0.take(name, expected, |text| {
            (!text.contains('\0')).then(|| text.to_owned())
        })
    }

    /// A word of an enum.
    pub(crate) fn word<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Option<T> {
        self.0.take(name, expected, |text| {
            let word = StrDeserializer::<serde::de::value::Error>::new(text);
            T::deserialize(word).ok()
        })
    }

    /// An identifier. A text that is none names nothing, as an identifier does that nothing bears.
    pub(crate) fn id<T: FromStr + From<Uuid>>(&mut self, name: &'static str) -> Option<T> {
        self.0.take(name, "an identifier", |text| {
            Some(text.parse().unwrap_or_else(|_| T::from(Uuid::max())))
        })
    }

    /// `true` or `false`.
    pub(crate) fn switch(&mut self, name: &'static str) -> Option<bool> {
        self.0.take(name, "true or false", |text| text.parse().ok())
    }

    /// A number within bounds.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        expected: &str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        self.0.take(name, expected, |text| {
            let number = whole(text)?;
            bounds.contains(&number).then_some(number)
        })
    }

    /// `limit`, `offset` and `sort`, and an end to the query: whatever is left is a fault. The
    /// list can be sorted by `fields`, and is by `createdAt`, newest first, where nothing is said.
    ///
    /// Errors: 400 with every fault.
    pub(crate) fn page(mut self, fields: &[&'static str]) -> Result<Page, ApiError> {
        let limit = self
            .number("limit", "a number from 1 to 100", 1..=u64::from(MOST))
            .and_then(|limit| u32::try_from(limit).ok());
        let offset = self.number("offset", "a number from 0", 0..=1 << 53);
        let expected = format!(
            "a field and a direction, such as createdAt:desc; fields: {}",
            fields.join(", ")
        );
        let sort = self.0.take("sort", &expected, |text| {
            let (field, direction) = text.split_once(':').unwrap_or((text, "asc"));
            let descending = match direction {
                "asc" => false,
                "desc" => true,
                _ => return None,
            };
            let field = fields.iter().copied().find(|known| *known == field)?;
            Some(Sort { field, descending })
        });
        self.finish()?;
        Ok(Page {
            limit: limit.unwrap_or(LIMIT),
            offset: offset.unwrap_or(0),
            sort: sort.unwrap_or(Sort {
                field: "createdAt",
                descending: true,
            }),
        })
    }

    /// An end to a query without paging.
    ///
    /// Errors: 400 with every fault.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        self.0.finish().map_err(ApiError::of_parameters)
    }
}

/// A whole number in plain digits: `+7` and `07` are none.
fn whole(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| plain && !leading)
}
