//! Names that only the running server, or the disk, knows: what asks for them, and which arguments they are.

mod arguments;
mod question;

pub use arguments::question_of;
pub use question::{Answer, Question, ask};
