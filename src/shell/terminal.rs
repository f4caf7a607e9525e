use std::io::{self, Write};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Tells the terminal to mark pasted text no longer, as rustyline had asked it to.
const END_BRACKETED_PASTE: &[u8] = b"\x1b[?2004l";

/// Keeps the signal that suspends (Ctrl-Z) from this thread and those it starts.
///
/// rustyline restores the terminal, suspends the process, and takes the terminal again once it goes on.
/// If another thread could take the signal, the editor's would go on until that has happened, and leave
/// the terminal raw to the user's shell.
pub(super) fn leave_suspending_to_the_editor() {
    suspending().thread_block().expect("the signal exists");
}

/// Takes the signal for this thread, the editor's.
pub(super) fn take_suspending() {
    suspending().thread_unblock().expect("the signal exists");
}

fn suspending() -> SigSet {
    SigSet::from(Signal::SIGTSTP)
}

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
            let _ = stdout
                .write_all(END_BRACKETED_PASTE)
                .and_then(|()| stdout.write_all(b"\n"))
                .and_then(|()| stdout.flush());
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, found);
        }
    }
}
