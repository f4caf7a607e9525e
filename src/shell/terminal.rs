use std::io::{self, Write};

use crossterm::event::DisableBracketedPaste;
use crossterm::execute;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Puts the terminal back as it was found when dropped, a panic included.
///
/// The editor does so itself when a line ends; this is for the ends that come while one is edited.
pub(super) struct Restore {
    found: Option<Termios>,
}

impl Restore {
    pub fn new() -> Self {
        Self {
            found: tcgetattr(io::stdin()).ok(),
        }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let Some(found) = &self.found else {
            return;
        };
        let raw = tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags != found.local_flags);
        if raw {
            let mut stdout = io::stdout();
            // A terminal that is gone needs no restoring.
            let _ = execute!(stdout, DisableBracketedPaste);
            let _ = stdout.write_all(b"\n").and_then(|()| stdout.flush());
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, found);
        }
    }
}
