//! The command language: text in, [`Line`] out. Pure: no I/O, no async, no schema.
//!
//! ```text
//! COMMAND [KEY=VALUE | KEY:=JSON | <PATH]… [&]
//! ```
//!
//! [`tokens`] splits a line into words, [`parser`] reads words as a command, [`literal`] reads JSON
//! and the relaxed form of it that qmp-shell's users type, [`arguments`] builds objects from dotted
//! keys. A bare word stays a [`Value::Word`] until somebody who knows types looks at it.

mod arguments;
mod error;
pub mod literal;
mod parser;
mod secret;

mod tokens;
mod value;

pub use error::SyntaxError;
pub use parser::{Builtin, Command, Descriptor, Line, Message, Parser, Words, is_unclosed, lines};
pub use secret::{line_has_secret, mask_secrets};
pub use value::{Object, Value, argument, quote};
