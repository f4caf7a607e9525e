//! What happens without being asked for: notices for whoever shows them, and events.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::{Ending, Error};
use super::events::Hub;
use super::message::Reply;
use crate::transport::Endpoint;

/// Something that the user did not ask for just now.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The server keeps us waiting, perhaps for this reason.
    Silent(String),
    /// What the program that the connection goes through has to say, or a VM that we launched.
    Said(String),
    /// There is no connection yet, for this reason; another attempt follows.
    Waiting(Error),
    /// The connection has ended.
    Lost {
        endpoint: Endpoint,
        ending: Ending,
        /// Whether we try to connect again.
        again: bool,
    },
    /// We are connected again, to this endpoint.
    Back(String),
    /// There is no connection, and there will be no further attempt.
    GivenUp(Error),
    Late(Late),
}

/// What became of a command that nobody waits for any more.
#[derive(Debug, Clone)]
pub struct Late {
    /// The command, if that is known.
    pub name: Option<String>,
    /// Its reply, or why there will be none.
    pub outcome: Result<Reply, Error>,
}

/// The notices of a session, in the order in which things happen.
pub type Notices = mpsc::UnboundedReceiver<Notice>;

/// Adds to the notices of a session.
pub type NoticeSender = mpsc::UnboundedSender<Notice>;

/// Where everything goes that comes from a server without being waited for.
#[derive(Clone)]
pub(super) struct Unsolicited {
    pub hub: Arc<Hub>,
    pub notices: NoticeSender,
}

impl Unsolicited {
    /// Adds a notice. It is lost if nobody shows notices any more.
    pub fn notify(&self, notice: Notice) {
        let _ = self.notices.send(notice);
    }
}
