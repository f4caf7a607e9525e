use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

/// What a script is.
pub struct Plan {
    pub source: Source,
    /// How many times what the command line gives is run; 0 is until stopped.
    pub rounds: u64,
    /// How far apart the rounds start.
    pub interval: Duration,
    /// Go on after an error, with several commands in flight.
    pub keep_going: bool,
    pub events: EventsTo,
}

/// Where the lines come from.
pub enum Source {
    /// One command, a word each.
    Command(Vec<String>),
    /// Each one line, or several.
    Lines(Vec<String>),
    /// A file, or standard input.
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
