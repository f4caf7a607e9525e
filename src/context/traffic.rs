//! `--verbose` and `--log`: prints and logs every message.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::log::{Log, now};
use crate::lang::{MASKED, mask_secrets, mask_text, may_have_secret, names_secret, quote};
use crate::qmp::{Direction, Passing, Tap};
use crate::render::{compact, escape_line};

/// Prints a line for `--verbose`.
pub type Echo = Box<dyn Fn(String) + Send + Sync>;

/// Creates the tap that passes every message to `echo` and `log`, with secrets masked. `None` if there is
/// neither.
pub fn tap(echo: Option<Echo>, log: Option<&Log>) -> Option<Tap> {
    let log = log.map(Log::queue);
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
            // A server may send invalid JSON; the log must stay valid.
            let message = match serde_json::from_str::<serde::de::IgnoredAny>(&message) {
                Ok(_) => message,
                Err(_) => quote(&message).into(),
            };
            let connection = passing.connection;
            let mut line = format!("{{{}, \"dir\": \"{dir}\"", now());
            if connection > 0 {
                line += &format!(", \"conn\": {connection}");
            }
            if let Some(from) = passing.from {
                line += &format!(", \"from\": {}", quote(&mask_text(from)));
            }
            if passing.quiet {
                line += ", \"unasked\": true";
            }
            if passing.descriptors > 0 {
                line += &format!(", \"fds\": {}", passing.descriptors);
            }
            line += &format!(", \"msg\": {message}}}\n");
            log.push(line);
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
