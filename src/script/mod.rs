//! Runs the lines of one-shot commands, `--execute`, `--file` and standard input, and prints the replies.

mod check;
mod display;
mod follow;
mod input;
mod plan;
mod run;
mod running;
mod stdout;

pub use plan::{EventsTo, Plan, Source};
pub use run::run;
