use std::io;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use super::{Address, QmpError};

/// What can go wrong between here and a QMP server, in sentences a user can act on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("`{text}` is not an address: {why}")]
    Address { text: String, why: String },

    /// Specified, but not there yet.
    #[error("{0} are not built yet")]
    NotBuilt(String),

    #[error("cannot connect to {address}: {why}")]
    Connect { address: Address, why: String },

    #[error("{address} did not take the connection within {}", seconds(*.limit))]
    ConnectTimeout { address: Address, limit: Duration },

    #[error(
        "{address} took the connection but sent no greeting within {}: another client may hold this \
         monitor (QEMU serves one at a time), or QEMU is still starting or stopped",
        seconds(*.limit)
    )]
    NoGreeting { address: Address, limit: Duration },

    #[error(
        "{address} greeted, but did not answer within {}; QEMU may be busy or stopped",
        seconds(*.limit)
    )]
    NoAnswer { address: Address, limit: Duration },

    /// The connection ended before the server had greeted.
    #[error("{address} sent no QMP greeting: {lost}")]
    NotQmp { address: Address, lost: Lost },

    /// `qmp_capabilities` was refused.
    #[error("{address} refused to negotiate capabilities: {error}")]
    Negotiation { address: Address, error: QmpError },

    #[error("the outcome of `{1}` is unknown: {0}")]
    OutcomeUnknown(Lost, String),

    /// There was no connection to send on.
    #[error("not connected: {0}")]
    NotConnected(Lost),

    #[error("id {0} belongs to a command still in flight; use another")]
    IdInUse(String),

    #[error("more than {0} file descriptors cannot travel with one command")]
    TooManyDescriptors(usize),

    #[error("this connection carries no file descriptors: they need a Unix socket")]
    NoDescriptors,
}

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Lost {
    #[error("the server closed the connection")]
    Closed,
    #[error("the server closed the connection in the middle of a message: `{0}`")]
    Cut(String),
    #[error("the server reset the connection")]
    Reset,
    #[error("{0}")]
    Io(String),
    #[error("the server sent something that is not a QMP message: `{quote}`{hint}")]
    Garbage { quote: String, hint: &'static str },
    #[error("the server sent a message of more than {} MiB", .0 >> 20)]
    TooLarge(usize),
    #[error("the server sent a message nested more than {0} deep")]
    TooDeep(usize),
    #[error("its first message is no greeting")]
    NoGreeting,
    #[error("we closed the connection")]
    Disconnected,
}

impl Lost {
    pub(super) fn io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error.to_string()),
        }
    }
}

impl Error {
    /// Puts the operating system's reason for a failed connection into words.
    pub(super) fn connect(address: &Address, error: &io::Error) -> Self {
        let unix = matches!(address, Address::Unix(_));
        let why = match error.kind() {
            io::ErrorKind::NotFound if unix => {
                "there is no such socket; QEMU makes one with -qmp unix:PATH,server=on,wait=off"
                    .to_owned()
            }
            io::ErrorKind::ConnectionRefused => refused(address).to_owned(),
            io::ErrorKind::PermissionDenied => {
                "permission denied; QEMU runs as another user".to_owned()
            }
            _ => error.to_string(),
        };
        Self::Connect {
            address: address.clone(),
            why,
        }
    }
}

/// Why a Unix socket refuses: the kernel has one errno for three reasons.
fn refused(address: &Address) -> &'static str {
    let Address::Unix(path) = address else {
        return "nobody listens there";
    };
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => "it is a directory, not a socket",
        Ok(found) if !found.file_type().is_socket() => "it is a file, not a socket",
        _ => "nobody serves this socket; it may be left over from a QEMU that is gone",
    }
}

fn seconds(limit: Duration) -> String {
    match limit.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}
