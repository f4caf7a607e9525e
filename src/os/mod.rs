//! What the operating system offers: processes, signals, private files, standard error, the terminal's input, and who holds
//! a socket.

pub mod child;
pub mod foreground;
pub mod holder;
pub mod keys;
pub mod private;
pub mod service;
pub mod signals;
#[cfg(target_os = "linux")]
pub mod sock_diag;
pub mod stderr;
pub mod stop;
pub mod sys;
pub mod terminal_input;
