//! Messages over a stream, and how a connection begins.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::frame::Frames;
use super::message::{Incoming, read};
use super::transport::{Reader, Stream, Writer};
use super::{Address, Direction, Error, Greeting, Lost, Options, Tap};

/// How long a server may stay silent before that is explained.
const SILENCE: Duration = Duration::from_secs(2);

/// A read of so many bytes is part of a flood.
const FLOOD: usize = 4 << 10;

/// A negotiated connection, in its two halves.
pub(super) struct Connection {
    pub receiver: Receiver,
    pub sender: Sender,
    pub greeting: Greeting,
    pub oob: bool,
    pub peer_pid: Option<i32>,
}

pub(super) struct Receiver {
    reader: Reader,
    frames: Frames,
    tap: Option<Tap>,
}

impl Receiver {
    /// The next message, or why there will be none. Cancelling it loses nothing.
    pub async fn receive(&mut self) -> Result<Incoming, Lost> {
        loop {
            if let Some(message) = self.frames.next()? {
                if let Some(tap) = &self.tap {
                    tap(Direction::Receive, &String::from_utf8_lossy(&message));
                }
                return read(&message);
            }
            match self.reader.read(&mut self.frames.buffer).await {
                Ok(0) => return Err(self.frames.end()),
                // In a flood, those who work with what came get their turn.
                Ok(FLOOD..) => yield_now().await,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Lost::io(&error)),
            }
        }
    }
}

pub(super) struct Sender {
    writer: Writer,
    buffer: String,
    tap: Option<Tap>,
}

impl Sender {
    pub fn carries_descriptors(&self) -> bool {
        self.writer.carries_descriptors()
    }

    /// Takes a message along with the next [`Sender::flush`].
    pub fn push(&mut self, message: &str) {
        if let Some(tap) = &self.tap {
            tap(Direction::Send, message);
        }
        self.buffer.push_str(message);
        self.buffer.push('\n');
    }

    /// Writes what was pushed; `descriptors` travel with its first byte.
    pub async fn flush(&mut self, descriptors: &[OwnedFd]) -> io::Result<()> {
        let result = self.writer.write(self.buffer.as_bytes(), descriptors).await;
        self.buffer.clear();
        result
    }
}

/// Connects, takes the greeting and negotiates capabilities.
pub(super) async fn connect(address: &Address, options: Options) -> Result<Connection, Error> {
    let limit = options.connect_timeout;
    let mut stage = Error::ConnectTimeout {
        address: address.clone(),
        limit: limit.unwrap_or_default(),
    };
    let connecting = async {
        let stream = Stream::open(address).await?;
        stage = Error::NoGreeting {
            address: address.clone(),
            limit: limit.unwrap_or_default(),
        };
        let mut connection = greet(stream, address, &options).await?;
        stage = Error::NoAnswer {
            address: address.clone(),
            limit: limit.unwrap_or_default(),
        };
        connection.oob = !options.no_oob && connection.greeting.offers("oob");
        negotiate(&mut connection, address).await?;
        Ok(connection)
    };
    match limit {
        None => connecting.await,
        Some(limit) => match timeout(limit, connecting).await {
            Ok(result) => result,
            Err(_) => Err(stage),
        },
    }
}

/// Takes the greeting of a server just connected to.
async fn greet(stream: Stream, address: &Address, options: &Options) -> Result<Connection, Error> {
    let peer_pid = stream.peer_pid();
    let (reader, writer) = stream.split();
    let mut receiver = Receiver {
        reader,
        frames: Frames::default(),
        tap: options.tap.clone(),
    };
    let sender = Sender {
        writer,
        buffer: String::new(),
        tap: options.tap.clone(),
    };
    let first = tokio::select! {
        biased;
        first = receiver.receive() => first,
        () = sleep(SILENCE) => {
            if let Some(silence) = &options.silence {
                silence(&format!(
                    "{address} took the connection but is silent: another client may hold this \
                     monitor (QEMU serves one at a time), or QEMU is still starting or stopped; \
                     waiting",
                ));
            }
            receiver.receive().await
        }
    };
    match first {
        Ok(Incoming::Greeting(greeting)) => Ok(Connection {
            receiver,
            sender,
            greeting,
            oob: false,
            peer_pid,
        }),
        Ok(Incoming::Reply(..) | Incoming::Event(_)) => Err(not_qmp(address, Lost::NoGreeting)),
        Err(lost) => Err(not_qmp(address, lost)),
    }
}

/// Negotiates capabilities: `oob`, or none.
async fn negotiate(connection: &mut Connection, address: &Address) -> Result<(), Error> {
    let enable = if connection.oob {
        r#","arguments":{"enable":["oob"]}"#
    } else {
        ""
    };
    let request = format!("{{\"execute\":\"qmp_capabilities\"{enable}}}");
    connection.sender.push(&request);
    // A server that is gone by now says so when it is read.
    let _ = connection.sender.flush(&[]).await;
    loop {
        match connection.receiver.receive().await {
            Ok(Incoming::Reply(reply, _)) => {
                return reply.value().map(drop).map_err(|error| Error::Negotiation {
                    address: address.clone(),
                    error,
                });
            }
            Ok(Incoming::Event(_) | Incoming::Greeting(_)) => {}
            Err(lost) => return Err(not_qmp(address, lost)),
        }
    }
}

fn not_qmp(address: &Address, lost: Lost) -> Error {
    Error::NotQmp {
        address: address.clone(),
        lost,
    }
}
