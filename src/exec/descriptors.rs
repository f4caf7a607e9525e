//! File descriptors that travel with a command.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::failure::Failure;
use crate::lang::Descriptor;
use crate::os::sys;

/// Opens what is to travel with a command.
///
/// # Errors
///
/// A file does not open, or no such descriptor was inherited.
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
        let why = format!("cannot pass `{what}`: {error}");
        match (descriptor, error.kind()) {
            // The line is wrong, not the machine.
            (Descriptor::Inherited(_), _) | (_, io::ErrorKind::InvalidInput) => Failure::Usage(why),
            _ => Failure::Local(why),
        }
    })
}

/// Opens a file without waiting for anybody: a FIFO that nobody writes to would keep everything waiting.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<OwnedFd> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    // Who gets it may well want to wait.
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file.into())
}
