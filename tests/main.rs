//! The tests, one module per capability. `cargo test prompt::` runs one of them.

mod common;

mod advice;
mod bad_input;
mod client;
mod completion;
mod console;
mod descriptors;
mod devices;
mod events;
mod generated;
mod help;
mod history;
mod jobs;
mod language;
mod launch;
mod list;
mod listen;
mod one_shot;
mod prompt;
mod qmp_shell_syntax;
mod schema_cache;
mod scripts;
mod session;
mod tab;
mod terminal_restored;
mod timers;
mod tls;
mod transports;
mod typing;
mod waits;
mod whole_schema;
