//! The file of `--log`, written by a thread of its own.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use nix::errno::Errno;

use crate::failure::Failure;
use crate::os::private;
use crate::os::stderr::say;

/// How much is written at once.
const PIECE: usize = 64 << 10;

/// How long the last write to the log may take. A FIFO that nobody reads would block for ever.
const STUCK: Duration = Duration::from_millis(300);

/// How many bytes may wait to be written. What comes while so many wait is dropped.
const MOST_WAITING: usize = 8 << 20;

/// The log file, and the thread that writes it, so that a slow disk does not keep the client from reading.
/// Dropping it waits until everything is written.
pub struct Log {
    queue: Queue,
}

/// The lines that wait to be written.
#[derive(Clone)]
pub(super) struct Queue {
    entries: mpsc::Sender<Entry>,
    state: Arc<State>,
}

/// What those who queue lines and the thread that writes them tell each other.
#[derive(Default)]
struct State {
    /// How many bytes wait.
    waiting: AtomicUsize,
    /// How many lines were dropped since the last that was queued.
    dropped: AtomicU64,
    /// The user knows that lines are dropped.
    told: AtomicBool,
    /// How many pieces are written.
    written: AtomicU64,
}

enum Entry {
    Line(String),
    /// Sends a signal once everything before it is written.
    Flush(mpsc::Sender<()>),
}

impl Log {
    /// Opens `path` for appending. A new file is readable only by its owner.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or the thread not started.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file =
            private::open(OpenOptions::new().append(true).create(true), path).map_err(|error| {
                match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::ENXIO) => cannot_log(path, &"it is a FIFO that nobody reads"),
                    _ => cannot_log(path, &error),
                }
            })?;
        let (entries, queued) = mpsc::channel();
        let queue = Queue {
            entries,
            state: Arc::default(),
        };
        let writer = Writer {
            path: path.to_owned(),
            file,
            state: queue.state.clone(),
            failed: false,
        };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_all(&queued))?;
        Ok(Self { queue })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }
}

impl Queue {
    /// Adds a line, which ends in a line break, or drops it if too much waits already.
    pub fn push(&self, line: String) {
        let waiting = self.state.waiting.load(Ordering::Relaxed);
        // A line that finds nothing before it may be of any length.
        if waiting > 0 && waiting + line.len() > MOST_WAITING {
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
            if !self.state.told.swap(true, Ordering::Relaxed) {
                // Standard error may take nothing either.
                thread::spawn(|| {
                    say("qmpsh: the log is written too slowly; messages are left out of it");
                });
            }
            return;
        }
        self.report_dropped();
        self.send(line);
    }

    /// Where messages were left out, the log says so.
    fn report_dropped(&self) {
        let dropped = self.state.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.send(format!("{{{}, \"dropped\": {dropped}}}\n", now()));
        }
    }

    fn send(&self, line: String) {
        self.state.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let _ = self.entries.send(Entry::Line(line));
    }
}

/// Writes the log.
struct Writer {
    path: PathBuf,
    file: File,
    state: Arc<State>,
    failed: bool,
}

impl Writer {
    fn write_all(mut self, queued: &mpsc::Receiver<Entry>) {
        for entry in queued {
            match entry {
                Entry::Line(line) => {
                    self.write(&line);
                    self.state.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                }
                Entry::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, line: &str) {
        for piece in line.as_bytes().chunks(PIECE) {
            if let Err(error) = self.file.write_all(piece)
                && !self.failed
            {
                self.failed = true;
                say(format!("qmpsh: {}", cannot_log(&self.path, &error)));
            }
            self.state.written.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The member of a line that says when it was added.
pub(super) fn now() -> String {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    format!("\"time\": \"{time}\"")
}

fn cannot_log(path: &Path, error: &dyn Display) -> Failure {
    Failure::Local(format!("cannot log to {}: {error}", path.display()))
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.report_dropped();
        let (done, wait) = mpsc::channel();
        let _ = self.queue.entries.send(Entry::Flush(done));
        // It is waited for as long as it gets anywhere.
        let mut written = None;
        while wait.recv_timeout(STUCK) == Err(RecvTimeoutError::Timeout) {
            let now = Some(self.queue.state.written.load(Ordering::Relaxed));
            if now == written {
                // Standard error may take nothing either.
                let (said, wait) = mpsc::channel();
                thread::spawn(move || {
                    say("qmpsh: writing to the log is blocked; its last messages are lost");
                    let _ = said.send(());
                });
                let _ = wait.recv_timeout(STUCK);
                return;
            }
            written = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_waits_is_bounded_and_the_log_says_what_was_left_out() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let fifo = home.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO of ours");
        // It is open for reading, and not read yet.
        let reader = OpenOptions::new().read(true).write(true).open(&fifo);
        let lines = BufReader::new(reader.expect("a FIFO of ours")).lines();
        let log = Log::open(&fifo).expect("a log");
        let queue = log.queue();
        let long = format!("{}\n", "x".repeat(1 << 20));
        for _ in 0..24 {
            queue.push(long.clone());
        }
        let waiting = || queue.state.waiting.load(Ordering::Relaxed);
        assert!(waiting() <= MOST_WAITING, "{}", waiting());

        let (sender, received) = mpsc::channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        while waiting() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        queue.push("next\n".to_owned());
        let lines: Vec<String> = received.iter().take_while(|line| line != "next").collect();
        let (last, whole) = lines.split_last().expect("what was left out");
        let dropped = 24 - whole.len();
        assert!(
            last.ends_with(&format!("\"dropped\": {dropped}}}")),
            "{last}"
        );
    }
}
