//! Sends and receives messages over a stream.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::yield_now;

use super::error::Lost;
use super::frame::Frames;
use super::message::{Incoming, read};
use super::options::{Direction, Passing, Tap};
use crate::transport::{Reader, Stream, Writer};

/// A read of at least this many bytes is taken for part of a flood.
const FLOOD: usize = 4 << 10;

/// How many connections there were so far.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Receives messages.
pub(super) struct Receiver {
    reader: Reader,
    frames: Frames,
    tap: Option<Tap>,
    connection: u64,
}

/// Sends messages.
pub(super) struct Sender {
    writer: Writer,
    buffer: String,
    tap: Option<Tap>,
    connection: u64,
}

/// The two halves of a connection; `tap` sees every message.
pub(super) fn split(stream: Stream, tap: Option<&Tap>) -> (Receiver, Sender) {
    let (reader, writer) = stream.split();
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let receiver = Receiver {
        reader,
        frames: Frames::default(),
        tap: tap.cloned(),
        connection,
    };
    let sender = Sender {
        writer,
        buffer: String::new(),
        tap: tap.cloned(),
        connection,
    };
    (receiver, sender)
}

impl Receiver {
    /// Returns the next message, or why there will be none. Cancel safe.
    pub async fn receive(&mut self) -> Result<Incoming, Lost> {
        loop {
            if let Some(message) = self.frames.next()? {
                if let Some(tap) = &self.tap {
                    tap(&Passing {
                        direction: Direction::Receive,
                        text: &String::from_utf8_lossy(&message),
                        connection: self.connection,
                        descriptors: 0,
                        from: None,
                    });
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

    /// Adds a message of our own to the next [`Sender::flush`].
    pub fn push(&mut self, message: &str) {
        self.push_from(message, 0, None);
    }

    /// The same for a message that may be from a client of ours, and with which `descriptors` will go.
    pub fn push_from(&mut self, message: &str, descriptors: usize, from: Option<&str>) {
        if let Some(tap) = &self.tap {
            tap(&Passing {
                direction: Direction::Send,
                text: message,
                connection: self.connection,
                descriptors,
                from,
            });
        }
        self.buffer.push_str(message);
        self.buffer.push('\n');
    }

    /// Writes all pushed messages. The descriptors are passed with the first byte.
    pub async fn flush(&mut self, descriptors: &[OwnedFd]) -> io::Result<()> {
        let result = self.writer.write(self.buffer.as_bytes(), descriptors).await;
        self.buffer.clear();
        result
    }
}
