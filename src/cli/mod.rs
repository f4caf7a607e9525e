//! The command-line options. Help, man page and shell completions are generated from here.

mod invocation;
mod options;

pub use invocation::Invocation;
pub use options::{Cli, VmOptions, When};
