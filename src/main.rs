//! The entry point, and the exit status.

// Rust's own startup code looks up the end of the stack in /proc/self/maps, which takes a sixteenth of a
// one-shot command's run time. With glibc on Linux, arguments are available without that code, so the C library
// calls our `main` directly.
#![cfg_attr(all(target_os = "linux", target_env = "gnu"), no_main)]

use std::panic::{catch_unwind, resume_unwind};

use qmpsh::cli::Invocation;
use qmpsh::failure::{Failure, Status};
use qmpsh::os::stderr::say;
use qmpsh::render::escape;

/// The exit status after a panic, the same as Rust's.
const PANICKED: i32 = 101;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
// SAFETY: this is the program's only `main`, and the C library calls it once.
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    qmpsh::os::sys::start();
    start()
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    start();
}

fn start() -> ! {
    let status = catch_unwind(run).map_or(PANICKED, Status::code);
    // This also flushes standard output.
    std::process::exit(status)
}

fn run() -> Status {
    try_run().unwrap_or_else(|error| {
        // Not every error is ours: what it quotes may be anything.
        say(escape(&format!("qmpsh: {error:#}")));
        error.downcast_ref().map_or(Status::Failed, Failure::status)
    })
}

fn try_run() -> anyhow::Result<Status> {
    if qmpsh::filter::is_asked_for() {
        qmpsh::filter::work();
        return Ok(Status::Success);
    }
    let invocation = Invocation::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Waking a spawned task takes no system call; waking `block_on`'s own future does.
    let run = Box::pin(qmpsh::app::run(invocation));
    let result = runtime.block_on(async { tokio::spawn(run).await });
    // Dropping the runtime would wait for a thread that is still reading standard input.
    std::mem::forget(runtime);
    result.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}
