//! What the program can print of its documentation, so that one that was installed as a single file is whole.
//!
//! Man page and completions are generated, checked in, and built into the program.

use super::options::Shell;

/// The manual page, in roff.
pub const MAN: &str = include_str!("../../man/qmpsh.1");

/// The completion script for a shell.
pub fn completions(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../../completions/qmpsh.bash"),
        Shell::Fish => include_str!("../../completions/qmpsh.fish"),
        Shell::Zsh => include_str!("../../completions/_qmpsh"),
    }
}
