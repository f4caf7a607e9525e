//! Listening sockets, for us or for a QEMU that we start.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind,
    connect, getsockname, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use tokio::net;

use super::address::Address;
use super::error::Error;
use super::socket::{LOCALHOST, Socket, prepare};
use super::stream::Stream;
use super::tls::Tls;
use crate::os::sys;

/// How many connections may wait to be accepted where one client is served at a time.
const BACKLOG_OF_ONE: i32 = 1;

/// The same where many are.
const BACKLOG_OF_MANY: i32 = 128;

/// How long to wait for another server that is starting in the same directory, and how often to check.
const TURN: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// A listening socket. The file of a Unix socket is accessible only to its owner. It is removed
/// when this is dropped, unless [`ServerSocket::take_file`] took it.
#[derive(Debug)]
pub struct ServerSocket {
    /// `None` after it was handed over.
    socket: Option<OwnedFd>,
    /// The address it is bound to, with the port that the system chose if none was given.
    address: Address,
    file: Option<SocketFile>,
    unix: bool,
    /// How TCP connections are wrapped.
    tls: Option<Tls>,
}

/// The file of a Unix socket, removed when this or a clone is dropped.
#[derive(Debug, Clone)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl ServerSocket {
    /// Listens at `address`, a Unix socket or a TCP port. Replaces the file of a Unix socket that
    /// nobody serves any more.
    ///
    /// # Errors
    ///
    /// Another process listens there, another kind of file is in the way, or the address is of
    /// another kind.
    pub fn bind(address: &Address) -> Result<Self, Error> {
        Self::bind_with(address, BACKLOG_OF_ONE)
    }

    /// The same for many clients at once. `fd:N` is a socket that this process inherited, and that listens already.
    ///
    /// # Errors
    ///
    /// As for [`ServerSocket::bind`].
    pub fn bind_for_many(address: &Address) -> Result<Self, Error> {
        match address {
            Address::Inherited(number) => inherit(*number).map_err(|error| Error::Listen {
                address: address.clone(),
                why: match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
                    Errno::EBADF => "no such descriptor was inherited".to_owned(),
                    Errno::ENOTSOCK | Errno::EINVAL => "it is no listening socket".to_owned(),
                    _ => error.to_string(),
                },
            }),
            address => Self::bind_with(address, BACKLOG_OF_MANY),
        }
    }

    fn bind_with(address: &Address, backlog: i32) -> Result<Self, Error> {
        let failed = |why: String| Error::Listen {
            address: address.clone(),
            why,
        };
        match address {
            Address::Unix(path) => {
                let socket = bind_unix(path, backlog).map_err(failed)?;
                let file = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
                Ok(Self {
                    socket: Some(socket),
                    address: address.clone(),
                    unix: true,
                    tls: None,
                    file: Some(SocketFile {
                        path: std::path::absolute(path).unwrap_or_else(|_| path.clone()),
                        device: file.dev(),
                        inode: file.ino(),
                    }),
                })
            }
            Address::Tcp { host, port } => {
                let host = if host.is_empty() { LOCALHOST } else { host };
                let bound = TcpListener::bind((host, *port))
                    .and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
                let (port, listener) = bound.map_err(|error| failed(error.to_string()))?;
                Ok(Self {
                    socket: Some(listener.into()),
                    address: Address::Tcp {
                        host: host.to_owned(),
                        port,
                    },
                    file: None,
                    unix: false,
                    tls: None,
                })
            }
            _ => Err(failed(
                "qmpsh can only listen at a Unix socket or a TCP port".to_owned(),
            )),
        }
    }

    /// The address it is bound to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Wraps connections in TLS, if it is a TCP port. Clients need a certificate.
    ///
    /// # Errors
    ///
    /// The credentials cannot be used ([`Error::TlsCreds`]).
    pub fn with_tls(self, tls: Tls) -> Result<Self, Error> {
        tls.server_config()?;
        let tls = Some(tls);
        Ok(Self { tls, ..self })
    }

    /// Does the handshake with somebody who has connected, if there has to be one.
    ///
    /// # Errors
    ///
    /// There is no TLS connection to be had, or the client is not trusted.
    pub(crate) async fn secure(&self, stream: Stream) -> Result<Stream, Error> {
        match (&self.tls, stream) {
            (Some(tls), Stream::Tcp(stream)) => {
                let connection = Box::pin(tls.accept(stream, &self.address)).await?;
                Ok(Stream::Tls(Box::new(connection)))
            }
            (_, stream) => Ok(stream),
        }
    }

    /// Whether its clients are on this machine, with a user that the kernel knows.
    pub fn is_unix(&self) -> bool {
        self.unix
    }

    /// Takes the file, if there is one, so that it can be removed before the socket is dropped.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// The file, if there is one, for somebody else who may have to remove it.
    pub fn file(&self) -> Option<SocketFile> {
        self.file.clone()
    }

    /// Takes the socket, for a process that listens in our place. The file is still removed when
    /// this is dropped.
    pub fn hand_over(&mut self) -> Option<OwnedFd> {
        self.socket.take()
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// There is none to be had now; there may be one later.
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        let socket = self.socket.as_ref().ok_or(Errno::EBADF)?;
        let socket = socket.as_fd().try_clone_to_owned()?;
        if self.unix {
            let listener = std::os::unix::net::UnixListener::from(socket);
            listener.set_nonblocking(true)?;
            let (stream, _) = net::UnixListener::from_std(listener)?.accept().await?;
            Ok(Socket::Unix(stream))
        } else {
            let listener = TcpListener::from(socket);
            listener.set_nonblocking(true)?;
            let (stream, _) = net::TcpListener::from_std(listener)?.accept().await?;
            prepare(stream).map(Socket::Tcp)
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have replaced the file.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes the listening socket `number`, which this process inherited.
fn inherit(number: i32) -> io::Result<ServerSocket> {
    let socket = sys::inherited(number)?;
    if !getsockopt(&socket, sockopt::AcceptConn)? {
        return Err(Errno::EINVAL.into());
    }
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd())?;
    let unix = address.family() == Some(AddressFamily::Unix);
    // Nobody we start is to have it, and nobody can take it twice.
    nix::unistd::close(number)?;
    Ok(ServerSocket {
        socket: Some(socket),
        address: Address::Inherited(number),
        file: None,
        unix,
        tls: None,
    })
}

/// Listens at `path`. The error says why that failed.
fn bind_unix(path: &Path, backlog: i32) -> Result<OwnedFd, String> {
    let text = |error: Errno| match error {
        Errno::EACCES => "permission denied".to_owned(),
        Errno::ENOENT => "the directory does not exist".to_owned(),
        Errno::ENAMETOOLONG | Errno::EINVAL => {
            "the path is too long for a socket (107 bytes at most)".to_owned()
        }
        error => io::Error::from(error).to_string(),
    };
    let address = UnixAddr::new(path).map_err(text)?;
    let family = AddressFamily::Unix;
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(text)?;
    // The file gets these permissions when it is created, so nobody else can ever connect.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(text)?;
    let _turn = take_turn(path);
    let mut bound = bind(socket.as_raw_fd(), &address);
    if bound == Err(Errno::EADDRINUSE) {
        remove_stale(path)?;
        bound = bind(socket.as_raw_fd(), &address);
    }
    bound.map_err(text)?;
    let backlog = Backlog::new(backlog).map_err(text)?;
    listen(&socket, backlog).map_err(text)?;
    Ok(socket)
}

/// Locks the directory of `path`, waiting for a moment if necessary. Otherwise another server could replace a stale
/// socket between our check and our removal of it.
fn take_turn(path: &Path) -> Option<Flock<File>> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let mut directory = File::open(parent.unwrap_or(Path::new("."))).ok()?;
    let due = Instant::now() + TURN;
    loop {
        directory = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(turn) => return Some(turn),
            Err((directory, Errno::EWOULDBLOCK)) if Instant::now() < due => directory,
            Err(_) => return None,
        };
        sleep(LOOK);
    }
}

/// Removes the file of a socket that nobody serves any more.
fn remove_stale(path: &Path) -> Result<(), String> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Err("a file that is not a socket exists there".to_owned());
    }
    if is_served(path) {
        return Err("another process already listens there".to_owned());
    }
    // A server in another network namespace, as in a container, is not listed.
    match connect_at_once(path) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(|error| error.to_string()),
        // The file was removed meanwhile.
        Err(Errno::ENOENT) => Ok(()),
        Ok(_) | Err(Errno::EAGAIN) => Err("another process already listens there".to_owned()),
        Err(error) => Err(format!("another process may already listen there: {error}")),
    }
}

/// Whether the kernel lists a listening socket at `path`. Connecting, to find out, would take the monitor.
fn is_served(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    return crate::os::sock_diag::at(path)
        .is_ok_and(|sockets| sockets.iter().any(|socket| socket.listening));
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Connects to a Unix socket without waiting; fails with `EAGAIN` if the server's queue is full.
fn connect_at_once(path: &Path) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn unix(path: &Path) -> Address {
        Address::Unix(path.to_owned())
    }

    #[test]
    fn a_socket_is_for_its_owner_alone_and_removed_when_it_is_dropped() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("s");
        let server = ServerSocket::bind(&unix(&path)).expect("nobody listens there");
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(server);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("s");
        // Not a dropped listener: a child that is just being started could keep it open a little
        // longer.
        let stale = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::empty(),
            None,
        );
        let address = UnixAddr::new(&path).expect("a short path");
        bind(stale.expect("a socket").as_raw_fd(), &address).expect("a path of ours");
        let mut server = ServerSocket::bind(&unix(&path)).expect("nobody serves it");
        let error = ServerSocket::bind(&unix(&path)).expect_err("it is served");
        assert!(
            error
                .to_string()
                .contains("another process already listens there")
        );
        // The check did not connect.
        let file = server.take_file();
        let listener = UnixListener::from(server.hand_over().expect("it is ours"));
        listener.set_nonblocking(true).expect("a socket of ours");
        let accepted = listener.accept().map_err(|error| error.kind());
        assert!(matches!(accepted, Err(io::ErrorKind::WouldBlock)));
        drop(file);
        fs::write(&path, "precious").expect("a file of ours");
        let error = ServerSocket::bind(&unix(&path)).expect_err("it is a file");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    }

    #[test]
    fn a_file_that_replaced_the_socket_is_not_removed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("s");
        let server = ServerSocket::bind(&unix(&path)).expect("nobody listens there");
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, "another").expect("a file of ours");
        drop(server);
        assert!(path.exists());
    }

    #[test]
    fn a_port_that_the_system_chose_is_known() {
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = ServerSocket::bind(&address).expect("there are ports left");
        assert!(matches!(server.address(), Address::Tcp { port: 1.., .. }));
    }
}
