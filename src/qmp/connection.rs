//! Sends and receives messages over a stream.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::task::yield_now;

use super::error::Lost;
use super::frame::Frames;
use super::message::{Incoming, read};
use super::options::{Direction, Options, Passing, Tap};
use super::wire::Wire;
use crate::transport::{Reader, Stream, Writer};

/// A read of at least this many bytes is taken for part of a flood.
const FLOOD: usize = 4 << 10;

/// How many connections there were so far.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Receives messages.
pub(super) struct Receiver {
    reader: Reader,
    frames: Frames,
    /// A sentinel has come, and the message after it has not.
    synced: bool,
    wire: &'static dyn Wire,
    tap: Option<Tap>,
    connection: u64,
}

/// Sends messages.
pub(super) struct Sender {
    writer: Writer,
    buffer: Vec<u8>,
    wire: &'static dyn Wire,
    tap: Option<Tap>,
    connection: u64,
}

/// The two halves of a connection.
pub(super) fn split(stream: Stream, options: &Options) -> io::Result<(Receiver, Sender)> {
    let Options { tap, wire, .. } = options;
    let (reader, writer) = stream.split()?;
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let receiver = Receiver {
        reader,
        frames: Frames::default(),
        synced: false,
        wire: *wire,
        tap: tap.clone(),
        connection,
    };
    let sender = Sender {
        writer,
        buffer: Vec::new(),
        wire: *wire,
        tap: tap.clone(),
        connection,
    };
    Ok((receiver, sender))
}

impl Receiver {
    /// Returns the next message, or why there will be none. Cancel safe.
    pub async fn receive(&mut self) -> Result<Incoming, Lost> {
        loop {
            if let Some(message) = self.wire.take(&mut self.frames)? {
                self.frames.taken += 1;
                self.tap_received(&message);
                return read(&message);
            }
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => {
                    return match self.wire.last(&mut self.frames) {
                        Some(message) => read(&message),
                        None => Err(self.end().await),
                    };
                }
                Err(lost) => return Err(lost),
            }
        }
    }

    /// Reads what is there, or waits for more. Returns whether the stream goes on. Cancel safe.
    async fn fill(&mut self) -> Result<bool, Lost> {
        match self.reader.read(&mut self.frames.buffer).await {
            Ok(0) => return Ok(false),
            // In a flood, let the other tasks handle what has come.
            Ok(FLOOD..) => yield_now().await,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(self.reader.why_failed(&error).into()),
        }
        Ok(true)
    }

    /// Waits for anything that the server says by itself, and returns what it has said. Cancel safe.
    pub async fn first_words(&mut self) -> Result<&[u8], Lost> {
        match self.fill().await? {
            true => Ok(&self.frames.buffer),
            false => Err(self.end().await),
        }
    }

    /// Skips what comes before the server's greeting, and returns that. Cancel safe.
    pub async fn receive_greeting(&mut self) -> Result<Incoming, Lost> {
        while !self.frames.skip_to_greeting() {
            if !self.fill().await? {
                return Err(self.end().await);
            }
        }
        self.receive().await
    }

    /// Skips everything up to the `sentinel` byte and to the message after it, and returns that. Another sentinel in what
    /// is no message begins anew. `look` sees the bytes that are skipped, and may end this. Cancel safe.
    pub async fn receive_after(
        &mut self,
        sentinel: u8,
        look: impl Fn(&[u8]) -> Result<(), Lost>,
    ) -> Result<Incoming, Lost> {
        loop {
            if !self.synced {
                look(&self.frames.buffer)?;
                self.synced = self.frames.skip_past(sentinel);
            }
            if self.synced {
                match self.wire.take(&mut self.frames) {
                    Ok(Some(message)) => {
                        self.tap_received(&message);
                        if let Ok(incoming) = read(&message) {
                            return Ok(incoming);
                        }
                        continue;
                    }
                    Ok(None) if !self.frames.buffer.contains(&sentinel) => {}
                    Ok(None) | Err(_) => {
                        self.synced = self.frames.skip_past(sentinel);
                        continue;
                    }
                }
            }
            if !self.fill().await? {
                return Err(self.end().await);
            }
        }
    }

    fn tap_received(&self, message: &Bytes) {
        if let Some(tap) = &self.tap {
            tap(&Passing {
                direction: Direction::Receive,
                text: &String::from_utf8_lossy(message),
                connection: self.connection,
                descriptors: 0,
                from: None,
                quiet: false,
            });
        }
    }

    /// Changes how messages travel.
    pub fn set_wire(&mut self, wire: &'static dyn Wire) {
        self.wire = wire;
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

    /// Changes how messages travel.
    pub fn set_wire(&mut self, wire: &'static dyn Wire) {
        self.wire = wire;
    }

    /// Adds a message of our own to the next [`Sender::flush`].
    pub fn push(&mut self, message: &str) {
        self.push_from(message, 0, None, false);
    }

    /// The same for a message that may be from a client of ours, and with which `descriptors` will go.
    pub fn push_from(
        &mut self,
        message: &str,
        descriptors: usize,
        from: Option<&str>,
        quiet: bool,
    ) {
        if let Some(tap) = &self.tap {
            tap(&Passing {
                direction: Direction::Send,
                text: message,
                connection: self.connection,
                descriptors,
                from,
                quiet,
            });
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
