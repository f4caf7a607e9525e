//! Recordings: what `--log` has written, replayed to a VM or served as if it were one.

mod difference;
mod ignored;
mod log;
mod mock;
mod replay;

pub use mock::mock;
pub use replay::{Plan, replay};
