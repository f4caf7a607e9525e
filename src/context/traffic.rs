//! `--verbose` and `--log`: prints and logs every message.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use nix::errno::Errno;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::lang::{MASKED, mask_secrets, mask_text, may_have_secret, names_secret, quote};
use crate::os::private;
use crate::os::stderr::say;
use crate::qmp::{Direction, Passing, Tap};
use crate::render::{compact, escape_line};

/// Prints a line for `--verbose`.
pub type Echo = Box<dyn Fn(String) + Send + Sync>;

/// The log file, and the thread that writes it, so that a slow disk does not keep the client from reading.
/// Dropping it waits until everything is written.
pub struct Log {
    queue: mpsc::Sender<Entry>,
    /// How many pieces of it are written.
    written: Arc<AtomicU64>,
}

/// How much is written at once.
const PIECE: usize = 64 << 10;

/// How long the last write to the log may take. A FIFO that nobody reads would block for ever.
const STUCK: Duration = Duration::from_millis(300);

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
        let mut file =
            private::open(OpenOptions::new().append(true).create(true), path).map_err(|error| {
                match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::ENXIO) => cannot_log(path, &"it is a FIFO that nobody reads"),
                    _ => cannot_log(path, &error),
                }
            })?;
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
                                    say(format!("qmpsh: {}", cannot_log(&path, &error)));
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

fn cannot_log(path: &Path, error: &dyn Display) -> Failure {
    Failure::Local(format!("cannot log to {}: {error}", path.display()))
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

/// Creates the tap that passes every message to `echo` and `log`, with secrets masked. `None` if there is
/// neither.
pub fn tap(echo: Option<Echo>, log: Option<&Log>) -> Option<Tap> {
    let log = log.map(|log| log.queue.clone());
    if echo.is_none() && log.is_none() {
        return None;
    }
    let asked = Mutex::new(Asked::default());
    Some(Arc::new(move |passing: &Passing<'_>| {
        let (direction, message) = (passing.direction, passing.text);
        let masked = match direction {
            Direction::Send => {
                asked.lock().sent(message);
                mask_secrets(message)
            }
            Direction::Receive => {
                match asked.lock().received(message) {
                    // A server misspells nothing, so a quick look will do.
                    None if may_have_secret(message) => mask_secrets(message),
                    answer => answer,
                }
            }
            Direction::Note => None,
        };
        let message = compact(masked.as_deref().unwrap_or(message));
        if let Some(echo) = &echo {
            let arrow = match direction {
                Direction::Send => "->",
                Direction::Receive => "<-",
                Direction::Note => "--",
            };
            let from = passing
                .from
                .map_or(String::new(), |from| format!("{from}: "));
            echo(format!(
                "{arrow} {}{}",
                escape_line(&from),
                escape_line(&message)
            ));
        }
        if let Some(log) = &log {
            let dir = match direction {
                Direction::Send => "send",
                Direction::Receive => "recv",
                Direction::Note => "note",
            };
            let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
            // A server may send invalid JSON; the log must stay valid.
            let message = match serde_json::from_str::<serde::de::IgnoredAny>(&message) {
                Ok(_) => message,
                Err(_) => quote(&message).into(),
            };
            let connection = passing.connection;
            let mut line = format!("{{\"time\": \"{time}\", \"dir\": \"{dir}\"");
            if connection > 0 {
                line += &format!(", \"conn\": {connection}");
            }
            if let Some(from) = passing.from {
                line += &format!(", \"from\": {}", quote(&mask_text(from)));
            }
            if passing.descriptors > 0 {
                line += &format!(", \"fds\": {}", passing.descriptors);
            }
            line += &format!(", \"msg\": {message}}}\n");
            let _ = log.send(Entry::Line(line));
        }
    }))
}

/// The questions for secrets that are not answered yet, by their ids: an answer has no key to know it by.
#[derive(Default)]
struct Asked(HashSet<String>);

#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    arguments: QuestionArguments,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct QuestionArguments {
    property: Option<String>,
    command_line: Option<String>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "return")]
    value: &'a RawValue,
}

impl Asked {
    fn sent(&mut self, message: &str) {
        // QMP's `qom-get`, and the human monitor's.
        if !message.contains("qom-get") {
            return;
        }
        let Ok(Question { id, arguments }) = serde_json::from_str(message) else {
            return;
        };
        let line = arguments.command_line.unwrap_or_default();
        let mut names = arguments.property.iter().map(String::as_str);
        if names.any(names_secret) || line.split_whitespace().any(names_secret) {
            self.0.insert(id.map_or("", RawValue::get).to_owned());
        }
    }

    /// The message masked, if it is the answer to such a question.
    fn received(&mut self, message: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let Answer { id, value } = serde_json::from_str(message).ok()?;
        let id = id.map_or("", RawValue::get);
        let (before, after) = message.split_once(value.get())?;
        self.0
            .remove(id)
            .then(|| format!("{before}{MASKED}{after}"))
    }
}
