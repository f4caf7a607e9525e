//! A guest's console: always drained into a log, whoever looks at it.

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

/// How much is read from a console at once.
const PIECE: usize = 64 << 10;

/// How many bytes the log may have before it is begun anew, unless told otherwise.
pub const CONSOLE_LOG_LIMIT: u64 = 64 << 20;

/// How long to wait before somebody who has gone is dialled again.
const PAUSE: Duration = Duration::from_millis(200);

/// A console and its log. Who is at the other end may change, and it goes on with the next one.
pub struct Console {
    /// Where the log is, unless it is gone with the console.
    path: Option<PathBuf>,
    shared: Arc<Shared>,
    /// Follows how long the log is.
    length: watch::Receiver<u64>,
    /// How much of the log has been looked at.
    shown: AtomicU64,
    /// Dials who has gone.
    dialler: Option<AbortHandle>,
}

struct Shared {
    log: ConsoleLog,
    length: watch::Sender<u64>,
    /// The other end, while there is somebody.
    end: Mutex<Option<End>>,
    connected: watch::Sender<bool>,
}

/// A connection to a console. Dropping it ends the thread that drains it.
struct End {
    file: Arc<File>,
    _stop: PipeWriter,
}

/// Where a console is, other than with a VM we started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleAddress {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    /// A terminal device.
    Pty(PathBuf),
}

impl ConsoleAddress {
    /// Where an address of a socket leads.
    ///
    /// # Errors
    ///
    /// It cannot be attached to.
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

    /// Where the chardev `name` is, which QEMU describes as `filename`: `disconnected:unix:/run/s,server=on`,
    /// `tcp:127.0.0.1:4444,server=on <-> …`, `pty:/dev/pts/3`.
    ///
    /// # Errors
    ///
    /// It cannot be attached to.
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
    /// A console without anybody at the other end, which appends to the log at `path`. That is begun anew when it has
    /// `limit` bytes, unless that is 0.
    ///
    /// # Errors
    ///
    /// The log cannot be opened.
    pub(super) fn logging_to(path: &Path, limit: u64) -> io::Result<Self> {
        Self::with_log(Some(path.to_owned()), limit)
    }

    /// Sets who is told when the log is begun anew. Only the first call has an effect.
    pub(super) fn report_to(&self, say: Say) {
        self.shared.log.report_to(say);
    }

    /// Connects to the console at `place`, and again whenever it comes back. Its log is gone with it.
    ///
    /// # Errors
    ///
    /// Nobody serves it.
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

    /// Goes on with `end`, whatever there was before.
    ///
    /// # Errors
    ///
    /// The system gives us no thread, or no descriptor.
    pub(super) fn plug(&self, end: OwnedFd) -> io::Result<()> {
        self.shared.plug(end)
    }

    /// Where the log is, if it stays.
    pub fn log(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Follows how many bytes there have been in the log.
    pub fn length(&self) -> watch::Receiver<u64> {
        self.length.clone()
    }

    /// Follows whether there is somebody at the other end.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shared.connected.subscribe()
    }

    /// At most `most` bytes of the log, and where they begin: at `offset`, or later if what was there is gone.
    pub fn read(&self, offset: u64, most: usize) -> (u64, Vec<u8>) {
        self.shared.log.read(offset, most)
    }

    /// Sends keys, as many as are taken now; how many those are.
    pub fn send(&self, keys: &[u8]) -> usize {
        let file = self.shared.end.lock().as_ref().map(|end| end.file.clone());
        match file {
            Some(file) => (&*file).write(keys).unwrap_or(0),
            // Nobody is there to take them, now or later.
            None => keys.len(),
        }
    }

    /// How much of the log has been looked at.
    pub fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Says that the log has been looked at, up to `offset`.
    pub fn set_shown(&self, offset: u64) {
        self.shown.store(offset, Ordering::Relaxed);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(dialler) = &self.dialler {
            dialler.abort();
        }
        // The dialler may hold on to what is shared a little longer.
        *self.shared.end.lock() = None;
    }
}

impl Shared {
    /// Starts to drain `end`. That has a thread of its own, so that nothing else we do keeps the guest
    /// waiting.
    fn plug(self: &Arc<Self>, end: OwnedFd) -> io::Result<()> {
        // Whoever else has the other end does not share the flag.
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
                // Unless there is another one by now.
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

/// Moves what comes from `console` into the log, until it ends, or `stop` does.
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
                // A disk that is full must not keep the guest waiting.
                if let Ok(total) = shared.log.append(&piece[..length]) {
                    shared.length.send_replace(total);
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock if stopped => return,
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                // A terminal device says so when nobody has its other side.
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
    async fn everything_is_drained_into_the_log_whoever_is_at_the_other_end() {
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
    fn keys_that_nobody_takes_do_not_block() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let console = Console::logging_to(&directory.path().join("log"), 0).expect("a log");
        let (_guest, ours) = UnixStream::pair().expect("sockets");
        console.plug(ours.into()).expect("a thread");
        let keys = vec![b'x'; 64 << 20];
        assert!(console.send(&keys) < keys.len());
    }
}
