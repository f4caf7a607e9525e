use std::fmt;
use std::sync::Arc;

use super::{Line, SyntaxError, Words};

/// What the other end speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// QEMU's machine protocol.
    #[default]
    Qmp,
    /// The human monitor, through QMP or on a socket of its own.
    Hmp,
    /// The guest agent.
    Qga,
    /// The protocol of QEMU's device tests.
    Qtest,
}

impl Dialect {
    /// All dialects, by the names that `--dialect` knows them by.
    pub const NAMES: [(&str, Self); 4] = [
        ("qmp", Self::Qmp),
        ("hmp", Self::Hmp),
        ("qga", Self::Qga),
        ("qtest", Self::Qtest),
    ];

    /// The name that `--dialect` knows it by.
    pub fn name(self) -> &'static str {
        let mut all = Self::NAMES.iter();
        all.find(|(_, dialect)| *dialect == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether its lines are a verb and the verb's arguments.
    pub fn has_verbs(self) -> bool {
        match self {
            Self::Qmp | Self::Qga => false,
            Self::Hmp | Self::Qtest => true,
        }
    }
}

/// The language of the lines that call no built-in.
#[derive(Clone)]
pub enum Language {
    /// `COMMAND KEY=VALUE …`, or a whole message, in one of the dialects that have no verbs.
    Commands(Dialect),
    /// A text that means something to the server alone, up to an `&` at its end.
    Text(Reading),
    /// Words like those of commands, with a filter and the rest after them, which mean something to the server alone.
    Words(Reading),
}

impl Default for Language {
    fn default() -> Self {
        Self::Commands(Dialect::default())
    }
}

/// Makes a line of the words of a server's own language.
pub type Reading = Arc<dyn Fn(&Words) -> Result<Line, SyntaxError> + Send + Sync>;

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commands(_) => "Commands",
            Self::Text(_) => "Text",
            Self::Words(_) => "Words",
        })
    }
}
