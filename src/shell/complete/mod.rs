//! What could stand at the cursor.
//!
//! The schema knows commands, keys and the values of enums; what only the running server knows is asked
//! of it, by questions that change nothing. Nothing is offered that the server would not take.

mod builtins;
mod candidates;
mod given;
mod line;
mod live;
mod question;
mod sources;
mod values;

pub use candidates::{Candidate, Completion};
pub(super) use given::root;
pub use line::{complete, expected};
pub use live::{Live, PATIENCE};
pub use question::{Answer, Question};
pub use sources::Sources;
