//! How much `:watch` writes to the terminal, on a VM whose guest reads from its disk without a pause.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::server::Server;

/// How long to watch.
const LENGTH: Duration = Duration::from_secs(60);

/// Reads a sector from the disk with the BIOS, for ever.
const BOOT: [u8; 16] = [
    0xb8, 0x01, 0x02, // again: mov ax, 0x0201
    0xbb, 0x00, 0x80, // mov bx, 0x8000
    0xb9, 0x02, 0x00, // mov cx, 2
    0xba, 0x80, 0x00, // mov dx, 0x80
    0xcd, 0x13, // int 0x13
    0xeb, 0xf0, // jmp again
];

/// Begins and ends each redraw (synchronized output).
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// The machine, with its disks in `dir`.
pub fn machine(dir: &Path) -> Result<Server> {
    let mut sectors = vec![0; 1 << 20];
    sectors[..BOOT.len()].copy_from_slice(&BOOT);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut command = Server::command();
    command.args(["-machine", "pc", "-display", "none", "-nodefaults"]);
    for number in 0..4 {
        let disk = dir.join(format!("disk{number}"));
        fs::write(&disk, &sectors)?;
        let disk = disk.display();
        let drive = format!("file={disk},format=raw,if=ide,index={number}");
        command.args(["-drive", &drive]);
    }
    command.stdout(Stdio::null());
    Server::monitored(command, dir)
}

/// Watches `query-blockstats` in the shell that `shell` starts, and prints what that writes.
pub fn measure(shell: CommandBuilder) -> Result<()> {
    let size = PtySize {
        rows: 24,
        cols: 100,
        ..PtySize::default()
    };
    let pair = native_pty_system().openpty(size)?;
    let mut output = pair.master.try_clone_reader()?;
    let mut input = pair.master.take_writer()?;
    let mut process = pair.slave.spawn_command(shell)?;
    drop(pair.slave);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        let _ = output.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    });
    // What is typed ahead is kept.
    thread::sleep(Duration::from_secs(2));
    let started = Instant::now();
    input.write_all(b":watch query-blockstats\r")?;
    thread::sleep(LENGTH);
    input.write_all(b"q")?;
    let watched = started.elapsed();
    thread::sleep(Duration::from_secs(1));
    input.write_all(b"\x04")?;
    process.wait()?;
    drop(pair.master);
    let all = reader.join().unwrap_or_default();
    let redraws: Vec<&str> = all
        .split(BEGIN)
        .filter_map(|part| part.split_once(END))
        .map(|(redraw, _)| redraw)
        .filter(|redraw| redraw.contains("\x1b[K"))
        .collect();
    ensure!(redraws.len() > 1, "{} redraws", redraws.len());
    let (first, rest) = redraws.split_first().expect("there are some");
    let sizes = rest
        .iter()
        .map(|redraw| BEGIN.len() + redraw.len() + END.len());
    let (sum, most) = (sizes.clone().sum::<usize>(), sizes.max().unwrap_or(0));
    let seconds = watched.as_secs();
    println!("\n:watch query-blockstats of 4 disks, of which one is read, for {seconds} s");
    println!(
        "  {} redraws; the first has {} bytes",
        redraws.len(),
        first.len()
    );
    println!(
        "  the others have {} bytes on average, {most} at the most",
        sum / rest.len()
    );
    let erased = rest.iter().filter(|redraw| redraw.contains("\x1b[J"));
    println!(
        "  {} of them erase more than the rest of a line that they write",
        erased.count()
    );
    Ok(())
}
