//! A QMP server: it greets, negotiates, hands commands to a function, and sends events.
//!
//! It behaves as QEMU's own does (`docs/interop/qmp-spec`), except that it serves many clients at once. A command in band
//! is handed over when the one before it has been taken, out of band at once; up to eight wait. Replies and events go out
//! in the order in which they are given. File descriptors go with the next command that takes one.
//!
//! A [`Server`] ends with the value: its clients are disconnected. [`Server::end`] sends first what is still to be sent.
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
