use std::fmt;
use std::sync::Arc;

use super::{Line, SyntaxError, Words};

/// What the other end speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// QEMU's machine protocol.
    #[default]
    Qmp,
}

/// The language of the lines that call no built-in.
#[derive(Clone, Default)]
pub enum Language {
    /// `COMMAND KEY=VALUE …`, or a whole message.
    #[default]
    Commands,
    /// Words that mean something to the server alone. Comments, quotes and what follows a command are ours.
    Words(Reading),
}

/// Makes a line of the words of a server's own language.
pub type Reading = Arc<dyn Fn(&Words) -> Result<Line, SyntaxError> + Send + Sync>;

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commands => "Commands",
            Self::Words(_) => "Words",
        })
    }
}
