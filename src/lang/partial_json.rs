//! Reads JSON that ends at the cursor.

use super::literal::{MAX_NESTING, string_end, unescape};
use super::{Object, Value};

/// The part of a value before the cursor, and what is at the cursor.
#[derive(Debug)]
pub(super) struct Partial {
    pub value: Value,
    /// The keys and indices that lead to the cursor.
    pub path: Vec<String>,
    pub place: JsonPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonPlace {
    /// A key, or where one may start. The offset is that of its quote, if it has one.
    Key(usize),
    /// A value, or where one may start. The offset is that of its quote, if it has one.
    Value(usize),
    /// A place where only punctuation may follow, or after an error.
    Nowhere,
}

/// Reads `text`, which ends at the cursor and opens with a bracket or a brace.
pub(super) fn read(text: &str) -> Partial {
    let mut reader = Reader {
        text,
        at: 0,
        path: Vec::new(),
        place: JsonPlace::Nowhere,
    };
    let value = match reader.value(0) {
        Ok(value) | Err(Cut(value)) => value,
    };
    reader.path.reverse();
    Partial {
        value,
        path: reader.path,
        place: reader.place,
    }
}

/// The text ended within this value, which holds what was read of it.
struct Cut(Value);

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Innermost first.
    path: Vec<String>,
    place: JsonPlace,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn value(&mut self, depth: usize) -> Result<Value, Cut> {
        let c = self.peek();
        let start = self.at;
        match c {
            None => {
                self.place = JsonPlace::Value(start);
                Err(Cut(Value::Null))
            }
            Some('{' | '[') if depth == MAX_NESTING => Err(Cut(Value::Null)),
            Some('{') => self.object(depth + 1),
            Some('[') => self.array(depth + 1),
            Some('"' | '\'') => self.string().map(Value::Text).ok_or_else(|| {
                self.place = JsonPlace::Value(start);
                Cut(Value::Null)
            }),
            Some(_) => {
                let ends = |c: char| c.is_whitespace() || ",:]}".contains(c);
                match self.text[start..].find(ends) {
                    None => {
                        self.place = JsonPlace::Value(start);
                        Err(Cut(Value::Null))
                    }
                    // This bracket closes nothing.
                    Some(0) => Err(Cut(Value::Null)),
                    Some(length) => {
                        self.at += length;
                        Ok(Value::Word(self.text[start..start + length].to_owned()))
                    }
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Cut> {
        self.at += 1;
        let mut members = Object::new();
        loop {
            let key_at = match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(Value::Object(members));
                }
                Some(',') => {
                    self.at += 1;
                    continue;
                }
                None | Some('"' | '\'') => self.at,
                Some(_) => return Err(Cut(Value::Object(members))),
            };
            let key = match self.peek().and_then(|_| self.string()) {
                Some(key) => key,
                None => {
                    self.place = JsonPlace::Key(key_at);
                    return Err(Cut(Value::Object(members)));
                }
            };
            if self.peek() != Some(':') {
                return Err(Cut(Value::Object(members)));
            }
            self.at += 1;
            match self.value(depth) {
                Ok(value) => members.insert(key, value),
                Err(Cut(value)) => {
                    members.insert(key.clone(), value);
                    self.path.push(key);
                    return Err(Cut(Value::Object(members)));
                }
            };
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Cut> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            match self.peek() {
                Some(']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                Some(',') => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            match self.value(depth) {
                Ok(value) => items.push(value),
                Err(Cut(value)) => {
                    self.path.push(items.len().to_string());
                    items.push(value);
                    return Err(Cut(Value::Array(items)));
                }
            }
        }
    }

    /// Takes the string that opens here. Returns `None` if the text ends in it.
    fn string(&mut self) -> Option<String> {
        let end = string_end(self.text, self.at)?;
        let inner = &self.text[self.at + 1..end - 1];
        let quote = char::from(self.text.as_bytes()[self.at]);
        self.at = end;
        Some(unescape(inner, quote).unwrap_or_else(|_| inner.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(text: &str) -> (String, String, JsonPlace) {
        let partial = read(text);
        (
            partial.value.to_json(),
            partial.path.join("."),
            partial.place,
        )
    }

    #[test]
    fn the_cursor_is_located_and_the_value_before_it_is_read() {
        for (text, json, path, place) in [
            ("{", "{}", "", JsonPlace::Key(1)),
            ("{'a': 1, ", r#"{"a":1}"#, "", JsonPlace::Key(9)),
            ("{'a': 1, 'b", r#"{"a":1}"#, "", JsonPlace::Key(9)),
            ("{'a': ", r#"{"a":null}"#, "a", JsonPlace::Value(6)),
            ("{'a': 'x", r#"{"a":null}"#, "a", JsonPlace::Value(6)),
            ("{'a': tr", r#"{"a":null}"#, "a", JsonPlace::Value(6)),
            ("{'a'", "{}", "", JsonPlace::Nowhere),
            (
                r#"{"a": [{}, {"b": {"c": 1, ""#,
                r#"{"a":[{},{"b":{"c":1}}]}"#,
                "a.1.b",
                JsonPlace::Key(26),
            ),
            ("[1, ", "[1,null]", "1", JsonPlace::Value(4)),
            ("{]", "{}", "", JsonPlace::Nowhere),
            ("[}", "[null]", "0", JsonPlace::Nowhere),
        ] {
            assert_eq!(
                partial(text),
                (json.to_owned(), path.to_owned(), place),
                "{text}"
            );
        }
    }

    #[test]
    fn reading_stops_where_nesting_is_too_deep() {
        let (_, path, place) = partial(&"[".repeat(1_000_000));
        assert_eq!(
            (path.split('.').count(), place),
            (MAX_NESTING, JsonPlace::Nowhere)
        );
    }
}
