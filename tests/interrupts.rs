//! SIGINT to a run without a prompt.

use std::fs;
use std::process::Stdio;

use crate::common::process::{Killed, status};
use crate::common::{Qemu, kill, wait_for};

#[test]
fn an_interrupt_ends_the_run_and_leaves_the_vm_alone() {
    let qemu = Qemu::start();
    for args in [
        &[][..],
        &["-k"],
        &["--repeat", "0", "--interval", "600", "query-name"],
    ] {
        let mut running = qemu.running(args);
        if !args.contains(&"--repeat") {
            running.send("query-name");
        }
        assert_eq!(running.line(), "{}");
        kill(running.pid(), "INT");
        let (status, stderr) = running.wait();
        assert_eq!(status.code(), Some(130), "{stderr}");
    }
    assert_eq!(qemu.qmpsh(&["query-status"]).json()[0]["running"], true);
}

#[test]
fn an_interrupt_ends_the_wait_for_a_connection() {
    let qemu = Qemu::start();
    let _holder = std::os::unix::net::UnixStream::connect(&qemu.socket).expect("a free monitor");
    let mut running = qemu.running(&["-e", "query-name"]);
    wait_for("its handler", || {
        catches_interrupts(running.pid()).then_some(())
    });
    kill(running.pid(), "INT");
    assert_eq!(running.wait().0.code(), Some(130));
}

/// Its output is not read, so it waits for room in the pipe.
#[test]
fn an_interrupt_ends_a_run_whose_output_is_not_read() {
    let qemu = Qemu::start();
    let mut command = qemu.command(&["--repeat", "0", "query-qmp-schema"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Killed::spawn(command);
    let pid = process.id();
    wait_for("a full pipe", || waits_in(pid, "pipe_write").then_some(()));
    kill(pid, "INT");
    let status = wait_for("qmpsh to end", || process.try_wait().expect("our child"));
    assert_eq!(status.code(), Some(130));
}

/// Whether some thread of a process waits in this function of the kernel.
fn waits_in(pid: u32, function: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("wchan")).is_ok_and(|wchan| wchan.contains(function))
    })
}

/// Whether a process has a handler for SIGINT.
fn catches_interrupts(pid: u32) -> bool {
    let caught = status(pid, "SigCgt");
    caught.is_some_and(|mask| u64::from_str_radix(&mask, 16).is_ok_and(|mask| mask & 2 != 0))
}
