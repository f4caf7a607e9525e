//! Makes text from a guest or a server harmless to a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// The most characters of a server's text in an error message.
const CLIP: usize = 2000;

/// Escapes control characters, except line breaks and tabs.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_dangerous(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Like [`escape`], for JSON, which keeps its meaning. In JSON, control characters below U+0020 are
/// already escaped, but DEL and U+0080 to U+009F may not be.
pub(super) fn escape_json(json: &str) -> Cow<'_, str> {
    if !has_any(json, |byte| matches!(byte, 0x7f | 0xc2)) || !json.chars().any(is_dangerous) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if is_dangerous(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Whether `is` holds for any byte of `text`. It looks at many bytes at once, because a reply may
/// have millions.
pub(super) fn has_any(text: &str, is: impl Fn(u8) -> bool) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<64>();
    let found = |bytes: &[u8]| bytes.iter().fold(0, |any, byte| any | u8::from(is(*byte)));
    chunks.iter().any(|chunk| found(chunk) != 0) || found(rest) != 0
}

fn is_dangerous(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Returns the beginning of a text that may be very long, escaped.
pub fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CLIP) {
        None => escape(text),
        Some((end, _)) => format!("{}… ({} bytes)", escape(&text[..end]), text.len()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\u{1b}[31m\n\tb\u{9b}"), "a\\u{1b}[31m\n\tb\\u{9b}");
        assert!(matches!(escape("plain é"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_keeps_its_meaning() {
        let json = "\"a\u{9b}é\u{7f}\"";
        let safe = escape_json(json);
        assert_eq!(safe, "\"a\\u009bé\\u007f\"");
        assert_eq!(
            serde_json::from_str::<String>(&safe).expect("valid JSON"),
            serde_json::from_str::<String>(json).expect("valid JSON"),
        );
    }

    #[test]
    fn long_texts_are_clipped() {
        let clipped = clip(&"é".repeat(3000)).into_owned();
        assert!(clipped.ends_with("… (6000 bytes)"), "{clipped}");
    }
}
