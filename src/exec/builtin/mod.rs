//! The built-ins. Running, help, completion and the man page all use the same table.

mod connection;
mod console;
mod entry;
mod events;
mod examples;
mod general;
mod help;
mod jobs;
mod listeners;
mod query;
mod table;
mod timers;
mod tree;
mod variables;
mod vm;

pub use entry::{Builtin, Effect, Part, expected};
pub use examples::example;
pub use table::{BUILTINS, find, run};
