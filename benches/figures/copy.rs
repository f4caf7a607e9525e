//! Copies of files out of and into a guest, beside a bare loop of the agent's commands. The guest is this machine.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::report::{in_turn, print_ratio};
use crate::{PATIENCE, QMPSH};

/// How many bytes a message of the loop carries: as many as one of ours.
const PIECE: usize = 1 << 20;

/// How many of them a file has.
const PIECES: usize = 256;

const ROUNDS: usize = 3;

/// What the rates of qmpsh and of the loop must be to each other.
const TARGET: &str = "   (target: at least 0.90)";

/// Measures both directions. The loop is in `dir`.
pub fn copies(dir: &Path) -> Result<()> {
    let agent = Agent::start(dir)?;
    let file = dir.join("file");
    let mut bytes = vec![0_u8; PIECE];
    let mut data = File::create(&file)?;
    for piece in 0..PIECES {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = ((at * 31 + piece) >> 3) as u8;
        }
        data.write_all(&bytes)?;
    }
    drop(data);
    let copy = dir.join("copy");
    for (verb, mode) in [(":get", "read"), (":put", "write")] {
        let ours = || {
            let mut command = Command::new(QMPSH);
            command.arg("-N").arg(&agent.socket);
            timed(command.arg(verb).arg(&file).arg(&copy))
        };
        let raw = || {
            let of = if mode == "read" { &file } else { &copy };
            let mut command = Command::new(dir.join("agent"));
            command.arg(&agent.socket).arg(mode).arg(of);
            timed(command.args([PIECE.to_string(), PIECES.to_string(), "1".to_owned()]))
        };
        let (a, b) = in_turn(ROUNDS, ours, raw)?;
        print_rate(&format!("qmpsh {verb}"), &a);
        print_rate(&format!("agent.c {mode}"), &b);
        print_ratio(&format!("qmpsh {verb} / agent.c"), &b, &a, TARGET);
    }
    Ok(())
}

/// Runs a command to its end. Its output is of no interest.
fn timed(command: &mut Command) -> Result<Duration> {
    let started = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(started.elapsed())
}

fn print_rate(name: &str, times: &[f64]) {
    let best = times.iter().copied().fold(f64::INFINITY, f64::min);
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let rate = |time: f64| (PIECES * PIECE) as f64 / time / 1e6;
    println!(
        "  {name:<24} {:8.1} MB/s median, {:8.1} best",
        rate(median),
        rate(best)
    );
}

/// A guest agent on a Unix socket.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(dir: &Path) -> Result<Self> {
        let socket = dir.join("agent.sock");
        // Debian has it where only root looks.
        let program = match Path::new("/usr/sbin/qemu-ga") {
            program if program.exists() => program,
            _ => Path::new("qemu-ga"),
        };
        let mut command = Command::new(program);
        command.args(["-m", "unix-listen", "-p"]).arg(&socket);
        command
            .arg("-t")
            .arg(dir)
            .arg("-f")
            .arg(dir.join("agent.pid"));
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("qemu-ga")?;
        let agent = Self { process, socket };
        let deadline = Instant::now() + PATIENCE;
        while !fs::exists(&agent.socket)? {
            ensure!(Instant::now() < deadline, "qemu-ga opens no socket");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
