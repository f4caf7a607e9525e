//! The calls that need `unsafe`: those that trust a number to be a file descriptor, that run between `fork` and
//! `exec`, that handle signals, and that do what Rust's own start does.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use bytes::BytesMut;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
#[cfg(target_os = "linux")]
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use nix::sys::stat::Mode;
use nix::sys::termios::Termios;
use nix::unistd::{Pid, setsid};
use signal_hook::consts::{SIGABRT, SIGQUIT, SIGTSTP};
use signal_hook::low_level::{emulate_default_handler, register};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A multiple of every page size that Linux has on the machines we are built for.
const PAGE: usize = 64 << 10;

/// The most descriptors that one message passes; QEMU takes no more (`TCP_MAX_FDS`).
const MOST_PASSED: usize = 16;

/// Does what Rust's own start does, for a `main` that the C library calls. It opens `/dev/null` for
/// each standard descriptor that is closed, because otherwise a socket could get its number. It
/// also ignores SIGPIPE, so that writing to a pipe without a reader is an error.
pub fn start() {
    for number in 0..3 {
        // SAFETY: `F_GETFD` fails with EBADF if the number names nothing, and the borrow ends in this iteration.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl(borrowed, FcntlArg::F_GETFD).is_err()
            && let Ok(nowhere) = open("/dev/null", OFlag::O_RDWR, Mode::empty())
        {
            // The file got the lowest free number, which is this one.
            let _ = nowhere.into_raw_fd();
        }
    }
    // SAFETY: ignoring a signal installs no handler.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}

/// Asks for large pages for memory that is to be filled. Each page of 4 KiB is a fault otherwise, which takes as long as
/// filling it.
pub fn prefer_large_pages(memory: &mut [MaybeUninit<u8>]) {
    #[cfg(target_os = "linux")]
    {
        let start = memory.as_mut_ptr();
        let misplaced = start.align_offset(PAGE);
        if let Some(start) = NonNull::new(start.wrapping_add(misplaced))
            && misplaced < memory.len()
        {
            // SAFETY: `MADV_HUGEPAGE` changes nothing in the memory, nor which of it there is.
            // It is only advice: a kernel without it refuses.
            let _ = unsafe {
                madvise(
                    start.cast(),
                    memory.len() - misplaced,
                    MmapAdvise::MADV_HUGEPAGE,
                )
            };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

/// Duplicates the descriptor `number` that this process inherited.
///
/// # Errors
///
/// `EBADF` if the descriptor is not open, or if this program opened it: our own descriptors are
/// close-on-exec, and an inherited one cannot be.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: `F_GETFD` fails with EBADF if the number names nothing, so it is open when it is duplicated. The borrow
    // ends with this function.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = FdFlag::from_bits_retain(fcntl(borrowed, FcntlArg::F_GETFD)?);
    if flags.contains(FdFlag::FD_CLOEXEC) {
        return Err(Errno::EBADF.into());
    }
    borrowed.try_clone_to_owned()
}

/// Receives up to `most` bytes from a Unix socket into the spare room of `buffer`, and the descriptors that came with
/// them (`SCM_RIGHTS`, `unix(7)`), which are closed on exec. Returns how many bytes, 0 at the end of the stream.
///
/// # Errors
///
/// Those of `recvmsg(2)`.
pub fn receive(
    socket: &impl AsRawFd,
    buffer: &mut BytesMut,
    most: usize,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let start = buffer.len();
    let room = buffer.spare_capacity_mut();
    let size = most.min(room.len());
    let mut control = nix::cmsg_space!([RawFd; MOST_PASSED]);
    let received = {
        // SAFETY: the memory is ours, and nobody reads it before the kernel has written it.
        let room = unsafe { slice::from_raw_parts_mut(room.as_mut_ptr().cast(), size) };
        let mut room = [IoSliceMut::new(room)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut room, Some(&mut control), flags).and_then(
            |message| {
                let mut passed = Vec::new();
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(numbers) = control {
                        // SAFETY: the kernel has just given them to us, and nobody else knows them.
                        let own = |number| unsafe { OwnedFd::from_raw_fd(number) };
                        passed.extend(numbers.into_iter().map(own));
                    }
                }
                Ok((message.bytes, passed))
            },
        )
    };
    let (length, passed) = received?;
    // SAFETY: the kernel has written this many bytes after the first `start`.
    unsafe { buffer.set_len(start + length) };
    Ok((length, passed))
}

/// Has the runtime watch one direction of a socket.
///
/// # Errors
///
/// The system has no room to watch another descriptor.
pub fn watch(socket: Arc<UnixStream>, interest: Interest) -> io::Result<AsyncFd<Arc<UnixStream>>> {
    // SAFETY: a `UnixStream` keeps its descriptor open, and its number, until it is dropped.
    unsafe { AsyncFd::register_with_interest(socket, interest) }.map_err(io::Error::from)
}

/// Prepares `command` to run as a process of ours. It gets its own session, so Ctrl-C does not
/// reach it. It inherits `descriptors` under their present numbers. When the thread that started it
/// ends, for whatever reason, the kernel sends it `death` (`PR_SET_PDEATHSIG`, on Linux only).
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
            // If the parent ended before this call, no signal will come.
            if Pid::parent() != parent {
                return Err(Errno::ESRCH.into());
            }
        }
        Ok(())
    };
    // SAFETY: between `fork` and `exec` it only makes system calls that `signal-safety(7)` allows, and `prctl`. It
    // allocates nothing: errors are numbers.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// From now on, the process `pid`, one of ours, opens nothing whose descriptor would get the number `limit` or a higher
/// one (`RLIMIT_NOFILE`; on Linux only).
///
/// # Errors
///
/// It is gone, or not ours to limit.
pub fn limit_descriptors(pid: Pid, limit: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let limit = libc::rlimit {
            rlim_cur: limit.into(),
            rlim_max: limit.into(),
        };
        let no_old_limit = std::ptr::null_mut();
        // SAFETY: it reads a whole `rlimit`, and writes nowhere.
        let result = unsafe {
            libc::prlimit(
                pid.as_raw(),
                libc::RLIMIT_NOFILE,
                &raw const limit,
                no_old_limit,
            )
        };
        Errno::result(result)?;
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (pid, limit);
        Err(io::ErrorKind::Unsupported.into())
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
                // In the background, the terminal belongs to another process group, and changing it
                // would stop us.
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

/// Has the terminal at standard input in the mode `found` while the process is suspended (SIGTSTP), and afterwards in
/// the mode in which it was. The signal should be blocked in all threads but the one that changes the mode.
///
/// # Errors
///
/// The signal cannot be handled.
pub fn restore_when_suspended(found: &Termios) -> io::Result<()> {
    let found = libc::termios::from(found.clone());
    let suspend = move || {
        // SAFETY: standard input stays open, and `found` and `now` are whole `termios`.
        unsafe {
            let mut now = found;
            let ours =
                libc::tcgetpgrp(0) == libc::getpgrp() && libc::tcgetattr(0, &raw mut now) == 0;
            if ours {
                libc::tcsetattr(0, libc::TCSANOW, &raw const found);
            }
            libc::raise(libc::SIGSTOP);
            if ours {
                // In the background, this stops us again until we have the terminal.
                libc::tcsetattr(0, libc::TCSANOW, &raw const now);
            }
        }
    };
    // SAFETY: the handler calls only what `signal-safety(7)` lists, and allocates nothing.
    unsafe { register(SIGTSTP, suspend) }?;
    Ok(())
}

/// Returns what makes a system call of the calling thread fail with `EINTR` if it blocks at that moment, for another
/// thread to call. It uses SIGURG, which means nothing to us.
///
/// # Errors
///
/// The signal cannot be handled.
pub fn interrupter() -> io::Result<impl Fn() + Send + 'static> {
    extern "C" fn ignore(_: libc::c_int) {}
    // Not SIG_IGN, and without SA_RESTART: either would let the call go on.
    let action = SigAction::new(
        SigHandler::Handler(ignore),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGURG, &action) }?;
    let thread = pthread_self();
    Ok(move || {
        let _ = pthread_kill(thread, Signal::SIGURG);
    })
}
