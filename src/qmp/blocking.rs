//! A client for programs without async code.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::error::{Error, Lost};
use super::events::{Filter, Listener};
use super::message::{Event, Reply};
use super::options::{Options, Retry};
use super::request::Request;
use super::session::Session;
use super::state::State;
use crate::transport::{Address, Error as TransportError};

/// How many events are kept until [`Blocking::next_event`] takes them. Beyond that, the oldest are dropped.
const KEPT: usize = 10_000;

/// A connection to a QMP server whose calls wait for their results. It ends when dropped.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use qmpsh::qmp::{Blocking, Request};
/// use serde_json::{Value, json};
///
/// let mut vm = Blocking::connect(&"/run/vm.sock".parse()?)?;
/// let reply = vm.ask(Request::new("query-status"))?;
/// let status: Value = serde_json::from_str(reply.value()?)?;
/// println!("{}", status["status"]);
///
/// let arguments = json!({"id": "disk1"});
/// vm.ask(Request::with("device_del", &arguments))?.value()?;
/// while let Some(event) = vm.next_event(Duration::from_secs(10))? {
///     if event.name() == "DEVICE_DELETED" {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Blocking {
    // Dropped before the runtime that it runs in.
    session: Session,
    events: Listener,
    runtime: Runtime,
}

impl Blocking {
    /// Connects to `address` and negotiates capabilities.
    ///
    /// # Errors
    ///
    /// The connection failed, or the other side is not a QMP server.
    pub fn connect(address: &Address) -> Result<Self, Error> {
        Self::connect_with(address, Options::default())
    }

    /// The same with options.
    ///
    /// # Errors
    ///
    /// As for [`Blocking::connect`].
    pub fn connect_with(address: &Address, options: Options) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| no_runtime(address, &error))?;
        let (session, events) = runtime.block_on(async {
            let (session, _) = Session::start(options, Retry::Never);
            // Events may come as soon as there is a connection.
            let events = session.hub().listen(Filter::default(), KEPT);
            session.connect(address.clone().into()).await?;
            Ok::<_, Error>((session, events))
        })?;
        Ok(Self {
            session,
            events,
            runtime,
        })
    }

    /// Sends a command and waits for its reply. The reply tells whether the command succeeded.
    ///
    /// # Errors
    ///
    /// The connection has ended, or ends before the reply comes.
    pub fn ask(&mut self, request: Request) -> Result<Reply, Error> {
        let Some(client) = self.session.client() else {
            return Err(Error::NotConnected(Lost::Disconnected));
        };
        self.runtime.block_on(async { client.send(request)?.await })
    }

    /// Returns the next event, in the order in which they came, or `None` if none comes within `limit`.
    ///
    /// # Errors
    ///
    /// The connection has ended, and all its events were returned.
    pub fn next_event(&mut self, limit: Duration) -> Result<Option<Arc<Event>>, Error> {
        let (session, events) = (&self.session, &mut self.events);
        self.runtime.block_on(async {
            let mut state = session.watch();
            tokio::select! {
                biased;
                event = timeout(limit, events.next()) => Ok(event.ok().flatten()),
                _ = state.wait_for(|state| !matches!(state, State::Running(_))) => match events.try_next() {
                    Some(event) => Ok(Some(event)),
                    None => Err(Error::NotConnected(Lost::Disconnected)),
                },
            }
        })
    }
}

fn no_runtime(address: &Address, error: &io::Error) -> Error {
    Error::Transport(TransportError::Connect {
        endpoint: address.to_string(),
        why: error.to_string(),
        not_yet: false,
    })
}
