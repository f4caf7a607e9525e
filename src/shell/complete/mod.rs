//! What could stand at the cursor.
//!
//! The schema knows commands, keys and the values of enums; what only the running server knows is asked
//! of it, by questions that change nothing. Nothing is offered that the server would not take.

mod builtins;
mod candidates;
mod line;
mod live;
mod question;
mod request;
mod sources;
mod values;

pub use candidates::{Candidate, Completion};
pub use line::{complete, expected};
pub use live::{Live, PATIENCE};
pub use question::{Answer, Question};
pub(super) use request::root;
pub use sources::Sources;
