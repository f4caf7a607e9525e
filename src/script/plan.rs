use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::config::Config;

/// What to run, and how.
pub struct Plan {
    /// The lines to run.
    pub source: Source,
    /// How many times to run the lines of the command line; 0 repeats them until interrupted.
    pub rounds: u64,
    /// The time from the start of one round to the start of the next.
    pub interval: Duration,
    /// Continue after an error, and keep several commands in flight.
    pub keep_going: bool,
    /// Where to print events.
    pub events: EventsTo,
    /// What the user wants of every run, if anything.
    pub config: Option<Config>,
}

/// Where the lines come from.
pub enum Source {
    /// One command, given as words.
    Command(Vec<String>),
    /// Texts of one or more lines.
    Lines(Vec<String>),
    /// A file, or standard input if there is no path.
    Stream(Option<PathBuf>),
}

/// Where a script's events go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EventsTo {
    #[default]
    None,
    Stderr,
    Stdout,
}
