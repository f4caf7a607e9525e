//! Texts within texts: what a string holds may be JSON or a line, and these hold strings.

use std::ops::Range;

type Look = fn(&str, bool, Nest) -> Vec<Range<usize>>;

/// How often a text may stand in a string of another; what lies deeper is masked as a whole.
const DEEPEST: usize = 4;

/// How deep a text is nested, and the function that looks into a string. It is handed down so that those who find
/// strings need not know all that a string may hold.
#[derive(Clone, Copy)]
pub(super) struct Nest {
    depth: usize,
    look: Look,
}

impl Nest {
    /// A text that is not within another.
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

    /// The secrets in a string: a value, or a line in itself.
    pub fn look(self, text: &str, is_line: bool) -> Vec<Range<usize>> {
        (self.look)(text, is_line, self)
    }
}
