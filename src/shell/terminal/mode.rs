//! Switches the terminal between the mode in which we found it (cooked), the mode between two lines, and raw mode.

use std::io;

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{FlushArg, SetArg, Termios, cfmakeraw, tcflush, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

use crate::os::sys::{restore_when_aborted, restore_when_suspended};

/// The terminals on which rustyline does not edit lines, but has the kernel do it.
const DUMB: [&str; 3] = ["dumb", "cons25", "emacs"];

/// Remembers the mode in which we found the terminal.
pub(super) struct Mode {
    // Not nix's own type, which cannot be shared between threads.
    found: Option<libc::termios>,
    /// The mode while no line is edited; the one in which we found the terminal if the kernel edits the lines.
    between: Option<libc::termios>,
}

impl Mode {
    /// Remembers the mode, and arranges for it to be restored when the process is aborted (SIGQUIT, SIGABRT) and
    /// while it is suspended (SIGTSTP).
    ///
    /// # Errors
    ///
    /// The handlers for those signals cannot be installed.
    pub fn remember() -> io::Result<Self> {
        let found = tcgetattr(io::stdin()).ok();
        if let Some(found) = &found {
            restore_when_aborted(found)?;
            restore_when_suspended(found)?;
        }
        let is_dumb = std::env::var("TERM").is_ok_and(|term| DUMB.contains(&&*term));
        let found = found.map(libc::termios::from);
        let between = found.map(|found| match is_dumb {
            true => found,
            false => type_ahead(found),
        });
        Ok(Self { found, between })
    }

    /// Sets the mode between two lines: keys are kept for the next line as they were typed, without an echo, and
    /// Ctrl-C is a signal. In cooked mode the kernel would keep only 4 KB of a line, and change some keys.
    pub fn type_ahead(&self) {
        set(self.between.as_ref());
    }

    /// Whether the kernel shows what is typed between two lines.
    pub fn echoes(&self) -> bool {
        let echo = |mode: libc::termios| mode.c_lflag & libc::ECHO != 0;
        self.between.is_some_and(echo)
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

    /// The present mode.
    pub fn now(&self) -> Option<Termios> {
        tcgetattr(io::stdin()).ok()
    }

    /// Sets a mode again.
    pub fn return_to(&self, mode: Option<Termios>) {
        set(mode.map(libc::termios::from).as_ref());
    }

    /// Whether a line is edited, or a guest has the terminal.
    pub fn is_raw(&self) -> bool {
        let modes = [&self.found, &self.between];
        modes.into_iter().flatten().all(differs) && self.found.is_some()
    }

    /// Restores the mode in which we found the terminal, without waiting for pending output.
    pub fn restore(&self) {
        set(self.found.as_ref());
    }

    /// Discards unread input: it was typed for the guest, or is the terminal's answer to the guest.
    pub fn forget_input(&self) {
        let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
    }
}

/// The mode between two lines on a terminal that was found in the mode `found`.
fn type_ahead(found: libc::termios) -> libc::termios {
    let mut mode = found;
    mode.c_lflag &= !(libc::ICANON | libc::ECHO | libc::IEXTEN);
    mode.c_iflag &= !libc::ICRNL;
    mode.c_cc[libc::VMIN] = 1;
    mode.c_cc[libc::VTIME] = 0;
    mode
}

/// Sets a mode, without waiting for pending output.
fn set(mode: Option<&libc::termios>) {
    if let Some(mode) = mode
        && differs(mode)
    {
        // If the terminal is gone, its mode does not matter.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &Termios::from(*mode));
    }
}

/// Whether the terminal is in another mode, and is ours. While we are in the background, it belongs to another
/// process.
fn differs(mode: &libc::termios) -> bool {
    let differs = tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags.bits() != mode.c_lflag);
    differs && tcgetpgrp(io::stdin()) == Ok(getpgrp())
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
