//! A door for `fuzz/` to what is not public. It is no part of the library.

use rustyline::hint::Hint;

use crate::qmp::{self, Event, Frames, Incoming, Lost, Reply};
use crate::schema::Schema;
use crate::shell::{self, complete::Candidate};

/// A message that was read.
pub enum Message {
    Greeting,
    Reply(Reply),
    Event(Event),
}

/// Reads what a server sends, arriving in pieces of `size` bytes. Returns the messages, and why there are no more if
/// the bytes are to blame.
pub fn messages(bytes: &[u8], size: usize) -> (Vec<Message>, Option<Lost>) {
    let mut frames = Frames::default();
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        frames.buffer.extend_from_slice(piece);
        loop {
            let incoming = match frames.json() {
                Ok(Some(message)) => qmp::read(&message),
                Ok(None) => break,
                Err(lost) => return (messages, Some(lost)),
            };
            messages.push(match incoming {
                Ok(Incoming::Greeting(_)) => Message::Greeting,
                Ok(Incoming::Reply(reply, _)) => Message::Reply(reply),
                Ok(Incoming::Event(event)) => Message::Event(event),
                Err(lost) => return (messages, Some(lost)),
            });
        }
    }
    (messages, frames.cut())
}

/// The hint after a line, which is shown while it is typed.
pub fn hint(line: &str, in_transaction: bool, schema: &Schema, columns: usize) -> Option<String> {
    let missing = shell::missing(line, in_transaction, schema, columns)?;
    Some(missing.display().to_owned())
}

/// The list of candidates that is shown for TAB.
pub fn listing(candidates: &[Candidate], width: usize) -> String {
    shell::list(candidates, width, usize::MAX, false)
}
