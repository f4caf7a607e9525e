//! What the other end may speak, a file or two for each.
//!
//! A dialect says how bytes become messages ([`wire`]), how a line becomes a message ([`language`]), and how the reply is
//! read ([`refusal`], [`value`], [`text`]). Everything else is the same in all of them.

pub mod agent;
pub mod hmp;
mod memory;
pub mod qtest;
pub mod verbs;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::lang::{Dialect, Language, Message};
use crate::qmp::{Reply, Request, Wire};
use crate::render::Style;
use crate::schema::{Schema, is_read_only};
use verbs::Verb;

pub use memory::Memory;

/// How a dialect's messages travel.
pub fn wire(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::Qmp => Default::default(),
        Dialect::Qga => &agent::Agent,
        Dialect::Hmp => &hmp::Monitor,
        Dialect::Qtest => &qtest::Qtest,
    }
}

/// The language of a dialect's lines. What a line means may depend on those before it.
pub fn language(dialect: Dialect, memory: &Arc<Memory>) -> Language {
    let memory = memory.clone();
    match dialect {
        Dialect::Qmp | Dialect::Qga => Language::Commands(dialect),
        Dialect::Hmp => Language::Text(Arc::new(move |words| {
            Ok(hmp::line(&words.foreign_text()?, memory.cpu()))
        })),
        Dialect::Qtest => Language::Words(Arc::new(qtest::line)),
    }
}

/// The schema of a dialect whose servers do not tell theirs.
pub fn schema(dialect: Dialect) -> Option<Arc<Schema>> {
    match dialect {
        Dialect::Qmp | Dialect::Hmp => None,
        Dialect::Qga => Some(agent::schema()),
        Dialect::Qtest => Some(qtest::schema()),
    }
}

/// The verbs of a dialect whose servers do not tell theirs.
pub fn verbs(dialect: Dialect) -> Option<Arc<[Verb]>> {
    (dialect == Dialect::Qtest).then(qtest::verbs)
}

/// A command that asks whether the server is there. It changes nothing.
pub fn ping(dialect: Dialect) -> Request {
    let request = match dialect {
        Dialect::Qmp => Request::new("query-version"),
        Dialect::Qga => Request::new("guest-ping"),
        Dialect::Hmp => hmp::ping(),
        Dialect::Qtest => qtest::ping(),
    };
    request.quietly()
}

/// How long a reply may take unless the user says otherwise.
pub fn patience(dialect: Dialect) -> Option<Duration> {
    (dialect == Dialect::Qga).then_some(agent::PATIENCE)
}

/// Whether a command only asks, so that an event from before it is still of interest.
pub fn only_asks(dialect: Dialect, command: &str) -> bool {
    match dialect {
        Dialect::Qmp | Dialect::Qga | Dialect::Hmp => is_read_only(command),
        Dialect::Qtest => qtest::only_asks(command),
    }
}

/// What the server said against a message, if it did so in a reply that is none of QMP's errors.
pub fn refusal(message: &Message, reply: &Reply) -> Option<String> {
    match message.dialect {
        Dialect::Qmp | Dialect::Qga => None,
        Dialect::Hmp => hmp::refusal(message, reply),
        Dialect::Qtest => qtest::refusal(message, reply),
    }
}

/// The value of the reply to a message, as JSON, if only the message tells what it is.
pub fn value(message: &Message, reply: &Reply) -> Option<String> {
    match message.dialect {
        Dialect::Qmp | Dialect::Qga | Dialect::Hmp => None,
        Dialect::Qtest => qtest::value(message, reply),
    }
}

/// How a value is shown, if not as QMP's values are.
pub fn text(dialect: Dialect, json: &str, style: Style) -> Option<Cow<'static, str>> {
    match dialect {
        Dialect::Qmp | Dialect::Qga => None,
        Dialect::Hmp => hmp::text(json, style),
        Dialect::Qtest => qtest::text(json, style),
    }
}
