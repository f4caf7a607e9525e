//! Secrets in JSON and its relaxed form, complete or not. Builds no tree, and does not recurse.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::Found;
use super::keys::Key;
use super::members::{Candidate, Members};
use super::nest::Nest;
use crate::lang::literal::{string_end, unescape};

/// How many keys are cached: the objects of a long list have the same ones.
const MOST_KEYS: usize = 1024;

/// The secrets in `json`.
pub(super) fn find(json: &str, nest: Nest) -> Vec<Found> {
    find_in(json, None, nest).0
}

/// The secrets in the value of `key`, and the values that are secret if the object around it is a secret object.
pub(super) fn find_in(json: &str, key: Option<Key>, nest: Nest) -> (Vec<Found>, Vec<Candidate>) {
    let mut scan = Scan::new(json, key, nest);
    scan.run();
    (scan.found, scan.candidates)
}

/// The same as [`find`], and whether the object is incomplete. Then strings may be mistaken for the text between them.
pub(super) fn find_torn(json: &str, nest: Nest) -> (Vec<Found>, bool) {
    let mut scan = Scan::new(json, None, nest);
    scan.run();
    (scan.found, scan.is_torn)
}

struct Scan<'a> {
    text: &'a str,
    nest: Nest,
    at: usize,
    /// The key whose value comes next.
    key: Option<Key>,
    open: Vec<Open>,
    found: Vec<Found>,
    /// Those of all open objects.
    candidates: Vec<Candidate>,
    keys: HashMap<&'a str, Key>,
    is_torn: bool,
}

/// An open object or array.
struct Open {
    key: Option<Key>,
    start: usize,
    /// How many secrets were found before it.
    found: usize,
    candidates: usize,
    members: Members,
}

impl<'a> Scan<'a> {
    fn new(json: &'a str, key: Option<Key>, nest: Nest) -> Self {
        Self {
            is_torn: false,
            text: json,
            nest,
            at: 0,
            key,
            open: Vec::new(),
            found: Vec::new(),
            candidates: Vec::new(),
            keys: HashMap::new(),
        }
    }

    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'{' | b'[' => {
                    self.open.push(Open {
                        key: self.key.take(),
                        start: self.at,
                        found: self.found.len(),
                        candidates: self.candidates.len(),
                        members: Members::default(),
                    });
                    self.at += 1;
                }
                b'}' | b']' => {
                    self.at += 1;
                    self.close();
                }
                b',' => {
                    self.key = None;
                    self.at += 1;
                }
                b':' | b'=' => self.at += 1,
                b'"' | b'\'' => self.string(),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.bare(),
            }
        }
        while !self.open.is_empty() {
            self.is_torn = true;
            self.close();
        }
    }

    fn string(&mut self) {
        let start = self.at;
        let end = string_end(self.text, start);
        self.is_torn |= end.is_none();
        self.at = end.unwrap_or(self.text.len()).min(self.text.len());
        let inner_end = if end.is_some() { self.at - 1 } else { self.at };
        let inner = start + 1..inner_end.max(start + 1);
        if self.is_before_colon() {
            self.take_key(inner);
            return;
        }
        let key = self.key.take();
        if key.is_some_and(|key| key.is_secret) {
            // Unless punctuation follows, the secret may continue.
            if !self.is_before(b",}]") {
                self.at = self.text.len();
            }
            self.found.push(Found::whole(start..self.at));
            return;
        }
        let value = self.decoded(inner.clone());
        let is_line = key.is_some_and(|key| key.is_line);
        let inside = self.nest.look(&value, is_line);
        match &value {
            Cow::Borrowed(_) => {
                let inside = inside.into_iter();
                self.found
                    .extend(inside.map(|range| Found::part(range, inner.start)));
            }
            // Their positions in the escaped text are not known.
            Cow::Owned(_) if !inside.is_empty() => self.found.push(Found::whole(start..self.at)),
            Cow::Owned(_) => {}
        }
        self.note(key, &value, start..self.at);
    }

    /// A number, a word, or a key without quotes.
    fn bare(&mut self) {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let ends = |byte: &u8| b",:={}[]\"'".contains(byte) || byte.is_ascii_whitespace();
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        if self.is_before_colon() && self.key.is_none() {
            self.take_key(start..self.at);
            return;
        }
        let key = self.key.take();
        let word = &self.text[start..self.at];
        if key.is_some_and(|key| key.is_secret) {
            if ["null", "true", "false"].contains(&word) && self.is_before(b",}]") {
                return;
            }
            let length = rest.iter().position(|byte| b",}]".contains(byte));
            self.at = start + length.unwrap_or(rest.len());
            self.found.push(Found::whole(start..self.at));
            return;
        }
        self.note(key, word, start..self.at);
    }

    /// The end of the innermost object or array, or of the text.
    fn close(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let range = open.start..self.at;
        let candidates = &self.candidates[open.candidates..];
        let hidden = candidates
            .iter()
            .filter(|candidate| open.members.hides(candidate.key));
        let hidden = hidden.map(|candidate| Found::whole(candidate.range.clone()));
        self.found.extend(hidden);
        let is_secret = |key: Key| key.is_secret && !(key.is_key && open.members.is_keyboard);
        if open.key.is_some_and(is_secret) {
            self.found.truncate(open.found);
            self.found.push(Found::whole(range.clone()));
        }
        let mut kept = open.candidates;
        if open.key.is_some_and(|key| key.is_wrapper) {
            // Only once: passing candidates up through every level would take quadratic time.
            for at in open.candidates..self.candidates.len() {
                if !self.candidates[at].is_inherited {
                    self.candidates.swap(kept, at);
                    self.candidates[kept].is_inherited = true;
                    kept += 1;
                }
            }
        }
        self.candidates.truncate(kept);
        self.key = None;
        if let (Some(key), false) = (open.key, self.open.is_empty()) {
            self.candidates.extend(Candidate::new(key, range));
        }
    }

    fn note(&mut self, key: Option<Key>, text: &str, range: Range<usize>) {
        let open = self.open.last();
        let is_member = open.is_some_and(|open| self.text[open.start..].starts_with('{'));
        self.is_torn |= key.is_none() && (is_member || open.is_none());
        if let (Some(key), Some(open)) = (key, self.open.last_mut()) {
            open.members.note(key, text);
            self.candidates.extend(Candidate::new(key, range));
        }
    }

    fn take_key(&mut self, range: Range<usize>) {
        let text = self.text;
        let name = &text[range.clone()];
        if let Some(key) = self.keys.get(name) {
            self.key = Some(*key);
            return;
        }
        let decoded = self.decoded(range.clone());
        if !self.nest.look(&decoded, false).is_empty() {
            // A key with such a name is no key.
            self.found.push(Found::part(range, 0));
        }
        let key = Key::of(&decoded);
        if self.keys.len() < MOST_KEYS {
            self.keys.insert(name, key);
        }
        self.key = Some(key);
    }

    /// Looks for secrets within a string.
    fn decoded(&self, range: Range<usize>) -> Cow<'a, str> {
        let inner = &self.text[range.clone()];
        if !inner.contains('\\') {
            return inner.into();
        }
        let quote = char::from(self.text.as_bytes()[range.start.saturating_sub(1)]);
        unescape(inner, quote)
            .unwrap_or_else(|_| inner.to_owned())
            .into()
    }

    fn is_before_colon(&self) -> bool {
        self.is_before(b":=")
    }

    /// Whether one of these bytes comes next, after white space.
    fn is_before(&self, these: &[u8]) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
        next.is_some_and(|byte| these.contains(byte))
    }
}
