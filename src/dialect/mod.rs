//! What the other end may speak, a file or two for each.
//!
//! A dialect says how bytes become messages ([`wire`]), and how a line becomes a message ([`language`]). Everything else
//! is the same in all of them.

use crate::lang::{Dialect, Language};
use crate::qmp::Wire;

/// How a dialect's messages travel.
pub fn wire(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::Qmp => Default::default(),
    }
}

/// The language of a dialect's lines.
pub fn language(dialect: Dialect) -> Language {
    match dialect {
        Dialect::Qmp => Language::Commands,
    }
}
