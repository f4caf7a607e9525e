use std::fmt;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;

use super::incoming::{Sent, Wrong};
use super::outbox::Outbox;
use super::who::Who;
use crate::lang::{has_any, quote};
use crate::qmp::Reply;
use crate::render::compact;

/// A command from a client. Dropping it without an answer ends the client's connection.
pub struct Command {
    sent: Sent,
    descriptors: Vec<OwnedFd>,
    who: Arc<Who>,
    /// Where the reply goes; taken by the reply.
    outbox: Option<Arc<Outbox>>,
}

impl Command {
    pub(super) fn new(
        sent: Sent,
        descriptors: Vec<OwnedFd>,
        who: Arc<Who>,
        outbox: Arc<Outbox>,
    ) -> Self {
        outbox.owe();
        Self {
            sent,
            descriptors,
            who,
            outbox: Some(outbox),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.sent.name
    }

    /// The arguments as JSON text, an object.
    pub fn arguments(&self) -> &str {
        match std::str::from_utf8(&self.sent.arguments) {
            Ok("") | Err(_) => "{}",
            Ok(arguments) => arguments,
        }
    }

    /// Whether it is to be run out of band.
    pub fn oob(&self) -> bool {
        self.sent.oob
    }

    /// Takes the descriptors that were passed with it.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        mem::take(&mut self.descriptors)
    }

    /// Whether a reply can still reach the client.
    pub fn is_wanted(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_open())
    }

    /// The client that sent it.
    pub fn who(&self) -> &Arc<Who> {
        &self.who
    }

    /// The message that makes QEMU run this command, without its id.
    pub fn to_wire(&self) -> String {
        self.to_wire_with(self.arguments())
    }

    /// The same with these arguments instead.
    pub(super) fn to_wire_with(&self, arguments: &str) -> String {
        let execute = if self.sent.oob { "exec-oob" } else { "execute" };
        let name = quote(&self.sent.name);
        match &*compact(arguments) {
            "{}" => format!("{{\"{execute}\":{name}}}"),
            arguments => format!("{{\"{execute}\":{name},\"arguments\":{arguments}}}"),
        }
    }

    /// Answers with a value, as JSON text.
    pub fn succeed(self, value: &str) {
        self.answer("return", Bytes::from(value.to_owned()));
    }

    /// Answers with an error of this class.
    pub fn fail(self, class: &str, desc: &str) {
        self.answer("error", error(class, desc));
    }

    /// Answers as QEMU does to a command that it does not have.
    pub fn unknown(self) {
        let desc = format!("The command {} has not been found", self.name());
        self.fail("CommandNotFound", &desc);
    }

    /// Answers with the reply of another server.
    pub fn pass_on(self, reply: &Reply) {
        let member = if reply.failed() { "error" } else { "return" };
        self.answer(member, reply.raw_bytes());
    }

    fn answer(mut self, member: &str, value: Bytes) {
        if let Some(outbox) = self.outbox.take() {
            outbox.reply(reply(member, value, self.sent.id.as_ref()));
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            outbox.reply([]);
            outbox.finish();
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Command").field(&self.sent).finish()
    }
}

/// A queued message: a command, or an error.
#[derive(Debug)]
pub(super) enum Turn {
    Command(Command),
    /// The answer is an error already.
    Wrong(Wrong),
}

/// The parts of an error reply.
pub(super) fn refusal(wrong: &Wrong) -> Vec<Bytes> {
    let error = error("GenericError", &wrong.desc);
    reply("error", error, wrong.id.as_ref())
}

pub(super) fn error(class: &str, desc: &str) -> Bytes {
    let (class, desc) = (quote(class), quote(desc));
    format!("{{\"class\": {class}, \"desc\": {desc}}}").into()
}

/// A value of at least this many bytes is not copied.
const LARGE: usize = 64 << 10;

/// The parts of the message with which a server answers: `member` is `return` or `error`. It is one line, whatever lines
/// `value` and `id` have.
pub(super) fn reply(member: &str, value: Bytes, id: Option<&Bytes>) -> Vec<Bytes> {
    let mut before = format!("{{\"{member}\": ").into_bytes();
    let mut after = Vec::new();
    if let Some(id) = id {
        after.extend_from_slice(b", \"id\": ");
        after.extend_from_slice(&one_line(id.clone()));
    }
    after.extend_from_slice(b"}\r\n");
    let value = one_line(value);
    if value.len() >= LARGE {
        return vec![before.into(), value, after.into()];
    }
    before.extend_from_slice(&value);
    before.extend_from_slice(&after);
    vec![before.into()]
}

/// The same JSON on one line: clients may read a line at a time.
pub(super) fn one_line(json: Bytes) -> Bytes {
    let breaks = |byte| matches!(byte, b'\n' | b'\r');
    match std::str::from_utf8(&json) {
        Ok(text) if has_any(text, breaks) => compact(text).into_owned().into(),
        _ => json,
    }
}
