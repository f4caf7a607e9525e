//! What a guest or a server wrote, made harmless to a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// How much of a text from the server an error message shows.
const CLIP: usize = 2000;

/// Shows control characters escaped, but for line breaks and tabs.
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

/// The same for JSON text, which stays the same JSON. There, control characters below U+0020 are
/// escaped already; DEL and U+0080 to U+009F need not be.
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

/// Whether any byte of `text` is such a one. The processor looks at many at once: a reply may have millions.
pub(super) fn has_any(text: &str, is: impl Fn(u8) -> bool) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<64>();
    let found = |bytes: &[u8]| bytes.iter().fold(0, |any, byte| any | u8::from(is(*byte)));
    chunks.iter().any(|chunk| found(chunk) != 0) || found(rest) != 0
}

fn is_dangerous(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// The beginning of a text that may be very long, made harmless.
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
    fn control_characters_are_shown_escaped() {
        assert_eq!(escape("a\u{1b}[31m\n\tb\u{9b}"), "a\\u{1b}[31m\n\tb\\u{9b}");
        assert!(matches!(escape("plain é"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_is_the_same_json() {
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
