use std::io;
use std::path::PathBuf;

use crate::transport;

/// Why a VM was not launched, or a console not attached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// QEMU is to be started but is already running.
    #[error("the VM is already running")]
    Running,
    /// The directory for temporary files cannot be created in `path`.
    #[error("cannot create a temporary directory in {}: {error}", .path.display())]
    Directory { path: PathBuf, error: io::Error },
    /// The log at `path` cannot be opened.
    #[error("cannot open the log {}: {error}", .path.display())]
    Log { path: PathBuf, error: io::Error },
    /// A socket pair for the monitor or the console cannot be created.
    #[error("cannot create a socket for QEMU: {0}")]
    Socket(io::Error),
    /// The thread or pipe for draining the console cannot be created.
    #[error("cannot set up the console: {0}")]
    Console(io::Error),
    /// The monitor's socket cannot be created at its address.
    #[error(transparent)]
    Monitor(#[from] transport::Error),
    /// No machine of that name can be connected to. The text says why.
    #[error("{0}")]
    NoMonitor(String),
    /// There is no such program.
    #[error("cannot run `{0}`: program not found")]
    NoProgram(String),
    /// `command` is QEMU's complete command line.
    #[error("cannot run `{command}`: {error}")]
    Run { command: String, error: io::Error },
    /// QEMU ended before we were connected. The text says how, with its command line and output.
    #[error("{0}")]
    Ended(String),
    /// The address is of a kind that a console cannot have.
    #[error("a console's address must be a Unix socket or a TCP port")]
    NotAConsole,
    /// The chardev exists but cannot be attached to. `filename` is how QEMU describes it.
    #[error(
        "cannot attach to the chardev `{name}` (`{filename}`): it must be a socket at which QEMU listens, or a pty"
    )]
    NotAttachable { name: String, filename: String },
}

impl Error {
    /// Whether the cause is this machine, rather than QEMU or the user's request.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Directory { .. } | Self::Log { .. } | Self::Socket(_) | Self::Console(_)
        )
    }
}
