//! The performance figures, each printed next to its target.
//!
//! `cargo bench` measures all of them, `cargo bench -- oneshot` (or typed, schema, tab, script, pipelined,
//! instant, events, reply, filter, typing, watch, memory, serve, copy) one of them. The two programs of a figure run alternately, so that
//! other load on the machine affects both; their ratio is the median of the ratios of the pairs. One-shot
//! commands are also timed back to back, as scripts run them. The program does not judge a figure, but stops if
//! the output of a run is wrong.
//!
//! `QMPSH_TEST_QEMU` names the QEMU to use instead of `qemu-system-x86_64`, and `QMPSH_BENCH_QMP_SHELL` the
//! qmp-shell to use instead of the one on `PATH`.

mod copy;
mod events;
mod filter;
mod memory;
mod reply;
mod report;
mod serve;
mod server;
mod tab;
mod typing;
mod watch;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portable_pty::CommandBuilder;

use qmpsh::schema::Schema;
use report::{alone, in_turn, print_rates, print_ratio, print_ratio_of_medians, print_times};
use serve::{Neighbour, Serving};
use server::Server;

const QMPSH: &str = env!("CARGO_BIN_EXE_qmpsh");
const FIGURES: [&str; 15] = [
    "oneshot",
    "typed",
    "schema",
    "tab",
    "script",
    "pipelined",
    "instant",
    "events",
    "reply",
    "filter",
    "typing",
    "watch",
    "memory",
    "serve",
    "copy",
];
/// The time limit for every wait.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let (flags, mut wanted): (Vec<_>, Vec<_>) = env::args()
        .skip(1)
        .partition(|argument| argument.starts_with('-'));
    // `cargo test --all-targets` runs benches too, but without this flag and with an unoptimized build.
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("run `cargo bench` to measure the figures");
        return Ok(());
    }
    if let Some(unknown) = wanted.iter().find(|name| !FIGURES.contains(&name.as_str())) {
        bail!(
            "no figure {unknown:?}; the figures are {}",
            FIGURES.join(", ")
        );
    }
    if wanted.is_empty() {
        wanted = FIGURES.map(String::from).to_vec();
    }

    let bench = Bench::new()?;
    for name in wanted {
        match name.as_str() {
            "oneshot" => bench.oneshot()?,
            "typed" => bench.typed()?,
            "schema" => bench.schema()?,
            "tab" => bench.tab()?,
            "script" => bench.script()?,
            "pipelined" => bench.pipelined()?,
            "instant" => bench.instant()?,
            "events" => bench.events()?,
            "reply" => bench.reply()?,
            "filter" => filter::measure(bench.dir.path())?,
            "typing" => bench.typing()?,
            "watch" => bench.watch()?,
            "memory" => bench.memory()?,
            "copy" => copy::copies(bench.dir.path())?,
            _ => bench.serve()?,
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
        for name in ["oneshot", "loop", "instant", "agent", "proxy"] {
            let status = Command::new("cc")
                .args(["-O2", "-std=c11", "-Wall", "-o"])
                .arg(dir.path().join(name))
                .arg(sources.join(name).with_extension("c"))
                .status()
                .context("cc")?;
            ensure!(status.success(), "cc could not compile {name}.c");
        }
        // Copied, like an installed program: a copy lies in larger pieces in the page cache than the linker's
        // output, and starts with fewer page faults.
        fs::copy(QMPSH, dir.path().join("qmpsh"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that neither reads nor changes the user's settings and history.
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
            one_shot(command.arg("query-status"), b"", "status")
        };
        let mut programs = vec![
            ("built by cargo", PathBuf::from(QMPSH)),
            ("copied", self.path("qmpsh")),
        ];
        match self.with_libc() {
            Ok(program) => programs.push(("built by `cargo static`, copied", program)),
            Err(error) => println!("(not built by `cargo static`: {error:#})"),
        }
        let minimal = || {
            let mut command = self.command(self.path("oneshot"));
            one_shot(command.arg(&qemu.socket), b"", "status")
        };

        let shell = qmp_shell();
        let theirs = || {
            let mut command = Command::new(shell.as_ref().expect("called only if there is one"));
            // qmp-shell writes its history to HOME, and Python may have packages there.
            command.env("HOME", self.dir.path());
            if let (None, Some(home)) = (env::var_os("PYTHONUSERBASE"), env::var_os("HOME")) {
                command.env("PYTHONUSERBASE", Path::new(&home).join(".local"));
            }
            one_shot(command.arg(&qemu.socket), b"query-status\n", "status")
        };
        const BESIDE_C: (&str, &str) = ("qmpsh / oneshot.c", "   (target: at most 1.5)");
        const BESIDE_QMP_SHELL: (&str, &str) = ("qmp-shell / qmpsh", "   (target: at least 50)");

        println!("\none-shot query-status, the whole process, in ms");
        if shell.is_none() {
            println!("  (no qmp-shell on PATH to compare with)");
        } else {
            // The best ratio that any program could reach when both share the caches.
            println!("  the two programs to compare with, alternating, with pauses:");
            let (a, b) = in_turn(60, minimal, theirs)?;
            print_times("oneshot.c", &a);
            print_times("qmp-shell", &b);
            print_ratio("qmp-shell / oneshot.c", &b, &a, "");
        }
        for (how, program) in programs {
            let ours = || qmpsh(&program);
            let (ratio, target) = BESIDE_C;
            // The caches hold what the program needs, and the processor is awake.
            println!("  {how}, back to back:");
            let (a, b) = (alone(300, ours)?, alone(300, minimal)?);
            print_times("qmpsh", &a);
            print_times("oneshot.c", &b);
            print_ratio_of_medians(ratio, &a, &b, target);
            if shell.is_some() {
                let (ratio, target) = BESIDE_QMP_SHELL;
                let b = alone(60, theirs)?;
                print_times("qmp-shell", &b);
                print_ratio_of_medians(ratio, &b, &a, target);
            }
            // The processor has gone idle, and the caches hold what the other program left there.
            println!("  {how}, alternating, with pauses:");
            let (a, b) = in_turn(200, ours, minimal)?;
            print_times("qmpsh", &a);
            print_times("oneshot.c", &b);
            print_ratio(ratio, &a, &b, target);
            if shell.is_some() {
                let (ratio, target) = BESIDE_QMP_SHELL;
                let (a, b) = in_turn(60, ours, theirs)?;
                print_times("qmpsh", &a);
                print_times("qmp-shell", &b);
                print_ratio(ratio, &b, &a, target);
            }
        }
        Ok(())
    }

    /// A copy of the program, statically linked with the C library.
    fn with_libc(&self) -> Result<PathBuf> {
        let cargo = env::var_os("CARGO").context("not started by cargo")?;
        let mut command = Command::new(cargo);
        command.args(["static", "--quiet", "--message-format", "json"]);
        // RUSTFLAGS would override the flags that `cargo static` sets.
        command.env_remove("RUSTFLAGS");
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", errors.trim_end());
        let messages = String::from_utf8(output.stdout)?;
        let built = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
            .context("cargo names no program")?;
        let copy = self.path("qmpsh-static");
        fs::copy(built, &copy)?;
        Ok(copy)
    }

    /// A word whose type only the schema knows, compared with a value that needs no schema.
    fn typed(&self) -> Result<()> {
        let qemu = Server::qemu(self.dir.path())?;
        let cache = self.path(".cache");
        let qmpsh = |argument: &str| {
            let mut command = self.command(self.path("qmpsh"));
            command.arg("--connect").arg(&qemu.socket);
            command.args(["query-named-block-nodes", argument]);
            one_shot(&mut command, b"", "[]")
        };
        let without = || qmpsh("flat:=true");
        let with = || qmpsh("flat=on");
        let cold = || {
            fs::remove_dir_all(&cache)?;
            with()
        };

        println!("\none-shot with a word whose type needs the schema, the whole process, in ms");
        with()?;
        ensure!(cache.is_dir(), "the schema is not cached");
        let (a, b) = in_turn(200, with, without)?;
        print_times("warm cache", &a);
        print_times("no word", &b);
        print_ratio("warm cache / no word", &a, &b, "");
        let (a, b) = in_turn(100, cold, without)?;
        print_times("cold cache", &a);
        print_times("no word", &b);
        print_ratio("cold cache / no word", &a, &b, "");
        Ok(())
    }

    /// The server's schema, as JSON.
    fn schema_json(&self) -> Result<String> {
        let qemu = Server::qemu(self.dir.path())?;
        let mut command = self.command(self.path("qmpsh"));
        command.args(["-o", "raw", "--connect"]).arg(&qemu.socket);
        let output = command.arg("query-qmp-schema").output()?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Completion without queries to the server, in this process.
    fn tab(&self) -> Result<()> {
        let schema = Schema::read(&self.schema_json()?)?;
        let mut times = tab::times(&schema);
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!("\nTAB at {} places, in ms (target: at most 1)", times.len());
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            println!("  {name}  {:7.3}", at(share).as_secs_f64() * 1e3);
        }
        Ok(())
    }

    /// The server's schema, read in this process.
    fn schema(&self) -> Result<()> {
        let json = self.schema_json()?;
        println!(
            "\nreading and indexing a schema of {} kB, in ms (target for 240 kB: at most 5)",
            json.len() / 1000
        );
        let read = || {
            let start = Instant::now();
            let schema = Schema::read(&json)?;
            let time = start.elapsed();
            ensure!(
                schema.command("query-status").is_some(),
                "the schema lacks query-status"
            );
            Ok(time)
        };
        let times = alone(200, read)?;
        print_times("read", &times);
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
        println!("\nscript of 300000 query-status, pipelined (-k), to a server that replies");
        println!("immediately, in commands/s (target for qmpsh: at least 300000)");
        self.scripts(&server, 300_000, 8, 5, "")
    }

    /// A monitor served to others, beside two more of the same QEMU: one directly, one through a proxy in C that only
    /// copies bytes.
    fn serve(&self) -> Result<()> {
        let count = 20_000;
        let (direct, copied) = (self.path("direct.sock"), self.path("copied.sock"));
        let qemu = Server::qemu_with(self.dir.path(), &[&direct, &copied])?;
        let proxy = Server::proxy(self.dir.path(), &copied)?;
        let serving = Serving::start(self.command(QMPSH), &qemu.socket, self.dir.path())?;
        for window in [1, 8] {
            println!("\n{count} query-status through --serve, {window} at a time, in commands/s");
            let run = |socket: &Path| {
                let mut command = self.command(self.path("loop"));
                command.arg(socket);
                command.args([count.to_string(), window.to_string()]);
                self.whole_script(&mut command, count)
            };
            let (a, b) = in_turn(7, || run(&serving.socket), || run(&direct))?;
            let (c, d) = in_turn(7, || run(&proxy.socket), || run(&direct))?;
            print_rates("served", &a, count);
            print_rates("direct", &[&b[..], &d].concat(), count);
            print_rates("proxy", &c, count);
            print_ratio("served / direct", &b, &a, "   (target: at least 0.9)");
            print_ratio("proxy / direct", &d, &c, "");
            if window == 1 {
                let added: Vec<_> = a
                    .iter()
                    .zip(&b)
                    .map(|(a, b)| (a - b) / count as f64)
                    .collect();
                println!("  added to each command, in ms (target: 0.1)");
                print_times("latency", &added);
            }
        }
        println!("\nlatency of query-status beside another client of --serve, in ms");
        for (name, neighbour) in Neighbour::ALL {
            let times = serve::latencies(&serving.socket, neighbour, 2_000)?;
            print_times(name, &times);
        }
        drop((serving, qemu));

        let (clients, count) = (100, 5_000);
        println!(
            "\n{count} events to {clients} clients, in deliveries/s (target: 200000, none lost)"
        );
        let flood = events::serve(self.dir.path(), count, 1)?;
        let mut times = Vec::new();
        for _ in 0..5 {
            let serving = Serving::start(self.command(QMPSH), &flood, self.dir.path())?;
            let time = serve::read_events(&serving.socket, clients, count)?;
            times.push(time.as_secs_f64());
        }
        print_rates("served", &times, clients * count);
        Ok(())
    }

    /// Runs `count` commands through qmpsh and through the raw loop.
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
        // The ratio of the rates is the inverse of the ratio of the times.
        print_ratio("qmpsh / loop.c", &b, &a, target);
        Ok(())
    }

    /// Times a script's run, and checks that every command got its reply. The output goes to a file, so that no
    /// reader slows it down.
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

    fn events(&self) -> Result<()> {
        const COUNT: usize = 500_000;
        let socket = events::serve(self.dir.path(), COUNT, 1)?;
        println!(
            "\n{COUNT} events printed as JSON lines into a file, in events/s (target: at least 500000)"
        );
        let output = self.path("events");
        let mut times = Vec::new();
        for _ in 0..7 {
            let mut command = self.command(QMPSH);
            command
                .arg("--connect")
                .arg(&socket)
                .args(["--events", "stdout", "stop"]);
            times.push(events::print_all(&mut command, &output, COUNT)?.as_secs_f64());
        }
        print_rates("qmpsh", &times, COUNT);
        Ok(())
    }

    fn reply(&self) -> Result<()> {
        const SIZE: usize = 50_000_000;
        println!(
            "\na reply of {} MB printed with `-o json` into a file, in ms",
            SIZE / 1_000_000
        );
        let output = self.path("reply");
        let kinds = [
            ("string", reply::string(SIZE)),
            ("objects", reply::objects(SIZE)),
        ];
        for (kind, value) in kinds {
            let servers = reply::serve(self.dir.path(), kind, &value)?;
            let qmpsh = || self.command(QMPSH);
            let ours = || reply::ours(qmpsh(), &servers, &output, value.len());
            let cat = || reply::cat(&servers, &output, value.len());
            let (a, b) = in_turn(15, ours, cat)?;
            println!("  {kind}:");
            print_times("qmpsh", &a);
            print_times("cat", &b);
            print_ratio("qmpsh / cat", &a, &b, "   (target: at most 2)");
            let peak = reply::peak(qmpsh(), &servers, &output, value.len())?;
            let ratio = f64::from(peak) * 1024.0 / value.len() as f64;
            println!("  peak memory / reply = {ratio:.3}   (target: at most 3)");
        }
        Ok(())
    }

    fn typing(&self) -> Result<()> {
        let socket = events::serve(self.dir.path(), 500_000, 20)?;
        println!("\ntime from a key press to its letter at the prompt in a flood of events, in ms");
        let times = typing::echoes(self.at_terminal(&socket), "stop")?;
        print_times("qmpsh", &times);
        println!("  (target: at most 50)");
        Ok(())
    }

    fn watch(&self) -> Result<()> {
        let qemu = watch::machine(self.dir.path())?;
        watch::measure(self.at_terminal(&qemu.socket))
    }

    /// The command that starts the shell in a terminal.
    fn at_terminal(&self, socket: &Path) -> CommandBuilder {
        let mut command = CommandBuilder::new(QMPSH);
        command.arg(socket);
        command.env_clear();
        command.env("HOME", self.dir.path());
        command.env("TERM", "xterm-256color");
        command
    }

    fn memory(&self) -> Result<()> {
        let qemu = Server::qemu(self.dir.path())?;
        let memory = memory::at_prompt(self.at_terminal(&qemu.socket))?;
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

/// Times a command from its start until it has ended and all its output has been read. The output must contain
/// `part`.
fn one_shot(command: &mut Command, input: &[u8], part: &str) -> Result<Duration> {
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
    ensure!(text.contains(part), "{command:?} printed {text:?}");
    Ok(time)
}

/// The qmp-shell to compare with. A pyenv shim on `PATH` is resolved to the program that it starts, so that the
/// shim's own time does not count.
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
