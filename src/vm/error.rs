use std::io;
use std::path::PathBuf;

use crate::transport;

/// Why a VM was not launched, or a console not attached to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the VM runs already")]
    Running,
    #[error("no temporary directory in {}: {error}", .path.display())]
    Directory { path: PathBuf, error: io::Error },
    #[error("no log at {}: {error}", .path.display())]
    Log { path: PathBuf, error: io::Error },
    #[error("no socket for QEMU's monitor: {0}")]
    Socket(io::Error),
    #[error("no console: {0}")]
    Console(io::Error),
    /// There is nowhere for the monitor.
    #[error(transparent)]
    Monitor(#[from] transport::Error),
    #[error("there is no `{0}` to run")]
    NoProgram(String),
    /// `command` is QEMU's whole command line.
    #[error("cannot run `{command}`: {error}")]
    Run { command: String, error: io::Error },
    /// QEMU ran, and ended before there was a connection: how, its command line, and what it printed.
    #[error("{0}")]
    Ended(String),
    #[error("a console is at a Unix socket or a TCP port")]
    NotAConsole,
    /// QEMU has such a chardev, elsewhere: `filename` is what it says.
    #[error(
        "the chardev `{name}` is `{filename}`; only a socket at which QEMU listens, or a pty, can be attached to"
    )]
    NotAttachable { name: String, filename: String },
}

impl Error {
    /// Whether this machine is to blame, not what was asked for.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Directory { .. } | Self::Log { .. } | Self::Socket(_) | Self::Console(_)
        )
    }
}
