//! The built-ins: one table, which running, help, completion and the man page all read.

mod background;
mod connection;
mod events;
mod general;
mod help;
mod jobs;
mod listeners;
mod timers;
mod vm;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::agenda::Row;
use crate::failure::Failure;
use crate::lang::{self, Command, any_of, nearest};
use crate::qmp::{Client, Event};
use crate::render::table;
use crate::runner::Runner;
use crate::vm::{Console, Follow};

/// A built-in.
pub struct Builtin {
    /// Its name, without the colon.
    pub name: &'static str,
    /// What goes behind the name.
    pub synopsis: &'static str,
    /// What it does, as a line without its full stop.
    pub summary: &'static str,
    /// More about it, in whole sentences; possibly empty.
    pub help: &'static str,
    /// How its arguments complete.
    pub completes: Completes,
    run: for<'a> fn(&'a Runner, &'a lang::BuiltinLine) -> Run<'a>,
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send + 'a>>;

/// How the arguments of a built-in complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    Nothing,
    /// A command that may run out of band, and its line.
    OobCommands,
    /// A time, and behind it a line.
    Line,
    /// One of these words, and behind it a job.
    Jobs(&'static [&'static str]),
    /// A QMP command or a built-in.
    Topics,
    /// Events or one of these words, and behind them what the events' data has; a line behind `do`.
    Events(&'static [&'static str]),
    /// A path.
    Files,
    /// One of these words, and behind it one of those.
    Words(&'static [(&'static str, &'static [&'static str])]),
}

/// What a built-in leads to.
pub enum Outcome {
    /// Text to print.
    Text(String),
    /// The same, and a sentence about it that is no value.
    Noted { text: String, notice: String },
    /// An event that was waited for.
    Event(Arc<Event>),
    /// A command to send in its place.
    Command(Command),
    /// A sentence that is no value.
    Notice(String),
    /// There is a connection that was asked for.
    Connected(Arc<Client>),
    /// A file to show as it grows, until the user has seen enough.
    Follow(Follow),
    /// A console for the terminal to be attached to.
    Console(Arc<Console>),
    /// The end of the run.
    Quit,
}

/// Every built-in there is, in the order of their help.
pub const BUILTINS: &[Builtin] = &[
    help::HELP,
    connection::STATUS,
    connection::CONNECT,
    connection::DISCONNECT,
    connection::OOB,
    events::EVENTS,
    events::WAIT,
    jobs::JOBS,
    jobs::JOB,
    listeners::ON,
    listeners::OFF,
    timers::EVERY,
    timers::AFTER,
    timers::TIMERS,
    timers::TIMER,
    timers::CANCEL,
    vm::VM,
    vm::CONSOLE,
    general::SET,
    general::QUIT,
    general::EXIT,
];

impl Builtin {
    /// Its name and what goes behind it.
    pub fn headline(&self) -> String {
        format!(":{} {}", self.name, self.synopsis)
            .trim_end()
            .to_owned()
    }
}

/// The built-in of that name, given with or without its colon.
pub fn find(name: &str) -> Option<&'static Builtin> {
    let name = name.strip_prefix(':').unwrap_or(name);
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// Runs the built-in that a line asks for.
///
/// # Errors
///
/// There is none of that name, or what the built-in says.
pub async fn run(runner: &Runner, line: &lang::BuiltinLine) -> Result<Outcome, Failure> {
    match find(&line.name) {
        Some(builtin) if builtin.synopsis.is_empty() && !args(line)?.is_empty() => {
            Err(usage(builtin.name))
        }
        Some(builtin) => (builtin.run)(runner, line).await,
        None => Err(unknown(&line.name)),
    }
}

/// The error for a name that no built-in has, given without its colon.
fn unknown(name: &str) -> Failure {
    let near = nearest(name, BUILTINS.iter().map(|builtin| builtin.name));
    let near: Vec<String> = near.iter().map(|name| format!(":{name}")).collect();
    Failure::Usage(match &near[..] {
        [] => format!("there is no built-in `:{name}`; `:help` lists them"),
        near => format!(
            "there is no built-in `:{name}`; did you mean {}?",
            any_of(near)
        ),
    })
}

/// A length of time: seconds, or with a unit.
fn time(text: &str) -> Result<Duration, Failure> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let number: Option<f64> = number.parse().ok();
    let time = number.and_then(|number| lang::seconds(number * unit));
    time.ok_or_else(|| {
        Failure::Usage(format!(
            "`{text}` is no length of time; write 500ms, 2s, 1m or 1h"
        ))
    })
}

/// A length of time in seconds, to the second.
fn span(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// A table of what is on the agenda; nothing if there is nothing.
fn rows(title: &str, rows: &[Row]) -> String {
    let mut cells = vec![["ID", title, "RUNS", "LINE"].map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.id.to_string(),
            row.when.clone(),
            row.runs.to_string(),
            row.line.clone(),
        ]
    }));
    if rows.is_empty() {
        return String::new();
    }
    table(&cells)
}

/// The arguments of `line` as plain words.
fn args(line: &lang::BuiltinLine) -> Result<Vec<String>, Failure> {
    line.args()
        .map_err(|error| Failure::syntax(error, line.words.source()))
}

/// The error for arguments that the built-in `name` cannot take.
fn usage(name: &str) -> Failure {
    let headline = find(name).map(Builtin::headline).unwrap_or_default();
    Failure::Usage(format!("usage: {headline}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_is_found_by_its_name_with_and_without_the_colon() {
        for builtin in BUILTINS {
            for name in [builtin.name.to_owned(), format!(":{}", builtin.name)] {
                let found = find(&name).expect("it is in the table");
                assert_eq!(found.name, builtin.name);
            }
            assert!(!builtin.summary.ends_with('.'), ":{}", builtin.name);
        }
    }
}
