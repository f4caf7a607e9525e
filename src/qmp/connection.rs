//! Sends and receives messages over a stream.

use std::io;
use std::os::fd::OwnedFd;

use tokio::task::yield_now;

use super::error::Lost;
use super::frame::Frames;
use super::message::{Incoming, read};
use super::options::{Direction, Options, Tap};
use super::wire::Wire;
use crate::transport::{Reader, Stream, Writer};

/// A read of at least this many bytes is taken for part of a flood.
const FLOOD: usize = 4 << 10;

/// Receives messages.
pub(super) struct Receiver {
    reader: Reader,
    frames: Frames,
    wire: &'static dyn Wire,
    tap: Option<Tap>,
}

/// Sends messages.
pub(super) struct Sender {
    writer: Writer,
    buffer: Vec<u8>,
    wire: &'static dyn Wire,
    tap: Option<Tap>,
}

/// The two halves of a connection.
pub(super) fn split(stream: Stream, options: &Options) -> (Receiver, Sender) {
    let Options { tap, wire, .. } = options;
    let (reader, writer) = stream.split();
    let receiver = Receiver {
        reader,
        frames: Frames::default(),
        wire: *wire,
        tap: tap.clone(),
    };
    let sender = Sender {
        writer,
        buffer: Vec::new(),
        wire: *wire,
        tap: tap.clone(),
    };
    (receiver, sender)
}

impl Receiver {
    /// Returns the next message, or why there will be none. Cancel safe.
    pub async fn receive(&mut self) -> Result<Incoming, Lost> {
        loop {
            if let Some(message) = self.wire.take(&mut self.frames)? {
                if let Some(tap) = &self.tap {
                    tap(Direction::Receive, &String::from_utf8_lossy(&message));
                }
                return read(&message);
            }
            match self.reader.read(&mut self.frames.buffer).await {
                Ok(0) => return Err(self.end().await),
                // In a flood, let the other tasks handle what has come.
                Ok(FLOOD..) => yield_now().await,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.reader.why_failed(&error).into()),
            }
        }
    }

    /// Why the stream ended.
    async fn end(&mut self) -> Lost {
        match self.frames.cut() {
            Some(cut) => cut,
            None => self.reader.end().await.into(),
        }
    }
}

impl Sender {
    /// The kind of stream, for the user, if it cannot pass descriptors.
    pub fn no_descriptors(&self) -> Option<&'static str> {
        self.writer.no_descriptors()
    }

    /// Adds a message to the next [`Sender::flush`].
    pub fn push(&mut self, message: &str) {
        if let Some(tap) = &self.tap {
            tap(Direction::Send, message);
        }
        self.wire.write(message, &mut self.buffer);
    }

    /// Writes all pushed messages. The descriptors are passed with the first byte.
    pub async fn flush(&mut self, descriptors: &[OwnedFd]) -> io::Result<()> {
        let result = self.writer.write(&self.buffer, descriptors).await;
        self.buffer.clear();
        result
    }
}
