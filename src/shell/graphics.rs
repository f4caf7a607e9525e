//! Asks the terminal what graphics it has, and keeps its answers apart from what the user types.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustyline::{KeyCode, KeyEvent, Modifiers};

use super::terminal::Terminal;
use crate::os::terminal_input::TerminalInput;
use crate::render::{Answers, GRAPHICS_QUERY, Graphics};

/// How long to wait for the answers: long enough for a far terminal.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the terminal says about its graphics. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Inquiry {
    /// What it has answered, if it was asked.
    answers: Arc<Mutex<Option<Answers>>>,
}

impl Inquiry {
    /// The terminal's graphics. Asks the first time, between two lines. An answer that does not come in time counts later.
    pub async fn graphics(&self, terminal: &Terminal) -> Option<Graphics> {
        if self.answers.lock().is_none() {
            self.ask(terminal).await;
        }
        self.answers.lock().as_ref()?.graphics()
    }

    async fn ask(&self, terminal: &Terminal) {
        // On a terminal where the kernel edits the lines, answers would look like keys.
        if terminal.is_edited_by_kernel() {
            return;
        }
        let Ok(input) = TerminalInput::open() else {
            return;
        };
        terminal.settle().await;
        *self.answers.lock() = Some(Answers::default());
        terminal.show(GRAPHICS_QUERY.to_owned());
        let take = |bytes: &[u8]| {
            let mut answers = self.answers.lock();
            answers.as_mut().is_none_or(|answers| answers.take(bytes))
        };
        // Without an answer, the terminal has no graphics.
        let _ = input.read_until(PATIENCE, take).await;
    }

    /// Takes what was typed while the terminal was asked.
    pub fn take_typed(&self) -> Vec<u8> {
        let mut answers = self.answers.lock();
        answers
            .as_mut()
            .map(Answers::take_typed)
            .unwrap_or_default()
    }

    /// Whether a key is none, but belongs to an answer that comes while a line is edited.
    pub fn is_answer(&self, key: KeyEvent) -> bool {
        let mut answers = self.answers.lock();
        let Some(answers) = answers.as_mut().filter(|answers| !answers.is_complete()) else {
            return false;
        };
        // What rustyline has made of an answer.
        let bytes = match key {
            KeyEvent(KeyCode::Char(c), Modifiers::NONE) => c.to_string(),
            KeyEvent(KeyCode::Char(c), Modifiers::ALT) => format!("\x1b{c}"),
            KeyEvent(KeyCode::UnknownEscSeq, Modifiers::NONE) => "\x1b[?".to_owned(),
            _ => return false,
        };
        answers.take_late(bytes.as_bytes())
    }
}
