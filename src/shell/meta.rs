//! Esc as readline has it: with the next key it is a Meta key (Alt), however long the user waits between the two.
//! rustyline waits half a second, because a terminal sends Alt as Esc, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::{At, Cmd, KeyCode, KeyEvent, Modifiers, Movement, RepeatCount, Word};

use super::requests::{Request, Requests};

/// Whether Esc was the last key. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Meta(Arc<AtomicBool>);

impl Meta {
    /// Notes that Esc was pressed.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Notes that another key was pressed. Returns whether it was the first after Esc.
    pub fn end(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// What a key does after Esc. `None` if it does what it does by itself.
pub(super) fn command(key: KeyEvent, count: RepeatCount, requests: &Requests) -> Option<Cmd> {
    let forward = Movement::ForwardWord(count, At::AfterEnd, Word::Emacs);
    let backward = Movement::BackwardWord(count, Word::Emacs);
    let KeyEvent(code, Modifiers::NONE) = key else {
        return None;
    };
    Some(match code {
        KeyCode::Char('.') => requests.ask(Request::LastWord),
        KeyCode::Enter => Cmd::Newline,
        KeyCode::Char('b' | 'B') => Cmd::Move(backward),
        KeyCode::Char('f' | 'F') => Cmd::Move(forward),
        KeyCode::Char('d' | 'D') => Cmd::Kill(forward),
        KeyCode::Backspace => Cmd::Kill(backward),
        KeyCode::Char('c' | 'C') => Cmd::CapitalizeWord,
        KeyCode::Char('l' | 'L') => Cmd::DowncaseWord,
        KeyCode::Char('u' | 'U') => Cmd::UpcaseWord,
        KeyCode::Char('t' | 'T') => Cmd::TransposeWords(count),
        KeyCode::Char('y' | 'Y') => Cmd::YankPop,
        KeyCode::Char('<') => Cmd::BeginningOfHistory,
        KeyCode::Char('>') => Cmd::EndOfHistory,
        KeyCode::Char(_) => Cmd::Noop,
        _ => return None,
    })
}
