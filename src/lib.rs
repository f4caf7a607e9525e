//! qmpsh is a program: a shell for QMP, QEMU's machine protocol. Its parts that are of use to other programs are here:
//!
//! - [`qmp`]: a client. [`qmp::Blocking`] is the simplest one, [`qmp::Client`] is asynchronous, and a [`qmp::Session`]
//!   reconnects.
//! - [`schema`]: QEMU's QAPI schema: what commands, arguments and events there are, and of which types
//! - [`server`]: a QMP server, for tests, for proxies, and for programs that are to be controlled as QEMU is
//! - [`transport`]: addresses, and the sockets and programs behind them
//! - [`lang`]: qmpsh's language: lines of text become commands
//!
//! ```no_run
//! use qmpsh::qmp::{Blocking, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut vm = Blocking::connect(&"/run/vm.sock".parse()?)?;
//! let reply = vm.ask(Request::new("query-status"))?;
//! println!("{}", reply.value()?);
//! # Ok(()) }
//! ```
//!
//! Everything else is the program's own, and may change at any time.

// What is hidden links to its private parts: for those who read the source.
#![allow(rustdoc::private_intra_doc_links)]

// The map of the source. A line flows one way, a reply flows back one way:
//
//     terminal ─ shell ──▶ lang ─▶ exec ─▶ qmp::Client ─▶ socket
//     stdin ─── script ─┘           │           │
//     timers ───────────┘           ▼           │
//       screen, stdout ◀─ render ◀─ Outcome ◀─ reply, events
//
// A module imports only from those below it in this list:
//
// fuzzing     a door for the fuzzer to what is not public
// app         turns the command line into a typed plan and carries it out
// cli         the options
// shell       the interactive shell: prompt, history, completion, events above the line
// script      one-shot commands, `--execute`, `--file`, standard input
// recording   replays a log to a VM, or serves it as if it were one
// exec        runs one line: built-ins, typing of bare words, sending, the outcome
// context     the environment of a line: settings, agenda, and the target with its session
// dialect     what a server may speak instead of QMP
// manual      help pages on what the server accepts, and recipes
// config      what `config.toml` says
// failure     exit statuses, and the failures that lead to them
// filter      filters in jq's language
// vm          the QEMUs running on this machine, and the one that we launch
// server      a QMP server
// render      values, errors and events as text
// schema      the QAPI schema: its model, the typing of bare words, the checking of commands, its cache on disk
// qmp         the QMP client
// transport   addresses and byte streams
// lang        parses text into commands, with no I/O
// os          child processes, signals, private files, and everything that needs `unsafe`

pub mod lang;
pub mod qmp;
pub mod schema;
pub mod server;
pub mod transport;

#[doc(hidden)]
pub mod app;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod context;
#[doc(hidden)]
pub mod dialect;
#[doc(hidden)]
pub mod exec;
#[doc(hidden)]
pub mod failure;
#[doc(hidden)]
pub mod filter;
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod manual;
#[doc(hidden)]
pub mod os;
#[doc(hidden)]
pub mod recording;
#[doc(hidden)]
pub mod render;
#[doc(hidden)]
pub mod script;
#[doc(hidden)]
pub mod shell;
#[doc(hidden)]
pub mod vm;
