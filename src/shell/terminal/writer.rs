//! The thread that writes to the terminal, and the one that hands over to rustyline.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustyline::ExternalPrinter;

use super::state::{Shared, Task, To};

/// How much is written at once. A terminal that has any room has that much (Linux counts a pty's in 256 bytes, and a
/// line break may take two), so that the write does not block.
const PIECE: usize = 128;

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
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let error = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            loop {
                work(shared.next(), &shared, &output, &error);
            }
        })?;
    Ok(())
}

fn work(task: Task, shared: &Shared, output: &File, error: &File) {
    if task.clear {
        write(output, CLEAR_LINE, shared);
    }
    let to = match task.to {
        To::Error => error,
        _ => output,
    };
    let rest = write(to, &task.text, shared);
    shared.finish(task.to, rest);
    if let Some(done) = task.done {
        let _ = done.send(());
    }
}

/// Writes `bytes`, unless the writer is told to stop; how many were not written.
fn write(mut to: &File, mut bytes: &[u8], shared: &Shared) -> usize {
    while !bytes.is_empty() && shared.goes_on() {
        let mut ready = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut ready, PollTimeout::from(LOOK)) {
            Err(Errno::EINTR) | Ok(0) => continue,
            _ => {}
        }
        match to.write(&bytes[..bytes.len().min(PIECE)]) {
            Ok(count @ 1..) => bytes = &bytes[count..],
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            // The terminal is gone. That is no reason to stop: a signal tells the shell.
            _ => return 0,
        }
    }
    bytes.len()
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
