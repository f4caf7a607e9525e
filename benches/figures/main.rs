//! The performance figures, each beside what it is held against.
//!
//! `cargo bench` takes them all, `cargo bench -- oneshot` (or script,
//! pipelined, instant, memory) one of them.  The two sides of a figure run in
//! turn, so that whatever else the machine does falls on both; their ratio is
//! the median of the ratios of the pairs.  Nothing here judges a figure: the
//! target is printed next to it.  A run whose output is wrong ends the program.
//!
//! `QMPSH_TEST_QEMU` names another QEMU than `qemu-system-x86_64`, and
//! `QMPSH_BENCH_QMP_SHELL` another qmp-shell than the one on `PATH`.

mod memory;
mod report;
mod server;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portable_pty::CommandBuilder;

use report::{in_turn, print_rates, print_ratio, print_times};
use server::Server;

const QMPSH: &str = env!("CARGO_BIN_EXE_qmpsh");
const FIGURES: [&str; 5] = ["oneshot", "script", "pipelined", "instant", "memory"];
/// How long anything that is waited for may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let (flags, mut wanted): (Vec<_>, Vec<_>) = env::args()
        .skip(1)
        .partition(|argument| argument.starts_with('-'));
    // `cargo test --all-targets` runs benches too, but without this flag, and
    // with a build whose speed says nothing.
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("the figures are taken by `cargo bench`");
        return Ok(());
    }
    if let Some(unknown) = wanted.iter().find(|name| !FIGURES.contains(&name.as_str())) {
        bail!("no figure {unknown:?}; there are {}", FIGURES.join(", "));
    }
    if wanted.is_empty() {
        wanted = FIGURES.map(String::from).to_vec();
    }

    let bench = Bench::new()?;
    for name in wanted {
        match name.as_str() {
            "oneshot" => bench.oneshot()?,
            "script" => bench.script()?,
            "pipelined" => bench.pipelined()?,
            "instant" => bench.instant()?,
            _ => bench.memory()?,
        }
    }
    Ok(())
}

/// The scratch directory, with the C programs in it.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        for name in ["oneshot", "loop", "instant"] {
            let status = Command::new("cc")
                .args(["-O2", "-std=c11", "-Wall", "-o"])
                .arg(dir.path().join(name))
                .arg(sources.join(name).with_extension("c"))
                .status()
                .context("cc")?;
            ensure!(status.success(), "cc could not compile {name}.c");
        }
        // As an installed program is: a copy lies in larger pieces in the page
        // cache than what a linker wrote, and starts with fewer page faults.
        fs::copy(QMPSH, dir.path().join("qmpsh"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that neither sees nor touches the user's own settings and
    /// history.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("HOME", self.dir.path());
        command
    }

    fn oneshot(&self) -> Result<()> {
        let qemu = Server::qemu(self.dir.path())?;
        let qmpsh = |program: &Path| {
            let mut command = self.command(program);
            command.arg("--connect").arg(&qemu.socket);
            one_shot(command.arg("query-status"), b"")
        };
        let (built, installed) = (Path::new(QMPSH), self.path("qmpsh"));
        let minimal = || one_shot(self.command(self.path("oneshot")).arg(&qemu.socket), b"");

        println!("\none-shot query-status, the whole process, in ms");
        for (how, program) in [("as cargo built it", built), ("copied", &installed)] {
            println!("  {how}:");
            let (a, b) = in_turn(200, || qmpsh(program), minimal)?;
            print_times("qmpsh", &a);
            print_times("oneshot.c", &b);
            print_ratio("qmpsh / oneshot.c", &a, &b, "   (target: at most 1.5)");
        }

        let Some(program) = qmp_shell() else {
            println!("  no qmp-shell on PATH to compare with");
            return Ok(());
        };
        let theirs = || {
            let mut command = Command::new(&program);
            // It keeps a history in HOME, and Python may keep packages there.
            command.env("HOME", self.dir.path());
            if let (None, Some(home)) = (env::var_os("PYTHONUSERBASE"), env::var_os("HOME")) {
                command.env("PYTHONUSERBASE", Path::new(&home).join(".local"));
            }
            one_shot(command.arg(&qemu.socket), b"query-status\n")
        };
        let (a, b) = in_turn(20, || qmpsh(built), theirs)?;
        print_times("qmpsh", &a);
        print_times("qmp-shell", &b);
        print_ratio("qmp-shell / qmpsh", &b, &a, "   (target: at least 50)");
        Ok(())
    }

    fn script(&self) -> Result<()> {
        let qemu = Server::qemu(self.dir.path())?;
        println!("\nscript of 20000 query-status, one at a time, in commands/s");
        self.scripts(&qemu, 20_000, 1, 7, "   (target: at least 0.95)")
    }

    fn pipelined(&self) -> Result<()> {
        let qemu = Server::qemu(self.dir.path())?;
        println!("\nscript of 20000 query-status, pipelined (-k), in commands/s");
        self.scripts(&qemu, 20_000, 8, 7, "   (target: at least 0.95)")
    }

    fn instant(&self) -> Result<()> {
        let server = Server::instant(self.dir.path())?;
        println!("\nscript of 300000 query-status, pipelined (-k), to a server that answers");
        println!("at once, in commands/s (target for qmpsh: at least 300000)");
        self.scripts(&server, 300_000, 8, 5, "")
    }

    /// Puts `count` commands through qmpsh and through the raw loop.
    fn scripts(
        &self,
        server: &Server,
        count: usize,
        window: usize,
        rounds: usize,
        target: &str,
    ) -> Result<()> {
        let script = self.path("script");
        fs::write(&script, "query-status\n".repeat(count))?;
        let ours = || {
            let mut command = self.command(QMPSH);
            command.arg("-c").arg(&server.socket).arg("-f").arg(&script);
            command.args(["-o", "json"]);
            if window > 1 {
                command.arg("-k");
            }
            self.whole_script(&mut command, count)
        };
        let raw = || {
            let mut command = self.command(self.path("loop"));
            command.arg(&server.socket);
            command.args([count.to_string(), window.to_string()]);
            self.whole_script(&mut command, count)
        };

        let (a, b) = in_turn(rounds, ours, raw)?;
        print_rates("qmpsh", &a, count);
        print_rates("loop.c", &b, count);
        // The ratio of the rates is the inverse of that of the times.
        print_ratio("qmpsh / loop.c", &b, &a, target);
        Ok(())
    }

    /// Times a script's run and checks that every command had its reply.  The
    /// output goes to a file, where no reader can slow it down.
    fn whole_script(&self, command: &mut Command, count: usize) -> Result<Duration> {
        let replies = self.path("replies");
        command.stdin(Stdio::null()).stdout(File::create(&replies)?);
        let start = Instant::now();
        let status = command.status()?;
        let time = start.elapsed();
        ensure!(status.success(), "{command:?}: {status}");
        let mut lines = 0;
        for line in fs::read_to_string(&replies)?.lines() {
            ensure!(line.contains("\"status\""), "not a reply: {line:?}");
            lines += 1;
        }
        ensure!(lines == count, "{lines} replies to {count} commands");
        Ok(time)
    }

    fn memory(&self) -> Result<()> {
        let qemu = Server::qemu(self.dir.path())?;
        let mut command = CommandBuilder::new(QMPSH);
        command.arg(&qemu.socket);
        command.env_clear();
        command.env("HOME", self.dir.path());
        command.env("TERM", "xterm-256color");
        let memory = memory::at_prompt(command)?;
        let mib = |kib| f64::from(kib) / 1024.0;
        println!("\nmemory at the prompt, in MiB");
        println!(
            "  VmRSS {:5.2}   (target: at most 12)",
            mib(memory.resident)
        );
        println!("  VmHWM {:5.2}", mib(memory.peak));
        Ok(())
    }
}

/// Times a command from its start until it has ended and all of its output has
/// been read.
fn one_shot(command: &mut Command, input: &[u8]) -> Result<Duration> {
    let stdin = if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    command.stdin(stdin).stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    let time = start.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains("status"), "{command:?} printed {text:?}");
    Ok(time)
}

/// The qmp-shell to compare with.  A pyenv shim on `PATH` stands for the
/// program that it would start: the shim's own time is not qmp-shell's.
fn qmp_shell() -> Option<OsString> {
    if let Some(named) = env::var_os("QMPSH_BENCH_QMP_SHELL") {
        return Some(named);
    }
    let found = env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join("qmp-shell"))
        .find(|path| path.is_file())?;
    if !found.parent()?.ends_with("shims") {
        return Some(found.into());
    }
    let which = Command::new("pyenv").args(["which", "qmp-shell"]).output();
    let path = which.ok().filter(|which| which.status.success())?.stdout;
    Some(String::from_utf8(path).ok()?.trim_end().into())
}
