use std::sync::Arc;

use crate::failure::Failure;
use crate::qmp::{Event, Reply};
use crate::vm::{Console, Follow};

/// What came of a line.
pub struct Outcome {
    pub output: Output,
    /// Why the line failed, if it did. There can be output all the same: `--envelope` prints failed replies.
    pub failure: Option<Failure>,
}

/// What a line leads to.
pub enum Output {
    /// Text to print, and a sentence about it that is no value. Both may be empty.
    Text { text: String, notice: String },
    /// A reply; `id` is the one the user gave, as JSON.
    Reply { reply: Reply, id: Option<String> },
    /// An event that was waited for.
    Event(Arc<Event>),
    /// There is a connection that was asked for.
    Connected,
    /// A file to show as it grows, until the user has seen enough.
    Follow(Follow),
    /// A console for the terminal to be attached to.
    Console(Arc<Console>),
    /// The end of the run.
    Quit,
}

impl Output {
    pub fn nothing() -> Self {
        Self::text("")
    }

    /// Text to print, with its line breaks.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            notice: String::new(),
        }
    }

    /// A sentence that is no value.
    pub fn notice(notice: impl Into<String>) -> Self {
        Self::Text {
            text: String::new(),
            notice: notice.into(),
        }
    }

    /// The number of the first message that came after what this shows, if it shows a message.
    pub fn next_message(&self) -> Option<u64> {
        match self {
            Self::Reply { reply, .. } => Some(reply.number),
            Self::Event(event) => Some(event.number + 1),
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
