//! What is to be shown, and what the writer makes of it.

use tokio::sync::oneshot;

/// What is to be done, in order.
pub(super) enum Instruction {
    Show(String),
    /// Goes to standard error, unless a line is being edited.
    Complain(String),
    /// Shows how far something is, until anything else is shown.
    Progress(String),
    /// Draws the line being edited again.
    Repaint,
    /// Tells that everything before it is on the terminal.
    Settle(oneshot::Sender<()>),
}

/// What the writer does next.
pub(super) struct Task {
    pub text: Vec<u8>,
    pub to: To,
    /// A progress bar is shown, and has to go first.
    pub clear: bool,
    /// Told when it is done.
    pub done: Option<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Output,
    Error,
    /// The terminal, from a guest.
    Console,
}
