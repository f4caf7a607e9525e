//! A connection made ahead of its session.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::Address;

/// Connects to a Unix socket, and fails with `EAGAIN` if that would take waiting.
pub(super) fn connect_at_once(path: &Path) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

/// A connected socket, until somebody takes it.
pub struct Dialled {
    address: Address,
    socket: Mutex<Option<OwnedFd>>,
}

impl Dialled {
    /// Connects to `address` if that is a Unix socket and takes no waiting. Why it fails is seen by who tries again.
    pub fn dial(address: Address) -> Option<Self> {
        let Address::Unix(path) = &address else {
            return None;
        };
        let socket = connect_at_once(path).ok()?;
        let socket = Mutex::new(Some(socket));
        Some(Self { address, socket })
    }

    /// The connection, once, if it is one to `address`.
    pub(super) fn take(&self, address: &Address) -> Option<OwnedFd> {
        let mut socket = self.socket.lock().expect("no holder panics");
        socket.take_if(|_| self.address == *address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_taken_once_and_none_is_made_where_nobody_serves() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let address = Address::Unix(path.clone());
        assert!(Dialled::dial(address.clone()).is_none());
        let _server = std::os::unix::net::UnixListener::bind(path).expect("a socket");
        let dialled = Dialled::dial(address.clone()).expect("it is served");
        assert!(dialled.take(&Address::Unix("/other".into())).is_none());
        assert!(dialled.take(&address).is_some());
        assert!(dialled.take(&address).is_none());
    }
}
