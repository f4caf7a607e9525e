//! The terminal's mode: cooked as it was found, or raw.

use std::io;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{FlushArg, SetArg, Termios, cfmakeraw, tcflush, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

use crate::os::sys::restore_when_aborted;

/// How the terminal was found.
pub(super) struct Mode {
    // nix's own type cannot be shared between threads.
    found: Option<libc::termios>,
}

impl Mode {
    /// Remembers the mode, and has it restored when the process is aborted (SIGQUIT, SIGABRT).
    ///
    /// # Errors
    ///
    /// Those signals cannot be handled.
    pub fn remember() -> io::Result<Self> {
        let found = tcgetattr(io::stdin()).ok();
        if let Some(found) = &found {
            restore_when_aborted(found)?;
        }
        Ok(Self {
            found: found.map(libc::termios::from),
        })
    }

    /// # Errors
    ///
    /// Standard input is no terminal.
    pub fn make_raw(&self) -> io::Result<()> {
        let mut raw = tcgetattr(io::stdin())?;
        cfmakeraw(&mut raw);
        Ok(tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?)
    }

    /// Whether it is another than was found, and ours to restore: to a process in the background the terminal is
    /// somebody else's.
    pub fn is_raw(&self) -> bool {
        let Some(found) = &self.found else {
            return false;
        };
        let differs =
            tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags.bits() != found.c_lflag);
        differs && tcgetpgrp(io::stdin()) == Ok(getpgrp())
    }

    /// Makes it as it was found. Does not wait for what is being written.
    pub fn restore(&self) {
        if self.is_raw()
            && let Some(found) = &self.found
        {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &Termios::from(*found));
        }
    }

    /// Forgets what was typed for a guest, and what the terminal answered it: that is none of ours.
    pub fn forget_input(&self) {
        let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
    }
}

/// Keeps the signal that suspends from this thread and those it starts.
pub(super) fn leave_suspending_to_the_editor() {
    suspending().thread_block().expect("the signal exists");
}

/// Lets this thread take that signal.
pub(super) fn take_suspending() {
    suspending().thread_unblock().expect("the signal exists");
}

fn suspending() -> SigSet {
    SigSet::from(Signal::SIGTSTP)
}
