//! Addresses, and byte streams to them, whatever is sent over them.
//!
//! An [`Address`] is what a user writes, and an [`Endpoint`] is where a session gets its
//! connections from. `open` turns an endpoint into a `Stream`: a Unix socket, TCP, TLS, or the
//! pipes of a program.

#![warn(missing_docs)]

mod address;
mod endpoint;
mod error;
mod handover;
mod listen;
mod open;
mod program;
mod socket;
mod stream;
mod tls;
mod unix;

pub use address::{Address, AddressError};
pub use endpoint::Endpoint;
pub use error::{Error, StreamEnd};
pub use handover::{Handover, Process};
pub use listen::{ServerSocket, SocketFile};
pub use program::Say;
pub use tls::Tls;

pub(crate) use open::{accept, open};
pub(crate) use socket::dial_tcp;
pub(crate) use stream::{Reader, Stream, Writer};
