//! Opens a stream to an endpoint.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::UnixStream;

use super::address::Address;
use super::endpoint::Endpoint;
use super::error::Error;
use super::listen::ServerSocket;
use super::program::{Program, Say};
use super::socket::{LOCALHOST, Socket, dial_tcp};
use super::stream::Stream;
use super::tls::{Tls, TlsConnection};
use crate::os::sys;

/// How long to wait before connecting again when a socket's backlog is full.
const BACKLOG_PAUSE: Duration = Duration::from_millis(50);

/// A TLS handshake, boxed because it is large: otherwise every kind of stream would need three
/// pages of stack for it.
type Handshake<'a> = Pin<Box<dyn Future<Output = Result<TlsConnection, Error>> + Send + 'a>>;

/// Connects to `endpoint`, without a time limit. TCP is wrapped in `tls` if given. What a program
/// writes to standard error goes to `say`.
///
/// # Errors
///
/// The connection failed. Only a full backlog is waited for.
pub(crate) async fn open(
    endpoint: &Endpoint,
    tls: Option<&Tls>,
    say: &Say,
) -> Result<Stream, Error> {
    let failed = |error: io::Error| failed(endpoint, &error);
    match endpoint {
        Endpoint::Dial(Address::Unix(path)) => dial_unix(path).await.map_err(failed),
        Endpoint::Dial(address @ Address::Tcp { host, port }) => {
            let stream = dial_tcp(host, *port).await.map_err(failed)?;
            let Some(tls) = tls else {
                return Ok(Stream::Tcp(stream));
            };
            let host = if host.is_empty() { LOCALHOST } else { host };
            let handshake: Handshake = Box::pin(tls.wrap(stream, host, address));
            Ok(Stream::Tls(Box::new(handshake.await?)))
        }
        Endpoint::Dial(Address::Inherited(number)) => take_inherited(*number).map_err(failed),
        Endpoint::Dial(Address::Program(line)) => Program::start(line, say.clone())
            .map(|(program, stdin, stdout)| Stream::Program(program, stdin, stdout))
            .map_err(failed),
        Endpoint::Listen(socket) => socket.accept().await.map(Stream::from).map_err(failed),
        Endpoint::Launched(handover) => {
            let (stream, process) = handover.take().await;
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| UnixStream::from_std(stream))
                .map_err(failed)?;
            Ok(Stream::Unix(stream, Some(process)))
        }
    }
}

/// Waits for the next client of `socket`.
///
/// # Errors
///
/// There is none to be had now; there may be one later.
pub(crate) async fn accept(socket: &ServerSocket) -> io::Result<Stream> {
    socket.accept().await.map(Stream::from)
}

async fn dial_unix(path: &Path) -> io::Result<Stream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(BACKLOG_PAUSE).await;
            }
            result => return result.map(|stream| Stream::Unix(stream, None)),
        }
    }
}

fn take_inherited(number: i32) -> io::Result<Stream> {
    let socket = Socket::new(sys::inherited(number)?)?;
    // Only the duplicate may stay open, or closing the connection would not end it.
    nix::unistd::close(number)?;
    Ok(socket.into())
}

/// Describes the operating system's reason for a failed connection.
fn failed(endpoint: &Endpoint, error: &io::Error) -> Error {
    let path = match endpoint {
        Endpoint::Dial(Address::Unix(path)) => Some(path.as_path()),
        _ => None,
    };
    let why = match (error.kind(), path) {
        (io::ErrorKind::NotFound, Some(_)) => {
            "the socket does not exist; QEMU creates one with -qmp unix:PATH,server=on,wait=off"
                .to_owned()
        }
        (io::ErrorKind::ConnectionRefused, None) => "nothing listens there".to_owned(),
        (io::ErrorKind::ConnectionRefused, Some(path)) => refused(path).to_owned(),
        (io::ErrorKind::PermissionDenied, _) => {
            "permission denied; QEMU may run as another user".to_owned()
        }
        _ if matches!(endpoint, Endpoint::Dial(Address::Inherited(_))) => inherited(error),
        _ => error.to_string(),
    };
    let not_yet = match (error.kind(), path) {
        (io::ErrorKind::ConnectionRefused, Some(path)) => !is_no_socket(path),
        (kind, _) => matches!(
            kind,
            io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::TimedOut
        ),
    };
    Error::Connect {
        endpoint: endpoint.to_string(),
        why,
        not_yet,
    }
}

/// Whether `path` exists but is not a socket.
fn is_no_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.file_type().is_socket())
}

/// Why `path` refuses connections: the kernel reports three reasons with the same error number.
fn refused(path: &Path) -> &'static str {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => "it is a directory, not a socket",
        Ok(found) if !found.file_type().is_socket() => "it is a file, not a socket",
        _ => "nothing serves this socket; it may be left over from a QEMU that has ended",
    }
}

/// Why an inherited descriptor is not usable as a connection.
fn inherited(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBADF) => "no such descriptor was inherited, or it has been used already",
        Some(Errno::ENOTSOCK) => "it is not a socket",
        Some(Errno::ENOTCONN) => "it is a socket that is not connected",
        _ => return error.to_string(),
    }
    .to_owned()
}
