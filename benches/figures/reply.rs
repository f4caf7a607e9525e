//! A large reply printed into a file, compared with `cat` copying the same bytes from a socket.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::PATIENCE;
use crate::memory::memory_of;

const GREETING: &[u8] =
    b"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \
                          \"package\": \"large\"}, \"capabilities\": []}}\r\n";

/// One long string, as `guest-file-read` returns it.
pub fn string(size: usize) -> String {
    format!("\"{}\"", "QkFTRTY0".repeat(size / 8))
}

/// Many small objects, as `query-named-block-nodes` returns them.
pub fn objects(size: usize) -> String {
    const ONE: &str = "{\"iops_rd\": 0, \"detect_zeroes\": \"off\", \"image\": {\"virtual-size\": 1073741824, \
                       \"filename\": \"/srv/a.qcow2\"}, \"encrypted\": false, \"cache\": {\"writeback\": true}}";
    let all = vec![ONE; size / (ONE.len() + 2)];
    format!("[{}]", all.join(", "))
}

/// Two servers of one value: one sends it as the reply to any command after `qmp_capabilities`, the other as
/// bare bytes.
pub struct Servers {
    pub qmp: PathBuf,
    pub bare: PathBuf,
}

pub fn serve(dir: &Path, name: &str, value: &str) -> Result<Servers> {
    let bind = |kind| {
        let path = dir.join(format!("{name}-{kind}.sock"));
        UnixListener::bind(&path).map(|listener| (path, listener))
    };
    let ((qmp, clients), (bare, readers)) = (bind("qmp")?, bind("bare")?);
    let value: Arc<str> = value.into();
    let bytes = value.clone();
    thread::spawn(move || {
        for client in clients.incoming().flatten() {
            // It does not matter here if a client leaves early.
            let _ = answer(client, &value);
        }
    });
    thread::spawn(move || {
        for mut reader in readers.incoming().flatten() {
            let _ = reader.write_all(bytes.as_bytes());
        }
    });
    Ok(Servers { qmp, bare })
}

fn answer(mut client: UnixStream, value: &str) -> std::io::Result<()> {
    client.write_all(GREETING)?;
    for command in BufReader::new(client.try_clone()?).lines() {
        let command = command?;
        if command.contains("qmp_capabilities") {
            client.write_all(b"{\"return\": {}}\r\n")?;
            continue;
        }
        client.write_all(b"{\"return\": ")?;
        client.write_all(value.as_bytes())?;
        // `id` still contains the request's closing brace.
        let id = command.rsplit_once("\"id\":").map_or("}", |(_, id)| id);
        client.write_all(format!(", \"id\": {id}\r\n").as_bytes())?;
    }
    Ok(())
}

/// Times a run that must write `expected` bytes to the file `output`.
fn time(command: &mut Command, output: &Path, expected: usize) -> Result<Duration> {
    // Remove the last run's output before the clock starts.
    command.stdout(File::create(output)?);
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    let size = fs::metadata(output)?.len();
    ensure!(size == expected as u64, "{command:?} printed {size} bytes");
    Ok(time)
}

/// Times `qmpsh`, a command that still lacks the address.
pub fn ours(mut qmpsh: Command, servers: &Servers, output: &Path, size: usize) -> Result<Duration> {
    qmpsh
        .arg("--connect")
        .arg(&servers.qmp)
        .args(["-o", "json", "query-large"]);
    // Plus the final line break.
    time(&mut qmpsh, output, size + 1)
}

pub fn cat(servers: &Servers, output: &Path, size: usize) -> Result<Duration> {
    let socket = OwnedFd::from(UnixStream::connect(&servers.bare)?);
    time(Command::new("cat").stdin(socket), output, size)
}

/// The peak memory of `qmpsh`, in KiB, once it has printed the reply.
pub fn peak(mut qmpsh: Command, servers: &Servers, output: &Path, size: usize) -> Result<u32> {
    qmpsh
        .arg("--connect")
        .arg(&servers.qmp)
        .args(["-o", "json"]);
    let stdout = File::create(output)?;
    let mut child = Running(qmpsh.stdin(Stdio::piped()).stdout(stdout).spawn()?);
    let mut stdin = child.0.stdin.take().context("a pipe")?;
    stdin.write_all(b"query-large\n")?;
    let deadline = Instant::now() + PATIENCE;
    while fs::metadata(output)?.len() <= size as u64 {
        ensure!(
            Instant::now() < deadline,
            "qmpsh did not print the reply in time"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let peak = memory_of(child.0.id(), "VmHWM")?;
    drop(stdin);
    let status = child.0.wait()?;
    ensure!(status.success(), "qmpsh: {status}");
    Ok(peak)
}

/// A process, killed when dropped if it is still running.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
