//! The command language: text in, [`Line`] out. Pure: no I/O, no async, no schema.
//!
//! ```text
//! COMMAND [KEY=VALUE | KEY:=JSON | <PATH]… [| FILTER] [| !CMD] [> FILE] [&]
//! ```
//!
//! [`tokens`] splits a line into words, [`parser`] reads words as a command, [`literal`] reads JSON
//! and the relaxed form of it that qmp-shell accepts, [`arguments`] builds objects from dotted keys.
//! A bare word stays a [`Value::Word`] until the schema gives it a type.

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

pub use aliases::Aliases;
pub use command::{BuiltinLine, Command, Descriptor, Line, Message, Statement};
pub use cursor::{CursorContext, CursorPlace, filter_before};
pub use dialect::{Dialect, Language, Reading};
pub use error::SyntaxError;
pub use foreign::{in_human_monitor, instead_of};
pub use harmless::{escape_json, has_any, is_harmful, is_plain};
pub use matching::{ANY_EVENT, CONNECTED, DISCONNECTED, Match, SESSION_EVENTS, choices, is_key};
pub use nearest::{all_of, any_of, nearest};
pub use parser::Parser;
pub use secret::{
    MASKED, conceal, line_has_secret, mask_arguments, mask_secrets, mask_text, may_have_secret,
    names_secret,
};
pub use spans::{Span, SpanKind, spans};
pub use tail::{FilterText, Redirection, Tail};
pub use typed::typed_text;
pub use value::{Object, Value, argument, dotted, in_quotes, integer, quote, seconds, word};
pub use variables::{Variables, is_name, variables_in};
pub use words::{SplitLine, Words, lines};
