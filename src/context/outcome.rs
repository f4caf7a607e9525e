use std::borrow::Cow;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::source::SourcedLine;
use crate::failure::Failure;
use crate::lang::{Dialect, Line, conceal};
use crate::os::child::Ended;
use crate::qmp::{Event, Listener, Reply};
use crate::render::Picture;
use crate::vm::{Console, Follow};

/// The outcome of a line.
pub struct Outcome {
    /// What to show or do.
    pub output: Output,
    /// Why the line failed, if it did. There may still be output: `--envelope` prints failed replies.
    pub failure: Option<Failure>,
}

/// What a line results in.
pub enum Output {
    /// Text to print, and a notice for the user, which is not part of the value. Both may be empty.
    Text { text: String, notice: String },
    /// What a built-in lists: a text for a person, and JSON.
    List { text: String, json: String },
    /// A reply; `id` is the one the user gave, as JSON.
    Reply {
        reply: Reply,
        id: Option<String>,
        /// What the command was written in.
        dialect: Dialect,
    },
    /// What a program in the guest printed.
    Program { stdout: Vec<u8>, stderr: Vec<u8> },
    /// A text for a program that gets the terminal.
    Piped(Piped),
    /// What a filter gave: JSON, each value on a line. `number` is that of the message after the one that it was given,
    /// if that was a message from the server.
    Values { lines: String, number: Option<u64> },
    /// A picture for a terminal.
    Picture(Arc<Picture>),
    /// An answer for the prompt, which a script gives by its exit status alone.
    Remark(String),
    /// The event that `:wait` waited for.
    Event(Arc<Event>),
    /// The connection that the line asked for is up.
    Connected,
    /// A file to show as it grows, until the user stops it.
    Follow(Follow),
    /// Events to show as they come, until the user stops it or there is no connection.
    Events(Listener),
    /// A console to attach the terminal to.
    Console(Arc<Console>),
    /// A line to run again and again, and to show in place.
    Watch(Watch),
    /// Lines of a file to run.
    Source(Vec<SourcedLine>),
    /// Ends the run, with this exit status if one is given.
    Quit(Option<u8>),
}

/// A text that is shown through a program (`| !CMD`).
pub struct Piped {
    /// What `sh -c` runs.
    pub program: String,
    pub text: String,
}

impl Piped {
    /// The failure for a program that ended so, if that is one.
    pub fn failure(&self, ended: Ended) -> Option<Failure> {
        if ended.success() {
            return None;
        }
        let program = conceal(&self.program);
        Some(Failure::Local(match ended.is_by(Signal::SIGINT) {
            true => format!("`{program}` was interrupted"),
            false => format!("`{program}` {ended}"),
        }))
    }

    /// The failure for a program that could not be started.
    pub fn cannot_run(&self, error: &io::Error) -> Failure {
        Failure::Local(format!("cannot run `{}`: {error}", conceal(&self.program)))
    }
}

/// A line whose value is shown in place.
pub struct Watch {
    pub line: Line,
    /// The line as it was typed, without its secrets.
    pub text: String,
    /// How long it is from one run to the next.
    pub interval: Duration,
}

impl Output {
    /// Nothing to print.
    pub fn nothing() -> Self {
        Self::text("")
    }

    /// Text to print, including its line breaks.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            notice: String::new(),
        }
    }

    /// What a built-in lists: a text for a person, including its line breaks, and the same as JSON.
    pub fn list(text: impl Into<String>, json: &impl Display) -> Self {
        Self::List {
            text: text.into(),
            json: json.to_string(),
        }
    }

    /// A notice for the user, which is not part of the value.
    pub fn notice(notice: impl Into<String>) -> Self {
        Self::Text {
            text: String::new(),
            notice: notice.into(),
        }
    }

    /// What this shows, as JSON, if it is a value.
    pub fn value(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::List { json, .. } => Some(json.into()),
            Self::Reply { reply, .. } => Some(reply.raw().into()),
            Self::Event(event) => Some(event.text().into()),
            Self::Values { lines, .. } => {
                let line = lines.strip_suffix('\n')?;
                (!line.contains('\n')).then(|| line.into())
            }
            _ => None,
        }
    }

    /// The number of the message after the one that this shows, if it shows a message from the server.
    pub fn next_message(&self) -> Option<u64> {
        match self {
            Self::Reply { reply, .. } => Some(reply.number),
            Self::Event(event) => Some(event.number + 1),
            Self::Values { number, .. } => *number,
            _ => None,
        }
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            output,
            failure: None,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self {
            output: Output::nothing(),
            failure: Some(failure),
        }
    }
}
