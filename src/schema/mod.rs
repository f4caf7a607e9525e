//! The QAPI schema: what the server says it accepts, returns and reports.
//!
//! [`Schema`] is read from the reply to `query-qmp-schema`, whose format is described in QEMU's
//! `qapi/introspect.json`. [`Schema::type_words`] gives bare words their types, and [`cache`] keeps
//! schemas on disk. Nothing here talks to a server.

#![warn(missing_docs)]

pub mod cache;
mod check;
mod describe;
mod events;
mod has;
mod model;
mod problem;
mod property;
mod read;
mod read_only;
mod typing;

pub use model::{
    Command, EnumValue, Event, Features, Member, Object, Scalar, Schema, Type, TypeId, Variant,
};
pub use problem::{FEW, Problem, ProblemKind};
pub use property::Property;
pub use read::Unreadable;
pub use read_only::is_read_only;
pub use typing::{needs_types, word_as};
