//! What a worker and its process say to each other.
//!
//! In both directions a message is its length, 4 bytes in the machine's order, and that many bytes. A job is a [`Header`]
//! as JSON, followed by the input, whose length is in the header. An answer's first byte tells what it is.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What to do: compile a filter, and run it if there is an input.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub filter: String,
    /// The variables that it may name, without their `$`.
    pub variables: BTreeMap<String, Box<RawValue>>,
    /// The length of the input in bytes; `None` to only check the filter.
    pub input: Option<usize>,
}

/// A part of the answer. Only the last part is not [`Answer::Lines`].
pub(super) enum Answer {
    /// Some of the outputs, each followed by a line break.
    Lines(Vec<u8>),
    /// There are no more outputs.
    Done,
    /// Why there are no more.
    Failed(String),
    /// The filter cannot be run.
    Rejected(String, Range<usize>),
}

const LINES: u8 = b'L';
const DONE: u8 = b'D';
const FAILED: u8 = b'F';
const REJECTED: u8 = b'R';

impl Answer {
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Lines(lines) => framed(&[&[LINES], lines]),
            Self::Done => framed(&[&[DONE]]),
            Self::Failed(why) => framed(&[&[FAILED], why.as_bytes()]),
            Self::Rejected(why, span) => {
                let json = serde_json::to_vec(&(why, span.start, span.end)).unwrap_or_default();
                framed(&[&[REJECTED], &json])
            }
        }
    }

    /// Reads an answer without its length.
    ///
    /// # Errors
    ///
    /// It is not one.
    pub fn read(mut bytes: Vec<u8>) -> io::Result<Self> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if bytes.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(match bytes.remove(0) {
            LINES => Self::Lines(bytes),
            DONE => Self::Done,
            FAILED => Self::Failed(text(bytes)),
            REJECTED => {
                let (why, start, end) = serde_json::from_slice(&bytes)?;
                Self::Rejected(why, start..end)
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

/// The bytes of these parts together, after their length.
pub(super) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).expect("it is far shorter than 4 GiB");
    let mut bytes = length.to_ne_bytes().to_vec();
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}
