//! The connection of one client.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::command::{Command, Turn, error, refusal, reply};
use super::incoming::{self, Sent, Wrong, wrong};
use super::outbox::Outbox;
use super::shared::Shared;
use super::who::Who;
use crate::qmp::{Frames, Lost, MAX_MESSAGE, NEED_DESCRIPTOR};
use crate::transport::{Reader, Stream, Writer};

/// How many commands of a client may be queued, as in QEMU (`QMP_REQ_QUEUE_LEN_MAX`). While the queue is full, nothing
/// more is read from the client.
const QUEUE: usize = 8;

/// How often to check whether a client that has closed its sending side still waits for the greeting.
const LOOK: Duration = Duration::from_millis(500);

/// How many bytes are kept of what a client sends before the greeting.
const EARLY: usize = 64 << 10;

pub(super) struct Connection {
    reader: Reader,
    writer: Writer,
    shared: Arc<Shared>,
    who: Arc<Who>,
    outbox: Arc<Outbox>,
}

impl Connection {
    pub fn new(
        stream: Stream,
        shared: Arc<Shared>,
        who: Arc<Who>,
        outbox: Arc<Outbox>,
    ) -> io::Result<Self> {
        let (reader, writer) = stream.split()?;
        Ok(Self {
            reader,
            writer,
            shared,
            who,
            outbox,
        })
    }

    /// Serves the client until its connection has ended. Returns why we ended it, if we did.
    pub async fn serve(self) -> Option<String> {
        let Self {
            reader,
            mut writer,
            shared,
            who,
            outbox,
        } = self;
        let mut greeting = shared.greeting();
        let mut receiving = Receiving {
            reader,
            frames: Frames::default(),
            passed: Vec::new(),
            skipping: false,
            ended: false,
        };
        let hello = {
            let mut greeted = pin!(greeting.wait_for(Option::is_some));
            loop {
                tokio::select! {
                    biased;
                    hello = &mut greeted => break hello.ok()?.clone()?,
                    more = receiving.more(), if receiving.reads_early() => receiving.ended = !more,
                    () = sleep(LOOK), if receiving.ended => if receiving.reader.is_gone() {
                        return None;
                    },
                }
            }
        };
        outbox.greet(hello.text.clone());
        if !shared.greets_with(&hello) {
            outbox.finish();
        }
        let (turns, queue) = mpsc::channel(QUEUE);
        let mut asking = Asking {
            shared: &shared,
            who: &who,
            outbox: &outbox,
            turns: Some(turns),
            offers_oob: hello.oob,
            oob: None,
        };
        let mut asking = pin!(async {
            asking.run(&mut receiving).await;
            // The queue ends with this sender.
            asking.turns = None;
            std::future::pending::<()>().await;
        });
        let mut answering = pin!(async {
            take_turns(queue, &shared, &outbox).await;
            outbox.finish_when_answered();
            std::future::pending::<()>().await;
        });
        tokio::select! {
            biased;
            why = outbox.write_to(&mut writer) => why,
            () = &mut asking => None,
            () = &mut answering => None,
        }
    }
}

/// Runs the queued commands in order, no faster than the client reads the replies.
async fn take_turns(mut queue: mpsc::Receiver<Turn>, shared: &Shared, outbox: &Outbox) {
    while let Some(turn) = queue.recv().await {
        outbox.room().await;
        match turn {
            Turn::Command(command) => shared.run(command).await,
            Turn::Wrong(wrong) => outbox.reply(refusal(&wrong)),
        }
    }
}

/// Reads a client's messages.
struct Receiving {
    reader: Reader,
    frames: Frames,
    /// The descriptors that came last.
    passed: Vec<OwnedFd>,
    /// Whether the rest of the line is skipped, because it is not a message.
    skipping: bool,
    /// The client will send nothing more.
    ended: bool,
}

/// What a client sent.
enum Received {
    Message(Bytes),
    /// A line that is not a message.
    Garbage(u8),
    /// A message over a limit. Its end is unknown, so the connection has to end.
    OverLimit(String),
    End,
}

impl Receiving {
    /// Whether to read more before the greeting.
    fn reads_early(&self) -> bool {
        !self.ended && self.frames.buffer.len() < EARLY
    }

    /// Reads what has arrived. Returns false at the end.
    async fn more(&mut self) -> bool {
        let read = self
            .reader
            .read_passed(&mut self.frames.buffer, &mut self.passed);
        matches!(read.await, Ok(1..))
    }

    /// The next message. Cancel safe.
    async fn next(&mut self) -> Received {
        loop {
            if self.skipping {
                let buffer = &mut self.frames.buffer;
                match buffer.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        buffer.advance(end);
                        self.skipping = false;
                    }
                    None => buffer.clear(),
                }
            }
            match self.frames.json() {
                Ok(Some(message)) => return Received::Message(message),
                Ok(None) => {}
                Err(Lost::Garbage { .. }) => {
                    self.skipping = true;
                    return Received::Garbage(self.frames.buffer[0]);
                }
                Err(Lost::TooDeep(_)) => {
                    let why = "JSON parse error, JSON nesting depth limit exceeded";
                    return Received::OverLimit(why.to_owned());
                }
                Err(_) => {
                    let limit = MAX_MESSAGE >> 20;
                    let why = format!("JSON parse error, a message of more than {limit} MiB");
                    return Received::OverLimit(why);
                }
            }
            if !self.more().await {
                return Received::End;
            }
        }
    }
}

/// Handles what a client sends.
struct Asking<'a> {
    shared: &'a Shared,
    who: &'a Arc<Who>,
    outbox: &'a Arc<Outbox>,
    /// The queue of what is run in order; `None` once nothing more will come.
    turns: Option<mpsc::Sender<Turn>>,
    offers_oob: bool,
    /// Whether the client has enabled `oob`; `None` before it has negotiated.
    oob: Option<bool>,
}

#[derive(Deserialize)]
struct Capabilities {
    #[serde(default)]
    enable: Vec<String>,
}

impl Asking<'_> {
    /// Handles messages until the client has sent its last.
    async fn run(&mut self, receiving: &mut Receiving) {
        loop {
            match receiving.next().await {
                Received::Message(message) => match incoming::read(message).await {
                    Ok(sent) => self.command(sent, &mut receiving.passed).await,
                    Err(wrong) => self.wrong(wrong).await,
                },
                Received::Garbage(first) => {
                    let is_json = matches!(first, b'[' | b'"' | b'0'..=b'9' | b'-');
                    self.wrong(wrong(match is_json {
                        true => "QMP input must be a JSON object",
                        false => "JSON parse error, expecting value",
                    }))
                    .await;
                    // Otherwise a client that sends nothing else would keep the others waiting.
                    yield_now().await;
                }
                Received::OverLimit(why) => {
                    self.wrong(wrong(&why)).await;
                    return;
                }
                Received::End => return,
            }
        }
    }

    async fn wrong(&mut self, wrong: Wrong) {
        if self.oob.is_none() {
            return self.outbox.push(refusal(&wrong));
        }
        self.outbox.owe();
        self.turn(Turn::Wrong(wrong)).await;
    }

    async fn turn(&mut self, turn: Turn) {
        if let Some(turns) = &self.turns {
            let _ = turns.send(turn).await;
        }
    }

    async fn command(&mut self, sent: Sent, passed: &mut Vec<OwnedFd>) {
        self.who.commands.fetch_add(1, Ordering::Relaxed);
        let Some(oob) = self.oob else {
            return self.negotiate(&sent);
        };
        if sent.oob && !oob {
            let desc = "QMP input member 'exec-oob' is unexpected".to_owned();
            return self.wrong(Wrong { id: sent.id, desc }).await;
        }
        let takes = NEED_DESCRIPTOR.contains(&sent.name.as_str());
        let passed = if takes {
            std::mem::take(passed)
        } else {
            Vec::new()
        };
        let command = Command::new(sent, passed, self.who.clone(), self.outbox.clone());
        if command.oob() {
            self.outbox.room().await;
            self.shared.run(command).await;
        } else {
            self.turn(Turn::Command(command)).await;
        }
    }

    /// Handles a command that came before capabilities were negotiated.
    fn negotiate(&mut self, sent: &Sent) {
        let refuse = |class, desc: &str| {
            let error = error(class, desc);
            self.outbox.push(reply("error", error, sent.id.as_ref()));
        };
        if sent.oob || sent.name != "qmp_capabilities" {
            let desc = "Expecting capabilities negotiation with 'qmp_capabilities'";
            return refuse("CommandNotFound", desc);
        }
        let arguments = match &sent.arguments[..] {
            b"" => b"{}",
            arguments => arguments,
        };
        let enable = match serde_json::from_slice(arguments) {
            Ok(Capabilities { enable }) => enable,
            Err(error) => return refuse("GenericError", &format!("Invalid parameter: {error}")),
        };
        let unknown = |name: &&String| *name != "oob" || !self.offers_oob;
        if let Some(name) = enable.iter().find(unknown) {
            return refuse(
                "GenericError",
                &format!("Capability '{name}' not available"),
            );
        }
        let done = Bytes::from_static(b"{}");
        self.outbox.push(reply("return", done, sent.id.as_ref()));
        self.outbox.negotiated();
        self.oob = Some(!enable.is_empty());
    }
}
