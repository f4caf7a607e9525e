use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::dup2_stdout;

/// Tells the terminal to wait for the end of a picture no longer, and to mark pasted text no longer, as rustyline
/// had asked it to; and goes to a line of its own.
const LEAVE_LINE: &[u8] = b"\x1b[?2026l\x1b[?2004l\n";

/// Standard output, whatever becomes of its number.
///
/// # Errors
///
/// There are no descriptors left.
pub(super) fn output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

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
    output: File,
}

impl Restore {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            found: tcgetattr(io::stdin()).ok(),
            output: output()?,
        })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let Some(found) = &self.found else {
            return;
        };
        let raw = tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags != found.local_flags);
        if raw {
            // The editor may still be about to draw its line.
            if let Ok(nowhere) = OpenOptions::new().write(true).open("/dev/null") {
                let _ = dup2_stdout(nowhere);
            }
            // A terminal that is gone needs no restoring.
            let _ = self.output.write_all(LEAVE_LINE);
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, found);
        }
    }
}
