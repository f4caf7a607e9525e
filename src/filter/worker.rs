//! A process that runs filters, seen from ours.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::message::{Answer, Header, framed};
use super::process::{ARGUMENT, STACK, memory};
use super::{Filtered, Rejected};
use crate::os::child::{Bond, Child, Ended};

/// The program that we are, even if its file was replaced or removed meanwhile.
#[cfg(target_os = "linux")]
const OURSELVES: &str = "/proc/self/exe";

/// The longest answer in one piece, in bytes. The outputs of a filter are fewer, and what is longer is not an answer.
const LONGEST: usize = 512 << 20;

/// How long a process may take to end after it has closed its socket.
const END: Duration = Duration::from_secs(10);

/// After an input of this many bytes a process is not used again: it keeps the memory.
const LARGE: usize = 4 << 20;

/// The process. It is killed when this is dropped.
pub(super) struct Worker {
    socket: UnixStream,
    child: Child,
    is_large: bool,
}

impl Worker {
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start() -> io::Result<Self> {
        let (ours, its) = net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(ourselves()?);
        command
            .arg(ARGUMENT)
            .env(TUNABLES, tunables())
            .stdin(OwnedFd::from(its))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self {
            socket: UnixStream::from_std(ours)?,
            child: Child::start(command, Vec::new(), Bond::Kill)?,
            is_large: false,
        })
    }

    /// Whether it can have another job.
    pub fn is_usable(&self) -> bool {
        !self.is_large && self.child.ended().is_none()
    }

    /// Has it do a job.
    ///
    /// # Errors
    ///
    /// The filter cannot be run.
    pub async fn ask(&mut self, header: &Header, input: &[u8]) -> Result<Filtered, Rejected> {
        self.is_large = input.len() >= LARGE;
        let mut filtered = Filtered::default();
        let mut lines = Vec::new();
        filtered.error = match self.exchange(header, input, &mut lines).await {
            Ok(Answer::Rejected(message, span)) => return Err(Rejected { message, span }),
            Ok(Answer::Failed(error)) => Some(error),
            Ok(_) => None,
            Err(_) => Some(match self.child.wait_within(END).await {
                Some(ended) => why(ended),
                None => "the process that ran it does not answer".to_owned(),
            }),
        };
        filtered.lines = match String::from_utf8(lines) {
            Ok(lines) => lines,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(filtered)
    }

    /// Sends a job, collects the outputs in `lines`, and returns the last part of the answer.
    async fn exchange(
        &mut self,
        header: &Header,
        input: &[u8],
        lines: &mut Vec<u8>,
    ) -> io::Result<Answer> {
        let header = serde_json::to_vec(header)?;
        self.socket.write_all(&framed(&[&header])).await?;
        self.socket.write_all(input).await?;
        loop {
            let mut length = [0; 4];
            self.socket.read_exact(&mut length).await?;
            let length = u32::from_ne_bytes(length) as usize;
            if length > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut bytes = vec![0; length];
            self.socket.read_exact(&mut bytes).await?;
            match Answer::read(bytes)? {
                Answer::Lines(more) if lines.is_empty() => *lines = more,
                Answer::Lines(more) => lines.extend_from_slice(&more),
                last => return Ok(last),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.signal(Signal::SIGKILL);
    }
}

/// How such a process allocates, as glibc reads it; other libraries ignore it. A large reply becomes millions of small
/// values. By default their thread would ask the system for each 128 KiB of them, and return as little at once.
const ALLOCATION: &str =
    "glibc.malloc.arena_max=1:glibc.malloc.top_pad=67108864:glibc.malloc.trim_threshold=4294967296";

const TUNABLES: &str = "GLIBC_TUNABLES";

/// What the user wants of glibc comes last, so that it counts.
fn tunables() -> OsString {
    let mut all = OsString::from(ALLOCATION);
    if let Some(theirs) = env::var_os(TUNABLES) {
        all.push(":");
        all.push(theirs);
    }
    all
}

#[cfg(target_os = "linux")]
fn ourselves() -> io::Result<&'static str> {
    Ok(OURSELVES)
}

#[cfg(not(target_os = "linux"))]
fn ourselves() -> io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// Why a process has ended that was to run a filter.
fn why(ended: Ended) -> String {
    let most = |bytes: u64| format!("{} MiB", bytes >> 20);
    if ended.is_by(Signal::SIGSEGV) || ended.is_by(Signal::SIGBUS) {
        let stack = most(STACK as u64);
        format!("it needs more than {stack} of stack; does it call itself without end?")
    } else if ended.is_by(Signal::SIGABRT) || ended.is_by(Signal::SIGKILL) {
        format!("it needs more than {} of memory", most(memory()))
    } else {
        format!("jq's interpreter {ended}")
    }
}
