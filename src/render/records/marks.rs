//! What is special about some cells of a table.

use std::collections::{HashMap, HashSet};

/// The cells that have changed, and those that show something else than their value. Columns that have such cells
/// come before others.
#[derive(Debug, Default)]
pub struct Marks {
    columns: HashMap<String, HashMap<usize, Mark>>,
    /// The columns that ever had such cells, so that the table does not change its columns all the time.
    moved: HashSet<String>,
}

#[derive(Debug)]
pub enum Mark {
    /// The value has changed.
    Changed,
    /// This stands for the value.
    Replaced(String),
}

impl Marks {
    /// No marks yet, for the same table as `before`.
    pub fn after(before: Self) -> Self {
        Self {
            columns: HashMap::new(),
            moved: before.moved,
        }
    }

    /// Marks the value at `path` in this row as changed.
    pub fn changed(&mut self, row: usize, path: &[&str]) {
        self.add(row, path, Mark::Changed);
    }

    /// Shows `text` instead of the value at `path` in this row.
    pub fn replace(&mut self, row: usize, path: &[&str], text: String) {
        self.add(row, path, Mark::Replaced(text));
    }

    fn add(&mut self, row: usize, path: &[&str], mark: Mark) {
        let path = path.join(".");
        self.moved.insert(path.clone());
        self.columns.entry(path).or_default().insert(row, mark);
    }

    /// Whether a column has marks, or had some before.
    pub fn has_moved(&self, path: &[&str]) -> bool {
        !self.moved.is_empty() && self.moved.contains(&path.join("."))
    }

    /// The marks of a column, by row.
    pub fn of(&self, path: &[&str]) -> Option<&HashMap<usize, Mark>> {
        // Most tables have none.
        if self.columns.is_empty() {
            return None;
        }
        self.columns.get(&path.join("."))
    }
}
