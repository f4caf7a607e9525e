//! The twin of a running QEMU: the same program, started again without a machine, to answer what the running VM must
//! not be asked. To list its types QEMU loads its modules, and aborts if they were upgraded on disk since it started.

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

/// How long a twin may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// How long an idle twin is kept.
const IDLE: Duration = Duration::from_secs(3);

/// With fewer descriptors than this, QEMU could not wait even for its monitor.
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
    /// The VM may run on another machine.
    #[error("the connection does not tell which process is the VM's")]
    UnknownProcess,
    #[error("pid {0} cannot be inspected: it belongs to another user or is gone")]
    OutOfReach(i32),
    #[error("pid {0}, which made the socket, is not a QEMU with devices")]
    NotQemu(i32),
    #[error("pid {0} runs in a container")]
    Contained(i32),
    /// Somebody else may have replaced the program.
    #[error("users other than you and root can change {}", .0.display())]
    Unsafe(PathBuf),
    #[error("{} does not start without a machine: {why}", .path.display())]
    Failed { path: PathBuf, why: String },
}

/// Starts the twin of one QEMU at the first question, and ends it when there was no question for a while. At most one
/// process runs at a time.
pub struct Twin {
    program: Program,
    version: Version,
    running: tokio::sync::Mutex<Option<Running>>,
    /// When the twin last answered.
    used: Mutex<Instant>,
    /// Whether the next process may load modules. Once loading them has killed one, those on disk belong to another
    /// build.
    modules: AtomicBool,
}

/// A twin's answer.
pub struct Answer {
    /// What the command returned; `None` if it failed or killed the twin.
    pub json: Option<String>,
    /// The same program will always answer like this, so the answer may be cached.
    pub lasting: bool,
}

impl Twin {
    /// Prepares a twin of the QEMU with this pid and version. Nothing is started yet.
    ///
    /// # Errors
    ///
    /// This QEMU cannot have a twin, or must not.
    pub fn of(pid: Option<i32>, version: &Version) -> Result<Self, NoTwin> {
        Ok(Self {
            program: Program::of(pid.ok_or(NoTwin::UnknownProcess)?)?,
            version: version.clone(),
            running: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
            modules: AtomicBool::new(true),
        })
    }

    /// Sends `request`, a whole message, and returns the answer. For a `broad` question, about all types, QEMU loads
    /// all its modules; if that kills the twin, another one that cannot load any is asked.
    ///
    /// # Errors
    ///
    /// The twin does not start.
    pub async fn ask(self: &Arc<Self>, request: &str, broad: bool) -> Result<Answer, NoTwin> {
        let mut slot = self.running.lock().await;
        let answer = loop {
            let modules = self.modules.load(Ordering::Relaxed);
            let running = match slot.take().filter(|running| !running.has_ended()) {
                Some(running) => running,
                None => self.start(modules).await?,
            };
            // If it does not answer, dropping it ends it.
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
            return Err(failed("it is another version".to_owned()));
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
    // If the lock is taken, the twin is in use.
    if let Ok(mut running) = twin.running.try_lock()
        && twin.used.lock().elapsed() >= IDLE
    {
        *running = None;
    }
}

/// A running twin.
struct Running {
    client: Arc<Client>,
    /// Keeps the connection open.
    _session: Session,
    process: KilledOnDrop,
}

impl Running {
    fn has_ended(&self) -> bool {
        self.client.has_ended()
    }

    /// Returns what a command returns: the inner `None` if the command fails, the outer one if the twin ends.
    async fn ask(&self, request: &str) -> Option<Option<String>> {
        let request = Request {
            text: request.to_owned(),
            quiet: true,
            ..Request::default()
        };
        let reply = self.client.send(request).ok()?.await.ok()?;
        Some(reply.value().ok().map(str::to_owned))
    }

    /// Keeps the twin from opening any more files, and so from loading modules. The limit on descriptors is set to the
    /// lowest free number, after the gaps among the low numbers are filled. Descriptors beyond the limit stay open,
    /// but `poll(2)` refuses to wait for more of them than the limit allows, so QEMU needs [`LEAST_DESCRIPTORS`].
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
        // A twin has no state to save.
        self.0.signal(Signal::SIGKILL);
    }
}

/// The program of a process. The file is held open, so nobody can replace it between the check and the start.
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
        // A container's programs need its root, and may not be trusted outside of it.
        let root = |of: &str| fs::metadata(of).map(|root| (root.dev(), root.ino())).ok();
        match root(&format!("/proc/{pid}/root")) {
            None => return Err(NoTwin::OutOfReach(pid)),
            theirs if theirs == root("/proc/self/root") => {}
            Some(_) => return Err(NoTwin::Contained(pid)),
        }
        let metadata = file.metadata().map_err(|_| NoTwin::OutOfReach(pid))?;
        // A file system in user space can claim any owner.
        let owner_is_real = fstatfs(&file).is_ok_and(|fs| fs.filesystem_type() != FUSE_SUPER_MAGIC);
        if !metadata.is_file() || !owner_is_real || !is_safe(&metadata) {
            return Err(NoTwin::Unsafe(path));
        }
        Ok(Self { file, path })
    }

    /// The command that runs it under its own name.
    fn command(&self) -> Command {
        // The path may lead to another file by now.
        let mut command = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        command.arg0(&self.path);
        command
    }
}

/// Whether the program of this name is a QEMU that has devices.
fn is_qemu(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The kernel adds this when the file was replaced, for example by an upgrade.
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
