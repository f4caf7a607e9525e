use std::fs::File;
use std::future::pending;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// How long output may wait while there is more to send. A write to standard output between sending a
/// command and waiting for its reply costs more than itself: it keeps the processor from the server
/// that was just woken.
const BUSY: Duration = Duration::from_millis(10);

/// Standard output, buffered while there is more to do. Once it is closed at the other end, what
/// follows is dropped.
pub(super) struct Output {
    stdout: BufWriter<File>,
    /// Since when something waits to be flushed.
    dirty: Option<Instant>,
    closed: bool,
}

impl Output {
    pub fn new() -> io::Result<Self> {
        // Not through `io::stdout()`, which would flush at every line break.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            stdout: BufWriter::with_capacity(64 << 10, stdout),
            dirty: None,
            closed: false,
        })
    }

    pub fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.dirty.get_or_insert_with(Instant::now);
        let result = self.stdout.write_all(text.as_bytes());
        self.unless_closed(result)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.dirty = None;
        let result = self.stdout.flush();
        self.unless_closed(result)
    }

    /// Resolves when what waits should be flushed: at once, or within [`BUSY`] if more commands are
    /// `ready` to follow.
    pub async fn due(&self, ready: bool) {
        match self.dirty {
            None => pending().await,
            // The detour lets the writer send first: the server works while we write.
            Some(_) if !ready => yield_now().await,
            Some(since) => sleep_until(since + BUSY).await,
        }
    }

    /// Whether the other end is gone (`| head`).
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn unless_closed(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}
