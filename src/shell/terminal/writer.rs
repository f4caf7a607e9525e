//! The thread that writes to the terminal, and the thread that hands text over to rustyline.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, mpsc};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::ttyname;
use rustyline::ExternalPrinter;

use super::instruction::{Task, To};
use super::shared::Shared;

/// How many bytes to write at once before checking whether to stop.
const PIECE: usize = 4 << 10;

/// How many bytes to write at once if a write may block. A pty that polls as ready has room for this many:
/// Linux reports room from 256 bytes on, and each byte may be a line break, which takes two.
const BLOCKING_PIECE: usize = 128;

/// How long to wait for a blocked terminal before checking whether to stop, in milliseconds.
const LOOK: u16 = 50;

/// Clears the line with the cursor.
const CLEAR_LINE: &[u8] = b"\r\x1b[K";

/// Starts the writer's thread.
///
/// # Errors
///
/// The system is out of descriptors or threads.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    // Opened now, because `Terminal::leave` redirects standard output.
    let output = Output::open(io::stdout())?;
    let error = Output::open(io::stderr())?;
    thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            loop {
                work(shared.next(), &shared, &output, &error);
            }
        })?;
    Ok(())
}

fn work(task: Task, shared: &Shared, output: &Output, error: &Output) {
    if task.clear {
        output.write(CLEAR_LINE, shared);
    }
    let to = match task.to {
        To::Error => error,
        _ => output,
    };
    let rest = to.write(&task.text, shared);
    shared.finish(task.to, rest);
    if let Some(done) = task.done {
        let _ = done.send(());
    }
}

/// A destination of the writer.
struct Output {
    file: File,
    /// How many bytes to write at once.
    piece: usize,
}

impl Output {
    /// Opens the destination of `stream`. A terminal is opened anew, so that only our own writes are
    /// non-blocking: other processes share the descriptor that we inherited.
    fn open(stream: impl AsFd) -> io::Result<Self> {
        let open = |path| {
            OpenOptions::new()
                .write(true)
                .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
                .open(path)
        };
        // This fails if the terminal belongs to another user, or has no name in this mount namespace.
        if let Ok(path) = ttyname(&stream)
            && let Ok(file) = open(path)
        {
            return Ok(Self { file, piece: PIECE });
        }
        Ok(Self {
            file: stream.as_fd().try_clone_to_owned()?.into(),
            piece: BLOCKING_PIECE,
        })
    }

    /// Writes `bytes` until the writer is told to stop. Returns how many bytes were not written.
    fn write(&self, mut bytes: &[u8], shared: &Shared) -> usize {
        while !bytes.is_empty() && shared.goes_on() {
            let mut ready = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
            if matches!(
                poll(&mut ready, PollTimeout::from(LOOK)),
                Err(Errno::EINTR) | Ok(0)
            ) {
                continue;
            }
            match (&self.file).write(&bytes[..bytes.len().min(self.piece)]) {
                Ok(count @ 1..) => bytes = &bytes[count..],
                Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {}
                // The terminal is gone. The shell learns that from a signal.
                _ => return 0,
            }
        }
        bytes.len()
    }
}

/// Starts the thread that hands text over to rustyline, to be shown above the line. It is a thread of its own
/// because it blocks until rustyline has taken the text before.
///
/// # Errors
///
/// There are no threads left.
pub(super) fn start_above(
    shared: Arc<Shared>,
    mut above: impl ExternalPrinter + Send + 'static,
) -> io::Result<()> {
    let (sender, texts) = mpsc::channel();
    shared.use_above(sender);
    thread::Builder::new()
        .name("above".to_owned())
        .spawn(move || {
            for text in texts {
                // If the terminal is gone, the shell learns that from a signal.
                let _ = above.print(text);
                shared.handed_over();
            }
        })?;
    Ok(())
}
