//! Where qmpsh starts.

// Rust's own start looks up the end of the stack in /proc/self/maps, which takes a sixteenth of the time that a
// one-shot command has. Where the C library hands out the arguments by itself, it calls `main` right away.
#![cfg_attr(all(target_os = "linux", target_env = "gnu"), no_main)]

use std::panic::{catch_unwind, resume_unwind};

use qmpsh::cli::Invocation;
use qmpsh::failure::{Failure, Status};
use qmpsh::os::stderr::say;
use qmpsh::render::escape;

/// The status of a panic, as Rust has it.
const PANICKED: i32 = 101;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
// SAFETY: the one `main` of this program, which the C library calls once.
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
    let status = catch_unwind(run).map_or(PANICKED, |status| status as i32);
    // This flushes standard output, too.
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
    let invocation = Invocation::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // As a task of its own it is woken without a system call.
    let run = Box::pin(qmpsh::app::run(invocation));
    let result = runtime.block_on(async { tokio::spawn(run).await });
    // The process ends, and takes everything along: a thread that still waits for standard input, too.
    std::mem::forget(runtime);
    result.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}
