//! Exit statuses, and the failures that lead to them.

use std::time::Duration;

use crate::lang::{SyntaxError, Words, conceal, mask_text};
use crate::qmp::{self, QmpError, State};
use crate::render::{abridge, clip, clip_text};
use crate::transport::{self, AddressError};
use crate::vm;

/// The exit status. If several apply, the highest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Status {
    /// Every command succeeded.
    #[default]
    Success,
    /// A command failed, or something on this machine: a file, a program, the terminal. Or the VM that we launched ended
    /// abnormally.
    Failed,
    /// The command line, or a line of a script, does not parse.
    Usage,
    /// There was no connection, or it was lost.
    NoConnection,
    /// A reply, or an event that a line waited for, took too long.
    TimedOut,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// `:quit N`.
    Given(u8),
}

impl Status {
    /// The number with which the process ends.
    pub fn code(self) -> i32 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoConnection => 3,
            Self::TimedOut => 4,
            Self::Interrupted => 130,
            Self::Given(code) => code.into(),
        }
    }

    /// The same status, or [`Status::Failed`] in place of one that says all went well.
    pub fn or_failed(self) -> Self {
        match self.code() {
            0 => Self::Failed,
            _ => self,
        }
    }
}

/// Why a line failed. Displays as a message for the user.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A line does not parse.
    #[error("{}", .error.report(.source_text))]
    Syntax {
        error: SyntaxError,
        source_text: String,
    },
    /// A line or an option parses but makes no sense.
    #[error("{}", clip(.0))]
    Usage(String),
    /// Lines of a file do not parse or make no sense. Each of the texts says which line and why.
    #[error("{}", .0.join("\n"))]
    Lines(Vec<String>),
    /// Something on this machine failed: a file, a program, the terminal.
    #[error("{}", clip(.0))]
    Local(String),
    /// A filter failed while it ran.
    #[error("the filter `{}` failed: {}; its input was {}", clip(.filter), abridge(.error), abridge(.input))]
    Filter {
        filter: String,
        error: String,
        input: String,
    },
    /// The server refused a command. `help` holds hints about what it would have accepted, one line each.
    #[error("{}{}", clip(&.error.to_string()), help_lines(.help))]
    Command { error: QmpError, help: Vec<String> },
    /// A program in the guest failed, with this exit status.
    #[error("{}", clip(.what))]
    Program { what: String, status: u8 },
    /// The server refused a line, in words of its own.
    #[error("{}", clip_text(&mask_text(.0)))]
    Refused(String),
    /// The VM could not be launched, or a console not attached to.
    #[error("{}", of_vm(.0))]
    Vm(vm::Error),
    /// The connection failed, or the client refused to send a command.
    #[error("{}", clip(&mask_text(&.0.to_string())))]
    Qmp(qmp::Error),
    /// A line needs a connection. The text says why there is none, and what to do.
    #[error("not connected{}", clip(&mask_text(.0)))]
    NotConnected(String),
    /// The command `name` got no reply within `limit`.
    #[error("no reply to `{}` within {}", clip(.name), seconds(*.limit))]
    Timeout { name: String, limit: Duration },
    /// What a line waited for did not come about within `limit`; `what` says so.
    #[error("{} within {}", clip(.what), seconds(*.limit))]
    NotInTime { what: String, limit: Duration },
    /// What a line set in motion or waited for failed, or can no longer come about; or `:fail` says so.
    #[error("{}", clip(.0))]
    Failed(String),
    /// The server does not have what `:has` asks for. Scripts print nothing.
    #[error("{}", clip(.0))]
    Lacks(String),
    /// The console will not show what was expected. The text has lines of the console.
    #[error("{}", clip_text(.0))]
    Console(String),
    /// The console has not shown what was expected in time. The text has lines of the console.
    #[error("{}", clip_text(.0))]
    ConsoleTimeout(String),
}

impl From<QmpError> for Failure {
    fn from(error: QmpError) -> Self {
        let help = Vec::new();
        Self::Command { error, help }
    }
}

// Not `#[from]`: that makes it the `source` too, and anyhow would print its text twice.
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

impl From<vm::list::AddressOrVm> for Failure {
    fn from(error: vm::list::AddressOrVm) -> Self {
        match error {
            vm::list::AddressOrVm::Address(error) => error.into(),
            vm::list::AddressOrVm::Vm(error) => error.into(),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Failure {
    /// A syntax error in the line `source_text`; secrets in the line are masked.
    pub fn syntax(error: SyntaxError, source_text: &str) -> Self {
        let shown = conceal(source_text);
        Self::Syntax {
            error: error.without_secrets(source_text, &shown),
            source_text: shown.into_owned(),
        }
    }

    /// A syntax error in a line that has been split into words; secrets are masked.
    pub fn syntax_of(error: SyntaxError, words: &Words) -> Self {
        let shown = words.concealed();
        Self::Syntax {
            error: error.without_secrets(words.source(), &shown),
            source_text: shown.into_owned(),
        }
    }

    /// The failure of a script that ends inside a transaction.
    pub fn unclosed() -> Self {
        Self::Usage("the transaction is not closed; close it with `)`".to_owned())
    }

    /// The failure of a line that needs a connection, with the reason that `state` gives.
    pub fn not_connected(state: &State) -> Self {
        Self::without_connection(state, "; `:connect ADDRESS` connects")
    }

    /// The same where the server is a VM that we have launched.
    pub fn not_connected_to_launched(state: &State) -> Self {
        Self::without_connection(state, "; `:vm restart` starts the VM again")
    }

    fn without_connection(state: &State, when_idle: &str) -> Self {
        let (ending, next) = match state {
            State::Idle(ending) => (ending, when_idle),
            State::Connecting(ending) => (ending, "; trying to connect"),
            State::Running(_) | State::Disconnecting => (&None, ""),
        };
        let why = ending
            .as_ref()
            .map_or(String::new(), |why| format!(": {why}"));
        Self::NotConnected(why + next)
    }

    /// The exit status that this failure leads to.
    pub fn status(&self) -> Status {
        match self {
            Self::Command { .. }
            | Self::Refused(_)
            | Self::Program { .. }
            | Self::Local(_)
            | Self::Failed(_)
            | Self::Lacks(_)
            | Self::Filter { .. }
            | Self::Console(_) => Status::Failed,
            Self::Syntax { .. } | Self::Usage(_) | Self::Lines(_) => Status::Usage,
            Self::Vm(vm::Error::NotAConsole | vm::Error::NotAttachable { .. }) => Status::Usage,
            Self::Vm(vm::Error::NoMonitor(_)) => Status::NoConnection,
            Self::Vm(error) if error.is_local() => Status::Failed,
            Self::NotConnected(_) | Self::Vm(_) => Status::NoConnection,
            Self::Timeout { .. } | Self::NotInTime { .. } | Self::ConsoleTimeout(_) => {
                Status::TimedOut
            }
            Self::Qmp(error) => match error {
                qmp::Error::Transport(transport::Error::TlsCreds(_))
                | qmp::Error::IdInUse(_)
                | qmp::Error::NotCarried(..)
                | qmp::Error::NoDescriptors { .. }
                | qmp::Error::TooManyDescriptors(_) => Status::Usage,
                _ => Status::NoConnection,
            },
        }
    }
}

/// Formats `help` like the hints of a syntax error.
fn help_lines(help: &[String]) -> String {
    help.iter()
        .map(|help| format!("\nhelp: {}", clip(help)))
        .collect()
}

fn of_vm(error: &vm::Error) -> String {
    let text = error.to_string();
    let shown = match error {
        // It has lines of its own.
        vm::Error::Ended(_) => clip_text(&text),
        _ => clip(&text),
    };
    shown.into_owned()
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_several_statuses_wins() {
        let all = [
            Status::Failed,
            Status::Success,
            Status::TimedOut,
            Status::Usage,
        ];
        assert_eq!(all.into_iter().max(), Some(Status::TimedOut));
        assert!(Status::Interrupted > Status::TimedOut);
        assert_eq!(Status::Given(0).max(Status::Failed).code(), 0);
        assert_eq!(Status::Given(0).or_failed().code(), 1);
        assert_eq!(Status::Given(9).or_failed().code(), 9);
    }
}
