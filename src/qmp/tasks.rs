//! The two tasks of a connection, and what they share with its client.

use std::future::pending;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::{Receiver, Sender};
use super::error::{Error, Lost};
use super::handshake;
use super::in_flight::Commands;
use super::message::{Event, Incoming, Reply};
use super::notice::{Late, Notice, Unsolicited};
use crate::transport::StreamEnd;

/// How long we keep reading after the server has stopped reading.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A message for the writer.
pub(super) struct Outgoing {
    pub text: String,
    pub descriptors: Vec<OwnedFd>,
    /// Which client of ours sent it, if it is not from ourselves.
    pub from: Option<Arc<str>>,
    /// See [`Request::quiet`](super::Request::quiet).
    pub quiet: bool,
    /// For a message after which no other may be sent yet: resolves when the reply has come.
    pub replied: Option<oneshot::Receiver<()>>,
    /// Resolves when nobody waits for the reply any more, after which others may be sent nevertheless.
    pub given_up: Option<oneshot::Receiver<()>>,
}

/// What the client and its two tasks share.
pub(super) struct Shared {
    pub commands: Mutex<Commands>,
    pub unsolicited: Unsolicited,
    pub ended: watch::Sender<Option<Lost>>,
    pub sent: AtomicU64,
    pub received: AtomicU64,
}

impl Shared {
    /// Counts a message and returns its number in the session.
    fn number(&self) -> u64 {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.unsolicited.hub.next_number()
    }

    /// Hands an event to the listeners.
    pub fn publish(&self, mut event: Event) {
        event.number = self.number();
        self.unsolicited.hub.publish(event);
    }

    /// Hands a reply to its caller. If there is none, the reply is late.
    fn reply(&self, reply: Reply, id: Option<Value>) {
        let command = self.commands.lock().take(id.as_ref(), reply.failed());
        let (name, reply) = match command {
            // The reply to our handshake, after one that was taken for it.
            None if id.is_some_and(|id| id == handshake::ID) => return,
            None => (None, reply),
            Some(command) => {
                if let Some(replied) = command.replied {
                    let _ = replied.send(());
                }
                match command.waiter.hand(Ok(reply)) {
                    Ok(()) => return,
                    Err(_) if command.quiet => return,
                    Err(reply) => (Some(command.name), reply.expect("what was sent just now")),
                }
            }
        };
        self.late(name, Ok(reply));
    }

    /// Ends the connection and every command in flight. Only the first call has an effect.
    pub fn end(&self, lost: Lost) {
        let commands = {
            let mut commands = self.commands.lock();
            let first = self.ended.send_if_modified(|ended| {
                let first = ended.is_none();
                if first {
                    *ended = Some(lost.clone());
                }
                first
            });
            if !first {
                return;
            }
            commands.take_all()
        };
        for command in commands {
            let name = Some(command.name.clone());
            let unknown = Error::OutcomeUnknown(lost.clone(), command.name);
            if let Err(outcome) = command.waiter.hand(Err(unknown))
                && !command.quiet
            {
                self.late(name, outcome);
            }
        }
    }

    fn late(&self, name: Option<String>, outcome: Result<Reply, Error>) {
        let late = Late { name, outcome };
        self.unsolicited.notify(Notice::Late(late));
    }
}

/// Reads until the connection has ended.
pub(super) async fn receive_all(mut receiver: Receiver, shared: Arc<Shared>) {
    let lost = loop {
        match receiver.receive().await {
            Ok(incoming) => {
                match incoming {
                    Incoming::Reply(mut reply, id) => {
                        reply.number = shared.number();
                        shared.reply(reply, id);
                    }
                    Incoming::Event(event) => shared.publish(event),
                    // A second greeting tells us nothing new.
                    Incoming::Greeting(_) => {
                        shared.number();
                    }
                }
            }
            Err(lost) => break lost,
        }
    };
    shared.end(lost);
}

/// Sends queued messages until the connection has ended or the client is dropped.
pub(super) async fn send_all(
    mut sender: Sender,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    shared: Arc<Shared>,
) {
    let mut next = queue.recv().await;
    while let Some(Outgoing {
        text,
        descriptors,
        from,
        quiet,
        replied,
        given_up,
    }) = next.take()
    {
        sender.push_from(&text, descriptors.len(), from.as_deref(), quiet);
        // Queued messages are sent in one write, except that descriptors belong to the message they
        // are sent with.
        while replied.is_none() && next.is_none() {
            match queue.try_recv() {
                Ok(more) if more.replied.is_none() => {
                    sender.push_from(&more.text, 0, more.from.as_deref(), more.quiet);
                }
                Ok(more) => next = Some(more),
                Err(_) => break,
            }
        }
        if let Err(error) = sender.flush(&descriptors).await {
            // A server that closed the connection may have sent something first, which is still to
            // be read.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                tokio::time::sleep(LAST_WORDS).await;
            }
            shared.end(StreamEnd::io(&error).into());
            return;
        }
        if let Some(replied) = replied {
            let given_up = async {
                match given_up {
                    Some(given_up) => drop(given_up.await),
                    None => pending().await,
                }
            };
            // The first also resolves when the connection ends.
            tokio::select! {
                _ = replied => {}
                () = given_up => {}
            }
        }
        if next.is_none() {
            next = queue.recv().await;
        }
    }
}
