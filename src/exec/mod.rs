//! Runs one line: built-ins, typing of bare words, sending, the reply, and advice after an error.
//!
//! The prompt, scripts, listeners and timers all run their lines here. They differ only in where lines come
//! from and where outcomes go.

mod advice;
mod background;
pub mod builtin;
mod descriptors;
mod file;
mod finish;
mod pending;
mod program;
mod query;
mod run;
mod tail;
mod unknown_names;

pub use advice::{advise, advise_unparsed};
pub use background::begin;

pub use pending::PendingCommand;
pub use run::{Run, run, start};
pub use tail::{apply_tail, check_filter, check_settings, holds};
