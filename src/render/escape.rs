//! The gate before the terminal: what a guest, a server, a file or another process wrote, made harmless.

use std::borrow::Cow;

use crate::lang::is_harmful;

/// How much of a text that is not ours an error message shows.
const CLIP: usize = 2000;

/// How many characters of each end of an abridged text are shown.
const ABRIDGED: usize = 80;

/// A text of one line, with harmful characters shown escaped. That goes for line breaks, too: a name that has one
/// would forge a line of ours.
pub fn escape_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for a text of several lines: its line breaks and tabs stay.
pub fn escape(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_harmful(c) && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !is_escaped(c) => safe.push(c),
            '\n' | '\r' | '\t' => safe.extend(c.escape_default()),
            c => safe.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(safe)
}

/// The beginning of a text of one line that may be very long, made harmless.
pub fn clip(text: &str) -> Cow<'_, str> {
    clipped(text, escape_line)
}

/// The same for a text of several lines.
pub fn clip_text(text: &str) -> Cow<'_, str> {
    clipped(text, escape)
}

fn clipped(text: &str, escape: impl Fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match text.char_indices().nth(CLIP) {
        None => escape(text),
        Some((end, _)) => format!("{}… ({} bytes)", escape(&text[..end]), text.len()).into(),
    }
}

/// The beginning and the end of a text of one line that may be very long, made harmless: enough to tell what it is.
pub fn abridge(text: &str) -> Cow<'_, str> {
    let left_out = text.chars().count().saturating_sub(2 * ABRIDGED);
    // The mark that stands for it, and its count, should not take more room than it.
    if left_out <= ABRIDGED {
        return escape_line(text);
    }
    let start: String = text.chars().take(ABRIDGED).collect();
    let end: String = text.chars().skip(ABRIDGED + left_out).collect();
    format!("{} … {}", escape_line(&start), escape_line(&end)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_shown_escaped() {
        assert_eq!(escape("a\u{1b}[31m\n\tb\u{9b}"), "a\\u{1b}[31m\n\tb\\u{9b}");
        assert_eq!(escape_line("a\n(QEMU) \u{202e}"), "a\\n(QEMU) \\u{202e}");
        assert!(matches!(escape_line("plain é 漢"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_texts_are_clipped() {
        let clipped = clip(&"é".repeat(3000)).into_owned();
        assert!(clipped.ends_with("… (6000 bytes)"), "{clipped}");
    }

    #[test]
    fn an_abridged_text_keeps_both_ends() {
        let text = format!("cannot index [\u{1b}{}] with \"x\"", "é".repeat(300));
        let abridged = abridge(&text).into_owned();
        assert!(abridged.starts_with("cannot index [\\u{1b}é"), "{abridged}");
        assert!(abridged.ends_with("é] with \"x\""), "{abridged}");
        assert!(abridged.chars().count() < 200, "{abridged}");
        assert_eq!(abridge("cannot index 1"), "cannot index 1");
    }
}
