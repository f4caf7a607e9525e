//! Which characters may do a terminal, or its reader, harm.

use std::borrow::Cow;

/// Whether a character acts on a terminal, or shows as nothing or as something else: control characters, line
/// separators, what changes the direction of text, and what is invisible (Unicode's Cc, Cf, Zl, Zp, and the fillers of
/// Hangul).
pub fn is_harmful(c: char) -> bool {
    // Almost all text is ASCII.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// JSON text without harmful characters, which it spells as `\uXXXX`; white space between tokens stays. It is still
/// the same JSON.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let is_spelled = |c: char| is_harmful(c) && !matches!(c, '\n' | '\r' | '\t');
    if !has_any(json, may_begin_harmful) || !json.chars().any(is_spelled) {
        return json.into();
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if is_spelled(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe.into()
}

/// Whether a text has nothing but printable ASCII on one line, as almost all have.
pub fn is_plain(text: &str) -> bool {
    !has_any(text, |byte| !matches!(byte, b' '..=b'~'))
}

/// Whether any byte of `text` may start such a character. Replies may have millions of bytes, so this is written to be vectorized.
pub fn has_any(text: &str, is: impl Fn(u8) -> bool) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<64>();
    let found = |bytes: &[u8]| bytes.iter().fold(0, |any, byte| any | u8::from(is(*byte)));
    chunks.iter().any(|chunk| found(chunk) != 0) || found(rest) != 0
}

/// Whether a harmful character may begin with this byte, white space aside. Most bytes of a reply are not looked at
/// any closer.
fn may_begin_harmful(byte: u8) -> bool {
    matches!(
        byte,
        0..=8 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f | 0xc2 | 0xd8 | 0xdb | 0xdc | 0xe0..=0xe3 | 0xef | 0xf0 | 0xf3
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harmful_character_begins_with_a_byte_that_is_looked_at() {
        let mut buffer = [0; 4];
        let all = (char::MIN..=char::MAX).filter(|c| is_harmful(*c));
        for c in all.filter(|c| !matches!(c, '\n' | '\r' | '\t')) {
            let first = c.encode_utf8(&mut buffer).as_bytes()[0];
            assert!(may_begin_harmful(first), "{c:?}");
        }
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let json = "\"a\u{9b}é\u{7f}\u{202e}\u{e0001}\u{200b}\"";
        let safe = escape_json(json);
        assert_eq!(safe, "\"a\\u009bé\\u007f\\u202e\\udb40\\udc01\\u200b\"");
        assert_eq!(
            serde_json::from_str::<String>(&safe).expect("valid JSON"),
            serde_json::from_str::<String>(json).expect("valid JSON"),
        );
    }
}
