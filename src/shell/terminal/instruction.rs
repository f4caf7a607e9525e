//! What to show, and how the writer's thread gets it.

use tokio::sync::oneshot;

/// An entry in the queue of things to show.
pub(super) enum Instruction {
    /// Shows a text.
    Show(String),
    /// Writes a text to standard error; above the line if one is being edited.
    Complain(String),
    /// Shows progress until anything else is shown.
    Progress(String),
    /// Redraws the line being edited.
    Repaint,
    /// Sends a signal when everything before it is on the terminal.
    Settle(oneshot::Sender<()>),
}

/// The writer's next task.
pub(super) struct Task {
    /// What to write; may be empty.
    pub text: Vec<u8>,
    pub to: To,
    /// Whether to remove a progress bar first.
    pub clear: bool,
    /// Gets a signal when the task is done.
    pub done: Option<oneshot::Sender<()>>,
}

/// Where a task's text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Output,
    Error,
    /// The terminal, for a guest's output.
    Console,
}
