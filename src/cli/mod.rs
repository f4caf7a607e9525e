//! Every option, once. Help, man page and shell completions come from here.

mod invocation;
mod options;

pub use invocation::Invocation;
pub use options::{Cli, VmOptions, When};
