use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::connection::{Receiver, Sender, connect};
use super::events::Events;
use super::in_flight::{Commands, InFlight, with_id};
use super::message::Incoming;
use super::{Address, Error, Event, Filter, Greeting, Listener, Lost, Reply};

/// How to connect.
#[derive(Clone, Default)]
pub struct Options {
    /// How long connecting and the greeting may take together; none is for as long as it takes.
    pub connect_timeout: Option<Duration>,
    /// Do not enable the capability `oob` even if it is offered.
    pub no_oob: bool,
    /// Sees every message sent and received.
    pub tap: Option<Tap>,
    /// Told, once, why it may be that a server takes the connection and then stays silent.
    pub silence: Option<Silence>,
}

/// Takes a sentence for the user.
pub type Silence = Arc<dyn Fn(&str) + Send + Sync>;

/// Sees a message as it passes. Called between reading and handing on, so it must not block.
pub type Tap = Arc<dyn Fn(Direction, &str) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Send,
    Receive,
}

/// How many descriptors one message may have; QEMU drops what is beyond (`TCP_MAX_FDS`).
const MAX_DESCRIPTORS: usize = 16;

/// How long a server that takes nothing more is still listened to.
const LAST_WORDS: Duration = Duration::from_secs(1);

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

/// A reply that nobody waits for any more.
#[derive(Debug)]
pub struct Late {
    /// The command it answers, where that is known.
    pub name: Option<String>,
    pub reply: Reply,
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
    late: Option<mpsc::UnboundedReceiver<Late>>,
    address: Address,
    greeting: Greeting,
    oob: bool,
    carries_descriptors: bool,
    peer_pid: Option<i32>,
    since: Instant,
}

struct Outgoing {
    text: String,
    descriptors: Vec<OwnedFd>,
    /// With descriptors: resolves when the reply has come.
    replied: Option<oneshot::Receiver<()>>,
}

/// What the client and its two tasks share.
struct Shared {
    commands: Mutex<Commands>,
    events: Mutex<Events>,
    late: mpsc::UnboundedSender<Late>,
    ended: watch::Sender<Option<Lost>>,
    sent: AtomicU64,
    received: AtomicU64,
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
        let connection = connect(address, options).await?;
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (late_sender, late) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(None);
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            events: Mutex::default(),
            late: late_sender,
            ended: ended_sender,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        let carries_descriptors = connection.sender.carries_descriptors();
        let reader = tokio::spawn(receive_all(connection.receiver, shared.clone()));
        let writer = tokio::spawn(send_all(connection.sender, queue, shared.clone()));
        Ok(Self {
            shared,
            outgoing,
            ended,
            tasks: [reader.abort_handle(), writer.abort_handle()],
            late: Some(late),
            address: address.clone(),
            greeting: connection.greeting,
            oob: connection.oob,
            carries_descriptors,
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
        if !request.descriptors.is_empty() && !self.carries_descriptors {
            return Err(Error::NoDescriptors);
        }
        if request.descriptors.len() > MAX_DESCRIPTORS {
            return Err(Error::TooManyDescriptors(MAX_DESCRIPTORS));
        }
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

    /// Listens to events: those of `filter`, at most `capacity` waiting.
    pub fn listen(&self, filter: Filter, capacity: usize) -> Listener {
        lock(&self.shared.events).listen(filter, capacity)
    }

    /// The last events, oldest first.
    pub fn history(&self) -> Vec<Arc<Event>> {
        lock(&self.shared.events).history()
    }

    /// Replies that nobody waits for. There is one such queue; the first caller gets it.
    pub fn late_replies(&mut self) -> Option<mpsc::UnboundedReceiver<Late>> {
        self.late.take()
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

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.end(Lost::Disconnected);
        for task in &self.tasks {
            task.abort();
        }
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

impl Shared {
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
        let _ = self.late.send(Late { name, reply });
    }

    /// Ends the connection, once: every command in flight, every listener.
    fn end(&self, lost: Lost) {
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
            let unknown = Error::OutcomeUnknown(lost.clone(), command.name);
            let _ = command.waiter.send(Err(unknown));
        }
        lock(&self.events).end();
    }
}

async fn receive_all(mut receiver: Receiver, shared: Arc<Shared>) {
    let lost = loop {
        match receiver.receive().await {
            Ok(incoming) => {
                let number = shared.received.fetch_add(1, Ordering::Relaxed);
                match incoming {
                    Incoming::Reply(mut reply, id) => {
                        reply.number = number;
                        shared.reply(reply, id);
                    }
                    Incoming::Event(mut event) => {
                        event.number = number;
                        lock(&shared.events).publish(event);
                    }
                    // A server that greets again has nothing to tell.
                    Incoming::Greeting(_) => {}
                }
            }
            Err(lost) => break lost,
        }
    };
    shared.end(lost);
}

async fn send_all(
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
