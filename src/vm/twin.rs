//! The twin of a running QEMU: the same program, started once more without a machine, to be asked what a running VM
//! must not be asked. To tell its types, QEMU loads its modules; where they were upgraded on disk meanwhile, it aborts.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, fstatfs};
use nix::unistd::{getegid, geteuid};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::os::child::{Bond, Child};
use crate::os::sys;
use crate::qmp::{Client, Options, Request, Retry, Session, Version};
use crate::transport::{Endpoint, Handover, Process};

/// How long a twin may take to start.
const START: Duration = Duration::from_secs(20);

/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// How long it is kept when nobody asks.
const IDLE: Duration = Duration::from_secs(3);

/// With fewer descriptors than this, QEMU could not even wait for its monitor.
const LEAST_DESCRIPTORS: u32 = 8;

/// Options for a QEMU that touches nothing: no machine, no devices, no configuration, no display.
const OPTIONS: [&str; 9] = [
    "-no-user-config",
    "-nodefaults",
    "-display",
    "none",
    "-machine",
    "none",
    "-S",
    "-name",
    "qmpsh-twin",
];

/// Why there is no twin. Displayed, it is a clause without a full stop.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoTwin {
    /// It may run on another machine.
    #[error("the connection does not tell which process is the VM's")]
    UnknownProcess,
    #[error("pid {0} cannot be inspected: it belongs to another user or is gone")]
    OutOfReach(i32),
    #[error("pid {0}, which made the socket, is not a QEMU with devices")]
    NotQemu(i32),
    #[error("pid {0} runs in a container")]
    Contained(i32),
    /// It would be a foreign program.
    #[error("users other than you and root can change {}", .0.display())]
    Unsafe(PathBuf),
    #[error("{} does not start without a machine: {why}", .path.display())]
    Failed { path: PathBuf, why: String },
}

/// Starts the twin of one QEMU when it is first asked, and ends it when it has not been asked for a while. One runs at a
/// time.
pub struct Twin {
    program: Program,
    version: Version,
    running: tokio::sync::Mutex<Option<Running>>,
    /// The last question, or answer.
    used: Mutex<Instant>,
    /// It may load modules. Once loading them all has killed it, those on disk are not its own.
    modules: AtomicBool,
}

/// What a twin said.
pub struct Answer {
    /// What the command returned; nothing if it failed, or killed the twin.
    pub json: Option<String>,
    /// The same program will always say so.
    pub lasting: bool,
}

impl Twin {
    /// The twin-to-be of the QEMU with this pid and version.
    ///
    /// # Errors
    ///
    /// It must not, or cannot, have one.
    pub fn of(pid: Option<i32>, version: &Version) -> Result<Self, NoTwin> {
        Ok(Self {
            program: Program::of(pid.ok_or(NoTwin::UnknownProcess)?)?,
            version: version.clone(),
            running: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
            modules: AtomicBool::new(true),
        })
    }

    /// Asks it. A `broad` question is one about all types, for which it loads all its modules; if that kills it,
    /// another one is asked that cannot load any.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn ask(self: &Arc<Self>, request: &str, broad: bool) -> Result<Answer, NoTwin> {
        let mut slot = self.running.lock().await;
        let answer = loop {
            let modules = self.modules.load(Ordering::Relaxed);
            let running = match slot.take().filter(|running| !running.has_ended()) {
                Some(running) => running,
                None => self.start(modules).await?,
            };
            // One that does not answer is ended, like one that died.
            let reply = timeout(ANSWER, running.ask(request)).await;
            match reply.ok().flatten() {
                Some(json) => {
                    *slot = Some(running);
                    let lasting = modules;
                    break Answer { json, lasting };
                }
                None if broad && modules => self.modules.store(false, Ordering::Relaxed),
                None => {
                    break Answer {
                        json: None,
                        lasting: false,
                    };
                }
            }
        };
        *self.used.lock() = Instant::now();
        if slot.is_some() {
            tokio::spawn(end_when_idle(self.clone()));
        }
        Ok(answer)
    }

    async fn start(&self, modules: bool) -> Result<Running, NoTwin> {
        let failed = |why: String| NoTwin::Failed {
            path: self.program.path.clone(),
            why,
        };
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        let mut command = self.program.command();
        command
            .args(OPTIONS)
            .arg("-chardev")
            .arg(format!("socket,id=qmpsh,fd={}", theirs.as_raw_fd()))
            .args(["-mon", "chardev=qmpsh,mode=control"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = Child::start(command, vec![theirs.into()], Bond::Kill);
        let child = child.map_err(|error| failed(error.to_string()))?;
        let killed = KilledOnDrop(child.clone());
        let handover = Handover::default();
        let process = Process {
            name: "it".to_owned(),
            pid: None,
            child: child.clone(),
        };
        handover.put(ours, process);
        let options = Options {
            connect_timeout: Some(START),
            no_oob: true,
            ..Options::default()
        };
        let (session, _) = Session::start(options, Retry::Never);
        let connected = session.connect(Endpoint::Launched(handover)).await;
        let client = match (connected, session.client()) {
            (Ok(()), Some(client)) => client,
            (Err(_), _) if child.ended().is_some() => {
                return Err(failed(format!("it {}", child.wait().await)));
            }
            _ => return Err(failed("it does not answer".to_owned())),
        };
        let version = &client.greeting().version;
        if (version.qemu.to_string(), &version.package)
            != (self.version.qemu.to_string(), &self.version.package)
        {
            return Err(failed("it is of another version".to_owned()));
        }
        let running = Running {
            client,
            _session: session,
            process: killed,
        };
        if !modules && running.forbid_modules().await.is_none() {
            return Err(failed(
                "it cannot be kept from loading modules of another build".to_owned(),
            ));
        }
        Ok(running)
    }
}

async fn end_when_idle(twin: Arc<Twin>) {
    sleep(IDLE).await;
    // Without waiting: whoever has it is asking it.
    if let Ok(mut running) = twin.running.try_lock()
        && twin.used.lock().elapsed() >= IDLE
    {
        *running = None;
    }
}

/// A twin that runs.
struct Running {
    client: Arc<Client>,
    /// Holds the connection.
    _session: Session,
    process: KilledOnDrop,
}

impl Running {
    fn has_ended(&self) -> bool {
        self.client.has_ended()
    }

    /// What a command returns, or nothing of it if it fails; nothing at all if the twin ends.
    async fn ask(&self, request: &str) -> Option<Option<String>> {
        let request = Request {
            text: request.to_owned(),
            quiet: true,
            ..Request::default()
        };
        let reply = self.client.send(request).ok()?.await.ok()?;
        Some(reply.value().ok().map(str::to_owned))
    }

    /// Keeps it from opening anything from now on: a module that cannot be opened does no harm. Descriptors beyond the
    /// limit stay open, but QEMU cannot wait for more of them than the limit allows (`poll(2)`), so the limit is the
    /// lowest number that is free, once there is no gap among the low ones.
    async fn forbid_modules(&self) -> Option<()> {
        let pid = self.process.0.pid();
        for _ in 0..LEAST_DESCRIPTORS {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
            let open = open.flatten().map(|entry| entry.file_name());
            let open: Vec<u32> = open.filter_map(|n| n.to_str()?.parse().ok()).collect();
            let free = (0..).find(|number| !open.contains(number))?;
            if free >= LEAST_DESCRIPTORS {
                return sys::limit_descriptors(pid, free).ok();
            }
            let filler = File::open("/dev/null").ok()?;
            let request = Request {
                descriptors: vec![filler.into()],
                ..Request::new("add-fd").quietly()
            };
            self.client.send(request).ok()?.await.ok()?;
        }
        None
    }
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // It has nothing to lose.
        self.0.signal(Signal::SIGKILL);
    }
}

/// The program that a process runs, opened: nobody can put another in its place.
struct Program {
    file: File,
    path: PathBuf,
}

impl Program {
    /// The program of the process `pid`, if it is a QEMU that is safe to run.
    fn of(pid: i32) -> Result<Self, NoTwin> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_PATH.bits())
            .open(format!("/proc/{pid}/exe"))
            .map_err(|_| NoTwin::OutOfReach(pid))?;
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let path = path.map_err(|_| NoTwin::OutOfReach(pid))?;
        if !is_qemu(&path) {
            return Err(NoTwin::NotQemu(pid));
        }
        // A container's root is not ours, and its programs are not for us to run.
        let root = |of: &str| fs::metadata(of).map(|root| (root.dev(), root.ino())).ok();
        match root(&format!("/proc/{pid}/root")) {
            None => return Err(NoTwin::OutOfReach(pid)),
            theirs if theirs == root("/proc/self/root") => {}
            Some(_) => return Err(NoTwin::Contained(pid)),
        }
        let metadata = file.metadata().map_err(|_| NoTwin::OutOfReach(pid))?;
        // What a file system in user space says of an owner may be anybody's word.
        let told_by_kernel =
            fstatfs(&file).is_ok_and(|fs| fs.filesystem_type() != FUSE_SUPER_MAGIC);
        if !metadata.is_file() || !told_by_kernel || !is_safe(&metadata) {
            return Err(NoTwin::Unsafe(path));
        }
        Ok(Self { file, path })
    }

    /// Runs it, under the name it has.
    fn command(&self) -> Command {
        // Not by its path, where another file may lie by now.
        let mut command = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        command.arg0(&self.path);
        command
    }
}

/// Whether the program of this name is a QEMU that has devices.
fn is_qemu(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Of a program that was replaced by a newer one.
    let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
    (name.starts_with("qemu") || name == "kvm") && name != "qemu-storage-daemon"
}

/// Whether a file is ours or root's, and nobody else can write to it.
fn is_safe(file: &fs::Metadata) -> bool {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let others_write = file.mode() & 0o002 != 0;
    let group_writes = file.mode() & 0o020 != 0;
    [0, user].contains(&file.uid())
        && !others_write
        && (!group_writes || [0, group].contains(&file.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_qemu_with_devices_has_a_twin() {
        for name in [
            "qemu-system-x86_64",
            "qemu-kvm",
            "kvm",
            "kvm (deleted)",
            "qemu-system-arm (deleted)",
        ] {
            assert!(is_qemu(&Path::new("/usr/bin").join(name)), "{name}");
        }
        for name in [
            "qemu-storage-daemon",
            "qemu-storage-daemon (deleted)",
            "libvirtd",
            "systemd",
            "kvmtool",
        ] {
            assert!(!is_qemu(&Path::new("/usr/bin").join(name)), "{name}");
        }
    }

    #[test]
    fn a_file_is_safe_if_only_its_owner_or_our_group_can_write_to_it() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let group = Some(getegid());
        nix::unistd::fchown(&file, None, group).expect("our own group");
        for (mode, safe) in [(0o755, true), (0o775, true), (0o777, false), (0o757, false)] {
            let permissions = Permissions::from_mode(mode);
            file.as_file().set_permissions(permissions).expect("ours");
            let metadata = file.as_file().metadata().expect("it is there");
            assert_eq!(is_safe(&metadata), safe, "{mode:o}");
        }
        if geteuid().is_root() {
            let stranger = Some(nix::unistd::Gid::from_raw(12345));
            nix::unistd::fchown(&file, None, stranger).expect("root may");
            let safe = |mode| {
                let permissions = Permissions::from_mode(mode);
                file.as_file().set_permissions(permissions).expect("ours");
                is_safe(&file.as_file().metadata().expect("it is there"))
            };
            assert!(safe(0o755) && !safe(0o775));
            let stranger = Some(nix::unistd::Uid::from_raw(12345));
            nix::unistd::fchown(&file, stranger, None).expect("root may");
            assert!(!safe(0o755));
        }
    }
}
