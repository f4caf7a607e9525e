//! The library's side of a connection: a session that is connected to a fake server.

use std::sync::Arc;

use qmpsh::qmp::{Client, Late, Notice, Notices, Options, Pending, Request, Retry, Session};
use qmpsh::transport::Address;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::DEADLINE;
use super::fake::Fake;

/// A session, and the connection that it has. Dropping both ends the connection.
pub struct Connected {
    pub session: Session,
    pub client: Arc<Client>,
    notices: Option<Notices>,
}

impl Connected {
    pub async fn to(fake: &Fake) -> Self {
        Self::with(fake, Options::default()).await
    }

    pub async fn with(fake: &Fake, options: Options) -> Self {
        Self::at(Address::Unix(fake.socket.clone()), options).await
    }

    async fn at(address: Address, options: Options) -> Self {
        let (session, notices) = Session::start(options, Retry::Never);
        let outcome = within(session.connect(address.into())).await;
        outcome.expect("the fake server greets");
        let client = session.client().expect("it has just connected");
        Self {
            session,
            client,
            notices: Some(notices),
        }
    }

    /// Sends a command without arguments.
    pub fn send(&self, name: &str) -> Pending {
        let pending = self.client.send(Request::new(name));
        pending.expect("a live connection")
    }

    /// What becomes of commands that nobody waits for any more; asked once.
    pub fn late_replies(&mut self) -> LateReplies {
        LateReplies(self.notices.take().expect("this is asked once"))
    }
}

pub struct LateReplies(Notices);

impl LateReplies {
    /// The next one, or nothing once the session has ended.
    pub async fn next(&mut self) -> Option<Late> {
        loop {
            if let Notice::Late(late) = within(self.0.recv()).await? {
                return Some(late);
            }
        }
    }
}

/// The same for code that blocks: a connection on a runtime with a thread of its own, which lasts as long as this.
pub struct InBackground {
    pub client: Arc<Client>,
    pub runtime: Handle,
    _end: oneshot::Sender<()>,
}

impl InBackground {
    pub fn to(fake: &Fake) -> Self {
        let address = Address::Unix(fake.socket.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let connected = Connected::at(address, Options::default()).await;
                let _ = sender.send((connected.client.clone(), Handle::current()));
                // Nothing is ever sent: this is its end.
                let _ = ended.await;
            });
        });
        let (client, runtime) = receiver.recv().expect("a connection");
        Self {
            client,
            runtime,
            _end: end,
        }
    }
}

/// Waits, but not for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}
