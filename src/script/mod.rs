//! One-shot commands, `--execute`, `--file` and standard input: lines in, replies out.

mod display;
mod input;
mod plan;
mod run;
mod stdout;

pub use plan::{EventsTo, Plan, Source};
pub use run::run;
