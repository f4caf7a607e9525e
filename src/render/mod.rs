//! Values, errors and events as text.

mod columns;
mod escape;
mod event;
mod json;
mod table;

use std::borrow::Cow;

use crate::qmp::{Event, Late, Notice};
use crate::transport::Endpoint;

pub use columns::{columns, width};
pub use escape::{clip, clip_text, escape, escape_line};
pub use event::event_line;
pub use json::{compact, pretty};
pub use table::table;

/// How values are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `pretty` on a terminal, `json` elsewhere
    #[default]
    Auto,
    /// JSON, indented
    Pretty,
    /// JSON, a value a line
    Json,
    /// Columns
    #[value(hide = true)]
    Table,
    /// Strings without quotes, other values as JSON
    Raw,
}

/// How, and for whom, values are printed.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub format: Format,
    pub color: bool,
    /// Whether a person's terminal is at the other end.
    pub terminal: bool,
}

impl Style {
    /// A value, given as JSON text, in this style and with a line break behind it.
    pub fn value(self, json: &str) -> String {
        line(self.text(json))
    }

    /// The same without the line break, and without a copy where the value is shown as it is.
    pub fn text(self, json: &str) -> Cow<'_, str> {
        match self.format {
            Format::Raw => self.raw(json),
            Format::Pretty => pretty(json, self.color).into(),
            Format::Auto if self.terminal => pretty(json, self.color).into(),
            Format::Auto | Format::Json | Format::Table => compact(json),
        }
    }

    /// Whether a person reads it, and has not asked for JSON.
    pub fn is_for_a_person(self) -> bool {
        self.format == Format::Auto && self.terminal
    }

    /// An event in this style, with a line break behind it: for a person a line that could be pasted, else its JSON.
    pub fn event(self, event: &Event) -> String {
        match self.format {
            _ if self.is_for_a_person() => event_line(event, self.color) + "\n",
            Format::Raw => compact(event.text()).into_owned() + "\n",
            _ => self.value(event.text()),
        }
    }

    fn raw(self, json: &str) -> Cow<'_, str> {
        match serde_json::from_str::<String>(json) {
            // What goes into a pipe is for a program, which wants it as it is.
            Ok(text) if self.terminal => escape(&text.replace("\r\n", "\n")).into_owned().into(),
            Ok(text) => text.into(),
            Err(_) => compact(json),
        }
    }
}

/// `text` with a line break behind it, unless it has one.
pub fn line(text: Cow<'_, str>) -> String {
    let mut line = text.into_owned();
    line.push_str(line_end(&line));
    line
}

/// The line break that `text` lacks.
pub fn line_end(text: &str) -> &'static str {
    if text.ends_with('\n') { "" } else { "\n" }
}

/// What became of a command that nobody waits for any more, on one line.
fn late(late: &Late) -> String {
    match &late.outcome {
        Ok(reply) => {
            let to = late.name.as_deref().unwrap_or("a message");
            let reply = envelope(reply.raw(), reply.failed(), None);
            format!("late reply to `{}`: {}", clip(to), clip(&compact(&reply)))
        }
        Err(error) => clip(&error.to_string()).into_owned(),
    }
}

/// A notice, as a sentence or two.
pub fn notice(notice: &Notice) -> String {
    let text = match notice {
        Notice::Late(late) => return self::late(late),
        Notice::Silent(text) | Notice::Said(text) => text.clone(),
        Notice::Waiting(error) => clip(&format!("{error}; trying again")).into_owned(),
        Notice::Lost {
            endpoint,
            ending,
            again,
        } => {
            let next = match (endpoint, again) {
                (Endpoint::Launched(_), _) => "`:vm restart` starts the VM again.",
                (Endpoint::Listen(_), true) => "Waiting for the next one.",
                (_, true) => "Trying again; `:connect` does so at once, `:disconnect` gives up.",
                (_, false) => "`:connect` connects again.",
            };
            let space = if *again { '\n' } else { ' ' };
            let ending = escape_line(&ending.to_string()).into_owned();
            format!("The connection is gone: {ending}.{space}{next}")
        }
        Notice::Back(endpoint) => format!("connected again to {endpoint}"),
        Notice::GivenUp(error) => {
            clip(&format!("{error}. No longer trying; `:connect` does.")).into_owned()
        }
    };
    clip_text(&text).into_owned()
}

/// A whole reply: `{"return": …}` or `{"error": …}`, with the id if the user gave one.
pub fn envelope(json: &str, failed: bool, id: Option<&str>) -> String {
    let key = if failed { "error" } else { "return" };
    let id = id.map_or(Cow::Borrowed(""), |id| format!(", \"id\": {id}").into());
    format!("{{\"{key}\": {json}{id}}}")
}
