//! Recalls lines of the history, and parts of them.

use rustyline::history::History;

use super::history::get;
use crate::lang::{Language, line_has_secret, lines};

/// Where a walk through the history is.
#[derive(Default)]
pub(super) struct Recall {
    /// What the user had typed before.
    typed: String,
    /// The line that was recalled last. As soon as the line is another, the walk has ended.
    shown: Option<String>,
    /// Its number in the history, from 0 for the oldest.
    at: usize,
}

impl Recall {
    /// An older line that starts like `line` did before the walk.
    pub fn older(&mut self, line: &str, history: &dyn History) -> Option<String> {
        self.begin(line, history);
        let found = (0..self.at.min(history.len())).rev();
        self.show_first(found, history)
    }

    /// A newer one, or at last what the user had typed.
    pub fn newer(&mut self, line: &str, history: &dyn History) -> Option<String> {
        self.begin(line, history);
        if self.at >= history.len() {
            return None;
        }
        let found = self.at + 1..history.len();
        self.show_first(found, history).or_else(|| {
            self.at = history.len();
            self.shown = Some(self.typed.clone());
            Some(self.typed.clone())
        })
    }

    /// `line` with the last word of an older line at its end, instead of the last word that this gave before.
    pub fn last_word(&mut self, line: &str, history: &dyn History) -> Option<String> {
        self.begin(line, history);
        for at in (0..self.at.min(history.len())).rev() {
            let older = get(history, at)?;
            let lines = lines(&older, &Language::default());
            let words = lines.last().and_then(|line| line.words.as_ref().ok());
            if let Some(word) = words.and_then(|words| words.last()) {
                self.at = at;
                self.shown = Some(format!("{}{word}", self.typed));
                return self.shown.clone();
            }
        }
        None
    }

    /// Begins a walk, unless `line` is where the last one is.
    fn begin(&mut self, line: &str, history: &dyn History) {
        if self.shown.as_deref() != Some(line) {
            *self = Self {
                typed: line.to_owned(),
                shown: Some(line.to_owned()),
                at: history.len(),
            };
        }
    }

    fn show_first(
        &mut self,
        mut numbers: impl Iterator<Item = usize>,
        history: &dyn History,
    ) -> Option<String> {
        let (at, line) = numbers.find_map(|at| {
            let line = get(history, at)?;
            let differs = line.starts_with(&self.typed) && Some(&line) != self.shown.as_ref();
            differs.then_some((at, line))
        })?;
        (self.at, self.shown) = (at, Some(line.clone()));
        Some(line)
    }
}

/// The rest of the newest line of the history that starts like `line`, unless it is secret.
pub(super) fn ghost(line: &str, history: &dyn History) -> Option<String> {
    if line.trim().is_empty() {
        return None;
    }
    let mut matching = (0..history.len())
        .rev()
        .filter_map(|at| get(history, at))
        .filter(|older| older.len() > line.len() && older.starts_with(line));
    let older = matching.find(|older| !older.contains('\n'))?;
    (!line_has_secret(&older)).then(|| older[line.len()..].to_owned())
}

#[cfg(test)]
mod tests {
    use rustyline::history::MemHistory;

    use super::*;

    fn history(lines: &[&str]) -> MemHistory {
        let mut history = MemHistory::new();
        for line in lines {
            history.add(line).expect("room");
        }
        history
    }

    #[test]
    fn a_walk_finds_lines_that_start_alike_and_returns_to_what_was_typed() {
        let history = history(&["query-a", "stop", "query-b", "cont", "query-b"]);
        let mut recall = Recall::default();
        let mut line = "query-".to_owned();
        for expected in ["query-b", "query-a"] {
            line = recall.older(&line, &history).expect(expected);
            assert_eq!(line, expected);
        }
        assert_eq!(recall.older(&line, &history), None);
        for expected in ["query-b", "query-"] {
            line = recall.newer(&line, &history).expect(expected);
            assert_eq!(line, expected);
        }
        assert_eq!(recall.newer(&line, &history), None);
        // Another line begins another walk.
        assert_eq!(recall.older("", &history).as_deref(), Some("query-b"));
        assert_eq!(recall.older("query-b", &history).as_deref(), Some("cont"));
    }

    #[test]
    fn the_last_words_of_older_lines_follow_each_other() {
        let history = history(&["a x=1", "b", "c y='1 2'"]);
        let mut recall = Recall::default();
        for (line, expected) in [("d ", "d y='1 2'"), ("d y='1 2'", "d b"), ("d b", "d x=1")] {
            assert_eq!(recall.last_word(line, &history).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_ghost_is_the_rest_of_the_newest_line_that_is_not_secret() {
        let history = history(&[
            "query-status",
            "query-name",
            "set_password protocol=vnc password=x",
        ]);
        assert_eq!(ghost("query-", &history).as_deref(), Some("name"));
        assert_eq!(ghost("query-s", &history).as_deref(), Some("tatus"));
        assert_eq!(ghost("set_", &history), None);
        assert_eq!(ghost("", &history), None);
        assert_eq!(ghost("query-name", &history), None);
    }
}
