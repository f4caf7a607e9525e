use bytes::{Buf, Bytes};

use crate::qmp::{Frames, Lost, Opening, Pace, Wire};

/// The guest agent's channel.
pub struct Agent;

/// What stands before the answer to `guest-sync-delimited`, and resets the agent's reader if it stands before a message.
const SENTINEL: u8 = 0xff;

/// How many bytes of a message are enough to know its command. A piece of a file may follow.
const HEAD: usize = 256;

fn head(message: &str) -> &str {
    &message[..message.floor_char_boundary(HEAD)]
}

impl Wire for Agent {
    fn opening(&self) -> Opening {
        Opening::Sync
    }

    fn take(&self, received: &mut Frames) -> Result<Option<Bytes>, Lost> {
        // The answers to synchronizing that came late.
        while received.is_between()
            && let Some(first) = received.buffer.first()
            && (*first == SENTINEL || first.is_ascii_whitespace())
        {
            received.buffer.advance(1);
        }
        received.json()
    }

    fn write(&self, message: &str, bytes: &mut Vec<u8>) {
        if head(message).contains("guest-sync-delimited") {
            bytes.push(SENTINEL);
        }
        bytes.extend_from_slice(message.as_bytes());
        bytes.push(b'\n');
    }

    fn pace(&self) -> Pace {
        // On virtio-serial, the agent loses a reply if it has read part of the next command by then: its channel is a
        // character device, which GLib takes for seekable, and seeking it fails.
        Pace::Settled
    }

    fn refuses(&self, message: &str) -> Option<String> {
        let head = head(message);
        let is_qmps = head.contains(r#""execute":"query-"#) || head.contains("exec-oob");
        is_qmps.then(|| "it is QMP's, and this is a guest agent".to_owned())
    }

    fn may_say(&self, said: &[u8]) -> bool {
        said.first() == Some(&SENTINEL)
    }

    fn mismatch(&self) -> &'static str {
        "is no guest agent"
    }

    fn silence(&self) -> (&'static str, &'static str) {
        (
            "no guest agent answered",
            "the agent may not run, its guest may be paused or still booting, or another client may hold the channel",
        )
    }
}
