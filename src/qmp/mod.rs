//! The embedded QMP client, as small as the protocol.
//!
//! [`Address`] says where, [`transport`] connects, [`frame`] cuts the byte stream into messages,
//! [`message`] reads them, and [`Client`] sends commands and hands replies and events to whoever
//! waits for them. A [`Session`] outlives its connections. The protocol is QEMU's `docs/interop/qmp-spec`.

mod address;
mod client;
mod connection;
mod dialled;
mod error;
mod events;
mod frame;
mod handover;
mod in_flight;
mod message;
mod program;
mod server_socket;
mod session;
mod session_loop;
mod tasks;
mod tls;
mod transport;

pub use address::Address;
pub use client::{Client, Direction, Late, Options, Pending, Request, Stats, Tap, Tell};
pub use dialled::Dialled;
pub use error::{Error, Lost};
pub use events::{Condition, Filter, HISTORY, Hub, Listener, Wait};
pub use handover::{Handover, Process};
pub use message::{Event, Greeting, QmpError, Reply};
pub use server_socket::ServerSocket;
pub use session::{Change, Ending, Retry, Session, State};
pub use tls::Tls;
