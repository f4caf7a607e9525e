//! The byte stream under QMP: a Unix socket, TCP, TLS over that, or the standard input and output of a program.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::time::Duration;

use bytes::buf::Limit;
use bytes::{BufMut, BytesMut};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockaddrLike, SockaddrStorage, UnixAddr, getpeername,
    sendmsg,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest, ReadHalf, WriteHalf};
use tokio::net::unix::{self, pipe};
use tokio::net::{TcpStream, UnixStream, tcp};
use tokio_rustls::client::TlsStream;

use super::program::Program;
use super::{Address, Error, Lost, Options, Process, tls};
use crate::os::sys;

/// How long to wait before dialling again when a socket's backlog is full.
const BACKLOG_PAUSE: Duration = Duration::from_millis(50);

/// How much room there is for one read: so much at first, so much when more is made and at most, and at least so
/// much before it is. Replies that are still in use keep the room from being used again, so it is used up first.
const READ_ROOM_FIRST: usize = 16 << 10;
const READ_ROOM: usize = 64 << 10;
const READ_ROOM_LEAST: usize = 8 << 10;

/// A handshake. The compiler does not look inside, or it would make room on the stack for TLS whenever a stream is
/// opened: three pages.
type Wrapping<'a> = Pin<Box<dyn Future<Output = Result<tls::Session, tls::Failed>> + Send + 'a>>;

/// A connected stream.
#[derive(Debug)]
pub(super) enum Stream {
    /// With the process at the other end, if we started it.
    Unix(UnixStream, Option<Process>),
    Tcp(TcpStream),
    Tls(Box<tls::Session>),
    Program(Program, pipe::Sender, pipe::Receiver),
}

impl Stream {
    /// Connects to `address`, for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], at once: only a full backlog is worth waiting for.
    pub async fn open(address: &Address, options: &Options) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::connect(address, &error);
        let dialled = options.dialled.as_ref();
        if let Some(socket) = dialled.and_then(|dialled| dialled.take(address)) {
            return Self::from_socket(socket).map_err(failed);
        }
        match address {
            Address::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(BACKLOG_PAUSE).await;
                    }
                    result => {
                        return result
                            .map(|stream| Self::Unix(stream, None))
                            .map_err(failed);
                    }
                }
            },
            Address::Tcp { host, port } => {
                let host = if host.is_empty() { "localhost" } else { host };
                let stream = TcpStream::connect((host, *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                match &options.tls {
                    None => Ok(Self::Tcp(stream)),
                    Some(tls) => {
                        let wrapping: Wrapping = Box::pin(tls.wrap(stream, host));
                        match wrapping.await {
                            Ok(session) => Ok(Self::Tls(Box::new(session))),
                            Err(error) => Err(Error::tls(address, error)),
                        }
                    }
                }
            }
            Address::Inherited(number) => {
                let socket = sys::inherited(*number).map_err(failed)?;
                let stream = Self::from_socket(socket).map_err(failed)?;
                // It is ours alone from now on, or closing the connection would not end it.
                nix::unistd::close(*number).map_err(|error| failed(error.into()))?;
                Ok(stream)
            }
            Address::Program(line) => Program::start(line, options.tell.clone())
                .map(|(program, stdin, stdout)| Self::Program(program, stdin, stdout))
                .map_err(failed),
            Address::Listen(socket) => socket.accept().await.map_err(failed),
            Address::Launched(handover) => {
                let (stream, process) = handover.take().await;
                let stream = stream
                    .set_nonblocking(true)
                    .and_then(|()| UnixStream::from_std(stream));
                let stream = stream.map_err(failed)?;
                Ok(Self::Unix(stream, Some(process)))
            }
        }
    }

    /// A connected socket as the kind it is.
    fn from_socket(socket: OwnedFd) -> io::Result<Self> {
        // Fails unless it is a socket, and connected.
        let peer = getpeername::<SockaddrStorage>(socket.as_raw_fd())?;
        if peer.family() == Some(AddressFamily::Unix) {
            let stream = std::os::unix::net::UnixStream::from(socket);
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream).map(|stream| Self::Unix(stream, None))
        } else {
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream).map(Self::Tcp)
        }
    }

    /// The process at the other end, where the system tells (SO_PEERCRED, `unix(7)`).
    pub fn peer_pid(&self) -> Option<i32> {
        match self {
            // Of a pair of sockets, the system knows only who made it.
            Self::Unix(_, Some(process)) => process.pid,
            Self::Unix(stream, None) => stream.peer_cred().ok()?.pid(),
            Self::Tcp(_) | Self::Tls(_) | Self::Program(..) => None,
        }
    }

    pub(super) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Unix(stream, process) => {
                let (reader, writer) = stream.into_split();
                (Reader::Unix(reader, process), Writer::Unix(writer))
            }
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Tls(session) => {
                let (reader, writer) = tokio::io::split(session.stream);
                let reader = TlsReader {
                    half: reader,
                    trust: session.trust,
                    trusted: false,
                };
                (Reader::Tls(Box::new(reader)), Writer::Tls(writer))
            }
            Self::Program(program, stdin, stdout) => {
                (Reader::Program(stdout, program), Writer::Program(stdin))
            }
        }
    }
}

#[derive(Debug)]
pub(super) enum Reader {
    Unix(unix::OwnedReadHalf, Option<Process>),
    Tcp(tcp::OwnedReadHalf),
    Tls(Box<TlsReader>),
    Program(pipe::Receiver, Program),
}

#[derive(Debug)]
pub(super) struct TlsReader {
    half: ReadHalf<TlsStream<TcpStream>>,
    trust: tls::Trust,
    /// The server has sent something, so it trusts us.
    trusted: bool,
}

impl TlsReader {
    async fn read(&mut self, buffer: &mut Limit<&mut BytesMut>) -> io::Result<usize> {
        match self.half.read_buf(buffer).await {
            // QEMU before 10.0 ends a connection without saying so in TLS. Whether it was cut is seen in
            // the messages.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            result => {
                self.trusted |= result.as_ref().is_ok_and(|length| *length > 0);
                result
            }
        }
    }
}

impl Reader {
    /// Reads what is there into `buffer`; 0 bytes are the end of the stream.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.capacity() == 0 {
            buffer.reserve(READ_ROOM_FIRST);
        } else if buffer.capacity() - buffer.len() < READ_ROOM_LEAST {
            buffer.reserve(READ_ROOM);
        }
        // Room grows with what is in it, and the kernel fills all of it while the server keeps sending: a message
        // that is too large would be read twice over before anyone looked at it.
        let mut room = buffer.limit(READ_ROOM);
        match self {
            Self::Unix(half, _) => half.read_buf(&mut room).await,
            Self::Tcp(half) => half.read_buf(&mut room).await,
            Self::Tls(reader) => reader.read(&mut room).await,
            Self::Program(stdout, _) => stdout.read_buf(&mut room).await,
        }
    }

    /// Why the stream ended, where there is more to know than that it did.
    pub async fn end(&mut self) -> Option<Lost> {
        match self {
            Self::Unix(_, Some(process)) => process.end().await,
            Self::Tls(reader) if !reader.trusted => reader.trust.why_closed(),
            Self::Program(_, program) => program.end().await,
            _ => None,
        }
    }

    /// Why reading failed.
    pub fn lost(&self, error: &io::Error) -> Lost {
        let tls = match self {
            Self::Tls(reader) => reader.trust.lost(error),
            _ => None,
        };
        tls.unwrap_or_else(|| Lost::io(error))
    }
}

#[derive(Debug)]
pub(super) enum Writer {
    Unix(unix::OwnedWriteHalf),
    Tcp(tcp::OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<TcpStream>>),
    Program(pipe::Sender),
}

impl Writer {
    /// What this is, if it cannot pass descriptors.
    pub fn no_descriptors(&self) -> Option<&'static str> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(_) => Some("a TCP connection"),
            Self::Tls(_) => Some("a TLS connection"),
            Self::Program(_) => Some("a pipe to a program"),
        }
    }

    /// Writes all of `bytes`; `descriptors` travel with the first of them.
    pub async fn write(&mut self, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        match self {
            Self::Unix(half) if !descriptors.is_empty() => {
                let sent = send_descriptors(half.as_ref(), bytes, descriptors).await?;
                half.write_all(&bytes[sent..]).await
            }
            Self::Unix(half) => half.write_all(bytes).await,
            Self::Tcp(half) => half.write_all(bytes).await,
            Self::Tls(half) => {
                // QEMU before 8.0 takes a byte at a time, and only while there is something to read on
                // the socket, which what TLS has decrypted already is not. A record of its own for the
                // last byte stays on the socket until all the others are taken.
                let (others, last) = bytes.split_at(bytes.len().saturating_sub(1));
                half.write_all(others).await?;
                half.write_all(last).await?;
                half.flush().await
            }
            Self::Program(stdin) => stdin.write_all(bytes).await,
        }
    }
}

/// One `sendmsg(2)` with SCM_RIGHTS; how many of `bytes` it took.
async fn send_descriptors(
    stream: &UnixStream,
    bytes: &[u8],
    descriptors: &[OwnedFd],
) -> io::Result<usize> {
    let numbers: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    loop {
        stream.writable().await?;
        let result = stream.try_io(Interest::WRITABLE, || {
            Ok(sendmsg::<UnixAddr>(
                stream.as_raw_fd(),
                &[IoSlice::new(bytes)],
                &[ControlMessage::ScmRights(&numbers)],
                MsgFlags::MSG_NOSIGNAL,
                None,
            )?)
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_is_bounded_however_much_room_a_large_message_has_made() {
        let (server, client) = UnixStream::pair().expect("a pair of sockets");
        let (mut reader, _writer) = Stream::Unix(client, None).split();
        let sent = [b'x'; READ_ROOM + 1000];
        server.writable().await.expect("a socket");
        assert_eq!(server.try_write(&sent).expect("room"), sent.len());
        let mut buffer = BytesMut::with_capacity(1 << 20);
        for expected in [READ_ROOM, 1000] {
            let length = reader.read(&mut buffer).await.expect("bytes");
            assert_eq!(length, expected);
        }
        assert_eq!(buffer, sent[..]);
    }
}
