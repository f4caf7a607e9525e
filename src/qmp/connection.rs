//! Messages over a stream, and how a connection begins.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::frame::Frames;
use super::message::{Incoming, read};
use super::transport::{Reader, Stream, Writer};
use super::{Address, Change, Direction, Error, Event, Greeting, Lost, Options, Tap};
use crate::os::holder;

/// How long a server may stay silent before that is explained.
const SILENCE: Duration = Duration::from_secs(2);

/// A read of so many bytes is part of a flood.
const FLOOD: usize = 4 << 10;

/// A negotiated connection, in its two halves.
pub(super) struct Connection {
    pub receiver: Receiver,
    pub sender: Sender,
    pub greeting: Greeting,
    /// Events that came before there was anybody to take them.
    pub events: Vec<Event>,
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
                Ok(0) => return Err(self.end().await),
                // In a flood, those who work with what came get their turn.
                Ok(FLOOD..) => yield_now().await,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.reader.lost(&error)),
            }
        }
    }
}

impl Receiver {
    /// Why the stream ended.
    async fn end(&mut self) -> Lost {
        match self.frames.end() {
            Lost::Closed => self.reader.end().await.unwrap_or(Lost::Closed),
            cut => cut,
        }
    }
}

pub(super) struct Sender {
    writer: Writer,
    buffer: String,
    tap: Option<Tap>,
}

impl Sender {
    /// What messages go over, if that carries no descriptors.
    pub fn no_descriptors(&self) -> Option<&'static str> {
        self.writer.no_descriptors()
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

/// How far connecting has come.
#[derive(Clone, Copy)]
enum Stage {
    Dialing,
    /// The connection is there, to this process where the system tells, and the greeting is not.
    Greeting(Option<i32>),
    Negotiating,
}

impl Stage {
    /// What is wrong when it takes longer than `limit`.
    fn too_long(self, address: &Address, limit: Duration) -> Error {
        let address = address.clone();
        match self {
            Self::Dialing => Error::ConnectTimeout { address, limit },
            Self::Greeting(server) => Error::NoGreeting {
                why: why_silent(&address, server),
                address,
                limit,
            },
            Self::Negotiating => Error::NoAnswer { address, limit },
        }
    }

    /// Why it may be that nothing happens.
    fn explain(self, address: &Address) -> String {
        match self {
            Self::Dialing if matches!(address, Address::Listen(_)) => {
                format!("waiting for a QEMU to connect to {address}")
            }
            Self::Dialing => format!(
                "{address} does not take the connection, its queue may be full: {}; waiting",
                why_silent(address, None)
            ),
            Self::Greeting(server) => format!(
                "{address} took the connection but is silent: {}; waiting",
                why_silent(address, server)
            ),
            Self::Negotiating => {
                format!(
                    "{address} greeted, but does not answer: QEMU may be busy or stopped; waiting"
                )
            }
        }
    }
}

/// Who or what keeps a server from greeting.
fn why_silent(address: &Address, server: Option<i32>) -> String {
    if let Some(pid) = server.filter(|pid| holder::is_stopped(*pid)) {
        return format!("pid {pid}, which serves it, is stopped");
    }
    let holder = match address {
        Address::Unix(path) => holder::of(path),
        _ => None,
    };
    match holder {
        Some(holder) => {
            format!("another client holds this monitor ({holder}); QEMU serves one at a time")
        }
        None => {
            "another client may hold this monitor (QEMU serves one at a time), or QEMU is still \
                 starting or stopped"
                .to_owned()
        }
    }
}

/// Connects, takes the greeting and negotiates capabilities.
pub(super) async fn connect(address: &Address, options: Options) -> Result<Connection, Error> {
    let stage = Mutex::new(Stage::Dialing);
    let at = || *stage.lock().expect("no holder of this lock panics");
    let enter = |next| *stage.lock().expect("no holder of this lock panics") = next;
    let connecting = async {
        let stream = Stream::open(address, &options).await?;
        let peer_pid = stream.peer_pid();
        enter(Stage::Greeting(peer_pid));
        let mut connection = greet(stream, peer_pid, address, &options).await?;
        enter(Stage::Negotiating);
        connection.oob = !options.no_oob && connection.greeting.offers("oob");
        negotiate(&mut connection, address).await?;
        Ok(connection)
    };
    let explained = async {
        let mut connecting = pin!(connecting);
        tokio::select! {
            biased;
            result = &mut connecting => return result,
            () = sleep(SILENCE) => {}
        }
        if let Some(tell) = &options.tell {
            tell(Change::Silent(at().explain(address)));
        }
        connecting.await
    };
    match options.connect_timeout {
        None => explained.await,
        Some(limit) => match timeout(limit, explained).await {
            Ok(result) => result,
            Err(_) => Err(at().too_long(address, limit)),
        },
    }
}

/// Takes the greeting of a server just connected to.
async fn greet(
    stream: Stream,
    peer_pid: Option<i32>,
    address: &Address,
    options: &Options,
) -> Result<Connection, Error> {
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
    match receiver.receive().await {
        Ok(Incoming::Greeting(greeting)) => Ok(Connection {
            receiver,
            sender,
            greeting,
            events: Vec::new(),
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
            Ok(Incoming::Reply(reply, None)) => {
                return reply.value().map(drop).map_err(|error| Error::Negotiation {
                    address: address.clone(),
                    error,
                });
            }
            // One with an id answers somebody who was connected before us: ours has none.
            Ok(Incoming::Reply(_, Some(_)) | Incoming::Greeting(_)) => {}
            Ok(Incoming::Event(event)) => connection.events.push(event),
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
