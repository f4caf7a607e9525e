use std::fs::File;
use std::future::pending;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::os::stderr::{Interruptible, while_blocked};
use crate::render::line_end;

const BUFFER: usize = 16 << 10;

/// How long output may wait while there is more to send. A write to standard output between sending a
/// command and waiting for its reply costs more than itself: it keeps the processor from the server
/// that was just woken.
const BUSY: Duration = Duration::from_millis(10);

/// Standard output, buffered while there is more to do. Once it fails, what follows is dropped.
pub(super) struct Stdout {
    file: BufWriter<Interruptible<File>>,
    /// Since when something waits to be flushed.
    dirty: Option<Instant>,
    error: Option<io::Error>,
}

impl Stdout {
    pub fn new() -> io::Result<Self> {
        // Not through `io::stdout()`, which would flush at every line break.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, Interruptible(stdout)),
            dirty: None,
            error: None,
        })
    }

    pub fn write(&mut self, text: &str) {
        if text.is_empty() || self.has_failed() {
            return;
        }
        self.dirty.get_or_insert_with(Instant::now);
        self.error = while_blocked(|| self.file.write_all(text.as_bytes())).err();
    }

    /// Writes `text`, and the line break that it lacks.
    pub fn write_line(&mut self, text: &str) {
        self.write(text);
        self.write(line_end(text));
        if text.len() >= BUFFER {
            // It has not waited in the buffer, so its line break must not either.
            self.flush();
        }
    }

    pub fn flush(&mut self) {
        self.dirty = None;
        if !self.has_failed() {
            self.error = while_blocked(|| self.file.flush()).err();
        }
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

    pub fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Whether a write was given up because we are to stop.
    pub fn was_stopped(&self) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    /// Flushes the rest.
    ///
    /// # Errors
    ///
    /// Not everything could be written. That nobody reads any more (`| head`) is no error, nor that we are to stop.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush();
        // What could not be written must not be tried again.
        let stopped = self.was_stopped();
        let (_file, _unwritten) = self.file.into_parts();
        match self.error {
            Some(error) if !stopped && error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
