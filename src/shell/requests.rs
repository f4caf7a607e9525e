use std::sync::Arc;

use parking_lot::Mutex;
use rustyline::Cmd;

/// What a key asks the completer for.
pub(super) enum Request {
    /// An older line of the history that starts like this one.
    Older,
    /// A newer one.
    Newer,
    /// The last word of an older line.
    LastWord,
    /// This text instead of the line.
    Replace(String),
    /// The candidate before the present one.
    StepBack,
}

/// What the keys ask for. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Requests {
    request: Arc<Mutex<Option<Request>>>,
    end: Arc<Mutex<Option<End>>>,
}

/// How the user ends a line other than with Enter. rustyline's own ends would lose what was typed after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Ctrl-C.
    Cancelled,
    /// Ctrl-D on an empty line.
    Leave,
}

impl Requests {
    /// Takes what the last key asks the completer for. `None` if it was TAB.
    pub fn take(&self) -> Option<Request> {
        self.request.lock().take()
    }

    /// Whether the user cancels the line, with Ctrl-C.
    pub fn is_cancelled(&self) -> bool {
        *self.end.lock() == Some(End::Cancelled)
    }

    /// Notes that the line has ended. Returns how, unless with Enter.
    pub fn end_line(&self) -> Option<End> {
        self.end.lock().take()
    }

    /// Notes how the user ends the line.
    pub fn set_end(&self, end: End) {
        *self.end.lock() = Some(end);
    }

    /// Asks the completer for something. Returns the command that runs the completer.
    pub fn ask(&self, request: Request) -> Cmd {
        *self.request.lock() = Some(request);
        Cmd::Complete
    }
}
