use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::client::Connection;
use super::command::{Command, one_line};
use super::outbox::Outbox;
use super::shared::{Client, Hello, Shared};
use super::who::{Note, Who};
use crate::qmp::Greeting;
use crate::transport::{ServerSocket, Stream, accept};

/// The most clients that one server has at once.
const MOST_CLIENTS: usize = 512;

/// How long to wait after a connection could not be accepted, for example because no descriptor was left.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long clients may take to read the last messages.
const LAST: Duration = Duration::from_millis(300);

/// A QMP server. See the [module](super) for an example.
pub struct Server {
    shared: Arc<Shared>,
    accepting: Mutex<Vec<AbortHandle>>,
}

impl Server {
    /// Creates a server that passes each command to `handler`. A client's next in-band command is passed once the future
    /// has ended; the reply may be given later. Clients are not served before there is a [greeting](Self::greet).
    pub fn new<F, Running>(handler: F) -> Self
    where
        F: Fn(Command) -> Running + Send + Sync + 'static,
        Running: Future<Output = ()> + Send + 'static,
    {
        Self::telling(handler, |_| ())
    }

    /// The same, and calls `tell` when clients come and go. It must not block.
    pub fn telling<F, Running>(handler: F, tell: impl Fn(Note) + Send + Sync + 'static) -> Self
    where
        F: Fn(Command) -> Running + Send + Sync + 'static,
        Running: Future<Output = ()> + Send + 'static,
    {
        Self {
            shared: Arc::new(Shared {
                handler: Box::new(move |command| Box::pin(handler(command))),
                tell: Box::new(tell),
                greeting: watch::channel(None).0,
                full: watch::channel(false).0,
                clients: Mutex::default(),
            }),
            accepting: Mutex::default(),
        }
    }

    /// Sets the greeting, for clients that wait for one and for those to come. Clients that have already been greeted are
    /// disconnected once their queue is sent. With `None`, clients wait again.
    pub fn greet(&self, greeting: Option<&Greeting>) {
        let hello = greeting.map(Hello::new).map(Arc::new);
        self.shared.greeting.send_replace(hello);
        for client in self.shared.clients.lock().values() {
            client.outbox.finish_greeted();
        }
    }

    /// Serves the clients that connect to `socket`, until the server ends or is dropped. A Unix socket takes only clients of
    /// root and of the user who runs this process.
    pub fn listen(&self, socket: ServerSocket) {
        let accepting = tokio::spawn(accept_all(socket, self.shared.clone()));
        self.accepting.lock().push(accepting.abort_handle());
    }

    /// Sends an event, a JSON object, to every client that has negotiated.
    pub fn publish(&self, event: &str) {
        let clients = self.shared.clients.lock();
        if clients.is_empty() {
            return;
        }
        let mut line = one_line(Bytes::copy_from_slice(event.as_bytes())).to_vec();
        line.extend_from_slice(b"\r\n");
        let line = Bytes::from(line);
        for client in clients.values() {
            client.outbox.event(&line);
        }
    }

    /// The clients there are, in the order in which they came.
    pub fn clients(&self) -> Vec<Arc<Who>> {
        let clients = self.shared.clients.lock();
        clients.values().map(|client| client.who.clone()).collect()
    }

    /// Stops listening, and disconnects all clients once their queues are sent, after 300 ms at most.
    pub async fn end(&self) {
        self.shared.full.send_replace(true);
        for client in self.shared.clients.lock().values() {
            client.outbox.finish();
        }
        let gone = async {
            while !self.shared.clients.lock().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(LAST, gone).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for accepting in self.accepting.lock().drain(..) {
            accepting.abort();
        }
    }
}

/// Accepts connections until the server ends, and waits for their end. Aborting it disconnects all clients.
async fn accept_all(socket: ServerSocket, shared: Arc<Shared>) {
    let socket = Arc::new(socket);
    let mut connections = JoinSet::new();
    let mut full = shared.full.subscribe();
    loop {
        tokio::select! {
            biased;
            _ = full.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&socket) => match accepted {
                Ok(stream) => match admit(&stream, connections.len()) {
                    Ok(()) => {
                        connections.spawn(attend(stream, socket.clone(), shared.clone()));
                    }
                    Err(why) => shared.tell(Note::TurnedAway(why)),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// Whether a client may connect.
///
/// # Errors
///
/// Why not.
fn admit(stream: &Stream, others: usize) -> Result<(), String> {
    let ours = nix::unistd::geteuid().as_raw();
    match stream.peer_user() {
        Some(user) if user != ours && user != 0 => Err(format!("it belongs to user {user}")),
        _ if others >= MOST_CLIENTS => Err(format!("there are {MOST_CLIENTS} already")),
        _ => Ok(()),
    }
}

/// Serves a client until its connection has ended.
async fn attend(stream: Stream, socket: Arc<ServerSocket>, shared: Arc<Shared>) {
    let secured = timeout(HANDSHAKE, socket.secure(stream)).await;
    drop(socket);
    let stream = match secured {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return shared.tell(Note::TurnedAway(error.to_string())),
        Err(_) => {
            let limit = HANDSHAKE.as_secs();
            let why = format!("no TLS handshake within {limit} s");
            return shared.tell(Note::TurnedAway(why));
        }
    };
    let who = Arc::new(Who::of(&stream));
    let outbox = Arc::new(Outbox::default());
    let client = Client {
        who: who.clone(),
        outbox: outbox.clone(),
    };
    shared.clients.lock().insert(who.number, client);
    let leaving = Leaving {
        shared: &shared,
        number: who.number,
    };
    shared.tell(Note::Connected(who.clone()));
    let cut = match Connection::new(stream, shared.clone(), who.clone(), outbox.clone()) {
        Ok(connection) => connection.serve().await,
        Err(error) => Some(error.to_string()),
    };
    outbox.cut("its connection has ended".to_owned());
    drop(leaving);
    shared.tell(match cut {
        Some(why) => Note::Cut(who, why),
        None => Note::Left(who),
    });
}

/// Removes a client on drop.
struct Leaving<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.shared.clients.lock().remove(&self.number);
    }
}
