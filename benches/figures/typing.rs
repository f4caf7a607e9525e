//! How long a typed key takes to appear in the shell in a flood of events.

use std::io::{Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::PATIENCE;

/// The text to type; it is never sent.
const TEXT: &str = "blockdev-snapshot-sync node-name=abcdefgh snapshot-file=ijklmnopqrst.qcow2";

/// Starts the shell, has it request the flood, and types. Returns how long each key took to appear, in seconds.
pub fn echoes(command: CommandBuilder, ask: &str) -> Result<Vec<f64>> {
    let size = PtySize {
        rows: 24,
        cols: 120,
        ..PtySize::default()
    };
    let pair = native_pty_system().openpty(size)?;
    let output = pair.master.try_clone_reader()?;
    let mut input = pair.master.take_writer()?;
    let mut shell = pair.slave.spawn_command(command)?;
    drop(pair.slave);
    let mut screen = Screen {
        chunks: read_on(output),
        parser: vt100::Parser::new(size.rows, size.cols, 0),
    };
    let result = type_text(&mut input, &mut screen, ask);
    shell.kill()?;
    shell.wait()?;
    result
}

fn type_text(input: &mut impl Write, screen: &mut Screen, ask: &str) -> Result<Vec<f64>> {
    screen.wait_for("(QEMU ")?;
    input.write_all(format!("{ask} &\r").as_bytes())?;
    screen.wait_for(" more events (")?;
    let mut times = Vec::new();
    for end in 1..=TEXT.len() {
        // As fast as a fast typist.
        thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        input.write_all(&TEXT.as_bytes()[end - 1..end])?;
        screen.wait_for(&format!(") {}", &TEXT[..end]))?;
        times.push(start.elapsed().as_secs_f64());
    }
    // Check that the flood lasted until the end.
    screen.wait_for_change()?;
    Ok(times)
}

/// What the shell has on its screen.
struct Screen {
    chunks: Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl Screen {
    fn wait_for(&mut self, text: &str) -> Result<()> {
        while !self.parser.screen().contents().contains(text) {
            self.wait_for_change()?;
        }
        Ok(())
    }

    fn wait_for_change(&mut self) -> Result<()> {
        match self.chunks.recv_timeout(PATIENCE) {
            Ok(chunk) => self.parser.process(&chunk),
            Err(_) => bail!(
                "timed out; the screen shows {}",
                self.parser.screen().contents()
            ),
        }
        Ok(())
    }
}

fn read_on(mut output: Box<dyn Read + Send>) -> Receiver<Vec<u8>> {
    let (sender, chunks) = mpsc::channel();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(size @ 1..) = output.read(&mut chunk) {
            if sender.send(chunk[..size].to_vec()).is_err() {
                break;
            }
        }
    });
    chunks
}
