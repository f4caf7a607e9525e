//! A guest's console. It is always drained into a log, whether or not a terminal is attached.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::console_log::ConsoleLog;
use super::error::Error;
use crate::transport::{Address, Say, dial_tcp};

/// How many bytes to read from a console at once.
const PIECE: usize = 64 << 10;

/// The default limit of the log, in bytes.
pub const CONSOLE_LOG_LIMIT: u64 = 64 << 20;

/// How long to wait before reconnecting to a console that is gone.
const PAUSE: Duration = Duration::from_millis(200);

/// A console and its log. When the other end goes away, it continues with the next connection.
pub struct Console {
    /// The path of the log; `None` if the log is removed with the console.
    path: Option<PathBuf>,
    shared: Arc<Shared>,
    /// Follows the length of the log in bytes.
    length: watch::Receiver<u64>,
    /// How many bytes of the log the user has seen.
    shown: AtomicU64,
    /// Up to where the log has been searched by [`Console::expect`].
    expected: AtomicU64,
    /// The task that reconnects, unless the VM is ours.
    dialler: Option<AbortHandle>,
}

struct Shared {
    log: ConsoleLog,
    length: watch::Sender<u64>,
    /// The connection to the other end, while there is one.
    end: Mutex<Option<End>>,
    connected: watch::Sender<bool>,
}

/// A connection to a console. Dropping it stops the thread that drains the console.
struct End {
    file: Arc<File>,
    _stop: PipeWriter,
}

/// The address of a console that is not our launched VM's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp { host: String, port: u16 },
    /// A pseudoterminal device.
    Pty(PathBuf),
}

impl ConsoleAddress {
    /// The console at the socket `address`.
    ///
    /// # Errors
    ///
    /// A console cannot be attached there.
    pub fn of_address(address: &Address) -> Result<Self, Error> {
        match address {
            Address::Unix(path) => Ok(Self::Unix(path.clone())),
            Address::Tcp { host, port } => Ok(Self::Tcp {
                host: host.clone(),
                port: *port,
            }),
            _ => Err(Error::NotAConsole),
        }
    }

    /// The console at the chardev `name`, which QEMU describes as `filename`:
    /// `disconnected:unix:/run/s,server=on`, `tcp:127.0.0.1:4444,server=on <-> …`, `pty:/dev/pts/3`.
    ///
    /// # Errors
    ///
    /// A console cannot be attached there.
    pub fn of_chardev(name: &str, filename: &str) -> Result<Self, Error> {
        let failed = || Error::NotAttachable {
            name: name.to_owned(),
            filename: filename.to_owned(),
        };
        let socket = filename.strip_prefix("disconnected:").unwrap_or(filename);
        if let Some(path) = socket.strip_prefix("pty:") {
            return Ok(Self::Pty(path.into()));
        }
        if !socket.contains(",server")
            || !(socket.starts_with("unix:") || socket.starts_with("tcp:"))
        {
            return Err(failed());
        }
        let address: Address = socket.parse().map_err(|_| failed())?;
        Self::of_address(&address)
    }
}

impl fmt::Display for ConsoleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) | Self::Pty(path) => path.display().fmt(f),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Console {
    /// A console that is not connected yet, which appends to the log at `path`. The log is rotated at `limit` bytes; 0
    /// is no limit.
    ///
    /// # Errors
    ///
    /// The log cannot be opened.
    pub(super) fn logging_to(path: &Path, limit: u64) -> io::Result<Self> {
        Self::with_log(Some(path.to_owned()), limit)
    }

    /// Sets who is told when the log is rotated. Only the first call has an effect.
    pub(super) fn report_to(&self, say: Say) {
        self.shared.log.report_to(say);
    }

    /// Connects to the console at `place`, and reconnects whenever the connection ends. The log is temporary.
    ///
    /// # Errors
    ///
    /// The connection fails, or the log cannot be created.
    pub async fn at(place: ConsoleAddress) -> io::Result<Self> {
        let end = dial(&place).await?;
        let mut console = Self::with_log(None, CONSOLE_LOG_LIMIT)?;
        console.shared.plug(end)?;
        let shared = console.shared.clone();
        let redial = async move {
            let mut connected = shared.connected.subscribe();
            while connected.wait_for(|connected| !connected).await.is_ok() {
                sleep(PAUSE).await;
                if let Ok(end) = dial(&place).await {
                    let _ = shared.plug(end);
                }
            }
        };
        console.dialler = Some(tokio::spawn(redial).abort_handle());
        Ok(console)
    }

    fn with_log(path: Option<PathBuf>, limit: u64) -> io::Result<Self> {
        let (log, so_far) = ConsoleLog::open(path.clone(), limit)?;
        let (sender, length) = watch::channel(so_far);
        Ok(Self {
            path,
            shown: AtomicU64::new(so_far),
            expected: AtomicU64::new(so_far),
            length,
            shared: Arc::new(Shared {
                log,
                length: sender,
                end: Mutex::default(),
                connected: watch::Sender::new(false),
            }),
            dialler: None,
        })
    }

    /// Makes `end` the other end, in place of any before it, and starts to drain it.
    ///
    /// # Errors
    ///
    /// A thread or a pipe cannot be created.
    pub(super) fn plug(&self, end: OwnedFd) -> io::Result<()> {
        self.shared.plug(end)
    }

    /// The path of the log, unless the log is temporary.
    pub fn log(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Follows how many bytes were ever logged.
    pub fn length(&self) -> watch::Receiver<u64> {
        self.length.clone()
    }

    /// Follows whether the other end is connected.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shared.connected.subscribe()
    }

    /// Returns at most `most` bytes of the log, and their offset: `offset`, or a later one if that part no longer exists.
    pub fn read(&self, offset: u64, most: usize) -> (u64, Vec<u8>) {
        self.shared.log.read(offset, most)
    }

    /// Sends as many of `keys` as the other end takes without blocking, and returns how many bytes that was.
    pub fn send(&self, keys: &[u8]) -> usize {
        let file = self.shared.end.lock().as_ref().map(|end| end.file.clone());
        match file {
            Some(file) => (&*file).write(keys).unwrap_or(0),
            // Nobody will ever take them, so drop them.
            None => keys.len(),
        }
    }

    /// How many bytes of the log the user has seen.
    pub fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Notes that the user has seen the log up to `offset`.
    pub fn set_shown(&self, offset: u64) {
        self.shown.store(offset, Ordering::Relaxed);
    }

    /// The offset after the last match of [`Console::expect`].
    pub(super) fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// Notes where the next [`Console::expect`] starts.
    pub(super) fn set_expected(&self, offset: u64) {
        self.expected.store(offset, Ordering::Relaxed);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(dialler) = &self.dialler {
            dialler.abort();
        }
        // The aborted task may still hold `shared` for a moment.
        *self.shared.end.lock() = None;
    }
}

impl Shared {
    /// Starts to drain `end`, in a thread of its own so that nothing else we do can block the guest.
    fn plug(self: &Arc<Self>, end: OwnedFd) -> io::Result<()> {
        // This does not affect the other end: each end of a connection has flags of its own.
        let flags = OFlag::from_bits_retain(fcntl(&end, FcntlArg::F_GETFL)?);
        fcntl(&end, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let file = Arc::new(File::from(end));
        let (stop, stop_writer) = io::pipe()?;
        *self.end.lock() = Some(End {
            file: file.clone(),
            _stop: stop_writer,
        });
        self.connected.send_replace(true);
        let shared = self.clone();
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || {
                drain(&file, &stop, &shared);
                let mut end = shared.end.lock();
                // Another connection may have replaced it by now.
                if end
                    .as_ref()
                    .is_some_and(|end| Arc::ptr_eq(&end.file, &file))
                {
                    *end = None;
                    shared.connected.send_replace(false);
                }
            })?;
        Ok(())
    }
}

/// Copies everything from `console` to the log, until `console` or `stop` is closed.
fn drain(console: &File, stop: &impl AsFd, shared: &Shared) {
    let mut piece = vec![0; PIECE];
    loop {
        let mut ready = [
            PollFd::new(console.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let stopped = ready[1].any().unwrap_or(true);
        match (&*console).read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                // A full disk must not block the guest, so failed writes are ignored.
                if let Ok(total) = shared.log.append(&piece[..length]) {
                    shared.length.send_replace(total);
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock if stopped => return,
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                // A pty fails with EIO when its other side is closed.
                _ => return,
            },
        }
    }
}

async fn dial(place: &ConsoleAddress) -> io::Result<OwnedFd> {
    match place {
        ConsoleAddress::Unix(path) => Ok(UnixStream::connect(path).await?.into_std()?.into()),
        ConsoleAddress::Tcp { host, port } => Ok(dial_tcp(host, *port).await?.into_std()?.into()),
        ConsoleAddress::Pty(path) => {
            let mut options = OpenOptions::new();
            let flags = (OFlag::O_NOCTTY | OFlag::O_NONBLOCK).bits();
            let file = options
                .read(true)
                .write(true)
                .custom_flags(flags)
                .open(path)?;
            Ok(file.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[tokio::test]
    async fn everything_is_drained_into_the_log_even_after_a_reconnection() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let console = Console::logging_to(&path, 0).expect("a log");
        for text in ["first ", "second"] {
            let (mut guest, ours) = UnixStream::pair().expect("sockets");
            console.plug(ours.into()).expect("a thread");
            guest.write_all(text.as_bytes()).expect("it is drained");
            drop(guest);
            let mut connected = console.connected();
            connected
                .wait_for(|connected| !connected)
                .await
                .expect("it ends");
        }
        assert_eq!(
            std::fs::read_to_string(&path).expect("the log"),
            "first second"
        );
        assert_eq!(*console.length().borrow(), 12);
        assert_eq!(console.read(6, 100), (6, b"second".to_vec()));
    }

    #[test]
    fn keys_that_the_guest_does_not_take_do_not_block() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let console = Console::logging_to(&directory.path().join("log"), 0).expect("a log");
        let (_guest, ours) = UnixStream::pair().expect("sockets");
        console.plug(ours.into()).expect("a thread");
        let keys = vec![b'x'; 64 << 20];
        assert!(console.send(&keys) < keys.len());
    }
}
