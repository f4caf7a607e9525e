//! The memory of the shell at its prompt, in a terminal of its own.

use std::fs;
use std::io::{Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use crate::PATIENCE;

/// The memory of the shell at its prompt, in KiB.
pub struct Memory {
    pub resident: u32,
    pub peak: u32,
}

/// Starts the shell in a terminal, waits for its prompt and until its memory use is stable, measures, and ends
/// it with Ctrl-D.
pub fn at_prompt(command: CommandBuilder) -> Result<Memory> {
    let pair = native_pty_system().openpty(PtySize::default())?;
    let output = pair.master.try_clone_reader()?;
    let mut input = pair.master.take_writer()?;
    let mut shell = Shell(pair.slave.spawn_command(command)?);
    drop(pair.slave);
    let pid = shell.0.process_id().context("qmpsh has no process id")?;

    let deadline = Instant::now() + PATIENCE;
    let chunks = read_on(output);
    wait_for_prompt(&chunks, deadline)?;
    let resident = settled(pid, deadline)?;
    let peak = memory_of(pid, "VmHWM")?;

    input.write_all(b"\x04")?;
    let status = loop {
        if let Some(status) = shell.0.try_wait()? {
            break status;
        }
        ensure!(Instant::now() < deadline, "qmpsh does not exit on Ctrl-D");
        thread::sleep(Duration::from_millis(10));
    };
    ensure!(status.success(), "qmpsh at the prompt: {status}");
    Ok(Memory { resident, peak })
}

/// The shell, killed when dropped if it is still running.
struct Shell(Box<dyn Child + Send + Sync>);

impl Drop for Shell {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Reads everything from the terminal, so that the shell never blocks on it.
fn read_on(mut output: Box<dyn Read + Send>) -> Receiver<Vec<u8>> {
    let (sender, chunks) = mpsc::channel();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(size @ 1..) = output.read(&mut chunk) {
            // After the prompt nobody needs the rest, but it must still be read.
            let _ = sender.send(chunk[..size].to_vec());
        }
    });
    chunks
}

fn wait_for_prompt(chunks: &Receiver<Vec<u8>>, deadline: Instant) -> Result<()> {
    let mut seen = Vec::new();
    while !has_prompt(&seen) {
        let left = deadline.saturating_duration_since(Instant::now());
        match chunks.recv_timeout(left) {
            Ok(chunk) => seen.extend(chunk),
            Err(_) => bail!(
                "qmpsh showed no prompt, only {:?}",
                String::from_utf8_lossy(&seen)
            ),
        }
    }
    Ok(())
}

/// Whether the output ends in the prompt: `(QEMU) `, possibly with a state in the parentheses and with colours.
fn has_prompt(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    text.rfind("(QEMU")
        .is_some_and(|at| text[at..].contains(')'))
}

/// The resident memory, once it has not changed for half a second.
fn settled(pid: u32, deadline: Instant) -> Result<u32> {
    let mut resident = memory_of(pid, "VmRSS")?;
    let mut same = 0;
    while same < 5 {
        ensure!(Instant::now() < deadline, "VmRSS does not stabilize");
        thread::sleep(Duration::from_millis(100));
        let before = resident;
        resident = memory_of(pid, "VmRSS")?;
        same = if resident == before { same + 1 } else { 0 };
    }
    Ok(resident)
}

/// Reads a memory field of /proc/PID/status, in KiB.
pub fn memory_of(pid: u32, field: &str) -> Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .with_context(|| format!("no {field} of process {pid}"))?;
    Ok(kib.parse()?)
}
