//! Processes, and what the kernel tells of them.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::RwLock;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::wait_for;

/// Held to start a child, and in whole to make a descriptor that a child would inherit at first.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a child. It inherits nothing that another test is just making.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _others_may = STARTING.read().expect("no holder of this lock panics");
    command.spawn()
}

/// Makes something while no child is started.
pub fn uninherited<T>(make: impl FnOnce() -> T) -> T {
    let _nobody_else_may = STARTING.write().expect("no holder of this lock panics");
    make()
}

/// A process that does not outlive the test: it is killed when this is dropped.
pub struct Killed(Child);

impl Killed {
    pub fn spawn(mut command: Command) -> Self {
        let child = spawn(&mut command);
        Self(child.unwrap_or_else(|error| {
            panic!("{error}: {command:?}; run tests/setup, or name a QEMU in QMPSH_TEST_QEMU")
        }))
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Deref for Killed {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Killed {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.end();
    }
}

/// Copies a program. Another process does it: whoever starts a child has our descriptors for a moment, and what is
/// open for writing cannot be run.
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success(), "room for a copy");
}

/// Sends a signal, named without its `SIG`.
pub fn kill(pid: u32, signal: &str) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("the kernel's pids fit"));
    let signal: Signal = format!("SIG{signal}").parse().expect("a signal's name");
    nix::sys::signal::kill(pid, signal)
        .unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

/// Whether a process exists. One that has ended does not, even if nobody has reaped it yet: whoever inherits our
/// children may never do so.
pub fn exists(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until a process has ended.
#[track_caller]
pub fn wait_for_end_of(pid: u32) {
    wait_for(&format!("the end of {pid}"), || {
        (!exists(pid)).then_some(())
    });
}

/// What `/proc/PID/status` says of a process under this name.
pub fn status(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// The same of memory, in KiB: `VmRSS` is what the process has, `VmHWM` the most that it ever had.
pub fn memory(pid: u32, name: &str) -> u64 {
    let value = status(pid, name).expect("a process of ours");
    let value = value.strip_suffix(" kB").expect("KiB");
    value.parse().expect("a number")
}

/// How many descriptors a process has open.
pub fn descriptors(pid: u32) -> usize {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    open.expect("a process of ours").count()
}
