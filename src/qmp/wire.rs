//! How messages become bytes, and bytes messages.
//!
//! Everything above this speaks of QMP's messages. A [`Wire`] for a server that speaks something else translates: what
//! it takes from the bytes received is what a QMP server would have sent.

use bytes::Bytes;

use super::error::Lost;
use super::frame::Frames;

/// Translates between messages and the bytes of a connection.
pub trait Wire: Send + Sync {
    /// How a connection starts.
    fn opening(&self) -> Opening;

    /// Takes the next message from the bytes received, or `None` until more of them arrive.
    ///
    /// # Errors
    ///
    /// The bytes are no message, or too many.
    fn take(&self, received: &mut Frames) -> Result<Option<Bytes>, Lost>;

    /// Adds a message to the bytes to send.
    fn write(&self, message: &str, bytes: &mut Vec<u8>);

    /// Why a message cannot be sent, if so.
    fn refuses(&self, _message: &str) -> Option<String> {
        None
    }

    /// Whether a message can have an id, with which its reply comes.
    fn has_ids(&self) -> bool {
        true
    }

    /// When a message can be sent after another.
    fn pace(&self) -> Pace {
        Pace::AtOnce
    }

    /// Whether a server of this kind may say this by itself.
    fn may_say(&self, _said: &[u8]) -> bool {
        false
    }

    /// What is true of a server that speaks something else.
    fn mismatch(&self) -> &'static str {
        "sent no QMP greeting"
    }

    /// What a server that keeps silent did not do, and why it may not.
    fn silence(&self) -> (&'static str, &'static str) {
        (
            "sent no greeting",
            "another client may be using this monitor (QEMU serves one at a time), QEMU is still starting or stopped, or \
             it is no monitor but a guest agent (-N) or qtest (--dialect qtest), which do not greet",
        )
    }

    /// Takes what the end of the stream makes a message.
    fn last(&self, _received: &mut Frames) -> Option<Bytes> {
        None
    }
}

/// When a message can be sent after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    AtOnce,
    /// After its reply.
    Replied,
    /// After its reply, or when nobody waits for that any more.
    Settled,
}

/// How a connection starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The server greets, and we negotiate capabilities.
    Negotiation,
    /// The server greets. If its greeting is QMP's, QMP is spoken, and we negotiate.
    Greeting,
    /// The server says nothing. Messages are skipped until it answers to a number of ours.
    Sync,
    /// The server says nothing. It is ready once it has answered this message.
    Question(&'static str),
}

/// QMP itself.
struct Qmp;

impl Wire for Qmp {
    fn opening(&self) -> Opening {
        Opening::Negotiation
    }

    fn take(&self, received: &mut Frames) -> Result<Option<Bytes>, Lost> {
        received.json()
    }

    fn write(&self, message: &str, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(message.as_bytes());
        bytes.push(b'\n');
    }
}

impl Default for &'static dyn Wire {
    fn default() -> Self {
        &Qmp
    }
}
