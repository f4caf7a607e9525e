//! The two tasks of a connection, and what they share with its client.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::client::Unsolicited;
use super::connection::{Receiver, Sender};
use super::in_flight::Commands;
use super::message::Incoming;
use super::{Error, Event, Late, Lost, Reply};

/// How long a server that takes nothing more is still listened to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A message on its way to the writer.
pub(super) struct Outgoing {
    pub text: String,
    pub descriptors: Vec<OwnedFd>,
    /// With descriptors: resolves when the reply has come.
    pub replied: Option<oneshot::Receiver<()>>,
}

/// What the client and its two tasks share.
pub(super) struct Shared {
    pub commands: Mutex<Commands>,
    pub unsolicited: Unsolicited,
    /// The listeners end with the connection.
    pub end_listeners: bool,
    pub ended: watch::Sender<Option<Lost>>,
    pub sent: AtomicU64,
    pub received: AtomicU64,
}

impl Shared {
    /// Counts a message; which one of the session it is.
    fn number(&self) -> u64 {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.unsolicited.hub.next_number()
    }

    /// Hands an event to whoever listens.
    pub fn publish(&self, mut event: Event) {
        event.number = self.number();
        self.unsolicited.hub.publish(event);
    }

    /// Hands a reply to its waiter, or to whoever takes late ones.
    fn reply(&self, reply: Reply, id: Option<Value>) {
        let command = lock(&self.commands).take(id.as_ref(), reply.failed());
        let (name, reply) = match command {
            None => (None, reply),
            Some(command) => {
                if let Some(replied) = command.replied {
                    let _ = replied.send(());
                }
                match command.waiter.send(Ok(reply)) {
                    Ok(()) => return,
                    Err(_) if command.quiet => return,
                    Err(reply) => (Some(command.name), reply.expect("what was sent just now")),
                }
            }
        };
        // Nobody left to show it to is the one case in which it is dropped.
        let outcome = Ok(reply);
        let _ = self.unsolicited.late.send(Late { name, outcome });
    }

    /// Ends the connection, once: every command in flight, every listener.
    pub fn end(&self, lost: Lost) {
        let commands = {
            let mut commands = lock(&self.commands);
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
            if let Err(outcome) = command.waiter.send(Err(unknown))
                && !command.quiet
            {
                let _ = self.unsolicited.late.send(Late { name, outcome });
            }
        }
        if self.end_listeners {
            self.unsolicited.hub.end();
        }
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
                    // A server that greets again has nothing to tell.
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

/// Sends what is queued, until the connection has ended or nobody can queue anything more.
pub(super) async fn send_all(
    mut sender: Sender,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    shared: Arc<Shared>,
) {
    let mut next = queue.recv().await;
    while let Some(Outgoing {
        text,
        descriptors,
        replied,
    }) = next.take()
    {
        sender.push(&text);
        // What waits already goes out in one write, unless descriptors travel with it: they belong
        // to the message they are sent with.
        while descriptors.is_empty() && next.is_none() {
            match queue.try_recv() {
                Ok(more) if more.descriptors.is_empty() => sender.push(&more.text),
                Ok(more) => next = Some(more),
                Err(_) => break,
            }
        }
        if let Err(error) = sender.flush(&descriptors).await {
            // A server that closed its end may have said something before, which is still read.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                tokio::time::sleep(LAST_WORDS).await;
            }
            shared.end(Lost::io(&error));
            return;
        }
        if let Some(replied) = replied {
            // An end of the connection ends this as well.
            let _ = replied.await;
        }
        if next.is_none() {
            next = queue.recv().await;
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
