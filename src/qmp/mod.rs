//! The embedded QMP client, as small as the protocol.
//!
//! [`Address`] says where, [`transport`] connects, [`frame`] cuts the byte stream into messages,
//! [`message`] reads them, and [`Client`] sends commands and hands replies and events to whoever
//! waits for them. The protocol is QEMU's `docs/interop/qmp-spec`.

mod address;
mod client;
mod connection;
mod error;
mod events;
mod fd;
mod frame;
mod in_flight;
mod message;
mod transport;

pub use address::Address;
pub use client::{Client, Direction, Late, Options, Pending, Request, Silence, Stats, Tap};
pub use error::{Error, Lost};
pub use events::{Condition, Filter, HISTORY, Listener};
pub use fd::inherited;
pub use message::{Event, Greeting, QmpError, Reply};
