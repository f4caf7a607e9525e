//! Texts within texts: a string may contain JSON or a line, which contain strings again.

use std::ops::Range;

type Look = fn(&str, bool, Nest) -> Vec<Range<usize>>;

/// How deep texts may be nested in strings. A deeper string is masked as a whole.
const DEEPEST: usize = 4;

/// How deep a text is nested, and the function that finds secrets in a string. Passing the function down keeps the
/// files here from importing each other.
#[derive(Clone, Copy)]
pub(super) struct Nest {
    depth: usize,
    look: Look,
}

impl Nest {
    /// An outermost text.
    pub const fn top(look: Look) -> Self {
        Self { depth: 0, look }
    }

    pub fn deeper(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }

    pub fn is_deepest(self) -> bool {
        self.depth == DEEPEST
    }

    /// Finds the secrets in a string, which is a value or a line.
    pub fn look(self, text: &str, is_line: bool) -> Vec<Range<usize>> {
        (self.look)(text, is_line, self)
    }
}
