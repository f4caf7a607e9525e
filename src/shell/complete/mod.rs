//! Completes the word at the cursor.
//!
//! The schema knows the commands, keys and enum values. Everything else is queried from the running server,
//! with commands that change nothing. Only what the server would accept is offered.

mod builtins;
mod candidates;
mod filter;
mod given;
mod line;
mod live;
mod replacement;
mod sources;
mod verbs;

pub use crate::context::names::{Answer, Question};
pub use candidates::{Candidate, Completion};
pub(super) use given::root;
pub use line::{complete, expected};
pub use live::Live;
pub use replacement::Replacement;
pub use sources::Sources;
pub use verbs::to_come;
