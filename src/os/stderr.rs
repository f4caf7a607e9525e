//! Standard error, and writes that may block.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::low_level::pipe;

use super::sys;

/// How long a write may block once we are to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Writes a line to standard error. Errors are ignored.
pub fn say(text: impl std::fmt::Display) {
    // Use a single write, because others may write there too.
    write(&format!("{text}\n"));
}

/// Writes to standard error. What cannot be written is lost.
pub fn write(text: &str) {
    write_bytes(text.as_bytes());
}

/// The same for bytes.
pub fn write_bytes(bytes: &[u8]) {
    let _ = while_blocked(|| Interruptible(Unlocked).write_all(bytes));
}

/// Standard error without its lock: another thread may hold that, and block.
struct Unlocked;

impl Write for Unlocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(io::stderr(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a write that may block is in progress.
static BLOCKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether a write that blocks is to be given up.
static STOPPED: AtomicBool = AtomicBool::new(false);

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

/// Once SIGINT, SIGTERM or SIGHUP has come, has writes of the calling thread fail that block: through [`write`], [`say`]
/// and [`Interruptible`]. For who has something to do before the process ends.
///
/// # Errors
///
/// A signal cannot be handled, or there is no thread left to wait for it.
pub fn give_up_blocked_writes_when_stopped() -> io::Result<()> {
    let (mut came, comes) = UnixStream::pair()?;
    for number in [SIGINT, SIGTERM, SIGHUP] {
        pipe::register(number, comes.try_clone()?)?;
    }
    let interrupt = sys::interrupter()?;
    let wait = move || {
        // Both ends are ours: it cannot fail.
        let _ = came.read(&mut [0]);
        STOPPED.store(true, Ordering::Relaxed);
        // The next write may block, too, and may be about to.
        loop {
            interrupt();
            thread::sleep(PATIENCE);
        }
    };
    thread::Builder::new().name("stop".to_owned()).spawn(wait)?;
    Ok(())
}

/// Writes that are given up if they block and we are to stop. They then fail with [`io::ErrorKind::TimedOut`].
pub struct Interruptible<W>(pub W);

impl<W: Write> Write for Interruptible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error)
                if error.kind() == io::ErrorKind::Interrupted
                    && STOPPED.load(Ordering::Relaxed) =>
            {
                Err(Errno::ETIMEDOUT.into())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Runs `write`, which may block while nobody reads.
pub fn while_blocked<T>(write: impl FnOnce() -> T) -> T {
    BLOCKED.store(true, Ordering::Relaxed);
    let result = write();
    BLOCKED.store(false, Ordering::Relaxed);
    result
}
