//! The servers that the measurements use.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::PATIENCE;

/// A server, killed and reaped when dropped.
pub struct Server {
    child: Child,
    pub socket: PathBuf,
}

impl Server {
    /// Starts QEMU without a machine, with its socket in `dir`.
    pub fn qemu(dir: &Path) -> Result<Self> {
        Self::qemu_with(dir, &[])
    }

    /// The same with other monitors, too.
    pub fn qemu_with(dir: &Path, others: &[&Path]) -> Result<Self> {
        let socket = dir.join("q.sock");
        let mut command = Self::command();
        command.args(["-machine", "none", "-display", "none", "-nodefaults"]);
        for socket in [&[socket.as_path()], others].concat() {
            add_monitor(&mut command, socket);
        }
        Self::start(command, socket)
    }

    /// The QEMU to measure with, without options.
    pub fn command() -> Command {
        Command::new(env::var_os("QMPSH_TEST_QEMU").unwrap_or("qemu-system-x86_64".into()))
    }

    /// Starts such a QEMU, with its socket in `dir`.
    pub fn monitored(mut command: Command, dir: &Path) -> Result<Self> {
        let socket = dir.join("q.sock");
        add_monitor(&mut command, &socket);
        Self::start(command, socket)
    }

    /// Starts the server that replies immediately, which was compiled into `dir`.
    pub fn instant(dir: &Path) -> Result<Self> {
        let socket = dir.join("i.sock");
        let mut command = Command::new(dir.join("instant"));
        command.arg(&socket);
        Self::start(command, socket)
    }

    /// Starts the proxy that only copies bytes, which was compiled into `dir`, to the monitor at `vm`.
    pub fn proxy(dir: &Path, vm: &Path) -> Result<Self> {
        let socket = dir.join("p.sock");
        let mut command = Command::new(dir.join("proxy"));
        command.arg(vm).arg(&socket);
        Self::start(command, socket)
    }

    /// Starts a server and waits until it sends its greeting.
    fn start(mut command: Command, socket: PathBuf) -> Result<Self> {
        let name = command.get_program().display().to_string();
        // The last server was killed and left its socket behind.
        let _ = fs::remove_file(&socket);
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| name.clone())?;
        let mut server = Self { child, socket };

        let deadline = Instant::now() + PATIENCE;
        let client = loop {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} exited immediately: {status}");
            }
            if let Ok(client) = UnixStream::connect(&server.socket) {
                break client;
            }
            ensure!(Instant::now() < deadline, "{name} did not listen in time");
            thread::sleep(Duration::from_millis(10));
        };
        client.set_read_timeout(Some(PATIENCE))?;
        let mut greeting = String::new();
        BufReader::new(client)
            .read_line(&mut greeting)
            .with_context(|| format!("{name} did not send a greeting"))?;
        ensure!(
            greeting.contains("\"QMP\""),
            "{name} sent the greeting {greeting:?}"
        );
        Ok(server)
    }
}

fn add_monitor(command: &mut Command, socket: &Path) {
    let mut monitor = OsString::from("unix:");
    monitor.push(socket);
    monitor.push(",server=on,wait=off");
    command.arg("-qmp").arg(monitor);
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
