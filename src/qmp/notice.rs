//! What happens without being asked for: events, and notices to show.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::{Ending, Error};
use super::events::Hub;
use super::message::Reply;
use crate::transport::Endpoint;

/// Something that the user should know about.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The server keeps us waiting; the text says what for and why.
    Silent(String),
    /// A message from the program that the connection goes through, or from a VM that we launched.
    Said(String),
    /// There is no connection yet, for this reason. Another attempt follows.
    Waiting(Error),
    /// The connection has ended.
    Lost {
        /// Where it led.
        endpoint: Endpoint,
        /// Why it ended.
        ending: Ending,
        /// Whether we try to reconnect.
        again: bool,
    },
    /// We have reconnected to this endpoint.
    Back(String),
    /// There is no connection, and we have stopped trying.
    GivenUp(Error),
    /// A command whose caller had stopped waiting has its reply, or will have none.
    Late(Late),
}

/// What became of a command after its caller stopped waiting.
#[derive(Debug, Clone)]
pub struct Late {
    /// The command's name, if known.
    pub name: Option<String>,
    /// The reply, or why there will be none.
    pub outcome: Result<Reply, Error>,
}

/// The notices of a session, in order.
pub type Notices = mpsc::UnboundedReceiver<Notice>;

/// Adds notices to a session.
pub type NoticeSender = mpsc::UnboundedSender<Notice>;

/// Where everything goes that no caller waits for.
#[derive(Clone)]
pub(super) struct Unsolicited {
    pub hub: Arc<Hub>,
    pub notices: NoticeSender,
}

impl Unsolicited {
    /// Adds a notice. It is dropped if nobody receives notices any more.
    pub fn notify(&self, notice: Notice) {
        let _ = self.notices.send(notice);
    }
}
