//! The QEMUs on this machine: those that are running ([`list`]), and the one that we launch ([`Vm`]).

mod console;
mod console_log;
mod error;
mod expect;
mod follow;
pub mod list;
mod machine;
mod options;
mod plan;
pub mod shutdown;
mod sockets;
mod temporary;
pub mod twin;

use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::timeout;

use crate::os::child::Ended;
use crate::os::private;
use crate::qmp::{Client, Request};
use crate::transport::{Endpoint, Handover, Process, Say, ServerSocket};

pub use console::{CONSOLE_LOG_LIMIT, Console, ConsoleAddress};
pub use error::Error;
pub use follow::Follow;
pub use plan::{ConsoleDevice, Monitor, PassedFd, Plan, SHUTDOWN_TIMEOUT};

use follow::Until;
use machine::{Machine, OurPart};
use plan::Passed;
use temporary::Temporary;

/// How long to wait for the exit of a QEMU that closed its monitor without a greeting.
const FAILURE: Duration = Duration::from_secs(1);

/// How many of the last bytes that QEMU printed an error message quotes.
const LAST_WORDS: u64 = 1 << 10;

/// A QEMU that we launch and can restart; at most one process runs at a time. The kernel kills it when the
/// thread that started it ends.
pub struct Vm {
    plan: Plan,
    launch: Mutex<Launch>,
    /// Passes our end of the monitor's socket pair to the session.
    handover: Handover,
    log: PathBuf,
    console: Option<Arc<Console>>,
    say: OnceLock<Say>,
    /// The directory for temporary files, removed on exit with everything in it.
    directory: Mutex<Option<Temporary>>,
}

#[derive(Default)]
struct Launch {
    machine: Option<Arc<Machine>>,
    /// The monitor's listening socket, if it has an address.
    socket: Option<ServerSocket>,
    /// The length of the log in bytes when the machine was started.
    log_start: u64,
    /// A machine before this one ended abnormally.
    failed_before: bool,
}

/// How a QEMU that we stopped ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was not running.
    Already,
    /// It shut down when asked to.
    Gracefully,
    /// We killed it right away (SIGKILL).
    Killed,
    /// It did not shut down in time, so we killed it (SIGKILL).
    TimedOut,
    /// It ended by another signal, or with an exit status other than 0, while it was shutting down.
    Abnormally,
}

impl Stopped {
    /// Whether this is an abnormal end.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::TimedOut | Self::Abnormally)
    }
}

impl Vm {
    /// Creates the directory and the console log for `plan`. QEMU is not started yet.
    ///
    /// # Errors
    ///
    /// The directory or the console log cannot be created.
    pub fn new(plan: Plan) -> Result<Self, Error> {
        let directory = Temporary::new(plan.temp_dir.as_deref())?;
        if let Some(logs) = &plan.log_dir {
            fs::create_dir_all(logs).map_err(|error| no_log(logs, error))?;
        }
        let logs = plan.log_dir.as_deref().unwrap_or(directory.path());
        let log = logs.join(format!("{}.log", plan.file_name()));
        let console = match &plan.console {
            Some(_) => {
                let log = logs.join(format!("{}-console.log", plan.file_name()));
                let console = Console::logging_to(&log, plan.console_log_limit);
                let console = console.map_err(|error| no_log(&log, error))?;
                Some(Arc::new(console))
            }
            None => None,
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

    /// Sets who receives messages: QEMU ended unexpectedly, a log is full. Only the first call has an effect.
    pub fn report_to(&self, say: Say) {
        if let Some(console) = &self.console {
            console.report_to(say.clone());
        }
        let _ = self.say.set(say);
    }

    /// Sends a message to the receiver set by [`Vm::report_to`].
    pub fn say(&self, text: String) {
        if let Some(say) = self.say.get() {
            say(text);
        }
    }

    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// QEMU is already running, or cannot be started. A QEMU that starts but exits right away is not an error
    /// here; see [`Vm::failure`].
    pub fn start(&self) -> Result<(), Error> {
        let mut launch = self.launch.lock();
        if launch
            .machine
            .as_ref()
            .is_some_and(|machine| machine.runs())
        {
            return Err(Error::Running);
        }
        // Drop the old socket first: the new one may have the same address.
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
        launch.failed_before |= launch
            .machine
            .as_ref()
            .is_some_and(|machine| machine.ended_abnormally());
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

    /// Where to connect to its monitor, if it has one.
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

    /// Why QEMU ended, if it has or does so within a second: exit status, command line and output. Call it when
    /// the connection failed.
    pub async fn failure(&self) -> Option<Error> {
        let (machine, log_start) = {
            let launch = self.launch.lock();
            (launch.machine.clone()?, launch.log_start)
        };
        let ended = timeout(FAILURE, machine.wait()).await.ok()?;
        machine.is_untold();
        Some(Error::Ended(autopsy(&machine, ended, &self.log, log_start)))
    }

    /// Whether a QEMU that we started has ended abnormally: by a signal, by its own exit status, or because it did not
    /// end when it should.
    pub fn has_failed(&self) -> bool {
        let launch = self.launch.lock();
        let machine = launch.machine.as_ref();
        launch.failed_before || machine.is_some_and(|machine| machine.ended_abnormally())
    }

    /// How QEMU ended, with its command line and output, if it ended abnormally and the user was not told yet.
    pub fn bad_end(&self) -> Option<String> {
        let launch = self.launch.lock();
        let machine = launch.machine.as_ref()?;
        let ended = machine.child().ended()?;
        (machine.ended_abnormally() && machine.is_untold())
            .then(|| autopsy(machine, ended, &self.log, launch.log_start))
    }

    /// Whether a QEMU that we started runs.
    pub fn is_running(&self) -> bool {
        let launch = self.launch.lock();
        let machine = launch.machine.as_ref();
        machine.is_some_and(|machine| machine.child().ended().is_none())
    }

    /// Waits until QEMU has ended, and returns how. If it was never started, returns at once.
    pub async fn ended(&self) -> Stopped {
        let machine = self.launch.lock().machine.clone();
        let Some(machine) = machine else {
            return Stopped::Already;
        };
        machine.wait().await;
        match machine.ended_abnormally() {
            true => Stopped::Abnormally,
            false if machine.was_killed() => Stopped::Killed,
            false => Stopped::Gracefully,
        }
    }

    /// From now on, reports when QEMU ends unexpectedly.
    pub fn watch(&self) {
        let launch = self.launch.lock();
        if let (Some(machine), Some(say)) = (launch.machine.clone(), self.say.get().cloned()) {
            let (log, start) = (self.log.clone(), launch.log_start);
            // With a connection, its end tells the user. Without one, report every exit.
            let silent = matches!(self.plan.monitor, Monitor::None);
            tokio::spawn(async move {
                let ended = machine.wait().await;
                if machine.is_expected() {
                    // Reported where it was ended.
                } else if machine.ended_abnormally() && machine.is_untold() {
                    say(autopsy(&machine, ended, &log, start));
                } else if silent && ended.success() {
                    say(format!("{} {ended}", machine.name()));
                }
            });
        }
    }

    /// Stops QEMU: sends `quit` through `client`, or SIGTERM without one, and kills QEMU if it takes longer
    /// than [`Vm::shutdown_timeout`]. Cancelling this only stops the waiting.
    pub async fn stop(&self, client: Option<&Client>) -> Stopped {
        let Some(machine) = self.running() else {
            return Stopped::Already;
        };
        machine.set_our_part(OurPart::Quit);
        let asked = client.and_then(|client| client.send(Request::new("quit").quietly()).ok());
        if asked.is_none() {
            machine.terminate();
        }
        match timeout(self.plan.shutdown_timeout, machine.wait()).await {
            Ok(_) if machine.ended_abnormally() => Stopped::Abnormally,
            Ok(_) => Stopped::Gracefully,
            Err(_) => {
                machine.set_our_part(OurPart::GaveUp);
                machine.kill();
                machine.wait().await;
                Stopped::TimedOut
            }
        }
    }

    /// How a QEMU that we ended has ended, for the user.
    pub fn describe_end(&self, stopped: Stopped) -> String {
        match stopped {
            Stopped::Already => "the VM is not running".to_owned(),
            Stopped::Gracefully => "the VM has shut down".to_owned(),
            Stopped::Killed => "the VM was killed (SIGKILL)".to_owned(),
            Stopped::TimedOut => format!(
                "the VM did not shut down within {} s and was killed (SIGKILL)",
                self.plan.shutdown_timeout.as_secs_f64()
            ),
            Stopped::Abnormally => {
                let told = || "the VM did not end as it should".to_owned();
                self.bad_end().unwrap_or_else(told)
            }
        }
    }

    /// Kills QEMU, and waits until it has ended.
    pub async fn kill(&self) -> Stopped {
        let Some(machine) = self.running() else {
            return Stopped::Already;
        };
        machine.set_our_part(OurPart::Killed);
        machine.kill();
        machine.wait().await;
        Stopped::Killed
    }

    /// The guest's console, if `--console` added one.
    pub fn console(&self) -> Option<&Arc<Console>> {
        self.console.as_ref()
    }

    /// Whether `chardev` is the id of the console that `--console` adds.
    pub fn is_console(chardev: &str) -> bool {
        chardev == plan::CONSOLE
    }

    /// Opens QEMU's log, to read `all` of it or only its end, and to `follow` it until QEMU ends.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn log(&self, all: bool, follow: bool) -> io::Result<Follow> {
        let machine = self.launch.lock().machine.clone();
        let until = if follow { Until::End } else { Until::Now };
        Follow::open(&self.log, all, until, machine)
    }

    /// Describes the VM: state, command line, monitor and logs.
    pub fn describe(&self) -> Description {
        let launch = self.launch.lock();
        let machine = launch.machine.as_ref();
        let monitor = match (&self.plan.monitor, &launch.socket) {
            (Monitor::None, _) => "none".to_owned(),
            (Monitor::Pair, _) => "private socket".to_owned(),
            (Monitor::At(address), None) => address.to_string(),
            (Monitor::At(_), Some(socket)) => socket.address().to_string(),
        };
        let console = self.console.as_ref().and_then(|console| console.log());
        Description {
            state: machine.map(|machine| machine.describe()),
            running: machine.is_some_and(|machine| machine.runs()),
            pid: machine.map(|machine| machine.pid()),
            command: machine.map(|machine| machine.command().to_owned()),
            monitor,
            console: console.map(|log| log.display().to_string()),
            log: self.log.display().to_string(),
        }
    }

    fn running(&self) -> Option<Arc<Machine>> {
        let machine = self.launch.lock().machine.clone();
        machine.filter(|machine| machine.runs())
    }
}

/// The VM that was launched. Displays as a table, which is not safe for a terminal.
#[derive(Debug, Serialize)]
pub struct Description {
    /// How it is, or how it ended; `None` if it was never started.
    pub state: Option<String>,
    pub running: bool,
    pub pid: Option<i32>,
    /// Its command line, without the secrets.
    pub command: Option<String>,
    /// Where its monitor is.
    pub monitor: String,
    /// The log of its console.
    pub console: Option<String>,
    /// The log of what QEMU prints.
    pub log: String,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in [
            ("state", self.state.as_ref()),
            ("command", self.command.as_ref()),
            ("monitor", Some(&self.monitor)),
            ("console", self.console.as_ref()),
            ("log", Some(&self.log)),
        ] {
            if let Some(value) = value {
                writeln!(f, "{name:<10}{value}")?;
            }
        }
        Ok(())
    }
}

/// Stops a VM and removes its files when dropped, even if other references to the VM remain.
pub struct KillOnDrop(pub Arc<Vm>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // An orderly exit has called `stop` already; this is for panics and errors.
        if let Some(machine) = self.0.running() {
            machine.end_now(self.0.plan.shutdown_timeout);
        }
        self.0.launch.lock().socket = None;
        *self.0.directory.lock() = None;
    }
}

fn no_log(path: &Path, error: io::Error) -> Error {
    let path = path.to_owned();
    Error::Log { path, error }
}

/// Describes how QEMU ended, with its command line and the end of its output.
fn autopsy(machine: &Machine, ended: Ended, log: &Path, log_start: u64) -> String {
    let mut text = format!("{} {ended}\ncommand: {}", machine.name(), machine.command());
    let said = machine.without_secrets(&last_words(log, log_start));
    if !said.is_empty() {
        // Indented, so that none of its lines looks like one of ours.
        let _ = write!(text, "\noutput: {}", said.replace('\n', "\n        "));
    }
    text
}

/// The last part of what was written to `log` after the offset `start`.
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
