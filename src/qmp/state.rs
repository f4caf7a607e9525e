use std::sync::Arc;

use super::client::Client;
use super::error::Ending;

/// Where a session stands.
#[derive(Clone)]
pub enum State {
    /// There is no connection, and none is sought. With the reason why the last one ended, unless we closed it.
    Idle(Option<Ending>),
    /// A connection is sought. With the reason why the last one ended, if there was one.
    Connecting(Option<Ending>),
    /// There is a connection, ready for commands.
    Running(Arc<Client>),
    /// The connection is being closed.
    Disconnecting,
}
