//! Finds out which kind of socket a descriptor is.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockaddrLike, SockaddrStorage, getpeername, setsockopt, sockopt,
};
use tokio::net::{TcpStream, UnixStream};

/// How long a TCP connection is idle before the system asks the peer whether it is still there.
const IDLE: Duration = Duration::from_secs(10);

/// How long the system waits for the peer's answer before it asks again.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often the system asks in vain.
const PROBES: u32 = 3;

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
            keep_alive(&stream);
            TcpStream::from_std(stream).map(Self::Tcp)
        }
    }
}

/// Connects to a TCP port; an empty host is this machine.
///
/// # Errors
///
/// The connection failed.
pub(crate) async fn dial_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = if host.is_empty() { LOCALHOST } else { host };
    prepare(TcpStream::connect((host, port)).await?)
}

/// The name of this machine.
pub(super) const LOCALHOST: &str = "localhost";

/// Readies a TCP connection for messages: each goes out at once, and a peer that vanished is noticed.
pub(super) fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    keep_alive(&stream);
    Ok(stream)
}

/// Has the system end a connection within [`IDLE`] and [`PROBES`] times [`INTERVAL`] once the peer has vanished, without
/// a word or with our messages on their way. Where it cannot, the connection does without.
fn keep_alive(stream: &impl AsFd) {
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    #[cfg(target_os = "linux")]
    {
        let seconds = |time: Duration| time.as_secs() as u32;
        let _ = setsockopt(stream, sockopt::TcpKeepIdle, &seconds(IDLE));
        let _ = setsockopt(stream, sockopt::TcpKeepInterval, &seconds(INTERVAL));
        let _ = setsockopt(stream, sockopt::TcpKeepCount, &PROBES);
        // While something is on its way, no probes are sent, and sending it again goes on for a quarter of an hour.
        let limit = seconds(IDLE + INTERVAL * PROBES) * 1000;
        let _ = setsockopt(stream, sockopt::TcpUserTimeout, &limit);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use nix::sys::socket::getsockopt;

    use super::*;

    #[tokio::test]
    async fn a_tcp_connection_is_asked_every_few_seconds_whether_it_is_alive() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let dialled = dial_tcp("127.0.0.1", port).await.expect("it listens");
        let inherited = listener.accept().expect("somebody waits").0;
        let Ok(Socket::Tcp(inherited)) = Socket::new(inherited.into()) else {
            panic!("it is a TCP connection");
        };
        for stream in [dialled, inherited] {
            assert_eq!(getsockopt(&stream, sockopt::KeepAlive), Ok(true));
            assert_eq!(getsockopt(&stream, sockopt::TcpKeepIdle), Ok(10));
            assert_eq!(getsockopt(&stream, sockopt::TcpKeepInterval), Ok(5));
            assert_eq!(getsockopt(&stream, sockopt::TcpKeepCount), Ok(3));
            assert_eq!(getsockopt(&stream, sockopt::TcpUserTimeout), Ok(25_000));
        }
    }
}
