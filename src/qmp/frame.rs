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
    escaped: bool,
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
        let mut at = self.scanned;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if let Some(quote) = self.quote {
                // Not memchr: it first asks the processor for its features (CPUID). In a VM this
                // takes 40 us, a fortieth of a one-shot command.
                while let Some(eight) = bytes[at..].first_chunk()
                    && none_is_special(eight, quote)
                {
                    at += eight.len();
                }
                let Some(found) = bytes[at..].iter().position(|byte| special(*byte, quote)) else {
                    break;
                };
                at += found;
                self.escaped = bytes[at] == b'\\';
                if !self.escaped {
                    self.quote = None;
                }
                at += 1;
            } else {
                match bytes[at] {
                    quote @ (b'"' | b'\'') => self.quote = Some(quote),
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
                at += 1;
                if self.depth == 0 {
                    return Ok(Some(at));
                }
                if self.depth > MAX_NESTING {
                    return Err(Lost::TooDeep(MAX_NESTING));
                }
            }
        }
        self.scanned = bytes.len();
        Ok(None)
    }
}

/// Whether a byte ends a string that `quote` ends, or starts an escape.
fn special(byte: u8, quote: u8) -> bool {
    byte == quote || byte == b'\\'
}

/// Without an early return, so that the compiler checks all eight at once.
fn none_is_special(bytes: &[u8; 8], quote: u8) -> bool {
    let any = bytes
        .iter()
        .fold(0, |any, byte| any | u8::from(special(*byte, quote)));
    any == 0
}

/// The error for bytes that are not a QMP message.
pub fn garbage(bytes: &[u8]) -> Lost {
    let hint = if bytes.starts_with(b"RFB ") {
        " (this is a VNC server)"
    } else if bytes.starts_with(b"QEMU ") || bytes.starts_with(b"(qemu)") {
        " (this is a human monitor (HMP); speak to it with -H, or open a QMP monitor with -qmp)"
    } else if bytes.starts_with(b"\xff") {
        " (this looks like telnet; remove `telnet` from QEMU's option)"
    } else {
        ""
    };
    Lost::Garbage {
        quote: quote(bytes),
        hint,
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
    fn bytes_that_are_not_a_message_are_quoted() {
        let lost = frames(b"{}\r\nSSH-2.0-\x1b[31mx\r\n", 100).expect_err("garbage");
        assert_eq!(
            lost.to_string(),
            "the server sent something that is not a QMP message: `SSH-2.0-\\x1b[31mx`"
        );
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
