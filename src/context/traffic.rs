//! `--verbose` and `--log`: every message as it passes.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context;
use chrono::{SecondsFormat, Utc};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lang::{MASKED, mask_secrets, may_have_secret, names_secret, quote};
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
    let asked = Mutex::new(Asked::default());
    Some(Arc::new(move |direction, message| {
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
