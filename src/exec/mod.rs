//! One line, run: built-ins, typing, sending, the reply, and advice after an error.
//!
//! The prompt, scripts, listeners and timers run their lines here. They differ in where lines come from and where
//! outcomes go, in nothing else.

mod advice;
mod background;
pub mod builtin;
mod descriptors;
mod pending;
mod run;

pub use advice::advise;
pub use background::begin;
pub use pending::PendingCommand;
pub use run::{Run, run, start};
