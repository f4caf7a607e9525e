//! How a run ends: exit statuses, and the failures that lead to them.

use std::time::Duration;

use crate::lang::{SyntaxError, Words, conceal, mask_text};
use crate::qmp::{self, QmpError, State};
use crate::render::clip;
use crate::transport::{self, AddressError};
use crate::vm;

/// The exit status. Of several, the highest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Status {
    /// All replies were successes.
    #[default]
    Success = 0,
    /// A command failed, or something on this machine: a file, a program, the terminal.
    Failed = 1,
    /// The command line, or a line of a script, does not parse.
    Usage = 2,
    /// There was no connection, or it was lost.
    NoConnection = 3,
    /// A reply, or an event that was waited for, took too long.
    TimedOut = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a line came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}", .error.report(.source_text))]
    Syntax {
        error: SyntaxError,
        source_text: String,
    },
    /// A line, or an option, that can be read and still makes no sense.
    #[error("{}", clip(.0))]
    Usage(String),
    /// Something on this machine does not do its part: a file, a program, the terminal.
    #[error("{}", clip(.0))]
    Local(String),
    /// The server has refused a command. `help` says what it would have taken, as far as that is known.
    #[error("{}{}", clip(&.error.to_string()), help_lines(.help))]
    Command { error: QmpError, help: Vec<String> },
    /// The VM, or its console, is not to be had.
    #[error("{}", clip(&.0.to_string()))]
    Vm(vm::Error),
    #[error("{}", clip(&mask_text(&.0.to_string())))]
    Qmp(qmp::Error),
    #[error("not connected{}", clip(&mask_text(.0)))]
    NotConnected(String),
    #[error("no reply to `{}` within {}", clip(.name), seconds(*.limit))]
    Timeout { name: String, limit: Duration },
    #[error("no event `{}` within {}", clip(.what), seconds(*.limit))]
    NoEvent { what: String, limit: Duration },
}

impl From<QmpError> for Failure {
    fn from(error: QmpError) -> Self {
        let help = Vec::new();
        Self::Command { error, help }
    }
}

// By hand: as a `source` its text, which is ours already, would be said twice.
impl From<qmp::Error> for Failure {
    fn from(error: qmp::Error) -> Self {
        Self::Qmp(error)
    }
}

impl From<transport::Error> for Failure {
    fn from(error: transport::Error) -> Self {
        Self::Qmp(error.into())
    }
}

impl From<vm::Error> for Failure {
    fn from(error: vm::Error) -> Self {
        Self::Vm(error)
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Failure {
    /// A line that does not parse.
    pub fn syntax(error: SyntaxError, source_text: &str) -> Self {
        let shown = conceal(source_text);
        Self::Syntax {
            error: error.without_secrets(source_text, &shown),
            source_text: shown.into_owned(),
        }
    }

    /// The same of a line that is in words.
    pub fn syntax_of(error: SyntaxError, words: &Words) -> Self {
        let shown = words.concealed();
        Self::Syntax {
            error: error.without_secrets(words.source(), &shown),
            source_text: shown.into_owned(),
        }
    }

    /// There is no connection, for the reason that `state` knows.
    pub fn not_connected(state: &State) -> Self {
        let (ending, next) = match state {
            State::Idle(ending) => (ending, "; `:connect ADDRESS` connects"),
            State::Connecting(ending) => (ending, "; trying to connect"),
            State::Running(_) | State::Disconnecting => (&None, ""),
        };
        let why = ending
            .as_ref()
            .map_or(String::new(), |why| format!(": {why}"));
        Self::NotConnected(why + next)
    }

    pub fn status(&self) -> Status {
        match self {
            Self::Command { .. } | Self::Local(_) => Status::Failed,
            Self::Syntax { .. } | Self::Usage(_) => Status::Usage,
            Self::Vm(vm::Error::NotAConsole | vm::Error::NotAttachable { .. }) => Status::Usage,
            Self::Vm(error) if error.is_local() => Status::Failed,
            Self::NotConnected(_) | Self::Vm(_) => Status::NoConnection,
            Self::Timeout { .. } | Self::NoEvent { .. } => Status::TimedOut,
            Self::Qmp(error) => match error {
                qmp::Error::Transport(transport::Error::TlsCreds(_))
                | qmp::Error::IdInUse(_)
                | qmp::Error::NoDescriptors { .. }
                | qmp::Error::TooManyDescriptors(_) => Status::Usage,
                _ => Status::NoConnection,
            },
        }
    }
}

/// Lines as an error of the language has them.
fn help_lines(help: &[String]) -> String {
    help.iter()
        .map(|help| format!("\nhelp: {}", clip(help)))
        .collect()
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_statuses_the_highest_counts() {
        let all = [
            Status::Failed,
            Status::Success,
            Status::TimedOut,
            Status::Usage,
        ];
        assert_eq!(all.into_iter().max(), Some(Status::TimedOut));
        assert!(Status::Interrupted > Status::TimedOut);
    }
}
