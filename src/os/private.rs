//! Files that only their owner can read, since they may contain the messages of a monitor.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Creates the directory of `path`, for its owner alone, if it does not exist.
///
/// # Errors
///
/// The directory cannot be created.
pub fn create_parent(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    path.parent()
        .map_or(Ok(()), |parent| builder.create(parent))
}

/// How long to wait for the reader of a FIFO, and how often to look.
const READER: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Opens a file as `options` say. A file created by this is accessible only to its owner. A FIFO may take a moment to
/// get a reader.
///
/// # Errors
///
/// The file cannot be opened, or is a FIFO that nobody reads (`ENXIO`).
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let options = options.mode(0o600).custom_flags(OFlag::O_NONBLOCK.bits());
    let due = Instant::now() + READER;
    let file = loop {
        match options.open(path) {
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                if Instant::now() >= due {
                    return Err(error);
                }
            }
            result => break result?,
        }
        sleep(LOOK);
    };
    // Opening must not block; writing may.
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file)
}
