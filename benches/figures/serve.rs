//! One monitor served to many clients: the rate and latency of one of them, and events to a hundred.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::PATIENCE;

/// A qmpsh that serves a monitor. It is killed when this is dropped.
pub struct Serving {
    child: Child,
    pub socket: PathBuf,
}

impl Serving {
    /// Serves the monitor at `vm` at a socket in `dir`.
    pub fn start(mut qmpsh: Command, vm: &Path, dir: &Path) -> Result<Self> {
        let socket = dir.join("served.sock");
        let child = qmpsh
            .arg("-c")
            .arg(vm)
            .arg("--serve")
            .arg(&socket)
            .stdin(Stdio::null())
            .spawn()?;
        let serving = Self { child, socket };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&serving.socket).is_err() {
            ensure!(Instant::now() < deadline, "qmpsh does not serve in time");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has `clients` clients read `count` numbered events each, which the command `stop` sets off, and checks that all are
/// there and in order. Returns the time from the command to the last event.
pub fn read_events(socket: &Path, clients: usize, count: usize) -> Result<Duration> {
    let mut readers = Vec::new();
    for _ in 0..clients {
        readers.push(negotiated(socket)?);
    }
    let mut starter = negotiated(socket)?;
    let start = Instant::now();
    starter.get_mut().write_all(b"{\"execute\":\"stop\"}\n")?;
    let readers: Vec<_> = readers
        .into_iter()
        .map(|reader| thread::spawn(move || read_all(reader, count)))
        .collect();
    let starter = thread::spawn(move || read_all(starter, count));
    for reader in readers {
        reader.join().expect("it does not panic")?;
    }
    let time = start.elapsed();
    starter.join().expect("it does not panic")?;
    Ok(time)
}

fn negotiated(socket: &Path) -> Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::with_capacity(256 << 10, stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let negotiate = b"{\"execute\":\"qmp_capabilities\"}\n";
    stream.get_mut().write_all(negotiate)?;
    stream.read_line(&mut line)?;
    ensure!(line.contains("\"return\""), "not negotiated: {line}");
    Ok(stream)
}

fn read_all(mut reader: BufReader<UnixStream>, count: usize) -> Result<()> {
    let mut line = String::new();
    for n in 0..count {
        line.clear();
        reader.read_line(&mut line).context("an event")?;
        let expected = format!("\"n\": {n}}}}}");
        ensure!(
            line.trim_end().ends_with(&expected),
            "expected event {n}, got {line:?}"
        );
    }
    Ok(())
}

/// What keeps a server busy beside a client whose commands are timed.
#[derive(Clone, Copy)]
pub enum Neighbour {
    None,
    /// Sends commands as fast as it can, and reads the replies.
    Flood,
    /// Sends commands, and reads nothing.
    Deaf,
    /// Sends messages of 64 MiB that are no commands.
    Large,
    /// Sends what is not JSON.
    Garbage,
}

impl Neighbour {
    pub const ALL: [(&str, Self); 5] = [
        ("alone", Self::None),
        ("flood", Self::Flood),
        ("reads none", Self::Deaf),
        ("64 MiB", Self::Large),
        ("garbage", Self::Garbage),
    ];

    fn text(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Flood | Self::Deaf => b"{\"execute\":\"query-version\"}\n".repeat(100),
            Self::Large => {
                let lists = "[],".repeat((63 << 20) / 3);
                format!("{{\"arguments\": [{lists}[]], \"x\": 1}}\n").into()
            }
            Self::Garbage => b"<garbage>\xff{]\n".repeat(10_000),
        }
    }
}

/// Times `count` commands of a client at `socket`, one after the other, beside `neighbour`.
pub fn latencies(socket: &Path, neighbour: Neighbour, count: usize) -> Result<Vec<f64>> {
    let beside = negotiated(socket)?.into_inner();
    let reading = beside.try_clone()?;
    let text = neighbour.text();
    let reader = thread::spawn(move || {
        let mut reading = BufReader::new(reading);
        let reads = !matches!(neighbour, Neighbour::Deaf | Neighbour::None);
        while reads && matches!(reading.skip_until(b'\n'), Ok(1..)) {}
    });
    let mut writing = beside.try_clone()?;
    let writer =
        thread::spawn(move || while !text.is_empty() && writing.write_all(&text).is_ok() {});
    let mut client = negotiated(socket)?;
    let mut times = Vec::new();
    let mut line = String::new();
    for _ in 0..count {
        let start = Instant::now();
        let command = b"{\"execute\":\"query-status\"}\n";
        client.get_mut().write_all(command)?;
        line.clear();
        client.read_line(&mut line)?;
        times.push(start.elapsed().as_secs_f64());
        ensure!(line.contains("\"running\""), "not a status: {line}");
    }
    beside.shutdown(std::net::Shutdown::Both)?;
    writer.join().expect("it does not panic");
    reader.join().expect("it does not panic");
    Ok(times)
}
