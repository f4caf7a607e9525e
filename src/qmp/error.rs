use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::lang::mask_text;
use crate::transport::{self, Endpoint, StreamEnd};

/// What can go wrong between us and a QMP server, in sentences that a user can act on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error(transparent)]
    Transport(#[from] transport::Error),

    /// There was no connection in time.
    #[error("{}", no_connection(.endpoint, *.limit))]
    ConnectTimeout {
        /// Where it should lead.
        endpoint: Endpoint,
        /// The time limit.
        limit: Duration,
    },

    /// The server did not greet in time.
    #[error(
        "{endpoint} accepted the connection but {what} within {}: {why}",
        seconds(*.limit)
    )]
    NoGreeting {
        /// The server.
        endpoint: Endpoint,
        /// The time limit.
        limit: Duration,
        /// What it did not do.
        what: &'static str,
        /// The likely reason.
        why: String,
    },

    /// The server did not answer `qmp_capabilities` in time.
    #[error(
        "{endpoint} greeted, but did not answer within {}; QEMU may be busy or stopped",
        seconds(*.limit)
    )]
    NoAnswer {
        /// The server.
        endpoint: Endpoint,
        /// The time limit.
        limit: Duration,
    },

    /// The connection ended before the server had greeted.
    #[error("{endpoint} {what}: {lost}")]
    NotQmp {
        /// The server.
        endpoint: Endpoint,
        /// What it is not, or did not do.
        what: &'static str,
        /// How the connection ended.
        lost: Lost,
    },

    /// `qmp_capabilities` was refused.
    #[error("{endpoint} refused to negotiate capabilities: {error}")]
    Negotiation {
        /// The server.
        endpoint: Endpoint,
        /// Its answer.
        error: QmpError,
    },

    /// The connection ended before the reply came. Holds the command's name.
    #[error("the outcome of `{1}` is unknown: {0}")]
    OutcomeUnknown(Lost, String),

    /// There is no connection to send over.
    #[error("not connected: {0}")]
    NotConnected(Lost),

    /// Nothing was sent: a command in flight has this id.
    #[error("id {0} belongs to a command still in flight; use another")]
    IdInUse(String),

    /// Nothing was sent. Holds the most descriptors that a command can pass.
    #[error("a command cannot pass more than {0} file descriptors")]
    TooManyDescriptors(usize),

    /// Nothing was sent: this server cannot be told that.
    #[error("`{0}` cannot be sent: {1}")]
    NotCarried(String, String),

    /// Nothing was sent: the connection cannot pass descriptors.
    #[error(
        "`{command}` passes a file descriptor, which {over} cannot carry; it needs a Unix socket"
    )]
    NoDescriptors {
        /// The command's name.
        command: String,
        /// The kind of connection.
        over: &'static str,
    },
}

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Lost {
    /// The stream ended.
    #[error(transparent)]
    Stream(#[from] StreamEnd),
    /// The stream ended within a message, which is quoted.
    #[error("the server closed the connection in the middle of a message: `{0}`")]
    Cut(String),
    /// The server sent something else.
    #[error("the server sent something that is not a QMP message: `{quote}`{hint}")]
    Garbage {
        /// Its beginning, made harmless to a terminal.
        quote: String,
        /// What it may be; may be empty.
        hint: &'static str,
    },
    /// A message was too large. Holds the limit in bytes.
    #[error("the server sent a message of more than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// A message was nested too deep. Holds the limit.
    #[error("the server sent a message nested more than {0} deep")]
    TooDeep(usize),
    /// The server's first message was something else.
    #[error("its first message is not a greeting")]
    NoGreeting,
    /// We closed it.
    #[error("we closed the connection")]
    Disconnected,
}

/// Why a connection ended, as far as we know.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What was seen of it.
    pub lost: Lost,
    /// The reason in a preceding `SHUTDOWN` event.
    pub shutdown: Option<String>,
}

/// QEMU's answer to a command that failed. It may quote an argument, so it is shown without secrets.
#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("{class}: {}", mask_text(.desc))]
pub struct QmpError {
    /// Usually `GenericError`, or `CommandNotFound`.
    pub class: String,
    /// What went wrong, for people.
    pub desc: String,
}

impl Error {
    /// The time limit, if it was exceeded.
    pub(super) fn limit_mut(&mut self) -> Option<&mut Duration> {
        match self {
            Self::ConnectTimeout { limit, .. }
            | Self::NoGreeting { limit, .. }
            | Self::NoAnswer { limit, .. } => Some(limit),
            _ => None,
        }
    }

    /// Whether another attempt may succeed. `before` says whether we have been connected to the
    /// endpoint before.
    pub(super) fn is_transient(&self, before: bool) -> bool {
        match self {
            Self::Transport(transport::Error::Connect { not_yet, .. }) => *not_yet || before,
            // A tunnel may have closed it, or a QEMU that is about to end.
            Self::NotQmp { lost, .. } => before && lost.is_transient(),
            _ => false,
        }
    }
}

impl Lost {
    /// Whether a new connection may succeed. It does not if the server does not speak QMP or
    /// rejects us.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Stream(end) => !matches!(end, StreamEnd::Tls(_)),
            Self::Cut(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shutdown {
            Some(reason) => write!(f, "QEMU shut down ({reason})"),
            None => self.lost.fmt(f),
        }
    }
}

fn no_connection(endpoint: &Endpoint, limit: Duration) -> String {
    let limit = seconds(limit);
    match endpoint {
        Endpoint::Listen(_) => format!("no QEMU connected to {endpoint} within {limit}"),
        _ => format!("{endpoint} did not accept the connection within {limit}"),
    }
}

fn seconds(limit: Duration) -> String {
    match limit.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}
