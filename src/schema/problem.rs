//! What can be wrong with a command, in words.

use std::fmt;

use crate::lang::{all_of, any_of};

/// The most values of a tag to list.
const CASES: usize = 4;

/// A wrong value that can be one of at most this many is told all of them.
pub const FEW: usize = 8;

/// Something in a command that the server will not accept, and a correction if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The number of the transaction's action that it is about, counted from 1.
    pub action: Option<usize>,
}

/// What is wrong with a command. Each key is given by its whole dotted path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// There is no such command.
    Command {
        /// As it was given.
        name: String,
        /// The commands that may have been meant.
        near: Vec<String>,
    },
    /// There is no such key.
    Key {
        /// As it was given.
        key: String,
        /// The keys that may have been meant.
        near: Vec<String>,
    },
    /// A key that belongs to other values of a union's tag.
    Misplaced {
        /// The key.
        key: String,
        /// The key of the tag.
        tag: String,
        /// The values of the tag that it belongs to.
        cases: Vec<String>,
    },
    /// An enumeration has no such value.
    Value {
        /// The key.
        key: String,
        /// As it was given.
        value: String,
        /// The values that may have been meant.
        near: Vec<String>,
        /// Everything that it can be, if that is not much.
        all: Vec<String>,
    },
    /// Something required was not given.
    Missing {
        /// The keys.
        keys: Vec<String>,
    },
}

impl Problem {
    /// A problem that is not about an action of a transaction.
    pub fn new(kind: ProblemKind) -> Self {
        Self { kind, action: None }
    }

    /// Everything that a wrong value can be, if the problem names only what is near.
    pub fn choices(&self) -> Option<String> {
        match &self.kind {
            ProblemKind::Value { key, near, all, .. }
                if !near.is_empty() && near.len() < all.len() =>
            {
                Some(format!("`{key}` can be {}", any_of(all)))
            }
            _ => None,
        }
    }

    /// Whether the problem suggests a correction.
    pub fn helps(&self) -> bool {
        match &self.kind {
            ProblemKind::Command { near, .. } | ProblemKind::Key { near, .. } => !near.is_empty(),
            ProblemKind::Value { near, all, .. } => !near.is_empty() || !all.is_empty(),
            ProblemKind::Misplaced { .. } | ProblemKind::Missing { .. } => true,
        }
    }
}

/// A sentence without its full stop.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(action) = self.action {
            write!(f, "in action {action}: ")?;
        }
        let near = match &self.kind {
            ProblemKind::Command { name, near } => {
                write!(f, "there is no command `{name}`")?;
                near
            }
            ProblemKind::Key { key, near } => {
                write!(f, "there is no argument `{key}`")?;
                near
            }
            ProblemKind::Value {
                key,
                value,
                near,
                all,
            } => {
                write!(f, "`{key}` cannot be `{value}`")?;
                if near.is_empty() && !all.is_empty() {
                    return write!(f, ", only {}", any_of(all));
                }
                near
            }
            ProblemKind::Misplaced { key, tag, cases } => {
                let (shown, more) = match cases.get(..CASES) {
                    Some(shown) if cases.len() > CASES => (shown, ", …"),
                    _ => (&cases[..], ""),
                };
                return write!(
                    f,
                    "`{key}` is only accepted with {tag}={}{more}",
                    shown.join(", ")
                );
            }
            ProblemKind::Missing { keys } => {
                let are = if keys.len() == 1 { "is" } else { "are" };
                return write!(f, "{} {are} missing", all_of(keys));
            }
        };
        if !near.is_empty() {
            write!(f, "; did you mean {}?", any_of(near))?;
        }
        Ok(())
    }
}
