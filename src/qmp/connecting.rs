//! From an endpoint to a connection that is ready for commands, and why that takes long.

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
use crate::lang::mask_arguments;
use crate::os::holder;
use crate::transport::{Address, Endpoint, Say, open};

/// How long a server may stay silent before we tell the user why that may be.
const SILENCE: Duration = Duration::from_secs(2);

/// A connection that is ready for commands.
pub(super) struct Connection {
    pub receiver: Receiver,
    pub sender: Sender,
    pub greeting: Greeting,
    /// Events that came during the handshake.
    pub events: Vec<Event>,
    pub oob: bool,
    pub peer_pid: Option<i32>,
}

/// How far connecting has come.
#[derive(Clone, Copy)]
enum Stage {
    Dialing,
    /// We are connected, and wait for the greeting. With the server's pid, if the system knows it.
    Greeting(Option<i32>),
    Negotiating,
}

impl Stage {
    /// The error when it takes longer than `limit`.
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

    /// What we wait for, and why that may take long.
    fn explain(self, endpoint: &Endpoint) -> String {
        match self {
            Self::Dialing if matches!(endpoint, Endpoint::Listen(_)) => {
                format!("waiting for a QEMU to connect to {endpoint}")
            }
            Self::Dialing => format!(
                "{endpoint} does not take the connection, its queue may be full: {}; waiting",
                why_silent(endpoint, None)
            ),
            Self::Greeting(server) => format!(
                "{endpoint} took the connection but is silent: {}; waiting",
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

/// How many characters of another client's command line are shown.
const CLIP: usize = 60;

/// Why a server does not greet, as far as the system tells.
fn why_silent(endpoint: &Endpoint, server: Option<i32>) -> String {
    if let Some(pid) = server.filter(|pid| holder::is_stopped(*pid)) {
        return format!("pid {pid}, which serves it, is stopped");
    }
    let holder = match endpoint {
        Endpoint::Dial(Address::Unix(path)) => holder::of(path),
        _ => None,
    };
    match holder {
        Some(holder) => {
            let command = mask_arguments(&holder.command).join(" ");
            let end = command.char_indices().nth(CLIP).map(|(end, _)| end);
            let dots = if end.is_some() { "…" } else { "" };
            let command = &command[..end.unwrap_or(command.len())];
            let holder = format!("pid {}, `{command}{dots}`", holder.pid);
            format!("another client holds this monitor ({holder}); QEMU serves one at a time")
        }
        None => {
            "another client may hold this monitor (QEMU serves one at a time), or QEMU is still \
                 starting or stopped"
                .to_owned()
        }
    }
}

/// Connects, takes the greeting and negotiates capabilities.
///
/// # Errors
///
/// There is no connection to be had, what answers is not a QMP server, or it takes too long.
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
        let events = negotiate(&mut receiver, &mut sender, endpoint, oob).await?;
        Ok(Connection {
            receiver,
            sender,
            greeting,
            events,
            oob,
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
