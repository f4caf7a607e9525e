//! What the other end may speak, a file or two for each.
//!
//! A dialect says how bytes become messages ([`wire`]), how a line becomes a message ([`language`]), and how the reply is
//! read ([`refusal`], [`text`]). Everything else is the same in all of them.

pub mod agent;
pub mod hmp;
mod memory;
pub mod verbs;

use std::borrow::Cow;
use std::sync::Arc;

use crate::lang::{Dialect, Language, Message};
use crate::qmp::{Reply, Wire};
use crate::render::Style;

pub use memory::Memory;

/// How a dialect's messages travel.
pub fn wire(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::Qmp => Default::default(),
        Dialect::Qga => &agent::Agent,
        Dialect::Hmp => &hmp::Monitor,
    }
}

/// The language of a dialect's lines. What a line means may depend on those before it.
pub fn language(dialect: Dialect, memory: &Arc<Memory>) -> Language {
    let memory = memory.clone();
    match dialect {
        Dialect::Qmp | Dialect::Qga => Language::Commands,
        Dialect::Hmp => Language::Text(Arc::new(move |words| {
            Ok(hmp::line(&words.foreign_text()?, memory.cpu()))
        })),
    }
}

/// What the server said against a message, if it did so in a reply that is none of QMP's errors.
pub fn refusal(message: &Message, reply: &Reply) -> Option<String> {
    match message.dialect {
        Dialect::Qmp | Dialect::Qga => None,
        Dialect::Hmp => hmp::refusal(message, reply),
    }
}

/// How a value is shown, if not as QMP's values are.
pub fn text(dialect: Dialect, json: &str, style: Style) -> Option<Cow<'static, str>> {
    match dialect {
        Dialect::Qmp | Dialect::Qga => None,
        Dialect::Hmp => hmp::text(json, style),
    }
}
