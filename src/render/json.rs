//! Formats JSON text without building a tree: order, digits and spelling are kept.

use std::borrow::Cow;

use super::theme::Role;
use crate::lang::{escape_json, has_any, is_harmful, is_plain};

const INDENT: &str = "  ";

/// Deeper values are indented no further, because nobody wants a page of white space.
const DEEPEST: usize = 64;

/// Returns `json` on one line, unchanged if it is on one line already.
pub fn compact(json: &str) -> Cow<'_, str> {
    if is_plain(json) {
        return json.into();
    }
    if !has_any(json, |byte| matches!(byte, b'\n' | b'\r')) {
        return escape_json(json);
    }
    let mut out = String::with_capacity(json.len());
    for token in Tokens::new(json) {
        match token {
            "," => out.push_str(", "),
            ":" => out.push_str(": "),
            text => out.push_str(&escape_json(text)),
        }
    }
    Cow::Owned(out)
}

/// Returns `json` indented, with one member per line, and with characters in place of their `\u` escapes unless they are
/// harmful.
pub fn pretty(json: &str, color: bool) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut tokens = Tokens::new(json).peekable();
    while let Some(token) = tokens.next() {
        match token {
            "{" | "[" => {
                out.push_str(token);
                match tokens.peek().copied() {
                    Some(close @ ("}" | "]")) => {
                        out.push_str(close);
                        tokens.next();
                    }
                    _ => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            "}" | "]" => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push_str(token);
            }
            "," => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ":" => out.push_str(": "),
            text if color => {
                let is_key = tokens.peek().is_some_and(|next| *next == ":");
                let style = role(text, is_key).style();
                out.push_str(&style.paint(spelled_out(&escape_json(text))).to_string());
            }
            text => out.push_str(&spelled_out(&escape_json(text))),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth.min(DEEPEST) {
        out.push_str(INDENT);
    }
}

fn role(text: &str, is_key: bool) -> Role {
    match text.as_bytes()[0] {
        b'"' if is_key => Role::Key,
        b'"' => Role::Text,
        _ => Role::Value,
    }
}

/// A JSON token with the harmless characters that it spells as `\uXXXX`. It is still the same JSON.
fn spelled_out(token: &str) -> Cow<'_, str> {
    if !token.contains("\\u") {
        return token.into();
    }
    let mut out = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (c, length) = match escaped_char(rest) {
            Some(found) => found,
            // Another escape.
            None => {
                let end = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            }
        };
        match is_harmful(c) || matches!(c, '"' | '\\') {
            true => out.push_str(&rest[..length]),
            false => out.push(c),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out.into()
}

/// The character that `text` begins with as `\uXXXX`, and how many bytes it takes.
fn escaped_char(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(text)?;
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, 6));
    }
    let second = unit(text.get(6..)?)?;
    let c = char::decode_utf16([first, second]).next()?.ok()?;
    Some((c, 12))
}

/// The tokens of valid JSON, without the white space between them.
struct Tokens<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.json.as_bytes();
        while bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        let start = self.at;
        self.at = match bytes[start] {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => start + 1,
            b'"' => crate::lang::literal::string_end(self.json, start).unwrap_or(bytes.len()),
            _ => {
                let length = bytes[start..]
                    .iter()
                    .position(|b| b.is_ascii_whitespace() || b"{}[],:\"".contains(b));
                length.map_or(bytes.len(), |length| start + length)
            }
        };
        Some(&self.json[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"a": [1, -2.50, {}], "b":{"c,\"}":null}, "d": [],"e":"é"}"#;

    #[test]
    fn pretty_json_has_one_member_per_line() {
        assert_eq!(
            pretty(JSON, false),
            "{\n  \"a\": [\n    1,\n    -2.50,\n    {}\n  ],\n  \"b\": {\n    \"c,\\\"}\": null\n  \
             },\n  \"d\": [],\n  \"e\": \"é\"\n}"
        );
    }

    #[test]
    fn pretty_json_shows_characters_unless_they_are_harmful() {
        let json =
            r#"{"a\u00e9": "\u6f22 \ud83d\ude00 \\u00e9 \u001b \u202e \u0022 \u005c \n \ud83d"}"#;
        let shown =
            "{\n  \"aé\": \"漢 😀 \\\\u00e9 \\u001b \\u202e \\u0022 \\u005c \\n \\ud83d\"\n}";
        assert_eq!(pretty(json, false), shown);
    }

    #[test]
    fn compact_reverses_pretty() {
        assert_eq!(compact(JSON), JSON);
        assert_eq!(
            compact(&pretty(JSON, false)),
            r#"{"a": [1, -2.50, {}], "b": {"c,\"}": null}, "d": [], "e": "é"}"#
        );
    }

    #[test]
    fn carriage_returns_between_tokens_are_white_space() {
        assert_eq!(compact("{\"a\":\r\n \"\u{9b}\"}"), "{\"a\": \"\\u009b\"}");
        assert_eq!(compact("[1,\r2]"), "[1, 2]");
    }

    #[test]
    fn colour_does_not_change_the_text() {
        let colored = pretty(JSON, true);
        assert!(colored.contains("\u{1b}["));
        let mut plain = String::new();
        let mut rest = colored.as_str();
        while let Some((before, behind)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = behind.split_once('m').expect("a whole sequence").1;
        }
        plain.push_str(rest);
        assert_eq!(plain, pretty(JSON, false));
    }
}
