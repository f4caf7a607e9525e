//! What to launch: QEMU's command line, and what we add to it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use crate::transport::{Address, AddressError};

/// The chardev id of our monitor in QEMU.
const MONITOR: &str = "qmpsh-monitor";

/// The chardev id of our console in QEMU.
pub(super) const CONSOLE: &str = "qmpsh-console";

/// How long QEMU may take to shut down by default.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// The device by which the guest gets its console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleDevice {
    /// The first serial port of the machine.
    Serial,
    /// A device to add, perhaps with properties: `virtconsole`, `isa-serial,index=1`.
    Added(String),
}

impl FromStr for ConsoleDevice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "serial" => Self::Serial,
            device => Self::Added(device.to_owned()),
        })
    }
}

impl ConsoleDevice {
    /// The options that connect it to the chardev [`CONSOLE`].
    fn options(&self) -> Vec<String> {
        match self {
            Self::Serial => vec!["-serial".to_owned(), format!("chardev:{CONSOLE}")],
            Self::Added(device) => {
                let mut options = Vec::new();
                // These need a bus of their own.
                if device.starts_with("virtconsole") || device.starts_with("virtserialport") {
                    options.extend(["-device".to_owned(), "virtio-serial".to_owned()]);
                }
                options.extend(["-device".to_owned(), format!("{device},chardev={CONSOLE}")]);
                options
            }
        }
    }
}

/// What to launch.
#[derive(Debug, Clone)]
pub struct Plan {
    /// QEMU and its arguments as given. QEMU may be missing, and there may be no words at all.
    pub words: Vec<OsString>,
    /// The command to run QEMU under, for example `strace -f`; may be empty.
    pub wrapper: Vec<String>,
    /// Where to put the monitor.
    pub monitor: Monitor,
    /// The inherited descriptors to pass to QEMU.
    pub passed: Vec<PassedFd>,
    /// The name of the VM and of its log files.
    pub name: Option<String>,
    /// The console to give the guest, if any.
    pub console: Option<ConsoleDevice>,
    /// How many bytes the console's log may have before it is rotated; 0 for no limit.
    pub console_log_limit: u64,
    /// Where to keep the logs. Without it they are in the temporary directory, and removed with it.
    pub log_dir: Option<PathBuf>,
    /// Where to create the temporary directory.
    pub temp_dir: Option<PathBuf>,
    /// How long QEMU may take to shut down before it is killed.
    pub shutdown_timeout: Duration,
}

/// Where QEMU's monitor is.
#[derive(Debug, Clone)]
pub enum Monitor {
    /// One end of a socket pair, which only we can use.
    Pair,
    /// At an address, where other clients can connect too.
    At(Address),
    /// No monitor of ours; we only look after the process.
    None,
}

impl FromStr for Monitor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        match text
            .parse()
            .map_err(|error: AddressError| error.to_string())?
        {
            address @ (Address::Unix(_) | Address::Tcp { .. }) => Ok(Self::At(address)),
            _ => Err("expected a Unix socket's path, HOST:PORT, or none".to_owned()),
        }
    }
}

/// An inherited descriptor to pass to QEMU with its option `-add-fd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedFd {
    /// The descriptor's number, in our process and in QEMU.
    pub number: i32,
    /// The value of QEMU's option: `fd=3,set=3`.
    option: String,
}

impl FromStr for PassedFd {
    type Err = String;

    /// Parses `N[,set=M][,opaque=TEXT]`. The set defaults to the descriptor's number.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("fd=").unwrap_or(text);
        let (number, more) = text.split_once(',').unwrap_or((text, ""));
        let number: i32 = match number.parse() {
            Ok(number @ 3..) => number,
            _ => return Err("expected a descriptor number, 3 or higher".to_owned()),
        };
        let set = match more.split(',').any(|part| part.starts_with("set=")) {
            true => String::new(),
            false => format!(",set={number}"),
        };
        let comma = if more.is_empty() { "" } else { "," };
        Ok(Self {
            number,
            option: format!("fd={number}{set}{comma}{more}"),
        })
    }
}

/// The descriptors that QEMU inherits.
#[derive(Default)]
pub(super) struct Passed {
    /// QEMU's end of a connection to its monitor.
    pub monitor: Option<OwnedFd>,
    /// A listening socket for its monitor.
    pub server: Option<OwnedFd>,
    pub console: Option<OwnedFd>,
}

impl Plan {
    /// QEMU's file name.
    pub fn program_name(&self) -> String {
        let program = self.program();
        let name = Path::new(&program).file_name().unwrap_or(&program);
        name.to_string_lossy().into_owned()
    }

    /// What the names of the log files start with.
    pub fn file_name(&self) -> String {
        let name = self.name.as_deref().unwrap_or("qemu");
        // A slash would make it a path.
        name.replace('/', "_")
    }

    /// The program to run: the first word, or the default QEMU.
    fn program(&self) -> OsString {
        match self.words.first() {
            Some(word) if !is_option(word) => word.clone(),
            _ => default_program().into(),
        }
    }

    /// The command to run. QEMU inherits `passed`, which its options name by number.
    pub(super) fn command(&self, passed: &Passed) -> Command {
        let program = self.program();
        let mut words: Vec<OsString> = self.wrapper.iter().map(OsString::from).collect();
        words.push(program);
        let mut add = |option: &[&str]| words.extend(option.iter().map(OsString::from));
        let given = match self.words.split_first() {
            Some((first, rest)) if !is_option(first) => rest,
            _ => {
                for option in default_options() {
                    add(option);
                }
                &self.words[..]
            }
        };
        if let Some(name) = &self.name {
            add(&["-name", &format!("guest={}", name.replace(',', ",,"))]);
        }
        let monitor = match (&passed.monitor, &passed.server) {
            (Some(socket), _) => Some(format!("socket,id={MONITOR},fd={}", number(socket))),
            (None, Some(socket)) => Some(format!(
                "socket,id={MONITOR},fd={},server=on,wait=off",
                number(socket)
            )),
            (None, None) => None,
        };
        if let Some(chardev) = monitor {
            if self.program_name().starts_with("qemu-storage-daemon") {
                let monitor = format!("chardev={MONITOR}");
                add(&["--chardev", &chardev, "--monitor", &monitor]);
            } else {
                // QEMU 11.1 warns of `-mon`, which it will not have for ever.
                let monitor = format!("chardev:{MONITOR}");
                add(&["-chardev", &chardev, "-qmp", &monitor]);
            }
        }
        if let (Some(socket), Some(device)) = (&passed.console, &self.console) {
            add(&[
                "-chardev",
                &format!("socket,id={CONSOLE},fd={}", number(socket)),
            ]);
            for option in device.options() {
                add(&[&option]);
            }
        }
        for passed in &self.passed {
            add(&["-add-fd", &passed.option]);
        }
        words.extend(given.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }
}

fn number(socket: &impl AsRawFd) -> i32 {
    socket.as_raw_fd()
}

fn is_option(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

/// The QEMU for this machine's architecture.
fn default_program() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86" => "i386",
        "powerpc" => "ppc",
        "powerpc64" => "ppc64",
        same => same,
    };
    format!("qemu-system-{architecture}")
}

/// The options to add if the user names no QEMU.
fn default_options() -> &'static [&'static [&'static str]] {
    match std::env::consts::ARCH {
        // These architectures have no default machine.
        "aarch64" | "arm" | "riscv32" | "riscv64" | "loongarch64" => {
            &[&["-display", "none"], &["-machine", "virt"]]
        }
        _ => &[&["-display", "none"]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Plan {
        Plan {
            words: words.iter().map(OsString::from).collect(),
            wrapper: Vec::new(),
            monitor: Monitor::None,
            passed: Vec::new(),
            name: None,
            console: None,
            console_log_limit: 0,
            log_dir: None,
            temp_dir: None,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        }
    }

    fn command(plan: &Plan) -> Vec<String> {
        let command = plan.command(&Passed::default());
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_named_qemu_gets_no_default_options() {
        assert_eq!(
            command(&plan(&["/opt/qemu", "-m", "1G"])),
            ["/opt/qemu", "-m", "1G"]
        );
    }

    #[test]
    fn options_without_a_qemu_are_for_the_default_qemu() {
        let words = command(&plan(&["-m", "1G"]));
        assert!(words[0].starts_with("qemu-system-"));
        assert_eq!(words[1..3], ["-display", "none"]);
        assert!(words.ends_with(&["-m".to_owned(), "1G".to_owned()]));
        assert_eq!(command(&plan(&[]))[..3], words[..3]);
    }

    #[test]
    fn a_wrapper_comes_first_and_commas_in_a_name_are_doubled() {
        let mut plan = plan(&["qemu"]);
        plan.wrapper = vec!["strace".into(), "-f".into()];
        plan.name = Some("a,b/c".into());
        assert_eq!(
            command(&plan),
            ["strace", "-f", "qemu", "-name", "guest=a,,b/c"]
        );
        assert_eq!(plan.file_name(), "a,b_c");
    }

    #[test]
    fn a_descriptor_is_passed_in_a_set() {
        let read = |text: &str| text.parse::<PassedFd>().map(|passed| passed.option);
        assert_eq!(read("5"), Ok("fd=5,set=5".into()));
        assert_eq!(
            read("fd=5,set=1,opaque=x"),
            Ok("fd=5,set=1,opaque=x".into())
        );
        assert_eq!(read("5,opaque=x"), Ok("fd=5,set=5,opaque=x".into()));
        assert!(read("2").is_err() && read("x").is_err());
    }
}
