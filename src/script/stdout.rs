use std::fs::File;
use std::future::pending;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::os::stderr::{Interruptible, while_blocked};
use crate::render::line_end;

/// The size of the buffer, in bytes.
const BUFFER: usize = 16 << 10;

/// How long output may stay buffered while there are more commands to send. A write right after sending a
/// command delays the server too: it keeps the processor from the server, which has just been woken.
const BUSY: Duration = Duration::from_millis(10);

/// Standard output, buffered while there is more to do. After an error, further output is dropped.
pub(super) struct Stdout {
    file: BufWriter<Interruptible<File>>,
    /// Since when the buffer holds something.
    dirty: Option<Instant>,
    error: Option<io::Error>,
}

impl Stdout {
    /// Takes standard output.
    ///
    /// # Errors
    ///
    /// Standard output is closed, or there are no descriptors left.
    pub fn new() -> io::Result<Self> {
        // Not `io::stdout()`, which flushes at every line break.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, Interruptible(stdout)),
            dirty: None,
            error: None,
        })
    }

    /// Writes `text` as it is.
    pub fn write(&mut self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    /// Writes bytes as they are.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.has_failed() {
            return;
        }
        self.dirty.get_or_insert_with(Instant::now);
        self.error = while_blocked(|| self.file.write_all(bytes)).err();
    }

    /// Writes `text`, and a line break if it does not end in one.
    pub fn write_line(&mut self, text: &str) {
        self.write(text);
        self.write(line_end(text));
        if text.len() >= BUFFER {
            // The text bypassed the buffer; the line break should not wait in it.
            self.flush();
        }
    }

    /// Writes what is in the buffer.
    pub fn flush(&mut self) {
        self.dirty = None;
        if !self.has_failed() {
            self.error = while_blocked(|| self.file.flush()).err();
        }
    }

    /// Resolves when the buffer should be flushed: at once, or within [`BUSY`] if more commands are `ready` to
    /// be sent. Never resolves while the buffer is empty.
    pub async fn due(&self, ready: bool) {
        match self.dirty {
            None => pending().await,
            // Yielding lets the client send first, so that the server works while we write.
            Some(_) if !ready => yield_now().await,
            Some(since) => sleep_until(since + BUSY).await,
        }
    }

    /// Whether a write has failed. Further output is dropped then.
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
    /// Not everything could be written. A closed pipe (`| head`) is not an error, nor is being told to stop.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush();
        // Dropping the `BufWriter` would retry what could not be written.
        let stopped = self.was_stopped();
        let (_file, _unwritten) = self.file.into_parts();
        match self.error {
            Some(error) if !stopped && error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
