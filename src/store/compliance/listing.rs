//! Parts of lists, by whatever filters and in whatever order: the one place where the text of a
//! statement depends on what is asked. Values are bound; what is pasted is text of ours.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::{Store, StoreError, columns};
use crate::compliance::{Listed, Page};

/// The length from which a long list is walked along the index of its order; a shorter one is
/// gathered and sorted.
const LONG: u64 = 3_000;

/// A value that a condition compares with.
#[derive(Clone, Debug)]
pub(in crate::store) enum Bound {
    Text(String),
    Id(Uuid),
    Switch(bool),
    Time(DateTime<Utc>),
}

impl From<String> for Bound {
    fn from(text: String) -> Bound {
        Bound::Text(text)
    }
}

impl From<&str> for Bound {
    fn from(text: &str) -> Bound {
        Bound::Text(text.to_owned())
    }
}

impl From<Uuid> for Bound {
    fn from(id: Uuid) -> Bound {
        Bound::Id(id)
    }
}

impl From<bool> for Bound {
    fn from(switch: bool) -> Bound {
        Bound::Switch(switch)
    }
}

impl From<DateTime<Utc>> for Bound {
    fn from(time: DateTime<Utc>) -> Bound {
        Bound::Time(columns::time(time))
    }
}

/// What a list can be sorted by: the field as the API names it, and the SQL that stands for it.
pub(in crate::store) type Sorts = &'static [(&'static str, &'static str)];

/// A list that may have 100,000 objects, and still has to be quick.
///
/// Each of its sorts has an index whose columns are that of the sort, the id, and `filters`. For a
/// column that may be NULL, PostgreSQL has another one that is descending with NULLS LAST.
#[derive(Clone, Copy)]
pub(in crate::store) struct Long {
    /// A table that has `filters`, and how many objects there are for each combination of them.
    pub(in crate::store) counts: &'static str,
    /// The column of `counts` with that number.
    pub(in crate::store) number: &'static str,
    /// Columns. A list with a condition on another column is taken for short; that has an index.
    pub(in crate::store) filters: &'static [&'static str],
    /// Columns of sorts that may be NULL.
    pub(in crate::store) nullable: &'static [&'static str],
}

/// A list of a table, and the conditions that its objects meet.
pub(in crate::store) struct Listing {
    conditions: Vec<Condition>,
    values: Vec<Bound>,
    long: Option<Long>,
}

/// A condition, with the column that it begins with, if it is on one alone.
struct Condition {
    column: Option<&'static str>,
    text: String,
}

impl Listing {
    /// The whole table.
    pub(in crate::store) fn new() -> Listing {
        Listing {
            conditions: Vec::new(),
            values: Vec::new(),
            long: None,
        }
    }

    /// The whole table, which may be long.
    pub(in crate::store) fn long(long: Long) -> Listing {
        Listing {
            long: Some(long),
            ..Listing::new()
        }
    }

    /// Those where a column, or another SQL expression, equals a value. Without a value: all.
    pub(in crate::store) fn equals(
        &mut self,
        column: &'static str,
        value: Option<impl Into<Bound>>,
    ) {
        if let Some(value) = value {
            let place = self.bind(value);
            self.conditions.push(Condition {
                column: Some(column),
                text: format!("{column} = {place}"),
            });
        }
    }

    /// Those where a column is one of some values.
    pub(in crate::store) fn is_one_of<V: Into<Bound>>(
        &mut self,
        column: &'static str,
        values: impl IntoIterator<Item = V>,
    ) {
        let places: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        match places.is_empty() {
            // PostgreSQL has no empty list.
            true => self.condition("1 = 0".to_owned()),
            false => self.conditions.push(Condition {
                column: Some(column),
                text: format!("{column} IN ({})", places.join(", ")),
            }),
        }
    }

    /// Those where one of the columns has a text in it, whatever the case of its letters.
    pub(in crate::store) fn mentions(&mut self, columns: &[&'static str], text: Option<&str>) {
        let Some(text) = text else { return };
        let mut pattern = String::from("%");
        for letter in text.chars() {
            if ['%', '_', '\\'].contains(&letter) {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        let place = self.bind(pattern);
        let any: Vec<String> = columns
            .iter()
            .map(|column| format!("lower({column}) LIKE lower({place}) ESCAPE '\\'"))
            .collect();
        self.condition(format!("({})", any.join(" OR ")));
    }

    /// Those that meet a condition of ours; each `{}` in it stands for the next of the values.
    pub(in crate::store) fn holds(&mut self, condition: &'static str, values: Vec<Bound>) {
        let mut text = String::new();
        let mut parts = condition.split("{}");
        text.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            text.push_str(&self.bind(value));
            text.push_str(part);
        }
        self.condition(format!("({text})"));
    }

    fn condition(&mut self, text: String) {
        self.conditions.push(Condition { column: None, text });
    }

    fn bind(&mut self, value: impl Into<Bound>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// A page of the list, and its length. `from` is what follows FROM, `columns` what follows
    /// SELECT, `id` the column that orders objects which are alike.
    ///
    /// Errors: corrupt, if the list cannot be sorted by that field.
    pub(in crate::store) async fn page<R>(
        self,
        store: &Store,
        select: &'static str,
        from: &'static str,
        sorts: Sorts,
        id: &'static str,
        page: Page,
    ) -> Result<Listed<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let sort = sorts.iter().find(|(field, _)| *field == page.sort.field);
        let (_, sort) = sort.ok_or_else(|| {
            StoreError::Corrupt(format!("a list cannot be sorted by {}", page.sort.field))
        })?;
        // The length and the page are of one moment.
        let mut tx = store.snapshot().await?;
        let on_sqlite = matches!(tx.executor(), Db::Sqlite(_));
        let count = self.count(from);
        let total = match fetch::<(i64,)>(&mut tx, count, &self.values).await?.first() {
            Some((total,)) => columns::from_count(*total, "count")?,
            None => 0,
        };
        let mut data = Vec::new();
        if page.offset < total {
            let is_walked = self.long.is_some() && total > LONG && self.is_counted();
            // SQLite has no statistics and has to be told. `+column` is to it no column that an
            // index has.
            let (condition, aside) = match (on_sqlite, is_walked) {
                (true, true) => (self.clause(Some(*sort)), ""),
                (true, false) if self.long.is_some() => (self.clause(None), "+"),
                _ => (self.clause(None), ""),
            };
            if is_walked && !on_sqlite {
                keep_to_the_order(&mut tx).await?;
            }
            let part = Part::of(page, total);
            let inner = self.order(sort, id, page.sort.descending, part.is_from_the_end);
            let outer = self.order(sort, id, page.sort.descending, false);
            let (limit, offset) = (part.limit, part.offset);
            let ids = format!(
                "SELECT {id} FROM {from}{condition}
                 ORDER BY {aside}{inner} LIMIT {limit} OFFSET {offset}"
            );
            let ids = fetch::<(Uuid,)>(&mut tx, ids, &self.values).await?;
            if is_walked && !on_sqlite {
                // To keep to it for the rows would be to read all of them in that order.
                execute!(tx, "SET LOCAL enable_sort = on")?;
            }
            let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
            let rows = format!(
                "SELECT {select} FROM {from} WHERE {id} IN ({}) ORDER BY {outer}",
                places.join(", ")
            );
            let ids: Vec<Bound> = ids.into_iter().map(|(id,)| Bound::Id(id)).collect();
            if !ids.is_empty() {
                data = fetch(&mut tx, rows, &ids).await?;
            }
        }
        tx.commit().await?;
        Ok(Listed { data, total })
    }

    /// All of the list, in an order: what follows ORDER BY.
    pub(in crate::store) async fn all<R>(
        self,
        store: &Store,
        select: &'static str,
        from: &'static str,
        order: &'static str,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let condition = self.clause(None);
        let text = format!("SELECT {select} FROM {from}{condition} ORDER BY {order}");
        let mut tx = store.snapshot().await?;
        let rows = fetch(&mut tx, text, &self.values).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// The statement that counts.
    fn count(&self, from: &str) -> String {
        let condition = self.clause(None);
        match self.long.filter(|_| self.is_counted()) {
            Some(Long { counts, number, .. }) => format!(
                "SELECT CAST(coalesce(sum({number}), 0) AS BIGINT) FROM {counts}{condition}"
            ),
            None => format!("SELECT count(*) FROM {from}{condition}"),
        }
    }

    /// Whether all conditions are on columns that the table of counts has.
    fn is_counted(&self) -> bool {
        let filters = self.long.map_or(&[] as &[&str], |long| long.filters);
        let known = |column: &str| filters.contains(&column);
        let mut conditions = self.conditions.iter();
        conditions.all(|condition| condition.column.is_some_and(known))
    }

    /// The conditions, from WHERE on. To walk along the index of a sort, SQLite is to look for
    /// no other column in an index.
    fn clause(&self, along: Option<&str>) -> String {
        let conditions = self.conditions.iter();
        let texts: Vec<String> = conditions
            .map(|condition| match (along, condition.column) {
                (Some(sort), Some(column)) if column != sort => format!("+{}", condition.text),
                _ => condition.text.clone(),
            })
            .collect();
        match texts.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", texts.join(" AND ")),
        }
    }

    /// What follows ORDER BY. Read from the end, the order is the other way round.
    fn order(&self, sort: &str, id: &str, descending: bool, is_from_the_end: bool) -> String {
        let direction = match descending != is_from_the_end {
            true => "DESC",
            false => "ASC",
        };
        // PostgreSQL and SQLite disagree on where NULL belongs; where there is none, to say so
        // would keep PostgreSQL from its index.
        let nulls = match (self.long, is_from_the_end) {
            (Some(long), _) if !long.nullable.contains(&sort) => "",
            (_, false) => " NULLS LAST",
            (_, true) => " NULLS FIRST",
        };
        format!("{sort} {direction}{nulls}, {id} {direction}")
    }
}

/// Which objects of a list are on a page, counted from whichever end is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    limit: u64,
    offset: u64,
    is_from_the_end: bool,
}

impl Part {
    /// The part of a list of `total` objects in which the page begins.
    fn of(page: Page, total: u64) -> Part {
        let left = total.saturating_sub(page.offset);
        let limit = u64::from(page.limit).min(left);
        let behind = left - limit;
        match behind < page.offset {
            true => Part {
                limit,
                offset: behind,
                is_from_the_end: true,
            },
            false => Part {
                limit,
                offset: page.offset,
                is_from_the_end: false,
            },
        }
    }
}

/// Has PostgreSQL read in the order of an index. It takes it for dearer than to sort everything,
/// which it is not where the index has all that is asked for.
async fn keep_to_the_order(tx: &mut Tx) -> Result<(), StoreError> {
    execute!(tx, "SET LOCAL enable_sort = off")?;
    // The price of what it is to avoid would have it compile the statement.
    execute!(tx, "SET LOCAL jit = off")?;
    Ok(())
}

/// The rows of a statement whose text depends on what is asked.
async fn fetch<R>(tx: &mut Tx, text: String, values: &[Bound]) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    macro_rules! on {
        ($db:expr) => {{
            let mut query = sqlx::query_as::<_, R>(AssertSqlSafe(text));
            for value in values {
                query = match value {
                    Bound::Text(text) => query.bind(text.clone()),
                    Bound::Id(id) => query.bind(*id),
                    Bound::Switch(switch) => query.bind(*switch),
                    Bound::Time(time) => query.bind(*time),
                };
            }
            query.fetch_all($db).await?
        }};
    }
    Ok(match tx.executor() {
        Db::Sqlite(db) => on!(db),
        Db::Postgres(db) => on!(db),
    })
}

/// The rows that belong to any of some ids: `before` is the statement up to the list of them,
/// `after` what follows it.
pub(in crate::store) async fn rows_of_ids<R>(
    tx: &mut Tx,
    before: &'static str,
    ids: &[Uuid],
    after: &'static str,
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut rows = Vec::new();
    // SQLite takes some 32,000 values in one statement.
    for ids in ids.chunks(10_000) {
        let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
        let text = format!("{before} ({}) {after}", places.join(", "));
        let values: Vec<Bound> = ids.iter().map(|id| Bound::Id(*id)).collect();
        rows.extend(fetch::<R>(tx, text, &values).await?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::Sort;

    #[test]
    fn part_is_counted_from_the_nearer_end() {
        for (limit, offset, total, expected) in [
            (20, 0, 100, (20, 0, false)),
            (20, 40, 100, (20, 40, false)),
            (20, 41, 100, (20, 39, true)),
            (20, 80, 100, (20, 0, true)),
            (20, 95, 100, (5, 0, true)),
            (20, 0, 5, (5, 0, false)),
            (1, 0, 1, (1, 0, false)),
        ] {
            let sort = Sort {
                field: "createdAt",
                descending: true,
            };
            let page = Page {
                limit,
                offset,
                sort,
            };
            let part = Part::of(page, total);
            let found = (part.limit, part.offset, part.is_from_the_end);
            assert_eq!(found, expected, "{limit} from {offset} of {total}");
        }
    }
}
