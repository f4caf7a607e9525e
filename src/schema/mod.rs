//! The QAPI schema: what the server says it accepts, returns and reports.
//!
//! [`Schema`] is read from the reply to `query-qmp-schema`, whose form is QEMU's
//! `qapi/introspect.json`. [`Schema::type_words`] gives bare words the types it asks for, and [`cache`] keeps it on
//! disk. No socket is known here.

pub mod cache;
mod check;
mod describe;
mod model;
mod property;
mod read;
mod typing;

pub use check::{Problem, ProblemKind};
pub use model::{
    Command, EnumValue, Event, Features, Member, Object, Scalar, Schema, Type, TypeId, Variant,
};
pub use property::Property;
pub use read::Unreadable;
pub use typing::{needs_types, word_as};
