//! The two directions of a connected Unix socket.
//!
//! Tokio's own halves share one registration for both directions, so the runtime would be woken each time that the peer
//! has taken what we wrote. Here it is woken by what has come, and by room only after the socket was full.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::BytesMut;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::os::sys;

#[derive(Debug)]
pub(crate) struct UnixReader(AsyncFd<Arc<UnixStream>>);

/// Dropping it ends this direction.
#[derive(Debug)]
pub(crate) struct UnixWriter(Arc<UnixStream>);

/// Splits a socket.
///
/// # Errors
///
/// The system has no room to watch another descriptor.
pub(super) fn split(stream: tokio::net::UnixStream) -> io::Result<(UnixReader, UnixWriter)> {
    let stream = Arc::new(stream.into_std()?);
    let reader = sys::watch(stream.clone(), Interest::READABLE)?;
    Ok((UnixReader(reader), UnixWriter(stream)))
}

impl UnixReader {
    /// Reads what has come into the spare room of `buffer`, up to `most` bytes, and receives descriptors (`SCM_RIGHTS`,
    /// `unix(7)`), which replace those in `descriptors`. Returns how many bytes; 0 means the end of the stream. Cancel
    /// safe.
    pub async fn read(
        &mut self,
        buffer: &mut BytesMut,
        most: usize,
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<usize> {
        let room = most.min(buffer.capacity() - buffer.len());
        loop {
            let mut ready = self.0.readable().await?;
            let Ok(received) = ready.try_io(|socket| sys::receive(socket.get_ref(), buffer, most))
            else {
                continue;
            };
            let (length, passed) = received?;
            if !passed.is_empty() {
                *descriptors = passed;
            } else if length > 0 && length < room {
                // The socket is empty, so the next read need not find that out. Only descriptors end a read early.
                ready.clear_ready();
            }
            return Ok(length);
        }
    }

    /// After the end: whether the peer has closed its other direction too, as far as can be seen without sending it
    /// anything.
    pub fn is_gone(&self) -> bool {
        let mut asked = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::empty())];
        let _ = poll(&mut asked, PollTimeout::ZERO);
        let [asked] = asked;
        asked
            .revents()
            .is_some_and(|flags| flags.contains(PollFlags::POLLHUP))
    }
}

impl UnixWriter {
    /// Writes all of `bytes`; `descriptors` travel with the first byte (`SCM_RIGHTS`, `unix(7)`).
    pub async fn write(&mut self, mut bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        let numbers: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let passed = [ControlMessage::ScmRights(&numbers)];
        let mut passed = if numbers.is_empty() { &[][..] } else { &passed };
        while !bytes.is_empty() {
            match self.send(bytes, passed) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    passed = &[];
                }
                Err(Errno::EAGAIN) => self.room().await?,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn send(&self, bytes: &[u8], passed: &[ControlMessage]) -> nix::Result<usize> {
        let bytes = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<UnixAddr>(self.0.as_raw_fd(), &bytes, passed, flags, None)
    }

    /// Waits until the socket is no longer full. The reader's registration is for another interest, and a descriptor can
    /// have one only.
    async fn room(&self) -> io::Result<()> {
        let socket = sys::watch(Arc::new(self.0.try_clone()?), Interest::WRITABLE)?;
        socket.writable().await?.retain_ready();
        Ok(())
    }
}

impl Drop for UnixWriter {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}
