//! A session knows where to connect, reconnects when a connection has ended, and keeps the
//! listeners.
//!
//! ```text
//! idle ─▶ connecting ─▶ running ─▶ disconnecting ─▶ idle
//!             ▲             │
//!             └── it ended ─┘
//! ```
//!
//! One task, in [`session_loop`](super::session_loop), goes through these states; nothing else
//! changes them.

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
    /// The current, last or next endpoint.
    endpoint: Mutex<Option<Endpoint>>,
    unsolicited: Unsolicited,
    task: AbortHandle,
}

impl Session {
    /// Starts an idle session. What happens in it is reported by the [`Notices`].
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

    /// Connects to `endpoint`. While nothing serves it yet, tries again as [`Retry`] says.
    ///
    /// # Errors
    ///
    /// The connection failed, or the other side is not a QMP server.
    pub async fn seek(&self, endpoint: Endpoint) -> Result<(), Error> {
        *self.endpoint.lock() = Some(endpoint.clone());
        self.order(|waiter| Order::Seek(endpoint, waiter)).await
    }

    /// Tries once to connect to `endpoint`. If that fails, an existing connection stays, unless it
    /// is to the same endpoint: the server may serve only one client, so that connection is closed
    /// first.
    ///
    /// Dropping the future cancels the attempt.
    ///
    /// # Errors
    ///
    /// The connection failed, or the other side is not a QMP server.
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

    /// Closes the connection and does not reconnect. Resolves when the socket is closed.
    pub async fn disconnect(&self) {
        let (done, wait) = oneshot::channel();
        let _ = self.orders.send(Order::Disconnect(done));
        let _ = wait.await;
    }

    /// The current, last or next endpoint.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.lock().clone()
    }

    /// The state it is in.
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

    /// Waits until there is a connection, or until we have stopped trying.
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
        // The task owns the connection, which ends with it.
        self.task.abort();
    }
}
