//! Opens the file descriptors that are sent along with a command.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::failure::Failure;
use crate::lang::Descriptor;
use crate::os::sys;

/// Opens the descriptors to send, in the given order.
///
/// # Errors
///
/// A file cannot be opened, or no such descriptor was inherited.
pub(super) fn open_all(descriptors: &[Descriptor]) -> Result<Vec<OwnedFd>, Failure> {
    descriptors.iter().map(open).collect()
}

fn open(descriptor: &Descriptor) -> Result<OwnedFd, Failure> {
    let (what, result): (String, io::Result<OwnedFd>) = match descriptor {
        Descriptor::Read(path) => (
            format!("<{}", path.display()),
            open_file(path, OpenOptions::new().read(true)),
        ),
        Descriptor::ReadWrite(path) => (
            format!("<>{}", path.display()),
            open_file(path, OpenOptions::new().read(true).write(true)),
        ),
        Descriptor::Inherited(number) => (format!("<&{number}"), sys::inherited(*number)),
    };
    result.map_err(|error| {
        let mut why = format!("cannot pass `{what}`: {error}");
        if matches!(descriptor, Descriptor::ReadWrite(_)) && error.kind() == io::ErrorKind::NotFound
        {
            why += "; `<>` opens a file, but makes none";
        }
        match (descriptor, error.kind()) {
            // The mistake is in the line, not on this machine.
            (Descriptor::Inherited(_), _) | (_, io::ErrorKind::InvalidInput) => Failure::Usage(why),
            _ => Failure::Local(why),
        }
    })
}

/// Opens a file without blocking: opening a FIFO would wait until another process opens its other end.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<OwnedFd> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    // QEMU should get a blocking descriptor, as from a plain open().
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file.into())
}
