//! A QMP server: it greets clients, negotiates capabilities, passes commands to a handler, and sends events.
//!
//! It behaves like QEMU's (`docs/interop/qmp-spec`), but serves many clients at once. Each client's in-band commands are
//! handled in order, one at a time; up to eight are queued. Out-of-band commands are handled at once. Replies and events
//! are sent in the order in which the handler gives them. File descriptors go with the next command that takes one.
//!
//! Dropping a [`Server`] disconnects its clients; [`Server::end`] first sends what is queued for them.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use qmpsh::qmp::Greeting;
//! use qmpsh::server::{Command, Server};
//! use qmpsh::transport::{Address, ServerSocket};
//!
//! let server = Server::new(async |command: Command| match command.name() {
//!     "query-status" => command.succeed(r#"{"status": "running", "running": true}"#),
//!     "stop" => command.fail("GenericError", "this machine never stops"),
//!     _ => command.unknown(),
//! });
//! server.greet(Some(&Greeting::default()));
//! let address: Address = "/run/user/1000/fake.sock".parse()?;
//! server.listen(ServerSocket::bind_for_many(&address)?);
//! server.publish(r#"{"event": "RESUME", "timestamp": {"seconds": -1, "microseconds": -1}}"#);
//! std::future::pending::<()>().await;
//! # Ok(()) }
//! ```

#![warn(missing_docs)]

mod client;
mod command;
mod incoming;
mod outbox;
mod policy;
mod serving;
mod share;
mod shared;
mod who;

pub use command::Command;
pub use policy::Policy;
pub use serving::Server;
pub use share::{Served, Share, bind};
pub use who::{Note, Who};
