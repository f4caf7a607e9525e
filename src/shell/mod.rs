//! The interactive shell.
//!
//! There are three threads: the editor waits for keys, the terminal's writer waits for something to show, and
//! the main thread runs the runtime with the connection. Everything that appears on the terminal goes through
//! the writer, in the order in which it happened.

mod bindings;
mod colors;
pub mod complete;
mod console;
mod continued;
mod display;
mod drawn;
mod editor;
mod followers;
mod graphics;
mod helper;
mod hint;
mod history;
mod listing;
mod meta;
mod pager;
mod paste;
mod program;
mod prompt;
mod prompt_symbol;
mod recall;
mod requests;
mod run;
mod stop;
mod terminal;
mod typed_ahead;
mod walk;
mod watch;

pub(crate) use hint::missing;
pub(crate) use listing::list;
pub use run::{Plan, run};
