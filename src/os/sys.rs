//! What the system demands: the one place that trusts a number to be a file descriptor, that runs between `fork`
//! and `exec`, that handles signals which end the process, and that sets up what Rust's own start would have.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode;
use nix::sys::termios::Termios;
use nix::unistd::{Pid, setsid};
use signal_hook::consts::{SIGABRT, SIGQUIT};
use signal_hook::low_level::{emulate_default_handler, register};

/// Makes a standard descriptor that is closed lead nowhere, lest a socket take its number, and a pipe that nobody
/// reads an error, not a signal: where `main` is called by the C library, nobody else has.
pub fn start() {
    for number in 0..3 {
        // SAFETY: as below, and the borrow ends with this turn.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl(borrowed, FcntlArg::F_GETFD).is_err()
            && let Ok(nowhere) = open("/dev/null", OFlag::O_RDWR, Mode::empty())
        {
            // It has the lowest number that is free, which is this one.
            let _ = nowhere.into_raw_fd();
        }
    }
    // SAFETY: no handler is set that could run at a wrong moment.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}

/// A duplicate of the descriptor `number` that this process inherited.
///
/// # Errors
///
/// `EBADF` if no such descriptor is open, or if it is one of this program's own: those are closed by
/// `exec`, which an inherited one was not.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: the borrow ends with this function. `F_GETFD` reads a flag of whatever the number
    // names and fails with EBADF if it names nothing, so the number is open when it is duplicated.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = FdFlag::from_bits_retain(fcntl(borrowed, FcntlArg::F_GETFD)?);
    if flags.contains(FdFlag::FD_CLOEXEC) {
        return Err(Errno::EBADF.into());
    }
    borrowed.try_clone_to_owned()
}

/// Makes the process that `command` is to start a session of its own, which no key of our terminal
/// reaches; lets it inherit `descriptors` under the numbers they have; and has the kernel send it `death`
/// when the thread that started it ends, however that comes about (`PR_SET_PDEATHSIG`, Linux alone).
pub fn tie(command: &mut Command, descriptors: Vec<OwnedFd>, death: Signal) {
    let parent = Pid::this();
    let prepare = move || {
        setsid()?;
        for descriptor in &descriptors {
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_pdeathsig(death)?;
            // A parent that ended before it was asked to be told of sends nothing.
            if Pid::parent() != parent {
                return Err(Errno::ESRCH.into());
            }
        }
        Ok(())
    };
    // SAFETY: between `fork` and `exec` only what `signal-safety(7)` lists, `prctl` and `setsid`, is called, and
    // nothing is allocated: errors are numbers.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Has the terminal at standard input put back into the mode `found` when SIGQUIT or SIGABRT ends the process.
///
/// # Errors
///
/// The signals cannot be handled.
pub fn restore_when_aborted(found: &Termios) -> io::Result<()> {
    let found = libc::termios::from(found.clone());
    for number in [SIGQUIT, SIGABRT] {
        let restore = move || {
            // SAFETY: standard input stays open, and `found` is a whole `termios`.
            unsafe {
                // In the background, the terminal is somebody else's, and to change it would stop us.
                if libc::tcgetpgrp(0) == libc::getpgrp() {
                    libc::tcsetattr(0, libc::TCSANOW, &raw const found);
                }
            }
            let _ = emulate_default_handler(number);
        };
        // SAFETY: the handler calls only what `signal-safety(7)` lists, and allocates nothing.
        unsafe { register(number, restore) }?;
    }
    Ok(())
}
