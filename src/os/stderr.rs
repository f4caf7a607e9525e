//! Standard error, and writes that may block.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::SIGINT;
use signal_hook::flag::register_conditional_shutdown;

/// Writes a line to standard error. Errors are ignored.
pub fn say(text: impl std::fmt::Display) {
    // Use a single write, because others may write there too.
    let line = format!("{text}\n");
    let _ = while_blocked(|| std::io::stderr().write_all(line.as_bytes()));
}

/// Whether a write that may block is in progress.
static BLOCKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Lets Ctrl-C end the process at once with this exit status while a write blocks, since nothing
/// else could react then.
///
/// # Errors
///
/// The signal cannot be handled.
pub fn end_by_interrupt_while_blocked(status: i32) -> io::Result<()> {
    register_conditional_shutdown(SIGINT, status, BLOCKED.clone())?;
    Ok(())
}

/// Runs `write`, which may block while nobody reads.
pub fn while_blocked<T>(write: impl FnOnce() -> T) -> T {
    BLOCKED.store(true, Ordering::Relaxed);
    let result = write();
    BLOCKED.store(false, Ordering::Relaxed);
    result
}
