//! Formats values, errors and events as text.

mod columns;
mod escape;
mod event;
mod json;
mod picture;
mod prose;
mod records;
mod table;
mod theme;
mod tree;
mod watch;

use std::borrow::Cow;
use std::env;
use std::io;

use crate::qmp::{Event, Late, Notice};
use crate::transport::Endpoint;

pub use columns::{cell, columns, height, width};
pub use escape::{abridge, clip, clip_text, escape, escape_line};
pub use event::event_line;
pub use json::{compact, pretty};
pub use picture::{Answers, GRAPHICS_QUERY, Graphics, Picture, half_blocks};
pub use prose::{prose, wrap};
pub use records::{Layout, bytes, cut_end, records};
pub use table::table;
pub use theme::{Role, error, read_style, set_theme, without_styles};
pub use tree::{Tree, trees};
pub use watch::Watched;

/// The rows of the terminal that a picture leaves for the line before it and the prompt after it.
const OTHER_ROWS: usize = 2;

/// What shows a picture on a terminal that has such graphics.
///
/// # Errors
///
/// It is too large to be encoded.
pub fn drawn(picture: &Picture, graphics: Graphics) -> io::Result<String> {
    let (columns, rows) = cell();
    let height = height().saturating_sub(OTHER_ROWS).max(1);
    graphics.show(picture, (columns * width().max(1), rows * height))
}

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
    /// Lists of objects as tables, other values as with `auto`
    Table,
    /// Strings without quotes, other values as JSON
    Raw,
}

/// How values are printed, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub format: Format,
    pub color: bool,
    /// Whether the output is a terminal.
    pub terminal: bool,
}

impl Style {
    /// Formats a value, given as JSON text, followed by a line break.
    pub fn value(self, json: &str) -> String {
        line(self.text(json))
    }

    /// Like [`Self::value`], without the line break. Copies the text only if it changes.
    pub fn text(self, json: &str) -> Cow<'_, str> {
        match self.format {
            Format::Raw => self.raw(json),
            Format::Pretty => pretty(json, self.color).into(),
            Format::Auto if self.terminal => self.for_a_person(json),
            Format::Table => self.table(json),
            Format::Auto | Format::Json => compact(json),
        }
    }

    /// How tables and trees are laid out: as wide as the terminal, or as wide as they need to be if there is none.
    pub fn layout(self) -> Layout {
        Layout {
            width: self.terminal.then(width),
            color: self.color,
        }
    }

    /// A picture in the characters of a terminal. `None` if there is no terminal with colours.
    pub fn picture(self, picture: &Picture) -> Option<String> {
        if !self.terminal || !self.color {
            return None;
        }
        let exact = matches!(env::var("COLORTERM").as_deref(), Ok("truecolor" | "24bit"));
        let rows = height().saturating_sub(OTHER_ROWS);
        Some(half_blocks(picture, width(), rows, exact))
    }

    fn table(self, json: &str) -> Cow<'_, str> {
        match records(json, self.layout()) {
            Some(table) => table.into(),
            None if self.terminal => self.for_a_person(json),
            None => compact(json).into_owned().into(),
        }
    }

    /// Indented JSON, but the text itself of a string that has several lines.
    fn for_a_person(self, json: &str) -> Cow<'static, str> {
        if json.starts_with('"')
            && json.contains('\\')
            && let Ok(text) = serde_json::from_str::<String>(json)
            && text.contains('\n')
        {
            return escape(&text.replace("\r\n", "\n")).into_owned().into();
        }
        pretty(json, self.color).into()
    }

    /// Whether a person reads the output and has not asked for JSON.
    pub fn is_for_a_person(self) -> bool {
        matches!(self.format, Format::Auto | Format::Table) && self.terminal
    }

    /// Formats an event, followed by a line break: for a person as a line, otherwise as JSON.
    pub fn event(self, event: &Event) -> String {
        match self.format {
            _ if self.is_for_a_person() => event_line(event, self.color) + "\n",
            Format::Raw | Format::Table => compact(event.text()).into_owned() + "\n",
            _ => self.value(event.text()),
        }
    }

    fn raw(self, json: &str) -> Cow<'_, str> {
        match serde_json::from_str::<String>(json) {
            // A pipe leads to a program, which wants the text unchanged.
            Ok(text) if self.terminal => escape(&text.replace("\r\n", "\n")).into_owned().into(),
            Ok(text) => text.into(),
            Err(_) => compact(json),
        }
    }
}

/// Returns `text`, followed by a line break unless it has one.
pub fn line(text: Cow<'_, str>) -> String {
    let mut line = text.into_owned();
    line.push_str(line_end(&line));
    line
}

/// The line break that `text` lacks, or nothing.
pub fn line_end(text: &str) -> &'static str {
    if text.ends_with('\n') { "" } else { "\n" }
}

/// Formats a late reply, or what happened instead, on one line.
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

/// Formats a notice as a sentence or two.
pub fn notice(notice: &Notice) -> String {
    let text = match notice {
        Notice::Late(late) => return self::late(late),
        Notice::Silent(text) | Notice::Said(text) => text.clone(),
        Notice::Waiting(error) => clip(&format!("{error}; retrying")).into_owned(),
        Notice::Lost {
            endpoint,
            ending,
            again,
        } => {
            let next = match (endpoint, again) {
                (Endpoint::Launched(_), _) => "Use `:vm restart` to start the VM again.",
                (Endpoint::Listen(_), true) => "Waiting for the next connection.",
                (_, true) => "Reconnecting; `:connect` retries at once, `:disconnect` gives up.",
                (_, false) => "Use `:connect` to reconnect.",
            };
            let space = if *again { '\n' } else { ' ' };
            let ending = escape_line(&ending.to_string()).into_owned();
            format!("Connection lost: {ending}.{space}{next}")
        }
        Notice::Back(endpoint) => clip(&format!("reconnected to {endpoint}")).into_owned(),
        Notice::GivenUp(error) => {
            clip(&format!("{error}. Giving up; use `:connect` to try again.")).into_owned()
        }
    };
    clip_text(&text).into_owned()
}

/// Formats a whole reply, `{"return": …}` or `{"error": …}`, with its id if the user gave one.
pub fn envelope(json: &str, failed: bool, id: Option<&str>) -> String {
    let key = if failed { "error" } else { "return" };
    let id = id.map_or(Cow::Borrowed(""), |id| format!(", \"id\": {id}").into());
    format!("{{\"{key}\": {json}{id}}}")
}
/// Formats a duration given in seconds, rounded to the second.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
