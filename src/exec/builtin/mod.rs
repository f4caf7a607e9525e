//! The built-ins. Running, help, completion and the man page all use the same table.

mod agent;
mod aliases;
mod check;
mod checker;
mod conditions;
mod configure;
mod connection;
mod console;
mod copy;
mod entry;
mod events;
mod examples;
mod finish;
mod general;
mod has;
mod help;
mod hmp;
mod jobs;
mod keyboard;
mod last;
mod listeners;
mod monitor;
mod new_file;
mod recipe;
mod screen;
mod serve;
mod settings;
mod source;
mod table;
mod timers;
mod tree;
mod until;
mod variables;
mod verb_help;
mod vm;
mod wait;
mod watch;

pub use checker::Checker;
pub use configure::configure;
pub use entry::{Builtin, Effect, Part, expected};
pub use examples::example;
pub use settings::SETTINGS;
pub use table::{
    BUILTINS, check, checker, filter_of, find, is_filter, run, sourced, takes_filter, takes_tail,
};
pub use wait::no_connection;
