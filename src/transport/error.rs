use std::io;
use std::time::Duration;

use super::address::Address;
use crate::os::child::Ended;

/// How long to wait for a process to end after its stream has ended.
pub(super) const END: Duration = Duration::from_secs(1);

/// Why there is no connection, as a sentence for the user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Connecting failed.
    #[error("cannot connect to {endpoint}: {why}")]
    Connect {
        /// Where to.
        endpoint: String,
        /// Why.
        why: String,
        /// Nobody serves the address yet, so another attempt may succeed.
        not_yet: bool,
    },

    /// Listening failed.
    #[error("cannot listen at {address}: {why}")]
    Listen {
        /// Where.
        address: Address,
        /// Why.
        why: String,
    },

    /// Our own credentials cannot be used.
    #[error("{0}")]
    TlsCreds(String),

    /// There is a connection, but TLS failed.
    #[error("no TLS connection to {address}: {why}")]
    Tls {
        /// Where to.
        address: Address,
        /// Why.
        why: String,
    },
}

/// Why a stream ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamEnd {
    /// The other end closed it.
    #[error("the server closed the connection")]
    Closed,
    /// The other end closed it without having read everything.
    #[error("the server reset the connection")]
    Reset,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// The process at the other end has ended, or the one that leads there.
    #[error("`{name}` {ended}")]
    Program {
        /// The program.
        name: String,
        /// How it ended.
        ended: Ended,
    },
}

impl StreamEnd {
    /// The system's reason why reading or writing failed.
    pub(crate) fn io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::BrokenPipe => Self::Closed,
            io::ErrorKind::TimedOut => {
                Self::Io("the server's machine no longer answers".to_owned())
            }
            _ => Self::Io(error.to_string()),
        }
    }
}
