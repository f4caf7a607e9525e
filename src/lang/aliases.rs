//! Aliases: names that a user gave to lines.
//!
//! An alias is the first word of a line, outside of transactions, and stands for its text: what follows it on the line
//! is added to that. An alias in the text of an alias is expanded too, but none within itself, so that a command can be
//! the alias of itself with arguments.

use std::collections::BTreeMap;

use super::tail;
use super::tokens::{self, PLAIN_BUILTINS};

/// The lines that names stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<String, String>);

impl Aliases {
    /// Lets `name` stand for `line`.
    ///
    /// # Errors
    ///
    /// Why it cannot: a sentence without its full stop.
    pub fn set(&mut self, name: &str, line: &str) -> Result<(), String> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_part) {
            return Err(format!(
                "`{name}` is not the name of an alias; a name has letters, digits, `-`, `_` and `.`"
            ));
        }
        if PLAIN_BUILTINS.contains(&name) {
            return Err(format!("`{name}` is a built-in, so it cannot be an alias"));
        }
        let line = line.trim();
        if line.is_empty() {
            return Err(format!("the alias `{name}` stands for nothing"));
        }
        let words = tokens::split(line).map_err(|error| error.message)?;
        if let Some(opener) = words.last().filter(|word| tokens::opens_tail(word.text)) {
            tail::check(line, opener.start).map_err(|error| error.message)?;
        }
        self.0.insert(name.to_owned(), line.to_owned());
        Ok(())
    }

    /// Removes an alias. Returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// What a line begins with instead of the alias `name`, if that is one, and the aliases that lines in that line may
    /// begin with.
    pub fn expand(&self, name: &str) -> Option<(String, Self)> {
        let mut text = self.get(name)?.to_owned();
        let mut left = self.clone();
        left.remove(name);
        while let Some(name) = text.split_whitespace().next()
            && let Some((name, line)) = left.0.remove_entry(name)
        {
            text.replace_range(..name.len(), &line);
        }
        Some((text, left))
    }

    /// The line that `name` stands for.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All aliases with their lines, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, line)| (name.as_str(), line.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_and_a_line_is_complete() {
        let mut aliases = Aliases::default();
        for (name, line) in [
            ("", "a"),
            ("a b", "c"),
            (":x", "c"),
            ("help", "c"),
            ("a", "  "),
            ("a", "b 'c"),
        ] {
            assert!(aliases.set(name, line).is_err(), "{name}={line}");
        }
        assert_eq!(aliases.set("query-block", "query-block | .[]"), Ok(()));
        assert!(aliases.remove("query-block") && !aliases.remove("query-block"));
    }
}
