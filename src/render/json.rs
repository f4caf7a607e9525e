//! Formats JSON text without building a tree: order, digits and spelling are kept.

use std::borrow::Cow;

use nu_ansi_term::{Color, Style};

use crate::lang::{escape_json, has_any, is_plain};

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

/// Returns `json` indented, with one member per line.
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
                let style = paint(text, is_key);
                out.push_str(&style.paint(escape_json(text)).to_string());
            }
            text => out.push_str(&escape_json(text)),
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

fn paint(text: &str, is_key: bool) -> Style {
    match text.as_bytes()[0] {
        b'"' if is_key => Color::Blue.bold(),
        b'"' => Color::Green.normal(),
        b't' | b'f' | b'n' => Color::Purple.normal(),
        _ => Color::Cyan.normal(),
    }
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
