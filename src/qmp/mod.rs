//! The embedded QMP client, as small as the protocol.
//!
//! `frame` cuts a stream of bytes into messages, `message` parses them, `handshake` receives the
//! greeting and negotiates, and a [`Client`] sends commands and hands replies to their callers. A
//! [`Session`] outlives its connections; its [`Hub`] hands out events, and its [`Notices`] report
//! what else happens. The protocol is QEMU's `docs/interop/qmp-spec`.

#![warn(missing_docs)]

mod blocking;
mod client;
mod connecting;
mod connection;
mod error;
mod events;
mod frame;
mod handshake;
mod in_flight;
mod message;
mod notice;
mod options;
mod request;
mod session;
mod session_loop;
mod state;
mod tasks;
mod wire;

pub use blocking::Blocking;
pub use client::{Client, Pending, Stats};
pub use error::{Ending, Error, Lost, QmpError};
pub use events::{Condition, Filter, HISTORY, Hub, Listener, Relay, Wait};
pub use frame::{Frames, garbage};
pub use message::{Behind, Event, Greeting, Reply, Triple, Version};
pub(crate) use message::{Incoming, read};
pub use notice::{Late, Notice, NoticeSender, Notices};
pub use options::{Direction, Options, Passing, Retry, Tap};
pub use request::Request;
pub use session::Session;
pub use state::State;
pub use wire::{Opening, Pace, Wire};

pub(crate) use client::NEED_DESCRIPTOR;
pub(crate) use frame::MAX_MESSAGE;
