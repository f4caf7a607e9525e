use std::io;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use nix::errno::Errno;

use super::{Address, QmpError, tls};
use crate::os::child::Ended;

/// What can go wrong between here and a QMP server, in sentences a user can act on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("`{text}` is not an address: {why}")]
    Address { text: String, why: String },

    #[error("cannot connect to {address}: {why}")]
    Connect {
        address: Address,
        why: String,
        /// A server may be there later: nobody serves the address now.
        not_yet: bool,
    },

    #[error("cannot listen at {address}: {why}")]
    Listen { address: Address, why: String },

    /// Our own credentials are no use.
    #[error("{0}")]
    TlsCreds(String),

    #[error("no TLS connection to {address}: {why}")]
    Tls { address: Address, why: String },

    #[error("{}", no_connection(.address, *.limit))]
    ConnectTimeout { address: Address, limit: Duration },

    #[error(
        "{address} took the connection but sent no greeting within {}: {why}",
        seconds(*.limit)
    )]
    NoGreeting {
        address: Address,
        limit: Duration,
        why: String,
    },

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

    /// Nothing was sent.
    #[error(
        "`{command}` passes a file descriptor, which {over} cannot carry; it needs a Unix socket"
    )]
    NoDescriptors { command: String, over: &'static str },
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
    #[error("{0}")]
    Tls(String),
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
    /// What the connection went through has ended.
    #[error("`{name}` {ended}")]
    Program { name: String, ended: Ended },
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
    pub(super) fn tls(address: &Address, failed: tls::Failed) -> Self {
        match failed {
            tls::Failed::Creds(why) => Self::TlsCreds(why),
            tls::Failed::Handshake(why) => Self::Tls {
                address: address.clone(),
                why,
            },
        }
    }

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
            _ if matches!(address, Address::Inherited(_)) => inherited(error),
            _ => error.to_string(),
        };
        let not_yet = match error.kind() {
            io::ErrorKind::ConnectionRefused if unix => !is_no_socket(address),
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::TimedOut => true,
            _ => false,
        };
        Self::Connect {
            address: address.clone(),
            why,
            not_yet,
        }
    }

    /// The time limit it says was exceeded.
    pub(super) fn limit_mut(&mut self) -> Option<&mut Duration> {
        match self {
            Self::ConnectTimeout { limit, .. }
            | Self::NoGreeting { limit, .. }
            | Self::NoAnswer { limit, .. } => Some(limit),
            _ => None,
        }
    }

    /// Whether another attempt may succeed, of somebody who has been connected to the address `before`
    /// or has not.
    pub(super) fn is_transient(&self, before: bool) -> bool {
        match self {
            Self::Connect { not_yet, .. } => *not_yet || before,
            // Whoever it was that connected to us, the next one may be QEMU.
            Self::NotQmp {
                address: Address::Listen(_),
                ..
            } => true,
            // Something stands between: a tunnel, or a QEMU on its way down.
            Self::NotQmp { lost, .. } => before && lost.is_transient(),
            _ => false,
        }
    }
}

impl Lost {
    /// Whether another connection may do better: not if what is there speaks no QMP.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Closed | Self::Cut(_) | Self::Reset | Self::Io(_) | Self::Program { .. }
        )
    }
}

/// Whether what is found at a Unix socket's path is something else.
fn is_no_socket(address: &Address) -> bool {
    let Address::Unix(path) = address else {
        return false;
    };
    std::fs::metadata(path).is_ok_and(|found| !found.file_type().is_socket())
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

/// Why a descriptor that was inherited, or should have been, is no connection.
fn inherited(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBADF) => "no such descriptor was inherited, or it has been used already",
        Some(Errno::ENOTSOCK) => "it is not a socket",
        Some(Errno::ENOTCONN) => "it is a socket that is not connected",
        _ => return error.to_string(),
    }
    .to_owned()
}

/// What is wrong when there is no connection in time.
fn no_connection(address: &Address, limit: Duration) -> String {
    let limit = seconds(limit);
    match address {
        Address::Listen(_) => format!("no QEMU connected to {address} within {limit}"),
        _ => format!("{address} did not take the connection within {limit}"),
    }
}

fn seconds(limit: Duration) -> String {
    match limit.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}
