//! Connects to an endpoint until it is ready for commands, and explains delays.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::connection::{Receiver, Sender, split};
use super::error::Error;
use super::handshake::{greeting, negotiate};
use super::message::{Event, Greeting};
use super::notice::{Notice, NoticeSender};
use super::options::Options;
use crate::os::holder;
use crate::transport::{Address, Endpoint, Say, open};

/// How long a server may stay silent before we tell the user why.
const SILENCE: Duration = Duration::from_secs(2);

/// A connection that is ready for commands.
pub(super) struct Connection {
    pub receiver: Receiver,
    pub sender: Sender,
    pub greeting: Greeting,
    /// Events that came during the handshake.
    pub events: Vec<Event>,
    pub oob: bool,
    /// Each command needs an id, for replies may not come in order.
    pub needs_ids: bool,
    pub peer_pid: Option<i32>,
}

/// How far we have got.
#[derive(Clone, Copy)]
enum Stage {
    Dialing,
    /// Connected, and waiting for the greeting. Holds the server's pid, if the system knows it.
    Greeting(Option<i32>),
    Negotiating,
}

impl Stage {
    /// The error if it took longer than `limit`.
    fn too_long(self, endpoint: &Endpoint, limit: Duration) -> Error {
        let endpoint = endpoint.clone();
        match self {
            Self::Dialing => Error::ConnectTimeout { endpoint, limit },
            Self::Greeting(server) => Error::NoGreeting {
                why: why_silent(&endpoint, server),
                endpoint,
                limit,
            },
            Self::Negotiating => Error::NoAnswer { endpoint, limit },
        }
    }

    /// Says what we wait for, and why it may take long.
    fn explain(self, endpoint: &Endpoint) -> String {
        match self {
            Self::Dialing if matches!(endpoint, Endpoint::Listen(_)) => {
                format!("waiting for a QEMU to connect to {endpoint}")
            }
            Self::Dialing => format!(
                "{endpoint} does not accept the connection; its queue may be full: {}; waiting",
                why_silent(endpoint, None)
            ),
            Self::Greeting(server) => format!(
                "{endpoint} accepted the connection but is silent: {}; waiting",
                why_silent(endpoint, server)
            ),
            Self::Negotiating => {
                format!(
                    "{endpoint} greeted, but does not answer: QEMU may be busy or stopped; waiting"
                )
            }
        }
    }
}

/// Guesses why a server does not greet.
fn why_silent(endpoint: &Endpoint, server: Option<i32>) -> String {
    if let Some(pid) = server.filter(|pid| holder::is_stopped(*pid)) {
        return format!("its process (pid {pid}) is stopped");
    }
    let holder = match endpoint {
        Endpoint::Dial(Address::Unix(path)) => holder::of(path),
        _ => None,
    };
    match holder {
        Some(holder) => {
            format!("another client uses this monitor ({holder}), and QEMU serves one at a time")
        }
        None => {
            "another client may be using this monitor (QEMU serves one at a time), or QEMU is still \
                 starting or stopped"
                .to_owned()
        }
    }
}

/// Connects, reads the greeting and negotiates capabilities.
///
/// # Errors
///
/// The connection failed, the other side is not a QMP server, or it took too long.
pub(super) async fn connect(
    endpoint: &Endpoint,
    options: &Options,
    notices: &NoticeSender,
) -> Result<Connection, Error> {
    let stage = Mutex::new(Stage::Dialing);
    let said = notices.clone();
    let say: Say = Arc::new(move |text| {
        let _ = said.send(Notice::Said(text));
    });
    let connecting = async {
        let stream = open(endpoint, options.tls.as_ref(), &say).await?;
        let peer_pid = stream.peer_pid();
        *stage.lock() = Stage::Greeting(peer_pid);
        let (mut receiver, mut sender) = split(stream, options.tap.as_ref());
        let greeting = greeting(&mut receiver, endpoint).await?;
        *stage.lock() = Stage::Negotiating;
        let oob = !options.no_oob && greeting.offers("oob");
        let negotiated = negotiate(&mut receiver, &mut sender, endpoint, oob).await?;
        Ok(Connection {
            receiver,
            sender,
            greeting,
            events: negotiated.events,
            oob,
            needs_ids: negotiated.needs_ids,
            peer_pid,
        })
    };
    let explained = async {
        let mut connecting = pin!(connecting);
        tokio::select! {
            biased;
            result = &mut connecting => return result,
            () = sleep(SILENCE) => {}
        }
        let stage = *stage.lock();
        let _ = notices.send(Notice::Silent(stage.explain(endpoint)));
        connecting.await
    };
    match options.connect_timeout {
        None => explained.await,
        Some(limit) => match timeout(limit, explained).await {
            Ok(result) => result,
            Err(_) => {
                let stage = *stage.lock();
                Err(stage.too_long(endpoint, limit))
            }
        },
    }
}
