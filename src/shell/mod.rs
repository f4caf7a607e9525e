//! The interactive shell.
use crate::cli::Invocation;
use crate::exit::Status;
use crate::runner::Runner;
pub async fn run(_invocation: Invocation, _runner: Runner) -> anyhow::Result<Status> {
    todo!()
}
