use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

/// Standard output, buffered while there is more to do. Once it is closed at the other end, what
/// follows is dropped.
pub(super) struct Output {
    stdout: BufWriter<File>,
    dirty: bool,
    closed: bool,
}

impl Output {
    pub fn new() -> io::Result<Self> {
        // Not through `io::stdout()`, which would flush at every line break.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            stdout: BufWriter::with_capacity(64 << 10, stdout),
            dirty: false,
            closed: false,
        })
    }

    pub fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.dirty = true;
        let result = self.stdout.write_all(text.as_bytes());
        self.unless_closed(result)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.dirty = false;
        let result = self.stdout.flush();
        self.unless_closed(result)
    }

    /// Whether something waits to be flushed.
    pub fn is_dirty(&self) -> bool {
        self.dirty
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
