//! The thread that writes to the terminal, and the one that hands over to rustyline.

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

/// How much is written at once before the writer looks whether it is to go on.
const PIECE: usize = 4 << 10;

/// How much is written at once where a write may block. What is ready has room for that much: Linux counts a pty's
/// room in 256 bytes, and a line break may take two.
const BLOCKING_PIECE: usize = 128;

/// How long a terminal that takes nothing is waited for before the writer looks whether it is to go on, in ms.
const LOOK: u16 = 50;

/// Takes away the line the cursor is in.
const CLEAR_LINE: &[u8] = b"\r\x1b[K";

/// Starts the writer.
///
/// # Errors
///
/// There are no descriptors left, or no threads.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    // rustyline's output may lead nowhere one day: see `Terminal::leave`.
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

/// Where the writer writes.
struct Output {
    file: File,
    /// How much is written at once.
    piece: usize,
}

impl Output {
    /// Opens what `stream` leads to; a terminal, so that a write does not block. Only that: other processes write
    /// through what we were started with.
    fn open(stream: impl AsFd) -> io::Result<Self> {
        let open = |path| {
            OpenOptions::new()
                .write(true)
                .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
                .open(path)
        };
        // It may be another user's, or not have a name here.
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

    /// Writes `bytes`, unless the writer is told to stop; how many were not written.
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
                // The terminal is gone. That is no reason to stop: a signal tells the shell.
                _ => return 0,
            }
        }
        bytes.len()
    }
}

/// Starts the thread that hands over to rustyline what is to be shown above the line. That blocks when rustyline has
/// not taken yet what it was handed before.
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
                // If the terminal is gone, a signal tells the shell.
                let _ = above.print(text);
                shared.handed_over();
            }
        })?;
    Ok(())
}
