use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;

use super::incoming::{Sent, Wrong};
use super::outbox::Outbox;
use super::serving::Who;
use crate::lang::quote;
use crate::qmp::Reply;
use crate::render::compact;

/// A command that a client sent. It has to be answered: if it is dropped instead, the client's connection ends.
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

    /// The client that sent it.
    pub fn who(&self) -> &Arc<Who> {
        &self.who
    }

    /// The message that has QEMU run this command, without its id.
    pub fn to_wire(&self) -> String {
        let execute = if self.sent.oob { "exec-oob" } else { "execute" };
        let name = quote(&self.sent.name);
        match &*compact(self.arguments()) {
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

/// What of a client's message is run or answered in its turn.
#[derive(Debug)]
pub(super) enum Turn {
    Command(Command),
    /// The answer is an error already.
    Wrong(Wrong),
}

/// The parts of an error reply.
pub(super) fn refusal(wrong: &Wrong) -> [Bytes; 1] {
    let error = error("GenericError", &wrong.desc);
    reply("error", error, wrong.id.as_ref())
}

pub(super) fn error(class: &str, desc: &str) -> Bytes {
    let (class, desc) = (quote(class), quote(desc));
    format!("{{\"class\": {class}, \"desc\": {desc}}}").into()
}

/// The message with which a server answers: `member` is `return` or `error`. It is one line, whatever lines `value` and
/// `id` have.
pub(super) fn reply(member: &str, value: Bytes, id: Option<&Bytes>) -> [Bytes; 1] {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let value = one_line(value);
    let mut message = Vec::with_capacity(value.len() + 64);
    message.extend_from_slice(b"{\"");
    message.extend_from_slice(member.as_bytes());
    message.extend_from_slice(b"\": ");
    message.extend_from_slice(&value);
    if let Some(id) = id {
        message.extend_from_slice(b", \"id\": ");
        message.extend_from_slice(compact(&text(id)).as_bytes());
    }
    message.extend_from_slice(b"}\r\n");
    [message.into()]
}

/// Clients may read a line at a time.
pub(super) fn one_line(json: Bytes) -> Bytes {
    match std::str::from_utf8(&json).map(compact) {
        Ok(Cow::Owned(line)) => line.into(),
        _ => json,
    }
}
