//! A session outlives its connections: it knows where to connect, connects again when a connection has ended, and
//! keeps the listeners.
//!
//! ```text
//! idle ─▶ connecting ─▶ running ─▶ disconnecting ─▶ idle
//!             ▲             │
//!             └── it ended ─┘
//! ```
//!
//! One task, in [`session_loop`](super::session_loop), goes through these states, and nobody else changes them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::client::Client;
use super::error::{Error, Lost};
use super::events::Hub;
use super::notice::{NoticeSender, Notices, Unsolicited};
use super::options::{Options, Retry};
use super::session_loop::{Loop, Order, Waiter};
use super::state::State;
use crate::transport::Endpoint;

/// A session with a server. Dropping it ends its connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use qmpsh::qmp::{Options, Request, Retry, Session};
/// use qmpsh::transport::Address;
///
/// let (session, _notices) = Session::start(Options::default(), Retry::Never);
/// session.connect("/run/vm.sock".parse::<Address>()?.into()).await?;
/// if let Some(client) = session.client() {
///     let reply = client.send(Request::new("query-status"))?.await?;
///     println!("{}", reply.raw());
/// }
/// # Ok(()) }
/// ```
pub struct Session {
    orders: mpsc::UnboundedSender<Order>,
    state: watch::Receiver<State>,
    /// Where the connection is, was or will be.
    endpoint: Mutex<Option<Endpoint>>,
    unsolicited: Unsolicited,
    task: AbortHandle,
}

impl Session {
    /// Starts a session that is idle. What happens without being asked for comes out of the [`Notices`].
    pub fn start(options: Options, retry: Retry) -> (Self, Notices) {
        let (notice_sender, notices) = mpsc::unbounded_channel();
        let (state_sender, state) = watch::channel(State::Idle(None));
        let (orders, queue) = mpsc::unbounded_channel();
        let unsolicited = Unsolicited {
            hub: Arc::default(),
            notices: notice_sender,
        };
        let work = Loop {
            options,
            retry,
            unsolicited: unsolicited.clone(),
            orders: queue,
            state: state_sender,
        };
        let session = Self {
            orders,
            state,
            endpoint: Mutex::default(),
            unsolicited,
            task: tokio::spawn(work.run()).abort_handle(),
        };
        (session, notices)
    }

    /// Connects to `endpoint`. While nobody serves it yet, tries again as [`Retry`] says.
    ///
    /// # Errors
    ///
    /// There is no connection to be had, or what answers is not a QMP server.
    pub async fn seek(&self, endpoint: Endpoint) -> Result<(), Error> {
        *self.endpoint.lock() = Some(endpoint.clone());
        self.order(|waiter| Order::Seek(endpoint, waiter)).await
    }

    /// Connects to `endpoint` with one attempt. If that fails, the connection there was stays, unless it was to the
    /// same endpoint: that server may serve only one client, so the old connection is closed first.
    ///
    /// Dropping the future drops the attempt.
    ///
    /// # Errors
    ///
    /// There is no connection to be had, or what answers is not a QMP server.
    pub async fn connect(&self, endpoint: Endpoint) -> Result<(), Error> {
        self.order(|waiter| Order::Try(endpoint.clone(), waiter))
            .await?;
        *self.endpoint.lock() = Some(endpoint);
        Ok(())
    }

    async fn order(&self, order: impl FnOnce(Waiter) -> Order) -> Result<(), Error> {
        let (waiter, outcome) = oneshot::channel();
        let _ = self.orders.send(order(waiter));
        let ended = Error::NotConnected(Lost::Disconnected);
        outcome.await.unwrap_or(Err(ended))
    }

    /// Closes the connection and seeks no other. Resolves when the socket is closed.
    pub async fn disconnect(&self) {
        let (done, wait) = oneshot::channel();
        let _ = self.orders.send(Order::Disconnect(done));
        let _ = wait.await;
    }

    /// Where the connection is, was, or is sought, if anywhere.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.lock().clone()
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
        &self.unsolicited.hub
    }

    /// Lets others add to the notices.
    pub fn notice_sender(&self) -> NoticeSender {
        self.unsolicited.notices.clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The task holds the connection, and takes it along.
        self.task.abort();
    }
}
