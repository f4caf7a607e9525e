//! The byte stream under QMP: a Unix socket or TCP.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use super::{Address, Error};

/// How long to wait before dialling again when a socket's backlog is full.
const BACKLOG_PAUSE: Duration = Duration::from_millis(50);

/// How much room there is for one read: so much when it is made, and at least so much before more is
/// made. Replies that are still in use keep the room from being used again, so it is used up first.
const READ_ROOM: usize = 64 << 10;
const READ_ROOM_LEAST: usize = 8 << 10;

/// A connected stream.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects to `address`, for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], at once: only a full backlog is worth waiting for.
    pub async fn open(address: &Address) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::connect(address, &error);
        match address {
            Address::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(BACKLOG_PAUSE).await;
                    }
                    result => return result.map(Self::Unix).map_err(failed),
                }
            },
            Address::Tcp { host, port } => {
                let host = if host.is_empty() { "localhost" } else { host };
                let stream = TcpStream::connect((host, *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// The process at the other end, where the system tells (SO_PEERCRED, `unix(7)`).
    pub fn peer_pid(&self) -> Option<i32> {
        match self {
            Self::Unix(stream) => stream.peer_cred().ok()?.pid(),
            Self::Tcp(_) => None,
        }
    }

    pub(super) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
        }
    }
}

#[derive(Debug)]
pub(super) enum Reader {
    Unix(unix::OwnedReadHalf),
    Tcp(tcp::OwnedReadHalf),
}

impl Reader {
    /// Reads what is there into `buffer`; 0 bytes are the end of the stream.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.capacity() - buffer.len() < READ_ROOM_LEAST {
            buffer.reserve(READ_ROOM);
        }
        match self {
            Self::Unix(half) => half.read_buf(buffer).await,
            Self::Tcp(half) => half.read_buf(buffer).await,
        }
    }
}

#[derive(Debug)]
pub(super) enum Writer {
    Unix(unix::OwnedWriteHalf),
    Tcp(tcp::OwnedWriteHalf),
}

impl Writer {
    /// Whether [`Writer::write`] can pass descriptors.
    pub fn carries_descriptors(&self) -> bool {
        matches!(self, Self::Unix(_))
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
