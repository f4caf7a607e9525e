//! The QEMUs of this machine: those that run ([`list`]), and the one that we start ourselves ([`Vm`]).

mod console;
mod error;
mod follow;
pub mod list;
mod machine;
mod options;
mod plan;
pub mod shutdown;
mod sockets;

use std::fmt::Write;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::os::child::Ended;
use crate::os::private;
use crate::qmp::{Client, Request};
use crate::transport::{Endpoint, Handover, Process, Say, ServerSocket};

pub use console::{Console, ConsoleAddress};
pub use error::Error;
pub use follow::Follow;
pub use plan::{Monitor, PassedFd, Plan, SHUTDOWN_TIMEOUT};

use machine::Machine;
use plan::Passed;

/// How long a QEMU that did not greet may take to end.
const FAILURE: Duration = Duration::from_secs(1);

/// How much of what QEMU said last is told when it ended badly.
const LAST_WORDS: u64 = 1 << 10;

/// A QEMU that we start, and start again; at most one runs at a time. The kernel ends it when the thread
/// that started it ends.
pub struct Vm {
    plan: Plan,
    launch: Mutex<Launch>,
    /// Where its monitor's other end is left.
    handover: Handover,
    log: PathBuf,
    console: Option<Arc<Console>>,
    say: OnceLock<Say>,
    /// Removed in the end, with all that is in it.
    directory: Mutex<Option<TempDir>>,
}

#[derive(Default)]
struct Launch {
    machine: Option<Arc<Machine>>,
    /// The monitor's socket, if it has an address.
    socket: Option<ServerSocket>,
    /// How long the log was when the machine was started.
    log_start: u64,
}

/// How a QEMU that we ended has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It did not run.
    Already,
    /// As it was asked to.
    Gracefully,
    /// By SIGKILL, as we wanted.
    Killed,
    /// By SIGKILL, because it did not end within its time.
    TimedOut,
}

impl Vm {
    /// Prepares what `plan` says. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// There is nowhere to put its files.
    pub fn new(plan: Plan) -> Result<Self, Error> {
        let directory = temporary_directory(plan.temp_dir.as_deref())?;
        let logs = plan.log_dir.as_deref().unwrap_or(directory.path());
        let log = logs.join(format!("{}.log", plan.file_name()));
        let console = match plan.console {
            true => {
                let log = logs.join(format!("{}-console.log", plan.file_name()));
                let console = Console::logging_to(&log).map_err(|error| no_log(&log, error))?;
                Some(Arc::new(console))
            }
            false => None,
        };
        Ok(Self {
            plan,
            launch: Mutex::default(),
            handover: Handover::default(),
            log,
            console,
            say: OnceLock::new(),
            directory: Mutex::new(Some(directory)),
        })
    }

    /// Sets who is told when QEMU ends unexpectedly. Only the first call has an effect.
    pub fn report_to(&self, say: Say) {
        let _ = self.say.set(say);
    }

    /// Starts QEMU, which does not run.
    ///
    /// # Errors
    ///
    /// It does not start. That it started does not mean that it goes on: see
    /// [`Vm::failure`].
    pub fn start(&self) -> Result<(), Error> {
        let mut launch = self.launch.lock();
        if launch
            .machine
            .as_ref()
            .is_some_and(|machine| machine.runs())
        {
            return Err(Error::Running);
        }
        // The old one first, if it is to be at the same place.
        launch.socket = None;
        let mut passed = Passed::default();
        let mut monitor = None;
        match &self.plan.monitor {
            Monitor::None => {}
            Monitor::Pair => {
                let (ours, theirs) = UnixStream::pair().map_err(Error::Socket)?;
                passed.monitor = Some(theirs.into());
                monitor = Some(ours);
            }
            Monitor::At(address) => {
                let mut socket = ServerSocket::bind(address)?;
                passed.server = socket.hand_over();
                launch.socket = Some(socket);
            }
        }
        let mut console = None;
        if self.console.is_some() {
            let (ours, theirs) = UnixStream::pair().map_err(Error::Socket)?;
            passed.console = Some(theirs.into());
            console = Some(ours);
        }
        let output = private::open(OpenOptions::new().append(true).create(true), &self.log);
        let output = output.map_err(|error| no_log(&self.log, error))?;
        launch.log_start = output.metadata().map_or(0, |file| file.len());
        let machine = Arc::new(Machine::start(&self.plan, passed, output)?);
        if let Some(ours) = monitor {
            let process = Process {
                name: self.plan.program_name(),
                pid: self.plan.wrapper.is_empty().then(|| machine.pid()),
                child: machine.child().clone(),
            };
            self.handover.put(ours, process);
        }
        if let (Some(console), Some(ours)) = (&self.console, console) {
            console.plug(ours.into()).map_err(Error::Console)?;
        }
        launch.machine = Some(machine);
        Ok(())
    }

    /// Where its monitor is, if it has one.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match &self.plan.monitor {
            Monitor::None => None,
            Monitor::Pair => Some(Endpoint::Launched(self.handover.clone())),
            Monitor::At(address) => {
                let launch = self.launch.lock();
                let socket = launch.socket.as_ref();
                let address = socket.map_or(address, ServerSocket::address);
                Some(address.clone().into())
            }
        }
    }

    /// Why QEMU has ended, if it has, or does within a moment: its exit status, the command, and what it
    /// said. For when it did not greet.
    pub async fn failure(&self) -> Option<Error> {
        let (machine, log_start) = {
            let launch = self.launch.lock();
            (launch.machine.clone()?, launch.log_start)
        };
        let ended = timeout(FAILURE, machine.wait()).await.ok()?;
        Some(Error::Ended(autopsy(&machine, ended, &self.log, log_start)))
    }

    /// Resolves when QEMU has ended.
    pub async fn ended(&self) {
        let machine = self.launch.lock().machine.clone();
        if let Some(machine) = machine {
            machine.wait().await;
        }
    }

    /// From now on, tells when QEMU ends unexpectedly.
    pub fn watch(&self) {
        let launch = self.launch.lock();
        if let (Some(machine), Some(say)) = (launch.machine.clone(), self.say.get().cloned()) {
            let (log, start) = (self.log.clone(), launch.log_start);
            // Where there is a connection, its end tells.
            let silent = matches!(self.plan.monitor, Monitor::None);
            tokio::spawn(async move {
                let ended = machine.wait().await;
                if machine.is_unexpected(ended) {
                    say(autopsy(&machine, ended, &log, start));
                } else if silent && !machine.is_expected() {
                    say(format!("{} {ended}", machine.name()));
                }
            });
        }
    }

    /// Ends QEMU: asks it through `client`, or by SIGTERM if there is none, and kills it when it takes longer
    /// than the plan allows. Cancelling this waits no longer, nothing more.
    pub async fn stop(&self, client: Option<&Client>) -> Stopped {
        let Some(machine) = self.running() else {
            return Stopped::Already;
        };
        machine.expect_end();
        let asked = client.and_then(|client| client.send(Request::new("quit").quietly()).ok());
        if asked.is_none() {
            machine.terminate();
        }
        match timeout(self.plan.shutdown_timeout, machine.wait()).await {
            Ok(_) => Stopped::Gracefully,
            Err(_) => {
                machine.kill();
                machine.wait().await;
                Stopped::TimedOut
            }
        }
    }

    /// How long QEMU may take to end when it is asked to.
    pub fn shutdown_timeout(&self) -> Duration {
        self.plan.shutdown_timeout
    }

    /// Kills QEMU.
    pub async fn kill(&self) -> Stopped {
        let Some(machine) = self.running() else {
            return Stopped::Already;
        };
        machine.expect_end();
        machine.kill();
        machine.wait().await;
        Stopped::Killed
    }

    /// The console of the guest, if it was given one.
    pub fn console(&self) -> Option<&Arc<Console>> {
        self.console.as_ref()
    }

    /// Whether a chardev is the console that a launched VM is given.
    pub fn is_console(chardev: &str) -> bool {
        chardev == plan::CONSOLE
    }

    /// What QEMU printed, from the start, and what it prints until it ends.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn follow_log(&self) -> io::Result<Follow> {
        let machine = self.launch.lock().machine.clone();
        Follow::open(&self.log, machine)
    }

    /// What QEMU printed.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        let text = std::fs::read(&self.log)?;
        let text = String::from_utf8_lossy(&text);
        Ok(match &self.launch.lock().machine {
            Some(machine) => machine.without_secrets(&text),
            None => text.into_owned(),
        })
    }

    /// Status, command line and files, a line each.
    pub fn describe(&self) -> String {
        let launch = self.launch.lock();
        let mut text = String::new();
        if let Some(machine) = &launch.machine {
            let _ = writeln!(text, "state     {}", machine.describe());
            let _ = writeln!(text, "command   {}", machine.command());
        }
        let monitor = match (&self.plan.monitor, &launch.socket) {
            (Monitor::None, _) => "none".to_owned(),
            (Monitor::Pair, _) => "ours alone".to_owned(),
            (Monitor::At(address), None) => address.to_string(),
            (Monitor::At(_), Some(socket)) => socket.address().to_string(),
        };
        let _ = writeln!(text, "monitor   {monitor}");
        if let Some(console) = &self.console {
            let log = console.log().map(Path::display);
            let _ = writeln!(text, "console   {}", log.expect("it stays"));
        }
        let _ = writeln!(text, "log       {}", self.log.display());
        text
    }

    fn running(&self) -> Option<Arc<Machine>> {
        let machine = self.launch.lock().machine.clone();
        machine.filter(|machine| machine.runs())
    }
}

/// Ends a VM when it is dropped, whoever else still holds that, and removes its files.
pub struct KillOnDrop(pub Arc<Vm>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Who could still wait for it did so with `stop`; this is a panic, or close to one.
        if let Some(machine) = self.0.running() {
            machine.end_now(self.0.plan.shutdown_timeout);
        }
        self.0.launch.lock().socket = None;
        *self.0.directory.lock() = None;
    }
}

/// A directory for the owner alone, in `parent` or where temporary files belong.
fn temporary_directory(parent: Option<&Path>) -> Result<TempDir, Error> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
    tempfile::Builder::new()
        .prefix("qmpsh-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .map_err(|error| Error::Directory {
            path: parent,
            error,
        })
}

fn no_log(path: &Path, error: io::Error) -> Error {
    let path = path.to_owned();
    Error::Log { path, error }
}

/// How QEMU ended, the command, and what it said last.
fn autopsy(machine: &Machine, ended: Ended, log: &Path, log_start: u64) -> String {
    let mut text = format!("{} {ended}\ncommand: {}", machine.name(), machine.command());
    let said = machine.without_secrets(&last_words(log, log_start));
    if !said.is_empty() {
        let _ = write!(text, "\noutput: {said}");
    }
    text
}

/// The end of what was written to `log` from the offset `start` on.
fn last_words(log: &Path, start: u64) -> String {
    use std::os::unix::fs::FileExt;
    let Ok(file) = std::fs::File::open(log) else {
        return String::new();
    };
    let end = file.metadata().map_or(start, |file| file.len());
    let from = start.max(end.saturating_sub(LAST_WORDS));
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(from)).unwrap_or(0)];
    let _ = file.read_exact_at(&mut bytes, from);
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
