//! Standard error, and writes that may block.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::SIGINT;
use signal_hook::flag::register_conditional_shutdown;

/// Writes a line to standard error. If nobody can read it, it is lost.
pub fn say(text: impl std::fmt::Display) {
    // With one write: others may write there, too.
    let line = format!("{text}\n");
    let _ = while_blocked(|| std::io::stderr().write_all(line.as_bytes()));
}

/// Whether a write is under way that may block.
static BLOCKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Lets Ctrl-C end the process at once, with this exit status, while a write blocks. Nothing else could react then.
///
/// # Errors
///
/// The signal cannot be handled.
pub fn end_by_interrupt_while_blocked(status: i32) -> io::Result<()> {
    register_conditional_shutdown(SIGINT, status, BLOCKED.clone())?;
    Ok(())
}

/// Runs `write`, which may block as long as nobody reads.
pub fn while_blocked<T>(write: impl FnOnce() -> T) -> T {
    BLOCKED.store(true, Ordering::Relaxed);
    let result = write();
    BLOCKED.store(false, Ordering::Relaxed);
    result
}
