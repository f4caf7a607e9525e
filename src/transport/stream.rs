//! A stream of bytes: a Unix socket, TCP, TLS over TCP, or the standard input and output of a
//! program.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bytes::buf::Limit;
use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixStream, tcp};
use tokio_rustls::TlsStream;

use super::error::StreamEnd;
use super::handover::Process;
use super::program::Program;
use super::socket::Socket;
use super::tls::{TlsConnection, Trust};
use super::unix::{self, UnixReader, UnixWriter};
use crate::os::sys;

/// The size of the buffer for the first read, in bytes.
const READ_ROOM_FIRST: usize = 16 << 10;

/// The size of the buffer for later reads, and the most bytes that one read returns.
const READ_ROOM: usize = 64 << 10;

/// The buffer grows when it has less room than this. Not sooner: replies still in use keep their
/// part of the buffer from being reused.
const READ_ROOM_LEAST: usize = 8 << 10;

/// A buffer with this many bytes gets room for the largest message at once, in large pages. It costs only what is used of
/// it, while a buffer that has large pages can grow no more without being copied.
const LARGE: usize = 4 << 20;

/// More than the largest message, in bytes.
const LARGEST: usize = 65 << 20;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// With the process at the other end, if we started it.
    Unix(UnixStream, Option<Process>),
    Tcp(TcpStream),
    Tls(Box<TlsConnection>),
    Program(Program, pipe::Sender, pipe::Receiver),
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        match socket {
            Socket::Unix(stream) => Self::Unix(stream, None),
            Socket::Tcp(stream) => Self::Tcp(stream),
        }
    }
}

impl Stream {
    /// The pid of the process at the other end, if the system knows it (SO_PEERCRED, `unix(7)`).
    pub fn peer_pid(&self) -> Option<i32> {
        match self {
            // We created this pair of sockets, so the system would report our own pid.
            Self::Unix(_, Some(process)) => process.pid,
            Self::Unix(stream, None) => stream.peer_cred().ok()?.pid(),
            Self::Tcp(_) | Self::Tls(_) | Self::Program(..) => None,
        }
    }

    /// The user of the process at the other end, if the system knows it.
    pub fn peer_user(&self) -> Option<u32> {
        match self {
            Self::Unix(stream, _) => Some(stream.peer_cred().ok()?.uid()),
            Self::Tcp(_) | Self::Tls(_) | Self::Program(..) => None,
        }
    }

    /// The network address of the other end, if it has one.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Tls(connection) => connection.stream.get_ref().0.peer_addr().ok(),
            Self::Unix(..) | Self::Program(..) => None,
        }
    }

    /// Splits the stream into its two directions, each for a task of its own.
    ///
    /// # Errors
    ///
    /// The system has no room to watch another descriptor.
    pub fn split(self) -> io::Result<(Reader, Writer)> {
        Ok(match self {
            Self::Unix(stream, process) => {
                let (reader, writer) = unix::split(stream)?;
                (Reader::Unix(reader, process), Writer::Unix(writer))
            }
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Tls(connection) => {
                let (reader, writer) = tokio::io::split(connection.stream);
                let reader = TlsReader {
                    half: reader,
                    trust: connection.trust,
                    trusted: false,
                };
                (Reader::Tls(Box::new(reader)), Writer::Tls(writer))
            }
            Self::Program(program, stdin, stdout) => {
                (Reader::Program(stdout, program), Writer::Program(stdin))
            }
        })
    }
}

#[derive(Debug)]
pub(crate) enum Reader {
    Unix(UnixReader, Option<Process>),
    Tcp(tcp::OwnedReadHalf),
    Tls(Box<TlsReader>),
    Program(pipe::Receiver, Program),
}

#[derive(Debug)]
pub(crate) struct TlsReader {
    half: ReadHalf<TlsStream<TcpStream>>,
    trust: Option<Trust>,
    /// Whether the server has sent something, which shows that it accepted our certificate.
    trusted: bool,
}

impl TlsReader {
    async fn read(&mut self, buffer: &mut Limit<&mut BytesMut>) -> io::Result<usize> {
        match self.half.read_buf(buffer).await {
            // QEMU before 10.0 closes a TLS connection without the closing alert. Whether a message
            // was cut is noticed when messages are read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            result => {
                self.trusted |= result.as_ref().is_ok_and(|length| *length > 0);
                result
            }
        }
    }
}

impl Reader {
    /// Reads available bytes into `buffer` and returns how many; 0 means the end of the stream.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.read_passed(buffer, &mut Vec::new()).await
    }

    /// The same, and also receives descriptors (`SCM_RIGHTS`, `unix(7)`), which replace those in `descriptors`. Cancel
    /// safe.
    pub async fn read_passed(
        &mut self,
        buffer: &mut BytesMut,
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<usize> {
        make_room(buffer);
        // A large message has made the buffer large. Without a limit, one read could fill all of it
        // before we notice that the message is too large.
        let mut room = (&mut *buffer).limit(READ_ROOM);
        match self {
            Self::Unix(half, _) => half.read(buffer, READ_ROOM, descriptors).await,
            Self::Tcp(half) => half.read_buf(&mut room).await,
            Self::Tls(reader) => reader.read(&mut room).await,
            Self::Program(stdout, _) => stdout.read_buf(&mut room).await,
        }
    }

    /// After the end: whether the peer has closed its other direction too, as far as can be seen without sending it
    /// anything.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Unix(half, _) => half.is_gone(),
            Self::Tcp(_) | Self::Tls(_) | Self::Program(..) => true,
        }
    }

    /// Why the stream ended. Call it only after the end.
    pub async fn end(&mut self) -> StreamEnd {
        let end = match self {
            Self::Unix(_, Some(process)) => process.end().await,
            Self::Tls(reader) if !reader.trusted => {
                let trust = reader.trust.as_ref();
                trust.and_then(Trust::why_closed).map(StreamEnd::Tls)
            }
            Self::Program(_, program) => program.end().await,
            _ => None,
        };
        end.unwrap_or(StreamEnd::Closed)
    }

    /// Why reading failed.
    pub fn why_failed(&self, error: &io::Error) -> StreamEnd {
        let tls = match self {
            Self::Tls(reader) => reader
                .trust
                .as_ref()
                .and_then(|trust| trust.why_failed(error)),
            _ => None,
        };
        tls.unwrap_or_else(|| StreamEnd::io(error))
    }
}

/// Makes room for the next read.
fn make_room(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        buffer.reserve(READ_ROOM_FIRST);
    } else if buffer.capacity() - buffer.len() < READ_ROOM_LEAST {
        let whole = LARGEST.saturating_sub(buffer.len());
        if buffer.len() < LARGE || whole < READ_ROOM {
            return buffer.reserve(READ_ROOM);
        }
        buffer.reserve(whole);
        sys::prefer_large_pages(buffer.spare_capacity_mut());
    }
}

#[derive(Debug)]
pub(crate) enum Writer {
    Unix(UnixWriter),
    Tcp(tcp::OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<TcpStream>>),
    Program(pipe::Sender),
}

impl Writer {
    /// The name of this kind of stream for the user, if it cannot pass descriptors.
    pub fn no_descriptors(&self) -> Option<&'static str> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(_) => Some("a TCP connection"),
            Self::Tls(_) => Some("a TLS connection"),
            Self::Program(_) => Some("a pipe to a program"),
        }
    }

    /// Writes all of `bytes`; `descriptors` travel with the first byte (`SCM_RIGHTS`, `unix(7)`).
    pub async fn write(&mut self, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        match self {
            Self::Unix(half) => half.write(bytes, descriptors).await,
            Self::Tcp(half) => half.write_all(bytes).await,
            Self::Tls(half) => {
                // QEMU before 8.0 takes a byte at a time, and only while the socket has something
                // to read. What TLS has already decrypted is no longer on the socket. So the last
                // byte is sent in a record of its own, which stays on the socket until QEMU has
                // taken all the others.
                let (others, last) = bytes.split_at(bytes.len().saturating_sub(1));
                half.write_all(others).await?;
                half.write_all(last).await?;
                half.flush().await
            }
            Self::Program(stdin) => stdin.write_all(bytes).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_is_bounded_even_after_a_large_message() {
        let (server, client) = UnixStream::pair().expect("a pair of sockets");
        let (mut reader, _writer) = Stream::Unix(client, None).split().expect("a socket");
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
