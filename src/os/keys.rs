//! Reads keys while no line is edited.

use std::fs::File;
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

/// Reads the keys of a terminal in a thread, because reading blocks. The thread ends at the end of input, or when the other end
/// of `stop` is closed.
///
/// # Errors
///
/// The system is out of descriptors or threads.
pub fn read_keys(
    terminal: impl AsFd,
    stop: PipeReader,
) -> io::Result<mpsc::UnboundedReceiver<Vec<u8>>> {
    let (sender, keys) = mpsc::unbounded_channel();
    let terminal = File::from(terminal.as_fd().try_clone_to_owned()?);
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            let mut typed = [0; 4096];
            loop {
                let mut ready = [
                    PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
                    PollFd::new(stop.as_fd(), PollFlags::POLLIN),
                ];
                match poll(&mut ready, PollTimeout::NONE) {
                    Err(Errno::EINTR) => continue,
                    Err(_) => return,
                    // From now on the editor reads the keys.
                    Ok(_) if ready[1].any() == Some(true) => return,
                    Ok(_) => {}
                }
                match (&terminal).read(&mut typed) {
                    Ok(length @ 1..) if sender.send(typed[..length].to_vec()).is_ok() => {}
                    Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {}
                    _ => return,
                }
            }
        })?;
    Ok(keys)
}
