use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::connecting::connect;
use super::error::{Error, Lost};
use super::in_flight::{Id, InFlight, Waiter};
use super::message::{Greeting, Reply};
use super::notice::Unsolicited;
use super::options::Options;
use super::request::{Request, needs_id, with_id};
use super::tasks::{Outgoing, Shared, receive_all, send_all};
use super::wire::{Pace, Wire};
use crate::transport::Endpoint;

/// The most descriptors that one message may pass; QEMU drops any more (`TCP_MAX_FDS`).
const MAX_DESCRIPTORS: usize = 16;

/// The commands that take a descriptor from the message.
pub(crate) const NEED_DESCRIPTOR: [&str; 2] = ["add-fd", "getfd"];

/// Counters of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    /// How many messages were sent.
    pub sent: u64,
    /// How many messages came.
    pub received: u64,
    /// When it was ready for commands.
    pub since: Instant,
}

/// A connection to a QMP server, negotiated and ready for commands.
///
/// A [`Session`](super::Session) makes it. Dropping it closes the socket; commands in flight then end with
/// [`Error::OutcomeUnknown`].
pub struct Client {
    shared: Arc<Shared>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    ended: watch::Receiver<Option<Lost>>,
    tasks: [AbortHandle; 2],
    /// Resolves when both tasks have ended and the socket is closed.
    gone: watch::Receiver<()>,
    endpoint: Endpoint,
    wire: &'static dyn Wire,
    greeting: Greeting,
    oob: bool,
    /// The server seems not to answer in order, or not with the ids that it is given.
    needs_ids: bool,
    /// The kind of stream, if it cannot pass descriptors.
    no_descriptors: Option<&'static str>,
    peer_pid: Option<i32>,
    since: Instant,
}

impl Client {
    /// Connects and negotiates. Events, notices and late replies go to `unsolicited`, which may
    /// outlive the connection.
    ///
    /// # Errors
    ///
    /// The connection failed, or the other side is not a QMP server.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        options: &Options,
        unsolicited: Unsolicited,
    ) -> Result<Self, Error> {
        // Boxed, because it ends soon but would make the caller's future large for good.
        let connection = Box::pin(connect(endpoint, options, &unsolicited.notices)).await?;
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(None);
        let (alive, gone) = watch::channel(());
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            unsolicited,
            ended: ended_sender,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        for event in connection.events {
            shared.publish(event);
        }
        let no_descriptors = connection.sender.no_descriptors();
        // Each task holds a clone until it ends.
        let alive = Arc::new(alive);
        let (reading, writing) = (alive.clone(), alive);
        let (receiver, sender) = (connection.receiver, connection.sender);
        let (by_reader, by_writer) = (shared.clone(), shared.clone());
        let reader = tokio::spawn(async move {
            let _alive = reading;
            receive_all(receiver, by_reader).await;
        });
        let writer = tokio::spawn(async move {
            let _alive = writing;
            send_all(sender, queue, by_writer).await;
        });
        Ok(Self {
            shared,
            outgoing,
            ended,
            tasks: [reader.abort_handle(), writer.abort_handle()],
            gone,
            endpoint: endpoint.clone(),
            wire: connection.wire,
            greeting: connection.greeting,
            oob: connection.oob,
            needs_ids: connection.needs_ids,
            no_descriptors,
            peer_pid: connection.peer_pid,
            since: Instant::now(),
        })
    }

    /// Sends a command. The [`Pending`] resolves to the reply. If it is dropped, the command still
    /// runs and its reply is late.
    ///
    /// # Errors
    ///
    /// Nothing was sent, because the connection has ended, the id is in use, or descriptors cannot
    /// be passed.
    pub fn send(&self, request: Request) -> Result<Pending, Error> {
        let (waiter, receiver) = oneshot::channel();
        let waiting = self.queue(request, Waiter::Caller(waiter))?;
        Ok(Pending {
            receiver,
            _waiting: waiting,
        })
    }

    /// Sends a command, and calls `then` with the reply, or with why there will be none. It is called in the order in
    /// which messages come, between the events before and after the reply (see [`Hub::relay`](super::Hub::relay)), and
    /// must not block.
    ///
    /// # Errors
    ///
    /// As for [`Client::send`]. Then `then` is not called.
    pub fn send_then(
        &self,
        request: Request,
        then: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.queue(request, Waiter::Function(Box::new(then)))
            .map(drop)
    }

    /// Queues a command. What this returns is to be dropped by a caller that gives up.
    fn queue(
        &self,
        request: Request,
        waiter: Waiter,
    ) -> Result<Option<oneshot::Sender<()>>, Error> {
        self.can_carry(&request.name, request.descriptors.len())?;
        if let Some(why) = self.wire.refuses(&request.text) {
            return Err(Error::NotCarried(request.name, why));
        }
        // Hold the lock until the message is queued, so that both queues have the same order.
        let mut commands = self.shared.commands.lock();
        if let Some(lost) = &*self.ended.borrow() {
            return Err(Error::NotConnected(lost.clone()));
        }
        let (id, text) = match request.id {
            Some(id) if commands.uses(&id) => return Err(Error::IdInUse(id.to_string())),
            Some(id) => (Id::Users(id), request.text),
            None if self.wire.has_ids() && (self.needs_ids || needs_id(&request.text)) => {
                let id = commands.next_id();
                (Id::Ours(id), with_id(&request.text, id))
            }
            None => (Id::Order, request.text),
        };
        let (done, replied) = oneshot::channel();
        let pace = match request.descriptors.is_empty() {
            true => self.wire.pace(),
            false => Pace::Replied,
        };
        let alone = pace != Pace::AtOnce;
        let (waiting, given_up) = match (&waiter, pace) {
            (Waiter::Caller(_), Pace::Settled) => {
                let (waiting, given_up) = oneshot::channel();
                (Some(waiting), Some(given_up))
            }
            _ => (None, None),
        };
        commands.push(InFlight {
            id,
            name: request.name,
            quiet: request.quiet,
            replied: alone.then_some(done),
            waiter,
        });
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
        // If the writer has ended, so has the connection, and the command gets its error.
        let _ = self.outgoing.send(Outgoing {
            text,
            descriptors: request.descriptors,
            from: request.from,
            quiet: request.quiet,
            replied: alone.then_some(replied),
            given_up,
        });
        Ok(waiting)
    }

    /// Checks whether a command may pass this many descriptors. `add-fd` and `getfd` need one, so
    /// they are refused even without one if the connection cannot pass any.
    ///
    /// # Errors
    ///
    /// There are too many, or the connection cannot pass any.
    pub fn can_carry(&self, command: &str, descriptors: usize) -> Result<(), Error> {
        if descriptors > MAX_DESCRIPTORS {
            return Err(Error::TooManyDescriptors(MAX_DESCRIPTORS));
        }
        match self.no_descriptors {
            Some(over) if descriptors > 0 || NEED_DESCRIPTOR.contains(&command) => {
                Err(Error::NoDescriptors {
                    command: command.to_owned(),
                    over,
                })
            }
            _ => Ok(()),
        }
    }

    /// Resolves to the reason when the connection has ended.
    pub fn ended(&self) -> impl Future<Output = Lost> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(lost) => lost.clone().expect("waited for it"),
                Err(_) => Lost::Disconnected,
            }
        }
    }

    /// Whether the connection has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The server's greeting.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// When a message can be sent after another.
    pub fn pace(&self) -> Pace {
        self.wire.pace()
    }

    /// Whether out-of-band execution was negotiated.
    pub fn oob(&self) -> bool {
        self.oob
    }

    /// The pid of the server, if the system knows it.
    pub fn peer_pid(&self) -> Option<i32> {
        self.peer_pid
    }

    /// How many messages were sent and received, and since when.
    pub fn stats(&self) -> Stats {
        Stats {
            sent: self.shared.sent.load(Ordering::Relaxed),
            received: self.shared.received.load(Ordering::Relaxed),
            since: self.since,
        }
    }
}

impl Client {
    /// Closes the connection, even if others still hold the client. Resolves when the socket is
    /// closed.
    pub(super) async fn close(&self) {
        self.end();
        let mut gone = self.gone.clone();
        // Nothing is ever sent: this ends when both tasks have dropped their sender.
        while gone.changed().await.is_ok() {}
    }

    fn end(&self) {
        self.shared.end(Lost::Disconnected);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

/// A command in flight: a future that resolves to the reply.
#[derive(Debug)]
pub struct Pending {
    receiver: oneshot::Receiver<Result<Reply, Error>>,
    /// Dropping it tells that nobody waits any more.
    _waiting: Option<oneshot::Sender<()>>,
}

impl Future for Pending {
    type Output = Result<Reply, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|outcome| {
            outcome.expect("every waiter is answered: by a reply, or by the end of the connection")
        })
    }
}
