use std::sync::Arc;

use super::client::Client;
use super::error::Ending;

/// The state of a session.
#[derive(Clone)]
pub enum State {
    /// There is no connection, and we are not trying to connect. Holds why the last one ended,
    /// unless we closed it.
    Idle(Option<Ending>),
    /// We are trying to connect. Holds why the last connection ended, if there was one.
    Connecting(Option<Ending>),
    /// There is a connection, ready for commands.
    Running(Arc<Client>),
    /// The connection is being closed.
    Disconnecting,
}
