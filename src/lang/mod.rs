//! The command language: text in, [`Line`] out. Pure: no I/O, no async, no schema.
//!
//! ```text
//! COMMAND [KEY=VALUE | KEY:=JSON | <PATH]… [| FILTER] [| !CMD] [> FILE] [&]
//! ```
//!
//! [`Words`] are a line split, a [`Parser`] reads them as a [`Line`], and [`literal`] reads JSON and the relaxed form of it
//! that qmp-shell accepts.
//! A bare word stays a [`Value::Word`] until the schema gives it a type.

#![warn(missing_docs)]

mod aliases;
mod arguments;
mod command;
mod cursor;
mod dialect;
mod error;
mod expansion;
mod foreign;
mod harmless;
mod key_value;
pub mod literal;
mod matching;
mod nearest;
mod parser;
mod partial_json;
mod secret;
mod spans;
mod tail;
mod tokens;
mod typed;
mod value;
mod variables;
mod words;

#[doc(hidden)]
pub use aliases::Aliases;
pub use command::{BuiltinLine, Command, Descriptor, Line, Message, Statement};
#[doc(hidden)]
pub use cursor::{CursorContext, CursorPlace, filter_before};
pub use dialect::{Dialect, Language, Reading};
pub use error::SyntaxError;
#[doc(hidden)]
pub use foreign::{in_human_monitor, instead_of};
#[doc(hidden)]
pub use harmless::{escape_json, has_any, is_harmful, is_plain};
#[doc(hidden)]
pub use matching::{ANY_EVENT, CONNECTED, DISCONNECTED, Match, SESSION_EVENTS, choices, is_key};
#[doc(hidden)]
pub use nearest::{all_of, any_of, nearest};
pub use parser::Parser;
#[doc(hidden)]
pub use secret::{
    MASKED, conceal, line_has_secret, mask_arguments, mask_secrets, mask_text, may_have_secret,
    names_secret,
};
#[doc(hidden)]
pub use spans::{Span, SpanKind, spans};
pub use tail::{FilterText, Redirection, Tail};
#[doc(hidden)]
pub use typed::typed_text;
pub use value::{Object, Value, argument, dotted, in_quotes, integer, quote, seconds, word};
pub use variables::{Variables, is_name, variables_in};
pub use words::{SplitLine, Words, lines};
