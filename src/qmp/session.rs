//! A session outlives its connections: it knows where to connect, seeks a connection again when the one there
//! was has ended, and keeps who listens.
//!
//! ```text
//! idle ─▶ connecting ─▶ running ─▶ disconnecting ─▶ idle
//!             ▲             │
//!             └── it ended ─┘
//! ```
//!
//! One task, in [`session_loop`](super::session_loop), goes through these states, and nobody else changes them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::client::Unsolicited;
use super::session_loop::{Loop, Order, Waiter};
use super::{Address, Client, Error, Hub, Late, Lost, Options};

/// Where a session stands.
#[derive(Clone)]
pub enum State {
    /// There is no connection, and none is sought; why the last one ended, unless that was our wish.
    Idle(Option<Ending>),
    /// One is sought; why the last one ended, if there was one.
    Connecting(Option<Ending>),
    /// There is one, negotiated.
    Running(Arc<Client>),
    /// It is being closed.
    Disconnecting,
}

/// Why a connection ended, as far as it is known.
#[derive(Debug, Clone)]
pub struct Ending {
    pub lost: Lost,
    /// The reason that a `SHUTDOWN` gave before.
    pub shutdown: Option<String>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shutdown {
            Some(reason) => write!(f, "QEMU shut down ({reason})"),
            None => self.lost.fmt(f),
        }
    }
}

/// What becomes of a connection without anybody having asked just then.
#[derive(Clone)]
pub enum Change {
    /// The server keeps us waiting; why that may be.
    Silent(String),
    /// What the program that the connection goes through says.
    Said(String),
    /// There is none yet, for this reason; it is tried again.
    Waiting(Error),
    /// It has ended; and another is sought, or is not.
    Lost {
        address: Address,
        ending: Ending,
        again: bool,
    },
    /// After one that ended there is another.
    Back(Arc<Client>),
    /// There is none, and no further attempt.
    GivenUp(Error),
}

/// Whether to seek a connection again when there is none yet, or the one there was has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// For so long; with no limit, for as long as it takes.
    Within(Option<Duration>),
}

/// A session with a server. Dropping it ends its connection.
pub struct Session {
    orders: mpsc::UnboundedSender<Order>,
    state: watch::Receiver<State>,
    /// Where the connection is, was or will be.
    address: Mutex<Option<Address>>,
    hub: Arc<Hub>,
    late: Mutex<Option<mpsc::UnboundedReceiver<Late>>>,
    task: AbortHandle,
}

impl Session {
    /// Starts a session that is idle.
    pub fn start(options: Options, retry: Retry) -> Self {
        let (late_sender, late) = mpsc::unbounded_channel();
        let (state_sender, state) = watch::channel(State::Idle(None));
        let (orders, queue) = mpsc::unbounded_channel();
        let hub = Arc::<Hub>::default();
        let unsolicited = Unsolicited {
            hub: hub.clone(),
            late: late_sender,
        };
        let work = Loop {
            options,
            retry,
            unsolicited,
            orders: queue,
            state: state_sender,
        };
        Self {
            orders,
            state,
            address: Mutex::default(),
            hub,
            late: Mutex::new(Some(late)),
            task: tokio::spawn(work.run()).abort_handle(),
        }
    }

    /// Connects to `address`, trying again as [`Retry`] says while nobody serves it yet.
    ///
    /// # Errors
    ///
    /// There is no connection to be had, or what answers is no QMP server.
    pub async fn seek(&self, address: Address) -> Result<(), Error> {
        *lock(&self.address) = Some(address.clone());
        self.order(|waiter| Order::Seek(address, waiter)).await
    }

    /// Connects to `address` at the first attempt or not at all. Then the connection there was stays, unless
    /// it was to the same server, which may serve but one client.
    ///
    /// Dropping the future drops the attempt.
    ///
    /// # Errors
    ///
    /// There is no connection to be had, or what answers is no QMP server.
    pub async fn connect(&self, address: Address) -> Result<(), Error> {
        self.order(|waiter| Order::Try(address.clone(), waiter))
            .await?;
        *lock(&self.address) = Some(address);
        Ok(())
    }

    async fn order(&self, order: impl FnOnce(Waiter) -> Order) -> Result<(), Error> {
        let (waiter, outcome) = oneshot::channel();
        let _ = self.orders.send(order(waiter));
        let ended = Error::NotConnected(Lost::Disconnected);
        outcome.await.unwrap_or(Err(ended))
    }

    /// Closes the connection, and seeks no other; resolves when the socket is closed.
    pub async fn disconnect(&self) {
        let (done, wait) = oneshot::channel();
        let _ = self.orders.send(Order::Disconnect(done));
        let _ = wait.await;
    }

    /// Where the connection is, was, or is sought, if anywhere.
    pub fn address(&self) -> Option<Address> {
        lock(&self.address).clone()
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Follows the state.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The connection, if there is one.
    pub fn client(&self) -> Option<Arc<Client>> {
        match &*self.state.borrow() {
            State::Running(client) => Some(client.clone()),
            _ => None,
        }
    }

    /// Resolves when there is a connection, or none and none is sought.
    pub async fn settled(&self) -> State {
        let mut state = self.state.clone();
        let settled = state
            .wait_for(|state| match state {
                State::Running(client) => !client.has_ended(),
                State::Idle(_) => true,
                State::Connecting(_) | State::Disconnecting => false,
            })
            .await;
        settled.map_or(State::Idle(None), |state| state.clone())
    }

    /// The events of all its connections.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Replies that nobody waits for. There is one such queue; the first caller gets it.
    pub fn late_replies(&self) -> Option<mpsc::UnboundedReceiver<Late>> {
        lock(&self.late).take()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The task holds the connection, and takes it along.
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
