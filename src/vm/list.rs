//! `--list`: the QEMUs running on this machine, found through `/proc`. It never connects to a monitor: QEMU
//! serves one client at a time, so that could get in another client's way.

use std::fmt::Write;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde_json::{Value, json};

use super::error::Error;
use super::options::{Options, QmpSocket};
pub use super::sockets::SocketState;
use super::sockets::Sockets;
use crate::render::escape_line;
use crate::transport::{Address, AddressError};

/// How much is read of a file of options.
const CONFIG_SIZE: u64 = 1 << 20;

/// A QEMU running on this machine.
pub struct Machine {
    /// The process id.
    pub pid: i32,
    /// The name given by `-name`.
    pub name: Option<String>,
    /// The file name of the program, such as `qemu-system-x86_64`.
    pub program: String,
    /// The address and state of each of its QMP sockets.
    pub monitors: Vec<(String, SocketState)>,
}

/// Every QEMU that we are allowed to see, sorted by pid.
pub fn machines() -> Vec<Machine> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut machines: Vec<Machine> = pids.filter_map(machine).collect();
    machines.sort_by_key(|machine| machine.pid);
    machines
}

/// The process `pid`, if it is a QEMU and still running.
fn machine(pid: i32) -> Option<Machine> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let words = words(&process.join("cmdline"));
    let program = program(&process, words.first()?)?;
    let options = Options::read(&words[1..], |path| config(&absolute(&process, path)));
    let sockets = Sockets::of(&process);
    let monitors = options.monitors.into_iter().map(|monitor| match monitor {
        QmpSocket::Unix(path) => {
            let state = sockets.unix(&path);
            (absolute(&process, &path), state)
        }
        QmpSocket::Tcp { host, port } => {
            let address = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            (address, sockets.tcp(port))
        }
        QmpSocket::Inherited(number) => sockets.inherited(number),
    });
    Some(Machine {
        pid,
        name: options.name,
        program,
        monitors: monitors.collect(),
    })
}

/// Whether a QEMU certainly started its VM without waiting for the first client of this monitor, by its command line.
pub fn starts_without_client(pid: i32, monitor: &str) -> bool {
    let name = Path::new(monitor).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let words = words(&PathBuf::from(format!("/proc/{pid}/cmdline")));
    let mut defining = words.iter().filter(|word| word.contains(&*name)).peekable();
    let is_off = |word: &String| {
        let word = word.replace([' ', '"'], "");
        let off = ["wait=off", "wait=no", "wait=false", "nowait", "wait:false"];
        off.iter().any(|off| word.contains(off))
    };
    defining.peek().is_some() && defining.all(is_off)
}

/// Reads a file of NUL-terminated words.
fn words(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0);
    let mut words: Vec<String> = words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    words.pop();
    words
}

/// The text of a file of options, which another process names: only a regular file, and not more than it could need.
fn config(path: &str) -> String {
    let mut options = OpenOptions::new();
    let options = options.read(true);
    // A FIFO would keep us.
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let mut text = Vec::new();
    if let Ok(file) = file
        && file.metadata().is_ok_and(|file| file.is_file())
    {
        let _ = file.take(CONFIG_SIZE).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The program's name, if it is a QEMU. Checks the binary too, because a process can set its argv[0] to
/// anything.
fn program(process: &Path, called: &str) -> Option<String> {
    let binary = fs::read_link(process.join("exe")).unwrap_or_default();
    [Path::new(called), &binary].into_iter().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        // The kernel appends this if the binary was replaced by a newer one.
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        let is_qemu = name.starts_with("qemu-system-")
            || name.starts_with("qemu-storage-daemon")
            || ["qemu-kvm", "kvm"].contains(&name);
        is_qemu.then(|| name.to_owned())
    })
}

/// Makes a path of the process absolute. Returns it unchanged if the file is not found.
fn absolute(process: &Path, path: &str) -> String {
    if path.starts_with(['/', '@']) {
        return path.to_owned();
    }
    // A process that daemonized has left the directory it was started in.
    let started_in = words(&process.join("environ"))
        .into_iter()
        .find_map(|variable| variable.strip_prefix("PWD=").map(PathBuf::from));
    let now_in = fs::read_link(process.join("cwd")).ok();
    let candidates = [now_in, started_in];
    let mut found = candidates.into_iter().flatten().map(|dir| dir.join(path));
    let found = found.find(|path| path.exists());
    found.map_or_else(|| path.to_owned(), |path| path.display().to_string())
}

/// Reads an address: also `vm:NAME`, for the QEMU running here with that `-name`, at a QMP socket that nobody holds if
/// there is one. A bare NAME means the same if such a QEMU runs and no file has that path.
///
/// # Errors
///
/// It is no address; or no QEMU of that name runs here, or several do, or it has no QMP socket.
pub fn address(text: &str) -> Result<Address, AddressOrVm> {
    if let Some(name) = text.strip_prefix("vm:") {
        let missing = || {
            Error::NoMonitor(format!(
                "no QEMU named `{name}` runs here; `qmpsh --list` lists them"
            ))
        };
        return Ok(monitor(name)?.ok_or_else(missing)?);
    }
    if !text.contains(['/', ':'])
        && !Path::new(text).exists()
        && let Some(address) = monitor(text)?
    {
        return Ok(address);
    }
    Ok(text.parse()?)
}

/// Why a text is no address.
#[derive(Debug)]
pub enum AddressOrVm {
    Address(AddressError),
    Vm(Error),
}

impl From<AddressError> for AddressOrVm {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<Error> for AddressOrVm {
    fn from(error: Error) -> Self {
        Self::Vm(error)
    }
}

/// A QMP socket of the machine named `name`; `None` if there is no such machine.
fn monitor(name: &str) -> Result<Option<Address>, Error> {
    let mut machines = machines();
    machines.retain(|machine| machine.name.as_deref() == Some(name));
    let [machine] = &machines[..] else {
        if machines.is_empty() {
            return Ok(None);
        }
        let pids: Vec<String> = machines
            .iter()
            .map(|machine| machine.pid.to_string())
            .collect();
        let pids = pids.join(", ");
        let why =
            format!("several QEMUs are named `{name}` (pids {pids}); give the address of one");
        return Err(Error::NoMonitor(why));
    };
    let addresses = |state| {
        let in_state = machine
            .monitors
            .iter()
            .filter(move |(_, now)| *now == state);
        in_state.filter_map(|(address, _)| address.parse::<Address>().ok())
    };
    let mut best = addresses(SocketState::Free).chain(addresses(SocketState::Connected));
    let missing = || {
        let pid = machine.pid;
        Error::NoMonitor(format!(
            "`{name}` (pid {pid}) has no QMP socket to connect to"
        ))
    };
    best.next().map(Some).ok_or_else(missing)
}

/// Formats the machines as a table; empty if there are none.
pub fn table(machines: &[Machine]) -> String {
    let mut rows = vec![["PID", "NAME", "STATE", "QMP"].map(str::to_owned)];
    for machine in machines {
        let name = machine.name.as_deref().unwrap_or("-");
        let row = |state: &str, monitor: &str| {
            let row = [&machine.pid.to_string(), name, state, monitor];
            row.map(|cell| escape_line(cell).into_owned())
        };
        if machine.monitors.is_empty() {
            rows.push(row("-", "no QMP socket"));
        }
        for (address, state) in &machine.monitors {
            rows.push(row(state.name(), address));
        }
    }
    if rows.len() == 1 {
        return String::new();
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [pid, name, state, monitor] in &rows {
        let [a, b, c] = widths;
        let _ = writeln!(text, "{pid:>a$}  {name:b$}  {state:c$}  {monitor}");
    }
    text
}

/// Formats the machines as a JSON array.
pub fn json(machines: &[Machine]) -> Value {
    let monitor = |(address, state): &(String, SocketState)| json!({"address": address, "state": state.name()});
    let machines = machines.iter().map(|machine| {
        json!({
            "pid": machine.pid,
            "name": machine.name,
            "program": machine.program,
            "qmp": machine.monitors.iter().map(monitor).collect::<Vec<_>>(),
        })
    });
    machines.collect()
}
