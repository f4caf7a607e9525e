//! The one place that trusts a number to be a file descriptor.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};

/// A duplicate of the descriptor `number` that this process inherited.
///
/// # Errors
///
/// `EBADF` if no such descriptor is open.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(nix::errno::Errno::EBADF.into());
    }
    // SAFETY: the borrow ends with this function. `F_GETFD` reads a flag of whatever the number
    // names and fails with EBADF if it names nothing, so the number is open when it is duplicated.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_GETFD)?;
    borrowed.try_clone_to_owned()
}
