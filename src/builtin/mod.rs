//! The built-ins: one table, which running, help, completion and the man page all read.

mod connection;
mod general;

use std::future::Future;
use std::pin::Pin;

use crate::exit::Failure;
use crate::lang::{self, Command};
use crate::runner::Runner;

/// A built-in.
pub struct Builtin {
    /// Its name, without the colon.
    pub name: &'static str,
    /// What goes behind the name.
    pub synopsis: &'static str,
    /// What it does, as a line without its full stop.
    pub summary: &'static str,
    /// More about it, in whole sentences; possibly empty.
    pub help: &'static str,
    /// How its arguments complete.
    pub completes: Completes,
    run: for<'a> fn(&'a mut Runner, &'a lang::Builtin) -> Run<'a>,
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + 'a>>;

/// How the arguments of a built-in complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    Nothing,
    /// A QMP command.
    Commands,
    /// A QMP command or a built-in.
    Topics,
    /// A path.
    Files,
    /// One of these words, and behind it one of those.
    Words(&'static [(&'static str, &'static [&'static str])]),
}

/// What a built-in leads to.
#[derive(Debug)]
pub enum Outcome {
    /// Text to print.
    Text(String),
    /// A command to send in its place.
    Command(Command),
    /// A sentence that is no value.
    Notice(String),
    /// The connection is a new one.
    Connected,
    /// The end of the run.
    Quit,
}

/// Every built-in there is, in the order of their help.
pub const BUILTINS: &[Builtin] = &[
    general::HELP,
    connection::STATUS,
    connection::CONNECT,
    connection::DISCONNECT,
    connection::OOB,
    general::SET,
    general::QUIT,
    general::EXIT,
];

impl Builtin {
    /// Its name and what goes behind it.
    pub fn headline(&self) -> String {
        format!(":{} {}", self.name, self.synopsis)
            .trim_end()
            .to_owned()
    }
}

/// The built-in of that name, given with or without its colon.
pub fn find(name: &str) -> Option<&'static Builtin> {
    let name = name.strip_prefix(':').unwrap_or(name);
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// Runs the built-in that a line asks for.
///
/// # Errors
///
/// There is none of that name, or what the built-in says.
pub async fn run(runner: &mut Runner, line: &lang::Builtin) -> Result<Outcome, Failure> {
    match find(&line.name) {
        Some(builtin) if builtin.synopsis.is_empty() && !args(line)?.is_empty() => {
            Err(usage(builtin))
        }
        Some(builtin) => (builtin.run)(runner, line).await,
        None => Err(Failure::Usage(format!(
            "there is no built-in `:{}`; `:help` lists them",
            line.name
        ))),
    }
}

/// The arguments of `line` as plain words.
fn args(line: &lang::Builtin) -> Result<Vec<String>, Failure> {
    line.args()
        .map_err(|error| Failure::syntax(error, line.words.source()))
}

/// The error for arguments that a built-in cannot take.
fn usage(builtin: &Builtin) -> Failure {
    Failure::Usage(format!("usage: {}", builtin.headline()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_is_found_by_its_name_with_and_without_the_colon() {
        for builtin in BUILTINS {
            for name in [builtin.name.to_owned(), format!(":{}", builtin.name)] {
                let found = find(&name).expect("it is in the table");
                assert_eq!(found.name, builtin.name);
            }
            assert!(!builtin.summary.ends_with('.'), ":{}", builtin.name);
        }
    }
}
