//! The interactive shell: what a person meets.
//!
//! Three threads: the editor waits for keys, the terminal's writer for something to show, and the main one, with the
//! runtime, stands between them and the connection. Whatever appears on the terminal goes through the writer, in
//! the order in which it happened.

mod colors;
pub mod complete;
mod console;
mod editor;
mod followers;
mod helper;
mod hint;
mod history;
mod listing;
mod paste;
mod prompt;
mod prompt_symbol;
mod run;
mod stop;
mod terminal;

pub use run::{Plan, run};
