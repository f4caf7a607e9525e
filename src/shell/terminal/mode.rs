//! Switches the terminal between the mode in which we found it (cooked) and raw mode.

use std::io;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{FlushArg, SetArg, Termios, cfmakeraw, tcflush, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

use crate::os::sys::restore_when_aborted;

/// Remembers the mode in which we found the terminal.
pub(super) struct Mode {
    // Not nix's own type, which cannot be shared between threads.
    found: Option<libc::termios>,
}

impl Mode {
    /// Remembers the mode, and arranges for it to be restored when the process is aborted (SIGQUIT, SIGABRT).
    ///
    /// # Errors
    ///
    /// The handlers for those signals cannot be installed.
    pub fn remember() -> io::Result<Self> {
        let found = tcgetattr(io::stdin()).ok();
        if let Some(found) = &found {
            restore_when_aborted(found)?;
        }
        Ok(Self {
            found: found.map(libc::termios::from),
        })
    }

    /// Makes the terminal raw.
    ///
    /// # Errors
    ///
    /// Standard input is not a terminal.
    pub fn make_raw(&self) -> io::Result<()> {
        let mut raw = tcgetattr(io::stdin())?;
        cfmakeraw(&mut raw);
        Ok(tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?)
    }

    /// Whether the mode has changed and is ours to restore. While we are in the background, the terminal
    /// belongs to another process.
    pub fn is_raw(&self) -> bool {
        let Some(found) = &self.found else {
            return false;
        };
        let differs =
            tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags.bits() != found.c_lflag);
        differs && tcgetpgrp(io::stdin()) == Ok(getpgrp())
    }

    /// Restores the mode in which we found the terminal, without waiting for pending output.
    pub fn restore(&self) {
        if self.is_raw()
            && let Some(found) = &self.found
        {
            // If the terminal is gone, there is nothing to restore.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &Termios::from(*found));
        }
    }

    /// Discards unread input: it was typed for the guest, or is the terminal's answer to the guest.
    pub fn forget_input(&self) {
        let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
    }
}

/// Blocks the signal that suspends (SIGTSTP) in this thread and in threads that it starts.
pub(super) fn leave_suspending_to_the_editor() {
    suspending().thread_block().expect("the signal exists");
}

/// Unblocks that signal in this thread.
pub(super) fn take_suspending() {
    suspending().thread_unblock().expect("the signal exists");
}

fn suspending() -> SigSet {
    SigSet::from(Signal::SIGTSTP)
}
