//! Completes the word at the cursor.
//!
//! The schema knows the commands, keys and enum values. Everything else is queried from the running server,
//! with commands that change nothing. Only what the server would accept is offered.

mod builtins;
mod candidates;
mod given;
mod line;
mod live;
mod question;
mod replacement;
mod sources;
mod values;
mod verbs;

pub use candidates::{Candidate, Completion};
pub(super) use given::root;
pub use line::{complete, expected};
pub use live::{Live, PATIENCE};
pub use question::{Answer, Question};
pub use replacement::Replacement;
pub use sources::Sources;
pub use verbs::to_come;
