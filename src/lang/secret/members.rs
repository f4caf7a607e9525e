//! Members of one object explain each other: `data` is a secret next to `qom-type=secret`.

use std::ops::Range;

use super::keys::{self, Key};

/// What is known so far about an object, or about the arguments of a line.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// It is a secret object.
    pub is_secret: bool,
    /// It is a QOM object, whose `data` is a secret.
    pub is_qom: bool,
    /// A member names a secret property.
    pub names_secret: bool,
    /// It describes a key of a keyboard.
    pub is_keyboard: bool,
}

/// A value that may turn out to be a secret, depending on the other members.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub key: Key,
    pub range: Range<usize>,
    /// It was passed on to the outer object.
    pub is_inherited: bool,
}

impl Members {
    /// Notes a member and its value.
    pub fn note(&mut self, key: Key, text: &str) {
        if key.is_type || key.is_qom_type {
            self.is_secret |= keys::is_secret_type(text);
        }
        if key.is_type {
            self.is_keyboard |= ["qcode", "number"].contains(&text);
        }
        if key.is_name {
            self.names_secret |= keys::is_secret(text) || keys::is_data(text);
        }
        self.is_qom |= key.is_qom_type;
    }

    /// Whether the value of this member is a secret, once all members are known.
    pub fn hides(&self, key: Key) -> bool {
        self.is_secret && key.is_strange
            || (self.is_secret || self.is_qom) && key.is_data
            || self.names_secret && key.is_value
    }
}

impl Candidate {
    /// The value of `key` at `range`, if it may turn out to be a secret.
    pub fn new(key: Key, range: Range<usize>) -> Option<Self> {
        let may_be = key.is_strange || key.is_data || key.is_value;
        (may_be && !range.is_empty()).then_some(Self {
            key,
            range,
            is_inherited: false,
        })
    }
}
