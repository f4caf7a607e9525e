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
//! A module imports only from those below it in this list:
//!
//! - `fuzzing`: a door for the fuzzer to what is not public
//! - [`app`]: turns the command line into a typed plan and carries it out
//! - [`cli`]: the options
//! - [`shell`]: the interactive shell: prompt, history, completion, events above the line
//! - [`script`]: one-shot commands, `--execute`, `--file`, standard input
//! - [`recording`]: replays a log to a VM, or serves it as if it were one
//! - [`exec`]: runs one line: built-ins, typing of bare words, sending, the outcome
//! - [`context`]: the environment of a line: settings, agenda, and the target with its session
//! - [`dialect`]: what a server may speak instead of QMP
//! - [`manual`]: help pages on what the server accepts, and recipes
//! - [`config`]: what `config.toml` says
//! - [`failure`]: exit statuses, and the failures that lead to them
//! - [`filter`]: filters in jq's language
//! - [`vm`]: the QEMUs running on this machine, and the one that we launch
//! - [`server`]: a QMP server
//! - [`render`]: values, errors and events as text
//! - [`schema`]: the QAPI schema: its model, the typing of bare words, the checking of commands, its cache on
//!   disk
//! - [`qmp`]: the QMP client
//! - [`transport`]: addresses and byte streams
//! - [`lang`]: parses text into commands, with no I/O
//! - [`os`]: child processes, signals, private files, and everything that needs `unsafe`

pub mod app;
pub mod cli;
pub mod config;
pub mod context;
pub mod dialect;
pub mod exec;
pub mod failure;
pub mod filter;
#[doc(hidden)]
pub mod fuzzing;
pub mod lang;
pub mod manual;
pub mod os;
pub mod qmp;
pub mod recording;
pub mod render;
pub mod schema;
pub mod script;
pub mod server;
pub mod shell;
pub mod transport;
pub mod vm;
