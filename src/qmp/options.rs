use std::sync::Arc;
use std::time::Duration;

use super::wire::Wire;
use crate::transport::Tls;

/// How to connect.
#[derive(Clone, Default)]
pub struct Options {
    /// How long connecting and the greeting may take together, if limited.
    pub connect_timeout: Option<Duration>,
    /// Do not enable the capability `oob`, even if it is offered.
    pub no_oob: bool,
    /// Sees every message sent and received.
    pub tap: Option<Tap>,
    /// Translates between messages and bytes.
    pub wire: &'static dyn Wire,
    /// Wraps TCP connections in TLS.
    pub tls: Option<Tls>,
}

/// Sees each message when it is sent or received. It must not block.
pub type Tap = Arc<dyn Fn(&Passing<'_>) + Send + Sync>;

/// A message that is sent or received.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The message, which is JSON unless the server is no QMP server.
    pub text: &'a str,
    /// Which of the connections it passes: they are counted from 1, in the whole process. 0 is none.
    pub connection: u64,
    /// How many descriptors go with it.
    pub descriptors: usize,
    /// Which client of ours sends it, if it is not from ourselves.
    pub from: Option<&'a str>,
    /// The user did not ask for it.
    pub quiet: bool,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Send,
    /// From the server.
    Receive,
    /// It is no message, but tells what happened.
    Note,
}

/// Whether to try again when there is no server yet or a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Do not try again.
    Never,
    /// Try for this long, or without a limit.
    Within(Option<Duration>),
}
