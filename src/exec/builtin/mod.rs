//! The built-ins. Running, help, completion and the man page all use the same table.

mod agent;
mod check;
mod conditions;
mod connection;
mod console;
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
mod serve;
mod settings;
mod table;
mod timers;
mod tree;
mod until;
mod variables;
mod verb_help;
mod vm;
mod wait;
mod watch;

pub use entry::{Builtin, Effect, Part, expected};
pub use examples::example;
pub use settings::SETTINGS;
pub use table::{BUILTINS, check, find, is_filter, run, takes_filter, takes_tail};
pub use wait::no_connection;
