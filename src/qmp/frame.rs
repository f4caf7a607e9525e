//! Cuts a byte stream into messages.
//!
//! QMP ends each message with CRLF, but a monitor in pretty mode (`-qmp-pretty`) also sends line
//! breaks inside messages. So a message is found by its outer braces. A client may also write strings in single quotes,
//! as QEMU's own tests do.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

use super::error::Lost;
use crate::lang::conceal;

/// The largest message, in bytes. QEMU's own limit for what it reads is the same.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

/// The deepest nesting of objects and arrays. QEMU's own limit is the same.
const MAX_NESTING: usize = 1024;

/// The most bytes that an error quotes of something that is not a message.
const QUOTE: usize = 60;

/// The most bytes that are searched for what tells who sent them.
const SEARCHED: usize = 1 << 10;

/// The key that only a greeting has.
const GREETING: &[u8] = b"\"QMP\"";

/// More than the bytes from the line break before a greeting to the end of its key.
const BEFORE_GREETING: usize = 64;

/// The bytes received so far, and how far the current message has been scanned.
#[derive(Debug, Default)]
pub struct Frames {
    /// What was received and not taken yet.
    pub buffer: BytesMut,
    /// How many messages were taken.
    pub taken: u64,
    scanned: usize,
    depth: usize,
    /// The quote that ends the string that is being scanned.
    quote: Option<u8>,
}

impl Frames {
    /// Takes the next whole message, a JSON object, or `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// There is something other than white space between messages, or a message exceeds
    /// [`MAX_MESSAGE`] or [`MAX_NESTING`].
    pub fn json(&mut self) -> Result<Option<Bytes>, Lost> {
        if self.depth == 0 {
            let space = self
                .buffer
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            self.buffer.advance(space);
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(garbage(&self.buffer)),
            }
        }
        match self.scan()? {
            Some(end) => {
                self.scanned = 0;
                if end > MAX_MESSAGE {
                    return Err(Lost::TooLarge(MAX_MESSAGE));
                }
                Ok(Some(self.buffer.split_to(end).freeze()))
            }
            None if self.buffer.len() > MAX_MESSAGE => Err(Lost::TooLarge(MAX_MESSAGE)),
            None => Ok(None),
        }
    }

    /// The length of the next whole line with its line break, or `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// The line exceeds [`MAX_MESSAGE`].
    pub fn line(&mut self) -> Result<Option<usize>, Lost> {
        let mut new = self.buffer[self.scanned..].iter();
        let Some(at) = new.position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            return self.check_size().map(|()| None);
        };
        let length = self.scanned + at + 1;
        self.scanned = 0;
        Ok(Some(length))
    }

    /// Whether no message has begun.
    pub fn is_between(&self) -> bool {
        self.depth == 0
    }

    /// Drops all bytes up to `sentinel` and with it; all bytes if it is not among them. Returns whether it was.
    pub(super) fn skip_past(&mut self, sentinel: u8) -> bool {
        let at = self.buffer.iter().position(|byte| *byte == sentinel);
        self.begin_at(at.map_or(self.buffer.len(), |at| at + 1));
        at.is_some()
    }

    /// Drops what comes before a greeting that begins a line. Returns whether there is one, or its beginning.
    pub(super) fn skip_to_greeting(&mut self) -> bool {
        let places = self.buffer.windows(GREETING.len()).enumerate();
        let mut places = places.filter(|(_, bytes)| *bytes == GREETING);
        let start = places.find_map(|(at, _)| {
            // In pretty mode, there is a line break after the brace.
            let before = self.buffer[..at].trim_ascii_end().strip_suffix(b"{")?;
            before.ends_with(b"\n").then_some(before.len())
        });
        let length = self.buffer.len();
        self.begin_at(start.unwrap_or(length.saturating_sub(BEFORE_GREETING)));
        start.is_some()
    }

    /// Drops the bytes before `start`, and looks for a message there.
    fn begin_at(&mut self, start: usize) {
        *self = Self {
            buffer: self.buffer.split_off(start),
            taken: self.taken,
            ..Self::default()
        };
    }

    /// Checks how much was received and not taken.
    ///
    /// # Errors
    ///
    /// It exceeds [`MAX_MESSAGE`].
    pub fn check_size(&self) -> Result<(), Lost> {
        match self.buffer.len() {
            0..=MAX_MESSAGE => Ok(()),
            _ => Err(Lost::TooLarge(MAX_MESSAGE)),
        }
    }

    /// The error for a message that the end of the stream cut off, if it did.
    pub fn cut(&self) -> Option<Lost> {
        let rest = self.buffer.trim_ascii();
        (!rest.is_empty()).then(|| Lost::Cut(quote(rest)))
    }

    /// Continues where the last scan stopped. Returns the offset after the closing brace, if it has
    /// come. That brackets match is left to the JSON parser.
    fn scan(&mut self) -> Result<Option<usize>, Lost> {
        let bytes = &self.buffer[..];
        let (mut at, mut depth) = (self.scanned, self.depth);
        'pieces: loop {
            if let Some(quote) = self.quote {
                match after_string(bytes, at, quote) {
                    Ok(end) => at = end,
                    Err(next) => {
                        at = next;
                        break;
                    }
                }
                self.quote = None;
            }
            loop {
                let Some(byte) = bytes.get(at) else {
                    break 'pieces;
                };
                at += 1;
                match KINDS[usize::from(*byte)] {
                    Kind::Other => {}
                    Kind::Quote => {
                        self.quote = Some(*byte);
                        break;
                    }
                    Kind::Open if depth == MAX_NESTING => return Err(Lost::TooDeep(MAX_NESTING)),
                    Kind::Open => depth += 1,
                    Kind::Close => {
                        depth -= 1;
                        if depth == 0 {
                            self.depth = 0;
                            return Ok(Some(at));
                        }
                    }
                }
            }
        }
        (self.scanned, self.depth) = (at, depth);
        Ok(None)
    }
}

/// What a byte outside of strings does.
#[derive(Clone, Copy)]
enum Kind {
    Other,
    Open,
    Close,
    Quote,
}

/// The kind of each byte: a look is faster than comparisons.
const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    (kinds[b'{' as usize], kinds[b'[' as usize]) = (Kind::Open, Kind::Open);
    (kinds[b'}' as usize], kinds[b']' as usize]) = (Kind::Close, Kind::Close);
    (kinds[b'"' as usize], kinds[b'\'' as usize]) = (Kind::Quote, Kind::Quote);
    kinds
};

/// The offset after the string that goes on at `at`, or where to go on once there is more of it.
fn after_string(bytes: &[u8], mut at: usize, quote: u8) -> Result<usize, usize> {
    loop {
        match special_from(bytes, at, quote) {
            None => return Err(at.max(bytes.len())),
            Some(found) if bytes[found] == b'\\' => at = found + 2,
            Some(found) => return Ok(found + 1),
        }
    }
}

/// A string that is longer is looked through in larger steps.
const SHORT: usize = 32;

/// Where, from `start` on, a string ends or an escape starts.
///
/// Not memchr: it first asks the processor for its features (CPUID). In a VM this takes 40 us, a fortieth of a one-shot
/// command.
fn special_from(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    while let Some(eight) = bytes.get(at..)?.first_chunk() {
        if let Some(place) = special_of_eight(*eight, quote) {
            return Some(at + place);
        }
        at += eight.len();
        while at - start >= SHORT
            && let Some(block) = bytes[at..].first_chunk()
            && none_is_special(block, quote)
        {
            at += block.len();
        }
    }
    let mut rest = bytes[at..].iter();
    let found = rest.position(|byte| is_special(*byte, quote))?;
    Some(at + found)
}

/// Whether a byte ends a string that `quote` ends, or starts an escape.
fn is_special(byte: u8, quote: u8) -> bool {
    byte == quote || byte == b'\\'
}

/// Without an early return, so that the compiler checks all at once.
fn none_is_special(bytes: &[u8; SHORT], quote: u8) -> bool {
    let any = bytes
        .iter()
        .fold(0, |any, byte| any | u8::from(is_special(*byte, quote)));
    any == 0
}

/// Which of eight bytes is the first special one. A byte less one has its top bit set, where it had not before, if it
/// was zero; a borrow reaches only the bytes after that.
fn special_of_eight(eight: [u8; 8], quote: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let eight = u64::from_le_bytes(eight);
    let zeros = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & TOPS;
    let quotes = zeros(eight ^ (ONES * u64::from(quote)));
    let special = quotes | zeros(eight ^ (ONES * u64::from(b'\\')));
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

/// The error for bytes that are not a QMP message.
pub fn garbage(bytes: &[u8]) -> Lost {
    let start = bytes.trim_ascii_start();
    let hint = hint(&start[..start.len().min(SEARCHED)]);
    Lost::Garbage {
        quote: quote(bytes),
        hint,
    }
}

/// Who says this, and what to do; empty if that is not known.
fn hint(bytes: &[u8]) -> &'static str {
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    match bytes {
        _ if bytes.starts_with(b"RFB ") => " (this is a VNC server)",
        _ if bytes.starts_with(b"SSH-") => " (this is an ssh server)",
        _ if bytes.starts_with(b"QEMU ") || bytes.starts_with(b"(qemu)") => {
            " (this is a human monitor (HMP); speak to it with -H, or open a QMP monitor with -qmp)"
        }
        _ if bytes.starts_with(b"{\"QMP\"") || bytes.starts_with(b"{\n    \"QMP\"") => {
            " (this is a QMP monitor; leave out the option that says otherwise)"
        }
        _ if bytes.starts_with(b"IRQ ")
            || bytes.starts_with(b"OK\n")
            || bytes.starts_with(b"FAIL ") =>
        {
            " (this is qtest; speak to it with --dialect qtest)"
        }
        [0xff, b'{', ..] => " (this is a guest agent; speak to it with -N)",
        [0xff, ..] => " (this looks like telnet; remove `telnet` from QEMU's option)",
        _ if has("login: ")
            || has("\"execute\":\"guest-sync-delimited\"")
            || has("Booting")
            || has("SeaBIOS") =>
        {
            " (this is a guest's serial console; `:console ADDRESS` attaches to one)"
        }
        _ => "",
    }
}

/// Returns the beginning of `bytes`, made harmless to a terminal.
fn quote(bytes: &[u8]) -> String {
    let cut = bytes.len() > QUOTE;
    let shown = bytes[..bytes.len().min(QUOTE)].trim_ascii_end();
    let text = String::from_utf8_lossy(shown);
    let shown = match conceal(&text) {
        Cow::Owned(concealed) => concealed.into_bytes(),
        Cow::Borrowed(_) => shown.to_vec(),
    };
    let mut quote: String = shown.escape_ascii().to_string();
    if cut {
        quote.push('…');
    }
    quote
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages found when `input` arrives in pieces of `size` bytes.
    fn frames(input: &[u8], size: usize) -> Result<Vec<String>, Lost> {
        let mut frames = Frames::default();
        let mut messages = Vec::new();
        for piece in input.chunks(size) {
            frames.buffer.extend_from_slice(piece);
            while let Some(message) = frames.json()? {
                messages.push(String::from_utf8_lossy(&message).into_owned());
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_found_however_the_bytes_are_split() {
        let input =
            b"{\"a\": {}}\r\n{\"b\": \"}\\\"{\\\\\"}\n{\n    \"c\": [\n    ]\n}\r\n\r\n{'\"}': '\\'}'}{}";
        for size in 1..=input.len() {
            assert_eq!(
                frames(input, size).expect("valid messages"),
                [
                    r#"{"a": {}}"#,
                    r#"{"b": "}\"{\\"}"#,
                    "{\n    \"c\": [\n    ]\n}",
                    r#"{'"}': '\'}'}"#,
                    "{}"
                ],
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn a_greeting_is_found_behind_the_rest_of_something_else_however_the_bytes_are_split() {
        for (rest, greeting) in [
            ("\"a\"}], \"x\": \"QMP\"}\r\n", "{\"QMP\": {}}"),
            ("}\r\n{\"event\": 1}\r\n", "{\"QMP\": {\"a\": 1}}"),
            ("\r\n", "{\n    \"QMP\": {\n    }\n}"),
        ] {
            let rest = format!("{}{rest}", "x, ".repeat(100));
            let input = format!("{rest}{greeting}\r\n{{}}");
            for size in 1..=input.len() {
                let mut frames = Frames::default();
                let mut pieces = input.as_bytes().chunks(size);
                let mut found = false;
                while !found {
                    let piece = pieces.next().expect("it comes");
                    frames.buffer.extend_from_slice(piece);
                    found = frames.skip_to_greeting();
                }
                pieces.for_each(|piece| frames.buffer.extend_from_slice(piece));
                let message = frames.json().expect("a message").expect("a whole one");
                assert_eq!(message, greeting, "in pieces of {size}");
            }
        }
        let mut frames = Frames::default();
        frames.buffer.extend_from_slice(b"{\"QMP\"");
        assert!(!frames.skip_to_greeting());
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is_and_whatever_is_around_it() {
        for around in [b'a', b'#', b'!', b'[', b']', 0xa2, 0xdc, 0x80, 0xff, 1] {
            for length in 0..100 {
                let mut bytes = vec![around; length + 10];
                assert_eq!(special_from(&bytes, 1, b'"'), None, "{around}");
                for special in [b'"', b'\\'] {
                    bytes[length] = special;
                    assert_eq!(special_from(&bytes, 0, b'"'), Some(length), "{around}");
                }
            }
        }
        assert_eq!(special_from(b"ab", 3, b'"'), None);
    }

    #[test]
    fn bytes_that_are_not_a_message_are_quoted() {
        let lost = frames(b"{}\r\nSSH-2.0-\x1b[31mx\r\n", 100).expect_err("garbage");
        assert_eq!(
            lost.to_string(),
            "the server sent something that is not a QMP message: `SSH-2.0-\\x1b[31mx` (this is an ssh server)"
        );
    }

    #[test]
    fn who_sent_it_is_looked_for_at_the_start() {
        let hint = |before: usize| match garbage(&[&vec![b'x'; before][..], b"login: "].concat()) {
            Lost::Garbage { hint, .. } => hint,
            lost => panic!("{lost}"),
        };
        assert!(hint(10).contains("serial console"));
        assert_eq!(hint(SEARCHED), "");
    }

    #[test]
    fn a_message_beyond_the_limit_is_an_error_before_it_is_whole() {
        let mut frames = Frames::default();
        frames.buffer.extend_from_slice(b"{\"a\": \"");
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..63 {
            frames.buffer.extend_from_slice(&piece);
            assert!(matches!(frames.json(), Ok(None)));
        }
        frames.buffer.extend_from_slice(&piece);
        assert!(matches!(frames.json(), Err(Lost::TooLarge(_))));
    }

    #[test]
    fn nesting_beyond_the_limit_is_an_error() {
        let deep = format!("{{\"return\": {}", "[".repeat(1024));
        assert!(matches!(
            frames(deep.as_bytes(), 100),
            Err(Lost::TooDeep(_))
        ));
    }

    #[test]
    fn a_message_cut_off_by_the_end_of_the_stream_is_an_error() {
        let mut frames = Frames::default();
        frames.buffer.extend_from_slice(b"\r\n");
        assert!(frames.cut().is_none());
        frames.buffer.extend_from_slice(b"{\"return\"");
        assert!(matches!(frames.cut(), Some(Lost::Cut(quote)) if quote.contains("return")));
    }
}
