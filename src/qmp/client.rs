use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::connection::connect;
use super::events::Hub;
use super::in_flight::{InFlight, with_id};
use super::tasks::{Outgoing, Shared, lock, receive_all, send_all};
use super::{Address, Change, Dialled, Error, Event, Filter, Greeting, Listener, Lost, Reply, Tls};

/// How to connect.
#[derive(Clone, Default)]
pub struct Options {
    /// How long connecting and the greeting may take together; none is for as long as it takes.
    pub connect_timeout: Option<Duration>,
    /// Do not enable the capability `oob` even if it is offered.
    pub no_oob: bool,
    /// Sees every message sent and received.
    pub tap: Option<Tap>,
    /// Wraps TCP connections in TLS.
    pub tls: Option<Tls>,
    /// Told what becomes of the connection.
    pub tell: Option<Tell>,
    /// A connection that is there already.
    pub dialled: Option<Arc<Dialled>>,
}

/// Takes what becomes of a connection, in the order in which it happens.
pub type Tell = Arc<dyn Fn(Change) + Send + Sync>;

/// Sees a message as it passes. Called between reading and handing on, so it must not block.
pub type Tap = Arc<dyn Fn(Direction, &str) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Send,
    Receive,
}

/// How many descriptors one message may have; QEMU drops what is beyond (`TCP_MAX_FDS`).
const MAX_DESCRIPTORS: usize = 16;

/// The commands that take a descriptor from the message.
const NEED_DESCRIPTOR: [&str; 2] = ["add-fd", "getfd"];

/// A command for the server.
#[derive(Debug, Default)]
pub struct Request {
    /// The message, a JSON object.
    pub text: String,
    /// The `id` the message carries already, if the user gave one.
    pub id: Option<Value>,
    /// What it asks for, for messages about it.
    pub name: String,
    /// Descriptors to pass along. QEMU keeps those of the last message only, so nothing else is sent
    /// until the reply has come.
    pub descriptors: Vec<OwnedFd>,
    /// Nobody asked aloud: a reply that comes late is dropped.
    pub quiet: bool,
}

/// What became of a command that nobody waits for any more.
#[derive(Debug)]
pub struct Late {
    /// The command, where that is known.
    pub name: Option<String>,
    /// Its reply, or that there will be none.
    pub outcome: Result<Reply, Error>,
}

/// Where what nobody asked for goes: events, and replies that nobody waits for any more.
#[derive(Clone)]
pub(super) struct Unsolicited {
    pub hub: Arc<Hub>,
    pub late: mpsc::UnboundedSender<Late>,
}

/// Counters of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    pub sent: u64,
    pub received: u64,
    pub since: Instant,
}

/// A connection to a QMP server, negotiated and ready for commands.
///
/// Dropping it closes the socket; commands in flight then end with [`Error::OutcomeUnknown`].
///
/// ```no_run
/// # async fn example() -> Result<(), qmpsh::qmp::Error> {
/// use qmpsh::qmp::{Client, Options, Request};
///
/// let client = Client::connect(&"/run/vm.sock".parse()?, Options::default()).await?;
/// let reply = client.send(Request::new("query-status"))?.await?;
/// println!("{}", reply.raw());
/// # Ok(()) }
/// ```
pub struct Client {
    shared: Arc<Shared>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    ended: watch::Receiver<Option<Lost>>,
    tasks: [AbortHandle; 2],
    /// Resolves when the tasks are gone, and the socket with them.
    gone: watch::Receiver<()>,
    /// Nothing if it is somebody else's.
    late: Mutex<Option<mpsc::UnboundedReceiver<Late>>>,
    address: Address,
    greeting: Greeting,
    oob: bool,
    /// What the connection goes over, if that carries no descriptors.
    no_descriptors: Option<&'static str>,
    peer_pid: Option<i32>,
    since: Instant,
}

impl Request {
    /// A command without arguments.
    pub fn new(name: &str) -> Self {
        Self {
            text: format!(r#"{{"execute":{}}}"#, Value::from(name)),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The same, asked by nobody aloud: a reply that comes late is dropped.
    pub fn quietly(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }
}

impl Client {
    /// Connects and negotiates.
    ///
    /// # Errors
    ///
    /// There is no connection to be had, or what answers is no QMP server.
    pub async fn connect(address: &Address, options: Options) -> Result<Self, Error> {
        let (late_sender, late) = mpsc::unbounded_channel();
        let unsolicited = Unsolicited {
            hub: Arc::default(),
            late: late_sender,
        };
        Self::start(address, options, unsolicited, Some(late)).await
    }

    /// Connects and negotiates; what nobody asked for goes to `unsolicited`, which may outlive the connection. With
    /// `late`, nobody else listens there.
    pub(super) async fn start(
        address: &Address,
        options: Options,
        unsolicited: Unsolicited,
        late: Option<mpsc::UnboundedReceiver<Late>>,
    ) -> Result<Self, Error> {
        // It is soon over, but takes most of the room that the caller's future would need from the start.
        let connection = Box::pin(connect(address, options)).await?;
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(None);
        let (alive, gone) = watch::channel(());
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            unsolicited,
            end_listeners: late.is_some(),
            ended: ended_sender,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        for event in connection.events {
            shared.publish(event);
        }
        let no_descriptors = connection.sender.no_descriptors();
        // Each task holds one until it is gone.
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
            late: Mutex::new(late),
            address: address.clone(),
            greeting: connection.greeting,
            oob: connection.oob,
            no_descriptors,
            peer_pid: connection.peer_pid,
            since: Instant::now(),
        })
    }

    /// Sends a command. The reply is the outcome of the [`Pending`]; dropping that forgets the
    /// waiter, nothing more.
    ///
    /// # Errors
    ///
    /// Nothing was sent: the connection has ended, the id is in use, or descriptors cannot travel.
    pub fn send(&self, request: Request) -> Result<Pending, Error> {
        self.can_carry(&request.name, request.descriptors.len())?;
        // Held until the message is queued, so that the two queues agree on the order.
        let mut commands = lock(&self.shared.commands);
        if let Some(lost) = &*self.ended.borrow() {
            return Err(Error::NotConnected(lost.clone()));
        }
        let own_id = request.id.is_none();
        let (id, text) = match request.id {
            Some(id) if commands.uses(&id) => return Err(Error::IdInUse(id.to_string())),
            Some(id) => (id, request.text),
            None => {
                let id = commands.next_id();
                let text = with_id(&request.text, &id);
                (id, text)
            }
        };
        let (waiter, receiver) = oneshot::channel();
        let (done, replied) = oneshot::channel();
        let alone = !request.descriptors.is_empty();
        commands.push(InFlight {
            id,
            own_id,
            name: request.name,
            quiet: request.quiet,
            replied: alone.then_some(done),
            waiter,
        });
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
        // A writer that is gone has ended the connection, and that ends the command.
        let _ = self.outgoing.send(Outgoing {
            text,
            descriptors: request.descriptors,
            replied: alone.then_some(replied),
        });
        Ok(Pending { receiver })
    }

    /// Whether a command may be sent with so many descriptors. Those that only make sense with one are
    /// refused without, too, where none can travel.
    ///
    /// # Errors
    ///
    /// They are too many, or what the connection goes over carries none.
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

    /// Listens to events: those of `filter`, at most `capacity` waiting.
    pub fn listen(&self, filter: Filter, capacity: usize) -> Listener {
        self.shared.unsolicited.hub.listen(filter, capacity)
    }

    /// The last events, oldest first.
    pub fn history(&self) -> Vec<Arc<Event>> {
        self.shared.unsolicited.hub.history()
    }

    /// Replies that nobody waits for. There is one such queue; the first caller gets it, unless a session has it.
    pub fn late_replies(&self) -> Option<mpsc::UnboundedReceiver<Late>> {
        lock(&self.late).take()
    }

    /// Resolves when the connection has ended, with the reason.
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

    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Whether out-of-band execution was negotiated.
    pub fn oob(&self) -> bool {
        self.oob
    }

    /// The process that serves the socket, where the system tells.
    pub fn peer_pid(&self) -> Option<i32> {
        self.peer_pid
    }

    /// Messages so far, and since when.
    pub fn stats(&self) -> Stats {
        Stats {
            sent: self.shared.sent.load(Ordering::Relaxed),
            received: self.shared.received.load(Ordering::Relaxed),
            since: self.since,
        }
    }
}

impl Client {
    /// Closes the connection, whoever else still holds the client; resolves when the socket is closed.
    pub(super) async fn close(&self) {
        self.end();
        let mut gone = self.gone.clone();
        // Nothing is ever sent: this is the end of the last sender.
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

/// A command in flight: a future of its reply.
#[derive(Debug)]
pub struct Pending {
    receiver: oneshot::Receiver<Result<Reply, Error>>,
}

impl Future for Pending {
    type Output = Result<Reply, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|outcome| {
            outcome.expect("every waiter is answered: by a reply, or by the end of the connection")
        })
    }
}
