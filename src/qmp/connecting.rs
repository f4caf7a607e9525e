//! Connects to an endpoint until it is ready for commands, and explains delays.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Receiver, Sender, split};
use super::error::Error;
use super::handshake::{ask_first, greeting, negotiate, synchronize};
use super::message::{Event, Greeting};
use super::notice::{Notice, NoticeSender};
use super::options::Options;
use super::wire::{Opening, Wire};
use crate::lang::mask_arguments;
use crate::os::holder;
use crate::transport::{self, Address, Endpoint, Say, Stream, StreamEnd, open};

/// How long a server may stay silent before we tell the user why.
const SILENCE: Duration = Duration::from_secs(2);

/// How many connections may be silent while we listen for the next one.
const MOST_CANDIDATES: usize = 8;

/// A connection that is ready for commands.
pub(super) struct Connection {
    pub receiver: Receiver,
    pub sender: Sender,
    /// How its messages travel.
    pub wire: &'static dyn Wire,
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
    fn too_long(self, endpoint: &Endpoint, limit: Duration, wire: &dyn Wire) -> Error {
        let endpoint = endpoint.clone();
        match self {
            Self::Dialing => Error::ConnectTimeout { endpoint, limit },
            Self::Greeting(server) => Error::NoGreeting {
                what: wire.silence().0,
                why: why_silent(&endpoint, server, wire),
                endpoint,
                limit,
            },
            Self::Negotiating => Error::NoAnswer { endpoint, limit },
        }
    }

    /// Says what we wait for, and why it may take long.
    fn explain(self, endpoint: &Endpoint, wire: &dyn Wire) -> String {
        match self {
            Self::Dialing if matches!(endpoint, Endpoint::Listen(_)) => {
                format!("waiting for a QEMU to connect to {endpoint}")
            }
            Self::Dialing => format!(
                "{endpoint} does not accept the connection; its queue may be full: {}; waiting",
                why_silent(endpoint, None, wire)
            ),
            Self::Greeting(server) => format!(
                "{endpoint} accepted the connection but is silent: {}; waiting",
                why_silent(endpoint, server, wire)
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

/// Guesses why a server does not greet.
fn why_silent(endpoint: &Endpoint, server: Option<i32>, wire: &dyn Wire) -> String {
    if let Some(pid) = server.filter(|pid| holder::is_stopped(*pid)) {
        return format!("its process (pid {pid}) is stopped");
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
            format!("another client uses this monitor ({holder}), and QEMU serves one at a time")
        }
        None => wire.silence().1.to_owned(),
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
        if matches!(endpoint, Endpoint::Listen(_)) {
            return accept(endpoint, options, notices, &say).await;
        }
        let stream = open(endpoint, options.tls.as_ref(), &say).await?;
        let set_stage = |reached| *stage.lock() = reached;
        meet(stream, endpoint, options, set_stage).await
    };
    let explained = async {
        let mut connecting = pin!(connecting);
        tokio::select! {
            biased;
            result = &mut connecting => return result,
            () = sleep(SILENCE) => {}
        }
        let stage = *stage.lock();
        let _ = notices.send(Notice::Silent(stage.explain(endpoint, options.wire)));
        connecting.await
    };
    match options.connect_timeout {
        None => explained.await,
        Some(limit) => match timeout(limit, explained).await {
            Ok(result) => result,
            Err(_) => {
                let stage = *stage.lock();
                Err(stage.too_long(endpoint, limit, options.wire))
            }
        },
    }
}

/// Receives the greeting and negotiates capabilities. Calls `set_stage` with each stage reached.
async fn meet(
    stream: Stream,
    endpoint: &Endpoint,
    options: &Options,
    set_stage: impl Fn(Stage),
) -> Result<Connection, Error> {
    let (peer_pid, peer_user) = (stream.peer_pid(), stream.peer_user());
    set_stage(Stage::Greeting(peer_pid));
    let (mut receiver, mut sender) = split(stream, options)
        .map_err(|error| Error::NotConnected(StreamEnd::io(&error).into()))?;
    let mut wire = options.wire;
    let ready = |receiver, sender, greeting, needs_ids| Connection {
        receiver,
        sender,
        wire,
        greeting,
        events: Vec::new(),
        needs_ids,
        oob: false,
        peer_pid,
    };
    let greeting = match wire.opening() {
        Opening::Negotiation | Opening::Greeting => {
            let greeting = greeting(&mut receiver, endpoint, wire).await?;
            if greeting.human {
                return Ok(ready(receiver, sender, greeting, false));
            }
            greeting
        }
        Opening::Sync => {
            let needs_ids = synchronize(&mut receiver, &mut sender, endpoint, wire).await?;
            return Ok(ready(receiver, sender, Greeting::default(), needs_ids));
        }
        Opening::Question(question) => {
            let events = ask_first(&mut receiver, &mut sender, endpoint, wire, question).await?;
            return Ok(Connection {
                events,
                ..ready(receiver, sender, Greeting::default(), false)
            });
        }
    };
    // Another user could name any process here.
    let is_trusted = peer_user.is_some_and(|user| user == 0 || user == geteuid().as_raw());
    let peer_pid = match &greeting.behind {
        Some(behind) => behind.pid.filter(|_| is_trusted),
        None => peer_pid,
    };
    // Whoever greets as QMP does speaks it.
    wire = Default::default();
    receiver.set_wire(wire);
    sender.set_wire(wire);
    set_stage(Stage::Negotiating);
    let oob = !options.no_oob && greeting.offers("oob");
    let negotiated = negotiate(&mut receiver, &mut sender, endpoint, oob).await?;
    Ok(Connection {
        receiver,
        sender,
        wire,
        greeting,
        events: negotiated.events,
        needs_ids: negotiated.needs_ids,
        oob,
        peer_pid,
    })
}

/// Accepts connections until one speaks QMP. Others are reported and closed; a silent one delays the next by at most
/// [`SILENCE`].
///
/// # Errors
///
/// No connection can be accepted, or one speaks QMP and refuses to negotiate.
async fn accept(
    endpoint: &Endpoint,
    options: &Options,
    notices: &NoticeSender,
    say: &Say,
) -> Result<Connection, Error> {
    let mut strangers = Strangers {
        endpoint,
        notices,
        count: 0,
    };
    let mut candidates = JoinSet::new();
    let mut handles = VecDeque::new();
    let mut listening = true;
    let mut patience = pin!(sleep(SILENCE));
    loop {
        tokio::select! {
            biased;
            Some(met) = candidates.join_next() => {
                match met {
                    Ok(Ok(connection)) => return Ok(connection),
                    Ok(Err(Error::NotQmp { lost, .. })) => strangers.add(&format!("does not speak QMP ({lost})")),
                    Ok(Err(Error::Transport(transport::Error::Tls { why, .. }))) => {
                        strangers.add(&format!("has no TLS connection ({why})"));
                    }
                    Ok(Err(error)) => return Err(error),
                    // It was aborted to make room.
                    Err(_) => {}
                }
                listening |= candidates.is_empty();
            }
            stream = open(endpoint, options.tls.as_ref(), say), if listening => {
                let (stream, endpoint, options) = (stream?, endpoint.clone(), options.clone());
                let candidate = async move {
                    let stream = match &endpoint {
                        Endpoint::Listen(socket) => socket.secure(stream).await?,
                        _ => stream,
                    };
                    meet(stream, &endpoint, &options, |_| ()).await
                };
                handles.retain(|handle: &AbortHandle| !handle.is_finished());
                handles.push_back(candidates.spawn(candidate));
                if handles.len() > MOST_CANDIDATES && let Some(oldest) = handles.pop_front() {
                    oldest.abort();
                }
                listening = false;
                patience.as_mut().reset(Instant::now() + SILENCE);
            }
            () = &mut patience, if !listening => {
                strangers.add("has sent no greeting so far");
                listening = true;
            }
        }
    }
}

/// Counts the clients that connected to us and were not QEMU.
struct Strangers<'a> {
    endpoint: &'a Endpoint,
    notices: &'a NoticeSender,
    count: u64,
}

impl Strangers<'_> {
    /// Counts another one, described by `what`. Reports the first, the tenth, the hundredth and so on, since there may
    /// be a flood.
    fn add(&mut self, what: &str) {
        self.count += 1;
        let endpoint = self.endpoint;
        let text = match self.count {
            1 => format!("a connection to {endpoint} {what}; still listening"),
            count if is_power_of_ten(count) => {
                format!(
                    "{count} connections to {endpoint} did not speak QMP so far; still listening"
                )
            }
            _ => return,
        };
        let _ = self.notices.send(Notice::Said(text));
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number
        .checked_ilog10()
        .is_some_and(|log| 10_u64.pow(log) == number)
}
