use std::process::ExitCode;

use qmpsh::cli::Invocation;
use qmpsh::exit::{Failure, Status, say};

fn main() -> ExitCode {
    match run() {
        Ok(status) => status.into(),
        Err(error) => {
            say(format!("qmpsh: {error:#}"));
            let status = error.downcast_ref().map_or(Status::Usage, Failure::status);
            status.into()
        }
    }
}

fn run() -> anyhow::Result<Status> {
    let invocation = Invocation::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(qmpsh::run(invocation));
    // The process ends, and takes everything along: a thread that still waits for standard input, too.
    std::mem::forget(runtime);
    result
}
