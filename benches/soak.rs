//! Runs the shell for a long time against a real QEMU, with commands, events, timers, TAB and reconnects, and prints
//! its memory, descriptors and threads. They should be flat.
//!
//! `cargo bench --bench soak -- SECONDS` runs for so long (an hour unless told otherwise) the prompt in a terminal, a
//! script, and a `--serve` with a hundred clients that come and go. QEMU is killed and started again every 20 seconds. `QMPSH_TEST_QEMU` names the QEMU to use instead of
//! `qemu-system-x86_64`.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const QMPSH: &str = env!("CARGO_BIN_EXE_qmpsh");

/// What is typed at the prompt, over and over. It sets nothing up that would add up.
const TYPED: [&str; 12] = [
    "stop\r",
    "query-st\t\r",
    "cont\r",
    "query-named-block-nodes\r",
    "no-such-command\r",
    "help device_add\r",
    "blockdev-add node-name=n driver=null-co\r",
    ":events STOP\r",
    "blockdev-del node-name=n\r",
    "query-status &\r",
    ":after 0.1 query-name\r",
    ":status\r",
];

/// What the script runs, over and over.
const LINES: &str = "stop\nquery-status\nquery-qmp-schema\nno-such-command\ncont\n:wait RESUME --timeout 0.1\n\
                     query-status &\nquery-name\n";

/// How many clients are served.
const CLIENTS: usize = 100;

/// What they send at once. Some leave before all of it is answered.
const SENT: [&str; 4] = [
    "query-status",
    "query-version",
    "no-such-command",
    "query-name",
];

/// How long a client waits before it comes again.
const PAUSE: Duration = Duration::from_secs(10);

/// How often something is typed, and the script gets its lines.
const STEP: Duration = Duration::from_millis(250);

/// How many steps a QEMU lives.
const LIFE: u32 = 80;

/// How often the figures are printed, in steps.
const REPORT: u32 = 240;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        println!("run `cargo bench --bench soak -- SECONDS`");
        return Ok(());
    }
    let seconds = args.iter().find_map(|arg| arg.parse().ok());
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds.unwrap_or(3600));
    let minute = || start.elapsed().as_secs_f64() / 60.0;

    let dir = tempfile::tempdir()?;
    let mut qemu = Qemu::start(dir.path())?;
    let mut prompt = Prompt::start(dir.path())?;
    let mut script = Script::start(dir.path())?;
    let served = Served::start(dir.path())?;
    for number in 0..CLIENTS {
        let socket = served.socket.clone();
        // It goes on until the program ends.
        thread::spawn(move || come_and_go(&socket, number));
    }
    // They go on for as long as it takes.
    prompt
        .input
        .write_all(b":every 0.5 query-status\r:on STOP do query-version\r")?;
    println!("minute  who     VmRSS KiB  VmHWM KiB  descriptors  threads");
    let mut step = 0_u32;
    while Instant::now() < end {
        if step.is_multiple_of(REPORT) {
            report(minute(), "prompt", prompt.pid)?;
            report(minute(), "script", script.0.id())?;
            report(minute(), "served", served.child.id())?;
        }
        if step % LIFE == LIFE - 1 {
            drop(qemu);
            qemu = Qemu::start(dir.path())?;
        }
        let typed = TYPED[step as usize % TYPED.len()];
        prompt.input.write_all(typed.as_bytes())?;
        script.feed()?;
        thread::sleep(STEP);
        step += 1;
    }
    report(minute(), "prompt", prompt.pid)?;
    report(minute(), "script", script.0.id())?;
    report(minute(), "served", served.child.id())
}

/// Prints what a process takes.
fn report(minute: f64, who: &str, pid: u32) -> Result<()> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| who.to_owned())?;
    let value = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or("?").trim().trim_end_matches(" kB")
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    println!(
        "{minute:6.1}  {who}  {:>9}  {:>9}  {descriptors:>11}  {:>7}",
        value("VmRSS"),
        value("VmHWM"),
        value("Threads")
    );
    Ok(())
}

/// A QEMU with a monitor for each shell, killed when dropped.
struct Qemu(Child);

impl Qemu {
    fn start(dir: &Path) -> Result<Self> {
        let program = env::var_os("QMPSH_TEST_QEMU").unwrap_or("qemu-system-x86_64".into());
        let mut command = Command::new(program);
        command.args(["-machine", "none", "-display", "none", "-nodefaults"]);
        for name in ["prompt", "script", "served"] {
            let socket = dir.join(name);
            let monitor = format!("unix:{},server=on,wait=off", socket.display());
            command.args(["-qmp", &monitor]);
        }
        let child = command.stdin(Stdio::null()).spawn().context("QEMU")?;
        Ok(Self(child))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The shell at its prompt. It ends with its terminal.
struct Prompt {
    input: Box<dyn Write + Send>,
    pid: u32,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

impl Prompt {
    fn start(dir: &Path) -> Result<Self> {
        let pair = native_pty_system().openpty(PtySize::default())?;
        let mut command = CommandBuilder::new(QMPSH);
        command.arg(dir.join("prompt"));
        command.env_clear();
        command.env("HOME", dir);
        command.env("TERM", "xterm-256color");
        let shell = pair.slave.spawn_command(command)?;
        let mut output = pair.master.try_clone_reader()?;
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while matches!(output.read(&mut chunk), Ok(1..)) {}
        });
        Ok(Self {
            input: pair.master.take_writer()?,
            pid: shell.process_id().context("it runs")?,
            _terminal: pair.master,
        })
    }
}

/// A script that gets its lines as they come. It is killed when dropped.
struct Script(Child);

impl Script {
    fn start(dir: &Path) -> Result<Self> {
        let child = Command::new(QMPSH)
            .args(["--reconnect=60", "-k", "--timeout", "20", "-c"])
            .arg(dir.join("script"))
            .env("HOME", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    fn feed(&mut self) -> Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("the script has ended: {status}");
        }
        let input = self.0.stdin.as_mut().context("it was piped")?;
        Ok(input.write_all(LINES.as_bytes())?)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of the monitor to many. It is killed when dropped.
struct Served {
    child: Child,
    socket: PathBuf,
}

impl Served {
    fn start(dir: &Path) -> Result<Self> {
        let socket = dir.join("served.sock");
        let child = Command::new(QMPSH)
            .arg("-c")
            .arg(dir.join("served"))
            .arg("--serve")
            .arg(&socket)
            .env("HOME", dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, socket })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that connects, sends some commands, reads some or all of the replies, and leaves, over and over.
fn come_and_go(socket: &Path, number: usize) {
    loop {
        // QEMU may have been killed meanwhile.
        let _ = come(socket, number);
        thread::sleep(PAUSE);
    }
}

fn come(socket: &Path, number: usize) -> io::Result<()> {
    let mut stream = BufReader::new(UnixStream::connect(socket)?);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut text = String::from("{\"execute\":\"qmp_capabilities\"}\n");
    for name in SENT.iter().cycle().take(40) {
        text += &format!("{{\"execute\":\"{name}\"}}\n");
    }
    stream.get_mut().write_all(text.as_bytes())?;
    for _ in 0..number % 41 {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            break;
        }
    }
    Ok(())
}
