//! Events as JSON lines: a server that floods its clients with events, and qmpsh printing them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

const GREETING: &str = "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \
                        \"package\": \"flood\"}, \"capabilities\": [\"oob\"]}}\r\n";

/// Sends every client a flood of `count` numbered events, `rounds` times over, in reply to the command `stop`.
pub fn serve(dir: &Path, count: usize, rounds: usize) -> Result<PathBuf> {
    let socket = dir.join("e.sock");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)?;
    // Formatted as QEMU formats them.
    let event = |n| {
        format!(
            "{{\"timestamp\": {{\"seconds\": 1700000000, \"microseconds\": {n}}}, \"event\": \"BLOCK_IO_ERROR\", \
             \"data\": {{\"device\": \"virtio0\", \"node-name\": \"disk0\", \"operation\": \"write\", \"n\": {n}}}}}\r\n"
        )
    };
    let flood: String = (0..count).map(event).collect();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // It does not matter here if a client leaves early.
            let _ = flood_client(client, &flood, rounds);
        }
    });
    Ok(socket)
}

fn flood_client(mut client: UnixStream, flood: &str, rounds: usize) -> std::io::Result<()> {
    client.write_all(GREETING.as_bytes())?;
    for command in BufReader::new(client.try_clone()?).lines() {
        let command = command?;
        if command.contains("\"stop\"") {
            for _ in 0..rounds {
                client.write_all(flood.as_bytes())?;
            }
        }
        let id = command.rsplit_once("\"id\":");
        let id = id.map_or(String::new(), |(_, id)| format!(", \"id\": {id}"));
        // The text after `"id": ` still contains the request's closing brace.
        let end = if id.is_empty() { "}" } else { "" };
        client.write_all(format!("{{\"return\": {{}}{id}{end}\r\n").as_bytes())?;
    }
    Ok(())
}

/// Times a run that prints `count` events into a file, and checks that all are there and in order.
pub fn print_all(command: &mut Command, output: &Path, count: usize) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(File::create(output)?);
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    let printed = fs::read_to_string(output)?;
    let mut lines = printed.lines();
    for n in 0..count {
        let line = lines
            .next()
            .with_context(|| format!("event {n} is missing"))?;
        ensure!(
            line.ends_with(&format!("\"n\": {n}}}}}")),
            "expected event {n}, got {line:?}"
        );
    }
    ensure!(
        lines.count() == 1,
        "there is more than the reply after the events"
    );
    Ok(time)
}
