//! A connection made ahead of its session.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::Address;

/// A connected socket that nobody has taken yet.
pub struct Dialled(Mutex<Option<OwnedFd>>);

impl Dialled {
    /// Connects to `address` if that is a Unix socket and takes no waiting. Why it fails is seen by who tries again.
    pub fn dial(address: &Address) -> Option<Self> {
        let Address::Unix(path) = address else {
            return None;
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path).ok()?).ok()?;
        Some(Self(Mutex::new(Some(socket))))
    }

    pub(super) fn take(&self) -> Option<OwnedFd> {
        self.0.lock().expect("no holder panics").take()
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
        assert!(Dialled::dial(&address).is_none());
        let _server = std::os::unix::net::UnixListener::bind(path).expect("a socket");
        let dialled = Dialled::dial(&address).expect("it is served");
        assert!(dialled.take().is_some());
        assert!(dialled.take().is_none());
    }
}
