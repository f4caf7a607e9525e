//! `--verbose` and `--log`: every message as it passes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::{SecondsFormat, Utc};
use nix::errno::Errno;

use crate::lang::{mask_secrets, quote};
use crate::os::private;
use crate::os::stderr::say;
use crate::qmp::{Direction, Tap};
use crate::render::{compact, escape};

/// Where `--verbose` shows a line.
pub type Echo = Box<dyn Fn(String) + Send + Sync>;

/// The log file, and the thread that writes it: a slow disk must not keep the client from reading.
pub struct Log {
    queue: mpsc::Sender<Entry>,
    /// How many pieces of it are written.
    written: Arc<AtomicU64>,
}

/// How much is written at once.
const PIECE: usize = 64 << 10;

/// How long the log may take for a piece in the end: a FIFO that nobody reads takes nothing, ever.
const STUCK: Duration = Duration::from_millis(300);

enum Entry {
    Line(String),
    /// Asks to be told when everything before it is written.
    Flush(mpsc::Sender<()>),
}

impl Log {
    /// Opens `path` for appending; a new file is for its owner's eyes only.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = private::open(OpenOptions::new().append(true).create(true), path)
            .map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENXIO) => anyhow!("it is a FIFO, and nobody reads it"),
                _ => error.into(),
            })
            .with_context(|| format!("cannot log to {}", path.display()))?;
        let path = path.to_owned();
        let (queue, entries) = mpsc::channel();
        let written = Arc::new(AtomicU64::new(0));
        let progress = written.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut failed = false;
                for entry in entries {
                    match entry {
                        Entry::Line(line) => {
                            for piece in line.as_bytes().chunks(PIECE) {
                                if let Err(error) = file.write_all(piece)
                                    && !failed
                                {
                                    failed = true;
                                    say(format!(
                                        "qmpsh: cannot log to {}: {error}",
                                        path.display()
                                    ));
                                }
                                progress.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Entry::Flush(done) => {
                            let _ = done.send(());
                        }
                    }
                }
            })?;
        Ok(Self { queue, written })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, wait) = mpsc::channel();
        let _ = self.queue.send(Entry::Flush(done));
        // It is waited for as long as it gets anywhere.
        let mut written = None;
        while wait.recv_timeout(STUCK) == Err(RecvTimeoutError::Timeout) {
            let now = Some(self.written.load(Ordering::Relaxed));
            if now == written {
                // Standard error may take nothing either.
                let (said, wait) = mpsc::channel();
                thread::spawn(move || {
                    say("qmpsh: the log takes nothing; its end is lost");
                    let _ = said.send(());
                });
                let _ = wait.recv_timeout(STUCK);
                return;
            }
            written = now;
        }
    }
}

/// What sees every message: `echo` shows it, `log` keeps it. Secrets are masked for both.
pub fn tap(echo: Option<Echo>, log: Option<&Log>) -> Option<Tap> {
    let log = log.map(|log| log.queue.clone());
    if echo.is_none() && log.is_none() {
        return None;
    }
    Some(Arc::new(move |direction, message| {
        let masked = match direction {
            Direction::Send => mask_secrets(message),
            Direction::Receive => None,
        };
        let message = compact(masked.as_deref().unwrap_or(message));
        if let Some(echo) = &echo {
            let arrow = match direction {
                Direction::Send => "->",
                Direction::Receive => "<-",
            };
            echo(format!("{arrow} {}", escape(&message)));
        }
        if let Some(log) = &log {
            let dir = match direction {
                Direction::Send => "send",
                Direction::Receive => "recv",
            };
            let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
            // What a server sends need not be JSON; the log is.
            let message = match serde_json::from_str::<serde::de::IgnoredAny>(&message) {
                Ok(_) => message,
                Err(_) => quote(&message).into(),
            };
            let line =
                format!("{{\"time\": \"{time}\", \"dir\": \"{dir}\", \"msg\": {message}}}\n");
            let _ = log.send(Entry::Line(line));
        }
    }))
}
