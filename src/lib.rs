//! The map of qmpsh.
pub mod lang;
pub mod qmp;
