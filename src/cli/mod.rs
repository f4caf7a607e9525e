//! The command-line options. Help, man page and shell completions are generated from here.

mod complete;
mod documents;
mod invocation;
mod options;
mod typed;

pub use complete::candidates;
pub use documents::{MAN, completions};
pub use invocation::Invocation;
pub use options::{Cli, Shell, VmOptions, When};
