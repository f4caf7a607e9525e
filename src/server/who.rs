use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::os::holder;
use crate::transport::Stream;

/// A client of a server.
#[derive(Debug)]
pub struct Who {
    /// Clients are counted from 1, in the whole process.
    pub number: u64,
    /// Its process, if it is on this machine.
    pub pid: Option<i32>,
    /// The name of its program, if it is on this machine.
    pub program: Option<String>,
    /// When it connected.
    pub since: Instant,
    label: Arc<str>,
    pub(super) commands: AtomicU64,
}

impl Who {
    pub(super) fn of(stream: &Stream) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let pid = stream.peer_pid();
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed) + 1;
        let program = pid.and_then(holder::program_of);
        let address = stream.peer_address();
        let label = match (pid, &program, address) {
            (Some(pid), Some(program), _) => format!("client {number} (pid {pid}, {program})"),
            (Some(pid), None, _) => format!("client {number} (pid {pid})"),
            (None, _, Some(address)) => format!("client {number} ({address})"),
            (None, _, None) => format!("client {number}"),
        };
        Self {
            number,
            pid,
            program,
            since: Instant::now(),
            label: label.into(),
            commands: AtomicU64::new(0),
        }
    }

    /// Its number and process, as logs and messages name it.
    pub fn label(&self) -> Arc<str> {
        self.label.clone()
    }

    /// How many commands it has sent.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// What a server tells of its clients.
#[derive(Debug, Clone)]
pub enum Note {
    /// It has connected.
    Connected(Arc<Who>),
    /// It has gone by itself.
    Left(Arc<Who>),
    /// We ended its connection, for this reason.
    Cut(Arc<Who>, String),
    /// Somebody was not let in, for this reason.
    TurnedAway(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(who) => write!(f, "{who} has connected"),
            Self::Left(who) => write!(f, "{who} has gone"),
            Self::Cut(who, why) => write!(f, "{who} was cut off: {why}"),
            Self::TurnedAway(why) => write!(f, "a client was turned away: {why}"),
        }
    }
}
