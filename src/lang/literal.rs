//! Reads JSON, and the relaxed form of it that qmp-shell accepts.
//!
//! Beyond JSON (RFC 8259) it accepts single-quoted strings with the escape `\'`, a trailing comma,
//! `True`, `False` and `None`, and Python's spellings of numbers. Where the schema may type them,
//! bare words are accepted too.

use super::value::integer;
use super::{Object, SyntaxError, Value};

/// The depth at which QEMU's own parser gives up (its `MAX_NESTING`).
pub(super) const MAX_NESTING: usize = 1024;

/// Reads all of `text` as one value.
///
/// # Errors
///
/// What was expected and what was found instead, with its place in `text`. A bracket or quote that
/// is still open at the end is reported as unclosed.
pub fn parse(text: &str) -> Result<Value, SyntaxError> {
    read(text, false)
}

/// Like [`parse`], but accepts bare words as values, like the `1G` in `{'size': 1G}`.
pub(super) fn parse_with_words(text: &str) -> Result<Value, SyntaxError> {
    read(text, true)
}

fn read(text: &str, words: bool) -> Result<Value, SyntaxError> {
    let mut reader = Reader { text, at: 0, words };
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.unexpected("the end of the value"));
    }
    Ok(value)
}

/// Returns the offset after the closing quote of the string that opens at `start`. A backslash
/// escapes the next character.
pub fn string_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    let mut at = start + 1;
    loop {
        let mut rest = bytes.get(at..)?.iter();
        at += rest.position(|byte| *byte == quote || *byte == b'\\')?;
        if bytes[at] == quote {
            return Some(at + 1);
        }
        at += 2;
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether bare words are accepted as values.
    words: bool,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        match self.peek() {
            Some(c) => {
                let error = SyntaxError::new(
                    format!("expected {expected}, found `{}`", c.escape_debug()),
                    self.at..self.at + c.len_utf8(),
                );
                match c {
                    '$' => error.help("inside brackets there are no variables; write KEY.0=$NAME"),
                    _ => error,
                }
            }
            None => SyntaxError::new(
                format!("expected {expected}, found the end"),
                self.at..self.at,
            ),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth > MAX_NESTING {
            return Err(SyntaxError::new(
                format!("nested more than {MAX_NESTING} deep"),
                self.at..self.at + 1,
            ));
        }
        self.space();
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"' | '\'') => Ok(Value::Text(self.string()?)),
            Some('+' | '-' | '.' | '0'..='9') => self.number(),
            Some(c) if c.is_alphabetic() => self.keyword(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let open = self.at;
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.space();
            if self.eat(']') {
                return Ok(Value::Array(items));
            }
            if self.peek().is_none() {
                return Err(SyntaxError::unclosed('[', ']', open..open + 1));
            }
            items.push(self.value(depth + 1)?);
            self.separator(']', open)?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let open = self.at;
        self.at += 1;
        let mut members = Object::new();
        loop {
            self.space();
            if self.eat('}') {
                return Ok(Value::Object(members));
            }
            let key_at = self.at;
            let key = match self.peek() {
                Some('"' | '\'') => self.string()?,
                Some(_) => {
                    return Err(self
                        .unexpected("a key in quotes")
                        .help(r#"members are written "key": value"#));
                }
                None => return Err(SyntaxError::unclosed('{', '}', open..open + 1)),
            };
            let key_span = key_at..self.at;
            self.space();
            if !self.eat(':') {
                return Err(match self.peek() {
                    None => SyntaxError::unclosed('{', '}', open..open + 1),
                    Some(_) => self.unexpected("`:` after the key"),
                });
            }
            self.space();
            if self.peek().is_none() {
                return Err(SyntaxError::unclosed('{', '}', open..open + 1));
            }
            let value = self.value(depth + 1)?;
            if members.contains_key(&key) {
                return Err(SyntaxError::new(format!("`{key}` is set twice"), key_span));
            }
            members.insert(key, value);
            self.separator('}', open)?;
        }
    }

    /// Takes a comma. A closing bracket is left to the caller.
    fn separator(&mut self, closer: char, open: usize) -> Result<(), SyntaxError> {
        self.space();
        match self.peek() {
            Some(',') => self.at += 1,
            Some(c) if c == closer => {}
            Some(_) => return Err(self.unexpected(&format!("`,` or `{closer}`"))),
            None => {
                let opener = if closer == ']' { '[' } else { '{' };
                return Err(SyntaxError::unclosed(opener, closer, open..open + 1));
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        let quote = self.peek().expect("the caller saw a quote");
        let Some(end) = string_end(self.text, start) else {
            return Err(SyntaxError::unclosed(quote, quote, start..start + 1));
        };
        self.at = end;
        let inner = &self.text[start + 1..end - 1];
        unescape(inner, quote).map_err(|error| error.shifted(start + 1))
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let length = self
            .rest()
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')))
            .unwrap_or(self.rest().len());
        let word = &self.text[start..start + length];
        let number = python_number(word);
        let Some(number) = number else {
            if self.words {
                return Ok(self.word());
            }
            return Err(SyntaxError::new(
                format!("`{word}` is not a number"),
                start..start + length,
            )
            .help("put a string in quotes"));
        };
        self.at += length;
        Ok(Value::Number(number))
    }

    fn keyword(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let length = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(self.rest().len());
        let word = &self.text[start..start + length];
        let value = match word {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            _ if self.words => return Ok(self.word()),
            _ => {
                return Err(SyntaxError::new(
                    format!("`{word}` is not JSON"),
                    start..start + length,
                )
                .help("put a string in quotes"));
            }
        };
        self.at += length;
        Ok(value)
    }
}

impl Reader<'_> {
    /// Takes a bare word, up to the next separator.
    fn word(&mut self) -> Value {
        let ends = |c: char| c.is_whitespace() || ",:]}[{\"'".contains(c);
        let rest = self.rest();
        let word = rest[..rest.find(ends).unwrap_or(rest.len())].to_owned();
        self.at += word.len();
        Value::Word(word)
    }
}

/// Converts a number in JSON's or Python's spelling to JSON's. Beyond JSON, Python has a leading
/// `+`, single underscores between digits, `0x`, `0o` and `0b`, and floats without digits on one
/// side.
fn python_number(word: &str) -> Option<String> {
    if let Some(integer) = integer(word) {
        return Some(integer);
    }
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let is_digit = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = digits.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'_' {
            continue;
        }
        if at == 0 || !is_digit(bytes.get(at - 1)) || !is_digit(bytes.get(at + 1)) {
            return None;
        }
    }
    let mut digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.to_ascii_lowercase().strip_prefix(prefix) {
            // Rust takes a sign here, too.
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let number = u128::from_str_radix(digits, radix)
                .ok()
                .filter(|_| is_plain)?;
            return integer(&format!("{sign}{number}"));
        }
    }
    if digits == "." {
        return None;
    }
    if digits.starts_with('.') {
        digits.insert(0, '0');
    }
    if digits.ends_with('.') {
        digits.push('0');
    }
    let number = format!("{sign}{digits}");
    serde_json::from_str::<serde_json::Number>(&number).ok()?;
    Some(number)
}

/// Resolves JSON's escapes in the content of a string delimited by `quote`.
pub(super) fn unescape(inner: &str, quote: char) -> Result<String, SyntaxError> {
    // Unlike JSON, we accept `\'`, and a bare `"` between single quotes. Both are converted to
    // JSON's form, and the JSON library reads the result.
    let mut json = String::with_capacity(inner.len() + 2);
    json.push('"');
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\'') => json.push('\''),
                Some(next) => json.extend(['\\', next]),
                None => json.push('\\'),
            },
            '"' if quote == '\'' => json.push_str("\\\""),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            c => json.push(c),
        }
    }
    json.push('"');
    serde_json::from_str(&json).map_err(|_| {
        SyntaxError::new(
            "this string has an escape that JSON does not have",
            0..inner.len(),
        )
        .help(
            r#"JSON's escapes are \" \\ \/ \b \f \n \r \t \uXXXX; `'…'` takes its text literally"#,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_json_is_read_as_a_json_library_reads_it() {
        for json in [
            "{}",
            "[]",
            r#"{"a": [1, -2.5e3, true, false, null, "x\ny"], "b": {}}"#,
            "123456789012345678901234567890",
            r#""é\u00e9""#,
        ] {
            let ours = parse(json).expect(json).to_json();
            let (ours, theirs): (serde_json::Value, serde_json::Value) = (
                serde_json::from_str(&ours).expect(&ours),
                serde_json::from_str(json).expect(json),
            );
            assert_eq!(ours, theirs, "{json}");
        }
    }

    #[test]
    fn python_literals_are_read_as_in_qmp_shell() {
        for (relaxed, json) in [
            ("{'a':1}", r#"{"a":1}"#),
            (r#"{'a':"b",'c':'d"e'}"#, r#"{"a":"b","c":"d\"e"}"#),
            (r"['it\'s']", r#"["it's"]"#),
            ("[1,2,]", "[1,2]"),
            ("{'a':1,}", r#"{"a":1}"#),
            ("[True,False,None]", "[true,false,null]"),
            ("[+1,-2,0x10,0o17,1_000]", "[1,-2,16,15,1000]"),
            ("[-0x0,-0x1]", "[0,-1]"),
            ("[.5,5.]", "[0.5,5.0]"),
            ("[ 1 ,\n 2 ]", "[1,2]"),
        ] {
            assert_eq!(parse(relaxed).expect(relaxed).to_json(), json);
        }
    }

    #[test]
    fn an_error_says_what_was_expected_and_where() {
        for (text, span, message) in [
            ("[1 2]", 3..4, "expected `,` or `]`, found `2`"),
            ("{a: 1}", 1..2, "expected a key in quotes, found `a`"),
            ("{'a' 1}", 5..6, "expected `:` after the key, found `1`"),
            ("[nope]", 1..5, "`nope` is not JSON"),
            ("[1.2.3]", 1..6, "`1.2.3` is not a number"),
            ("[+-0]", 1..4, "`+-0` is not a number"),
            ("[0x+1]", 1..5, "`0x+1` is not a number"),
            ("[]]", 2..3, "expected the end of the value, found `]`"),
            ("{'a':1,'a':2}", 7..10, "`a` is set twice"),
            ("[,]", 1..2, "expected a value, found `,`"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.span, error.message.as_str()), (span, message));
        }
    }

    #[test]
    fn an_open_bracket_or_quote_is_reported_with_what_closes_it() {
        for (text, closer) in [
            ("[1", ']'),
            ("[1,", ']'),
            ("{", '}'),
            ("{'a'", '}'),
            ("{'a':", '}'),
            ("{'a': 1", '}'),
            ("['a", '\''),
            ("[\"a\\", '"'),
        ] {
            assert_eq!(
                parse(text).expect_err(text).unclosed,
                Some(closer),
                "{text}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(parse(&format!("{}{}", "[".repeat(1000), "]".repeat(1000))).is_ok());
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }
}
