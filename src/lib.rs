//! The map of qmpsh, a shell for QMP, QEMU's machine protocol.
//!
//! A line flows one way, a reply flows back one way:
//!
//! ```text
//! terminal ─ shell ──▶ lang ─▶ exec ─▶ qmp::Client ─▶ socket
//! stdin ─── script ─┘           │           │
//! timers ───────────┘           ▼           │
//!   screen, stdout ◀─ render ◀─ Outcome ◀─ reply, events
//! ```
//!
//! Imports point down this list only:
//!
//! - [`app`]: what the command line asks for, as a typed plan, and carrying it out
//! - [`cli`]: every option
//! - [`shell`]: what a person meets: prompt, history, completion, events above the line
//! - [`script`]: one-shot commands, `--execute`, `--file`, standard input
//! - [`exec`]: one line, run: built-ins, typing, sending, the outcome
//! - [`context`]: what lines are run with: settings, agenda, and the target with its session
//! - [`manual`]: what the server accepts, as pages to read
//! - [`failure`]: exit statuses, and what leads to them
//! - [`vm`]: the QEMUs of this machine, and the one that we launch
//! - [`render`]: values, errors and events as text
//! - [`schema`]: the QAPI schema: its model, the typing of bare words, what is wrong with a command, its cache on disk
//! - [`qmp`]: the protocol's client
//! - [`transport`]: addresses and byte streams
//! - [`lang`]: text to commands; pure
//! - [`os`]: processes that we start, signals, private files, and what needs `unsafe`

pub mod app;
pub mod cli;
pub mod context;
pub mod exec;
pub mod failure;
pub mod lang;
pub mod manual;
pub mod os;
pub mod qmp;
pub mod render;
pub mod schema;
pub mod script;
pub mod shell;
pub mod transport;
pub mod vm;
