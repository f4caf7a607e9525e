//! Finds out which kind of socket a descriptor is.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getpeername};
use tokio::net::{TcpStream, UnixStream};

pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// Takes a descriptor as a connected socket.
    ///
    /// # Errors
    ///
    /// The descriptor is not a socket (`ENOTSOCK`), or not connected (`ENOTCONN`).
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let peer = getpeername::<SockaddrStorage>(descriptor.as_raw_fd())?;
        if peer.family() == Some(AddressFamily::Unix) {
            let stream = std::os::unix::net::UnixStream::from(descriptor);
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream).map(Self::Unix)
        } else {
            let stream = std::net::TcpStream::from(descriptor);
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream).map(Self::Tcp)
        }
    }
}
