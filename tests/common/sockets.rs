//! Sockets, from the servers' side and the clients'.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use tokio::net::TcpSocket;

use super::{DEADLINE, text};

/// Leaves a socket at `path` that nobody serves. Nobody ever did: a listener that is dropped may live on for a moment
/// in a child that another test is just starting.
pub fn leave_socket(path: &Path) {
    let socket = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    let address = UnixAddr::new(path).expect("a short path");
    bind(socket.expect("a socket").as_raw_fd(), &address).expect("a path of ours");
}

/// Whether a server listens at `path`. There is a file a moment before it does, and to try would take the
/// monitor from who comes next.
pub fn listens(path: &Path) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let path = text(path);
    let mut sockets = sockets.lines().map(|line| line.split_whitespace());
    // The flag is __SO_ACCEPTCON.
    sockets.any(|mut fields| fields.nth(3) == Some("00010000") && fields.last() == Some(path))
}

/// Whether a QMP server greets at `path` and answers a command, each within a second.
pub fn answers(path: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(path) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut replies = BufReader::new(stream.try_clone().expect("a descriptor to spare"));
    let mut line = String::new();
    replies.read_line(&mut line).is_ok_and(|length| length > 0)
        && stream
            .write_all(b"{\"execute\":\"qmp_capabilities\"}\n")
            .is_ok()
        && replies.read_line(&mut line).is_ok_and(|length| length > 0)
}

/// Takes the monitor at `path`: a client that keeps every other one from it.
pub fn hold(path: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).expect("the monitor listens");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("a time limit");
    stream
        .read_exact(&mut [0])
        .expect("the monitor greets its first client");
    stream
}

/// Connects to the server at `path` until its queue is full.
pub fn fill_queue(path: &Path) -> Vec<OwnedFd> {
    let address = UnixAddr::new(path).expect("a short path");
    let connect = || {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let client = socket(AddressFamily::Unix, SockType::Stream, flags, None);
        let client = client.expect("a socket");
        connect(client.as_raw_fd(), &address).ok().map(|()| client)
    };
    std::iter::from_fn(connect).collect()
}

/// A listener whose queue has room for one connection.
pub fn nearly_full(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).expect("a socket of ours");
    leave_no_room(&listener);
    listener
}

/// Makes the queue of a listener as short as it can be.
pub fn leave_no_room(listener: &UnixListener) {
    listen(listener, Backlog::new(0).expect("a short one")).expect("a listener of ours");
}

/// A TCP port of 127.0.0.1 at which nobody listens. It stays ours: a server that we tell of it can listen there, and
/// nobody else is given it.
pub struct Port {
    socket: TcpSocket,
}

impl Port {
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // As servers do it. It lets them in, too.
        socket.set_reuseaddr(true).expect("a socket of ours");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a free port");
        Self { socket }
    }

    pub fn number(&self) -> u16 {
        self.socket.local_addr().expect("it is bound").port()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number())
    }
}
