//! The values of records that leave as the bytes they came as, for content policies.

use std::collections::BTreeMap;

use super::detect::texts::Column;

/// The values of records that leave as the bytes they came as.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    pub(super) columns: BTreeMap<String, Column>,
    /// The rows that have a value, for each column and each path within it.
    pub(super) present: BTreeMap<String, Vec<usize>>,
    /// About how many bytes the paths take.
    paths: usize,
}

/// Most bytes that the paths of gathered values may take.
const MOST_PATHS: usize = 64 << 20;

/// Most of them that are kept from one batch for the next.
const KEPT_PATHS: usize = 1 << 20;

/// Most bytes of buffers that are kept from one batch for the next.
const KEPT: usize = 16 << 20;

/// About what a path takes besides its text.
const PATH: usize = 256;

impl Gathered {
    /// Forgets the records before.
    pub fn clear(&mut self) {
        if self.paths > KEPT_PATHS || self.held() > KEPT {
            *self = Gathered::default();
        }
        self.columns.values_mut().for_each(Column::clear);
        self.present.values_mut().for_each(Vec::clear);
    }

    /// About how many bytes the buffers hold, whether they are filled or not.
    fn held(&self) -> usize {
        let texts: usize = self.columns.values().map(Column::held).sum();
        let present = self.present.values().map(Vec::capacity);
        texts + present.sum::<usize>() * size_of::<usize>()
    }

    /// Adds a value of a row; for numbers and the like, `None` or its text.
    pub fn add(&mut self, row: usize, path: &str, text: Option<&str>) {
        match self.present.get_mut(path) {
            Some(rows) => rows.push(row),
            None => {
                self.present.insert(path.to_owned(), vec![row]);
                self.paths += 2 * path.len() + PATH;
            }
        }
        let Some(text) = text else { return };
        match self.columns.get_mut(path) {
            Some(column) => column.push(row, text),
            None => {
                let mut column = Column::new(path);
                column.push(row, text);
                self.columns.insert(path.to_owned(), column);
            }
        }
    }

    /// Whether there are more different paths than can be looked at: whoever makes up keys must
    /// not make up our memory.
    pub fn is_full(&self) -> bool {
        self.paths > MOST_PATHS
    }

    /// The texts at a path.
    #[cfg(test)]
    pub(crate) fn texts_at(&self, path: &str) -> Vec<&str> {
        let texts = self.columns.get(path).and_then(Column::texts);
        let texts = texts.into_iter();
        texts
            .flat_map(|texts| (0..texts.len()).filter_map(move |place| texts.get(place)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_batches_leave_no_memory_behind() {
        let mut gathered = Gathered::default();
        gathered.add(0, "small", Some("x"));
        gathered.clear();
        assert!(gathered.columns.contains_key("small"));
        let text = "x".repeat(1 << 20);
        for column in 0..17 {
            gathered.clear();
            gathered.add(0, &format!("c{column}"), Some(&text));
        }
        gathered.clear();
        assert!(gathered.held() <= KEPT);
        for row in 0..(3 << 20) {
            gathered.add(row, "n", None);
        }
        gathered.clear();
        assert!(gathered.held() <= KEPT);
    }
}
