//! `--verbose` and `--log`: every message as it passes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context;
use chrono::{SecondsFormat, Utc};

use crate::lang::{mask_secrets, may_have_secret, quote};
use crate::os::private;
use crate::os::stderr::say;
use crate::qmp::{Direction, Tap};
use crate::render::{compact, escape};

/// Where `--verbose` shows a line.
pub type Echo = Box<dyn Fn(String) + Send + Sync>;

/// The log file, and the thread that writes it: a slow disk must not keep the client from reading.
pub struct Log {
    queue: mpsc::Sender<Entry>,
}

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
            .with_context(|| format!("cannot log to {}", path.display()))?;
        let path = path.to_owned();
        let (queue, entries) = mpsc::channel();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut failed = false;
                for entry in entries {
                    match entry {
                        Entry::Line(line) => {
                            if let Err(error) = file.write_all(line.as_bytes())
                                && !failed
                            {
                                failed = true;
                                say(format!("qmpsh: cannot log to {}: {error}", path.display()));
                            }
                        }
                        Entry::Flush(done) => {
                            let _ = done.send(());
                        }
                    }
                }
            })?;
        Ok(Self { queue })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, wait) = mpsc::channel();
        if self.queue.send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv();
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
            // A server misspells nothing.
            Direction::Receive if !may_have_secret(message) => None,
            _ => mask_secrets(message),
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
