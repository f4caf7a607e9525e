//! What holds for any input: each function takes one, and panics if it is otherwise.
//!
//! The fuzzer's targets call these functions, and so do the property tests (`tests/properties.rs`), which include this
//! file.

mod complete;
mod escape;
mod lang;
mod mask;
mod messages;
mod schema;

pub use complete::complete;
pub use escape::escape;
pub use lang::{line, literal};
pub use mask::mask;
pub use messages::messages;
pub use schema::schema;

/// What a real QEMU was asked, what it answered, and some of its schema.
pub mod session {
    pub const LINES: &str = include_str!("../session/lines.qmp");
    pub const MESSAGES: &str = include_str!("../session/messages");
    pub const PRETTY_MESSAGES: &str = include_str!("../session/messages-pretty");
    pub const SCHEMA: &str = include_str!("../session/schema.json");
}

/// Nothing of this text harms a terminal. Its own line breaks do not.
fn assert_harmless(shown: &str) {
    let harmful = |c: &char| qmpsh::lang::is_harmful(*c) && *c != '\n';
    assert_eq!(shown.chars().find(harmful), None, "{shown:?}");
}

/// The beginning of a text, of at most this many bytes.
fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
